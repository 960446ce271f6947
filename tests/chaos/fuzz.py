"""Coverage-guided fuzzing of decoder and envelope, with libFuzzer by way of atheris (``pip install atheris``).

``PYTHONPATH=tests python -m chaos.fuzz [OPTIONS] CORPUS`` takes libFuzzer's options and a folder, which it fills with
inputs that reached code no other did. Coverage is that of our own code: the decoders' is not measured, they are given
what our code lets through.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from images import one_of_each_kind

from chaos.envelopes import enveloped
from chaos.payloads import MAX_PAYLOAD, MAX_PIXELS, repaired
from chaos.row import Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos.lab import Lab

OPTIONS: Final = ("-timeout=120", "-rss_limit_mb=1000", "-max_len=8192", "-print_final_stats=1", "-use_value_profile=1")
"""Seconds for one input, by the clock of a busy machine; memory; bytes of an input."""
PACKAGE: Final = "edge_worker"


def main(options: list[str]) -> None:
    """Fuzz until libFuzzer's *options* end it; a defect ends it with another exit code, and its input is in a file."""
    import atheris  # noqa: PLC0415 - where it is not installed, the rest of the suite works

    with atheris.instrument_imports(include=[PACKAGE]):
        from edge_worker.common import errors  # noqa: PLC0415 - only what is imported here is instrumented
        from edge_worker.common.image_formats import DecodeLimits  # noqa: PLC0415
        from edge_worker.frames import envelope  # noqa: PLC0415
        from edge_worker.imaging import decoder, headers  # noqa: PLC0415
    limits = DecodeLimits(MAX_PAYLOAD, MAX_PIXELS, headers.FORMATS)

    def parse(data: bytes) -> None:
        with suppress(errors.DecodeError):
            image = envelope.open_envelope(data, MAX_PAYLOAD).image if envelope.is_envelope(data) else data
            decoder.decode(image, limits)

    def mutate(data: bytes, size: int) -> bytes:
        return bytes(atheris.Mutate(data, size))  # looked up when it is called: Fuzz() puts another in its place

    atheris.Setup([sys.argv[0], *OPTIONS, *options], parse, custom_mutator=_mutator(mutate))
    atheris.Fuzz()


def _mutator(mutate: Callable[[bytes, int], bytes]) -> Callable[[bytes, int, int], bytes]:
    """LibFuzzer's own mutations, every second one with checksums and lengths made right again."""
    return lambda data, size, seed: (repaired(mutate(data, size)) if seed % 2 else mutate(data, size))[:size]


def run(lab: Lab) -> None:
    """Fuzz for some seconds, from one good image of each kind, bare and in an envelope."""
    if find_spec("atheris") is None:
        lab.require(platform.machine() != "x86_64", "atheris is not installed: pip install atheris")
        lab.measure("not run", "atheris has no wheel for this machine")
        return
    corpus = lab.place("corpus")
    for number, image in enumerate(one_of_each_kind()):
        (corpus / f"{number}").write_bytes(image)
        (corpus / f"{number}-enveloped").write_bytes(enveloped(lab.random, image))
    options = [
        f"-max_total_time={lab.times}",
        f"-seed={lab.random.getrandbits(31)}",
        f"-artifact_prefix={lab.directory}/",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "chaos.fuzz", *options, str(corpus)],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(__file__).parents[depth]) for depth in (1, 2))},
    )
    (lab.directory / "fuzz.log").write_text(done.stderr)
    lab.require(done.returncode == 0, f"exit code {done.returncode}: {_last_words(done.stderr)}")
    lab.measure("inputs tried", _figure(r"number_of_executed_units: (\d+)", done.stderr))
    lab.measure("branches of our code reached", _figure(r"cov: (\d+)", done.stderr))
    lab.measure("inputs kept, each reaching something new", sum(1 for _ in corpus.iterdir()))


def _figure(pattern: str, log: str) -> str:
    """The last that libFuzzer said of something."""
    found = re.findall(pattern, log)
    return found[-1] if found else "unknown"


def _last_words(log: str) -> str:
    """What it ended with: the exception, or the kind of crash."""
    errors = [line for line in log.splitlines() if re.search(r"(Error|ERROR|Exception)\b", line)]
    return errors[0] if errors else log[-200:]


ROWS: Final = (
    Row(
        name="fuzzed",
        fault="libFuzzer on decoder and envelope",
        required="no crash, no hang, no unexpected exception",
        run=run,
        short=20,
        full=600,
        unit="seconds",
    ),
)

if __name__ == "__main__":
    main(sys.argv[1:])
