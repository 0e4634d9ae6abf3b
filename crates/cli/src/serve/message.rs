//! [`Request`]: what a client asks to infer, as JSON and the bytes that follow it.

use super::refusal::Refusal;
use super::tensor::{Datatype, JsonValues, Values};
use serde::Deserialize;

/// The most axes of a tensor.
const MOST_AXES: usize = 8;

/// What a client asks for.
#[derive(Debug)]
pub struct Request {
    /// Echoed in the reply.
    pub id: Option<String>,
    pub tensors: Vec<Tensor>,
    /// None: all outputs.
    pub wanted: Option<Vec<Wanted>>,
    /// Whether outputs of which nothing else is said are wanted as bytes.
    pub binary: bool,
}

/// An input.
#[derive(Debug)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Values,
}

/// An output by name.
#[derive(Debug, PartialEq)]
pub struct Wanted {
    pub name: String,
    pub binary: bool,
}

#[derive(Deserialize)]
struct Body {
    id: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    inputs: Vec<Input>,
    outputs: Option<Vec<Output>>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    #[serde(default)]
    parameters: Parameters,
    data: Option<JsonValues>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

/// Parameters that mean something here. Others are for other servers.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Parameters {
    binary_data_size: Option<usize>,
    binary_data: Option<bool>,
    binary_data_output: Option<bool>,
    /// Asks for other answers, as do the next two: an answer that leaves them out would be a wrong one.
    classification: Option<u64>,
    shared_memory_region: Option<String>,
    sequence_id: Option<serde_json::Value>,
}

impl Parameters {
    fn check(&self) -> Result<(), Refusal> {
        let named = [
            ("classification", self.classification.is_some()),
            ("shared_memory_region", self.shared_memory_region.is_some()),
            ("sequence_id", self.sequence_id.is_some()),
        ];
        match named.iter().find(|(_, is_there)| *is_there) {
            Some((name, _)) => Err(Refusal::bad(format!("the parameter {name:?} is not supported"))),
            None => Ok(()),
        }
    }
}

impl Request {
    /// Reads a body of which so many bytes are JSON; none: all of them.
    pub fn parse(body: &[u8], json: Option<usize>) -> Result<Request, Refusal> {
        let json = json.unwrap_or(body.len());
        let (json, mut bytes) = body.split_at_checked(json).ok_or_else(|| {
            Refusal::bad(format!(
                "Inference-Header-Content-Length is {json}, and the request has {} bytes",
                body.len()
            ))
        })?;
        let body: Body = serde_json::from_slice(json)
            .map_err(|e| Refusal::bad(format!("the request is no inference request in JSON: {e}")))?;
        body.parameters.check()?;
        let mut tensors: Vec<Tensor> = Vec::new();
        for input in body.inputs {
            if tensors.iter().any(|tensor| tensor.name == input.name) {
                return Err(Refusal::bad(format!("the input {:?} is there twice", input.name)));
            }
            tensors.push(input.tensor(&mut bytes)?);
        }
        if !bytes.is_empty() {
            return Err(Refusal::bad(format!("{} bytes follow those of the last input", bytes.len())));
        }
        let binary = body.parameters.binary_data_output.unwrap_or(false);
        let wanted = |output: Output| {
            output.parameters.check()?;
            Ok(Wanted { name: output.name, binary: output.parameters.binary_data.unwrap_or(binary) })
        };
        // Some clients write no outputs for all of them.
        let outputs = body.outputs.filter(|outputs| !outputs.is_empty());
        let wanted = outputs
            .map(|outputs| outputs.into_iter().map(wanted).collect::<Result<Vec<_>, Refusal>>())
            .transpose()?;
        Ok(Request { id: body.id, tensors, wanted, binary })
    }
}

impl Input {
    /// The tensor, whose bytes are taken off those that follow the JSON.
    fn tensor(self, bytes: &mut &[u8]) -> Result<Tensor, Refusal> {
        self.parameters.check()?;
        let Input { name, shape, datatype, parameters, data } = self;
        let wrong = |problem: String| Refusal::bad(format!("input {name:?}: {problem}"));
        let datatype = Datatype::named(&datatype).map_err(wrong)?;
        if shape.len() > MOST_AXES {
            return Err(wrong(format!("{} axes, and {MOST_AXES} are the most", shape.len())));
        }
        let elements = shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
        let elements = elements.ok_or_else(|| wrong(format!("the shape {shape:?} is too large")))?;
        let values = match (parameters.binary_data_size, data) {
            (None, Some(data)) => data.values(datatype).map_err(wrong)?,
            (Some(size), None) => {
                let (own, rest) = bytes.split_at_checked(size).ok_or_else(|| {
                    wrong(format!("binary_data_size is {size}, and {} bytes follow", bytes.len()))
                })?;
                *bytes = rest;
                Values::from_bytes(datatype, own, elements).map_err(wrong)?
            }
            (Some(_), Some(_)) => return Err(wrong("data, and binary_data_size: give one of them".into())),
            (None, None) => return Err(wrong("no data and no binary_data_size: give one of them".into())),
        };
        if values.len() != elements {
            return Err(wrong(format!("{} elements for the shape {shape:?}", values.len())));
        }
        Ok(Tensor { name, shape, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_follow_in_the_order_of_the_inputs() {
        let json = br#"{"id": "7", "parameters": {"binary_data_output": true, "priority": 3}, "inputs": [
            {"name": "a", "shape": [2], "datatype": "UINT8", "parameters": {"binary_data_size": 2}},
            {"name": "b", "shape": [1, 2], "datatype": "FP64", "data": [[1, 2]]},
            {"name": "c", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}],
            "outputs": [{"name": "x", "parameters": {"binary_data": false}}, {"name": "y"}]}"#;
        let body = [&json[..], &[5, 6], &[1, 0, 0, 0, b'w']].concat();
        let request = Request::parse(&body, Some(json.len())).unwrap();
        let values: Vec<&Values> = request.tensors.iter().map(|tensor| &tensor.values).collect();
        let expected = [
            &Values::Numbers(vec![5.0, 6.0]),
            &Values::Numbers(vec![1.0, 2.0]),
            &Values::Words(vec!["w".into()]),
        ];
        assert_eq!(values, expected);
        assert_eq!((request.id.as_deref(), request.binary), (Some("7"), true));
        let wanted = |name: &str, binary| Wanted { name: name.into(), binary };
        assert_eq!(request.wanted, Some(vec![wanted("x", false), wanted("y", true)]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let of = |input: &str| format!(r#"{{"inputs": [{{"name": "a", {input}}}]}}"#);
        for (body, json, part) in [
            (String::new(), None, "no inference request in JSON"),
            ("{}".into(), None, "missing field `inputs`"),
            ("[".repeat(100_000), None, "no inference request"),
            (format!(r#"{{"inputs": {}"#, "[".repeat(100_000)), None, "no inference request"),
            (of(r#""datatype": "FP32", "data": [1]"#), None, "missing field `shape`"),
            (of(r#""shape": [-1], "datatype": "FP32", "data": [1]"#), None, "-1"),
            (of(r#""shape": [2], "datatype": "FP32", "data": [1]"#), None, "1 elements for the shape [2]"),
            (of(r#""shape": [1], "datatype": "FP32""#), None, "give one of them"),
            (of(r#""shape": [1], "datatype": "FP99", "data": [1]"#), None, "\"FP99\" is not taken"),
            (
                of(r#""shape": [4294967296, 4294967296], "datatype": "FP32", "data": [1]"#),
                None,
                "is too large",
            ),
            (of(r#""shape": [1,1,1,1,1,1,1,1,1], "datatype": "FP32", "data": [1]"#), None, "9 axes"),
            (
                of(r#""shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}"#),
                None,
                "binary_data_size is 4, and 0 bytes follow",
            ),
            (
                of(r#""shape": [1], "datatype": "FP32", "parameters": {"shared_memory_region": "r"}"#),
                None,
                "\"shared_memory_region\" is not supported",
            ),
            ("{}".into(), Some(3), "Inference-Header-Content-Length is 3, and the request has 2 bytes"),
            (r#"{"inputs": []}x"#.into(), Some(14), "1 bytes follow"),
        ] {
            let refusal = Request::parse(body.as_bytes(), json).unwrap_err();
            assert_eq!(refusal.status, 400);
            assert!(refusal.message.contains(part), "{body:.200}: {}", refusal.message);
        }
    }
}
