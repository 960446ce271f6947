"""``python -m edge_worker.tools.demo.tether ARGV…``: become ARGV, and get SIGTERM when the parent ends.

The demo starts its children through this, so that even ``kill -9`` of the demo leaves none behind. The kernel keeps the
request across exec (prctl(2), PR_SET_PDEATHSIG), so there is no process in between.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Tie this process to its parent, whose id comes first in *argv*, and run the rest of *argv* in its place."""
    parent, command = int(argv[0]), argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == parent:  # else it ended before the request, and no signal will come
        os.execvp(command[0], command)  # noqa: S606 - that is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
