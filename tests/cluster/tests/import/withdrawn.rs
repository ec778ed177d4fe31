//! An import loses its permission while it runs: it stops with its reason at the next batch; committed work stays.

use super::count;
use lumina_cluster::Cluster;
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::photos::{Folder, jpeg, make_catalog, wrong_counters};
use lumina_cluster::postgres::Client;

/// Files of an import: several batches, of which the first is written long before the last.
const FILES: i64 = 3000;
/// More rows than one batch writes.
const BATCH: i64 = 400;

struct World {
    folder: Folder,
    cluster: Cluster,
    admin: Client,
}

impl World {
    fn new() -> Self {
        let folder = Folder::default();
        let photo = jpeg(1, 400, 300);
        for number in 0..FILES {
            // Each a different content: what follows the end of a picture is ignored.
            folder.put(format!("{number:04}.jpg"), [&photo[..], &number.to_le_bytes()].concat());
        }
        let cluster = Cluster::start_with(&[("lumina.import_roots", "/nowhere")]);
        let mut admin = cluster.connect();
        admin.batch_execute("CREATE EXTENSION lumina; CREATE ROLE importers").unwrap();
        World { folder, cluster, admin }
    }

    /// A role that may import by `right` into a catalog of its name, from `roots`.
    fn role(&mut self, role: &str, right: &str, roots: &str) {
        make_catalog(&mut self.admin, role);
        let folder = self.folder.text();
        let setting = format!("ALTER {roots} SET lumina.import_roots = '{folder}'");
        let made = format!("CREATE ROLE {role} LOGIN");
        let reset = "ALTER DATABASE postgres RESET lumina.import_roots";
        for statement in [&made, right, reset, &setting, "SELECT pg_reload_conf()"] {
            self.admin.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// Submits an import as a role, and waits until some of it is committed; returns the job.
    fn begin(&mut self, role: &str, preview: bool) -> i64 {
        let mut session = self.cluster.connect_to("postgres", role);
        session.query("SELECT lumina.library_version()", &[]).unwrap();
        session.batch_execute("SET lumina.import_threads = 1").unwrap();
        let submit = "SELECT lumina.import($1, $2, preview => $3)";
        let job = session.query_one(submit, &[&role, &self.folder.text(), &preview]).unwrap().get(0);
        wait_until("a batch is committed", || self.written(job) > 0);
        job
    }

    fn written(&mut self, job: i64) -> i64 {
        count(&mut self.admin, &format!("lumina.import_items WHERE job = {job} AND state <> 'found'"))
    }

    /// The outcome of a job: its state, and the code of its error.
    fn end(&mut self, job: i64) -> String {
        wait_for_end(&mut self.admin, job);
        let read = "SELECT concat_ws(' ', state, error_code) FROM lumina.jobs WHERE id = $1";
        self.admin.query_one(read, &[&job]).unwrap().get(0)
    }
}

#[test]
fn an_import_stops_where_what_allows_it_goes() {
    let mut world = World::new();
    let granted = |role: &str| format!("SELECT lumina.grant_catalog('{role}', '{role}', 'import')");
    let member = "SELECT lumina.grant_catalog('member', 'importers', 'import'); GRANT importers TO member";
    let root = "ALTER ROLE root SUPERUSER";
    // Whose import, by which right, from where; whether it is a preview; what is revoked; the error code.
    let cases = [
        (
            "guest",
            &*granted("guest"),
            "SYSTEM",
            false,
            "SELECT lumina.revoke_catalog('guest', 'guest', 'import')",
            "permission_denied",
        ),
        (
            "looker",
            &granted("looker"),
            "SYSTEM",
            true,
            "SELECT lumina.revoke_catalog('looker', 'looker', 'import')",
            "permission_denied",
        ),
        ("member", member, "SYSTEM", false, "REVOKE importers FROM member", "permission_denied"),
        ("root", root, "SYSTEM", false, "ALTER ROLE root NOSUPERUSER", "permission_denied"),
        ("leaver", &granted("leaver"), "SYSTEM", false, "DROP ROLE leaver", "role_missing"),
        ("a", &granted("a"), "ROLE a", false, "ALTER ROLE a SET lumina.import_roots = '/srv'", "path_not_allowed"),
        (
            "b",
            &granted("b"),
            "DATABASE postgres",
            false,
            "ALTER DATABASE postgres SET lumina.import_roots = ''",
            "path_not_allowed",
        ),
        (
            "c",
            &granted("c"),
            "ROLE c IN DATABASE postgres",
            true,
            "ALTER ROLE c IN DATABASE postgres SET lumina.import_roots = ''",
            "path_not_allowed",
        ),
        (
            "d",
            &granted("d"),
            "SYSTEM",
            false,
            "ALTER DATABASE postgres SET lumina.import_roots = '/srv'",
            "path_not_allowed",
        ),
        ("e", &granted("e"), "SYSTEM", false, "ALTER SYSTEM RESET lumina.import_roots", "path_not_allowed"),
    ];
    for (role, right, roots, preview, goes, word) in cases {
        world.role(role, right, roots);
        let job = world.begin(role, preview);
        world.admin.batch_execute(goes).unwrap();
        world.admin.batch_execute("SELECT pg_reload_conf()").unwrap();
        let before = world.written(job);
        assert!(before < FILES, "{goes}: too late, the job was done with {before} files");
        assert_eq!(world.end(job), format!("failed {word}"), "{goes}");
        let after = world.written(job);
        assert!(after >= before && after <= before + BATCH, "{goes}: {before} files then, {after} in the end");
        let expected = if preview { 0 } else { after };
        let rows = count(&mut world.admin, &format!("lumina.image_files WHERE import_job = {job}"));
        assert_eq!(rows, expected, "{goes}: what was committed stays");
    }
}

#[test]
fn an_import_goes_on_where_it_is_allowed_by_something_else() {
    let mut world = World::new();
    world.role("guest", "SELECT lumina.grant_catalog('guest', 'guest', 'import')", "ROLE guest");
    let job = world.begin("guest", false);
    world.admin.batch_execute("ALTER ROLE guest SET lumina.import_roots = '/tmp'; ALTER ROLE guest NOLOGIN").unwrap();
    assert_eq!(world.end(job), "succeeded");
    assert_eq!(wrong_counters(&mut world.admin, job), [""; 0]);
    assert_eq!(count(&mut world.admin, "lumina.image_files"), FILES);
    let attempts = "SELECT attempts FROM lumina.jobs WHERE id = $1";
    assert_eq!(world.admin.query_one(attempts, &[&job]).unwrap().get::<_, i32>(0), 1);
}

/// `ALTER SYSTEM` settings are read from files, which an administrator may just be changing.
#[test]
fn an_import_goes_on_while_the_configuration_cannot_be_read() {
    let mut world = World::new();
    world.role("guest", "SELECT lumina.grant_catalog('guest', 'guest', 'import')", "SYSTEM");
    let job = world.begin("guest", false);
    world.cluster.configure(&[("no setting", "x")]);
    let read = "pg_file_settings WHERE name = 'lumina.import_roots' AND sourcefile LIKE '%auto.conf'";
    assert_eq!(count(&mut world.admin, read), 0, "the files are read to their end");
    assert!(world.written(job) < FILES, "too late");
    assert_eq!(world.end(job), "succeeded");
    assert_eq!(count(&mut world.admin, "lumina.image_files"), FILES);
}
