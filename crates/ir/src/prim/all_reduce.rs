//! Sums, or maxima, over the rows of all ranks, and wholes of which each has a part: begun where a rank's own part is
//! there, and waited for where the result is needed, so that a reduction runs beside what is computed in between.

use super::{Cost, Derivative, Misfit, Primitive};
use crate::ranks::{Join, Ranks, Reduction, Shares};
use crate::{Array, DType, Shape, TensorType};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Begins a reduction. Inputs are the results of this rank's subtrees of chunks ([`Shares::pieces`]), of one type, and
/// then what the reduction before gave, so that all ranks begin theirs in the same order. The result is a scalar
/// without meaning, for [`AllReduceDone`].
#[derive(Clone, Debug)]
pub struct AllReduceStart {
    /// Names the reduction within a step.
    pub key: u32,
    /// What becomes of what all give.
    pub join: Join,
    /// Who owns which chunk.
    pub shares: Shares,
    /// Rows of the batch of all ranks.
    pub rows: usize,
    /// The number of inputs that are pieces.
    pub pieces: usize,
    /// Type of what is reduced.
    pub ty: TensorType,
    /// The ranks.
    pub ranks: Arc<dyn Ranks>,
}

/// Waits for the result of a reduction; the input is its [`AllReduceStart`].
#[derive(Clone, Debug)]
pub struct AllReduceDone {
    /// Names the reduction within a step.
    pub key: u32,
    /// Type of the result.
    pub ty: TensorType,
    /// The ranks.
    pub ranks: Arc<dyn Ranks>,
}

impl AllReduceStart {
    /// The type of the result of a start.
    pub fn token() -> TensorType {
        TensorType::new(DType::U8, Shape::scalar())
    }

    /// Begins it with this rank's pieces; gives its result.
    ///
    /// # Errors
    /// Those of the ranks.
    pub fn begin(&self, mut pieces: Vec<Array>) -> Result<Array, String> {
        pieces.truncate(self.pieces);
        let AllReduceStart { join, shares, rows, ref ty, .. } = *self;
        self.ranks.begin(self.key, Reduction { join, shares, rows, ty: ty.clone(), pieces })?;
        Ok(Array::scalar(0u8))
    }
}

impl AllReduceDone {
    /// Waits for the result.
    ///
    /// # Errors
    /// Those of the ranks.
    pub fn finish(&self) -> Result<Arc<Array>, String> {
        self.ranks.finish(self.key)
    }
}

/// Both are equal where they mean the same reduction of the same ranks.
macro_rules! named {
    ($($Op:ident)*) => {$(
        impl PartialEq for $Op {
            fn eq(&self, other: &$Op) -> bool {
                self.key == other.key && Arc::ptr_eq(&self.ranks, &other.ranks) && self.ty == other.ty
            }
        }
        impl Eq for $Op {}
        impl Hash for $Op {
            fn hash<H: Hasher>(&self, h: &mut H) {
                (self.key, &self.ty).hash(h);
            }
        }
    )*};
}
named!(AllReduceStart AllReduceDone);

/// Why neither has a derivative: a step is shared among ranks when its gradients are already there.
const LATE: &str = "ranks share a step whose derivatives have been taken";

impl Primitive for AllReduceStart {
    fn name(&self) -> &'static str {
        "all_reduce_start"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        // Of what is appended ranks give parts of their own lengths.
        let fits = |piece: &TensorType| match self.join {
            Join::Fold(_) => *piece == self.ty,
            Join::Append | Join::AppendState => piece.dtype == self.ty.dtype && piece.shape.rank() == 1,
        };
        match x.iter().take(self.pieces).find(|piece| !fits(piece)) {
            Some(piece) => Err(Misfit::new(format!("a piece of a reduction of {} is {piece}", self.ty))),
            None => Ok(AllReduceStart::token()),
        }
    }
    fn eval(&self, x: &[&Array], _out: &TensorType) -> Result<Array, String> {
        let copy = |piece: &&Array| piece.view().try_to_array("a piece of a reduction");
        self.begin(x.iter().take(self.pieces).map(copy).collect::<Result<Vec<_>, _>>()?)
    }
    fn derivative(&self) -> Derivative {
        Derivative::None(LATE)
    }
    fn cost(&self, x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost { flops: x.iter().take(self.pieces).map(|piece| piece.shape.elements() as u64).sum() }
    }
}

impl Primitive for AllReduceDone {
    fn name(&self) -> &'static str {
        "all_reduce_done"
    }
    fn infer(&self, _x: &[&TensorType]) -> Result<TensorType, Misfit> {
        Ok(self.ty.clone())
    }
    fn eval(&self, _x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let result = self.finish()?.view().try_to_array("the result of a reduction")?;
        result.reshaped(out.shape.clone())
    }
    fn derivative(&self) -> Derivative {
        Derivative::None(LATE)
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
