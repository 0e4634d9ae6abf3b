//! Job files: what is no TOML, what is no job, and jobs that no machine could carry out.

use super::{Expected, Group, Made, Reader, byte, job_line, whole};

pub fn jobs() -> Group {
    let mut g = Group::new("toml", Reader::Job, "toml");
    g.good("empty", "");
    g.good("comment", "# nothing\n");
    g.good("picture", "name = \"a\"\n[data]\nresize = [8, 8]\n[train]\nepochs = 1e3\n");
    g.good("windows-lines", "[train]\r\nepochs = 3\r\n");
    syntax(&mut g);
    values(&mut g);
    words(&mut g);
    sizes(&mut g);
    g
}

fn syntax(g: &mut Group) {
    let mut bad = |name: &str, text: &str, line: usize| g.bad(name, text, job_line(line), "not valid TOML");
    bad("no-value", "[train]\nepochs =\n", 2);
    bad("no-key", "= 3\n", 1);
    bad("no-bracket", "[train\nepochs = 3\n", 1);
    bad("no-quote", "name = \"a\n", 1);
    bad("word-as-value", "[loss]\nkind = mse\n", 2);
    bad("twice", "[train]\nepochs = 1\nepochs = 2\n", 3);
    bad("section-twice", "[train]\n[train]\n", 2);
    bad("nul", "name = \"a\0b\"\n", 1);
    bad("nuls", "\0\0\0\0", 1);
    bad("json", "{\"train\": {}}", 1);
    bad("bad-escape", "name = \"\\q\"\n", 1);
    bad("list-without-end", "[network]\nlayers = [\"tanh\",\n", 2);
    bad("deep-lists", &format!("a = {}", "[".repeat(100_000)), 1);
    bad("deep-tables", &format!("a = {}", "{a=".repeat(80_000)), 1);
    bad("colours", "\u{1b}[31m = 3", 1);
    let mut not_text = |name: &str, bytes: &[u8], at: usize| {
        let place = byte(at);
        let expected = Expected::Refused { place, reason: "the text is not UTF-8".into(), code: 3 };
        g.add(name, Made::File(bytes.to_vec()), expected);
    };
    not_text("bad-utf8", b"name = \"\xff\"\n", 8);
    not_text("utf-16", b"\xff\xfen\0", 0);
}

fn values(g: &mut Group) {
    let mut bad = |name: &str, section: &str, text: &str, reason: &str| {
        g.bad(name, format!("[{section}]\n{text}\n"), job_line(2), reason);
    };
    bad("negative", "train", "epochs = -1", "train.epochs must be a whole number from 0, found -1");
    bad("zero", "train", "epochs = 0", "train.epochs must be at least 1, found 0");
    bad("fraction", "train", "epochs = 2.5", "train.epochs must be a whole number");
    bad("beyond-64-bits", "train", "epochs = 99999999999999999999", "train.epochs must be");
    bad("rate-1e400", "optimizer", "rate = 1e400", "optimizer.rate must be a number");
    bad("rate-nan", "optimizer", "rate = nan", "optimizer.rate must be a number");
    bad("rate-infinite", "optimizer", "rate = inf", "optimizer.rate must be a number");
    bad("rate-zero", "optimizer", "rate = 0", "optimizer.rate must be greater than 0");
    bad("rate-as-text", "optimizer", "rate = \"fast\"", "optimizer.rate must be a number, found the text");
    bad("rate-as-date", "optimizer", "rate = 2026-01-01", "optimizer.rate must be a number");
    bad("rate-as-list", "optimizer", "rate = [1]", "optimizer.rate must be a number, found a list");
    bad("share-of-1", "optimizer", "average = 1.0", "optimizer.average must be");
    bad("size-of-one-side", "data", "resize = [8]", "data.resize must be a list of two whole numbers");
    bad("size-of-0", "data", "resize = [0, 8]", "data.resize must be a width and a height of at least 1");
    bad("no-layers", "network", "layers = []", "network.layers must be at least one layer");
    bad("layers-as-text", "network", "layers = \"tanh\"", "network.layers must be a list");
    bad("layer-of-nothing", "network", "layers = [{}]", "network.layers.0 must be a layer");
    bad("layer-as-number", "network", "layers = [3]", "network.layers.0 must be a layer");
    bad("no-units", "network", "layers = [\"linear\"]", "needs its units");
    bad("negative-units", "network", "layers = [{ linear = -4 }]", "must be a whole number from 1");
    bad("zero-kernel", "network", "layers = [{ conv2d = 4, kernel = 0 }]", "kernel must be at least 1");
    bad("no-time", "train", "max_time = \"soon\"", "train.max_time must be a duration");
    bad("seed-too-large", "train", "seed = 9223372036854775808", "train.seed must be");
}

fn words(g: &mut Group) {
    let mut bad =
        |name: &str, text: &str, line: usize, reason: &str| g.bad(name, text, job_line(line), reason);
    bad("unknown-section", "[trian]\nepochs = 3\n", 1, "unknown section [trian]; did you mean train?");
    bad("unknown-key", "[train]\nepoch = 3\n", 2, "unknown key train.epoch; did you mean epochs?");
    bad("key-outside", "epochs = 3\n", 1, "it belongs below [schedule] or [train]");
    bad("unknown-kind", "[loss]\nkind = \"mes\"\n", 2, "did you mean mse?");
    bad("unknown-layer", "[network]\nlayers = [\"tahn\"]\n", 2, "did you mean tanh?");
    bad("key-of-another-kind", "[loss]\nkind = \"mse\"\ndelta = 2\n", 3, "has no use with kind");
    bad("section-as-value", "train = 3\n", 1, "train must be a section");
    bad("name-with-a-slash", "name = \"../a\"\n", 1, "name must be a name of letters");
    bad("a-key-of-200-kilobytes", &format!("{} = 1\n", "k".repeat(200_000)), 1, "unknown key");
    bad("colours-in-a-key", "\"\\u001b[31m\" = 1\n", 1, "unknown key");
    bad("path-is-a-number", "[data]\nkind = \"original\"\npath = 3\n", 3, "data.path must be a path");
    g.bad("no-path", "[data]\nkind = \"original\"\n", whole(), "data.path must be not empty");
}

/// Jobs that cost more memory than they have bytes.
fn sizes(g: &mut Group) {
    let large = "the job file is too large";
    g.bad(
        "keys-without-end",
        (0..700_000).map(|i| format!("k{i} = 1\n")).collect::<String>(),
        whole(),
        large,
    );
    g.bad(
        "sections-without-end",
        (0..700_000).map(|i| format!("[s{i}]\n")).collect::<String>(),
        whole(),
        large,
    );
    g.bad("a-comment-of-megabytes", "#".repeat(8 << 20), whole(), large);
    let keys: String = (0..20_000).map(|i| format!("k{i} = 1\n")).collect();
    g.bad("many-keys", keys, job_line(1), "unknown key k0");
    let list = format!("[network]\nlayers = [{}3]\n", "\"tanh\",".repeat(10_000));
    g.bad("many-layers", list, job_line(2), "network.layers.10000 must be a layer");
    let mistakes = format!("[network]\nlayers = [{}]\n", "3,".repeat(100_000));
    g.bad("many-mistakes", mistakes, job_line(2), "network.layers.0 must be a layer");
}

/// Jobs that are well written.
pub fn runs() -> Group {
    let mut g = Group::new("run", Reader::Run, "toml");
    let job = |data: &str, layers: &str| {
        format!(
            "[data]\n{data}\n[network]\nlayers = [{layers}, {{ linear = \"targets\" }}]\n[train]\nepochs = 1\n"
        )
    };
    let small = "resize = [8, 8]";
    g.good("small", job(small, "\"tanh\""));
    // Messages on the job as a whole name the layer or the section, and not the file.
    let mut bad = |name: &str, text: String, reason: &str| g.bad(name, text, "-", reason);
    bad("picture-of-terabytes", job("resize = [1000000, 1000000]", "\"tanh\""), "40 million pixels at most");
    bad(
        "picture-overflow",
        job("resize = [9223372036854775807, 9223372036854775807]", "\"tanh\""),
        "40 million pixels at most",
    );
    bad(
        "picture-very-wide",
        job("resize = [4000000000000000000, 1]", "\"tanh\""),
        "40 million pixels at most",
    );
    for (name, layers) in [
        ("units-without-end", "{ linear = 1000000000000 }"),
        ("units-overflow", "{ linear = 9223372036854775807 }, { linear = 9223372036854775807 }"),
        ("units-of-gigabytes", "{ linear = 2000000000 }"),
        ("squares-of-gigabytes", "{ linear = 1000000 }, { linear = 1000000 }"),
        ("features-without-end", "{ fourier = 4000000000000000000 }"),
        ("siren-without-end", "{ siren = 4000000000000000000 }"),
        ("repeated-without-end", "{ sequential = [\"tanh\"], repeat = 1000000000000 }"),
        (
            "repeated-in-repeated",
            "{ sequential = [{ sequential = [\"tanh\"], repeat = 1000000 }], repeat = 1000000 }",
        ),
        ("vocabulary-without-end", "{ embedding = 1000000, vocabulary = 1000000000000 }"),
        ("convolution-of-a-row", "{ conv2d = 4 }"),
        ("attention-of-a-row", "{ attention = 2 }"),
        ("gru-of-a-row", "{ gru = 4 }"),
        ("pooling-of-a-row", "\"max_pool\""),
        ("batch-norm-first", "{ attention = 1000000000000 }"),
    ] {
        bad(name, job(small, layers), "0");
    }
    bad("batch-zero", job(small, "\"tanh\"") + "batch = 0\n", "train.batch must be");
    bad("validation-of-all", job(small, "\"tanh\"") + "validation = 0.9999\n", "leaves nothing of 64 rows");
    bad(
        "render-of-terabytes",
        job(small, "\"tanh\"") + "[picture]\nrender = [1000000, 1000000]\n",
        "40 million pixels at most",
    );
    let expected = Expected::Refused { place: "-".into(), reason: "cannot open".into(), code: 5 };
    g.add("no-picture-there", Made::File(job("picture = \"nowhere.png\"", "\"tanh\"").into()), expected);
    g
}
