"""``EDGE_WORKER__MQTT__HOST=…``: single settings from the environment, which override the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.config.tree import Origin, Problem, Tree
from edge_worker.config.yaml_source import parse_value

if TYPE_CHECKING:
    from collections.abc import Mapping


PREFIX = "EDGE_WORKER__"


def override(tree: Tree, environ: Mapping[str, str]) -> None:
    """Put every variable of *environ* that begins with :data:`PREFIX` into *tree*; ``__`` separates sections and keys.

    Values are YAML, so that a list or a section can be given in flow style. Whole sections are applied first: a
    variable for one key of a section overrides one for the section.

    Raises:
        ConfigError: a value is not YAML. Other problems are added to the tree.
    """
    names = [name for name in environ if name.startswith(PREFIX)]
    for name in sorted(names, key=lambda name: (name.count("__"), name)):
        _override_one(tree, name, environ[name])


def variable(location: tuple[str | int, ...]) -> str:
    """Return the name of the variable that sets the key at *location*."""
    return PREFIX + "__".join(str(step).upper() for step in location)


def _override_one(tree: Tree, name: str, value: str) -> None:
    location = tuple(name.removeprefix(PREFIX).lower().split("__"))
    origin = Origin(name)
    if location[0] == "palette" and len(location) > 1:  # class names have capitals, which variables cannot express
        tree.origins[location] = origin
        tree.problems.append(Problem(location, f"""set the palette as a whole: {PREFIX}PALETTE='{{Hat: "#ff8000"}}'"""))
        return
    tree.put(location, parse_value(value, name), origin)
