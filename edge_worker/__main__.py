"""``python -m edge_worker``: the same as the command ``edge-worker``."""

from __future__ import annotations

import sys

from edge_worker.cli import main

if __name__ == "__main__":
    sys.exit(main())
