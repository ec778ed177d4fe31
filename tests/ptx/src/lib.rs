//! An interpreter for PTX: runs the shipped text of the GPU kernels on a CPU, one warp at a time, with checks that a
//! GPU lacks.
//!
//! A text becomes a [`Module`], [`launch`] runs one of its entries on a [`Memory`]. A launch ends with the memory as a
//! GPU leaves it, or with a [`Fault`] that names kernel, block, thread and line.
//!
//! Checked: bounds, alignment, reads of unwritten registers and memory, uses after a free, races in shared and device
//! memory, collectives that lanes miss, barriers that threads miss, endless loops.
//!
//! Not modelled: the weak memory order of a GPU (all threads see all writes at once), timing, the resource usage of a
//! real kernel, and rounding other than to the nearest. Textures, surfaces, module-scope `.global` and `.const`
//! variables and other instructions than integer kernels need are parse errors.
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
