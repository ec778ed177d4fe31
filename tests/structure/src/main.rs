//! Prints the circles of files of the crates whose `src` folders are given; by default those of the workspace that have
//! none. Ends with status 1 where there is one: `cargo run -p lumina-structure -- src crates/search/src`.

use lumina_structure::Crate;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if folders.is_empty() {
        folders = lumina_structure::without_circles();
    }
    let mut status = ExitCode::SUCCESS;
    for folder in folders {
        let circles = match Crate::read(&folder) {
            Ok(read) => read.circles(),
            Err(why) => {
                eprintln!("{}: {why}", folder.display());
                return ExitCode::FAILURE;
            }
        };
        println!("{}: {} circles", folder.display(), circles.len());
        for circle in &circles {
            status = ExitCode::FAILURE;
            for edge in circle {
                println!("  {} uses {} ({})", edge.from, edge.to, edge.by);
            }
            println!();
        }
    }
    status
}
