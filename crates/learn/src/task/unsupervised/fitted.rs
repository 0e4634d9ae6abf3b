//! [`Fitted`]: what was learned without a network, as it stands in a model file and answers rows.

use super::{anomalies, clusters, inputs_of_raw};
use crate::anomaly::Gaussian;
use crate::cluster::nearest_centres;
use crate::error::{Error, FileError, Place};
use crate::job::{Job, Model};
use crate::nn::{Summary, SummaryRow};
use crate::task::data::preparation::Preparation;
use crate::task::data::reading::Reading;
use crate::task::data::without_network::{OUTPUTS, has_targets};
use crate::task::model::file::ModelFile;
use crate::task::report::measures::Measures;
use ironlearn_ir::{Array, Role, Store};
use std::path::Path;

/// The names of the tensors in a model file.
const CENTRES: &str = "centres";
const MEAN: &str = "mean";
const FACTOR: &str = "covariance_factor";
const THRESHOLD: &str = "threshold";

/// What was learned.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::task) enum Fitted {
    /// The centres of clusters, `[clusters, inputs]`.
    Clusters(Array),
    /// A normal distribution, and the log density below which a row is an anomaly.
    Anomalies(Gaussian, f64),
}

impl Fitted {
    /// What a model file holds.
    ///
    /// # Errors
    /// [`Error::File`] where it is damaged, or describes a network.
    pub fn of(file: &ModelFile) -> Result<Fitted, Error> {
        let wrong = |name: &str, problem: String| {
            let hint = "the file was changed, or is from another version of Iron Learn: use another copy";
            Error::from(FileError::new(file.path(), problem).at(Place::Key(name.into())).hint(hint))
        };
        let width = file.preparation.inputs();
        if Reading::of(&file.job)? != file.preparation.reading {
            return Err(wrong("__metadata__.preparation", "answers that the job does not give".into()));
        }
        let tensor = |name: &str, fits: &dyn Fn(&[usize]) -> bool| {
            let tensor = file.tensor(name).ok_or_else(|| wrong(name, "the tensor is missing".into()))?;
            let finite = tensor.as_slice::<f64>().is_some_and(|x| !x.iter().any(|x| x.is_nan()));
            match finite && fits(tensor.shape().dims()) {
                true => Ok(tensor),
                false => {
                    let found = format!("{}{}", tensor.dtype(), tensor.shape());
                    Err(wrong(name, format!("{found} are not the numbers of a model of {width} inputs")))
                }
            }
        };
        match &file.job.model {
            Model::Network => Err(wrong("__metadata__.job", "the job describes a network".into())),
            Model::KMeans { .. } => {
                let centres = tensor(CENTRES, &|dims| dims.len() == 2 && dims[0] > 0 && dims[1] == width)?;
                if centres.as_slice::<f64>().unwrap_or_default().iter().any(|x| x.is_infinite()) {
                    return Err(wrong(CENTRES, "a centre is not finite".into()));
                }
                Ok(Fitted::Clusters(centres.view().try_to_array(CENTRES)?))
            }
            Model::GaussianAnomaly { .. } => {
                let mean = tensor(MEAN, &|dims| *dims == [width])?;
                let factor = tensor(FACTOR, &|dims| *dims == [width, width])?;
                let threshold = tensor(THRESHOLD, &|dims| *dims == [1])?;
                let threshold = threshold.as_slice::<f64>().and_then(|x| x.first()).copied();
                let gaussian = Gaussian::of_factor(mean, factor)
                    .map_err(|_| wrong(FACTOR, "the factor of no covariance".into()))?;
                Ok(Fitted::Anomalies(gaussian, threshold.unwrap_or(f64::NEG_INFINITY)))
            }
        }
    }

    /// The tensors of the model file.
    pub fn store(&self) -> Result<Store, Error> {
        let array = |shape: &[usize], values: Vec<f64>| {
            Array::of(shape, values).map_err(|e| Error::usage(e, "leave out columns"))
        };
        let tensors = match self {
            Fitted::Clusters(centres) => vec![(CENTRES, centres.view().try_to_array(CENTRES)?)],
            Fitted::Anomalies(gaussian, threshold) => vec![
                (MEAN, array(&[gaussian.mean().len()], gaussian.mean().to_vec())?),
                (FACTOR, gaussian.factor()?),
                (THRESHOLD, array(&[1], vec![*threshold])?),
            ],
        };
        let mut store = Store::new();
        for (name, tensor) in tensors {
            store.add(name, Role::Parameter, tensor).map_err(|e| Error::usage(e, "leave out columns"))?;
        }
        Ok(store)
    }

    /// The answers `[rows, 2]` for raw rows: cluster and distance, or 1 for an anomaly and 0, and the log density.
    pub fn answers(&self, preparation: &Preparation, raw: &Array) -> Result<Array, Error> {
        let rows = inputs_of_raw(preparation, raw)?;
        let count = rows.shape().first().copied().unwrap_or(0);
        let answers: Vec<f64> = match self {
            _ if count == 0 => Vec::new(),
            Fitted::Clusters(centres) => {
                let found = nearest_centres(&rows, centres)?;
                found.into_iter().flat_map(|(cluster, square)| [cluster as f64, square.sqrt()]).collect()
            }
            Fitted::Anomalies(gaussian, threshold) => {
                let found = gaussian.log_density(&rows)?;
                let answer = |density: f64| [f64::from(u8::from(density < *threshold)), density];
                found.into_iter().flat_map(answer).collect()
            }
        };
        Array::of([count, OUTPUTS], answers).map_err(|e| Error::usage(e, "give fewer rows"))
    }

    /// Measures on the rows of a file, with its targets where the model was learned with some.
    pub fn evaluate(
        &self,
        job: &Job,
        preparation: &Preparation,
        path: &Path,
        targets: Option<&Path>,
    ) -> Result<Measures, Error> {
        let (rows, targets) = match has_targets(job) || targets.is_some() {
            true => preparation.read_examples(path, targets).map(|(rows, y)| (rows, Some(y)))?,
            false => (preparation.read_rows(path)?, None),
        };
        let rows = inputs_of_raw(preparation, &rows)?;
        let targets = targets.as_ref().and_then(|y| y.as_slice::<f64>());
        let labels = &preparation.labels;
        let judged = match self {
            Fitted::Clusters(centres) => {
                clusters::judge(centres, &rows, targets, labels.names(), job.train.seed)?
            }
            Fitted::Anomalies(gaussian, threshold) => {
                let is = targets.map(|y| anomalies::which(job, labels, y)).transpose()?;
                anomalies::judge(&gaussian.log_density(&rows)?, *threshold, is.as_deref())?
            }
        };
        let values = [vec![("loss".into(), judged.loss)], judged.measures.values].concat();
        Ok(Measures { values, ..judged.measures })
    }

    /// What it holds, as a layer.
    pub fn summary(&self) -> Summary {
        let (layer, inputs, parameters, multiply_adds) = match self {
            Fitted::Clusters(centres) => {
                let elements = centres.shape().elements();
                ("k-means", centres.shape()[1], elements, elements)
            }
            Fitted::Anomalies(gaussian, _) => {
                let width = gaussian.mean().len();
                ("gaussian-anomaly", width, width + width * width + 1, width * (width + 1) / 2)
            }
        };
        let row = SummaryRow {
            path: "0".into(),
            layer,
            output: [OUTPUTS].into(),
            parameters,
            bytes: parameters * size_of::<f64>(),
            multiply_adds: multiply_adds as u64,
        };
        Summary { input: [inputs].into(), rows: vec![row] }
    }
}
