//! Sums over the rows that begin at the end of a product, as those of biases' gradients and of the first layer's weights,
//! against the interpreter, for rows that do not fill a tile; two runs, the same bits.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod common;
#[path = "common/networks.rs"]
mod networks;

use ironlearn_cuda::Options;
use ironlearn_cuda::exec::planned;
use ironlearn_ir::plan::{Plan, StepKind};
use ironlearn_ir::{DType, Graph};
use networks::check;

const ROWS: usize = 8200;

fn network(rows: usize, widths: [usize; 4]) -> Graph {
    networks::network(rows, &widths, |z| z.tanh())
}

/// The number of sums of each step that begins some, and whether it stores anything.
fn begun(plan: &Plan) -> Vec<(usize, bool)> {
    let sums = |kind: &StepKind| match kind {
        StepKind::Product(p) => Some((p.sums.as_ref()?.values.len(), !p.stores.is_empty())),
        StepKind::Rows(r) => Some((r.sums.values.len(), !r.stores.is_empty())),
        _ => None,
    };
    plan.steps.iter().filter_map(|step| sums(&step.kind)).collect()
}

#[test]
fn sums_that_products_begin_are_right() {
    let Some(cuda) = common::device() else { return };
    let graph = network(ROWS, [2, 72, 40, 64]);
    let full = Options::default();
    let tf32 = Options { tf32: true, fast: true, ..full };
    let bf16 = Options { narrow: Some(DType::Bf16), fast: true, ..full };
    for (options, allowed) in [(full, 1e-5), (tf32, 4e-3), (bf16, 2e-2)] {
        // Of the last two layers the bias; of the first its bias and two rows of weights, for which nothing is stored.
        assert_eq!(begun(&planned(&graph, options).unwrap()), [(1, true), (1, true), (3, false)]);
        check(cuda, &graph, options, allowed);
    }
}

#[test]
fn elementwise_steps_begin_sums_too() {
    let Some(cuda) = common::device() else { return };
    // The last layer is a product with a column, and its gradient one with a row: no product of tiles.
    let graph = network(ROWS, [2, 72, 40, 1]);
    let full = Options::default();
    let bf16 = Options { narrow: Some(DType::Bf16), fast: true, ..full };
    for (options, allowed) in [(full, 1e-5), (bf16, 2e-2)] {
        // The second layer's bias, and the last one's weights.
        assert_eq!(begun(&planned(&graph, options).unwrap()), [(2, true), (3, false)]);
        check(cuda, &graph, options, allowed);
    }
}

#[test]
fn products_of_few_rows_or_odd_columns_begin_none() {
    for (rows, widths) in [(256, [2, 256, 512, 256]), (ROWS, [2, 76, 44, 60])] {
        let graph = network(rows, widths);
        assert_eq!(begun(&planned(&graph, Options::default()).unwrap()), [], "{widths:?}");
    }
}

#[test]
fn more_rows_of_weights_than_a_product_adds_up_are_a_product_of_their_own() {
    let Some(cuda) = common::device() else { return };
    let graph = network(ROWS, [5, 72, 40, 64]);
    assert_eq!(begun(&planned(&graph, Options::default()).unwrap()), [(1, true), (1, true), (1, true)]);
    check(cuda, &graph, Options::default(), 1e-5);
}
