//! Scores of images: what is stored, the option `quality`, the job `score_quality`, and which copy is kept for it.

use lumina_cluster::catalog::{fill, leftovers, submit, wait_for_end};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::kills::{INTERRUPTIONS, connect};
use lumina_cluster::photos::{Folder, encode, import, jpeg, make_catalog, picture, png};
use lumina_cluster::report::{number, say};
use lumina_cluster::{Cluster, Random};
use postgres::Client;

/// The value of a statement, as a text.
fn text(session: &mut Client, statement: &str) -> String {
    let row = session.query_one(&format!("SELECT ({statement})::text"), &[]).unwrap();
    row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".into())
}

/// The SQLSTATE, message and hint of a statement that fails.
fn error(session: &mut Client, statement: &str) -> (String, String) {
    let error = session.batch_execute(statement).expect_err(statement);
    let error = error.as_db_error().unwrap();
    let hint = error.hint().unwrap_or_else(|| panic!("{statement}: no hint"));
    (error.code().code().to_owned(), format!("{} {hint}", error.message()))
}

/// Scores a catalog; returns how many images there are, and how many have changed.
fn score(session: &mut Client, catalog: &str) -> (i64, i64) {
    let job: i64 = session.query_one("SELECT lumina.score_quality($1)", &[&catalog]).unwrap().get(0);
    assert_eq!(wait_for_end(session, job), "succeeded");
    let result = "SELECT (result->>'images')::int8, (result->>'changed')::int8 FROM lumina.jobs WHERE id = $1";
    let row = session.query_one(result, &[&job]).unwrap();
    (row.get(0), row.get(1))
}

fn set(session: &mut Client, catalog: &str, option: &str, value: &str) {
    session.batch_execute(&format!("SELECT lumina.set_catalog_option('{catalog}', '{option}', {value})")).unwrap();
}

#[test]
fn scores_and_their_parts_are_stored() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    session.batch_execute("CREATE EXTENSION lumina; SELECT lumina.create_catalog('a')").unwrap();
    let insert = "INSERT INTO lumina.images (catalog, sha256, format, width, height, size, jpeg_quality, sharpness)
        SELECT 1, sha256(int8send(n)), format, width, height, size, jpeg_quality, sharpness
        FROM (VALUES (1, 'cr2', 6000, 4000, 26214400::int8, NULL, 1200),
            (2, 'jpeg', 6000, 4000, 5242880, 92, NULL), (3, 'jpeg', NULL, NULL, 102400, 50, 300))
            v (n, format, width, height, size, jpeg_quality, sharpness)";
    session.batch_execute(insert).unwrap();
    let rows = "SELECT concat_ws(' ', quality_score, quality_format, trim_scale(round(quality_resolution::numeric, 3)),
            trim_scale(round(quality_size::numeric, 3)), quality_metadata, composite_score, composite_format,
            trim_scale(round(composite_resolution::numeric, 3)), trim_scale(round(composite_size::numeric, 3)),
            composite_sharpness, ranking_score) FROM lumina.images ORDER BY id";
    let found: Vec<String> = session.query(rows, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(
        found,
        [
            "85.08 100 93.077 83.333 0 76.37 40 26.184 2.185 8 85.08",
            "72.76 70 93.077 81.25 0 56.62 30 26.184 0.437 0 72.76",
            "29.17 70 0 7.813 0 25 20 0 0 5 29.17",
        ]
    );
    let functions = "concat_ws(' ', lumina.composite_format('JPG', 95), lumina.composite_format('jpeg', NULL),
        lumina.composite_format('Heic', 95), lumina.composite_format(NULL, NULL), lumina.composite_size(NULL, 1, 1),
        lumina.composite_resolution(NULL, 7), lumina.composite_sharpness(NULL), lumina.composite_sharpness('NaN'),
        lumina.composite_score(NULL, NULL, NULL, NULL, NULL, NULL))";
    assert_eq!(text(&mut session, functions), "30 25 20 15 0 0 0 0 15");
    let written = error(&mut session, "SELECT lumina.set_catalog_option('a', 'quality', '1')");
    assert_eq!(written.0, "22023");
}

#[test]
fn wrong_values_of_the_options() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    let setup = "CREATE EXTENSION lumina; SELECT lumina.create_catalog('a'), lumina.create_catalog('b');
        INSERT INTO lumina.sources (catalog, path, name) VALUES (1, '/srv/camera', 'camera'), (1, '/x/twice', 'twice'),
            (1, '/y/twice', 'twice'), (2, '/z', 'other')";
    session.batch_execute(setup).unwrap();
    let mut wrong = Vec::new();
    for (option, value, code, told) in [
        ("quality", "[]", "22023", "is an object"),
        ("quality", "{\"scores\": 1}", "22023", "unknown key \"scores\""),
        ("quality", "{\"score\": \"best\"}", "22023", "unknown score \"best\""),
        ("quality", "{\"score\": null}", "22023", "unknown score null"),
        ("quality", "{\"score\": 1}", "22023", "unknown score 1"),
        ("quality", "{\"weights\": [1]}", "22023", "weights of the option quality are an object"),
        ("quality", "{\"weights\": {\"sharpness\": 1}}", "22023", "no part \"sharpness\""),
        ("quality", "{\"score\": \"composite\", \"weights\": {\"metadata\": 1}}", "22023", "no part \"metadata\""),
        ("quality", "{\"weights\": {\"format\": \"1\"}}", "22023", "is not a number"),
        ("quality", "{\"weights\": {\"format\": null}}", "22023", "is not a number"),
        ("quality", "{\"weights\": {\"format\": \"NaN\"}}", "22023", "is not a number"),
        ("quality", "{\"weights\": {\"format\": -0.1}}", "22003", "between 0 and 1000000"),
        ("quality", "{\"weights\": {\"format\": 1e400}}", "22003", "between 0 and 1000000"),
        (
            "quality",
            "{\"weights\": {\"format\": 0, \"resolution\": 0, \"size\": 0, \"metadata\": 1e-300}}",
            "22023",
            "all weights are 0",
        ),
        ("preferred_folders", "\"camera\"", "22023", "is a list"),
        ("preferred_folders", "[1]", "22023", "is no folder"),
        ("preferred_folders", "[\"\"]", "22023", "is no folder"),
        ("preferred_folders", "[null]", "22023", "is no folder"),
        ("preferred_folders", "[\"srv/photos\"]", "22023", "not an absolute path"),
        ("preferred_folders", "[\"/srv/../etc\"]", "22023", "not an absolute path"),
        ("preferred_folders", "[\"/srv\", \"..\"]", "22023", "not an absolute path"),
        ("preferred_folders", "[\"nothing\"]", "42704", "has no source \"nothing\""),
        ("preferred_folders", "[\"other\"]", "42704", "has no source \"other\""),
        ("preferred_folders", "[\"twice\"]", "22023", "several sources \"twice\""),
        ("volume", "1", "22023", "preferred_folders and quality"),
    ] {
        let statement = format!("SELECT lumina.set_catalog_option('a', '{option}', '{value}')");
        let (found, message) = error(&mut session, &statement);
        if found != code || !message.contains(told) {
            wrong.push(format!("{option} {value}: {found} {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let many = "SELECT lumina.set_catalog_option('a', 'preferred_folders',
        (SELECT jsonb_agg('/' || n) FROM generate_series(1, 101) n))";
    assert_eq!(error(&mut session, many).0, "54000");
    let long = "SELECT lumina.set_catalog_option('a', 'preferred_folders',
        jsonb_build_array('/' || repeat('x', 2500)))";
    assert_eq!(error(&mut session, long).0, "22023");
    assert_eq!(text(&mut session, "SELECT settings FROM lumina.catalogs WHERE id = 1"), "{}", "nothing was half done");

    // As they are stored: complete, without what is idle.
    set(&mut session, "a", "quality", "'{\"weights\": {\"format\": 60.50, \"size\": 0.0000001}}'");
    let stored = "SELECT settings->'quality' = '{\"score\": \"quality\", \"weights\":
        {\"format\": 60.5, \"resolution\": 35, \"size\": 0, \"metadata\": 10}}' FROM lumina.catalogs WHERE id = 1";
    assert_eq!(text(&mut session, stored), "true");
    set(&mut session, "a", "preferred_folders", "'[\"/srv//photos/\", \"camera\", \"/\"]'");
    let stored = "SELECT settings->'preferred_folders' FROM lumina.catalogs WHERE id = 1";
    assert_eq!(text(&mut session, stored), "[\"/srv/photos\", \"/srv/camera\", \"/\"]");
    set(&mut session, "a", "quality", "NULL");
    set(&mut session, "a", "preferred_folders", "NULL");
    assert_eq!(text(&mut session, "SELECT settings FROM lumina.catalogs WHERE id = 1"), "{}");

    for (call, code) in [
        ("'a', NULL", "22004"),
        ("'a', 'camera', NULL", "22004"),
        ("NULL, 'camera'", "22004"),
        ("'a', 'nothing'", "42704"),
        ("'a', '/srv'", "42704"),
        ("'b', 'camera'", "42704"),
        ("'a', 'twice'", "22023"),
        ("'none', 'camera'", "42704"),
    ] {
        assert_eq!(error(&mut session, &format!("SELECT lumina.protect_source({call})")).0, code, "{call}");
    }
    let protect = "SELECT lumina.protect_source('a', 'camera'), lumina.protect_source('a', '/y/twice/')";
    session.batch_execute(protect).unwrap();
    let protected = "SELECT string_agg(path, ' ' ORDER BY path) FROM lumina.sources WHERE protected";
    assert_eq!(text(&mut session, protected), "/srv/camera /y/twice");
    session.batch_execute("SELECT lumina.protect_source('a', '/srv/camera', false)").unwrap();
    assert_eq!(text(&mut session, protected), "/y/twice");
}

const COMPOSITE: &str = "'{\"score\": \"composite\"}'";
const RESOLUTION: &str = "'{\"weights\": {\"format\": 0, \"resolution\": 2, \"size\": 0, \"metadata\": 0}}'";

/// How many images of a catalog do not rank by an expression.
fn differ(session: &mut Client, catalog: i64, from: &str) -> i64 {
    let count = format!(
        "SELECT count(*) FROM lumina.images
            WHERE catalog = {catalog} AND ranking_score IS DISTINCT FROM ({from})::float4"
    );
    session.query_one(&count, &[]).unwrap().get(0)
}

#[test]
fn the_job_scores_one_catalog_and_writes_what_differs() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    let first = fill(&mut session, "a", &lumina_sets::photo(12_000, 1));
    let second = fill(&mut session, "b", &lumina_sets::photo(300, 2));
    session.batch_execute("UPDATE lumina.images SET sharpness = id % 700, jpeg_quality = 1 + id % 100").unwrap();
    let versions = "SELECT md5(string_agg(xmin::text, ' ' ORDER BY id)) FROM lumina.images WHERE catalog = ";
    assert_eq!(differ(&mut session, first, "quality_score"), 0, "without an option");
    let before = text(&mut session, &format!("{versions}{first}"));
    assert_eq!(score(&mut session, "a"), (12_000, 0));
    set(&mut session, "a", "quality", "'{\"score\": \"quality\", \"weights\": {\"format\": 40.0}}'");
    assert_eq!(score(&mut session, "a"), (12_000, 0), "the same weights");
    assert_eq!(text(&mut session, &format!("{versions}{first}")), before);

    let others = text(&mut session, &format!("{versions}{second}"));
    set(&mut session, "a", "quality", COMPOSITE);
    assert_eq!(score(&mut session, "a"), (12_000, 12_000));
    assert_eq!(differ(&mut session, first, "composite_score"), 0);
    let before = text(&mut session, &format!("{versions}{first}"));
    assert_eq!(score(&mut session, "a"), (12_000, 0));
    assert_eq!(text(&mut session, &format!("{versions}{first}")), before, "no row is written in vain");
    set(&mut session, "a", "quality", RESOLUTION);
    score(&mut session, "a");
    assert_eq!(differ(&mut session, first, "lumina_internal.rounded_score(quality_resolution)"), 0);
    let weights = "'{\"score\": \"composite\", \"weights\": {\"format\": 0, \"size\": 5, \"sharpness\": 15}}'";
    set(&mut session, "a", "quality", weights);
    score(&mut session, "a");
    // 30, 5 and 15 of 50 hundredths for all of the points.
    let from = "round((60 * composite_resolution / 30 + 10 * composite_size / 20
        + 30 * composite_sharpness / 10)::numeric, 2)";
    let near = format!("CASE WHEN abs(ranking_score - {from}) < 0.011 THEN ranking_score END");
    assert_eq!(differ(&mut session, first, &near), 0);
    assert_eq!(differ(&mut session, second, "quality_score"), 0, "another catalog");
    assert_eq!(text(&mut session, &format!("{versions}{second}")), others);
    set(&mut session, "a", "quality", "NULL");
    assert_eq!(score(&mut session, "a"), (12_000, 12_000));
    assert_eq!(text(&mut session, "SELECT count(chosen_score) FROM lumina.images"), "0");
    assert_eq!(error(&mut session, "SELECT lumina.score_quality('c')").0, "42704");
    assert_eq!(error(&mut session, "SELECT lumina.score_quality(NULL)").0, "22004");
    assert_eq!(leftovers(&mut session), [""; 0]);
    session.batch_execute("SELECT lumina.create_catalog('empty')").unwrap();
    assert_eq!(score(&mut session, "empty"), (0, 0));
}

/// The last transaction waits for the owner, who then commits another option: the job begins again.
#[test]
fn an_option_that_changes_meanwhile() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    let catalog = fill(&mut session, "a", &lumina_sets::photo(7000, 1));
    set(&mut session, "a", "quality", COMPOSITE);
    let mut owner = cluster.connect();
    owner.batch_execute("BEGIN").unwrap();
    set(&mut owner, "a", "quality", RESOLUTION);
    let job: i64 = session.query_one("SELECT lumina.score_quality('a')", &[]).unwrap().get(0);
    wait_until("the job waits for the catalog", || {
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'lumina worker'
            AND a.wait_event_type = 'Lock')";
        session.query_one(waits, &[]).unwrap().get(0)
    });
    assert_eq!(differ(&mut session, catalog, "composite_score"), 0);
    owner.batch_execute("COMMIT").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    assert_eq!(differ(&mut session, catalog, "lumina_internal.rounded_score(quality_resolution)"), 0);
    assert_eq!(text(&mut session, "SELECT result->>'images' FROM lumina.jobs ORDER BY id DESC LIMIT 1"), "7000");
}

#[test]
fn import_writes_what_the_job_would() {
    let folder = Folder::default();
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 37);
    encoder.encode_image(&picture(7, 300, 200)).unwrap();
    folder.put("37.jpg", &bytes);
    for seed in 0..12 {
        folder.put(format!("{seed}.jpg"), jpeg(seed, 200 + 10 * seed as u32, 150));
        folder.put(format!("{seed}.png"), png(100 + seed, 200, 150));
    }
    folder.put("x.bmp", encode(&picture(50, 120, 90), image::ImageFormat::Bmp));
    let cluster = Cluster::start_with(&[("lumina.import_roots", "/tmp")]);
    let mut session = cluster.connect();
    session.batch_execute("CREATE EXTENSION lumina").unwrap();
    for (name, option) in [
        ("none", None),
        ("composite", Some(COMPOSITE)),
        ("resolution", Some(RESOLUTION)),
        ("odd", Some("'{\"score\": \"composite\", \"weights\": {\"format\": 1.7, \"sharpness\": 33.3}}'")),
        ("uneven", Some("'{\"weights\": {\"format\": 1.7, \"size\": 33.3}}'")),
    ] {
        let catalog = make_catalog(&mut session, name);
        if let Some(option) = option {
            set(&mut session, name, "quality", option);
        }
        import(&mut session, name, folder.path());
        let chosen = format!("SELECT count(chosen_score) FROM lumina.images WHERE catalog = {catalog}");
        assert_eq!(text(&mut session, &chosen), if option.is_some() { "26" } else { "0" }, "{name}");
        assert_eq!(score(&mut session, name), (26, 0), "{name}: the job and the import agree");
        let from = match name {
            "none" => "quality_score",
            "composite" => "composite_score",
            _ => "ranking_score",
        };
        assert_eq!(differ(&mut session, catalog, from), 0, "{name}");
    }
    let qualities = "SELECT string_agg(DISTINCT i.format || ' ' || coalesce(i.jpeg_quality::text, '-'), ', ')
        FROM lumina.images i JOIN lumina.catalogs c ON c.id = i.catalog WHERE c.name = 'none'";
    assert_eq!(text(&mut session, qualities), "bmp -, jpeg 37, jpeg 75, png -");
}

/// Killed, ended and cancelled at any moment: each image has the score of the option before or of the one now, and all
/// have the one now once the job has succeeded. `LUMINA_KILLS` sets the number (14 by default).
#[test]
fn killed_at_any_moment() {
    let cluster = Cluster::start_with(&[("shared_preload_libraries", "lumina"), ("lumina.launcher_interval", "60")]);
    let mut session = connect(&cluster);
    let catalog = fill(&mut session, "a", &lumina_sets::photo(30_000, 3));
    let (kills, mut random) = (number("LUMINA_KILLS", 14), Random(number("LUMINA_SEED", 1)));
    let options = [(COMPOSITE, "composite_score"), (RESOLUTION, "lumina_internal.rounded_score(quality_resolution)")];
    let mut before = "quality_score";
    let mut hits = 0;
    for round in 0..kills {
        let interruption = INTERRUPTIONS[round as usize % INTERRUPTIONS.len()];
        let (option, now) = options[round as usize % 2];
        set(&mut session, "a", "quality", option);
        let job: i64 = session.query_one("SELECT lumina.score_quality('a')", &[]).unwrap().get(0);
        let batches = random.below(6) as i64;
        wait_until("the batches have committed", || {
            let done = "SELECT coalesce((checkpoint->>'scored')::int8, 0) >= $2::int8 * 5000 OR state = 'succeeded'
                FROM lumina.jobs WHERE id = $1";
            session.query_one(done, &[&job, &batches]).unwrap().get(0)
        });
        let hit = interruption.strike(&cluster, &mut session, job);
        session = interruption.recover(&cluster, &mut session, hit);
        let end = wait_for_end(&mut session, job);
        let what = format!("round {round}: {interruption:?} after {batches} batches: {end}");
        hits += u64::from(hit);
        match end.as_str() {
            "succeeded" => {
                assert_eq!(differ(&mut session, catalog, now), 0, "{what}");
                let scored = format!("SELECT result->>'images' FROM lumina.jobs WHERE id = {job}");
                assert_eq!(text(&mut session, &scored), "30000", "{what}");
            }
            "cancelled" if interruption.cancels() => {
                let either = format!("CASE WHEN ranking_score = ({before})::float4 THEN ({before}) ELSE {now} END");
                assert_eq!(differ(&mut session, catalog, &either), 0, "{what}");
                // What is left is scored, and only that.
                let count = differ(&mut session, catalog, now);
                assert_eq!(score(&mut session, "a").0, 30_000);
                assert!(count <= 30_000);
                assert_eq!(differ(&mut session, catalog, now), 0, "{what}");
            }
            _ => panic!("{what}"),
        }
        before = now;
        assert_eq!(leftovers(&mut session), [""; 0], "{what}");
    }
    say(&format!("{kills} jobs, {hits} hit a running worker"));
    assert!(!cluster.log().contains("PANIC"), "{}", cluster.log());
}

/// Restored, scores are what they were, without a job.
#[test]
fn scores_survive_a_dump() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(200, 1));
    set(&mut session, "a", "quality", RESOLUTION);
    score(&mut session, "a");
    let all =
        "SELECT md5(string_agg(concat_ws(' ', id, ranking_score, chosen_score, composite_score), ',' ORDER BY id))
        FROM lumina.images";
    let before = text(&mut session, all);
    let dump = cluster.dump("postgres", &[]);
    session.batch_execute("CREATE DATABASE copy").unwrap();
    cluster.sql("copy", &dump);
    let mut copy = cluster.connect_to("copy", "postgres");
    assert_eq!(text(&mut copy, all), before);
    copy.batch_execute("SELECT lumina.adopt_catalog('a')").unwrap();
    assert_eq!(score(&mut copy, "a"), (200, 0));
}

/// Near pictures as rows: name, width, height, bytes, format, year, path of the file.
type Photo<'a> = (&'a str, i32, i32, i64, &'a str, i32, &'a str);

/// A catalog whose images are all near one another.
fn group(session: &mut Client, catalog: &str, photos: &[Photo<'_>]) {
    let id = make_catalog(session, catalog);
    for (name, width, height, size, format, year, path) in photos {
        let insert = format!(
            "WITH made AS (INSERT INTO lumina.images (catalog, sha256, size, format, width, height, captured_at, ahash,
                    dhash, dct, pdq, hash_valid)
                SELECT {id}, sha256('{name}'), {size}, '{format}', {width}, {height}, '{year}-01-01 UTC', h, h, h,
                    repeat('0123456789abcdef', 4)::phash, true FROM (SELECT '0123456789abcdef'::phash AS h) h
                ON CONFLICT (sha256, catalog) DO UPDATE SET size = excluded.size RETURNING id)
            INSERT INTO lumina.image_files (catalog, image, path, original_path)
                SELECT {id}, made.id, '{path}', '{path}' FROM made"
        );
        session.batch_execute(&insert).unwrap();
    }
}

/// The file to keep of a catalog's only group.
fn kept(session: &mut Client, catalog: &str) -> String {
    let job = submit(session, catalog, 5);
    assert_eq!(wait_for_end(session, job), "succeeded");
    let keep = "SELECT string_agg(DISTINCT keep, ' ') FROM lumina.image_duplicates WHERE catalog = ";
    let keep = format!("{keep}'{catalog}'");
    text(session, &keep)
}

#[test]
fn which_copy_is_kept() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    session.batch_execute("CREATE EXTENSION lumina").unwrap();
    // 4.9 and 5.1 % fewer pixels, 9.9 and 10.1 % fewer bytes; each older than the one before.
    group(
        &mut session,
        "close",
        &[
            ("a", 4000, 2500, 4_000_000, "jpeg", 2020, "/p/a"),
            ("b", 3804, 2500, 4_000_000, "jpeg", 2019, "/p/b"),
            ("c", 3796, 2500, 4_000_000, "jpeg", 2018, "/p/c"),
        ],
    );
    assert_eq!(kept(&mut session, "close"), "/p/b");
    group(
        &mut session,
        "bytes",
        &[
            ("a", 4000, 2500, 4_000_000, "jpeg", 2020, "/p/a"),
            ("b", 4000, 2500, 3_604_000, "jpeg", 2019, "/p/b"),
            ("c", 4000, 2500, 3_596_000, "jpeg", 2018, "/p/c"),
            ("d", 4000, 2500, 3_990_000, "webp", 2017, "/p/d"),
        ],
    );
    assert_eq!(kept(&mut session, "bytes"), "/p/b");

    // One image with two files, and a better one.
    let photos: [Photo<'_>; 4] = [
        ("small", 400, 300, 40_000, "jpeg", 2020, "/backup/small"),
        ("small", 400, 300, 40_000, "jpeg", 2020, "/phone/new/small"),
        ("large", 4000, 3000, 4_000_000, "jpeg", 2020, "/phone2/large"),
        ("middle", 2000, 1500, 1_000_000, "jpeg", 2020, "/card/middle"),
    ];
    group(&mut session, "folders", &photos);
    let sources = "INSERT INTO lumina.sources (catalog, path, name)
        SELECT c.id, s, ltrim(s, '/') FROM lumina.catalogs c, unnest(ARRAY['/phone', '/card', '/backup']) s
        WHERE c.name = 'folders'";
    session.batch_execute(sources).unwrap();
    assert_eq!(kept(&mut session, "folders"), "/phone2/large");
    for (folders, expected) in [
        ("[\"/phone\"]", "/phone/new/small"), // and not /phone2
        ("[\"backup\", \"/phone\"]", "/backup/small"),
        ("[\"/phone/new\", \"/backup\"]", "/phone/new/small"),
        ("[\"card\", \"/phone\"]", "/card/middle"),
        ("[\"/phone2/large\", \"card\"]", "/phone2/large"),
        ("[\"/none\"]", "/phone2/large"),
        ("[\"/\"]", "/phone2/large"),
        ("[]", "/phone2/large"),
    ] {
        set(&mut session, "folders", "preferred_folders", &format!("'{folders}'"));
        assert_eq!(kept(&mut session, "folders"), expected, "{folders}");
    }
    // Protected files come after preferred folders, and before all else.
    session.batch_execute("SELECT lumina.protect_source('folders', 'phone')").unwrap();
    assert_eq!(kept(&mut session, "folders"), "/phone/new/small");
    set(&mut session, "folders", "preferred_folders", "'[\"card\"]'");
    assert_eq!(kept(&mut session, "folders"), "/card/middle");
    let protected = "SELECT string_agg(path, ' ') FROM lumina_internal.current_files WHERE is_protected";
    assert_eq!(text(&mut session, protected), "/phone/new/small");
    session.batch_execute("SELECT lumina.protect_source('folders', 'phone', false)").unwrap();
    assert_eq!(text(&mut session, protected), "NULL");
    set(&mut session, "folders", "preferred_folders", "NULL");
    assert_eq!(kept(&mut session, "folders"), "/phone2/large");
    // The option quality changes which one is kept.
    group(
        &mut session,
        "weights",
        &[("a", 4000, 3000, 900_000, "jpeg", 2020, "/p/a"), ("b", 2000, 1500, 9_000_000, "png", 2020, "/p/b")],
    );
    for (option, expected) in [
        ("'{\"weights\": {\"resolution\": 1000000}}'", "/p/a"),
        ("'{\"weights\": {\"format\": 1000000}}'", "/p/b"),
        (COMPOSITE, "/p/b"),
    ] {
        set(&mut session, "weights", "quality", option);
        score(&mut session, "weights");
        assert_eq!(kept(&mut session, "weights"), expected, "{option}");
    }
}
