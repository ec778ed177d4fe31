//! End-to-end tests, on real servers that each test starts and removes: several sessions, kills, restarts, standbys.
//!
//! One program: separate programs would leave processors idle at the end of each, and each would be linked. Run a
//! module by its name: `cargo test -p lumina-cluster -- hamming::plans`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test may fail")]

mod bursts;
mod catalog_estimates;
mod catalog_forgery;
mod catalog_roles;
mod catalog_security;
mod clients;
mod continued;
mod decisions;
mod duplicate_pages;
mod duplicates;
mod examples;
mod gpu;
mod hamming;
mod image_memory;
mod images;
mod import;
mod import_ends;
mod import_hostile;
mod import_kills;
mod job_copies;
mod job_ends;
mod job_kills;
mod job_presets;
mod job_recovery;
mod job_starts;
mod jobs;
mod kept_apart;
mod oracle;
mod quality;
mod report;
mod round_trips;
mod search;
mod search_limits;
mod search_places;
mod shots;
mod soft_errors;
mod transcripts;
