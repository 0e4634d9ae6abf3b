use super::*;
use std::time::Duration;

/// The messages of a job that must be wrong.
fn errors(text: &str, overrides: &[&str]) -> Vec<String> {
    Job::parse(text, overrides).unwrap_err().to_string().lines().map(str::to_owned).collect()
}

#[test]
fn an_empty_file_is_the_default_job() {
    let job = Job::parse("", &[] as &[&str]).unwrap();
    assert_eq!(job, Job::default());
    assert_eq!(job.network.layers, [Layer::linear(Units::Targets)]);
    assert_eq!(job.optimizer.rule, Rule::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
    assert_eq!((job.train.epochs, job.train.batch), (100, Batch::Full));
}

#[test]
fn unknown_words_name_line_and_nearest_right_one() {
    let text = "\
epochs = 3
[optimizer]
kind = 'sgd'
momentun = 0.9
beta1 = 0.5
[trian]
[train]
epoch = 5
[loss]
kind = 'bec'
[network]
layers = [
    { linaer = 4 },
    'tahn',
    { linear = 4, baes = true, init = 'xavier' },
]
";
    assert_eq!(
        errors(text, &[]),
        [
            "job:1: unknown key epochs outside the sections; it belongs below [schedule] or [train]",
            "job:4: unknown key optimizer.momentun; did you mean momentum?",
            "job:5: optimizer.beta1 has no use with kind \"sgd\"; it belongs to \"adam\", \"adamw\" or \"lion\"",
            "job:6: unknown section [trian]; did you mean train?",
            "job:8: unknown key train.epoch; did you mean epochs?",
            "job:10: unknown loss.kind \"bec\"; did you mean bce?",
            "job:13: unknown network.layers.0 \"linaer\", which must be a layer; did you mean linear?",
            "job:14: unknown network.layers.1 \"tahn\", which must be a layer; did you mean tanh?",
            "job:15: unknown network.layers.2.init \"xavier\", which must be an initialiser; \
             did you mean xavier_normal?",
            "job:15: unknown key network.layers.2.baes; known are linear, bias, init",
        ]
    );
}

#[test]
fn wrong_types_and_ranges_name_the_line() {
    let text = "\
loss = 'mse'
[data]
kind = 'original'
inputs = 'standard'
[network]
layers = ['linear', { tanh = 3 }, { dropout = 1.0 }, 5, { gru = 0 }, {}]
[train]
epochs = 0
batch = 'all'
seed = -1
dtype = 'f16'
max_time = '10 minutes'
[optimizer]
rate = '0.1'
clip_norm = -1
[schedule]
kind = 1979-05-27
";
    assert_eq!(
        errors(text, &[]),
        [
            "job:1: loss must be a section, found a text; write its keys below [loss]",
            "job:4: data.inputs must be \"standardised\", \"standardised_as_one\", \"raw\" or \"coordinates\", found the text \"standard\"",
            "job:6: network.layers.0.linear needs its units; write { linear = units }",
            "job:6: network.layers.1.tanh takes no argument; write just \"tanh\"",
            "job:6: network.layers.2.dropout must be from 0 to below 1, found 1.0",
            "job:6: network.layers.3 must be a layer, found 5",
            "job:6: network.layers.4.gru must be at least 1, found 0",
            "job:6: network.layers.5 must be a layer, found a table",
            "job:8: train.epochs must be at least 1, found 0",
            "job:9: train.batch must be a whole number from 1 or \"full\", found the text \"all\"",
            "job:10: train.seed must be a whole number from 0, found -1",
            "job:11: train.dtype must be \"f32\" or \"f64\", found the text \"f16\"",
            "job:12: train.max_time must be a duration such as \"90s\", \"10m\", \"1h30m\", \
             found the text \"10 minutes\"",
            "job:14: optimizer.rate must be a number, found the text \"0.1\"",
            "job:15: optimizer.clip_norm must be greater than 0, found -1.0",
            "job:17: schedule.kind must be \"constant\", \"step\", \"exponential\", \"cosine\", \
             \"linear\", \"one_cycle\" or \"plateau\", found a date",
            "job: data.path must be not empty, found \"\"",
        ]
    );
}

#[test]
fn a_picture_section_without_a_picture_is_an_error() {
    let text = "[data]\nkind = 'original'\npath = 'a.json'\n[picture]\nframes = 0\n";
    assert_eq!(
        errors(text, &[]),
        [
            "job:4: [picture] has no use: the data are not a picture; leave it out, or set data.kind = \"picture\""
        ]
    );
    assert!(Job::parse(text, &["data.inputs=coordinates"]).unwrap().data.is_picture());
}

#[test]
fn sections_of_networks_have_no_use_without_one() {
    let text = "[data]\nkind = 'table'\npath = 'a.csv'\n[model]\nkind = 'k-means'\nclusters = [2, 5]\n[loss]\nkind = 'mae'\n";
    let expected = "job:7: [loss] has no use with model.kind = \"k-means\"; leave it out, or set model.kind = \"network\"";
    assert_eq!(errors(text, &[]), [expected]);
    let text = text.split("[loss]").next().unwrap();
    let job = Job::parse(text, &[] as &[&str]).unwrap();
    assert_eq!(job.model, Model::KMeans { clusters: ClusterCount::Between([2, 5]), restarts: 10 });
    assert_eq!((Job::parse(&job.to_toml(), &[] as &[&str]).unwrap(), job.epochs()), (job.clone(), 1));
    assert!(!job.to_toml().contains("[network]"), "{}", job.to_toml());
    for (clusters, problem) in [
        (
            "0",
            "--set model.clusters=0: model.clusters must be from 1 to 10000, the smaller one first, found 0",
        ),
        (
            "[5,2]",
            "--set model.clusters=[5,2]: model.clusters must be from 1 to 10000, the smaller one first, found [5, 2]",
        ),
        (
            "few",
            "--set model.clusters=few: model.clusters must be a whole number, or a list of two such as [1, 10], found the text \"few\"",
        ),
    ] {
        assert_eq!(errors(text, &[&format!("model.clusters={clusters}")]), [problem]);
    }
    // A network has to be told what it learns.
    let message = "job: data.target must be the name of a column, found \"\"";
    assert_eq!(errors("[data]\nkind = 'table'\npath = 'a.csv'\n", &[]), [message]);
}

#[test]
fn syntax_errors_name_the_line() {
    let lines = errors("[train]\nepochs = \n", &[]);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("job:2: not valid TOML: "), "{}", lines[0]);
}

#[test]
fn overrides_come_before_types_and_are_quoted_in_errors() {
    let text = "[train]\nepochs = 'many'\n";
    let overrides = ["train.epochs=1e3", "train.max_time=1h30m", "loss={ kind = 'huber', delta = 2 }"];
    let job = Job::parse(text, &overrides).unwrap();
    assert_eq!((job.train.epochs, job.train.max_time), (1000, Some(Duration::from_secs(5400))));
    assert_eq!(job.loss, Loss::Huber { delta: 2.0 });
    assert_eq!(
        errors("", &["train.epochs=many", "train.epoch=3", "optimizer", "network.layers.0=tanh"]),
        [
            "--set optimizer: no value; write --set key.path=value, for example --set train.epochs=5",
            "--set network.layers.0=tanh: network.layers must be a list, each element a layer, found a table",
            "--set train.epochs=many: train.epochs must be a whole number from 0, found the text \"many\"",
            "--set train.epoch=3: unknown key train.epoch; did you mean epochs?",
        ]
    );
}

#[test]
fn what_is_written_reads_back_to_the_same_job() {
    let layers = "[{ linear = 3, bias = false, init = { normal = 0.5 } }, { sine = 30 }, 'tanh', \
                  { conv2d = 8, kernel = [3, 5], stride = 2 }, { max_pool = 2, stride = 1 }, 'flatten', \
                  { residual = ['layer_norm', { attention = 4, causal = true }] }, \
                  { sequential = [{ lstm = 8, last = true }], repeat = 3 }, { embedding = 5, vocabulary = 9 }]";
    let layers = format!("network.layers={layers}");
    let jobs: [&[&str]; 8] = [
        &[],
        &["data.picture=a \"b\".png", "picture.render=[512, 256]", "data.colour=rgb", "train.batch=7"],
        &["data={ kind = 'original', path = 'x.json', task = 'binary' }", "loss.kind=bce"],
        &[layers.as_str(), "train.max_time=1500ms", "train.seed=9223372036854775807"],
        &["optimizer={ kind = 'sgd', momentum = 0.1, nesterov = true }", "schedule.kind=one_cycle"],
        &["loss={ kind = 'cross_entropy', class_weights = [1, 2.5] }", "optimizer.average=0.99"],
        &["loss={ kind = 'cross_entropy', class_weights = 'balanced' }", "network.layers=['random_flip']"],
        &["loss={ kind = 'bce', positive_weight = 'balanced' }"],
    ];
    for overrides in jobs {
        let job = Job::parse("name = 'test 1'", overrides).unwrap();
        let text = job.to_toml();
        let again = Job::parse(&text, &[] as &[&str]).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(again, job, "{text}");
    }
}

#[test]
fn every_kind_and_every_layer_reads_back() {
    for (section, words) in [
        ("model", Model::kinds()),
        ("loss", Loss::kinds()),
        ("optimizer", Rule::kinds()),
        ("schedule", Schedule::kinds()),
    ] {
        for (word, _) in words {
            let job = Job::parse("", &[format!("{section}.kind={word}")]).unwrap();
            assert!(job.to_toml().contains(&format!("kind = \"{word}\"")), "{word}");
            assert_eq!(Job::parse(&job.to_toml(), &[] as &[&str]).unwrap(), job, "{word}");
        }
    }
    for doc in Layer::docs() {
        let layer = match (doc.word, doc.keys.first()) {
            ("residual" | "sequential", _) => format!("{{ {} = ['relu'] }}", doc.word),
            (word, None) => format!("'{word}'"),
            (word, Some(_)) if doc.keys[0].default.is_some() => format!("'{word}'"),
            (word, Some(_)) => format!("{{ {word} = 1 }}"),
        };
        let job = Job::parse("", &[format!("network.layers=[{layer}]")]).unwrap();
        assert_eq!(job.network.layers[0].word(), doc.word);
        assert_eq!(Job::parse(&job.to_toml(), &[] as &[&str]).unwrap(), job, "{layer}");
    }
}

#[test]
fn every_key_is_documented_with_its_default() {
    let unset = [
        "resize",
        "class_weights",
        "clip_value",
        "clip_norm",
        "average",
        "epochs",
        "max_time",
        "render",
        "columns",
        "names",
        "shape",
        "size",
        "anomaly",
    ];
    let page = help();
    for section in help::sections() {
        assert!(section.about.ends_with('.'), "{}", section.name);
        assert!(page.contains(&format!("## [{}]", section.name)));
        for doc in &section.keys {
            assert!(doc.about.ends_with('.') && doc.about.len() > 5, "{}.{}", section.name, doc.key);
            assert!(doc.default.is_some() || unset.contains(&doc.key), "{}.{}", section.name, doc.key);
            assert!(doc.default.is_some() || doc.about.contains("Unset:"), "{}.{}", section.name, doc.key);
            assert!(
                page.contains(&format!("- `{}`: {}", doc.key, doc.value)),
                "{}.{}",
                section.name,
                doc.key
            );
        }
    }
    for doc in Layer::docs().iter().chain(&Initial::docs()) {
        assert!(doc.about.ends_with('.'), "{}", doc.word);
        assert!(page.contains(&format!("- `{}`: {}", doc.word, doc.about)), "{}", doc.word);
        assert!(doc.keys.iter().all(|key| key.about.ends_with('.')), "{}", doc.word);
    }
    // What is written in full has no key that the page leaves out.
    for line in Job::default().to_toml().lines().filter_map(|line| line.split_once(" = ")) {
        if line.0.starts_with(' ') {
            continue;
        }
        assert!(page.contains(&format!("- `{}`: ", line.0)), "{}", line.0);
    }
}

#[test]
fn a_missing_file_is_an_input_error_and_a_wrong_one_a_usage_error() {
    let error = Job::load(Path::new("no/such/job.toml"), &[] as &[&str]).unwrap_err();
    assert!(error.to_string().contains("no/such/job.toml"), "{error}");
    let wrong: Error = Job::parse("x", &[] as &[&str]).unwrap_err().into();
    assert_eq!((error.exit_code(), wrong.exit_code()), (5, 2));
}

#[test]
fn a_run_goes_on_as_what_it_was() {
    let old = Job::parse("", &["data.picture=a.png"]).unwrap();
    let next = |overrides: &[&str]| {
        let job = Job::parse(&old.to_toml(), overrides).unwrap();
        old.check_resumable_as(&job).map_err(|error| error.to_string())
    };
    assert_eq!(
        next(&["train.epochs=9", "optimizer.rate=0.5", "train.max_time=1h", "picture.frames=0"]),
        Ok(())
    );
    let message = next(&["train.seed=1", "loss.kind=mae"]).unwrap_err();
    assert!(message.starts_with("a run cannot be resumed with another loss, train.seed\n"), "{message}");
}

#[test]
fn json_has_the_same_keys_and_values() {
    let json = Job::default().to_json();
    assert_eq!(json["optimizer"]["beta2"], 0.999);
    assert_eq!(json["network"]["layers"][0]["linear"], "targets");
}

#[test]
fn paths_are_relative_to_where_they_are_written() {
    let folder = std::env::temp_dir().join(format!("ironlearn-job-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("my job.toml");
    std::fs::write(&file, "[data]\npicture = 'sub/a.png'\n").unwrap();
    let here = std::env::current_dir().unwrap();
    let picture = |overrides: &[&str]| {
        let job = Job::load(&file, overrides).unwrap();
        assert_eq!(job.name, "my job");
        let Data::Picture { picture, .. } = job.data else { panic!("not a picture") };
        picture
    };
    assert_eq!(picture(&[]), folder.join("sub/a.png"));
    assert_eq!(picture(&["data.picture=b.png"]), here.join("b.png"));
    assert_eq!(picture(&["data.picture=$IRONLEARN_DATA/c.png"]).file_name().unwrap(), "c.png");
    assert!(picture(&["data.picture=$IRONLEARN_DATA/c.png"]).is_absolute());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_file_of_data_may_be_a_list_of_them() {
    const NONE: &[&str] = &[];
    let read = |x: &str| Job::parse(&format!("[data]\nkind = 'arrays'\ny = ['a.npy']\nx = {x}\n"), NONE);
    for (x, count, written) in
        [("'a.npy'", 1, "x = \"a.npy\""), ("['a.npy', 'b.npy']", 2, "x = [\"a.npy\", \"b.npy\"]")]
    {
        let job = read(x).unwrap();
        let Data::Arrays { x, y, .. } = &job.data else { panic!("no arrays") };
        assert_eq!((x.len(), y.len()), (count, 1));
        let text = job.to_toml();
        assert!(text.contains(written) && text.contains("y = \"a.npy\""), "{text}");
        assert_eq!(Job::parse(&text, NONE).unwrap(), job);
    }
    let wrong = |x: &str| errors(&format!("[data]\nkind = 'arrays'\nx = {x}\n"), &[]);
    assert_eq!(wrong("[]"), ["job:3: data.x must be not empty, found \"\""]);
    assert_eq!(wrong("['a.npy', '']"), ["job:3: data.x must be not empty, found [\"a.npy\", \"\"]"]);
    assert_eq!(wrong("3"), ["job:3: data.x must be a path, or a list of paths, found 3"]);
}
