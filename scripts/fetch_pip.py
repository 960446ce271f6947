"""Install pip into the current environment from the package index, using only the standard library.

For machines whose Python has neither ensurepip nor pip. The index is ``PIP_INDEX_URL``, or else the public one; the
wheel's SHA-256 is checked against the index's.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
LINK = re.compile(r'href="([^"#]*/(pip-([0-9.]+)-py3-none-any\.whl))#sha256=([0-9a-f]{64})"')
TIMEOUT_S = 60


def get(url: str) -> bytes:
    """Return the body of *url*."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:  # noqa: S310 - the user's own index
        return bytes(response.read())


def newest(page: str) -> tuple[str, str, str]:
    """Return (link, file name, SHA-256) of the newest release that the index page offers as a wheel."""
    wheels = {
        tuple(map(int, number.split("."))): (link, name, digest) for link, name, number, digest in LINK.findall(page)
    }
    if not wheels:
        sys.exit(f"{INDEX}/pip/ offers no wheel of pip; get pip in another way (Debian: apt-get install python3-venv)")
    return wheels[max(wheels)]


def main() -> None:
    """Download and verify the wheel, and let it install itself."""
    page_url = f"{INDEX}/pip/"
    link, name, digest = newest(get(page_url).decode())
    wheel = get(urllib.parse.urljoin(page_url, link))
    if hashlib.sha256(wheel).hexdigest() != digest:
        sys.exit(f"{name} does not have the SHA-256 that {INDEX} states; nothing was installed")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(wheel)
        subprocess.run([sys.executable, f"{path}/pip", "install", "--quiet", "--no-index", path], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
