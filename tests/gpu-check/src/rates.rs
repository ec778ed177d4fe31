//! The duration of searches in a running GPU process, copies in and out included, against measurements on one H200
//! before the extension used it; and that they find the CPU's pairs, by number and sum.

use crate::engine::{Engine, Task};
use crate::sets::{Kind, Table};
use crate::table::{milliseconds, row, verdict};
use crate::{Error, Scale, cpu};
use lumina_search::{Costs, PairQuery, Plan, SearchContext};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::time::Duration;

/// The memory of the device that searches get, in megabytes.
const MEMORY: usize = 4096;
/// Bytes that the CPU may take.
const HOST: usize = 64 << 30;
/// How often a search is timed; the median counts.
const TIMES: usize = 5;

/// The expected time.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// Measured milliseconds: kernels, copies in and out.
    Milliseconds(f64),
    /// Measured milliseconds, and the most that the design allows.
    AtMost(f64, f64),
    /// Measured pairs per second of the kernel alone.
    Rate(f64),
    /// Not measured.
    Nothing,
}

/// A search that is timed.
struct Case {
    kind: Kind,
    words: usize,
    count: usize,
    radius: u32,
    /// Whether every pair is compared; otherwise the cheapest plan runs, as in a server.
    is_brute: bool,
    expected: Expected,
    /// Whether even a server with two processors searches this within seconds.
    is_cheap: bool,
}

const fn case(kind: Kind, words: usize, count: usize, radius: u32, is_brute: bool, expected: Expected) -> Case {
    Case { kind, words, count, radius, is_brute, expected, is_cheap: !is_brute }
}

/// The timed searches. The figures are those of an H200 with driver 580.
fn cases(scale: Scale) -> Vec<Case> {
    use Expected::{AtMost, Milliseconds, Nothing, Rate};
    use Kind::{Photo, Uniform};
    if scale == Scale::Tiny {
        return vec![
            case(Uniform, 1, 1500, 5, true, Rate(1.53e13)),
            case(Uniform, 4, 1500, 31, false, Milliseconds(0.3)),
            Case { is_cheap: true, ..case(Photo, 1, 1500, 5, true, AtMost(0.1, 60.0)) },
        ];
    }
    let mut cases = vec![
        case(Uniform, 1, 1 << 20, 5, true, Rate(1.53e13)),
        case(Uniform, 1, 1 << 20, 10, true, Rate(1.51e13)),
        case(Uniform, 2, 1 << 20, 12, true, Rate(1.28e13)),
        case(Uniform, 4, 1 << 20, 31, true, Rate(1.21e13)),
        case(Uniform, 4, 1 << 20, 90, true, Rate(1.2e13)),
        case(Uniform, 3, 1 << 18, 20, true, Nothing),
        case(Uniform, 5, 1 << 18, 40, true, Nothing),
        case(Uniform, 8, 1 << 18, 64, true, Nothing),
        case(Uniform, 16, 1 << 18, 128, true, Nothing),
        case(Uniform, 1, 100_000, 5, false, Milliseconds(0.23)),
        case(Uniform, 1, 1_000_000, 5, false, Milliseconds(2.0)),
        case(Photo, 1, 1_000_000, 5, false, Milliseconds(12.0)),
        case(Uniform, 4, 100_000, 90, false, Milliseconds(0.94)),
        case(Uniform, 4, 1_000_000, 31, false, Milliseconds(15.5)),
        Case { is_cheap: false, ..case(Uniform, 4, 1_000_000, 90, false, AtMost(45.0, 60.0)) },
        case(Uniform, 1, 10_000_000, 5, false, AtMost(21.0, 60.0)),
    ];
    if scale == Scale::Full {
        cases.push(case(Photo, 1, 10_000_000, 3, false, Milliseconds(58.0)));
        // Without copies, which were not measured.
        cases.push(case(Uniform, 1, 1_000_000, 10, false, Milliseconds(3.5)));
        cases.push(case(Uniform, 1, 10_000_000, 10, false, Milliseconds(125.0)));
        cases.push(case(Uniform, 4, 10_000_000, 31, false, Milliseconds(158.0)));
    }
    cases
}

/// Times all, and prints the rows. Errors: a search whose pairs differ from the CPU's.
pub(crate) fn run(scale: Scale) -> Result<(), Error> {
    let outcome = time_all(scale);
    if let Err(error) = &outcome {
        row("searches that are timed", "as many pairs as on the CPU", &error.to_string(), "**WRONG**");
    }
    outcome
}

fn time_all(scale: Scale) -> Result<(), Error> {
    let pool = ThreadPoolBuilder::new().build()?;
    let engine = Engine::start(MEMORY)?;
    let rate = match &engine {
        Engine::Process(process) => process.rate,
        Engine::Inside(device) => lumina_gpu::measure_rate(device)?,
    };
    row("256 bits, pairs a second as the GPU process measures when it starts", "1.2e13", &format!("{rate:.2e}"), "");
    let mut wrong = 0;
    for case in cases(scale) {
        wrong += usize::from(!time(&case, scale, rate, &engine, &pool)?);
    }
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} searches found other pairs than the CPU").into()) }
}

/// Pairs, and a sum over them that does not depend on their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum(u64, u64);

impl Sum {
    fn add(&mut self, pairs: &[(u32, u32)], distances: &[u16]) {
        self.0 += pairs.len() as u64;
        for ((left, right), bits) in pairs.iter().zip(distances) {
            let pair = u64::from(*left) << 32 | u64::from(*right);
            let mixed = (pair ^ u64::from(*bits) << 20).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.1 = self.1.wrapping_add((mixed ^ mixed >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        }
    }
}

/// Times one, and prints its row. Returns whether its pairs equal the CPU's, if the CPU searched.
fn time(case: &Case, scale: Scale, rate: f64, engine: &Engine, pool: &ThreadPool) -> Result<bool, Error> {
    let Case { kind, words, count, radius, is_brute, expected, is_cheap } = *case;
    let context = SearchContext::new(HOST);
    let table = Table::new(kind, &[words], count, 1);
    let values = pool.install(|| table.values(&context))?;
    drop(table);
    let query = PairQuery { left: &values, right: None, radii: &[radius] };
    let plan = |costs: &Costs| -> Result<Plan, Error> {
        let plans = pool.install(|| lumina_search::plan::options(&query, false, costs, &context))?;
        let fits = plans.into_iter().filter(|plan| !is_brute || plan.is_brute_force());
        fits.min_by(|one, other| one.cost.total_cmp(&other.cost)).ok_or_else(|| "no plan".into())
    };
    let plan_here = plan(&Costs::gpu(rate, words))?;
    let task = || pool.install(|| Task::new(&query, &plan_here, &context));
    let mut found = Sum::default();
    engine.find(task()?, &mut |pairs, distances| found.add(pairs, distances))?;
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..TIMES {
        times.push(engine.find(task()?, &mut |_, _| ())?);
    }
    times.sort_unstable();
    let took = times[TIMES / 2].as_secs_f64() * 1e3;
    let pairs_compared = values.count() as f64 * (values.count() as f64 - 1.0) / 2.0;
    let bands: Vec<String> = plan_here.bands().map(|(width, tolerance)| format!("{width}±{tolerance}")).collect();
    let method = if bands.is_empty() { "brute force".to_owned() } else { bands.join(" ") };
    let set = format!("{kind:?}").to_lowercase();
    let what = format!("{set}, {} bits, n = {count}, r = {radius}: {method}; {} pairs", words * 64, found.0);
    let (wanted, here, mut says) = match expected {
        Expected::Milliseconds(wanted) => (milliseconds(wanted), milliseconds(took), verdict(took / wanted)),
        Expected::AtMost(measured, most) => {
            let says = if took <= most { "ok" } else { "**slow**" };
            let wanted = format!("{}, at most {}", milliseconds(measured), milliseconds(most));
            (wanted, milliseconds(took), format!("{says}, {:.2} times", took / measured))
        }
        Expected::Rate(wanted) => {
            let here = pairs_compared / took * 1e3;
            let found = format!("{here:.2e} pairs/s, {}", milliseconds(took));
            (format!("{wanted:.2e} pairs/s"), found, verdict(wanted / here))
        }
        Expected::Nothing => {
            let here = pairs_compared / took * 1e3;
            ("-".to_owned(), format!("{here:.2e} pairs/s, {}", milliseconds(took)), String::new())
        }
    };
    let mut is_right = true;
    if is_cheap || scale == Scale::Full {
        let mut on_cpu = Sum::default();
        let add = &mut |pairs: &[(u32, u32)], distances: &[u16]| on_cpu.add(pairs, distances);
        // The CPU's own plan: comparing all pairs would take minutes.
        let plan = pool.install(|| Plan::choose(&query, &Costs::cpu(), &context))?;
        let cpu_took = cpu::find(pool, &query, &plan, &context, add)?;
        is_right = on_cpu == found;
        let on_cpu =
            format!("CPU {} on {} threads", milliseconds(cpu_took.as_secs_f64() * 1e3), pool.current_num_threads());
        says = if is_right { format!("{says}; {on_cpu}") } else { format!("**WRONG**; {on_cpu}") };
    }
    row(&what, &wanted, &here, &says);
    eprintln!("{what}: {here}, expected {wanted}");
    Ok(is_right)
}
