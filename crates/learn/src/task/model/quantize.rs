//! [`quantize`]: a trained model of floats to a model file of integers.

use super::file::{JOB, ModelFile, PREPARATION, VERSION};
use super::trained::described;
use crate::data::{batch_of, copy_range};
use crate::job::{Batch, Job};
use crate::optim::average_name;
use crate::quant::from_float::{Quantized, Quantizer, Settings};
use crate::task::data::{Data, dtype};
use crate::task::recipe;
use crate::train::Watch;
use crate::{Dataset, Error, Network, Options, Schedule, Training};
use ironlearn_ir::{Array, DType, Real, Role};
use std::collections::BTreeMap;
use std::path::Path;

/// A model to be made one of integers.
pub struct QuantizeRequest<'a> {
    /// The model file of floats.
    pub model: &'a Path,
    /// Raw rows for calibration; none: the rows that the model was trained on.
    pub data: Option<&'a Path>,
    /// How many rows are taken, at even distances.
    pub rows: usize,
    /// How floats become integers.
    pub settings: Settings,
    /// Epochs of further training with simulated integers.
    pub epochs: u64,
    /// The learning rate of this training, as a fraction of the job's.
    pub rate: f64,
    /// How programs are built.
    pub options: Options,
    /// Where the model of integers goes.
    pub out: &'a Path,
}

/// Makes a model of integers, writes it, and says how near it is to its floats.
///
/// # Errors
/// Those of [`ModelFile::read`] and of the data; [`Error::Usage`] naming a layer that has no form in integers.
pub fn quantize(request: &QuantizeRequest<'_>, watch: &mut dyn Watch) -> Result<Quantized, Error> {
    let file = ModelFile::of_network(request.model, "integers are made of networks")?;
    if file.integers()?.is_some() {
        let problem = format!("{} is a network of integers already", request.model.display());
        return Err(Error::usage(problem, "name a model that was trained in floats"));
    }
    match dtype(&file.job) {
        DType::F64 => quantize_as::<f64>(request, &file, watch),
        _ => quantize_as::<f32>(request, &file, watch),
    }
}

fn quantize_as<T: Real>(
    request: &QuantizeRequest<'_>,
    file: &ModelFile,
    watch: &mut dyn Watch,
) -> Result<Quantized, Error> {
    let network = described::<T>(file.path(), &file.job, &file.preparation, file.bytes())?;
    file.restore(&mut network.scope().store_mut())?;
    let network = with_averages(&network)?;
    let quantizer = Quantizer::new(&network, request.settings.clone())?.options(request.options.clone());
    let trains = request.epochs > 0;
    let data = if trains || request.data.is_none() { Some(Data::load(&file.job)?) } else { None };
    let rows = match (request.data, &data) {
        (Some(path), _) => inputs(file, &network, &file.preparation.read_rows(path)?, request.rows)?,
        (None, Some(data)) => some_rows(&data.train, request.rows)?,
        (None, None) => Array::zeros(T::DTYPE, [0]),
    };
    let quantized = match &data {
        Some(data) if trains => {
            let training = training(request, &file.job, &data.train, file.preparation.outputs)?;
            quantizer.train(training, &data.train, data.validation.as_ref(), &rows, watch)?
        }
        _ => quantizer.quantize(&rows)?,
    };
    let json = |e: serde_json::Error| Error::usage(e.to_string(), "use finite numbers");
    let texts = [
        (JOB, file.job.to_toml()),
        (PREPARATION, serde_json::to_string(&file.preparation).map_err(json)?),
        (VERSION, env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let texts: BTreeMap<String, String> =
        texts.into_iter().map(|(key, text)| (key.to_owned(), text)).collect();
    quantized.model.save(request.out, &texts)?;
    Ok(quantized)
}

/// A copy with the moving average of each parameter that has one in its place.
fn with_averages<T: Real>(network: &Network<T>) -> Result<Network<T>, Error> {
    let copy = network.copy()?;
    let (from, mut to) = (network.scope().store(), copy.scope().store_mut());
    for id in to.ids().filter(|&id| from.find(&to.slot(id).name).is_some()).collect::<Vec<_>>() {
        if to.slot(id).role == Role::Parameter
            && let Some(average) = from.find(&average_name(&to.slot(id).name))
        {
            to.slot_mut(id).value_mut().data_mut().copy_from(from.slot(average).value().data().view());
        }
    }
    drop((from, to));
    Ok(copy)
}

/// Raw rows as the network takes them.
fn inputs<T: Real>(file: &ModelFile, network: &Network<T>, raw: &Array, most: usize) -> Result<Array, Error> {
    let (values, columns) = (raw.as_slice::<f64>().unwrap_or_default(), file.preparation.columns);
    let mut numbers = Vec::new();
    let mut row = vec![0.0; file.preparation.inputs()];
    let picked = picked(values.len() / columns.max(1), most);
    for i in picked.iter() {
        file.preparation.write_input(&values[i * columns..(i + 1) * columns], &mut row);
        numbers.extend_from_slice(&row);
    }
    let shape = [&[picked.len()], &file.preparation.input_shape()[..]].concat();
    let made = match network.input_dtype() {
        DType::I64 => Array::of(shape, numbers.iter().map(|&x| x as i64).collect()),
        _ => Array::of(shape, numbers.into_iter().map(T::from_f64).collect()),
    };
    made.map_err(|e| Error::usage(e, "give rows like those that the model was trained on"))
}

/// Rows of a data set, at even distances.
fn some_rows(data: &Dataset, most: usize) -> Result<Array, Error> {
    let picked = picked(data.rows(), most);
    let [mut all, _] = batch_of(&data.types(picked.len()))?;
    let [mut row, mut target] = batch_of(&data.types(1))?;
    for (to, &from) in picked.iter().enumerate() {
        data.read(from, &mut row, &mut target)?;
        copy_range(&row, 0..1, &mut all, to);
    }
    Ok(all)
}

/// Rows at even distances, of `rows` no more than `most`.
fn picked(rows: usize, most: usize) -> Vec<usize> {
    let count = rows.min(most.max(1));
    (0..count).map(|i| i * rows / count.max(1)).collect()
}

/// The training with simulated integers: that of the job, with a smaller rate that falls to 0.
fn training(
    request: &QuantizeRequest<'_>,
    job: &Job,
    data: &Dataset,
    outputs: usize,
) -> Result<Training, Error> {
    let rows = data.rows();
    let batch = match job.train.batch {
        Batch::Full => rows,
        Batch::Rows(batch) => batch.min(rows),
    };
    let per_epoch = rows.div_ceil(batch.max(1)) as u64;
    let mut job = job.clone();
    job.optimizer.rate *= request.rate;
    job.optimizer.average = None;
    let steps = (per_epoch * request.epochs) as f64;
    let schedule = Schedule::Cosine { steps, warmup: 0.0, restarts: 0, floor: 0.0 };
    let training = Training::new(
        recipe::loss(&job.loss, data, outputs)?,
        recipe::optimizer(&job, per_epoch)?.schedule(schedule),
    )
    .options(request.options.clone())
    .epochs(request.epochs);
    Ok(if batch < rows { training.batch(batch) } else { training })
}
