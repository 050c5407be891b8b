"""Bernoulli mixtures: EM from a given start beside numpy, flexmix and poLCA, and default fits."""

import gzip
import struct
import subprocess
from pathlib import Path

import numpy as np

import peers
from bench import workload

DATA = Path(__file__).parent.parent / "data"


def digits():
    lines = gzip.open(DATA / "digits.csv.gz", "rt").read().split()
    return np.array([[c == "1" for c in line] for line in lines])


def noisy_digits(n, seed=1):
    """Digits drawn with replacement, 2 % of the pixels turned over."""
    random = np.random.default_rng(seed)
    x = digits()
    return x[random.integers(len(x), size=n)] ^ (random.random((n, x.shape[1])) < 0.02)


def prototypes(n, d, k, seed=1):
    """Rows from k components with uniformly distributed thetas."""
    random = np.random.default_rng(seed)
    theta = random.random((k, d))
    return random.random((n, d)) < theta[random.integers(k, size=n)]


def load_bits(bench, x, table="t"):
    """The table t(x bit varying) of the rows of x."""
    d = x.shape[1]
    row = np.dtype([("fields", ">i2"), ("size", ">i4"), ("length", ">i4"), ("bits", "u1", (d + 7) // 8)])
    rows = np.zeros(len(x), row)
    rows["fields"], rows["size"], rows["length"] = 1, row.itemsize - 6, d
    rows["bits"] = np.packbits(x, axis=1)
    bench.sql(f"DROP TABLE IF EXISTS {table}")
    bench.sql(f"CREATE UNLOGGED TABLE {table} (x bit varying)")
    copy = subprocess.Popen(["psql", "-Xqc", f"COPY bench.{table} FROM STDIN (FORMAT binary)"],
                            stdin=subprocess.PIPE)
    copy.stdin.write(b"PGCOPY\n\377\r\n\0" + bytes(8))
    copy.stdin.write(rows.tobytes())
    copy.stdin.write(struct.pack(">h", -1))
    copy.stdin.close()
    if copy.wait() != 0:
        raise SystemExit("could not load the data")
    bench.sql(f"VACUUM (ANALYZE) {table}")
    bench.sql(f"SELECT sum(length(x)) FROM {table}")


def log_joint(x, weight, theta):
    """ln(weight * probability) by a matrix product, in float64."""
    theta = np.clip(theta, 1e-300, 1 - 1e-16)
    log_one, log_zero = np.log(theta), np.log1p(-theta)
    a = x @ (log_one - log_zero).T
    a += np.log(weight) + log_zero.sum(axis=1)
    return a


def responsibilities(x, weight, theta):
    a = log_joint(x, weight, theta)
    a -= a.max(axis=1, keepdims=True)
    np.exp(a, out=a)
    a /= a.sum(axis=1, keepdims=True)
    return a


def negative_log_likelihood(x, weight, theta):
    """The reference."""
    return -float(sum(np.logaddexp.reduce(log_joint(x[i:i + 10_000], weight, theta), axis=1).sum()
                      for i in range(0, len(x), 10_000)))


def em(x, theta, iterations):
    """As one would write it: EM by two matrix products."""
    weight = np.full(len(theta), 1 / len(theta))
    for _ in range(iterations):
        r = responsibilities(x, weight, theta)
        size = r.sum(axis=0)
        theta, weight = (r.T @ x) / size[:, None], size / len(x)
    return weight, theta


def sql_matrix(rows):
    return "'{" + ",".join("{" + ",".join(map(repr, map(float, row))) + "}" for row in rows) + "}'"


# Distances of an iteration, in elements, beyond which R takes minutes.
R_MOST = 10_000_000


def flexmix_fit(x, theta, iterations):
    """
    It starts with an M-step, so it gets the responsibilities of our start.  Its weights are one
    step ahead of its thetas, and so its objective somewhat below that of the others.
    """
    k, d = theta.shape
    peers.r.put("r", responsibilities(x, np.full(k, 1 / k), theta))
    peers.r.run("suppressMessages(library(flexmix))")
    fit = f"""flex <- flexmix(x ~ 1, k = {k}, cluster = r, model = FLXMCmvbinary(),
        control = list(iter.max = {iterations}, tolerance = 0, minprior = 0))"""
    return {"flexmix": (
        lambda: peers.r.run(fit), lambda: int(peers.r.get("flex@iter", 1)[0]),
        lambda: (peers.r.get("prior(flex)", k), peers.r.get("parameters(flex)", (d, k)).T))}


def polca_fit(x, theta, iterations):
    """Its outcomes are 1 and 2; probs.start is a list of k x 2 matrices."""
    k, d = theta.shape
    peers.r.put("theta", theta)
    peers.r.run("suppressMessages(library(poLCA))")
    peers.r.run("frame <- as.data.frame(x + 1)")
    peers.r.run("formula <- as.formula(paste('cbind(', paste(names(frame), collapse = ','), ') ~ 1'))")
    peers.r.run(f"start <- lapply(1:{d}, function(j) cbind(1 - theta[, j], theta[, j]))")
    fit = f"""lca <- poLCA(formula, frame, nclass = {k}, maxiter = {iterations}, tol = 0,
        probs.start = start, verbose = FALSE, calc.se = FALSE)"""
    return {"poLCA": (
        lambda: peers.r.run(fit), lambda: int(peers.r.get("lca$numiter", 1)[0]),
        lambda: (peers.r.get("lca$P", k),
                 peers.r.get("sapply(lca$probs, function(p) p[, 2])", (k, d))))}


def contestants(x, theta, iterations):
    """Name -> (fit, its iterations, its weights and thetas)."""
    result = []
    fits = {"numpy": (lambda: result.append(em(x, theta, iterations)), lambda: iterations,
                      lambda: result[-1])}
    if peers.r and x.size * len(theta) <= R_MOST:
        peers.r.put("x", x)
        if peers.has("flexmix"):
            fits.update(flexmix_fit(x, theta, iterations))
        if peers.has("poLCA"):
            fits.update(polca_fit(x, theta, iterations))
    return fits


def our_result(bench):
    rows = [line.split("|") for line in bench.sql(
        "SELECT weight, center FROM newest('ours') m, cluster_components(m) ORDER BY cluster")]
    return (np.array([float(weight) for weight, _ in rows]),
            np.array([center.strip("{}").split(",") for _, center in rows], float))


def compare(bench, x, k, iterations):
    """The same start and the same number of iterations."""
    load_bits(bench, x)
    numbers = x.astype(float)
    rows = np.random.default_rng(2).choice(len(x), k, replace=False)
    theta = 0.5 * numbers[rows] + 0.5 * numbers[:20_000].mean(axis=0)
    theta = np.clip(theta, 0.001, 0.999)
    bench.keep_model(f"bernoulli_model(NULL, {sql_matrix(theta)})", "start")
    options = f'{{"tol": 0, "max_iter": {iterations}}}'
    fits = contestants(numbers, theta, iterations)
    seconds, _ = bench.race(
        ours=lambda: bench.keep_model(
            f"bernoulli_fit(x, (SELECT newest('start')), '{options}') FROM t"),
        **{name: fit for name, (fit, _, _) in fits.items()})
    row = (seconds["ours"], len(x), bench.info("iterations"),
           negative_log_likelihood(numbers, *our_result(bench)))
    for name, (_, made, result) in fits.items():
        bench.show(*row, f"{name}, {made()}", seconds[name],
                   negative_log_likelihood(numbers, *result()))


@workload("bernoulli 60,000 x 784, k=10, 20 it.")
def _(bench):
    compare(bench, noisy_digits(60_000), 10, 20)


@workload("bernoulli 1,000,000 x 64, k=8, 10 it.", long=True)
def _(bench):
    compare(bench, prototypes(1_000_000, 64, 8), 8, 10)


@workload("bernoulli 50,000 x 20, k=5, 20 it.")
def _(bench):
    """Of a size that the packages of R can do."""
    compare(bench, prototypes(50_000, 20, 5), 5, 20)


@workload("bernoulli digits, k=10, default")
def _(bench):
    x = digits()
    load_bits(bench, x)
    seconds, _ = bench.race(ours=lambda: bench.keep_model("bernoulli_fit(x, 10) FROM t"))
    bench.show(seconds["ours"], len(x), bench.info("iterations"), float(bench.info("objective")))
