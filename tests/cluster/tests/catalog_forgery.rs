//! Attempts to get around the rights to catalogs: locks, functions and views of others, objects of the same names,
//! roles that change or disappear. What each role may do is in `catalog_security.rs`.

use super::catalog_security::world::{Stuck, end_of, made_job, outcome, park, submit, text, told, world, world_with};
use lumina_cluster::Cluster;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::postgres::Client;
use std::io::Read;

const ONE_SEARCH: [(&str, &str); 1] = [("lumina.concurrent_searches", "1")];

/// The job whose groups are shown of `holiday`, and how many there are.
fn shown(cluster: &Cluster) -> String {
    let shown = "SELECT format('job %s: %s groups', coalesce(r.refreshed_by, r.job), count(g.id))
        FROM lumina.duplicate_runs r LEFT JOIN lumina.duplicate_groups g ON g.run = r.id
        WHERE r.is_current AND r.catalog = 1 GROUP BY r.id";
    text(&mut cluster.connect(), shown)
}

#[test]
fn locks_of_sql_stop_nobody_and_forge_no_life() {
    let cluster = world_with(&ONE_SEARCH);
    let mut admin = cluster.connect();
    let stuck = Stuck::new(&cluster, "curator");
    let job = stuck.job;
    let orphan = made_job(&cluster, "trip", "running");
    let mut stranger = cluster.connect_to("postgres", "stranger");
    // Every lock that could be confused with ours: databases, tables, jobs, places, kinds. None has an effect.
    let places = "SELECT (SELECT oid::int8 FROM pg_database WHERE datname = current_database())
        UNION SELECT 'lumina.jobs'::regclass::oid::int8
        UNION SELECT unnest(ARRAY[0, 1, 2, 3, 19573, 19574, 19575])";
    let free = format!(
        "WITH places (n) AS ({places} UNION SELECT {job} UNION SELECT {orphan})
        SELECT bool_and(pg_try_advisory_lock(a.n << 32 | b.n) AND pg_try_advisory_lock(a.n::int4, b.n::int4))::text
            FROM places a, places b"
    );
    assert_eq!(text(&mut stranger, &free), "true");
    let like_ours = "SELECT count(*)::text FROM pg_locks mine JOIN pg_locks ours USING (locktype, classid, objid)
        WHERE locktype = 'advisory' AND ours.objsubid > 2 AND mine.objsubid <= 2";
    assert_ne!(text(&mut admin, like_ours), "0", "the numbers of ours are not among those that were taken");
    let states =
        format!("SELECT string_agg(state, ' ' ORDER BY job) FROM lumina.job_progress WHERE job IN ({job}, {orphan})");
    assert_eq!(text(&mut admin, &states), "running orphaned");
    // Nobody can terminate a worker, not even of one's own job; and its pid is not shown to everybody.
    for role in ["stranger", "curator", "owner"] {
        let mut session = cluster.connect_to("postgres", role);
        for end in ["pg_cancel_backend", "pg_terminate_backend"] {
            let pid = text(&mut admin, &format!("SELECT worker_pid::text FROM lumina.jobs WHERE id = {job}"));
            assert_eq!(outcome(&mut session, &format!("SELECT {end}({pid})")), "42501", "{role}");
        }
        session.batch_execute("SELECT pg_advisory_unlock_all()").unwrap();
    }
    assert_eq!(text(&mut admin, &states), "running orphaned");
    assert_eq!(stuck.let_go(), "succeeded");
    assert_eq!(end_of(&mut admin, orphan), "succeeded");
    drop(stranger);
}

/// Any role can lock the extension: as an object that a function of its own depends on.
#[test]
fn the_extension_that_a_stranger_has_locked_stops_no_job() {
    let cluster = world();
    let mut stranger = cluster.connect_to("postgres", "stranger");
    let lock = "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
        BEGIN; ALTER FUNCTION pg_temp.mine() DEPENDS ON EXTENSION lumina";
    stranger.batch_execute(lock).unwrap();
    let mut owner = cluster.connect_to("postgres", "owner");
    let job = submit(&mut owner, "holiday");
    let wait = format!("SET statement_timeout = '15s'; CALL lumina.wait_for_job({job})");
    let waited = owner.batch_execute(&wait).map_err(|error| told(&error));
    assert_eq!(waited, Ok(()), "job {job} waits for a stranger's transaction");
}

/// Rights are checked when a job is claimed, and when it continues: groups are never replaced by what a role without
/// rights sees, which is nothing.
#[test]
fn a_right_that_goes_while_a_job_runs() {
    let cluster = world_with(&ONE_SEARCH);
    let before = shown(&cluster);
    assert_eq!(before, "job 1: 2 groups");
    let stuck = Stuck::new(&cluster, "curator");
    cluster.connect().batch_execute("SELECT lumina.revoke_catalog('holiday', 'curator', 'curate')").unwrap();
    assert_eq!((stuck.let_go().as_str(), shown(&cluster)), ("failed permission_denied", before));
}

#[test]
fn a_role_that_goes_while_its_job_runs() {
    let cluster = world_with(&ONE_SEARCH);
    let before = shown(&cluster);
    let stuck = Stuck::new(&cluster, "curator");
    cluster.connect().batch_execute("DROP ROLE curator").unwrap();
    assert_eq!((stuck.let_go().as_str(), shown(&cluster)), ("failed role_missing", before));
}

#[test]
fn rights_and_roles_that_go_before_a_job_begins() {
    for (change, expected) in [
        ("SELECT lumina.revoke_catalog('holiday', 'curator', 'curate')", "failed permission_denied"),
        ("DROP ROLE curator", "failed role_missing"),
        ("ALTER ROLE curator RENAME TO steward", "succeeded"),
        ("SELECT lumina.revoke_catalog('holiday', 'family', 'curate')", "succeeded"),
    ] {
        let cluster = world();
        let mut admin = cluster.connect();
        let job = park(&cluster, "holiday");
        admin.batch_execute(change).unwrap();
        admin.batch_execute("SELECT lumina.resume_jobs()").unwrap();
        assert_eq!(end_of(&mut admin, job), expected, "{change}");
        let of = if expected == "succeeded" { job } else { 1 };
        assert_eq!(shown(&cluster), format!("job {of}: 2 groups"), "{change}");
    }
}

#[test]
fn catalogs_of_roles_that_are_gone() {
    let cluster = world();
    let mut admin = cluster.connect();
    let mut left = cluster.connect_to("postgres", "owner"); // a session that goes on
    admin.batch_execute("DROP OWNED BY owner; DROP ROLE owner").unwrap();
    let mut others: Vec<Client> =
        ["curator", "reader", "stranger"].iter().map(|role| cluster.connect_to("postgres", role)).collect();
    let mut each =
        |statement: &str| others.iter_mut().map(|session| outcome(session, statement)).collect::<Vec<_>>().join(" ");
    let own = "SELECT lumina.grant_catalog('holiday', 'stranger', 'read')";
    assert_eq!(each("SELECT FROM lumina.images"), "ok ok none");
    assert_eq!(each(own), "42501 42501 42704");
    assert_eq!(each("SELECT lumina.drop_catalog('holiday')"), "42501 42501 42704");
    assert_eq!(outcome(&mut left, "SELECT FROM lumina.images"), "none");
    assert_eq!(outcome(&mut left, own), "42704");
    assert_eq!(outcome(&mut left, "SELECT lumina.detect_duplicates('holiday')"), "42704");
    assert_eq!(outcome(&mut admin, own), "ok");
    assert_eq!(outcome(&mut admin, "SELECT lumina.drop_catalog('holiday')"), "ok");
}

#[test]
fn a_role_that_is_gone_makes_nothing() {
    let cluster = world();
    let mut admin = cluster.connect();
    admin.batch_execute("GRANT EXECUTE ON FUNCTION lumina.create_catalog, lumina.stop_workers TO family").unwrap();
    let mut member = cluster.connect_to("postgres", "member");
    assert_eq!(outcome(&mut member, "SELECT lumina.create_catalog('mine')"), "ok");
    member.batch_execute("SELECT lumina.stop_workers()").unwrap();
    assert_eq!(outcome(&mut cluster.connect_to("postgres", "idle"), "SELECT lumina.resume_jobs()"), "42501");
    assert_eq!(outcome(&mut member, "SELECT lumina.resume_jobs()"), "ok");
    admin.batch_execute("DROP ROLE member").unwrap();
    for statement in [
        "SELECT lumina.create_catalog('mine')",
        "SELECT lumina.detect_duplicates('trip')",
        "SELECT lumina.resume_jobs()",
    ] {
        let answer = outcome(&mut member, statement);
        assert!(answer.starts_with("42"), "{statement}: {answer}");
    }
    assert_eq!(outcome(&mut member, "SELECT FROM lumina.catalogs"), "none");
    assert_eq!(outcome(&mut admin, "SELECT lumina.resume_jobs()"), "ok");
}

#[test]
fn functions_and_views_of_others_have_the_rights_of_their_owners() {
    let cluster = world();
    let mut admin = cluster.connect();
    admin
        .batch_execute(
            "CREATE SCHEMA ours AUTHORIZATION owner; CREATE TABLE photos (n int); GRANT ALL ON photos TO PUBLIC",
        )
        .unwrap();
    let objects = "GRANT USAGE ON SCHEMA @ TO PUBLIC;
        CREATE FUNCTION @.search() RETURNS int8 LANGUAGE sql SECURITY DEFINER
            AS $$SELECT lumina.detect_duplicates('trip')$$;
        CREATE FUNCTION @.counted() RETURNS int8 LANGUAGE sql SECURITY DEFINER
            AS $$SELECT count(*) FROM lumina.images$$;
        CREATE FUNCTION @.searched() RETURNS int8 LANGUAGE sql AS $$SELECT lumina.detect_duplicates('trip')$$;
        CREATE VIEW @.seen AS SELECT * FROM lumina.images; GRANT SELECT ON @.seen TO PUBLIC";
    let mut owner = cluster.connect_to("postgres", "owner");
    let mut stranger = cluster.connect_to("postgres", "stranger");
    owner.batch_execute(&objects.replace('@', "ours")).unwrap();
    stranger.batch_execute(&objects.replace('@', "theirs")).unwrap();

    // The owner, through the stranger's objects.
    assert_eq!(outcome(&mut owner, "SELECT theirs.search()"), "42704");
    assert_eq!(text(&mut owner, "SELECT theirs.counted()::text"), "0");
    // The view lends no rights, and takes none away.
    assert_eq!(text(&mut owner, "SELECT count(*)::text FROM theirs.seen"), "6");
    assert_eq!(text(&mut admin, "SELECT theirs.counted()::text"), "0");
    assert_eq!(outcome(&mut admin, "SELECT theirs.search()"), "42704");
    // The stranger, through the owner's objects: a function lends its rights, the job is the owner's.
    assert_eq!(text(&mut stranger, "SELECT ours.counted()::text"), "6");
    assert_eq!(text(&mut stranger, "SELECT count(*)::text FROM ours.seen"), "0");
    assert_eq!(outcome(&mut stranger, "SELECT ours.searched()"), "42704");
    let job = text(&mut stranger, "SELECT ours.search()::text");
    assert_eq!(text(&mut admin, &format!("SELECT owner::text FROM lumina.jobs WHERE id = {job}")), "owner");
    for call in ["CALL lumina.wait_for_job", "SELECT lumina.cancel_job", "SELECT lumina.retry_job"] {
        assert_eq!(outcome(&mut stranger, &format!("{call}({job})")), "42704", "{call}");
    }
    assert_eq!(end_of(&mut admin, job.parse().unwrap()), "succeeded");

    // The current role counts: neither the session's, nor that of an earlier run of the same plan.
    let mut idle = cluster.connect_to("postgres", "idle");
    idle.batch_execute("SET ROLE family").unwrap();
    let job = submit(&mut idle, "trip");
    assert_eq!(text(&mut admin, &format!("SELECT owner::text FROM lumina.jobs WHERE id = {job}")), "family");
    assert_eq!(end_of(&mut admin, job), "succeeded");
    let images = admin.prepare("SELECT count(*)::text FROM lumina.images").unwrap();
    let rights = admin.prepare("SELECT lumina.readable_catalogs()::text FROM generate_series(1, 2)").unwrap();
    let mut read = |role: &str| -> (String, String) {
        admin.batch_execute(&format!("RESET ROLE; SET ROLE {role}")).unwrap();
        (admin.query_one(&images, &[]).unwrap().get(0), admin.query(&rights, &[]).unwrap()[1].get(0))
    };
    for _ in 0..7 {
        assert_eq!(read("reader"), ("6".into(), "{1,2}".into()));
        assert_eq!(read("stranger"), ("0".into(), "{}".into()));
        assert_eq!(read("postgres"), ("6".into(), "{1,2}".into()));
    }
    admin.batch_execute("RESET ROLE; SET ROLE reader").unwrap();
    assert_eq!(outcome(&mut admin, "SELECT lumina.detect_duplicates('trip')"), "42501");
    admin.batch_execute("RESET ROLE; SET SESSION AUTHORIZATION stranger").unwrap();
    assert_eq!(outcome(&mut admin, "SELECT lumina.detect_duplicates('trip')"), "42704");
}

/// Leaky conditions see no hidden row.
#[test]
fn conditions_see_no_hidden_rows() {
    let cluster = world();
    let mut stranger = cluster.connect_to("postgres", "stranger");
    let leak = "CREATE TABLE theirs.leaked (what text);
        CREATE FUNCTION theirs.leak(text) RETURNS bool LANGUAGE plpgsql COST 0.000001 AS $$
        BEGIN INSERT INTO theirs.leaked VALUES ($1); RETURN true; END $$;
        CREATE OPERATOR theirs.~~~ (PROCEDURE = theirs.leak, RIGHTARG = text)";
    stranger.batch_execute(leak).unwrap();
    for (table, column) in [
        ("catalogs", "name"),
        ("catalog_grants", "role"),
        ("sources", "path"),
        ("images", "sha256::text"),
        ("image_files", "path"),
        ("jobs", "owner"),
        ("job_progress", "catalog"),
        ("duplicate_runs", "rule::text"),
        ("duplicate_members", "image::text"),
        ("image_duplicates", "path"),
        ("duplicate_statistics", "catalog"),
    ] {
        for statement in [
            format!("SELECT FROM lumina.{table} WHERE theirs.leak({column})"),
            format!("SELECT FROM lumina.{table} WHERE OPERATOR(theirs.~~~) {column}"),
            format!("SELECT FROM lumina.{table} WHERE length({column}) / 0 > 0"), // would fail with the first row
        ] {
            stranger.batch_execute(&statement).unwrap_or_else(|error| panic!("{statement}: {:?}", told(&error)));
        }
    }
    // Nor do other ways to read.
    cluster.connect().batch_execute("ANALYZE").unwrap();
    let statistics = "SELECT FROM pg_stats WHERE schemaname = 'lumina' AND tablename <> 'workers_stopped'";
    assert_eq!(outcome(&mut stranger, statistics), "none");
    let mut copied = String::new();
    stranger.copy_out("COPY lumina.images TO STDOUT").unwrap().read_to_string(&mut copied).unwrap();
    assert_eq!(copied, "");
    stranger.batch_execute("SET row_security = off").unwrap();
    assert_eq!(outcome(&mut stranger, "SELECT FROM lumina.images"), "42501");
    assert_eq!(outcome(&mut stranger, "SELECT FROM lumina.duplicates('holiday')"), "42704");
    assert_eq!(outcome(&mut stranger, "SELECT lumina.detect_duplicates('holiday')"), "42704");
    stranger.batch_execute("RESET row_security").unwrap();
    let leaked = "SELECT string_agg(DISTINCT what, ' ') FROM theirs.leaked";
    assert_eq!(text(&mut stranger, leaked), "");
    cluster.connect().batch_execute("SELECT lumina.grant_catalog('trip', 'stranger', 'read')").unwrap();
    stranger.batch_execute("SELECT FROM lumina.catalogs WHERE theirs.leak(name)").unwrap();
    assert_eq!(text(&mut stranger, leaked), "trip", "the condition does not leak what may be seen");
}

/// A stranger's functions, operators, types and tables with the names of the real ones, before them in the search_path
/// of the caller, of the database, and of the workers.
const TRAPS: &str = "
    CREATE TABLE theirs.stolen (by text);
    GRANT USAGE ON SCHEMA theirs TO PUBLIC; GRANT INSERT ON theirs.stolen TO PUBLIC;
    DO $do$
    DECLARE
        body text := 'LANGUAGE plpgsql SET search_path = pg_catalog AS $f$ BEGIN '
            'INSERT INTO theirs.stolen VALUES (current_user); RETURN %s; END $f$';
        t text;
        op text;
    BEGIN
        FOR t IN SELECT unnest(ARRAY['text', 'int8', 'int4', 'oid', 'name', 'bool', 'float8', 'jsonb',
                'lumina.job_state', 'lumina.access_right', 'timestamptz']) LOOP
            EXECUTE format('CREATE FUNCTION theirs.compare(%1$s, %1$s) RETURNS bool ' || format(body, 'true'), t);
            FOR op IN SELECT unnest(ARRAY['=', '<>', '<', '>', '<=', '>=']) LOOP
                EXECUTE format('CREATE OPERATOR theirs.%1$s (PROCEDURE = theirs.compare, '
                    'LEFTARG = %2$s, RIGHTARG = %2$s)', op, t);
            END LOOP;
        END LOOP;
        FOR t IN SELECT unnest(ARRAY['format(text, VARIADIC text[])', 'btrim(text)', 'length(text)',
                'pg_get_userbyid(oid)', 'current_setting(text)', 'lower(text)', 'rpad(text, int4, text)',
                'left(text, int4)', 'pg_size_pretty(int8)', 'set_config(text, text, bool)']) LOOP
            EXECUTE 'CREATE FUNCTION theirs.' || t || ' RETURNS text ' || format(body, quote_literal('x'));
        END LOOP;
        FOR t IN SELECT unnest(ARRAY['now()', 'clock_timestamp()', 'date_trunc(text, timestamptz)']) LOOP
            EXECUTE 'CREATE FUNCTION theirs.' || t || ' RETURNS timestamptz ' || format(body, 'pg_catalog.now()');
        END LOOP;
        FOR t IN SELECT unnest(ARRAY['pg_is_in_recovery()', 'pg_has_role(oid, oid, text)', 'readable_catalogs()',
                'is_job_kind(text)']) LOOP
            EXECUTE 'CREATE FUNCTION theirs.' || t || ' RETURNS bool ' || format(body, 'true');
        END LOOP;
    END $do$;
    CREATE TYPE theirs.int8 AS ENUM ('trap'); CREATE TYPE theirs.float8 AS ENUM ('trap');
    CREATE TYPE theirs.text AS ENUM ('trap');
    CREATE TABLE theirs.jobs (id int8); CREATE TABLE theirs.catalogs (id int8);
    CREATE TABLE theirs.job_progress (job int8);
    CREATE TABLE theirs.pg_roles (oid oid); CREATE TABLE theirs.pg_extension (oid oid)";

#[test]
fn objects_of_the_same_names_are_not_taken_for_ours() {
    let cluster = world();
    let mut admin = cluster.connect();
    cluster.connect_to("postgres", "stranger").batch_execute(TRAPS).unwrap();
    let failed = made_job(&cluster, "trip", "cancelled");
    let path = "pg_temp, theirs, lumina, public, pg_catalog";
    // No statement here uses an operator or a function itself: what falls into a trap is the extension's.
    admin.batch_execute(&format!("ALTER DATABASE postgres SET search_path = {path}")).unwrap();
    let mut session = cluster.connect_to("postgres", "reader");
    session.batch_execute("SELECT 1::pg_catalog.int8 = 2::pg_catalog.int8, now()").unwrap();
    let stolen = "SELECT string_agg(by, ' ') FROM theirs.stolen";
    assert_eq!(text(&mut admin, stolen), "reader reader", "the traps do not work");
    admin.batch_execute("TRUNCATE theirs.stolen").unwrap();
    for role in ["owner", "postgres"] {
        let mut session = cluster.connect_to("postgres", role);
        let temporary = "CREATE TEMP TABLE jobs (id pg_catalog.int8); CREATE TEMP TABLE catalogs (id pg_catalog.int8);
            CREATE TEMP TABLE job_progress (job pg_catalog.int8); CREATE TEMP TABLE pg_roles (oid pg_catalog.oid)";
        session.batch_execute(temporary).unwrap();
        let job = text(&mut admin, "SELECT (max(id) + 1)::text FROM lumina.jobs");
        for statement in [
            &format!("SELECT lumina.create_catalog('of {role}')"),
            &format!("SELECT lumina.grant_catalog('of {role}', 'reader', 'read')"),
            &format!("SELECT lumina.revoke_catalog('of {role}', 'reader', 'read')"),
            &format!("SELECT lumina.drop_catalog('of {role}')"),
            "SELECT lumina.detect_duplicates('holiday')",
            &format!("CALL lumina.wait_for_job({job})"),
            &format!("BEGIN; SELECT lumina.retry_job({failed}); ROLLBACK"),
            "SELECT lumina.cancel_job(1)",
            "SELECT lumina.adopt_catalog('holiday')",
            "SELECT lumina.resume_jobs()",
            "SELECT * FROM lumina.duplicates('holiday')",
            "TABLE lumina.job_progress",
            "TABLE lumina.image_duplicates",
            "TABLE lumina.duplicate_statistics",
            "TABLE lumina.job_cancellations",
            "SELECT lumina.detect_duplicates('holiday', rule => '[{\"dhash\": 3}]')",
        ] {
            session.batch_execute(statement).unwrap_or_else(|error| panic!("{role}: {statement}: {:?}", told(&error)));
            assert_eq!(text(&mut admin, stolen), "", "{role}: {statement}");
        }
        wait_until("jobs end", || {
            text(&mut admin, "SELECT count(*)::text FROM lumina.jobs WHERE ended_at IS NULL") == "0"
        });
    }
    assert_eq!(text(&mut admin, "SELECT count(*)::text FROM lumina.jobs WHERE state = 'failed'"), "0");
    assert_eq!(text(&mut admin, stolen), "");
    assert_eq!(text(&mut admin, "SELECT count(*)::text FROM theirs.jobs"), "0");
}
