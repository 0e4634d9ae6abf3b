//! [`Fit`]: quantities as they were predicted beside what they are, small enough for a page.

use crate::error::Error;
use crate::report::{Reference, Report, Scatter};
use crate::task::data::preparation::Preparation;
use crate::task::data::reading::Reading;
use ironlearn_ir::memory;

/// Rows that are shown, at most.
const SHOWN: usize = 2_000;
/// Rows with the largest errors that are named.
const WORST: usize = 10;
/// Letters of the name of a target that are shown.
const LONGEST: usize = 40;

/// A row with its quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// Its number in the part that was measured, from 0.
    pub row: usize,
    /// What it is.
    pub truth: f64,
    /// What was predicted.
    pub answer: f64,
}

impl Predicted {
    /// The residual: how much more was predicted than there is.
    pub fn error(&self) -> f64 {
        self.answer - self.truth
    }
}

/// Predictions of a quantity beside the truth, in the units of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The name of the quantity.
    pub target: String,
    /// How many rows were measured.
    pub rows: usize,
    /// Rows to be shown: all, or of many some of all sizes of errors, those with the smallest and the largest among
    /// them.
    pub shown: Vec<Predicted>,
    /// The least error, those that 5, 25, 50, 75 and 95 of 100 rows lie below, and the largest.
    pub quantiles: [f64; 7],
    /// The rows with the largest errors in either direction.
    pub worst: Vec<Predicted>,
}

impl Fit {
    /// Of answers and what they should have been, one each a row; none where they are no quantities or no rows, or
    /// where not all are finite.
    ///
    /// # Errors
    /// [`Error::Memory`] for their order.
    pub fn of(preparation: &Preparation, answers: &[f64], truths: &[f64]) -> Result<Option<Fit>, Error> {
        let finite = |all: &[f64]| all.iter().all(|x| x.is_finite());
        let one_each = preparation.outputs == 1 && answers.len() == truths.len() && !truths.is_empty();
        if preparation.reading != Reading::Value || !one_each || !finite(answers) || !finite(truths) {
            return Ok(None);
        }
        let predicted = |row: usize| Predicted { row, truth: truths[row], answer: answers[row] };
        let rows = truths.len();
        let mut order: Vec<usize> = memory::room(rows, "the order of the errors")?;
        order.extend(0..rows);
        let error = |row: &usize| predicted(*row).error();
        order.sort_unstable_by(|a, b| error(a).total_cmp(&error(b)).then(a.cmp(b)));
        let quantiles = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0].map(|share| quantile(&order, share, error));
        let count = rows.min(SHOWN);
        // By the order of the errors, as a rhythm in the order of the rows may be one of the data.
        let mut shown: Vec<usize> = (0..count).map(|i| order[i * (rows - 1) / (count - 1).max(1)]).collect();
        shown.sort_unstable();
        order.sort_unstable_by(|a, b| error(b).abs().total_cmp(&error(a).abs()).then(a.cmp(b)));
        Ok(Some(Fit {
            target: preparation.target.clone().unwrap_or_else(|| "target".into()),
            rows,
            shown: shown.into_iter().map(predicted).collect(),
            quantiles,
            worst: order.into_iter().take(WORST).map(predicted).collect(),
        }))
    }

    /// Adds plots and tables to a report; `part` is what the rows are of.
    pub(in crate::task) fn add_to(&self, report: Report, part: &str) -> Report {
        let name: String = match self.target.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &self.target[..end]),
            None => self.target.clone(),
        };
        let note = match self.rows > self.shown.len() {
            true => format!(
                "{} of the {} rows of {part}: evenly many of all sizes of errors, the smallest and the largest among \
                 them. The tables are of all rows.",
                self.shown.len(),
                self.rows
            ),
            false => format!("All {} rows of {part}.", self.rows),
        };
        let plots = [
            Scatter {
                title: format!("predicted {name}"),
                x_label: format!("true {name}"),
                reference: Reference::Diagonal,
                points: self.shown.iter().map(|p| (p.truth, p.answer)).collect(),
            },
            Scatter {
                title: "residual: predicted less true".into(),
                x_label: format!("predicted {name}"),
                reference: Reference::Zero,
                points: self.shown.iter().map(|p| (p.answer, p.error())).collect(),
            },
        ];
        let shares = ["least", "5 %", "25 %", "median", "75 %", "95 %", "largest"].map(str::to_owned);
        let row = |p: &Predicted| {
            [vec![p.row.to_string()], [p.truth, p.answer, p.error()].map(short).to_vec()].concat()
        };
        let names =
            ["row".to_owned(), format!("true {name}"), format!("predicted {name}"), "residual".into()];
        let worst: Vec<_> = self.worst.iter().map(row).collect();
        report
            .scatters("Predicted and true", &note, &plots)
            .grid("Residuals", &shares, &[self.quantiles.map(short).to_vec()])
            .grid("Largest residuals", &names, &worst)
    }
}

/// The number that this share of the sorted ones lies below, between neighbours by its distance to them.
fn quantile(order: &[usize], share: f64, value: impl Fn(&usize) -> f64) -> f64 {
    let at = share * (order.len() - 1) as f64;
    let (low, high) = (value(&order[at.floor() as usize]), value(&order[at.ceil() as usize]));
    low + (high - low) * at.fract()
}

/// Six digits; with an exponent where there would be zeros in front.
pub(in crate::task) fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    let is_plain = rounded == 0.0 || !rounded.is_finite() || (1e-3..1e7).contains(&rounded.abs());
    if is_plain { rounded.to_string() } else { format!("{rounded:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(target: Option<&str>) -> Preparation {
        Preparation { target: target.map(str::to_owned), ..Preparation::new(1, 1, Reading::Value) }
    }

    #[test]
    fn few_rows_are_all_shown_and_many_by_all_sizes_of_errors() {
        let fit = Fit::of(&values(None), &[1.5, 2.0, 1.0], &[1.0, 2.0, 3.0]).unwrap().unwrap();
        assert_eq!(fit.shown.iter().map(Predicted::error).collect::<Vec<_>>(), [0.5, 0.0, -2.0]);
        let expected = [-2.0, -1.8, -1.0, 0.0, 0.25, 0.45, 0.5];
        assert!(
            fit.quantiles.iter().zip(expected).all(|(q, e)| (q - e).abs() < 1e-12),
            "{:?}",
            fit.quantiles
        );
        assert_eq!(fit.worst.iter().map(|p| p.row).collect::<Vec<_>>(), [2, 0, 1]);

        let truths: Vec<f64> = (0..10_000).map(|i| f64::from(i % 24)).collect();
        let answers: Vec<f64> = truths.iter().enumerate().map(|(i, t)| t + (i * 7 % 10_000) as f64).collect();
        let fit = Fit::of(&values(None), &answers, &truths).unwrap().unwrap();
        assert_eq!((fit.rows, fit.shown.len()), (10_000, SHOWN));
        let mut errors: Vec<f64> = fit.shown.iter().map(Predicted::error).collect();
        errors.sort_by(f64::total_cmp);
        assert_eq!((errors[0], errors[SHOWN - 1]), (0.0, 9_999.0));
        // One of five, whatever the rhythm of the rows.
        assert!(errors.windows(2).all(|pair| (5.0..=6.0).contains(&(pair[1] - pair[0]))));
        assert!(fit.shown.iter().all(|p| (p.truth, p.answer) == (truths[p.row], answers[p.row])));
        assert_eq!(fit.worst[0].error(), 9_999.0);
    }

    #[test]
    fn what_is_no_quantity_or_not_finite_has_none() {
        let none = |form: &Preparation, answers: &[f64], truths: &[f64]| {
            assert_eq!(Fit::of(form, answers, truths).unwrap(), None);
        };
        none(&values(None), &[], &[]);
        none(&values(None), &[f64::NAN], &[1.0]);
        none(&Preparation::new(1, 1, Reading::Logit), &[0.5], &[1.0]);
    }

    #[test]
    fn a_report_says_which_rows_and_shows_their_numbers() {
        let fit = Fit::of(&values(Some("price [€] <b>")), &[10.0, 30.0], &[10.0, 20.0]).unwrap().unwrap();
        let html = fit.add_to(Report::new("run"), "the validation part").html();
        for expected in [
            "All 2 rows of the validation part.",
            "predicted price [€] &lt;b&gt;",
            ">true price [€] &lt;b&gt;<",
            // Both axes are from 10 to 30.
            "d=\"M66.0 256.0h0M385.0 30.0h0\"",
            // Residuals 0 and 10 over 10 and 30.
            "d=\"M66.0 256.0h0M704.0 30.0h0\"",
            "<td class=\"number\">1</td><td class=\"number\">20</td><td class=\"number\">30</td><td class=\"number\">10</td>",
        ] {
            assert!(html.contains(expected), "{expected}: {html}");
        }
        let many: Vec<f64> = (0..3_000).map(f64::from).collect();
        let fit = Fit::of(&values(None), &many, &many).unwrap().unwrap();
        assert!(
            fit.add_to(Report::new("run"), "the data").html().contains("2000 of the 3000 rows of the data")
        );
    }

    #[test]
    fn numbers_have_six_digits_at_most() {
        let texts = [0.0, 0.1 + 0.2, 3.2494450039672394e-8, -123_456.789, 2e9, f64::INFINITY].map(short);
        assert_eq!(texts, ["0", "0.3", "3.24945e-8", "-123457", "2e9", "inf"]);
        assert_eq!(short(f64::NAN), "NaN");
    }
}
