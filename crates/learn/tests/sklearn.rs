//! What scikit-learn computes as well, on inputs that `scripts/sklearn-check.py` writes and compares:
//! `scripts/sklearn-check.sh`.
//!
//! The folder `IRONLEARN_SKLEARN_DIR` holds the inputs of each case as `KIND.NAME.INPUT.npy`; results are written beside
//! them as `KIND.NAME.ours.OUTPUT.npy`, with the seconds of the best of three runs.

#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::anomaly::{Gaussian, Threshold};
use ironlearn::cluster::{KMeans, silhouette};
use ironlearn::io::npy;
use ironlearn::linear_model::{LinearRegression, LogisticRegression};
use ironlearn::metric::{self, Average, Confusion};
use ironlearn::picture::Picture;
use ironlearn::prelude::Array;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The inputs of a case, and where its outputs go.
struct Case {
    folder: PathBuf,
    name: String,
}

impl Case {
    fn input(&self, name: &str) -> Array {
        npy::read(&self.folder.join(format!("{}.{name}.npy", self.name))).unwrap()
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        self.input(name).as_slice::<f64>().unwrap().to_vec()
    }

    fn classes(&self, name: &str) -> Vec<usize> {
        self.input(name).as_slice::<i64>().unwrap().iter().map(|&class| class as usize).collect()
    }

    fn output(&self, name: &str, values: &[f64]) {
        let array = Array::of([values.len()], values.to_vec()).unwrap();
        npy::write(&self.folder.join(format!("{}.ours.{name}.npy", self.name)), array.view()).unwrap();
    }

    /// The result of the last of three runs, of which the fastest counts.
    fn timed<R>(&self, mut f: impl FnMut() -> R) -> R {
        let mut run = || {
            let start = Instant::now();
            let result = f();
            (start.elapsed().as_secs_f64(), result)
        };
        let (first, second, (third, result)) = (run().0, run().0, run());
        self.output("seconds", &[first.min(second).min(third)]);
        result
    }
}

fn linear(case: &Case) {
    let (x, y, penalty) = (case.input("x"), case.numbers("y"), case.numbers("penalty")[0]);
    let model = case.timed(|| LinearRegression::new().penalty(penalty).fit(&x, &y).unwrap());
    case.output("coefficients", &model.coefficients);
    case.output("intercept", &[model.intercept]);
}

fn logistic(case: &Case) {
    let (x, y, penalty) = (case.input("x"), case.classes("y"), case.numbers("penalty")[0]);
    let fit = LogisticRegression::new().penalty(penalty).tolerance(case.numbers("tolerance")[0]);
    let model = case.timed(|| fit.fit(&x, &y).unwrap());
    println!("{}: {} iterations to {:.1e}, {}", case.name, model.iterations, model.gradient, model.converged);
    case.output("coefficients", model.coefficients.as_slice::<f64>().unwrap());
    case.output("intercept", &model.intercepts);
}

fn k_means(case: &Case) {
    let (x, centres) = (case.input("x"), case.input("centres"));
    let fit = KMeans::new(centres.shape()[0]).tolerance(0.0);
    let found = case.timed(|| fit.fit_from(&x, &centres).unwrap());
    case.output("centres", found.centres.as_slice::<f64>().unwrap());
    case.output("labels", &found.labels.iter().map(|&label| label as f64).collect::<Vec<_>>());
    case.output("inertia", &[found.inertia]);
    case.output("silhouette", &[silhouette(&x, &found.labels).unwrap()]);
}

fn anomaly(case: &Case) {
    let (x, judged) = (case.input("x"), case.input("judged"));
    let truth: Vec<bool> = case.classes("truth").iter().map(|&class| class == 1).collect();
    let density =
        |of: fn(&Array) -> Result<Gaussian, ironlearn::Error>| of(&x).unwrap().log_density(&judged).unwrap();
    case.output("independent", &density(Gaussian::independent));
    let correlated = case.timed(|| density(Gaussian::correlated));
    let threshold = Threshold::by_f1(&correlated, &truth).unwrap();
    case.output("correlated", &correlated);
    case.output("threshold", &[threshold.f1, threshold.precision, threshold.recall]);
    let anomalies = threshold.anomalies(&correlated);
    case.output("anomalies", &anomalies.iter().map(|&is| f64::from(u8::from(is))).collect::<Vec<_>>());
}

fn binary(case: &Case) {
    let scores = case.numbers("x");
    let truth: Vec<bool> = case.classes("y").iter().map(|&class| class == 1).collect();
    let values = case.timed(|| {
        let all = [
            metric::roc_auc(&scores, &truth),
            metric::average_precision(&scores, &truth),
            metric::binary_log_loss(&scores, &truth),
        ];
        all.map(Result::unwrap)
    });
    case.output("values", &values);
}

fn classes(case: &Case) {
    let (x, y) = (case.input("x"), case.classes("y"));
    let (scores, count) = (x.as_slice::<f64>().unwrap(), x.shape()[1]);
    let called = case.classes("called");
    let found = case.timed(|| Confusion::of(&y, &called, count).unwrap());
    let of_classes = (0..count).map(|class| found.scores(class));
    let averages = [Average::Macro, Average::Micro, Average::Weighted].map(|average| found.average(average));
    let scores_of = of_classes.chain(averages).flat_map(|s| [s.precision, s.recall, s.f1]);
    case.output("scores", &scores_of.collect::<Vec<_>>());
    let loss = metric::log_loss(scores, &y).unwrap();
    let top = [1, 2, 3].map(|k| metric::top_k_accuracy(scores, &y, k).unwrap());
    let index = metric::adjusted_rand_index(&called, &y).unwrap();
    let values = [&[found.accuracy(), loss, metric::perplexity(loss)][..], &top, &[index]].concat();
    case.output("values", &values);
    let names: Vec<String> = (0..count).map(|class| format!("class {class}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for digits in [2, 4] {
        let path = case.folder.join(format!("{}.ours.report{digits}.txt", case.name));
        std::fs::write(path, found.report(&names, digits)).unwrap();
    }
}

fn numbers(case: &Case) {
    let (answers, truth) = (case.numbers("x"), case.numbers("y"));
    let all = || [metric::mse(&answers, &truth), metric::mae(&answers, &truth), metric::r2(&answers, &truth)];
    case.output("values", &case.timed(all).map(Result::unwrap));
}

fn pictures(case: &Case) {
    let picture = |name: &str| {
        let array = case.input(name);
        let [height, width, channels] = array.shape()[..] else { panic!("{name}: {}", array.shape()) };
        Picture::new(width, height, channels, array.as_slice::<u8>().unwrap().to_vec()).unwrap()
    };
    let (a, b) = (picture("x"), picture("y"));
    let ssim = case.timed(|| a.ssim(&b).unwrap());
    case.output("values", &[ssim, a.psnr(&b).unwrap(), a.mse(&b).unwrap()]);
}

#[test]
#[ignore = "compares with scikit-learn: scripts/sklearn-check.sh"]
fn cases() {
    let folder =
        std::env::var("IRONLEARN_SKLEARN_DIR").expect("IRONLEARN_SKLEARN_DIR, as the script sets it");
    let folder = Path::new(&folder);
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        files.filter_map(|name| Some(name.strip_suffix(".x.npy")?.to_string())).collect();
    names.sort();
    assert!(!names.is_empty(), "no case in {}", folder.display());
    for name in names {
        let case = Case { folder: folder.to_owned(), name };
        match case.name.split('.').next() {
            Some("linear") => linear(&case),
            Some("logistic") => logistic(&case),
            Some("k-means") => k_means(&case),
            Some("anomaly") => anomaly(&case),
            Some("binary") => binary(&case),
            Some("classes") => classes(&case),
            Some("numbers") => numbers(&case),
            Some("pictures") => pictures(&case),
            _ => panic!("{}: no such kind of case", case.name),
        }
    }
}
