"""Tests of how fast something goes, on a clock that stands still while anything can run."""

from collections.abc import Callable, Coroutine
from functools import wraps
from random import Random
from typing import Any

from cludale_proof.simulator.loop import SimulatedLoop


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run it in the simulator's event loop: how busy the machine is changes nothing. It can do no I/O."""

    @wraps(test)
    def run() -> None:
        loop = SimulatedLoop(Random(1))  # type: ignore[abstract] # what is left out is I/O
        try:
            loop.run_until_complete(test())
        finally:
            loop.close()

    return run
