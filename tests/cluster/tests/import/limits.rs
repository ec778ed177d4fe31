//! An import that is cancelled, terminated, and resumed; and its memory.

use super::{count, lies, world};
use image::ImageFormat;
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::photos::{
    Folder, claiming_png, encode, items, jpeg, picture, submit_import, wait_for_state, wrong_counters,
};
use lumina_cluster::postgres::Client;
use lumina_cluster::report::say;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

/// More than the promised second: the machine may be busy.
const SOON: Duration = Duration::from_secs(3);

/// Waits until a running job has written some of its findings, and not all.
fn wait_for_some(session: &mut Client, job: i64) {
    let look = "SELECT j.state = 'running' AND EXISTS (SELECT FROM lumina.import_items t
            WHERE t.job = j.id AND t.reason IS NULL AND t.state = 'imported'),
            j.state NOT IN ('queued', 'running') FROM lumina.jobs j WHERE j.id = $1";
    wait_until("something is imported", || {
        let row = session.query_one(look, &[&job]).unwrap();
        assert!(!row.get::<_, bool>(1), "the job ended before it could be cancelled");
        row.get(0)
    });
}

#[test]
fn cancelled_in_the_middle_and_gone_on_with() {
    const FILES: usize = 800;
    let folder = Folder::default();
    let photo = jpeg(1, 2400, 1800);
    for n in 0..FILES {
        folder.put(format!("{}/{n}.jpg", n % 7), [photo.as_slice(), &n.to_le_bytes()].concat());
    }
    let (_cluster, mut session) = world();
    let began = Instant::now();
    let mut job = submit_import(&mut session, "photos", folder.path());
    let mut imported = 0;
    for how in ["SELECT lumina.cancel_job(id)", "SELECT pg_cancel_backend(worker_pid)"] {
        wait_for_some(&mut session, job);
        let asked = Instant::now();
        let wanted: bool = session.query_one(&format!("{how} FROM lumina.jobs WHERE id = $1"), &[&job]).unwrap().get(0);
        assert!(wanted, "{how}");
        assert_eq!(wait_for_end(&mut session, job), "cancelled");
        say(&format!("{how} has taken {:?}", asked.elapsed()));
        assert!(asked.elapsed() < SOON, "{how} has taken {:?}", asked.elapsed());
        // What was written stays: each finished file has its rows, and no other.
        let done = "lumina.import_items WHERE job = (SELECT max(id) FROM lumina.jobs) AND state <> 'found'";
        let now = count(&mut session, "lumina.image_files");
        assert!(now > imported && now < FILES as i64, "{now} of {FILES} files");
        assert_eq!((count(&mut session, done), count(&mut session, "lumina.images")), (now, now));
        // The job shows all of it, though it reports once a second at most.
        let shown = "SELECT items_done >= (SELECT count(*) FROM lumina.import_items WHERE job = j.id
            AND state <> 'found') FROM lumina.jobs j WHERE id = $1";
        assert!(session.query_one(shown, &[&job]).unwrap().get::<_, bool>(0), "less is shown than was imported");
        imported = now;
        job = session.query_one("SELECT lumina.retry_job($1)", &[&job]).unwrap().get(0);
    }
    // When terminated, the worker requeues its job, and the next worker continues from there, without a new walk.
    wait_for_some(&mut session, job);
    session
        .query_one("SELECT pg_terminate_backend(worker_pid, 60000) FROM lumina.jobs WHERE id = $1", &[&job])
        .unwrap();
    session.query_one("SELECT lumina.resume_jobs()", &[]).unwrap();
    wait_for_state(&mut session, job, "succeeded");
    say(&format!("{FILES} files were imported in {:?}, in four goes", began.elapsed()));
    let found = items(&mut session, job, folder.path());
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    found.values().for_each(|item| *states.entry(item).or_default() += 1);
    assert_eq!(states, [("imported", FILES - imported as usize), ("skipped unchanged", imported as usize)].into());
    for table in ["images", "image_files"] {
        assert_eq!(count(&mut session, &format!("lumina.{table}")), FILES as i64, "{table}");
    }
    let attempts = "SELECT attempts FROM lumina.jobs WHERE id = $1";
    assert_eq!(session.query_one(attempts, &[&job]).unwrap().get::<_, i32>(0), 2);
    assert_eq!(wrong_counters(&mut session, job), [""; 0]);
    // What is left is looked at closely.
    session.batch_execute("DELETE FROM lumina.image_files WHERE id % 40 > 0").unwrap();
    assert_eq!(lies(&mut session), [""; 0]);
}

/// A JPEG of a hundred megapixels, faster than any encoder makes one: strips of eight rows, each of them repeated, with
/// restart markers between them.
fn large_jpeg() -> Vec<u8> {
    const STRIPS: u32 = 25;
    const TIMES: usize = 42;
    const WIDTH: u32 = 12_000;
    let rows = picture(7, WIDTH, 8 * STRIPS);
    let strips: Vec<Vec<u8>> =
        (0..STRIPS).map(|strip| encode(&rows.crop_imm(0, 8 * strip, WIDTH, 8), ImageFormat::Jpeg)).collect();
    let at = |marker: u8| strips[0].windows(2).position(|bytes| bytes == [0xff, marker]).unwrap();
    let (frame, scan) = (at(0xc0), at(0xda));
    let data = scan + 2 + usize::from(strips[0][scan + 3]);
    let mut bytes = strips[0][..scan].to_vec();
    let height = 8 * (STRIPS as usize * TIMES) as u16;
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes.extend([0xff, 0xdd, 0, 4]); // a restart after each row of blocks
    bytes.extend((WIDTH as u16 / 8).to_be_bytes());
    bytes.extend(&strips[0][scan..data]);
    for number in 0..STRIPS as usize * TIMES {
        let strip = &strips[number / TIMES];
        bytes.extend(&strip[data..strip.len() - 2]);
        bytes.extend([0xff, 0xd0 + (number % 8) as u8]);
    }
    bytes.truncate(bytes.len() - 2);
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// A PNG of a hundred megapixels of two colours, with one bit per pixel, which takes three bytes per pixel decoded.
fn large_png() -> Vec<u8> {
    const WIDTH: u32 = 12_000;
    const HEIGHT: usize = 8_400;
    const ROWS: u32 = 40;
    let grey = picture(8, WIDTH, ROWS).into_luma8();
    let bits = |eight: &[u8]| eight.iter().fold(0, |bits, &grey| bits << 1 | u8::from(grey > 128));
    let rows: Vec<Vec<u8>> =
        grey.chunks_exact(WIDTH as usize).map(|row| row.chunks_exact(8).map(bits).collect()).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::One);
    encoder.set_palette(vec![20, 30, 60, 250, 240, 200]);
    let mut writer = encoder.write_header().unwrap();
    let mut stream = writer.stream_writer().unwrap();
    (0..HEIGHT).for_each(|row| stream.write_all(&rows[row * rows.len() / HEIGHT]).unwrap());
    stream.finish().unwrap();
    drop(writer);
    bytes
}

/// A number of kilobytes from the status of a process; `None` once it has exited.
fn kilobytes(pid: i32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
}

#[test]
fn large_pictures_take_no_more_than_they_may() {
    const ALLOWED: u64 = 400 << 10;
    const BESIDE: u64 = 60 << 10;
    let folder = Folder::default();
    let large = [large_jpeg(), large_png()];
    for n in 0..4_usize {
        folder.put(format!("large {n}"), [large[n % 2].as_slice(), &n.to_le_bytes()].concat());
    }
    for n in 0..40 {
        folder.put(format!("small {n}.jpg"), jpeg(n, 600, 400));
    }
    folder.put("too large.png", claiming_png(15_000, 10_000));
    let (cluster, mut session) = world();
    session.batch_execute("SET lumina.import_memory = '400MB'; SET lumina.import_threads = 2").unwrap();
    // A worker that has just begun: it waits for a table lock.
    let mut holder = cluster.connect();
    holder.batch_execute("BEGIN; LOCK lumina.import_items").unwrap();
    let began = Instant::now();
    let job = submit_import(&mut session, "photos", folder.path());
    let workers = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'lumina worker' AND wait_event IS NOT NULL";
    let mut pid = 0;
    wait_until("the worker waits", || {
        pid = session.query_opt(workers, &[]).unwrap().map_or(0, |row| row.get(0));
        pid > 0
    });
    let before = kilobytes(pid, "VmRSS").unwrap();
    holder.batch_execute("ROLLBACK").unwrap();
    let mut peak = 0;
    wait_until("the import ends", || {
        peak = kilobytes(pid, "VmHWM").unwrap_or(peak);
        count(&mut session, "lumina.jobs WHERE ended_at IS NULL") == 0
    });
    peak = kilobytes(pid, "VmHWM").unwrap_or(peak);
    wait_for_state(&mut session, job, "succeeded");
    say(&format!(
        "4 pictures of 100 megapixels: {:?}, {} MB at most, {} MB before",
        began.elapsed(),
        peak >> 10,
        before >> 10
    ));
    assert!(peak - before > 250 << 10, "{peak} kB: has it decoded anything?");
    assert!(peak - before < ALLOWED + BESIDE, "{} kB at most, and {before} kB before", peak);
    let found = items(&mut session, job, folder.path());
    for (name, item) in &found {
        assert_eq!(item, if name == "too large.png" { "failed over_limit" } else { "imported" }, "{name}");
    }
    assert_eq!(found.len(), 45);
    let text = "SELECT error FROM lumina.import_items WHERE job = $1 AND reason = 'over_limit'";
    let text: String = session.query_one(text, &[&job]).unwrap().get(0);
    assert!(text.contains("409600 kB") && text.contains("lumina.import_memory"), "{text}");
}
