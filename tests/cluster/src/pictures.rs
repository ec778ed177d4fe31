//! A directory to import: small generated pictures among copies, flat, large and damaged ones and other files; and the
//! expected result of an import, computed from the files alone.

use crate::cluster::Cluster;
use crate::installation::give;
use crate::random::Random;
use postgres::Client;
use std::collections::{BTreeMap, BTreeSet};
use tempfile::TempDir;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A picture.
    Picture,
    /// A picture without detail.
    Flat,
    /// The beginning of a picture, and then garbage.
    Damaged,
    /// An empty file.
    Empty,
    /// A text.
    Text,
    /// An edit of the picture of the same name.
    Edit,
    /// A video.
    Film,
    /// A file whose name begins with a dot.
    Hidden,
}

impl What {
    /// The state of its row of `import_items`, and the reason.
    fn outcome(self) -> (&'static str, &'static str) {
        match self {
            What::Picture => ("imported", ""),
            What::Flat => ("imported", "flat"),
            What::Damaged => ("failed", "damaged"),
            What::Empty => ("failed", "empty"),
            What::Text => ("skipped", "no_image"),
            What::Edit => ("skipped", "sidecar"),
            What::Film => ("skipped", "video"),
            What::Hidden => ("skipped", "hidden"),
        }
    }

    fn is_image(self) -> bool {
        matches!(self, What::Picture | What::Flat)
    }

    /// Whether it is skipped by its name.
    fn is_left(self) -> bool {
        matches!(self, What::Edit | What::Film | What::Hidden)
    }
}

#[derive(Debug)]
struct File {
    what: What,
    size: i64,
    /// In hex.
    sha256: String,
}

/// The directory, removed when dropped.
#[derive(Debug)]
pub struct Pictures {
    folder: TempDir,
    /// By path, and so in the order of an import.
    files: BTreeMap<String, File>,
}

/// The number of entries.
const FILES: u64 = 1250;

impl Pictures {
    /// Makes one, deterministically, which the server may import.
    pub fn make(cluster: &Cluster) -> Self {
        let folder = tempfile::Builder::new().prefix("lumina-pictures-").tempdir_in("/tmp").unwrap();
        give(folder.path());
        let mut pictures = Pictures { folder, files: BTreeMap::new() };
        let mut random = Random(7);
        let mut made: Vec<Vec<u8>> = Vec::new();
        for n in 0..FILES {
            // The order of names differs from that of contents.
            let mix = n * 7919 % FILES;
            let name = |prefix: &str, extension: &str| format!("{:02}/{prefix}{mix:04}.{extension}", mix / 90);
            match n % 20 {
                0..8 => {
                    let side = if n % 100 == 0 { 1100 } else { 48 };
                    let bytes = picture(&mut random, side);
                    pictures.put(name("p", "png"), What::Picture, &bytes);
                    if n % 10 == 3 {
                        pictures.put(name("p", "xmp"), What::Edit, b"<x:xmpmeta/>");
                    }
                    made.push(bytes);
                }
                8 | 9 => {
                    let copy = random.below(made.len() as u64) as usize;
                    pictures.put(name("copy", "png"), What::Picture, &made[copy]);
                }
                10 => {
                    let cut = picture(&mut random, 48);
                    let garbage = [&cut[..40], &random.next().to_ne_bytes().repeat(20)].concat();
                    // Two equal files are visited at the same time.
                    pictures.put(name("damaged", "png"), What::Damaged, &garbage);
                    pictures.put(name("damaged", "png.bak"), What::Damaged, &garbage);
                }
                11 if n % 40 < 20 => pictures.put(name("flat", "png"), What::Flat, &png(40 + (n % 3) as u32, &[9])),
                11 => pictures.put(name("empty", "jpg"), What::Empty, b""),
                12 | 13 => pictures.put(name("notes", "jpg"), What::Text, format!("not a picture, {n}").as_bytes()),
                14 | 15 => pictures.put(name("film", "mp4"), What::Film, &n.to_ne_bytes()),
                _ => pictures.put(name(".p", "png"), What::Hidden, &n.to_ne_bytes()),
            }
        }
        cluster.configure(&[("lumina.import_roots", &pictures.path())]);
        pictures.sum(&mut cluster.connect());
        pictures
    }

    fn put(&mut self, name: String, what: What, bytes: &[u8]) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let file = File { what, size: bytes.len() as i64, sha256: String::new() };
        assert!(self.files.insert(path.to_str().unwrap().into(), file).is_none(), "{} twice", path.display());
    }

    /// Has Postgres compute the checksums of the files.
    fn sum(&mut self, session: &mut Client) {
        let sums = "SELECT p, encode(sha256(pg_read_binary_file(p)), 'hex') FROM unnest($1::text[]) p";
        let paths: Vec<&String> = self.files.keys().collect();
        for row in session.query(sums, &[&paths]).unwrap() {
            self.files.get_mut(row.get::<_, &str>(0)).unwrap().sha256 = row.get(1);
        }
    }

    /// The directory.
    pub fn path(&self) -> String {
        self.folder.path().to_str().unwrap().into()
    }

    /// The paths of the files that are opened, in the order of an import.
    pub fn looked_into(&self) -> Vec<&str> {
        self.files.iter().filter(|(_, file)| !file.what.is_left()).map(|(path, _)| path.as_str()).collect()
    }

    /// The path of the last file.
    pub fn last(&self) -> &str {
        self.files.keys().next_back().unwrap()
    }

    /// Submits an import of the directory; returns the job.
    pub fn submit(&self, session: &mut Client, catalog: &str, preview: bool) -> i64 {
        let import = "SELECT lumina.import($1, $2, preview => $3)";
        session.query_one(import, &[&catalog, &self.path(), &preview]).unwrap().get(0)
    }

    /// The errors in a catalog whose last import, of this directory, has succeeded. `is_first`: there was no import
    /// before it.
    pub fn mistakes(&self, session: &mut Client, catalog: &str, job: i64, is_first: bool) -> Vec<String> {
        let mut mistakes = self.mistakes_of_items(session, job, is_first);
        mistakes.extend(self.mistakes_of_files(session, catalog));
        mistakes.extend(self.mistakes_of_job(session, job));
        mistakes
    }

    fn mistakes_of_items(&self, session: &mut Client, job: i64, is_first: bool) -> Vec<String> {
        let items = "SELECT t.path, t.state::text, coalesce(t.reason, ''), encode(i.sha256, 'hex'), t.size
            FROM lumina.import_items t LEFT JOIN lumina.images i ON i.id = t.image WHERE t.job = $1";
        let mut missing: BTreeSet<&String> = self.files.keys().collect();
        let (mut mistakes, mut firsts) = (Vec::new(), BTreeMap::<&str, i32>::new());
        for row in session.query(items, &[&job]).unwrap() {
            let (path, state, reason): (String, &str, &str) = (row.get(0), row.get(1), row.get(2));
            let Some(file) = self.files.get(&path).filter(|_| missing.remove(&path)) else {
                mistakes.push(format!("{path} is no file, or there twice"));
                continue;
            };
            let first = file.what.outcome();
            let right = (state, reason) == first
                || file.what.is_image() && (state, reason) == ("imported", "copy")
                || file.what.is_image() && !is_first && (state, reason) == ("skipped", "unchanged");
            let image = file.what.is_image().then_some(file.sha256.as_str());
            let (found, size): (Option<&str>, Option<i64>) = (row.get(3), row.get(4));
            if !right || found != image || size != Some(file.size) {
                mistakes.push(format!("{path}, a {:?}: {state} {reason}, {size:?} bytes, {found:?}", file.what));
            }
            if file.what.is_image() {
                *firsts.entry(&file.sha256).or_default() += i32::from((state, reason) == first);
            }
        }
        mistakes.extend(missing.iter().map(|path| format!("no item for {path}")));
        // Of the files of a content one is the first, and the others are copies.
        let wrong = firsts.iter().filter(|&(_, &firsts)| firsts > 1 || firsts < i32::from(is_first));
        mistakes.extend(wrong.map(|(content, firsts)| format!("{content} is new in {firsts} files")));
        mistakes
    }

    fn mistakes_of_files(&self, session: &mut Client, catalog: &str) -> Vec<String> {
        let mut all = |query: &str| -> Vec<String> {
            session.query(query, &[&catalog]).unwrap().iter().map(|row| row.get(0)).collect()
        };
        let is_of = "(SELECT c.id FROM lumina.catalogs c WHERE c.name = $1)";
        let files = all(&format!(
            "SELECT f.path || ' ' || encode(i.sha256, 'hex')
                || CASE WHEN f.missing_since IS NOT NULL THEN ' missing' ELSE '' END
            FROM lumina.image_files f JOIN lumina.images i ON i.id = f.image AND i.catalog = f.catalog
            WHERE f.catalog = {is_of}"
        ));
        let images = all(&format!(
            "SELECT encode(i.sha256, 'hex') || ' ' || i.hash_valid::text FROM lumina.images i WHERE i.catalog = {is_of}"
        ));
        let edits = all(&format!(
            "SELECT s.path || ' ' || f.path || ' ' || s.kind FROM lumina.sidecars s
            JOIN lumina.image_files f ON f.id = s.file
            WHERE s.catalog = {is_of}"
        ));
        let expected = |is: &dyn Fn(What) -> bool, line: &dyn Fn(&str, &File) -> String| -> Vec<String> {
            self.files.iter().filter(|(_, file)| is(file.what)).map(|(path, file)| line(path, file)).collect()
        };
        let contents: BTreeSet<String> =
            expected(&What::is_image, &|_, file| format!("{} {}", file.sha256, file.what == What::Picture))
                .into_iter()
                .collect();
        let mut mistakes = Vec::new();
        for (what, mut found, expected) in [
            ("file", files, expected(&What::is_image, &|path, file| format!("{path} {}", file.sha256))),
            ("image", images, contents.into_iter().collect()),
            (
                "edit",
                edits,
                expected(&|what| what == What::Edit, &|path, _| {
                    format!("{path} {} edit", path.replace(".xmp", ".png"))
                }),
            ),
        ] {
            found.sort_unstable();
            if found != expected {
                let differ = found.iter().zip(&expected).find(|(found, expected)| found != expected);
                mistakes.push(format!(
                    "{} of {} {what}s, the first that differ: {differ:?}",
                    found.len(),
                    expected.len()
                ));
            }
        }
        mistakes
    }

    fn mistakes_of_job(&self, session: &mut Client, job: i64) -> Vec<String> {
        let job = session
            .query_one(
                "SELECT row(j.state, j.progress, j.items_done, j.items_total, j.items_failed, j.bytes_done,
                    j.bytes_total, j.failures)::text,
                row(r.files, r.imported + r.unchanged, r.skipped, r.failed, r.bytes, r.missing, r.sidecars)::text
                FROM lumina.jobs j, jsonb_to_record(j.result) r (files int8, imported int8, unchanged int8,
                    skipped int8, failed int8, bytes int8, missing int8, sidecars int8) WHERE j.id = $1",
                &[&job],
            )
            .unwrap();
        let count = |is: &dyn Fn(What) -> bool| self.files.values().filter(|file| is(file.what)).count();
        let state = |state: &'static str| count(&|what| what.outcome().0 == state);
        let (files, failed) = (self.files.len(), state("failed"));
        let bytes: i64 = self.files.values().map(|file| file.size).sum();
        let (imported, skipped, edits) = (state("imported"), state("skipped"), count(&|what| what == What::Edit));
        let expected = [
            format!("(succeeded,1,{files},{files},{failed},{bytes},{bytes},0)"),
            format!("({files},{imported},{skipped},{failed},{bytes},0,{edits})"),
        ];
        let compare = |column: usize| {
            let found: String = job.get(column);
            (found != expected[column]).then(|| format!("the job says {found}, not {}", expected[column]))
        };
        (0..2).filter_map(compare).collect()
    }
}

/// A practically unique picture: blocks of grey.
fn picture(random: &mut Random, side: u32) -> Vec<u8> {
    let block = side.div_ceil(12) as usize;
    let mut pixels = Vec::new();
    for _ in 0..12 {
        let row: Vec<u8> = (0..12).flat_map(|_| vec![random.next() as u8; block]).take(side as usize).collect();
        pixels.extend(row.repeat(block));
    }
    png(side, &pixels)
}

/// A square PNG of grey bytes; missing ones repeat the existing ones.
fn png(side: u32, pixels: &[u8]) -> Vec<u8> {
    let length = (side * side) as usize;
    let mut pixels = pixels.repeat(length.div_ceil(pixels.len()));
    pixels.truncate(length);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_compression(png::Compression::Fast);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}
