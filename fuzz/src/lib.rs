//! What the targets share: files in memory, and the judgement on answers.

use ironlearn::Error;
use ironlearn_testkit::alloc::{Counting, peak};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Memory that what is refused may take beyond twice its bytes.
const MEMORY: u64 = 64 << 20;

/// A file that is written anew for every input. `run.sh` has the folder of such files in memory.
pub struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    /// An empty file of this name.
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("{}-{name}", std::process::id()));
        let file = File::create(&path).expect("the temporary folder can be written");
        Scratch { path, file }
    }

    /// Makes these bytes all that is in it.
    pub fn put(&self, bytes: &[u8]) -> &Path {
        self.file.set_len(bytes.len() as u64).expect("a file may have another size");
        self.file.write_all_at(bytes, 0).expect("there is room for an input");
        &self.path
    }

    /// Where it is, for what writes it by path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What a reader makes of `bytes` bytes: what it refuses costs little memory, and the message can be read.
pub fn judged<R>(bytes: usize, read: impl FnOnce() -> Result<R, Error>) -> Option<R> {
    let (answer, memory) = peak(read);
    match answer {
        Ok(read) => Some(read),
        Err(e) => {
            let most = MEMORY + 2 * bytes as u64;
            assert!(memory <= most, "{memory} bytes of memory for {bytes} that are refused: {e}");
            assert_readable(&e.to_string());
            None
        }
    }
}

/// Every message has a hint, and nothing that a terminal would obey.
pub fn assert_readable(text: &str) {
    assert!(text.contains("\n  help: "), "no hint: {text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "control characters: {text:?}");
    assert!(text.len() <= 8000, "{} bytes of message: {text}", text.len());
}
