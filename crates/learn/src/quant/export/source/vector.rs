//! The row of the self-test.

use crate::Error;
use crate::quant::arithmetic::Code;
use crate::quant::model::{IntegerModel, Op};

/// A row of codes and the codes that come out for it.
pub fn example(model: &IntegerModel, row: Option<&[i32]>) -> Result<(Vec<i32>, Vec<i32>), Error> {
    let row = row.map_or_else(|| any_row(model), <[i32]>::to_vec);
    let code = model.input.quantization.code;
    if let Some(wrong) = row.iter().find(|x| !(code.low()..=code.high()).contains(x)) {
        let problem = format!("the example has a code of {wrong}, and the input has {}", code.dtype());
        return Err(Error::usage(problem, "give a row of codes, not of values"));
    }
    let result = model.reference(&row)?;
    Ok((row, result))
}

/// A row of any codes, the same each time.
fn any_row(model: &IntegerModel) -> Vec<i32> {
    let (code, mut state) = (model.input.quantization.code, 1u64);
    let vocabularies = model.nodes.iter().filter_map(|node| match &node.op {
        Op::Embedding(e) if node.inputs[0] == 0 => Some(e.table.len() / e.dimension.max(1)),
        _ => None,
    });
    let tokens = vocabularies.min().unwrap_or(1) as u64;
    let mut next = || {
        // Knuth's constants of a linear congruential generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match code {
            Code::I8 => i32::from((state >> 56) as i8),
            Code::I16 => i32::from((state >> 48) as i16),
            Code::I32 => ((state >> 33) % tokens) as i32,
        }
    };
    (0..model.input.elements()).map(|_| next()).collect()
}
