//! The jobs in Candle.

use crate::peer::{Args, Result, Steps, element};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW, SGD};
use candle_nn::{loss, ops};
use std::collections::BTreeMap;

type Done = candle_core::Result<Tensor>;

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

fn gemm(args: &Args) -> Result<Steps> {
    let (dtype, [m, n, k]) = args.sizes()?;
    let dtype = match dtype {
        "f32" => DType::F32,
        "f64" => DType::F64,
        "bf16" => DType::BF16,
        _ => return Err("no type i8".into()),
    };
    let matrix = |rows: usize, cols: usize| {
        let values = (0..rows * cols).map(|i| element(i, cols)).collect::<Vec<_>>();
        Tensor::from_vec(values, (rows, cols), &Device::Cpu)?.to_dtype(dtype)
    };
    let (a, b) = (matrix(m, k)?, matrix(k, n)?);
    Ok(Box::new(move |count| {
        let mut c = a.matmul(&b)?;
        for _ in 1..count {
            c = a.matmul(&b)?;
        }
        let size = m.min(n);
        let at = Tensor::from_vec((0..size as u32).collect(), (size, 1), &Device::Cpu)?;
        Ok(c.narrow(0, 0, size)?.gather(&at, 1)?.to_dtype(DType::F64)?.abs()?.mean_all()?.to_scalar()?)
    }))
}

/// Parameters by name.
#[derive(Clone)]
struct Weights(BTreeMap<String, Var>);

impl Weights {
    /// The weights that every framework begins with.
    fn initial(args: &Args, job: &str, dtype: DType) -> Result<Weights> {
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(args.data.join(job))? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default().to_string();
            if name.contains('.') {
                all.insert(name, Var::from_tensor(&Tensor::read_npy(&path)?.to_dtype(dtype)?)?);
            }
        }
        Ok(Weights(all))
    }

    fn get(&self, name: &str) -> &Tensor {
        self.0[name].as_tensor()
    }

    fn vars(&self) -> Vec<Var> {
        self.0.values().cloned().collect()
    }

    /// In the type of x: of bf16 the weights are the rounded f32 masters.
    fn linear(&self, name: &str, x: &Tensor) -> Done {
        let part = |kind: &str| self.get(&format!("{name}.{kind}")).to_dtype(x.dtype());
        x.matmul(&part("weight")?)?.broadcast_add(&part("bias")?)
    }

    /// The written-out form: the fused one has no derivative.
    fn layer_norm(&self, name: &str, x: &Tensor) -> Done {
        let x = x.broadcast_sub(&x.mean_keepdim(1)?)?;
        let scale = (x.sqr()?.mean_keepdim(1)? + 1e-5)?.sqrt()?;
        x.broadcast_div(&scale)?
            .broadcast_mul(self.get(&format!("{name}.weight")))?
            .broadcast_add(self.get(&format!("{name}.bias")))
    }
}

enum Update {
    Sgd(SGD),
    Adam(AdamW),
}

impl Update {
    fn sgd(weights: &Weights, rate: f64) -> Result<Update> {
        Ok(Update::Sgd(SGD::new(weights.vars(), rate)?))
    }

    fn adam(weights: &Weights, weight_decay: f64) -> Result<Update> {
        let params = ParamsAdamW { weight_decay, ..ParamsAdamW::default() };
        Ok(Update::Adam(AdamW::new(weights.vars(), params)?))
    }

    fn step(&mut self, loss: &Tensor) -> candle_core::Result<()> {
        match self {
            Update::Sgd(o) => o.backward_step(loss),
            Update::Adam(o) => o.backward_step(loss),
        }
    }
}

/// Steps of training over batch after batch of x and y.
fn training(
    mut update: Update,
    x: Tensor,
    y: Tensor,
    batch: usize,
    loss: impl Fn(&Tensor, &Tensor) -> Done + 'static,
) -> Result<Steps> {
    let (mut number, batches) = (0, x.dim(0)? / batch);
    Ok(Box::new(move |count| {
        let mut last = None;
        for _ in 0..count {
            let at = number % batches * batch;
            number += 1;
            let value = loss(&x.narrow(0, at, batch)?, &y.narrow(0, at, batch)?)?;
            update.step(&value)?;
            last = Some(value);
        }
        Ok(last.ok_or("no step")?.to_dtype(DType::F64)?.to_scalar()?)
    }))
}

fn data(args: &Args, name: &str) -> Result<Tensor> {
    Ok(Tensor::read_npy(args.file(name))?)
}

fn pixels(args: &Args) -> Result<Tensor> {
    let bytes = data(args, "mnist/images")?;
    let values = bytes.flatten_all()?.to_vec1::<u8>()?.into_iter().map(|p| f32::from(p) / 256.0 - 0.5);
    Ok(Tensor::from_vec(values.collect::<Vec<f32>>(), bytes.dims(), &Device::Cpu)?)
}

fn labels(args: &Args) -> Result<Tensor> {
    Ok(data(args, "mnist/labels")?.to_dtype(DType::U32)?)
}

fn tanh_net(w: &Weights, names: &[&str], compute: DType, x: &Tensor, y: &Tensor) -> Done {
    let mut z = w.linear(names[0], &x.to_dtype(compute)?)?;
    for name in &names[1..] {
        z = w.linear(name, &z.tanh()?)?;
    }
    loss::mse(&ops::sigmoid(&z)?.to_dtype(y.dtype())?, y)
}

fn image_net(args: &Args) -> Result<Steps> {
    let (dtype, compute) = match &args.case[..4] {
        "f64-" => (DType::F64, DType::F64),
        "bf16" => (DType::F32, DType::BF16),
        _ => (DType::F32, DType::F32),
    };
    let w = Weights::initial(args, "image-net", dtype)?;
    let x = data(args, "image-net/x")?.to_dtype(dtype)?;
    let y = data(args, "image-net/y")?.to_dtype(dtype)?;
    let update = if args.case.ends_with("adam") { Update::adam(&w, 0.0)? } else { Update::sgd(&w, 0.1)? };
    training(update, x, y, 40_000, move |x, y| tanh_net(&w, &["l0", "l1", "l2", "l3"], compute, x, y))
}

fn tiny(args: &Args) -> Result<Steps> {
    let w = Weights::initial(args, "tiny", DType::F32)?;
    let (x, y) = (data(args, "tiny/x")?, data(args, "tiny/y")?);
    training(Update::sgd(&w, 0.5)?, x, y, 4, move |x, y| tanh_net(&w, &["hidden", "out"], DType::F32, x, y))
}

fn relu_net(w: &Weights, x: &Tensor) -> Done {
    w.linear("out", &w.linear("hidden", x)?.relu()?)
}

fn small_net(args: &Args) -> Result<Steps> {
    let w = Weights::initial(args, "small-net", DType::F32)?;
    let update = Update::adam(&w, 0.0)?;
    training(update, pixels(args)?, labels(args)?, args.batch()?, move |x, y| {
        loss::cross_entropy(&relu_net(&w, x)?, y)
    })
}

fn logistic(args: &Args) -> Result<Steps> {
    let w = Weights::initial(args, "logistic", DType::F64)?;
    let (x, y) = (data(args, "logistic/x")?, data(args, "logistic/y")?);
    training(Update::sgd(&w, 0.5)?, x, y, 100_000, move |x, y| {
        let z = w.linear("out", x)?;
        let softplus = (z.relu()? + (z.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        (softplus - (z * y)?)?.mean_all()
    })
}

/// x is [2048, 128], rows of one sequence of 64 after the other.
fn attention(w: &Weights, name: &str, x: &Tensor, mask: &Tensor) -> Done {
    let part = |part: &str| {
        w.linear(&format!("{name}.{part}"), x)?.reshape((32, 64, 4, 32))?.transpose(1, 2)?.contiguous()
    };
    let (q, k, v) = (part("query")?, part("key")?, part("value")?);
    let scores = (q * 32f64.powf(-0.5))?.matmul(&k.t()?)?.broadcast_add(mask)?;
    let y = ops::softmax(&scores, 3)?.matmul(&v)?;
    w.linear(&format!("{name}.out"), &y.transpose(1, 2)?.reshape((2048, 128))?)
}

fn char_lm(args: &Args) -> Result<Steps> {
    if args.case != "f32" {
        return Err("not written".into());
    }
    let w = Weights::initial(args, "char-lm", DType::F32)?;
    let text = data(args, "char-lm/text")?.to_dtype(DType::U32)?;
    let count = (text.dim(0)? - 1) / 2048 * 2048;
    let (x, y) = (text.narrow(0, 0, count)?, text.narrow(0, 1, count)?);
    let hidden = (0..64 * 64).map(|i| if i % 64 > i / 64 { f32::NEG_INFINITY } else { 0.0 }).collect();
    let mask = Tensor::from_vec(hidden, (64, 64), &Device::Cpu)?;
    training(Update::adam(&w, 0.01)?, x, y, 2048, move |x, y| {
        let token = w.get("token.weight").index_select(x, 0)?.reshape((32, 64, 128))?;
        let mut z = token.broadcast_add(w.get("place.weight"))?.reshape((2048, 128))?;
        for i in 0..4 {
            let name = |part: &str| format!("block{i}.{part}");
            z = (&z + attention(&w, &name("attention"), &w.layer_norm(&name("norm0"), &z)?, &mask)?)?;
            let up = w.linear(&name("up"), &w.layer_norm(&name("norm1"), &z)?)?.gelu_erf()?;
            z = (&z + w.linear(&name("down"), &up)?)?;
        }
        loss::cross_entropy(&w.linear("out", &w.layer_norm("norm", &z)?)?, y)
    })
}

fn cnn(args: &Args) -> Result<Steps> {
    let w = Weights::initial(args, "cnn", DType::F32)?;
    let y = labels(args)?.narrow(0, 0, 6400)?;
    training(Update::adam(&w, 0.0)?, data(args, "cnn/x")?, y, 64, move |x, y| {
        let layer = |name: &str, x: &Tensor| {
            let bias = w.get(&format!("{name}.bias")).reshape((1, (), 1, 1))?;
            let z = x.conv2d(w.get(&format!("{name}.weight")), 1, 1, 1, 1)?.broadcast_add(&bias)?.relu()?;
            let (n, c, height, width) = z.dims4()?;
            // The derivative of `max_pool2d` divides by the size of the window.
            z.reshape((n, c, height / 2, 2, width / 2, 2))?.max(5)?.max(3)
        };
        let z = layer("conv1", &layer("conv0", x)?)?;
        loss::cross_entropy(&w.linear("out", &z.flatten_from(1)?)?, y)
    })
}

fn serve(args: &Args) -> Result<Steps> {
    let w = Weights::initial(args, "small-net", DType::F32)?;
    let x = data(args, "serve/x")?.narrow(0, 0, args.batch()?)?.copy()?;
    // Without the tracking of gradients.
    let part = |name: &str| w.get(name).detach();
    let (w0, b0, w1, b1) = (part("hidden.weight"), part("hidden.bias"), part("out.weight"), part("out.bias"));
    Ok(Box::new(move |count| {
        let forward = || {
            let hidden = x.matmul(&w0)?.broadcast_add(&b0)?.relu()?;
            hidden.matmul(&w1)?.broadcast_add(&b1)
        };
        let mut logits: Tensor = forward()?;
        for _ in 1..count {
            logits = forward()?;
        }
        Ok(logits.to_dtype(DType::F64)?.abs()?.mean_all()?.to_scalar()?)
    }))
}
