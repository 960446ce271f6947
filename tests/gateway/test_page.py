"""The page in Debian's Chromium: a photo parsed, a camera watched, a command sent, on phones and for screen readers."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import cv2
import numpy as np
import pytest
from brokers import wait_until
from replies import JPEG, PNG, labels_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateways import Stack

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
"""selenium's types call half of its methods untyped."""
MAX_FIRST_LOAD: Final = 150_000  # bytes
WAIT_S: Final = 20.0

pytestmark = [pytest.mark.mosquitto, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser with an empty profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield chrome
    chrome.quit()


@pytest.fixture
def page(browser: Chrome, stack: Stack) -> Chrome:
    """The page, opened anew, in English."""
    browser.get("about:blank")
    browser.get(stack.gateway.address + "/#try")
    browser.execute_script("localStorage.setItem('language', 'en')")
    browser.refresh()
    seen(browser, "#health.good")
    return browser


def all_of(browser: Chrome, selector: str) -> list[Any]:
    """The elements that *selector* finds now."""
    return list(browser.find_elements("css selector", selector))


def seen(browser: Chrome, selector: str) -> Any:  # noqa: ANN401 - selenium's element
    """Wait for an element that can be seen."""
    visible = "return [...document.querySelectorAll(arguments[0])].some((one) => one.checkVisibility())"
    wait_until(lambda: browser.execute_script(visible, selector), selector, WAIT_S)
    return all_of(browser, selector)[0]


def press(browser: Chrome, selector: str) -> None:
    """Click on an element, once it can be seen; the page may draw itself anew meanwhile."""

    def pressed() -> bool:
        with suppress(StaleElementReferenceException):
            seen(browser, selector).click()
            return True
        return False

    wait_until(pressed, f"{selector} is pressed", WAIT_S)


def serious(browser: Chrome) -> list[tuple[str, list[str]]]:
    """What axe finds that keeps people out, with the elements concerned."""
    browser.execute_script((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = browser.execute_async_script(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa']}).then(arguments[arguments.length - 1])"
    )
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]


def photo(tmp_path: Path) -> str:
    """A photo of the size of the labels that the worker gives: two pixels by two."""
    file = tmp_path / "photo.png"
    file.write_bytes(cv2.imencode(".png", np.full((2, 2, 3), 128, np.uint8))[1].tobytes())
    return str(file)


def test_the_first_load_is_light_and_whole(page: Chrome) -> None:
    """All comes from the gateway, in 150 kB and one round trip after the page, and no error is on the console."""
    entries = page.execute_script(
        "return performance.getEntriesByType('resource').map(e => [e.name, e.decodedBodySize])"
    )
    html = page.execute_script("return performance.getEntriesByType('navigation')[0].decodedBodySize")
    assert all(name.startswith("http://127.0.0.1:") for name, _ in entries)
    assert {name for name, _ in entries if name.endswith(".js")} == set(
        page.execute_script(
            "return [...document.querySelectorAll('link[rel=modulepreload], script')].map(e => e.href || e.src)"
        )
    )
    assert html + sum(size for _, size in entries) < MAX_FIRST_LOAD
    assert [
        line for line in page.get_log("browser") if line["level"] == "SEVERE" and "503" not in line["message"]
    ] == []


def test_a_photo_is_parsed_and_shown(page: Chrome, stack: Stack, tmp_path: Path) -> None:
    """It is uploaded, its map is laid over it, and its results can be taken home; axe finds nothing."""
    before = len(stack.worker.requests)
    page.find_element("id", "files").send_keys(photo(tmp_path))
    assert (
        seen(page, "#result canvas.paint").get_attribute("aria-label").startswith("Parsed photo photo.png: 0 persons")
    )
    assert len(stack.worker.requests) == before + 1
    assert [one.text for one in all_of(page, "#result .row[aria-label=Download] button")] == [
        "Map PNG",
        "Labels JSON",
        "COCO",
    ]
    assert serious(page) == []


def test_photos_are_dropped_and_pasted_anywhere(page: Chrome, stack: Stack) -> None:
    """The page is not left for what is dropped beside the field, and the newest photo is the one shown."""
    for event, carrier, name in (("DragEvent", "dataTransfer", "drop"), ("ClipboardEvent", "clipboardData", "paste")):
        page.execute_script(
            f"""document.createElement('canvas').toBlob((blob) => {{
                const {carrier} = new DataTransfer();
                {carrier}.items.add(new File([blob], '{name}.png', {{ type: 'image/png' }}));
                document.body.dispatchEvent(
                    new {event}('{name}', {{ {carrier}, bubbles: true, cancelable: true }}));
            }})"""
        )
        seen(page, f"#result canvas[aria-label^='Parsed photo {name}.png']")
    assert page.current_url.startswith(stack.gateway.address)


def test_no_photo_of_many_is_lost(page: Chrome, tmp_path: Path) -> None:
    """More than the page keeps results of: every one is in the table, and is parsed."""
    single = Path(photo(tmp_path))
    files = [shutil.copy(single, tmp_path / f"{number}.png") for number in range(120)]
    page.find_element("id", "files").send_keys("\n".join(map(str, files)))
    wait_until(lambda: len(all_of(page, "#batch tbody button")) == len(files), "all are parsed", WAIT_S)
    assert page.find_element("css selector", "#batch tbody").text.startswith("0.png")


def test_a_photo_that_fails_says_why(page: Chrome, stack: Stack, tmp_path: Path) -> None:
    """In the worker's words."""
    stack.worker.answer = "undecodable"
    try:
        page.find_element("id", "files").send_keys(photo(tmp_path))
        wait_until(lambda: "so it is" in page.find_element("id", "notices").text, "the notice", WAIT_S)
    finally:
        stack.worker.answer = "labels"


def test_a_camera_is_watched(page: Chrome, stack: Stack) -> None:
    """A tile with image and facts, kept up by events; names of cameras are text, whatever they hold."""
    page.execute_script("location.hash = '#live'")
    name = "<img src=x onerror=document.title=1>"
    seen(page, "#tab-live-title")
    for kind, payload in (("frame", JPEG), ("colormap", PNG)):
        prefix = "cameras" if kind == "frame" else "parsing"
        stack.worker.publish(f"{prefix}/{name}/{kind}", payload)

    def shown() -> bool:
        stack.worker.publish(f"parsing/{name}/labels", labels_of(name, "f").to_json())
        return any(name in one.text and "0 persons" in one.text for one in all_of(page, "article.tile"))

    wait_until(shown, "the tile", WAIT_S)
    assert "1" not in page.title
    assert serious(page) == []


def test_a_command_is_sent_after_it_was_confirmed(page: Chrome) -> None:
    """Nothing happens when the question is cancelled; the worker's response is told."""
    page.execute_script("location.hash = '#node'")
    press(page, "[data-key=command-pause]")
    press(page, "#ask-cancel")
    assert page.find_element("id", "notices").text == ""
    press(page, "[data-key=command-pause]")
    assert serious(page) == []
    seen(page, "#ask-input").send_keys("door\n")
    wait_until(lambda: page.find_element("id", "notices").text == "Pause: ok", "the response", WAIT_S)


def test_another_language_is_a_choice_away(page: Chrome) -> None:
    """Chinese, in every tab, and for readers of screens."""
    page.execute_script(
        "const l = document.getElementById('language'); l.value = 'zh'; l.dispatchEvent(new Event('change'))"
    )
    assert [one.text for one in all_of(page, "nav a")] == ["试用", "实时", "节点"]
    assert page.execute_script("return document.documentElement.lang") == "zh-Hans"


def test_both_languages_have_every_string() -> None:
    """No key is missing in either file."""
    strings = Path(__file__).parents[2] / "edge_worker" / "gateway" / "static" / "strings"
    keys = {file.stem: set(_keys(file.read_text(encoding="utf-8"))) for file in strings.glob("*.js")}
    assert keys["en"] == keys["zh"]


def _keys(code: str) -> list[str]:
    body = code.partition("export default")[2].rstrip().removesuffix(";")
    return list(json.loads(body.rstrip().removesuffix("}").rstrip().removesuffix(",") + "}"))


@pytest.mark.parametrize("view", ["try", "live", "node"])
def test_a_phone_is_wide_enough(page: Chrome, view: str) -> None:
    """At 390 pixels nothing has to be scrolled sideways, in the light and in the dark."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        page.execute_script(f"location.hash = '#{view}'")
        seen(page, f"#view-{view} h2")
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
        assert serious(page) == []
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
