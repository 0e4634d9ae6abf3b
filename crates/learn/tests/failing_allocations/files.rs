//! Files of every format that is read, each larger than a large allocation.

use flate2::{Compression, write::GzEncoder};
use image::{ExtendedColorType, ImageEncoder, codecs};
use ironlearn::io::npy;
use ironlearn_ir::Array;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Rows and columns of tables.
pub const ROWS: usize = 3000;
pub const COLUMNS: usize = 12;

fn number(i: usize) -> f64 {
    (i * 7919 % 1000) as f64 / 500.0 - 1.0
}

/// Inputs `[ROWS, COLUMNS]` and targets `[ROWS]`, which are classes below 3.
pub fn table() -> (Array, Array) {
    let x = (0..ROWS * COLUMNS).map(number).collect();
    let y = (0..ROWS).map(|i| (i % 3) as f64).collect();
    (Array::of([ROWS, COLUMNS], x).unwrap(), Array::of([ROWS], y).unwrap())
}

fn list(array: &Array) -> String {
    let numbers: Vec<String> = array.as_slice::<f64>().unwrap().iter().map(f64::to_string).collect();
    numbers.join(",")
}

/// A data set of the original program.
pub fn original_data(path: &Path) {
    let (x, y) = table();
    let (x, y) = (list(&x), list(&y));
    let text = format!(
        "{{\"m\":{ROWS},\"n\":{COLUMNS},\"x\":[{x}],\"y\":[{y}],\"m_test\":{ROWS},\"x_test\":[{x}],\"y_test\":[{y}]}}"
    );
    fs::write(path, text).unwrap();
}

/// A model of the original program with 100 × 200 weights.
pub fn original_model(path: &Path) {
    let weights = |n: usize| (0..n).map(|i| number(i).to_string()).collect::<Vec<_>>().join(",");
    let text = format!(
        "{{\"name\":\"m\",\"parameter_count\":20200,\"layers\":[\
         {{\"layer_type\":\"Linear\",\"name\":\"a\",\"index\":0,\"weights\":[{}],\"shape\":[100,200]}},\
         {{\"layer_type\":\"Linear\",\"name\":\"b\",\"index\":1,\"weights\":[{}],\"shape\":[200,1]}}],\"epoch\":1}}",
        weights(20_000),
        weights(200)
    );
    fs::write(path, text).unwrap();
}

/// A table as CSV.
pub fn csv(path: &Path) {
    let (x, _) = table();
    let mut text = String::new();
    for row in x.as_slice::<f64>().unwrap().chunks(COLUMNS) {
        let cells: Vec<String> = row.iter().map(f64::to_string).collect();
        writeln!(text, "{}", cells.join(",")).unwrap();
    }
    fs::write(path, text).unwrap();
}

/// A table in NumPy's format; where it is stored column by column, its header is that of the transposed one.
pub fn numpy(path: &Path, by_columns: bool) {
    npy::write(path, table().0.view()).unwrap();
    if by_columns {
        let mut bytes = fs::read(path).unwrap();
        let at = bytes.windows(5).position(|text| text == b"False").unwrap();
        bytes[at..at + 5].copy_from_slice(b"True ");
        fs::write(path, bytes).unwrap();
    }
}

/// Inputs and targets in one archive.
pub fn archive(path: &Path, method: zip::CompressionMethod) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    let (x, y) = table();
    for (name, array) in [("x", x), ("y", y)] {
        npy::write(file.path(), array.view()).unwrap();
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(&fs::read(file.path()).unwrap()).unwrap();
    }
    zip.finish().unwrap();
}

/// An IDX file of bytes, 400 × 28 × 28, perhaps compressed; or of as many classes.
pub fn idx(path: &Path, labels: bool, compressed: bool) {
    let shape: &[u32] = if labels { &[400] } else { &[400, 28, 28] };
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
    let n = shape.iter().product::<u32>();
    bytes.extend((0..n).map(|i| if labels { (i % 10) as u8 } else { (i * 31 % 251) as u8 }));
    if compressed {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&bytes).unwrap();
        bytes = encoder.finish().unwrap();
    }
    fs::write(path, bytes).unwrap();
}

/// A picture of 400 × 300 pixels; the kind of file is that of the path.
pub fn picture(path: &Path, colour: ExtendedColorType) {
    let (width, height) = (400, 300);
    let bytes = width * height * u32::from(colour.bits_per_pixel()) / 8;
    let pixels: Vec<u8> = (0..bytes).map(|i| (i * 37 / 5 % 256) as u8).collect();
    let mut file = Vec::new();
    match path.extension().and_then(|e| e.to_str()) {
        Some("png") => codecs::png::PngEncoder::new(&mut file).write_image(&pixels, width, height, colour),
        Some("webp") => {
            codecs::webp::WebPEncoder::new_lossless(&mut file).write_image(&pixels, width, height, colour)
        }
        _ => codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 95)
            .write_image(&pixels, width, height, colour),
    }
    .unwrap();
    fs::write(path, file).unwrap();
}
