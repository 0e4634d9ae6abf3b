//! NumPy's `.npz`: a zip archive of `.npy` files.

use super::bytes::{crc32, deflate, find, join, patched, with, without_last};
use super::{Group, Reader, byte, key, npy, whole};

/// A file of an archive, as its headers say and as it is.
struct Member<'a> {
    name: &'a [u8],
    method: u16,
    flags: u16,
    crc: u32,
    /// The size decompressed, as the headers say.
    size: u32,
    /// The bytes in the archive.
    packed: Vec<u8>,
}

fn stored<'a>(name: &'a str, bytes: &[u8]) -> Member<'a> {
    let size = bytes.len() as u32;
    Member { name: name.as_bytes(), method: 0, flags: 0, crc: crc32(&[bytes]), size, packed: bytes.to_vec() }
}

fn deflated<'a>(name: &'a str, bytes: &[u8]) -> Member<'a> {
    Member { method: 8, packed: deflate(bytes), ..stored(name, bytes) }
}

fn header(m: &Member<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend([20, 0]);
    out.extend(m.flags.to_le_bytes());
    out.extend(m.method.to_le_bytes());
    out.extend([0, 0, 0x21, 0x5b]);
    out.extend(m.crc.to_le_bytes());
    out.extend((m.packed.len() as u32).to_le_bytes());
    out.extend(m.size.to_le_bytes());
    out.extend((m.name.len() as u16).to_le_bytes());
    out.extend([0, 0]);
    out
}

/// An archive: the files, the list of them, its end.
fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let (mut files, mut list) = (Vec::new(), Vec::new());
    for m in members {
        let at = files.len() as u32;
        files.extend(join(&[b"PK\x03\x04", &header(m), m.name, &m.packed]));
        list.extend(join(&[b"PK\x01\x02\x14\x03", &header(m), &[0; 10], &at.to_le_bytes(), m.name]));
    }
    let count = (members.len() as u16).to_le_bytes();
    let (length, start) = ((list.len() as u32).to_le_bytes(), (files.len() as u32).to_le_bytes());
    join(&[&files, &list, b"PK\x05\x06\0\0\0\0", &count, &count, &length, &start, &[0, 0]])
}

fn array() -> Vec<u8> {
    npy::numbers(2, &(0..100).map(f64::from).collect::<Vec<_>>())
}

/// An archive of one array `x`.
fn one(change: impl Fn(Member<'static>) -> Member<'static>) -> Vec<u8> {
    archive(&[change(deflated("x.npy", &array()))])
}

pub fn cases() -> Group {
    let mut g = Group::new("npz", Reader::Npz, "npz");
    g.good("stored", archive(&[stored("x.npy", &array())]));
    g.good("deflated", one(|m| m));
    g.good(
        "several",
        archive(&[stored("y.npy", &array()), deflated("x.npy", &array()), stored("note.txt", b"x")]),
    );
    lists(&mut g);
    members(&mut g);
    sizes(&mut g);
    g
}

/// What follows the path of the archive where the place is in one of its arrays.
fn inside(at: usize) -> String {
    format!("/x.npy{}", byte(at))
}

fn lists(g: &mut Group) {
    let good = archive(&[stored("x.npy", &array())]);
    let (list, end) = (find(&good, b"PK\x01\x02"), find(&good, b"PK\x05\x06"));
    let mut bad = |name: &str, bytes: Vec<u8>| {
        let place = byte(bytes.len());
        g.bad(name, bytes, place, "the zip archive cannot be read");
    };
    bad("empty", Vec::new());
    bad("text", b"not an archive".to_vec());
    bad("a-npy-file", array());
    bad("cut-in-the-array", good[..200].to_vec());
    bad("cut-before-the-list", good[..list].to_vec());
    bad("cut-in-the-list", good[..list + 20].to_vec());
    bad("cut-before-the-end", good[..end].to_vec());
    bad("cut-in-the-end", without_last(&good, 1));
    bad("list-beyond-the-file", patched(&good, end + 16, &[0xff, 0xff, 0xff, 0x7f]));
    bad("another-entry-in-the-list", patched(&good, list, b"PK\x01\x03"));
    bad("entries-without-end", patched(&good, end + 8, &[0xfe, 0xff, 0xfe, 0xff]));
    let elsewhere = patched(&good, end + 16, &[1, 0, 0, 0]);
    g.bad("no-list-where-it-should-be", elsewhere, "/x.npy: ", "the zip archive cannot be read");
    g.bad("no-entries", archive(&[]), key("x"), "there is no array `x`");
    g.bad("no-x", archive(&[stored("y.npy", &array())]), key("x"), "the arrays [\"y\"]");
    g.bad("x-without-npy", archive(&[stored("x", &array())]), key("x"), "there is no array `x`");
    g.bad("x-in-a-folder", archive(&[stored("../x.npy", &array())]), key("x"), "there is no array `x`");
    let name = |name: &'static [u8]| archive(&[Member { name, ..stored("", &array()) }]);
    g.bad("a-name-in-no-alphabet", name(b"\xff\xfe.npy"), key("x"), "there is no array `x`");
    g.bad("colours-in-a-name", name(b"\x1b[31mx.npy"), key("x"), "there is no array `x`");
    let names: Vec<String> = (0..60_000).map(|i| format!("{i:x}.npy")).collect();
    let many: Vec<Member<'_>> = names.iter().map(|name| stored(name, b"")).collect();
    g.bad("names-without-end", archive(&many), key("x"), "there is no array `x`");
}

fn members(g: &mut Group) {
    let place = "/x.npy";
    let damaged = "the compressed data are damaged";
    g.bad("wrong-checksum", one(|m| Member { crc: !m.crc, ..m }), place, damaged);
    let stored_wrong = archive(&[Member { crc: 0, ..stored("x.npy", &array()) }]);
    g.bad("wrong-checksum-stored", stored_wrong, place, damaged);
    g.bad("garbage-as-data", one(|m| Member { packed: vec![0xff; 300], ..m }), place, "damaged");
    g.bad(
        "cut-data",
        one(|m| Member { packed: m.packed[..60].to_vec(), ..m }),
        place,
        "the file ends within the magic number",
    );
    g.bad("no-data", one(|m| Member { packed: Vec::new(), ..m }), place, "larger than its compressed bytes");
    let no_header = patched(&one(|m| m), 0, b"PK\x07\x08");
    g.bad(
        "no-header-before-the-data",
        no_header,
        format!("{place}{}", whole()),
        "the zip archive cannot be read",
    );
    for (name, method) in [("bzip2", 12), ("lzma", 14), ("zstd", 93), ("unknown", 999)] {
        let bytes = one(|m| Member { method, ..m });
        g.bad(&format!("method-{name}"), bytes, inside(0), "write it with numpy.savez");
    }
    let locked = one(|m| Member { flags: 1, ..m });
    g.bad("encrypted", locked, format!("{place}{}", whole()), "the zip archive cannot be read");
    // An archive of files that are no arrays.
    let holds = |bytes: &[u8]| archive(&[deflated("x.npy", bytes)]);
    let cut = without_last(&array(), 1);
    let start = cut.len() - 799;
    g.bad("of-an-empty-file", holds(b""), inside(0), "the file ends within the magic number");
    g.bad("of-text", holds(b"just a text"), inside(0), "not a .npy file");
    g.bad("of-a-cut-array", holds(&cut), inside(start), "799 bytes left, 800 needed");
    g.bad("of-a-longer-array", holds(&join(&[&array(), &[0]])), inside(start + 800), "1 bytes more");
    g.bad(
        "of-objects",
        holds(&npy::file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8)),
        inside(10),
        "pickled",
    );
    let truths = npy::file("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", 1);
    g.bad("of-no-bool", holds(&with(&truths, truths.len() - 1, 9)), inside(truths.len() - 1), "not a bool");
}

fn sizes(g: &mut Group) {
    let said = |size: u32| one(|m| Member { size, ..m });
    let length = array().len() as u32;
    g.bad("smaller-it-says", said(length - 1), "/x.npy", "799 bytes left");
    g.bad("larger-it-says", said(length + 1), "/x.npy", "1 bytes more");
    g.bad(
        "of-gigabytes-it-says",
        said(u32::MAX - 1),
        inside(0),
        "larger than its compressed bytes can be read as",
    );
    let header =
        |n: usize| npy::file(&format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({n},), }}"), 0);
    // 128 MiB of zeros, of which the last is not there, or which have another checksum.
    let zeros = vec![0; 128 << 20];
    let all = join(&[&header(zeros.len()), &zeros]);
    let bomb = deflated("x.npy", &all);
    g.bad(
        "bomb-with-a-wrong-checksum",
        archive(&[Member { crc: 0, packed: bomb.packed.clone(), ..bomb }]),
        "/x.npy",
        "damaged",
    );
    let short = join(&[&header(zeros.len() + 1), &zeros]);
    g.bad(
        "bomb-a-byte-short",
        archive(&[deflated("x.npy", &short)]),
        inside(short.len() - zeros.len()),
        "needed",
    );
}
