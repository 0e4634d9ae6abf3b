"""Compares with scikit-learn: sklearn-check.py write FOLDER, and when Iron Learn has answered, sklearn-check.py compare FOLDER.

Inputs of a case are KIND.NAME.INPUT.npy, Iron Learn's results KIND.NAME.ours.OUTPUT.npy. All are made with a fixed seed, or
are data that scikit-learn brings along.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
import skimage
from scipy.stats import multivariate_normal
from skimage.metrics import structural_similarity
from sklearn import datasets, linear_model, metrics
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

MOST = 1e-6


def regression_cases(rng):
    """Name, rows, targets."""
    diabetes = datasets.load_diabetes(scaled=False)
    yield "diabetes", diabetes.data, diabetes.target
    for rows, columns in ((100_000, 30), (20_000, 200)):
        x = rng.normal(size=(rows, columns)) * rng.uniform(0.1, 10, columns) + rng.uniform(-5, 5, columns)
        yield f"{rows}x{columns}", x, x @ rng.normal(size=columns) + 3 * rng.normal(size=rows) + 2
    base = rng.normal(size=(2_000, 6))
    # Columns of which the last two are nearly a sum of others, and of which one is exactly so.
    near = np.hstack([base, base[:, :2] + 1e-3 * rng.normal(size=(2_000, 2))])
    yield "near", near, near @ rng.normal(size=8) + rng.normal(size=2_000)
    exact = np.hstack([base, base[:, :1] + base[:, 1:2]])
    yield "dependent", exact, exact @ rng.normal(size=7) + rng.normal(size=2_000)
    yield "wide", rng.normal(size=(60, 150)), rng.normal(size=60)


def class_cases(rng):
    """Name, rows, classes."""
    scaled = lambda data: (StandardScaler().fit_transform(data.data), data.target)
    yield "breast_cancer", *scaled(datasets.load_breast_cancer())
    yield "iris", *scaled(datasets.load_iris())
    yield "wine", *scaled(datasets.load_wine())
    digits = datasets.load_digits()
    yield "digits", digits.data / 16, digits.target
    raw = datasets.load_breast_cancer()
    yield "breast_cancer_raw", raw.data, raw.target
    for rows, columns in ((100_000, 30), (20_000, 200)):
        x = rng.normal(size=(rows, columns)) * rng.uniform(0.5, 2, columns) + rng.uniform(-1, 1, columns)
        w = rng.normal(size=columns) / np.sqrt(columns)
        score = (x - x.mean(0)) @ w
        yield f"{rows}x{columns}", x, (score + rng.logistic(size=rows) > 0).astype(int)
        # Fewer columns: for several classes, Newton's method takes minutes.
        x = x[:, :30]
        w = rng.normal(size=(30, 5)) / np.sqrt(30)
        yield f"{rows}x30x5", x, np.argmax((x - x.mean(0)) @ w + rng.gumbel(size=(rows, 5)), 1)


def cluster_cases(rng):
    """Name, rows, first centres."""
    # Pixels are whole numbers, and a row may be as far from two centres: then rounding decides. A little noise prevents that.
    digits = datasets.load_digits().data
    digits = digits + rng.uniform(-0.01, 0.01, digits.shape)
    for name, x, k in (
        ("iris", datasets.load_iris().data, 3),
        ("wine", datasets.load_wine().data, 3),
        ("digits", digits, 10),
        ("5000x20", rng.normal(size=(5_000, 20)) + 3 * rng.integers(0, 2, size=(5_000, 20)), 8),
    ):
        yield name, x, x[rng.choice(len(x), k, replace=False)]


def metric_cases(rng):
    """Kind, name, inputs."""
    for name, digits in (("ties", 1), ("many_ties", 0), ("no_ties", 12)):
        truth = rng.integers(0, 2, 5_000)
        scores = np.clip(truth * 0.2 + rng.uniform(size=5_000) * 0.8, 0, 1)
        yield "binary", name, {"x": scores.round(digits), "y": truth}
    for name, classes in (("three", 3), ("twenty", 20)):
        x = rng.uniform(size=(2_000, classes)).round(1) + 0.05
        y = np.where(rng.uniform(size=2_000) < 0.4, x.argmax(1), rng.integers(0, classes, 2_000))
        x /= x.sum(1, keepdims=True)
        yield "classes", name, {"x": x, "y": y, "called": x.argmax(1)}
    truth = rng.normal(size=3_000)
    yield "numbers", "noisy", {"x": truth + 0.3 * rng.normal(size=3_000), "y": truth}
    for name, channels in (("grey", 1), ("colour", 3)):
        smooth = np.cumsum(rng.normal(size=(97, 130, channels)), axis=0) * 6 + 128
        other = smooth + 12 * rng.normal(size=smooth.shape)
        yield "pictures", name, {"x": smooth.clip(0, 255).astype(np.uint8), "y": other.clip(0, 255).astype(np.uint8)}


def cases():
    """Kind, name, inputs."""
    rng = np.random.default_rng(20261126)
    for name, x, y in regression_cases(rng):
        yield "linear", name, {"x": x, "y": y.astype(float), "penalty": [0.0]}
        yield "linear", name + "_ridge", {"x": x, "y": y.astype(float), "penalty": [2.5]}
    for name, x, y in class_cases(rng):
        yield "logistic", name, {"x": x, "y": y.astype(np.int64), "penalty": [1.0], "tolerance": [1e-13]}
    for name, x, centres in cluster_cases(rng):
        yield "k-means", name, {"x": x, "centres": centres}
    cancer = datasets.load_breast_cancer()
    benign = StandardScaler().fit_transform(cancer.data[:, :10])
    learned = cancer.target == 1
    yield "anomaly", "breast_cancer", {"x": benign[learned], "judged": benign, "truth": 1 - cancer.target}
    yield from metric_cases(rng)


def best(f, times=3):
    """The result, and the seconds of the fastest of several runs."""
    least = np.inf
    for _ in range(times):
        start = time.perf_counter()
        result = f()
        least = min(least, time.perf_counter() - start)
    return result, least


def linear(inputs):
    """Outputs by name, and seconds."""
    penalty = inputs["penalty"][0]
    kind = linear_model.Ridge(penalty) if penalty else linear_model.LinearRegression(tol=1e-12)
    model, seconds = best(lambda: kind.fit(inputs["x"], inputs["y"]))
    return {"coefficients": model.coef_, "intercept": [model.intercept_]}, seconds


def logistic(inputs):
    """By Newton's method, which comes nearest to the optimum; the time is that of the faster of two solvers."""
    x, y, c = inputs["x"], inputs["y"], 1 / inputs["penalty"][0]

    def fitted(solver):
        model = linear_model.LogisticRegression(C=c, solver=solver, tol=1e-12, max_iter=10_000)
        return best(lambda: model.fit(x, y), 1 if len(x) > 1000 else 3)

    _, lbfgs = fitted("lbfgs")
    model, newton = fitted("newton-cholesky")
    return {"coefficients": model.coef_.ravel(), "intercept": model.intercept_}, min(lbfgs, newton)


def k_means(inputs):
    x, centres = inputs["x"], inputs["centres"]
    model = KMeans(len(centres), init=centres, n_init=1, algorithm="lloyd", tol=0)
    _, seconds = best(lambda: model.fit(x))
    silhouette = metrics.silhouette_score(x, model.labels_)
    found = {"centres": model.cluster_centers_, "labels": model.labels_, "inertia": [model.inertia_]}
    return {**found, "silhouette": [silhouette]}, seconds


def anomaly(inputs):
    x, judged, truth = inputs["x"], inputs["judged"], inputs["truth"]
    mean, covariance = x.mean(0), np.cov(x.T, bias=True)
    independent = multivariate_normal(mean, np.diag(covariance)).logpdf(judged)
    correlated, seconds = best(lambda: multivariate_normal(mean, covariance).logpdf(judged))
    precision, recall, thresholds = metrics.precision_recall_curve(truth, -correlated)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    at = np.argmax(f1)
    threshold = [f1[at], precision[at], recall[at]]
    found = {"independent": independent, "correlated": correlated, "threshold": threshold}
    return {**found, "anomalies": -correlated >= thresholds[at]}, seconds


def binary(inputs):
    x, y = inputs["x"], inputs["y"]
    all_of = (metrics.roc_auc_score, metrics.average_precision_score, metrics.log_loss)
    values, seconds = best(lambda: [of(y, x) for of in all_of])
    return {"values": values}, seconds


def classes(inputs):
    x, y, called = inputs["x"], inputs["y"], inputs["called"]
    every = list(range(x.shape[1]))
    scores_of = lambda average: metrics.precision_recall_fscore_support(y, called, average=average, zero_division=0)[:3]
    of_classes, seconds = best(lambda: scores_of(None))
    scores = np.concatenate([np.transpose(of_classes).ravel(), *map(scores_of, ("macro", "micro", "weighted"))])
    loss = metrics.log_loss(y, x, labels=every)
    values = [metrics.accuracy_score(y, called), loss, np.exp(loss)]
    values += [metrics.top_k_accuracy_score(y, x, k=k, labels=every) for k in (1, 2, 3)]
    values.append(metrics.adjusted_rand_score(y, called))
    names = [f"class {i}" for i in every]
    reports = {
        f"report{digits}": metrics.classification_report(y, called, target_names=names, digits=digits, zero_division=0)
        for digits in (2, 4)
    }
    return {"scores": scores, "values": values, **reports}, seconds


def numbers(inputs):
    x, y = inputs["x"], inputs["y"]
    all_of = (metrics.mean_squared_error, metrics.mean_absolute_error, metrics.r2_score)
    values, seconds = best(lambda: [of(y, x) for of in all_of])
    return {"values": values}, seconds


def pictures(inputs):
    x, y = inputs["x"], inputs["y"]
    like_wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    ssim, seconds = best(lambda: structural_similarity(x, y, channel_axis=2, **like_wang))
    psnr = skimage.metrics.peak_signal_noise_ratio(x, y, data_range=255)
    return {"values": [ssim, psnr, skimage.metrics.mean_squared_error(x, y)]}, seconds


KINDS = {
    "linear": linear,
    "logistic": logistic,
    "k-means": k_means,
    "anomaly": anomaly,
    "binary": binary,
    "classes": classes,
    "numbers": numbers,
    "pictures": pictures,
}


def difference(found, expected):
    """The largest relative difference of two vectors, element by element."""
    found, expected = np.ravel(found), np.ravel(np.asarray(expected, dtype=float))
    if found.shape != expected.shape:
        return np.inf
    off = np.abs(found - expected) / np.maximum(np.abs(expected), 1e-12)
    return np.where(np.isnan(found) & np.isnan(expected) | (found == expected), 0, off).max(initial=0)


def write(folder):
    for kind, name, inputs in cases():
        for key, value in inputs.items():
            np.save(folder / f"{kind}.{name}.{key}.npy", np.ascontiguousarray(value))


def compare(folder):
    print(f"scikit-learn {sklearn.__version__}, scikit-image {skimage.__version__}, NumPy {np.__version__}")
    line = "{:10} {:22} {:>10} {:>14} {:>14} {}"
    print(line.format("kind", "case", "difference", "Iron Learn ms", "scikit-learn ms", ""))
    broken = 0
    for kind, name, inputs in cases():
        inputs = {key: np.asarray(value) for key, value in inputs.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected, seconds = KINDS[kind](inputs)
        ours = lambda key: np.load(folder / f"{kind}.{name}.ours.{key}.npy")
        # A text has to be the same, character by character.
        same = lambda key, text: (folder / f"{kind}.{name}.ours.{key}.txt").read_text() == text
        off = {
            key: (0 if same(key, value) else np.inf) if isinstance(value, str) else difference(ours(key), value)
            for key, value in expected.items()
        }
        holds = max(off.values()) <= MOST
        broken += not holds
        reason = "" if holds else "BROKEN: " + ", ".join(f"{k} {v:.1e}" for k, v in off.items() if v > MOST)
        ms = [f"{1e3 * s:.2f}" for s in (ours("seconds")[0], seconds)]
        print(line.format(kind, name, f"{max(off.values()):.1e}", *ms, reason).rstrip(), flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    sys.exit({"write": write, "compare": compare}[sys.argv[1]](Path(sys.argv[2])))
