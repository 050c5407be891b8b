"""Gaussian mixtures: fits from a given start beside scikit-learn and mclust, and default fits."""

import gzip
import json
import warnings
from pathlib import Path

import numpy as np

import peers
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


def matrices(covariance, parameters, k, d):
    """The covariance matrix of every component."""
    if covariance == "tied":
        return np.broadcast_to(parameters, (k, d, d))
    if covariance == "diag":
        return [np.diag(v) for v in parameters]
    if covariance == "spherical":
        return [v * np.eye(d) for v in parameters]
    return parameters


def negative_log_likelihood(x, weights, means, covariances):
    """The reference, in float64."""
    total = 0
    roots = [np.linalg.inv(np.linalg.cholesky(c)) for c in covariances]
    for i in range(0, len(x), 10_000):
        log_density = np.stack([
            np.log(weight) + np.log(np.diag(root)).sum() - x.shape[1] / 2 * np.log(2 * np.pi)
            - (((x[i:i + 10_000] - mean) @ root.T) ** 2).sum(axis=1) / 2
            for weight, mean, root in zip(weights, means, roots)])
        total -= np.logaddexp.reduce(log_density).sum()
    return float(total)


def numbers(text):
    return np.array(json.loads(text.replace("{", "[").replace("}", "]")), float)


def our_objective(bench, x, covariance):
    rows = [line.split("|") for line in bench.sql(
        "SELECT weight, center, covariance FROM newest('ours') m, cluster_components(m)"
        " ORDER BY cluster")]
    weights, means, parameters = (np.array([numbers(row[i]) for row in rows]) for i in range(3))
    if covariance == "tied":
        parameters = parameters[0]
    if covariance == "spherical":
        parameters = parameters.ravel()
    return negative_log_likelihood(x, weights, means, matrices(covariance, parameters, *means.shape))


def sklearn_fit(x, means, covariance, iterations):
    """The start is given whole; init_params only keeps it from a K-means of its own."""
    k, d = means.shape
    fit = GaussianMixture(
        k, covariance_type=covariance, means_init=means, weights_init=np.full(k, 1 / k),
        precisions_init=unit_covariances(covariance, k, d), init_params="random", reg_covar=0,
        tol=0, max_iter=iterations)
    return {f"scikit-learn {covariance}": (
        lambda: fit.fit(x), lambda: fit.n_iter_, lambda: negative_log_likelihood(
            x, fit.weights_, fit.means_, matrices(covariance, fit.covariances_, k, d)))}


# What mclust calls them, and how it writes down unit covariances.
MCLUST = {
    "full": ("VVV", "cholsigma = array(diag(d), c(d, d, k))"),
    "tied": ("EEE", "cholSigma = diag(d)"),
    "diag": ("VVI", "scale = rep(1, k), shape = matrix(1, d, k)"),
    "spherical": ("VII", "sigmasq = rep(1, k)"),
}


def mclust_fit(x, means, covariance, iterations):
    k, d = means.shape
    name, units = MCLUST[covariance]
    peers.r.put("x", x)
    peers.r.put("means", means.T)
    peers.r.run("suppressMessages(library(mclust))")
    peers.r.run(f"k <- {k}; d <- {d}")
    peers.r.run(f"""start <- list(pro = rep(1 / k, k), mean = means,
        variance = list(modelName = "{name}", d = d, G = k, {units}))""")
    fit = f"""fit <- em(data = x, modelName = "{name}", parameters = start,
        control = emControl(eps = 0, tol = c(0, 0), itmax = rep({iterations}, 2)))"""
    return {f"mclust {name}": (
        lambda: peers.r.run(fit), lambda: int(peers.r.get('abs(attr(fit, "info")[1])', 1)[0]),
        lambda: negative_log_likelihood(
            x, peers.r.get("fit$parameters$pro", k), peers.r.get("fit$parameters$mean", (d, k)).T,
            np.moveaxis(peers.r.get("fit$parameters$variance$sigma", (d, d, k)), 2, 0)))}


def fit_from_start(bench, x, k, covariance, iterations):
    """
    The same start and the same number of iterations.  What one iteration takes is seen from fits of
    twice as many, beside scikit-learn.
    """
    means = x[np.random.default_rng(0).choice(len(x), k, replace=False)]
    start = unit_covariances(covariance, *means.shape)
    bench.load(x)
    bench.keep_model(f"gmm_model(NULL, {literal(means)}, {literal(start)}, '{covariance}')", "start")
    fits = sklearn_fit(x, means, covariance, iterations) if GaussianMixture else {}
    longer = sklearn_fit(x, means, covariance, 2 * iterations) if GaussianMixture else {}
    if peers.has("mclust"):
        fits.update(mclust_fit(x, means, covariance, iterations))

    def our_fit(iterations, name):
        bench.keep_model(
            f"""gmm_fit(x, (SELECT newest('start')),
                '{{"tol": 0, "reg_covar": 0, "max_iter": {iterations}}}') FROM t""", name)

    seconds, _ = bench.race(
        ours=lambda: our_fit(iterations, "ours"),
        **{name: fit for name, (fit, _, _) in fits.items()},
        **{"ours, twice": lambda: our_fit(2 * iterations, "twice")} if longer else {},
        **{f"{name}, twice": fit for name, (fit, _, _) in longer.items()})

    def iteration(name):
        return [(twice - once) / iterations
                for once, twice in zip(seconds[name], seconds[f"{name}, twice"])]

    row = (seconds["ours"], len(x), bench.info("iterations"), our_objective(bench, x, covariance))
    if not fits:
        bench.show(*row)
    for name, (_, made, objective) in fits.items():
        bench.show(*row, f"{name}, {made()}", seconds[name], objective())
    for name in longer:
        bench.show(iteration("ours"), len(x), 1, peer=f"{name}, an iteration",
                   peer_seconds=iteration(name))


@workload("gmm full 200,000 x 8, k=8")
def _(bench):
    fit_from_start(bench, mixture(200_000, 8, 8), 8, "full", 20)


@workload("gmm full 100,000 x 32, k=16")
def _(bench):
    fit_from_start(bench, mixture(100_000, 32, 16), 16, "full", 20)


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
