"""History: the last minutes of a process's figures, step by step, so that whoever begins to look sees what was.

A counter (`…_total`) is kept as what came to it in each step, any other figure as what it was at the step's end.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from cludale.ports.clock import Clock
from cludale.runtime.tasks import Tasks

STEP_SECONDS = 5
KEPT_STEPS = 120
"""Ten minutes."""

Figures = Callable[[], Mapping[str, float]]
"""Values of now, by name and labels: `cludale_queue_depth{service="orders"}`. A counter's name ends in `_total`."""

_log = logging.getLogger(__name__)


class Step(NamedTuple):
    """What was noted at the end of one step."""

    number: int
    """Steps of STEP_SECONDS since 1970, so that the steps of several processes fit together."""
    values: Mapping[str, float]
    """Counters to which nothing came are left out."""


class History:
    """The last steps of one set of figures."""

    def __init__(self, *, kept: int = KEPT_STEPS) -> None:
        self._steps: deque[Step] = deque(maxlen=kept)
        self._totals: dict[str, float] = {}

    def note(self, number: int, values: Mapping[str, float]) -> None:
        """The figures at the end of step `number`. One that was noted already, or an earlier one, is passed over."""
        if self._steps and number <= self._steps[-1].number:
            return
        found: dict[str, float] = {}
        for name, value in values.items():
            if not is_counter(name):
                found[name] = value
                continue
            came = value - self._totals.get(name, 0)
            self._totals[name] = value
            if came > 0 and self._steps:  # the first step has no beginning
                found[name] = came
        self._steps.append(Step(number, found))

    @property
    def until(self) -> datetime | None:
        """The end of the last step; None before the first."""
        return None if not self._steps else datetime.fromtimestamp((self._steps[-1].number + 1) * STEP_SECONDS, UTC)

    def series(self) -> dict[str, list[float | None]]:
        """Each figure, step by step, the last at `until`; None where nothing was noted."""
        if not self._steps:
            return {}
        last = self._steps[-1].number
        first = max(self._steps[0].number, last - (self._steps.maxlen or KEPT_STEPS) + 1)
        by_number = {step.number: step.values for step in self._steps}
        names = dict.fromkeys(name for step in self._steps for name in step.values)
        return {
            name: [
                None if number not in by_number else by_number[number].get(name, 0 if is_counter(name) else None)
                for number in range(first, last + 1)
            ]
            for name in names
        }


def is_counter(name: str) -> bool:
    """Does the figure only grow?"""
    return name.partition("{")[0].endswith("_total")


class Histories:
    """The histories of a process's services, noted at the end of each step."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: dict[str, tuple[History, Figures]] = {}
        self._tasks = Tasks(lambda error: _log.critical("figures are noted no more: %r", error, exc_info=error))

    def watch(self, name: str, figures: Figures) -> None:
        """Keep these from now on."""
        self._of[name] = (History(), figures)

    def of(self, name: str) -> History:
        """The history of one service; an empty one of a service that is not here."""
        return self._of[name][0] if name in self._of else History()

    def start(self) -> None:
        """Begin with what is now."""
        self.note(self._last_step())
        self._tasks.start(self._run())

    async def stop(self) -> None:
        """Note no more."""
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            now = self._clock.now().timestamp()
            await self._clock.sleep(STEP_SECONDS - now % STEP_SECONDS + 0.01)
            try:
                self.note(self._last_step())
            except Exception as error:  # noqa: BLE001 - a figure that can't be had must not end the others
                _log.warning("figures could not be noted: %s", error, exc_info=error)

    def _last_step(self) -> int:
        return int(self._clock.now().timestamp()) // STEP_SECONDS - 1

    def note(self, number: int) -> None:
        """Note what is now as the figures of this step."""
        for history, figures in self._of.values():
            history.note(number, figures())
