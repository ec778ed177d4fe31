//! Allocates all free memory of the card, and holds it, like other programs on the card.

#![allow(unsafe_code, reason = "the driver gives out addresses")]

use crate::Error;
use cudarc::driver::CudaContext;
use cudarc::driver::result::malloc_sync;
use cudarc::driver::sys::CUresult;
use std::io::{self, Read as _};

/// The largest allocation, in bytes.
const MOST: usize = 1 << 30;
/// The smallest one: less than this stays free.
const LEAST: usize = 1 << 20;

/// Allocates until not even a mebibyte is left, prints a line, and holds it until the standard input ends.
pub(crate) fn run() -> Result<(), Error> {
    let context = CudaContext::new(0)?;
    let (mut held, mut size) = (0, MOST);
    while size >= LEAST {
        // SAFETY: the context is current; the memory is unused, and freed when the process ends.
        match unsafe { malloc_sync(size) } {
            Ok(_) => held += size,
            Err(error) if error.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY => size /= 2,
            Err(error) => return Err(error.into()),
        }
    }
    let (free, all) = context.mem_get_info()?;
    println!("full: {} MiB taken, {} MiB of {} MiB are free", held >> 20, free >> 20, all >> 20);
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
