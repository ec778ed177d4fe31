//! Planner support functions of `<~>`, `<@`, `@>` and `phash_within`.
//!
//! They do two things before a query runs. They refuse a constant of another width than its column, which could never
//! match, and a constant radius that makes no ball. And they replace `phash_within(h, q, r)` with a constant `q` and
//! `r` by `h <@ phash_ball(q, r)`: the same plan, estimates and index. With parameters and in joins the index condition
//! is `h <@ phash_search_ball(q, r)`.

use super::selectivity::SelectivityRequest;
use crate::error::{Report, UserError};
use crate::pg::fmgr::datum::{PhashBall, Raw, Varlena};
use crate::pg::fmgr::raise::{OrRaise, Raise};
use crate::pg::planner::node::{Expression, Objects, Planner, Request};
use lumina_hash::ball::{Ball, check_radius};
use pgrx::PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH;
use pgrx::prelude::*;

/// For `<~>`.
#[pg_extern(sql = false)]
fn phash_distance_support(request: Raw) -> Raw {
    if let Request::Simplify { planner, function, arguments } = Request::read(request)
        && let [a, b] = arguments[..]
        && let Some(objects) = Objects::beside(function)
    {
        for (column, constant) in [(a, b), (b, a)] {
            if let Some(hash) = objects.constant_hash(&constant) {
                check_width(planner, column, hash.bits());
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
    if let Request::Simplify { planner, function, arguments } = Request::read(request)
        && let (Some(&hash), Some(&constant)) = (arguments.get(hash), arguments.get(ball))
        && let Some(objects) = Objects::beside(function)
        && let Some(PhashBall(ball)) = objects.constant_ball(&constant)
    {
        check_width(planner, hash, ball.center().len() * 8);
    }
    Request::pass()
}

/// For `phash_within`.
#[pg_extern(sql = false)]
fn phash_within_support(request: Raw) -> Raw {
    match Request::read(request) {
        Request::Simplify { planner, function, arguments } => match (&arguments[..], Objects::beside(function)) {
            (&[a, b, radius], Some(objects)) => {
                simplify(planner, &objects, a, b, radius).map_or_else(Request::pass, Request::replace_by)
            }
            _ => Request::pass(),
        },
        Request::IndexCondition { function, family, key, arguments } => Objects::beside(function)
            .and_then(|objects| index_condition(&objects, family, key, &arguments))
            .map_or_else(Request::pass, |condition| Request::index_condition(request, condition)),
        Request::Selectivity { planner, function, relation, join, arguments } => {
            match (&arguments[..], Objects::beside(function)) {
                (&[a, b, radius], Some(objects)) => {
                    let share = SelectivityRequest { planner, relation, join }.of_pairs(&objects, a, b, radius);
                    Request::selectivity(request, share)
                }
                _ => Request::pass(),
            }
        }
        _ => Request::pass(),
    }
}

/// `a <@ phash_ball(b, radius)`, or the other way round, whichever hash is constant.
fn simplify(
    planner: Planner,
    objects: &Objects,
    a: Expression,
    b: Expression,
    radius: Expression,
) -> Option<Expression> {
    let (column, constant) = if objects.constant_hash(&b).is_some() { (a, b) } else { (b, a) };
    let center = objects.constant_hash(&constant)?;
    let bits = radius.constant_int()?;
    check_width(planner, column, center.bits());
    if planner.may_refuse() {
        check_radius(i64::from(bits), center.bits()).or_raise();
    }
    let ball = Ball::new(center.0, i64::from(bits)).ok()?;
    Some(objects.in_ball(column, objects.ball(Varlena::new(&[&ball.to_binary()]))))
}

/// `key <@ phash_search_ball(center, radius)`, for an index whose family has `<@`.
///
/// This is the form for parameters and joins: the other arguments are no constants, but known before the index is read.
/// `phash_search_ball` raises no error, so that the result is that of `phash_within` itself.
fn index_condition(objects: &Objects, family: pg_sys::Oid, key: usize, arguments: &[Expression]) -> Option<Expression> {
    let &[a, b, radius] = arguments else { return None };
    let (key, center) = match key {
        0 => (a, b),
        1 => (b, a),
        _ => return None,
    };
    if !objects.family_has_in_ball(family) {
        return None;
    }
    Some(objects.in_ball(key, objects.search_ball(center, radius)?))
}

/// Refuses a constant of another width than its column: they can never be near. Errors: 42804.
fn check_width(planner: Planner, column: Expression, bits: usize) {
    if let Some(declared) = column.declared_bits()
        && declared != bits
        && planner.may_refuse()
    {
        ConstantWidth { column: declared, constant: bits }.raise();
    }
}

/// A constant of another width than the column that it is compared with.
#[derive(Debug)]
struct ConstantWidth {
    column: usize,
    constant: usize,
}

impl UserError for ConstantWidth {
    fn report(&self) -> Report {
        let ConstantWidth { column, constant } = self;
        let message = format!("phash({column}) cannot be searched with a constant of {constant} bits");
        let hint = format!("Give a hash of {column} bits: {} hex digits.", column / 4);
        Report::new(ERRCODE_DATATYPE_MISMATCH, message).hint(hint)
    }
}
