//! [`silhouette`]: how well rows fit their clusters.

use crate::Error;
use crate::rows::{Rows, squared_distance};
use ironlearn_ir::{Array, memory};

/// The mean over the rows of `(b − a) / max(a, b)`, with `a` the mean distance from the others of the same cluster and `b`
/// the smallest mean distance from those of another one; 0 for a row that is alone in its cluster (P. J. Rousseeuw 1987).
/// From −1 to 1, where 1 is best. Takes time by the square of the number of rows.
///
/// # Errors
/// [`Error::Usage`] where there are not as many labels as rows, or fewer than two clusters; [`Error::Memory`].
pub fn silhouette(rows: &Array, labels: &[usize]) -> Result<f64, Error> {
    let rows = Rows::of(rows)?;
    if labels.len() != rows.count {
        let problem = format!("{} labels for {} rows", labels.len(), rows.count);
        return Err(Error::usage(problem, "give a label for each row"));
    }
    let clusters = labels.iter().max().map_or(0, |most| most + 1);
    let mut sizes = memory::zeros::<usize>(clusters, "clusters")?;
    labels.iter().for_each(|&label| sizes[label] += 1);
    if sizes.iter().filter(|&&size| size > 0).count() < 2 {
        return Err(Error::usage(
            "all rows are in one cluster",
            "a silhouette compares two clusters or more",
        ));
    }
    let mut sums = memory::zeros::<f64>(clusters, "distances")?;
    let mut total = 0.0;
    for (row, &own) in rows.iter().zip(labels) {
        if sizes[own] == 1 {
            continue;
        }
        sums.fill(0.0);
        for (other, &label) in rows.iter().zip(labels) {
            sums[label] += squared_distance(row, other).sqrt();
        }
        let within = sums[own] / (sizes[own] - 1) as f64;
        let others = (0..clusters).filter(|&c| c != own && sizes[c] > 0);
        let beside = others.map(|c| sums[c] / sizes[c] as f64).fold(f64::INFINITY, f64::min);
        let most = within.max(beside);
        total += if most > 0.0 { (beside - within) / most } else { 0.0 };
    }
    Ok(total / rows.count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let rows = Array::of([5, 1], vec![0.0, 1.0, 4.0, 6.0, 20.0]).unwrap();
        // a = 1, b = 5 | a = 1, b = 4 | a = 2, b = 3.5 | a = 2, b = 5.5 | alone
        let expected = (4.0 / 5.0 + 3.0 / 4.0 + 1.5 / 3.5 + 3.5 / 5.5) / 5.0;
        let found = silhouette(&rows, &[0, 0, 2, 2, 4]).unwrap();
        assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        assert!(silhouette(&rows, &[1; 5]).unwrap_err().to_string().contains("one cluster"));
        assert!(silhouette(&rows, &[1; 4]).unwrap_err().to_string().contains("4 labels for 5 rows"));
    }
}
