//! How soon a decode ends once it is cancelled.

use crate::build::{Bmp, Png, gif, gif_frame, gif_zeros, golden, zeros};
use crate::counted::{MEMORY, PIXELS, Remembers, alone, live};
#[cfg(feature = "heic")]
use crate::heics;
use crate::jpegs::Jpeg;
use crate::tiffs::{LENGTHS, OFFSETS, PHOTOMETRIC, Tag, one_strip, page, tiff, tiles};
use crate::webps;
use lumina_photo::{Caller, Limits, PhotoError, decode};
use std::cell::{Cell, RefCell};
use std::io;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A decode can be cancelled at every check, the first as well as the last.
#[test]
fn at_every_check() {
    let _alone = alone();
    for (name, bytes) in golden() {
        let all = Remembers::default();
        let whole = decode(&bytes, &Limits { pixels: PIXELS, memory: MEMORY, caller: &all });
        assert!(all.checks.get() > 1 || whole.is_err(), "{name}");
        for check in 0..all.checks.get() {
            let caller = Remembers { stop_at: Some(check), ..Remembers::default() };
            let result = decode(&bytes, &Limits { pixels: PIXELS, memory: MEMORY, caller: &caller });
            assert_eq!(result.err(), Some(PhotoError::Cancelled), "{name} at check {check}");
        }
        assert!(whole == decode(&bytes, &Limits { pixels: PIXELS, memory: MEMORY, caller: &all }), "{name}");
    }
}

/// A caller that runs the threads that it starts, or starts none.
#[derive(Default)]
struct Threads {
    started: RefCell<Vec<JoinHandle<()>>>,
    refuses: bool,
    checks: Cell<u64>,
    stop_at: Option<u64>,
    /// Abandons the threads that were started.
    leaves: bool,
    /// Bytes that were allocated when the last one started.
    held: Cell<Option<usize>>,
}

impl Caller for Threads {
    fn is_cancelled(&self) -> bool {
        self.checks.set(self.checks.get() + 1);
        self.stop_at.is_some_and(|check| self.checks.get() > check) || self.leaves && self.held.get().is_some()
    }

    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if self.refuses {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.held.set(Some(live()));
        self.started.borrow_mut().push(thread::Builder::new().spawn(work)?);
        Ok(())
    }
}

fn watched(caller: &Threads) -> Limits<'_> {
    Limits { pixels: PIXELS, memory: MEMORY, caller }
}

/// Large pictures of decoders that cannot be stopped have a thread of their own, which ends, and frees what it holds,
/// even if it was abandoned.
#[test]
fn threads_end() {
    let _alone = alone();
    let three: &[_] = &[(1, 1); 3];
    let webp = |side| webps::riff(&[webps::flat(side, side, true)]);
    let jpeg = |side| Jpeg::new(0xc2, side, side, three).progressive(3);
    let mut files = vec![(webp(3000), webp(500)), (jpeg(3000), jpeg(500))];
    #[cfg(feature = "heic")]
    files.push((heics::flat("flat-420.heic"), heics::flat("tile.heic")));
    for (large, small) in files {
        let usual = Threads::default();
        assert!(decode(&small, &watched(&usual)).is_ok() && usual.started.borrow().is_empty());
        assert!(decode(&large, &watched(&usual)).is_ok());
        assert_eq!(usual.started.borrow().len(), 1);
        let none = Threads { refuses: true, ..Threads::default() };
        assert!(decode(&small, &watched(&none)).is_ok());
        assert_eq!(decode(&large, &watched(&none)).err(), Some(PhotoError::OutOfMemory));
        usual.started.take().into_iter().for_each(|thread| thread.join().unwrap());

        let before = live();
        let mut left_alone = 0;
        // Most are before the thread starts, and some while it is waited for.
        let checks = usual.checks.get();
        for check in (0..checks).step_by((checks / 16).max(1) as usize) {
            let caller = Threads { stop_at: Some(check), ..Threads::default() };
            let result = decode(&large, &watched(&caller));
            // A machine that is faster the second time has fewer checks.
            assert!(result.as_ref().err().is_none_or(|error| *error == PhotoError::Cancelled));
            left_alone += usize::from(result.is_err()) * caller.started.borrow().len();
            drop(result);
            caller.started.into_inner().into_iter().for_each(|thread| thread.join().unwrap());
        }
        assert!(left_alone > 0);
        assert!(live() < before + (64 << 10), "{} bytes were left", live() - before);
    }
}

/// A long unit is copied at once, however small its picture: in a thread, which ends as well.
#[cfg(feature = "heic")]
#[test]
fn long_units_have_a_thread() {
    let _alone = alone();
    let tile = heics::Coded::of(&heics::flat("tile.heic"));
    let whole = decode(&heics::single(&tile), &watched(&Threads::default())).unwrap();
    for (length, threads) in [(3 << 10, 0), (1 << 20, 0), (12 << 20, 1), (48 << 20, 1)] {
        // What is behind the slice's data is not read, but it is copied without its escapes.
        let unit = [&tile.data[4..], &[0, 0, 3].repeat(length / 3)].concat();
        let file = heics::single(&heics::Coded { data: heics::unit(&unit), ..tile.clone() });
        let caller = Threads::default();
        assert!(decode(&file, &watched(&caller)).unwrap() == whole, "{length} bytes");
        assert_eq!(caller.started.borrow().len(), threads, "{length} bytes");
        caller.started.into_inner().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// However narrow the rows are, it takes but a few thousand of them until a decode asks whether to stop.
#[test]
fn narrow_rows() {
    let _alone = alone();
    let rows = 1 << 20;
    let mut files = Vec::new();
    for (name, colour, interlaced) in [("grey", 0, false), ("RGB", 2, false), ("RGBA, interlaced", 6, true)] {
        let png = Png { width: 1, height: rows, depth: 8, colour, interlaced };
        files.push((format!("PNG, {name}"), png.black(&[])));
    }
    let plain = vec![0; rows as usize];
    for (number, data) in [(1, &plain), (8, &zeros(rows.into())), (32773, &[129, 0].repeat(rows as usize / 128))] {
        files.push((format!("TIFF, compression {number}"), one_strip(1, rows, number, 1, data)));
    }
    for (name, file) in files {
        let caller = Remembers::default();
        let result = decode(&file, &Limits { pixels: PIXELS, memory: MEMORY, caller: &caller });
        assert!(result.is_ok(), "{name}: {:?}", result.err());
        let checks = caller.checks.get();
        assert!(checks >= u64::from(rows) / 4096, "{name}: {checks} checks");
    }
}

/// A caller that cancels repeatedly never has more than one abandoned decoder at work.
#[test]
fn one_at_a_time() {
    let _alone = alone();
    let large = webps::riff(&[webps::flat(3000, 3000, true)]);
    let before = live();
    for _ in 0..4 {
        let caller = Threads { leaves: true, ..Threads::default() };
        let result = decode(&large, &watched(&caller));
        assert_eq!(result.err(), Some(PhotoError::Cancelled));
        // The previous decoder had freed its picture of 27 MB when this one began.
        let held = caller.held.get().expect("it was decoded by a thread of its own");
        assert!(held < before + (4 << 20), "{} bytes were held", held - before);
    }
    let patient = Threads::default();
    assert!(decode(&large, &watched(&patient)).is_ok());
    let held = patient.held.get().expect("it was decoded by a thread of its own");
    assert!(held < before + (4 << 20), "{} bytes were held", held - before);
}

/// Cancels after a delay.
struct Until {
    moment: Instant,
    /// The longest time between two checks, and the time of the last one.
    gap: Cell<Duration>,
    last: Cell<Instant>,
}

impl Until {
    fn after(time: Duration) -> Self {
        let now = Instant::now();
        Until { moment: now + time, gap: Cell::default(), last: Cell::new(now) }
    }
}

impl Caller for Until {
    fn is_cancelled(&self) -> bool {
        let now = Instant::now();
        self.gap.set(self.gap.get().max(now - self.last.replace(now)));
        now >= self.moment
    }
}

/// The longest time in which the decode of `bytes` could not have been cancelled, and the total time.
fn longest_gap(bytes: &[u8]) -> (Duration, Duration, Option<PhotoError>) {
    let caller = Until::after(Duration::from_secs(60));
    let start = Instant::now();
    caller.last.set(start);
    let result = decode(bytes, &Limits { pixels: PIXELS, memory: MEMORY, caller: &caller });
    let end = Instant::now();
    (caller.gap.get().max(end - caller.last.get()), end - start, result.err())
}

/// The slowest files that the usual limits accept.
fn slowest() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| files.push((name.into(), bytes));
    let (three, half): (&[_], &[_]) = (&[(1, 1); 3], &[(2, 2), (1, 1), (1, 1)]);
    add("JPEG 14000 x 14000, 4:4:4", Jpeg::new(0xc0, 14000, 14000, three).grey());
    add("JPEG 14000 x 14000, 4:2:0", Jpeg::new(0xc0, 14000, 14000, half).grey());
    let mut cut = Jpeg::new(0xc0, 14000, 14000, three).grey();
    cut.truncate(2000);
    add("JPEG 14000 x 14000, cut", cut.clone());
    add("JPEG 14000 x 14000, ends early", [cut, vec![0xff, 0xd9]].concat());
    add("JPEG 10500 x 10500, one scan a component", Jpeg::new(0xc0, 10500, 10500, three).one_by_one());
    add("JPEG 10500 x 10500, 4 progressive scans", Jpeg::new(0xc2, 10500, 10500, three).progressive(3));
    add("JPEG 13000 x 13000, 4:2:0, progressive", Jpeg::new(0xc2, 13000, 13000, half).progressive(3));
    add("JPEG 10500 x 10500, 90 progressive scans", Jpeg::new(0xc2, 10500, 10500, three).progressive(90));
    add("JPEG 2000 x 1990, 90 progressive scans", Jpeg::new(0xc2, 2000, 1990, three).progressive(90));
    for (interlaced, name) in [(false, "plain"), (true, "interlaced")] {
        let png = |depth, colour| Png { width: 14000, height: 14000, depth, colour, interlaced };
        add(&format!("PNG 14000 x 14000, RGBA16, {name}"), png(16, 6).black(&[]));
        add(&format!("PNG 14000 x 14000, 1 bit, {name}"), png(1, 0).black(&[]));
    }
    let strip = zeros(13000 * 13000 * 3);
    add("TIFF 13000 x 13000, one strip, deflate", one_strip(13000, 13000, 8, 3, &strip));
    let mut tags = page(12000, 12000, 8, 4);
    tags[4] = Tag::Values(PHOTOMETRIC, vec![5]);
    let strip = zeros(12000 * 12000 * 4);
    tags.push(Tag::Values(OFFSETS, vec![8]));
    tags.push(Tag::Values(LENGTHS, vec![strip.len() as u32]));
    tags.push(Tag::Values(317, vec![2])); // each sample is a difference
    add("TIFF 12000 x 12000, CMYK, one strip, deflate, predictor", tiff(&tags, &strip));
    add("TIFF 14000 x 14000, one strip, PackBits", one_strip(14000, 14000, 32773, 1, &[129, 0].repeat(1531250)));
    add("TIFF 8000 x 8000, JPEG", one_strip(8000, 8000, 7, 3, &Jpeg::new(0xc0, 8000, 8000, three).grey()));
    add(
        "TIFF 8000 x 8000, progressive",
        one_strip(8000, 8000, 7, 3, &Jpeg::new(0xc2, 8000, 8000, three).progressive(3)),
    );
    add("TIFF 14000 x 14000, tiles of 16 x 16", tiles((14000, 14000), (16, 16), 8, 3, &zeros(16 * 16 * 3)));
    for interlaced in [false, true] {
        let png = Png { width: 1, height: 100_000_000, depth: 8, colour: 0, interlaced };
        add(&format!("PNG 1 x 100000000, interlaced: {interlaced}"), png.black(&[]));
    }
    add("TIFF 1400 x 1400, tiles of 1 x 1", tiles((1400, 1400), (1, 1), 1, 1, &[0]));
    for (filters, name) in [(false, "plain"), (true, "filtered")] {
        add(&format!("WebP 10000 x 10000, lossless, {name}"), webps::riff(&[webps::flat(10000, 10000, filters)]));
        add(&format!("WebP 2000 x 1999, lossless, {name}"), webps::riff(&[webps::flat(2000, 1999, filters)]));
    }
    add("GIF 65535 x 3000", [gif(65535, 3000), gif_frame(65535, 3000, &gif_zeros(65535 * 3000))].concat());
    let bmp = |bits, compression| Bmp { width: 14025, height: 14000, bits, compression, colours: 2 };
    let rle = [[255, 1].repeat(55 * 14000), vec![0, 1]].concat();
    add("BMP 14025 x 14000, RLE8", bmp(8, 1).file(&[0; 8], &rle));
    add("BMP 14025 x 14000, 1 bit", bmp(1, 0).file(&[0; 8], &vec![0; 1756 * 14000]));
    #[cfg(feature = "heic")]
    {
        let tile = heics::Coded::of(&heics::flat("tile.heic"));
        add("HEIC 14000 x 14000, tiles of 512 x 512", heics::repeated(28, 28, (14_000, 14_000), &tile));
        let sets = |chroma| [heics::sequence(10_000, 9000, chroma), heics::picture(None)];
        let zeros = heics::slice(0, 2, false, &vec![0; 1 << 20]);
        add(
            "HEIC 10000 x 9000, 4:2:0, zeros",
            heics::single(&heics::Coded::new(&sets(1), std::slice::from_ref(&zeros))),
        );
        add("HEIC 10000 x 9000, 4:4:4, zeros", heics::single(&heics::Coded::new(&sets(3), &[zeros])));
        for name in ["flat-420.heic", "flat-444.heic"] {
            add(&format!("HEIC 4000 x 3000, {name}"), heics::flat(name));
        }
    }
    let folder = std::env::var_os("LUMINA_LARGE").map(PathBuf::from);
    for entry in folder.into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        add(&path.file_name().unwrap().to_string_lossy(), std::fs::read(&path).unwrap());
    }
    files
}

/// Prints a table of the longest times between two checks: `cargo test --release -- --ignored --nocapture slowest`.
#[test]
#[ignore = "takes minutes and measures time"]
fn slowest_files_can_be_stopped() {
    let _alone = alone();
    let mut worst = Duration::ZERO;
    let wanted = std::env::var("LUMINA_SLOWEST").unwrap_or_default();
    for (name, bytes) in slowest().into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let (gap, time, error) = longest_gap(&bytes);
        println!(
            "{name}\t{} kB\t{time:.2?}\t{gap:.3?}\t{}",
            bytes.len() >> 10,
            error.map_or("ok".into(), |e| e.to_string())
        );
        worst = worst.max(gap);
        for part in [4, 2] {
            let caller = Until::after(time / part);
            let result = decode(&bytes, &Limits { pixels: PIXELS, memory: MEMORY, caller: &caller });
            let late = Instant::now().saturating_duration_since(caller.moment);
            worst = worst.max(late);
            let late = if late.is_zero() { "it was over before".into() } else { format!("{late:.3?} later") };
            println!("  stopped after {:.2?}: {late}, {:?}", time / part, result.as_ref().err());
        }
    }
    println!("worst: {worst:?}");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
}
