//! From the words of a job to layers, loss, optimizer and schedule.

pub(in crate::task) mod integers;

use crate::data::Dataset;
use crate::job::{self, ClassWeights, Initial, Layer, Pair, PositiveWeight, Rule, Units};
use crate::loss::CrossEntropy;
use crate::nn::{Augmentation, ConvOptions};
use crate::number::number_at;
use crate::optim::{Adam, AdamW, Lbfgs, Lion, RmsProp, Sgd};
use crate::schedule::Plateau;
use crate::train::NotFinite;
use crate::{Activation, Error, Init, LayerSpec, Loss, Optimizer, Options, Precision, Schedule};

/// The layers of a network with so many outputs where the job says `"targets"`, and for data with a vocabulary of this
/// size, if any.
///
/// # Errors
/// [`Error::Usage`] naming the layer that does not say enough.
pub fn layers(layers: &[Layer], targets: usize, vocabulary: Option<usize>) -> Result<Vec<LayerSpec>, Error> {
    layers.iter().map(|layer| spec(layer, targets, vocabulary)).collect()
}

/// How the steps of a job are built.
pub fn options(job: &job::Job, options: &Options) -> Options {
    options.clone().precision(match job.train.precision {
        job::Precision::Full => Precision::Full,
        job::Precision::Bf16 => Precision::Bf16,
        job::Precision::Tf32 => Precision::Tf32,
    })
}

/// What a job does about a step whose numbers are not finite.
pub fn when_not_finite(job: &job::Job) -> NotFinite {
    match job.train.not_finite {
        job::NotFinite::Stop => NotFinite::Stop,
        job::NotFinite::Skip => NotFinite::Skip,
        job::NotFinite::LowerRate => NotFinite::LowerRate(0.5),
    }
}

fn spec(layer: &Layer, targets: usize, of_data: Option<usize>) -> Result<LayerSpec, Error> {
    let activation = |a| Ok(LayerSpec::Activation(a));
    match layer {
        Layer::Linear { units, bias, init } => {
            let outputs = match units {
                Units::Count(count) => *count,
                Units::Targets => targets,
            };
            Ok(LayerSpec::Linear { outputs, bias: *bias, init: initial(init) })
        }
        Layer::Fourier { features, scale } => Ok(LayerSpec::Fourier { features: *features, scale: *scale }),
        Layer::Siren { units, omega } => Ok(LayerSpec::Siren { outputs: *units, omega: *omega }),
        Layer::Relu => activation(Activation::Relu),
        Layer::Relu6 => activation(Activation::Relu6),
        Layer::LeakyRelu { slope } => activation(Activation::LeakyRelu(*slope)),
        Layer::Gelu => activation(Activation::Gelu),
        Layer::Silu => activation(Activation::Silu),
        Layer::Tanh => activation(Activation::Tanh),
        Layer::Sigmoid => activation(Activation::Sigmoid),
        Layer::Softplus => activation(Activation::Softplus),
        Layer::Softmax => activation(Activation::Softmax),
        Layer::Sine { omega } => activation(Activation::Sine(*omega)),
        Layer::Dropout { rate } => Ok(LayerSpec::Dropout(*rate)),
        Layer::RandomFlip => Ok(LayerSpec::Augment(Augmentation::Flip)),
        Layer::RandomShift { pixels } => Ok(LayerSpec::Augment(Augmentation::Shift(pair(*pixels)))),
        Layer::RandomCrop { size } => Ok(LayerSpec::Augment(Augmentation::Crop(pair(*size)))),
        Layer::LayerNorm { epsilon } => Ok(LayerSpec::LayerNorm(*epsilon)),
        Layer::RmsNorm { epsilon } => Ok(LayerSpec::RmsNorm(*epsilon)),
        Layer::BatchNorm { momentum, epsilon } => {
            Ok(LayerSpec::BatchNorm { momentum: *momentum, epsilon: *epsilon })
        }
        Layer::Conv1d { channels, kernel, stride, padding, dilation, groups, bias, init } => {
            let options = ConvOptions::new([*kernel]).stride([*stride]).padding([*padding]);
            let options = options.dilation([*dilation]).groups(*groups).bias(*bias);
            Ok(LayerSpec::Conv1d(*channels, ConvOptions { init: initial(init), ..options }))
        }
        Layer::Conv2d { channels, kernel, stride, padding, dilation, groups, bias, init } => {
            let options = ConvOptions::new(pair(*kernel)).stride(pair(*stride)).padding(pair(*padding));
            let options = options.dilation(pair(*dilation)).groups(*groups).bias(*bias);
            Ok(LayerSpec::Conv2d(*channels, ConvOptions { init: initial(init), ..options }))
        }
        Layer::ConvTranspose2d { channels, kernel, stride, padding, bias, init } => {
            let options = ConvOptions::new(pair(*kernel)).stride(pair(*stride)).padding(pair(*padding));
            let options = ConvOptions { init: initial(init), ..options.bias(*bias) };
            Ok(LayerSpec::ConvTranspose2d(*channels, options))
        }
        Layer::MaxPool { size, stride } => {
            Ok(LayerSpec::MaxPool { size: pair(*size), stride: pair(stride.unwrap_or(*size)) })
        }
        Layer::AvgPool { size, stride } => {
            Ok(LayerSpec::AvgPool { size: pair(*size), stride: pair(stride.unwrap_or(*size)) })
        }
        Layer::Flatten => Ok(LayerSpec::Flatten),
        Layer::Embedding { dimension, vocabulary } => match vocabulary.or(of_data) {
            Some(vocabulary) => Ok(LayerSpec::Embedding { vocabulary, dimension: *dimension }),
            None => Err(Error::usage(
                "the layer embedding does not say how many vectors it has, and the data have no vocabulary",
                "write { embedding = 16, vocabulary = 100 }",
            )),
        },
        Layer::Attention { heads, causal, rotary } => {
            Ok(LayerSpec::Attention { heads: *heads, causal: *causal, rotary: *rotary })
        }
        Layer::Gru { units, last } => Ok(LayerSpec::Gru { units: *units, last: *last }),
        Layer::Lstm { units, last } => Ok(LayerSpec::Lstm { units: *units, last: *last }),
        Layer::Residual { layers: inner } => Ok(LayerSpec::Residual(layers(inner, targets, of_data)?)),
        Layer::Sequential { layers: inner, repeat } => {
            Ok(LayerSpec::Sequential(layers(inner, targets, of_data)?, *repeat))
        }
    }
}

fn pair(Pair(height, width): Pair) -> [usize; 2] {
    [height, width]
}

fn initial(init: &Initial) -> Init {
    match *init {
        Initial::XavierUniform => Init::XavierUniform,
        Initial::XavierNormal => Init::XavierNormal,
        Initial::HeUniform => Init::HeUniform,
        Initial::HeNormal => Init::HeNormal,
        Initial::LecunUniform => Init::LecunUniform,
        Initial::LecunNormal => Init::LecunNormal,
        Initial::Uniform { bound } => Init::Uniform(bound),
        Initial::Normal { deviation } => Init::Normal(deviation),
        Initial::Siren { omega } => Init::Siren(omega),
        Initial::Orthogonal { gain } => Init::Orthogonal(gain),
        Initial::Zeros => Init::Zeros,
    }
}

/// The loss, with weights that follow from the training part where the job says so.
///
/// # Errors
/// Those of reading the targets.
pub fn loss(loss: &job::Loss, train: &Dataset, classes: usize) -> Result<Loss, Error> {
    Ok(match loss {
        job::Loss::Mse => Loss::Mse,
        job::Loss::Mae => Loss::Mae,
        job::Loss::Huber { delta } => Loss::Huber(*delta),
        job::Loss::Bce { positive_weight } => Loss::BinaryCrossEntropy(match positive_weight {
            PositiveWeight::By(weight) => *weight,
            PositiveWeight::Balanced => match counted(train, 2)?[..] {
                [negative, positive] if negative * positive > 0 => negative as f64 / positive as f64,
                _ => 1.0,
            },
        }),
        job::Loss::CrossEntropy { label_smoothing, class_weights } => Loss::CrossEntropy(CrossEntropy {
            label_smoothing: *label_smoothing,
            class_weights: match class_weights {
                None => Vec::new(),
                Some(ClassWeights::Each(weights)) => weights.clone(),
                Some(ClassWeights::Balanced) => balanced(&counted(train, classes)?),
            },
        }),
        job::Loss::Kl => Loss::Kl,
        job::Loss::Hinge => Loss::Hinge,
    })
}

/// Weights with which all classes weigh the same: rows / (classes · rows of the class).
fn balanced(counts: &[usize]) -> Vec<f64> {
    let rows: usize = counts.iter().sum();
    let weight = |&count: &usize| match count {
        0 => 1.0,
        count => rows as f64 / (counts.len() * count) as f64,
    };
    counts.iter().map(weight).collect()
}

/// How many targets of the training part are 0, 1, …
fn counted(train: &Dataset, classes: usize) -> Result<Vec<usize>, Error> {
    let mut counts = vec![0; classes];
    train.each_target(|_, y| {
        for class in (0..y.shape().elements()).map(|i| number_at(y.view(), i)) {
            if let Some(count) = counts.get_mut(class as usize) {
                *count += 1;
            }
        }
        Ok(())
    })?;
    Ok(counts)
}

/// The optimizer with its schedule, for epochs of so many steps.
///
/// # Errors
/// [`Error::Usage`] where it searches for the minimum of the whole loss.
pub fn optimizer(job: &job::Job, steps_per_epoch: u64) -> Result<Optimizer, Error> {
    let o = &job.optimizer;
    let mut optimizer = match o.rule {
        Rule::Adam { beta1, beta2, epsilon } => {
            Optimizer::new(Adam::new(o.rate).betas(beta1, beta2).epsilon(epsilon))
        }
        Rule::AdamW { beta1, beta2, epsilon } => {
            Optimizer::new(AdamW::new(o.rate).betas(beta1, beta2).epsilon(epsilon))
        }
        Rule::Sgd { momentum, nesterov } => {
            Optimizer::new(Sgd::new(o.rate).momentum(momentum).nesterov(nesterov))
        }
        Rule::RmsProp { decay, epsilon, momentum } => {
            Optimizer::new(RmsProp::new(o.rate).decay(decay).epsilon(epsilon).momentum(momentum))
        }
        Rule::Lion { beta1, beta2 } => Optimizer::new(Lion::new(o.rate).betas(beta1, beta2)),
        Rule::Lbfgs { .. } => {
            return Err(Error::usage(
                "optimizer.kind = \"lbfgs\" searches by whole losses, and this goes on batch by batch",
                "set optimizer.kind = \"adam\" and a rate",
            ));
        }
    };
    optimizer = optimizer.weight_decay(o.weight_decay).schedule(schedule(
        &job.schedule,
        steps_per_epoch as f64,
        job.train.epochs as f64,
    ));
    if let Some(bound) = o.clip_value {
        optimizer = optimizer.clip_value(bound);
    }
    if let Some(bound) = o.clip_norm {
        optimizer = optimizer.clip_norm(bound);
    }
    Ok(match o.average {
        Some(decay) => optimizer.average(decay),
        None => optimizer,
    })
}

/// The search for the minimum of the whole loss, where the job asks for one.
///
/// # Errors
/// [`Error::Usage`] with all that does not go with it.
pub fn search(job: &job::Job) -> Result<Option<Lbfgs>, Error> {
    let (o, t, none) = (&job.optimizer, &job.train, job::Optimizer::default());
    let Rule::Lbfgs { memory, tolerance } = o.rule else { return Ok(None) };
    let random = random_layer(&job.network.layers);
    let wants = [
        (
            t.dtype == job::Dtype::F64,
            "train.dtype: set \"f64\", as it searches to the last digits".to_owned(),
        ),
        (t.batch == job::Batch::Full, "train.batch: set \"full\", as it works on all rows".into()),
        (t.accumulate == 1, "train.accumulate: leave it out".into()),
        (o.rate == none.rate, "optimizer.rate: leave it out, as it finds out how far to go".into()),
        (job.schedule == job::Schedule::Constant, "schedule: leave it out".into()),
        (
            (o.clip_value, o.clip_norm, o.average) == (None, None, None),
            "optimizer.clip_value, clip_norm, average: leave them out".into(),
        ),
        (t.not_finite == job::NotFinite::Stop, "train.not_finite: leave it out".into()),
        (
            random.is_none(),
            format!(
                "network.layers: leave out {}, which is another function in training",
                random.unwrap_or_default()
            ),
        ),
    ];
    let wrong: Vec<&str> = wants.iter().filter(|(fits, _)| !fits).map(|(_, what)| what.as_str()).collect();
    if wrong.is_empty() {
        return Ok(Some(Lbfgs::new().memory(memory).tolerance(tolerance).iterations(usize::MAX)));
    }
    Err(Error::usage("optimizer.kind = \"lbfgs\" does not go with the rest of the job", wrong.join("; ")))
}

/// The name of a layer that does something else in training than in inference.
fn random_layer(layers: &[Layer]) -> Option<&'static str> {
    layers.iter().find_map(|layer| match layer {
        Layer::Dropout { .. } => Some("dropout"),
        Layer::BatchNorm { .. } => Some("batch_norm"),
        Layer::RandomFlip => Some("random_flip"),
        Layer::RandomShift { .. } => Some("random_shift"),
        Layer::RandomCrop { .. } => Some("random_crop"),
        Layer::Residual { layers } | Layer::Sequential { layers, .. } => random_layer(layers),
        _ => None,
    })
}

/// Lengths in a job are epochs, those of a [`Schedule`] steps.
fn schedule(schedule: &job::Schedule, per_epoch: f64, all: f64) -> Schedule {
    match *schedule {
        job::Schedule::Constant => Schedule::Constant,
        job::Schedule::Step { every, factor } => Schedule::Step { every: every * per_epoch, factor },
        job::Schedule::Exponential { factor } => Schedule::Exponential { every: per_epoch, factor },
        job::Schedule::Cosine { epochs, warmup, restarts, floor } => Schedule::Cosine {
            steps: epochs.unwrap_or(all) * per_epoch,
            warmup: warmup * per_epoch,
            restarts,
            floor,
        },
        job::Schedule::Linear { epochs, floor } => {
            Schedule::Linear { steps: epochs.unwrap_or(all) * per_epoch, floor }
        }
        job::Schedule::OneCycle { epochs, rise, start, floor } => {
            Schedule::OneCycle { steps: epochs.unwrap_or(all) * per_epoch, rise, start, floor }
        }
        job::Schedule::Plateau { patience, factor, threshold, floor } => {
            Schedule::Plateau(Plateau { patience, factor, threshold, floor })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Network;
    use crate::job::Job;
    use ironlearn_ir::{Array, DType};

    fn job_of(text: &str) -> Job {
        Job::parse(text, &[] as &[&str]).unwrap()
    }

    #[test]
    fn every_layer_of_a_job_is_a_layer_of_a_network() {
        let job = job_of(
            r#"[network]
            layers = [
                "random_flip", { random_shift = [1, 2] }, { random_crop = 8 },
                { conv2d = 4, padding = 1 }, "relu", { batch_norm = 0.1 }, { max_pool = 2 },
                { conv_transpose2d = 2 }, { avg_pool = [2, 1] }, "flatten", { dropout = 0.1 },
                { sequential = [{ linear = 6 }, "tanh"], repeat = 2 }, { residual = [{ linear = 6 }, "gelu"] },
                "layer_norm", "rms_norm", { siren = 5 }, { fourier = 3 }, { sine = 2.0 },
                { linear = "targets", init = { siren = 30 } },
            ]"#,
        );
        let specs = layers(&job.network.layers, 3, None).unwrap();
        let network = Network::<f32>::from_specs([1, 9, 8], &specs, 0).unwrap();
        assert_eq!(network.outputs().dims(), [3]);
        let sequence = r#"[network]
            layers = [{ conv1d = 4 }, { gru = 3 }, { lstm = 4 }, { attention = 2, causal = true }]"#;
        let specs = layers(&job_of(sequence).network.layers, 1, None).unwrap();
        let network = Network::<f32>::from_specs([3, 10], &specs, 0).unwrap();
        assert_eq!(network.outputs().dims(), [4, 4]);
        let open = job_of("[network]\nlayers = [{ embedding = 4 }]");
        assert!(layers(&open.network.layers, 1, None).unwrap_err().to_string().contains("vocabulary = 100"));
    }

    #[test]
    fn balanced_weights_make_all_classes_weigh_the_same() {
        let classes = Array::of([8], vec![0u8, 0, 0, 2, 0, 2, 0, 2]).unwrap();
        let train = Dataset::new(Array::zeros(DType::F32, [8, 1]), classes).unwrap();
        let job = job_of("loss = { kind = 'cross_entropy', class_weights = 'balanced' }");
        let Loss::CrossEntropy(found) = loss(&job.loss, &train, 4).unwrap() else { panic!("another loss") };
        assert_eq!(found.class_weights, [8.0 / 20.0, 1.0, 8.0 / 12.0, 1.0]);
        let positive = |targets: Vec<f32>| {
            let rows = targets.len();
            let (x, y) = (Array::zeros(DType::F32, [rows, 1]), Array::of([rows, 1], targets).unwrap());
            let job = job_of("loss = { kind = 'bce', positive_weight = 'balanced' }");
            match loss(&job.loss, &Dataset::new(x, y).unwrap(), 1).unwrap() {
                Loss::BinaryCrossEntropy(weight) => weight,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(positive(vec![0.0, 1.0, 0.0, 0.0]), 3.0);
        assert_eq!(positive(vec![0.0, 0.0]), 1.0);
    }

    #[test]
    fn lengths_in_epochs_become_lengths_in_steps() {
        let job = job_of("[optimizer]\nrate = 2.0\n[schedule]\nkind = 'cosine'\n[train]\nepochs = 10");
        let optimizer = optimizer(&job, 4).unwrap();
        assert_eq!(optimizer.rate_at(0), 2.0);
        assert!((optimizer.rate_at(20) - 1.0).abs() < 1e-12);
        assert!(optimizer.rate_at(40).abs() < 1e-12);
    }
}
