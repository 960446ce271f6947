"""``python -m edge_worker.messages FOLDER``: write the JSON Schemas of all messages (ours live in docs/schema)."""

import sys
from pathlib import Path

from edge_worker.messages.schemas import write

if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/schema"))
