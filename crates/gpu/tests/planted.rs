//! Tests the proofs: plants bugs in the kernels, one at a time, and reports which proof finds each.
//!
//! Takes minutes, so it runs only if `LUMINA_PLANTED` is set; `kernels/README.md` has its table. The kernels' texts are
//! changed in a copy; a text that no longer occurs fails the test.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod proofs;

use proofs::{Mode, Outcome, Proofs};

/// A bug: what is wrong, the proof that is run, the file, the text and its replacement, the last mode that may be the
/// first to find it.
struct Planted(&'static str, &'static str, &'static str, &'static str, &'static str, Found);

/// `None`: no proof finds it.
type Found = Option<Mode>;

const PLAIN: Found = Some(Mode::Plain);
const ADDRESS: Found = Some(Mode::Address);
const THREAD: Found = Some(Mode::Thread);

const PLANTED: &[Planted] = &[
    Planted(
        "hit at the radius lost",
        "brute_s8",
        "hits.h",
        "keep = d <= column.radius;",
        "keep = d < column.radius;",
        PLAIN,
    ),
    Planted("one pair too many written", "brute_s8", "hits.h", "at >= hits.capacity", "at > hits.capacity", PLAIN),
    Planted("lane counted in its own rank", "brute_s8", "hits.h", "((1u << lane) - 1u)", "((2u << lane) - 1u)", PLAIN),
    Planted(
        "counter not atomic",
        "brute_s8",
        "hits.h",
        "at = atomicAdd(hits.counter, (u64)__popc(kept));",
        "at = *hits.counter, *hits.counter = at + (u64)__popc(kept);",
        THREAD,
    ),
    Planted("larger row on the left", "banded", "hits.h", "hits.one_set && left > right", "false", PLAIN),
    Planted("distances of column 4 on wrong", "brute_s8", "hits.h", "(c < 4 ? low : high)", "low", PLAIN),
    Planted("last column alone decides", "brute_s8", "hits.h", "if (!keep) break;", "", PLAIN),
    Planted("padding taken for a left row", "brute_b1", "brute.h", "return i < p.n_left && ", "return ", PLAIN),
    Planted("row paired with itself", "brute_b1", "brute.h", "|| i < j)", "|| i <= j)", PLAIN),
    Planted(
        "diagonal step left out",
        "brute_b1",
        "brute.h",
        "? first_row : start;",
        "? first_row + 64u : start;",
        PLAIN,
    ),
    Planted("slice of segments ignored", "brute_b1", "brute.h", "(p.first_segment + blockIdx.x)", "blockIdx.x", PLAIN),
    Planted("results of a lane mixed up", "brute_b1", "brute.h", "(q >> 1) * 8u", "(q & 1u) * 8u", PLAIN),
    Planted("rows not mapped after a sort", "brute_b1", "brute.h", "if (keep && p.right_rows) ", "if (false) ", PLAIN),
    Planted(
        "threshold of ones too high",
        "brute_b1",
        "brute_b1.cu",
        "+ next_ones) >> 1",
        "+ next_ones + 2) >> 1",
        PLAIN,
    ),
    Planted(
        "ones of a later step",
        "brute_b1",
        "brute_b1.cu",
        "p.right_ones[col + 8 * NF]",
        "p.right_ones[col + 16 * NF]",
        PLAIN,
    ),
    Planted("complement in one lane of two", "brute_b1", "brute_b1.cu", "W == 1 && t < 2", "W == 1 && t < 1", PLAIN),
    Planted(
        "columns advance too far",
        "brute_b1",
        "brute_b1.cu",
        "columns += 8 * NF * PARTS",
        "columns += 8 * NF * 4",
        PLAIN,
    ),
    Planted(
        "sort counts without atomics",
        "brute_b1",
        "brute_b1.cu",
        "if (here[b]) atomicAdd(&p.counts[b], here[b]);",
        "if (here[b]) p.counts[b] += here[b];",
        THREAD,
    ),
    Planted(
        "no barrier before ranks",
        "brute_b1",
        "brute_b1.cu",
        "here[b] = 0;\n  __syncthreads();\n  u32 i = blockIdx.x * ONES_THREADS + threadIdx.x, mine",
        "here[b] = 0;\n  u32 i = blockIdx.x * ONES_THREADS + threadIdx.x, mine",
        PLAIN,
    ),
    Planted("bit 7 not moved down", "brute_s8", "brute_s8.cu", "(i < last ? word", "(i <= last ? word", PLAIN),
    Planted("result 0 is no hit", "brute_s8", "brute_s8.cu", "[k % 4] >= 0)", "[k % 4] > 0)", PLAIN),
    // Passes too many candidates, which are then checked: this costs only time, which no proof measures.
    Planted(
        "ones summed over two lanes",
        "brute_s8",
        "brute_s8.cu",
        "    ones += __shfl_sync(WARP, ones, (int)(lane ^ 2u));\n",
        "",
        None,
    ),
    Planted(
        "tile overwritten while in use",
        "brute_popc",
        "brute_popc.cu",
        "col += TILE) {\n    __syncthreads();",
        "col += TILE) {",
        PLAIN,
    ),
    Planted(
        "tile read before it is full",
        "brute_popc",
        "brute_popc.cu",
        "p.right[(u64)col * W + k];\n    __syncthreads();",
        "p.right[(u64)col * W + k];",
        PLAIN,
    ),
    Planted(
        "columns behind a segment's end",
        "brute_popc",
        "brute_popc.cu",
        "end - col < TILE ? end - col : TILE",
        "TILE",
        PLAIN,
    ),
    Planted(
        "group's second row lost",
        "brute_popc",
        "brute_popc.cu",
        "(GROUP * r + k)",
        "(GROUP * (r & 1) + k)",
        PLAIN,
    ),
    Planted(
        "collective by some lanes",
        "brute_popc",
        "brute_popc.cu",
        "if (__any_sync(WARP, (int)(least",
        "if (((int)(least",
        PLAIN,
    ),
    Planted(
        "stride of a longer hash",
        "brute_popc",
        "brute_popc.cu",
        "(c + k) * p.words + w",
        "(c + k) * MAX_WORDS + w",
        PLAIN,
    ),
    Planted("band ends at its word", "banded", "banded.cu", "band.start + band.width > 64u", "false", PLAIN),
    Planted("scan leaves a lane out", "banded", "banded.cu", "if (lane >= o)", "if (lane > o)", PLAIN),
    Planted(
        "sums of the next scan too early",
        "banded",
        "banded.cu",
        "  __syncthreads();  // the scan before this one has read the sums\n",
        "",
        THREAD,
    ),
    Planted(
        "scan writes behind its sums",
        "banded",
        "banded.cu",
        "if (i < blocks) p.sums[i] =",
        "p.sums[i] =",
        ADDRESS,
    ),
    Planted("no end of the last bucket", "banded", "banded.cu", "if (at == 0) p.starts", "if (false) p.starts", PLAIN),
    Planted(
        "rank not atomic",
        "banded",
        "banded.cu",
        "p.ranks[i] = atomicAdd(&p.counts[band_of(p.hashes + (u64)i * words, p.band)], 1u);",
        "p.ranks[i] = p.counts[band_of(p.hashes + (u64)i * words, p.band)]++;",
        THREAD,
    ),
    Planted("own bucket left out", "banded", "banded.cu", "|| other >= key", "|| other > key", PLAIN),
    Planted("row behind the bucket's end", "banded", "banded.cu", "(near && q + k < end)", "near", PLAIN),
    Planted("window's begin ignored", "banded", "banded.cu", "if (q < p.from) q = p.from;", "", PLAIN),
    Planted("earlier band's tolerance missed", "banded", "banded.cu", "<= band.tolerance)", "< band.tolerance)", PLAIN),
    Planted("too little room to wait", "banded", "banded.cu", "WAITING = 64;", "WAITING = 32;", PLAIN),
    Planted(
        "candidates read too early",
        "banded",
        "banded.cu",
        "__syncwarp();\n            have -= 32;",
        "have -= 32;",
        THREAD,
    ),
    Planted(
        "last candidates read too early",
        "banded",
        "banded.cu",
        "  __syncwarp();\n  if (have)",
        "  if (have)",
        THREAD,
    ),
    Planted(
        "padding taken for a left place",
        "banded",
        "banded.cu",
        "inside = place < p.n_left",
        "inside = true",
        PLAIN,
    ),
    Planted(
        "unequal rows collapsed",
        "collapse",
        "collapse.cu",
        "there == EMPTY || are_equal(p, there, row)",
        "true",
        PLAIN,
    ),
    Planted(
        "last column not compared",
        "collapse",
        "collapse.cu",
        "c < p.n_columns; c++) {\n    Column column = p.columns[c];\n    const u64* x",
        "c + 1 < p.n_columns; c++) {\n    Column column = p.columns[c];\n    const u64* x",
        PLAIN,
    ),
    Planted(
        "search behind the table's end",
        "collapse",
        "collapse.cu",
        "place = (place + 1) & p.mask",
        "place++",
        ADDRESS,
    ),
    Planted(
        "entry taken without compare-and-swap",
        "collapse",
        "collapse.cu",
        "there = atomicCAS(&p.table[place], EMPTY, row);",
        "p.table[place] = row;",
        THREAD,
    ),
    Planted(
        "smallest row not atomic",
        "collapse",
        "collapse.cu",
        "atomicMin(&p.first[place], row);",
        "p.first[place] = row;",
        THREAD,
    ),
    Planted(
        "slice of rows ignored",
        "collapse",
        "collapse.cu",
        "u32 row = p.first_row + at, place",
        "u32 row = at, place",
        PLAIN,
    ),
];

/// The first mode that finds the bug, and its output.
fn find(bug: &Planted, modes: &[Proofs]) -> Option<(Mode, String)> {
    let Planted(what, kind, file, from, to, _) = bug;
    for proofs in modes {
        let path = proofs.path(&format!("kernels/{file}"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{what}: the text is no longer in {file}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let outcome = proofs.run(kind);
        std::fs::write(&path, text).unwrap();
        match outcome {
            Outcome::Right(_) => {}
            Outcome::Found(line) => return Some((proofs.mode(), line)),
            Outcome::DoesNotCompile(messages) => panic!("{what} does not compile:\n{messages}"),
        }
    }
    None
}

#[test]
fn each_planted_bug_is_found() {
    let Ok(wanted) = std::env::var("LUMINA_PLANTED") else {
        eprintln!(
            "skipped: {} planted bugs take minutes; LUMINA_PLANTED=all or a part of a name runs them",
            PLANTED.len()
        );
        return;
    };
    if !proofs::has_compiler() {
        return;
    }
    let modes = [Mode::Plain, Mode::Address, Mode::Thread].map(Proofs::new);
    let mut wrong = Vec::new();
    for bug in PLANTED.iter().filter(|bug| wanted == "all" || bug.0.contains(&wanted)) {
        let found = find(bug, &modes);
        let (mode, line) = found.as_ref().map_or((None, ""), |(mode, line)| (Some(*mode), line));
        println!(
            "| {} | `{}` | {} | {line}",
            bug.0,
            bug.2,
            mode.map_or("not found".to_owned(), |mode| format!("{mode:?}"))
        );
        // A crash may be found by an earlier mode; a later one means that a proof got weaker.
        let right = match (mode, bug.5) {
            (Some(mode), Some(latest)) => mode <= latest,
            (mode, latest) => mode == latest,
        };
        if !right {
            wrong.push(format!("{}: {mode:?} instead of {:?}", bug.0, bug.5));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
