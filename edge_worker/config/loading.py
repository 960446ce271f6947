"""From a file and the environment to a checked configuration."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edge_worker.config.checks import check
from edge_worker.config.environment import override
from edge_worker.config.explain import explain
from edge_worker.config.sections import Config
from edge_worker.config.topic_overlap import check_topics
from edge_worker.config.tree import Location, Origin, Problem, Tree
from edge_worker.config.yaml_source import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


FILE_VARIABLE = "EDGE_WORKER_CONFIG"
_NO_FILE = "no configuration file (name one with -c; edge-worker config prints one)"
_WITH_TOPICS = ("node", "cameras", "output", "commands")
USUAL_FILES = (Path("/etc/edge-worker/edge_worker.yaml"), Path("config/edge_worker.yaml"))


def find_config(argument: Path | str | None, environ: Mapping[str, str]) -> Path | None:
    """Return the configuration file: *argument* (``-c``), ``$EDGE_WORKER_CONFIG``, or the first usual one that exists.

    None if there is none: the environment alone may be enough.
    """
    named = argument or environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    return next((file for file in USUAL_FILES if file.is_file()), None)


def load(path: Path | None, environ: Mapping[str, str], *, runs_model: bool = True) -> Config:
    """Read *path* and the overrides in *environ*, and check everything that can be checked without the network.

    The model's files are checked only if *runs_model*.

    Raises:
        ConfigError: something is wrong; its text has a line for each problem.
    """
    return load_with_origins(path, environ, runs_model=runs_model)[0]


def load_with_origins(path: Path | None, environ: Mapping[str, str], *, runs_model: bool = True) -> tuple[Config, Tree]:
    """Return the configuration as :func:`load` does, and the settings as written, with their origins.

    Raises:
        ConfigError: as :func:`load`.
    """
    tree = Tree(origins={(): Origin(_NO_FILE)}) if path is None else read(path)
    override(tree, environ)
    config, problems = _validate(tree, path)
    checked = partial(check, environ=environ, runs_model=runs_model)
    if config is None:
        raise tree.error([*problems, *_further(tree, path, problems, checked)])
    problems = [*problems, *checked(config), *check_topics(config)]
    if problems:
        raise tree.error(problems)
    return config, tree


def _further(
    tree: Tree, path: Path | None, problems: Sequence[Problem], checked: Callable[[Config], Iterator[Problem]]
) -> Iterator[Problem]:
    """Yield what else is wrong, besides the *problems* with single keys: validates the rest, and applies *checked*.

    Overlaps of topics are not checked if one of them may be missing.
    """
    reported = [problem.location for problem in problems]
    values = {"mqtt": {}, **tree.values}
    for location in reported:
        values = _without(values, location)
    values["mqtt"] = {"host": "localhost", **values.get("mqtt", {})}
    config, others = _validate(Tree(values), path)
    if config is None or others:
        return
    overlaps = () if any(location[0] in _WITH_TOPICS for location in reported) else check_topics(config)
    for problem in (*checked(config), *overlaps):
        if not any(problem.location[: len(location)] == location for location in reported):
            yield problem


def _without(value: Any, location: Location) -> Any:  # noqa: ANN401 - a value of any type
    """Return *value* without the setting at *location*, or else without the innermost section around it."""
    if not location or not isinstance(value, dict | tuple):
        return value
    step, rest = location[0], location[1:]
    if isinstance(value, tuple):
        return tuple(_without(item, rest) if index == step else item for index, item in enumerate(value))
    inner = value.get(step)
    if rest and isinstance(inner, dict | tuple):
        return {**value, step: _without(inner, rest)}
    return {key: item for key, item in value.items() if key != step}


def _validate(tree: Tree, path: Path | None) -> tuple[Config | None, list[Problem]]:
    """Return the configuration, None if it is invalid, and what is wrong with single keys.

    Nothing is raised here: an error raised while pydantic's is handled would carry the values, perhaps a password.
    """
    reported = {problem.location for problem in tree.problems}
    context = {} if path is None else {"folder": path.absolute().parent}
    try:
        return Config.model_validate({"mqtt": {}, **tree.values}, context=context), tree.problems
    except ValidationError as error:
        return None, [*tree.problems, *(problem for problem in explain(error) if problem.location not in reported)]
