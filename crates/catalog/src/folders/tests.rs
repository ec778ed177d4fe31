//! Which folder holds a file, by hand and against a comparison of components.

use super::Folders;
use proptest::prelude::*;

#[test]
fn components_and_order() {
    let folders = Folders::new(b"/a/b/\0/srv/photos/\0/a/");
    for (path, expected) in [
        ("/a/b/x.jpg", Some(0)),
        ("/a/b/c/x.jpg", Some(0)),
        ("/a/b", Some(0)),
        ("/a/bc/x.jpg", Some(2)),
        ("/a/x.jpg", Some(2)),
        ("/ab/x.jpg", None),
        ("/srv/photos/x.jpg", Some(1)),
        ("/srv/photos2/x.jpg", None),
        ("/srv/x.jpg", None),
        ("/", None),
        ("", None),
    ] {
        assert_eq!(folders.position(path.as_bytes()), expected, "{path}");
    }
    assert_eq!(Folders::new(b"").position(b"/a"), None);
    assert_eq!(Folders::new(b"/").position(b"/a"), Some(0), "the root holds everything");
}

proptest! {
    #[test]
    fn as_by_components(
        folders in prop::collection::vec("(/[ab]{1,2}){1,3}", 0..5),
        path in "(/[ab]{1,2}){1,4}",
    ) {
        let list: Vec<String> = folders.iter().map(|folder| format!("{folder}/")).collect();
        let components = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let naive = folders.iter().position(|folder| components(&path).starts_with(&components(folder)));
        prop_assert_eq!(Folders::new(list.join("\0").as_bytes()).position(path.as_bytes()), naive);
    }
}
