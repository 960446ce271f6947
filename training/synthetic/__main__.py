"""Command: `python -m training.synthetic --out DIR --from 0 --to 100`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

# One thread for the software renderer and the libraries, set before they are loaded: for more CPUs, several processes
# with different numbers are faster. Without the last variable, Mesa writes to the home folder.
for _name in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MESA_SHADER_CACHE_DISABLE", "true")

import cv2  # noqa: E402
from rich.progress import track  # noqa: E402

from training.synthetic.assets import PACK, Pack, PackError  # noqa: E402
from training.synthetic.renderer import NoContextError  # noqa: E402
from training.synthetic.scene import Studio  # noqa: E402

_LAST = 10_000_000


def write(studio: Studio, number: int, out: Path) -> dict[str, object]:
    """Write image and label image of a scene; returns its description."""
    scene = studio.scene(number)
    name = f"{number:06d}"
    cv2.imwrite(str(out / f"{name}.jpg"), scene.picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    cv2.imwrite(str(out / f"{name}.png"), scene.labels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return {"file": name, **scene.description}


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the scenes, made where it is missing")
    parser.add_argument("--from", dest="first", type=int, default=0, help="first scene number (default: 0)")
    parser.add_argument("--to", dest="end", type=int, required=True, help="the number after the last")
    parser.add_argument("--pack", type=Path, default=PACK, help=f"folder of the asset pack (default: {PACK})")
    chosen = parser.parse_args()
    if not 0 <= chosen.first < chosen.end <= _LAST:
        parser.error(f"--from and --to: 0 <= from < to <= {_LAST} is needed")
    return chosen


def main() -> int:
    """Parse the arguments and render the scenes; returns 1 if that is not possible."""
    chosen = arguments()
    cv2.setNumThreads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    try:
        studio = Studio(Pack(chosen.pack))
    except PackError as error:
        print(error, file=sys.stderr)
        return 1
    except NoContextError as error:
        print(f"{error}; on Debian: apt-get install libegl1 libegl-mesa0", file=sys.stderr)
        return 1
    began = time.process_time()
    numbers = track(range(chosen.first, chosen.end), studio.renderer.name)
    lines = [json.dumps(write(studio, number, chosen.out)) + "\n" for number in numbers]
    # Written last: a range without descriptions was interrupted.
    (chosen.out / f"scenes_{chosen.first}_{chosen.end}.jsonl").write_text("".join(lines), encoding="utf-8")
    count = chosen.end - chosen.first
    print(f"{count} scenes in {chosen.out}, {(time.process_time() - began) / count:.2f} CPU s a scene")
    return 0


if __name__ == "__main__":
    sys.exit(main())
