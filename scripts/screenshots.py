"""Retake the screenshots of docs/gateway.md: ``.venv/bin/python scripts/screenshots.py``.

Runs ``edge-worker demo --web`` and Chromium; needs mosquitto, chromium and chromedriver.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Iterable

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
SIZE: Final = "1280,900"
WAIT_S: Final = 60.0
Chrome: TypeAlias = Any
"""Any, because half of selenium's methods have no types."""


def main() -> None:
    """Take a screenshot of Try and one of Live."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "edge_worker", "demo", "--web", "--fps", "2", "--out", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:  # noqa: S603 - our own module
            try:
                _take(_address(demo.stdout or ()), Path(folder))
            finally:
                demo.terminate()


def _address(output: Iterable[str]) -> str:
    """Read *output* until the demo has reported the page's address and a result; returns the address."""
    output = ""
    for line in output:
        output += line
        found = re.search(r"the page: (\S+)", output)
        if found and "person" in line:
            return found[1]
    raise SystemExit(f"the demo ended:\n{output}")


def _take(address: str, folder: Path) -> None:
    photo = folder / "photo.jpg"
    photo.write_bytes(urllib.request.urlopen(f"{address}/api/v1/cameras/demo/latest/frame.jpg").read())  # noqa: S310
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless", "--no-sandbox", f"--window-size={SIZE}", f"--user-data-dir={folder}/profile"):
        options.add_argument(flag)
    browser: Chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.get(f"{address}/#try")
        _until(browser, "document.querySelector('#health.good')")
        browser.find_element("id", "files").send_keys(str(photo))
        _until(browser, "document.querySelector('#result canvas.paint')")
        browser.execute_script("document.querySelector('#batch').scrollIntoView()")
        _save(browser, "gateway-try.png")
        browser.get(f"{address}/#live")
        _until(browser, "document.querySelector('article.tile:not(.stale) img')")
        _save(browser, "gateway-live.png")
    finally:
        browser.quit()


def _until(browser: Chrome, condition: str) -> None:
    WebDriverWait(browser, WAIT_S).until(lambda _: browser.execute_script(f"return Boolean({condition})"))
    time.sleep(1.0)  # until everything is drawn


def _save(browser: Chrome, name: str) -> None:
    browser.save_screenshot(str(IMAGES / name))


if __name__ == "__main__":
    main()
