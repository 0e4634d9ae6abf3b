"""Makes the Parquet files of the tests: python make.py, with pyarrow 26.0.1 installed."""

import datetime
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
DAYS = [datetime.date(2024, 2, 29), None, datetime.date(1969, 12, 31), datetime.date(2026, 11, 26), None, None]
MOMENTS = [datetime.datetime(2024, 2, 29, 10, 15), None, datetime.datetime(1969, 12, 31, 23, 59, 59)] * 2

# Every kind of column. What a row holds, tests.rs knows as well.
columns = pa.table(
    {
        "i8": pa.array([1, -2, None, 4, 5, 6], pa.int8()),
        "i64": pa.array([2**53 + 1, -(2**40), 0, 1, 2, 3], pa.int64()),
        "u32": pa.array([2**32 - 1, 0, 1, 2, 3, None], pa.uint32()),
        "u64": pa.array([2**64 - 1, 0, 1, 2, 3, 4], pa.uint64()),
        "f16": pa.array([1.5, -0.25, 0.0, 1.0, 2.0, 3.0], pa.float16()),
        "f32": pa.array([0.1, None, -2.5, 1e-10, 1e20, 3.0], pa.float32()),
        "f64": pa.array([0.1, float("nan"), 1e300, -2.0, 0.0, None], pa.float64()),
        "yes": pa.array([True, False, None, True, True, False], pa.bool_()),
        "text": pa.array(["Ann, \"the first\"", None, " bo ", "NA", "কি", "Ann"], pa.string()),
        "post_code": pa.array(["01067", "10115", "01067", "10115", "01067", "10115"], pa.string()),
        "category": pa.array(["a", "b", "a", None, "b", "a"]).dictionary_encode(),
        "price": pa.array([decimal.Decimal(x) for x in ("-0.07", "1.00", "12.34", "0", "5", "99.99")], pa.decimal128(9, 2)),
        "big": pa.array([decimal.Decimal(10) ** 20, None, decimal.Decimal("-1.5")] * 2, pa.decimal128(30, 1)),
        "day": pa.array(DAYS, pa.date32()),
        "moment": pa.array(MOMENTS, pa.timestamp("ns")),
        "zoned": pa.array(MOMENTS, pa.timestamp("ms", "UTC")),
        "clock": pa.array([datetime.time(10, 15), None, datetime.time(23, 59, 59)] * 2, pa.time64("us")),
        "nothing": pa.array([None] * 6, pa.float64()),
        "many": pa.array([[1, 2], [], None, [3], [4], [5]], pa.list_(pa.int64())),
        "record": pa.array([{"a": 1, "b": "x"}] * 6),
        "bytes": pa.array([b"ab", b"cd"] * 3, pa.binary(2)),
    }
)  # fmt: skip
pq.write_table(columns, HERE / "snappy.parquet", row_group_size=4, write_page_checksum=True)
encodings = {"i64": "DELTA_BINARY_PACKED", "f64": "BYTE_STREAM_SPLIT", "text": "DELTA_LENGTH_BYTE_ARRAY",
             "post_code": "DELTA_BYTE_ARRAY", "u32": "DELTA_BINARY_PACKED"}  # fmt: skip
pq.write_table(columns, HERE / "gzip.parquet", compression="gzip", data_page_version="2.0", use_dictionary=["category"],
               column_encoding=encodings, use_deprecated_int96_timestamps=True)  # fmt: skip
pq.write_table(columns.select(["i8"]), HERE / "zstd.parquet", compression="zstd")
pq.write_table(columns.slice(0, 0), HERE / "empty.parquet")

# A quantity that follows from a number, a word and a yes: 40 rows, some cells of which hold nothing.
size = [10.0 + 3 * (i * 7 % 13) if i % 9 != 4 else None for i in range(40)]
town = [("north", "south", "west")[i * 5 % 3] for i in range(40)]
new = [i * 3 % 4 == 0 for i in range(40)]
price = [2.0 * (s or 28.0) + {"north": 0, "south": 25, "west": 50}[t] + 10 * n for s, t, n in zip(size, town, new)]
rent = pa.table({"size [m²]": size, "town": town, "new": new, "rent [€]": price})
pq.write_table(rent, HERE / "rent.parquet")
