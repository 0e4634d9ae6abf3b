//! Parquet files as tables: columns have the names and the types of the file. What they hold becomes the cells that a
//! CSV file would have, so that a model takes rows from either.

use super::{Declared, Table};
use crate::error::{Error, FileError, Place, beginning};
use crate::io::read::{MAX_TEXT_BYTES, Source, reserve};
use ::parquet::basic::Compression;
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::DataType;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use form::Form;
use std::cell::Cell;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

mod form;

/// The most cells of a file. A few bytes may stand for any number of equal ones.
const MAX_CELLS: u64 = 1 << 27;
/// Values that are decoded at a time.
const BATCH: usize = 4096;

/// Reads a Parquet file. Columns of lists, records or bytes are there, but hold nothing that can be learned.
///
/// # Errors
/// [`Error::File`] where the file is damaged, is compressed by a method that is not read, has two columns of one name,
/// no rows, or too many; [`Error::Io`], [`Error::Memory`].
pub(super) fn read(path: &Path) -> Result<Table, Error> {
    let source = Source::open(path)?;
    let bytes = source.left();
    let file = source.into_file();
    let reader = guarded(path, || SerializedFileReader::new(file).map_err(|e| damaged(path, &e)))?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let columns: Vec<Column> = columns(schema);
    if columns.is_empty() {
        return Err(FileError::new(path, "the file has no columns").hint("name another file").into());
    }
    check_chunks(path, &reader, &columns, bytes)?;
    let rows = rows_of_groups(path, &reader, columns.len())?;
    let mut table = Table {
        path: path.to_owned(),
        names: columns.iter().map(|column| column.name.clone()).collect(),
        text: String::new(),
        ends: Vec::new(),
        lines: Vec::new(),
        declared: columns.iter().map(Column::declared).collect(),
        has_lines: false,
    };
    table.check_distinct(Place::Whole)?;
    let all: usize = rows.iter().sum();
    reserve(&mut table.ends, (all * columns.len()) as u64, "the table")?;
    reserve(&mut table.lines, all as u64, "the table")?;
    for (group, &rows) in rows.iter().enumerate() {
        let cells = columns
            .iter()
            .map(|column| column.cells(path, &reader, group, rows, table.lines.len()))
            .collect::<Result<Vec<Cells>, Error>>()?;
        let bytes = cells.iter().map(|cells| cells.text.len() as u64).sum::<u64>() + table.text.len() as u64;
        if bytes > MAX_TEXT_BYTES {
            return Err(too_large(path, format!("more than {MAX_TEXT_BYTES} bytes of text")));
        }
        for row in 0..rows {
            for cells in &cells {
                table.text.push_str(cells.get(row).trim());
                table.ends.push(table.text.len() as u32); // a text has at most 256 MiB
            }
            table.lines.push(table.lines.len() as u32); // fewer rows than cells
        }
    }
    Ok(table)
}

/// A column of a file.
struct Column {
    name: String,
    /// Its number among those that are stored, and how values become cells; what it holds, where it is not read.
    stored: Result<(usize, Form), &'static str>,
}

/// The columns that a table shows: what lies nested in one belongs to it.
fn columns(schema: &SchemaDescriptor) -> Vec<Column> {
    let fields = schema.root_schema().get_fields().iter().enumerate();
    fields
        .map(|(place, field)| {
            let leaf = (0..schema.num_columns()).find(|&leaf| schema.get_column_root_idx(leaf) == place);
            let stored = match leaf {
                Some(leaf) if !field.is_group() && schema.column(leaf).max_rep_level() == 0 => {
                    Form::of(&schema.column(leaf)).map(|form| (leaf, form))
                }
                _ => Err("lists or records"),
            };
            Column { name: field.name().to_owned(), stored }
        })
        .collect()
}

/// The rows of each group.
fn rows_of_groups(
    path: &Path,
    reader: &SerializedFileReader<File>,
    columns: usize,
) -> Result<Vec<usize>, Error> {
    let groups = reader.metadata().row_groups().iter();
    let rows = groups.map(|group| usize::try_from(group.num_rows())).collect::<Result<Vec<_>, _>>();
    let rows = rows
        .map_err(|_| FileError::new(path, "the file says that it has less than no rows").hint(MAKE_AGAIN))?;
    let all = rows.iter().fold(0u64, |all, &rows| all.saturating_add(rows as u64));
    if all == 0 {
        return Err(FileError::new(path, "the file has no rows").hint("name another file").into());
    }
    if all.saturating_mul(columns as u64) > MAX_CELLS {
        return Err(too_large(path, format!("{all} rows of {columns} columns, at most {MAX_CELLS} cells")));
    }
    Ok(rows)
}

/// Checks that each column of each group is there, lies within the file, and is compressed by a method that is read.
fn check_chunks(
    path: &Path,
    reader: &SerializedFileReader<File>,
    columns: &[Column],
    bytes: u64,
) -> Result<(), Error> {
    for group in reader.metadata().row_groups() {
        for column in columns {
            let Ok((leaf, _)) = column.stored else { continue };
            let Some(chunk) = group.columns().get(leaf) else {
                return Err(FileError::new(path, "a group of rows has fewer columns than the file")
                    .hint(MAKE_AGAIN)
                    .into());
            };
            let numbers = [chunk.data_page_offset(), chunk.compressed_size(), chunk.num_values()];
            let start = chunk.dictionary_page_offset().unwrap_or(numbers[0]).min(numbers[0]);
            // The reader takes it for granted.
            if numbers.iter().chain([&start]).any(|&n| n < 0)
                || start.saturating_add(numbers[1]) as u64 > bytes
            {
                let problem = format!("column {:?} does not lie within the file", column.name);
                return Err(FileError::new(path, problem)
                    .found(format!("{} bytes from byte {start} on", numbers[1]))
                    .hint(MAKE_AGAIN)
                    .into());
            }
            let compression = chunk.compression();
            if !matches!(compression, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_))
            {
                return Err(FileError::new(
                    path,
                    format!("column {:?} is compressed by a method that is not read", column.name),
                )
                .found(compression.to_string())
                .hint("write it again with snappy or gzip, as to_parquet(file, compression=\"snappy\") does in pandas")
                .into());
            }
        }
    }
    Ok(())
}

/// The cells of a column, one after the other.
#[derive(Default)]
struct Cells {
    text: String,
    ends: Vec<usize>,
}

impl Cells {
    fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends.get(row - 1).copied().unwrap_or(0) };
        self.ends.get(row).and_then(|&end| self.text.get(start..end)).unwrap_or_default()
    }
}

impl Column {
    fn declared(&self) -> Declared {
        match &self.stored {
            Ok((_, form)) => form.declared(),
            Err(what) => Declared::Unreadable(what),
        }
    }

    /// The cells of so many rows of a group, of which the first is this one of the file.
    fn cells(
        &self,
        path: &Path,
        reader: &SerializedFileReader<File>,
        group: usize,
        rows: usize,
        first: usize,
    ) -> Result<Cells, Error> {
        match &self.stored {
            Ok((leaf, form)) => {
                guarded(path, || self.cells_of(path, reader, group, rows, first, (*leaf, *form)))
            }
            Err(_) => Ok(Cells::default()),
        }
    }

    fn cells_of(
        &self,
        path: &Path,
        reader: &SerializedFileReader<File>,
        group: usize,
        rows: usize,
        first: usize,
        (leaf, form): (usize, Form),
    ) -> Result<Cells, Error> {
        let wrong = |e: &ParquetError| damaged(path, e);
        let open = reader.get_row_group(group).and_then(|group| group.get_column_reader(leaf));
        let schema = reader.metadata().file_metadata().schema_descr();
        let read = Read { path, name: &self.name, column: &schema.column(leaf), rows, first };
        match open.map_err(|e| wrong(&e))? {
            ColumnReader::BoolColumnReader(r) => read.all(r, |&x, to| form.whole(x.into(), to)),
            ColumnReader::Int32ColumnReader(r) => read.all(r, |&x, to| form.whole(x.into(), to)),
            ColumnReader::Int64ColumnReader(r) => read.all(r, |&x, to| form.whole(x, to)),
            ColumnReader::Int96ColumnReader(r) => read.all(r, |x, to| form.julian(x.data(), to)),
            ColumnReader::FloatColumnReader(r) => read.all(r, |&x, to| form.quantity(x, to)),
            ColumnReader::DoubleColumnReader(r) => read.all(r, |&x, to| form.quantity(x, to)),
            ColumnReader::ByteArrayColumnReader(r) => read.all(r, |x, to| form.bytes(x.data(), to)),
            ColumnReader::FixedLenByteArrayColumnReader(r) => read.all(r, |x, to| form.bytes(x.data(), to)),
        }
    }
}

/// Reading the cells of a column.
struct Read<'r> {
    path: &'r Path,
    name: &'r str,
    column: &'r ColumnDescriptor,
    rows: usize,
    first: usize,
}

impl Read<'_> {
    fn all<T: DataType>(
        &self,
        mut reader: ColumnReaderImpl<T>,
        write: impl Fn(&T::T, &mut String) -> Result<(), &'static str>,
    ) -> Result<Cells, Error> {
        let mut cells = Cells::default();
        reserve(&mut cells.ends, self.rows as u64, "a column of the table")?;
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        while cells.ends.len() < self.rows {
            values.clear();
            levels.clear();
            let most = BATCH.min(self.rows - cells.ends.len());
            let read = reader.read_records(most, Some(&mut levels), None, &mut values);
            let (records, _, _) = read.map_err(|e| damaged(self.path, &e))?;
            let mut next = values.iter();
            for i in 0..records {
                let is_there = self.column.max_def_level() == 0
                    || levels.get(i).is_some_and(|&level| level == self.column.max_def_level());
                if is_there && let Some(value) = next.next() {
                    let written = write(value, &mut cells.text);
                    written.map_err(|problem| self.wrong(problem, self.first + cells.ends.len()))?;
                }
                cells.ends.push(cells.text.len());
            }
            if records == 0 {
                let problem = format!("column {:?} has fewer rows than the file says", self.name);
                return Err(FileError::new(self.path, problem)
                    .found(format!("{} of {}", cells.ends.len(), self.rows))
                    .hint(MAKE_AGAIN)
                    .into());
            }
            if cells.text.len() as u64 > MAX_TEXT_BYTES {
                return Err(too_large(self.path, format!("more than {MAX_TEXT_BYTES} bytes of text")));
            }
        }
        Ok(cells)
    }

    fn wrong(&self, problem: &str, row: usize) -> Error {
        FileError::new(self.path, format!("column {:?} {problem}", self.name))
            .at(Place::Row(row))
            .hint(format!("correct it, or leave the column out of the file; {MAKE_AGAIN}"))
            .into()
    }
}

thread_local! {
    /// Whether this thread is within [`guarded`].
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What `read` gives; an error where it panics. The crate `parquet` trusts pages to hold as many values as they say, and
/// goes beyond their end where a damaged one does not: from outside that cannot be seen before. The panic says nothing.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_GUARDED.get() {
                before(info);
            }
        }));
    });
    IS_GUARDED.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    IS_GUARDED.set(false);
    result.unwrap_or_else(|_| {
        Err(FileError::new(path, "the Parquet file cannot be read")
            .found("pages that do not hold what they say")
            .hint(MAKE_AGAIN)
            .into())
    })
}

const MAKE_AGAIN: &str = "where the file was cut short or changed, copy or make it again";

fn damaged(path: &Path, e: &ParquetError) -> Error {
    FileError::new(path, "the Parquet file cannot be read")
        .found(beginning(&e.to_string()))
        .hint(MAKE_AGAIN)
        .into()
}

fn too_large(path: &Path, found: String) -> Error {
    FileError::new(path, "the table is too large")
        .found(found)
        .hint("use fewer rows or columns; rows of any number are read from .npy files")
        .into()
}
