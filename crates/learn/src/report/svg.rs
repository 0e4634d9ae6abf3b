//! [`Chart`]: curves over a common axis, drawn as SVG.

use super::escape;
use super::legend::Legend;
use std::fmt::Write;

pub(super) const WIDTH: f64 = 720.0;
pub(super) const HEIGHT: f64 = 300.0;
pub(super) const LEFT: f64 = 66.0;
pub(super) const RIGHT: f64 = 16.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 44.0;

/// Points above which a curve is thinned out; three on every column of pixels.
const MAX_POINTS: usize = 2_000;

/// Colours that can be told apart on light and on dark ground (Okabe and Ito, 2008).
pub(super) const COLORS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// A named curve.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points, from left to right. Where a value is not finite (or not positive on a logarithmic axis)
    /// the curve has a gap.
    pub points: Vec<(f64, f64)>,
}

/// Curves over a common axis.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What runs to the right, as `epoch`.
    pub x_label: String,
    /// Whether the axis to the right is logarithmic.
    pub x_logarithmic: bool,
    /// Whether the upward axis is logarithmic.
    pub logarithmic: bool,
    /// The curves.
    pub series: Vec<Series>,
}

/// A range of values and how it maps to pixels.
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    logarithmic: bool,
}

impl Axis {
    /// An axis over these values; over 0 to 1 where there are none.
    pub fn over(values: impl Iterator<Item = f64>, logarithmic: bool) -> Axis {
        let usable = values.filter(|v| v.is_finite() && (!logarithmic || *v > 0.0));
        let axis = |low, high| Axis { low, high, logarithmic };
        match usable
            .fold(None, |r: Option<(f64, f64)>, v| Some(r.map_or((v, v), |(a, b)| (a.min(v), b.max(v)))))
        {
            None if logarithmic => axis(0.1, 1.0),
            None => axis(0.0, 1.0),
            Some((a, b)) if logarithmic && a == b => {
                axis((a / 2.0).max(f64::MIN_POSITIVE), (b * 2.0).min(f64::MAX))
            }
            Some((a, b)) if a == b => {
                let around = if a == 0.0 { 1.0 } else { a.abs() / 2.0 };
                axis((a - around).max(f64::MIN), (b + around).min(f64::MAX))
            }
            Some((a, b)) => axis(a, b),
        }
    }

    /// 0 at the low end, 1 at the high end; `None` for what the axis cannot show.
    pub fn position(&self, v: f64) -> Option<f64> {
        let t = if self.logarithmic {
            (v.log10() - self.low.log10()) / (self.high.log10() - self.low.log10())
        } else {
            // Halved first, as the difference of the largest numbers overflows.
            (v / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
        };
        t.is_finite().then_some(t)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let (first, last) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
            let every = ((last - first) / 8 + 1).max(1) as usize;
            let decades: Vec<f64> = (first..=last).step_by(every).map(|e| 10f64.powi(e)).collect();
            if decades.len() >= 2 {
                return decades;
            }
        }
        let span = self.high / 2.0 - self.low / 2.0;
        // The step is 1, 2 or 5 times a power of ten, such that there are about five.
        let rough = span / 2.5;
        let power = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(power);
        let first = (self.low / step).ceil();
        let ticks = (0..12).map(|i| (first + f64::from(i)) * step);
        ticks.filter(|t| t.is_finite() && *t >= self.low && *t <= self.high).collect()
    }
}

impl Chart {
    /// The chart as an SVG element, 720 by 300 pixels (higher where names stand below it) or as wide as there is room;
    /// it takes the colour of the text around it.
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|s| s.points.iter());
        let shown = |p: &&(f64, f64)| p.1.is_finite() && (!self.logarithmic || p.1 > 0.0);
        let x = Axis::over(points().filter(shown).map(|p| p.0), self.x_logarithmic);
        let y = Axis::over(points().map(|p| p.1), self.logarithmic);
        let names: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
        let legend = Legend::new(&self.title, &names);
        let mut out = begin(&self.title, HEIGHT + legend.height);
        draw_axes(&mut out, &x, &y, &self.x_label);
        for (i, series) in self.series.iter().enumerate() {
            draw_curve(&mut out, series, &Stroke::of(i), &x, &y);
        }
        draw_legend(&mut out, &legend);
        out.push_str("</svg>\n");
        out
    }
}

/// The beginning of a plot of this height: what it shows stands above it.
pub(super) fn begin(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"currentColor\">\n\
         <title>{0}</title>\n<text x=\"{LEFT}\" y=\"18\" font-weight=\"600\">{0}</text>\n",
        escape(title)
    )
}

/// Both axes with their ticks, and what runs to the right.
pub(super) fn draw_axes(out: &mut String, x: &Axis, y: &Axis, x_label: &str) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in y.ticks() {
        let Some(at) = y.position(tick).map(pixel_y) else { continue };
        add(
            out,
            format_args!(
                "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"currentColor\" stroke-opacity=\".15\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                LEFT - 6.0,
                at + 4.0,
                number(tick)
            ),
        );
    }
    for tick in x.ticks() {
        let Some(at) = x.position(tick).map(pixel_x) else { continue };
        add(
            out,
            format_args!(
                "<path d=\"M{at:.1} {bottom}v4\" stroke=\"currentColor\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
                bottom + 17.0,
                number(tick)
            ),
        );
    }
    add(
        out,
        format_args!(
            "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\".6\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            (LEFT + right) / 2.0,
            HEIGHT - 8.0,
            escape(x_label)
        ),
    );
}

/// How a curve is drawn.
struct Stroke {
    color: &'static str,
    /// Its dashes, as an attribute; none for the first curves.
    dashes: &'static str,
}

impl Stroke {
    /// That of the curve with this number: colours first, then the same in dashes and in dots.
    fn of(number: usize) -> Stroke {
        let dashes =
            ["", " stroke-dasharray=\"7 3\"", " stroke-dasharray=\"2 3\"", " stroke-dasharray=\"9 3 2 3\""];
        Stroke { color: COLORS[number % COLORS.len()], dashes: dashes[number / COLORS.len() % dashes.len()] }
    }
}

fn draw_legend(out: &mut String, legend: &Legend) {
    for (i, (name, x, y)) in legend.names.iter().enumerate() {
        let Stroke { color, dashes } = Stroke::of(i);
        add(
            out,
            format_args!(
                "<path d=\"M{:.1} {:.1}h16\" stroke=\"{color}\" stroke-width=\"3\"{dashes}/>\
                 <text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n",
                x - 20.0,
                y - 4.0,
                escape(name)
            ),
        );
    }
}

fn draw_curve(out: &mut String, series: &Series, stroke: &Stroke, x: &Axis, y: &Axis) {
    let Stroke { color, dashes } = stroke;
    let mut path = String::new();
    let mut lone = Vec::new();
    let mut run: Vec<(f64, f64)> = Vec::new();
    let positions = series.points.iter().map(|p| Some((x.position(p.0)?, y.position(p.1)?)));
    for position in positions.chain([None]) {
        match position {
            Some((tx, ty)) => run.push((pixel_x(tx), pixel_y(ty))),
            None => {
                if let [only] = run[..] {
                    lone.push(only);
                } else {
                    for (i, (px, py)) in thinned(&run).into_iter().enumerate() {
                        add(&mut path, format_args!("{}{px:.1} {py:.1}", if i == 0 { 'M' } else { 'L' }));
                    }
                }
                run.clear();
            }
        }
    }
    add(
        out,
        format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"{dashes}/>\n"
        ),
    );
    for (px, py) in lone {
        add(out, format_args!("<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"2.5\" fill=\"{color}\"/>\n"));
    }
}

/// At most [`MAX_POINTS`] points that look the same: of every stretch the lowest and the highest.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(MAX_POINTS / 2);
    let extremes = |part: &[(f64, f64)]| {
        let by_height = |a: &usize, b: &usize| part[*a].1.total_cmp(&part[*b].1);
        let low = (0..part.len()).min_by(by_height).unwrap_or(0);
        let high = (0..part.len()).max_by(by_height).unwrap_or(0);
        [part[low.min(high)], part[low.max(high)]]
    };
    points.chunks(stretch).flat_map(extremes).collect()
}

pub(super) fn pixel_x(t: f64) -> f64 {
    LEFT + t * (WIDTH - LEFT - RIGHT)
}

pub(super) fn pixel_y(t: f64) -> f64 {
    HEIGHT - BOTTOM - t * (HEIGHT - TOP - BOTTOM)
}

/// A number at a tick: plain where that is short, with an exponent elsewhere.
fn number(v: f64) -> String {
    let size = v.abs();
    if size == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{:e}", format!("{v:.3e}").parse::<f64>().unwrap_or(v));
    }
    let text = format!("{v:.6}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// Writes to a string, which cannot fail.
pub(super) fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, f64)], logarithmic: bool) -> Chart {
        let series = vec![Series { name: "training".into(), points: points.to_vec() }];
        Chart { title: "loss".into(), x_label: "epoch".into(), logarithmic, series, ..Chart::default() }
    }

    #[test]
    fn the_corners_of_the_data_are_the_corners_of_the_plot() {
        let svg = chart(&[(0.0, 1.0), (10.0, 3.0)], false).svg();
        assert!(svg.contains("d=\"M66.0 256.0L704.0 30.0\""), "{svg}");
        let svg = chart(&[(0.0, 1.0), (1.0, 10.0), (2.0, 100.0)], true).svg();
        assert!(svg.contains("d=\"M66.0 256.0L385.0 143.0L704.0 30.0\""), "{svg}");
        for tick in [">1<", ">10<", ">100<"] {
            assert!(svg.contains(tick), "{svg}");
        }
    }

    #[test]
    fn a_logarithmic_axis_to_the_right_has_its_decades_at_even_distances() {
        let points = [(1e-4, 1.0), (1e-3, 2.0), (1e-2, 3.0)];
        let svg = Chart { x_logarithmic: true, ..chart(&points, false) }.svg();
        assert!(svg.contains("d=\"M66.0 256.0L385.0 143.0L704.0 30.0\""), "{svg}");
        for tick in [">1e-4<", ">0.001<", ">0.01<"] {
            assert!(svg.contains(tick), "{svg}");
        }
    }

    #[test]
    fn the_same_colour_comes_again_in_dashes() {
        let series =
            |i: usize| Series { name: format!("run {i}"), points: vec![(0.0, 1.0), (1.0, i as f64)] };
        let svg = Chart { series: (0..7).map(series).collect(), ..Chart::default() }.svg();
        let of_first = format!("stroke=\"{}\"", COLORS[0]);
        assert_eq!(svg.matches(&of_first).count(), 4, "two curves and their names");
        assert_eq!(svg.matches("stroke-dasharray").count(), 2);
    }

    #[test]
    fn what_cannot_be_shown_leaves_a_gap() {
        let points = [
            (0.0, 1.0),
            (1.0, 2.0),
            (2.0, f64::NAN),
            (3.0, 2.0),
            (4.0, 1.0),
            (5.0, f64::INFINITY),
            (6.0, 1.5),
        ];
        let svg = chart(&points, false).svg();
        let curve = svg.lines().find(|l| l.contains("stroke-width=\"1.8\"")).unwrap();
        assert_eq!(curve.matches('M').count(), 2, "{curve}");
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
        let svg = chart(&[(0.0, 1.0), (1.0, 0.0), (2.0, -1.0), (3.0, 10.0)], true).svg();
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
    }

    #[test]
    fn every_range_gives_finite_coordinates_and_a_few_ticks() {
        let cases: [&[(f64, f64)]; 7] = [
            &[],
            &[(5.0, 0.0)],
            &[(0.0, -7.0), (1.0, -7.0)],
            &[(0.0, f64::MIN), (1.0, f64::MAX)],
            &[(0.0, 1e-300), (1.0, 1e300)],
            &[(0.0, 0.999), (3e6, 1.001)],
            &[(f64::NAN, f64::NAN)],
        ];
        for points in cases {
            for logarithmic in [false, true] {
                let svg = chart(points, logarithmic).svg();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                assert!(svg.matches("<text").count() < 30, "{svg}");
            }
        }
        let axis = Axis { low: 0.0, high: 1000.0, logarithmic: false };
        assert_eq!(axis.ticks(), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
    }

    #[test]
    fn long_curves_are_thinned_but_keep_their_peaks() {
        let mut points: Vec<_> = (0..300_000).map(|i| (f64::from(i), 1.0)).collect();
        points[123_456].1 = 9.0;
        let svg = chart(&points, false).svg();
        assert!(svg.len() < 60_000, "{}", svg.len());
        assert!(svg.contains(" 30.0L"), "the peak is gone");
    }

    #[test]
    fn numbers_are_short_and_names_are_escaped() {
        let texts = [0.5, 1e-5, 2e6, 1000.0, 0.30000000000000004, -2.5].map(number);
        assert_eq!(texts, ["0.5", "1e-5", "2e6", "1000", "0.3", "-2.5"]);
        let mut c = chart(&[], false);
        c.title = "<script>".into();
        assert!(c.svg().contains("&lt;script&gt;") && !c.svg().contains("<script>"));
    }
}
