//! An operation, written for the rows of one chunk.

use super::rules::{Outcome, Taken};
use super::with_length;
use crate::prim::{Broadcast, Conv, Op, Pool, Range, Reshape, Slice};

/// The operation for so many rows.
pub fn resized(op: &Op, taken: &[Taken], outcome: &Outcome, rows: usize) -> Op {
    let given = match taken.first() {
        Some(Taken::Rows(axis)) => rows * axis.per,
        _ => 0,
    };
    match (op, outcome) {
        (Op::Reshape(shape), Outcome::Rows(to)) => {
            Reshape(with_length(&shape.0, to.axis, rows * to.per)).into()
        }
        (Op::Broadcast(shape), Outcome::Rows(to)) => {
            Broadcast(with_length(&shape.0, to.axis, rows * to.per)).into()
        }
        (Op::Slice(slice), Outcome::Rows(to)) => {
            let mut ranges = slice.0.clone();
            ranges[to.axis] = Range { start: 0, len: rows * to.per, step: 1 };
            Slice(ranges).into()
        }
        (Op::Conv(conv), _) => Conv { x: with_length(&conv.x, 0, given), ..conv.clone() }.into(),
        (Op::Pool(pool), _) => Pool { x: with_length(&pool.x, 0, given), ..pool.clone() }.into(),
        _ => op.clone(),
    }
}
