//! The thread that owns the model: it takes rows out of the queue, and answers a batch at a time.

use super::metrics::Metrics;
use super::model::Model;
use super::queue::{Queue, Work};
use super::refusal::Refusal;
use hyper::StatusCode;
use ironlearn::Error;
use std::time::Duration;

/// How batches are made.
#[derive(Clone, Copy)]
pub struct Batching {
    /// The most rows.
    pub most: usize,
    /// How long the first request waits for others.
    pub wait: Duration,
}

/// Answers until the queue is closed and empty.
pub fn run(model: &mut Model, queue: &Queue, metrics: &Metrics, batching: Batching) {
    while let Some(works) = queue.take(batching.most, batching.wait) {
        if works.is_empty() {
            continue;
        }
        metrics.batches.add(works.iter().map(|work| work.rows as f64).sum());
        answer(works, &mut |rows, raw| model.answers(rows, raw).map_err(refused));
    }
}

/// Why a model gives no answer. Rows have the right form here: what is wrong with them is what they say.
fn refused(error: Error) -> Refusal {
    match error {
        Error::Usage { .. } => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        _ => error.into(),
    }
}

/// What gives the answers `[rows, width]` for so many raw rows `[rows, columns]`.
type Answering<'a> = dyn FnMut(usize, Vec<f64>) -> Result<Vec<f64>, Refusal> + 'a;

/// Answers requests together. Where that fails, one after the other: what one of them is refused for is no reason to
/// refuse others.
fn answer(mut works: Vec<Work>, answers: &mut Answering<'_>) {
    if let [work] = &mut works[..] {
        let answer = answers(work.rows, std::mem::take(&mut work.raw));
        works.into_iter().for_each(|work| reply(work, answer.clone()));
        return;
    }
    let rows = works.iter().map(|work| work.rows).sum();
    let raw = works.iter().flat_map(|work| &work.raw).copied().collect();
    match answers(rows, raw) {
        Ok(all) => {
            let width = all.len() / rows.max(1);
            let mut rest = &all[..];
            for work in works {
                let (own, others) = rest.split_at(work.rows * width);
                rest = others;
                reply(work, Ok(own.to_vec()));
            }
        }
        Err(_) => works.into_iter().for_each(|work| answer(vec![work], answers)),
    }
}

fn reply(work: Work, answer: Result<Vec<f64>, Refusal>) {
    let answer = answer.and_then(|answer| match answer.iter().position(|x| !x.is_finite()) {
        None => Ok(answer),
        Some(i) => {
            let row = i / (answer.len() / work.rows.max(1)).max(1);
            let problem =
                format!("the answer to row {row} is {}: its numbers are too large for the model", answer[i]);
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, problem))
        }
    });
    // A client that has gone away takes no answer.
    let _ = work.reply.send(answer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::sync::oneshot;

    #[test]
    fn answers_go_where_their_rows_came_from_and_one_bad_row_spoils_no_other() {
        let mut double = |rows: usize, raw: Vec<f64>| match raw.contains(&13.0) {
            true => Err(Refusal::bad("13")),
            false => Ok((0..rows)
                .flat_map(|i| [2.0 * raw[i], if raw[i] == 0.0 { f64::NAN } else { 1.0 }])
                .collect()),
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let (works, receivers): (Vec<_>, Vec<_>) = [vec![1.0, 2.0], vec![5.0], vec![13.0], vec![3.0, 0.0]]
            .map(|raw| {
                let (reply, receiver) = oneshot::channel();
                (Work { rows: raw.len(), raw, arrived: Instant::now(), deadline, reply }, receiver)
            })
            .into_iter()
            .unzip();
        answer(works, &mut double);
        let replies: Vec<_> =
            receivers.into_iter().map(|mut receiver| receiver.try_recv().unwrap()).collect();
        assert_eq!(replies[0], Ok(vec![2.0, 1.0, 4.0, 1.0]));
        assert_eq!(replies[1], Ok(vec![10.0, 1.0]));
        assert_eq!(replies[2], Err(Refusal::bad("13")));
        let refusal = replies[3].clone().unwrap_err();
        assert!(refusal.status == 422 && refusal.message.contains("row 1 is NaN"), "{}", refusal.message);
    }
}
