"""What was freed is not kept."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os
from edge_worker.ops.memory import give_back_free_memory

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

known = give_back_free_memory()
for size in (3_000_000, 1_000_000):  # the first round would teach glibc to take the second from its heap
    large, small = [], []
    for _ in range(40):
        large.append(bytearray(size))
        small.append(bytearray(2_000))
    before = resident_mb()
    large.clear()
    freed = before - resident_mb()
print(known, round(freed))
"""


def test_large_blocks_go_back_to_the_kernel() -> None:
    """Between small ones that live on, too: 40 MB are freed, and 40 MB are gone."""
    output = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    known, freed = output.split()
    assert (known, int(freed) >= 39) == ("True", True)
