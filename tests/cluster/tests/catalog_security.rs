//! Who may do what with catalogs: each role with each action, privileges of every object, what is never told.
//!
//! Attempts to get around it are in `catalog_forgery.rs`.

mod privileges;
pub(crate) mod world;

use lumina_cluster::postgres::Client;
use std::collections::BTreeSet;
use world::{ROLES, made_job, outcome, park, text, told, world};

/// For each action: its outcome, in the order of [`ROLES`]. `none` is a query without rows. The catalogs are `holiday`,
/// with the curator's job 1, which has succeeded, and job 2, which waits because the superuser has stopped the workers;
/// and `trip`, with the curator's job 3, which was cancelled.
const ACTIONS: [(&str, [&str; 8]); 54] = {
    const OK: &str = "ok";
    const NONE: &str = "none";
    const NO: &str = "42501";
    const HID: &str = "42704";
    //                         owner curator importer reader member idle stranger superuser
    const SEEN: [&str; 8] = [OK, OK, OK, OK, OK, NONE, NONE, OK];
    const READ: [&str; 8] = [OK, OK, OK, OK, OK, HID, HID, OK];
    const CURATE: [&str; 8] = [OK, OK, NO, NO, OK, HID, HID, OK];
    const OWN_JOB: [&str; 8] = [OK, OK, NO, NO, NO, HID, HID, OK];
    const OWN: [&str; 8] = [OK, NO, NO, NO, NO, HID, HID, OK];
    const NEVER: [&str; 8] = [NO, NO, NO, NO, NO, NO, NO, OK];
    const ALL: [&str; 8] = [OK; 8];
    const EMPTY: [&str; 8] = [NONE, NONE, NONE, NONE, NONE, HID, HID, NONE];
    [
        ("SELECT FROM lumina.catalogs", SEEN),
        ("SELECT FROM lumina.catalog_grants", SEEN),
        ("SELECT FROM lumina.sources", SEEN),
        ("SELECT FROM lumina.images", SEEN),
        ("SELECT FROM lumina.image_files", SEEN),
        ("SELECT FROM lumina.jobs", SEEN),
        ("SELECT FROM lumina.job_cancellations", SEEN),
        ("SELECT FROM lumina.job_progress", SEEN),
        ("SELECT FROM lumina.import_items", SEEN),
        ("SELECT FROM lumina.duplicate_runs", SEEN),
        ("SELECT FROM lumina.duplicate_groups", SEEN),
        ("SELECT FROM lumina.duplicate_members", SEEN),
        ("SELECT FROM lumina.duplicate_actions", SEEN),
        ("SELECT FROM lumina.action_images", SEEN),
        ("SELECT FROM lumina.action_files", SEEN),
        ("SELECT FROM lumina.distinct_images", SEEN),
        ("SELECT FROM lumina.distinct_files", SEEN),
        ("SELECT FROM lumina.action_history", SEEN),
        ("SELECT FROM lumina.image_duplicates", SEEN),
        ("SELECT FROM lumina.duplicate_statistics", SEEN),
        ("SELECT FROM unnest(lumina.readable_catalogs())", SEEN),
        ("SELECT FROM lumina.workers_stopped", ALL),
        ("SELECT FROM lumina.duplicates('holiday')", READ),
        ("SELECT lumina.readable_catalog('holiday')", READ),
        ("CALL lumina.wait_for_job(1)", READ),
        ("SELECT lumina.create_catalog('another')", [OK, NO, NO, NO, NO, NO, NO, OK]),
        ("SELECT lumina.detect_duplicates('trip')", CURATE),
        ("SELECT lumina.detect_bursts('trip')", CURATE),
        ("SELECT FROM lumina.list_bursts('holiday')", EMPTY),
        ("SELECT lumina.score_quality('trip')", CURATE),
        ("SELECT lumina.protect_source('trip', '/private')", OWN),
        ("SELECT lumina.keep_best((SELECT min(group_id) FROM sought))", CURATE),
        ("SELECT lumina.resolve((SELECT min(group_id) FROM sought), ARRAY[1])", CURATE),
        ("SELECT lumina.keep_all((SELECT min(group_id) FROM sought))", CURATE),
        ("SELECT lumina.split_group((SELECT min(group_id) FROM sought), ARRAY[1])", CURATE),
        ("SELECT lumina.undo((SELECT min(action) FROM sought))", CURATE),
        ("SELECT FROM lumina.keep_best_in_all('holiday', dry_run => false)", CURATE),
        ("SELECT lumina.set_image_status('holiday', ARRAY[1], 'archived')", CURATE),
        ("SELECT lumina.cancel_job(2)", OWN_JOB),
        ("SELECT lumina.retry_job(3)", OWN_JOB),
        ("SELECT lumina.grant_catalog('holiday', 'stranger', 'read')", OWN),
        ("SELECT lumina.revoke_catalog('holiday', 'reader', 'read')", OWN),
        ("SELECT lumina.reassign_catalog('trip', current_user)", OWN),
        ("SELECT lumina.drop_catalog('trip')", OWN),
        ("SELECT lumina.adopt_catalog('holiday')", OWN),
        ("SELECT lumina.stop_workers()", NEVER),
        ("SELECT lumina.resume_jobs()", NEVER), // who has stopped them lets them go on
        ("SELECT lumina.resume_jobs(true)", NEVER),
        ("CREATE TABLE lumina.mine ()", NEVER),
        ("CREATE FUNCTION lumina.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", NEVER),
        ("CREATE POLICY mine ON lumina.images USING (true)", NEVER),
        ("ALTER TABLE lumina.images DISABLE ROW LEVEL SECURITY", NEVER),
        (
            "CREATE TRIGGER mine BEFORE UPDATE ON lumina.jobs EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            NEVER,
        ),
        ("CREATE OR REPLACE RULE mine AS ON INSERT TO lumina.jobs DO ALSO NOTHING", NEVER),
    ]
};

#[test]
fn each_role_with_each_action() {
    let cluster = world();
    assert_eq!((park(&cluster, "holiday"), made_job(&cluster, "trip", "cancelled")), (2, 3));
    let rows = "INSERT INTO lumina.job_cancellations (job, requested_by) VALUES (3, 'curator');
        INSERT INTO lumina.import_items (job, catalog, path)
            SELECT 3, id, '/private/x' FROM lumina.catalogs WHERE name = 'trip'";
    cluster.connect().batch_execute(rows).unwrap();
    // A group that is open, an action that can be undone, and rows in every table of decisions.
    let decided = "SELECT lumina.keep_best_in_all('holiday', 0, dry_run => false);
        SELECT lumina.set_image_status('trip', ARRAY[4], 'flagged');
        INSERT INTO lumina.action_files SELECT id, catalog, 1, 1, 'keep', 'keep' FROM lumina.duplicate_actions LIMIT 1;
        INSERT INTO lumina.distinct_images SELECT id, catalog, sha256('x'), 0 FROM lumina.duplicate_actions LIMIT 1;
        INSERT INTO lumina.distinct_files SELECT id, catalog, 1 FROM lumina.duplicate_actions LIMIT 1;
        UPDATE lumina.duplicate_groups SET decision = NULL;
        UPDATE lumina.images SET status = 'active' WHERE id <= 3; UPDATE lumina.image_files SET state = 'keep';
        CREATE VIEW sought AS SELECT (SELECT min(id) FROM lumina.duplicate_groups WHERE images > 1) AS group_id,
            (SELECT max(id) FROM lumina.duplicate_actions) AS action;
        GRANT SELECT ON sought TO PUBLIC";
    cluster.connect().batch_execute(decided).unwrap();
    let mut wrong = Vec::new();
    for (place, role) in ROLES.iter().enumerate() {
        let mut session = cluster.connect_to("postgres", role);
        for (statement, expected) in ACTIONS {
            let answer = outcome(&mut session, statement);
            if answer != expected[place] {
                wrong.push(format!("{role}: {statement}: {answer}, not {}", expected[place]));
            }
        }
    }
    // A role that has not inherited a right may assume it by SET ROLE.
    let mut idle = cluster.connect_to("postgres", "idle");
    idle.batch_execute("SET ROLE family").unwrap();
    let member = ROLES.iter().position(|role| *role == "member").unwrap();
    for (statement, expected) in ACTIONS {
        let answer = outcome(&mut idle, statement);
        if answer != expected[member] {
            wrong.push(format!("SET ROLE family: {statement}: {answer}, not {}", expected[member]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A list of the first column.
fn list(session: &mut Client, statement: &str) -> Vec<String> {
    session.query(statement, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn nobody_writes_to_tables_or_locks_their_rows() {
    let cluster = world();
    let mut admin = cluster.connect();
    let tables = list(
        &mut admin,
        "SELECT oid::regclass::text FROM pg_class
            WHERE relnamespace::regnamespace::text IN ('lumina', 'lumina_internal')
                AND relkind IN ('r', 'p', 'v', 'm', 'f')",
    );
    let sequences = list(
        &mut admin,
        "SELECT oid::regclass::text FROM pg_class
            WHERE relnamespace::regnamespace::text IN ('lumina', 'lumina_internal') AND relkind = 'S'",
    );
    assert!(tables.len() >= 15 && sequences.len() >= 8);
    for role in ROLES.iter().filter(|role| **role != "postgres") {
        let mut session = cluster.connect_to("postgres", role);
        let mut refused = |statement: String| {
            let answer = outcome(&mut session, &statement);
            // A read-only view reports that first.
            assert!(answer == "42501" || answer == "55000", "{role}: {statement}: {answer}");
        };
        for table in &tables {
            let column = text(
                &mut admin,
                &format!(
                    "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum = 2"
                ),
            );
            refused(format!("INSERT INTO {table} DEFAULT VALUES"));
            refused(format!("UPDATE {table} SET {column} = DEFAULT"));
            refused(format!("DELETE FROM {table}"));
            if text(&mut admin, &format!("SELECT relkind::text FROM pg_class WHERE oid = '{table}'::regclass")) == "v" {
                continue;
            }
            for rest in
                ["TRUNCATE {}", "TRUNCATE {} CASCADE", "SELECT FROM {} FOR UPDATE", "SELECT FROM {} FOR KEY SHARE"]
            {
                refused(rest.replace("{}", table));
            }
            for mode in ["ROW EXCLUSIVE", "SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE"] {
                refused(format!("LOCK TABLE {table} IN {mode} MODE NOWAIT"));
            }
        }
        for sequence in &sequences {
            for call in ["nextval('{}')", "setval('{}', 1)", "currval('{}')"] {
                refused(format!("SELECT {}", call.replace("{}", sequence)));
            }
            refused(format!("SELECT last_value FROM {sequence}"));
        }
    }
}

/// Those that PUBLIC may call, by the list in `privileges.rs`, disclose nothing hidden; `files_there` reads as its
/// caller.
#[test]
fn nobody_calls_internal_functions() {
    let cluster = world();
    let mut admin = cluster.connect();
    let calls = "SELECT proname::text, has_function_privilege('public', oid, 'EXECUTE'),
        format('SELECT lumina_internal.%I(%s)', proname,
            (SELECT string_agg(format('%L::%s', CASE
                WHEN type::regtype::text IN ('jsonb', 'text[]', 'integer[]', 'bigint[]',
                    'double precision[]') THEN '{}'
                -- A row; no function of one is STRICT.
                WHEN EXISTS (SELECT FROM pg_class WHERE reltype = type) THEN NULL
                ELSE CASE type::regtype::text WHEN 'regclass' THEN 'lumina.jobs' WHEN 'lumina.access_right' THEN 'own'
                    WHEN 'lumina.action_kind' THEN 'undo' WHEN 'timestamp with time zone' THEN '2026-01-01'
                    ELSE '1' END END, type::regtype), ', ' ORDER BY place)
            FROM unnest(proargtypes::oid[]) WITH ORDINALITY a (type, place)))
        FROM pg_proc WHERE pronamespace = 'lumina_internal'::regnamespace";
    let calls: Vec<(String, bool, String)> =
        admin.query(calls, &[]).unwrap().iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert!(calls.len() >= 25);
    for role in ROLES.iter().filter(|role| **role != "postgres") {
        let mut session = cluster.connect_to("postgres", role);
        for (name, public, call) in &calls {
            let expected: &[&str] = match public {
                false => &["42501"],
                // Rows of files that the role may read, if any.
                true if name == "files_there" => &["ok", "none"],
                true => &["ok"],
            };
            let outcome = outcome(&mut session, call);
            assert!(expected.contains(&outcome.as_str()), "{role}: {call}: {outcome}");
        }
        // With arguments that would do something.
        let forged =
            "SELECT lumina_internal.submit(10, 'detect_duplicates', (SELECT min(id) FROM lumina.catalogs), '{}')";
        assert_eq!(outcome(&mut session, forged), "42501", "{role}");
        assert_eq!(outcome(&mut session, "SELECT lumina_internal.drop_catalog(10, 'holiday')"), "42501", "{role}");
        assert_eq!(outcome(&mut session, "SELECT lumina_internal.rights(10, 1)"), "42501", "{role}");
    }
}

/// A new object needs a decision, recorded in `privileges.rs`.
#[test]
fn every_object_has_its_privileges() {
    let cluster = world();
    let mut admin = cluster.connect();
    let found: BTreeSet<String> = list(&mut admin, privileges::QUERY).into_iter().collect();
    let written: BTreeSet<String> = privileges::EXPECTED.lines().map(str::trim).map(str::to_owned).collect();
    let unexpected: Vec<_> = found.difference(&written).collect();
    let missing: Vec<_> = written.difference(&found).collect();
    assert!(unexpected.is_empty() && missing.is_empty(), "not in the list: {unexpected:#?}\nnot found: {missing:#?}");
    for (rule, query) in privileges::RULES {
        assert_eq!(list(&mut admin, query), Vec::<String>::new(), "{rule}");
    }
}

/// A role that may not read a catalog gets the same answers about it and its jobs as about missing ones.
#[test]
fn what_is_hidden_is_not_told() {
    let cluster = world();
    park(&cluster, "holiday");
    cluster.connect().batch_execute("SELECT lumina.set_image_status('holiday', ARRAY[1], 'flagged')").unwrap();
    cluster.connect().batch_execute("GRANT EXECUTE ON FUNCTION lumina.create_catalog TO stranger").unwrap();
    for role in ["stranger", "idle"] {
        let mut session = cluster.connect_to("postgres", role);
        let mut says = |statement: String| -> String {
            let error = session.batch_execute(&statement).expect_err(&statement);
            let (code, message) = told(&error);
            format!("{code} {message}")
        };
        for call in [
            "SELECT lumina.detect_duplicates('?')",
            "SELECT lumina.detect_duplicates('?', -1)",
            "SELECT lumina.detect_duplicates('?', strategy => 'none', rule => 'none')",
            "SELECT lumina.detect_bursts('?')",
            "SELECT lumina.detect_bursts('?', 'none', '1 year', -1, 'none')",
            "SELECT * FROM lumina.list_bursts('?')",
            "SELECT lumina.score_quality('?')",
            "SELECT lumina.protect_source('?', 'nothing')",
            "SELECT lumina.drop_catalog('?')",
            "SELECT lumina.adopt_catalog('?')",
            "SELECT lumina.readable_catalog('?')",
            "SELECT * FROM lumina.duplicates('?')",
            "SELECT lumina.grant_catalog('?', 'stranger', 'read')",
            "SELECT lumina.grant_catalog('?', 'nobody', 'nothing')",
            "SELECT lumina.revoke_catalog('?', 'reader', 'read')",
            "SELECT lumina.revoke_catalog('?', 'nobody', 'nothing')",
            "SELECT lumina.keep_best_in_all('?')",
            "SELECT lumina.set_image_status('?', ARRAY[1], 'active')",
        ] {
            let hidden = says(call.replace('?', "holiday"));
            assert_eq!(hidden.replace("holiday", "nothing"), says(call.replace('?', "nothing")), "{role}: {call}");
            assert!(hidden.starts_with("42704 "), "{hidden}");
        }
        for call in [
            "SELECT lumina.cancel_job(?)",
            "SELECT lumina.retry_job(?)",
            "CALL lumina.wait_for_job(?)",
            "SELECT lumina.keep_best(?)",
            "SELECT lumina.resolve(?, ARRAY[1])",
            "SELECT lumina.keep_all(?)",
            "SELECT lumina.split_group(?, ARRAY[1])",
            "SELECT lumina.undo(?)",
        ] {
            for hidden in ["1", "2"] {
                let unknown = says(call.replace('?', "987")).replace("987", hidden);
                assert_eq!(says(call.replace('?', hidden)), unknown, "{role}: {call}");
            }
        }
    }
    // Names of catalogs are unique. That one is taken can be found out, but not by whom.
    let error = cluster.connect_to("postgres", "stranger").batch_execute("SELECT lumina.create_catalog('holiday')");
    let (code, message) = told(&error.unwrap_err());
    assert_eq!(code, "42710");
    assert!(!message.contains("owner"), "{message}");
}

/// Any role can LISTEN.
#[test]
fn notifications_say_no_names() {
    use lumina_cluster::postgres::fallible_iterator::FallibleIterator;
    let cluster = world();
    let mut stranger = cluster.connect_to("postgres", "stranger");
    stranger.batch_execute("LISTEN lumina_jobs").unwrap();
    let mut owner = cluster.connect_to("postgres", "owner");
    let job = world::submit(&mut owner, "holiday");
    owner.batch_execute(&format!("CALL lumina.wait_for_job({job})")).unwrap();
    stranger.batch_execute("SELECT 1").unwrap();
    let payloads: Vec<String> =
        stranger.notifications().iter().map(|one| Ok(one.payload().to_owned())).collect().unwrap();
    assert!(payloads.iter().any(|payload| payload.contains("\"succeeded\"")), "{payloads:?}");
    for payload in payloads {
        for name in ["holiday", "owner", "/", "private"] {
            assert!(!payload.contains(name), "{payload}");
        }
    }
}
