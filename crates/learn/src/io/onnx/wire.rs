//! The wire format of protocol buffers: fields as numbers with their values, most of them preceded by a length.

/// A message, which is its fields one after the other.
pub trait Message {
    /// Writes the fields that are there.
    fn write(&self, to: &mut Vec<u8>);

    /// The message as bytes.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }
}

/// The type of a field.
pub trait Field {
    /// Writes the field with its number, where it is there: an empty one is not.
    fn put(&self, number: u32, to: &mut Vec<u8>);
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
        }
    };
}
pub(super) use message;

/// How the value of a field is written.
#[derive(Clone, Copy)]
enum Kind {
    Varint = 0,
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
}

impl Field for Option<f32> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        if let Some(value) = self {
            key(number, Kind::Four, to);
            to.extend_from_slice(&value.to_le_bytes());
        }
    }
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
}

impl Field for Vec<u8> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        if !self.is_empty() {
            length_and(self, number, to);
        }
    }
}

impl Field for String {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        if !self.is_empty() {
            length_and(self.as_bytes(), number, to);
        }
    }
}

impl Field for Vec<String> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        self.iter().for_each(|text| length_and(text.as_bytes(), number, to));
    }
}

impl<M: Message> Field for Option<M> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        self.iter().for_each(|message| length_and(&message.bytes(), number, to));
    }
}

impl<M: Message> Field for Vec<M> {
    fn put(&self, number: u32, to: &mut Vec<u8>) {
        self.iter().for_each(|message| length_and(&message.bytes(), number, to));
    }
}

#[cfg(test)]
mod tests {
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
        }
    }

    impl Message for Box<Every> {
        fn write(&self, to: &mut Vec<u8>) {
            (**self).write(to);
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
}
