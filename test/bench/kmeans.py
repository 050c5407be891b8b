"""K-means: fits from a given start, seeding, and whole default fits, beside scikit-learn."""

import gzip
import math
from pathlib import Path

import numpy as np

from bench import workload

try:
    from sklearn.cluster import KMeans, kmeans_plusplus
except ImportError:
    KMeans = None

DATA = Path(__file__).parent.parent / "data"

# Sets of test/data, and their numbers of clusters.
REAL_SETS = {"iris": 3, "wine": 3, "s1": 15, "s2": 15, "letter": 26, "birch1": 100}


def blobs(n, d, k, spread, seed=1):
    """k Gaussian clusters with centres in the unit cube."""
    random = np.random.default_rng(seed)
    return random.random((k, d))[random.integers(k, size=n)] + random.normal(0, spread, (n, d))


def grid(n, side, seed=1):
    """Gaussian clusters on a side x side grid, as in the set birch1."""
    random = np.random.default_rng(seed)
    return random.integers(side, size=(n, 2)) * 100_000 + random.normal(0, 22_000, (n, 2))


def letters(n, seed=1):
    """Whole numbers 0..15, as in the set letter."""
    return np.clip(np.round(blobs(n, 16, 60, 0.12, seed) * 15), 0, 15)


def embeddings(n, d, k, seed=1):
    """Unit vectors around k directions, with a decaying spectrum."""
    random = np.random.default_rng(seed)
    scale = 1 / np.sqrt(1 + np.arange(d))
    x = (random.normal(size=(k, d))[random.integers(k, size=n)] + random.normal(size=(n, d))) * scale
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def inertia(x, centers):
    """The reference, in float64: the sum of squared distances to the nearest centre."""
    middle = x.mean(axis=0)
    c = centers - middle
    half = (c * c).sum(axis=1) / 2
    total = 0.0
    for i in range(0, len(x), 10_000):
        rows = x[i:i + 10_000]
        label = np.argmin(half - (rows - middle) @ c.T, axis=1)
        total += float(((rows - centers[label]) ** 2).sum())
    return total


def peer_fit(x, k, **options):
    return lambda: KMeans(k, random_state=0, **options).fit(x)


def better_fit(bench, x, start, max_iter):
    """The faster of lloyd and elkan here, tried once, and its name."""
    fits = {algorithm: peer_fit(x, len(start), init=start, n_init=1, tol=0, max_iter=max_iter,
                                algorithm=algorithm)
            for algorithm in ("lloyd", "elkan")}
    seconds, _ = bench.race(1, **fits)
    better = min(fits, key=seconds.get)
    return fits[better], better


def fit_from_start(bench, x, k, max_iter, type="double precision"):
    """The same start and the same number of iterations."""
    if type == "real":
        x = x.astype(np.float32).astype(float)
    start = x[np.random.default_rng(0).choice(len(x), k, replace=False)]
    bench.load(x, type)
    bench.load(start, table="start")
    bench.keep_model("kmeans_model((SELECT array_agg(x) FROM start))", "start")
    contestants = {"ours": lambda: bench.keep_model(
        f"""kmeans_fit(x, (SELECT newest('start')), '{{"max_iter": {max_iter}}}') FROM t""")}
    labels = {}
    if KMeans:
        contestants["peer"], labels["peer"] = better_fit(bench, x, start, max_iter)
    if KMeans and type == "real":
        single = better_fit(bench, x.astype(np.float32), start.astype(np.float32), max_iter)
        contestants["single"], labels["single"] = single[0], single[1] + " float32"
    seconds, result = bench.race(**contestants)
    objective = inertia(x, bench.centers())
    ours = seconds["ours"], len(x), bench.info("iterations"), objective
    for name, label in labels.items():
        bench.show(*ours, f"scikit-learn {label}, {result[name].n_iter_}", seconds[name],
                   inertia(x, result[name].cluster_centers_.astype(float)))
    if not KMeans:
        bench.show(*ours)


@workload("fit 100,000 x 2, k=100")
def _(bench):
    fit_from_start(bench, grid(100_000, 10), 100, 50)


@workload("fit 20,000 x 16, k=26")
def _(bench):
    fit_from_start(bench, letters(20_000), 26, 50)


@workload("fit 100,000 x 256 real, k=256")
def _(bench):
    fit_from_start(bench, embeddings(100_000, 256, 400), 256, 20, "real")


@workload("fit 50,000 x 768 real, k=1000", long=True)
def _(bench):
    fit_from_start(bench, embeddings(50_000, 768, 1500), 1000, 10, "real")


@workload("fit 5,000,000 x 4, k=10")
def _(bench):
    fit_from_start(bench, blobs(5_000_000, 4, 10, 0.1), 10, 20)


@workload("seed 200,000 x 2, k=1000")
def _(bench):
    """Our time is that of a fit of one iteration; the peer only seeds."""
    k, x = 1000, grid(200_000, 40)
    bench.load(x)
    contestants = {"ours": lambda: bench.keep_model(
        f"""kmeans_fit(x, {k}, '{{"max_iter": 1}}') FROM t""")}
    if KMeans:
        contestants["peer"] = lambda: kmeans_plusplus(x, k, random_state=0,
                                                      n_local_trials=2 + int(math.log(k)))
    seconds, result = bench.race(**contestants)
    ours = seconds["ours"], len(x), 1, inertia(x, bench.centers())
    if KMeans:
        refitted = peer_fit(x, k, init=result["peer"][0], n_init=1, max_iter=1)()
        bench.show(*ours, "scikit-learn kmeans_plusplus", seconds["peer"],
                   inertia(x, refitted.cluster_centers_))
    else:
        bench.show(*ours)


def default_fit(bench, x, k):
    """Both as they come, from k; scikit-learn with one start and with its ten."""
    bench.load(x)
    contestants = {"ours": lambda: bench.keep_model(f"kmeans_fit(x, {k}) FROM t")}
    if KMeans:
        contestants["scikit-learn, 1 start"] = peer_fit(x, k, n_init=1)
        contestants["scikit-learn, 10 starts"] = peer_fit(x, k, n_init=10)
    seconds, result = bench.race(**contestants)
    objective = inertia(x, bench.centers())
    ours = seconds.pop("ours"), len(x), bench.info("iterations"), objective
    for name in seconds:
        bench.show(*ours, name, seconds[name], inertia(x, result[name].cluster_centers_))
    if not KMeans:
        bench.show(*ours)


for name, k in REAL_SETS.items():
    file = DATA / f"{name}.csv.gz"
    if file.exists():
        workload(f"default {name}, k={k}")(lambda bench, file=file, k=k: default_fit(
            bench, np.loadtxt(gzip.open(file), delimiter=",", ndmin=2), k))
