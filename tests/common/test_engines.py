from __future__ import annotations

from edge_worker.common.engines import ENGINE_NAMES, ISAS, PRECISIONS
from edge_worker.m2fp.engines.choose import ENGINES
from edge_worker.m2fp.engines.precisions import _PRECISIONS
from edge_worker.tools.bench import machine


def test_every_engine_can_be_asked_for() -> None:
    """What YAML and commands take, besides auto, is what there is, in the order in which auto tries it."""
    assert ENGINE_NAMES[1:] == ENGINES


def test_every_precision_can_be_asked_for() -> None:
    """Each precision that OpenVINO offers is one of those in the list, alone or in front of a plus."""
    assert {offered.partition("+")[0] for offered in _PRECISIONS} == set(PRECISIONS[1:])


def test_every_instruction_set_can_be_held_to() -> None:
    """What the command takes is what bench has limits for."""
    assert tuple(machine.ISAS) == ISAS
