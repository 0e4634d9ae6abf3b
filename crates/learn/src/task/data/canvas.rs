//! [`Canvas`]: how a network that learns a picture sees positions, and how its outputs become pixels.

use crate::Error;
use crate::picture::Picture;
use serde::{Deserialize, Serialize};

/// The picture that a network has learned, but for its pixels: its size, and how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canvas {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Values in a pixel, 1 or 3: the outputs of the network.
    pub channels: usize,
    /// How positions and outputs are read.
    pub style: Style,
}

/// How positions go into a network, and how values become pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Inputs (x, y) in -1..=1, corner pixels at the corners of the square; outputs are brightness in 0..=1.
    Square,
    /// As in the original program: inputs (1, x, y) with x and y in 0..=1; the output is ink in 0..=1, and the
    /// grey level `255 - floor(255 ink)`.
    Ink,
}

impl Canvas {
    /// Numbers that go into the network for a pixel.
    pub fn inputs(&self) -> usize {
        match self.style {
            Style::Square => 2,
            Style::Ink => 3,
        }
    }

    /// The same picture drawn at another size.
    pub fn sized(self, width: usize, height: usize) -> Canvas {
        Canvas { width, height, ..self }
    }

    /// The number of pixels.
    pub fn area(&self) -> usize {
        self.width * self.height
    }

    /// The inputs of a pixel, counted row by row.
    pub fn write_input(&self, pixel: usize, out: &mut [f64]) {
        let part = |i: usize, n: usize| if n > 1 { i as f64 / (n - 1) as f64 } else { 0.5 };
        let x = part(pixel % self.width, self.width);
        let y = part(pixel / self.width, self.height);
        match self.style {
            Style::Square => out.copy_from_slice(&[2.0 * x - 1.0, 2.0 * y - 1.0]),
            Style::Ink => out.copy_from_slice(&[1.0, x, y]),
        }
    }

    /// The 8-bit value of an output; what is no number becomes black.
    pub fn level(&self, output: f64) -> u8 {
        // `as` turns NaN into 0 and keeps the rest within 0..=255.
        match self.style {
            Style::Square => (255.0 * output).round() as u8,
            Style::Ink => 255 - (255.0 * output).floor() as u8,
        }
    }

    /// The output that stands for an 8-bit value.
    pub fn output(&self, level: u8) -> f64 {
        match self.style {
            Style::Square => f64::from(level) / 255.0,
            Style::Ink => f64::from(255 - level) / 255.0,
        }
    }

    /// The picture of these levels.
    pub fn picture(&self, levels: Vec<u8>) -> Result<Picture, Error> {
        Picture::new(self.width, self.height, self.channels, levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_corners_at_every_size() {
        let canvas = Canvas { width: 3, height: 2, channels: 1, style: Style::Square };
        let mut at = [0.0; 2];
        for (pixel, expected) in [(0, [-1.0, -1.0]), (1, [0.0, -1.0]), (5, [1.0, 1.0])] {
            canvas.write_input(pixel, &mut at);
            assert_eq!(at, expected);
        }
        canvas.sized(1, 1).write_input(0, &mut at);
        assert_eq!(at, [0.0, 0.0]);
        let ink = Canvas { style: Style::Ink, ..canvas };
        let mut at = [0.0; 3];
        ink.write_input(4, &mut at);
        assert_eq!(at, [1.0, 0.5, 1.0]);
    }

    #[test]
    fn levels_come_back_and_bad_numbers_do_no_harm() {
        for style in [Style::Square, Style::Ink] {
            let canvas = Canvas { width: 1, height: 1, channels: 1, style };
            for level in 0..=255 {
                // The original program rounds down: nudge what lies at the edge.
                assert_eq!(canvas.level(canvas.output(level) + 1e-12), level, "{style:?}");
            }
            for output in [f64::NAN, -3.0, 7.0, f64::INFINITY] {
                canvas.level(output);
            }
        }
        let ink = Canvas { width: 1, height: 1, channels: 1, style: Style::Ink };
        assert_eq!([0.0, 0.5, 1.0].map(|y| ink.level(y)), [255, 128, 0]);
    }
}
