//! What is saved is loaded again, and damaged files are refused.

use super::*;
use crate::io::damage::damaged;
use ironlearn_ir::{Complex32, bf16};
use safetensors::SafeTensors;

fn parse(bytes: &[u8]) -> Result<Checkpoint, Error> {
    decode(&mut Source::of_bytes(Path::new("m.safetensors"), bytes))
}

/// A safetensors file with this header text.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn example() -> Checkpoint {
    let mut tensors: Vec<(String, Array)> = DType::ALL
        .into_iter()
        .filter(|d| *d != DType::C128)
        .map(|d| (format!("zeros.{d}"), Array::zeros(d, [2, 1, 3])))
        .collect();
    let mut add = |name: &str, array: Result<Array, String>| tensors.push((name.into(), array.unwrap()));
    add("weight", Array::of([2, 3], vec![1.5f32, -0.0, f32::NEG_INFINITY, 4.0, 5.0, 6.0]));
    add("mask", Array::of([3], vec![true, false, true]));
    add("half", Array::of([2], vec![bf16::ONE, bf16::MAX]));
    add("wave", Array::of([1], vec![Complex32::new(1.0, -2.0)]));
    add("empty", Array::of([0, 4], Vec::<f64>::new()));
    tensors.push(("step".into(), Array::scalar(-(1i64 << 40))));
    let meta = [("job", "epochs = 3\n\"quoted\" ü"), ("isa", "avx2")];
    let meta = meta.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    Checkpoint { tensors, meta, verified: true }
}

fn example_bytes() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    example().save(&path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_checkpoint_comes_back_whole_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    for checkpoint in [example(), Checkpoint { verified: true, ..Checkpoint::default() }] {
        checkpoint.save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), checkpoint);
    }
    let nan = Array::scalar(f32::from_bits(0x7fc1_2345));
    save(&path, &[("nan", nan.view())], &BTreeMap::new()).unwrap();
    let back = Checkpoint::load(&path).unwrap();
    assert_eq!(back.tensor("nan").unwrap().as_slice::<f32>().unwrap()[0].to_bits(), 0x7fc1_2345);
}

#[test]
fn the_safetensors_crate_reads_what_is_written_and_every_tensor_is_aligned() {
    let bytes = example_bytes();
    let theirs = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.len(), example().tensors.len());
    assert_eq!(theirs.tensor("step").unwrap().data(), (-(1i64 << 40)).to_le_bytes());
    for (name, view) in theirs.iter() {
        let at = view.data().as_ptr().addr() - bytes.as_ptr().addr();
        assert_eq!(at % view.dtype().bitsize().div_ceil(8), 0, "{name}");
    }
}

#[test]
fn a_foreign_file_loads_unverified() {
    let header = r#"{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let c = parse(&file(header, &1f32.to_le_bytes())).unwrap();
    assert!(!c.verified);
    assert_eq!(c.tensors, [("w".to_owned(), Array::of([1], vec![1f32]).unwrap())]);
    assert_eq!(c.meta["format"], "pt");
}

#[test]
fn the_header_is_read_without_the_elements() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    example().save(&path).unwrap();
    let header = load_header(&path).unwrap();
    let weight = header.tensors.iter().find(|t| t.name == "weight").unwrap();
    assert_eq!((weight.dtype, weight.stored.as_str()), (Some(DType::F32), "F32"));
    assert_eq!((weight.shape.dims(), weight.bytes.end - weight.bytes.start), (&[2, 3][..], 24));
    assert_eq!(header.file_bytes, std::fs::metadata(&path).unwrap().len());
    assert_eq!(header.meta["isa"], "avx2");
}

#[test]
fn every_flipped_bit_of_an_element_names_the_tensor() {
    let bytes = example_bytes();
    let mut source = Source::of_bytes(Path::new("m"), &bytes);
    for tensor in header::read(&mut source).unwrap().tensors {
        for at in tensor.bytes.clone() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at as usize] ^= 1 << bit;
                let e = parse(&bad).unwrap_err().to_string();
                assert!(e.contains(&format!("`{}`", tensor.name)), "{e}");
            }
        }
    }
}

#[test]
fn no_flipped_bit_of_the_header_goes_unseen() {
    let bytes = example_bytes();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for bit in 0..(8 + length) * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        // What still loads differs in the text of the JSON alone, as in a blank that became a tab.
        if let Ok(c) = parse(&bad) {
            assert_eq!(c, example(), "bit {bit}");
        }
    }
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let bytes = example_bytes();
    for bad in damaged(&bytes, 3_000) {
        if let Ok(c) = parse(&bad) {
            assert_eq!(c, example());
        }
    }
}

#[test]
fn what_cannot_be_read_says_where_and_why() {
    let w = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let max = u64::MAX;
    let chain: Vec<String> = (0..9u64)
        .map(|i| {
            let (a, b) = (i << 60, (i + 1) << 60);
            format!(r#""t{i}":{{"dtype":"U8","shape":[{}],"data_offsets":[{a},{b}]}}"#, 1u64 << 60)
        })
        .collect();
    let newer = r#"{"__metadata__":{"ironlearn.format":"2"}}"#;
    let one = w("U8", "[1]", "[0,1]");
    let twice = format!("{},{}", &one[..one.len() - 1], &one[1..]);
    let cases: [(Vec<u8>, &str); 19] = [
        (Vec::new(), "0 bytes left, 8 needed"),
        (max.to_le_bytes().to_vec(), "not a safetensors file"),
        ((1u64 << 63).to_le_bytes().to_vec(), "not a safetensors file"),
        ((16u64 << 20).to_le_bytes().to_vec(), "0 bytes left"),
        (file("", &[]), "found: nothing"),
        (file("PK", &[]), "0x50"),
        (b"\x02\0\0\0\0\0\0\0{\xff".to_vec(), "header is damaged"),
        (file(&"{\"a\":[".repeat(500), &[]), "header is damaged"),
        (file(&w("F7", "[1]", "[0,4]"), &[0; 4]), "`w`: unknown variant"),
        (file(&w("F32", "[2]", "[0,4]"), &[0; 4]), "tensor `w`"),
        (file(&w("F32", "[1]", "[4,8]"), &[0; 8]), "leaves a hole"),
        (file(&w("F32", "[1]", "[4,0]"), &[0; 4]), "ends before it begins"),
        (file(&w("F32", &format!("[{max},{max}]"), "[0,4]"), &[0; 4]), "tensor `w`"),
        (file(&w("F32", &format!("[0,{max}]"), "[0,0]"), &[]), "more elements"),
        (file(&w("F32", "[1]", "[0,4]"), &[0; 3]), "ends within a tensor"),
        (file(&w("F32", "[1]", "[0,4]"), &[0; 5]), "5 bytes of tensors, 4 expected"),
        (file(&w("F8_E5M2", "[1]", "[0,1]"), &[0; 1]), "found: F8_E5M2"),
        (file(&format!("{{{}}}", chain.join(",")), &[]), "ends within a tensor"),
        (file(newer, &[]), "newer version"),
    ];
    for (bytes, expected) in cases {
        let e = parse(&bytes).unwrap_err().to_string();
        assert!(e.contains(expected) && e.starts_with("m.safetensors"), "{expected}: {e}");
    }
    let e = parse(&file(&twice, &[0])).unwrap_err().to_string();
    assert!(e.contains("a tensor of this name stands there twice"), "{e}");
    let e = parse(&file(&w("BOOL", "[2]", "[0,2]"), &[1, 2])).unwrap_err().to_string();
    assert!(e.contains("tensor `w`: not a bool"), "{e}");
}

#[test]
fn what_cannot_be_written_is_refused_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let a = Array::scalar(1f32);
    let c128 = Array::zeros(DType::C128, [1]);
    let none = BTreeMap::new();
    let reserved = BTreeMap::from([(FORMAT_KEY.to_owned(), "1".to_owned())]);
    for refused in [
        save(&path, &[("a", a.view()), ("a", a.view())], &none),
        save(&path, &[("", a.view())], &none),
        save(&path, &[("__metadata__", a.view())], &none),
        save(&path, &[("a", c128.view())], &none),
        save(&path, &[("a", a.view())], &reserved),
    ] {
        assert_eq!(refused.unwrap_err().exit_code(), 2);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
