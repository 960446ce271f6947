"""What a reload can change while the worker runs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_worker.config.output import OutputConfig
from edge_worker.config.sections import Config
from edge_worker.config.tree import Location, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIXED = frozenset({"topic", "qos"})
"""Keys of a kind of result that need a restart: other programs' subscriptions and permissions depend on them."""

LIVE = frozenset(
    {
        "cameras[].max_age_s",
        "cameras[].min_interval_s",
        "integrations.home_assistant.cameras",
        "integrations.home_assistant.parts",
        "model.score_threshold",
        "ops.log.level",
        "ops.stats_interval_s",
        "output.result_expiry_s",
        *(
            f"output.{kind}.{key}"
            for kind, section in OutputConfig().all_results().items()
            for key in type(section).model_fields.keys() - _FIXED
        ),
    }
)
"""Keys that take effect with the next frame, those of ``output`` also below ``cameras[].outputs``."""


@dataclass(frozen=True, slots=True)
class Reload:
    """The result of a reload.

    Attributes:
        config: the configuration in force from now on: the old one with the changes that apply live.
        live: keys that changed and apply live.
        restart: keys that changed in the file, but need a restart.
    """

    config: Config
    live: tuple[str, ...]
    restart: tuple[str, ...]


def diff(old: Config, new: Config) -> Reload:
    """Compare *old*, which is in force, with *new*, which was loaded.

    A camera section with a change that needs a restart keeps all its old settings until then: old and new ones might
    contradict each other.
    """
    changed = list(_changes(old.masked(), new.masked(), ()))
    waiting = {place[:2] for place in changed if not is_live(place) and place[0] == "cameras"}
    live = [place for place in changed if is_live(place) and place[:2] not in waiting]
    restart = [place for place in changed if place not in live]
    return Reload(_with(old, new, live), tuple(map(dotted, live)), tuple(map(dotted, restart)))


def is_live(location: Location) -> bool:
    """Whether the key at *location* takes effect without a restart."""
    key = re.sub(r"\[\d+\]", "[]", dotted(location))
    return re.sub(r"^cameras\[\]\.outputs\.", "output.", key) in LIVE


def _changes(old: Any, new: Any, location: Location) -> Iterator[Location]:  # noqa: ANN401 - JSON values
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _changes(*_both(old, new, key), (*location, key))
    elif location == ("cameras",) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _changes(one, other, (*location, index))
    elif old != new:
        yield location


def _both(old: dict[str, Any], new: dict[str, Any], key: str) -> tuple[Any, Any]:
    """Return both values of *key*, ``...`` if missing; a missing section (of a camera's outputs) counts as empty."""
    one, other = old.get(key, ...), new.get(key, ...)
    if isinstance(one, dict) or isinstance(other, dict):
        return {} if one is ... else one, {} if other is ... else other
    return one, other


def _with(old: Config, new: Config, locations: list[Location]) -> Config:
    """Return *old* with the values of *new* at *locations*."""
    values, wanted = old.masked(), new.masked()
    for location in locations:
        _copy(wanted, values, location)
    return Config.model_validate_json(json.dumps(values))


def _copy(source: Any, target: Any, location: Location) -> None:  # noqa: ANN401 - JSON values
    *way, key = location
    for step in way:
        source, target = _enter(source, step), _enter(target, step)
    if key in source:
        target[key] = source[key]
    else:
        del target[key]


def _enter(values: Any, step: str | int) -> Any:  # noqa: ANN401 - JSON values
    return values.setdefault(step, {}) if isinstance(values, dict) else values[step]
