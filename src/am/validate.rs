//! `amvalidate`: whether scans can use an operator class.
//!
//! Scans read the right operand of strategy 1 as a `phash_ball` and that of strategy 2 as a `phash`: with a class over
//! other types they would misread their values.

use super::{DISTANCE, IN_BALL};
use crate::pg::access::opclass::{Operator, OperatorClass};
use crate::pg::backend::report::ereport;
use crate::pg::planner::node::Objects;
use pgrx::pg_sys::{self, Oid};
use pgrx::{PgLogLevel, pg_guard};

/// Checks an operator class and its family, and reports what is wrong with them.
///
/// # Safety
/// Called by Postgres, with an operator class.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amvalidate(class: Oid) -> bool {
    let class = OperatorClass::look_up(class);
    let faults = faults(&class);
    for fault in &faults {
        ereport(PgLogLevel::INFO, &format!("operator class \"{}\" of access method hamming {fault}", class.name));
    }
    faults.is_empty()
}

fn faults(class: &OperatorClass) -> Vec<String> {
    let Some(objects) = Objects::beside(class.handler()) else { return vec!["lies beside no extension lumina".into()] };
    let mut faults = Vec::new();
    let mut fault = |is_fault: bool, what: &dyn Fn() -> String| {
        if is_fault {
            faults.push(what());
        }
    };
    fault(class.type_ != objects.hash_type(), &|| "is for a type other than phash".into());
    fault(class.stored.is_some(), &|| "has values stored as another type".into());
    let operators = class.operators();
    for operator in &operators {
        let name = || operator.signature();
        let (strategy, right, result) = match operator.strategy as u16 {
            IN_BALL => (IN_BALL, objects.ball_type(), pg_sys::BOOLOID),
            DISTANCE => (DISTANCE, objects.hash_type(), pg_sys::INT4OID),
            other => {
                fault(true, &|| format!("contains operator {} with invalid strategy number {other}", name()));
                continue;
            }
        };
        fault(operator.left != objects.hash_type() || operator.right != right || !operator.returns(result), &|| {
            format!("contains operator {} with wrong signature for strategy number {strategy}", name())
        });
        match operator.sort_family {
            None if strategy == DISTANCE => fault(true, &|| format!("searches by operator {}", name())),
            Some(_) if strategy == IN_BALL => fault(true, &|| format!("orders by operator {}", name())),
            Some(family) => fault(!Operator::sorts(family, result), &|| {
                format!("contains incorrect ORDER BY operator family specification for operator {}", name())
            }),
            None => {}
        }
    }
    for strategy in [IN_BALL, DISTANCE] {
        let is_there = operators.iter().any(|operator| operator.strategy as u16 == strategy);
        fault(!is_there, &|| format!("is missing an operator for strategy number {strategy}"));
    }
    for number in class.functions() {
        fault(true, &|| format!("contains support function {number}, which is none"));
    }
    faults
}
