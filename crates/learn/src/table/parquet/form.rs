//! [`Form`]: what the values of a column are, and the cells that they become.

use crate::table::Declared;
use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use ::parquet::schema::types::ColumnDescriptor;
use half::f16;
use std::fmt::{Display, LowerExp};

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Boolean,
    /// Whole numbers of so many bits, without a sign where they are said to have none.
    Whole {
        unsigned: bool,
        bits: u32,
    },
    /// `f32` and `f64`.
    Quantity,
    Half,
    /// Whole numbers that are to be divided by a power of ten.
    Decimal {
        scale: usize,
    },
    Text,
    /// Days since 1970.
    Date,
    /// Parts of a second since midnight.
    Time {
        of_second: i64,
    },
    /// Parts of a second since 1970.
    Instant {
        of_second: i64,
    },
    /// Nanoseconds of a day, and the day as astronomers count it.
    Julian,
}

/// The day of astronomers on which 1970 began.
const JULIAN_1970: i64 = 2_440_588;
const SECONDS_OF_DAY: i64 = 86_400;

impl Form {
    /// The form of a column; what it holds, where that is neither numbers nor words nor times.
    pub fn of(column: &ColumnDescriptor) -> Result<Form, &'static str> {
        let (stored, converted) = (column.physical_type(), column.converted_type());
        let is_whole = matches!(stored, Type::INT32 | Type::INT64);
        let is_bytes = matches!(stored, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY);
        let scale = match column.logical_type_ref() {
            Some(LogicalType::Decimal(decimal)) => Some(decimal.scale),
            None if converted == ConvertedType::DECIMAL => Some(column.type_scale()),
            _ => None,
        };
        if let Some(scale) = scale {
            return match usize::try_from(scale) {
                Ok(scale) if scale <= 38 && (is_whole || is_bytes) => Ok(Form::Decimal { scale }),
                _ => Err("decimals that are not read"),
            };
        }
        match (stored, column.logical_type_ref(), converted) {
            (Type::BOOLEAN, _, _) => Ok(Form::Boolean),
            (Type::INT96, _, _) => Ok(Form::Julian),
            (Type::FLOAT | Type::DOUBLE, _, _) => Ok(Form::Quantity),
            (Type::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Float16), _) => Ok(Form::Half),
            (Type::INT32, Some(LogicalType::Date), _) | (Type::INT32, None, ConvertedType::DATE) => {
                Ok(Form::Date)
            }
            (_, Some(LogicalType::Time(time)), _) if is_whole => {
                Ok(Form::Time { of_second: of_second(&time.unit) })
            }
            (_, Some(LogicalType::Timestamp(time)), _) if is_whole => {
                Ok(Form::Instant { of_second: of_second(&time.unit) })
            }
            (Type::INT32, None, ConvertedType::TIME_MILLIS) => Ok(Form::Time { of_second: 1_000 }),
            (Type::INT64, None, ConvertedType::TIME_MICROS) => Ok(Form::Time { of_second: 1_000_000 }),
            (Type::INT64, None, ConvertedType::TIMESTAMP_MILLIS) => Ok(Form::Instant { of_second: 1_000 }),
            (Type::INT64, None, ConvertedType::TIMESTAMP_MICROS) => {
                Ok(Form::Instant { of_second: 1_000_000 })
            }
            (Type::INT32 | Type::INT64, _, converted) => {
                use ConvertedType::{UINT_8, UINT_16, UINT_32, UINT_64};
                let unsigned = match column.logical_type_ref() {
                    Some(LogicalType::Integer(whole)) => !whole.is_signed,
                    _ => matches!(converted, UINT_8 | UINT_16 | UINT_32 | UINT_64),
                };
                Ok(Form::Whole { unsigned, bits: if stored == Type::INT32 { 32 } else { 64 } })
            }
            (
                Type::BYTE_ARRAY,
                Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) | None,
                _,
            ) if converted != ConvertedType::BSON => Ok(Form::Text),
            _ => Err("bytes"),
        }
    }

    /// What the type says of the cells.
    pub fn declared(self) -> Declared {
        match self {
            Form::Whole { .. } | Form::Quantity | Form::Half | Form::Decimal { .. } => Declared::Cells,
            Form::Boolean | Form::Text => Declared::Words,
            Form::Date | Form::Time { .. } | Form::Instant { .. } | Form::Julian => Declared::Dates,
        }
    }

    /// Writes a cell for what is stored as a whole number.
    pub fn whole(self, x: i64, to: &mut String) -> Result<(), &'static str> {
        match self {
            Form::Boolean => to.push_str(if x == 0 { "false" } else { "true" }),
            Form::Decimal { scale } => push_decimal(x.into(), scale, to),
            Form::Date => push_day(x, to),
            Form::Time { of_second } => push_time(x.div_euclid(of_second), to),
            Form::Instant { of_second } => push_instant(x.div_euclid(of_second), to),
            Form::Whole { unsigned: true, bits: 32 } => to.push_str(&(x as u32).to_string()),
            Form::Whole { unsigned: true, .. } => to.push_str(&(x as u64).to_string()),
            _ => to.push_str(&x.to_string()),
        }
        Ok(())
    }

    /// Writes a cell for a floating-point number, with the digits that its own type needs.
    pub fn quantity<T: Display + LowerExp + Copy + Into<f64>>(
        self,
        x: T,
        to: &mut String,
    ) -> Result<(), &'static str> {
        let size = x.into().abs();
        let is_plain = size == 0.0 || !size.is_finite() || (1e-5..1e16).contains(&size);
        to.push_str(&if is_plain { x.to_string() } else { format!("{x:e}") });
        Ok(())
    }

    /// Writes a cell for a moment.
    pub fn julian(self, words: &[u32], to: &mut String) -> Result<(), &'static str> {
        let [low, high, day] = *words else { return Err("has a time of another length") };
        let nanoseconds = i64::from(low) | i64::from(high & 0x7fff_ffff) << 32;
        push_instant((i64::from(day) - JULIAN_1970) * SECONDS_OF_DAY + nanoseconds / 1_000_000_000, to);
        Ok(())
    }

    /// Writes a cell for what is stored as bytes.
    pub fn bytes(self, bytes: &[u8], to: &mut String) -> Result<(), &'static str> {
        match self {
            Form::Text => {
                to.push_str(std::str::from_utf8(bytes).map_err(|_| "has a text that is not UTF-8")?)
            }
            Form::Half => {
                let bytes = bytes.try_into().map_err(|_| "has a number of another length")?;
                return Form::Quantity.quantity(f16::from_le_bytes(bytes).to_f32(), to);
            }
            Form::Decimal { scale } => {
                // The largest digits first, in two's complement.
                if bytes.is_empty() || bytes.len() > 16 {
                    return Err("has a decimal of more than 16 bytes, or of none");
                }
                let sign = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
                let mut wide = [sign; 16];
                wide[16 - bytes.len()..].copy_from_slice(bytes);
                push_decimal(i128::from_be_bytes(wide), scale, to);
            }
            _ => return Err("has bytes where others are said to be"),
        }
        Ok(())
    }
}

fn of_second(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    }
}

fn push_decimal(unscaled: i128, scale: usize, to: &mut String) {
    let digits = format!("{:0>1$}", unscaled.unsigned_abs(), scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    to.push_str(&format!("{sign}{whole}{point}{part}"));
}

fn push_time(second: i64, to: &mut String) {
    to.push_str(&format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60));
}

fn push_instant(second: i64, to: &mut String) {
    push_day(second.div_euclid(SECONDS_OF_DAY), to);
    to.push('T');
    push_time(second.rem_euclid(SECONDS_OF_DAY), to);
}

/// Year, month and day of a day since 1970, by counting in years that begin in March (Howard Hinnant,
/// "chrono-compatible low-level date algorithms").
fn push_day(day: i64, to: &mut String) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + i64::from(month <= 2);
    to.push_str(&format!("{year:04}-{month:02}-{day:02}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String) -> Result<(), &'static str>) -> String {
        let mut text = String::new();
        write(&mut text).unwrap();
        text
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        let whole = |form: Form, x| written(|to| form.whole(x, to));
        assert_eq!(whole(Form::Whole { unsigned: false, bits: 32 }, -7), "-7");
        assert_eq!(whole(Form::Whole { unsigned: true, bits: 32 }, -1), "4294967295");
        assert_eq!(whole(Form::Whole { unsigned: true, bits: 64 }, -1), "18446744073709551615");
        assert_eq!(whole(Form::Decimal { scale: 2 }, -7), "-0.07");
        assert_eq!(whole(Form::Decimal { scale: 0 }, 120), "120");
        let bytes = |form: Form, bytes: &[u8]| written(|to| form.bytes(bytes, to));
        assert_eq!(bytes(Form::Decimal { scale: 3 }, &[0xff, 0x85]), "-0.123");
        assert_eq!(bytes(Form::Half, &[0x00, 0x3e]), "1.5");
        let quantity = |x: f64| written(|to| Form::Quantity.quantity(x, to));
        assert_eq!([0.1, 1e300, -2e-9, 0.0, f64::NAN].map(quantity), ["0.1", "1e300", "-2e-9", "0", "NaN"]);
        assert_eq!(written(|to| Form::Quantity.quantity(0.1f32, to)), "0.1");
        assert!(Form::Text.bytes(&[0xff], &mut String::new()).is_err());
        assert!(Form::Decimal { scale: 1 }.bytes(&[0; 17], &mut String::new()).is_err());
    }

    #[test]
    fn days_and_moments_are_those_of_the_calendar() {
        let day = |day| written(|to| Form::Date.whole(day, to));
        assert_eq!(
            [0, -1, 11_016, 19_782, -719_468].map(day),
            ["1970-01-01", "1969-12-31", "2000-02-29", "2024-02-29", "0000-03-01"]
        );
        let milli = Form::Instant { of_second: 1_000 };
        assert_eq!(written(|to| milli.whole(-1, to)), "1969-12-31T23:59:59");
        assert_eq!(written(|to| Form::Time { of_second: 1_000 }.whole(36_900_500, to)), "10:15:00");
        assert_eq!(written(|to| Form::Julian.julian(&[0, 0, 2_440_589], to)), "1970-01-02T00:00:00");
        // The largest numbers that a damaged file may have.
        for x in [i64::MIN, i64::MAX] {
            let _ = Form::Time { of_second: 1_000 }.whole(x, &mut String::new());
            let _ = milli.whole(x, &mut String::new());
        }
        let _ = Form::Date.whole(i32::MIN.into(), &mut String::new());
        let _ = Form::Julian.julian(&[u32::MAX; 3], &mut String::new());
    }
}
