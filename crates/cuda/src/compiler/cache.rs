//! Machine code on disk, so that a program is compiled once for each text, architecture and compiler.
//!
//! Best effort: what cannot be read is compiled, what cannot be written is not kept. An entry that is not whole is
//! made anew.

use std::path::PathBuf;
use std::{env, fs, process};

/// Names a text with all that it is compiled by.
pub type Key = u128;

const MAGIC: &[u8; 8] = b"ILCUDA01";

/// FNV-1a of 128 bits over the parts and their lengths.
pub fn key(parts: &[&str]) -> Key {
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    let mut add = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    };
    for part in parts {
        add(&(part.len() as u64).to_le_bytes());
        add(part.as_bytes());
    }
    hash
}

/// Where entries are: `IRONLEARN_CUDA_CACHE`, or the user's folder for caches. An empty variable: nowhere.
fn folder() -> Option<PathBuf> {
    if let Some(chosen) = env::var_os("IRONLEARN_CUDA_CACHE") {
        return (!chosen.is_empty()).then(|| chosen.into());
    }
    let caches = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    Some(caches.or_else(home)?.join("ironlearn").join("cuda"))
}

fn path(key: Key) -> Option<PathBuf> {
    Some(folder()?.join(format!("{key:032x}")))
}

/// The entry of this key, if it is there and whole.
pub fn find(key: Key) -> Option<Vec<u8>> {
    let bytes = fs::read(path(key)?).ok()?;
    let (head, code) = bytes.split_at_checked(40)?;
    let whole =
        head[..8] == *MAGIC && head[8..24] == key.to_le_bytes() && head[24..] == sum(code).to_le_bytes();
    whole.then(|| code.to_vec())
}

/// Keeps an entry: under another name first, so that nobody reads half of it.
pub fn keep(key: Key, code: &[u8]) {
    let Some(path) = path(key) else { return };
    let Some(folder) = path.parent() else { return };
    let bytes = [MAGIC, &key.to_le_bytes()[..], &sum(code).to_le_bytes(), code].concat();
    let part = path.with_extension(format!("part-{}", process::id()));
    let kept = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&part, bytes))
        .and_then(|()| fs::rename(&part, &path));
    if kept.is_err() {
        let _ = fs::remove_file(part);
    }
}

fn sum(code: &[u8]) -> u128 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut other = hash.rotate_left(32);
    for chunk in code.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        other = (other.rotate_left(9) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    u128::from(hash) << 64 | u128::from(other ^ code.len() as u64)
}
