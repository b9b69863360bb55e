"""An ordeal: one data folder, one crowd of buyers, and server after server that dies over it.

After each death the promises that hold at any moment are checked on what lies there. At the end a server lives, all
who had a key ask again, and once all is quiet every promise is checked, against all that the buyers were ever told.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.patience import eventually
from tests.proof.faults.crowd import Crowd
from tests.proof.faults.judging import at_rest, lost, safe
from tests.proof.faults.victims import Stillborn, dead, stopped, victim

CONCERTS = ("c-large", "c-small")
BUYERS = 5_000
"""More than any of these servers lives to see."""


class Death(NamedTuple):
    """How a server ended, and how many orders it had confirmed."""

    status: int
    confirmed: int


class Ordeal:
    """A context is not needed: between two calls no server runs."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        """Put two concerts on, one of them soon sold out, and sell a little in peace."""
        self.folder = folder
        self.crowd = Crowd(CONCERTS, seed=seed, pried_on=0.1)
        with victim(folder) as served:
            served.concert("c-large", seats=1_000_000)
            served.concert("c-small", seats=500)
            self.crowd.rush(served, 60)
            stopped(served)

    def die(
        self,
        *,
        under: Sequence[str] = (),
        program: Sequence[str] = ("-m", "cludale_operations"),
        life_seconds: float | None = None,
        grace_seconds: float = 0.0,
    ) -> Death:
        """Start a server that will not live, let buyers come until it is dead, and look at what it left.

        After `life_seconds` it is told to end, and killed if it has not within `grace_seconds`.
        """
        before = len(self.crowd.accepted)
        try:
            with victim(
                self.folder, under=under, program=program, life_seconds=life_seconds, grace_seconds=grace_seconds
            ) as served:
                self.crowd.rush(served, BUYERS)
                assert eventually(lambda: served.process.poll() is not None), "it has outlived its buyers"
                status = dead(served)
        except Stillborn as stillborn:
            status = stillborn.status
        return Death(status, len(self.crowd.accepted) - before)

    def look(self) -> None:
        """What must hold at any moment holds for what lies there. Raises Unkept."""
        safe(self.folder, self.crowd.observations)
        assert not lost(self.folder, self.crowd.accepted)

    def end(self) -> int:
        """A server that lives brings everything to its end, and all promises were kept; how many were confirmed."""
        with victim(self.folder) as served:
            self.crowd.ask_again(served)
            at_rest(self.folder, self.crowd.observations)
            assert not lost(self.folder, self.crowd.accepted)
            stopped(served)
        at_rest(self.folder, self.crowd.observations)
        return len(self.crowd.accepted)
