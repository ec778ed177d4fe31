//! Real photographs, if there are any beside the project: exactly the duplicates that their owner would see.

use super::world;
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::photos::{Folder, import, shared};

/// The imported files, and which of them are one picture: all eight orientations, and the two exposures of one moment.
const SAME: [&[&str]; 2] = [
    &[
        "orientation/landscape_1.jpg",
        "orientation/landscape_2.jpg",
        "orientation/landscape_3.jpg",
        "orientation/landscape_4.jpg",
        "orientation/landscape_5.jpg",
        "orientation/landscape_6.jpg",
        "orientation/landscape_7.jpg",
        "orientation/landscape_8.jpg",
    ],
    &["hdr/iphone_hdr_NO.jpg", "hdr/iphone_hdr_YES.jpg"],
];
/// Pictures that are no duplicates, including one of another exposure pair, which neither rule reports.
const OTHERS: [&str; 3] = ["hdr/canon_hdr_NO.jpg", "heic/iphone_13_pro_max.HEIC", "gps/DSCN0010.jpg"];

#[test]
fn real_photographs_are_grouped_as_their_owner_would() {
    let folder = Folder::default();
    for name in SAME.iter().copied().flatten().chain(&OTHERS) {
        let Some(bytes) = shared(name) else { return };
        folder.put(name, bytes);
    }
    let (_cluster, mut session) = world();
    import(&mut session, "photos", folder.path());
    for rule in ["consensus", "verified"] {
        let submit = "SELECT lumina.detect_duplicates('photos', rule => $1)";
        let job = session.query_one(submit, &[&rule]).unwrap().get(0);
        assert_eq!(wait_for_end(&mut session, job), "succeeded");
        let groups = "SELECT array_agg(path ORDER BY path)
            FROM (SELECT group_id, keep AS path FROM lumina.duplicates('photos')
                UNION ALL SELECT group_id, unnest(others) FROM lumina.duplicates('photos')) g
            GROUP BY group_id ORDER BY 1";
        let below = |path: String| path.trim_start_matches(folder.text()).trim_start_matches('/').to_owned();
        let found: Vec<Vec<String>> = session
            .query(groups, &[])
            .unwrap()
            .iter()
            .map(|row| row.get::<_, Vec<String>>(0).into_iter().map(below).collect())
            .collect();
        let mut expected = SAME.map(|group| group.to_vec());
        expected.sort();
        assert_eq!(found, expected, "{rule}");
    }
    let page: String = session.query_one("SELECT lumina.duplicates_html('photos')", &[]).unwrap().get(0);
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 10, "each of the ten is shown");
    assert!(page.ends_with("</html>\n") && !page.contains("No picture"));
}
