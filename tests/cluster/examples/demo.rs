//! `make session`: a throwaway server with the extension, the README's session on it, and then, in a terminal, psql.
#![allow(clippy::expect_used, reason = "a program for developers: it stops where it fails")]

use lumina_cluster::{Cluster, installation};
use std::io::IsTerminal;

fn main() {
    println!("lumina: starting a throwaway server");
    let cluster = Cluster::start();
    cluster.sql("postgres", "CREATE DATABASE demo");
    print!("{}", cluster.transcript("demo", include_str!("../../sql/readme.sql")));
    if std::io::stdin().is_terminal() {
        println!("\nlumina: your turn; \\q ends psql and removes the server");
        let (folder, port) = (cluster.socket_folder(), cluster.port().to_string());
        let mut psql = installation::program("psql");
        psql.args(["-X", "-U", "postgres", "-d", "demo", "-p", &port, "-h"]).arg(folder);
        psql.status().expect("psql runs");
    }
    println!("lumina: removing the server");
}
