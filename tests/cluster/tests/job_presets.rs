//! No preset of a database's owner for its sessions affects the jobs there.

use lumina_cluster::Cluster;
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::photos::{Folder, dng, jpeg, make_catalog, submit_import};
use postgres::Client;
use std::collections::BTreeSet;

/// Every setting that any user may set, with values that are hostile to unprepared code, including those that Postgres
/// does not list.
const SETTINGS: &str = "
    SELECT s.name, CASE s.vartype
            WHEN 'bool' THEN ARRAY['on', 'off']
            WHEN 'enum' THEN s.enumvals
            WHEN 'string' THEN ARRAY['', 'evil', 'none']
            ELSE ARRAY[s.max_val, s.min_val, CASE WHEN s.min_val::numeric < 1 THEN '1' ELSE s.min_val END] END
    FROM pg_settings s WHERE s.context = 'user'
    UNION ALL SELECT n, ARRAY['landlord'] FROM unnest(ARRAY['role', 'session_authorization']) n
    UNION ALL SELECT 'seed', ARRAY['1'] ORDER BY 1";

/// Text values with special meanings.
const TEXTS: [(&str, &str); 12] = [
    ("search_path", "evil, pg_catalog"),
    ("DateStyle", "SQL, DMY"),
    ("TimeZone", "Pacific/Kiritimati"),
    ("timezone_abbreviations", "Australia"),
    ("client_encoding", "EUC_JP"),
    ("default_text_search_config", "pg_catalog.simple"),
    ("restrict_nonsystem_relation_kind", "view,foreign-table"),
    ("plpgsql.extra_errors", "all"),
    ("plpgsql.extra_warnings", "all"),
    ("lc_numeric", "C"),
    ("temp_tablespaces", "pg_default"),
    ("default_tablespace", "pg_global"),
];

/// The findings of jobs in a catalog.
fn findings(admin: &mut Client, catalog: i64) -> String {
    let read = "SELECT concat_ws('; ',
        (SELECT string_agg(concat_ws(' ', i.format, i.captured_at, i.ahash, i.metadata), ', ' ORDER BY i.sha256)
            FROM lumina.images i WHERE i.catalog = $1),
        (SELECT string_agg(s.path || s.kind, ', ' ORDER BY s.path) FROM lumina.sidecars s WHERE s.catalog = $1),
        (SELECT string_agg(concat_ws(' ', g.kind, g.images, g.files, g.bytes, g.captured_at), ', '
                ORDER BY g.kind, g.bytes) FROM lumina.duplicate_groups g WHERE g.catalog = $1),
        (SELECT string_agg(i.ranking_score::text, ', ' ORDER BY i.sha256) FROM lumina.images i WHERE i.catalog = $1),
        (SELECT string_agg(concat_ws(' ', b.frames, b.shots, b.started_at, b.best_by, b.suspect), ', ')
            FROM lumina.bursts b WHERE b.catalog = $1))";
    admin.query_one(read, &[&catalog]).unwrap().get(0)
}

/// An import, bursts, scores, a search for duplicates, and one that goes on from it; their outcomes and findings.
fn run(admin: &mut Client, catalog: &str, folder: &Folder) -> String {
    let id = make_catalog(admin, catalog);
    let import = submit_import(admin, catalog, folder.path());
    let mut outcomes = vec![wait_for_end(admin, import)];
    // Times in an order that is the same in each catalog, and an index for the search that goes on.
    admin
        .batch_execute(&format!(
            "UPDATE lumina.images i SET captured_at = '2024-03-31 00:59:59+00'::timestamptz
                    + n.n * '0.3 seconds'::interval, date_source = 'exif', date_confidence = 95,
                    metadata = '{{\"has_time\": true}}'
                FROM (SELECT id, row_number() OVER (ORDER BY sha256) AS n FROM lumina.images WHERE catalog = {id}) n
                WHERE n.id = i.id;
            CREATE INDEX IF NOT EXISTS near ON lumina.images USING hamming (dhash);
            SELECT lumina.set_catalog_option('{catalog}', 'quality', '{{\"score\": \"composite\"}}')"
        ))
        .unwrap();
    for call in
        ["detect_bursts($1)", "score_quality($1)", "detect_duplicates($1)", "detect_duplicates($1, scope => 'changes')"]
    {
        let change = "UPDATE lumina.images SET lens_model = 'L' WHERE catalog = $1 AND format = 'jpeg'";
        admin.execute(change, &[&id]).unwrap();
        let job = admin.query_one(&format!("SELECT lumina.{call}"), &[&catalog]).unwrap().get(0);
        outcomes.push(wait_for_end(admin, job));
    }
    let errors = "SELECT coalesce(string_agg(error, ' '), '') FROM lumina.jobs WHERE catalog = $1";
    let errors: String = admin.query_one(errors, &[&id]).unwrap().get(0);
    format!("{} {errors} {}", outcomes.join(" "), findings(admin, id))
}

#[test]
fn what_the_owner_of_a_database_presets_changes_no_job() {
    let folder = Folder::default();
    for (name, seed) in [("a.jpg", 1), ("b.jpg", 1), ("c.jpg", 2)] {
        folder.put(name, [&jpeg(seed, 200, 150)[..], name.as_bytes()].concat());
    }
    folder.put("d.jpg", jpeg(2, 200, 150));
    folder.put("e.jpg", jpeg(2, 200, 150));
    folder.put("x.dng", dng(&jpeg(3, 300, 200)));
    folder.put("x.xmp", "edits");
    // The server's own client_encoding is neither the database's nor one that needs no conversion.
    let cluster = Cluster::start_with(&[("lumina.import_roots", "/tmp"), ("client_encoding", "LATIN1")]);
    cluster.connect().batch_execute("CREATE ROLE landlord LOGIN").unwrap();
    cluster.connect().batch_execute("CREATE DATABASE house OWNER landlord").unwrap();
    // All sessions exist before anything is preset: only workers are affected.
    let mut admin = cluster.connect_to("house", "postgres");
    admin.batch_execute("CREATE EXTENSION lumina; LOAD 'plpgsql'; CREATE SCHEMA evil").unwrap();
    let mut landlord = cluster.connect_to("house", "landlord");
    landlord.batch_execute("DO $$ BEGIN END $$; SELECT lumina.library_version()").unwrap();
    let expected = run(&mut admin, "before", &folder);
    let succeeded = "succeeded ".repeat(5);
    assert!(expected.starts_with(&succeeded) && expected.contains("x.xmpedit"), "{expected}");
    assert!(expected.contains(" quality f") && !expected.contains("failed"), "there is a burst: {expected}");
    let settings: Vec<(String, Vec<String>)> =
        admin.query(SETTINGS, &[]).unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    let longest = settings.iter().map(|(_, values)| values.len()).max().unwrap();
    let mut preset = BTreeSet::new();
    for round in 0..longest {
        for (name, values) in &settings {
            let text = TEXTS.iter().find(|(text, _)| text == name).map(|(_, value)| (*value).to_owned());
            let value = text.unwrap_or_else(|| values[round % values.len()].clone());
            let quoted = if value.contains(", ") { value } else { format!("'{value}'") };
            let preset_it = format!("ALTER DATABASE house SET {name} = {quoted}");
            match landlord.batch_execute(&preset_it) {
                Ok(()) => drop(preset.insert(name.clone())),
                // A setting that accepts no value keeps that of the round before.
                Err(error) => assert!(error.code().is_some(), "{preset_it}: {error}"),
            }
        }
        let found = run(&mut admin, &format!("round {round}"), &folder);
        assert_eq!(found, expected.replace("before", &format!("round {round}")), "round {round}");
    }
    let all: BTreeSet<String> = settings.into_iter().map(|(name, _)| name).collect();
    let left: Vec<&String> = all.difference(&preset).collect();
    // Settings that accept none of the values, or cannot be preset.
    assert!(left.len() < 12 && preset.len() > 120, "{} preset; left: {left:?}", preset.len());
    for name in
        ["session_authorization", "role", "exit_on_error", "standard_conforming_strings", "plpgsql.extra_errors"]
    {
        assert!(preset.contains(name), "{name} was not preset");
    }
    let log = cluster.log();
    assert!(!log.contains("PANIC") && !log.contains("terminated by signal"), "{log}");
}
