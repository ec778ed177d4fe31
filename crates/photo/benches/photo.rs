//! Files to hashes: `cargo bench -p lumina-photo -- FOLDER [THREADS]` decodes every image below a folder and makes all
//! hashes, on this many threads; `STAGES=1` measures each stage, on one thread.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use lumina_photo::hash::make;
use lumina_photo::{Format, Limits, Method, NeverCancels, Orientation, Picture, Recipe, Wanted, decode, metadata};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LIMITS: Limits<'static> = Limits { pixels: 1 << 30, memory: 4 << 30, caller: &NeverCancels };

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_symlink() {
        } else if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn wanted(methods: &[Method], sharpness: bool) -> Wanted {
    Wanted { recipes: methods.iter().map(|&method| Recipe::standard(method)).collect(), sharpness }
}

/// The number of decodable files, and how long it took on `threads` threads.
fn run(files: &[PathBuf], threads: usize, wanted: &Wanted) -> (usize, u64, Duration) {
    let (next, done, pixels) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let bytes = std::fs::read(path).unwrap();
                    let Ok((format, picture)) = decode(&bytes, &LIMITS) else { continue };
                    let orientation = metadata::orientation(&bytes, format);
                    make(&picture, orientation, wanted, format, &LIMITS).unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                    pixels.fetch_add((picture.width * picture.height) as usize, Ordering::Relaxed);
                }
            });
        }
    });
    (done.into_inner(), pixels.into_inner() as u64, began.elapsed())
}

fn stages(files: &[PathBuf]) {
    let mut decoding = Duration::ZERO;
    let mut pictures: Vec<(Format, Picture)> = Vec::new();
    let mut pixels = 0u64;
    let mut makes: Vec<(String, Wanted, Duration)> = Method::ALL
        .iter()
        .map(|&method| (method.name().to_string(), wanted(&[method], false), Duration::ZERO))
        .chain([
            ("sharpness".into(), wanted(&[], true), Duration::ZERO),
            ("nothing".into(), wanted(&[], false), Duration::ZERO),
            ("a, d, dct, w".into(), wanted(&Method::ALL[..4], false), Duration::ZERO),
            ("all".into(), wanted(&Method::ALL, true), Duration::ZERO),
        ])
        .collect();
    for path in files {
        let bytes = std::fs::read(path).unwrap();
        let began = Instant::now();
        let Ok((format, picture)) = decode(&bytes, &LIMITS) else { continue };
        decoding += began.elapsed();
        pixels += u64::from(picture.width) * u64::from(picture.height);
        for (_, wanted, total) in &mut makes {
            let began = Instant::now();
            make(&picture, Orientation::Upright, wanted, format, &LIMITS).unwrap();
            *total += began.elapsed();
        }
        pictures.truncate(0);
    }
    let say = |name: &str, time: Duration| {
        let nanoseconds = time.as_secs_f64() * 1e9 / pixels as f64;
        println!("{name:>14}: {:8.3} s  {nanoseconds:6.2} ns a pixel", time.as_secs_f64());
    };
    say("decoding", decoding);
    for (name, _, total) in &makes {
        say(name, *total);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(folder) = arguments.next() else {
        return println!("cargo bench -p lumina-photo -- FOLDER [THREADS]");
    };
    let threads = arguments.next().map_or(1, |threads| threads.parse().expect("a number of threads"));
    let mut found = Vec::new();
    files(Path::new(&folder), &mut found);
    if std::env::var_os("STAGES").is_some() {
        return stages(&found);
    }
    for (name, wanted) in
        [("a, d, dct, w", wanted(&Method::ALL[..4], false)), ("all hashes and sharpness", wanted(&Method::ALL, true))]
    {
        let (done, pixels, time) = run(&found, threads, &wanted);
        let (seconds, megapixels) = (time.as_secs_f64(), pixels as f64 / 1e6);
        println!("{name}: {done} of {} files, {megapixels:.0} megapixels in {seconds:.3} s on {threads}", found.len());
    }
}
