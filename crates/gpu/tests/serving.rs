//! The GPU process and its clients, on the stand-in for the driver: every answer against a comparison of every row with
//! every other; faults of the device, of the process and of clients.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod process;

use lumina_gpu::client::{Answer, Client};
use lumina_gpu::protocol::{Question, SetShape};
use lumina_gpu::shared::Draft;
use lumina_gpu::{GpuError, PairMethod, TolerantBand};
use process::{Card, Process, Rows, pairs, search};
use std::io;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// No test: the process that the tests start.
#[test]
fn the_process_itself() {
    process::serve_if_told();
}

/// A cover of radius 5 by two bands.
fn bands(words: usize) -> PairMethod {
    let second = if words > 1 { (0, 57) } else { (0, 30) };
    let band = |(word, start), tolerance| TolerantBand { word, start, width: 12, tolerance };
    PairMethod::Bands(vec![band((0, 3), 2), band(second, 2)])
}

/// Every width, method, number of sets and columns, on every kind of device.
#[test]
fn finds_what_the_cpu_finds() {
    let stand_in = process::stand_in();
    for (capability, shapes) in [
        ("9.0", &[&[1][..], &[2], &[4], &[5], &[16], &[1, 4], &[4, 1, 2]][..]),
        ("7.5", &[&[1], &[4], &[7, 1]]),
        ("12.0", &[&[1], &[2], &[4]]),
    ] {
        let process = Process::start(&stand_in, &Card { capability, ..Card::default() }, 256);
        for (seed, words) in shapes.iter().enumerate() {
            for (rows, right) in
                [(0, None), (1, None), (2, None), (600, None), (200, Some(300)), (1, Some(64)), (5, Some(0))]
            {
                let seed = seed as u64 * 100 + rows as u64;
                let left = Rows::random(seed, rows, words);
                let right = right.map(|rows| Rows::near(&left, seed + 1, rows));
                for method in [PairMethod::BruteForce, bands(words[0])] {
                    // The second column filters nothing; a third one filters some pairs.
                    let radii: Vec<u32> = words
                        .iter()
                        .zip([5, 64 * 16, 9])
                        .map(|(words, radius)| radius.min(*words as u32 * 64))
                        .collect();
                    let found = search(&mut process.connect(), &left, right.as_ref(), &radii, 0, &method).unwrap();
                    let wanted = pairs(&left, right.as_ref(), &radii);
                    assert_eq!(found, wanted, "{capability} {words:?} {rows} {method:?}");
                }
            }
        }
        process.end();
    }
}

/// Sets that do not fit the memory are cut, and results that do not fit are found again in halves.
#[test]
fn what_does_not_fit() {
    let stand_in = process::stand_in();
    // Within 64 bits of 64, everything is near: half a million pairs, twice the buffer.
    let process = Process::start(&stand_in, &Card::default(), 8);
    let left = Rows::random(1, 1024, &[1]);
    for method in
        [PairMethod::BruteForce, PairMethod::Bands(vec![TolerantBand { word: 0, start: 0, width: 1, tolerance: 1 }])]
    {
        let found = search(&mut process.connect(), &left, None, &[64], 0, &method).unwrap();
        assert_eq!(found.len(), 1024 * 1023 / 2, "{method:?}");
        assert!(found == pairs(&left, None, &[64]), "{method:?}");
    }
    process.end();
}

/// A set that is copied in by more than one step.
#[test]
fn what_is_copied_in_pieces() {
    let stand_in = process::stand_in();
    let process = Process::start(&stand_in, &Card::default(), 512);
    let left = Rows::random(13, 1, &[16, 1]);
    let right = Rows::near(&left, 14, 140_000);
    let found = search(&mut process.connect(), &left, Some(&right), &[40, 64], 0, &PairMethod::BruteForce).unwrap();
    assert!(found.len() > 40_000 && found == pairs(&left, Some(&right), &[40, 64]), "{}", found.len());
    process.end();
}

/// A device with less memory than the limit: fewer results, then smaller parts; an error if not even those fit.
#[test]
fn memory_that_is_not_there() {
    let stand_in = process::stand_in();
    let left = Rows::random(2, 12_000, &[16, 16]);
    let method = PairMethod::Bands(vec![TolerantBand { word: 0, start: 0, width: 12, tolerance: 0 }]);
    let radii = [0, 1024];
    let wanted = pairs(&left, None, &radii);
    for (memory, fits) in [(80 << 20, true), (20 << 20, true), (7_000_000, true), (1 << 20, false)] {
        let process = Process::start(&stand_in, &Card { memory, ..Card::default() }, 1024);
        match search(&mut process.connect(), &left, None, &radii, 0, &method) {
            Ok(found) => assert!(fits && found == wanted, "{memory}"),
            Err(error) => {
                assert!(!fits, "{memory}: {error}");
                let inner = error.into_inner().unwrap();
                assert!(inner.downcast_ref::<GpuError>().unwrap().is_out_of_memory(), "{inner}");
            }
        }
        // The process still serves others.
        let few = Rows::random(3, 50, &[1]);
        assert_eq!(search(&mut process.connect(), &few, None, &[5], 0, &bands(1)).is_ok(), fits);
        process.end();
    }
}

/// Equal rows, of one column and of several.
#[test]
fn equal_rows() {
    let stand_in = process::stand_in();
    let process = Process::start(&stand_in, &Card::default(), 256);
    for (rows, words, different) in
        [(0, &[1][..], 1), (1, &[4], 1), (3000, &[1], 1), (3000, &[2, 5], 700), (2500, &[4], 1 << 30)]
    {
        let set = Rows::repeated(9, rows, words, different);
        let wanted: Vec<u32> =
            (0..rows).map(|row| (0..rows).find(|first| set.equal(*first, row)).unwrap() as u32).collect();
        let mut client = process.connect();
        let shape = SetShape { rows, words: words.to_vec() };
        client.ask(&Question::Firsts { set: shape, seed: 5 }, Some(set.file(None))).unwrap();
        let mut found = Vec::new();
        process::answers(&mut client, |answer| {
            if let Answer::Firsts(firsts) = answer {
                found.extend_from_slice(firsts);
            }
        })
        .unwrap();
        assert_eq!(found, wanted, "{rows} {words:?} {different}");
    }
    process.end();
}

/// A short search overtakes a long one; a client that disconnects ends its search, and one that does not read blocks
/// nobody.
#[test]
fn clients_at_once() {
    let stand_in = process::stand_in();
    let process = Process::start(&stand_in, &Card::default(), 512);
    let long = Rows::random(4, 2000, &[1]);
    let short = Rows::random(5, 200, &[1]);
    let ask = |client: &mut Client| {
        let question = process::question(&long, None, &[64], 0, &PairMethod::BruteForce);
        client.ask(&question, Some(long.file(None))).unwrap();
    };
    // Two clients: one that reads none of its two million pairs, and one that disconnects.
    let (mut deaf, mut leaver) = (process.connect(), process.connect());
    ask(&mut deaf);
    ask(&mut leaver);
    for round in 0..5 {
        let found = search(&mut process.connect(), &short, None, &[5], 0, &bands(1)).unwrap();
        assert_eq!(found, pairs(&short, None, &[5]), "{round}");
        assert_eq!(process.status().active, 2 - usize::from(round >= 2), "{round}");
        if round == 1 {
            drop(std::mem::replace(&mut leaver, process.connect()));
            process::wait_until("the search of a client that is gone ends", || process.status().active == 1);
        }
    }
    drop((deaf, leaver));
    process::wait_until("nothing runs", || process.status().active == 0);
    assert_eq!(process.status().searches, 5);
    process.end();
}

/// Another search holds the memory, and does not continue: a search waits, then fails. The process serves others all
/// the time.
#[test]
fn memory_that_others_have() {
    let stand_in = process::stand_in();
    let process = Process::start(&stand_in, &Card::default(), 16);
    let dense = Rows::random(10, 2000, &[1]);
    let few = Rows::random(11, 200, &[1]);
    let mut deaf = process.connect();
    let question = process::question(&dense, None, &[64], 0, &PairMethod::BruteForce);
    deaf.ask(&question, Some(dense.file(None))).unwrap();
    process::wait_until("the search has memory", || process.status().allocated > 10 << 20);
    let began = Instant::now();
    let error = search(&mut process.connect(), &few, None, &[5], 0, &bands(1)).unwrap_err();
    assert!(error.into_inner().unwrap().downcast_ref::<GpuError>().unwrap().is_out_of_memory());
    assert!(began.elapsed() > Duration::from_secs(1), "it did not wait");
    assert_eq!(process.status().active, 1);
    // A waiting search runs when the memory is freed.
    let found = std::thread::scope(|scope| {
        let waits = scope.spawn(|| search(&mut process.connect(), &few, None, &[5], 0, &bands(1)));
        process::wait_until("it waits", || process.status().active == 2);
        drop(deaf);
        waits.join().unwrap()
    });
    assert_eq!(found.unwrap(), pairs(&few, None, &[5]));
    process.end();
}

/// The driver returns an unknown code for a wait: the device counts as lost.
#[test]
fn nobody_knows_what_runs() {
    let stand_in = process::stand_in();
    let faults = "fail cuStreamSynchronize 7 999\n";
    let process = Process::start(&stand_in, &Card { faults, ..Card::default() }, 64);
    let rows = Rows::random(12, 300, &[1]);
    let error = search(&mut process.connect(), &rows, None, &[5], 0, &bands(1)).unwrap_err();
    assert_eq!(error.into_inner().unwrap().downcast_ref(), Some(&GpuError::Lost(999)));
    assert_eq!(process.exit_code(), Some(3));
}

/// Messages outside of the protocol: an error, or the end of the connection; the process continues.
#[test]
fn nonsense() {
    let stand_in = process::stand_in();
    let process = Process::start(&stand_in, &Card::default(), 64);
    let refused = |question: &Question, file| {
        let mut client = process.connect();
        client.ask(question, file).unwrap();
        let error = process::answers(&mut client, |_| ()).unwrap_err();
        assert!(matches!(error.into_inner().unwrap().downcast_ref(), Some(GpuError::Refused(..))), "{question:?}");
    };
    let rows = Rows::random(6, 10, &[1]);
    let question = |shape: &[usize], radii: &[u32], driving, method: &PairMethod| Question::Pairs {
        left: SetShape { rows: 10, words: shape.to_vec() },
        right: None,
        radii: radii.to_vec(),
        driving,
        method: method.clone(),
    };
    let band = |word, start, width, tolerance| PairMethod::Bands(vec![TolerantBand { word, start, width, tolerance }]);
    let brute = PairMethod::BruteForce;
    // The file of the question may have been lost for lack of descriptors.
    let mut client = process.connect();
    client.ask(&question(&[1], &[5], 0, &brute), None).unwrap();
    let error = process::answers(&mut client, |_| ()).unwrap_err();
    assert!(error.into_inner().unwrap().downcast_ref::<GpuError>().unwrap().is_out_of_memory());
    for (shape, radii, driving, method) in [
        (&[1][..], &[5][..], 1, &brute),
        (&[1], &[5, 5], 0, &brute),
        (&[], &[], 0, &brute),
        (&[3], &[5], 0, &brute),
        (&[17], &[5], 0, &brute),
        (&[0], &[5], 0, &brute),
        (&[1; 9], &[5; 9], 0, &brute),
        (&[usize::MAX], &[5], 0, &brute),
        (&[1], &[5], 0, &PairMethod::Bands(vec![])),
        (&[1], &[5], 0, &band(0, 50, 20, 1)),
        (&[1], &[5], 0, &band(1, 0, 10, 1)),
        (&[1], &[5], 0, &band(0, 0, 25, 1)),
        (&[1], &[5], 0, &band(0, 0, 0, 0)),
        (&[1], &[5], 0, &band(0, 0, 20, 9)),
        (&[1], &[5], 0, &band(u32::MAX, 63, 24, 1)),
    ] {
        refused(&question(shape, radii, driving, method), Some(rows.file(None)));
    }
    // A file that is too short, and one that is not sealed.
    let short = Draft::new(9, || Ok(())).unwrap().seal().unwrap();
    refused(&question(&[1], &[5], 0, &brute), Some(short));
    let unsealed = rustix::fs::memfd_create("unsealed", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&unsealed, 80).unwrap();
    refused(&question(&[1], &[5], 0, &brute), Some(unsealed));
    // Bytes that are no message.
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 64],
        &[1, 0, 0, 0, 255, 255, 255, 255],
        &[1, 0, 0, 0, 2, 0, 0, 0, b'{', b'}'],
    ] {
        let mut stream = UnixStream::connect(process.socket()).unwrap();
        stream.write_all(bytes).unwrap();
        drop(stream);
    }
    let found = search(&mut process.connect(), &rows, None, &[5], 0, &brute).unwrap();
    assert_eq!(found, pairs(&rows, None, &[5]));
    process.end();
}

/// The device is lost in mid-search: each searching client gets the error or the end of the stream, and the process
/// ends. Nobody gets an answer that looks complete.
#[test]
fn the_device_is_lost() {
    let stand_in = process::stand_in();
    let rows = Rows::random(7, 600, &[4]);
    for launch in [1, 2, 4, 6, 9] {
        for code in [700, 716, 719] {
            let faults = format!("sticky {code} at launch {launch}\n");
            let process = Process::start(&stand_in, &Card { faults: &faults, ..Card::default() }, 64);
            let mut end = None;
            for _ in 0..9 {
                let outcome = process
                    .try_connect()
                    .and_then(|mut client| search(&mut client, &rows, None, &[31], 0, &PairMethod::BruteForce));
                match outcome {
                    Ok(found) => assert_eq!(found, pairs(&rows, None, &[31])),
                    Err(error) => {
                        end = Some(error);
                        break;
                    }
                }
            }
            let end = end.expect("the fault never came");
            match end.get_ref().and_then(|inner| inner.downcast_ref::<GpuError>()) {
                Some(error) => assert_eq!(*error, GpuError::Lost(code)),
                None => assert!(end.kind() != io::ErrorKind::InvalidData, "{end}"),
            }
            assert_eq!(process.exit_code(), Some(3), "{launch} {code}");
        }
    }
}

/// Killed while eight clients search: each sees the end of the stream, and none a wrong or doubled pair.
#[test]
fn killed() {
    let stand_in = process::stand_in();
    let rows = Rows::random(8, 3000, &[1]);
    let wanted = pairs(&rows, None, &[20]);
    let (mut whole, mut broken) = (0, 0);
    for round in 0..6 {
        let process = Process::start(&stand_in, &Card::default(), 256);
        let outcomes: Vec<io::Result<_>> = std::thread::scope(|scope| {
            let one =
                |_| scope.spawn(|| search(&mut process.try_connect()?, &rows, None, &[20], 0, &PairMethod::BruteForce));
            let clients: Vec<_> = (0..8).map(one).collect();
            std::thread::sleep(Duration::from_millis(40 * round)); // which moment it meets does not matter
            process.kill();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        for outcome in outcomes {
            match outcome {
                Ok(found) => {
                    assert!(found == wanted);
                    whole += 1;
                }
                Err(error) => {
                    let kinds =
                        [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionRefused, io::ErrorKind::WouldBlock];
                    assert!(kinds.contains(&error.kind()) && error.get_ref().is_none(), "{error:?}");
                    broken += 1;
                }
            }
        }
    }
    assert!(broken > 0, "{whole} searches were done before the process was killed");
}

/// Without a driver, without a device, with one that is too old: it fails quickly, with the reason.
#[test]
fn nothing_to_use() {
    let stand_in = process::stand_in();
    for (card, words) in [
        (Card { capability: "7.0", ..Card::default() }, "7.0"),
        (Card { faults: "devices 0\n", ..Card::default() }, "no usable CUDA device"),
        (Card { faults: "init 100\n", ..Card::default() }, "no usable CUDA device"),
        (Card { faults: "init 999\n", ..Card::default() }, "no usable CUDA driver"),
        (Card { faults: "other-context-full\n", ..Card::default() }, "no memory"),
    ] {
        let began = Instant::now();
        let (code, said) = Process::refused(&stand_in, &card);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

/// A session of another version is refused; for a newer one the process ends once no search runs, so that a process of
/// that version can start.
#[test]
fn another_version() {
    let stand_in = process::stand_in();
    let process = Process::start(&stand_in, &Card::default(), 64);
    let ask = |version: u32| {
        let body = format!("{{\"version\":{version},\"question\":{{\"Unheard\":1}}}}");
        let mut stream = UnixStream::connect(process.socket()).unwrap();
        stream.write_all(&[1u32.to_ne_bytes(), (body.len() as u32).to_ne_bytes()].concat()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut head = [0; 8];
        stream.read_exact(&mut head).unwrap();
        let mut answer = vec![0; u32::from_ne_bytes(head[4..].try_into().unwrap()) as usize];
        stream.read_exact(&mut answer).unwrap();
        let error: GpuError = serde_json::from_slice(&answer).unwrap();
        assert!(error.is_of_another_version() && !error.is_lost(), "{error}");
    };
    let rows = Rows::random(15, 1500, &[4]);
    ask(1);
    let (mut deaf, dense) = (process.connect(), Rows::random(4, 2000, &[1]));
    assert_eq!(search(&mut process.connect(), &rows, None, &[31], 0, &bands(4)).unwrap(), pairs(&rows, None, &[31]));
    let question = process::question(&dense, None, &[64], 0, &PairMethod::BruteForce);
    deaf.ask(&question, Some(dense.file(None))).unwrap();
    ask(1_000_000);
    // A running search delays that, and others may still ask meanwhile.
    assert_eq!(search(&mut process.connect(), &rows, None, &[31], 0, &bands(4)).unwrap(), pairs(&rows, None, &[31]));
    drop(deaf);
    assert_eq!(process.exit_code(), Some(0));
}

/// It ends when idle, even if a client is connected, and not while a search runs.
#[test]
fn idle() {
    let stand_in = process::stand_in();
    let process = Process::start_with(&stand_in, &Card::default(), 64, Duration::from_millis(300));
    let rows = Rows::random(9, 2000, &[16]);
    let began = Instant::now();
    let mut client = process.connect();
    while began.elapsed() < Duration::from_millis(600) {
        let found = search(&mut client, &rows, None, &[400], 0, &PairMethod::BruteForce).unwrap();
        assert!(found == pairs(&rows, None, &[400]));
    }
    assert_eq!(process.exit_code(), Some(0));
}
