//! [`Scatter`]: points in a plane beside the line on which they should lie, drawn as SVG.

use super::svg::{Axis, COLORS, HEIGHT, add, begin, draw_axes, pixel_x, pixel_y};

/// Where the points of a plot would lie if everything were right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reference {
    /// Where both numbers are the same; both axes then have one range.
    #[default]
    Diagonal,
    /// Where the upward number is 0.
    Zero,
}

/// Points in a plane.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Scatter {
    /// What runs upward, and against what.
    pub title: String,
    /// What runs to the right.
    pub x_label: String,
    /// The line on which they should lie.
    pub reference: Reference,
    /// The points; those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

impl Scatter {
    /// The plot as an SVG element, 720 by 300 pixels or as wide as there is room; it takes the colour of the text around
    /// it.
    pub fn svg(&self) -> String {
        let [xs, ys] = [|p: &(f64, f64)| p.0, |p: &(f64, f64)| p.1].map(|of| self.points.iter().map(of));
        let (x, y) = match self.reference {
            Reference::Diagonal => {
                let both = || xs.clone().chain(ys.clone());
                (Axis::over(both(), false), Axis::over(both(), false))
            }
            Reference::Zero => (Axis::over(xs, false), Axis::over(ys.chain([0.0]), false)),
        };
        let mut out = begin(&self.title, HEIGHT);
        draw_axes(&mut out, &x, &y, &self.x_label);
        self.draw_points(&mut out, &x, &y);
        self.draw_reference(&mut out, &x, &y);
        out.push_str("</svg>\n");
        out
    }

    /// One path with a dot for each point: a quarter of the bytes that circles take.
    fn draw_points(&self, out: &mut String, x: &Axis, y: &Axis) {
        let mut path = String::new();
        for &(px, py) in &self.points {
            if let (Some(tx), Some(ty)) = (x.position(px), y.position(py)) {
                add(&mut path, format_args!("M{:.1} {:.1}h0", pixel_x(tx), pixel_y(ty)));
            }
        }
        add(
            out,
            format_args!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"5\" stroke-linecap=\"round\" \
                 stroke-opacity=\".55\"/>\n",
                COLORS[0]
            ),
        );
    }

    fn draw_reference(&self, out: &mut String, x: &Axis, y: &Axis) {
        let ends = match self.reference {
            Reference::Diagonal => [(x.low, x.low), (x.high, x.high)],
            Reference::Zero => [(x.low, 0.0), (x.high, 0.0)],
        };
        let place = |(px, py)| Some((pixel_x(x.position(px)?), pixel_y(y.position(py)?)));
        let [Some(a), Some(b)] = ends.map(place) else { return };
        add(
            out,
            format_args!(
                "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" \
                 stroke-dasharray=\"7 3\"/>\n",
                a.0, a.1, b.0, b.1, COLORS[1]
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_their_numbers_are() {
        let points = vec![(0.0, 5.0), (10.0, 10.0), (5.0, 0.0), (1.0, f64::NAN)];
        let plot = Scatter { title: "a < b".into(), x_label: "c & d".into(), points, ..Scatter::default() };
        let svg = plot.svg();
        assert!(svg.contains("d=\"M66.0 143.0h0M704.0 30.0h0M385.0 256.0h0\""), "{svg}");
        assert!(svg.contains("d=\"M66.0 256.0L704.0 30.0\""), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains(">c &amp; d<"), "{svg}");
    }

    #[test]
    fn errors_lie_around_zero() {
        let points = vec![(10.0, 1.0), (20.0, 4.0)];
        let svg = Scatter { reference: Reference::Zero, points, ..Scatter::default() }.svg();
        assert!(svg.contains("d=\"M66.0 199.5h0M704.0 30.0h0\""), "{svg}");
        assert!(svg.contains("d=\"M66.0 256.0L704.0 256.0\""), "{svg}");
    }

    #[test]
    fn a_plot_without_points_and_one_with_the_largest_numbers_are_drawn() {
        for points in [vec![], vec![(f64::MAX, f64::MIN)], vec![(3.0, 3.0)]] {
            for reference in [Reference::Diagonal, Reference::Zero] {
                let svg = Scatter { reference, points: points.clone(), ..Scatter::default() }.svg();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }
}
