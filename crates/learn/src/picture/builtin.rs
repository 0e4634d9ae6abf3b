//! The built-in test picture: what a network finds easy (gradients, soft shapes) and what it finds hard
//! (lettering, one-pixel lines, fine texture), in proportions that a small network can learn.
//!
//! Made by additions, products, quotients and square roots alone, which every machine rounds alike, so that
//! the picture is the same everywhere.

use super::{Picture, font};

/// Pixels on a side.
const SIDE: usize = 200;
const LIGHT: f64 = 238.0;
const DARK: f64 = 22.0;

/// A point in pixels: to the right, downwards.
type Point = (f64, f64);

impl Picture {
    /// The built-in test picture, 200×200, grey.
    pub fn builtin() -> Picture {
        let mut pixels = Vec::with_capacity(SIDE * SIDE);
        for y in 0..SIDE {
            for x in 0..SIDE {
                pixels.push((level((x as f64, y as f64)) + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
        Picture { width: SIDE, height: SIDE, channels: 1, pixels }
    }
}

/// The grey level at a point, layer over layer.
fn level(p: Point) -> f64 {
    let g = ball(p, background(p));
    let g = texture(p, g);
    let g = lines(p, g);
    lettering(p, g)
}

/// Dark at the upper left, light at the lower right, with a glow.
fn background((x, y): Point) -> f64 {
    let slope = smooth((0.3 * x + 0.7 * y) / (SIDE as f64 - 1.0));
    let glow = 1.0 / (1.0 + squared(x - 60.0, y - 108.0) / 2500.0);
    48.0 + 105.0 * slope + 42.0 * glow
}

/// A ball lit from the upper left, in a ring.
fn ball((x, y): Point, under: f64) -> f64 {
    let (dx, dy, radius) = (x - 56.0, y - 108.0, 33.0);
    let distance = squared(dx, dy).sqrt();
    let height = (radius * radius - squared(dx, dy)).max(0.0).sqrt();
    let light = ((-0.36 * dx - 0.44 * dy + 0.56 * height) / radius + 0.2).max(0.0);
    let ball = 40.0 + 170.0 * light + 30.0 * light * light * light * light;
    let g = blend(under, ball, inside(radius - distance));
    blend(g, LIGHT, line(distance - 41.0))
}

/// Four patches of waves, the finest with a period of 4 pixels, and a small chessboard.
fn texture(p: Point, under: f64) -> f64 {
    let patch = |left: f64, top: f64| {
        let (x, y) = (p.0 - left, p.1 - top);
        (0.0..36.0).contains(&x).then_some(y).filter(|y| (0.0..36.0).contains(y)).map(|y| (x, y))
    };
    if let Some((_, y)) = patch(112.0, 66.0) {
        return 128.0 + 70.0 * wave(y / 12.0);
    }
    if let Some((x, y)) = patch(152.0, 66.0) {
        return 128.0 + 50.0 * wave((x + y) / 9.0);
    }
    if let Some((x, y)) = patch(112.0, 106.0) {
        let distance = squared(x - 17.5, y - 17.5).sqrt();
        return 128.0 + 55.0 * wave(distance / 7.0 + 0.25);
    }
    if let Some((x, y)) = patch(152.0, 106.0) {
        // Periods of 6, 5 and 4 pixels, side by side; the chessboard in the corner.
        return match (x, y) {
            (28.0.., 28.0..) => 128.0 + if (x + y) % 2.0 == 0.0 { 40.0 } else { -40.0 },
            (..12.0, _) => 128.0 + 45.0 * wave(y / 6.0),
            (..24.0, _) => 128.0 + 40.0 * wave(y / 5.0),
            _ => 128.0 + 35.0 * wave(y / 4.0 + 0.125),
        };
    }
    under
}

/// One-pixel lines: a rule, a fan, a row of uprights, a frame around a ramp.
fn lines(p: Point, under: f64) -> f64 {
    let mut g = blend(under, LIGHT, segment(p, (12.0, 54.0), (188.0, 54.0)));
    for end in [(100.0, 188.0), (100.0, 178.0), (92.0, 168.0), (76.0, 160.0), (52.0, 157.0)] {
        g = blend(g, DARK, segment(p, (12.0, 188.0), end));
    }
    for x in [112.0, 115.0, 119.0, 124.0, 130.0, 137.0, 145.0, 154.0, 164.0, 175.0, 187.0] {
        g = blend(g, DARK, segment(p, (x, 167.0), (x, 176.0)));
    }
    let (x, y) = (p.0 - 112.0, p.1 - 150.0);
    if (0.0..76.0).contains(&x) && (0.0..12.0).contains(&y) {
        let frame = x == 0.0 || x == 75.0 || y == 0.0 || y == 11.0;
        g = if frame { DARK } else { DARK + (LIGHT - DARK) * x / 75.0 };
    }
    g
}

fn lettering(p: Point, under: f64) -> f64 {
    let g = blend(under, LIGHT, text(p, "IRON LEARN", (11.0, 13.0), 3.0));
    let g = blend(g, LIGHT, text(p, "A NETWORK DREW THIS PICTURE", (19.0, 42.0), 1.0));
    blend(g, DARK, text(p, "200 X 200", (123.0, 182.0), 1.0))
}

/// How much ink a text has at a point; enlarged letters get round corners.
fn text((x, y): Point, text: &str, (left, top): Point, scale: f64) -> f64 {
    // In the bitmap's own pixels, whose centres are whole numbers.
    let (u, v) = ((x - left + 0.5) / scale - 0.5, (y - top + 0.5) / scale - 0.5);
    let (column, row) = (u.floor(), v.floor());
    let (fu, fv) = (u - column, v - row);
    let ink = |dx, dy| f64::from(font::ink(text, column as i32 + dx, row as i32 + dy));
    let upper = ink(0, 0) * (1.0 - fu) + ink(1, 0) * fu;
    let lower = ink(0, 1) * (1.0 - fu) + ink(1, 1) * fu;
    let between = upper * (1.0 - fv) + lower * fv;
    if scale > 1.0 { inside((between - 0.5) * scale) } else { between }
}

/// How much a one-pixel line from `a` to `b` covers a point.
fn segment(p: Point, a: Point, b: Point) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let along = (((p.0 - a.0) * dx + (p.1 - a.1) * dy) / squared(dx, dy)).clamp(0.0, 1.0);
    line(squared(p.0 - a.0 - along * dx, p.1 - a.1 - along * dy).sqrt())
}

/// How much a one-pixel line covers a pixel at this distance from its middle.
fn line(distance: f64) -> f64 {
    (1.0 - distance.abs()).max(0.0)
}

/// How much a shape covers a pixel that lies this far within its edge.
fn inside(depth: f64) -> f64 {
    (depth + 0.5).clamp(0.0, 1.0)
}

fn blend(under: f64, over: f64, cover: f64) -> f64 {
    under + (over - under) * cover
}

/// From 0 at 0 to 1 at 1, level at both ends.
fn smooth(t: f64) -> f64 {
    t * t * (3.0 - 2.0 * t)
}

/// A wave of period 1 between -1 and 1, close to a sine: parabolas.
fn wave(t: f64) -> f64 {
    let t = t - t.floor();
    if t < 0.5 { 16.0 * t * (0.5 - t) } else { -16.0 * (t - 0.5) * (1.0 - t) }
}

fn squared(x: f64, y: f64) -> f64 {
    x * x + y * y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_the_same_everywhere() {
        let picture = Picture::builtin();
        assert_eq!((picture.width(), picture.height(), picture.channels()), (200, 200, 1));
        let fnv = |h: u64, &b: &u8| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
        let hash = picture.pixels().iter().fold(0xcbf2_9ce4_8422_2325, fnv);
        assert_eq!(format!("{hash:016x}"), "c06f6a4abd51c94b");
    }

    #[test]
    fn most_of_it_is_smooth_and_some_of_it_is_fine() {
        let picture = Picture::builtin();
        let jumps = |low: u8| {
            let rows = picture.pixels().chunks_exact(200);
            rows.flat_map(|r| r.windows(2)).filter(|w| w[0].abs_diff(w[1]) >= low).count()
        };
        let all = 200 * 199;
        assert!(jumps(8) < all / 4, "{} of {all} steps are steep", jumps(8));
        assert!(jumps(100) > 500, "only {} hard edges", jumps(100));
    }
}
