//! Planner support functions of `<~>`, `<@`, `@>` and `phash_within`.
//!
//! Two things happen before a query runs. A constant of another width than the column it is compared with, which would
//! find nothing for ever, is refused, and so is a constant radius that makes no ball. And `phash_within(h, q, r)` with a
//! constant `q` and `r` becomes `h <@ phash_ball(q, r)`: the same plan, the same estimates, the same index. With parameters
//! and in joins an index is asked for `h <@ phash_search_ball(q, r)`.

use super::selectivity;
use crate::error::{LuminaError, OrRaise};
use crate::pg::datum::{PhashBall, Raw, Varlena};
use crate::pg::node::{Expression, Objects, Planner, Request};
use lumina_hash::ball::{Ball, check_radius};
use pgrx::prelude::*;

/// For `<~>`.
#[pg_extern(sql = false)]
fn phash_distance_support(request: Raw) -> Raw {
    if let Request::Simplify { planner, arguments, .. } = Request::read(request)
        && let [a, b] = arguments[..]
    {
        for (column, constant) in [(a, b), (b, a)] {
            if let Some(constant) = constant.constant_hash() {
                check_width(planner, column, constant.bits());
            }
        }
    }
    Request::pass()
}

/// For `<@`.
#[pg_extern(sql = false)]
fn phash_in_ball_support(request: Raw) -> Raw {
    check_ball(request, 0, 1)
}

/// For `@>`.
#[pg_extern(sql = false)]
fn phash_ball_contains_support(request: Raw) -> Raw {
    check_ball(request, 1, 0)
}

fn check_ball(request: Raw, hash: usize, ball: usize) -> Raw {
    if let Request::Simplify { planner, arguments, .. } = Request::read(request)
        && let (Some(hash), Some(ball)) = (arguments.get(hash), arguments.get(ball))
        && let Some(PhashBall(ball)) = ball.constant_ball()
    {
        check_width(planner, *hash, ball.center().len() * 8);
    }
    Request::pass()
}

/// For `phash_within`.
#[pg_extern(sql = false)]
fn phash_within_support(request: Raw) -> Raw {
    match Request::read(request) {
        Request::Simplify { planner, function, arguments } => match arguments[..] {
            [a, b, radius] => simplify(planner, function, a, b, radius).map_or_else(Request::pass, Request::replace_by),
            _ => Request::pass(),
        },
        Request::IndexCondition { function, family, key, arguments } => {
            index_condition(function, family, key, &arguments)
                .map_or_else(Request::pass, |condition| Request::index_condition(request, condition))
        }
        Request::Selectivity { planner, relation, arguments } => match arguments[..] {
            [a, b, radius] => {
                let radius = radius.constant_int().and_then(|radius| u32::try_from(radius).ok());
                Request::selectivity(request, selectivity::of_pairs(planner, relation, a, Some(b), radius))
            }
            _ => Request::pass(),
        },
        _ => Request::pass(),
    }
}

/// `a <@ phash_ball(b, radius)`, or the other way round, whichever hash is constant.
fn simplify(
    planner: Planner,
    function: pg_sys::Oid,
    a: Expression,
    b: Expression,
    radius: Expression,
) -> Option<Expression> {
    let radius = radius.constant_int()?;
    let (column, center) = match (a.constant_hash(), b.constant_hash()) {
        (_, Some(center)) => (a, center),
        (Some(center), None) => (b, center),
        (None, None) => return None,
    };
    if planner.may_refuse() {
        check_width(planner, column, center.bits());
        check_radius(i64::from(radius), center.bits()).or_raise();
    }
    let ball = Ball::new(center.0, i64::from(radius)).ok()?;
    let objects = Objects::beside(function)?;
    Some(objects.in_ball(column, objects.ball(Varlena::new(&[&ball.to_binary()]))))
}

/// `key <@ phash_search_ball(center, radius)`, for an index whose family has `<@`.
///
/// This is the form for parameters and joins: what stands beside the key is no constant, but known before the index is
/// read. `phash_search_ball` raises nothing, so that the same rows come back as from `phash_within` itself.
fn index_condition(
    function: pg_sys::Oid,
    family: pg_sys::Oid,
    key: usize,
    arguments: &[Expression],
) -> Option<Expression> {
    let &[a, b, radius] = arguments else { return None };
    let (key, center) = match key {
        0 => (a, b),
        1 => (b, a),
        _ => return None,
    };
    let objects = Objects::beside(function)?;
    if !objects.family_has_in_ball(family) {
        return None;
    }
    Some(objects.in_ball(key, objects.search_ball(center, radius)?))
}

/// Refuses a constant that a column of another width can never be near. Errors: 42804.
fn check_width(planner: Planner, column: Expression, constant: usize) {
    if let Some(column) = column.column_bits(planner)
        && column != constant
    {
        LuminaError::Constant { column, constant }.raise();
    }
}
