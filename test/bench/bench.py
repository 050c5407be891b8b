"""The benchmark: ours in SQL, reading the table included, beside what users would take instead.

Usage: bench.py [--repetitions N] [--long] [--cpu] [--list] [PATTERN...]

Called by test/bench/run.  Each other Python file in this folder holds workloads: functions with
the decorator @workload, which get a Bench, load their data, and hand what is to be compared to
race() and show().  A new algorithm is a new file.
"""

import os

# One thread for the peers, before they are loaded.
for library in "OMP", "OPENBLAS", "MKL":
    os.environ[library + "_NUM_THREADS"] = "1"

import argparse
import importlib
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import peers

SETTINGS = {
    "client_min_messages": "error",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "work_mem": "'2GB'",
    "synchronize_seqscans": "off",
}

# A peer that took longer than this is run once only.
SLOW_SECONDS = 20

WORKLOADS = []


def workload(name, long=False):
    """Register a function under the name that the table shows."""

    def register(function):
        WORKLOADS.append((name, long, function))
        return function

    return register


class Session:
    """A psql that stays, so that a statement's time is the server's and little else."""

    END = "-- end of answer --"

    def __init__(self):
        self.psql = subprocess.Popen(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        for name, value in SETTINGS.items():
            self.sql(f"SET {name} = {value}")
        self.pid = self.sql("SELECT pg_backend_pid()")[0]

    def sql(self, statement):
        """Run a statement; returns the lines of its answer."""
        self.psql.stdin.write(f"{statement};\n\\echo {self.END}\n")
        self.psql.stdin.flush()
        lines = []
        for line in self.psql.stdout:
            if line.rstrip("\n") == self.END:
                return lines
            lines.append(line.rstrip("\n"))
        sys.exit(f"failed: {statement[:200]}")

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()


# Element types: what PostgreSQL calls them, their oid, and how COPY BINARY writes a value.
TYPES = {
    "double precision": (701, ">f8"),
    "real": (700, ">f4"),
    "smallint": (21, ">i2"),
    "integer": (23, ">i4"),
    "bigint": (20, ">i8"),
    "boolean": (16, "i1"),
}


def copy_rows(x, type, group):
    """Rows of COPY BINARY: an array for each row of x, after the number of its group, if any."""
    oid, code = TYPES[type]
    element = np.dtype([("size", ">i4"), ("value", code)])
    array = np.dtype([("ndim", ">i4"), ("nulls", ">i4"), ("type", ">i4"), ("dim", ">i4"),
                      ("lower", ">i4"), ("element", element, x.shape[1])])
    columns = [("fields", ">i2"), ("size", ">i4"), ("array", array)]
    if group is not None:
        columns[1:1] = [("group size", ">i4"), ("group", ">i4")]
    rows = np.zeros(len(x), columns)
    rows["fields"] = 1 if group is None else 2
    if group is not None:
        rows["group size"], rows["group"] = 4, group
    rows["size"] = array.itemsize
    for field, value in ("ndim", 1), ("type", oid), ("dim", x.shape[1]), ("lower", 1):
        rows["array"][field] = value
    rows["array"]["element"]["size"] = np.dtype(code).itemsize
    rows["array"]["element"]["value"] = x
    return rows


class Bench:
    def __init__(self, session, repetitions, cpu, long):
        self.session = session
        self.long = long
        self.sql = session.sql
        self.repetitions = repetitions
        self.clock = self.cpu_seconds if cpu else time.perf_counter
        self.name = None

    def cpu_seconds(self):
        """What this process, psql, the server's process and R have used, all on this machine."""
        pids = [self.session.psql.pid, self.session.pid] + ([peers.r.pid] if peers.r else [])
        return time.process_time() + sum(
            int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) * 1e-9

    def load(self, x, type="double precision", table="t", group=None):
        """Make the table bench.<table>(x) or (g, x) of the rows of x, warm and vacuumed."""
        g = "" if group is None else "g integer, "
        self.sql(f"DROP TABLE IF EXISTS {table}")
        self.sql(f"CREATE UNLOGGED TABLE {table} ({g}x {type}[])")
        copy = subprocess.Popen(["psql", "-Xqc", f"COPY bench.{table} FROM STDIN (FORMAT binary)"],
                                stdin=subprocess.PIPE)
        copy.stdin.write(b"PGCOPY\n\377\r\n\0" + bytes(8))
        chunk = max(1, 10_000_000 // x.shape[1])
        for i in range(0, len(x), chunk):
            part = None if group is None else group[i:i + chunk]
            copy.stdin.write(copy_rows(x[i:i + chunk], type, part).tobytes())
        copy.stdin.write(b"\377\377")
        copy.stdin.close()
        if copy.wait() != 0:
            sys.exit("could not load the data")
        self.sql(f"VACUUM (ANALYZE) {table}")
        self.sql(f"SELECT sum(x[1]) FROM {table}" if type != "boolean" else f"TABLE {table} LIMIT 0")

    def keep_model(self, expression, name="ours"):
        """Put a model where its statement's time has no part of sending it."""
        self.sql(f"INSERT INTO model SELECT '{name}', {expression}")

    def info(self, column, name="ours"):
        return self.sql(f"SELECT {column} FROM newest('{name}') m, cluster_info(m)")[0]

    def centers(self, name="ours"):
        lines = self.sql(f"SELECT center FROM newest('{name}') m, cluster_components(m)"
                         " ORDER BY cluster")
        return np.array([line.strip("{}").split(",") for line in lines], float)

    def race(self, repetitions=None, /, **contestants):
        """
        Run the contestants in turn, slow ones other than ours once; returns lists of seconds and
        last results, by name.
        """
        seconds = {name: [] for name in contestants}
        result = {}
        for _ in range(repetitions or self.repetitions):
            for name, contestant in contestants.items():
                if name != "ours" and seconds[name] and seconds[name][0] > SLOW_SECONDS:
                    continue
                begin = self.clock()
                result[name] = contestant()
                seconds[name].append(self.clock() - begin)
        return seconds, result

    def show(self, ours, rows, iterations="", objective=None, peer="", peer_seconds=None,
             peer_objective=None, yardstick=False):
        """
        A line of the table, of medians.  A peer's ratio is its time over ours, a yardstick's ours
        over its; it is the median of the ratios in each repetition, which noise disturbs less.
        """
        peer_ms = ratio = against = ""
        if peer_seconds is not None:
            times = statistics.median(p / o for o, p in zip(ours, peer_seconds))
            ratio = f"costs {1 / times:.2f} x" if yardstick else f"{times:.2f} x faster"
            peer_ms = f"{statistics.median(peer_seconds) * 1e3:.1f}"
            if len(peer_seconds) < len(ours):
                peer += ", once"
        if peer_objective is not None:
            against = f"{peer_objective / objective - 1:+.2e}"
        seconds = statistics.median(ours)
        print(f"{self.name:<37}{seconds * 1e3:>10.1f}{rows / seconds:>12.3g}{iterations:>6}"
              f"{'' if objective is None else format(objective, '.8g'):>15}  {peer:<36}"
              f"{peer_ms:>10}{ratio:>18}{against:>11}", flush=True)


HEADER = (f"{'workload':<37}{'ours ms':>10}{'rows/s':>12}{'iter':>6}{'objective':>15}  "
          f"{'beside':<36}{'ms':>10}{'ratio':>18}{'objective':>11}")


def machine():
    """The CPU, and the longest vectors that it has."""
    fields = dict(line.split(":", 1) for line in open("/proc/cpuinfo") if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    best = next((name for name in ("avx512f", "avx2", "sse2") if name in flags), "")
    return f"{fields.get('model name', 'unknown CPU')}, {os.cpu_count()} cores, {best}"


def versions(session):
    print(f"{machine()}; PostgreSQL {session.sql('SHOW server_version')[0]}, shared_buffers",
          session.sql("SHOW shared_buffers")[0] + ";",
          ", ".join(f"{name} = {value}" for name, value in SETTINGS.items()))
    print("Peers, each on one thread (OMP_NUM_THREADS = 1 and the like), in float64 unless it says"
          " otherwise:")
    for line in peers.report(session):
        print("   ", line)


def prepare(session):
    if session.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'bench'"):
        sys.exit('there is a schema "bench" already: drop it first')
    session.sql("CREATE SCHEMA bench")


def make_helpers(session):
    session.sql("CREATE EXTENSION IF NOT EXISTS clustering SCHEMA bench")
    schema = session.sql("SELECT extnamespace::regnamespace FROM pg_extension"
                         " WHERE extname = 'clustering'")[0]
    session.sql(f"SET search_path = bench, {schema}")
    session.sql("CREATE UNLOGGED TABLE model (name text, m bytea)")
    session.sql("ALTER TABLE model ALTER m SET STORAGE EXTERNAL")
    session.sql("CREATE FUNCTION newest(text) RETURNS bytea STABLE LANGUAGE sql AS"
                " 'SELECT m FROM bench.model WHERE name = $1 ORDER BY ctid DESC LIMIT 1'")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--repetitions", type=int, default=5)
    arguments.add_argument("--long", action="store_true")
    arguments.add_argument("--cpu", action="store_true")
    arguments.add_argument("--list", action="store_true")
    arguments.add_argument("patterns", nargs="*")
    arguments = arguments.parse_args()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.stem != "bench":
            importlib.import_module(file.stem)
    wanted = [(name, long, function) for name, long, function in WORKLOADS
              if not arguments.patterns or any(p in name for p in arguments.patterns)]
    if arguments.list:
        for name, long, _ in wanted:
            print(name + (" (--long)" if long else ""))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # by way of finally
    session = Session()
    prepare(session)
    try:
        make_helpers(session)
        versions(session)
        clock = "CPU time" if arguments.cpu else "time"
        print(f"Medians of {arguments.repetitions} repetitions, in turn; {clock}.\n\n{HEADER}")
        bench = Bench(session, arguments.repetitions, arguments.cpu, arguments.long)
        for bench.name, long, function in wanted:
            if arguments.long or not long:
                function(bench)
                session.sql("TRUNCATE model")
    finally:
        session.close()
        if peers.r:
            peers.r.close()
        subprocess.run(["psql", "-Xqc", "SET client_min_messages = error",
                        "-c", "DROP SCHEMA bench CASCADE"])


if __name__ == "__main__":
    sys.modules["bench"] = sys.modules["__main__"]  # one module, however it is reached
    main()
