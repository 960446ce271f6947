"""Which variants are compared: a model's with each other, with a reference, or with another model's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.tools.bench.setup import Setup
    from edge_worker.tools.bench.variants import Variant

REFERENCES = ("modelscope", "torch")
"""Values of ``--against`` besides models."""


class Compared(NamedTuple):
    """A variant, and what it is compared with.

    Attributes:
        variant: the variant.
        ratio_to: index of the variant whose times are divided by its own.
        same_model: whether its output can be compared with the first variant's.
    """

    variant: Variant
    ratio_to: int
    same_model: bool = True


class Grid(NamedTuple):
    """Every combination in which a model runs; None stands for no limit, and for the configuration's threads.

    Attributes:
        isas: instruction sets to limit it to.
        threads: threads per inference.
        variants: ``(engine, precision)`` pairs.
    """

    isas: Sequence[str | None]
    threads: Sequence[int | None]
    variants: Sequence[tuple[str, str]]

    def of(self, setup: Setup) -> list[Variant]:
        """Return the variants of the model of *setup*, grouped by instruction set.

        Raises:
            EdgeWorkerError: the processor lacks an instruction set, or a file of the model is missing.
        """
        for _, precision in self.variants:
            setup.quantise_for(precision)
        return [
            setup.variant(engine, precision, threads, isa)
            for isa in self.isas
            for threads in self.threads
            for engine, precision in self.variants
        ]


def among_themselves(setup: Setup, grid: Grid) -> list[Compared]:
    """Compare each variant of one model with the last; raises the errors of :meth:`Grid.of`."""
    variants = grid.of(setup)
    return [Compared(variant, len(variants) - 1) for variant in variants]


def with_reference(setup: Setup, reference: str, grid: Grid) -> list[Compared]:
    """Compare the variants of one model with one of :data:`REFERENCES`, limited to the same instruction set.

    Raises:
        EdgeWorkerError: as in :meth:`Grid.of`, or the reference cannot run the model.
    """
    ours = grid.of(setup)
    theirs = [
        setup.variant("torch", "f32", isa=isa) if reference == "torch" else setup.published(isa) for isa in grid.isas
    ]
    of_one_isa = len(ours) // len(theirs)
    return [
        *(Compared(variant, len(ours) + index // of_one_isa) for index, variant in enumerate(ours)),
        *(Compared(variant, len(ours) + index) for index, variant in enumerate(theirs)),
    ]


def with_model(setup: Setup, other: Setup, grid: Grid) -> list[Compared]:
    """Compare each variant of one model with the same variant of the *other*; raises the errors of :meth:`Grid.of`."""
    ours, theirs = (_named(grid.of(one), one.model) for one in (setup, other))
    return [
        *(Compared(variant, len(ours) + index) for index, variant in enumerate(ours)),
        *(Compared(variant, len(ours) + index, same_model=False) for index, variant in enumerate(theirs)),
    ]


def _named(variants: Sequence[Variant], model: str) -> list[Variant]:
    return [replace(variant, name=f"{variant.name}, {model}") for variant in variants]
