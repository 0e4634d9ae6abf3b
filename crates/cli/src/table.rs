//! Tables of words and numbers on a terminal.

/// Letters of a cell that are shown.
const LONGEST: usize = 48;

/// Names above rows, in columns that are as wide as they have to be; all but the first stand at the right.
pub fn aligned(names: &[String], rows: &[Vec<String>]) -> String {
    let cell = |text: &String| -> String {
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.clone(),
        }
    };
    let lines: Vec<Vec<String>> = [names]
        .into_iter()
        .chain(rows.iter().map(Vec::as_slice))
        .map(|row| row.iter().map(cell).collect())
        .collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let shown = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).enumerate();
        let text = cells.map(|(column, (text, &width))| match column {
            0 => format!("{text:<width$}"),
            _ => format!("  {text:>width$}"),
        });
        text.collect::<String>().trim_end().to_owned()
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_long_cells_cut() {
        let text = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let long = "ü".repeat(60);
        let table = aligned(&text(&["run", "loss"]), &[text(&["a", "0.25"]), text(&[&long, "10"])]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1], format!("a{}  0.25", " ".repeat(48)));
        assert_eq!(lines[2], format!("{}…    10", "ü".repeat(48)));
        assert!(lines.iter().all(|line| line.chars().count() == 55), "{table}");
    }
}
