"""Consumption: does this process take up work: all events and what is due, only a few events, or nothing?

A few: the canary of a release. It takes so many events and no more, and nothing that is due but what those events ask
for. What comes after the last of them, and all dead letters, it hands back, so that the version before handles them.
"""

from collections.abc import Callable

from cludale.kernel.refusals import Busy


class Consumption:
    """Whether events are taken, and how many at most.

    Dapr subscribes when its health check here says so, and unsubscribes after.
    """

    def __init__(self, *, wanted: bool, most: int = 0, is_ready: Callable[[], bool] = lambda: True) -> None:
        """`most`: the most events that are taken; 0: any number."""
        self.wanted = wanted
        self.most = most
        self.taken = 0
        """Events, since `most` was said."""
        self.handed_back = 0
        """Deliveries of events that came after the last one, since the start."""
        self._is_ready = is_ready

    def switch(self, *, wanted: bool, most: int) -> None:
        """From now on so."""
        self.wanted, self.most, self.taken = wanted, most, 0

    @property
    def is_canary(self) -> bool:
        """Are only a few events taken?"""
        return self.most > 0

    @property
    def takes_due_work(self) -> bool:
        """May what is due be looked for?"""
        return self.wanted and not self.is_canary

    def check(self) -> None:
        """Raises Busy unless events are taken now."""
        if not self._is_ready():
            raise Busy("Starting or stopping.")
        if not self.wanted:
            raise Busy("This server does not consume events now (CLUDALE_CONSUME, PUT /-/consume).")
        if self.is_canary and self.taken >= self.most:
            raise Busy(f"This server has taken its {self.most} events (CLUDALE_CONSUME_MOST, PUT /-/consume).")

    def take(self) -> bool:
        """May one more event be taken? It is counted then."""
        if not self.is_canary:
            return True
        if self.taken >= self.most:
            self.handed_back += 1
            return False
        self.taken += 1
        return True
