"""The peers: which of them there are, what brings the others, and an R that stays."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

try:
    import sklearn
except ImportError:
    sklearn = None
try:
    import faiss
except ImportError:
    faiss = None
else:
    faiss.omp_set_num_threads(1)


class R:
    """R as a process that answers line by line; matrices travel through files, outside the races."""

    END = "-- end of answer --"

    def __init__(self):
        self.r = subprocess.Popen(["R", "--vanilla", "--no-echo"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8")
        self.pid = self.r.pid
        self.files = tempfile.TemporaryDirectory()
        self.run("options(warn = -1)")  # that nothing converges: it is not to

    def run(self, code):
        """Run code; returns the lines that it prints."""
        self.r.stdin.write(f'{code}\ncat("{self.END}\\n")\n')
        self.r.stdin.flush()
        lines = []
        for line in self.r.stdout:
            if line.rstrip("\n") == self.END:
                return lines
            lines.append(line.rstrip("\n"))
        sys.exit(f"R failed: {code}")

    def put(self, name, array):
        """Make an R matrix or array of numbers."""
        array = np.asarray(array, float)
        array.ravel(order="F").tofile(f"{self.files.name}/{name}")
        shape = ", ".join(map(str, array.shape))
        self.run(f'{name} <- array(readBin("{self.files.name}/{name}", "double", {array.size}),'
                 f" c({shape}))")

    def get(self, expression, shape):
        """The numbers of an R expression."""
        self.run(f'writeBin(as.double({expression}), "{self.files.name}/answer")')
        return np.fromfile(f"{self.files.name}/answer").reshape(shape, order="F")

    def package(self, name):
        """The version of a package, or nothing."""
        return self.run(f'if (requireNamespace("{name}", quietly = TRUE))'
                        f' cat(format(packageVersion("{name}")), "\\n")')

    def close(self):
        self.r.stdin.close()
        self.r.wait()
        self.files.cleanup()


# R packages and what brings them.
R_PACKAGES = {
    "mclust": "Debian package r-cran-mclust",
    "flexmix": "Debian package r-cran-flexmix",
    "flexclust": 'not in Debian; in R, install.packages("flexclust")',
    "poLCA": 'not in Debian; in R, install.packages("poLCA")',
}

r = R() if shutil.which("R") else None
r_packages = {name for name in R_PACKAGES if r and r.package(name)}


def has(package):
    return package in r_packages


def blas():
    """What numpy's matrix products run on here: what they loaded tells it."""
    np.ones((64, 64)) @ np.ones((64, 64))
    files = {os.path.realpath(line.split()[-1]) for line in open("/proc/self/maps")
             if re.search(r"blas|mkl_rt|libatlas|blis", line)}
    for file in sorted(files):
        if "openblas" in file:
            library = ctypes.CDLL(file)
            for suffix in "", "64_":
                if hasattr(library, "openblas_get_config" + suffix):
                    config = getattr(library, "openblas_get_config" + suffix)
                    config.restype = ctypes.c_char_p
                    return re.sub(r" (NO_|USE|DYN|MAX)\S*", "", config().decode()).strip()
            return "OpenBLAS"
        if re.search("mkl_rt|blis|atlas", file):
            return Path(file).name
    return ("the reference BLAS, which is slow: compare with Debian package libopenblas0-pthread"
            if files else "an unknown BLAS")


def report(session):
    """Lines about the peers."""
    debian = "absent: Debian package "
    major = session.sql("SHOW server_version_num")[0][:-4]
    gis = session.sql("SELECT default_version FROM pg_available_extensions WHERE name = 'postgis'")
    yield f"numpy {np.__version__} with {blas()}"
    yield "scikit-learn " + (sklearn.__version__ if sklearn else debian + "python3-sklearn")
    yield "FAISS " + (f"{faiss.__version__}, float32" if faiss else debian + "python3-faiss")
    yield "R " + (r.run("cat(format(getRversion()), '\\n')")[0].strip() if r
                  else debian + "r-base-core")
    for name, source in R_PACKAGES.items():
        yield f"{name} " + (r.package(name)[0].strip() if has(name) else "absent: " + source)
    yield "PostGIS " + (gis[0] if gis else f"{debian}postgresql-{major}-postgis-3")
