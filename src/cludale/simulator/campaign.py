"""Many runs, in several processes: what came of them, which faults fired and which never did."""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context

from cludale.simulator.faults import Fault, Situation
from cludale.simulator.world import run

CHUNK = 10
"""Seeds that a worker is given at a time."""
ENOUGH_SEEDS = 300
"""From so many seeds on, a fault that never fired is a failure of the campaign."""


@dataclass
class Tally:
    """What some runs came to."""

    seeds: int = 0
    orders: int = 0
    events: int = 0
    steps: int = 0
    virtual_seconds: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[int, list[str]]] = field(default_factory=list)
    """Seeds that broke something, and what."""
    seconds: float = 0.0
    """Of real time."""

    def add(self, other: "Tally") -> None:
        """Count these in."""
        self.seeds += other.seeds
        self.orders += other.orders
        self.events += other.events
        self.steps += other.steps
        self.virtual_seconds += other.virtual_seconds
        self.fired.update(other.fired)
        self.met.update(other.met)
        self.failed += other.failed

    @property
    def never(self) -> list[str]:
        """The faults that never fired and the situations that nobody got into."""
        return [each.value for each in (*Fault, *Situation) if not self.fired[each.value] and not self.met[each.value]]

    @property
    def ok(self) -> bool:
        """Nothing broke, and everything was tried that was to be tried."""
        return not self.failed and not (self.seeds >= ENOUGH_SEEDS and self.never)


def run_seeds(seeds: Sequence[int], themes: Sequence[str] | None = None) -> Tally:
    """Run these in this process."""
    tally = Tally()
    gc.disable()  # a run leaves its garbage in one piece; looking for it all the time costs a tenth
    try:
        for seed in seeds:
            outcome = run(seed, themes=themes)
            tally.seeds += 1
            tally.orders += outcome.orders
            tally.events += outcome.events
            tally.steps += outcome.steps
            tally.virtual_seconds += outcome.virtual_seconds
            tally.fired.update({fault.value: count for fault, count in outcome.fired.items()})
            tally.met.update({situation.value: count for situation, count in outcome.met.items()})
            if outcome.findings:
                tally.failed.append((seed, outcome.findings))
    finally:
        gc.enable()
        gc.collect()
    return tally


def run_campaign(
    seeds: range,
    *,
    workers: int,
    failures_wanted: int = 1,
    themes: Sequence[str] | None = None,
    progress: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Run all of `seeds`, or until so many of them have failed; tells `progress` after each chunk."""
    tally = Tally()
    began = time.monotonic()

    def count(done: Tally) -> bool:
        tally.add(done)
        tally.seconds = time.monotonic() - began
        progress(tally)
        return len(tally.failed) < failures_wanted

    if workers == 1:
        for chunk in _chunks(seeds):
            if not count(run_seeds(chunk, themes)):
                break
    else:
        _in_processes(seeds, workers, themes, count)
    tally.failed.sort()
    return tally


def _in_processes(seeds: range, workers: int, themes: Sequence[str] | None, count: Callable[[Tally], bool]) -> None:
    chunks = _chunks(seeds)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        under_way: set[Future[Tally]] = {pool.submit(run_seeds, chunk, themes) for chunk in islice(chunks, 2 * workers)}
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            goes_on = [count(each.result()) for each in done]
            if not all(goes_on):
                pool.shutdown(cancel_futures=True)
                return
            under_way |= {pool.submit(run_seeds, chunk, themes) for chunk in islice(chunks, len(done))}


def _chunks(seeds: range) -> Iterator[range]:
    for at in range(0, len(seeds), CHUNK):
        yield seeds[at : at + CHUNK]
