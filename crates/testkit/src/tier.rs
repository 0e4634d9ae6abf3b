//! How long the long checks run: in seconds with every `cargo test`, to their full figures where the environment
//! asks for it. `scripts/reliability.sh quick|full|soak` sets the variables and prints the figures.

use std::env::var;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;

/// The variable that says which tier runs: `quick`, also where it is unset, or `full`.
pub const TIER: &str = "IRONLEARN_TIER";
/// The variable with the seed that random trials begin from; 1 where it is unset.
pub const SEED: &str = "IRONLEARN_SEED";
/// The variable that names a file to which figures are added, a line each.
pub const FIGURES: &str = "IRONLEARN_FIGURES";

/// `quick` trials, or `full` ones where [`TIER`] asks for them.
///
/// # Panics
/// Where the variable holds anything else than a tier.
pub fn trials(quick: usize, full: usize) -> usize {
    match var(TIER).as_deref() {
        Err(_) | Ok("quick") => quick,
        Ok("full") => full,
        Ok(other) => panic!("{TIER}={other}: there are the tiers quick and full"),
    }
}

/// The seed of random trials: another one for each round of a soak.
///
/// # Panics
/// Where [`SEED`] is no number.
pub fn seed() -> u64 {
    let parse = |text: String| text.parse().unwrap_or_else(|_| panic!("{SEED}={text} is no number"));
    var(SEED).map_or(1, parse)
}

/// Shows a figure that a promise is kept by, such as `report("kills", "200 of 200 resumed")`.
///
/// # Panics
/// Where the file that [`FIGURES`] names cannot be written.
pub fn report(promise: &str, figure: impl Display) {
    println!("{promise}: {figure}");
    if let Ok(path) = var(FIGURES) {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(format!("{promise}: {figure}\n").as_bytes()));
        written.unwrap_or_else(|e| panic!("{FIGURES}={path}: {e}"));
    }
}

/// Says that something is not tested here, and why. It is seen also where the output of tests is kept from sight, as
/// `cargo test` does.
pub fn skipped(what: &str, why: impl Display) {
    // Not by `eprintln!`, whose words are captured. Where nobody can be told, nothing is to be done.
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}: {why}");
}
