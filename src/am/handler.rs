//! `hamming_handler`: describes the access method to Postgres.

use super::build::{ambuild, ambuildempty, ambuildphasename};
use super::cost::amcostestimate;
use super::insert::aminsert;
use super::options::amoptions;
use super::property::amproperty;
use super::scan::{ambeginscan, amendscan, amgetbitmap, amgettuple, amrescan};
use super::vacuum::{ambulkdelete, amvacuumcleanup};
use super::validate::amvalidate;
use crate::pg::fmgr::call::function;
use pgrx::PgBox;
use pgrx::pg_sys::{self, Datum, IndexAmRoutine, NodeTag, Oid};

function! {
    /// `hamming_handler(internal)`.
    hamming_handler, pg_finfo_hamming_handler,
    guarded: |_| Datum::from(routine()),
}

/// The description of the access method. It starts as zeros: a field that is not set here is false or null.
#[allow(unsafe_code, reason = "the node is made here")]
fn routine() -> *mut IndexAmRoutine {
    // SAFETY: the tag is that of the struct, which is valid as zeros.
    let mut am = unsafe { PgBox::<IndexAmRoutine>::alloc_node(NodeTag::T_IndexAmRoutine) };
    am.amstrategies = 3; // the third, equality, is kept for later
    am.amsupport = 1; // kept for later, too
    am.amoptsprocnum = 0;
    am.amcanorder = false;
    am.amcanorderbyop = true;
    am.amcanbackward = false;
    am.amcanunique = false;
    am.amcanmulticol = false;
    am.amoptionalkey = true;
    am.amsearcharray = false;
    am.amsearchnulls = false;
    am.amstorage = false;
    am.amclusterable = false;
    am.ampredlocks = false; // Postgres locks the whole index for SERIALIZABLE
    am.amcanparallel = false;
    am.amcaninclude = false;
    am.amusemaintenanceworkmem = false; // merges keep a page a run
    am.amparallelvacuumoptions =
        (pg_sys::VACUUM_OPTION_PARALLEL_BULKDEL | pg_sys::VACUUM_OPTION_PARALLEL_COND_CLEANUP) as u8;
    am.amkeytype = Oid::INVALID;

    am.ambuild = Some(ambuild);
    am.ambuildempty = Some(ambuildempty);
    am.aminsert = Some(aminsert);
    am.ambulkdelete = Some(ambulkdelete);
    am.amvacuumcleanup = Some(amvacuumcleanup);
    am.amcanreturn = None; // index-only scans would need pins
    am.amcostestimate = Some(amcostestimate);
    am.amoptions = Some(amoptions);
    am.amproperty = Some(amproperty);
    am.ambuildphasename = Some(ambuildphasename);
    am.amvalidate = Some(amvalidate);
    am.amadjustmembers = None;
    am.ambeginscan = Some(ambeginscan);
    am.amrescan = Some(amrescan);
    am.amgettuple = Some(amgettuple);
    am.amgetbitmap = Some(amgetbitmap);
    am.amendscan = Some(amendscan);
    am.ammarkpos = None;
    am.amrestrpos = None;
    am.amestimateparallelscan = None;
    am.aminitparallelscan = None;
    am.amparallelrescan = None;

    #[cfg(not(feature = "pg15"))]
    {
        am.amsummarizing = false;
    }
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    {
        am.amcanbuildparallel = false;
        am.aminsertcleanup = None;
    }
    #[cfg(feature = "pg18")]
    {
        am.amcanhash = false;
        am.amconsistentequality = false;
        am.amconsistentordering = false;
        am.amgettreeheight = None;
        am.amtranslatestrategy = None;
        am.amtranslatecmptype = None;
    }
    am.into_pg()
}
