"""K-medians: fits from a given start beside numpy and flexclust, and whole fits."""

import gzip
from pathlib import Path

import numpy as np

import peers
from bench import workload

try:
    from scipy.spatial.distance import cdist
except ImportError:
    cdist = None

DATA = Path(__file__).parent.parent / "data"

# Sets of test/data, and their numbers of clusters.
REAL_SETS = {"iris": 3, "wine": 3, "faithful": 3, "s2": 15, "letter": 26}


def heavy_tails(n, d, k, seed=1):
    """Clusters of Student's t with 1.5 degrees of freedom, whose variance is infinite."""
    random = np.random.default_rng(seed)
    centers = random.uniform(-20, 20, (k, d))
    return centers[random.integers(k, size=n)] + 2 * random.standard_t(1.5, (n, d))


def distances(x, centers):
    if cdist:
        return cdist(x, centers, "cityblock")
    return np.stack([np.abs(x - c).sum(axis=1) for c in centers], axis=1)


def cost(x, centers):
    """The reference: the sum of L1 distances to the nearest centre."""
    return float(distances(x, centers).min(axis=1).sum())


def plain_fit(x, centers, iterations):
    """K-medians as one would write it."""
    centers = centers.copy()
    for _ in range(iterations):
        label = distances(x, centers).argmin(axis=1)
        for c in range(len(centers)):
            members = x[label == c]
            if len(members) > 0:
                centers[c] = np.median(members, axis=0)
    return centers


def plain_best(x, k, starts):
    """The best of several random starts, each to its fixed point."""
    best = None
    for seed in range(starts):
        centers = x[np.random.default_rng(seed).choice(len(x), k, replace=False)]
        before = np.inf
        while (now := cost(x, centers)) < before:
            before, centers = now, plain_fit(x, centers, 1)
        if best is None or before < best:
            best = before
    return best


def flexclust_fit(x, start, iterations):
    peers.r.put("x", x)
    peers.r.put("start", start)
    peers.r.run("suppressMessages(library(flexclust))")
    fit = f"""fit <- kcca(x, start, family = kccaFamily("kmedians"), save.data = FALSE,
        control = list(iter.max = {iterations}))"""
    return {"flexclust": (lambda: peers.r.run(fit), lambda: int(peers.r.get("fit@iter", 1)[0]),
                          lambda: peers.r.get("fit@centers", start.shape))}


def fit_from_start(bench, x, k, iterations):
    """The same start and the same number of iterations."""
    start = x[np.random.default_rng(0).choice(len(x), k, replace=False)]
    bench.load(x)
    bench.load(start, table="start")
    bench.keep_model("kmedians_model((SELECT array_agg(x) FROM start))", "start")
    result = []
    fits = {f"numpy, {'cdist' if cdist else 'abs'} and median": (
        lambda: result.append(plain_fit(x, start, iterations)), lambda: iterations,
        lambda: result[-1])}
    if peers.has("flexclust"):
        fits.update(flexclust_fit(x, start, iterations))
    seconds, _ = bench.race(
        ours=lambda: bench.keep_model(
            f"""kmedians_fit(x, (SELECT newest('start')), '{{"max_iter": {iterations}}}') FROM t"""),
        **{name: fit for name, (fit, _, _) in fits.items()})
    row = seconds["ours"], len(x), bench.info("iterations"), cost(x, bench.centers())
    for name, (_, made, centers) in fits.items():
        bench.show(*row, f"{name}, {made()}", seconds[name], cost(x, centers()))


@workload("K-medians 200,000 x 8, k=10")
def _(bench):
    fit_from_start(bench, heavy_tails(200_000, 8, 10), 10, 20)


@workload("K-medians 200,000 x 8, k=50")
def _(bench):
    fit_from_start(bench, heavy_tails(200_000, 8, 50), 50, 20)


@workload("K-medians of real data, from k")
def _(bench):
    """Whole default fits beside the best of 20 random starts in numpy."""
    for name, k in REAL_SETS.items():
        with gzip.open(DATA / f"{name}.csv.gz", "rt") as lines:
            x = np.loadtxt(lines, delimiter=",")
        bench.name = f"K-medians {name}, from k={k}"
        bench.load(x)
        seconds, result = bench.race(
            ours=lambda: bench.keep_model(f"kmedians_fit(x, {k}) FROM t"),
            peer=lambda: plain_best(x, k, 20))
        bench.show(seconds["ours"], len(x), bench.info("iterations"), cost(x, bench.centers()),
                   "numpy, best of 20 random starts", seconds["peer"], result["peer"])
