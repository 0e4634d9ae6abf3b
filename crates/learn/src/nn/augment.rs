//! Pictures changed at random in training, so that a network learns what does not matter to it.

use super::{Layer, has_rank, poisoned};
use crate::Scope;
use ironlearn_ir::{DType, Mode, Real, Tape, TensorType, Var};
use std::rc::Rc;

/// How a picture is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Augmentation {
    /// Left and right change places in every other picture.
    Flip,
    /// Moved by up to so many pixels, down or up and to the right or left; pixels at the border are repeated.
    Shift([usize; 2]),
    /// A part of this height and width, anywhere; in inference that in the middle.
    Crop([usize; 2]),
}

impl Augmentation {
    /// The name in tables, messages and job files.
    pub fn name(self) -> &'static str {
        match self {
            Augmentation::Flip => "random_flip",
            Augmentation::Shift(_) => "random_shift",
            Augmentation::Crop(_) => "random_crop",
        }
    }
}

/// Changes pictures `[B, C, H, W]` at random in training, each in its own way, as data augmentation; in inference all
/// stay as they are, but for a crop. What becomes of a picture depends on the seed, the step, the layer's path and the
/// row. It is part of the step, and so is computed on all threads, or on the GPU.
#[derive(Clone, Debug)]
pub struct Augment {
    path: Rc<str>,
    by: Augmentation,
}

impl Augment {
    /// Changes pictures in this way.
    pub fn new(scope: &Scope, by: Augmentation) -> Self {
        Augment { path: scope.path().clone(), by }
    }
}

impl<T: Real> Layer<T> for Augment {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let tape = x.tape();
        let _layer = tape.enter(&self.path);
        let name = self.by.name();
        if !has_rank(x, 4, name, "[B, C, H, W]") {
            return poisoned(x);
        }
        let [height, width] = [2, 3].map(|axis| x.dim(axis));
        let is_training = tape.mode() == Mode::Train;
        match self.by {
            Augmentation::Flip if !is_training => x,
            Augmentation::Flip => {
                let mirrored = tape.random_bits([x.dim(0), 1]).less(1 << 31);
                let place = along(tape, width);
                let columns = mirrored.select(-place + (width as i32 - 1), place);
                picked(x, along(tape, height), columns)
            }
            Augmentation::Shift([down, right]) => {
                if down >= height || right >= width {
                    let message = format!("{name}: by up to {down} and {right} pixels, of {}", x.shape());
                    tape.error(message, vec![x.node().describe()]);
                    return x;
                }
                if !is_training {
                    return x;
                }
                let moved = |most: usize, size: usize| {
                    let by = anything_below(tape, x.dim(0), 2 * most + 1) - most as i32;
                    (along(tape, size) + by).maximum(0).minimum(size as i32 - 1)
                };
                picked(x, moved(down, height), moved(right, width))
            }
            Augmentation::Crop([h, w]) => {
                if h > height || w > width || h * w == 0 {
                    let message = format!("{name}: a part of {h} x {w} pixels, of {}", x.shape());
                    tape.error(message, vec![x.node().describe()]);
                    return x;
                }
                if !is_training {
                    let [top, left] = [(height - h) / 2, (width - w) / 2];
                    return x.narrow(2, top, top + h).narrow(3, left, left + w);
                }
                let from = |part: usize, size: usize| {
                    along(tape, part) + anything_below(tape, x.dim(0), size - part + 1)
                };
                picked(x, from(h, height), from(w, width))
            }
        }
    }
}

/// The places along an axis, `[1, size]`.
#[track_caller]
fn along(tape: &Tape, size: usize) -> Var<'_, i32> {
    Var::of(tape.iota_of(TensorType::new(DType::I32, [1, size]), 1))
}

/// A random whole number from 0 below `count` for each row, `[rows, 1]`. Where `count` does not divide 2³² some are
/// likelier by a share of less than count/2³².
#[track_caller]
fn anything_below(tape: &Tape, rows: usize, count: usize) -> Var<'_, i32> {
    let share = tape.random_bits([rows, 1]).cast::<f64>() * (count as f64 / 2f64.powi(32));
    share.cast::<i32>()
}

/// The pixels in these lines and columns, `[B or 1, h]` and `[B or 1, w]`, of each picture.
#[track_caller]
fn picked<'g, T: Real>(x: Var<'g, T>, lines: Var<'g, i32>, columns: Var<'g, i32>) -> Var<'g, T> {
    let [rows, channels, height, width] = [0, 1, 2, 3].map(|axis| x.dim(axis));
    let [h, w] = [lines, columns].map(|places| places.dim(1));
    let planes = rows * channels;
    // Pixels have numbers within their plane: 32 bits are enough for one plane, and not for all of a batch.
    let within =
        lines.reshape([-1, 1, h as isize, 1]) * width as i32 + columns.reshape([-1, 1, 1, w as isize]);
    let within = within.broadcast_to([rows, channels, h, w]).cast::<i64>();
    let plane = Var::<i64>::of(x.tape().iota_of(TensorType::new(DType::I64, [planes]), 0));
    let first = (plane * (height * width) as i64).reshape([rows as isize, channels as isize, 1, 1]);
    x.reshape([-1]).gather(first + within, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{eval, values_of};
    use std::collections::BTreeSet;

    const ROWS: usize = 400;
    const SIZE: [usize; 4] = [ROWS, 2, 3, 4];

    /// Pictures whose pixels say where they are, changed in training.
    fn changed(by: Augmentation) -> (Vec<f64>, Vec<Vec<f64>>) {
        let s = Scope::root(2);
        let layer = Augment::new(&s.at("augment"), by);
        let pictures: Vec<f64> = (0..24 * ROWS).map(|i| (i % 24) as f64).collect();
        let y = eval(&s, Mode::Train, SIZE, &pictures, |x| layer.apply(x));
        let all = y.as_slice::<f64>().unwrap();
        (pictures[..24].to_vec(), all.chunks(all.len() / ROWS).map(<[f64]>::to_vec).collect())
    }

    /// The picture with each pixel taken from where `f` says, in both channels.
    fn taken(picture: &[f64], [h, w]: [usize; 2], f: impl Fn(usize, usize) -> [usize; 2]) -> Vec<f64> {
        let at = |c: usize, i: usize, j: usize| {
            let [line, column] = f(i, j);
            picture[c * 12 + line * 4 + column]
        };
        (0..2 * h * w).map(|k| at(k / (h * w), k / w % h, k % w)).collect()
    }

    /// Every one of these and nothing else is there, about equally often.
    fn evenly(found: &[Vec<f64>], expected: &[Vec<f64>]) {
        let share = ROWS / expected.len();
        for one in expected {
            let count = found.iter().filter(|other| *other == one).count();
            assert!((share / 2..2 * share).contains(&count), "{count} of {ROWS}: {one:?}");
        }
        let different: BTreeSet<String> = found.iter().map(|one| format!("{one:?}")).collect();
        assert_eq!(different.len(), expected.len());
    }

    #[test]
    fn every_other_picture_is_mirrored() {
        let (picture, found) = changed(Augmentation::Flip);
        evenly(&found, &[picture.clone(), taken(&picture, [3, 4], |i, j| [i, 3 - j])]);
    }

    #[test]
    fn pictures_are_moved_and_their_borders_repeated() {
        let (picture, found) = changed(Augmentation::Shift([1, 2]));
        let all = (0..15).map(|k| {
            let by = |place: usize, by: usize, most: usize, size: usize| {
                (place + by).saturating_sub(most).min(size - 1)
            };
            taken(&picture, [3, 4], |i, j| [by(i, k / 5, 1, 3), by(j, k % 5, 2, 4)])
        });
        evenly(&found, &all.collect::<Vec<_>>());
    }

    #[test]
    fn parts_are_cut_out_anywhere_and_in_inference_from_the_middle() {
        let (picture, found) = changed(Augmentation::Crop([2, 2]));
        let all = (0..6).map(|k| taken(&picture, [2, 2], |i, j| [i + k / 3, j + k % 3]));
        evenly(&found, &all.collect::<Vec<_>>());
        let s = Scope::root(0);
        let crop = values_of(&Augment::new(&s, Augmentation::Crop([1, 2])), [1, 2, 3, 4], &picture);
        assert_eq!(crop, taken(&picture, [1, 2], |i, j| [i + 1, j + 1]));
        for by in [Augmentation::Flip, Augmentation::Shift([1, 1])] {
            assert_eq!(values_of(&Augment::new(&s, by), [1, 2, 3, 4], &picture), picture);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (by, shape, expected) in [
            (Augmentation::Flip, vec![2, 12], "random_flip: needs [B, C, H, W]"),
            (Augmentation::Shift([3, 0]), vec![1, 1, 3, 4], "up to 3 and 0 pixels"),
            (Augmentation::Crop([2, 5]), vec![1, 1, 3, 4], "a part of 2 x 5 pixels"),
            (Augmentation::Crop([0, 1]), vec![1, 1, 3, 4], "a part of 0 x 1 pixels"),
        ] {
            // In inference, too: a network is looked through before it is trained.
            for mode in [Mode::Train, Mode::Infer] {
                let tape = Tape::new(mode);
                Augment::new(&Scope::root(0), by).apply(tape.input::<f32>(shape.clone()));
                let found = tape.finish().unwrap_err().to_string();
                assert!(found.contains(expected), "{found}");
            }
        }
    }
}
