//! [`Picture::sheet`]: small pictures side by side, each with what is said of it.

use super::{Picture, font};
use crate::error::Error;

/// Sides between which pictures of a sheet are brought, in pixels.
const SIDES: [usize; 2] = [48, 96];
/// Pixels between cells.
const GAP: usize = 6;
/// Pixels from one line of letters to the next.
const LINE: usize = font::SIZE.1 + 2;
const PAPER: u8 = 230;

impl Picture {
    /// These pictures in lines of so many, each with two lines of letters below it; empty ones take no room. Small ones
    /// are enlarged by a whole factor, so that pixels stay what they are; large ones are made smaller. Letters are
    /// capitals and digits of English; others are blank, as is what finds no room.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are no pictures; [`Error::Memory`].
    pub fn sheet(cells: Vec<(Picture, [String; 2])>, columns: usize) -> Result<Picture, Error> {
        if cells.is_empty() {
            return Err(Error::usage("a sheet without pictures", "give one at least"));
        }
        let channels = cells.iter().map(|(picture, _)| picture.channels).max().unwrap_or(1);
        let mut shown = Vec::new();
        for (picture, lines) in cells {
            shown.push((picture.with_channels(channels)?.at_a_glance()?, lines));
        }
        let largest =
            |f: fn(&Picture) -> usize| shown.iter().map(|(picture, _)| f(picture)).max().unwrap_or(0);
        let lines = match shown.iter().all(|(_, lines)| lines.iter().all(String::is_empty)) {
            true => 0,
            false => 2 * LINE,
        };
        let cell = [largest(Picture::width) + GAP, largest(Picture::height) + lines + GAP];
        let across = columns.clamp(1, shown.len().max(1));
        let [width, height] = [across * cell[0] + GAP, shown.len().div_ceil(across) * cell[1] + GAP];
        let mut sheet = Picture::new(width, height, channels, vec![PAPER; width * height * channels])?;
        for (i, (picture, lines)) in shown.iter().enumerate() {
            let [left, top] = [GAP + i % across * cell[0], GAP + i / across * cell[1]];
            sheet.put(picture, left, top);
            for (line, text) in lines.iter().enumerate() {
                sheet.write(
                    &text.to_uppercase(),
                    left,
                    top + picture.height + 2 + line * LINE,
                    cell[0] - GAP,
                );
            }
        }
        Ok(sheet)
    }

    /// At a size in which it is seen among others.
    fn at_a_glance(self) -> Result<Picture, Error> {
        let longest = self.width.max(self.height);
        if longest <= SIDES[1] {
            return Ok(self.enlarged(SIDES[0].div_ceil(longest.max(1))));
        }
        let [width, height] = [self.width, self.height].map(|side| (side * SIDES[1] / longest).max(1));
        self.resized(width, height)
    }

    /// Each pixel as a square of so many.
    fn enlarged(self, factor: usize) -> Picture {
        let [width, height] = [self.width * factor, self.height * factor];
        let pixel = |i: usize| (i / width / factor * self.width + i % width / factor) * self.channels;
        let values = (0..width * height).flat_map(|i| &self.pixels[pixel(i)..pixel(i) + self.channels]);
        Picture { width, height, channels: self.channels, pixels: values.copied().collect() }
    }

    /// Puts another picture of as many channels here.
    fn put(&mut self, other: &Picture, left: usize, top: usize) {
        let (row, width) = (other.width * other.channels, self.width * self.channels);
        for (line, from) in other.pixels.chunks(row).enumerate() {
            let at = (top + line) * width + left * self.channels;
            self.pixels[at..at + row].copy_from_slice(from);
        }
    }

    /// Writes as much of a text as finds room.
    fn write(&mut self, text: &str, left: usize, top: usize, room: usize) {
        for (x, y) in (0..room).flat_map(|x| (0..font::SIZE.1).map(move |y| (x, y))) {
            if font::ink(text, x as i32, y as i32) {
                let at = ((top + y) * self.width + left + x) * self.channels;
                self.pixels[at..at + self.channels].fill(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_side_by_side_with_their_lines() {
        let dot = |level| Picture::new(1, 1, 1, vec![level]).unwrap();
        let cells = [10, 20, 30].map(|level| (dot(level), ["is i".to_owned(), String::new()]));
        let sheet = Picture::sheet(cells.to_vec(), 2).unwrap();
        assert_eq!((sheet.width(), sheet.height()), (2 * 54 + 6, 2 * (48 + 18 + 6) + 6));
        let at = |x: usize, y: usize| sheet.pixels()[y * sheet.width() + x];
        assert_eq!(
            [at(6, 6), at(53, 53), at(54, 53), at(60, 6), at(6, 78), at(60, 78)],
            [10, 10, PAPER, 20, 30, PAPER]
        );
        // The upper bar of the I, and blank where its glyph has none.
        assert_eq!([at(6, 56), at(7, 56), at(9, 56), at(10, 56)], [PAPER, 0, 0, PAPER]);
        let bare = Picture::sheet(vec![(dot(5), Default::default())], 8).unwrap();
        assert_eq!((bare.width(), bare.height()), (60, 60));
    }

    #[test]
    fn large_ones_become_smaller_and_grey_ones_join_coloured_ones() {
        let grey = Picture::new(200, 100, 1, vec![7; 20_000]).unwrap();
        let colour = Picture::new(60, 50, 3, vec![9; 9_000]).unwrap();
        let sheet =
            Picture::sheet(vec![(grey, Default::default()), (colour, Default::default())], 2).unwrap();
        assert_eq!((sheet.width(), sheet.height(), sheet.channels()), (2 * 102 + 6, 50 + 12, 3));
        assert!(Picture::sheet(Vec::new(), 2).unwrap_err().to_string().contains("without pictures"));
    }
}
