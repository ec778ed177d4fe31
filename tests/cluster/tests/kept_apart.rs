//! What a search keeps apart: different shots of a burst, and what was called different; over many searches, and in
//! every strategy. Why two images are a pair, or none.

use crate::decisions::{group_of, search_with, world};
use lumina_cluster::postgres::Client;

/// The members of each group, best first.
fn groups(session: &mut Client) -> Vec<Vec<i64>> {
    let query = "SELECT array_agg(m.image ORDER BY m.image) FROM lumina.duplicate_members m
        JOIN lumina.duplicate_runs r ON r.id = m.run AND r.is_current GROUP BY m.group_id ORDER BY 1";
    session.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

fn are_grouped(session: &mut Client, a: i64, b: i64) -> bool {
    groups(session).iter().any(|group| group.contains(&a) && group.contains(&b))
}

/// Outcomes and details of `explain_pair`, by aspect.
fn explained(session: &mut Client, a: i64, b: i64) -> Vec<String> {
    let query = "SELECT concat_ws(': ', aspect, outcome, detail) FROM lumina.explain_pair($1, $2)";
    session.query(query, &[&a, &b]).unwrap().iter().map(|row| row.get(0)).collect()
}

const STRATEGIES: [&str; 3] = ["clique", "star", "component"];

#[test]
fn decisions_stick_over_ten_searches() {
    let (_cluster, mut session) = world();
    let (one, four, seven) = (group_of(&mut session, 1), group_of(&mut session, 4), group_of(&mut session, 7));
    session
        .batch_execute(&format!(
            "SELECT lumina.keep_all({one}); SELECT lumina.split_group({four}, ARRAY[5]);
            SELECT lumina.resolve({seven}, ARRAY[7, 8])"
        ))
        .unwrap();
    for search in 0..10 {
        search_with(&mut session, &format!("strategy => '{}'", STRATEGIES[search % 3]));
        let found = groups(&mut session);
        assert!(!found.iter().any(|group| group.iter().any(|image| *image <= 3)), "search {search}: {found:?}");
        assert!(found.contains(&vec![4, 6]) && !found.iter().any(|group| group.contains(&5)), "{search}: {found:?}");
        assert!(!found.iter().any(|group| group.iter().any(|image| (7..=9).contains(image))), "{search}: {found:?}");
        assert!(found.contains(&vec![10, 11, 12]), "nobody has decided: {found:?}");
    }
    let told = explained(&mut session, 1, 2);
    let decision = "decision: against: keep_all of postgres, action 1, called them different";
    assert!(told.contains(&decision.into()), "{told:?}");
    assert!(told.contains(&"pair: against: no pair: they are near, but kept apart".into()), "{told:?}");
    // The same content, imported once more, is still the same picture.
    session
        .batch_execute(
            "CREATE TEMP TABLE kept AS SELECT * FROM lumina.images WHERE id = 2;
            DELETE FROM lumina.images WHERE id = 2;
            INSERT INTO lumina.images (catalog, sha256, size, format, width, height, captured_at, ahash, dhash, dct,
                    pdq, hash_valid)
                SELECT catalog, sha256, size, format, width, height, captured_at, ahash, dhash, dct, pdq, hash_valid
                FROM kept;
            INSERT INTO lumina.image_files (catalog, image, path, original_path)
                SELECT 1, max(id), '/a/1/2.jpg', '/a/1/2.jpg' FROM lumina.images",
        )
        .unwrap();
    search_with(&mut session, "");
    assert!(!are_grouped(&mut session, 1, 50) && !are_grouped(&mut session, 1, 3));
    // One that resembles them is in a group with one of them, and the other is near.
    session
        .batch_execute(
            "INSERT INTO lumina.images (catalog, sha256, size, format, width, height, ahash, dhash, dct, pdq,
                    hash_valid)
                SELECT 1, sha256('new'), 10, 'jpeg', 60, 30, ahash, dhash, dct, pdq, true FROM lumina.images
                    WHERE id = 1;
            INSERT INTO lumina.image_files (catalog, image, path, original_path)
                SELECT 1, max(id), '/a/new.jpg', '/a/new.jpg' FROM lumina.images",
        )
        .unwrap();
    search_with(&mut session, "");
    assert!(are_grouped(&mut session, 1, 51), "{:?}", groups(&mut session));
    let near = "SELECT also_near FROM lumina.duplicate_groups g JOIN lumina.duplicate_members m ON m.group_id = g.id
        WHERE m.image = 51";
    let near: Vec<i64> = session.query_one(near, &[]).unwrap().get(0);
    assert_eq!(near, [50, 3].into_iter().filter(|image| near.contains(image)).collect::<Vec<_>>());
    assert_eq!(near.len(), 2);
    // Which decision keeps them out is said wherever they are named.
    let group = group_of(&mut session, 51);
    let apart =
        "SELECT string_agg(concat_ws(' ', k.image, k.path, k.action, k.burst), ', ') FROM lumina.kept_apart($1) k";
    let apart: String = session.query_one(apart, &[&group]).unwrap().get(0);
    assert_eq!(apart, "50 /a/1/2.jpg 1, 3 /a/1/3.jpg 1");
    let told = explained(&mut session, 51, 3);
    let why = format!("image 3 is kept out of group {group} by action 1, which concerns another image of the group");
    assert!(told.iter().any(|reason| reason.starts_with("groups: ") && reason.ends_with(&why)), "{told:?}");
    let page: String = session.query_one("SELECT lumina.duplicates_html('photos')", &[]).unwrap().get(0);
    assert!(page.contains("kept apart by decision\u{a0}1"), "{page}");
    // Taken back, they are duplicates again.
    session.batch_execute("SELECT lumina.undo(1)").unwrap();
    search_with(&mut session, "");
    assert!(are_grouped(&mut session, 1, 3));
}

/// What was decided, and what searches make of it: statuses, states of files, what is kept apart, groups.
const DECIDED: &str = "
    SELECT concat_ws(' | ',
        (SELECT string_agg(i.id || ' ' || i.status, ', ' ORDER BY i.id) FROM lumina.images i
            WHERE i.status <> 'active'),
        (SELECT string_agg(f.path, ', ' ORDER BY f.path) FROM lumina.image_files f WHERE f.state <> 'keep'),
        (SELECT count(*) FROM lumina.distinct_images), (SELECT count(*) FROM lumina.distinct_files),
        (SELECT string_agg(row(a.kind, a.actor, a.images, a.files, a.undo_of)::text, ', ' ORDER BY a.id)
            FROM lumina.duplicate_actions a),
        (SELECT string_agg(g.members, ', ' ORDER BY g.members) FROM (
            SELECT string_agg(m.image::text, ' ' ORDER BY m.place) AS members FROM lumina.duplicate_members m
            JOIN lumina.duplicate_groups g ON g.id = m.group_id AND g.decision IS NULL GROUP BY m.group_id) g))";

/// A decision holds in a dump, over searches there, and where all hashes become other ones.
#[test]
fn decisions_survive_a_dump_and_new_hashes() {
    let (cluster, mut session) = world();
    let g = |session: &mut Client, image: i64| group_of(session, image);
    let calls = [
        format!("keep_all({})", g(&mut session, 1)),
        format!("split_group({}, ARRAY[5])", g(&mut session, 4)),
        format!("resolve({}, ARRAY[7, 8])", g(&mut session, 7)),
        format!("keep_best({})", g(&mut session, 10)),
        format!("keep_best({})", g(&mut session, 13)),
        format!("keep_all({})", g(&mut session, 49)),
        "undo(5)".into(),
        "set_image_status('photos', ARRAY[16, 17], 'flagged')".into(),
    ];
    for call in calls {
        session.batch_execute(&format!("SELECT lumina.{call}")).unwrap_or_else(|error| panic!("{call}: {error:?}"));
    }
    search_with(&mut session, "");
    let decided: String = session.query_one(DECIDED, &[]).unwrap().get(0);
    let dump = cluster.dump("postgres", &[]);
    session.batch_execute("CREATE DATABASE restored").unwrap();
    cluster.sql("restored", &dump);
    let mut restored = cluster.connect_to("restored", "postgres");
    assert_eq!(restored.query_one(DECIDED, &[]).unwrap().get::<_, String>(0), decided);
    for scope in ["auto", "all", "auto"] {
        for session in [&mut session, &mut restored] {
            search_with(session, &format!("scope => '{scope}'"));
            assert_eq!(session.query_one(DECIDED, &[]).unwrap().get::<_, String>(0), decided, "{scope}");
        }
        // Other hashes of all images, and each is near those that it was near.
        let rehash = "UPDATE lumina.images i SET ahash = h.h, dhash = h.h, dct = h.h, pdq = repeat(h.h::text, 4)::phash
            FROM (SELECT id, (substr(dhash::text, 2) || left(dhash::text, 1))::phash(64) AS h FROM lumina.images
                WHERE hash_valid) h WHERE h.id = i.id";
        assert_eq!(session.execute(rehash, &[]).unwrap(), 48);
        restored.execute(rehash, &[]).unwrap();
    }
    // It is taken back there as here.
    for session in [&mut session, &mut restored] {
        session.batch_execute("SELECT lumina.undo(1), lumina.undo(4)").unwrap();
        search_with(session, "");
        assert!(are_grouped(session, 1, 3) && are_grouped(session, 10, 12) && !are_grouped(session, 4, 5));
    }
}

#[test]
fn shots_of_a_burst_are_no_duplicates() {
    let (_cluster, mut session) = world();
    // Images 1 to 3, alike in every bit: 1 and 2 are copies of one shot, 3 is another. 4 to 6 are suspects.
    session
        .batch_execute(
            "INSERT INTO lumina.bursts (catalog, frames, shots, started_at, ended_at, best_by, suspect) VALUES
                (1, 3, 2, '2024-05-01 10:00:00.1+00', '2024-05-01 10:00:02+00', 'quality', false),
                (1, 3, 3, '2024-05-01 10:00:00+00', '2024-05-01 10:00:00+00', 'quality', true);
            INSERT INTO lumina.burst_frames (image, burst, catalog, position, shot)
                VALUES (1, 1, 1, 0, 0), (2, 1, 1, 1, 0), (3, 1, 1, 2, 1), (4, 2, 1, 0, NULL), (5, 2, 1, 1, NULL),
                    (6, 2, 1, 2, NULL)",
        )
        .unwrap();
    for strategy in STRATEGIES {
        search_with(&mut session, &format!("strategy => '{strategy}'"));
        let found = groups(&mut session);
        assert!(found.contains(&vec![1, 2]) && !found.iter().any(|group| group.contains(&3)), "{strategy}: {found:?}");
        assert!(found.contains(&vec![4, 5, 6]), "{strategy}: a suspect keeps nothing apart: {found:?}");
        search_with(&mut session, &format!("strategy => '{strategy}', exclude_bursts => false"));
        assert!(groups(&mut session).contains(&vec![1, 2, 3]), "{strategy}");
    }
    search_with(&mut session, "");
    let group = group_of(&mut session, 1);
    session
        .execute("UPDATE lumina.duplicate_groups SET also_near = '{3}', also_near_count = 1 WHERE id = $1", &[&group])
        .unwrap();
    let apart = session.query_one("SELECT image, action, burst FROM lumina.kept_apart($1)", &[&group]).unwrap();
    assert_eq!((apart.get(0), apart.get(1), apart.get(2)), (3i64, None::<i64>, 1i64));
    let told = explained(&mut session, 1, 3);
    assert!(told.contains(&"burst: against: they are different shots of burst 1, 0 and 1".into()), "{told:?}");
}

#[test]
fn pairs_are_explained() {
    let (cluster, mut session) = world();
    session
        .batch_execute(
            "UPDATE lumina.images SET status = 'rejected' WHERE id = 4; UPDATE lumina.images SET hash_valid = false
                WHERE id = 7; UPDATE lumina.image_files SET missing_since = now() WHERE image = 10",
        )
        .unwrap();
    let told = explained(&mut session, 1, 2);
    assert_eq!(told.last().map(String::as_str), Some("groups: info: both are in group 1"));
    assert!(told.contains(&"dhash: info: 0 bits of 64 differ".into()), "{told:?}");
    assert!(
        told.contains(&"rule: for: ahash is 0, and at most 0 is near; dhash is 0, and at most 0 is near".into()),
        "{told:?}"
    );
    assert!(told.contains(&"pair: for: a pair".into()), "{told:?}");
    for (a, b, wanted) in [
        (4, 5, "status: against: image 4 was rejected: it is not compared"),
        (7, 8, "hashes: against: the hashes of image 7 are not to be trusted: the picture is flat"),
        (10, 11, "files: against: image 10 has no file any more"),
        (1, 13, "pair: against: no pair: they are not near by the rule"),
    ] {
        for (a, b) in [(a, b), (b, a)] {
            let told = explained(&mut session, a, b);
            assert!(told.contains(&wanted.into()), "{a} and {b}: {told:?}");
            assert!(told.iter().any(|reason| reason.starts_with("pair: against: no pair: ")), "{told:?}");
        }
    }
    session.batch_execute("SELECT lumina.create_catalog('other')").unwrap();
    session
        .batch_execute("INSERT INTO lumina.images (catalog, sha256, size, format) VALUES (2, sha256('o'), 5, 'gif')")
        .unwrap();
    for (pair, wanted) in [("1, 1", "22023"), ("1, 50", "22023"), ("1, 999", "42704"), ("NULL, 1", "22004")] {
        let error = session.batch_execute(&format!("SELECT * FROM lumina.explain_pair({pair})")).unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some(wanted), "{pair}: {error:?}");
    }
    // Who may not read the catalog is told that there are no such images.
    let mut stranger = cluster.connect_to("postgres", "stranger");
    let error = stranger.batch_execute("SELECT * FROM lumina.explain_pair(1, 2)").unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("42704"));
    for wrong in ["999", "NULL", "1"] {
        let error = stranger.batch_execute(&format!("SELECT * FROM lumina.kept_apart({wrong})")).unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("42704"), "{wrong}");
    }
    let mut reader = cluster.connect_to("postgres", "reader");
    assert!(reader.query("SELECT * FROM lumina.kept_apart(1)", &[]).unwrap().is_empty());
    assert_eq!(explained(&mut reader, 1, 2).last().map(String::as_str), Some("groups: info: both are in group 1"));
}
