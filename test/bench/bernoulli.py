"""Bernoulli mixtures: EM from a given start beside numpy's, and whole default fits."""

import gzip
import struct
import subprocess
from pathlib import Path

import numpy as np

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


def em(x, theta, iterations):
    """The reference: EM by two matrix products, in float64; returns the final log-likelihood."""
    weight = np.full(len(theta), 1 / len(theta))
    for iteration in range(iterations + 1):
        theta = np.clip(theta, 1e-300, 1 - 1e-16)
        log_one, log_zero = np.log(theta), np.log1p(-theta)
        a = x @ (log_one - log_zero).T
        a += np.log(weight) + log_zero.sum(axis=1)
        most = a.max(axis=1, keepdims=True)
        a -= most
        np.exp(a, out=a)
        total = a.sum(axis=1, keepdims=True)
        if iteration == iterations:
            return float((most + np.log(total)).sum())
        a /= total
        size = a.sum(axis=0)
        theta, weight = (a.T @ x) / size[:, None], size / len(x)


def sql_matrix(rows):
    return "'{" + ",".join("{" + ",".join(map(repr, map(float, row))) + "}" for row in rows) + "}'"


def compare(bench, x, k, iterations):
    """The same start and the same number of iterations."""
    load_bits(bench, x)
    numbers = x.astype(float)
    rows = np.random.default_rng(2).choice(len(x), k, replace=False)
    theta = 0.5 * numbers[rows] + 0.5 * numbers[:20_000].mean(axis=0)
    theta = np.clip(theta, 0.001, 0.999)
    bench.keep_model(f"bernoulli_model(NULL, {sql_matrix(theta)})", "start")
    options = f'{{"tol": 0, "max_iter": {iterations}}}'
    seconds, result = bench.race(
        ours=lambda: bench.keep_model(
            f"bernoulli_fit(x, (SELECT newest('start')), '{options}') FROM t"),
        peer=lambda: em(numbers, theta, iterations))
    objective = float(bench.info("objective"))
    bench.show(seconds["ours"], len(x), bench.info("iterations"), objective,
               "numpy", seconds["peer"], -result["peer"])


@workload("bernoulli 60,000 x 784, k=10, 20 it.")
def _(bench):
    compare(bench, noisy_digits(60_000), 10, 20)


@workload("bernoulli 1,000,000 x 64, k=8, 10 it.", long=True)
def _(bench):
    compare(bench, prototypes(1_000_000, 64, 8), 8, 10)


@workload("bernoulli digits, k=10, default")
def _(bench):
    x = digits()
    load_bits(bench, x)
    seconds, _ = bench.race(ours=lambda: bench.keep_model("bernoulli_fit(x, 10) FROM t"))
    bench.show(seconds["ours"], len(x), bench.info("iterations"), float(bench.info("objective")))
