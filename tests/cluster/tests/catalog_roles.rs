//! Rights belong to roles, not to their names: roles that are renamed, dropped and recreated, here and in a restored
//! dump.

use super::catalog_security::world::{Stuck, end_of, outcome, park, submit, text, told, world, world_with};
use lumina_cluster::Cluster;
use lumina_cluster::postgres::Client;

const SEEN: &str = "SELECT FROM lumina.images";
const DROP: &str = "SELECT lumina.drop_catalog('holiday')";
const GROUP: &str = "SELECT lumina.detect_duplicates('holiday')";
/// Owners and grants as they are shown.
const HOLDERS: &str = "SELECT string_agg(DISTINCT c.owner::text, ' ') || ': '
        || string_agg(g.role || ' ' || g.access || ' by ' || g.granted_by, ', ' ORDER BY g.role::text)
    FROM lumina.catalogs c JOIN lumina.catalog_grants g ON g.catalog = c.id WHERE c.name = 'holiday'";

/// The outcomes of a role's statements.
fn as_role(cluster: &Cluster, role: &str, statements: &[&str]) -> String {
    let mut session = cluster.connect_to("postgres", role);
    statements.iter().map(|statement| outcome(&mut session, statement)).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_rename_takes_rights_along_and_leaves_none_to_the_name() {
    let cluster = world_with(&[("lumina.concurrent_searches", "1")]);
    let mut admin = cluster.connect();
    let stuck = Stuck::new(&cluster, "curator"); // a job that runs meanwhile
    let mut session = cluster.connect_to("postgres", "owner"); // a session that goes on
    admin
        .batch_execute(
            "ALTER ROLE owner RENAME TO former; ALTER ROLE curator RENAME TO steward; ALTER ROLE family RENAME TO clan;
            CREATE ROLE owner LOGIN; CREATE ROLE curator LOGIN; CREATE ROLE family LOGIN; GRANT family TO stranger",
        )
        .unwrap();
    assert_eq!(outcome(&mut session, DROP), "ok");
    assert_eq!(as_role(&cluster, "former", &[SEEN, DROP]), "ok ok");
    assert_eq!(as_role(&cluster, "steward", &[SEEN, DROP]), "ok 42501");
    assert_eq!(as_role(&cluster, "member", &[SEEN]), "ok");
    for name in ["owner", "curator", "family", "stranger"] {
        assert_eq!(as_role(&cluster, name, &[SEEN, DROP, GROUP]), "none 42704 42704", "{name}");
    }
    assert_eq!(
        text(&mut admin, HOLDERS),
        "former: clan curate by former, importer import by former, reader read by former, steward curate by former"
    );
    let refused = told(&cluster.connect_to("postgres", "reader").batch_execute(DROP).unwrap_err());
    assert!(refused.1.contains("\"former\""), "{refused:?}");
    // The job still belongs to its submitter, the only one of these who can control it.
    let job = stuck.job;
    let cancel = format!("SELECT lumina.cancel_job({job})");
    assert_eq!(as_role(&cluster, "curator", &[&cancel]), "42704");
    assert_eq!(as_role(&cluster, "steward", &[&cancel]), "ok");
    assert_eq!(stuck.let_go(), "succeeded");
    assert_eq!(text(&mut admin, &format!("SELECT owner::text FROM lumina.jobs WHERE id = {job}")), "steward");
}

#[test]
fn a_job_that_waits_is_done_for_a_role_that_was_renamed_and_not_for_a_new_one() {
    for (change, end) in [
        ("ALTER ROLE curator RENAME TO steward; CREATE ROLE curator", "succeeded"),
        (
            "DROP ROLE curator; CREATE ROLE curator; SELECT lumina.grant_catalog('holiday', 'curator', 'curate')",
            "failed role_missing",
        ),
    ] {
        let cluster = world();
        let mut admin = cluster.connect();
        let job = park(&cluster, "holiday");
        admin.batch_execute(change).unwrap();
        admin.batch_execute("SELECT lumina.resume_jobs()").unwrap();
        assert_eq!(end_of(&mut admin, job), end, "{change}");
    }
}

#[test]
fn a_role_of_an_old_name_inherits_nothing() {
    let cluster = world();
    let mut admin = cluster.connect();
    admin.batch_execute("GRANT EXECUTE ON FUNCTION lumina.stop_workers TO reader").unwrap();
    cluster.connect_to("postgres", "reader").batch_execute("SELECT lumina.stop_workers()").unwrap();
    admin
        .batch_execute(
            "DROP OWNED BY owner; DROP ROLE owner; DROP ROLE curator; DROP OWNED BY reader; DROP ROLE reader;
            CREATE ROLE owner LOGIN; CREATE ROLE curator LOGIN; CREATE ROLE reader LOGIN",
        )
        .unwrap();
    for name in ["owner", "curator", "reader"] {
        let all = [SEEN, DROP, GROUP, "SELECT lumina.retry_job(1)", "SELECT lumina.resume_jobs()"];
        assert_eq!(as_role(&cluster, name, &all), "none 42704 42704 42704 42501", "{name}");
    }
    // Others keep their rights, and get a hint.
    assert_eq!(as_role(&cluster, "importer", &[SEEN, DROP]), "ok 42501");
    let refused = told(&cluster.connect_to("postgres", "importer").batch_execute(DROP).unwrap_err());
    assert!(refused.1.contains("reassign_catalog('holiday', ...)"), "{refused:?}");
    // A dropped role is shown as a number, by which it can be removed from the list.
    let gone = text(&mut admin, "SELECT role::text FROM lumina.catalog_grants WHERE catalog = 1 AND access = 'read'");
    assert!(gone.starts_with("unknown (OID="), "{gone}");
    let revoke = |role: &str| format!("SELECT lumina.revoke_catalog('holiday', '{role}', 'read')");
    assert_eq!(outcome(&mut admin, &revoke("reader")), "42704");
    assert_eq!(outcome(&mut admin, &revoke(&gone)), "ok");
    // A superuser gives the catalog to somebody.
    admin.batch_execute("SELECT lumina.reassign_catalog('holiday', 'owner')").unwrap();
    assert_eq!(as_role(&cluster, "owner", &[SEEN, DROP]), "ok ok");
    assert_eq!(as_role(&cluster, "owner", &["SELECT lumina.drop_catalog('trip')"]), "42704");
}

#[test]
fn catalogs_are_given_to_roles_whose_rights_the_giver_has() {
    let cluster = world();
    let mut admin = cluster.connect();
    let give = |role: &str| format!("SELECT lumina.reassign_catalog('holiday', {role})");
    for (role, expected) in [
        ("'stranger'", "42501"),
        ("'nobody'", "42704"),
        ("NULL", "22004"),
        ("'unknown (x)'", "42704"),
        ("'owner'", "ok"),
    ] {
        assert_eq!(as_role(&cluster, "owner", &[&give(role)]), expected, "{role}");
    }
    for (role, expected) in [("curator", "42501"), ("reader", "42501"), ("stranger", "42704")] {
        assert_eq!(as_role(&cluster, role, &[&give(&format!("'{role}'"))]), expected, "{role}");
    }
    admin.batch_execute("GRANT family TO owner").unwrap();
    cluster.connect_to("postgres", "owner").batch_execute(&give("'family'")).unwrap();
    assert_eq!(as_role(&cluster, "member", &[DROP]), "ok");
    admin.batch_execute("REVOKE family FROM owner").unwrap();
    assert_eq!(as_role(&cluster, "owner", &[SEEN, "SELECT lumina.readable_catalog('holiday')"]), "ok 42704");
    // A job of the former owner has the rights of the moment.
    let job = submit(&mut cluster.connect_to("postgres", "member"), "holiday");
    assert_eq!(end_of(&mut admin, job), "succeeded");
}

/// Makes roles until one has this OID: a restored catalog could mistake it for another role.
fn make_role_with_oid(session: &mut Client, name: &str, oid: u32) {
    let make = format!(
        "DO $$ DECLARE made oid; BEGIN
            LOOP
                CREATE ROLE {name} LOGIN;
                SELECT r.oid INTO made FROM pg_roles r WHERE rolname = '{name}';
                EXIT WHEN made = {oid};
                ASSERT made < {oid}::oid, 'the OID is taken';
                DROP ROLE {name};
            END LOOP;
        END $$"
    );
    session.batch_execute(&make).unwrap();
}

#[test]
fn a_dump_is_matched_by_the_names_of_its_moment_and_once() {
    let cluster = world();
    let mut admin = cluster.connect();
    // In the dump: a renamed owner, a role of its old name, a dropped role, one that is missing where it is restored.
    admin
        .batch_execute(
            "ALTER ROLE owner RENAME TO former; CREATE ROLE owner; DROP ROLE reader; CREATE ROLE guest;
            SELECT lumina.grant_catalog('holiday', 'guest', 'read')",
        )
        .unwrap();
    let oid: u32 = text(&mut admin, "SELECT oid::text FROM pg_roles WHERE rolname = 'former'").parse().unwrap();
    let dump = cluster.dump("postgres", &[]);
    let other = Cluster::start();
    let mut admin = other.connect();
    make_role_with_oid(&mut admin, "impostor", oid);
    admin
        .batch_execute(
            "CREATE ROLE former LOGIN; CREATE ROLE owner LOGIN; CREATE ROLE curator LOGIN; CREATE ROLE importer LOGIN;
            CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN; CREATE ROLE family;
            CREATE ROLE member LOGIN IN ROLE family",
        )
        .unwrap();
    other.sql("postgres", &dump);
    assert_eq!(as_role(&other, "former", &[SEEN, DROP]), "ok ok");
    assert_eq!(as_role(&other, "curator", &[SEEN, GROUP, DROP]), "ok ok 42501");
    assert_eq!(as_role(&other, "member", &[SEEN, GROUP]), "ok ok");
    // Roles with the OID of another one there, or with the name of one that was dropped or renamed there.
    for name in ["impostor", "reader", "owner"] {
        assert_eq!(as_role(&other, name, &[SEEN, DROP]), "none 42704", "{name}");
    }
    // From here on the role counts, whatever its name; and a missing role is nobody, even if another one gets the name.
    admin
        .batch_execute("ALTER ROLE former RENAME TO later; CREATE ROLE former LOGIN; CREATE ROLE guest LOGIN")
        .unwrap();
    assert_eq!(as_role(&other, "later", &[SEEN, DROP]), "ok ok");
    for name in ["former", "guest"] {
        assert_eq!(as_role(&other, name, &[SEEN, DROP]), "none 42704", "{name}");
    }
    assert!(text(&mut admin, HOLDERS).contains("unknown (guest) read by postgres"), "{}", text(&mut admin, HOLDERS));
    // A missing role's right can be granted again; and if both are missing, both rows are revoked.
    admin.batch_execute("SELECT lumina.grant_catalog('holiday', 'guest', 'read')").unwrap();
    assert_eq!(as_role(&other, "guest", &[SEEN]), "ok");
    let grants = "SELECT count(*)::text FROM lumina.catalog_grants";
    let before = text(&mut admin, grants);
    let empty = Cluster::start();
    empty.sql("postgres", &format!("CREATE ROLE stranger;{}", other.dump("postgres", &["--no-owner", "--no-acl"])));
    let mut admin = empty.connect();
    assert_eq!(text(&mut admin, grants), before);
    admin.batch_execute("CREATE ROLE later LOGIN; CREATE ROLE guest LOGIN").unwrap();
    assert_eq!(as_role(&empty, "later", &[SEEN]), "none");
    assert_eq!(as_role(&empty, "guest", &[SEEN]), "none");
    admin.batch_execute("SELECT lumina.reassign_catalog('holiday', 'later')").unwrap();
    assert_eq!(as_role(&empty, "later", &[SEEN, DROP]), "ok ok");
}

#[test]
fn copies_keep_who_is_who() {
    let cluster = world();
    let mut admin = cluster.connect();
    admin.batch_execute("ALTER ROLE owner RENAME TO former; CREATE ROLE owner LOGIN").unwrap();
    let copy = cluster.copy();
    assert_eq!(as_role(&copy, "former", &[SEEN, DROP]), "ok ok");
    assert_eq!(as_role(&copy, "owner", &[SEEN, DROP]), "none 42704");
    // A dump into the same cluster is matched by name as any other.
    admin.batch_execute("CREATE DATABASE again").unwrap();
    cluster.sql("again", &cluster.dump("postgres", &[]));
    assert_eq!(outcome(&mut cluster.connect_to("again", "former"), SEEN), "ok");
    assert_eq!(outcome(&mut cluster.connect_to("again", "owner"), SEEN), "none");
}

#[test]
fn roles_are_written_and_read_as_names() {
    let cluster = world();
    let mut admin = cluster.connect();
    for (query, expected) in [
        ("SELECT owner::text FROM lumina.catalogs WHERE id = 1", "owner"),
        ("SELECT name FROM lumina.catalogs WHERE owner = 'owner' AND id = 1", "holiday"),
        ("SELECT count(*)::text FROM lumina.catalogs WHERE owner = current_user", "0"),
        ("SELECT to_jsonb(c)->>'owner' FROM lumina.catalogs c WHERE id = 1", "owner"),
        ("SELECT count(DISTINCT owner)::text FROM lumina.catalogs", "1"),
        ("SELECT lumina_internal.role_oid('nobody')::text", "0"),
        ("SELECT 'nobody'::lumina.role::text", "unknown (nobody)"),
        ("SELECT 'unknown (OID=10)'::lumina.role::text", "unknown (unknown (OID=10))"),
        ("SELECT lumina_internal.role(4000000000)::text", "unknown (OID=4000000000)"),
        ("SELECT lumina_internal.role_oid('postgres')::text", "10"),
    ] {
        assert_eq!(text(&mut admin, query), expected, "{query}");
    }
    // A role whose name is that of a missing one is not taken for it, nor the reverse.
    admin
        .batch_execute("CREATE ROLE \"unknown (x)\" LOGIN; SELECT lumina.reassign_catalog('holiday', 'unknown (x)')")
        .unwrap();
    assert_eq!(as_role(&cluster, "unknown (x)", &[SEEN]), "ok");
    assert!(text(&mut admin, HOLDERS).starts_with("unknown (OID="));
    // In binary, too.
    admin
        .batch_execute("CREATE TEMP TABLE roles (r lumina.role); INSERT INTO roles SELECT owner FROM lumina.catalogs")
        .unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut admin.copy_out("COPY roles TO STDOUT (FORMAT binary)").unwrap(), &mut bytes)
        .unwrap();
    admin.batch_execute("TRUNCATE roles").unwrap();
    let mut copy = admin.copy_in("COPY roles FROM STDIN (FORMAT binary)").unwrap();
    std::io::Write::write_all(&mut copy, &bytes).unwrap();
    copy.finish().unwrap();
    let names = text(&mut admin, "SELECT string_agg(r::text, ', ' ORDER BY r::text) FROM roles");
    assert!(names.starts_with("owner, unknown (unknown (OID="), "{names}");
}
