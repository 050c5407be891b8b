"""What share of the machine's peak the kernels reach: peak.c, for each set of instructions."""

import subprocess
from pathlib import Path

from bench import workload

TREE = Path(__file__).parent.parent.parent
INSTRUCTIONS = "base", "avx2", "avx512", "avx512vnni"


@workload("share of the machine's peak")
def _(bench):
    built = subprocess.run(["make", "--silent", "-C", TREE, "build/bench/peak"])
    if built.returncode != 0:
        print(f"{bench.name}: could not be built")
        return
    print(f"{'kernel':<25}{'shape':<20}{'instructions':<14}{'precision':<11}"
          f"{'GFLOP/s':>9}{'peak':>9}{'share':>8}")
    for name in INSTRUCTIONS:
        only = ["bounds"] if name == "avx512vnni" else []  # for the rest they are those of avx512
        lines = subprocess.run([TREE / "build/bench/peak", name, *only], encoding="utf-8",
                               capture_output=True).stdout.splitlines()
        for kernel, shape, instructions, precision, rate, peak in (l.split("|") for l in lines):
            print(f"{kernel:<25}{shape:<20}{instructions:<14}{precision:<11}"
                  f"{float(rate):>9.1f}{float(peak):>9.1f}{float(rate) / float(peak):>8.0%}")
        if not lines:
            print(f"{name}: not on this CPU")
