//! Decisions between any two reads of a search that goes on from the one before.

use super::{GROUPS, number, search, text};
use crate::decisions::{group_of, world};
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::cluster::wait_until;

/// Functions by which a search of what has changed reads: arguments and results.
const READS: [(&str, &str, &str); 6] = [
    ("changed_images", "of_catalog int8, most int8", "int8[]"),
    ("unsettled_groups", "of_catalog int8", "int8[]"),
    ("index_is_cheaper", "of_catalog int8, rule jsonb, images int8[]", "bool"),
    ("near_by_index", "of_catalog int8, rule jsonb, images int8[], with_changes bool", "int8[]"),
    ("groups_of", "of_run int8, images int8[]", "TABLE (group_id int8, members int8[])"),
    ("score_weights", "of_catalog int8", "float8[]"),
];

/// A decision between any two reads of a search: what it has read before is not what there is, and it starts over.
#[test]
fn a_decision_between_two_reads() {
    let (cluster, mut session) = world();
    session
        .batch_execute(
            "CREATE INDEX near ON lumina.images USING hamming (dhash);
            CREATE OR REPLACE FUNCTION lumina_internal.index_is_cheaper(of_catalog int8, rule jsonb, images int8[])
                RETURNS bool LANGUAGE sql RETURN true;
            CREATE TABLE pause AS SELECT 0::int8 AS call;
            CREATE SEQUENCE calls",
        )
        .unwrap();
    // Each call counts, and one of them waits for the test before it reads.
    for (name, arguments, result) in READS {
        let names: Vec<&str> = arguments.split(", ").filter_map(|argument| argument.split(' ').next()).collect();
        let call = format!("SELECT * FROM lumina_internal.really_{name}({})", names.join(", "));
        let (answer, conflict) = match result.strip_prefix("TABLE") {
            Some(_) => (format!("RETURN QUERY {call}"), "#variable_conflict use_column\n"),
            None => (format!("RETURN ({call})"), ""),
        };
        session
            .batch_execute(&format!(
                "ALTER FUNCTION lumina_internal.{name} RENAME TO really_{name};
                CREATE FUNCTION lumina_internal.{name}({arguments}) RETURNS {result}
                    LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
                    {conflict}BEGIN
                    PERFORM pg_advisory_xact_lock(77) FROM pause WHERE call = nextval('calls');
                    {answer}; END $$"
            ))
            .unwrap();
    }
    let mut other = cluster.connect();
    // A group that is formed again, and another one.
    for (image, decision, arguments) in [
        (1, "split_group", ", ARRAY[2]"),
        (1, "keep_best", ""),
        (1, "keep_all", ""),
        (1, "resolve", ", ARRAY[2]"),
        (16, "split_group", ", ARRAY[17]"),
        (16, "keep_best", ""),
    ] {
        let mut call = 1;
        loop {
            let what = format!("{decision} of the group of image {image}, before read {call}");
            other.batch_execute("SELECT pg_advisory_lock(77)").unwrap();
            session
                .batch_execute(&format!(
                    "UPDATE lumina.images SET lens_model = clock_timestamp() WHERE id IN (2, 30);
                    SELECT setval('calls', 1, false); UPDATE pause SET call = {call}"
                ))
                .unwrap();
            let job = number(&mut session, "SELECT lumina.detect_duplicates('photos', 0, scope => 'changes')");
            let mut is_waiting = false;
            wait_until("the job waits or has ended", || {
                let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
                is_waiting = number(&mut session, waits) > 0;
                let state = format!("SELECT state::text FROM lumina.jobs WHERE id = {job}");
                is_waiting || text(&mut session, &state) == "succeeded"
            });
            session.batch_execute("UPDATE pause SET call = 0").unwrap();
            if is_waiting {
                let group = group_of(&mut session, image);
                let decide = format!("SELECT lumina.{decision}({group}{arguments})");
                session.batch_execute(&decide).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            }
            other.batch_execute("SELECT pg_advisory_unlock_all()").unwrap();
            assert_eq!(wait_for_end(&mut session, job), "succeeded", "{what}");
            if !is_waiting {
                break;
            }
            // A group that was decided after it was read goes with the next search.
            let open = GROUPS.replace("GROUP BY", "WHERE g.decision IS NULL GROUP BY");
            let found = text(&mut session, &open);
            search(&mut session, "0, scope => 'changes'");
            let again = text(&mut session, GROUPS);
            search(&mut session, "0, scope => 'all'");
            let wanted = text(&mut session, GROUPS);
            assert_eq!((&found, &again), (&wanted, &wanted), "{what}");
            session.batch_execute("SELECT lumina.undo(max(id)) FROM lumina.duplicate_actions").unwrap();
            search(&mut session, "0, scope => 'changes'");
            call += 1;
        }
        assert!(call > 8, "{decision}: {call} reads");
    }
}
