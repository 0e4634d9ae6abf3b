//! CRC-32C (Castagnoli; RFC 3720, appendix B.4), as the records of event files have it.

/// The polynomial, with the highest power in the lowest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The remainder of every byte.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut rest, mut bit) = (byte as u32, 0);
        while bit < 8 {
            rest = if rest & 1 == 1 { rest >> 1 ^ POLYNOMIAL } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

/// The checksum of bytes.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |rest, byte| rest >> 8 ^ TABLE[usize::from(rest as u8 ^ byte)])
}

/// The checksum as records hold it: changed, so that the checksum of bytes that end with their own checksum is no
/// constant.
pub fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vectors_of_rfc_3720_hold() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        for (bytes, sum) in [
            (&[][..], 0),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&rising, 0x46dd_794e),
            (&falling, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
        ] {
            assert_eq!(crc32c(bytes), sum, "{bytes:?}");
        }
        // Of LevelDB's tests, from which the mask comes.
        assert_ne!(masked(b"foo"), crc32c(b"foo"));
        assert_eq!(masked(b"foo").wrapping_sub(0xa282_ead8).rotate_left(15), crc32c(b"foo"));
    }
}
