"""Settings as written, each with its origin, so that an error can point there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_worker.common.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

Location = tuple[str | int, ...]
"""Path of a setting: names of keys, indices of lists."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting was written: a line (1-based) of a file, or an environment variable."""

    source: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the setting at ``location``, and what to do about it."""

    location: Location
    text: str


@dataclass(slots=True)
class Tree:
    """Nested settings (dictionaries, tuples, plain values), their origins, and the problems found while reading."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Location, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def put(self, location: tuple[str, ...], other: Tree, origin: Origin) -> None:
        """Put the value of *other* (under its key ``value``) at *location*, creating missing sections."""
        section = self.values
        for depth, name in enumerate(location[:-1], start=1):
            if section.get(name) is None:
                section[name] = {}
                self.origins[location[:depth]] = origin
            section = section[name]
            if not isinstance(section, dict):
                self.origins[location] = origin
                self.problems.append(Problem(location, f"{dotted(location[:depth])} is no section: set it as a whole"))
                return
        section[location[-1]] = other.values["value"]
        self._forget(location)
        self.origins[location] = origin
        self.problems += [Problem(location + problem.location[1:], problem.text) for problem in other.problems]

    def _forget(self, location: Location) -> None:
        for known in [place for place in self.origins if place[: len(location)] == location]:
            del self.origins[known]

    def error(self, problems: Iterable[Problem]) -> ConfigError:
        """Return one error with all *problems* (at least one), in order of their lines."""
        errors = sorted(map(self._error, dict.fromkeys(problems)), key=lambda error: (error.line or 0, error.key))
        return errors[0] if len(errors) == 1 else ConfigError("\n".join(map(str, errors)))

    def _error(self, problem: Problem) -> ConfigError:
        origin = self._origin(problem.location)
        return ConfigError(problem.text, key=dotted(problem.location), file=origin.source or None, line=origin.line)

    def written_at(self, location: Location) -> Origin | None:
        """Return where the value at *location* was written, by itself or as part of another; None: nowhere."""
        value: Any = self.values
        for step in location:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return self._origin(location)

    def _origin(self, location: Location) -> Origin:
        """Return where the setting, or else the innermost section around it, was written."""
        ways = (location[:depth] for depth in range(len(location), -1, -1))
        return next((self.origins[way] for way in ways if way in self.origins), Origin(""))


def dotted(location: Location) -> str:
    """Return *location* in dotted form: ``cameras[0].topic``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
