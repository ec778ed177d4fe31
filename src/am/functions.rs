//! `hamming_index_check`, `hamming_index_stats`, `hamming_index_merge`: the functions that check, describe and merge an
//! index.

use super::check::check;
use super::insert::aminsert;
use super::{OrRaiseIn, layout};
use crate::pg::access::pages::Pages;
use crate::pg::access::relation::{MAINTAIN, Opened, READ, Rights};
use crate::pg::backend::server::refuse_during_recovery;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::raise::OrRaise;
use lumina_index::{Index, PAGE_SIZE};
use pgrx::pg_sys::{Datum, LOCKMODE, Oid};

function! {
    /// `hamming_index_check(index, heapallindexed)`. Errors: XX002 for the first thing that is wrong; 42501, 42809,
    /// 55000.
    hamming_index_check, pg_finfo_hamming_index_check,
    guarded: |arguments: Arguments| {
        let opened = open(arguments.oid(0), READ, Rights::Maintain);
        check(&opened, arguments.bool(1)).or_raise();
        opened.close();
        Datum::null()
    },
}

function! {
    /// `hamming_index_merge(index)`. Errors: XX002; 42501, 42809, 55000; 25006 on a standby.
    hamming_index_merge, pg_finfo_hamming_index_merge,
    guarded: |arguments: Arguments| {
        refuse_during_recovery(c"hamming_index_merge()");
        let opened = open(arguments.oid(0), MAINTAIN, Rights::Maintain);
        let pages = Pages::of(opened.index, Some(opened.table));
        let index = Index::with_layout(&pages, layout(opened.index, &pages));
        index.compact().or_raise_in(opened.index);
        opened.close();
        Datum::null()
    },
}

function! {
    /// `hamming_index_stats(index)`. Errors: XX002; 42501, 42809, 55000.
    hamming_index_stats, pg_finfo_hamming_index_stats,
    guarded: |arguments: Arguments| {
        let opened = open(arguments.oid(0), READ, Rights::Read);
        let pages = Pages::of(opened.index, Some(opened.table));
        let stats = Index::with_layout(&pages, layout(opened.index, &pages)).stats().or_raise_in(opened.index);
        opened.close();
        let entries: u64 = stats.runs.iter().map(|run| run.entries).sum();
        let nulls: u64 = stats.runs.iter().map(|run| run.nulls).sum();
        let small = |number: usize| Some(Datum::from(number as i32));
        let large = |number: u64| Some(Datum::from(number as i64));
        arguments.record([
            small(stats.bits),
            small(stats.bands),
            large(entries + stats.staging_entries),
            large(nulls + stats.staging_nulls),
            small(stats.runs.len()),
            small(stats.staging_pages),
            large(stats.staging_entries + stats.staging_nulls),
            large(stats.merge_debt),
            large(stats.pages.into()),
            large(stats.free_pages.into()),
            large(u64::from(stats.pages) * PAGE_SIZE as u64),
        ])
    },
}

fn open(index: Oid, lock: LOCKMODE, rights: Rights) -> Opened {
    Opened::open(index, lock, rights, Some(aminsert)).or_raise()
}
