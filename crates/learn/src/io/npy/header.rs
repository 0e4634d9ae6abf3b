//! The header of a `.npy` file: a Python dictionary as text.

use super::MAX_RANK;

/// What the header's dictionary says.
pub struct Header {
    pub descr: String,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
}

/// What is wrong with a header, after the offset where.
pub type Wrong = (usize, &'static str);

impl Header {
    pub fn parse(text: &[u8]) -> Result<Header, Wrong> {
        let mut p = Parser { text, at: 0 };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        p.token(b'{')?;
        while !p.accept(b'}') {
            let key = p.string()?;
            p.token(b':')?;
            match key.as_str() {
                "descr" => descr = Some(p.descr()?),
                "fortran_order" => fortran_order = Some(p.truth()?),
                "shape" => shape = Some(p.shape()?),
                _ => return Err((p.at, "unknown key")),
            }
            if !p.accept(b',') && p.peek() != Some(b'}') {
                return Err((p.at, "expected `,` or `}`"));
            }
        }
        if p.peek().is_some() {
            return Err((p.at, "text after the dictionary"));
        }
        Ok(Header {
            descr: descr.ok_or((p.at, "no `descr`"))?,
            fortran_order: fortran_order.ok_or((p.at, "no `fortran_order`"))?,
            shape: shape.ok_or((p.at, "no `shape`"))?,
        })
    }
}

/// Reads the few Python literals that a header has.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn accept(&mut self, token: u8) -> bool {
        let yes = self.peek() == Some(token);
        self.at += usize::from(yes);
        yes
    }

    fn token(&mut self, token: u8) -> Result<(), Wrong> {
        if self.accept(token) { Ok(()) } else { Err((self.at, "expected `{`, `(` or `:`")) }
    }

    fn string(&mut self) -> Result<String, Wrong> {
        let quote =
            self.peek().filter(|q| matches!(q, b'\'' | b'"')).ok_or((self.at, "expected a string"))?;
        let start = self.at + 1;
        let length =
            self.text[start..].iter().position(|&b| b == quote).ok_or((self.at, "string without end"))?;
        self.at = start + length + 1;
        Ok(String::from_utf8_lossy(&self.text[start..start + length]).into_owned())
    }

    /// A type code, or a record as it stands (which no code matches).
    fn descr(&mut self) -> Result<String, Wrong> {
        if self.peek() != Some(b'[') {
            return self.string();
        }
        let start = self.at;
        let mut depth = 0;
        for (i, b) in self.text[start..].iter().enumerate() {
            depth += i32::from(*b == b'[') - i32::from(*b == b']');
            if depth == 0 {
                self.at = start + i + 1;
                return Ok(String::from_utf8_lossy(&self.text[start..self.at]).into_owned());
            }
        }
        Err((start, "record without end"))
    }

    fn truth(&mut self) -> Result<bool, Wrong> {
        self.peek();
        for (word, value) in [("True", true), ("False", false)] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err((self.at, "expected True or False"))
    }

    fn shape(&mut self) -> Result<Vec<usize>, Wrong> {
        self.token(b'(')?;
        let mut shape = Vec::new();
        while !self.accept(b')') {
            shape.push(self.length()?);
            if shape.len() > MAX_RANK {
                return Err((self.at, "too many axes"));
            }
            if !self.accept(b',') && self.peek() != Some(b')') {
                return Err((self.at, "expected `,` or `)`"));
            }
        }
        Ok(shape)
    }

    fn length(&mut self) -> Result<usize, Wrong> {
        self.peek();
        let start = self.at;
        let mut n = 0usize;
        while let Some(digit) = self.text.get(self.at).filter(|b| b.is_ascii_digit()) {
            n = n
                .checked_mul(10)
                .and_then(|n| n.checked_add(usize::from(digit - b'0')))
                .ok_or((start, "a length that no memory holds"))?;
            self.at += 1;
        }
        if self.at == start { Err((start, "expected a length")) } else { Ok(n) }
    }
}
