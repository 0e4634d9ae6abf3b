//! Threads that share a device: one's work must not come into what another records.

use crate::common;
use crate::graphs::{Small, ones, run};
use std::thread;

#[test]
fn threads_share_a_device() {
    let Some(cuda) = common::device() else { return };
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let ones = ones();
                for round in 0..10 {
                    let mut small = Small::sum();
                    let mut program = small.compile(cuda).expect("a program");
                    for step in 1..=5 {
                        run(&mut program, &[&ones], &mut small.store)
                            .unwrap_or_else(|e| panic!("thread {thread}, round {round}: {e}"));
                        assert_eq!(small.bits()[0], (1.0 + step as f32).to_bits());
                    }
                }
            });
        }
    });
}
