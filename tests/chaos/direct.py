"""A process like a model process that gives hostile payloads to the pipeline: ``python -m chaos.direct SEED FILE``.

It reads lines of JSON from standard input, each a list of numbers of payloads, and answers each with a line: what came
of them (:class:`chaos.trial.Tally`). The first line it writes is the memory that it takes before. The number of the
payload at work stands in the file, for the case that nothing comes back from it.
"""

from __future__ import annotations

import json
import mmap
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from edge_worker.ops.sandbox import Sandbox

NUMBER_BYTES: Final = 8
FRAME_MB: Final = 1000.0


def main(seed: int, file: Path) -> None:
    """Serve until standard input ends."""
    with file.open("r+b") as stream:
        progress = mmap.mmap(stream.fileno(), NUMBER_BYTES)
    sandbox = Sandbox(hidden=(), cache_directory=None, keep_mb=0.0, frame_mb=FRAME_MB)
    sandbox.enter()
    from chaos.trial import Trial  # noqa: PLC0415 - numeric libraries start threads, which the sandbox must come before

    def note(number: int) -> None:
        progress[:] = number.to_bytes(NUMBER_BYTES, "little")

    trial = Trial(seed, note)
    sandbox.limit_memory()
    _say(trial.idle_mb)
    for line in sys.stdin:
        _say(asdict(trial.run(json.loads(line))))


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
