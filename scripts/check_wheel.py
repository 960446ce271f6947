"""Check the contents of a built wheel: the whole package, all kernels, nothing else, within the size limit.

python scripts/check_wheel.py WHEEL…            --no-kernels: of a platform whose compiler makes none

"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edge_worker"
MAX_MB = 26.0  # up to 24 of them the light model: tests/models/test_m2fp_lite.py
_DATA = re.compile(r"^edge_worker-[^/]+\.data/data/")
_NOT_SHIPPED = {"__pycache__", ".so", ".pyd"}


def expected() -> set[str]:
    """Return the names of all package and data files as they appear in a wheel, without compiled kernels."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    data = project["tool"]["setuptools"].get("data-files", {})
    return {
        *(path.relative_to(ROOT).as_posix() for path in files if not _NOT_SHIPPED & {path.suffix, *path.parts}),
        *(f"{folder}/{Path(source).name}" for folder, sources in data.items() for source in sources),
    }


def problems(wheel: Path, *, kernels: bool = True) -> list[str]:
    """Return what is wrong with *wheel*, one line each."""
    names = [_DATA.sub("", name) for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    compiled = {name.partition(".")[0] for name in names if name.endswith((".so", ".pyd"))}
    shipped = {name for name in names if not name.endswith((".so", ".pyd"))}
    wanted = {f"edge_worker/m2fp/kernels/_{source.stem}" for source in PACKAGE.glob("m2fp/kernels/*.c")}
    found = [f"is missing: {name}" for name in sorted(expected() - shipped)]
    found += [f"should not be there: {name}" for name in sorted(shipped - expected())]
    found += [f"kernel is missing: {name}" for name in sorted(wanted - compiled) if kernels]
    megabytes = wheel.stat().st_size / 1_000_000
    if megabytes > MAX_MB:
        found.append(f"is larger than {MAX_MB:g} MB: {megabytes:.1f}")
    return found


def main() -> int:
    """Check the wheels in the arguments; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--no-kernels", action="store_true")
    arguments = parser.parse_args()
    found = [
        f"{wheel.name}: {problem}"
        for wheel in arguments.wheels
        for problem in problems(wheel, kernels=not arguments.no_kernels)
    ]
    sys.stderr.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
