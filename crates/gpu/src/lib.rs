//! Bulk search on a GPU: pairs of near hashes, and equal rows, exactly as on the CPU.
//!
//! A GPU is used by a separate process, which serves clients over a Unix socket, and never by a backend of Postgres: a
//! driver that crashes, or a process that is killed, ends a connection and nothing else.
//!
//! | part | holds |
//! |---|---|
//! | [`client`], [`protocol`], [`shared`] | the client's side: sends questions and hashes, receives pairs |
//! | [`server`] | the GPU process: its clients and their searches, in turn |
//! | `search`, `slices`, `part` | a search in parts that fit the memory, in launches of 50 ms whose results fit |
//! | `brute`, `banded`, `collapse` | the kernels that a search launches |
//! | `proof` | where searches begin: known-answer tests, before a kind of kernel is used for the first time |
//! | `device`, `driver` | the device, its memory, transfers; the driver's functions, found at run time |
//! | `kernels`, [`params`] | the kernels by name; their arguments, mirrored from `kernels/search.h` |
//! | `kernels/*.cu`, `*.h` | the kernels, in CUDA C; `kernels/README.md` describes them and what proves them |
//! | `ptx/*.ptx` | what `scripts/ptx` makes of them, and what ships: no CUDA toolkit is needed to build |
//! | `host/` | the kernels as C++ on the CPU, and their proofs against brute force |
//! | `tests/host.rs` | compiles and runs the proofs, plain and with sanitizers; compares layouts and PTX |
//! | `tests/planted.rs` | plants bugs in the kernels and reports which proof finds them |
//! | `tests/serving.rs` | the GPU process on a stand-in for the driver (`tests/libcuda`), with the PTX that ships |
//!
//! Invariant: nothing here needs a GPU, a driver or a file of NVIDIA's to build and to be tested.

mod banded;
mod brute;
pub mod client;
mod collapse;
mod device;
mod driver;
mod error;
mod kernels;
pub mod params;
mod part;
mod proof;
pub mod protocol;
mod request;
mod search;
pub mod server;
pub mod shared;
mod slices;

pub use collapse::RowCollapse;
pub use device::{Device, Info};
pub use error::GpuError;
pub use part::Take;
pub use proof::{begin_collapse, begin_search, measure_rate};
pub use request::{HashMemory, Hashes, MAX_COLUMNS, MAX_ROWS, MAX_WORDS, PairMethod, PairRequest, Set, TolerantBand};
pub use search::{GpuSearch, Step};

/// Brute force by matrix instructions on bits, and the sort by the number of ones: sm_80, PTX 7.1; for sm_80 to sm_90.
pub const BRUTE_B1: &str = include_str!("../ptx/brute_b1.ptx");
/// Brute force by matrix instructions on bytes: sm_80, PTX 7.1; for GPUs later than sm_90.
pub const BRUTE_S8: &str = include_str!("../ptx/brute_s8.ptx");
/// Brute force by POPC, any number of words: sm_75, PTX 6.3.
pub const BRUTE_POPC: &str = include_str!("../ptx/brute_popc.ptx");
/// The banded join: sm_75, PTX 6.3.
pub const BANDED: &str = include_str!("../ptx/banded.ptx");
/// Equal rows: sm_75, PTX 6.3.
pub const COLLAPSE: &str = include_str!("../ptx/collapse.ptx");
