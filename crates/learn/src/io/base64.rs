//! Base64 (RFC 4648), for pictures inside HTML and files inside JSON.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes as text, padded with `=`.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i > group.len() { '=' } else { digit.into() });
        }
    }
    out
}

/// The bytes of a text that [`encode`] wrote; none for any other text.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (body, padding) = match text.strip_suffix("==") {
        Some(body) => (body, 2),
        None => text.strip_suffix('=').map_or((text, 0), |body| (body, 1)),
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in body.as_bytes().chunks(4) {
        let bits = group.iter().try_fold(0u32, |bits, &b| Some(bits << 6 | u32::from(digit(b)?)))?;
        let bits = bits << (6 * (4 - group.len()));
        out.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    // What was left out of the last group are zeros.
    (out.len() == text.len() / 4 * 3 - padding && encode(&out) == text).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn the_test_vectors_of_rfc_4648_hold() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(encode(&[0xff, 0xfe, 0xfd, 0xfb]), "//79+w==");
        for bad in ["Zg", "Zg=", "Zh==", "Z===", "Zm9v!m8=", "=", "====", "é==="] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
