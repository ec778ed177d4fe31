//! Who may import, and from where: as granted and as configured, at submission and at run time.

use super::count;
use lumina_cluster::Cluster;
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::photos::{Folder, import, jpeg, make_catalog, wait_for_state};
use lumina_cluster::postgres::Client;

/// The outcome of a statement: `ok`, or the SQLSTATE of its error.
fn outcome(session: &mut Client, statement: &str) -> String {
    match session.query(statement, &[]) {
        Ok(_) => "ok".into(),
        Err(error) => error.code().unwrap_or_else(|| panic!("{statement}: {error}")).code().to_owned(),
    }
}

fn submit(session: &mut Client, statement: &str) -> i64 {
    session.query_one(statement, &[]).unwrap_or_else(|error| panic!("{statement}: {error:?}")).get(0)
}

/// The outcome of a job: its state, and the code of its error.
fn end(session: &mut Client, job: i64) -> String {
    wait_for_end(session, job);
    let read = "SELECT concat_ws(' ', state, error_code) FROM lumina.jobs WHERE id = $1";
    session.query_one(read, &[&job]).unwrap().get(0)
}

/// Two directories, and a catalog of a role, to which others have rights.
struct World {
    a: Folder,
    b: Folder,
    cluster: Cluster,
    admin: Client,
}

impl World {
    fn new() -> Self {
        let (a, b) = (Folder::default(), Folder::default());
        a.put("a.jpg", jpeg(1, 100, 80));
        a.put("a.xmp", "");
        b.put("b.jpg", jpeg(2, 100, 80));
        let cluster = Cluster::start();
        let mut admin = cluster.connect();
        make_catalog(&mut admin, "photos");
        admin
            .batch_execute(
                "CREATE ROLE importer LOGIN; CREATE ROLE curator LOGIN; CREATE ROLE reader LOGIN;
                CREATE ROLE stranger LOGIN; CREATE ROLE landlord LOGIN;
                SELECT lumina.grant_catalog('photos', 'importer', 'import'),
                    lumina.grant_catalog('photos', 'curator', 'curate'),
                    lumina.grant_catalog('photos', 'reader', 'read')",
            )
            .unwrap();
        World { a, b, cluster, admin }
    }

    fn connect(&self, role: &str) -> Client {
        self.cluster.connect_to("postgres", role)
    }

    /// The outcome of importing either directory by a role, in a new session.
    fn may(&mut self, role: &str) -> [String; 2] {
        let mut session = self.connect(role);
        [&self.a, &self.b].map(|folder| {
            let statement = format!("SELECT lumina.import('photos', '{}')", folder.text());
            let result = outcome(&mut session, &statement);
            let running = "lumina.jobs WHERE ended_at IS NULL";
            while count(&mut self.admin, running) > 0 {
                std::thread::yield_now();
            }
            result
        })
    }
}

const OK: &str = "ok";
const NO: &str = "42501";

#[test]
fn rights_and_what_others_see() {
    let mut world = World::new();
    world.cluster.configure(&[("lumina.import_roots", "/tmp")]);
    world.cluster.sql("postgres", "SELECT pg_reload_conf()");
    for (role, result) in [("importer", OK), ("curator", NO), ("reader", NO), ("stranger", "42704")] {
        assert_eq!(world.may(role), [result, result], "{role}");
    }
    // So are the rows: visible to all who may read, and to nobody else.
    for table in ["import_items", "sidecars", "sources", "import_items_detail", "import_jobs_summary", "image_files"] {
        for (role, sees) in [("importer", true), ("curator", true), ("reader", true), ("stranger", false)] {
            let rows = count(&mut world.connect(role), &format!("lumina.{table}"));
            assert_eq!(rows > 0, sees, "{role} sees {rows} rows of {table}");
        }
    }
    for statement in [
        "INSERT INTO lumina.sidecars VALUES (1, '/x', 1, 'edit', 0)",
        "UPDATE lumina.import_items SET reason = 'copy'",
        "DELETE FROM lumina.import_items",
        "SELECT lumina_internal.import_batch(1, 1, NULL, '[]', false)",
        "SELECT lumina_internal.import_roots('importer'::regrole)",
        "SELECT lumina_internal.checked_path('/', '/etc')",
        "SELECT lumina_internal.finish_import(1, 1, '/', false)",
        "SELECT lumina_internal.run_import(10, 1)",
    ] {
        assert_eq!(outcome(&mut world.connect("importer"), statement), NO, "{statement}");
    }
    // A right that is revoked between submission and claim, or before the end of the analysis.
    let path = world.a.text().to_owned();
    world.admin.batch_execute("BEGIN; SET LOCAL ROLE importer").unwrap();
    let job = submit(&mut world.admin, &format!("SELECT lumina.import('photos', '{path}')"));
    world
        .admin
        .batch_execute("RESET ROLE; SELECT lumina.revoke_catalog('photos', 'importer', 'import'); COMMIT")
        .unwrap();
    assert_eq!(end(&mut world.admin, job), "failed permission_denied");
    assert_eq!(outcome(&mut world.connect("importer"), &format!("SELECT lumina.retry_job({job})")), "42704");
    assert_eq!(world.may("importer"), ["42704", "42704"]);
}

#[test]
fn roots_are_as_configured() {
    let mut world = World::new();
    let (a, b) = (world.a.text().to_owned(), world.b.text().to_owned());
    assert_eq!(world.may("importer"), [NO, NO], "nothing may be read unless somebody says so");
    assert_eq!(world.may("postgres"), [NO, NO], "by a superuser neither");
    // The server's setting, after a reload; then the database's instead; then the role's; then that of both.
    let everywhere = [
        ("", "SYSTEM", [OK, NO]),
        ("", "DATABASE postgres", [NO, OK]),
        ("", "ROLE importer", [OK, NO]),
        ("", "ROLE importer IN DATABASE postgres", [NO, OK]),
    ];
    for (at, (_, place, expected)) in everywhere.iter().enumerate() {
        let root = if at % 2 == 0 { &a } else { &b };
        world.admin.batch_execute(&format!("ALTER {place} SET lumina.import_roots = '{root}'")).unwrap();
        world.admin.batch_execute("SELECT pg_reload_conf()").unwrap();
        assert_eq!(world.may("importer"), *expected, "{place}");
    }
    assert_eq!(world.may("postgres"), [NO, OK], "those of the database, whatever another role has");
    world.admin.batch_execute("ALTER ROLE importer IN DATABASE postgres SET lumina.import_roots = ''").unwrap();
    assert_eq!(world.may("importer"), [NO, NO], "none are none, and not those of the server");
    for (_, place, _) in everywhere.iter().rev() {
        world.admin.batch_execute(&format!("ALTER {place} RESET lumina.import_roots")).unwrap();
    }
    world.admin.batch_execute("SELECT pg_reload_conf()").unwrap();
    // A session's own setting does not count, even a superuser's.
    world.admin.batch_execute(&format!("SET lumina.import_roots = '{a}'")).unwrap();
    assert_eq!(outcome(&mut world.admin, &format!("SELECT lumina.import('photos', '{a}')")), NO);
    // While the setting is unknown to the server, only a superuser can persist it; in a session it has no effect.
    for statement in [
        "ALTER ROLE importer SET lumina.import_roots = '/'",
        "ALTER ROLE importer IN DATABASE postgres SET lumina.import_roots = '/'",
        "ALTER SYSTEM SET lumina.import_roots = '/'",
    ] {
        let mut importer = world.connect("importer");
        assert_eq!(outcome(&mut importer, statement), NO, "{statement}");
        importer.query("SELECT lumina.library_version()", &[]).unwrap();
        assert_eq!(outcome(&mut importer, statement), NO, "{statement}, with the library loaded");
    }
    world.admin.batch_execute("CREATE DATABASE house OWNER landlord").unwrap();
    for loaded in [false, true] {
        let mut landlord = world.cluster.connect_to("house", "landlord");
        if loaded {
            world.cluster.connect_to("house", "postgres").batch_execute("CREATE EXTENSION lumina").unwrap();
            landlord.query("SELECT lumina.library_version()", &[]).unwrap();
        }
        assert_eq!(
            outcome(&mut landlord, "ALTER DATABASE house SET lumina.import_roots = '/'"),
            NO,
            "loaded: {loaded}"
        );
    }
    let mut importer = world.connect("importer");
    importer.batch_execute("SET lumina.import_roots = '/'").unwrap();
    assert_eq!(outcome(&mut importer, &format!("SELECT lumina.import('photos', '{a}')")), NO);
    assert_eq!(count(&mut world.admin, "lumina.images"), 2);
}

#[test]
fn roots_that_are_taken_away() {
    let mut world = World::new();
    let path = world.a.text().to_owned();
    let statement = format!("SELECT lumina.import('photos', '{path}')");
    world
        .admin
        .batch_execute(&format!("LOAD 'lumina'; ALTER ROLE importer SET lumina.import_roots = '{path}'"))
        .unwrap();
    // Between submission and claim.
    world.admin.batch_execute("BEGIN; SET LOCAL ROLE importer").unwrap();
    let job = submit(&mut world.admin, &statement);
    world.admin.batch_execute("RESET ROLE; ALTER ROLE importer RESET lumina.import_roots; COMMIT").unwrap();
    assert_eq!(end(&mut world.admin, job), "failed path_not_allowed");
    let read = "SELECT error_sqlstate, error, error_hint FROM lumina.jobs WHERE id = $1";
    let row = world.admin.query_one(read, &[&job]).unwrap();
    assert_eq!(row.get::<_, &str>(0), NO);
    assert!(row.get::<_, &str>(1).contains(&path) && row.get::<_, &str>(2).contains("lumina.import_roots"), "{row:?}");
    // Between a preview and its run.
    world.admin.batch_execute(&format!("ALTER ROLE importer SET lumina.import_roots = '{path}'")).unwrap();
    let mut importer = world.connect("importer");
    let job = submit(&mut importer, &format!("SELECT lumina.import('photos', '{path}', preview => true)"));
    wait_for_state(&mut importer, job, "ready");
    world.admin.batch_execute("ALTER ROLE importer RESET lumina.import_roots").unwrap();
    importer.query("SELECT lumina.run_import($1)", &[&job]).unwrap();
    assert_eq!(end(&mut importer, job), "failed path_not_allowed");
    assert_eq!(count(&mut world.admin, "lumina.images"), 0);
    // The submitter's settings count: a superuser that runs it, or a role that may do more, makes no difference.
    world.admin.batch_execute(&format!("ALTER ROLE postgres SET lumina.import_roots = '{path}'")).unwrap();
    let job: i64 = world.admin.query_one("SELECT lumina.retry_job($1)", &[&job]).unwrap().get(0);
    wait_for_state(&mut world.admin, job, "ready");
    let owner: String =
        world.admin.query_one("SELECT owner::text FROM lumina.jobs WHERE id = $1", &[&job]).unwrap().get(0);
    assert_eq!(owner, "postgres", "who tries again submits");
    import(&mut world.admin, "photos", world.a.path());
    assert_eq!(count(&mut world.admin, "lumina.images"), 1);
}

/// A role that may import somewhere may diagnose paths; others do not learn which paths exist.
#[test]
fn paths_are_looked_at_by_who_may_import() {
    let cluster = Cluster::start_with(&[("lumina.import_roots", "/tmp")]);
    let mut admin = cluster.connect();
    admin.batch_execute("CREATE EXTENSION lumina; CREATE ROLE importer LOGIN; CREATE ROLE reader LOGIN").unwrap();
    let look = "SELECT * FROM lumina.check_path('/tmp')";
    assert_eq!(outcome(&mut admin, look), OK, "before there is any catalog");
    make_catalog(&mut admin, "photos");
    admin
        .batch_execute(
            "SELECT lumina.grant_catalog('photos', 'importer', 'import'),
                lumina.grant_catalog('photos', 'reader', 'read')",
        )
        .unwrap();
    for (role, expected) in [("importer", OK), ("reader", NO)] {
        assert_eq!(outcome(&mut cluster.connect_to("postgres", role), look), expected, "{role}");
    }
}
