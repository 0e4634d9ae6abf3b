//! Job files: a job that is read is written and read again as it was.
#![no_main]

use ironlearn::job::Job;
use ironlearn_fuzz::{assert_readable, judged};
use libfuzzer_sys::fuzz_target;

const NONE: [&str; 0] = [];

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(job) = judged(bytes.len(), || Ok(Job::parse(text, &NONE)?)) else { return };
    let written = job.to_toml();
    match Job::parse(&written, &NONE) {
        Ok(again) => assert_eq!(written, again.to_toml()),
        Err(e) => {
            assert_readable(&e.to_string());
            panic!("what was written cannot be read: {e}\n{written}")
        }
    }
});
