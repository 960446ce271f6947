"""What was freed is not kept, or is used again."""

from __future__ import annotations

import subprocess
import sys

MEMORY = """
import os, resource, threading

def memory_mb(field):
    pages = open("/proc/self/statm").read().split()[field]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

def reserved_mb():
    return memory_mb(0)

def resident_mb():
    return memory_mb(1)
"""

WAITING = """
from edge_worker.ops.memory import WAITING

known = WAITING.take_effect()
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

COMPUTING = """
from edge_worker.ops.memory import COMPUTING

known = COMPUTING.take_effect()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        frame = [b"x" * 4_000_000 for _ in range(3)]
        del frame
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(known, faults)
"""

THREADS = """
from edge_worker.ops.memory import COMPUTING

known = COMPUTING.take_effect()
threading.stack_size(1 << 20)
before = reserved_mb()
all_have = threading.Barrier(9)

def work():
    block = bytearray(10_000)
    all_have.wait()
    all_have.wait()

for _ in range(8):
    threading.Thread(target=work).start()
all_have.wait()
print(known, round(reserved_mb() - before))
all_have.wait()
"""


TUPLES = """
import sys
from edge_worker.ops import memory

memory.TRIM_INTERVAL_S = 0.0
trimmer = memory.MemoryTrimmer()
tuples = [(number, number, number) for number in range(2000)]
del tuples
before = sys.getallocatedblocks()
trimmer.trim_if_due()
print(True, before - sys.getallocatedblocks())
"""

HOLES = """
from edge_worker.ops import memory

memory.TRIM_INTERVAL_S = 0.0
memory.COMPUTING.take_effect()
trimmer = memory.MemoryTrimmer()
blocks = [bytearray(100_000) for _ in range(400)]
kept = blocks[::10]
before = resident_mb()
del blocks
trimmer.trim_if_due()
print(True, round(before - resident_mb()))
"""


def measured(script: str) -> tuple[bool, int]:
    """What a *script* says in a process of its own: whether the C library knows how, and a figure."""
    command = [sys.executable, "-c", MEMORY + script]
    known, figure = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return known == "True", int(figure)


def test_large_blocks_go_back_to_the_kernel_of_a_process_that_waits() -> None:
    """Between small ones that live on, too: 40 MB are freed, and 40 MB are gone."""
    known, freed_mb = measured(WAITING)
    assert (known, freed_mb >= 39) == (True, True)


def test_a_process_that_computes_does_not_fetch_a_frames_memory_again_and_again() -> None:
    """Of 60 blocks of 1000 pages each none costs a page fault, once there have been as many at a time."""
    known, faults = measured(COMPUTING)
    assert (known, faults < 100) == (True, True)


def test_threads_that_compute_share_a_heap() -> None:
    """Eight of them reserve their stacks of 1 MB, and not 64 MB each for a heap of their own."""
    known, reserved_mb = measured(THREADS)
    assert (known, reserved_mb < 64) == (True, True)


def test_python_does_not_keep_what_it_freed() -> None:
    """Two thousand tuples are given back when the time has come."""
    _, freed = measured(TUPLES)
    assert freed > 1000


def test_holes_in_a_heap_are_given_back() -> None:
    """Where every tenth of 400 blocks is still in use, 36 of 40 MB are."""
    _, freed_mb = measured(HOLES)
    assert freed_mb > 30
