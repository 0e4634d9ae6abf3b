//! [`Grid`]: keys of a job, each with the values that are tried.

use ironlearn::Error;

/// The most points of a grid: more would be a mistake.
const MOST: usize = 10_000;

/// Keys with their values, in the order in which they were given.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid(pub Vec<(String, Vec<String>)>);

impl Grid {
    /// Reads `key.path=value,value,…`, several of which may stand in a row with commas between them. Commas inside of
    /// brackets and quotes belong to a value.
    ///
    /// # Errors
    /// [`Error::Usage`] where a key has no values, stands twice, or there are too many points.
    pub fn parse(texts: &[String]) -> Result<Grid, Error> {
        let mut keys: Vec<(String, Vec<String>)> = Vec::new();
        for text in texts {
            let refused = |problem: &str| {
                Error::usage(
                    format!("--grid {text}: {problem}"),
                    "write for example --grid optimizer.rate=0.001,0.01 --grid train.batch=16,32",
                )
            };
            for (number, piece) in pieces(text).into_iter().enumerate() {
                let value = match (key_of(piece), number) {
                    (Some((key, value)), _) => {
                        if keys.iter().any(|(known, _)| known == key) {
                            return Err(refused(&format!("{key} stands there twice")));
                        }
                        keys.push((key.to_owned(), Vec::new()));
                        value
                    }
                    (None, 0) => return Err(refused("no key before the values")),
                    (None, _) => piece,
                };
                let Some((key, values)) = keys.last_mut() else { continue };
                let value = value.trim();
                if value.is_empty() {
                    return Err(refused(&format!("{key} has an empty value")));
                }
                if values.iter().any(|known| known == value) {
                    return Err(refused(&format!("{key} has the value {value} twice")));
                }
                values.push(value.to_owned());
            }
        }
        let grid = Grid(keys);
        match grid.size() {
            Some(1..=MOST) => Ok(grid),
            _ => Err(Error::usage(format!("the grid has more than {MOST} points"), "try fewer values")),
        }
    }

    /// Whether its points are the same job again, with other rows to judge by or other chances.
    pub fn repeats(&self) -> bool {
        self.0.iter().all(|(key, _)| matches!(key.as_str(), "train.fold" | "train.seed"))
    }

    fn size(&self) -> Option<usize> {
        self.0.iter().try_fold(1usize, |size, (_, values)| size.checked_mul(values.len()))
    }

    /// Every choice of a value for each key, the last key's values changing first.
    pub fn points(&self) -> Vec<Vec<String>> {
        let mut points = vec![Vec::new()];
        for (_, values) in &self.0 {
            let longer = |point: &Vec<String>| -> Vec<Vec<String>> {
                values.iter().map(|value| [point.as_slice(), std::slice::from_ref(value)].concat()).collect()
            };
            points = points.iter().flat_map(longer).collect();
        }
        points
    }

    /// Names for directories, one for each point: `rate=0.01_batch=16`.
    pub fn names(&self) -> Vec<String> {
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let is_clear = |key: &str| self.0.iter().filter(|(other, _)| last(other) == last(key)).count() == 1;
        let keys = self.0.iter().map(|(key, _)| if is_clear(key) { last(key) } else { key.clone() });
        let keys: Vec<String> = keys.collect();
        let mut names: Vec<String> = Vec::new();
        for point in self.points() {
            let parts = keys.iter().zip(&point).map(|(key, value)| format!("{key}={}", plain(value)));
            let name: String = parts.collect::<Vec<_>>().join("_").chars().take(120).collect();
            // Different values may look alike without their brackets.
            let free = (2..).map(|n| format!("{name}_{n}"));
            names.extend([name.clone()].into_iter().chain(free).find(|name| !names.contains(name)));
        }
        names
    }
}

/// A value with only what every file system takes in a name.
fn plain(value: &str) -> String {
    let cut: String = value.chars().take(60).collect();
    let plain = |c: char| if c.is_alphanumeric() || "+-.".contains(c) { c } else { '-' };
    let text: String = cut.replace(['"', '\''], "").chars().map(plain).collect();
    text.trim_matches('-').to_owned()
}

/// The parts between commas that stand in no brackets or quotes.
fn pieces(text: &str) -> Vec<&str> {
    let (mut depth, mut quote, mut start) = (0i32, None, 0);
    let mut found = Vec::new();
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('[' | '{', None) => depth += 1,
            (']' | '}', None) => depth -= 1,
            (',', None) if depth == 0 => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[start..]);
    found
}

/// The key and the value of `key.path=value`.
fn key_of(piece: &str) -> Option<(&str, &str)> {
    let (key, value) = piece.split_once('=')?;
    let key = key.trim();
    let is_key = key.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c))
        && key.starts_with(|c: char| c.is_ascii_alphabetic());
    is_key.then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(texts: &[&str]) -> Result<Grid, String> {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        Grid::parse(&texts).map_err(|error| error.to_string())
    }

    #[test]
    fn every_choice_is_a_point_and_has_a_name() {
        let found = grid(&["optimizer.rate=1e-3,0.01", "train.batch=16,\"full\""]).unwrap();
        assert_eq!(found, grid(&["optimizer.rate=1e-3,0.01,train.batch=16,\"full\""]).unwrap());
        assert_eq!(found.points()[1], ["1e-3", "\"full\""]);
        assert_eq!(
            found.names(),
            ["rate=1e-3_batch=16", "rate=1e-3_batch=full", "rate=0.01_batch=16", "rate=0.01_batch=full"]
        );
    }

    #[test]
    fn values_may_hold_commas_and_keys_may_end_alike() {
        let found = grid(&["network.layers=[{linear=8},\"relu\"],[{ linear = 16 }]"]).unwrap();
        assert_eq!(found.points(), [["[{linear=8},\"relu\"]"], ["[{ linear = 16 }]"]]);
        assert_eq!(found.names(), ["layers=linear-8--relu", "layers=linear---16"]);
        let found = grid(&["network.layers.0.linear=8", "network.layers.2.linear=4,5"]).unwrap();
        assert_eq!(found.names()[1], "network.layers.0.linear=8_network.layers.2.linear=5");
        let found = grid(&["data.path='a b','a/b'"]).unwrap();
        assert_eq!(found.names(), ["path=a-b", "path=a-b_2"]);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        for (texts, part) in [
            (&["0.1,0.2"][..], "no key"),
            (&["a.b="], "empty value"),
            (&["a.b=1,,2"], "empty value"),
            (&["a.b=1,1"], "twice"),
            (&["a.b=1", "a.b=2"], "twice"),
        ] {
            assert!(grid(texts).unwrap_err().contains(part), "{texts:?}");
        }
        let many = (0..101).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
        assert!(grid(&[&format!("a={many}"), &format!("b={many}")]).unwrap_err().contains("10000"));
    }
}
