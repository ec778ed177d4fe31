//! lumina: perceptual hashes in Postgres.
//!
//! This package is the part that talks to Postgres and holds no algorithm of its own; those are in `crates/`.
//! Postgres calls it: `_PG_init` below, functions and background workers by their names, callbacks by their addresses.
//!
//! - [`error`]: what a user is told of an error: the trait that the errors of each room implement.
//! - [`guc`]: the settings.
//! - [`pg`]: the wrappers of Postgres's C interface: datums, calls, queries, locks, index pages, and what differs
//!   between Postgres versions (but for the handler of [`am`]).
//! - [`types`]: `phash` and `phash_ball`: input and output, casts, comparison, distance, bands.
//! - [`search`]: bulk search: pairs, matches, groups, plans; also called by jobs.
//! - [`gpu`]: the process that searches on a GPU: started, found, watched.
//! - [`image`]: hashes and metadata of images given as `bytea`.
//! - [`catalog`]: C functions of the catalog's SQL: quality, folders, allowed paths, the report of duplicates, roles in
//!   rows.
//! - [`jobs`]: background workers and their jobs.
//! - [`am`]: the index access method `hamming`.
//! - [`planner`]: what the planner asks: simplification of `phash_within`, its index condition, selectivity.
//!
//! The SQL objects are written by hand, one topic a file, and put together here in their order: `sql/hash/` is what
//! works without the catalog, `sql/schemas.sql` makes the catalog's schemas, `sql/catalog/` is what is in them.

#[cfg(not(panic = "unwind"))]
compile_error!("lumina needs panic = \"unwind\": an error must unwind to Postgres, not end the server");

mod am;
mod catalog;
mod error;
mod gpu;
mod guc;
mod image;
mod jobs;
mod pg;
mod planner;
mod search;
mod types;

::pgrx::pg_module_magic!(name, version);

/// Called once, when the library is loaded.
#[allow(non_snake_case, reason = "Postgres's name")]
#[allow(unsafe_code, reason = "Postgres finds it by its name")]
#[pgrx::pg_guard]
extern "C-unwind" fn _PG_init() {
    pg::backend::report::leave_out_backtraces();
    guc::register();
    am::register();
    pg::backend::shared_memory::register();
    pg::worker::background::register_launcher();
}

pgrx::extension_sql_file!("../sql/hash/phash.sql", name = "phash", bootstrap);
pgrx::extension_sql_file!("../sql/hash/ball.sql", name = "ball", requires = ["phash"]);
pgrx::extension_sql_file!("../sql/hash/operators.sql", name = "operators", requires = ["ball"]);
pgrx::extension_sql_file!("../sql/hash/compare.sql", name = "compare", requires = ["operators"]);
pgrx::extension_sql_file!("../sql/hash/casts.sql", name = "casts", requires = ["compare"]);
pgrx::extension_sql_file!("../sql/hash/bands.sql", name = "bands", requires = ["casts"]);
pgrx::extension_sql_file!("../sql/hash/hamming.sql", name = "hamming", requires = ["bands"]);
pgrx::extension_sql_file!("../sql/hash/search.sql", name = "search", requires = ["hamming"]);
pgrx::extension_sql_file!("../sql/hash/image_functions.sql", name = "image_functions", requires = ["search"]);
pgrx::extension_sql_file!("../sql/schemas.sql", name = "schemas", requires = ["image_functions"]);
pgrx::extension_sql_file!("../sql/hash/gpu.sql", name = "gpu", requires = ["schemas"]);
pgrx::extension_sql_file!("../sql/catalog/roles.sql", name = "roles", requires = ["gpu"]);
pgrx::extension_sql_file!("../sql/catalog/catalogs.sql", name = "catalogs", requires = ["roles"]);
pgrx::extension_sql_file!("../sql/catalog/images.sql", name = "images", requires = ["catalogs"]);
pgrx::extension_sql_file!("../sql/catalog/jobs.sql", name = "jobs", requires = ["images"]);
pgrx::extension_sql_file!("../sql/catalog/quality.sql", name = "quality", requires = ["jobs"]);
pgrx::extension_sql_file!("../sql/catalog/import.sql", name = "import", requires = ["quality"]);
pgrx::extension_sql_file!("../sql/catalog/decisions.sql", name = "decisions", requires = ["import"]);
pgrx::extension_sql_file!("../sql/catalog/duplicates.sql", name = "duplicates", requires = ["decisions"]);
pgrx::extension_sql_file!("../sql/catalog/duplicate_pages.sql", name = "duplicate_pages", requires = ["duplicates"]);
pgrx::extension_sql_file!("../sql/catalog/whole_catalog.sql", name = "whole_catalog", requires = ["duplicate_pages"]);
pgrx::extension_sql_file!("../sql/catalog/bursts.sql", name = "bursts", requires = ["whole_catalog"]);
pgrx::extension_sql_file!("../sql/catalog/options.sql", name = "options", requires = ["bursts"]);
pgrx::extension_sql_file!("../sql/catalog/changes.sql", name = "changes", requires = ["options"]);
pgrx::extension_sql_file!("../sql/catalog/resolve.sql", name = "resolve", requires = ["changes"]);
pgrx::extension_sql_file!("../sql/catalog/resolve_all.sql", name = "resolve_all", requires = ["resolve"]);
pgrx::extension_sql_file!("../sql/catalog/split.sql", name = "split", requires = ["resolve_all"]);
pgrx::extension_sql_file!("../sql/catalog/undo.sql", name = "undo", requires = ["split"]);
pgrx::extension_sql_file!("../sql/catalog/explain.sql", name = "explain", requires = ["undo"]);
pgrx::extension_sql_file!("../sql/catalog/report.sql", name = "report", requires = ["explain"]);
pgrx::extension_sql_file!("../sql/catalog/statistics.sql", name = "statistics", requires = ["report"]);
pgrx::extension_sql_file!("../sql/catalog/dump.sql", name = "dump", requires = ["statistics"]);

#[cfg(test)]
pub mod pg_test {
    //! What `cargo pgrx test` asks of a library that has `#[pg_test]`s.

    /// Called once before the first test.
    pub fn setup(_options: Vec<&str>) {}

    /// Settings of the test server.
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec![]
    }
}
