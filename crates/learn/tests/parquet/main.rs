//! Tables in Parquet files that pyarrow wrote (`make.py`), and in damaged ones.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use ironlearn::table::{Contents, Draft, Labels, Missing, Table, Unseen};
use ironlearn_testkit::corpus::damaged;
use ironlearn_testkit::rng::Rng;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parquet").join(format!("{name}.parquet"))
}

fn table(name: &str) -> Table {
    Table::read(&file(name)).unwrap()
}

/// The cells of a column; `-` for nothing.
fn cells(table: &Table, name: &str) -> Vec<String> {
    let column = table.column(name).unwrap();
    (0..table.rows()).map(|row| table.cell(row, column).unwrap_or("-").to_owned()).collect()
}

#[test]
fn cells_are_those_that_pyarrow_wrote() {
    // Two groups of rows with dictionaries, and pages of the second version with other encodings.
    for name in ["snappy", "gzip"] {
        let table = table(name);
        assert_eq!((table.rows(), table.names().len()), (6, 21));
        for (column, expected) in [
            ("i8", "1 -2 - 4 5 6"),
            ("i64", "9007199254740993 -1099511627776 0 1 2 3"),
            ("u32", "4294967295 0 1 2 3 -"),
            ("u64", "18446744073709551615 0 1 2 3 4"),
            ("f16", "1.5 -0.25 0 1 2 3"),
            ("f32", "0.1 - -2.5 1e-10 1e20 3"),
            ("f64", "0.1 - 1e300 -2 0 -"),
            ("yes", "true false - true true false"),
            ("post_code", "01067 10115 01067 10115 01067 10115"),
            ("category", "a b a - b a"),
            ("price", "-0.07 1.00 12.34 0.00 5.00 99.99"),
            ("big", "100000000000000000000.0 - -1.5 100000000000000000000.0 - -1.5"),
            ("day", "2024-02-29 - 1969-12-31 2026-11-26 - -"),
            ("moment", "2024-02-29T10:15:00 - 1969-12-31T23:59:59 2024-02-29T10:15:00 - 1969-12-31T23:59:59"),
            ("zoned", "2024-02-29T10:15:00 - 1969-12-31T23:59:59 2024-02-29T10:15:00 - 1969-12-31T23:59:59"),
            ("clock", "10:15:00 - 23:59:59 10:15:00 - 23:59:59"),
            ("nothing", "- - - - - -"),
            ("many", "- - - - - -"),
        ] {
            assert_eq!(cells(&table, column).join(" "), expected, "{name}, {column}");
        }
        assert_eq!(cells(&table, "text"), ["Ann, \"the first\"", "-", "bo", "-", "কি", "Ann"]);
    }
}

#[test]
fn columns_hold_what_the_file_says() {
    let table = table("snappy");
    let contents = |name: &str| table.look_at(table.column(name).unwrap()).contents;
    for (name, expected) in [
        ("f64", Contents::Numbers),
        ("yes", Contents::Words),
        ("post_code", Contents::Words),
        ("clock", Contents::Dates),
        ("moment", Contents::Dates),
        ("nothing", Contents::Nothing),
        ("many", Contents::Unreadable),
        ("record", Contents::Unreadable),
        ("bytes", Contents::Unreadable),
    ] {
        assert_eq!(contents(name), expected, "{name}");
    }
    let of = |name: &str, missing| {
        Draft::of(&table, &[table.column(name).unwrap()], &[], missing, Unseen::Refuse)
            .map(|(_, raw)| raw.as_slice::<f64>().unwrap().to_vec())
            .map_err(|e| e.to_string())
    };
    assert_eq!(of("post_code", Missing::Refuse).unwrap(), [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    assert_eq!(of("price", Missing::Refuse).unwrap()[..3], [-0.07, 1.0, 12.34]);
    let empty = of("i8", Missing::Refuse).unwrap_err();
    assert!(empty.contains("snappy.parquet, row 2: column \"i8\" has nothing in this row"), "{empty}");
    let dates = of("day", Missing::Mean).unwrap_err();
    assert!(dates.contains("row 0: column \"day\" holds dates") && dates.contains("days since"), "{dates}");
    let yes = Labels::of(&table, table.column("yes").unwrap()).unwrap();
    assert_eq!(yes.names(), ["false", "true"]);
    let nested = table.readable_column("record").unwrap_err().to_string();
    assert!(nested.contains("column \"record\" holds lists or records"), "{nested}");
    assert!(nested.contains("data.ignore = [\"record\"]"), "{nested}");
}

#[test]
fn other_files_are_refused() {
    for (name, expected) in
        [("zstd", "is compressed by a method that is not read\n  found: ZSTD"), ("empty", "has no rows")]
    {
        let error = Table::read(&file(name)).unwrap_err();
        assert!(error.to_string().contains(expected) && error.exit_code() == 3, "{error}");
    }
    assert_eq!(Table::read(Path::new("no/such.parquet")).unwrap_err().exit_code(), 5);
    let text = tempfile::Builder::new().suffix(".Parquet").tempfile().unwrap();
    std::fs::write(text.path(), "a,b\n1,2\n").unwrap();
    let error = Table::read(text.path()).unwrap_err();
    assert!(error.to_string().contains("the Parquet file cannot be read"), "{error}");
}

#[test]
fn damaged_files_are_errors() {
    let mut refused = 0;
    for name in ["snappy", "gzip"] {
        let good = std::fs::read(file(name)).unwrap();
        let copy = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap();
        let cuts = (0..good.len()).step_by(good.len() / 200).map(|n| good[..n].to_vec());
        let mut rng = Rng::new(7);
        let changed = std::iter::repeat_with(|| damaged(&good, &mut rng)).take(4000);
        for bad in cuts.chain(changed) {
            std::fs::write(copy.path(), &bad).unwrap();
            match Table::read(copy.path()) {
                // Statistics and the like say nothing that is needed, and pages without a checksum may hold other values.
                Ok(table) => (0..table.rows()).for_each(|row| assert_ne!(table.cell(row, 0), Some(""))),
                Err(error) => {
                    assert!(matches!(error.exit_code(), 3 | 6), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 1000, "{refused} files refused");
}
