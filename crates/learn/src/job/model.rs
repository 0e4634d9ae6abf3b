//! `[model]`: what learns.

use super::section::kinds;
use super::setting::{Check, Reader, Setting, choice};
use super::tree::{Node, Value};

const CLUSTERS: Check<ClusterCount> = Check::new(
    |count| match count {
        ClusterCount::Exactly(k) => (1..=MOST).contains(k),
        ClusterCount::Between([least, most]) => (1..=MOST).contains(least) && (least..=&MOST).contains(&most),
    },
    "from 1 to 10000, the smaller one first",
);
const RESTARTS: Check<u64> = Check::new(|restarts| (1..=10_000).contains(restarts), "from 1 to 10000");
const SHARE: Check<f64> = Check::new(|share| *share > 0.0 && *share < 1.0, "greater than 0 and below 1");

/// The most clusters.
const MOST: usize = 10_000;

kinds! {
    /// What learns: a network, or a method without one, in which the sections network, loss, optimizer and schedule have no
    /// part.
    Model = Network {
        /// A network, that of the section network.
        Network = "network",
        /// k-means (Lloyd 1957, from centres by k-means++): rows become clusters, each around its mean. For tables and
        /// arrays; data.target, with data.task = "classes", is left out of the rows, and clusters are compared with it.
        KMeans = "k-means" {
            /// How many clusters. Of a least and a most number, that with the largest silhouette (Rousseeuw 1987) is
            /// taken, and elbow.csv has the inertia of each.
            clusters: ClusterCount = ClusterCount::Between([1, 10]), CLUSTERS;
            /// How many times clusters are looked for, from other first centres; the best of them are kept.
            restarts: u64 = 10, RESTARTS;
        },
        /// A normal distribution of ordinary rows: a row is an anomaly where its density is below a threshold. For tables
        /// and arrays; where data.target, with data.task = "binary", says which rows are anomalies, the distribution is
        /// learned from the others, and the threshold is that of the best F1 on the validation part, or on all rows where
        /// there is none.
        GaussianAnomaly = "gaussian-anomaly" {
            /// Which columns vary together.
            covariance: Covariance = Covariance::Independent;
            /// The value of data.target that marks an anomaly. Unset: 1, where targets are 0 and 1.
            anomaly: Option<String> = None;
            /// Share of the training part that is taken for anomalies, where no target says which are.
            share: f64 = 0.01, SHARE;
        },
    }
}

choice! {
    /// Which columns vary together.
    Covariance {
        /// None: each has its own mean and variance.
        Independent = "independent",
        /// All: what is ordinary for each of two columns may be an anomaly for both. Needs more rows than columns.
        Correlated = "correlated",
    }
}

impl Model {
    /// Whether it is a network.
    pub fn is_network(&self) -> bool {
        matches!(self, Model::Network)
    }
}

/// How many clusters are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterCount {
    /// So many.
    Exactly(usize),
    /// From the first to the second.
    Between([usize; 2]),
}

impl Setting for ClusterCount {
    fn kind() -> String {
        "a whole number, or a list of two such as [1, 10]".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::List(list) if list.len() == 2 => {
                <[usize; 2]>::read(node, path, reader).map(ClusterCount::Between)
            }
            Value::Integer(_) | Value::Float(_) => usize::read(node, path, reader).map(ClusterCount::Exactly),
            _ => reader.mismatch(node, path, &Self::kind()),
        }
    }
    fn write(&self) -> Option<Value> {
        match self {
            ClusterCount::Exactly(count) => count.write(),
            ClusterCount::Between(both) => both.write(),
        }
    }
}
