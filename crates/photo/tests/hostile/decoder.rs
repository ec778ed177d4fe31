//! The program `lumina-decoder`, built once, for the tests that decode with it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// Its path. Cargo builds it: it is another package's program, which these tests do not depend on.
pub(crate) static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut folder = std::env::current_exe().unwrap();
    while folder.file_name().is_some_and(|name| name != "deps") {
        folder.pop();
    }
    let folder = folder.parent().unwrap().to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "lumina-isolated", "--features", "av1 jxl"]);
    build.arg("--target-dir").arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "lumina-decoder is not built");
    folder.join("lumina-decoder")
});
