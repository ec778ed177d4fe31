//! Parses the report by an HTML tokenizer: hostile data stays data, and a report as a whole equals its golden file.

mod reader;

use super::*;
use crate::units::{Bytes, Count, Of, jpeg_size};
use lumina_photo::{Format, Limits, NeverCancels, Orientation, Picture, Pixels, thumbnail};
use proptest::prelude::*;
use reader::{Part, parts, paths, shape};

fn distance(hash: &str, distance: u16, bits: u16) -> Distance {
    Distance { hash: hash.into(), distance, bits }
}

/// The beginning of a JPEG: its markers, and a frame.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let ([x1, x0], [y1, y0]) = (width.to_be_bytes(), height.to_be_bytes());
    vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 11, 8, y1, y0, x1, x0, 1, 1, 0x11, 0]
}

/// An image all of whose texts are `text`.
fn member(text: &str, files: usize, distances: Option<u8>) -> Member {
    Member {
        files: (0..files).map(|_| text.into()).collect(),
        files_more: 0,
        size: 12_345_678,
        format: text.into(),
        width: Some(4000),
        height: Some(3000),
        captured: Some(text.into()),
        camera: Some(text.into()),
        quality: 71.4,
        burst: distances.map(|shot| FramePlace {
            burst: 4,
            frames: 5,
            frame: 3,
            shot: (shot > 0).then_some(shot.into()),
            is_best: shot == 1,
        }),
        distance: distances,
        distances: distances.map(|bits| distance(text, bits.into(), 64)).into_iter().collect(),
        thumbnail: if distances == Some(3) { Err(text.into()) } else { Ok(jpeg(320, 240)) },
    }
}

fn report(text: &str) -> ReportSummary {
    ReportSummary {
        catalog: text.into(),
        generated: text.into(),
        rule: vec![
            vec![distance(text, 5, 64), distance(text, 5, 64)],
            vec![distance(text, 14, 64), distance(text, 100, 256)],
        ],
        strategy: text.into(),
        images: 98_932,
        groups_total: 412,
        redundant_files: 531,
        savings: 9_018_345_421,
        bursts: bursts(text),
        decisions: decisions(text),
    }
}

fn bursts(text: &str) -> BurstsSummary {
    let burst = |id, is_suspect| ShownBurst {
        id,
        frames: 5,
        shots: 3,
        started: text.into(),
        camera: Some(text.into()),
        is_suspect,
        best: Some(text.into()),
        thumbnail: if is_suspect { Err(text.into()) } else { Ok(jpeg(320, 240)) },
    };
    BurstsSummary { total: 1_200, shown: vec![burst(7, false), burst(8, true)] }
}

fn decisions(text: &str) -> DecisionsSummary {
    let decision = |id, kind: &str, undo_of, undone_by| Decision {
        id,
        kind: kind.into(),
        group: Some(17),
        actor: text.into(),
        at: text.into(),
        images: 2,
        files: 1,
        undo_of,
        undone_by,
    };
    DecisionsSummary {
        standing: 3,
        images_rejected: 1_001,
        files_rejected: 1,
        is_at_least: false,
        last: vec![
            decision(12, "undo", Some(11), None),
            decision(11, "keep_best", None, Some(12)),
            decision(10, text, None, None),
        ],
    }
}

/// A group with every part that a group can have.
fn group(text: &str) -> ReportGroup {
    ReportGroup {
        id: 17,
        kind: GroupKind::Near,
        confidence: 95,
        savings: 37_037_034,
        keep: member(text, 2, None),
        why: vec![text.into(), text.into()],
        why_file: vec![text.into()],
        others: vec![member(text, 2, Some(3)), member(text, 1, Some(0)), member(text, 1, Some(1))],
        others_more: 0,
        also_near: [Apart::NotNearAll, Apart::Decision(30), Apart::Burst(7)]
            .map(|because| AlsoNear { path: text.into(), because })
            .into(),
        also_near_more: 4,
    }
}

fn written(report: &ReportSummary, groups: &[ReportGroup]) -> String {
    let mut html = String::new();
    let mut writer = ReportWriter::begin(report, &mut html).unwrap();
    groups.iter().for_each(|group| writer.group(group).unwrap());
    writer.end().unwrap();
    html
}

/// Paths of a group, and of bursts, in the order in which they are shown.
fn given(group: &ReportGroup, bursts: &BurstsSummary) -> Vec<String> {
    let members = std::iter::once(&group.keep).chain(&group.others);
    let files = members.flat_map(|member| &member.files).map(|file| &file.path);
    let near = group.also_near.iter().map(|near| &near.path);
    files.chain(near).chain(bursts.shown.iter().filter_map(|burst| burst.best.as_ref())).cloned().collect()
}

/// Texts of every character, with many special ones.
fn texts() -> impl Strategy<Value = String> {
    let pieces = [
        "<",
        ">",
        "&",
        "\"",
        "'",
        "/",
        "//",
        "\\",
        "<script>",
        "</script>",
        "</title>",
        "</style>",
        "<!--",
        "-->",
        "]]>",
        "&lt;",
        "&#60;",
        "&amp",
        "&notit;",
        "=",
        " ",
        "  ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\0",
        "\u{1b}[31m",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "\u{ad}",
        "\u{200d}",
        "\u{200f}",
        "\u{202e}",
        "\u{2066}",
        "\u{2069}",
        "\u{2028}",
        "\u{feff}",
        "\u{fdd0}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{e0041}",
        "U+202E",
        "<code class=\"unseen\">U+0041</code>",
        "</span>",
        "javascript:",
        "עברית",
        "日本",
        "👨‍👩‍👧",
        "ß",
        "IMG_0042.JPG",
    ];
    let piece = prop_oneof![
        3 => prop::sample::select(pieces.to_vec()).prop_map(String::from),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Every text of a page is hostile, and the elements are those of a page whose texts are not.
    #[test]
    fn data_stays_data(text in texts()) {
        let html = written(&report(&text), &[group(&text)]);
        prop_assert_eq!(shape(&html), shape(&written(&report("harmless"), &[group("harmless")])));
        prop_assert_eq!(paths(&html), given(&group(&text), &bursts(&text)));
    }

    #[test]
    fn paths_are_read_back(paths_given in prop::collection::vec(texts(), 11)) {
        let (mut group, mut report) = (group(""), report("holiday"));
        let members = std::iter::once(&mut group.keep).chain(&mut group.others);
        let places = members.flat_map(|member| &mut member.files).map(|file| &mut file.path);
        let bursts = report.bursts.shown.iter_mut().filter_map(|burst| burst.best.as_mut());
        let places = places.chain(group.also_near.iter_mut().map(|near| &mut near.path)).chain(bursts);
        places.zip(&paths_given).for_each(|(place, path)| place.clone_from(path));
        prop_assert_eq!(paths(&written(&report, &[group])), paths_given);
    }

    /// Invisible characters, and those that reorder others, are never written.
    #[test]
    fn nothing_unseen_gets_through(text in texts()) {
        let html = written(&report(&text), &[group(&text)]);
        let bad = |c: &char| {
            c.is_control() && *c != '\n'
                || matches!(*c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
        };
        prop_assert_eq!(html.chars().find(bad), None);
    }

    #[test]
    fn sizes_of_no_jpegs(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0usize..24) {
        let _ = jpeg_size(&bytes);
        let begun = [&[0xff, 0xd8, 0xff][..], &bytes].concat();
        let _ = jpeg_size(&begun);
        let whole = jpeg(7, 9);
        prop_assert_eq!(jpeg_size(&whole[..cut.min(whole.len())]), (cut >= 17).then_some((7, 9)));
    }
}

/// `LUMINA_WRITE_GOLDEN=1` rewrites the file; then review the diff.
#[test]
fn golden() {
    let mut report = report("Holiday & <more>");
    report.rule[0] = vec![distance("ahash", 5, 64), distance("dhash", 5, 64)];
    report.rule[1] = vec![distance("dct", 14, 64), distance("pdq", 100, 256)];
    report.strategy = "clique".into();
    report.generated = "25 November 2026, 14:02".into();
    for burst in &mut report.bursts.shown {
        burst.started = "2023-04-15 12:00:00".into();
        burst.best = Some("/srv/<2023>/IMG_0042.jpg".into());
    }
    for decision in &mut report.decisions.last {
        (decision.actor, decision.at) = ("ann & \u{202e}bob".into(), "2026-11-24 09:30 UTC".into());
    }
    let named = |text: &str, files, distances: Option<u8>| Member {
        format: "JPEG".into(),
        captured: Some("2021-08-14 17:42:09".into()),
        camera: Some("Canon EOS 5D Mark IV".into()),
        distances: distances.map(|bits| distance("pdq", bits.into(), 256)).into_iter().collect(),
        thumbnail: if distances == Some(3) { Err("it is damaged".into()) } else { Ok(jpeg(320, 240)) },
        ..member(text, files, distances)
    };
    let near = ReportGroup {
        keep: named("/srv/2021/IMG_4711.jpg", 2, None),
        why: vec!["raw".into(), "more pixels".into()],
        others: vec![
            Member { camera: None, ..named("IMG_4712.jpg", 2, Some(3)) },
            Member { size: 800, width: Some(160), height: Some(120), ..named("/srv/web/4711.jpg", 1, Some(0)) },
        ],
        ..group("/srv/עברית/4713.jpg")
    };
    let exact = ReportGroup {
        id: 18,
        kind: GroupKind::Exact,
        keep: Member { width: None, captured: None, camera: None, ..named("/srv/\u{202e}gpj.exe", 3, None) },
        why: vec![],
        why_file: vec!["imported first".into()],
        others: vec![],
        others_more: 0,
        also_near: vec![],
        also_near_more: 0,
        ..near.clone()
    };
    let html = written(&report, &[near, exact]).replace(include_str!("style.css"), "…\n");
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/golden.html");
    if std::env::var_os("LUMINA_WRITE_GOLDEN").is_some() {
        std::fs::write(&file, &html).unwrap();
    }
    assert_eq!(html, std::fs::read_to_string(file).unwrap());
}

#[test]
fn one_document_that_asks_for_nothing() {
    let html = written(&report("a"), &[group("a"), group("b")]);
    let parts = parts(&html);
    let count =
        |wanted: &str| parts.iter().filter(|part| matches!(part, Part::Start(name, _) if name == wanted)).count();
    assert_eq!((count("html"), count("h1"), count("main"), count("title")), (1, 1, 1, 1));
    assert_eq!((count("section"), count("figure"), count("img")), (4, 10, 7));
    assert_eq!(["script", "link", "iframe", "form", "object", "base"].map(count), [0; 6]);
    let names = ["src", "href", "srcset", "action", "style", "background", "poster"];
    for part in &parts {
        let Part::Start(tag, attributes) = part else { continue };
        for (name, value) in attributes {
            assert!(!name.starts_with("on"), "{tag} {name}");
            let local = value.starts_with("data:image/jpeg;base64,")
                || value.starts_with("#group-")
                || ["#bursts", "#decisions"].contains(&value.as_str());
            assert!(!names.contains(&name.as_str()) || local, "{tag} {name}={value}");
        }
    }
    let style = include_str!("style.css");
    assert!(["url(", "@import", "<", "&"].iter().all(|outside| !style.contains(outside)));
}

/// The end of the page reports groups that were not shown, and the absence of groups.
#[test]
fn the_rest_is_told() {
    let text =
        |report: &ReportSummary, groups: &[ReportGroup]| reader::text(&written(report, groups)).replace('\u{a0}', " ");
    let mut report = report("holiday");
    let all = text(&report, &[group("a"), group("b")]);
    assert!(
        all.contains("Not on this page: 410 more groups, with 8.3 GB to win back. This page shows 2 of 412."),
        "{all}"
    );
    report.groups_total = 2;
    assert!(!text(&report, &[group("a"), group("b")]).contains("Not on this page"));
    report.groups_total = 0;
    assert!(text(&report, &[]).contains("There are no duplicates in this catalog."));
}

/// The text of a page, or of what of it is after some words.
fn text_after(html: &str, words: &str) -> String {
    let text = reader::text(html).replace('\u{a0}', " ");
    text.split_once(words).unwrap_or_else(|| panic!("{words} is not in {text}")).1.to_owned()
}

/// Protected files are marked, and nothing says that they are redundant; of what else is redundant the bytes are told.
#[test]
fn protected_files_are_not_redundant() {
    let file = |path: &str, is_protected| MemberFile { path: path.into(), is_protected };
    let plain = Member { burst: None, ..member("jpeg", 0, Some(3)) };
    let with = |files: &[(&str, bool)]| Member {
        files: files.iter().map(|(path, is_protected)| file(path, *is_protected)).collect(),
        ..plain.clone()
    };
    let shown = |keep: Member, others: Vec<Member>| {
        let group = ReportGroup { keep, others, why: vec![], why_file: vec![], ..group("near") };
        let html = written(&ReportSummary { groups_total: 1, ..ReportSummary::default() }, &[group]);
        text_after(&html, "Keep").replace('\n', " ")
    };
    let keep = || with(&[("/a/1", false)]);
    let alone = shown(keep(), vec![with(&[("/b/2", true)])]);
    assert!(alone.contains("Protected distance 3 of 64 /b/2 protected"), "{alone}");
    assert!(!alone.contains("Redundant"), "{alone}");
    let copy = shown(keep(), vec![with(&[("/b/2", true), ("/a/2", false), ("/a/3", false)])]);
    let expected = "Protected distance 3 of 64 /b/2 protectedRedundant 2 copies, the same byte for byte:/a/2/a/3";
    assert!(copy.contains(expected), "{copy}");
    let kept = shown(with(&[("/a/1", false), ("/b/1", true), ("/a/2", false)]), vec![]);
    let expected = "/a/1Protected 1 copy, the same byte for byte:/b/1 protectedRedundant 1 copy, the same byte for \
                    byte:/a/2";
    assert!(kept.contains(expected), "{kept}");
    let html = written(&report("a"), &[ReportGroup { others: vec![with(&[("/b/2", true)])], ..group("a") }]);
    assert!(html.contains("alt=\"Protected: 2\"") || html.contains("No picture"), "{html}");
}

#[test]
fn bursts_are_shown_and_how_to_list_them() {
    let html = written(&report("Ann's <photos>"), &[group("a")]);
    let text = text_after(&html, "4 more pictures").replace('\n', " ");
    for expected in [
        "1,200 bursts",
        "The newest are shown by their best pictures. All of them: \
         SELECT * FROM lumina.list_bursts('Ann''s <photos>');",
        "5 frames 3 shots",
        "3 shots, or no burst: all are of one second",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    assert!(html.contains("<a href=\"#bursts\">1,200\u{a0}bursts</a>"));
    // Of the images of a group: which frame each is, and that the others are none.
    let facts = text_after(&html, "71.4 of 100\nBurst");
    assert!(facts.starts_with("none"), "{facts}");
    for expected in
        ["frame 3 of 5, shot 3 burst 4", "frame 3 of 5, if it is a burst burst 4", ", shot 1, the best one "]
    {
        assert!(facts.contains(expected), "{expected} is not in {facts}");
    }
    let none = written(&ReportSummary { bursts: BurstsSummary::default(), ..report("a") }, &[]);
    assert!(!none.contains("id=\"bursts\"") && !reader::text(&none).contains("list_bursts"));
}

#[test]
fn decisions_are_shown_and_how_to_take_one_back() {
    let html = written(&report("<ann>"), &[]);
    let text = text_after(&html, "3 decisions stand").replace('\n', " ");
    for expected in [
        "Rejected by them: 1,001 pictures, and 1 file of pictures that are kept.",
        "SELECT lumina.undo(n);",
        "Action 11 is taken back action 12 · by <ann> · <ann> · 2 pictures and 1 file changed",
        "The best of group 17 is kept action 11 · by <ann> · <ann> · 2 pictures and 1 file changed · taken back by \
         action 12",
        "<ann> action 10",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    let mut one = report("a");
    one.decisions = DecisionsSummary { standing: 1, is_at_least: true, last: vec![], ..one.decisions };
    let text = reader::text(&written(&one, &[])).replace('\u{a0}', " ");
    assert!(text.contains("at least 1 decision stands") && text.contains("Rejected by it: at least 1,001"), "{text}");
    let none = written(&ReportSummary { decisions: DecisionsSummary::default(), ..report("a") }, &[]);
    assert!(!none.contains("id=\"decisions\"") && !none.contains("undo"));
}

#[test]
fn numbers() {
    let cases = [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1.0 kB"),
        (10_188, "9.9 kB"),
        (10_189, "10 kB"),
        (1_048_063, "1023 kB"),
        (1_048_064, "1.0 MB"),
        (9_018_345_421, "8.4 GB"),
        (u64::MAX, "16 EB"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Bytes(bytes).plain().replace('\u{a0}', " "), expected, "{bytes}");
    }
    let counts = [0, 7, 999, 1000, 12_345, 1_234_567].map(|count| Count(count).to_string());
    assert_eq!(counts, ["0", "7", "999", "1,000", "12,345", "1,234,567"]);
    assert_eq!([1, 2].map(|count| Of(count, "file").to_string()), ["1\u{a0}file", "2\u{a0}files"]);
}

#[test]
fn sizes_of_thumbnails() {
    let limits = Limits { pixels: 1 << 20, memory: 1 << 24, caller: &NeverCancels };
    for pixels in [Pixels::Grey(vec![90; 600 * 400]), Pixels::Rgb(vec![90; 3 * 600 * 400])] {
        let picture = Picture { width: 600, height: 400, pixels, damage: None };
        let made = thumbnail(&picture, Orientation::Rotate90, 320, Format::Png, &limits).unwrap();
        assert_eq!(jpeg_size(&made), Some((213, 320)));
    }
}

#[test]
fn kinds_by_name() {
    for kind in [GroupKind::Exact, GroupKind::Identical, GroupKind::Near] {
        assert_eq!(GroupKind::from_name(kind.name()), Some(kind));
    }
    assert_eq!(GroupKind::from_name("Exact"), None);
}
