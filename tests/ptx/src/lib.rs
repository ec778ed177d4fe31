//! An interpreter for PTX: runs the text of the GPU kernels that ships on a CPU, one warp at a time, and checks what a
//! GPU does not.
//!
//! A text becomes a [`Module`], [`launch`] runs one of its entries on a [`Memory`]. A launch ends with the memory as a
//! GPU leaves it, or with a [`Fault`] that names kernel, block, thread and line.
//!
//! What is checked: bounds, alignment, reads of registers and memory that nothing was written to, uses after a free,
//! races in shared and device memory, collectives that lanes miss, barriers that threads miss, endless loops.
//!
//! What is not: the weak memory order of a GPU (all threads see all writes at once), timing, how much of a resource a
//! real kernel would use, and rounding other than to the nearest. Textures, surfaces, module-scope `.global` and
//! `.const` variables and other instructions than integer kernels need are errors when the text is parsed.
//!
//! Modules, in the order of the work: `token` and `parse` read a text, `decode` makes a `program` of each
//! entry, [`launch`] runs it by `warp` and `block`; `alu`, `convert`, `matrix`, `registers` serve the
//! lanes, `memory`, `region` and `shadow` are the memory and its checks.

mod alu;
mod block;
mod convert;
mod decode;
mod fault;
mod launch;
mod matrix;
mod memory;
mod module;
mod parse;
mod program;
mod region;
mod registers;
mod shadow;
mod token;
mod warp;

pub use fault::{Fault, FaultKind, ParseError};
pub use launch::{Options, Order, Stats, launch};
pub use memory::{Memory, OutOfBounds};
pub use module::{Device, Entry, Module, Param, Unsupported};
pub use parse::Header;
pub use region::STALE;
