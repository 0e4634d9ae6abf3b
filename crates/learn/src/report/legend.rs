//! [`Legend`]: the names of curves, beside the title where there is room, else in lines below the plot.

use super::svg::{HEIGHT, LEFT, RIGHT, WIDTH};

/// About as wide as a letter is.
const LETTER: f64 = 7.0;
/// Room for the stroke before a name and the gap after it.
const STROKE: f64 = 34.0;
const LINE: f64 = 18.0;
/// Letters of a name that are shown.
const LONGEST: usize = 60;

/// Where names stand.
pub(super) struct Legend {
    /// Each name with where its text begins: to the right, and down.
    pub names: Vec<(String, f64, f64)>,
    /// How much higher the chart is for it.
    pub height: f64,
}

impl Legend {
    pub fn new(title: &str, names: &[&str]) -> Legend {
        let names: Vec<String> = names.iter().map(|name| shortened(name)).collect();
        let width = |name: &String| LETTER * name.chars().count() as f64 + STROKE;
        let room = WIDTH - RIGHT - LEFT - 1.2 * LETTER * title.chars().count() as f64;
        if names.iter().map(width).sum::<f64>() <= room {
            return Legend::beside(names, width);
        }
        let (mut at, mut line) = (LEFT, 0.0);
        let mut placed = Vec::new();
        for name in names {
            if at > LEFT && at + width(&name) > WIDTH - RIGHT {
                (at, line) = (LEFT, line + 1.0);
            }
            let next = at + width(&name);
            placed.push((name, at + 20.0, HEIGHT + 10.0 + LINE * line));
            at = next;
        }
        Legend { names: placed, height: LINE * (line + 1.0) }
    }

    /// At the upper right, the last name outermost.
    fn beside(names: Vec<String>, width: impl Fn(&String) -> f64) -> Legend {
        let mut end = WIDTH - RIGHT;
        let mut placed = Vec::new();
        for name in names.into_iter().rev() {
            let next = end - width(&name);
            placed.push((name, next + STROKE, 18.0));
            end = next;
        }
        placed.reverse();
        Legend { names: placed, height: 0.0 }
    }
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_beside_the_title_where_there_is_room_and_else_below_without_touching() {
        let few = Legend::new("loss", &["training", "validation"]);
        assert_eq!(few.height, 0.0);
        assert!(few.names.iter().all(|(_, x, y)| *x > LEFT + 40.0 && *y == 18.0));
        assert!(few.names[0].1 < few.names[1].1);

        let long = "x".repeat(200);
        let names: Vec<&str> = ["rate=0.001_batch=16"; 12].into_iter().chain([long.as_str()]).collect();
        let many = Legend::new("validation loss", &names);
        assert!(many.height > 2.0 * LINE);
        for pair in many.names.windows(2) {
            let [(name, x, y), (_, next, below)] = pair else { panic!() };
            assert!(y < below || x + LETTER * name.chars().count() as f64 + 10.0 < *next, "{pair:?}");
            assert!(*y > HEIGHT && *below < HEIGHT + many.height);
        }
        assert!(many.names.iter().all(|(name, x, _)| x + 6.0 * name.chars().count() as f64 <= WIDTH));
    }
}
