"""What the SQL around the algorithms costs: small groups, reading rows, labelling rows."""

import numpy as np

from bench import TYPES, workload
from kmeans import blobs, embeddings


def against(bench, rows, ours, yardsticks):
    """Show the statement beside others that do what can't be avoided."""
    statements = {"ours": ours, **yardsticks}
    seconds, _ = bench.race(**{
        name: lambda statement=statement: bench.sql(statement)
        for name, statement in statements.items()})
    for name in yardsticks:
        bench.show(seconds["ours"], rows, peer=name, peer_seconds=seconds[name], yardstick=True)


@workload("groups 10,000 x 100 x 2, k=3")
def _(bench):
    """count(*) would let the planner leave the aggregates out; count(a) needs their results."""
    groups, size = 10_000, 100
    x = blobs(groups * size, 2, 3, 0.1)
    bench.load(x, group=np.random.default_rng(0).permutation(np.arange(groups * size) % groups))
    against(bench, len(x),
            "SELECT count(a) FROM (SELECT g, kmeans_fit(x, 3) a FROM t GROUP BY g) s",
            {"count(array_agg(x))":
                 "SELECT count(a) FROM (SELECT g, array_agg(x) a FROM t GROUP BY g) s",
             "GROUP BY alone":
                 "SELECT count(*) FROM (SELECT g, array_agg(x) a FROM t GROUP BY g) s"})


def read_rows(bench, type):
    """The transition function alone: an aggregate like kmeans_fit, but for a final function that
    does nothing with the rows.  (Functions that return the address of a table of functions are
    the only ones of the server that take any state and ignore it.)"""
    x = blobs(1_000_000, 8, 10, 0.1)
    if type not in ("double precision", "real"):
        x = np.floor(x * (1.5 if type == "boolean" else 1000)).clip(0, 1 if type == "boolean" else None)
    bench.load(x, "integer" if type == "numeric" else type)
    if type == "numeric":
        bench.sql("CREATE UNLOGGED TABLE n AS SELECT x::numeric[] FROM t")
        bench.sql("DROP TABLE t")
        bench.sql("ALTER TABLE n RENAME TO t")
        bench.sql("VACUUM (ANALYZE) t")
    bench.sql("CREATE AGGREGATE read_rows(anyarray, integer) (SFUNC = kmeans_fit_transition,"
              " STYPE = internal, FINALFUNC = heap_tableam_handler)")
    first = "count(x[1])" if type == "boolean" else "sum(x[1])"
    yardsticks = {f"SELECT {first}": f"SELECT {first} FROM t"}
    if type == "numeric":  # what it costs to make numbers of them
        all_of_them = " + ".join(f"x[{i + 1}]::float8" for i in range(x.shape[1]))
        yardsticks["SELECT sum(x[1]::float8 + ...)"] = f"SELECT sum({all_of_them}) FROM t"
    against(bench, len(x), "SELECT read_rows(x, 1) IS NULL FROM t", yardsticks)
    bench.sql("DROP AGGREGATE read_rows(anyarray, integer)")


for type in *TYPES, "numeric":
    workload(f"read 1,000,000 x 8 {type}")(lambda bench, type=type: read_rows(bench, type))


def predict_variants(bench, rows, options, few):
    """
    Models that come as a constant, from a scalar subquery, a join and a window aggregate, which
    fits few rows.
    """
    bench.keep_model(f"kmeans_fit(x, {options}) FROM t")
    literal = bench.sql("SELECT quote_literal(newest('ours'))")[0]
    plain = {"SELECT sum(x[1])": "SELECT sum(x[1]) FROM t"}
    name = bench.name

    def variant(label, statement, without=None):
        bench.name = f"{name}, {label}"
        more = {"the same without predict": without} if without else {}
        against(bench, rows, statement, {**plain, **more})

    variant("constant", f"SELECT sum(cluster_predict({literal}, x)) FROM t")
    variant("subquery", "SELECT sum(cluster_predict((SELECT newest('ours')), x)) FROM t")
    variant("joined", "SELECT sum(cluster_predict(m, x)) FROM t, model",
            "SELECT sum(x[1]) FROM t, model")
    window = (f"FROM (SELECT kmeans_fit(x, {options}) FILTER (WHERE {few}) OVER () m, x FROM t) s"
              " WHERE m IS NOT NULL")
    variant("windowed", f"SELECT sum(cluster_predict(m, x)) {window}", f"SELECT sum(x[1]) {window}")


@workload("predict 1,000,000 x 8, k=10")
def _(bench):
    x = blobs(1_000_000, 8, 10, 0.1)
    bench.load(x)
    predict_variants(bench, len(x), """10, '{"max_iter": 5}'""", "x[1] < 0")


@workload("predict 1,000,000 x 768 real, k=100", long=True)
def _(bench):
    """Ten times the same rows: more would not fit into memory beside the table."""
    x = embeddings(100_000, 768, 150)
    bench.load(x, "real")
    bench.sql("INSERT INTO t SELECT x FROM t, generate_series(1, 9)")
    bench.sql("VACUUM (ANALYZE) t")
    predict_variants(bench, 1_000_000, """100, '{"max_iter": 2, "n_init": 1}'""",
                     f"x[1] < {np.quantile(x[:, 0], 0.002)}")
