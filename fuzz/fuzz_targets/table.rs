//! Tables: what is learned from one encodes its own rows, to finite numbers, as the rows that were drafted.
#![no_main]

use ironlearn::table::{Draft, Missing, Table, Unseen};
use ironlearn_fuzz::{Scratch, assert_readable, judged};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static INPUT: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("input.csv"));

fuzz_target!(|bytes: &[u8]| {
    let Some(table) = judged(bytes.len(), || Table::read(INPUT.put(bytes))) else { return };
    let columns: Vec<usize> = (0..table.names().len()).collect();
    for &column in &columns {
        _ = table.look_at(column);
    }
    for missing in [Missing::Refuse, Missing::Mean, Missing::Median] {
        let drafted = Draft::of(&table, &columns, &[], missing, Unseen::Refuse);
        let learned = drafted.and_then(|(draft, raw)| {
            let mut raw = raw.as_slice::<f64>().expect("rows are of f64").to_vec();
            let encoding = draft.fit(&raw)?;
            draft.recode(&encoding, &mut raw)?;
            Ok((encoding, raw))
        });
        let (encoding, raw) = match learned {
            Ok(learned) => learned,
            Err(e) => {
                assert_readable(&e.to_string());
                continue;
            }
        };
        let again = encoding.encode(&table).expect("a table is encoded as it was learned");
        assert_eq!(again.as_slice::<f64>(), Some(&raw[..]));
        let mut input = vec![f64::NAN; encoding.inputs()];
        for row in raw.chunks(columns.len()) {
            encoding.write_input(row, &mut input);
            assert!(input.iter().all(|x| x.is_finite()), "{row:?} becomes {input:?}");
        }
    }
});
