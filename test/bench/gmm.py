"""Gaussian mixtures: fits from a given start, and whole default fits, beside scikit-learn."""

import gzip
import warnings
from pathlib import Path

import numpy as np

from bench import workload

try:
    from sklearn.mixture import GaussianMixture
except ImportError:
    GaussianMixture = None
else:
    warnings.filterwarnings("ignore", module="sklearn")  # it does not converge: it is not to

DATA = Path(__file__).parent.parent / "data"


def mixture(n, d, k, seed=1):
    """k Gaussian components of different shapes, overlapping."""
    random = np.random.default_rng(seed)
    center = random.normal(0, 2, (k, d))
    shape = np.eye(d) + random.normal(0, 0.3 / d ** 0.5, (k, d, d))
    label = random.integers(k, size=n)
    x = random.normal(size=(n, d))
    for c in range(k):
        x[label == c] = x[label == c] @ shape[c] + center[c]
    return x


def literal(array):
    return "'" + str(np.asarray(array).tolist()).replace("[", "{").replace("]", "}") + "'"


def unit_covariances(covariance, k, d):
    return {"full": np.broadcast_to(np.eye(d), (k, d, d)), "tied": np.eye(d),
            "diag": np.ones((k, d)), "spherical": np.ones(k)}[covariance]


def peer_fit(x, means, covariance, iterations):
    """The start is given whole; init_params only keeps it from a K-means of its own."""
    k, d = means.shape
    return lambda: GaussianMixture(
        k, covariance_type=covariance, means_init=means, weights_init=np.full(k, 1 / k),
        precisions_init=unit_covariances(covariance, k, d), init_params="random", reg_covar=0,
        tol=0, max_iter=iterations).fit(x)


def fit_from_start(bench, x, k, covariance, iterations):
    """The same start and the same number of iterations."""
    means = x[np.random.default_rng(0).choice(len(x), k, replace=False)]
    start = unit_covariances(covariance, *means.shape)
    bench.load(x)
    bench.keep_model(f"gmm_model(NULL, {literal(means)}, {literal(start)}, '{covariance}')", "start")
    contestants = {"ours": lambda: bench.keep_model(
        f"""gmm_fit(x, (SELECT newest('start')),
            '{{"tol": 0, "reg_covar": 0, "max_iter": {iterations}}}') FROM t""")}
    if GaussianMixture:
        contestants["peer"] = peer_fit(x, means, covariance, iterations)
    seconds, result = bench.race(**contestants)
    objective = float(bench.info("objective"))
    ours = seconds["ours"], len(x), bench.info("iterations"), objective
    if GaussianMixture:
        bench.show(*ours, f"scikit-learn {covariance}, {result['peer'].n_iter_}", seconds["peer"],
                   -result["peer"].score(x) * len(x))
    else:
        bench.show(*ours)


@workload("gmm full 200,000 x 8, k=8")
def _(bench):
    fit_from_start(bench, mixture(200_000, 8, 8), 8, "full", 20)


@workload("gmm diag 100,000 x 64, k=16")
def _(bench):
    fit_from_start(bench, mixture(100_000, 64, 16), 16, "diag", 20)


@workload("gmm full 200,000 x 2, k=50")
def _(bench):
    fit_from_start(bench, mixture(200_000, 2, 50), 50, "full", 20)


@workload("gmm full 20,000 x 64, k=8")
def _(bench):
    fit_from_start(bench, mixture(20_000, 64, 8), 8, "full", 20)


@workload("gmm tied 100,000 x 8, k=8")
def _(bench):
    fit_from_start(bench, mixture(100_000, 8, 8), 8, "tied", 20)


def default_fit(bench, x, k, covariance):
    """Both as they come; scikit-learn with its best of ten starts."""
    bench.load(x)
    contestants = {"ours": lambda: bench.keep_model(
        f"""gmm_fit(x, {k}, '{{"covariance": "{covariance}"}}') FROM t""")}
    if GaussianMixture:
        contestants["peer"] = lambda: GaussianMixture(
            k, covariance_type=covariance, n_init=10, random_state=0).fit(x)
    seconds, result = bench.race(**contestants)
    objective = float(bench.info("objective"))
    ours = seconds["ours"], len(x), bench.info("iterations"), objective
    if GaussianMixture:
        bench.show(*ours, "scikit-learn, best of 10 starts", seconds["peer"],
                   -result["peer"].score(x) * len(x))
    else:
        bench.show(*ours)


for name, k in ("iris", 3), ("faithful", 3), ("wine", 3), ("s2", 15):
    for covariance in "full", "tied", "diag", "spherical":

        @workload(f"gmm default {name} {covariance}, k={k}")
        def _(bench, name=name, k=k, covariance=covariance):
            x = np.loadtxt(gzip.open(DATA / f"{name}.csv.gz"), delimiter=",", ndmin=2)
            default_fit(bench, x, k, covariance)
