//! The scenarios. Each checks the results of calls; the parent process checks the report.

use cudarc::driver::{CudaContext, CudaFunction, CudaStream, DevicePtr, DriverError, LaunchConfig, PushKernelArg, sys};
use cudarc::nvrtc::Ptx;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// The output of a client that completed.
pub(crate) const DONE: &str = "the client is done";

/// A kernel for each scenario.
const KERNELS: &str = "
.version 6.3
.target sm_75
.address_size 64
.visible .entry add(.param .u64 at, .param .u64 n, .param .u64 by) .maxntid 128, 1, 1 {
  .reg .pred %p<2>; .reg .b32 %r<5>; .reg .b64 %rd<8>;
  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  cvt.u64.u32 %rd1, %r4;
  ld.param.u64 %rd2, [n];
  setp.ge.u64 %p1, %rd1, %rd2;
  @%p1 ret;
  ld.param.u64 %rd3, [at]; ld.param.u64 %rd4, [by];
  shl.b64 %rd5, %rd1, 3; add.s64 %rd6, %rd3, %rd5;
  ld.global.u64 %rd7, [%rd6]; add.s64 %rd7, %rd7, %rd4; st.global.u64 [%rd6], %rd7;
  ret; }
.visible .entry address(.param .u64 at) {
  .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [at]; st.global.u64 [%rd1+64], 1; ret; }
.visible .entry misaligned(.param .u64 at) {
  .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [at]; st.global.u64 [%rd1+4], 1; ret; }
.visible .entry trap(.param .u64 at) { trap; }
.visible .entry endless(.param .u64 at) { L1: bra L1; }
.visible .entry good(.param .u64 at) { ret; }
.visible .entry race(.param .u64 at) {
  .reg .b32 %r<2>; .reg .b64 %rd<2>;
  mov.u32 %r1, %tid.x; ld.param.u64 %rd1, [at]; st.global.u32 [%rd1], %r1; ret; }
.visible .entry unwritten(.param .u64 at) {
  .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [at]; ld.global.u64 %rd2, [%rd1+8]; st.global.u64 [%rd1], %rd2; ret; }
";

struct Client {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    module: Arc<cudarc::driver::CudaModule>,
}

type Done<T> = Result<T, DriverError>;

fn code<T>(result: Done<T>) -> u32 {
    result.map_or_else(|error| error.0 as u32, |_| 0)
}

impl Client {
    fn open() -> Done<Self> {
        let context = CudaContext::new(0)?;
        let stream = context.new_stream()?;
        let module = context.load_module(Ptx::from_src(KERNELS))?;
        Ok(Self { context, stream, module })
    }

    fn function(&self, name: &str) -> CudaFunction {
        self.module.load_function(name).unwrap()
    }

    /// Adds `by` to `n` numbers at `at`, without waiting.
    fn add(&self, at: u64, n: u64, by: u64) -> Done<()> {
        let shape =
            LaunchConfig { grid_dim: ((n as u32).div_ceil(128), 1, 1), block_dim: (128, 1, 1), shared_mem_bytes: 0 };
        let add = self.function("add");
        // SAFETY: the parameters are those of the kernel.
        unsafe { self.stream.launch_builder(&add).arg(&at).arg(&n).arg(&by).launch(shape) }.map(drop)
    }

    /// Launches a kernel that takes an address.
    fn launch(&self, name: &str, at: u64) -> Done<()> {
        let shape = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (32, 1, 1), shared_mem_bytes: 0 };
        let function = self.module.load_function(name)?;
        // SAFETY: the parameter is that of the kernel.
        unsafe { self.stream.launch_builder(&function).arg(&at).launch(shape) }.map(drop)
    }
}

/// Runs the scenario `name`.
pub(crate) fn run(name: &str) {
    match name {
        "clean" => clean(),
        "leaks" => leaks(),
        "too early" => too_early(true),
        "too early, unseen" => too_early(false),
        "pinned source" => pinned_source(),
        "pageable sources" => pageable_sources(),
        "full" => assert_eq!(code(CudaContext::new(0)), 2),
        "out of memory" => out_of_memory(),
        "third allocation fails" => third_allocation_fails(),
        "no pools" => no_pools(),
        "forked" => forked(),
        "images" => images(),
        "arguments" => arguments(),
        "waits" => waits(),
        "events" => events(),
        "told" => told(),
        _ => {
            if let Some(want) = name.strip_prefix("init fails with ") {
                let found = CudaContext::device_count().map_or_else(|error| error.0 as u32, |_| 0);
                assert_eq!(found, want.parse::<u32>().unwrap());
            } else {
                let (kernel, fate) = name.split_once(": ").unwrap();
                fault(kernel, fate.strip_prefix("lost with ").map_or(0, |code| code.parse().unwrap()));
            }
        }
    }
}

fn clean() {
    let client = Client::open().unwrap();
    assert_eq!(client.context.name().unwrap(), "A card");
    assert_eq!(client.context.compute_capability().unwrap(), (8, 6));
    assert_eq!(client.context.total_mem().unwrap(), 1_000_000);
    let numbers: Vec<u64> = (0..1000).collect();
    let mut on_device = client.stream.clone_htod(&numbers).unwrap();
    for by in [1, 10, 100] {
        let at = on_device.device_ptr(&client.stream).0;
        client.add(at, 1000, by).unwrap();
    }
    let mut back = vec![0u64; 1000];
    client.stream.memcpy_dtoh(&on_device, &mut back).unwrap();
    client.stream.synchronize().unwrap();
    client.context.check_err().unwrap();
    assert_eq!(back, numbers.iter().map(|x| x + 111).collect::<Vec<u64>>());
    client.stream.memset_zeros(&mut on_device).unwrap();
    assert_eq!(client.stream.clone_dtoh(&on_device).unwrap(), vec![0; 1000]);
    let copy = client.stream.clone_dtod(&on_device).unwrap();
    assert_eq!(client.stream.clone_dtoh(&copy).unwrap(), vec![0; 1000]);
    let (free, total) = client.context.mem_get_info().unwrap();
    assert_eq!(total - free, 16_000);
}

fn leaks() {
    let client = Client::open().unwrap();
    std::mem::forget(client.stream.alloc_zeros::<u64>(10).unwrap());
    std::mem::forget(client.stream.alloc_zeros::<u64>(10).unwrap());
    // SAFETY: nothing reads it.
    std::mem::forget(unsafe { client.context.alloc_pinned::<u64>(4) }.unwrap());
    std::mem::forget(client);
}

/// Pinned memory and its address, so that it can be read at points where cudarc would wait for it.
fn pinned(length: usize) -> *mut u64 {
    let mut pointer = MaybeUninit::<*mut std::ffi::c_void>::uninit();
    // SAFETY: a place for a pointer is passed.
    let result = unsafe { sys::cuMemHostAlloc(pointer.as_mut_ptr(), 8 * length, 0) };
    assert_eq!(result as u32, 0);
    // SAFETY: the call succeeded.
    unsafe { pointer.assume_init() }.cast()
}

fn too_early(is_seen: bool) {
    let client = Client::open().unwrap();
    let on_device = client.stream.clone_htod(&[5u64, 6, 7]).unwrap();
    let (at, _guard) = on_device.device_ptr(&client.stream);
    let results = pinned(3);
    client.add(at, 3, 1).unwrap();
    // SAFETY: both places hold 24 bytes.
    let copied = unsafe { sys::cuMemcpyDtoHAsync_v2(results.cast(), at, 24, client.stream.cu_stream()) };
    assert_eq!(copied as u32, 0);
    // SAFETY: three numbers were allocated and filled with a pattern.
    let early = unsafe { std::slice::from_raw_parts(results, 3) }.to_vec();
    assert_eq!(early == [6, 7, 8], !is_seen, "{early:x?}");
    client.stream.synchronize().unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { std::slice::from_raw_parts(results, 3) }, [6, 7, 8]);
    // A second copy to the same place: the old results do not count either.
    // SAFETY: both places hold 24 bytes.
    let copied = unsafe { sys::cuMemcpyDtoHAsync_v2(results.cast(), at, 24, client.stream.cu_stream()) };
    assert_eq!(copied as u32, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { results.read_volatile() } == 6, !is_seen);
    client.stream.synchronize().unwrap();
    // SAFETY: it was allocated so.
    assert_eq!(unsafe { sys::cuMemFreeHost(results.cast()) } as u32, 0);
}

/// Copies from pinned memory read it when they run: a change of the source before that is seen.
fn pinned_source() {
    let client = Client::open().unwrap();
    let on_device = client.stream.alloc_zeros::<u64>(1).unwrap();
    let (at, _guard) = on_device.device_ptr(&client.stream);
    let source = pinned(1);
    // SAFETY: the places hold 8 bytes each, and a write beside the copy is what is tested.
    unsafe {
        source.write(1);
        assert_eq!(sys::cuMemcpyHtoDAsync_v2(at, source.cast(), 8, client.stream.cu_stream()) as u32, 0);
        source.write(2);
    }
    assert_eq!(client.stream.clone_dtoh(&on_device).unwrap(), [2]);
}

/// Copies from pageable memory stage it, whatever their size.
fn pageable_sources() {
    let client = Client::open().unwrap();
    for length in [16, 8192, 8193, 1 << 20] {
        let on_device = client.stream.alloc_zeros::<u64>(length).unwrap();
        let (at, _guard) = on_device.device_ptr(&client.stream);
        let mut source = vec![1u64; length];
        // SAFETY: as many bytes are readable and writable.
        let copied =
            unsafe { sys::cuMemcpyHtoDAsync_v2(at, source.as_ptr().cast(), 8 * length, client.stream.cu_stream()) };
        assert_eq!(copied as u32, 0);
        source.fill(2);
        assert_eq!(client.stream.clone_dtoh(&on_device).unwrap(), vec![1; length]);
    }
}

fn out_of_memory() {
    let client = Client::open().unwrap();
    let first = client.stream.alloc_zeros::<u8>(60_000).unwrap();
    assert_eq!(code(client.stream.alloc_zeros::<u8>(60_000)), 2);
    let second = client.stream.alloc_zeros::<u8>(40_000).unwrap();
    drop((first, second));
    // Memory that a stream frees is available to its next allocation.
    client.stream.alloc_zeros::<u8>(100_000).unwrap();
    client.context.check_err().unwrap();
}

fn third_allocation_fails() {
    let client = Client::open().unwrap();
    let kept: Vec<_> = (0..2).map(|_| client.stream.alloc_zeros::<u8>(8).unwrap()).collect();
    assert_eq!(code(client.stream.alloc_zeros::<u8>(8)), 2);
    client.stream.alloc_zeros::<u8>(8).unwrap();
    drop(kept);
}

fn no_pools() {
    let client = Client::open().unwrap();
    let on_device = client.stream.clone_htod(&[1u64, 2]).unwrap();
    assert_eq!(client.stream.clone_dtoh(&on_device).unwrap(), [1, 2]);
    // SAFETY: a place for the address is passed.
    assert_eq!(unsafe { sys::cuMemAllocAsync(&mut 0, 8, client.stream.cu_stream()) } as u32, 801);
}

/// A forked process has no driver, and reports nothing.
fn forked() {
    let _client = Client::open().unwrap();
    // SAFETY: the child calls the driver and ends.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: it ends the child, exit functions included.
            unsafe { libc::exit((sys::cuCtxSynchronize() as u32 + sys::cuInit(0) as u32) as i32) }
        }
        child => {
            let mut status = 0;
            // SAFETY: the child is ours, and a place for the status is passed.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(libc::WEXITSTATUS(status), 3 + 3);
        }
    }
}

/// A faulting kernel: there is no error until a call waits, then every call returns `lost`, and nothing works any more.
fn fault(kernel: &str, lost: u32) {
    let client = Client::open().unwrap();
    // SAFETY: the kernels read it, and one of them is to be caught.
    let on_device = unsafe { client.stream.alloc::<u64>(8) }.unwrap();
    let (at, guard) = on_device.device_ptr(&client.stream);
    client.launch("good", at).unwrap();
    client.launch(kernel, at).unwrap();
    drop(guard);
    assert_eq!(code(client.stream.synchronize()), lost);
    if lost == 0 {
        return;
    }
    assert_eq!(code(client.stream.alloc_zeros::<u8>(8)), lost);
    assert_eq!(code(client.launch("good", at)), lost);
    // SAFETY: an allocated address; the call returns the code and does nothing.
    assert_eq!(unsafe { sys::cuMemFree_v2(at) } as u32, lost);
    assert_eq!(code(CudaContext::device_count()), 0);
    let again = CudaContext::new(0);
    assert_eq!(code(again.map(drop)), 0, "a second retain says Ok: it is no test of health");
    drop(on_device);
    let Client { context, stream, module } = client;
    drop((stream, module));
    let left = context.check_err();
    assert!(left.is_err(), "the drops left the code");
    drop(context);
    assert_eq!(code(CudaContext::new(0)), lost, "no context after the last release");
}

fn images() {
    let context = CudaContext::new(0).unwrap();
    let load = |text: String| code(context.load_module(Ptx::from_src(text)));
    assert_eq!(load(KERNELS.to_owned()), 0);
    assert_eq!(load("this is no PTX".to_owned()), 200);
    assert_eq!(load(KERNELS.replace("6.3", "7.1")), 222);
    assert_eq!(load(KERNELS.replace("sm_75", "sm_80")), 218);
    assert_eq!(load(KERNELS.replace("trap;", "tex.2d.v4.s32;")), 218);
    let module = context.load_module(Ptx::from_src(KERNELS)).unwrap();
    assert_eq!(code(module.load_function("not there")), 500);
}

fn arguments() {
    let mut count = 0;
    // SAFETY: a place for the number is passed; the driver is not initialised yet.
    assert_eq!(unsafe { sys::cuDeviceGetCount(&mut count) } as u32, 3);
    let client = Client::open().unwrap();
    let on_device = client.stream.alloc_zeros::<u64>(8).unwrap();
    let (at, _guard) = on_device.device_ptr(&client.stream);
    let stream = client.stream.cu_stream();
    let mut bytes = [0u8; 72];
    let good = client.function("add");
    let launch = |grid, threads, shared_mem_bytes| {
        let shape = LaunchConfig { grid_dim: (grid, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes };
        // SAFETY: the parameters are those of the kernel; no launch with a wrong shape runs.
        code(unsafe { client.stream.launch_builder(&good).arg(&at).arg(&0u64).arg(&0u64).launch(shape) })
    };
    assert_eq!([launch(1, 128, 0), launch(1, 129, 0), launch(0, 1, 0), launch(1, 0, 0)], [0, 1, 1, 1]);
    assert_eq!(launch(1, 32, 49_153), 1);
    // SAFETY: the host's buffers are large enough; other errors are refused.
    unsafe {
        let mut pointer = 1;
        assert_eq!(sys::cuMemcpyDtoHAsync_v2(bytes.as_mut_ptr().cast(), at, 65, stream) as u32, 1);
        assert_eq!(sys::cuMemcpyHtoDAsync_v2(at + 1, bytes.as_ptr().cast(), 64, stream) as u32, 1);
        assert_eq!(sys::cuMemsetD8Async(at, 0, 65, stream) as u32, 1);
        assert_eq!(sys::cuMemAllocAsync(&mut pointer, 0, stream) as u32, 0);
        assert_eq!(sys::cuMemFree_v2(0) as u32, 0);
        assert_eq!(sys::cuMemAlloc_v2(&mut pointer, 0) as u32, 1);
        assert_eq!(sys::cuMemFree_v2(at + 8) as u32, 1);
        assert_eq!(sys::cuMemAlloc_v2(&mut pointer, 8) as u32, 0);
        assert_eq!(sys::cuMemFreeAsync(pointer, stream) as u32, 0);
        assert_eq!(sys::cuMemFree_v2(pointer) as u32, 1, "freed twice: an error on purpose");
        assert_eq!(sys::cuMemFreeHost(bytes.as_mut_ptr().cast()) as u32, 1);
        assert_eq!(sys::cuStreamSynchronize(0x77 as sys::CUstream) as u32, 400);
        assert_eq!(sys::cuDeviceGet(&mut 0, 1) as u32, 101);
        assert_eq!(sys::cuCtxSetCurrent(std::ptr::null_mut()) as u32, 0);
        assert_eq!(sys::cuCtxSynchronize() as u32, 201);
    }
    let mut text = std::ptr::null();
    // SAFETY: a place for the pointer is passed, and what it points to is a constant.
    let name = unsafe {
        assert_eq!(sys::cuGetErrorName(sys::CUresult::CUDA_ERROR_ILLEGAL_ADDRESS, &mut text) as u32, 0);
        std::ffi::CStr::from_ptr(text)
    };
    assert_eq!(name, c"CUDA_ERROR_ILLEGAL_ADDRESS");
}

/// Counts on the device and copies the count to pinned memory: the copy shows whether a call waited for the stream.
fn waits() {
    let client = Client::open().unwrap();
    let (stream, raw) = (&client.stream, client.stream.cu_stream());
    let on_device = stream.alloc_zeros::<u64>(1 << 14).unwrap();
    let counter = stream.alloc_zeros::<u64>(1).unwrap();
    let (at, count_at) = (on_device.device_ptr(stream).0, counter.device_ptr(stream).0);
    stream.synchronize().unwrap();
    let (source, spare, watch) = (pinned(1 << 14), pinned(1), pinned(1));
    // SAFETY: a number is there, and the driver alone writes it, inside of calls.
    let watched = || unsafe { watch.read_volatile() };
    let mut pageable = vec![0u64; 1 << 14];
    let mut count = 0;
    let mut check = |what: &str, waits: bool, call: &mut dyn FnMut() -> u32| {
        client.add(count_at, 1, 1).unwrap();
        // SAFETY: both places hold 8 bytes.
        assert_eq!(unsafe { sys::cuMemcpyDtoHAsync_v2(watch.cast(), count_at, 8, raw) } as u32, 0);
        count += 1;
        assert_eq!(call(), 0, "{what}");
        assert_eq!(watched() == count, waits, "{what}");
        stream.synchronize().unwrap();
        assert_eq!(watched(), count, "{what}");
    };
    // SAFETY: all places are as large as the copies say.
    unsafe {
        let (small, large) = (64 << 10, 128 << 10);
        let page = pageable.as_mut_ptr();
        check("in, pageable, 64 KiB", false, &mut || sys::cuMemcpyHtoDAsync_v2(at, page.cast(), small, raw) as u32);
        check("in, pageable, more", true, &mut || sys::cuMemcpyHtoDAsync_v2(at, page.cast(), large, raw) as u32);
        check("in, pinned", false, &mut || sys::cuMemcpyHtoDAsync_v2(at, source.cast(), small, raw) as u32);
        check("out, pageable", true, &mut || sys::cuMemcpyDtoHAsync_v2(page.cast(), at, 8, raw) as u32);
        check("out, pinned", false, &mut || sys::cuMemcpyDtoHAsync_v2(source.cast(), at, 8, raw) as u32);
        check("fill", false, &mut || sys::cuMemsetD32Async(at, 1, 2, raw) as u32);
        check("free of pinned memory", true, &mut || sys::cuMemFreeHost(spare.cast()) as u32);
        let mut address = 0;
        assert_eq!(sys::cuMemAlloc_v2(&mut address, 8) as u32, 0);
        check("free", true, &mut || sys::cuMemFree_v2(address) as u32);
        let mut module = std::ptr::null_mut();
        let text = std::ffi::CString::new(KERNELS).unwrap();
        check("module", true, &mut || sys::cuModuleLoadData(&mut module, text.as_ptr().cast()) as u32);
        assert_eq!(sys::cuModuleUnload(module) as u32, 0);
        assert_eq!(sys::cuMemFreeHost(source.cast()) as u32, 0);
        // Destroying a stream returns at once, and its work continues.
        let mut second = std::ptr::null_mut();
        assert_eq!(sys::cuStreamCreate(&mut second, 1) as u32, 0);
        assert_eq!(sys::cuMemsetD8Async(count_at, 255, 8, second) as u32, 0);
        assert_eq!(sys::cuMemcpyDtoHAsync_v2(watch.cast(), count_at, 8, second) as u32, 0);
        assert_eq!(sys::cuStreamDestroy_v2(second) as u32, 0);
        assert_eq!(sys::cuStreamSynchronize(second) as u32, 400);
        assert_ne!(watched(), u64::MAX);
        client.context.synchronize().unwrap();
        assert_eq!(watched(), u64::MAX);
        assert_eq!(sys::cuMemFreeHost(watch.cast()) as u32, 0);
    }
}

fn events() {
    let client = Client::open().unwrap();
    let second = client.context.new_stream().unwrap();
    let on_device = client.stream.alloc_zeros::<u64>(1).unwrap();
    let (at, _guard) = on_device.device_ptr(&client.stream);
    let timed = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
    let (start, end) = (client.context.new_event(timed).unwrap(), client.context.new_event(timed).unwrap());
    start.record(&client.stream).unwrap();
    client.add(at, 1, 3).unwrap();
    end.record(&client.stream).unwrap();
    // The other stream reads after the event; it does not wait by itself.
    second.wait(&end).unwrap();
    let result = pinned(1);
    // SAFETY: both places hold 8 bytes.
    assert_eq!(unsafe { sys::cuMemcpyDtoHAsync_v2(result.cast(), at, 8, second.cu_stream()) } as u32, 0);
    assert!(!end.is_complete());
    second.synchronize().unwrap();
    assert!(end.is_complete());
    // SAFETY: the copy is done.
    assert_eq!(unsafe { result.read() }, 3);
    assert!(start.elapsed_ms(&end).unwrap() >= 5.0);
    // A polling loop ends.
    client.add(at, 1, 3).unwrap();
    end.record(&client.stream).unwrap();
    assert!((0..10).any(|_| end.is_complete()));
    // SAFETY: it was allocated so.
    assert_eq!(unsafe { sys::cuMemFreeHost(result.cast()) } as u32, 0);
}

/// Changes its own control file, like another process.
fn told() {
    let client = Client::open().unwrap();
    let path = std::env::var("LUMINA_CUDA_STANDIN").unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    client.stream.alloc_zeros::<u8>(8).unwrap();
    std::fs::write(&path, format!("{text}\nfail cuMemAllocAsync 2 2\nreport-now first\n")).unwrap();
    client.stream.alloc_zeros::<u8>(8).unwrap();
    assert_eq!(code(client.stream.alloc_zeros::<u8>(8)), 2);
    client.stream.alloc_zeros::<u8>(8).unwrap();
    std::fs::write(&path, format!("{text}\nreport-now first\nmemory 4\n")).unwrap();
    assert_eq!(code(client.stream.alloc_zeros::<u8>(8)), 2);
}
