//! Faults: each time the statement returns the CPU's rows, or an error with the reason, and the next one works.

use super::{AUTO, LARGE, MANY, NOTICE, SEARCH, digest, info, kill, make_fast, process, server};
use lumina_cluster::Cluster;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::gpu::Card;

/// Every driver function that is called between the start of the process and the end of a search.
const CALLS: [&str; 18] = [
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDeviceTotalMem_v2",
    "cuDevicePrimaryCtxRetain",
    "cuCtxSetCurrent",
    "cuStreamCreate",
    "cuStreamSynchronize",
    "cuMemAlloc_v2",
    "cuMemHostAlloc",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemsetD8Async",
    "cuModuleLoadData",
    "cuModuleGetFunction",
    "cuLaunchKernel",
];

fn reset(cluster: &Cluster) {
    cluster.sql("postgres", "SELECT lumina.gpu_reset()");
}

/// Ends the process, if it runs.
fn end_process(cluster: &Cluster) {
    if info(cluster, "state") == "running" {
        kill(process(cluster));
        wait_until("the GPU process is gone", || info(cluster, "state") != "running");
    }
    reset(cluster);
}

/// Each call fails once: during the opening of the device this is an error with its reason; later, in a search, the CPU
/// continues.
#[test]
fn each_call_fails_once() {
    let card = Card::new("");
    let cluster = server(&card, &[("lumina.gpu_idle_timeout", "60s")], 300);
    let wanted = digest(&cluster, "cpu", SEARCH);
    let (mut opening, mut searching) = (0, 0);
    for call in CALLS {
        for code in [2, 700] {
            end_process(&cluster);
            card.set(&format!("fail {call} 1 {code}"));
            let first = digest(&cluster, "cuda", SEARCH);
            assert!(first == wanted || first.contains("ERROR:  the GPU cannot be used: "), "{call} {code}: {first}");
            opening += usize::from(first != wanted);
            card.set("");
            reset(&cluster);
            assert_eq!(digest(&cluster, "cuda", SEARCH), wanted, "after {call} {code}");
            card.set(&format!("fail {call} 1 {code}"));
            let second = digest(&cluster, "cuda", SEARCH);
            let is_right = second == wanted || (second.starts_with(NOTICE) && second.ends_with(&wanted));
            assert!(is_right, "{call} {code} in a search: {second}");
            searching += usize::from(second != wanted);
        }
    }
    // If there is no room to collapse equal hashes, the CPU does that silently.
    assert!(opening > 20 && searching > 4, "{opening} {searching}");
}

/// Room for the search, but not to collapse equal hashes: the CPU collapses, the device searches, silently.
#[test]
fn no_room_to_collapse() {
    let card = Card::new("memory 3900000");
    let cluster = server(&card, &[], 200);
    let groups = "phash_groups('SELECT row_number() OVER (ORDER BY id, copy), h64
        FROM hashes, generate_series(1, 200) copy', 5, 'component')";
    let wanted = digest(&cluster, "cpu", groups);
    let found = digest(&cluster, "cuda; SET client_min_messages = debug1", groups);
    assert!(found.ends_with(&wanted) && !found.contains(NOTICE), "{found}");
    assert!(found.contains("no room on the GPU to collapse equal hashes"), "{found}");
    assert_eq!(info(&cluster, "searches, failures"), "1|0");
    // With room for both there is no message.
    card.set("");
    let found = digest(&cluster, "cuda; SET client_min_messages = debug1", groups);
    assert!(found.ends_with(&wanted) && !found.contains("no room"), "{found}");
}

/// The device is lost in mid-search: the CPU continues, and the next search gets a new process.
#[test]
fn sticky_errors() {
    let card = Card::new("");
    let cluster = server(&card, &[], 300);
    let wanted = digest(&cluster, "cpu", SEARCH);
    for code in [700, 716, 719] {
        assert_eq!(digest(&cluster, "cuda", SEARCH), wanted);
        let before = process(&cluster);
        card.set(&format!("sticky {code} at launch 2"));
        let found = digest(&cluster, "cuda", SEARCH);
        let text = format!("{NOTICE}the device is lost: the driver's error {code}");
        assert!(found.starts_with(&text) && found.ends_with(&wanted), "{found}");
        card.set("");
        wait_until("the process has ended", || info(&cluster, "state") != "running");
        assert!(info(&cluster, "last_error").contains(&code.to_string()));
        // Its worker has noted it, and not the session as well.
        assert_eq!(info(&cluster, "failures"), "1");
        reset(&cluster);
        assert_eq!(digest(&cluster, "cuda", SEARCH), wanted);
        assert_ne!(process(&cluster), before);
    }
    // The CPU searches by a plan of its own. Collapsing takes two launches.
    card.set("sticky 700 at launch 3");
    let logged = "SET log_min_messages = debug1; SET lumina.device = cuda";
    cluster.sql("postgres", &format!("{logged}; SELECT count(*) FROM {SEARCH}"));
    let log = cluster.log();
    let planned = ["cuda", "cpu"].map(|device| log.find(&format!("planned brute force on {device}")));
    assert!(planned[0].is_some() && planned[0] < planned[1], "{planned:?}");
}

/// The device is lost after pairs of a first band have arrived: they are dropped, and do not count towards a limit.
#[test]
fn lost_after_some_results() {
    let card = Card::new("");
    let cluster = server(&card, &[], 10);
    cluster.sql("postgres", MANY);
    let query = "'SELECT id, h64 FROM many', 2";
    let pairs = cluster.sql("postgres", &format!("SELECT count(*) FROM phash_pairs({query})"));
    let device = format!("cuda; SET lumina.max_pairs = {}", pairs.trim());
    for call in [format!("phash_pairs({query})"), format!("phash_groups({query}, 'component')")] {
        let wanted = digest(&cluster, "cpu", &call);
        let mut failed = 0;
        // Collapsing takes two launches, sorting by a band five.
        for launch in [8, 10, 12, 13, 15] {
            card.set("");
            reset(&cluster);
            assert_eq!(digest(&cluster, &device, &call), wanted);
            card.set(&format!("sticky 700 at launch {launch}"));
            let found = digest(&cluster, &device, &call);
            assert!(found == wanted || (found.starts_with(NOTICE) && found.ends_with(&wanted)), "{launch}: {found}");
            failed += usize::from(found != wanted);
        }
        assert!(failed > 3, "{call}: {failed}");
    }
}

/// After three failures within an hour there are no more attempts: `auto` is silent, `cuda` gives the reason.
#[test]
fn left_alone() {
    let card = Card::new("slow 20ms");
    let cluster = server(&card, &[], 200);
    let wanted = digest(&cluster, "cpu", SEARCH);
    for failures in 1..=3 {
        assert_eq!(digest(&cluster, "cuda", SEARCH), wanted);
        kill(process(&cluster));
        wait_until("the death is noted", || info(&cluster, "failures") == failures.to_string());
    }
    assert_eq!(info(&cluster, "state, last_error"), "disabled|the GPU process was ended by signal 9");
    let verbose = ["-q", "-v", "VERBOSITY=verbose"];
    let refused = cluster.psql("postgres", &verbose, &format!("SET lumina.device = cuda; SELECT * FROM {SEARCH}")).text;
    let reason = "ERROR:  55000: the GPU cannot be used: it has failed 3 times in an hour, last: the GPU process was \
                  ended by signal 9";
    assert!(refused.contains(reason) && refused.contains("SELECT lumina.gpu_reset()"), "{refused}");
    assert_eq!(digest(&cluster, "auto", SEARCH), wanted);
    // Not for everyone.
    let denied = "CREATE ROLE somebody; SET ROLE somebody; SELECT lumina.gpu_reset(); SELECT * FROM lumina.gpu_info()";
    let denied = cluster.psql("postgres", &["-q"], denied).text;
    assert_eq!(denied.matches("permission denied for function gpu_").count(), 2, "{denied}");
    reset(&cluster);
    assert_eq!(info(&cluster, "state, failures"), "stopped|0");
    assert_eq!(digest(&cluster, "cuda", SEARCH), wanted);
}

/// No driver, one that is too old, no device, one that is too old: an error with the reason, or silence; and no further
/// attempt before a superuser allows it.
#[test]
fn nothing_to_use() {
    let card = Card::new("");
    let cluster = server(&card, &[], 100);
    let wanted = digest(&cluster, "cpu", SEARCH);
    let unusable = |reason: &str, hint: &str| {
        reset(&cluster);
        let refused = digest(&cluster, "cuda", SEARCH);
        assert!(refused.contains(&format!("ERROR:  the GPU cannot be used: {reason}")), "{reason}: {refused}");
        assert!(refused.contains(&format!("HINT:  {hint}")), "{refused}");
        assert_eq!(digest(&cluster, "auto", SEARCH), wanted);
        assert_eq!(info(&cluster, "state"), "unusable");
        assert!(info(&cluster, "last_error").starts_with(reason));
        assert_eq!(info(&cluster, "name, process, last_error_at > now() - interval '1 minute'"), "||t");
    };
    card.install(false);
    let (driver, card_is_old) = ("Install or update the driver", "SET lumina.device = auto");
    unusable("no usable CUDA driver: libcuda.so.1 cannot be opened", driver);
    // It is available now, and still not tried.
    card.install(true);
    assert!(digest(&cluster, "cuda", SEARCH).contains("libcuda.so.1 cannot be opened"));
    for (lines, reason, hint) in [
        ("init 803", "no usable CUDA driver: cuInit", driver),
        ("ptx 6.0", "no usable CUDA driver: it is too old for the kernels, which need CUDA 11.1", driver),
        ("devices 0", "no usable CUDA device: cuInit: CUDA_ERROR_NO_DEVICE", "Look whether the card"),
        ("capability 7.0", "the device has compute capability 7.0, and 7.5 is needed", card_is_old),
    ] {
        card.set(lines);
        unusable(reason, hint);
    }
    card.set("");
    reset(&cluster);
    assert_eq!(digest(&cluster, "cuda", SEARCH), wanted);
}

/// A process that fails at its start is started once, and the failure is reported to all sessions.
#[test]
fn a_start_that_fails() {
    let card = Card::new("fail cuStreamCreate 1 304");
    let cluster = server(&card, &[], 3000);
    let refused = digest(&cluster, "cuda", SEARCH);
    let reason = "ERROR:  the GPU cannot be used: cuStreamCreate failed with the driver's error 304";
    assert!(refused.contains(reason), "{refused}");
    assert_eq!(info(&cluster, "state, failures"), "not tried|1");
    // A large search under `auto` continues on the CPU. The record says that the device is fast.
    card.set("");
    assert!(!digest(&cluster, "cuda", SEARCH).contains("ERROR"));
    make_fast(&cluster);
    let large = format!("phash_pairs({LARGE})");
    let wanted = digest(&cluster, "cpu", &large);
    card.set("sticky 700 at launch 1");
    let found = digest(&cluster, AUTO, &large);
    assert!(found.starts_with(NOTICE) && found.ends_with(&wanted), "{found}");
}

/// Others fill the card: that is no fault, and temporary.
#[test]
fn a_full_card() {
    let card = Card::new("other-context-full");
    let cluster = server(&card, &[], 200);
    let wanted = digest(&cluster, "cpu", SEARCH);
    let refused = digest(&cluster, "cuda", SEARCH);
    assert!(refused.contains("ERROR:  the GPU cannot be used: the memory of the GPU is full"), "{refused}");
    assert_eq!(
        (digest(&cluster, "auto", SEARCH), info(&cluster, "state, failures")),
        (wanted.clone(), "full|0".into())
    );
    // A process that runs finds no room for the next search, or little.
    card.set("");
    reset(&cluster);
    assert_eq!(digest(&cluster, "cuda", SEARCH), wanted);
    card.set("memory 30000000");
    end_process(&cluster);
    assert_eq!(digest(&cluster, "cuda", SEARCH), wanted);
    card.set("memory 3000000");
    end_process(&cluster);
    let found = digest(&cluster, "cuda", SEARCH);
    assert!(found.contains("no memory for") || found == wanted, "{found}");
    assert_eq!(info(&cluster, "failures"), "0");
}
