"""What a row of the report is: a fault, what must hold under it, and what was found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chaos.lab import Lab


@dataclass(frozen=True)
class Row:
    """A fault and the experiment that repeats it.

    ``required`` says in the report what must hold. ``run`` is given a laboratory whose ``times`` is ``short`` or
    ``full``: repetitions, seconds or payloads, as ``unit`` says. A row that is ``alone`` has no other beside it in full
    form: its figures are times.
    """

    name: str
    fault: str
    required: str
    run: Callable[[Lab], None]
    short: int
    full: int
    unit: str = "times"
    alone: bool = False


@dataclass
class Findings:
    """What an experiment found so far: figures by name, and promises that did not hold."""

    figures: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def require(self, holds: object, promise: str) -> None:
        """Note that *promise* did not hold, unless it did; the experiment goes on."""
        if not holds and promise not in self.problems:
            self.problems.append(promise)

    def measure(self, name: str, value: object) -> None:
        """Keep a figure for the report; numbers with a fraction are rounded to two digits."""
        self.figures[name] = f"{value:.2f}" if isinstance(value, float) else str(value)

    def count(self, name: str, number: int) -> None:
        """Add *number* to a figure, which begins at 0."""
        self.figures[name] = str(int(self.figures.get(name, "0")) + number)


@dataclass(frozen=True)
class Result:
    """A row that was run."""

    name: str
    fault: str
    required: str
    repetitions: str
    figures: Mapping[str, str]
    problems: tuple[str, ...]
    seed: int
    form: str
    date: str
    minutes: float

    @property
    def passed(self) -> bool:
        """Whether every promise held."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Result:
        """Read what :meth:`to_json` gave."""
        return cls(**{**values, "problems": tuple(values["problems"])})
