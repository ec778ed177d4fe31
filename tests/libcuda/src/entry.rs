//! The exported functions, by topic. Each checks its arguments, and does or issues the work.
//!
//! Signatures: "CUDA Driver API". Names have the suffix of the header (`cuMemAlloc` is `cuMemAlloc_v2`).

mod device;
mod launch;
mod memory;
mod stream;
