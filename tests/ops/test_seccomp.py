"""The filter of system calls: read as the kernel reads it, for processors that the tests do not run on too."""

from __future__ import annotations

import errno
import platform
import re
import struct
from pathlib import Path

import pytest

from edge_worker.ops import seccomp

ALLOWED, REFUSED = 0x7FFF0000, 0x00050000 | errno.EPERM
MACHINES = pytest.mark.parametrize("name", ["x86_64", "aarch64"])
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def verdict(program: bytes, architecture: int, number: int) -> int:
    """Run the filter on a system call."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *[0] * 6)
    lines = list(struct.iter_unpack("=HBBI", program))
    word: int = 0
    place: int = 0
    while True:
        code, if_true, if_false, operand = lines[place]
        place += 1
        if code == 0x20:
            (word,) = struct.unpack_from("=I", data, operand)
        elif code in {0x15, 0x35}:
            place += if_true if (word == operand if code == 0x15 else word >= operand) else if_false
        else:
            assert code == 0x06
            return int(operand)


def program_of(name: str) -> tuple[bytes, int, list[int]]:
    """The filter for a machine, its architecture's number, and what is denied."""
    machine = seccomp._MACHINES[name]
    denied = [numbers[machine.column] for numbers in seccomp._DENIED.values()]
    return seccomp._program(machine.audit, denied), machine.audit, denied


@MACHINES
def test_only_what_is_listed_is_refused(name: str) -> None:
    """Every other call passes."""
    program, architecture, denied = program_of(name)
    refused = [number for number in range(600) if verdict(program, architecture, number) != ALLOWED]
    assert refused == sorted(denied)
    assert {verdict(program, architecture, number) for number in refused} == {REFUSED}


@MACHINES
def test_other_sets_of_numbers_are_no_way_round(name: str) -> None:
    """32-bit calls on a 64-bit machine, and x32, whose numbers mean other calls."""
    program, architecture, _ = program_of(name)
    assert verdict(program, 0x40000003, 102) == REFUSED  # i386, socketcall
    assert verdict(program, architecture, 0x40000000 | 41) == REFUSED


@MACHINES
def test_numbers_are_the_kernels(name: str) -> None:
    """As its headers say, where they are installed."""
    if not HEADERS[name].exists():
        pytest.skip("no kernel headers")
    known = dict(re.findall(r"#define __NR_(\w+) (\d+)", HEADERS[name].read_text()))
    column = seccomp._MACHINES[name].column
    assert seccomp._MACHINES[name].seccomp == int(known["seccomp"])
    assert {call: numbers[column] for call, numbers in seccomp._DENIED.items()} == {
        call: int(known[call]) for call in seccomp._DENIED
    }


def test_an_unknown_processor_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed that was written for another one."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="riscv64"):
        seccomp.deny_network()
