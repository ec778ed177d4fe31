//! Roles with different rights to two catalogs, a job of each state, and the outcomes of each role's statements.

use lumina_cluster::Cluster;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::postgres::{Client, Error};

/// The roles of the tables: its owner; roles granted `curate`, `import`, `read`; an inheriting member of a group that
/// was granted `curate`, and one that does not inherit; a role with nothing; a superuser.
pub(crate) const ROLES: [&str; 8] =
    ["owner", "curator", "importer", "reader", "member", "idle", "stranger", "postgres"];

/// Makes the roles, and the catalogs `holiday` and `trip`, each with three images: one pair that is near, one picture
/// in two places.
const SETUP: &str = "
    CREATE EXTENSION lumina;
    CREATE ROLE owner LOGIN; CREATE ROLE curator LOGIN; CREATE ROLE importer LOGIN; CREATE ROLE reader LOGIN;
    CREATE ROLE stranger LOGIN;
    CREATE ROLE family; CREATE ROLE member LOGIN INHERIT IN ROLE family;
    CREATE ROLE idle LOGIN NOINHERIT IN ROLE family;
    GRANT EXECUTE ON FUNCTION lumina.create_catalog TO owner;
    CREATE SCHEMA theirs AUTHORIZATION stranger;
    SET ROLE owner;
    SELECT lumina.create_catalog(name), lumina.grant_catalog(name, 'curator', 'curate'),
        lumina.grant_catalog(name, 'importer', 'import'),
        lumina.grant_catalog(name, 'reader', 'read'), lumina.grant_catalog(name, 'family', 'curate')
        FROM unnest(ARRAY['holiday', 'trip']) name;
    RESET ROLE;
    INSERT INTO lumina.images (catalog, sha256, size, format, ahash, dhash, dct, pdq, hash_valid)
        SELECT c.id, sha256(convert_to(h, 'UTF8')), 1000, 'jpeg', h::phash, h::phash, h::phash,
            repeat(h, 4)::phash, true
        FROM lumina.catalogs c, unnest(ARRAY['0123456789abcdef', '0123456789abcdee', 'fedcba9876543210']) h
        ORDER BY c.id, h;
    INSERT INTO lumina.image_files (catalog, image, path, original_path)
        SELECT catalog, id, p.path, p.path FROM lumina.images,
            LATERAL (SELECT format('/private/%s-%s', id, copy) AS path
                FROM generate_series(1, 1 + (id % 3 = 0)::int) copy) p;
    INSERT INTO lumina.sources (catalog, path, name) SELECT id, '/private', name FROM lumina.catalogs;
    -- a search that waits for a lock holds its place among the searches
    CREATE TABLE held AS SELECT id, id::int8::phash AS h FROM generate_series(1, 20000) id";

/// A job as a row: its home is this database, taken from the job that has run here.
const JOB: &str = "INSERT INTO lumina.jobs (kind, catalog, parameters, owner, state, attempts, token, worker_pid,
        error_code, error_sqlstate, error, ended_at, system_identifier, database, timeline, directory)
    SELECT 'detect_duplicates', (SELECT id FROM lumina.catalogs WHERE name = $1), parameters, 'curator',
        $2::text::lumina.job_state, 1, CASE $2 WHEN 'running' THEN gen_random_uuid() END,
        CASE $2 WHEN 'running' THEN 1 END, CASE $2 WHEN 'cancelled' THEN 'cancelled' END,
        CASE $2 WHEN 'cancelled' THEN '57014' END, CASE $2 WHEN 'cancelled' THEN 'by hand' END,
        CASE $2 WHEN 'cancelled' THEN now() END, system_identifier, database, timeline, directory
    FROM lumina.jobs WHERE id = 1 RETURNING id";

/// A server with the roles and catalogs; the groups of `holiday` were made by the curator's job 1.
pub(crate) fn world() -> Cluster {
    world_with(&[])
}

/// [`world`] with settings.
pub(crate) fn world_with(settings: &[(&str, &str)]) -> Cluster {
    let cluster = Cluster::start_with(settings);
    cluster.connect().batch_execute(SETUP).expect("the setup");
    let mut curator = cluster.connect_to("postgres", "curator");
    assert_eq!(submit(&mut curator, "holiday"), 1);
    curator.batch_execute("CALL lumina.wait_for_job(1)").expect("job 1 succeeds");
    cluster
}

/// Stops the workers as the superuser, and returns a waiting job of the curator.
pub(crate) fn park(cluster: &Cluster, catalog: &str) -> i64 {
    cluster.connect().batch_execute("SELECT lumina.stop_workers()").expect("workers stop");
    submit(&mut cluster.connect_to("postgres", "curator"), catalog)
}

/// A job of the curator's in a state, as a row.
pub(crate) fn made_job(cluster: &Cluster, catalog: &str, state: &str) -> i64 {
    cluster.connect().query_one(JOB, &[&catalog, &state]).expect("a job").get(0)
}

/// Submits a search for duplicates.
pub(crate) fn submit(session: &mut Client, catalog: &str) -> i64 {
    session.query_one("SELECT lumina.detect_duplicates($1)", &[&catalog]).expect("a job").get(0)
}

/// One value.
pub(crate) fn text(session: &mut Client, statement: &str) -> String {
    let row = session.query_one(statement, &[]).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

/// The SQLSTATE and the text of an error.
pub(crate) fn told(error: &Error) -> (String, String) {
    let Some(error) = error.as_db_error() else { panic!("the session is gone: {error}") };
    let parts = [Some(error.message()), error.detail(), error.hint()];
    (error.code().code().to_owned(), parts.into_iter().flatten().collect::<Vec<_>>().join(" / "))
}

/// The outcome of a statement, which is rolled back: `ok`, `none` for a query without rows, or the SQLSTATE of its
/// error.
pub(crate) fn outcome(session: &mut Client, statement: &str) -> String {
    let mut transaction = session.transaction().expect("BEGIN");
    match transaction.query(statement, &[]) {
        Ok(rows) if rows.is_empty() && statement.starts_with("SELECT") => "none".into(),
        Ok(_) => "ok".into(),
        Err(error) => told(&error).0,
    }
}

/// A job of `holiday` that has been claimed and does not progress: on a server with `lumina.concurrent_searches` = 1,
/// whose only place another search holds until it is released.
pub(crate) struct Stuck {
    gate: Client,
    search: Option<std::thread::JoinHandle<()>>,
    pub(crate) job: i64,
}

impl Stuck {
    pub(crate) fn new(cluster: &Cluster, role: &str) -> Self {
        let mut gate = cluster.connect();
        gate.batch_execute("SELECT pg_advisory_lock(77)").expect("a lock");
        let mut session = cluster.connect();
        let search = std::thread::spawn(move || {
            // It has read more than work_mem by then, and so holds the place.
            let held = "SELECT * FROM phash_pairs('TABLE held UNION ALL
                SELECT 0, phash ''0000000000000000'' FROM pg_advisory_lock_shared(77)', 0)";
            session.batch_execute("SET work_mem = '64kB'").expect("a setting");
            session.batch_execute(held).expect("the search ends");
        });
        wait_until("the search waits", || {
            text(&mut gate, "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == "1"
        });
        let job = submit(&mut cluster.connect_to("postgres", role), "holiday");
        let state = format!("SELECT state FROM lumina.job_progress WHERE job = {job}");
        wait_until("the job runs", || text(&mut gate, &state) == "running");
        Stuck { gate, search: Some(search), job }
    }

    /// Lets the job continue; returns its final state, with the error's code.
    pub(crate) fn let_go(mut self) -> String {
        self.gate.batch_execute("SELECT pg_advisory_unlock(77)").expect("a lock is given back");
        if let Some(search) = self.search.take() {
            search.join().expect("the search ends");
        }
        end_of(&mut self.gate, self.job)
    }
}

/// The state of a job at its end, with the code of its error.
pub(crate) fn end_of(session: &mut Client, job: i64) -> String {
    let ended = format!("SELECT (ended_at IS NOT NULL)::text FROM lumina.jobs WHERE id = {job}");
    wait_until("the job ends", || text(session, &ended) == "true");
    text(session, &format!("SELECT concat_ws(' ', state, error_code) FROM lumina.jobs WHERE id = {job}"))
}
