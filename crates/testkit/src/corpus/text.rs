//! Texts.

use super::{Group, Reader, byte, whole};
use crate::corpus::{Expected, Made};

pub fn cases() -> Group {
    let mut g = Group::new("text", Reader::Text, "txt");
    g.good("empty", "");
    g.good("letters", "naïve café 漢字 🙂\n");
    g.good("nul", "a\0b");
    g.bad("bad-utf8", b"ab\xffcd", byte(2), "the text is not UTF-8");
    g.bad("continuation-alone", b"a\x80", byte(1), "the byte 0x80");
    g.bad("cut-letter", b"abc\xe2\x82", byte(3), "the byte 0xe2");
    g.bad("overlong", b"\xc0\xaf", byte(0), "the byte 0xc0");
    g.bad("surrogate", b"\xed\xa0\x80", byte(0), "the byte 0xed");
    g.bad("beyond-unicode", b"\xf4\x90\x80\x80", byte(0), "the byte 0xf4");
    g.bad("utf-16", b"\xff\xfea\0", byte(0), "the byte 0xff");
    g.bad("utf-32", b"\0\0\xfe\xff", byte(2), "the byte 0xfe");
    let mut late = vec![b'a'; 1 << 20];
    late.push(0xff);
    g.bad("after-a-megabyte", late, byte(1 << 20), "the text is not UTF-8");
    let refused = Expected::Refused { place: whole(), reason: "the file is too large".into(), code: 3 };
    g.add("of-a-gigabyte", Made::Sparse(Vec::new(), 1 << 30), refused);
    g
}
