//! Chooses the device: equal hashes are collapsed, and a query is planned and executed, on the GPU where the user asked
//! for it or it is expected to take less time, and else on the CPU; on the CPU as well where the GPU fails.
//!
//! So a [`SearchSession`] is the [`Executor`] of the searches of this folder and of `detect_duplicates`.

use super::gpu::{self, GpuFailure};
use super::session::SearchSession;
use crate::error::LuminaError;
use crate::gpu::connect::{Denied, START_TIMEOUT, connect, connect_to_running, reason_not_to};
use crate::gpu::record::GpuRecord;
use crate::guc::{self, DeviceSetting};
use crate::pg::backend::report::ereport;
use lumina_search::{
    Costs, Executor, HashRows, PairQuery, PairResults, Plan, SearchContext, SearchError, Values, find_pairs,
};
use pgrx::PgLogLevel;
use std::time::Duration;

/// Below this number of rows the CPU collapses them as fast as it sends them to the GPU.
const MANY: usize = 200_000;

/// The device of a search, and its plan there.
pub(super) enum DevicePlan {
    /// By the threads of this backend.
    Cpu(Plan),
    /// By the GPU process.
    Gpu(Plan),
}

impl DevicePlan {
    pub(super) fn plan(&self) -> &Plan {
        match self {
            Self::Cpu(plan) | Self::Gpu(plan) => plan,
        }
    }

    /// The name that users know.
    pub(super) fn device(&self) -> &'static str {
        match self {
            Self::Cpu(_) => "cpu",
            Self::Gpu(_) => "cuda",
        }
    }
}

impl SearchSession<'_> {
    /// The device that the user asked for; the CPU where the GPU has failed already.
    fn device(&self) -> DeviceSetting {
        if self.without_gpu.get() { DeviceSetting::Cpu } else { guc::device() }
    }

    /// Collapses equal rows.
    pub(crate) fn collapse(&self, rows: HashRows) -> Result<Values, LuminaError> {
        let on_gpu = match self.device() {
            DeviceSetting::Cpu => false,
            DeviceSetting::Cuda => {
                self.require_gpu(&rows.row_words())?;
                self.has_room_to_collapse(&rows)
            }
            DeviceSetting::Auto => self.gpu_may_collapse(&rows),
        };
        if on_gpu {
            let found = match gpu::first_equal(self, &rows) {
                // The search itself takes less room, and may still run there.
                Err(GpuFailure::NoMemory(why)) => {
                    ereport(PgLogLevel::DEBUG1, &format!("lumina: no room on the GPU to collapse equal hashes: {why}"));
                    None
                }
                outcome => self.unless_failed(outcome)?,
            };
            if let Some(firsts) = found {
                return self.on_threads(|context| Values::collapse_by(rows, firsts, context));
            }
        }
        self.on_threads(|context| Values::collapse(rows, context))
    }

    /// Whether the GPU process runs, and there are enough rows for it to pay.
    fn gpu_may_collapse(&self, rows: &HashRows) -> bool {
        rows.len() >= MANY
            && gpu::can_take(&rows.row_words())
            && self.has_room_to_collapse(rows)
            && reason_not_to(&GpuRecord::read()).is_none()
            && connect_to_running().is_ok_and(|client| client.is_some())
    }

    fn has_room_to_collapse(&self, rows: &HashRows) -> bool {
        let context = self.context();
        context.used().saturating_add(gpu::memory_to_collapse(rows)) <= context.limit()
    }

    /// What the GPU has found; `None` where it has failed, which is reported once per search.
    fn unless_failed<R>(&self, outcome: Result<R, GpuFailure>) -> Result<Option<R>, LuminaError> {
        let why = match outcome {
            Ok(found) => return Ok(Some(found)),
            Err(GpuFailure::OfSearch(error)) => return Err(error),
            // There is no GPU, and the user has not asked for one.
            Err(GpuFailure::NotReached(why)) if guc::device() == DeviceSetting::Auto && !why.is_failure => {
                ereport(PgLogLevel::DEBUG1, &format!("lumina: no GPU: {}", why.reason));
                return Ok(None);
            }
            Err(GpuFailure::NotReached(why)) => why.reason,
            Err(GpuFailure::OfGpu(why) | GpuFailure::NoMemory(why)) => why,
        };
        self.without_gpu.set(true);
        ereport(PgLogLevel::NOTICE, &format!("the GPU has failed, the CPU searches instead: {why}"));
        Ok(None)
    }

    /// Finds all pairs on the planned device, or on the CPU where that fails. Each attempt calls `results.begin`, then
    /// passes all that it finds to `results.take`.
    pub(super) fn find_pairs_on(
        &self,
        query: &PairQuery<'_>,
        planned: DevicePlan,
        results: &mut dyn PairResults,
    ) -> Result<(), LuminaError> {
        self.attempt(query, planned, results).map_err(|error| self.with_setting(error))
    }

    fn attempt(
        &self,
        query: &PairQuery<'_>,
        planned: DevicePlan,
        results: &mut dyn PairResults,
    ) -> Result<(), LuminaError> {
        let plan = match planned {
            DevicePlan::Cpu(plan) => plan,
            DevicePlan::Gpu(plan) => {
                results.begin()?;
                let found = gpu::find_pairs(self, query, &plan, &mut |batch| results.take(batch));
                if self.unless_failed(found)?.is_some() {
                    return Ok(());
                }
                let plan = self.plan_for_cpu(query)?;
                self.log_plan(&plan, "cpu");
                plan
            }
        };
        results.begin()?;
        self.stream(
            |context, sink| find_pairs(query, &plan, context, sink),
            |batch| {
                results.take(&batch)?;
                batch.free(self.context());
                Ok(())
            },
        )
    }

    /// How long a search is expected to take, in nanoseconds.
    pub(super) fn nanoseconds(&self, planned: &DevicePlan) -> f64 {
        match planned {
            DevicePlan::Cpu(plan) => plan.cost / self.threads() as f64,
            DevicePlan::Gpu(plan) => plan.cost,
        }
    }

    /// Plans a search: device and method. Logged at level DEBUG1. Errors: 55000, where the user asked for the GPU and
    /// it cannot be used.
    pub(super) fn plan(&self, query: &PairQuery<'_>) -> Result<DevicePlan, LuminaError> {
        let planned = match self.device() {
            DeviceSetting::Cpu => DevicePlan::Cpu(self.plan_for_cpu(query)?),
            DeviceSetting::Cuda => DevicePlan::Gpu(self.plan_for_named_gpu(query)?),
            DeviceSetting::Auto => match self.plan_for_cpu(query) {
                Ok(plan) => self.cheaper(query, plan),
                // What exceeds the memory for the CPU may fit for the GPU.
                Err(error) if matches!(error.cause(), Some(SearchError::OverBudget { .. })) => {
                    self.plan_for_gpu(query, f64::INFINITY).map(DevicePlan::Gpu).ok_or(error)?
                }
                Err(error) => return Err(error),
            },
        };
        self.log_plan(planned.plan(), planned.device());
        Ok(planned)
    }

    fn log_plan(&self, plan: &Plan, device: &str) {
        let bands: Vec<String> = plan.bands().map(|(width, tolerance)| format!("{width}±{tolerance}")).collect();
        let method = if plan.is_brute_force() { "brute force".into() } else { format!("bands {}", bands.join(" ")) };
        self.phase(&format!("planned {method} on {device}, {:.0} candidates", plan.candidates));
    }

    fn plan_for_cpu(&self, query: &PairQuery<'_>) -> Result<Plan, LuminaError> {
        self.on_threads(|context| Plan::choose(query, &Costs::cpu(), context))
    }

    /// The GPU's plan where that is expected to take less time than the CPU's.
    fn cheaper(&self, query: &PairQuery<'_>, plan: Plan) -> DevicePlan {
        let cpu = DevicePlan::Cpu(plan);
        self.plan_for_gpu(query, self.nanoseconds(&cpu)).map_or(cpu, DevicePlan::Gpu)
    }

    /// A plan for the GPU that takes less than `nanoseconds`, its start included where no process runs. Searches too
    /// small to gain by it are not even planned.
    fn plan_for_gpu(&self, query: &PairQuery<'_>, nanoseconds: f64) -> Option<Plan> {
        if nanoseconds < gpu::LEAST || !gpu::can_take(&query.left.row_words()) {
            return None;
        }
        let record = GpuRecord::read();
        if reason_not_to(&record).is_some() {
            return None;
        }
        // A process that is starting counts as none: its driver may take long.
        let runs = connect_to_running().is_ok_and(|client| client.is_some());
        let start = if runs { 0.0 } else { gpu::START };
        if nanoseconds < start {
            return None;
        }
        let mut plan = self.plan_at(query, record.rate()).ok()?;
        plan.cost += start;
        // Waits no longer than the CPU would have taken.
        self.gpu_timeout.set(Duration::from_secs_f64((nanoseconds / 1e9).clamp(1.0, START_TIMEOUT.as_secs_f64())));
        (plan.cost < nanoseconds && self.context().used() + plan.memory <= self.context().limit()).then_some(plan)
    }

    /// The plan for a GPU of this rate.
    fn plan_at(&self, query: &PairQuery<'_>, rate: f64) -> Result<Plan, LuminaError> {
        let costs = Costs::gpu(rate, gpu::compared_words(query));
        let mut plan = self.on_threads(|context| Plan::choose(query, &costs, context))?;
        plan.memory = gpu::memory(query);
        Ok(plan)
    }

    /// The plan for the GPU where the user asked for it.
    fn plan_for_named_gpu(&self, query: &PairQuery<'_>) -> Result<Plan, LuminaError> {
        self.require_gpu(&query.left.row_words())?;
        self.plan_at(query, GpuRecord::read().rate())
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
        match connect(START_TIMEOUT, || self.fail_if_cancelled()) {
            Ok(_) => Ok(()),
            Err(Denied::Unavailable(why)) => Err(why.into()),
            Err(Denied::Stopped(error)) => Err(error),
        }
    }
}

impl Executor for SearchSession<'_> {
    type Error = LuminaError;

    fn context(&self) -> &SearchContext {
        self.context()
    }

    fn on_threads<R: Send>(
        &self,
        work: impl FnOnce(&SearchContext) -> Result<R, SearchError> + Send,
    ) -> Result<R, LuminaError> {
        self.on_threads(work)
    }

    fn find_pairs(&self, query: &PairQuery<'_>, results: &mut dyn PairResults) -> Result<(), LuminaError> {
        self.find_pairs_on(query, self.plan(query)?, results)
    }
}
