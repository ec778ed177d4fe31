//! The best of all groups at once: what is skipped and why, one action, one undo; the default of the gap.

use super::{STATE, group_of, refused, rejected, search_with, text, world};
use lumina_cluster::postgres::Client;

/// What `keep_best_in_all` says of the groups, with the image that is kept: how many are decided, and why others are
/// not.
fn said(session: &mut Client, arguments: &str) -> String {
    let call = format!(
        "SELECT string_agg(format('%s %s', coalesce(skipped, 'decided'), n), ', ' ORDER BY skipped NULLS FIRST)
            FROM (SELECT skipped, count(*) AS n FROM lumina.keep_best_in_all('photos'{arguments}) GROUP BY 1) s"
    );
    text(session, &call)
}

#[test]
fn all_groups_are_one_action_that_one_undo_takes_back() {
    let (_cluster, mut session) = world();
    let before = text(&mut session, STATE);
    // What it says is what keep_best does, group by group.
    let said_of_each = text(
        &mut session,
        "SELECT string_agg(concat_ws(' ', group_id, kept, (SELECT array_agg(r ORDER BY r) FROM unnest(rejected) r),
            rejected_files), ',' ORDER BY group_id) FROM lumina.keep_best_in_all('photos')",
    );
    let done_to_each = text(
        &mut session,
        "SELECT string_agg(concat_ws(' ', g.id, k.kept[1], (SELECT array_agg(r ORDER BY r) FROM unnest(k.rejected) r),
            cardinality(k.rejected_files)), ',' ORDER BY g.id)
        FROM (SELECT id FROM lumina.duplicate_groups ORDER BY id) g, LATERAL lumina.keep_best(g.id) k",
    );
    // An image without others has NULL for an empty list on both sides.
    assert_eq!(said_of_each, done_to_each);
    let one_by_one = rejected(&mut session);
    session
        .batch_execute("SELECT lumina.undo(action) FROM (SELECT action FROM lumina.action_history ORDER BY action) a")
        .unwrap();
    assert_eq!(text(&mut session, STATE), before);
    // A dry run writes nothing, and may in a transaction that must not.
    session.batch_execute("BEGIN READ ONLY; SELECT * FROM lumina.keep_best_in_all('photos'); COMMIT").unwrap();
    assert_eq!(text(&mut session, STATE), before);
    assert_eq!(said(&mut session, ", dry_run => false"), "decided 17");
    assert_eq!(rejected(&mut session), one_by_one);
    assert_eq!(said(&mut session, ""), "");
    let action = "SELECT concat_ws(' ', kind, images, files) FROM lumina.action_history LIMIT 1";
    assert_eq!(text(&mut session, action), "keep_best_in_all 32 4");
    let action: i64 = session.query_one("SELECT max(id) FROM lumina.duplicate_actions", &[]).unwrap().get(0);
    session.query_one("SELECT lumina.undo($1)", &[&action]).unwrap();
    assert_eq!(text(&mut session, STATE), before);
}

#[test]
fn groups_that_need_a_look_are_skipped() {
    let (_cluster, mut session) = world();
    let g: Vec<i64> = (0..16).map(|group| group_of(&mut session, 3 * group + 1)).collect();
    session
        .batch_execute(&format!(
            "UPDATE lumina.duplicate_groups SET also_near = '{{40}}', also_near_count = 1 WHERE id = {};
            UPDATE lumina.images SET width = 6000, size = 9000000 WHERE id = 5;
            UPDATE lumina.image_files SET path = '/b' || path WHERE image = 9;
            UPDATE lumina.image_files SET missing_since = now() WHERE image = 12;
            UPDATE lumina.images SET status = 'flagged' WHERE id = 14;
            UPDATE lumina.images SET status = 'archived' WHERE id IN (16, 18);
            DELETE FROM lumina.images WHERE id BETWEEN 19 AND 21",
            g[0]
        ))
        .unwrap();
    let skipped = "decided 10, also_near 1, changed 2, flagged 2, protected 1, score_gap 1";
    assert_eq!(said(&mut session, ""), skipped);
    assert_eq!(
        said(&mut session, ", min_score_gap => 0, include_also_near => true"),
        "decided 12, changed 2, flagged 2, protected 1"
    );
    assert_eq!(said(&mut session, ", min_score_gap => 100").split(',').next(), Some("decided 1"), "by bytes alone");
    assert_eq!(said(&mut session, ", dry_run => false"), skipped);
    let touched =
        "SELECT string_agg(id::text, ' ' ORDER BY id) FROM lumina.images WHERE status = 'rejected' AND id <= 21";
    assert_eq!(text(&mut session, touched), "");
}

/// What is kept was chosen by a search: folders that are preferred since then are not rejected unseen.
#[test]
fn folders_preferred_since_the_search_are_not_rejected() {
    let (_cluster, mut session) = world();
    session.batch_execute("UPDATE lumina.image_files SET path = '/c' || path WHERE image IN (3, 5)").unwrap();
    let (one, four) = (group_of(&mut session, 1), group_of(&mut session, 4));
    let set = "SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/c\"]')";
    session.batch_execute(set).unwrap();
    assert_eq!(said(&mut session, ", min_score_gap => 0"), "decided 15, preference 2");
    let told = refused(&mut session, &format!("SELECT lumina.keep_best({one})"));
    let wanted = format!(
        "55000 preferred folders have changed since group {one} was found: image 3 is in one, and image 1 would be kept"
    );
    assert_eq!(told, wanted);
    // A user who names the image has seen it.
    session.batch_execute(&format!("SELECT lumina.resolve({one}, keep => '{{1}}')")).unwrap();
    assert_eq!(said(&mut session, ", min_score_gap => 0, dry_run => false"), "decided 15, preference 1");
    // A search with these folders keeps what lies in them.
    search_with(&mut session, "");
    let five = group_of(&mut session, 5);
    assert_ne!(five, four);
    session.batch_execute(&format!("SELECT lumina.keep_best({five})")).unwrap();
    let kept = "SELECT string_agg(id::text, ' ' ORDER BY id) FROM lumina.images WHERE status <> 'rejected' AND id <= 6";
    assert_eq!(text(&mut session, kept), "1 5");
}

/// The start of a clock that was never set makes no image the older one, for the search and for the page alike.
#[test]
fn clocks_that_were_never_set_are_not_older() {
    let (_cluster, mut session) = world();
    session
        .batch_execute(
            "UPDATE lumina.images SET width = 6000, size = 9000000, date_source = 'exif', date_confidence = 95,
                captured_at = '2020-01-01' WHERE id BETWEEN 4 AND 6;
            UPDATE lumina.images SET captured_at = '2019-01-01' WHERE id = 5;
            UPDATE lumina.images SET captured_at = '1970-01-01', date_confidence = 20 WHERE id = 6",
        )
        .unwrap();
    search_with(&mut session, "");
    let best = "SELECT image::text FROM lumina.duplicate_members WHERE is_primary AND image BETWEEN 4 AND 6";
    assert_eq!(text(&mut session, best), "5");
    let page = text(&mut session, "SELECT lumina.duplicates_html('photos')");
    assert!(!page.contains("by now another one is preferred"), "{page}");
}

/// The default of the gap is more than images can differ in that count as equal: within 5 % of the pixels and 10 % of
/// the bytes.
#[test]
fn the_default_gap_is_more_than_equals_can_differ_by() {
    let (_cluster, mut session) = world();
    let most = "
        SELECT max(lumina.quality_score(f, w, 1000, s, 0)
            - lumina.quality_score(f, (w / 1.05)::int4, 1000, (s / 1.1)::int8, 0))
        FROM unnest(ARRAY['jpeg', 'tiff', 'cr2', 'png']) f, generate_series(100, 40000, 50) w,
            LATERAL (SELECT (1.2 ^ n * 10000)::int8 AS s FROM generate_series(0, 48) n) s";
    let most: f64 = session.query_one(most, &[]).unwrap().get(0);
    assert!(most > 1.0 && most < 2.0, "{most}");
}
