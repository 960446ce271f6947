"""Debian's headless Chromium; test modules that import this are skipped if it is not installed."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import cv2
import numpy as np
import pytest
from brokers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if (CHROMIUM is None or DRIVER is None) and os.environ.get("CI") != "true":
    pytest.skip("chromium and chromedriver are not installed", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
StaleElementReferenceException = pytest.importorskip("selenium.common").StaleElementReferenceException
axe = pytest.importorskip("axe_core_python", reason="axe is not installed")

FLAGS: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Chrome: TypeAlias = Any
"""Any, because half of selenium's methods have no types."""
WAIT_S: Final = 30.0


@contextmanager
def started(profile: Path) -> Iterator[Chrome]:
    """Start a browser with its data in *profile*."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield chrome
    chrome.quit()


def all_of(browser: Chrome, selector: str) -> list[Any]:
    """Return the elements that currently match *selector*."""
    return list(browser.find_elements("css selector", selector))


def seen(browser: Chrome, selector: str) -> Any:  # noqa: ANN401 - selenium's element
    """Wait for a visible element."""
    visible = "return [...document.querySelectorAll(arguments[0])].some((one) => one.checkVisibility())"
    wait_until(lambda: browser.execute_script(visible, selector), selector, WAIT_S)
    return all_of(browser, selector)[0]


def press(browser: Chrome, selector: str) -> None:
    """Click on an element once it is visible; the page may redraw itself meanwhile."""

    def pressed() -> bool:
        with suppress(StaleElementReferenceException):
            seen(browser, selector).click()
            return True
        return False

    wait_until(pressed, f"{selector} is pressed", WAIT_S)


def serious(browser: Chrome) -> list[tuple[str, list[str]]]:
    """Return axe's serious accessibility violations, with the elements concerned."""
    browser.execute_script((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = browser.execute_async_script(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa']}).then(arguments[arguments.length - 1])"
    )
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]


def photo(tmp_path: Path) -> str:
    """Write a photo of the size of the fake worker's labels: two pixels by two."""
    file = tmp_path / "photo.png"
    file.write_bytes(cv2.imencode(".png", np.full((2, 2, 3), 128, np.uint8))[1].tobytes())
    return str(file)
