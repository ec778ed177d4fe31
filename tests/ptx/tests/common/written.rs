//! Kernels written by hand.

use super::*;
use lumina_ptx::Fault;

/// The header of every text.
pub(crate) const HEAD: &str = ".version 7.1\n.target sm_80\n.address_size 64\n";

/// A kernel with a parameter `at`, registers of each kind, `%r0` = the thread and `%rd0` = `at` + 8 times it.
pub(crate) fn kernel(body: &str) -> String {
    format!(
        "{HEAD}.visible .entry k(.param .u64 at) {{\n.reg .pred %p<8>;\n.reg .b16 %h<8>;\n.reg .b32 %r<16>;\n\
         .reg .b64 %rd<16>;\n.reg .f32 %f<8>;\n.reg .f64 %fd<8>;\nmov.u32 %r0, %tid.x;\nld.param.u64 %rd0, [at];\n\
         mul.wide.u32 %rd1, %r0, 8;\nadd.s64 %rd0, %rd0, %rd1;\n{body}\nret;\n}}\n"
    )
}

/// Runs `text` with one parameter, an array of `input` that it changes.
pub(crate) fn run_text(text: &str, threads: u32, input: &[u64]) -> Result<Vec<u64>, Fault> {
    let module = Module::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut memory = Memory::new();
    let at = memory.allocate_with(&bytes(input));
    let options = Options { limit: 100_000, ..Options::default() };
    launch(module.entry("k").unwrap(), [1; 3], [threads, 1, 1], &at.to_le_bytes(), &mut memory, &options)?;
    Ok(read_u64(&memory, at, input.len()))
}
