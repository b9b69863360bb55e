"""The restored store in the place of the one in use: the old world ends first, then the new one takes events.

Two stores know nothing of each other, so no event should go from one to the other. Services that hear are switched
before those that publish, orders, where everything begins, last; and nobody of the new world takes events while anybody
of the old one runs. What is placed meanwhile waits in outboxes and subscriptions.
"""

import time
from collections.abc import Callable, Sequence

from cludale_operations.release.azure import AzureDriver
from cludale_operations.release.deployed import BLUE, GREEN, NotNow
from cludale_operations.release.driver import PlatformFailed

READY_PAUSE_SECONDS = 2.0
FIRST = "orders"
"""Where everything begins: as long as it is of the old world, nothing happens in the new one."""


class Switch:
    """Takes all services to the revisions over one store. Each step looks how things stand; it may be repeated."""

    def __init__(
        self,
        driver: AzureDriver,
        order: Sequence[str],
        store: str,
        *,
        report: Callable[[str], None],
        start_seconds: float = 300,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`order`: those that hear an event before those that publish it. `store`: the endpoint to switch to."""
        self._driver = driver
        self._order = [*(each for each in order if each != FIRST), FIRST]
        self._store = store
        self._report = report
        self._start_seconds = start_seconds
        self._sleep = sleep
        self._now = now

    def run(self) -> float:
        """Switch; the seconds for which nobody took events. Raises NotNow before anything is done, PlatformFailed."""
        tried = {service: self._tried(service) for service in self._order}
        for service in self._order:
            self._end_old_world(service, tried[service])
        began = self._now()
        for service in self._order:
            self._begin_new_world(service, tried[service])
        return self._now() - began

    def _tried(self, service: str) -> str:
        """Its newest revision over the store that runs and is ready; one that takes events if there is any."""
        over = self._driver.over(service, self._store)
        deployed = self._driver.deployed_service(service)
        ready = [name for name in over if deployed.is_ready(name)]
        if not ready:
            raise NotNow(f"{service}: no revision over {self._store} is ready: prepare the restored store first")
        return max(ready, key=lambda name: (over[name], deployed.revisions[name].created))

    def _end_old_world(self, service: str, tried: str) -> None:
        over = self._driver.over(service, self._store)
        deployed = self._driver.deployed_service(service)
        old = [name for name, each in deployed.revisions.items() if each.active and name not in over]
        if not old:
            return
        self._report(f"{service}: all requests to {tried}; {', '.join(old)} ends")
        self._driver.weigh(service, {tried: 100})
        if deployed.labelled(GREEN) == tried and deployed.labelled(BLUE) in old:
            self._driver.swap(service)
        for name in old:
            self._driver.deactivate(service, name)

    def _begin_new_world(self, service: str, tried: str) -> None:
        is_new = self._driver.over(service, self._store)[tried]
        new = tried if is_new else self._driver.consuming(service, tried)
        self._wait_ready(service, new)
        deployed = self._driver.deployed_service(service)
        if deployed.weight(new) < 100:
            self._report(f"{service}: {new} takes events and requests")
            self._driver.weigh(service, {new: 100})
        if deployed.labelled(BLUE) != new:
            self._driver.label(service, BLUE, new)
        for name, each in deployed.revisions.items():
            if each.active and name != new:
                self._driver.deactivate(service, name)

    def _wait_ready(self, service: str, revision: str) -> None:
        end = self._now() + self._start_seconds
        while not self._driver.deployed_service(service).is_ready(revision):
            if self._now() >= end:
                raise PlatformFailed(f"{revision} is not ready after {self._start_seconds:g} s")
            self._sleep(READY_PAUSE_SECONDS)
