//! Replies: answers as JSON and bytes, and refusals.

use super::refusal::Refusal;
use super::signature::Output;
use super::tensor::Answers;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

/// The header that says how many bytes of a body are JSON.
pub const JSON_LENGTH: &str = "inference-header-content-length";

pub type Reply = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

fn reply(status: StatusCode, kind: HeaderValue, body: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

/// A value as JSON.
pub fn json(value: &Value) -> Reply {
    reply(StatusCode::OK, JSON, value.to_string().into_bytes())
}

/// Text for Prometheus.
pub fn metrics(text: String) -> Reply {
    reply(StatusCode::OK, METRICS, text.into_bytes())
}

/// What the protocol has for errors.
pub fn refused(refusal: &Refusal) -> Reply {
    let body = json!({ "error": refusal.message }).to_string().into_bytes();
    let mut reply = reply(refusal.status, JSON, body);
    if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    reply
}

/// What a reply to a request to infer is about.
pub struct Answered<'a> {
    pub model: &'a str,
    pub version: &'a str,
    pub id: Option<&'a str>,
    pub rows: usize,
    pub outputs: Vec<Output<'a>>,
}

#[derive(Serialize)]
struct Body<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<Tensor<'a>>,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Answers<'a>>,
}

/// The reply to a request to infer: JSON, and the bytes of those outputs that are wanted so.
pub fn answered(answered: Answered<'_>) -> Reply {
    let mut bytes = Vec::new();
    let mut any = false;
    let mut tensor = |Output { spec, values, binary }| {
        let shape = [&[answered.rows], &spec.row[..]].concat();
        let own = binary.then(|| values.bytes());
        any |= binary;
        let parameters = own.as_ref().map(|own| json!({ "binary_data_size": own.len() }));
        bytes.extend(own.unwrap_or_default());
        let data = (!binary).then_some(values);
        Tensor { name: &spec.name, datatype: spec.datatype.name(), shape, parameters, data }
    };
    let body = Body {
        model_name: answered.model,
        model_version: answered.version,
        id: answered.id,
        outputs: answered.outputs.into_iter().map(&mut tensor).collect(),
    };
    // Names and finite numbers: there is nothing in it that has no form in JSON.
    let mut body = serde_json::to_vec(&body).unwrap_or_default();
    let length = body.len();
    body.append(&mut bytes);
    if !any {
        return reply(StatusCode::OK, JSON, body);
    }
    let mut reply = reply(StatusCode::OK, BYTES, body);
    reply.headers_mut().insert(JSON_LENGTH, HeaderValue::from(length));
    reply
}

#[cfg(test)]
mod tests {
    use super::super::signature::Spec;
    use super::super::tensor::Datatype;
    use super::*;
    use http_body_util::BodyExt;

    #[test]
    fn bytes_follow_the_json_in_the_order_of_the_outputs() {
        let words = Spec::new("w", Datatype::Bytes, &[]);
        let numbers = Spec::new("n", Datatype::Fp64, &[2]);
        let reply = answered(Answered {
            model: "m",
            version: "1",
            id: Some("7"),
            rows: 1,
            outputs: vec![
                Output { spec: &numbers, values: Answers::Numbers(&[0.1, 2.0]), binary: false },
                Output { spec: &words, values: Answers::Words(vec!["oak"]), binary: true },
            ],
        });
        let length: usize = reply.headers()[JSON_LENGTH].to_str().unwrap().parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime.block_on(reply.into_body().collect()).unwrap().to_bytes();
        let expected = r#"{"model_name":"m","model_version":"1","id":"7","outputs":[{"name":"n","datatype":"FP64","shape":[1,2],"data":[0.1,2.0]},{"name":"w","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":7}}]}"#;
        assert_eq!(std::str::from_utf8(&body[..length]).unwrap(), expected);
        assert_eq!(&body[length..], b"\x03\0\0\0oak");
    }
}
