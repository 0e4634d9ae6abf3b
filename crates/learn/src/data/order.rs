//! The order of rows in an epoch: a permutation that follows from seed and epoch alone, so that a resumed run
//! goes on in the middle of an epoch with the same rows.

use ironlearn_ir::prim::philox;
use ironlearn_ir::{Refused, memory};
use std::ops::Range;

/// Fills `order` with the numbers below its length, in the order that this key has in this epoch.
///
/// The shuffle of Fisher and Yates with random numbers from Philox; every permutation is equally likely up to
/// one part in 2³².
pub(super) fn shuffle(key: u64, epoch: u64, order: &mut [u32]) {
    for (i, place) in order.iter_mut().enumerate() {
        *place = i as u32;
    }
    for i in (1..order.len()).rev() {
        let w = philox(i as u64, epoch, key);
        let random = u128::from(w[0]) << 32 | u128::from(w[1]);
        order.swap(i, ((random * (i as u128 + 1)) >> 64) as usize);
    }
}

/// Which rows a split sets apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Apart {
    /// This share of them, at least one where it is not 0.
    Share(f64),
    /// One of `of` parts, whose sizes differ by one at most, for cross-validation; `number` counts from 0. Together the
    /// parts are all rows, each once.
    Fold {
        /// Which of them.
        number: usize,
        /// How many there are.
        of: usize,
    },
}

impl From<f64> for Apart {
    fn from(share: f64) -> Apart {
        Apart::Share(share)
    }
}

impl Apart {
    /// The places in the order of `n` rows that are set apart.
    fn places(self, n: usize) -> Range<usize> {
        match self {
            Apart::Share(share) => {
                0..((share * n as f64).round() as usize).max(usize::from(share > 0.0)).min(n)
            }
            Apart::Fold { number, of } => {
                let end = |parts: usize| (parts as u128 * n as u128 / of.max(1) as u128) as usize;
                end(number).min(n)..end(number.saturating_add(1)).min(n)
            }
        }
    }
}

/// Rows in two parts.
type Parts = (Vec<u32>, Vec<u32>);

/// Numbers below `n` in two parts, both ascending: the second are those that are set apart, picked by the key. `None`
/// where nothing is left for the first, or a fold has nothing.
pub(super) fn split(key: u64, n: usize, apart: Apart) -> Result<Option<Parts>, Refused> {
    let places = apart.places(n);
    // A share of 0 is asked for; a fold without rows would judge by nothing.
    let is_empty_fold = places.is_empty() && !matches!(apart, Apart::Share(_));
    if places.len() >= n || is_empty_fold {
        return Ok(None);
    }
    let mut order = memory::zeros(n, "an order of rows")?;
    // No epoch has this number.
    shuffle(key, u64::MAX, &mut order);
    let mut second = memory::copied(&order[places.clone()], "the rows of a part")?;
    order.drain(places);
    order.sort_unstable();
    second.sort_unstable();
    Ok(Some((order, second)))
}

/// Which of `n` things the share is that a split by this seed sets apart.
pub(crate) fn picked(seed: u64, n: usize, share: f64) -> Result<Vec<bool>, Refused> {
    let mut picked = memory::filled(false, n, "which rows are set apart")?;
    if let Some((_, second)) = split(seed, n, share.into())? {
        second.iter().for_each(|&i| picked[i as usize] = true);
    }
    Ok(picked)
}

/// As [`split`], of each group of numbers; groups that have too few stay in the first part whole.
pub(super) fn split_groups(key: u64, groups: &[Vec<u32>], apart: Apart) -> Result<Option<Parts>, Refused> {
    let rows = groups.iter().map(Vec::len).sum();
    let (mut first, mut second) = (memory::room(rows, "an order of rows")?, Vec::new());
    for (i, group) in groups.iter().enumerate() {
        match split(philox(i as u64, u64::MAX, key)[0].into(), group.len(), apart)? {
            Some((left, picked)) => {
                first.extend(left.iter().map(|&place| group[place as usize]));
                second.extend(picked.iter().map(|&place| group[place as usize]));
            }
            None => first.extend_from_slice(group),
        }
    }
    first.sort_unstable();
    second.sort_unstable();
    Ok((!second.is_empty()).then_some((first, second)))
}

/// The numbers below `n`.
pub(super) fn ascending(n: usize) -> Result<Vec<u32>, Refused> {
    let mut order = memory::room(n, "an order of rows")?;
    order.extend(0..n as u32);
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(key: u64, epoch: u64, n: usize) -> Vec<u32> {
        let mut order = vec![0; n];
        shuffle(key, epoch, &mut order);
        order
    }

    #[test]
    fn each_epoch_has_an_order_of_its_own_with_every_row_once() {
        let first = order(1, 0, 100);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(first, order(1, 0, 100));
        assert_ne!(first, order(1, 1, 100));
        assert_ne!(first, order(2, 0, 100));
    }

    #[test]
    fn all_orders_of_three_are_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for epoch in 0..6000 {
            *counts.entry(order(3, epoch, 3)).or_insert(0) += 1;
        }
        // Five standard deviations of a binomial distribution: 5·√(6000·1/6·5/6) = 144.
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|n: &i32| (n - 1000).abs() < 144), "{counts:?}");
    }

    #[test]
    fn folds_are_all_rows_each_once() {
        for (n, of) in [(10, 3), (12, 4), (3, 3), (100, 7)] {
            let parts = (0..of).map(|number| split(5, n, Apart::Fold { number, of }).unwrap().unwrap());
            let parts: Vec<_> = parts.collect();
            let mut all: Vec<u32> = parts.iter().flat_map(|(_, second)| second.clone()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..n as u32).collect::<Vec<_>>());
            assert!(parts.iter().all(|(first, second)| first.len() + second.len() == n));
            assert!(parts.iter().all(|(_, second)| (n / of..=n.div_ceil(of)).contains(&second.len())));
        }
        assert!(split(5, 4, Apart::Fold { number: 0, of: 1 }).unwrap().is_none(), "nothing to learn from");
        assert!(split(5, 2, Apart::Fold { number: 0, of: 3 }).unwrap().is_none(), "nothing to judge by");
    }

    #[test]
    fn nothing_and_one_row() {
        assert!(order(0, 0, 0).is_empty());
        assert_eq!(order(0, 0, 1), [0]);
    }
}
