"""The page in Debian's Chromium: a photo parsed, a camera watched, a command sent, on phones and for screen readers."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import chrome
import pytest
from annotated import write_results
from brokers import wait_until
from chrome import WAIT_S, Chrome, all_of, photo, press, seen, serious
from commands import run
from replies import JPEG, PNG, labels_of

from edge_worker.frames.frame import DROPS, REJECTIONS
from edge_worker.gateway.problems import STATUS_OF_REASON
from edge_worker.m2fp.class_names import CIHP_MULTI_HUMAN_CLASSES
from edge_worker.messages.results import Timings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateways import Stack

SHIFT, TAB = "\ue008", "\ue004"
STRINGS: Final = Path(__file__).parents[2] / "edge_worker" / "gateway" / "static" / "strings"
NAMED: Final = ("class", "reason", "stage")
STATUS_REASONS: Final = frozenset(
    {"model_loading", "model_restarting", "disconnected", "subscribing", "contested"}
    | {"stopped", "failed", "misconfigured", "lost"}
)
"""Those of docs/topics.md."""
MAX_FIRST_LOAD: Final = 150_000  # bytes

pytestmark = [pytest.mark.mosquitto, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser with an empty profile."""
    with chrome.started(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser: Chrome, stack: Stack) -> Chrome:
    """The page, opened anew, in English."""
    browser.get("about:blank")
    browser.get(stack.gateway.address + "/#try")
    browser.execute_script("localStorage.setItem('language', 'en')")
    browser.refresh()
    seen(browser, "#health.good")
    return browser


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


def test_chinese_has_its_own_names() -> None:
    """Of the classes of models that come along, of every reason and of every stage; others are shown as they come."""
    names: dict[str, set[str]] = {kind: set() for kind in NAMED}
    for kind, _, name in (key.partition(".") for key in _strings("zh")):
        names.get(kind, set()).add(name)
    assert names == {
        "class": set(CIHP_MULTI_HUMAN_CLASSES),
        "reason": {*STATUS_OF_REASON, *REJECTIONS, *DROPS, *STATUS_REASONS},
        "stage": set(Timings.model_fields),
    }


def test_chinese_tells_problems_in_chinese(page: Chrome) -> None:
    """The reason that the gateway gives, with its details; one that nobody knows is left to them."""
    shown = page.execute_async_script(
        "import('/static/i18n.js').then(({ chooseLanguage, problemText }) => {"
        " chooseLanguage('zh'); return arguments[0].map(problemText); }).then(arguments[1])",
        [{"reason": "no_worker", "detail": "no worker is online"}, {"reason": "new", "detail": "something"}],
    )
    assert shown[0].startswith("没有在线的工作节点")
    assert "no worker is online" in shown[0]
    assert shown[1] == "something"


def test_coco_is_what_the_command_line_writes(page: Chrome, tmp_path: Path) -> None:
    """The page's download of some results is the export of the same results, to the letter."""
    write_results(tmp_path)
    items = [
        {
            "name": str(Path(result["frame_id"]).relative_to(tmp_path / "photos")),
            "result": {**result, "colormap": base64.b64encode(colormap_of(file).read_bytes()).decode()},
        }
        for file in sorted(tmp_path.glob("*.labels.json"))
        for result in [json.loads(file.read_text())]
    ]
    saved = page.execute_async_script(
        "import('/static/coco.js').then(({ coco }) => coco(arguments[0])).then(arguments[1])", items
    )
    assert run("export", tmp_path, "--format", "coco", "--out", tmp_path / "set").returncode == 0
    (exported,) = (tmp_path / "set").rglob("instances_default.json")
    assert saved == json.loads(exported.read_text())


def colormap_of(labels_file: Path) -> Path:
    return labels_file.with_name(labels_file.name.replace(".labels.json", ".colormap.png"))


def test_both_languages_have_every_string() -> None:
    """No key is missing in either file; in English, what has a name in the messages keeps it."""
    assert {key for key in _strings("zh") if key.partition(".")[0] not in NAMED} == set(_strings("en"))


def _strings(language: str) -> dict[str, str]:
    body = (STRINGS / f"{language}.js").read_text(encoding="utf-8").partition("export default")[2].rstrip()
    strings: dict[str, str] = json.loads(body.rstrip("}; \n,") + "}")
    return strings


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_hides_what_has_the_focus(page: Chrome, tmp_path: Path, width: int) -> None:
    """Through the whole page by the keyboard, backwards: the header covers nothing (WCAG 2.4.11)."""
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 640, "deviceScaleFactor": 1, "mobile": False}
    )
    try:
        page.find_element("id", "files").send_keys(photo(tmp_path))
        seen(page, "#result canvas.paint")
        page.execute_script("scrollTo(0, document.body.scrollHeight)")
        stops = list(iter(lambda: _step_back(page), None))
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert len(stops) > 12
    assert [name for name, hidden in stops if hidden] == []


def _step_back(page: Chrome) -> tuple[str, bool] | None:
    """Move the focus backwards; returns what has it and whether it is hidden, None outside the page."""
    keys = chrome.webdriver.ActionChains(page)
    keys.key_down(SHIFT).send_keys(TAB).key_up(SHIFT).perform()
    found: tuple[str, bool] | None = page.execute_script(
        """const one = document.activeElement, header = document.querySelector("header");
        if (one === document.body) return null;
        const covered = getComputedStyle(header).position === "sticky" ? header.getBoundingClientRect().bottom : 0;
        const hidden = !header.contains(one) && one.className !== "skip" && one.getBoundingClientRect().top < covered;
        return [one.getAttribute("aria-label") ?? one.textContent ?? one.id, hidden];"""
    )
    return found


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
