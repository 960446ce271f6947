"""``python -m edge_worker.messages [FOLDER]``: write the JSON Schemas of all messages (default: docs/schema)."""

import argparse
from pathlib import Path

from edge_worker.messages.schemas import write

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m edge_worker.messages", description="Write the JSON Schemas.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/schema"))
    write(parser.parse_args().folder)
