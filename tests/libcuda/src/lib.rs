//! A stand-in for `libcuda.so.1`: the part of the CUDA driver API that a bulk search calls, on a CPU.
//!
//! A program that opens the driver at run time finds it as `libcuda.so.1` on `LD_LIBRARY_PATH` and runs unchanged.
//! Kernels run from the PTX text that the program loads, by [`lumina_ptx`]. The file in the environment variable
//! `LUMINA_CUDA_STANDIN` (`control`) defines the emulated card and its faults; calls, leaks and faults go into a report
//! (`report`).
//!
//! **Installed** by a folder on `LD_LIBRARY_PATH` that holds `liblumina_libcuda.so` under the name `libcuda.so.1`, and
//! as `libcuda.so` where one of a toolkit would be found first. The variable is read when a process starts.
//!
//! **As measured** on driver 580 with an H200: what waits for what among copies, frees, modules and streams; codes 200,
//! 218 and 222 for images, 1 for wrong shapes and ranges, 2 for memory, 201, 500, 600; a fault of a
//! kernel is reported by the first call that waits, from then on every call on the context returns its code, frees and
//! destroys included, and there is no new context in the process.
//!
//! **From the driver's documentation alone**: 3 before `cuInit` and after a fork, 400 for handles that are not there,
//! 709 after the last release, 801 without memory pools, 702 for a kernel that does not end.
//!
//! **As late as possible**: work on a stream is done when something waits for it; asking whether it is done does one
//! piece.
//!
//! **Stricter than the driver, on purpose**: fresh device memory holds a pattern and may not be read by a kernel (the
//! driver has zeros there, on a fresh card); an access one byte behind an allocation is a fault (the driver notices
//! none within about 1 MiB); freeing what waits for its free is code 1 (the driver says Ok, and may crash later);
//! addresses are not given out twice; pinned memory holds a pattern from when a copy to it is issued until it is done;
//! races, divergence, unwritten registers lose the device with code 719 (a GPU computes something); attributes that are
//! not known are code 1.
//!
//! **Not shown**: speed; two things at once (one lock serves all calls, kernels included); how much memory a context
//! and the driver's pools take; implicit waits between the default stream and others; graphs, capturing, managed
//! memory, peers, several cards; a process that is killed, which writes no report; cubins (an image without `.version`
//! is code 200); what `cuCtxSetCurrent` and `cuMemFreeAsync` of nothing say, which nobody measured (here Ok).

mod code;
mod control;
mod driver;
mod entry;
mod host;
mod report;
mod stream;
