//! Paths at which no file stands that could be read.

use super::{Expected, Group, Made, Reader};

pub fn cases(reader: Reader, extension: &'static str) -> Group {
    let format = match reader {
        Reader::Checkpoint => "path-of-a-checkpoint",
        Reader::Npy => "path-of-an-array",
        Reader::Picture => "path-of-a-picture",
        _ => "path-of-a-job",
    };
    let mut g = Group::new(format, reader, extension);
    let mut bad = |name: &str, made: Made, reason: &str, code: u8| {
        let (place, reason) = (": ".into(), reason.into());
        g.add(name, made, Expected::Refused { place, reason, code });
    };
    bad("nothing", Made::Nothing(None), "cannot open", 5);
    bad("directory", Made::Directory, "a directory", 3);
    bad("pipe", Made::Pipe, "a pipe, socket or device", 3);
    bad("link-to-nothing", Made::Link("nowhere"), "cannot open", 5);
    bad("link-to-itself", Made::Link("."), "cannot open", 5);
    bad("link-to-a-device", Made::Link("/dev/zero"), "a pipe, socket or device", 3);
    bad("unreadable", Made::Unreadable, "cannot open", 5);
    bad("device", Made::Nothing(Some("/dev/zero")), "a pipe, socket or device", 3);
    bad("terminal", Made::Nothing(Some("/dev/tty")), "a pipe, socket or device", 3);
    bad("below-a-file", Made::Nothing(Some("/dev/null/file")), "cannot open", 5);
    bad("no-path", Made::Nothing(Some("")), "cannot open", 5);
    bad("nul-in-the-path", Made::Nothing(Some("a\0b")), "cannot open", 5);
    let long: &'static str = concat!(
        "/",
        "long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long"
    );
    bad("a-name-too-long", Made::Nothing(Some(long)), "cannot open", 5);
    g
}
