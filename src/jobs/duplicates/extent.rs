//! How much a search reads: the whole catalog, or what has changed since the run that it continues, with all that is
//! connected to it by near pairs. `sql/catalog/changes.sql` says what is noted as changed, and why that is enough.
//!
//! What is connected is found by an index of type `hamming` on a hash of the rule, where there is one and few images
//! have changed; else by a search of the changed hashes against those of all images, step by step. Where a large share
//! of a catalog is connected, it is read whole, which takes less time then.

use super::parameters::{Parameters, Scope};
use crate::error::LuminaError;
use crate::jobs::job::{Job, TABLES};
use crate::jobs::stop::{Failure, Stop};
use crate::pg::spi::query::{Column, Row, run_select};
use crate::pg::spi::statement;
use crate::pg::worker::transaction::{self, Tables, attempt, lock_tables};
use crate::search::session::SearchSession;
use lumina_search::{HashRows, SearchError, find_connected};
use pgrx::JsonB;
use pgrx::PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
use std::cell::Cell;
use std::ffi::CString;
use std::time::Duration;

/// The images that are read and compared.
pub(super) enum Extent {
    /// All of them; why, if a search of what has changed was possible at all.
    Whole(Option<String>),
    /// Some of them.
    Changes(Changes),
}

/// What has changed since a run, and what that can touch.
pub(super) struct Changes {
    /// The run that the search continues.
    pub(super) run: i64,
    /// What was visible when this was read: changes that are visible in it need not be kept.
    pub(super) snapshot: String,
    /// How many images have changed.
    pub(super) changed: usize,
    /// These, and those that are connected to them, ascending by their ids.
    pub(super) images: Vec<i64>,
}

/// A search of what has changed costs as much as one of the whole catalog where it reads this share of it: an image
/// that is looked up takes three times as long as one that a scan returns.
const MOST_SHARE: i64 = 4;
/// A catalog of so few images is read in no time either way.
const FEW: i64 = 1000;

impl Extent {
    /// The images that are read, if not all.
    pub(super) fn images(&self) -> Option<&[i64]> {
        match self {
            Self::Whole(_) => None,
            Self::Changes(changes) => Some(&changes.images),
        }
    }

    /// Finds out what is to be read.
    pub(super) fn find(job: &Job, parameters: &Parameters, run: &SearchSession<'_>) -> Result<Self, Stop> {
        if parameters.scope == Scope::All {
            return Ok(Self::Whole(None));
        }
        match read(job, parameters, run)? {
            Known::Obstacle(obstacle) if parameters.scope == Scope::Changes => Err(Stop::Failed(Failure::new(
                "cannot_continue",
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("the search cannot go on from the one before: {obstacle}"),
                "Leave out scope, or give 'all', to compare all images of the catalog.",
            ))),
            Known::Obstacle(obstacle) => Ok(Self::Whole(Some(obstacle))),
            Known::Connected(changes) => Ok(Self::Changes(changes)),
            Known::Hashes { changes, hashes, ids, rows, most } => {
                let values = run.collapse(rows)?;
                let connected = find_connected(run, hashes, &values, parameters.rule.near(), most)?;
                values.free(run.context());
                let extent = match connected {
                    Some(rows) => Self::Changes(changes.with(rows.iter().map(|row| ids[*row as usize]))),
                    None => Self::Whole(Some(TOO_MANY.to_owned())),
                };
                run.context().free(ids);
                Ok(extent)
            }
        }
    }
}

impl Changes {
    /// Adds images.
    fn with(mut self, connected: impl Iterator<Item = i64>) -> Self {
        self.images.extend(connected);
        self.images.sort_unstable();
        self.images.dedup();
        self
    }
}

const TOO_MANY: &str = "too many changes";

/// What is known after a transaction.
enum Known {
    /// Why the whole catalog is read.
    Obstacle(String),
    /// All that is connected.
    Connected(Changes),
    /// What has changed, to be matched with all images.
    Hashes {
        changes: Changes,
        /// The hashes that images have or had which have changed.
        hashes: HashRows,
        /// All images, and their hashes.
        ids: Vec<i64>,
        rows: HashRows,
        /// The most that may be connected.
        most: usize,
    },
}

/// Reads what has changed, as the worker: row-level security of the submitter would keep indexes of hashes from being
/// used. It is of the job's catalog alone, and the submitter may read all of that.
fn read(job: &Job, parameters: &Parameters, run: &SearchSession<'_>) -> Result<Known, Stop> {
    let catalog = job.catalog;
    let once = || {
        if lock_tables(&TABLES, true, Duration::MAX) != Tables::Locked {
            return Err(Stop::LostClaim);
        }
        transaction::refresh_snapshot();
        job.check_rights()?;
        let base = statement::read(
            "SELECT r.run, r.images, pg_catalog.convert_to(r.obstacle, 'UTF8'),
                    pg_catalog.pg_current_snapshot()::pg_catalog.text
                FROM lumina_internal.run_to_continue($1, $2) r",
            &[catalog.into(), JsonB(job.parameters.clone()).into()],
            |row| (row.get::<i64>(1).zip(row.get::<i64>(2)), row.utf8(3), row.known::<String>(4)),
        );
        let (base, obstacle, snapshot) = base.into_iter().next().unwrap_or_default();
        let Some((base, images)) = base else { return Ok(Known::Obstacle(obstacle.unwrap_or_default())) };
        let most = (images / MOST_SHARE).max(FEW);
        let changed: Vec<i64> =
            statement::read("SELECT lumina_internal.changed_images($1, $2)", &[catalog.into(), most.into()], |row| {
                row.known::<Vec<i64>>(1)
            })
            .pop()
            .unwrap_or_default();
        if changed.len() as i64 > most {
            return Ok(Known::Obstacle(TOO_MANY.to_owned()));
        }
        let changes = Changes { run: base, snapshot, changed: changed.len(), images: changed };
        let rule = || JsonB(parameters.rule_json.clone());
        let by_index = statement::rows(
            "SELECT lumina_internal.index_is_cheaper($1, $2, $3)",
            &[catalog.into(), rule().into(), changes.images.clone().into()],
            |row| row.known::<bool>(1),
        );
        if by_index == [true] {
            let connected = statement::read(
                "SELECT lumina_internal.connected_by_index($1, $2, $3, $4)",
                &[catalog.into(), rule().into(), changes.images.clone().into(), most.into()],
                |row| row.get::<Vec<i64>>(1),
            );
            return Ok(match connected.into_iter().next().flatten() {
                Some(connected) => Known::Connected(changes.with(connected.into_iter())),
                None => Known::Obstacle(TOO_MANY.to_owned()),
            });
        }
        let columns: Vec<String> = parameters.rule.hashes().iter().map(|hash| format!("h.{}", hash.name)).collect();
        let columns = columns.join(", ");
        let changed = changes.images.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let of_changed = format!(
            "SELECT 0::pg_catalog.int8, {columns} FROM lumina_internal.changed_hashes({catalog}, '{{{changed}}}') h"
        );
        let of_all = format!(
            "SELECT h.id, {columns} FROM lumina.images h
                WHERE h.catalog = {catalog} AND h.hash_valid AND h.status <> 'rejected'"
        );
        let (ids, hashes) = scan(job, parameters, run, of_changed)?;
        run.context().free(ids);
        let (ids, rows) = scan(job, parameters, run, of_all)?;
        Ok(Known::Hashes { changes, hashes, ids, rows, most: most as usize })
    };
    attempt(|| transaction::run(once))?
}

/// Runs a query for an id and the hashes of the rule, in a transaction.
fn scan(
    job: &Job,
    parameters: &Parameters,
    run: &SearchSession<'_>,
    query: String,
) -> Result<(Vec<i64>, HashRows), Stop> {
    let query = CString::new(query).unwrap_or_default(); // it holds no zero byte
    let widths: Vec<usize> = parameters.rule.hashes().iter().map(|hash| hash.bits).collect();
    let (context, stopped) = (run.context(), Cell::new(None));
    let read = run_select(
        &query,
        |_: &[Column]| Ok((Vec::new(), HashRows::new(&widths))),
        |(ids, rows), row: Row<'_>| {
            if let Err(stop) = job.check_cancelled_in_transaction() {
                stopped.set(Some(stop));
                return Err(SearchError::Cancelled.into());
            }
            context.push(ids, row.integer(0)).map_err(LuminaError::from)?;
            Ok(rows.push((1..=widths.len()).map(|column| row.bytes(column)), context)?)
        },
    );
    match stopped.take() {
        Some(stop) => Err(stop),
        None => Ok(read?),
    }
}
