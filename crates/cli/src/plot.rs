//! Files of curves, by the ending of their names.

use ironlearn::Error;
use ironlearn::io::atomic::write_atomically;
use ironlearn::report::Chart;
use std::io::Write;
use std::path::Path;

/// What curves are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Html,
    Svg,
}

impl Form {
    /// The form that the name of a file asks for.
    ///
    /// # Errors
    /// [`Error::Usage`] where it asks for none.
    pub fn of(path: &Path) -> Result<Form, Error> {
        match path.extension().and_then(|extension| extension.to_str()).map(str::to_lowercase).as_deref() {
            Some("html") => Ok(Form::Html),
            Some("svg") => Ok(Form::Svg),
            _ => {
                let problem = format!("--out {}: curves are drawn as .html or .svg", path.display());
                Err(Error::usage(problem, "name a file with one of these endings"))
            }
        }
    }
}

/// Writes a chart as a file of its own, on white ground.
pub fn write_svg(chart: &Chart, path: &Path) -> Result<(), Error> {
    let svg = chart.svg().replacen("<svg ", "<svg style=\"background:white;color:black\" ", 1);
    write_atomically(path, |file| file.write_all(svg.as_bytes()))
}
