//! Sheets of small pictures of a network that tells pictures apart: its worst mistakes, and what its first layer looks for.

use crate::error::Error;
use crate::io::read::exists;
use crate::metric;
use crate::number::number_at;
use crate::picture::Picture;
use crate::task::data::preparation::Preparation;
use crate::task::data::reading::Reading;
use ironlearn_ir::{Array, Role, Store};
use std::fs;
use std::path::Path;

/// The worst mistakes, each with its class and with what the network says.
pub const MISTAKES: &str = "mistakes.png";
/// The weights of the units of the first layer.
pub const WEIGHTS: &str = "weights.png";

/// Pictures of a sheet, at most, and those of a line.
const MOST: usize = 64;
const ACROSS: usize = 8;

/// Channels, height and width of rows that are pictures.
type Form = [usize; 3];

/// Writes the sheets into the directory of a run, where its rows are pictures and it tells them apart: of raw rows, which
/// `row` gives, of the answers to all of them and their classes, and of the weights in a store.
///
/// # Errors
/// [`Error::Io`], [`Error::Memory`].
pub fn write(
    directory: &Path,
    preparation: &Preparation,
    row: &dyn Fn(usize) -> Result<Vec<f64>, Error>,
    [answers, classes]: [&[f64]; 2],
    store: &Store,
) -> Result<(), Error> {
    let Some(form) = form(preparation) else { return Ok(()) };
    if let Some(sheet) = weights(store, form)? {
        sheet.write_png(&directory.join(WEIGHTS))?;
    }
    let worst = worst(answers, classes, preparation.outputs);
    let path = directory.join(MISTAKES);
    if !worst.is_empty() {
        mistakes(preparation, form, row, &worst)?.write_png(&path)?;
    } else if exists(&path)? {
        // From before the run was resumed.
        fs::remove_file(&path).map_err(Error::io(&path, "remove"))?;
    }
    Ok(())
}

/// The form of rows that are pictures to be told apart.
fn form(preparation: &Preparation) -> Option<Form> {
    let tells_apart = matches!(preparation.reading, Reading::ClassLogits | Reading::ClassProbabilities);
    match preparation.shape[..] {
        [channels @ (1 | 3), height, width] if tells_apart => Some([channels, height, width]),
        _ => None,
    }
}

/// A row that was answered wrongly.
struct Mistake {
    row: usize,
    is: usize,
    called: usize,
}

/// The rows whose class got the smallest probability, of those that were answered wrongly.
fn worst(answers: &[f64], targets: &[f64], outputs: usize) -> Vec<Mistake> {
    let rows = answers.chunks_exact(outputs.max(1)).zip(targets).enumerate();
    let mut wrong: Vec<(f64, Mistake)> = rows
        .filter_map(|(row, (answer, &target))| {
            let (is, called) = (target as usize, metric::largest(outputs, |class| answer[class]));
            (is != called).then(|| (answer.get(is).copied().unwrap_or(0.0), Mistake { row, is, called }))
        })
        .collect();
    wrong.sort_by(|(p, a), (q, b)| p.total_cmp(q).then(a.row.cmp(&b.row)));
    wrong.into_iter().take(MOST).map(|(_, mistake)| mistake).collect()
}

fn mistakes(
    preparation: &Preparation,
    form: Form,
    row: &dyn Fn(usize) -> Result<Vec<f64>, Error>,
    worst: &[Mistake],
) -> Result<Picture, Error> {
    let named =
        |class: usize| preparation.labels.names().get(class).map_or_else(|| class.to_string(), String::clone);
    let pictures: Vec<Vec<f64>> =
        worst.iter().map(|mistake| row(mistake.row)).collect::<Result<_, Error>>()?;
    let levels = pictures.iter().flatten().copied().filter(|x| x.is_finite());
    let (low, high) = levels.fold((0.0f64, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
    // Levels of pictures are shares of 1 or of 255; other numbers are shown by their range.
    let high = match high {
        ..=1.0 => 1.0,
        ..=255.0 => 255.0,
        high => high,
    };
    let cells = worst.iter().zip(&pictures).map(|(mistake, row)| {
        let level = |x: f64| ((x - low) / (high - low) * 255.0).round() as u8;
        let lines = [format!("is {}", named(mistake.is)), format!("not {}", named(mistake.called))];
        Ok((picture(form, |i| level(row[i]))?, lines))
    });
    Picture::sheet(cells.collect::<Result<_, Error>>()?, ACROSS)
}

/// What each unit of the first layer weighs, as a picture: grey is 0, and white the largest weight of the unit. None
/// where the layer does not see pictures.
fn weights(store: &Store, [channels, height, width]: Form) -> Result<Option<Picture>, Error> {
    let first = store.ids().find(|&id| {
        let slot = store.slot(id);
        slot.role == Role::Parameter && slot.name.ends_with("weight")
    });
    let Some(first) = first else { return Ok(None) };
    let values: &Array = store.slot(first).value();
    let (form, units, per_unit) = match *values.shape().dims() {
        [units, c, h, w] if c == channels => ([c, h, w], units, true),
        [inputs, units] if inputs == channels * height * width => ([channels, height, width], units, false),
        _ => return Ok(None),
    };
    let size = form.iter().product::<usize>();
    let cells = (0..units.min(MOST)).map(|unit| {
        let weight =
            |i: usize| number_at(values.view(), if per_unit { unit * size + i } else { i * units + unit });
        let most = (0..size).map(|i| weight(i).abs()).fold(f64::MIN_POSITIVE, f64::max);
        let level = |i| (127.5 + 127.5 * weight(i) / most).round() as u8;
        Ok((picture(form, level)?, [String::new(), String::new()]))
    });
    Picture::sheet(cells.collect::<Result<_, Error>>()?, ACROSS).map(Some)
}

/// A picture of levels that stand channel by channel.
fn picture([channels, height, width]: Form, level: impl Fn(usize) -> u8) -> Result<Picture, Error> {
    let area = height * width;
    let pixels = (0..area * channels).map(|i| level(i % channels * area + i / channels)).collect();
    Picture::new(width, height, channels, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_mistakes_are_those_whose_class_was_least_likely() {
        let answers = [0.6, 0.3, 0.1, 0.9, 0.05, 0.05, 0.2, 0.7, 0.1, 0.4, 0.5, 0.1];
        let found = worst(&answers, &[0.0, 2.0, 1.0, 0.0], 3);
        let found: Vec<_> = found.iter().map(|m| (m.row, m.is, m.called)).collect();
        assert_eq!(found, [(1, 2, 0), (3, 0, 1)]);
    }

    #[test]
    fn mistakes_that_are_no_longer_made_are_no_longer_shown() {
        let folder = tempfile::tempdir().unwrap();
        let form = Preparation { shape: vec![1, 1, 2], ..Preparation::new(2, 2, Reading::ClassLogits) };
        for (answer, shown) in [([0.9, 0.1], true), ([0.1, 0.9], false), ([0.2, 0.8], false)] {
            let row = |_| Ok(vec![0.0, 1.0]);
            write(folder.path(), &form, &row, [&answer, &[1.0]], &Store::default()).unwrap();
            assert_eq!(folder.path().join(MISTAKES).exists(), shown, "{answer:?}");
        }
    }

    #[test]
    fn weights_are_shown_by_unit_and_zero_is_grey() {
        let mut store = Store::default();
        let linear = Array::of([4, 2], vec![1.0f32, 0.0, -1.0, 0.0, 0.0, -0.25, 0.5, 0.5]).unwrap();
        store.add("0.weight", Role::Parameter, linear).unwrap();
        let sheet = weights(&store, [1, 2, 2]).unwrap().unwrap();
        let at = |x: usize, y: usize| sheet.pixels()[y * sheet.width() + x];
        // Pictures of 2×2 pixels, enlarged 24 times, 6 pixels apart.
        assert_eq!([at(6, 6), at(30, 6), at(6, 30), at(30, 30)], [255, 0, 128, 191]);
        assert_eq!([at(60, 6), at(84, 6), at(60, 30), at(84, 30)], [128, 128, 64, 255]);
        assert!(weights(&store, [1, 3, 2]).unwrap().is_none());
    }
}
