//! The functions that the library exports, by topic. Each checks its arguments, and does or issues the work.
//!
//! Signatures: "CUDA Driver API". Names carry the suffix that the header gives them (`cuMemAlloc` is `cuMemAlloc_v2`).

mod device;
mod launch;
mod memory;
mod stream;
