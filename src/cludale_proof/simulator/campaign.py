"""Many runs, in several processes: what came of them, which faults fired and which never did."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context

from cludale_proof.simulator.course import run
from cludale_proof.simulator.tally import Tally

CHUNK = 10
"""Seeds that a worker is given at a time."""


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
            tally.again.update(outcome.again)
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
