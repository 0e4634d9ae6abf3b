//! The wire format of protocol buffers: fields as numbers with their values, most of them preceded by a length.

use super::reader::{Reader, Refusal, Value};
use ironlearn_ir::memory;

/// A message, which is its fields one after the other.
pub trait Message {
    /// Writes the fields that are there.
    fn write(&self, to: &mut Vec<u8>);

    /// The message whose fields these bytes hold; fields that it does not know are passed over.
    ///
    /// # Errors
    /// Where the bytes are no message, in which the fields are of other types, or memory is refused.
    fn read(from: Reader<'_>) -> Result<Self, Refusal>
    where
        Self: Sized;

    /// The message as bytes.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }
}

impl<M: Message> Message for Box<M> {
    fn write(&self, to: &mut Vec<u8>) {
        (**self).write(to);
    }

    fn read(from: Reader<'_>) -> Result<Self, Refusal> {
        M::read(from).map(Box::new)
    }
}

/// The type of a field.
pub trait Field {
    /// Writes the field with its number, where it is there: an empty one is not.
    fn put(&self, number: u32, to: &mut Vec<u8>);

    /// Takes the value that stands in a message; of several, a list takes all, and others the last.
    fn accept(&mut self, value: Value<'_>) -> Result<(), Refusal>;
}

/// A message as a struct: `field: type = number`.
macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $kind:ty = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Default)]
        pub struct $name { $($(#[$about])* pub $field: $kind,)* }

        impl Message for $name {
            fn write(&self, to: &mut Vec<u8>) {
                $(self.$field.put($number, to);)*
            }

            fn read(mut from: Reader<'_>) -> Result<Self, Refusal> {
                let mut message = Self::default();
                while let Some((number, value)) = from.field()? {
                    match number {
                        $($number => message.$field.accept(value)?,)*
                        _ => {}
                    }
                }
                Ok(message)
            }
        }
    };
}
pub(in crate::io) use message;

/// How the value of a field is written.
#[derive(Clone, Copy)]
enum Kind {
    Varint = 0,
    Eight = 1,
    Length = 2,
    Four = 5,
}

fn varint(mut value: u64, to: &mut Vec<u8>) {
    while value > 0x7f {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn key(number: u32, kind: Kind, to: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | kind as u64, to);
}

fn length_and(bytes: &[u8], number: u32, to: &mut Vec<u8>) {
    key(number, Kind::Length, to);
    varint(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

impl Field for Option<i64> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        if let Some(value) = *self {
            key(number, Kind::Varint, to);
            varint(value as u64, to);
        }
    }

    fn accept(&mut self, value: Value<'_>) -> Result<(), Refusal> {
        *self = Some(value.varint()? as i64);
        Ok(())
    }
}

macro_rules! one {
    ($($t:ty as $kind:ident),*) => {$(
        impl Field for Option<$t> {
            fn put(&self, number: u32, to: &mut Vec<u8>) {
                if let Some(value) = self {
                    key(number, Kind::$kind, to);
                    to.extend_from_slice(&value.to_le_bytes());
                }
            }

            fn accept(&mut self, value: Value<'_>) -> Result<(), Refusal> {
                *self = Some(<$t>::from_le_bytes(value.fixed()?));
                Ok(())
            }
        }
    )*};
}
one!(f32 as Four, f64 as Eight);

macro_rules! fixed {
    ($($t:ty),*) => {$(
        /// Packed: one length for all.
        impl Field for Vec<$t> {
            fn put(&self, number: u32, to: &mut Vec<u8>) {
                if !self.is_empty() {
                    let bytes: Vec<u8> = self.iter().flat_map(|x| x.to_le_bytes()).collect();
                    length_and(&bytes, number, to);
                }
            }

            fn accept(&mut self, value: Value<'_>) -> Result<(), Refusal> {
                if value.is_fixed() {
                    grow(self, 1)?;
                    self.push(<$t>::from_le_bytes(value.fixed()?));
                    return Ok(());
                }
                let (bytes, rest) = value.bytes()?.as_chunks::<{ size_of::<$t>() }>();
                if !rest.is_empty() {
                    return Err(value.wrong("numbers that are cut off"));
                }
                grow(self, bytes.len())?;
                self.extend(bytes.iter().map(|&x| <$t>::from_le_bytes(x)));
                Ok(())
            }
        }
    )*};
}
fixed!(f32, f64);

/// Makes room for so many more.
fn grow<T>(list: &mut Vec<T>, more: usize) -> Result<(), Refusal> {
    let all = list.len().saturating_add(more);
    let what = "a list of an ONNX model";
    list.try_reserve(more).map_err(|_| Refusal::Memory(memory::Refused::elements::<T>(all, what)))
}

/// Packed: one length for all.
impl Field for Vec<i64> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        if !self.is_empty() {
            let mut values = Vec::new();
            self.iter().for_each(|&value| varint(value as u64, &mut values));
            length_and(&values, number, to);
        }
    }

    fn accept(&mut self, value: Value<'_>) -> Result<(), Refusal> {
        if value.is_varint() {
            grow(self, 1)?;
            self.push(value.varint()? as i64);
            return Ok(());
        }
        let mut numbers = value.message()?;
        // Each number ends with the one byte of its own that is below 128.
        grow(self, value.bytes()?.iter().filter(|&&byte| byte < 0x80).count())?;
        while !numbers.is_empty() {
            self.push(numbers.varint()? as i64);
        }
        Ok(())
    }
}

impl Field for Vec<u8> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        if !self.is_empty() {
            length_and(self, number, to);
        }
    }

    fn accept(&mut self, value: Value<'_>) -> Result<(), Refusal> {
        *self = memory::copied(value.bytes()?, "the numbers of an ONNX model").map_err(Refusal::Memory)?;
        Ok(())
    }
}

impl Field for String {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        if !self.is_empty() {
            length_and(self.as_bytes(), number, to);
        }
    }

    fn accept(&mut self, value: Value<'_>) -> Result<(), Refusal> {
        *self = value.text()?;
        Ok(())
    }
}

impl Field for Vec<String> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        self.iter().for_each(|text| length_and(text.as_bytes(), number, to));
    }

    fn accept(&mut self, value: Value<'_>) -> Result<(), Refusal> {
        value.count(size_of::<String>())?;
        self.push(value.text()?);
        Ok(())
    }
}

impl<M: Message> Field for Option<M> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        self.iter().for_each(|message| length_and(&message.bytes(), number, to));
    }

    fn accept(&mut self, value: Value<'_>) -> Result<(), Refusal> {
        value.count(size_of::<M>())?;
        *self = Some(M::read(value.message()?)?);
        Ok(())
    }
}

impl<M: Message> Field for Vec<M> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        self.iter().for_each(|message| length_and(&message.bytes(), number, to));
    }

    fn accept(&mut self, value: Value<'_>) -> Result<(), Refusal> {
        value.count(size_of::<M>())?;
        self.push(M::read(value.message()?)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::Parts;
    use super::*;

    message! {
        /// One field of each type.
        Every {
            number: Option<i64> = 1,
            half: Option<f32> = 2,
            numbers: Vec<i64> = 3,
            raw: Vec<u8> = 4,
            text: String = 5,
            texts: Vec<String> = 16,
            inner: Option<Box<Every>> = 17,
            halves: Vec<f32> = 18,
            wide: Vec<f64> = 19,
        }
    }

    #[test]
    fn fields_as_the_format_has_them() {
        assert!(Every::default().bytes().is_empty());
        let every = Every { number: Some(150), half: Some(0.5), text: "testing".into(), ..Every::default() };
        let expected = [&[0x08, 0x96, 0x01, 0x15, 0, 0, 0, 0x3f, 0x2a, 7], &b"testing"[..]].concat();
        assert_eq!(every.bytes(), expected);
        let every = Every { numbers: vec![3, 270, 86_942, -1], raw: vec![0, 255], ..Every::default() };
        let numbers = [0x1a, 16, 3, 0x8e, 2, 0x9e, 0xa7, 5];
        let minus_one = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(every.bytes(), [&numbers[..], &minus_one, &[0x22, 2, 0, 255]].concat());
        let inner = Every { number: Some(0), ..Every::default() };
        let every = Every {
            texts: vec!["a".into(), String::new()],
            inner: Some(Box::new(inner)),
            ..Every::default()
        };
        assert_eq!(every.bytes(), [0x82, 1, 1, b'a', 0x82, 1, 0, 0x8a, 1, 2, 0x08, 0]);
    }
    fn read(bytes: &[u8]) -> Result<Every, Refusal> {
        Every::read(Reader::new(bytes, &Parts::new(100 * 2 * size_of::<String>())))
    }

    #[test]
    fn what_is_written_is_read_and_damage_is_no_panic() {
        let inner = Every { number: Some(-5), raw: vec![7; 200], ..Every::default() };
        let every = Every {
            number: Some(i64::MIN),
            half: Some(-0.5),
            numbers: vec![1, -1, 1 << 40],
            text: "ä".into(),
            texts: vec!["a".into(), "b".into()],
            inner: Some(Box::new(inner)),
            halves: vec![1.5, -2.5],
            wide: vec![1e300],
            ..Every::default()
        };
        let bytes = every.bytes();
        assert_eq!(read(&bytes).unwrap(), every);
        for bad in crate::io::damage::damaged(&bytes, 2000) {
            let _ = read(&bad);
        }
        for end in 1..bytes.len() {
            assert_ne!(read(&bytes[..end]).ok().as_ref(), Some(&every));
        }
        // Lists that are not packed, and a field that is not known.
        assert_eq!(read(&[0x18, 5, 0x18, 6, 0xf8, 7, 1]).unwrap().numbers, [5, 6]);
        let wrong = |bytes: &[u8]| match read(bytes) {
            Err(Refusal::Damaged { at, problem }) => (at, problem),
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong(&[0x2a, 5, b'a']), (1, "a length that goes beyond the end"));
        assert_eq!(wrong(&[0x0a, 0]), (0, "a field of another type"));
        assert_eq!(wrong(&[0x2a, 1, 0xff]), (0, "a text that is not UTF-8"));
        assert_eq!(wrong(&[0x82, 1, 0].repeat(101)).1, "more parts than are read");
    }
}
