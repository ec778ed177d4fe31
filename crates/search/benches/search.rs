//! Duration of searches without Postgres: by set, size and distance. `cargo bench -p lumina-search [-- NAME
//! [THREADS]]`. With PLANS=1 each plan that the cost model considers is run, to compare its estimates with the measured
//! times.
#![allow(missing_docs, clippy::expect_used)]

use lumina_search::{Costs, HashRows, PairBatch, PairQuery, Plan, SearchContext, Values, find_pairs, run_on_pool};
use std::time::Instant;

const SETS: &[(&str, usize, usize, u32)] = &[
    ("uniform64", 1, 10_000, 5),
    ("uniform64", 1, 98_932, 5),
    ("photo64", 1, 98_932, 5),
    ("uniform64", 1, 1_000_000, 5),
    ("photo64", 1, 1_000_000, 3),
    ("uniform64", 1, 1_000_000, 10),
    ("uniform256", 4, 98_932, 90),
    ("uniform256", 4, 1_000_000, 31),
    ("uniform64", 1, 10_000_000, 5),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = arguments.first().cloned().unwrap_or_default();
    let threads = arguments.get(1).map_or(0, |threads| threads.parse().expect("a number"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    println!("| set | hashes | within | plan | candidates expected | collapse | plan | search | pairs | peak MiB |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for &(name, words, count, radius) in SETS {
        if !format!("{name}-{count}-{radius}").contains(&wanted) {
            continue;
        }
        let flipped = if words == 1 { 6 } else { 31 };
        let planes = if name == "photo64" {
            lumina_sets::photo(count, 1)
        } else {
            lumina_sets::uniform(words, count, flipped, 1)
        };
        let context = SearchContext::new(4 << 30);
        let mut rows = HashRows::new(&[words * 64]);
        for row in 0..count {
            let hash: Vec<u8> = (0..words).flat_map(|p| planes[p * count + row].to_be_bytes()).collect();
            rows.push([&hash[..]], &context).expect("memory");
        }
        let start = Instant::now();
        let values = pool.install(|| Values::collapse(rows, &context)).expect("values");
        let collapsed = start.elapsed();
        let query = PairQuery { left: &values, right: None, radii: &[radius] };
        let start = Instant::now();
        let plan = pool.install(|| Plan::choose(&query, &Costs::cpu(), &context)).expect("a plan");
        let planned = start.elapsed();
        let plans = if std::env::var_os("PLANS").is_some() {
            pool.install(|| lumina_search::plan::options(&query, true, &Costs::cpu(), &context)).expect("plans")
        } else {
            vec![plan]
        };
        for plan in plans {
            let start = Instant::now();
            let mut pairs = 0;
            let take = |batch: PairBatch| {
                pairs += batch.pairs.len();
                batch.free(&context);
                Ok(())
            };
            run_on_pool(&pool, &context, |sink| find_pairs(&query, &plan, &context, sink), take, || ())
                .expect("a search");
            let searched = start.elapsed();
            let bands: Vec<String> = plan.bands().map(|(width, tolerance)| format!("{width}±{tolerance}")).collect();
            println!(
                "| {name} | {count} | {radius} | {} | {:.2e} | {collapsed:.0?} | {planned:.1?} | {searched:.0?} \
                (expected {:.0} ms) | {pairs} | {} |",
                if bands.is_empty() { "brute force".into() } else { bands.join(" ") },
                plan.candidates,
                plan.cost / 1e6 / pool.current_num_threads() as f64,
                context.peak() >> 20,
            );
        }
    }
}
