"""Start time of one, two and four model processes started at once, and the memory each has alone and shares."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.pool import ModelPool

if TYPE_CHECKING:
    from edge_worker.config import Config

COUNTS = (1, 2, 4)
_KINDS = {"Rss": "resident, MB", "Pss": "with its share, MB", "Private_Dirty": "its own, MB", "VmHWM": "peak, MB"}


def measure(config: Config, scratch: Path) -> list[dict[str, Any]]:
    """Start several processes of *config*'s model at once, with the network cached; a row has the mean per process.

    ``resident`` counts shared pages in full, ``with its share`` divides them among the processes that share them: times
    the number of processes it is the total.

    Raises:
        EdgeWorkerError: the model does not load.
    """
    _loaded(config, 1, scratch)
    return [_loaded(config, count, scratch) for count in COUNTS]


def _loaded(config: Config, count: int, scratch: Path) -> dict[str, Any]:
    threads = config.threads.model_copy(update={"processes": count})
    pool = ModelPool(config.model_copy(update={"threads": threads}), state_directory=None, cache_directory=scratch)
    with closing(pool), ThreadPoolExecutor(count) as owners:  # a process ends with the thread that started it
        began = perf_counter()
        list(owners.map(pool.make_ready, range(count)))
        ready_s = perf_counter() - began
        state = pool.state()
        found = [_memory_mb(process.pid) for process in state.processes if process.pid is not None]
        list(owners.map(pool.end, range(count)))
    if not state.ready:
        raise EdgeWorkerError(state.detail)
    means = {kind: sum(one[kind] for one in found) / count for kind in _KINDS.values()}
    return {"processes": count, "all ready after, s": ready_s, **means}


def _memory_mb(pid: int) -> dict[str, float]:
    """Return the kernel's memory figures of a process, in MB."""
    files = (Path(f"/proc/{pid}/{name}") for name in ("smaps_rollup", "status"))
    lines = [line.split() for file in files for line in file.read_text(encoding="ascii").splitlines()]
    return {_KINDS[key]: int(words[1]) * 1024 / 1e6 for words in lines if (key := words[0].rstrip(":")) in _KINDS}
