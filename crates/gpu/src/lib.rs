//! Bulk search on a GPU: the kernels that it runs, as PTX, and what is passed to them.
//!
//! | file | holds |
//! |---|---|
//! | `kernels/*.cu`, `*.h` | the kernels, in CUDA C; `kernels/README.md` describes them and what proves them |
//! | `ptx/*.ptx` | what `scripts/ptx` makes of them, and what ships: no CUDA toolkit is needed to build |
//! | [`params`] | the arguments of the kernels and the sizes that go with them, mirrored from `kernels/search.h` |
//! | `host/` | the kernels as C++ on the CPU, and their proofs against brute force |
//! | `tests/host.rs` | compiles and runs the proofs, plain and with sanitizers; compares layouts and PTX |
//! | `tests/planted.rs` | plants bugs in the kernels and tells which proof finds them |
//!
//! Invariant: nothing here needs a GPU, a driver or a file of NVIDIA's to build and to be tested.

pub mod params;

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
