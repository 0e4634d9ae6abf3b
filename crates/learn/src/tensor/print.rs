//! Text as NumPy's `str` writes it, character for character: columns aligned, 8 digits after the point,
//! scientific where the range is wide, the middle left out above 1000 elements, lines of 75 characters.
//!
//! Algorithm: `numpy/_core/arrayprint.py` describes it; each element is first turned into a word, all words
//! of one width, then the words are laid out in brackets.

mod words;

use super::Tensor;
use ironlearn_ir::{ArrayView, Element, Shape};
use std::fmt;

/// More elements than these are summarised.
const THRESHOLD: usize = 1000;
/// Elements at each end of a summarised axis.
const EDGE: usize = 3;
/// Characters on a line.
const LINE: usize = 75;

impl<T: Element> fmt::Display for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self.view()))
    }
}

impl<T: Element> fmt::Debug for Tensor<T> {
    /// Type and shape, then the elements as `Display` writes them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor<{}>{}\n{self}", T::DTYPE, self.shape())
    }
}

fn text(x: ArrayView<'_>) -> String {
    if x.shape().rank() == 0 {
        return words::scalar(x);
    }
    if x.data().is_empty() {
        return "[]".into();
    }
    let layout = Layout { shape: x.shape(), summarised: x.data().len() > THRESHOLD };
    let mut shown = Vec::new();
    layout.shown(0, 0, &mut shown);
    let mut words = words::aligned(x, &shown).into_iter();
    layout.write(0, &mut words)
}

/// How words are set in brackets and lines.
struct Layout<'a> {
    shape: &'a Shape,
    summarised: bool,
}

impl Layout<'_> {
    /// The positions of an axis that are shown, `None` for the ones left out.
    fn entries(&self, axis: usize) -> Vec<Option<usize>> {
        let n = self.shape[axis];
        if self.summarised && n > 2 * EDGE {
            let ends = |range: std::ops::Range<usize>| range.map(Some);
            ends(0..EDGE).chain([None]).chain(ends(n - EDGE..n)).collect()
        } else {
            (0..n).map(Some).collect()
        }
    }

    /// The flat positions of all elements that are shown, in order.
    fn shown(&self, axis: usize, start: usize, out: &mut Vec<usize>) {
        if axis == self.shape.rank() {
            return out.push(start);
        }
        for i in self.entries(axis).into_iter().flatten() {
            self.shown(axis + 1, start * self.shape[axis] + i, out);
        }
    }

    /// Everything from an axis inwards, in brackets.
    fn write(&self, axis: usize, words: &mut impl Iterator<Item = String>) -> String {
        let left = self.shape.rank() - axis;
        if left == 1 {
            return self.row(axis, words);
        }
        let indent = " ".repeat(axis + 1);
        let mut out = String::from("[");
        for (i, entry) in self.entries(axis).into_iter().enumerate() {
            if i > 0 {
                out.push_str(&"\n".repeat(left - 1));
                out.push_str(&indent);
            }
            match entry {
                Some(_) => out.push_str(&self.write(axis + 1, words)),
                None => out.push_str("..."),
            }
        }
        out + "]"
    }

    /// The innermost axis, broken into lines.
    fn row(&self, axis: usize, words: &mut impl Iterator<Item = String>) -> String {
        let indent = " ".repeat(axis + 1);
        // One column for the closing bracket of each axis.
        let width = LINE.saturating_sub(axis + 1);
        let (mut out, mut line) = (String::new(), indent.clone());
        for (i, entry) in self.entries(axis).into_iter().enumerate() {
            let word = entry.map_or_else(|| Some("...".to_string()), |_| words.next()).unwrap_or_default();
            if i > 0 {
                line.push(' ');
            }
            if line.len() + word.len() > width && line.len() > indent.len() {
                out.push_str(line.trim_end());
                out.push('\n');
                line.clone_from(&indent);
            }
            line.push_str(&word);
        }
        format!("[{}]", &(out + &line)[indent.len()..])
    }
}

#[cfg(test)]
mod tests;
