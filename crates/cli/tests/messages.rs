//! What the program says of the likeliest mistakes, word for word: cause, place and remedy of each stand in
//! `messages.txt`. `MESSAGES=overwrite` renews the file; read what has changed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{folder, program, text};
use ironlearn_testkit::tier::report;
use std::fs;
use std::path::Path;

const PINNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/messages.txt");

/// Mistakes on the command line, in jobs, and in data; `|` stands between arguments.
const MISTAKES: &[(&str, &str)] = &[
    ("a command that is not there", "trian|regression.toml"),
    ("no job", "train"),
    ("an option that is not there", "train|regression.toml|--epochs|5"),
    ("an option that needs a value", "train|regression.toml|--out"),
    ("a job that is not there", "train|regresion.toml"),
    ("a folder for a job", "train|folder"),
    ("a picture for a job", "train|grey.png"),
    ("a job that is not TOML", "train|syntax.toml"),
    ("a key twice", "train|twice.toml"),
    ("a section with another spelling", "train|section.toml"),
    ("a key with another spelling", "train|regression.toml|--set|train.epoch=5"),
    ("no value for a key", "train|regression.toml|--set|train.epochs"),
    ("a word for a number", "train|regression.toml|--set|train.epochs=many"),
    ("no epochs", "train|regression.toml|--set|train.epochs=0"),
    ("a batch of nothing", "train|regression.toml|--set|train.batch=0"),
    ("a rate below zero", "train|regression.toml|--set|optimizer.rate=-0.1"),
    ("a whole share for validation", "train|regression.toml|--set|train.validation=1"),
    ("an optimizer with another spelling", "train|regression.toml|--set|optimizer.kind=adamm"),
    ("a loss of another library", "train|regression.toml|--set|loss.kind=categorical_crossentropy"),
    ("a layer with another spelling", "train|regression.toml|--set|network.layers=[\"rellu\"]"),
    ("a layer without its argument", "train|regression.toml|--set|network.layers=[\"linear\"]"),
    ("a layer with a key of another", "train|regression.toml|--set|network.layers=[{linear=3,stride=2}]"),
    (
        "an initialiser that is not there",
        "train|regression.toml|--set|network.layers=[{linear=3,init=\"glorot\"}]",
    ),
    ("no layers", "train|regression.toml|--set|network.layers=[]"),
    ("a duration without its unit", "train|regression.toml|--max-time|90"),
    ("no threads", "train|regression.toml|--threads|0"),
    ("a GPU", "train|regression.toml|--device|cuda"),
    ("a device that is not there", "train|regression.toml|--device|gpu"),
    ("a precision of GPUs on the CPU", "train|regression.toml|--device|cpu|--set|train.precision=tf32"),
    ("a picture that is not there", "train|picture.toml|--set|data.picture=gray.png"),
    ("a text for a picture", "train|picture.toml|--set|data.picture=syntax.toml"),
    ("half a picture", "train|picture.toml|--set|data.picture=half.png"),
    ("a picture of no size", "train|picture.toml|--set|data.resize=[0,100]"),
    ("a drawing where no picture is learned", "train|regression.toml|--set|picture.render=[10,10]"),
    ("data without a path", "train|nowhere.toml"),
    ("data that are not there", "train|regression.toml|--set|data.path=number.json"),
    (
        "data below a folder that is not set",
        "train|regression.toml|--set|data.path=$IRONLEARN_DATA/numbers.json",
    ),
    ("half a JSON file", "train|regression.toml|--set|data.path=half.json"),
    ("more rows than there are", "train|regression.toml|--set|data.path=rows.json"),
    ("a text for a number in JSON", "train|regression.toml|--set|data.path=words.json"),
    ("a target that is neither 0 nor 1", "train|binary.toml|--set|data.path=numbers.json"),
    ("a class that is no whole number", "train|classes.toml|--set|data.y=halves.csv"),
    ("a row with fewer columns", "train|classes.toml|--set|data.x=ragged.csv"),
    ("a word in a table", "train|classes.toml|--set|data.x=words.csv"),
    ("a missing value in a table", "train|classes.toml|--set|data.x=missing.csv"),
    ("a number that is not finite in a table", "train|classes.toml|--set|data.x=infinite.csv"),
    ("a table of nothing", "train|classes.toml|--set|data.x=empty.csv"),
    ("other numbers of inputs and targets", "train|classes.toml|--set|data.y=y_test.npy"),
    ("half an array", "train|classes.toml|--set|data.x=half.npy"),
    ("a text for an array", "train|classes.toml|--set|data.x=text.npy"),
    ("an array of a kind that is not read", "train|classes.toml|--set|data.x=x.mat"),
    ("classes with a loss for numbers", "train|classes.toml|--set|loss.kind=mse"),
    ("numbers with a loss for classes", "train|regression.toml|--set|loss={kind=\"cross_entropy\"}"),
    ("a network that does not end with the targets", "train|classes.toml|--set|network.layers=[{linear=7}]"),
    (
        "a convolution of a table",
        "train|regression.toml|--set|network.layers=[{conv2d=4},\"flatten\",{linear=\"targets\"}]",
    ),
    ("a rate that is far too high", "train|regression.toml|--set|optimizer.rate=1e200|--set|loss.kind=mse"),
    (
        "a network that no memory holds",
        "train|regression.toml|--set|network.layers=[{linear=3000000},{linear=3000000},{linear=\"targets\"}]",
    ),
    ("a directory that is not empty", "train|regression.toml|--out|folder"),
    ("a directory of a run", "train|regression.toml|--out|run"),
    ("a file for a directory", "train|regression.toml|--out|numbers.json"),
    ("a directory that cannot be made", "train|regression.toml|--out|/proc/run"),
    ("a run that is not there", "resume|runs"),
    ("a directory that is no run", "resume|folder"),
    ("another network for a run", "resume|run|--set|network.layers=[{linear=\"targets\"}]"),
    ("a damaged checkpoint", "resume|damaged"),
    ("half a checkpoint", "predict|half.safetensors|--input|three.csv"),
    ("a model that is not there", "predict|model.safetensors|--input|three.csv"),
    ("a checkpoint of another program", "predict|other.safetensors|--input|three.csv"),
    ("nothing to predict from", "predict|run"),
    ("rows of another width", "predict|run|--input|two.csv"),
    ("a drawing by a model of tables", "predict|run|--grid|20x20|--out|drawn.png"),
    ("a size that is none", "predict|run|--grid|20"),
    ("predictions in a format that is not written", "predict|run|--input|three.csv|--out|answers.xlsx"),
    ("data that the model was not trained on", "evaluate|run|--data|two.csv"),
    ("a directory that is no run, to compare", "compare|run|folder"),
    ("a metric that no run has", "compare|run|--by|psnr"),
    ("curves in a format that is not drawn", "compare|run|--out|page.pdf"),
    ("rates that do not grow", "lr-find|regression.toml|--from|1|--to|0.1"),
    ("a grid without a key", "sweep|regression.toml|--grid|0.1,0.2"),
    ("a key of a grid that does not exist", "sweep|regression.toml|--grid|optimizer.rte=1,2"),
    ("the directory of another sweep", "sweep|regression.toml|--grid|optimizer.rate=1,2|--out|sweep"),
    ("a file that cannot be inspected", "inspect|grey.png"),
    ("a model with another spelling", "train|clusters.toml|--set|model.kind=kmeans"),
    ("a network where none learns", "train|clusters.toml|--set|network.layers=[\"relu\"]"),
    ("epochs where none are", "train|clusters.toml|--set|train.epochs=9|--set|train.batch=8"),
    ("more clusters than rows", "train|clusters.toml|--set|model.clusters=50"),
    ("a key of clusters for anomalies", "train|anomaly.toml|--set|model.clusters=3"),
    ("anomalies that nothing marks", "train|anomaly.toml"),
    ("anomalies of quantities", "train|anomaly.toml|--set|data.task=regression"),
    ("no target for a network", "train|table.toml|--set|data.target="),
    ("clusters as ONNX", "export|clusters|--onnx"),
    ("clusters in integers", "quantize|clusters"),
    ("learning rates of clusters", "lr-find|clusters.toml"),
];

/// Files with something wrong.
fn spoil(at: &Path) {
    let put = |name: &str, bytes: &[u8]| fs::write(at.join(name), bytes).unwrap();
    let half = |from: &str, to: &str| {
        let bytes = fs::read(at.join(from)).unwrap();
        put(to, &bytes[..bytes.len() / 2]);
    };
    fs::create_dir(at.join("folder")).unwrap();
    put("folder/thesis.txt", b"text");
    put("syntax.toml", b"[train]\nepochs = 5\nbatch = \n");
    put("twice.toml", b"[train]\nepochs = 5\nepochs = 6\n");
    put("section.toml", b"[optimiser]\nkind = \"adam\"\n");
    put("nowhere.toml", b"[data]\nkind = \"original\"\n");
    put("rows.json", br#"{"m": 3, "n": 2, "x": [1, 2, 3, 4], "y": [1, 2, 3]}"#);
    put("words.json", b"{\"m\": 2, \"n\": 1, \"x\": [1,\n \"two\"], \"y\": [1, 2]}");
    let table = |row: &dyn Fn(usize) -> String| (0..70).map(row).collect::<String>();
    put("halves.csv", table(&|i| format!("{}\n", if i == 40 { 0.5 } else { 1.0 })).as_bytes());
    let odd =
        |cell: &'static str| table(&move |i| format!("{i},2,3,4,5,{}\n", if i == 40 { cell } else { "6" }));
    put("words.csv", odd("six").as_bytes());
    put("missing.csv", odd("").as_bytes());
    put("infinite.csv", odd("inf").as_bytes());
    put("ragged.csv", odd("6\n1,2,3").as_bytes());
    put("empty.csv", b"");
    put("text.npy", b"no array at all");
    put("x.mat", b"MATLAB 5.0 MAT-file");
    put("two.csv", b"1,2\n");
    put("three.csv", b"1,2,3\n");
    let data = "data = { kind = \"table\", path = \"table.csv\", target = \"kind\", ignore = [\"id\"], missing = \"median\"";
    let job = |task: &str, model: &str| format!("{data}, task = \"{task}\" }}\nmodel.kind = \"{model}\"\n");
    put("clusters.toml", format!("{}model.clusters = 3\n", job("classes", "k-means")).as_bytes());
    put("anomaly.toml", job("binary", "gaussian-anomaly").as_bytes());
    let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    put("other.safetensors", &[&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat());
    for (from, to) in [("grey.png", "half.png"), ("numbers.json", "half.json"), ("x.npy", "half.npy")] {
        half(from, to);
    }
    for run in ["run", "damaged"] {
        let (code, said) = said(at, &format!("train|regression.toml|--out|{run}|--quiet"));
        assert_eq!(code, 0, "{said}");
    }
    let sweep = "sweep|regression.toml|--set|train.epochs=1|--grid|optimizer.rate=1,2|--out|sweep|--quiet";
    let (code, words) = said(at, sweep);
    assert_eq!(code, 0, "{words}");
    let (code, words) = said(at, "train|clusters.toml|--out|clusters|--quiet");
    assert_eq!(code, 0, "{words}");
    half("run/last.safetensors", "half.safetensors");
    let path = at.join("damaged/last.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// What a machine with the driver says, and one without: no GPU is seen here on either.
const NO_GPU: &str = "the NVIDIA driver sees no GPU (number 0 was asked for)\n  \
                      help: see `ironlearn doctor`, or use `--device cpu`";
const NO_DRIVER: &str = "the NVIDIA driver (libcuda) was not found on this machine\n  \
                         help: install the NVIDIA driver for your card, or use `--device cpu`";

/// Exit code and words of the program, with memory and instructions that do not change from machine to machine.
fn said(at: &Path, arguments: &str) -> (i32, String) {
    let mut program = program(at);
    program.env("IRONLEARN_MEMORY", "8GiB").env("IRONLEARN_ISA", "scalar");
    let output = program.args(arguments.split('|')).output().unwrap();
    let place = at.to_str().unwrap();
    let said = text(&output.stderr).replace(&format!("{place}/"), "").replace(place, ".");
    let said = said.replace(NO_GPU, NO_DRIVER);
    // Before the error stands where the run was to be, and how far it came.
    let start = said.find("error: ").unwrap_or(0);
    (output.status.code().unwrap(), said[start..].trim_end().to_string())
}

#[test]
fn the_likeliest_mistakes_are_answered_with_cause_place_and_remedy() {
    let folder = folder();
    let at = folder.path();
    spoil(at);
    let mut all = String::new();
    let mut wrong = Vec::new();
    for (title, arguments) in MISTAKES {
        let (code, said) = said(at, arguments);
        let remedies = ["\n  help: ", "\n  tip: ", "\nUsage: ", "[possible values: ", "try '--help'"];
        if !(2..=7).contains(&code)
            || !said.starts_with("error: ")
            || !remedies.iter().any(|r| said.contains(r))
        {
            wrong.push(format!("{title}: {code}: {said}"));
        }
        all.push_str(&format!(
            "## {title}\n$ ironlearn {}\n{said}\n[{code}]\n\n",
            arguments.replace('|', " ")
        ));
        let _ = fs::remove_dir_all(at.join("runs"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    if std::env::var("MESSAGES").is_ok_and(|what| what == "overwrite") {
        fs::write(PINNED, &all).unwrap();
    }
    let pinned = fs::read_to_string(PINNED).unwrap_or_default();
    let different = all.split("## ").zip(pinned.split("## ")).find(|(found, expected)| found != expected);
    if let Some((found, expected)) = different {
        panic!("not as pinned in {PINNED}:\n{found}\nwas\n{expected}");
    }
    assert_eq!(all.len(), pinned.len());
    report("messages", format!("{} mistakes answered as pinned", MISTAKES.len()));
}
