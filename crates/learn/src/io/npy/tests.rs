//! What is written is read again, and damaged files are refused.

use super::*;
use crate::io::damage::damaged;
use ironlearn_ir::{Complex32, bf16, f16};

fn parse(bytes: &[u8]) -> Result<Array, Error> {
    decode(&mut Source::of_bytes(Path::new("a.npy"), bytes))
}

fn file(version: u8, descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut out = MAGIC.to_vec();
    out.extend([version, 0]);
    let length = (text.len() as u32).to_le_bytes();
    out.extend(&length[..if version == 1 { 2 } else { 4 }]);
    out.extend(text.as_bytes());
    out.extend(data);
    out
}

#[test]
fn every_type_that_npy_has_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let arrays = [
        Array::of([2, 3], vec![1.5f32, -0.0, f32::INFINITY, 4.0, 5.0, 6.0]).unwrap(),
        Array::of([0, 3], Vec::<f64>::new()).unwrap(),
        Array::scalar(-7i64),
        Array::of([3], vec![true, false, true]).unwrap(),
        Array::of([2], vec![f16::from_f32(0.5), f16::MAX]).unwrap(),
        Array::of([1, 2], vec![Complex32::new(1.0, 2.0), Complex32::new(3.0, -4.0)]).unwrap(),
    ];
    let zeros = CODES.map(|(_, d)| Array::zeros(d, [3, 1, 2]));
    for array in arrays.iter().chain(&zeros) {
        write(&path, array.view()).unwrap();
        assert_eq!(&read(&path).unwrap(), array);
        let bytes = std::fs::read(&path).unwrap();
        let elements = array.data().len() * array.dtype().size();
        assert_eq!((bytes.len() - elements) % 64, 0);
    }
    let e = write(&path, Array::scalar(bf16::ONE).view()).unwrap_err();
    assert!(e.to_string().contains("cast"), "{e}");
}

#[test]
fn a_file_written_by_numpy_is_read() {
    // numpy.save of numpy.arange(3, dtype="<i2"), byte for byte.
    let mut bytes =
        b"\x93NUMPY\x01\x00v\x00{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }".to_vec();
    bytes.resize(127, b' ');
    bytes.extend(b"\n\x00\x00\x01\x00\x02\x00");
    assert_eq!(parse(&bytes).unwrap(), Array::of([3], vec![0i16, 1, 2]).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    write(&path, Array::of([3], vec![0i16, 1, 2]).unwrap().view()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn big_endian_fortran_order_and_later_versions_are_read() {
    let data: Vec<u8> = [1u32, 4, 2, 5, 3, 6].iter().flat_map(|x| x.to_be_bytes()).collect();
    for version in 1..=3 {
        let a = parse(&file(version, "'>u4'", "True", "(2, 3)", &data)).unwrap();
        assert_eq!(a, Array::of([2, 3], vec![1u32, 2, 3, 4, 5, 6]).unwrap());
    }
    let data: Vec<u8> = [1f32, 2.0].iter().flat_map(|x| x.to_be_bytes()).collect();
    let a = parse(&file(2, "'>c8'", "False", "()", &data)).unwrap();
    assert_eq!(a, Array::scalar(Complex32::new(1.0, 2.0)));
    // Three axes: element (i, j, k) stands at i + 2 j + 4 k.
    let a = parse(&file(1, "'|u1'", "True", "(2, 2, 2)", &[0, 1, 2, 3, 4, 5, 6, 7])).unwrap();
    assert_eq!(a.as_slice::<u8>().unwrap(), [0, 4, 2, 6, 1, 5, 3, 7]);
}

#[test]
fn what_cannot_be_read_says_why() {
    let cases: [(Vec<u8>, &str); 11] = [
        (b"PK\x03\x04....".to_vec(), "not a .npy file"),
        (file(4, "'<f4'", "False", "()", &[0; 4]), "version"),
        (file(1, "'|O'", "False", "(1,)", &[0; 8]), "pickled"),
        (file(1, "'<V2'", "False", "(1,)", &[0; 2]), "bfloat16"),
        (file(1, "[('a', '<f4')]", "False", "(1,)", &[0; 4]), "field"),
        (file(1, "'<u8'", "False", "(1,)", &[0; 8]), "astype"),
        (file(1, "'<f4'", "False", "(2,)", &[0; 4]), "4 bytes left, 8 needed"),
        (file(1, "'<f4'", "False", "(1,)", &[0; 5]), "1 bytes more"),
        (file(1, "'<f4'", "False", "(9999999999, 9999999999)", &[0; 4]), "more elements"),
        (file(1, "'<f4'", "False", "(99999999999999999999999,)", &[0; 4]), "no memory"),
        (file(1, "'|b1'", "False", "(2,)", &[1, 7]), "not a bool"),
    ];
    for (bytes, expected) in cases {
        let e = parse(&bytes).unwrap_err().to_string();
        assert!(e.contains(expected) && e.starts_with("a.npy"), "{e}");
    }
    let mut huge = file(2, "'<f4'", "False", "(1,)", &[0; 4]);
    huge[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(parse(&huge).unwrap_err().to_string().contains("too long"));
}

#[test]
fn damaged_files_are_errors_or_arrays_but_never_panics() {
    let good = file(1, "'<f4'", "True", "(3, 4)", &[7; 48]);
    let cut = good.len();
    for bytes in damaged(&good, 5_000) {
        let read = parse(&bytes);
        assert!(bytes.len() == cut || read.is_err());
    }
}
