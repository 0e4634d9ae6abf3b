//! Ranks under a launcher: what they exchange, and how they end.
//!
//! The launcher starts this program again, as the test `as_rank` with the name of a part in its environment.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod endings;
mod launcher;
mod parts;

use launcher::{Launch, launch};

#[test]
fn as_rank() {
    if let Ok(part) = std::env::var(launcher::PART) {
        parts::take(&part);
    }
}

#[test]
fn each_gets_what_each_has_sent() {
    for ranks in 1..=4 {
        let Some(end) = launch(ranks, "exchange") else { return };
        end.check_success();
        assert_eq!(end.count("exchanged"), ranks, "{end:?}");
    }
}

#[test]
fn sums_are_those_of_one_process() {
    for ranks in 1..=4 {
        let Some(end) = launch(ranks, "reduce") else { return };
        end.check_success();
        assert_eq!(end.count("reduced"), ranks, "{end:?}");
    }
}

#[test]
fn who_computes_for_long_is_alive() {
    let Some(end) = launch(3, "slow") else { return };
    end.check_success();
    assert!(end.seconds() >= parts::SLOW.as_secs_f64(), "{end:?}");
}

#[test]
fn a_process_without_a_launcher_is_alone() {
    let Some(end) = Launch::alone("alone") else { return };
    end.check_success();
    assert_eq!(end.count("alone"), 1, "{end:?}");
}
