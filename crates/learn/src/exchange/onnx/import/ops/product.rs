//! Products of matrices.

use super::super::call::{Call, Found, broadcast, one};
use super::Group;
use ironlearn_ir::prim::Dot;
use ironlearn_ir::{Dyn, Kind, Shape};

pub(super) const GROUP: Group = &[("Gemm", gemm), ("MatMul", |c| one(matmul(c.x(0)?, c.x(1)?)?))];

/// As NumPy's `matmul`: the last two axes, all others broadcast; one axis alone is a row or a column.
pub(super) fn matmul<'g>(x: Dyn<'g>, y: Dyn<'g>) -> Result<Dyn<'g>, String> {
    if x.rank() == 0 || y.rank() == 0 {
        return Err(format!("no product of {} and {}", x.shape(), y.shape()));
    }
    let row = if x.rank() == 1 { x.reshape(&Shape::new(&[1, x.shape()[0]])?) } else { x };
    let column = if y.rank() == 1 { y.reshape(&Shape::new(&[y.shape()[0], 1])?) } else { y };
    let product = matrices(row, column)?;
    let mut dims = product.shape().to_vec();
    let end = dims.len();
    if y.rank() == 1 {
        dims.remove(end - 1);
    }
    if x.rank() == 1 {
        dims.remove(end - 2);
    }
    Ok(product.reshape(&Shape::new(&dims)?))
}

fn matrices<'g>(x: Dyn<'g>, y: Dyn<'g>) -> Result<Dyn<'g>, String> {
    // Rows of any number of axes times one matrix need no batch.
    if y.rank() == 2 {
        let dims = Dot { batch: Vec::new(), contract: vec![(x.rank() - 1, 0)] };
        return Ok(x.dot(y, &dims).cast(x.dtype()));
    }
    let (a, b) = (x.shape(), y.shape());
    let (ends, none) = (a.rank() - 2, format!("no product of {a} and {b}"));
    let lead = Shape::from(&a[..ends]).broadcast(&Shape::from(&b[..b.rank() - 2])).ok_or(none)?;
    let wide = |v: Dyn<'g>| {
        let s = v.shape();
        broadcast(v, &Shape::new(&[&lead[..], &s[s.rank() - 2..]].concat())?)
    };
    Ok(wide(x)?.dot(wide(y)?, &Dot::matmul(lead.rank() + 2)).cast(x.dtype()))
}

fn gemm<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let (a, b) = (c.x(0)?, c.x(1)?);
    if a.rank() != 2 || b.rank() != 2 {
        return Err(format!("it needs two matrices, found {} and {}", a.shape(), b.shape()));
    }
    let side = |flag: &str, plain: usize| if c.flag(flag) { 1 - plain } else { plain };
    let dims = Dot { batch: Vec::new(), contract: vec![(side("transA", 1), side("transB", 0))] };
    let scaled = |x: Dyn<'g>, by: f64| match by {
        1.0 => x,
        // Integers too are multiplied by a float.
        _ if x.dtype().kind() == Kind::Int => (x.cast(ironlearn_ir::DType::F64) * by).cast(x.dtype()),
        _ => x * by,
    };
    let y = scaled(a.dot(b, &dims).cast(a.dtype()), c.float("alpha", 1.0));
    one(match c.maybe(2) {
        Some(bias) => y + broadcast(scaled(bias, c.float("beta", 1.0)), &y.shape())?,
        None => y,
    })
}
