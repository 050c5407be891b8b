"""K-means: fits from a given start, seeding, whole default fits, and the way out of SQL and back."""

import gzip
import math
import os
import tempfile
from pathlib import Path

import numpy as np

import peers
from bench import copy_rows, workload

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


def sklearn_fits(bench, x, start, max_iter, type):
    """Contestants: name -> (fit, centres of its result, iterations of its result)."""
    fits = {}
    if KMeans:
        for label in ["", " float32"] if type == "real" else [""]:
            data = x.astype(np.float32) if label else x
            fit, algorithm = better_fit(bench, data, start.astype(data.dtype), max_iter)
            fits[f"scikit-learn {algorithm}{label}"] = (
                fit, lambda fit: fit.cluster_centers_, lambda fit: fit.n_iter_)
    return fits


def faiss_fit(x, start, iterations):
    """All points, not FAISS's sample of 256 for each centre; its data are float32."""
    k, d = start.shape
    x, start = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(start, np.float32)

    def fit():
        peer = peers.faiss.Kmeans(d, k, niter=iterations, min_points_per_centroid=1,
                                  max_points_per_centroid=len(x))
        peer.train(x, init_centroids=start)
        return peer.centroids

    return {"FAISS": (fit, lambda centers: centers, lambda _: iterations)}


# Distances of an iteration, in elements, beyond which R takes minutes.
R_MOST = 1_000_000_000


def r_fits(x, start, iterations):
    """R's plain algorithms, and its default, Hartigan-Wong, which goes its own way to its end."""
    peers.r.put("x", x)
    peers.r.put("start", start)

    def contestant(algorithm, most):
        return (lambda: peers.r.run(
                    f'fit <- kmeans(x, start, iter.max = {most}, algorithm = "{algorithm}")'
                    f"; {algorithm[:5]} <- fit"),
                lambda _: peers.r.get(f"{algorithm[:5]}$centers", start.shape),
                lambda _: int(min(peers.r.get(f"{algorithm[:5]}$iter", 1)[0], most)))

    return {"R Lloyd": contestant("Lloyd", iterations),
            "R MacQueen": contestant("MacQueen", iterations),
            "R Hartigan-Wong, to its end": contestant("Hartigan-Wong", 1000)}


def fit_from_start(bench, x, k, max_iter, type="double precision"):
    """The same start and the same number of iterations."""
    if type == "real":
        x = x.astype(np.float32).astype(float)
    start = x[np.random.default_rng(0).choice(len(x), k, replace=False)]
    bench.load(x, type)
    bench.load(start, table="start")
    bench.keep_model("kmeans_model((SELECT array_agg(x) FROM start))", "start")

    def ours():
        bench.keep_model(
            f"""kmeans_fit(x, (SELECT newest('start')), '{{"max_iter": {max_iter}}}') FROM t""")

    ours()
    iterations = int(bench.info("iterations"))
    fits = sklearn_fits(bench, x, start, max_iter, type)
    if peers.faiss:
        fits.update(faiss_fit(x, start, iterations))
    if peers.r and x.size * k <= R_MOST:
        fits.update(r_fits(x, start, iterations))
    seconds, result = bench.race(ours=ours, **{name: fit[0] for name, fit in fits.items()})
    row = seconds["ours"], len(x), iterations, inertia(x, bench.centers())
    if not fits:
        bench.show(*row)
    for name, (_, centers, made) in fits.items():
        bench.show(*row, f"{name}, {made(result[name])}", seconds[name],
                   inertia(x, centers(result[name]).astype(float)))


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


@workload("fit 5,000,000 x 4, k=10, to its end", long=True)
def _(bench):
    fit_from_start(bench, blobs(5_000_000, 4, 10, 0.1), 10, 1000)


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


def with_geometry(bench):
    """Add the points as PostGIS has them; false where there is no PostGIS."""
    if not bench.sql("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'"):
        return False
    bench.sql("CREATE EXTENSION IF NOT EXISTS postgis SCHEMA bench")
    bench.sql("CREATE UNLOGGED TABLE g AS SELECT x, st_makepoint(x[1], x[2]) g FROM t")
    bench.sql("DROP TABLE t")
    bench.sql("ALTER TABLE g RENAME TO t")
    bench.sql("VACUUM (ANALYZE) t")
    return True


def inertia_of_labels(bench, labelled):
    """The reference for labels: the sum of squared distances to their means."""
    return float(bench.sql(f"""
        SELECT sum(a + b) FROM (SELECT regr_sxx(x[1], x[1]) a, regr_sxx(x[2], x[2]) b
        FROM ({labelled}) s(x, label) GROUP BY label) s""")[0])


def label_in_sql(bench, x, k):
    """Whole statements that fit and label every row, from k alone, beside PostGIS."""
    bench.load(x)
    statements = {"ours": f"SELECT x, cluster_predict(kmeans_fit(x, {k}) OVER (), x) FROM t"}
    if with_geometry(bench):
        statements["PostGIS ST_ClusterKMeans"] = (
            f"SELECT x, st_clusterkmeans(g, {k}) OVER () FROM t")
    seconds, _ = bench.race(**{
        name: lambda statement=statement: bench.sql(f"SELECT sum(label) FROM ({statement}) s(x, label)")
        for name, statement in statements.items()})
    row = seconds["ours"], len(x), "", inertia_of_labels(bench, statements["ours"])
    for name in statements:
        if name != "ours":
            bench.show(*row, name, seconds[name], inertia_of_labels(bench, statements[name]))
    if len(statements) == 1:
        bench.show(*row)


def there_and_back(bench, x, k, iterations):
    """
    A table of labels by number of row: ours is one statement, the peer a SELECT to Python in the
    fastest format there is, scikit-learn's fit and a COPY of its labels; through files in memory.
    """
    start = x[np.random.default_rng(0).choice(len(x), k, replace=False)]
    bench.load(x, group=np.arange(len(x)))
    bench.load(start, table="start")
    bench.keep_model("kmeans_model((SELECT array_agg(x) FROM start))", "start")
    row_type = copy_rows(x[:1], "double precision", np.zeros(1)).dtype
    label_type = np.dtype([("fields", ">i2"), ("size g", ">i4"), ("g", ">i4"), ("size", ">i4"),
                           ("label", ">i4")])
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

    def new_labels():
        bench.sql("DROP TABLE IF EXISTS label")
        bench.sql("CREATE UNLOGGED TABLE label (g integer, label integer)")

    def ours():
        new_labels()
        bench.sql(f"""INSERT INTO label SELECT g, cluster_predict(m, x) FROM t,
            (SELECT kmeans_fit(x, (SELECT newest('start')), '{{"max_iter": {iterations}}}') m
             FROM t) fit""")

    def peer():
        new_labels()
        with tempfile.NamedTemporaryFile(dir=memory) as file:
            bench.sql(f"\\copy (SELECT g, x FROM t) TO '{file.name}' (FORMAT binary)\n")
            rows = np.frombuffer(Path(file.name).read_bytes()[19:-2], row_type)
            data = np.ascontiguousarray(rows["array"]["element"]["value"], float)
            fit = peer_fit(data, k, init=start, n_init=1, tol=0, max_iter=iterations)()
            labels = np.zeros(len(rows), label_type)
            labels["fields"], labels["size g"], labels["size"] = 2, 4, 4
            labels["g"], labels["label"] = rows["group"], fit.labels_ + 1
            file.seek(0)
            file.truncate()
            file.write(b"PGCOPY\n\377\r\n\0" + bytes(8) + labels.tobytes() + b"\377\377")
            file.flush()
            bench.sql(f"\\copy label FROM '{file.name}' (FORMAT binary)\n")

    def checksum():
        return bench.sql("SELECT sum(g::bigint * label) FROM label")[0]

    contestants, sums = {"ours": ours}, {}
    if KMeans:
        contestants["peer"] = peer
    for name, contestant in contestants.items():
        contestant()
        sums[name] = checksum()
    seconds, _ = bench.race(**contestants)
    if KMeans:
        same = "same labels" if sums["ours"] == sums["peer"] else "other labels"
        bench.show(seconds["ours"], len(x), iterations, peer=f"out to scikit-learn and back, {same}",
                   peer_seconds=seconds["peer"])
    else:
        bench.show(seconds["ours"], len(x), iterations)


@workload("label birch1 in one statement, k=100")
def _(bench):
    label_in_sql(bench, np.loadtxt(gzip.open(DATA / "birch1.csv.gz"), delimiter=","), 100)


@workload("label s2 in one statement, k=15")
def _(bench):
    label_in_sql(bench, np.loadtxt(gzip.open(DATA / "s2.csv.gz"), delimiter=","), 15)


@workload("label 1,000,000 x 8, k=10, out and back")
def _(bench):
    there_and_back(bench, blobs(1_000_000, 8, 10, 0.1), 10, 20)


def by_rows(bench, n):
    """The cost is to be linear in the number of rows: the same iterations on more and more."""
    x = blobs(n, 4, 10, 0.1)
    bench.load(x)
    bench.load(blobs(10, 4, 10, 0.1, 2), table="start")
    bench.keep_model("kmeans_model((SELECT array_agg(x) FROM start))", "start")
    seconds, _ = bench.race(ours=lambda: bench.keep_model(
        """kmeans_fit(x, (SELECT newest('start')), '{"max_iter": 10}') FROM t"""))
    bench.show(seconds["ours"], n, bench.info("iterations"), inertia(x, bench.centers()))


for n in 10_000, 100_000, 1_000_000, 10_000_000:
    workload(f"rows {n:,} x 4, k=10", long=n > 1_000_000)(lambda bench, n=n: by_rows(bench, n))


for name, k in REAL_SETS.items():
    file = DATA / f"{name}.csv.gz"
    if file.exists():
        workload(f"default {name}, k={k}")(lambda bench, file=file, k=k: default_fit(
            bench, np.loadtxt(gzip.open(file), delimiter=",", ndmin=2), k))
