"""Data-parallel training in several processes, each on its own CPU and with a share of every batch.

Two threads of one process wait for the slower one after every small operation; two processes wait for each other once
per step.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


# glibc returns each large tensor's pages, and the kernel clears them again in every step: a sixth of its time.
_KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


class Team:
    """The processes of one run; the first is the leader: it keeps the time, writes the files and runs the checks."""

    def __init__(self, rank: int, size: int, meeting: Path) -> None:
        """Join as number *rank* of *size*; *meeting* is the same rendezvous file for all."""
        self.rank, self.size = rank, size
        distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.rank == 0

    def share(self, gradients: Sequence[Tensor], seconds: float) -> float:
        """Average the gradients of all processes in place; returns the leader's `seconds`."""
        told = torch.tensor([seconds * self.size if self.leads else 0.0])
        together = torch.cat([gradient.flatten() for gradient in gradients] + [told])
        distributed.all_reduce(together)
        together /= self.size
        *parts, told = torch.split(together, [gradient.numel() for gradient in gradients] + [1])
        torch._foreach_copy_(list(gradients), [p.view_as(g) for p, g in zip(parts, gradients, strict=True)])
        return float(told)


def work_together(size: int, work: Callable[[Team], None]) -> None:
    """Run *work*, a module-level function, in *size* processes; the first failure ends all."""
    os.environ.update({**_KEEP_MEMORY, **os.environ})
    with tempfile.TemporaryDirectory() as directory:
        meeting = Path(directory) / "meeting"
        spawn(_join, (size, meeting, work), nprocs=size)  # type: ignore[no-untyped-call]


def _join(rank: int, size: int, meeting: Path, work: Callable[[Team], None]) -> None:
    work(Team(rank, size, meeting))
