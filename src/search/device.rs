//! Chooses the device: equal hashes are collapsed, and a search is planned and run, on the GPU where the user asked for
//! it or it is expected to take less time, and else on the CPU; on the CPU as well where the GPU fails.

use super::gpu::{self, Failure};
use super::run::Run;
use crate::error::LuminaError;
use crate::gpu::connect::{Denied, START_TIMEOUT, connect, connect_to_running, reason_not_to};
use crate::gpu::record::Record;
use crate::guc::{self, Device};
use crate::pg::report::ereport;
use lumina_search::group::{Edges, Mark};
use lumina_search::{Batch, Context, Costs, Plan, Rows, Search, SearchError, Values};
use pgrx::PgLogLevel;
use std::rc::Rc;
use std::time::Duration;

/// Below this number of rows the CPU collapses them as fast as it sends them to the GPU.
const MANY: usize = 200_000;

/// Where and how a search is run.
pub(crate) enum Way {
    /// By the threads of this backend.
    Cpu(Plan),
    /// By the GPU process.
    Gpu(Plan),
}

impl Way {
    pub(crate) fn plan(&self) -> &Plan {
        match self {
            Self::Cpu(plan) | Self::Gpu(plan) => plan,
        }
    }

    /// The name that users know.
    pub(crate) fn device(&self) -> &'static str {
        match self {
            Self::Cpu(_) => "cpu",
            Self::Gpu(_) => "cuda",
        }
    }
}

/// Receives what a search finds.
pub(crate) trait Results {
    /// The search begins. What an earlier attempt has found is discarded.
    fn begin(&mut self) -> Result<(), SearchError>;

    /// Takes pairs of values.
    fn take(&mut self, batch: &Batch) -> Result<(), SearchError>;
}

/// Adds edges to those found before.
struct NewEdges<'e> {
    edges: &'e mut Edges,
    before: Mark,
    alternative: usize,
    context: Rc<Context>,
}

impl Results for NewEdges<'_> {
    fn begin(&mut self) -> Result<(), SearchError> {
        self.edges.back_to(&self.before);
        Ok(())
    }

    fn take(&mut self, batch: &Batch) -> Result<(), SearchError> {
        self.edges.add(batch, self.alternative, &self.context)
    }
}

impl Run<'_> {
    /// The device that the user asked for; the CPU where the GPU has failed already.
    fn device(&self) -> Device {
        if self.without_gpu.get() { Device::Cpu } else { guc::device() }
    }

    /// Collapses equal rows.
    pub(crate) fn collapse(&mut self, rows: Rows) -> Result<Values, LuminaError> {
        let on_gpu = match self.device() {
            Device::Cpu => false,
            Device::Cuda => {
                self.require_gpu(&rows.row_words())?;
                self.has_room_to_collapse(&rows)
            }
            Device::Auto => self.gpu_may_collapse(&rows),
        };
        if on_gpu {
            let found = match gpu::first_equal(self, &rows) {
                // The search itself takes less room, and may still run there.
                Err(Failure::NoMemory(why)) => {
                    ereport(PgLogLevel::DEBUG1, &format!("lumina: no room on the GPU to collapse equal hashes: {why}"));
                    None
                }
                outcome => self.unless_failed(outcome)?,
            };
            if let Some(firsts) = found {
                return self.job(|context, _| Values::collapse_by(rows, firsts, context));
            }
        }
        self.job(|context, _| Values::collapse(rows, context))
    }

    /// Whether the GPU process runs, and there are enough rows for it to pay.
    fn gpu_may_collapse(&self, rows: &Rows) -> bool {
        rows.len() >= MANY
            && gpu::can_take(&rows.row_words())
            && self.has_room_to_collapse(rows)
            && reason_not_to(&Record::read()).is_none()
            && connect_to_running().is_ok_and(|client| client.is_some())
    }

    fn has_room_to_collapse(&self, rows: &Rows) -> bool {
        let context = self.context();
        context.used().saturating_add(gpu::memory_to_collapse(rows)) <= context.limit()
    }

    /// What the GPU has found; `None` where it has failed, which is reported once per search.
    fn unless_failed<R>(&self, outcome: Result<R, Failure>) -> Result<Option<R>, LuminaError> {
        let why = match outcome {
            Ok(found) => return Ok(Some(found)),
            Err(Failure::OfSearch(error)) => return Err(error),
            // There is no GPU, and the user has not asked for one.
            Err(Failure::NotReached(why)) if guc::device() == Device::Auto && !why.is_failure => {
                ereport(PgLogLevel::DEBUG1, &format!("lumina: no GPU: {}", why.reason));
                return Ok(None);
            }
            Err(Failure::NotReached(why)) => why.reason,
            Err(Failure::OfGpu(why) | Failure::NoMemory(why)) => why,
        };
        self.without_gpu.set(true);
        ereport(PgLogLevel::NOTICE, &format!("the GPU has failed, the CPU searches instead: {why}"));
        Ok(None)
    }

    /// Finds all pairs on the planned device, or on the CPU where that fails. Each attempt calls `results.begin`, then
    /// passes all that it finds to `results.take`.
    pub(crate) fn find(&mut self, search: &Search<'_>, way: Way, results: &mut dyn Results) -> Result<(), LuminaError> {
        let plan = match way {
            Way::Cpu(plan) => plan,
            Way::Gpu(plan) => {
                results.begin()?;
                let found = gpu::find(self, search, &plan, &mut |batch| results.take(batch));
                if self.unless_failed(found)?.is_some() {
                    return Ok(());
                }
                let plan = self.plan_for_cpu(search)?;
                self.log_plan(&plan, "cpu");
                plan
            }
        };
        results.begin()?;
        self.stream(
            |context, sink| search.run(&plan, context, sink),
            |batch| {
                results.take(&batch)?;
                batch.free(self.context());
                Ok(())
            },
        )
    }

    /// Finds the edges of a rule's alternative, counted from 0, and adds them to those found before.
    pub(crate) fn find_edges(
        &mut self,
        search: &Search<'_>,
        edges: &mut Edges,
        alternative: usize,
    ) -> Result<(), LuminaError> {
        let way = self.plan(search)?;
        let (before, context) = (edges.mark(), self.shared_context());
        self.find(search, way, &mut NewEdges { edges, before, alternative, context })
    }

    /// How long a search is expected to take, in nanoseconds.
    pub(crate) fn nanoseconds(&self, way: &Way) -> f64 {
        match way {
            Way::Cpu(plan) => plan.cost / self.threads() as f64,
            Way::Gpu(plan) => plan.cost,
        }
    }

    /// Plans a search: device and method. Logged at level DEBUG1. Errors: 55000, where the user asked for the GPU and
    /// it cannot be used.
    pub(crate) fn plan(&mut self, search: &Search<'_>) -> Result<Way, LuminaError> {
        let way = match self.device() {
            Device::Cpu => Way::Cpu(self.plan_for_cpu(search)?),
            Device::Cuda => Way::Gpu(self.plan_for_named_gpu(search)?),
            Device::Auto => match self.plan_for_cpu(search) {
                Ok(plan) => self.cheaper(search, plan),
                // What exceeds the memory for the CPU may fit for the GPU.
                Err(error) if matches!(error.cause(), Some(SearchError::OverBudget { .. })) => {
                    self.plan_for_gpu(search, f64::INFINITY).map(Way::Gpu).ok_or(error)?
                }
                Err(error) => return Err(error),
            },
        };
        self.log_plan(way.plan(), way.device());
        Ok(way)
    }

    fn log_plan(&mut self, plan: &Plan, device: &str) {
        let bands: Vec<String> = plan.bands().map(|(width, tolerance)| format!("{width}±{tolerance}")).collect();
        let method = if plan.is_brute_force() { "brute force".into() } else { format!("bands {}", bands.join(" ")) };
        self.phase(&format!("planned {method} on {device}, {:.0} candidates", plan.candidates));
    }

    fn plan_for_cpu(&self, search: &Search<'_>) -> Result<Plan, LuminaError> {
        self.job(|context, _| Plan::choose(search, &Costs::cpu(), context))
    }

    /// The GPU's plan where that is expected to take less time than the CPU's.
    fn cheaper(&self, search: &Search<'_>, plan: Plan) -> Way {
        let cpu = Way::Cpu(plan);
        self.plan_for_gpu(search, self.nanoseconds(&cpu)).map_or(cpu, Way::Gpu)
    }

    /// A plan for the GPU that takes less than `nanoseconds`, its start included where no process runs. Searches too
    /// small to gain by it are not even planned.
    fn plan_for_gpu(&self, search: &Search<'_>, nanoseconds: f64) -> Option<Plan> {
        if nanoseconds < gpu::LEAST || !gpu::can_take(&search.left.row_words()) {
            return None;
        }
        let record = Record::read();
        if reason_not_to(&record).is_some() {
            return None;
        }
        // A process that is starting counts as none: its driver may take long.
        let runs = connect_to_running().is_ok_and(|client| client.is_some());
        let start = if runs { 0.0 } else { gpu::START };
        if nanoseconds < start {
            return None;
        }
        let mut plan = self.plan_at(search, record.rate()).ok()?;
        plan.cost += start;
        // Waits no longer than the CPU would have taken.
        self.patience.set(Duration::from_secs_f64((nanoseconds / 1e9).clamp(1.0, START_TIMEOUT.as_secs_f64())));
        (plan.cost < nanoseconds && self.context().used() + plan.memory <= self.context().limit()).then_some(plan)
    }

    /// The plan for a GPU of this rate.
    fn plan_at(&self, search: &Search<'_>, rate: f64) -> Result<Plan, LuminaError> {
        let costs = Costs::gpu(rate, gpu::compared_words(search));
        let mut plan = self.job(|context, _| Plan::choose(search, &costs, context))?;
        plan.memory = gpu::memory(search);
        Ok(plan)
    }

    /// The plan for the GPU where the user asked for it.
    fn plan_for_named_gpu(&self, search: &Search<'_>) -> Result<Plan, LuminaError> {
        self.require_gpu(&search.left.row_words())?;
        self.plan_at(search, Record::read().rate())
    }

    /// Requires a GPU that can take hashes of `row_words` words in each column. Errors: 55000, with the reason; but
    /// where it was available before, the CPU goes on without it.
    fn require_gpu(&self, row_words: &[usize]) -> Result<(), LuminaError> {
        if !gpu::can_take(row_words) {
            return Err(gpu::too_wide().into());
        }
        if self.had_gpu.replace(true) {
            return Ok(());
        }
        match connect(START_TIMEOUT, || self.is_wanted()) {
            Ok(_) => Ok(()),
            Err(Denied::Unavailable(why)) => Err(why.into()),
            Err(Denied::Stopped(error)) => Err(error),
        }
    }
}
