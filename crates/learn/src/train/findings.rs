//! What looks like a mistake while a run goes on: each is told once, or ends the run where it is strict.

use super::watch::Watch;
use crate::Error;

/// Steps at the beginning in which the loss is watched, and how many times that of the first step is too much.
const FIRST_STEPS: u64 = 20;
const ROSE: f64 = 10.0;

/// The findings of a run.
pub(super) struct Findings {
    strict: bool,
    /// The loss of the run's first step.
    first_loss: Option<f64>,
    told: Vec<String>,
}

impl Findings {
    pub fn new(strict: bool) -> Findings {
        Findings { strict, first_loss: None, told: Vec::new() }
    }

    /// What has been told so far.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// The mean loss of a step, of which so many came before it.
    pub fn step(&mut self, before: u64, loss: f64, rate: f64, watch: &mut dyn Watch) -> Result<(), Error> {
        if before >= FIRST_STEPS {
            return Ok(());
        }
        if before == 0 {
            self.first_loss = Some(loss);
        }
        match self.first_loss {
            Some(first) if loss > ROSE * first.abs() => {
                self.first_loss = None;
                let text = format!(
                    "the loss rose from {first:.4e} to {loss:.4e} in the first {} steps: the learning rate {rate} is \
                     likely too high",
                    before + 1
                );
                self.tell(text, watch)
            }
            _ => Ok(()),
        }
    }

    /// What is to be told, as of layers that have stopped to learn.
    pub fn texts(&mut self, texts: Vec<String>, watch: &mut dyn Watch) -> Result<(), Error> {
        texts.into_iter().try_for_each(|text| self.tell(text, watch))
    }

    fn tell(&mut self, text: String, watch: &mut dyn Watch) -> Result<(), Error> {
        // The share of a layer may have grown since.
        let same =
            |told: &String| told.split_once(" % of ").map(|t| t.1) == text.split_once(" % of ").map(|t| t.1);
        if self.told.iter().any(|told| *told == text || (text.contains(" % of ") && same(told))) {
            return Ok(());
        }
        if self.strict {
            return Err(Error::usage(text, "correct it, or train without `strict`"));
        }
        watch.warn(&text);
        self.told.push(text);
        Ok(())
    }
}
