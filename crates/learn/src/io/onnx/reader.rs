//! [`Reader`]: bytes of a protocol buffer as fields with their values. It takes no number for granted: lengths are
//! compared with the bytes that are there, and messages are counted before they are kept.

use ironlearn_ir::Refused;
use std::cell::Cell;

/// Why bytes are not read.
#[derive(Debug)]
pub enum Refusal {
    /// They are not what they should be.
    Damaged {
        /// The byte, from the start of the outermost message.
        at: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is no memory.
    Memory(Refused),
}

/// How many bytes of memory messages and texts may still take: each takes more than it has bytes in a file.
pub struct Parts(Cell<usize>);

impl Parts {
    /// No more than so many.
    pub fn new(bytes: usize) -> Parts {
        Parts(Cell::new(bytes))
    }
}

/// Fields one after the other.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// Where they stand in the outermost message.
    at: usize,
    parts: &'a Parts,
}

/// The value of a field.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// The first byte of the field.
    at: usize,
    held: Held<'a>,
    parts: &'a Parts,
}

#[derive(Clone, Copy)]
enum Held<'a> {
    Varint(u64),
    /// Four or eight bytes, little-endian.
    Fixed(&'a [u8]),
    Bytes(&'a [u8], usize),
}

impl<'a> Reader<'a> {
    /// A message of these bytes.
    pub fn new(bytes: &'a [u8], parts: &'a Parts) -> Reader<'a> {
        Reader { bytes, at: 0, parts }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn wrong(&self, problem: &'static str) -> Refusal {
        Refusal::Damaged { at: self.at, problem }
    }

    fn take(&mut self, n: usize, problem: &'static str) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or_else(|| self.wrong(problem))?;
        self.bytes = rest;
        self.at += n;
        Ok(taken)
    }

    /// The next number of seven bits a byte.
    pub fn varint(&mut self) -> Result<u64, Refusal> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let &[byte] = self.take(1, "a number that is cut off")? else { break };
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.wrong("a number of more than 64 bits"))
    }

    /// The next field: its number and its value.
    pub fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, Refusal> {
        if self.is_empty() {
            return Ok(None);
        }
        let at = self.at;
        let key = self.varint()?;
        let held = match key & 7 {
            0 => Held::Varint(self.varint()?),
            1 => Held::Fixed(self.take(8, "a number that is cut off")?),
            5 => Held::Fixed(self.take(4, "a number that is cut off")?),
            2 => {
                let begin = self.at;
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let problem = "a length that goes beyond the end";
                if length > self.bytes.len() {
                    return Err(Refusal::Damaged { at: begin, problem });
                }
                let start = self.at;
                Held::Bytes(self.take(length, problem)?, start)
            }
            _ => return Err(Refusal::Damaged { at, problem: "a field of a kind that does not exist" }),
        };
        Ok(Some((key >> 3, Value { at, held, parts: self.parts })))
    }
}

impl<'a> Value<'a> {
    /// What is wrong with it.
    pub fn wrong(&self, problem: &'static str) -> Refusal {
        Refusal::Damaged { at: self.at, problem }
    }

    fn other(&self) -> Refusal {
        self.wrong("a field of another type")
    }

    /// One more message or text that is kept, of so many bytes in a list that may have room for twice as many.
    pub fn count(&self, size: usize) -> Result<(), Refusal> {
        let left = self.parts.0.get().checked_sub(2 * size);
        self.parts.0.set(left.ok_or_else(|| self.wrong("more parts than are read"))?);
        Ok(())
    }

    /// Whether it is a number of seven bits a byte.
    pub fn is_varint(&self) -> bool {
        matches!(self.held, Held::Varint(_))
    }

    /// Whether it has four or eight bytes, always.
    pub fn is_fixed(&self) -> bool {
        matches!(self.held, Held::Fixed(_))
    }

    /// As a number of seven bits a byte.
    pub fn varint(&self) -> Result<u64, Refusal> {
        if let Held::Varint(value) = self.held { Ok(value) } else { Err(self.other()) }
    }

    /// As a number of so many bytes.
    pub fn fixed<const N: usize>(&self) -> Result<[u8; N], Refusal> {
        let Held::Fixed(bytes) = self.held else { return Err(self.other()) };
        bytes.try_into().map_err(|_| self.other())
    }

    /// As bytes.
    pub fn bytes(&self) -> Result<&'a [u8], Refusal> {
        if let Held::Bytes(bytes, _) = self.held { Ok(bytes) } else { Err(self.other()) }
    }

    /// As a message, or numbers one after the other.
    pub fn message(&self) -> Result<Reader<'a>, Refusal> {
        match self.held {
            Held::Bytes(bytes, at) => Ok(Reader { bytes, at, parts: self.parts }),
            _ => Err(self.other()),
        }
    }

    /// As a text.
    pub fn text(&self) -> Result<String, Refusal> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(str::to_owned).map_err(|_| self.wrong("a text that is not UTF-8"))
    }
}
