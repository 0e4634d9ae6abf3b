//! The report of a [`Confusion`] as text.

use super::{Average, Confusion, Scores};
use std::fmt::Write;

impl Confusion {
    /// A table of precision, recall, F1 and rows of each class, with accuracy and averages, in the shape of scikit-learn's
    /// `classification_report`. Classes without a name are called by their number; so many digits stand behind the point.
    pub fn report(&self, names: &[&str], digits: usize) -> String {
        let name = |class: usize| names.get(class).map_or_else(|| class.to_string(), |name| name.to_string());
        let longest = (0..self.classes()).map(|class| name(class).chars().count()).max().unwrap_or(0);
        let width = longest.max("weighted avg".len()).max(digits);
        let mut text = format!(
            "{:width$}  {:>9} {:>9} {:>9} {:>9}\n\n",
            "", "precision", "recall", "f1-score", "support"
        );
        // Writing to a text cannot fail.
        let row = |text: &mut String, name: &str, scores: Scores, rows: usize| {
            let Scores { precision, recall, f1 } = scores;
            let _ = writeln!(
                text,
                "{name:>width$}  {precision:>9.digits$} {recall:>9.digits$} {f1:>9.digits$} {rows:>9}"
            );
        };
        for class in 0..self.classes() {
            row(&mut text, &name(class), self.scores(class), self.support(class));
        }
        let (accuracy, rows) = (self.accuracy(), self.rows());
        let _ =
            writeln!(text, "\n{:>width$}  {:>9} {:>9} {accuracy:>9.digits$} {rows:>9}", "accuracy", "", "");
        row(&mut text, "macro avg", self.average(Average::Macro), rows);
        row(&mut text, "weighted avg", self.average(Average::Weighted), rows);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_the_shape_of_scikit_learn() {
        // The example of its manual, word for word.
        let found = Confusion::of(&[0, 1, 2, 2, 2], &[0, 0, 2, 2, 1], 3).unwrap();
        let expected = "              precision    recall  f1-score   support

     class 0       0.50      1.00      0.67         1
     class 1       0.00      0.00      0.00         1
     class 2       1.00      0.67      0.80         3

    accuracy                           0.60         5
   macro avg       0.50      0.56      0.49         5
weighted avg       0.70      0.60      0.61         5
";
        assert_eq!(found.report(&["class 0", "class 1", "class 2"], 2), expected);
        let wide = found.report(&["a class with a long name"], 4);
        assert!(
            wide.contains("a class with a long name     0.5000    1.0000    0.6667         1\n"),
            "{wide}"
        );
        assert!(
            wide.contains("                accuracy                         0.6000         5\n"),
            "{wide}"
        );
    }
}
