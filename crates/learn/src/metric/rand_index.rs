//! How far two ways to put rows together agree.

use super::check_lengths;
use crate::Error;
use std::collections::BTreeMap;

/// The adjusted Rand index: the share of pairs of rows that both put together or both keep apart, on a scale where 1 is
/// agreement and 0 what chance gives (L. Hubert, P. Arabie 1985). The numbers of clusters and classes do not matter.
///
/// # Errors
/// [`Error::Usage`] where there is nothing, or not a cluster for each class.
pub fn adjusted_rand_index(clusters: &[usize], classes: &[usize]) -> Result<f64, Error> {
    check_lengths(clusters.len(), classes.len(), 1)?;
    let (mut both, mut of_cluster, mut of_class) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (&cluster, &class) in clusters.iter().zip(classes) {
        *both.entry((cluster, class)).or_insert(0u64) += 1;
        *of_cluster.entry(cluster).or_insert(0u64) += 1;
        *of_class.entry(class).or_insert(0u64) += 1;
    }
    let together = pairs(both.values());
    let [left, right] = [pairs(of_cluster.values()), pairs(of_class.values())];
    let chance = left * right / pairs([clusters.len() as u64].iter()).max(1.0);
    let most = (left + right) / 2.0;
    // Where one cluster has all rows, or each row its own, in both: they are the same.
    Ok(if most == chance { 1.0 } else { (together - chance) / (most - chance) })
}

/// Pairs within groups of these sizes.
fn pairs<'a>(sizes: impl Iterator<Item = &'a u64>) -> f64 {
    sizes.map(|&n| n as f64 * (n as f64 - 1.0) / 2.0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Pairs: (0, 1) and (5, 6) together in both, 1 + 1 + 3 in clusters, 3 + 1 + 1 in classes, of 21.
        let index = adjusted_rand_index(&[0, 0, 1, 1, 2, 2, 2], &[0, 0, 0, 1, 1, 2, 2]).unwrap();
        let (together, left, right, all) = (2.0, 5.0, 5.0, 21.0);
        let chance = left * right / all;
        assert!((index - (together - chance) / (5.0 - chance)).abs() < 1e-15, "{index}");
        assert_eq!(adjusted_rand_index(&[5, 5, 9], &[1, 1, 0]).unwrap(), 1.0);
        assert_eq!(adjusted_rand_index(&[0; 4], &[3; 4]).unwrap(), 1.0);
        let crossed = adjusted_rand_index(&[0, 0, 1, 1], &[0, 1, 0, 1]).unwrap();
        assert!((crossed + 0.5).abs() < 1e-15, "{crossed}");
        assert!(adjusted_rand_index(&[0, 1], &[0]).is_err() && adjusted_rand_index(&[], &[]).is_err());
    }
}
