//! The jobs in Burn.

use crate::npy;
use crate::peer::{Args, Result, Steps, element};
use crate::weights::{Names, Weights, device, read};
use burn::nn::loss::{CrossEntropyLossConfig, MseLoss, Reduction};
use burn::nn::pool::MaxPool2dConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData, activation, module};

pub fn build(args: &Args) -> Result<Steps> {
    match &args.job[..] {
        "gemm" => gemm(args),
        "image-net" => image_net(args),
        "small-net" => small_net(args),
        "tiny" => tiny(args),
        "char-lm" => char_lm(args),
        "cnn" => cnn(args),
        "logistic" => logistic(args),
        "serve" => serve(args),
        job => Err(format!("no job {job}").into()),
    }
}

/// The mean of the sizes, as a number.
fn mean_size<const D: usize>(x: Tensor<D>) -> f64 {
    number(x.cast(FloatDType::F64).abs().mean())
}

fn number(x: Tensor<1>) -> f64 {
    x.into_data().iter::<f64>().next().unwrap_or(f64::NAN)
}

fn gemm(args: &Args) -> Result<Steps> {
    let (dtype, [m, n, k]) = args.sizes()?;
    let dtype = match dtype {
        "f32" => DType::F32,
        "f64" => DType::F64,
        "bf16" => DType::BF16,
        _ => return Err("no product of i8 with sums in i32".into()),
    };
    let matrix = |rows: usize, cols: usize| -> Tensor<2> {
        let values = (0..rows * cols).map(|i| element(i, cols)).collect::<Vec<f64>>();
        Tensor::from_data(TensorData::new(values, [rows, cols]), (&Device::flex(), dtype))
    };
    let (a, b, size) = (matrix(m, k), matrix(k, n), m.min(n));
    let at = (0..size as i32).collect::<Vec<_>>();
    let at = Tensor::<2, Int>::from_data(TensorData::new(at, [size, 1]), (&Device::flex(), DType::I32));
    Ok(Box::new(move |count| {
        let mut c = a.clone().matmul(b.clone());
        for _ in 1..count {
            c = a.clone().matmul(b.clone());
        }
        Ok(mean_size(c.narrow(0, 0, size).gather(1, at.clone())))
    }))
}

fn sgd(rate: f64) -> (ModuleOptimizer, f64) {
    (SgdConfig::new().init(), rate)
}

fn adam() -> (ModuleOptimizer, f64) {
    (AdamConfig::new().with_epsilon(1e-8).init(), 1e-3)
}

/// Steps of training; `loss` takes the weights and the number of the batch.
fn training(
    (mut optimizer, rate): (ModuleOptimizer, f64),
    weights: Weights,
    loss: impl Fn(&Weights, usize) -> Tensor<1> + 'static,
) -> Result<Steps> {
    let (mut weights, mut batch) = (Some(weights), 0);
    Ok(Box::new(move |count| {
        let mut last = None;
        for _ in 0..count {
            let before = weights.take().ok_or("no weights")?;
            let value = loss(&before, batch);
            batch += 1;
            let gradients = GradientsParams::from_grads(value.backward(), &before);
            weights = Some(optimizer.step(rate, before, gradients));
            last = Some(value);
        }
        Ok(number(last.ok_or("no step")?))
    }))
}

/// Data that lie on the device.
fn data<const D: usize>(args: &Args, name: &str, dtype: DType) -> Result<Tensor<D>> {
    read(&args.file(name), dtype, &device())
}

fn whole_numbers(args: &Args, name: &str) -> Result<Tensor<1, Int>> {
    let (shape, values) = npy::read(&args.file(name), |x| x as i32)?;
    Ok(Tensor::from_data(TensorData::new(values, shape), (&device(), DType::I32)))
}

/// MNIST's images in [-0.5, 0.5).
fn pixels(args: &Args) -> Result<Tensor<2>> {
    let (shape, values) = npy::read(&args.file("mnist/images"), |p| (p / 256.0 - 0.5) as f32)?;
    Ok(Tensor::from_data(TensorData::new(values, shape), (&device(), DType::F32)))
}

fn cross_entropy(logits: Tensor<2>, y: Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, y)
}

fn tanh_net(w: &Weights, names: &Names, layers: &[&str], x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    let mut z = w.linear(names, layers[0], x);
    for layer in &layers[1..] {
        z = w.linear(names, layer, z.tanh());
    }
    let mut out = activation::sigmoid(z);
    if out.dtype() != y.dtype() {
        out = out.cast(FloatDType::F32);
    }
    MseLoss::new().forward(out, y, Reduction::Mean)
}

fn image_net(args: &Args) -> Result<Steps> {
    let (dtype, compute) = match &args.case[..4] {
        "f64-" => (DType::F64, DType::F64),
        "bf16" => (DType::F32, DType::BF16),
        _ => (DType::F32, DType::F32),
    };
    if args.case == "f64-adam" {
        return Err("its Adam holds the constants in f32".into());
    }
    let (w, names) = Weights::initial(args, "image-net", dtype)?;
    let (x, y) = (data::<2>(args, "image-net/x", compute)?, data::<2>(args, "image-net/y", dtype)?);
    training(if args.case.ends_with("adam") { adam() } else { sgd(0.1) }, w, move |w, _| {
        tanh_net(w, &names, &["l0", "l1", "l2", "l3"], x.clone(), y.clone())
    })
}

fn tiny(args: &Args) -> Result<Steps> {
    let (w, names) = Weights::initial(args, "tiny", DType::F32)?;
    let (x, y) = (data::<2>(args, "tiny/x", DType::F32)?, data::<2>(args, "tiny/y", DType::F32)?);
    training(sgd(0.5), w, move |w, _| tanh_net(w, &names, &["hidden", "out"], x.clone(), y.clone()))
}

fn relu_net(w: &Weights, names: &Names, x: Tensor<2>) -> Tensor<2> {
    w.linear(names, "out", activation::relu(w.linear(names, "hidden", x)))
}

fn small_net(args: &Args) -> Result<Steps> {
    let (w, names) = Weights::initial(args, "small-net", DType::F32)?;
    let (x, y, n) = (pixels(args)?, whole_numbers(args, "mnist/labels")?, args.batch()?);
    training(adam(), w, move |w, batch| {
        let at = batch % (60_000 / n) * n;
        cross_entropy(relu_net(w, &names, x.clone().narrow(0, at, n)), y.clone().narrow(0, at, n))
    })
}

fn logistic(args: &Args) -> Result<Steps> {
    let (w, names) = Weights::initial(args, "logistic", DType::F64)?;
    let (x, y) = (data::<2>(args, "logistic/x", DType::F64)?, data::<2>(args, "logistic/y", DType::F64)?);
    training(sgd(0.5), w, move |w, _| {
        let z = w.linear(&names, "out", x.clone());
        ((y.clone().neg() + 1.0) * z.clone() - activation::log_sigmoid(z)).mean()
    })
}

fn attention(w: &Weights, names: &Names, name: &str, x: Tensor<3>) -> Tensor<3> {
    let part = |part: &str| {
        w.linear(names, &format!("{name}.{part}"), x.clone()).reshape([32, 64, 4, 32]).swap_dims(1, 2)
    };
    let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
    let y = module::attention(part("query"), part("key"), part("value"), None, None, options);
    w.linear(names, &format!("{name}.out"), y.swap_dims(1, 2).reshape([32, 64, 128]))
}

fn char_lm(args: &Args) -> Result<Steps> {
    if args.case != "f32" {
        return Err("not written".into());
    }
    let (w, names) = Weights::initial(args, "char-lm", DType::F32)?;
    let text = whole_numbers(args, "char-lm/text")?;
    let batches = (text.dims()[0] - 1) / 2048;
    let optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init();
    training((optimizer, 1e-3), w, move |w, batch| {
        let at = batch % batches * 2048;
        let x = text.clone().narrow(0, at, 2048).reshape([32, 64]);
        let place = w.matrix(&names, "place.weight").unsqueeze::<3>();
        let mut z = module::embedding(w.matrix(&names, "token.weight"), x) + place;
        for i in 0..4 {
            let name = |part: &str| format!("block{i}.{part}");
            let normed = w.layer_norm(&names, &name("norm0"), z.clone());
            z = z + attention(w, &names, &name("attention"), normed);
            let normed = w.layer_norm(&names, &name("norm1"), z.clone());
            let up = activation::gelu(w.linear(&names, &name("up"), normed));
            z = z + w.linear(&names, &name("down"), up);
        }
        let logits = w.linear(&names, "out", w.layer_norm(&names, "norm", z));
        cross_entropy(logits.reshape([2048, 65]), text.clone().narrow(0, at + 1, 2048))
    })
}

fn cnn(args: &Args) -> Result<Steps> {
    let (w, names) = Weights::initial(args, "cnn", DType::F32)?;
    let (x, y) = (data::<4>(args, "cnn/x", DType::F32)?, whole_numbers(args, "mnist/labels")?);
    let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
    training(adam(), w, move |w, batch| {
        let at = batch % 100 * 64;
        let z = pool.forward(activation::relu(w.conv(&names, "conv0", x.clone().narrow(0, at, 64))));
        let z = pool.forward(activation::relu(w.conv(&names, "conv1", z)));
        cross_entropy(w.linear(&names, "out", z.flatten::<2>(1, 3)), y.clone().narrow(0, at, 64))
    })
}

fn serve(args: &Args) -> Result<Steps> {
    let (w, names) = Weights::initial(args, "small-net", DType::F32)?;
    let x = read::<2>(&args.file("serve/x"), DType::F32, &Device::flex())?.narrow(0, 0, args.batch()?);
    let part = |name: &str| {
        let weight = w.matrix(&names, &format!("{name}.weight")).inner();
        (weight, Some(w.vector(&names, &format!("{name}.bias")).inner()))
    };
    let ((w0, b0), (w1, b1)) = (part("hidden"), part("out"));
    Ok(Box::new(move |count| {
        let forward = || {
            let hidden = activation::relu(module::linear(x.clone(), w0.clone(), b0.clone()));
            module::linear(hidden, w1.clone(), b1.clone())
        };
        let mut logits = forward();
        for _ in 1..count {
            logits = forward();
        }
        Ok(mean_size(logits))
    }))
}
