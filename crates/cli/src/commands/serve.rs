//! `ironlearn serve`.

use crate::args::ServeOptions;
use crate::console::Console;
use ironlearn::Error;

#[cfg(feature = "serve")]
pub fn run(options: &ServeOptions, console: &Console) -> Result<u8, Error> {
    let machine = super::train::machine(&options.machine, console)?;
    console.note(&format!("device: {}", machine.name()));
    crate::serve::run(options, &machine, console)
}

#[cfg(not(feature = "serve"))]
pub fn run(_options: &ServeOptions, _console: &Console) -> Result<u8, Error> {
    Err(Error::usage(
        "this program was built without the server",
        "build it with `cargo build --release -p ironlearn-cli --features serve`",
    ))
}
