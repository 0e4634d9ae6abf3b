//! What stands around a network: from raw rows to its inputs, from its outputs to answers.

use super::Writer;
use crate::Error;
use crate::io::onnx::builder::Value;
use crate::task::{Preparation, Reading, Style};
use ironlearn_ir::{DType, Shape};

/// What an answer is, in words.
pub(super) fn meaning(reading: Reading) -> &'static str {
    match reading {
        Reading::Value => "values",
        Reading::Probability | Reading::Logit => "the probability of a yes",
        Reading::Margin => "above 0 for a yes",
        Reading::ClassLogits | Reading::ClassProbabilities => "a probability for each class",
        Reading::Cluster => "a cluster and a distance",
        Reading::Anomaly => "whether an anomaly, and a log density",
    }
}

impl Writer<'_> {
    /// The inputs of the network for raw rows.
    pub(super) fn prepared(
        &self,
        raw: Value,
        preparation: &Preparation,
        inputs: &Shape,
        dtype: DType,
    ) -> Result<Value, Error> {
        if preparation.input_exponent.is_some() {
            let problem = "the network takes mantissas, as it learned in integers";
            return Err(Error::usage(problem, "export its network of integers"));
        }
        let mut x = raw;
        if dtype == self.dtype {
            x = self.positioned(x, preparation);
            if let Some(scaling) = &preparation.input_scaling {
                let [mean, deviation] =
                    [&scaling.mean, &scaling.deviation].map(|v| self.numbers("scaling", &[v.len()], v));
                x = self.b.op("Div", &[self.b.op("Sub", &[x, mean]), deviation]);
            }
        } else if preparation.canvas.is_some() || preparation.input_scaling.is_some() {
            return Err(Error::usage(
                "the network takes whole numbers, and its preparation would scale them",
                "train it without data.normalize",
            ));
        }
        if inputs.rank() != 1 {
            let dims: Vec<i64> = [-1].into_iter().chain(inputs.iter().map(|&n| n as i64)).collect();
            x = self.b.op("Reshape", &[x, self.b.constant("shape", &[dims.len()], &dims)]);
        }
        Ok(x)
    }

    /// Positions in a picture, (x, y) in pixels, as the network sees them.
    fn positioned(&self, x: Value, preparation: &Preparation) -> Value {
        let Some(canvas) = preparation.canvas else { return x };
        // Where there is one pixel only, it is in the middle.
        let [(sx, ox), (sy, oy)] = [canvas.width, canvas.height].map(|n| match n {
            0 | 1 => (0.0, 0.5),
            _ => (1.0 / (n - 1) as f64, 0.0),
        });
        let (scale, offset, columns) = match canvas.style {
            Style::Square => (vec![2.0 * sx, 0.0, 0.0, 2.0 * sy], vec![2.0 * ox - 1.0, 2.0 * oy - 1.0], 2),
            Style::Ink => (vec![0.0, sx, 0.0, 0.0, 0.0, sy], vec![1.0, ox, oy], 3),
        };
        let scale = self.numbers("scale", &[2, columns], &scale);
        self.b.op("Gemm", &[x, scale, self.numbers("offset", &[columns], &offset)])
    }

    /// The answers for what comes out of the network.
    pub(super) fn answer(&self, y: Value, preparation: &Preparation, outputs: &Shape) -> Value {
        let whole = outputs.rank() == 1 || preparation.text.is_some();
        let mut y = if whole { y } else { self.flat(y) };
        if let Some(scaling) = &preparation.target_scaling {
            let [mean, deviation] =
                [&scaling.mean, &scaling.deviation].map(|v| self.numbers("scaling", &[v.len()], v));
            y = self.b.op("Add", &[self.b.op("Mul", &[y, deviation]), mean]);
        }
        match preparation.reading {
            Reading::Value | Reading::Probability | Reading::Margin | Reading::ClassProbabilities => y,
            Reading::Cluster | Reading::Anomaly => y,
            Reading::Logit => self.b.op("Sigmoid", &[y]),
            Reading::ClassLogits => self.softmax(y),
        }
    }
}
