//! The hook on_resolve: called as the owner of the catalog and as nobody else, in the transaction of the decision; its
//! errors undo the decision; it can neither decide nor escalate.

use super::{STATE, group_of, refused, rejected, text, told, world};
use lumina_cluster::Cluster;
use lumina_cluster::postgres::Client;

/// What a hook of the owner's is made of.
const MAKE: &str = "
    CREATE SCHEMA app AUTHORIZATION owner;
    CREATE TABLE app.calls (kept int8, rejected int8, kept_paths text[], rejected_paths text[], role name, path text);
    ALTER TABLE app.calls OWNER TO owner;
    CREATE FUNCTION app.moved(kept int8, rejected int8, kept_paths text[], rejected_paths text[]) RETURNS void
        LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO app.calls VALUES (kept, rejected, kept_paths, rejected_paths, current_user,
            current_setting('search_path'));
    END $$;
    ALTER FUNCTION app.moved OWNER TO owner";

const SET: &str = "SELECT lumina.set_catalog_option('photos', 'on_resolve', '\"app.moved\"')";

/// A world with the hook; a session of the curator's.
fn hooked() -> (Cluster, Client, Client) {
    let (cluster, mut session) = world();
    session.batch_execute(MAKE).unwrap();
    cluster.connect_to("postgres", "owner").batch_execute(SET).unwrap();
    let curator = cluster.connect_to("postgres", "curator");
    (cluster, session, curator)
}

/// Replaces the body of the hook.
fn replace(session: &mut Client, body: &str) {
    session
        .batch_execute(&format!(
            "CREATE OR REPLACE FUNCTION app.moved(kept int8, rejected int8, kept_paths text[], rejected_paths text[])
                RETURNS void LANGUAGE plpgsql AS $hook$ {body} $hook$"
        ))
        .unwrap();
}

fn calls(session: &mut Client) -> String {
    text(
        session,
        "SELECT string_agg(format('%s %s %s %s %s', kept, rejected, array_to_string(kept_paths, '+'),
            array_to_string(rejected_paths, '+'), role), ', ' ORDER BY kept, rejected) FROM app.calls",
    )
}

#[test]
fn it_is_called_once_an_image_as_the_owner() {
    let (_cluster, mut session, mut curator) = hooked();
    let (ten, alone) = (group_of(&mut session, 10), group_of(&mut session, 49));
    curator.batch_execute("CREATE TEMP TABLE calls (x int); SET search_path = pg_temp, public").unwrap();
    curator.batch_execute(&format!("SELECT lumina.keep_best({ten}), lumina.keep_best({alone})")).unwrap();
    let expected = "10 10 /a/1/10.jpg /a/2/10.jpg owner, 10 11 /a/1/10.jpg /a/1/11.jpg owner, \
        10 12 /a/1/10.jpg /a/1/12.jpg owner, 49 49 /a/1/49.jpg /a/2/49.jpg+/a/3/49.jpg owner";
    assert_eq!(calls(&mut session), expected);
    assert_eq!(text(&mut session, "SELECT DISTINCT path FROM app.calls"), "pg_catalog, pg_temp");
    assert_eq!(
        text(&mut curator, "SELECT current_user || ' ' || current_setting('search_path')"),
        "curator pg_temp, public"
    );
    // Nothing is rejected: nothing is called. All at once: the same as one by one. Rolled back with the decision.
    session.batch_execute("SELECT lumina.undo(1), lumina.undo(2); TRUNCATE app.calls").unwrap();
    let one = group_of(&mut session, 1);
    curator.batch_execute(&format!("SELECT lumina.keep_all({one})")).unwrap();
    curator.batch_execute(&format!("BEGIN; SELECT lumina.keep_best({ten}); ROLLBACK")).unwrap();
    assert_eq!(calls(&mut session), "");
    curator.batch_execute("SELECT FROM lumina.keep_best_in_all('photos', dry_run => false)").unwrap();
    assert!(calls(&mut session).contains(&expected[..90]), "{}", calls(&mut session));
    assert_eq!(text(&mut session, "SELECT count(*)::text FROM app.calls"), "33");
}

#[test]
fn its_errors_undo_the_decision_and_name_it() {
    let (_cluster, mut session, mut curator) = hooked();
    let before = text(&mut session, STATE);
    let one = group_of(&mut session, 1);
    replace(
        &mut session,
        "BEGIN IF rejected = 3 THEN RAISE foreign_key_violation USING MESSAGE = 'no album',
        DETAIL = 'Because.', HINT = 'Make one.'; END IF; END",
    );
    for call in [format!("keep_best({one})"), "keep_best_in_all('photos', dry_run => false)".to_owned()] {
        let error = curator.batch_execute(&format!("SELECT lumina.{call}")).unwrap_err();
        assert_eq!(told(&error), "23503 no album");
        let error = error.as_db_error().unwrap();
        assert_eq!(
            error.detail(),
            Some("Because.\nThe hook on_resolve, app.moved, has raised it: nothing was decided.")
        );
        assert_eq!(error.hint(), Some("Make one."));
        assert_eq!(text(&mut session, STATE), before);
    }
    // Caught by the caller: who is who again, and the decision undone.
    curator
        .batch_execute(&format!(
            "DO $$ BEGIN
                BEGIN PERFORM lumina.keep_best({one}); EXCEPTION WHEN foreign_key_violation THEN NULL; END;
                IF current_user <> 'curator' OR current_setting('search_path') = 'pg_catalog, pg_temp' THEN
                    RAISE 'who is %?', current_user;
                END IF;
            END $$"
        ))
        .unwrap();
    assert_eq!(text(&mut session, STATE), before);
    assert_eq!(text(&mut curator, "SELECT current_user::text"), "curator");
    // It drops itself, or the catalog: neither a function that is called once more, nor a decision about nothing.
    for (keep, body, wanted) in [
        ("4", "BEGIN DROP FUNCTION app.moved; END", "42883 function app.moved does not exist any more"),
        (
            "4, 5",
            "BEGIN PERFORM lumina.drop_catalog('photos'); END",
            "55000 the hook on_resolve, app.moved, has removed the catalog that was being decided",
        ),
    ] {
        replace(&mut session, body);
        let two = group_of(&mut session, 4);
        assert_eq!(refused(&mut curator, &format!("SELECT lumina.resolve({two}, ARRAY[{keep}])")), wanted);
        assert_eq!(text(&mut session, STATE), before);
    }
    // It goes on for ever: a cancel ends it.
    replace(&mut session, "BEGIN LOOP PERFORM pg_sleep(0.01); END LOOP; END");
    let told = refused(&mut curator, &format!("SET statement_timeout = '300ms'; SELECT lumina.keep_best({one})"));
    assert!(told.starts_with("57014 "), "{told}");
    assert_eq!(text(&mut session, STATE), before);
}

#[test]
fn it_cannot_decide() {
    let (_cluster, mut session, mut curator) = hooked();
    let (one, two) = (group_of(&mut session, 1), group_of(&mut session, 4));
    curator.batch_execute(&format!("SELECT lumina.keep_all({two})")).unwrap();
    let before = text(&mut session, STATE);
    let three = group_of(&mut session, 7);
    for call in [
        format!("keep_best({three})"),
        format!("resolve({three}, ARRAY[7])"),
        format!("keep_all({three})"),
        format!("split_group({three}, ARRAY[7])"),
        "undo(1)".to_owned(),
        "keep_best_in_all('photos')".to_owned(),
        "set_image_status('photos', ARRAY[20], 'flagged')".to_owned(),
    ] {
        replace(&mut session, &format!("BEGIN PERFORM lumina.{call}; END"));
        let told = refused(&mut curator, &format!("SELECT lumina.keep_best({one})"));
        assert_eq!(told, "55000 a hook cannot decide about duplicates, or undo a decision", "{call}");
        assert_eq!(text(&mut session, STATE), before, "{call}");
    }
    // It may try, and go on; after it everybody decides again.
    replace(&mut session, &format!("BEGIN PERFORM lumina.keep_all({three}); EXCEPTION WHEN OTHERS THEN NULL; END"));
    curator.batch_execute(&format!("SELECT lumina.keep_best({one}); SELECT lumina.keep_best({three})")).unwrap();
    assert_eq!(rejected(&mut session), "2 3 8 9 | -");
}

#[test]
fn it_gets_no_other_rights() {
    let (_cluster, mut session, mut curator) = hooked();
    let one = group_of(&mut session, 1);
    session
        .batch_execute(
            "CREATE TABLE secret (x int); CREATE TABLE app.mine (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
            ALTER TABLE app.mine OWNER TO owner",
        )
        .unwrap();
    for (statement, error) in [
        ("SET ROLE postgres", "42501"),
        ("RESET ROLE", "42501"),
        ("SET SESSION AUTHORIZATION curator", "42501"),
        ("INSERT INTO public.secret VALUES (1)", "42501"),
        ("UPDATE lumina.images SET status = 'active'", "42501"),
        (
            "CREATE TRIGGER mine BEFORE UPDATE ON lumina.images EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "42501",
        ),
        ("ALTER ROLE owner SUPERUSER", "42501"),
        ("CREATE TEMP TABLE t ()", "42501"),
        ("PERFORM lumina_internal.drop_catalog(10, 'photos')", "42501"),
        ("COMMIT", "2D000"),
        // What would run later, with the rights of the caller.
        ("INSERT INTO app.mine VALUES (1), (1)", "42501"),
    ] {
        let made = session.batch_execute(&format!(
            "CREATE OR REPLACE FUNCTION app.moved(kept int8, rejected int8, kept_paths text[], rejected_paths text[])
                RETURNS void LANGUAGE plpgsql AS $hook$ BEGIN {statement}; END $hook$"
        ));
        let told = match made {
            Ok(()) => refused(&mut curator, &format!("SELECT lumina.keep_best({one})")),
            Err(error) => told(&error),
        };
        assert!(told.starts_with(error), "{statement}: {told}");
        assert_eq!(rejected(&mut session), "- | -", "{statement}");
    }
}

#[test]
fn only_a_function_of_the_owners_is_one() {
    let (cluster, mut session, mut curator) = hooked();
    let mut owner = cluster.connect_to("postgres", "owner");
    session
        .batch_execute(
            "CREATE FUNCTION app.theirs(int8, int8, text[], text[]) RETURNS void LANGUAGE sql AS '';
            CREATE FUNCTION app.wrong(int8, int8) RETURNS void LANGUAGE sql AS '';
            CREATE FUNCTION app.many(int8, int8, text[], text[]) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
            CREATE PROCEDURE app.procedure(int8, int8, text[], text[]) LANGUAGE sql AS ''",
        )
        .unwrap();
    for (value, error) in [
        ("\"app.theirs\"", "42501 "),
        ("\"app.wrong\"", "42883 "),
        ("\"app.many\"", "22023 function app.many returns a set"),
        ("\"app.procedure\"", "42883 "),
        ("\"app.nothing\"", "42883 "),
        ("\"moved\"", "22023 "),
        ("\"app.moved(int8)\"", "22023 "),
        ("\"; drop\"", "22023 "),
        ("7", "22023 "),
        ("{}", "22023 "),
    ] {
        let set = format!("SELECT lumina.set_catalog_option('photos', 'on_resolve', '{value}')");
        let told = refused(&mut owner, &set);
        assert!(told.starts_with(error), "{value}: {told}");
    }
    assert!(refused(&mut curator, SET).starts_with("42501 "));
    // Changed since it was set: every decision is refused until there is another, or none.
    let one = group_of(&mut session, 1);
    let keep = format!("SELECT lumina.keep_best({one})");
    session.batch_execute("ALTER FUNCTION app.moved OWNER TO stranger").unwrap();
    assert!(refused(&mut curator, &keep).starts_with("42501 function app.moved does not belong to the owner"));
    session.batch_execute("DROP FUNCTION app.moved").unwrap();
    assert!(refused(&mut curator, &keep).starts_with("42883 "));
    assert_eq!(rejected(&mut session), "- | -");
    owner.batch_execute("SELECT lumina.set_catalog_option('photos', 'on_resolve', NULL)").unwrap();
    curator.batch_execute(&keep).unwrap();
    assert_eq!(rejected(&mut session), "2 3 | -");
}
