"""How many threads a step should use on a machine that others use too."""

from __future__ import annotations

import torch

_MEMORY = 0.7  # of the running average of step times
_RETRY = 12  # steps after which the other choices are tried again


class ThreadChooser:
    """Keeps to the number of threads whose steps are fastest now.

    Parallel loops wait for their slowest thread: on cores that are busy with other work, one thread is faster than two
    (measured here: 3 s a step instead of 7.5 s), on free ones slower.
    """

    def __init__(self, most: int) -> None:
        """Choose among 1…`most` threads."""
        self._times: dict[int, float] = {}
        self._choices = list(range(most, 0, -1))
        self._now = most
        self._steps = 0
        torch.set_num_threads(most)

    def record(self, seconds: float) -> None:
        """Note what the last step took and set the number of threads of the next."""
        before = self._times.get(self._now, seconds)
        self._times[self._now] = _MEMORY * before + (1 - _MEMORY) * seconds
        self._steps += 1
        self._now = self._next()
        torch.set_num_threads(self._now)

    def _next(self) -> int:
        """The fastest; now and then the others, twice, for the first step after a change is slower."""
        turn = self._steps % (_RETRY * len(self._choices))
        if self._steps > 1 and turn // 2 < len(self._choices):
            return self._choices[turn // 2]
        return min(self._choices, key=lambda choice: self._times.get(choice, 0.0))
