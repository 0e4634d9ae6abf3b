//! [`Report`]: one HTML file that needs nothing else, neither network nor scripts.

use super::{Chart, Scatter, escape};
use crate::error::Error;
use crate::io::atomic::write_atomically;
use crate::io::base64;
use crate::picture::Picture;
use std::io::Write;
use std::path::Path;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;\
background:Canvas;color:CanvasText}\
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}\
table{border-collapse:collapse}th,td{text-align:left;padding:.2rem 1.2rem .2rem 0;vertical-align:top;\
border-bottom:1px solid color-mix(in srgb,CanvasText 15%,transparent)}\
table .number{text-align:right}.wide{overflow-x:auto;font-size:.85rem}.wide th,.wide td{white-space:nowrap;padding-right:1rem}\
td{font-variant-numeric:tabular-nums;overflow-wrap:anywhere}\
pre{overflow-x:auto;padding:.8rem;border-radius:.4rem;font-size:.85rem;line-height:1.35;\
background:color-mix(in srgb,CanvasText 7%,transparent)}\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(28rem,100%),1fr));gap:.5rem 1.5rem}\
svg{width:100%;height:auto}\
.pictures{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;flex:1 1 14rem;max-width:24rem}\
figure img{width:100%;height:auto;image-rendering:pixelated}figcaption{font-size:.85rem}\
.sample{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext;text-align:start;margin:.8rem 0;padding:.8rem;\
border-radius:.4rem;background:color-mix(in srgb,CanvasText 7%,transparent)}";

/// A report in the making: sections appear in the order in which they are added.
pub struct Report {
    title: String,
    body: String,
}

impl Report {
    /// An empty report. The title, like every text below, is taken literally: nothing in it is HTML.
    pub fn new(title: &str) -> Report {
        Report { title: escape(title), body: String::new() }
    }

    /// Adds names with their values.
    pub fn table<K: AsRef<str>, V: AsRef<str>>(mut self, heading: &str, rows: &[(K, V)]) -> Report {
        self.heading(heading);
        self.body.push_str("<table>\n");
        for (name, value) in rows {
            let (name, value) = (escape(name.as_ref()), escape(value.as_ref()));
            self.body.push_str(&format!("<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>\n"));
        }
        self.body.push_str("</table>\n");
        self
    }

    /// Adds a table with names above its columns; a column of numbers stands at the right.
    pub fn grid(mut self, heading: &str, names: &[String], rows: &[Vec<String>]) -> Report {
        let is_number = |text: &str| text.trim_end_matches('*').parse::<f64>().is_ok();
        let of_numbers =
            |column: usize| rows.iter().filter_map(|row| row.get(column)).any(|text| is_number(text));
        let class = |column| if of_numbers(column) { " class=\"number\"" } else { "" };
        let line = |tag: &str, row: &[String]| {
            let cell = |(column, text)| format!("<{tag}{}>{}</{tag}>", class(column), escape(text));
            let cells: String = row.iter().map(String::as_str).enumerate().map(cell).collect();
            format!("<tr>{cells}</tr>\n")
        };
        self.heading(heading);
        self.body.push_str(&format!("<div class=\"wide\"><table>\n{}", line("th", names)));
        rows.iter().for_each(|row| self.body.push_str(&line("td", row)));
        self.body.push_str("</table></div>\n");
        self
    }

    /// Adds text whose columns stay aligned, as the table of a network.
    pub fn text(mut self, heading: &str, text: &str) -> Report {
        self.heading(heading);
        self.body.push_str(&format!("<pre>{}</pre>\n", escape(text)));
        self
    }

    /// Adds curves.
    pub fn charts(mut self, heading: &str, charts: &[Chart]) -> Report {
        self.heading(heading);
        self.body.push_str("<div class=\"charts\">\n");
        charts.iter().for_each(|c| self.body.push_str(&c.svg()));
        self.body.push_str("</div>\n");
        self
    }

    /// Adds points, and above them what is to be said of them.
    pub fn scatters(mut self, heading: &str, note: &str, plots: &[Scatter]) -> Report {
        self.heading(heading);
        self.body.push_str(&format!("<p>{}</p>\n<div class=\"charts\">\n", escape(note)));
        plots.iter().for_each(|plot| self.body.push_str(&plot.svg()));
        self.body.push_str("</div>\n");
        self
    }

    /// Adds texts in any script, each line in its own direction, and above them what is to be said of them.
    pub fn samples(mut self, heading: &str, note: &str, samples: &[String]) -> Report {
        self.heading(heading);
        self.body.push_str(&format!("<p>{}</p>\n", escape(note)));
        for sample in samples {
            self.body.push_str(&format!("<div class=\"sample\" dir=\"auto\">{}</div>\n", escape(sample)));
        }
        self
    }

    /// Adds pictures side by side, each with its caption.
    ///
    /// # Errors
    /// [`Error::Usage`] where a picture is too large for a PNG file.
    pub fn pictures(mut self, heading: &str, pictures: &[(&str, &Picture)]) -> Result<Report, Error> {
        self.heading(heading);
        self.body.push_str("<div class=\"pictures\">\n");
        for (caption, picture) in pictures {
            let (data, caption) = (base64::encode(&picture.to_png()?), escape(caption));
            self.body.push_str(&format!(
                "<figure><img alt=\"{caption}\" width=\"{}\" height=\"{}\" src=\"data:image/png;base64,{data}\">\
                 <figcaption>{caption}</figcaption></figure>\n",
                picture.width(),
                picture.height()
            ));
        }
        self.body.push_str("</div>\n");
        Ok(self)
    }

    /// The report as HTML.
    pub fn html(&self) -> String {
        let Report { title, body } = self;
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
        )
    }

    /// Writes the report, atomically.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        write_atomically(path, |w| w.write_all(self.html().as_bytes()))
    }

    fn heading(&mut self, heading: &str) {
        self.body.push_str(&format!("<h2>{}</h2>\n", escape(heading)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> String {
        let picture = Picture::new(1, 1, 1, vec![7]).unwrap();
        let chart = Chart { title: "loss".into(), ..Chart::default() };
        Report::new("<b>run</b>")
            .table("Job", &[("epochs & more", "<3>")])
            .grid("Runs", &["run & more".into(), "loss".into()], &[vec!["<4>".into(), "0.5*".into()]])
            .text("Network", "a  b\n<c>\u{1b}[0m")
            .charts("Curves", &[chart])
            .scatters("Errors", "of <5> rows", &[Scatter::default()])
            .samples("Samples", "by <6>", &["<7>\u{5e9}\u{202e}".into(), "কি".into()])
            .pictures("Pictures", &[("the \"target\"", &picture)])
            .unwrap()
            .html()
    }

    #[test]
    fn texts_are_taken_literally() {
        let html = example();
        for bad in ["<b>", "<3>", "<4>", "<5>", "<6>", "<7>", "<c>", "\u{1b}"] {
            assert!(!html.contains(bad), "{bad}: {html}");
        }
        for good in [
            "&lt;b&gt;run",
            "epochs &amp; more",
            "<th>run &amp; more",
            "<th class=\"number\">loss",
            "<td class=\"number\">0.5*",
            "a  b\n&lt;c&gt;",
            "<p>of &lt;5&gt; rows</p>",
            "<div class=\"sample\" dir=\"auto\">&lt;7&gt;\u{5e9}",
            "<div class=\"sample\" dir=\"auto\">কি</div>",
            "alt=\"the &quot;target&quot;\"",
        ] {
            assert!(html.contains(good), "{good}: {html}");
        }
    }

    #[test]
    fn it_needs_no_network_and_no_scripts_and_every_element_ends() {
        let html = example();
        // The one address is the name of the SVG language, which nothing fetches.
        let addresses = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for bad in ["http", "<script", "<link", "@import", "url("] {
            assert!(!addresses.contains(bad), "{bad}");
        }
        for tag in ["html", "head", "body", "table", "tr", "p", "pre", "svg", "figure", "div", "style"] {
            let opened =
                html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert!(html.contains("data:image/png;base64,iVBOR"));
    }

    #[test]
    fn it_is_written_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.html");
        Report::new("run").write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), Report::new("run").html());
    }
}
