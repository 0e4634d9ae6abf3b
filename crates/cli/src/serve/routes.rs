//! What is at which address: health, metadata, inference, metrics.

use super::body;
use super::message::Request;
use super::queue::Work;
use super::refusal::Refusal;
use super::reply::{self, Answered, JSON_LENGTH, Reply};
use super::server::Server;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_ENCODING, EXPECT, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::oneshot;
use tokio::time::{Instant as AsyncInstant, timeout_at};

/// The one version of a model.
const VERSION: &str = "1";

/// An address that there is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Route {
    Live,
    Ready,
    ModelReady,
    Server,
    Model,
    Infer,
    Metrics,
}

impl Route {
    fn of(path: &str, model: &str) -> Result<Route, Refusal> {
        let nowhere = |problem: String| Err(Refusal::new(StatusCode::NOT_FOUND, problem));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let rest = match parts[..] {
            ["metrics"] => return Ok(Route::Metrics),
            ["v2"] => return Ok(Route::Server),
            ["v2", "health", "live"] => return Ok(Route::Live),
            ["v2", "health", "ready"] => return Ok(Route::Ready),
            ["v2", "models", name, ..] if name != model => {
                return nowhere(format!("there is no model {name:.100?} here: it is {model:?}"));
            }
            ["v2", "models", _, "versions", version, ..] if version != VERSION => {
                return nowhere(format!(
                    "there is no version {version:.100?} of {model:?}: it is {VERSION:?}"
                ));
            }
            ["v2", "models", _, "versions", _, ref rest @ ..] => rest,
            ["v2", "models", _, ref rest @ ..] => rest,
            _ => &["?"],
        };
        match rest {
            [] => Ok(Route::Model),
            ["ready"] => Ok(Route::ModelReady),
            ["infer"] => Ok(Route::Infer),
            _ => nowhere(format!(
                "there is nothing at {path:.200?}: see /v2, /v2/health/ready, /v2/models/{model}, \
                 /v2/models/{model}/infer, /metrics"
            )),
        }
    }

    fn takes(self, method: &Method) -> bool {
        match self {
            Route::Infer => method == Method::POST,
            _ => method == Method::GET || method == Method::HEAD,
        }
    }
}

/// Answers a request; `full` where it came by a connection beyond the most.
pub async fn handle(server: &Server, mut request: hyper::Request<Incoming>, full: bool) -> Reply {
    let began = Instant::now();
    let route = Route::of(request.uri().path(), &server.name);
    let result = match &route {
        _ if full => Err(Refusal::busy("too many connections: try again later")),
        Err(refusal) => Err(refusal.clone()),
        Ok(route) if !route.takes(request.method()) => {
            let problem = format!("{} is not for {}", request.method(), request.uri().path());
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, problem))
        }
        Ok(Route::Infer) => infer(server, &mut request, began).await,
        Ok(route) => shown(server, *route),
    };
    let mut reply = match result {
        Ok(reply) => reply,
        Err(refusal) => {
            // A client that is still sending would see a broken connection, not the answer.
            if !request.headers().contains_key(EXPECT) {
                body::drain(request.body_mut(), &server.limits).await;
            }
            reply::refused(&refusal)
        }
    };
    if reply.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = if route == Ok(Route::Infer) { "POST" } else { "GET, HEAD" };
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    if full {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let time = (route == Ok(Route::Infer)).then(|| began.elapsed());
    server.metrics.request(reply.status().as_u16(), time);
    reply
}

/// What needs no model.
fn shown(server: &Server, route: Route) -> Result<Reply, Refusal> {
    let name = &server.name;
    let ready = !server.is_stopping();
    let unless_stopping = |reply: Reply| {
        if ready { Ok(reply) } else { Err(Refusal::busy("the server is about to end")) }
    };
    match route {
        Route::Live => Ok(reply::json(&json!({ "live": true }))),
        Route::Ready => unless_stopping(reply::json(&json!({ "ready": true }))),
        Route::ModelReady => unless_stopping(reply::json(&json!({ "name": name, "ready": true }))),
        Route::Server => Ok(reply::json(&json!({
            "name": "ironlearn",
            "version": env!("CARGO_PKG_VERSION"),
            "extensions": ["binary_tensor_data"],
        }))),
        Route::Model => {
            let (inputs, outputs) = server.signature.description();
            Ok(reply::json(&json!({
                "name": name,
                "versions": [VERSION],
                "platform": "ironlearn",
                "inputs": inputs,
                "outputs": outputs,
            })))
        }
        Route::Metrics | Route::Infer => Ok(reply::metrics(server.metrics.text(&[
            ("queue_rows", "Rows that wait for their batch.", server.queue.rows()),
            ("connections", "Open connections.", server.connections()),
        ]))),
    }
}

async fn infer(
    server: &Server,
    request: &mut hyper::Request<Incoming>,
    began: Instant,
) -> Result<Reply, Refusal> {
    let headers = request.headers();
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        let problem = format!("the encoding {encoding:?} is not taken: send the body as it is");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
    }
    let json_length = headers.get(JSON_LENGTH).map(|length| {
        let number = length.to_str().ok().and_then(|text| text.parse().ok());
        number.ok_or_else(|| Refusal::bad(format!("{length:?} is no Inference-Header-Content-Length")))
    });
    let json_length = json_length.transpose()?;
    let limits = &server.limits;
    let deadline = began + limits.timeout;
    // Held until the answer is made: it stands for the memory of the request.
    let _room = body::room(request.body(), server)?;
    let body = body::read(request.body_mut(), limits, deadline).await?;
    let mut request = Request::parse(&body, json_length)?;
    drop(body);
    let wanted = server.signature.wanted(&request)?;
    let (rows, raw) = server.signature.rows(&mut request)?;
    let most = server.queue.most();
    if rows > most {
        let problem = format!("{rows} rows, and {most} are the most of a request");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem));
    }
    let (reply, answer) = oneshot::channel();
    if !server.queue.push(Work { rows, raw, arrived: Instant::now(), deadline, reply }) {
        return Err(Refusal::busy("too many rows wait already: try again later"));
    }
    let late = || Refusal::busy(format!("no answer within {:?}: try again later", limits.timeout));
    let answer = timeout_at(AsyncInstant::from_std(deadline), answer).await;
    // The queue drops what it finds too late.
    let answers = answer.map_err(|_| late())?.map_err(|_| late())??;
    server.metrics.rows.fetch_add(rows as u64, Ordering::Relaxed);
    Ok(reply::answered(Answered {
        model: &server.name,
        version: VERSION,
        id: request.id.as_deref(),
        rows,
        outputs: server.signature.outputs(&answers, &wanted),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_where_the_protocol_says() {
        for (path, route) in [
            ("/v2", Route::Server),
            ("/v2/", Route::Server),
            ("/v2/health/live", Route::Live),
            ("/v2/health/ready", Route::Ready),
            ("/v2/models/m", Route::Model),
            ("/v2/models/m/versions/1", Route::Model),
            ("/v2/models/m/ready", Route::ModelReady),
            ("/v2/models/m/versions/1/ready", Route::ModelReady),
            ("/v2/models/m/infer", Route::Infer),
            ("/v2/models/m/versions/1/infer", Route::Infer),
            ("/metrics", Route::Metrics),
        ] {
            assert_eq!(Route::of(path, "m"), Ok(route), "{path}");
        }
        for (path, part) in [
            ("/", "there is nothing at \"/\""),
            ("/v1/models/m", "there is nothing"),
            ("/v2/models", "there is nothing"),
            ("/v2/models/m/config", "there is nothing"),
            ("/v2/models/m/versions", "there is nothing"),
            ("/v2/models/n/infer", "there is no model \"n\" here: it is \"m\""),
            ("/v2/models/m/versions/2/infer", "there is no version \"2\""),
        ] {
            let refusal = Route::of(path, "m").unwrap_err();
            assert!(refusal.status == 404 && refusal.message.contains(part), "{}", refusal.message);
        }
    }
}
