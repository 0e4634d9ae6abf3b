//! Clustering: rows put together by how near they are to each other, without targets.
//!
//! ```
//! use ironlearn::cluster::{KMeans, silhouette};
//! use ironlearn::prelude::Array;
//!
//! let rows = Array::of([6, 1], vec![1.0, 1.2, 0.9, 7.0, 7.1, 6.8]).unwrap();
//! let found = KMeans::new(2).fit(&rows)?;
//! assert_eq!(found.sizes(), [3, 3]);
//! assert_eq!(found.labels[0], found.labels[2]);
//! assert!(silhouette(&rows, &found.labels)? > 0.9);
//! # Ok::<(), ironlearn::Error>(())
//! ```

mod k_means;
mod silhouette;

pub use k_means::{Clusters, KMeans, elbow, nearest_centres};
pub use silhouette::silhouette;
