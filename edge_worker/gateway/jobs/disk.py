"""The thread for all work of jobs on disk and database; the event loop never waits for either."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from edge_worker.gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Disk:
    """One thread, so that calls happen in order and never at the same time."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")

    async def run(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Call *function* in the thread.

        Raises:
            Problem: ``no_storage``, or what *function* raises.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *args, **kwargs))
        except (OSError, sqlite3.Error) as error:
            raise Problem("no_storage", f"jobs cannot be kept: {_explained(error)}") from error

    def close(self) -> None:
        """Wait until everything is done, and end the thread."""
        self._thread.shutdown()


def _explained(error: OSError | sqlite3.Error) -> str:
    """Describe what is wrong, without paths."""
    if isinstance(error, BlockingIOError):
        return "another gateway uses the directory"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
