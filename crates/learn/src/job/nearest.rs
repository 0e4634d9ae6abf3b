//! The nearest right word for a wrong one.

/// The candidate that `word` was most likely meant to be, if any is near enough.
///
/// Near enough: an edit distance of at most a third of the longer word (at least one), or one word
/// beginning with the other (`lr_rate`-like slips are not guessed, `momentum_` is).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No word that can stand in a job is so long.
    if word.len() > 100 {
        return None;
    }
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = edit_distance(&word, candidate);
            let longest = word.chars().count().max(candidate.chars().count());
            let near = distance <= (longest / 3).max(1);
            let begins = word.len() >= 3 && (candidate.starts_with(&word) || word.starts_with(candidate));
            (near || begins).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`
/// (optimal string alignment distance).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // d[i][j]: distance of the first i letters of a from the first j of b.
    let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                d[i][j] = i + j;
                continue;
            }
            let substitution = usize::from(a[i - 1] != b[j - 1]);
            d[i][j] = (d[i - 1][j] + 1).min(d[i][j - 1] + 1).min(d[i - 1][j - 1] + substitution);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d[i][j] = d[i][j].min(d[i - 2][j - 2] + 1);
            }
        }
    }
    d[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, distance) in
            [("", "", 0), ("", "abc", 3), ("rate", "rate", 0), ("raet", "rate", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_word_or_none() {
        let words = ["momentum", "nesterov", "rate", "weight_decay"];
        assert_eq!(nearest("momentun", words), Some("momentum"));
        assert_eq!(nearest("Rate", words), Some("rate"));
        assert_eq!(nearest("weight", words), Some("weight_decay"));
        assert_eq!(nearest("colour", words), None);
    }
}
