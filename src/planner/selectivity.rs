//! Selectivity of `<@`, `@>` and `phash_within`: what share of the rows, or pairs of rows, they keep.
//!
//! The arithmetic is in `lumina_hash::estimate`; this file finds the column and the ball. Other operators than ours may
//! name these estimators: a superuser's since the minor releases of February 2026 (15.16, 16.12, 17.8, 18.2), anyone's
//! before; and anyone may write a function that returns a ball. So types are checked before any value is read.

use crate::pg::access::statistics;
use crate::pg::fmgr::datum::{PhashBall, Raw};
use crate::pg::planner::node::{self, Expression, Join, Objects, Planner};
use lumina_hash::estimate::{UNKNOWN, share_of_searches, unknown_share};
use pgrx::prelude::*;

/// RESTRICT of `<@`.
#[pg_extern(sql = false)]
fn phash_in_ball_sel(planner: Raw, operator: pg_sys::Oid, arguments: Raw, relation: i32) -> f64 {
    SelectivityRequest { planner: Planner::of(planner), relation, join: None }.of_operator(operator, arguments, 0, 1)
}

/// RESTRICT of `@>`.
#[pg_extern(sql = false)]
fn phash_ball_contains_sel(planner: Raw, operator: pg_sys::Oid, arguments: Raw, relation: i32) -> f64 {
    SelectivityRequest { planner: Planner::of(planner), relation, join: None }.of_operator(operator, arguments, 1, 0)
}

/// JOIN of `<@`.
#[pg_extern(sql = false)]
fn phash_in_ball_joinsel(planner: Raw, operator: pg_sys::Oid, arguments: Raw, kind: i16, special: Raw) -> f64 {
    let join = Some(Join::of(kind, special));
    SelectivityRequest { planner: Planner::of(planner), relation: 0, join }.of_operator(operator, arguments, 0, 1)
}

/// JOIN of `@>`.
#[pg_extern(sql = false)]
fn phash_ball_contains_joinsel(planner: Raw, operator: pg_sys::Oid, arguments: Raw, kind: i16, special: Raw) -> f64 {
    let join = Some(Join::of(kind, special));
    SelectivityRequest { planner: Planner::of(planner), relation: 0, join }.of_operator(operator, arguments, 1, 0)
}

/// What the planner asks the selectivity of.
pub(super) struct SelectivityRequest {
    pub(super) planner: Planner,
    pub(super) relation: i32,
    pub(super) join: Option<Join>,
}

impl SelectivityRequest {
    /// The selectivity of an operator whose arguments are at the places `hash` and `ball`.
    fn of_operator(&self, operator: pg_sys::Oid, arguments: Raw, hash: usize, ball: usize) -> f64 {
        let arguments = node::list(arguments);
        let (Some(&hash), Some(&ball)) = (arguments.get(hash), arguments.get(ball)) else { return UNKNOWN };
        match Objects::beside_operator(operator) {
            Some(objects) if hash.is_of(objects.hash_type()) && ball.is_of(objects.ball_type()) => {
                self.of_ball(&objects, hash, ball)
            }
            _ => UNKNOWN,
        }
    }

    fn of_ball(&self, objects: &Objects, hash: Expression, ball: Expression) -> f64 {
        if let Some(PhashBall(ball)) = objects.constant_ball(&ball) {
            return match statistics::of(self.planner, objects, hash, self.relation) {
                Some(sample) => sample.share_in(&ball),
                None => unknown_share(ball.center().len() * 8, ball.radius()),
            };
        }
        // phash_ball(center, radius): a join, or a parameter.
        match ball.arguments()[..] {
            [center, radius] => self.of_pairs(objects, hash, center, radius),
            _ => UNKNOWN,
        }
    }

    /// The share of pairs of a `hash` and a `center` within `radius`; of an EXISTS, the share of hashes that have one.
    ///
    /// A centre without statistics, such as a parameter, is assumed to be one of the column's own values.
    pub(super) fn of_pairs(&self, objects: &Objects, hash: Expression, center: Expression, radius: Expression) -> f64 {
        let Some(radius) = radius.constant_int().and_then(|radius| u32::try_from(radius).ok()) else { return UNKNOWN };
        let statistics_of = |expression| statistics::of(self.planner, objects, expression, self.relation);
        let search = self.join.and_then(|join| join.looks_among(self.planner, hash));
        match (statistics_of(hash), statistics_of(center), search) {
            (Some(hashes), Some(centers), None) => hashes.share_of_pairs(&centers, radius),
            (Some(inner), Some(outer), Some((rows, true))) | (Some(outer), Some(inner), Some((rows, false))) => {
                outer.share_of_matched(&inner, radius, rows)
            }
            (Some(known), None, None) | (None, Some(known), None) => known.share_of_pairs(&known, radius),
            (Some(known), None, Some((rows, _))) | (None, Some(known), Some((rows, _))) => {
                known.share_of_matched(&known, radius, rows)
            }
            (None, None, search) => {
                let share = hash.declared_bits().map_or(UNKNOWN, |bits| unknown_share(bits, radius));
                search.map_or(share, |(rows, _)| share_of_searches(share, rows))
            }
        }
    }
}
