//! Reports: [`Chart`] draws curves and [`Scatter`] points as SVG, [`Report`] puts them, tables and pictures into one HTML
//! file.

mod html;
mod legend;
mod scatter;
mod svg;

pub use html::Report;
pub use scatter::{Reference, Scatter};
pub use svg::{Chart, Series};

/// A text with the characters that mean something in HTML and SVG written as entities. Control characters,
/// which neither may hold, become the replacement character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}
