//! Which image of a group all decisions keep: a whole one whatever folder a damaged one is in, and an original whatever
//! the score of its copies is.

use super::{STATE, group_of, rejected, search_with, text, world};
use lumina_cluster::postgres::Client;

/// What `keep_best_in_all` says of the first groups: the image that is kept, the gap, and why it is not.
fn said(session: &mut Client, groups: i64, arguments: &str) -> String {
    let call = format!(
        "SELECT string_agg(concat_ws(' ', kept, coalesce(score_gap::text, 'none'), skipped), ', ' ORDER BY kept)
            FROM lumina.keep_best_in_all('photos'{arguments}) WHERE kept <= {}",
        groups * 3
    );
    text(session, &call)
}

/// Each damaged image is the largest and oldest of its group, and lies in the preferred folder.
#[test]
fn damaged_images_in_a_preferred_folder_are_not_kept() {
    let (_cluster, mut session) = world();
    session
        .batch_execute(
            "UPDATE lumina.images SET truncated = true WHERE id IN (1, 7, 8, 9);
            UPDATE lumina.images SET damaged_data = true WHERE id IN (4, 10);
            UPDATE lumina.image_files SET path = '/c' || path WHERE image IN (1, 4, 8, 10, 12);
            SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/c\"]')",
        )
        .unwrap();
    search_with(&mut session, "");
    // A damaged image is no measure for the gap. Of the third group all are damaged: the folder decides. In the fourth
    // the last image is the only whole one in the folder.
    assert_eq!(said(&mut session, 4, ", min_score_gap => 4"), "2 4.03, 5 4.03, 8 -2.29, 12 -4.03");
    let page = text(&mut session, "SELECT lumina.duplicates_html('photos')");
    assert!(page.contains("whole, where another is damaged"));
    let one = group_of(&mut session, 1);
    session.batch_execute(&format!("SELECT lumina.keep_best({one})")).unwrap();
    assert!(rejected(&mut session).starts_with("1 3 |"));
}

/// A folder that is preferred since the search keeps a group back only for what would be kept by it.
#[test]
fn folders_of_damaged_images_hold_nothing_back() {
    let (_cluster, mut session) = world();
    session.batch_execute("UPDATE lumina.images SET damaged_data = true WHERE id IN (1, 4, 8)").unwrap();
    search_with(&mut session, "");
    session
        .batch_execute(
            "UPDATE lumina.image_files SET path = '/c' || path WHERE image IN (1, 6, 8);
            SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/c\"]')",
        )
        .unwrap();
    assert_eq!(
        text(
            &mut session,
            "SELECT string_agg(concat_ws(' ', kept, skipped), ', ' ORDER BY kept)
                FROM lumina.keep_best_in_all('photos', min_score_gap => 0) WHERE kept <= 9"
        ),
        "2, 5 preference, 7"
    );
    let (one, three) = (group_of(&mut session, 1), group_of(&mut session, 7));
    session.batch_execute(&format!("SELECT lumina.keep_best({one}), lumina.keep_best({three})")).unwrap();
    assert!(rejected(&mut session).starts_with("1 3 8 9 |"));
}

/// The smallest image of each of these groups is the original: the others have the higher score, in the second group
/// with no less of what tells originals, and in the third they are enlarged.
#[test]
fn originals_are_kept_whatever_the_score_of_their_copies() {
    let (_cluster, mut session) = world();
    session
        .batch_execute(
            "UPDATE lumina.images SET width = 2000, height = 1500 WHERE id <= 9;
            UPDATE lumina.images SET originality = 15, size = 1000000 WHERE id IN (3, 6);
            UPDATE lumina.images SET originality = 14 WHERE id IN (1, 2, 4);
            UPDATE lumina.images SET originality = 15 WHERE id = 5;
            UPDATE lumina.images SET originality = 1, detail = 4000, fineness = 0.3 WHERE id = 9;
            UPDATE lumina.images SET originality = 1, detail = 4000, fineness = 0.1, width = 4000, height = 3000
                WHERE id IN (7, 8)",
        )
        .unwrap();
    search_with(&mut session, "");
    let copies = "SELECT string_agg(concat_ws(' ', image, 'of', copy_of), ', ' ORDER BY image)
        FROM lumina.duplicate_members WHERE copy_of IS NOT NULL";
    assert_eq!(text(&mut session, copies), "1 of 3, 2 of 3, 4 of 5, 7 of 9, 8 of 9");
    // Beside copies alone there is no gap to ask for; beside an image that is as original there is.
    let told = said(&mut session, 3, "");
    assert_eq!(told, "3 none, 5 6.3, 9 none");
    assert_eq!(said(&mut session, 3, ", min_score_gap => 50"), "3 none, 5 6.3 score_gap, 9 none");
    let page = text(&mut session, "SELECT lumina.duplicates_html('photos')");
    for reason in ["not compressed before, as the others were", "not enlarged, as others are"] {
        assert!(page.contains(reason), "{reason}");
    }
    // Of a group that was split off its original the copies are none of one another.
    let before = text(&mut session, STATE);
    let one = group_of(&mut session, 3);
    session.batch_execute(&format!("SELECT lumina.split_group({one}, '{{1, 2}}')")).unwrap();
    let skipped = "SELECT string_agg(concat_ws(' ', kept, skipped), ', ') FROM lumina.keep_best_in_all('photos')
        WHERE kept IN (1, 2, 3)";
    assert!(["1 score_gap", "2 score_gap"].contains(&&*text(&mut session, skipped)));
    let undo = "SELECT lumina.undo(max(action)) FROM lumina.action_history";
    session.batch_execute(undo).unwrap();
    assert_eq!(text(&mut session, STATE), before);
    // In a star the image in its centre is kept, by its score.
    search_with(&mut session, "strategy => 'star'");
    assert_eq!(text(&mut session, copies), "");
    assert_eq!(
        text(
            &mut session,
            "SELECT string_agg(kept::text, ' ' ORDER BY kept)
        FROM lumina.keep_best_in_all('photos') WHERE kept <= 9"
        ),
        "1 4 7"
    );
}
