//! [`KMeans`]: rows in so many clusters, each around the mean of its own.

use crate::Error;
use crate::rows::{Rows, squared_distance};
use ironlearn_ir::prim::{philox, stream_of};
use ironlearn_ir::{Array, memory};

/// How clusters are looked for.
///
/// Lloyd's algorithm (1957) from centres by k-means++ (D. Arthur, S. Vassilvitskii 2007), in each step of which the best
/// of `2 + ⌊ln k⌋` candidates is taken; the best of several restarts. A cluster that has lost all its rows begins anew at
/// the row farthest from its centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KMeans {
    clusters: usize,
    restarts: u64,
    iterations: usize,
    tolerance: f64,
    seed: u64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// The mean of each cluster, `[clusters, columns]` of `f64`.
    pub centres: Array,
    /// The cluster of each row.
    pub labels: Vec<usize>,
    /// The sum of the rows' squared distances from their centres.
    pub inertia: f64,
    /// Iterations of the restart that was kept.
    pub iterations: usize,
}

impl KMeans {
    /// So many clusters; ten restarts of 300 iterations at most, seed 0.
    pub fn new(clusters: usize) -> KMeans {
        KMeans { clusters, restarts: 10, iterations: 300, tolerance: 1e-4, seed: 0 }
    }
    /// Begins so many times, with other centres, and keeps what has the smallest inertia.
    pub fn restarts(self, restarts: u64) -> Self {
        KMeans { restarts: restarts.max(1), ..self }
    }
    /// At most so many iterations each time.
    pub fn iterations(self, iterations: usize) -> Self {
        KMeans { iterations: iterations.max(1), ..self }
    }
    /// Ends where the squared distances that centres move add up to less than this share of the columns' mean variance;
    /// 0: where no row changes its cluster.
    pub fn tolerance(self, share: f64) -> Self {
        KMeans { tolerance: share.max(0.0), ..self }
    }
    /// The seed of the first centres.
    pub fn seed(self, seed: u64) -> Self {
        KMeans { seed, ..self }
    }

    /// Finds clusters of the rows of a matrix `[rows, columns]` of `f64`.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are fewer rows than clusters, or a number is not finite; [`Error::Memory`].
    pub fn fit(&self, rows: &Array) -> Result<Clusters, Error> {
        let rows = self.checked(rows)?;
        let mut best: Option<Clusters> = None;
        for restart in 0..self.restarts {
            let found = self.lloyd(rows, self.first_centres(rows, restart)?)?;
            if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
                best = Some(found);
            }
        }
        best.ok_or_else(|| Error::usage("no restart", "ask for one at least"))
    }

    /// As [`KMeans::fit`], once, from these centres.
    ///
    /// # Errors
    /// As there, and where the centres are not one row for each cluster.
    pub fn fit_from(&self, rows: &Array, centres: &Array) -> Result<Clusters, Error> {
        let (rows, first) = (self.checked(rows)?, Rows::of(centres)?);
        if (first.count, first.width) != (self.clusters, rows.width) {
            let problem =
                format!("centres {} for {} clusters of rows {}", centres.shape(), self.clusters, rows.width);
            return Err(Error::usage(problem, "give a row for each cluster, as wide as the others"));
        }
        self.lloyd(rows, memory::copied(first.values, "centres")?)
    }

    fn checked<'a>(&self, rows: &'a Array) -> Result<Rows<'a>, Error> {
        let rows = Rows::of(rows)?;
        match self.clusters {
            0 => Err(Error::usage("0 clusters", "ask for one at least")),
            k if k > rows.count => {
                let problem = format!("{k} clusters of {} rows", rows.count);
                Err(Error::usage(problem, "ask for no more clusters than there are rows"))
            }
            _ => Ok(rows),
        }
    }

    /// Rows far from each other, by k-means++.
    fn first_centres(&self, rows: Rows<'_>, restart: u64) -> Result<Vec<f64>, Error> {
        let key = stream_of("k-means", restart);
        let mut drawn = 0u64;
        // Uniform below 1, with 53 bits.
        let mut uniform = || {
            let [a, b, ..] = philox(drawn, self.seed, key);
            drawn += 1;
            ((u64::from(a) << 21) ^ (u64::from(b) >> 11)) as f64 / (1u64 << 53) as f64
        };
        let candidates = 2 + (self.clusters as f64).ln() as usize;
        let mut centres = memory::room(self.clusters * rows.width, "centres")?;
        centres.extend_from_slice(rows.row((uniform() * rows.count as f64) as usize));
        let mut nearest = memory::room(rows.count, "distances")?;
        nearest.extend(rows.iter().map(|row| squared_distance(row, &centres)));
        let (mut tried, mut best) = (nearest.clone(), nearest.clone());
        for _ in 1..self.clusters {
            let total: f64 = nearest.iter().sum();
            let (mut least, mut at) = (f64::INFINITY, 0);
            for _ in 0..candidates {
                let candidate = place_of(&nearest, uniform() * total);
                let centre = rows.row(candidate);
                let pairs = tried.iter_mut().zip(&nearest).zip(rows.iter());
                pairs.for_each(|((to, &near), row)| *to = near.min(squared_distance(row, centre)));
                let left: f64 = tried.iter().sum();
                if left < least {
                    (least, at) = (left, candidate);
                    std::mem::swap(&mut tried, &mut best);
                }
            }
            std::mem::swap(&mut nearest, &mut best);
            centres.extend_from_slice(rows.row(at));
        }
        Ok(centres)
    }

    fn lloyd(&self, rows: Rows<'_>, mut centres: Vec<f64>) -> Result<Clusters, Error> {
        let width = rows.width;
        let enough = self.tolerance * mean_variance(rows);
        let mut labels = memory::filled(usize::MAX, rows.count, "labels")?;
        let mut distances = memory::zeros::<f64>(rows.count, "distances")?;
        let mut iterations = 0;
        let mut settled = false;
        while iterations < self.iterations && !settled {
            iterations += 1;
            settled = !assign(rows, &centres, &mut labels, &mut distances);
            let moved = means(rows, &labels, &mut distances, centres.len() / width)?;
            let far: f64 =
                centres.chunks(width).zip(moved.chunks(width)).map(|(a, b)| squared_distance(a, b)).sum();
            centres = moved;
            settled |= far <= enough;
        }
        // The centres have moved since.
        assign(rows, &centres, &mut labels, &mut distances);
        let inertia = distances.iter().sum();
        let centres = Array::of([centres.len() / width, width], centres);
        let centres = centres.map_err(|e| Error::usage(e, "ask for fewer clusters"))?;
        Ok(Clusters { centres, labels, inertia, iterations })
    }
}

impl Clusters {
    /// The nearest cluster of each of these rows.
    ///
    /// # Errors
    /// [`Error::Usage`] where they are not as wide as those that were learned, or not finite.
    pub fn predict(&self, rows: &Array) -> Result<Vec<usize>, Error> {
        Ok(nearest_centres(rows, &self.centres)?.into_iter().map(|(cluster, _)| cluster).collect())
    }

    /// How many rows each cluster has.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.centres.shape()[0]];
        self.labels.iter().for_each(|&label| sizes[label] += 1);
        sizes
    }
}

/// The nearest of these centres `[clusters, columns]` for each row, the first of several, and the squared distance from it.
///
/// # Errors
/// [`Error::Usage`] where rows and centres are not equally wide, or not finite; [`Error::Memory`].
pub fn nearest_centres(rows: &Array, centres: &Array) -> Result<Vec<(usize, f64)>, Error> {
    let (rows, centres) = (Rows::of(rows)?, Rows::of(centres)?);
    if rows.width != centres.width {
        let problem = format!("rows of {} numbers for clusters of {}", rows.width, centres.width);
        return Err(Error::usage(problem, "give rows like those that the clusters were made of"));
    }
    let mut found = memory::room(rows.count, "the clusters of the rows")?;
    found.extend(rows.iter().map(|row| nearest(row, centres.values)));
    Ok(found)
}

/// The inertia for each number of clusters from 1 to `most`: where it stops to fall fast is a good number.
///
/// # Errors
/// As [`KMeans::fit`].
pub fn elbow(rows: &Array, most: usize, seed: u64) -> Result<Vec<f64>, Error> {
    (1..=most).map(|k| Ok(KMeans::new(k).seed(seed).fit(rows)?.inertia)).collect()
}

/// Where in a row of weights their running sum passes a number.
fn place_of(weights: &[f64], passed: f64) -> usize {
    let mut sum = 0.0;
    let found = weights.iter().position(|weight| {
        sum += weight;
        sum > passed
    });
    // By rounding, or where all rows are the same.
    found.unwrap_or(weights.len() - 1)
}

/// The nearest centre, the first of several, and its squared distance.
fn nearest(row: &[f64], centres: &[f64]) -> (usize, f64) {
    let distances = centres.chunks_exact(row.len()).map(|centre| squared_distance(row, centre)).enumerate();
    distances.fold((0, f64::INFINITY), |best, found| if found.1 < best.1 { found } else { best })
}

/// Gives each row its nearest centre; whether any changed.
fn assign(rows: Rows<'_>, centres: &[f64], labels: &mut [usize], distances: &mut [f64]) -> bool {
    let mut changed = false;
    for ((row, label), distance) in rows.iter().zip(labels).zip(distances) {
        let found = nearest(row, centres);
        changed |= found.0 != *label;
        (*label, *distance) = found;
    }
    changed
}

/// The mean of each cluster. A cluster without rows takes the row farthest from its centre, which then leaves the other.
fn means(
    rows: Rows<'_>,
    labels: &[usize],
    distances: &mut [f64],
    clusters: usize,
) -> Result<Vec<f64>, Error> {
    let width = rows.width;
    let mut sums = memory::zeros::<f64>(clusters * width, "centres")?;
    let mut counts = vec![0usize; clusters];
    for (row, &label) in rows.iter().zip(labels) {
        counts[label] += 1;
        sums[label * width..(label + 1) * width].iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    for empty in 0..clusters {
        if counts[empty] > 0 {
            continue;
        }
        let farthest = distances.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
        let from = labels[farthest];
        distances[farthest] = 0.0;
        for (c, x) in rows.row(farthest).iter().enumerate() {
            sums[from * width + c] -= x;
            sums[empty * width + c] = *x;
        }
        counts[from] -= 1;
        counts[empty] = 1;
    }
    for (sums, &count) in sums.chunks_mut(width).zip(&counts) {
        sums.iter_mut().for_each(|sum| *sum /= count.max(1) as f64);
    }
    Ok(sums)
}

/// The mean of the columns' variances.
fn mean_variance(rows: Rows<'_>) -> f64 {
    let n = rows.count as f64;
    let column = |c: usize| {
        let mean = rows.iter().map(|row| row[c]).sum::<f64>() / n;
        rows.iter().map(|row| (row[c] - mean) * (row[c] - mean)).sum::<f64>() / n
    };
    (0..rows.width).map(column).sum::<f64>() / rows.width as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three clouds of 40 points around (0, 0), (8, 0) and (0, 8).
    fn clouds() -> (Array, Vec<usize>) {
        let number =
            |i: usize, c: u64| f64::from(philox(i as u64, c, 7)[0]) / f64::from(u32::MAX) * 3.0 - 1.5;
        let centre = |i: usize| [(0.0, 0.0), (8.0, 0.0), (0.0, 8.0)][i % 3];
        let values = (0..120).flat_map(|i| [centre(i).0 + number(i, 0), centre(i).1 + number(i, 1)]);
        (Array::of([120, 2], values.collect::<Vec<f64>>()).unwrap(), (0..120).map(|i| i % 3).collect())
    }

    #[test]
    fn clouds_are_found_from_every_seed() {
        let (rows, truth) = clouds();
        for seed in 0..20 {
            let found = KMeans::new(3).restarts(1).seed(seed).fit(&rows).unwrap();
            assert_eq!(found.sizes(), [40; 3]);
            let name = |i: usize| found.labels[i];
            assert!(truth.iter().enumerate().all(|(i, &t)| name(i) == name(t)), "seed {seed}: {found:?}");
            assert_eq!(found.predict(&rows).unwrap(), found.labels);
        }
        let again = KMeans::new(3).seed(5).fit(&rows).unwrap();
        assert_eq!(again, KMeans::new(3).seed(5).fit(&rows).unwrap());
    }

    #[test]
    fn inertia_falls_with_clusters_and_is_zero_with_one_for_each_row() {
        let (rows, _) = clouds();
        let elbow = elbow(&rows, 6, 1).unwrap();
        assert!(elbow.windows(2).all(|pair| pair[1] < pair[0]), "{elbow:?}");
        // From two to three the most that can be gained, then little.
        assert!(elbow[1] - elbow[2] > 10.0 * (elbow[2] - elbow[3]), "{elbow:?}");
        let few = Array::of([3, 1], vec![1.0, 5.0, 2.0]).unwrap();
        assert_eq!(KMeans::new(3).fit(&few).unwrap().inertia, 0.0);
    }

    #[test]
    fn a_cluster_that_lost_its_rows_begins_anew() {
        let rows = Array::of([4, 1], vec![0.0, 1.0, 10.0, 11.0]).unwrap();
        let centres = Array::of([2, 1], vec![5.0, 100.0]).unwrap();
        let found = KMeans::new(2).fit_from(&rows, &centres).unwrap();
        assert_eq!(found.sizes(), [2, 2]);
        assert_eq!(found.inertia, 1.0);
    }

    #[test]
    fn what_cannot_be_clustered_is_refused() {
        let rows = Array::of([2, 1], vec![1.0, f64::NAN]).unwrap();
        let same = Array::of([4, 2], vec![3.0; 8]).unwrap();
        for (error, expected) in [
            (KMeans::new(1).fit(&rows).unwrap_err(), "row 1, column 0: NaN"),
            (KMeans::new(5).fit(&same).unwrap_err(), "5 clusters of 4 rows"),
            (KMeans::new(0).fit(&same).unwrap_err(), "0 clusters"),
            (KMeans::new(2).fit_from(&same, &rows).unwrap_err(), "NaN"),
            (KMeans::new(1).fit(&Array::scalar(1.0)).unwrap_err(), "no matrix"),
        ] {
            assert!(error.to_string().contains(expected), "{error}");
        }
        // Rows that are all the same are no reason to fail.
        assert_eq!(KMeans::new(3).fit(&same).unwrap().inertia, 0.0);
    }
}
