//! Which folder of a list holds a file: the functions by which views order files and find protected ones.

use crate::pg::fmgr::call::function;
use lumina_catalog::folders::Folders;
use pgrx::pg_sys::Datum;

/// The rank of a file in no folder: after all of those in one.
const NO_RANK: i32 = 65_536;

function! {
    /// `folder_rank(folders, path)`.
    folder_rank, pg_finfo_folder_rank,
    guarded: |arguments: Arguments| {
        let position = Folders::new(arguments.bytes(0)).position(arguments.bytes(1));
        Datum::from(position.map_or(NO_RANK, |position| position.min(NO_RANK as usize - 2) as i32 + 1))
    },
}

function! {
    /// `is_below(folders, path)`.
    is_below, pg_finfo_is_below,
    guarded: |arguments: Arguments| {
        Datum::from(Folders::new(arguments.bytes(0)).position(arguments.bytes(1)).is_some())
    },
}
