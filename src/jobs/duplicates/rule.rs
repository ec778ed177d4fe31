//! The pair rule and the strategy in the parameters of a job: checked when it was submitted, and by the table of runs.

use crate::jobs::stop::{Failure, Stop};
use lumina_search::Rule;
use lumina_search::group::Strategy;
use pgrx::PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
use serde_json::Value;

/// The hashes of an image: column of `lumina.images`, width in bits.
const HASHES: [(&str, usize); 4] = [("ahash", 64), ("dhash", 64), ("dct", 64), ("pdq", 256)];

/// The width to which distances refer: those of wider hashes are scaled down to it, rounded up.
const SCALE: usize = 64;

/// The parameters of a job.
pub(super) struct Parameters {
    pub(super) rule: Value,
    pub(super) strategy: Strategy,
    pub(super) strategy_name: String,
    /// The hashes that the rule names, in the order of [`HASHES`].
    pub(super) hashes: Vec<(&'static str, usize)>,
    /// Whether the JPEG that a camera wrote beside a raw file belongs to that, and is not compared itself.
    pub(super) siblings: bool,
    /// For each alternative a radius for each of `hashes`; its width where the alternative does not name it.
    alternatives: Vec<Vec<u32>>,
}

impl Parameters {
    /// Reads the parameters of a job.
    pub(super) fn read(parameters: &Value) -> Result<Self, Stop> {
        let read = || {
            let rule = parameters.get("rule")?;
            let strategy_name = parameters.get("strategy")?.as_str()?.to_owned();
            let alternatives = rule.as_array()?;
            let named = |hash: &(&str, usize)| alternatives.iter().any(|alternative| alternative.get(hash.0).is_some());
            let hashes: Vec<(&'static str, usize)> = HASHES.into_iter().filter(named).collect();
            let radius = |alternative: &Value, (name, width): &(&str, usize)| match alternative.get(name) {
                Some(distance) => distance.as_u64().and_then(|distance| u32::try_from(distance).ok()),
                None => Some(*width as u32),
            };
            let radii = |alternative| hashes.iter().map(|hash| radius(alternative, hash)).collect::<Option<Vec<u32>>>();
            let alternatives = alternatives.iter().map(radii).collect::<Option<Vec<_>>>()?;
            let strategy = Strategy::named(&strategy_name)?;
            let siblings = parameters.get("raw_jpeg").and_then(Value::as_str) != Some("duplicate");
            (!hashes.is_empty()).then(|| Parameters {
                rule: rule.clone(),
                strategy,
                strategy_name,
                hashes,
                siblings,
                alternatives,
            })
        };
        read().ok_or_else(|| {
            let message = format!("the job has parameters that this library does not understand: {parameters}");
            let hint = "It was submitted by another version: submit it again.";
            Stop::Failed(Failure::new("invalid_parameters", ERRCODE_INVALID_PARAMETER_VALUE, message, hint))
        })
    }

    /// The rule, over the columns of `hashes`.
    pub(super) fn near(&self) -> Rule {
        Rule::any(self.alternatives.clone())
    }

    /// The distance, of 64 bits, for distances in each of `hashes`: the largest of an alternative, in the alternative
    /// where that is smallest. With one alternative a near pair has at most its largest radius.
    pub(super) fn distance(&self, each: &[u16]) -> i16 {
        let of = |radii: &Vec<u32>| {
            let counted =
                each.iter().zip(radii).zip(&self.hashes).filter(|((_, radius), hash)| (**radius as usize) < hash.1);
            counted.map(|((distance, _), hash)| (usize::from(*distance) * SCALE).div_ceil(hash.1)).max().unwrap_or(0)
        };
        self.alternatives.iter().map(of).min().unwrap_or(0) as i16
    }
}
