//! A running index scan (`IndexScanDesc`): its keys, its snapshot, and where hits go.

use super::relation::IndexRelation;
use crate::pg::fmgr::datum::{Phash, PhashBall};
use crate::pg::version;
use pgrx::PgMemoryContexts;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary as guard;
use pgrx::pg_sys::{self, Datum, IndexScanDesc, ItemPointerData, ScanKeyData, TIDBitmap};
use std::ffi::c_int;

unsafe extern "C-unwind" {
    // Without a guard: many calls share one.
    fn tbm_add_tuples(bitmap: *mut TIDBitmap, tids: *mut ItemPointerData, count: c_int, recheck: bool);
}

/// A condition, or an order, of a scan.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// Which operator of the family it is.
    pub(crate) strategy: u16,
    /// Its right operand; `None` for NULL.
    argument: Option<Datum>,
}

impl Key {
    /// Its right operand as a ball.
    ///
    /// # Safety
    /// The operator has a `phash_ball` there, and the scan is running.
    pub(crate) unsafe fn ball<'a>(self) -> Option<PhashBall<'a>> {
        // SAFETY: as promised by the caller.
        self.argument.map(|argument| unsafe { PhashBall::read(argument) })
    }

    /// Its right operand as a hash.
    ///
    /// # Safety
    /// The operator has a `phash` there, and the scan is running.
    pub(crate) unsafe fn hash<'a>(self) -> Option<Phash<'a>> {
        // SAFETY: as promised by the caller.
        self.argument.map(|argument| unsafe { Phash::read(argument) })
    }
}

/// A running scan.
#[derive(Clone, Copy)]
pub(crate) struct IndexScan(IndexScanDesc);

impl IndexScan {
    /// Begins a scan, with a state of ours that is dropped with the current memory context: `state` must own nothing of
    /// Postgres.
    pub(crate) fn begin<T>(index: IndexRelation, keys: c_int, orders: c_int, state: T) -> IndexScanDesc {
        // SAFETY: an open index; the description and the state are in the same memory.
        unsafe {
            let scan = pg_sys::RelationGetIndexScan(index.0, keys, orders);
            (*scan).opaque = PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(state).cast();
            scan
        }
    }

    /// # Safety
    /// `scan` was made by `begin`, and is running.
    pub(crate) unsafe fn of(scan: IndexScanDesc) -> Self {
        IndexScan(scan)
    }

    /// Its index.
    pub(crate) fn index(self) -> IndexRelation {
        // SAFETY: a running scan has an open index.
        unsafe { IndexRelation::of((*self.0).indexRelation) }
    }

    /// The state that `begin` was given; there must be no other reference to it.
    pub(crate) fn state<'a, T>(self) -> &'a mut T {
        // SAFETY: made by `begin`, of the one type of state that there is, and alive as long as the scan. Callbacks of
        // a scan do not run inside one another.
        unsafe { &mut *(*self.0).opaque.cast() }
    }

    /// Copies new keys; null keeps the old ones.
    ///
    /// # Safety
    /// Both are null or have as many elements as the scan was begun with.
    pub(crate) unsafe fn set_keys(self, keys: *const ScanKeyData, orders: *const ScanKeyData) {
        // SAFETY: as promised by the caller, and as RelationGetIndexScan has made room. They may be the scan's own.
        unsafe {
            if !keys.is_null() && (*self.0).numberOfKeys > 0 {
                (*self.0).keyData.copy_from(keys, (*self.0).numberOfKeys as usize);
            }
            if !orders.is_null() && (*self.0).numberOfOrderBys > 0 {
                (*self.0).orderByData.copy_from(orders, (*self.0).numberOfOrderBys as usize);
            }
        }
    }

    /// Its conditions.
    pub(crate) fn keys(self) -> impl Iterator<Item = Key> {
        // SAFETY: a running scan has as many keys as it says.
        unsafe { read((*self.0).keyData, (*self.0).numberOfKeys) }
    }

    /// Its orders.
    pub(crate) fn orders(self) -> impl Iterator<Item = Key> {
        // SAFETY: a running scan has as many orders as it says.
        unsafe { read((*self.0).orderByData, (*self.0).numberOfOrderBys) }
    }

    /// Its snapshot; null for a bitmap scan that needs none.
    pub(in crate::pg) fn snapshot(self) -> pg_sys::Snapshot {
        // SAFETY: a running scan.
        unsafe { (*self.0).xs_snapshot }
    }

    /// Whether it has an MVCC snapshot. With any other it could see a tuple that has reused the heap TID of the one
    /// that the index has found.
    pub(crate) fn is_of_one_moment(self) -> bool {
        use pg_sys::SnapshotType::{SNAPSHOT_HISTORIC_MVCC, SNAPSHOT_MVCC};
        // SAFETY: a running scan has a snapshot, but for a bitmap that may be made without.
        unsafe {
            let snapshot = self.snapshot();
            !snapshot.is_null() && [SNAPSHOT_MVCC, SNAPSHOT_HISTORIC_MVCC].contains(&(*snapshot).snapshot_type)
        }
    }

    /// Whether it is an index-only scan.
    pub(crate) fn is_index_only(self) -> bool {
        // SAFETY: a running scan.
        unsafe { (*self.0).xs_want_itup }
    }

    /// Hands a hit to Postgres. The order of hits is always exact.
    #[inline]
    pub(crate) fn put(self, tid: u64, recheck: bool) {
        // SAFETY: a running scan.
        unsafe {
            (*self.0).xs_heaptid = item_pointer(tid);
            (*self.0).xs_recheck = recheck;
            (*self.0).xs_recheckorderby = false;
        }
    }

    /// Counts a search of the index.
    pub(crate) fn count(self) {
        self.index().count_scan();
        // SAFETY: a running scan.
        unsafe { version::count_search(self.0) };
    }
}

/// # Safety
/// There are `count` keys.
unsafe fn read(keys: *const ScanKeyData, count: c_int) -> impl Iterator<Item = Key> {
    (0..count as usize).map(move |at| {
        // SAFETY: as promised by the caller.
        let key = unsafe { &*keys.add(at) };
        let is_null = key.sk_flags & pg_sys::SK_ISNULL as c_int != 0;
        Key { strategy: key.sk_strategy, argument: (!is_null).then_some(key.sk_argument) }
    })
}

/// A bitmap that hits are added to.
pub(crate) struct Bitmap {
    bitmap: *mut TIDBitmap,
    tids: Vec<ItemPointerData>,
    /// How many were added.
    pub(crate) count: i64,
}

impl Bitmap {
    /// # Safety
    /// `bitmap` is one, for as long as this is used.
    pub(crate) unsafe fn of(bitmap: *mut TIDBitmap) -> Self {
        Bitmap { bitmap, tids: Vec::new(), count: 0 }
    }

    /// Adds hits.
    pub(crate) fn add(&mut self, tids: &[u64], recheck: bool) {
        self.tids.clear();
        self.tids.extend(tids.iter().map(|tid| item_pointer(*tid)));
        let (bitmap, tids, count) = (self.bitmap, self.tids.as_mut_ptr(), self.tids.len() as c_int);
        // SAFETY: a bitmap, and as many TIDs as said. The closure owns nothing.
        unsafe { guard(|| tbm_add_tuples(bitmap, tids, count, recheck)) };
        self.count += i64::from(count);
    }
}

/// A heap TID, from block · 2¹⁶ + offset.
pub(in crate::pg) fn item_pointer(tid: u64) -> ItemPointerData {
    let block = (tid >> 16) as u32;
    ItemPointerData {
        ip_blkid: pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: block as u16 },
        ip_posid: tid as u16,
    }
}

/// The inverse of [`item_pointer`].
///
/// # Safety
/// `tid` points to one.
pub(crate) unsafe fn tid_of(tid: *const ItemPointerData) -> u64 {
    // SAFETY: as promised by the caller.
    let ItemPointerData { ip_blkid, ip_posid } = unsafe { *tid };
    u64::from(ip_blkid.bi_hi) << 32 | u64::from(ip_blkid.bi_lo) << 16 | u64::from(ip_posid)
}
