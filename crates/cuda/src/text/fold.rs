//! The fold of a reduction among linked GPUs: the elements that are this rank's, of the pieces of all, along the tree of
//! chunks.

use super::{Kernel, No, Writer, types};
use ironlearn_ir::plan::{Fold, View};
use ironlearn_ir::prim::AllReduceStart;
use ironlearn_ir::ranks::{Join, Reduction};
use std::ops::Range;

/// Where a reduction has what it needs, and what is whose.
#[derive(Clone, Debug)]
pub struct Folding<'a> {
    /// The reduction.
    pub start: &'a AllReduceStart,
    /// This rank, and its pieces.
    pub rank: usize,
    /// The pieces of this rank, contiguous.
    pub own: &'a [View],
    /// Byte of the memory of exchanges at which the pieces of others begin, and the result.
    pub places: [usize; 2],
}

impl Folding<'_> {
    /// The elements that this rank folds.
    pub fn part(&self) -> Range<usize> {
        self.start.shares.elements(self.rank, self.start.ty.shape.elements())
    }

    /// All pieces in the order of ranks: of whom, which chunks, and where it is received, counted in pieces; nowhere where it
    /// is this rank's.
    pub fn pieces(&self) -> Vec<(usize, Range<usize>, Option<usize>)> {
        let shares = self.start.shares;
        let mut received = 0;
        let of =
            |rank: usize| shares.pieces(rank, self.start.rows).into_iter().map(move |piece| (rank, piece));
        let place = |(rank, piece)| {
            let at = (rank != self.rank).then_some(received);
            received += usize::from(at.is_some());
            (rank, piece, at)
        };
        (0..shares.ranks()).flat_map(of).map(place).collect()
    }

    /// Bytes of what is received from others.
    pub fn received(&self) -> usize {
        let pieces = self.pieces().iter().filter(|piece| piece.2.is_some()).count();
        pieces * self.part().len() * self.start.ty.dtype.size()
    }
}

/// The kernel of a fold.
pub fn fold(mut w: Writer<'_>, folding: &Folding<'_>) -> Result<Kernel, No> {
    let AllReduceStart { join, shares, rows, ref ty, .. } = *folding.start;
    let Join::Fold(fold) = join else { return Err("`all_reduce` of parts that are not added up".into()) };
    if !Reduction::takes(ty.dtype, fold) {
        return Err(format!("`{}` among ranks", ty.dtype));
    }
    let (part, n) = (folding.part(), ty.shape.elements());
    let (width, pieces) = (part.len(), folding.pieces());
    let [received, result] = folding.places;
    let count = folding.received() / ty.dtype.size();
    let theirs = (count > 0).then(|| w.exchanged("theirs", ty.dtype, received, count, false));
    let mut own = folding.own.iter();
    let mut values = Vec::with_capacity(pieces.len());
    for (_, chunks, at) in &pieces {
        let value = match (at, theirs) {
            (None, _) => {
                let view = own.next().ok_or("a piece that is missing")?;
                w.read(view.buffer, format!("{} + i", view.offset + part.start))
            }
            (Some(at), Some(theirs)) => {
                format!("il_load({})", w.element(theirs, format!("{} + i", at * width)))
            }
            // Where there are more ranks than elements some have none to fold.
            (Some(_), None) => format!("({})0", types::computed(ty.dtype)),
        };
        values.push((chunks.clone(), value));
    }
    let find = &mut |node: &Range<usize>| {
        let found = values.iter().find(|value| value.0 == *node)?;
        Some(found.1.clone())
    };
    let mut statements = Vec::new();
    let sum = shares.fold(rows, find, &mut |a: String, b: String| {
        let name = format!("v{}", statements.len());
        let kind = types::computed(ty.dtype);
        let text = match fold {
            Fold::Sum => format!("{a} + {b}"),
            Fold::Max => format!("il_maximum<{kind}>({a}, {b})"),
        };
        statements.push(format!("const {kind} {name} = ({kind})({text});"));
        name
    });
    statements.into_iter().for_each(|statement| w.line(statement));
    let sum = sum.unwrap_or_else(|| format!("({})0", types::computed(ty.dtype)));
    let out = w.exchanged("result", ty.dtype, result, n, true);
    let element = w.element(out, format!("{} + i", part.start));
    w.line(format!("{element} = Il<{}>::store({sum});", types::memory(ty.dtype)));
    Ok(w.each(width))
}
