//! The page in a browser: headless Chromium renders it, at desktop and phone width, in light and dark, and a script
//! that only the copies for these tests contain reports the layout.
//!
//! Skipped with a message where there is no Chromium (`LUMINA_CHROMIUM` names one; Debian: `apt-get install -y
//! --no-install-recommends chromium`). With `LUMINA_SCREENSHOTS=FOLDER` the screenshots are kept there, to look at.
//! Photographs are those of the folder `LUMINA_PHOTOS`, where there is one; without it the pictures are all made here.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use lumina_photo::{Format, Limits, NeverCancels, Orientation, Picture, Pixels, decode, metadata, thumbnail};
use lumina_report::{
    AlsoNear, Apart, BurstsSummary, Decision, DecisionsSummary, Distance, GroupKind, Member, ReportGroup,
    ReportSummary, ReportWriter, ShownBurst,
};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const LIMITS: Limits<'static> = Limits { pixels: 1 << 30, memory: 4 << 30, caller: &NeverCancels };

/// Timeout of a start and a page, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Paths as nobody should name files.
const HOSTILE: [&str; 7] = [
    "/photos/<script>document.title='taken over'</script>.jpg",
    "/photos/\"><img src=x onerror=alert(1)>'&amp;&lt;.jpg",
    "/photos/invoice\u{202e}gpj.exe",
    "/photos/two\nlines\tand\u{0}nothing\r.jpg",
    "/photos/עברית/תמונה 12.jpg",
    "/photos/  three   blanks  /👨‍👩‍👧 familie.jpg ",
    "/photos/a-name-without-any-place-to-break-it-that-goes-on-and-on-and-on-\
     0123456789012345678901234567890123456789012345678901234567890123456789.jpg",
];

/// Reports the layout once everything is loaded, in lines of a name and a value.
const PROBE: &str = include_str!("chromium/probe.html");

/// A browser, or `None` and a message.
fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LUMINA_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: no Chromium (apt-get install -y --no-install-recommends chromium, or set LUMINA_CHROMIUM)");
    }
    found
}

/// A folder that is removed with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lumina-report-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Chromium's output for a page with these options; it is killed after a timeout.
fn browse(chromium: &Path, page: &Path, options: &[String]) -> String {
    let profile = Folder::new();
    let mut child = Command::new(chromium)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
        ])
        .arg(format!("--user-data-dir={}", profile.0.display()))
        .args(options)
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let (send, receive) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        output.read_to_end(&mut all).unwrap();
        let _ = send.send(all);
    });
    let printed = receive.recv_timeout(PATIENCE);
    if printed.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().unwrap();
    let printed = printed.unwrap_or_else(|_| panic!("{} took longer than {PATIENCE:?}", chromium.display()));
    reader.join().unwrap();
    assert!(status.success(), "{status}");
    String::from_utf8(printed).unwrap()
}

/// A document that shows the page in a frame of this width, since windows cannot be as narrow as phones.
fn framed(html: &str, width: u32, height: u32) -> String {
    let html = html.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><body style=\"margin:0\"><iframe width=\"{width}\" height=\"{height}\" \
         style=\"border:0;display:block\" srcdoc=\"{html}\"></iframe><pre id=\"found\"></pre>"
    )
}

/// The page, all of it loaded and laid out at once.
fn eager(html: &str) -> String {
    html.replace("loading=\"lazy\"", "loading=\"eager\"")
}

/// The probe's output: the values of each name, in order.
fn found(chromium: &Path, html: &str, width: u32) -> BTreeMap<String, Vec<String>> {
    let html = eager(html);
    let (before, after) = html.split_once("default-src 'none';").expect("a policy");
    let html = format!("{before}default-src 'none'; script-src 'unsafe-inline';{after}");
    let html = html.replacen("<title>", &format!("{PROBE}\n<title>"), 1);
    let folder = Folder::new();
    let file = folder.0.join("page.html");
    fs::write(&file, framed(&html, width, 900)).unwrap();
    let dom = browse(chromium, &file, &["--window-size=1280,900".into(), "--dump-dom".into()]);
    let (_, found) = dom.split_once("<pre id=\"found\">").expect("the probe's result");
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in found.split_once("</pre>").unwrap().0.lines() {
        let (name, value) = line.split_once('\t').unwrap_or_else(|| panic!("{line}"));
        values.entry(name.into()).or_default().push(value.into());
    }
    values
}

/// A screenshot of the page, `width` wide. It is saved where `LUMINA_SCREENSHOTS` says.
fn screenshot(chromium: &Path, html: &str, name: &str, (width, height): (u32, u32)) -> Picture {
    let folder = Folder::new();
    let (file, png) = (folder.0.join("page.html"), folder.0.join("page.png"));
    fs::write(&file, framed(&eager(html), width, height)).unwrap();
    let options = [format!("--window-size={},{height}", width.max(500)), format!("--screenshot={}", png.display())];
    browse(chromium, &file, &options);
    let bytes = fs::read(png).expect("a screenshot");
    if let Some(keep) = std::env::var_os("LUMINA_SCREENSHOTS").map(PathBuf::from) {
        fs::create_dir_all(&keep).unwrap();
        fs::write(keep.join(format!("{name}.png")), &bytes).unwrap();
        fs::write(keep.join(format!("{name}.html")), html).unwrap();
    }
    decode(&bytes, &LIMITS).unwrap().1
}

/// A generated picture: a sky, a hill, and a sun whose position depends on the seed.
fn made(width: u32, height: u32, seed: u32) -> Picture {
    let sun = (width / 5 * (1 + seed % 4), height / 4);
    let pixel = |x: u32, y: u32| {
        let hill = height * 2 / 3 + x * 40 / width.max(1) * height / 400;
        let (dx, dy) = (i64::from(x) - i64::from(sun.0), i64::from(y) - i64::from(sun.1));
        if y > hill {
            [70, 110 - (y - hill) as u8 % 50, 60]
        } else if dx * dx + dy * dy < i64::from(width.min(height) / 9).pow(2) {
            [250, 240, 200]
        } else {
            [(120 + y * 100 / height) as u8, (150 + y * 70 / height) as u8, 210]
        }
    };
    let samples = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    Picture { width, height, pixels: Pixels::Rgb(samples), damage: None }
}

fn small(picture: &Picture) -> Result<Vec<u8>, String> {
    thumbnail(picture, Orientation::Upright, 320, Format::Png, &LIMITS).map_err(|error| error.to_string())
}

/// A generated image, with at most two paths.
fn member(files: &[&str], (width, height): (u32, u32), seed: u32, distance: Option<u8>) -> Member {
    let scale = 1 + width.max(height) / 640;
    let of = |hash: &str, distance: u8, bits: u16| Distance { hash: hash.into(), distance: distance.into(), bits };
    Member {
        files: files.iter().map(|file| (*file).into()).collect(),
        files_more: 0,
        size: u64::from(width) * u64::from(height) / 3,
        format: "JPEG".into(),
        width: Some(width),
        height: Some(height),
        captured: Some("2021-08-14 17:42:09".into()),
        camera: Some("Canon EOS 5D Mark IV".into()),
        quality: 71.4 - f32::from(distance.unwrap_or(0)),
        burst: None,
        distance,
        distances: distance
            .map_or(vec![], |d| vec![of("ahash", d.saturating_sub(1), 64), of("dhash", d, 64), of("pdq", 3 * d, 256)]),
        thumbnail: small(&made(width / scale, height / scale, seed)),
    }
}

/// A photograph of the folder, in the form that the extension shows.
fn photograph(folder: &Path, name: &str, distance: Option<u8>) -> Member {
    let bytes = fs::read(folder.join(name)).unwrap();
    let (format, picture) = decode(&bytes, &LIMITS).unwrap();
    let facts = metadata::read(&bytes, format);
    let orientation = metadata::orientation(&bytes, format);
    let path = format!("/srv/photos/{name}");
    Member {
        size: bytes.len() as u64,
        format: format.to_string(),
        width: Some(picture.width),
        height: Some(picture.height),
        captured: facts.date_time_original.map(|captured| captured.replacen(':', "-", 2)),
        camera: facts.model,
        thumbnail: thumbnail(&picture, orientation, 320, format, &LIMITS).map_err(|error| error.to_string()),
        ..member(&[&path], (1200, 800), 0, distance)
    }
}

fn group(id: i64, kind: GroupKind, keep: Member, why: &[&str], others: Vec<Member>) -> ReportGroup {
    let copies = (keep.files.len() as u64 - 1) * keep.size;
    let savings = copies + others.iter().map(|other| other.files.len() as u64 * other.size).sum::<u64>();
    let confidence = others
        .iter()
        .filter_map(|other| other.distance)
        .max()
        .map_or(100, |worst| 100 - (u32::from(worst) * 100 / 64) as u8);
    let why: Vec<String> = why.iter().map(|why| (*why).into()).collect();
    ReportGroup {
        id,
        kind,
        confidence,
        savings,
        keep,
        why: why.clone(),
        why_file: why,
        others,
        others_more: 0,
        also_near: vec![],
        also_near_more: 0,
    }
}

/// Groups of generated pictures, some of them unusual.
fn made_groups() -> Vec<ReportGroup> {
    let raw = Member {
        format: "CR2".into(),
        size: 31_845_120,
        quality: 95.2,
        ..member(&["/srv/photos/2021/08 Norway/originals/IMG_4711.CR2"], (6720, 4480), 1, None)
    };
    let export = Member {
        camera: None,
        captured: None,
        ..member(&["/srv/photos/2021/08 Norway/export/web/norway-fjord-4711.jpg"], (2048, 1365), 1, Some(2))
    };
    let mut near = group(
        17,
        GroupKind::Near,
        raw,
        &["raw", "more pixels", "has its EXIF"],
        vec![
            member(
                &["/srv/photos/2021/08 Norway/IMG_4711.JPG", "/srv/backup/phone/DCIM/100CANON/IMG_4711.JPG"],
                (6720, 4480),
                1,
                Some(1),
            ),
            export,
            member(&["/srv/photos/2021/08 Norway/IMG_4712.JPG"], (6720, 4480), 2, Some(5)),
        ],
    );
    near.also_near = [("IMG_4713.JPG", Apart::NotNearAll), ("IMG_4714.JPG", Apart::Decision(30))]
        .map(|(name, because)| AlsoNear { path: format!("/srv/photos/2021/08 Norway/{name}"), because })
        .into();
    near.also_near_more = 4;
    let exact = group(
        18,
        GroupKind::Exact,
        member(
            &[
                "/srv/photos/2019/Anna and Jörg/Hochzeit/DSC_0042.jpg",
                "/srv/photos/2019/unsorted/DSC_0042.jpg",
                "/srv/backup/2019-06/DSC_0042 (1).jpg",
            ],
            (6000, 4000),
            3,
            None,
        ),
        &["the oldest file"],
        vec![],
    );
    let identical = group(
        19,
        GroupKind::Identical,
        member(&["/srv/photos/portrait.jpg"], (3000, 4500), 0, None),
        &["more pixels"],
        vec![member(&["/srv/photos/whatsapp/IMG-20210814-WA0007.jpg"], (1066, 1600), 0, Some(0))],
    );
    let missing = Member {
        thumbnail: Err("the HEIC images cannot be decoded: <no decoder>".into()),
        width: None,
        height: None,
        ..member(&["/srv/photos/IMG_0001.HEIC"], (4032, 3024), 0, Some(3))
    };
    let tall = Member {
        thumbnail: small(&made(40, 5000, 0)),
        ..member(&["/srv/photos/screens/tall.png"], (40, 5000), 0, Some(3))
    };
    let strange = group(
        20,
        GroupKind::Near,
        member(&["/srv/photos/one-pixel.png"], (4, 4), 0, None),
        &[],
        vec![missing, tall, member(&["/srv/photos/panorama.jpg"], (20_000, 900), 1, Some(4))],
    );
    let hostile = HOSTILE[1..].iter().map(|path| member(&[path], (1200, 800), 2, Some(1))).collect();
    let hostile = group(21, GroupKind::Near, member(&HOSTILE[..1], (1600, 1067), 2, None), &["more pixels"], hostile);
    vec![near, exact, identical, strange, hostile]
}

/// Groups of real photographs, if available.
fn real_groups() -> Vec<ReportGroup> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/photos");
    let folder = std::env::var_os("LUMINA_PHOTOS").map_or(usual, PathBuf::from);
    if !folder.is_dir() {
        println!("without photographs: {} is no folder (set LUMINA_PHOTOS)", folder.display());
        return vec![];
    }
    let of = |name: &str, distance: Option<u8>| photograph(&folder, name, distance);
    let turned = (2..=8).map(|number| of(&format!("orientation/landscape_{number}.jpg"), Some(number / 4))).collect();
    vec![
        group(
            1,
            GroupKind::Near,
            of("hdr/iphone_hdr_YES.jpg", None),
            &["better quality"],
            vec![of("hdr/iphone_hdr_NO.jpg", Some(4))],
        ),
        group(
            2,
            GroupKind::Near,
            of("hdr/canon_hdr_YES.jpg", None),
            &["better quality"],
            vec![of("hdr/canon_hdr_NO.jpg", Some(5))],
        ),
        group(3, GroupKind::Near, of("orientation/landscape_1.jpg", None), &["the oldest file"], turned),
        group(
            4,
            GroupKind::Near,
            of("gps/DSCN0010.jpg", None),
            &["more pixels"],
            vec![of("gps/DSCN0012.jpg", Some(11)), of("cameras/Canon_40D.jpg", Some(12))],
        ),
    ]
}

/// One burst, whose best picture has a hostile name.
fn bursts() -> BurstsSummary {
    let shown = ShownBurst {
        id: 7,
        frames: 5,
        shots: 4,
        started: "2021-08-14 17:42:09".into(),
        camera: Some("Canon EOS 5D Mark IV".into()),
        is_suspect: false,
        best: Some(HOSTILE[0].into()),
        thumbnail: small(&made(320, 213, 1)),
    };
    BurstsSummary { total: 12, shown: vec![shown] }
}

fn decisions() -> DecisionsSummary {
    let last = Decision {
        id: 12,
        kind: "keep_best".into(),
        group: Some(7),
        actor: HOSTILE[6].into(),
        at: "2026-11-24 09:30 UTC".into(),
        images: 2,
        files: 0,
        undo_of: None,
        undone_by: None,
    };
    DecisionsSummary { standing: 1, images_rejected: 2, last: vec![last], ..DecisionsSummary::default() }
}

/// All groups, on a page of a catalog that has more.
fn report() -> (Vec<ReportGroup>, String) {
    let mut groups = real_groups();
    groups.extend(made_groups());
    let of = |hash: &str| Distance { hash: hash.into(), distance: 5, bits: 64 };
    let report = ReportSummary {
        catalog: "holiday".into(),
        generated: "25 November 2026, 14:02".into(),
        rule: vec![vec![of("ahash"), of("dhash")]],
        strategy: "clique".into(),
        images: 98_932,
        groups_total: 412,
        redundant_files: 531,
        savings: 9_018_345_421,
        bursts: bursts(),
        decisions: decisions(),
    };
    let mut html = String::new();
    let mut writer = ReportWriter::begin(&report, &mut html).unwrap();
    for group in &groups {
        writer.group(group).unwrap();
    }
    writer.end().unwrap();
    (groups, html)
}

/// The names of the sections that are shown: the groups of one kind or all of them, then bursts and decisions, which
/// no choice of a kind hides.
fn ids(groups: &[ReportGroup], kind: Option<GroupKind>) -> String {
    let of_kind = groups.iter().filter(|group| kind.is_none_or(|kind| group.kind == kind));
    let groups = of_kind.map(|group| format!("group-{}", group.id));
    groups.chain(["bursts".into(), "decisions".into()]).collect::<Vec<_>>().join(" ")
}

fn code_points(path: &str) -> String {
    path.chars().map(|letter| format!("{:x}", letter as u32)).collect::<Vec<_>>().join(" ")
}

#[test]
fn everything_is_shown_at_every_width() {
    let Some(chromium) = chromium() else { return };
    let (groups, html) = report();
    let members = || groups.iter().flat_map(|group| std::iter::once(&group.keep).chain(&group.others));
    let pictures = members().filter(|member| member.thumbnail.is_ok()).count() + bursts().shown.len();
    let paths: Vec<String> = groups
        .iter()
        .flat_map(|group| {
            let members = std::iter::once(&group.keep).chain(&group.others);
            let files = members.flat_map(|member| &member.files).map(|file| &file.path);
            let near = group.also_near.iter().map(|near| &near.path);
            files.chain(near).map(|path| code_points(path)).collect::<Vec<_>>()
        })
        .chain(bursts().shown.iter().filter_map(|burst| burst.best.as_deref()).map(code_points))
        .collect();
    for width in [1280, 700, 390, 320] {
        let found = found(&chromium, &html, width);
        let one = |name: &str| found[name].join("\n");
        assert_eq!(one("width"), width.to_string());
        assert_eq!(one("overflow"), "0", "at {width}");
        assert_eq!(one("wide"), "", "at {width}");
        assert_eq!(one("title"), "Duplicates in holiday");
        assert_eq!(one("groups"), groups.len().to_string());
        assert_eq!(one("labels"), groups.len().to_string());
        assert_eq!(one("figures"), (members().count() + bursts().shown.len()).to_string());
        assert_eq!(one("kept"), vec!["1"; groups.len()].join(" "));
        for name in ["images", "shown", "sized"] {
            assert_eq!(one(name), pictures.to_string(), "{name}");
        }
        assert_eq!((one("stretched"), one("spilled")), (String::new(), String::new()), "at {width}");
        assert_eq!((one("scripts"), one("headings")), ("1".into(), "1".into()), "the probe's script alone");
        assert_eq!((one("requests"), one("refused")), (String::new(), String::new()));
        assert_eq!(found["path"], paths);
        let kinds = [Some(GroupKind::Exact), Some(GroupKind::Identical), Some(GroupKind::Near), None];
        assert_eq!(found["only"], kinds.map(|kind| ids(&groups, kind)), "at {width}");
    }
}

/// The brightness of the page's corner, 0 to 255.
fn corner(picture: &Picture) -> u8 {
    picture.pixels.samples()[0]
}

#[test]
fn screenshots() {
    let Some(chromium) = chromium() else { return };
    let (_, html) = report();
    let dark = html.replace("(prefers-color-scheme: dark)", "all");
    assert_ne!(dark, html);
    let light = screenshot(&chromium, &html, "light", (1280, 5600));
    assert_eq!((light.width, light.height), (1280, 5600));
    assert!(corner(&light) > 240, "{}", corner(&light));
    let dark = screenshot(&chromium, &dark, "dark", (1280, 5600));
    assert!(corner(&dark) < 40, "{}", corner(&dark));
    screenshot(&chromium, &html, "phone", (390, 12_000));
}
