//! Runs a user's query and passes on its rows without copying them.
//!
//! The query runs as the caller, under the caller's search path, read-only on the caller's snapshot. It is one SELECT
//! and is read-only itself; everything else is refused before it runs. Everything is closed when [`run_select`]
//! returns; where an error unwinds, the abort closes it. Queries may nest: one may call a function that runs another.

use crate::error::LuminaError;
use crate::pg::backend::context;
use crate::pg::fmgr::datum::payload;
use crate::pg::fmgr::error::QueryError;
use crate::pg::fmgr::raise::Raise;
use crate::pg::version::attribute;
use pgrx::PgList;
use pgrx::pg_sys::{self, Datum, DestReceiver, MemoryContext, NodeTag, Oid, TupleDesc, TupleTableSlot};
use std::ffi::{CStr, c_int};
use std::ptr;

unsafe extern "C-unwind" {
    /// Without a guard, which would cost more than the work.
    fn slot_getsomeattrs_int(slot: *mut TupleTableSlot, attnum: c_int);
}

/// After how many rows the per-row memory context is reset.
const ROWS_A_RESET: usize = 1000;

/// A column of the query's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultColumn {
    pub(crate) name: String,
    /// Its declared type.
    pub(crate) declared: Oid,
    /// Its type; for a domain the base type.
    pub(crate) type_: Oid,
    /// Its type modifier, that of a domain included; -1 for none.
    pub(crate) modifier: i32,
    /// Whether its values are varlenas.
    pub(in crate::pg) is_varlena: bool,
}

impl ResultColumn {
    /// The name of its type.
    pub(crate) fn type_name(&self) -> String {
        type_name(self.declared)
    }
}

/// The name of a type.
pub(crate) fn type_name(type_: Oid) -> String {
    // SAFETY: a look-up, which answers with a C string for whatever it is given.
    unsafe { CStr::from_ptr(pg_sys::format_type_be(type_)) }.to_string_lossy().into_owned()
}

/// A row of the query's result, borrowed for one call.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    columns: &'a [ResultColumn],
    values: &'a [Datum],
    nulls: &'a [bool],
}

impl<'a> Row<'a> {
    /// Whether a column is NULL.
    #[inline(always)]
    pub(crate) fn is_null(&self, column: usize) -> bool {
        self.nulls[column]
    }

    /// The value of a column of type `int2`, `int4` or `int8`, which is not NULL. The bytes of a datum beyond those of
    /// its type are undefined.
    #[inline(always)]
    pub(crate) fn integer(&self, column: usize) -> i64 {
        let value = self.values[column].value();
        match self.columns[column].type_ {
            pg_sys::INT2OID => i64::from(value as i16),
            pg_sys::INT4OID => i64::from(value as i32),
            _ => value as i64,
        }
    }

    /// The value of a column of type `bool`, which is not NULL.
    #[inline(always)]
    pub(crate) fn bool(&self, column: usize) -> bool {
        self.values[column].value() as u8 != 0
    }

    /// The value of a column of type `xid`, which is not NULL.
    #[inline(always)]
    pub(crate) fn xid(&self, column: usize) -> u32 {
        self.values[column].value() as u32
    }

    /// The value of a column of type `timestamptz`, which is not NULL: microseconds since the beginning of 2000.
    #[inline(always)]
    pub(crate) fn time(&self, column: usize) -> i64 {
        self.values[column].value() as i64
    }

    /// The value of a column of type `float8`, which is not NULL.
    #[inline(always)]
    pub(crate) fn float8(&self, column: usize) -> f64 {
        f64::from_bits(self.values[column].value() as u64)
    }

    /// The value of a column of type `float4`, which is not NULL.
    #[inline(always)]
    pub(crate) fn float4(&self, column: usize) -> f32 {
        f32::from_bits(self.values[column].value() as u32)
    }

    /// The payload of a varlena column, such as `phash`, which is not NULL.
    #[inline(always)]
    pub(crate) fn bytes(&self, column: usize) -> &'a [u8] {
        assert!(self.columns[column].is_varlena && !self.nulls[column], "column {column} holds no bytes");
        // SAFETY: the value is a varlena, not NULL, and is alive for 'a.
        unsafe { payload(self.values[column]) }
    }

    /// The value of a column, which is not NULL, and its type.
    pub(in crate::pg) fn value(&self, column: usize) -> (Datum, Oid) {
        assert!(!self.nulls[column], "column {column} is NULL");
        (self.values[column], self.columns[column].type_)
    }
}

/// Runs `query`: `begin` makes a reader for its columns, `row` gets it with each row, and it is returned in the end.
/// What `row` allocates in Postgres's memory lives until it returns.
///
/// Errors: 42601 for more or less than one statement, 0A000 and 25006 for anything but a plain SELECT, those of `begin`
/// and `row`, after which no further row is read. Errors within the query are raised as they are.
pub(crate) fn run_select<Reader>(
    query: &CStr,
    begin: impl FnOnce(&[ResultColumn]) -> Result<Reader, LuminaError>,
    row: impl FnMut(&mut Reader, Row<'_>) -> Result<(), LuminaError>,
) -> Result<Reader, LuminaError> {
    // SAFETY: what was opened is closed; an error of Postgres, or a panic, leaves it to the abort.
    unsafe {
        pg_sys::SPI_connect();
        let result = run(query, begin, row);
        pg_sys::SPI_finish();
        result
    }
}

/// # Safety
/// SPI is connected.
unsafe fn run<Reader, Each: FnMut(&mut Reader, Row<'_>) -> Result<(), LuminaError>>(
    query: &CStr,
    begin: impl FnOnce(&[ResultColumn]) -> Result<Reader, LuminaError>,
    row: Each,
) -> Result<Reader, LuminaError> {
    let parallel = pg_sys::CURSOR_OPT_PARALLEL_OK as c_int;
    // SAFETY: the plan lives until SPI is left. The receiver outlives the execution, which alone knows its address.
    unsafe {
        let plan = context::keep(|| pg_sys::SPI_prepare_cursor(query.as_ptr(), 0, ptr::null_mut(), parallel));
        assert!(!plan.is_null(), "a query was not prepared: {}", (&raw const pg_sys::SPI_result).read());
        let description = check(plan)?;
        let columns = columns(description);
        let reader = begin(&columns)?;
        let mut receiver = Receiver {
            callbacks: DestReceiver {
                receiveSlot: Some(receive::<Reader, Each>),
                rStartup: Some(start::<Reader, Each>),
                rShutdown: Some(ignore),
                rDestroy: Some(ignore),
                mydest: pg_sys::CommandDest::DestTuplestore, // any that is not one of SPI's
            },
            columns,
            reader,
            row,
            failure: None,
            memory: new_memory(c"lumina row"),
            rows: 0,
        };
        let options = pg_sys::SPIExecuteOptions {
            read_only: true,
            must_return_tuples: true,
            dest: (&raw mut receiver).cast(),
            ..Default::default()
        };
        let done = context::keep(|| pg_sys::SPI_execute_plan_extended(plan, &raw const options));
        assert!(done == pg_sys::SPI_OK_SELECT as c_int, "a query was not executed: {done}");
        match receiver.failure {
            Some(failure) => Err(failure),
            None => Ok(receiver.reader),
        }
    }
}

/// Refuses everything but one plain SELECT, and plans it, so that locks on its tables keep it as it is. Returns the
/// description of its result.
///
/// # Safety
/// `plan` was just prepared.
unsafe fn check(plan: pg_sys::SPIPlanPtr) -> Result<TupleDesc, LuminaError> {
    // SAFETY: as promised by the caller; lists and nodes are those of the plan, and live as long.
    unsafe {
        let sources = PgList::<pg_sys::CachedPlanSource>::from_pg(pg_sys::SPI_plan_get_plan_sources(plan));
        let Some(source) = sources.get_ptr(0).filter(|_| sources.len() == 1) else {
            return Err(QueryError::Count(sources.len()).into());
        };
        let queries = PgList::<pg_sys::Query>::from_pg((*source).query_list);
        let select = |query: *mut pg_sys::Query| (*query).commandType == pg_sys::CmdType::CMD_SELECT;
        if queries.len() != 1 || !queries.iter_ptr().all(select) {
            return Err(QueryError::Command(command(source)).into());
        }
        let planned = context::keep(|| pg_sys::SPI_plan_get_cached_plan(plan));
        assert!(!planned.is_null(), "a query was not planned");
        let mut refused = None;
        for statement in PgList::<pg_sys::PlannedStmt>::from_pg((*planned).stmt_list).iter_ptr() {
            if (*statement).hasModifyingCTE {
                refused = Some(QueryError::Writes("changes data in WITH"));
            } else if !(*statement).rowMarks.is_null() {
                refused = Some(QueryError::Writes("locks rows with FOR UPDATE or FOR SHARE"));
            }
        }
        pg_sys::ReleaseCachedPlan(planned, ptr::null_mut());
        refused.map_or(Ok((*source).resultDesc), |refused| Err(refused.into()))
    }
}

/// The name of a command that is no SELECT.
///
/// # Safety
/// `source` is that of a prepared statement.
unsafe fn command(source: *mut pg_sys::CachedPlanSource) -> String {
    // SAFETY: as promised by the caller; a node's tag says which struct it is.
    unsafe {
        let parsed = (*(*source).raw_parse_tree).stmt;
        if (*parsed).type_ == NodeTag::T_SelectStmt {
            return "SELECT INTO".into(); // the only form of it that is a command of its own
        }
        CStr::from_ptr(pg_sys::GetCommandTagName((*source).commandTag)).to_string_lossy().into_owned()
    }
}

/// # Safety
/// `description` is null, for no columns, or a description of rows.
unsafe fn columns(description: TupleDesc) -> Vec<ResultColumn> {
    // SAFETY: as promised by the caller: it has `natts` columns.
    unsafe {
        let described = |at: usize| {
            let attribute = attribute(description, at);
            let mut modifier = (*attribute).atttypmod;
            let type_ = pg_sys::getBaseTypeAndTypmod((*attribute).atttypid, &raw mut modifier);
            let name = CStr::from_ptr((&raw const (*attribute).attname.data).cast()).to_string_lossy().into_owned();
            ResultColumn {
                name,
                declared: (*attribute).atttypid,
                type_,
                modifier,
                is_varlena: (*attribute).attlen == -1,
            }
        };
        (0..count(description)).map(described).collect()
    }
}

/// # Safety
/// As for [`columns`].
unsafe fn count(description: TupleDesc) -> usize {
    // SAFETY: as promised by the caller.
    if description.is_null() { 0 } else { unsafe { (*description).natts as usize } }
}

/// A new memory context below the current one, with which it is deleted at the latest.
pub(in crate::pg) fn new_memory(name: &'static CStr) -> MemoryContext {
    let (minimum, initial) = (pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize, pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize);
    let maximum = pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize;
    // SAFETY: the name is static, as Postgres keeps a pointer to it.
    unsafe {
        let parent = pg_sys::CurrentMemoryContext;
        pg_sys::AllocSetContextCreateInternal(parent, name.as_ptr(), minimum, initial, maximum)
    }
}

/// The destination of the executor's rows. `callbacks` comes first: Postgres has a pointer to it.
#[repr(C)]
struct Receiver<Reader, Each> {
    callbacks: DestReceiver,
    /// The columns that the reader was made for.
    columns: Vec<ResultColumn>,
    reader: Reader,
    row: Each,
    failure: Option<LuminaError>,
    memory: MemoryContext,
    rows: usize,
}

/// # Safety
/// Called by the executor with the [`Receiver`] of these types.
unsafe extern "C-unwind" fn start<Reader, Each>(receiver: *mut DestReceiver, _operation: c_int, rows: TupleDesc) {
    let receiver: *mut Receiver<Reader, Each> = receiver.cast();
    // SAFETY: as promised by the caller; there is nothing on the stack that an error would leave behind.
    unsafe {
        pg_sys::panic::pgrx_extern_c_guard(|| {
            // Types alone: the planner may know less of a modifier.
            let promised = (*receiver).columns.iter().map(|column| column.declared);
            if !columns(rows).into_iter().map(|column| column.declared).eq(promised) {
                QueryError::Changed.raise()
            }
        });
    }
}

/// # Safety
/// Called by the executor with the [`Receiver`] of these types, which has been started, and rows as described.
unsafe extern "C-unwind" fn receive<Reader, Each>(slot: *mut TupleTableSlot, receiver: *mut DestReceiver) -> bool
where
    Each: FnMut(&mut Reader, Row<'_>) -> Result<(), LuminaError>,
{
    let receiver: *mut Receiver<Reader, Each> = receiver.cast();
    // SAFETY: as promised by the caller: the slot has the receiver's columns, and its arrays a place for each. The
    // closure borrows the receiver, which nobody else uses meanwhile. There is nothing on the stack that an error would
    // leave behind.
    unsafe {
        let width = (*receiver).columns.len();
        if ((*slot).tts_nvalid as usize) < width {
            slot_getsomeattrs_int(slot, width as c_int);
        }
        pg_sys::panic::pgrx_extern_c_guard(|| {
            let receiver = &mut *receiver;
            let row = Row {
                columns: &receiver.columns,
                values: std::slice::from_raw_parts((*slot).tts_values, width),
                nulls: std::slice::from_raw_parts((*slot).tts_isnull, width),
            };
            receiver.rows += 1;
            if receiver.rows.is_multiple_of(ROWS_A_RESET) {
                pg_sys::MemoryContextReset(receiver.memory);
            }
            let before = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = receiver.memory;
            let result = (receiver.row)(&mut receiver.reader, row);
            pg_sys::CurrentMemoryContext = before;
            receiver.failure = result.err();
            receiver.failure.is_none()
        })
    }
}

/// # Safety
/// None: it does nothing.
unsafe extern "C-unwind" fn ignore(_receiver: *mut DestReceiver) {}
