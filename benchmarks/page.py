"""Loading time of the gateway's page in a browser with an empty cache."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from selenium import webdriver

from benchmarks.gateway import start
from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.bench.statistics import Summary
from edge_worker.tools.demo.children import Children

if TYPE_CHECKING:
    from pathlib import Path

Chrome: TypeAlias = Any
"""Any, because half of selenium's methods have no types."""
_FLAGS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
_CPU_OF_A_PHONE: Final = 4  # times slower than this machine's
_WIFI: Final = {"offline": False, "latency": 20, "downloadThroughput": 1_250_000, "uploadThroughput": 1_250_000}
_COST: Final = """
    const [page] = performance.getEntriesByType("navigation"), files = performance.getEntriesByType("resource");
    return [page, ...files].map((one) => one.decodedBodySize).reduce((sum, size) => sum + size) / 1000;
"""
_USABLE: Final = "return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def measure(model: str, turns: int, scratch: Path) -> list[dict[str, Any]]:
    """Return a row for this machine and one for a phone on a wireless network: kB, and milliseconds until it is drawn.

    The page is drawn before DOMContentLoaded and can be used from then on.

    Raises:
        EdgeWorkerError: a program is not installed, or does not start.
    """
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise EdgeWorkerError("install chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={scratch}/profile"):
        options.add_argument(flag)
    with Children(scratch) as children:
        _, address = start(children, model, scratch)
        browser: Chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        try:
            here = {"browser": "this machine", **_loads(browser, address, turns)}
            browser.execute_cdp_cmd("Emulation.setCPUThrottlingRate", {"rate": _CPU_OF_A_PHONE})
            browser.execute_cdp_cmd("Network.enable", {})
            browser.execute_cdp_cmd("Network.emulateNetworkConditions", _WIFI)
            phone = {"browser": "4 times slower, 10 Mbit/s, 20 ms", **_loads(browser, address, turns)}
        finally:
            browser.quit()
    return [here, phone]


def _loads(browser: Chrome, address: str, turns: int) -> dict[str, Any]:
    """Load the page repeatedly with an empty cache; the first load warms up the browser."""
    times = [_load(browser, address) for _ in range(turns + 1)][1:]
    return {"first load, kB": float(browser.execute_script(_COST)), "usable after, ms": asdict(Summary.of(times))}


def _load(browser: Chrome, address: str) -> float:
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.get(f"{address}/")
    return float(browser.execute_script(_USABLE))
