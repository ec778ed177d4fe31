//! Selectivity of `<@`, `@>` and `phash_within`: what share of the rows, or pairs of rows, they keep.
//!
//! The arithmetic is `lumina_hash::estimate`; here is only which column and which ball it is about.

use crate::pg::datum::{PhashBall, Raw};
use crate::pg::node::{self, Expression, Planner};
use crate::pg::statistics;
use lumina_hash::estimate::{UNKNOWN, unknown_share};
use pgrx::prelude::*;

/// RESTRICT of `<@`.
#[pg_extern(sql = false)]
fn phash_in_ball_sel(planner: Raw, _operator: pg_sys::Oid, arguments: Raw, relation: i32) -> f64 {
    estimate(planner, arguments, relation, 0, 1)
}

/// RESTRICT of `@>`.
#[pg_extern(sql = false)]
fn phash_ball_contains_sel(planner: Raw, _operator: pg_sys::Oid, arguments: Raw, relation: i32) -> f64 {
    estimate(planner, arguments, relation, 1, 0)
}

/// JOIN of `<@`.
#[pg_extern(sql = false)]
fn phash_in_ball_joinsel(planner: Raw, _operator: pg_sys::Oid, arguments: Raw, _join: i16, _special: Raw) -> f64 {
    estimate(planner, arguments, 0, 0, 1)
}

/// JOIN of `@>`.
#[pg_extern(sql = false)]
fn phash_ball_contains_joinsel(planner: Raw, _operator: pg_sys::Oid, arguments: Raw, _join: i16, _special: Raw) -> f64 {
    estimate(planner, arguments, 0, 1, 0)
}

fn estimate(planner: Raw, arguments: Raw, relation: i32, hash: usize, ball: usize) -> f64 {
    let (planner, arguments) = (Planner::of(planner), node::list(arguments));
    let (Some(&hash), Some(&ball)) = (arguments.get(hash), arguments.get(ball)) else { return UNKNOWN };
    match ball.constant_ball() {
        Some(PhashBall(ball)) => match statistics::of(planner, hash, relation) {
            Some(sample) => sample.share_in(&ball),
            None => unknown_share(ball.center().len() * 8, ball.radius()),
        },
        None => match ball.arguments()[..] {
            // phash_ball(center, radius): a join, or a parameter.
            [center, radius] => {
                let radius = radius.constant_int().and_then(|radius| u32::try_from(radius).ok());
                of_pairs(planner, relation, hash, Some(center), radius)
            }
            _ => of_pairs(planner, relation, hash, None, None),
        },
    }
}

/// The share of pairs of a `hash` and a `center` within `radius`.
///
/// A centre without statistics, such as a parameter, is taken for one of the column's own values.
pub(super) fn of_pairs(
    planner: Planner,
    relation: i32,
    hash: Expression,
    center: Option<Expression>,
    radius: Option<u32>,
) -> f64 {
    let Some(radius) = radius else { return UNKNOWN };
    let hashes = statistics::of(planner, hash, relation);
    let centers = center.and_then(|center| statistics::of(planner, center, relation));
    match (hashes, centers) {
        (Some(hashes), Some(centers)) => hashes.share_of_pairs(&centers, radius),
        (Some(known), None) | (None, Some(known)) => known.share_of_pairs(&known, radius),
        (None, None) => hash.declared_bits().map_or(UNKNOWN, |bits| unknown_share(bits, radius)),
    }
}
