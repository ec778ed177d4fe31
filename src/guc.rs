//! The settings: their names, defaults and limits. Registered when the library is loaded.
//!
//! The resources of a search or an image are set twice: by any user for the session, and by the superuser as a limit
//! that no session exceeds. The smaller one applies, and [`Bound`] names it, so that an error can name it.

use crate::pg::version::reserve_settings;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use std::ffi::{CStr, CString};
use std::num::NonZero;
use std::time::Duration;

/// Which device compares hashes in bulk searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
#[allow(unsafe_code, reason = "the derived table of names is read by Postgres")]
pub(crate) enum DeviceSetting {
    /// The GPU where there is one and the search is worth it, else the CPU.
    #[name = c"auto"]
    Auto,
    /// The CPU.
    #[name = c"cpu"]
    Cpu,
    /// The GPU.
    #[name = c"cuda"]
    Cuda,
}

impl DeviceSetting {
    const ALL: [(&str, Self); 3] = [("auto", Self::Auto), ("cpu", Self::Cpu), ("cuda", Self::Cuda)];

    /// The name that users write.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, device)| *device == self).map_or("auto", |(name, _)| name)
    }

    /// The device of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, device)| *device)
    }
}

/// The smaller of a user's setting and its limit, with the name of that setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) value: usize,
    pub(crate) setting: &'static str,
}

/// A number that users and superusers can set.
struct NumberSetting {
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    value: GucSetting<i32>,
    minimum: i32,
    maximum: i32,
    unit: GucFlags,
}

const KILOBYTE: usize = 1024;
const MEGABYTE: usize = 1024 * KILOBYTE;
const GIGABYTE_IN_KB: i32 = 1024 * 1024;

static DEVICE: GucSetting<DeviceSetting> = GucSetting::<DeviceSetting>::new(DeviceSetting::Auto);

static THREADS: NumberSetting = NumberSetting {
    name: c"lumina.search_threads",
    short: c"How many threads a bulk search uses.",
    long: c"0 uses as many as there are CPUs, up to lumina.search_threads_limit.",
    value: GucSetting::<i32>::new(0),
    minimum: 0,
    maximum: 1024,
    unit: GucFlags::empty(),
};

static THREADS_LIMIT: NumberSetting = NumberSetting {
    name: c"lumina.search_threads_limit",
    short: c"The most threads that any bulk search uses.",
    long: c"Bounds lumina.search_threads in every session.",
    value: GucSetting::<i32>::new(8),
    minimum: 1,
    maximum: 1024,
    unit: GucFlags::empty(),
};

static MEMORY: NumberSetting = NumberSetting {
    name: c"lumina.search_memory",
    short: c"How much memory a bulk search uses.",
    long: c"It holds the hashes that are searched and what is found in them; a search that needs more is refused.",
    value: GucSetting::<i32>::new(GIGABYTE_IN_KB),
    minimum: 1024,
    maximum: i32::MAX,
    unit: GucFlags::UNIT_KB,
};

static MEMORY_LIMIT: NumberSetting = NumberSetting {
    name: c"lumina.search_memory_limit",
    short: c"The most memory that any bulk search uses.",
    long: c"Bounds lumina.search_memory in every session.",
    value: GucSetting::<i32>::new(2 * GIGABYTE_IN_KB),
    minimum: 1024,
    maximum: i32::MAX,
    unit: GucFlags::UNIT_KB,
};

static PAIRS: NumberSetting = NumberSetting {
    name: c"lumina.max_pairs",
    short: c"How many pairs a bulk search may find.",
    long: c"A search that finds more is cancelled with an error, before its result fills the disk.",
    value: GucSetting::<i32>::new(10_000_000),
    minimum: 0,
    maximum: i32::MAX,
    unit: GucFlags::empty(),
};

static PAIRS_LIMIT: NumberSetting = NumberSetting {
    name: c"lumina.max_pairs_limit",
    short: c"The most pairs that any bulk search may find.",
    long: c"Bounds lumina.max_pairs in every session.",
    value: GucSetting::<i32>::new(100_000_000),
    minimum: 0,
    maximum: i32::MAX,
    unit: GucFlags::empty(),
};

static CONCURRENT: NumberSetting = NumberSetting {
    name: c"lumina.concurrent_searches",
    short: c"How many bulk searches may run at once on the server.",
    long:
        c"One more is refused with an error. The memory and threads that searches can take are bounded by this number \
            times lumina.search_memory_limit and lumina.search_threads_limit, but for the work_mem of those that read.",
    value: GucSetting::<i32>::new(4),
    minimum: 0,
    maximum: 1000,
    unit: GucFlags::empty(),
};

static GPU_MEMORY: NumberSetting = NumberSetting {
    name: c"lumina.gpu_memory",
    short: c"How much memory of the GPU all bulk searches take together.",
    long: c"Beside what the driver itself takes, some 500 MB. What does not fit is searched in parts. In force when \
            the GPU process starts.",
    value: GucSetting::<i32>::new(4096),
    minimum: 64,
    maximum: i32::MAX,
    unit: GucFlags::UNIT_MB,
};

static GPU_IDLE_TIMEOUT: NumberSetting = NumberSetting {
    name: c"lumina.gpu_idle_timeout",
    short: c"How long the GPU process stays when nobody searches.",
    long: c"It starts again, in some 0.4 s, for the next search that is worth it. In force when it starts.",
    value: GucSetting::<i32>::new(300),
    minimum: 1,
    maximum: 86_400,
    unit: GucFlags::UNIT_S,
};

static IMAGE_PIXELS: NumberSetting = NumberSetting {
    name: c"lumina.max_image_pixels",
    short: c"How many pixels an image may have.",
    long: c"Width times height. An image that has more is refused before any of it is decoded.",
    value: GucSetting::<i32>::new(200_000_000),
    minimum: 1,
    maximum: i32::MAX,
    unit: GucFlags::empty(),
};

static IMAGE_PIXELS_LIMIT: NumberSetting = NumberSetting {
    name: c"lumina.max_image_pixels_limit",
    short: c"The most pixels that any image may have.",
    long: c"Bounds lumina.max_image_pixels in every session.",
    value: GucSetting::<i32>::new(1_000_000_000),
    minimum: 1,
    maximum: i32::MAX,
    unit: GucFlags::empty(),
};

static IMAGE_MEMORY: NumberSetting = NumberSetting {
    name: c"lumina.image_memory",
    short: c"How much memory decoding and hashing an image uses.",
    long: c"Beside the bytes of the image itself. An image that needs more is refused before any of it is decoded.",
    value: GucSetting::<i32>::new(GIGABYTE_IN_KB),
    minimum: 1024,
    maximum: i32::MAX,
    unit: GucFlags::UNIT_KB,
};

static IMAGE_MEMORY_LIMIT: NumberSetting = NumberSetting {
    name: c"lumina.image_memory_limit",
    short: c"The most memory that decoding and hashing any image uses.",
    long: c"Bounds lumina.image_memory in every session.",
    value: GucSetting::<i32>::new(2 * GIGABYTE_IN_KB),
    minimum: 1024,
    maximum: i32::MAX,
    unit: GucFlags::UNIT_KB,
};

static IMAGE_MEMORY_TOTAL: NumberSetting = NumberSetting {
    name: c"lumina.image_memory_total",
    short: c"How much memory all images that are decoded and hashed at once on the server use.",
    long:
        c"An image that finds no room waits for some seconds, and is then refused. Imports have lumina.import_memory.",
    value: GucSetting::<i32>::new(4 * GIGABYTE_IN_KB),
    minimum: 1024,
    maximum: i32::MAX,
    unit: GucFlags::UNIT_KB,
};

static IMPORT_ROOTS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

static IMPORT_THREADS: NumberSetting = NumberSetting {
    name: c"lumina.import_threads",
    short: c"How many threads read and decode files of an import.",
    long: c"0 uses as many as there are CPUs, up to lumina.import_threads_limit.",
    value: GucSetting::<i32>::new(0),
    minimum: 0,
    maximum: 1024,
    unit: GucFlags::empty(),
};

static IMPORT_THREADS_LIMIT: NumberSetting = NumberSetting {
    name: c"lumina.import_threads_limit",
    short: c"The most threads that any import uses.",
    long: c"Bounds lumina.import_threads in every session.",
    value: GucSetting::<i32>::new(8),
    minimum: 1,
    maximum: 1024,
    unit: GucFlags::empty(),
};

static IMPORT_MEMORY: NumberSetting = NumberSetting {
    name: c"lumina.import_memory",
    short: c"How much memory an import uses for files and their pictures.",
    long: c"Its threads share it. A file that needs more than its share is looked at alone; one that needs more \
            than all of it is not imported.",
    value: GucSetting::<i32>::new(GIGABYTE_IN_KB),
    minimum: 16 * 1024,
    maximum: i32::MAX,
    unit: GucFlags::UNIT_KB,
};

static IMPORT_MEMORY_LIMIT: NumberSetting = NumberSetting {
    name: c"lumina.import_memory_limit",
    short: c"The most memory that any import uses for files and their pictures.",
    long: c"Bounds lumina.import_memory in every session.",
    value: GucSetting::<i32>::new(2 * GIGABYTE_IN_KB),
    minimum: 16 * 1024,
    maximum: i32::MAX,
    unit: GucFlags::UNIT_KB,
};

static JOB_WORKERS: NumberSetting = NumberSetting {
    name: c"lumina.max_job_workers",
    short: c"How many jobs of a database run at once.",
    long: c"Further ones wait. Each takes a place of max_worker_processes while it runs.",
    value: GucSetting::<i32>::new(2),
    minimum: 1,
    maximum: 100,
    unit: GucFlags::empty(),
};

static LAUNCHER_INTERVAL: NumberSetting = NumberSetting {
    name: c"lumina.launcher_interval",
    short: c"How often the launcher looks for jobs that wait or have lost their worker.",
    long: c"The launcher is there where lumina is in shared_preload_libraries. It looks when it starts, too.",
    value: GucSetting::<i32>::new(10),
    minimum: 1,
    maximum: 86_400,
    unit: GucFlags::UNIT_S,
};

static JOB_RETENTION: NumberSetting = NumberSetting {
    name: c"lumina.job_retention",
    short: c"How long jobs that have ended are kept.",
    long: c"Then they are removed with everything that is theirs, but for the one that has found a catalog's \
            current duplicates.",
    value: GucSetting::<i32>::new(30 * 86_400),
    minimum: 0,
    maximum: i32::MAX,
    unit: GucFlags::UNIT_S,
};

/// The setting of the device, which a job keeps like its other settings: its name in `jobs.settings`, and in Postgres.
pub(crate) const JOB_DEVICE: (&str, &CStr) = ("device", c"lumina.device");

/// The numeric settings that a job keeps from its submission: their names in `jobs.settings`, and in Postgres.
pub(crate) const JOB_SETTINGS: [(&str, &CStr); 6] = [
    ("search_threads", c"lumina.search_threads"),
    ("search_memory", c"lumina.search_memory"),
    ("max_pairs", c"lumina.max_pairs"),
    ("import_threads", c"lumina.import_threads"),
    ("import_memory", c"lumina.import_memory"),
    ("max_image_pixels", c"lumina.max_image_pixels"),
];

impl NumberSetting {
    fn define(&'static self, context: GucContext) {
        let NumberSetting { name, short, long, value, minimum, maximum, unit } = self;
        GucRegistry::define_int_guc(name, short, long, value, *minimum, *maximum, context, *unit);
    }

    fn get(&self) -> usize {
        usize::try_from(self.value.get()).unwrap_or_default() // no minimum is below 0
    }

    fn bound(&self, limit: &'static NumberSetting) -> Bound {
        let smaller = if self.get() <= limit.get() { self } else { limit };
        Bound { value: smaller.get(), setting: smaller.text() }
    }

    fn text(&self) -> &'static str {
        self.name.to_str().unwrap_or_default() // every name is ASCII
    }
}

/// Makes the settings known to Postgres.
pub(crate) fn register() {
    GucRegistry::define_enum_guc(
        c"lumina.device",
        c"Which device compares hashes in bulk searches.",
        c"auto takes the GPU where there is one and the search is large enough to gain by it; cpu and cuda name one.",
        &DEVICE,
        GucContext::Userset,
        GucFlags::empty(),
    );
    GucRegistry::define_string_guc(
        c"lumina.import_roots",
        c"The directories of the server that may be imported from, with everything below them.",
        c"A list of absolute paths, with commas between them. As configured for the role, the database or the server; \
            what a session has SET does not count.",
        &IMPORT_ROOTS,
        GucContext::Suset,
        GucFlags::SUPERUSER_ONLY,
    );
    for number in [&THREADS, &MEMORY, &PAIRS, &IMAGE_PIXELS, &IMAGE_MEMORY, &IMPORT_THREADS, &IMPORT_MEMORY] {
        number.define(GucContext::Userset);
    }
    for number in [&THREADS_LIMIT, &MEMORY_LIMIT, &PAIRS_LIMIT, &CONCURRENT, &IMAGE_PIXELS_LIMIT, &IMAGE_MEMORY_LIMIT] {
        number.define(GucContext::Suset);
    }
    for number in [&IMPORT_THREADS_LIMIT, &IMPORT_MEMORY_LIMIT, &JOB_RETENTION] {
        number.define(GucContext::Suset);
    }
    for number in [&IMAGE_MEMORY_TOTAL, &JOB_WORKERS, &LAUNCHER_INTERVAL, &GPU_MEMORY, &GPU_IDLE_TIMEOUT] {
        number.define(GucContext::Sighup);
    }
    reserve_settings();
}

/// `lumina.device`.
pub(crate) fn device() -> DeviceSetting {
    DEVICE.get()
}

/// How much memory of the GPU all searches take, in bytes.
pub(crate) fn gpu_memory() -> usize {
    GPU_MEMORY.get().saturating_mul(MEGABYTE)
}

/// How long the GPU process stays when nobody searches.
pub(crate) fn gpu_idle_timeout() -> Duration {
    Duration::from_secs(GPU_IDLE_TIMEOUT.get() as u64)
}

/// How many threads a search uses: at least one.
pub(crate) fn search_threads() -> usize {
    threads(&THREADS, &THREADS_LIMIT)
}

fn threads(wanted: &NumberSetting, limit: &NumberSetting) -> usize {
    let wanted = match wanted.get() {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        set => set,
    };
    wanted.clamp(1, limit.get())
}

/// How many threads an import uses: at least one.
pub(crate) fn import_threads() -> usize {
    threads(&IMPORT_THREADS, &IMPORT_THREADS_LIMIT)
}

/// How much memory an import uses for files and their pictures, in bytes.
pub(crate) fn import_memory() -> Bound {
    in_bytes(IMPORT_MEMORY.bound(&IMPORT_MEMORY_LIMIT))
}

/// How much memory a search uses, in bytes.
pub(crate) fn search_memory() -> Bound {
    in_bytes(MEMORY.bound(&MEMORY_LIMIT))
}

fn in_bytes(Bound { value, setting }: Bound) -> Bound {
    Bound { value: value.saturating_mul(KILOBYTE), setting }
}

/// How many pixels an image may have.
pub(crate) fn max_image_pixels() -> Bound {
    IMAGE_PIXELS.bound(&IMAGE_PIXELS_LIMIT)
}

/// How much memory decoding and hashing an image uses, in bytes.
pub(crate) fn image_memory() -> Bound {
    in_bytes(IMAGE_MEMORY.bound(&IMAGE_MEMORY_LIMIT))
}

/// How much memory all images of the server use, in kilobytes.
pub(crate) fn image_memory_total() -> usize {
    IMAGE_MEMORY_TOTAL.get()
}

/// How many pairs a search may find.
pub(crate) fn max_pairs() -> Bound {
    PAIRS.bound(&PAIRS_LIMIT)
}

/// How many searches may run at once on the server.
pub(crate) fn concurrent_searches() -> usize {
    CONCURRENT.get()
}

/// How many jobs of a database run at once.
pub(crate) fn max_job_workers() -> u32 {
    JOB_WORKERS.get() as u32 // at most 100
}

/// How often the launcher looks for jobs.
pub(crate) fn launcher_interval() -> Duration {
    Duration::from_secs(LAUNCHER_INTERVAL.get() as u64)
}
