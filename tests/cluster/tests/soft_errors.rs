//! Errors of input as values: Postgres 16's `pg_input_is_valid` and `pg_input_error_info`, 17's COPY that skips bad
//! rows and JSON_VALUE's ON ERROR.
//!
//! The oracle is the error that a cast raises: the soft error has the same text.

use lumina_cluster::Cluster;
use lumina_cluster::postgres::Client;
use lumina_cluster::report::say;
use std::io::Write;

const VALID: [(&str, &str); 5] = [
    ("c3a1f0e00f1e3c78", "phash"),
    ("C3A1f0e00f1e3c78", "phash(64)"),
    ("<c3a1f0e00f1e3c78,64>", "phash_ball"),
    ("{ab,NULL,abcd}", "phash[]"),
    ("ab", "narrow"),
];

/// Every failure of our input functions.
const INVALID: [(&str, &str); 14] = [
    ("xyz", "phash"),
    ("", "phash"),
    ("abc", "phash"),
    ("0xab", "phash"),
    ("\\xab", "phash"),
    ("äb", "phash"),
    ("100%s", "phash"),
    ("ab", "phash(64)"),
    ("abcd", "narrow"),
    ("{ab,xyz}", "phash[]"),
    ("<abcd,17>", "phash_ball"),
    ("<abc,1>", "phash_ball"),
    ("abcd,1", "phash_ball"),
    ("<%n%s%n,1>", "phash_ball"),
];

/// A server with the extension, unless it is older than `major`.
fn server_since(major: i32, feature: &str) -> Option<(Cluster, Client)> {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    let version: i32 = session.query_one("SELECT current_setting('server_version_num')::int", &[]).unwrap().get(0);
    if version / 10_000 < major {
        // Not println: the message must be shown even if the tests pass.
        say(&format!("skipped: Postgres {} has no {feature}", version / 10_000));
        return None;
    }
    session.batch_execute("CREATE EXTENSION lumina; CREATE DOMAIN narrow AS phash(8)").unwrap();
    Some((cluster, session))
}

#[test]
fn input_can_be_tried() {
    let Some((_cluster, mut session)) = server_since(16, "pg_input_is_valid") else { return };
    let mut is_valid = |text: &str, of: &str| -> bool {
        session.query_one("SELECT pg_input_is_valid($1, $2)", &[&text, &of]).unwrap().get(0)
    };
    for (text, of) in VALID {
        assert!(is_valid(text, of), "{text} as {of}");
    }
    for (text, of) in INVALID {
        assert!(!is_valid(text, of), "{text} as {of}");
    }
}

#[test]
fn the_error_as_a_value_is_the_error_raised() {
    let Some((_cluster, mut session)) = server_since(16, "pg_input_error_info") else { return };
    for (text, of) in INVALID {
        let raised = session.batch_execute(&format!("SELECT '{text}'::{of}")).unwrap_err();
        let raised = raised.as_db_error().unwrap();
        let info = "SELECT message, detail, hint, sql_error_code FROM pg_input_error_info($1, $2)";
        let value = session.query_one(info, &[&text, &of]).unwrap();
        let part = |index: usize| value.get::<_, Option<String>>(index);
        assert_eq!(part(0).as_deref(), Some(raised.message()), "{text} as {of}");
        assert_eq!(part(1).as_deref(), raised.detail(), "{text} as {of}");
        assert_eq!(part(2).as_deref(), raised.hint(), "{text} as {of}");
        assert_eq!(part(3).as_deref(), Some(raised.code().code()), "{text} as {of}");
    }
    for (text, of) in VALID {
        let info = "SELECT message IS NULL FROM pg_input_error_info($1, $2)";
        assert!(session.query_one(info, &[&text, &of]).unwrap().get::<_, bool>(0), "{text} as {of}");
    }
}

/// Postgres's error stack is five deep: an unclosed level would show soon.
#[test]
fn many_errors_in_one_statement_leave_nothing_behind() {
    let Some((_cluster, mut session)) = server_since(16, "pg_input_error_info") else { return };
    let count = "SELECT count(*) FROM generate_series(1, 10000) i,
        pg_input_error_info(CASE i % 3 WHEN 0 THEN 'ab' ELSE 'x' || i END, 'phash') WHERE message IS NOT NULL";
    assert_eq!(session.query_one(count, &[]).unwrap().get::<_, i64>(0), 6667);
    let raised = session.batch_execute("SELECT 'xyz'::phash").unwrap_err();
    assert_eq!(raised.as_db_error().unwrap().message(), "invalid input syntax for type phash: \"xyz\"");
    let read: String = session.query_one("SELECT 'AB'::phash::text", &[]).unwrap().get(0);
    assert_eq!(read, "ab");
}

#[test]
fn copy_skips_bad_rows() {
    let Some((_cluster, mut session)) = server_since(17, "COPY with ON_ERROR") else { return };
    session.batch_execute("CREATE TABLE photos (id int, hash phash(64), ball phash_ball)").unwrap();
    let mut copy = session.copy_in("COPY photos FROM STDIN WITH (ON_ERROR ignore)").unwrap();
    for id in 0..10_000 {
        let row = match id % 4 {
            0 => format!("{id}\t{id:016x}\t<{id:016x},5>\n"),
            1 => format!("{id}\t{id:016x}x\t\\N\n"),
            2 => format!("{id}\t{id:04x}\t\\N\n"),
            _ => format!("{id}\t{id:016x}\t<{id:016x},65>\n"),
        };
        copy.write_all(row.as_bytes()).unwrap();
    }
    assert_eq!(copy.finish().unwrap(), 2500);
    let right = "SELECT count(*) FROM photos WHERE id % 4 = 0 AND hash::text = lpad(to_hex(id), 16, '0')
        AND ball::text = phash_ball(hash, 5)::text";
    assert_eq!(session.query_one(right, &[]).unwrap().get::<_, i64>(0), 2500);
}

#[test]
fn json_value_has_a_default() {
    let Some((_cluster, mut session)) = server_since(17, "JSON_VALUE") else { return };
    for (json, expected) in [(r#""AB""#, Some("ab")), (r#""xyz""#, None), ("true", None), (r#""abcd""#, None)] {
        let value = format!("SELECT JSON_VALUE('{json}'::jsonb, '$' RETURNING phash(8) NULL ON ERROR)::text");
        let value: Option<String> = session.query_one(&value, &[]).unwrap().get(0);
        assert_eq!(value.as_deref(), expected, "{json}");
    }
    let raised = session.batch_execute(r#"SELECT JSON_VALUE('"xyz"'::jsonb, '$' RETURNING phash ERROR ON ERROR)"#);
    let raised = raised.unwrap_err();
    assert_eq!(raised.as_db_error().unwrap().message(), "invalid input syntax for type phash: \"xyz\"");
}
