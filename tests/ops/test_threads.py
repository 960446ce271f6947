"""Thread limits: the plan, and what takes effect in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from edge_worker.common.errors import ConfigError
from edge_worker.config import ThreadsConfig
from edge_worker.ops.allowance import CpuAllowance
from edge_worker.ops.threads import ThreadPlan

EIGHT = CpuAllowance(tuple(range(8)), None)


@pytest.mark.parametrize(
    ("threads", "allowance", "processes", "inference"),
    [
        (ThreadsConfig(), EIGHT, 1, 8),
        (ThreadsConfig(), EIGHT, 2, 4),
        (ThreadsConfig(), EIGHT, 3, 2),
        (ThreadsConfig(), EIGHT, 64, 1),
        (ThreadsConfig(), CpuAllowance(tuple(range(8)), 2.5), 1, 2),
        (ThreadsConfig(), CpuAllowance(tuple(range(8)), 4.0), 2, 2),
        (ThreadsConfig(cpus=(2, 3, 5)), EIGHT, 1, 3),
        (ThreadsConfig(cpus=(2, 3, 5)), CpuAllowance(tuple(range(8)), 2.0), 1, 2),
        (ThreadsConfig(inference=3), EIGHT, 1, 3),
        (ThreadsConfig(inference=16), EIGHT, 1, 8),
        (ThreadsConfig(inference=4, cpus=(0, 1)), EIGHT, 1, 2),
    ],
)
def test_inference_threads(threads: ThreadsConfig, allowance: CpuAllowance, processes: int, inference: int) -> None:
    """Auto shares what may be used among the processes; a number is taken, but never more than can run at once."""
    assert ThreadPlan.from_config(threads, allowance, processes).inference == inference


def test_opencv_is_capped_too() -> None:
    """As inference is."""
    assert ThreadPlan.from_config(ThreadsConfig(opencv=16), CpuAllowance((0, 1), None)).opencv == 2


def test_a_forbidden_processor_is_named() -> None:
    """With the key and what can be chosen."""
    with pytest.raises(ConfigError, match=r"threads.cpus: processors \[9\] cannot be used here; choose from \[0, 1"):
        ThreadPlan.from_config(ThreadsConfig(cpus=(1, 9)), EIGHT)


def test_the_plan_travels_as_json() -> None:
    """And comes out the same."""
    for cpus in (None, (0,)):
        plan = ThreadPlan(inference=3, opencv=2, cpus=cpus, nice=4)
        assert ThreadPlan.from_wire(json.loads(json.dumps(asdict(plan)))) == plan


APPLY = """
import json, sys
from edge_worker.ops.threads import ThreadPlan, effective
plan = ThreadPlan.from_wire(json.loads(sys.argv[1]))
plan.apply_to_process()
plan.apply_to_opencv()
print(json.dumps(effective(7)))
"""


def apply(plan: ThreadPlan) -> dict[str, object]:
    """What is in effect in a new process after *plan* was applied to it."""
    command = [sys.executable, "-c", APPLY, json.dumps(asdict(plan))]
    environment = {**os.environ, **plan.environment(), "PYTHONPATH": str(Path(__file__).parents[2])}
    output = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    answer: dict[str, object] = json.loads(output)
    return answer


def test_what_took_effect_is_what_kernel_and_libraries_say() -> None:
    """Affinity, niceness and OpenCV's threads are set and read back."""
    first = min(os.sched_getaffinity(0))
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    said = apply(ThreadPlan(inference=1, opencv=2, cpus=(first,), nice=1))
    assert said == {"inference": 7, "opencv": 2, "cpus": [first], "nice": min(19, nice + 1)}


def test_a_refusal_of_the_kernel_is_reported_not_raised() -> None:
    """A processor that went away: the process works on those it may use, and says which."""
    assert apply(ThreadPlan(inference=1, opencv=1, cpus=(4095,), nice=0))["cpus"] == sorted(os.sched_getaffinity(0))


def test_the_environment_limits_every_pool() -> None:
    """OpenMP, MKL, numexpr and OpenBLAS read these when they are loaded; the last gets one thread, whatever is free."""
    environment = ThreadPlan(inference=3, opencv=1, cpus=None, nice=0).environment()
    assert {environment[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")} == {"3"}
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
