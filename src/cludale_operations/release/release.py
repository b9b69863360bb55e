"""A release from beginning to end, over a driver: deploy, try, promote in steps, watch, and back if it is not good."""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from cludale_operations.release import actions
from cludale_operations.release.actions import Action, Consume, ConsumeFew, Deactivate, Deploy, Label, Swap, Weigh
from cludale_operations.release.deployed import GREEN, Deployed, DeployedService, NotNow
from cludale_operations.release.driver import Driver, PlatformFailed
from cludale_operations.release.handlers import EventBounds, Handled, Outcomes, events_of, of_handlers
from cludale_operations.release.judgement import (
    Backlog,
    Bounds,
    Figures,
    Measured,
    as_it_was,
    has_enough,
    is_timed,
    judged,
    lasting,
    of_events,
    with_enough,
)
from cludale_operations.release.naming import is_revision_of

Report = Callable[[str], None]


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast."""

    canary_events: int = 50
    """The most events that the one canary of each service takes."""
    canary_seconds: float = 360
    """How long it is waited for enough of them."""
    steps: tuple[int, ...] = (5, 25, 50, 100)
    """The hundredths of the traffic that green gets, one after the other; the last is 100."""
    soak_seconds: float = 120
    """How long each step lasts before the next."""
    watch_seconds: float = 600
    """How long green is watched once it has everything."""
    keep_seconds: float = 1_800
    """How long the version before is kept, to go back to."""
    check_seconds: float = 10
    """How often green is judged meanwhile."""
    start_seconds: float = 300
    """How long new revisions may take to be ready."""


class Ended(NamedTuple):
    """What came of it. `reasons`: why it was taken back; none if it was not."""

    reasons: Sequence[str] = ()

    @property
    def is_good(self) -> bool:
        """Does the new version serve?"""
        return not self.reasons


class Release:
    """Takes the services through a release, in `order`."""

    def __init__(
        self,
        driver: Driver,
        order: Sequence[str],
        *,
        pace: Pace,
        bounds: Bounds,
        event_bounds: EventBounds = EventBounds(),  # noqa: B008 - frozen
        report: Report,
        version: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`version`: the suffix of the only version that may be promoted or taken back; None: whatever is green."""
        if list(pace.steps) != sorted(set(pace.steps)) or not pace.steps or pace.steps[-1] != 100 or pace.steps[0] < 1:
            raise NotNow(f"the steps have to rise to 100: {', '.join(map(str, pace.steps))}")
        self._driver = driver
        self._order = order
        self._pace = pace
        self._bounds = bounds
        self._event_bounds = event_bounds
        self._report = report
        self._version = version
        self._sleep = sleep
        self._now = now
        self._blue_p99: dict[str, float | None] = {}
        """What blue's percentile was when it still had requests."""

    # The stages. Each starts from how things stand, so that it can be repeated.

    def planned(self, image: str, suffix: str) -> list[str]:
        """What would be done, if all goes well."""
        deployed = self._driver.deployed()
        lines = [str(each) for each in actions.to_adopt(deployed)]
        lines += [str(each) for each in actions.to_deploy(deployed, self._order, image, suffix)]
        lines.append("try green at its label: smoke test, short rehearsal")
        lines.append(
            f"one green process of each service takes {self._pace.canary_events} events at most; its handlers are "
            f"judged, for {self._pace.canary_seconds:g} s at most"
        )
        lines += [f"{service}: green takes events" for service in self._order]
        for step in self._pace.steps:
            lines.append(f"{step} % of the traffic to green, {self._pace.soak_seconds:g} s, judged meanwhile")
        lines.append(f"watch green for {self._pace.watch_seconds:g} s; then it is blue")
        lines.append(f"keep the version before for {self._pace.keep_seconds:g} s, then stop it")
        return lines

    def deploy(self, image: str, suffix: str) -> None:
        """Start green: no traffic, no events. What did not get ready is stopped. Raises NotNow, PlatformFailed."""
        self._do(actions.to_adopt(self._driver.deployed()))
        started: list[tuple[str, str]] = []
        try:
            for action in actions.to_deploy(self._driver.deployed(), self._order, image, suffix):
                self._say(action)
                if isinstance(action, Deploy):
                    revision = self._driver.deploy(action.service, action.image, action.suffix)
                    started.append((action.service, revision))
                else:
                    self._perform(action)
            self._wait_ready(started)
            self._do(Label(service, GREEN, revision) for service, revision in started)
        except PlatformFailed:
            self._do(Deactivate(service, revision) for service, revision in started)
            raise

    def canary(self) -> Ended:
        """Give one green process of each service a few events; if its handlers are good, green takes events.

        Done already where any green takes events. Raises NotNow, PlatformFailed; what had begun by then was taken back.
        """
        deployed = self._checked()
        begin = actions.to_consume_few(deployed, self._order, self._pace.canary_events)
        try:
            if not any(self._driver.consumes_all(each.service, each.revision) for each in begin):
                reasons = self._few_events(begin)
                if reasons:
                    return self._back(reasons)
            for action in actions.to_consume(self._checked(), self._order):
                self._checked()
                self._do([action])
            deployed = self._checked()
            self._wait_ready([(service, deployed[service].green or "") for service in self._order])
        except PlatformFailed as failed:
            self._back([str(failed)])
            raise
        return Ended()

    def _few_events(self, begin: Sequence[ConsumeFew]) -> list[str]:
        """Begin so, and judge until enough events came to each service, or for the canary's time; what is wrong."""
        began = self._driver.mark()
        for action in begin:
            self._checked()
            self._do([action])
        deployed = self._checked()
        self._wait_ready([(service, deployed[service].green or "") for service in self._order])
        end = self._now() + self._pace.canary_seconds
        while True:
            self._sleep(min(self._pace.check_seconds, max(0.0, end - self._now())))
            deployed = self._checked()
            handled = self._driver.handled(began)
            reasons = self._of_handlers(deployed, handled)
            came = {each: events_of(self._outcomes(handled, each, deployed[each].green)).events for each in self._order}
            self._report("  the canaries took " + ", ".join(f"{count} of {each}" for each, count in came.items()))
            few = [each for each in self._order if came[each] < self._event_bounds.enough_events]
            if reasons or not few:
                return reasons
            if self._now() >= end:
                for each in few:
                    self._report(
                        f"{each}: {came[each]} events in {self._pace.canary_seconds:g} s, too few to judge by: "
                        f"{self._event_bounds.enough_events} would do"
                    )
                return []

    def _of_handlers(self, deployed: Deployed, handled: Handled) -> list[str]:
        return [
            reason
            for service in self._order
            for reason in of_handlers(
                service,
                self._outcomes(handled, service, deployed[service].green),
                self._outcomes(handled, service, deployed[service].blue),
                self._event_bounds,
            )
        ]

    @staticmethod
    def _outcomes(handled: Handled, service: str, revision: str | None) -> Outcomes:
        return {} if revision is None else handled.get((service, revision), {})

    def promote(self) -> Ended:
        """Give green events and more and more of the traffic, as long as it is good; else everything back to blue.

        Raises NotNow, PlatformFailed; what had begun by then was taken back.
        """
        ended = self.canary()
        if not ended.is_good:
            return ended
        try:
            before, began = self._driver.backlog(), self._driver.mark()
            for step in self._pace.steps:
                deployed = self._checked()
                if all(deployed[service].weight(deployed[service].green) >= step for service in self._order):
                    continue  # taken up again where it was left
                self._do(actions.to_weigh(deployed, self._order, step))
                reasons = self._observe(self._pace.soak_seconds, before, began)
                if reasons:
                    return self._back(reasons)
        except PlatformFailed as failed:
            self._back([str(failed)])
            raise
        return Ended()

    def watch(self) -> Ended:
        """See for a while whether green stays good with everything on it; then it is blue, else back."""
        deployed = self._checked()
        finish = actions.to_finish(deployed, self._order)
        reasons = self._observe(self._pace.watch_seconds, self._driver.backlog(), self._driver.mark())
        if reasons:
            return self._back(reasons)
        self._do(finish)
        return Ended()

    def retire(self) -> None:
        """Keep the version before for its time, then stop it; at once done where nothing of it runs any more."""
        if not actions.to_retire(self._driver.deployed(), self._order):
            self._report("nothing of the version before runs any more")
            return
        self._sleep(self._pace.keep_seconds)
        self._do(actions.to_retire(self._driver.deployed(), self._order))

    def roll_back(self) -> None:
        """Back to the version before, from wherever things are. Raises NotNow, PlatformFailed."""
        self._do(actions.to_roll_back(self._checked(), self._order))

    def is_unfinished(self) -> bool:
        """Is there a green on its way up, of the version that is meant?"""
        return any(each.has_newer_green and self._is_meant(each) for each in self._driver.deployed().values())

    def check(self) -> None:
        """Is what is green the version that is meant? Raises NotNow, for another release may have taken its place."""
        self._checked()

    # How

    def _checked(self) -> Deployed:
        deployed = self._driver.deployed()
        others = [str(each.green) for each in deployed.values() if each.has_newer_green and not self._is_meant(each)]
        if others:
            raise NotNow(f"green is not {self._version} but {', '.join(others)}: another release has taken its place")
        return deployed

    def _is_meant(self, each: DeployedService) -> bool:
        return self._version is None or (each.green is not None and is_revision_of(each.green, self._version))

    def _back(self, reasons: Sequence[str]) -> Ended:
        for reason in reasons:
            self._report(f"NOT GOOD: {reason}")
        self.roll_back()
        return Ended(tuple(reasons))

    def _observe(self, seconds: float, before: Backlog, began: object) -> list[str]:
        """Judge green again and again for so long; what is wrong, as soon as something is.

        What has answered too little in this while is judged by all that it answered since the release `began`: a slow
        green answers little, and would get through step after step unjudged. What is not ready, and what waits among
        the dead letters, is looked at once more, past the end as well: a replica that comes or goes makes a revision
        unready for a moment, and a dead letter may be tried again with success.
        """
        driver, since, end = self._driver, self._driver.mark(), self._now() + seconds
        earlier = driver.earlier()
        unready_before: Collection[str] = ()
        looked, is_open = before, False
        while True:
            left = end - self._now()
            is_extra = is_open and left <= 0
            self._sleep(self._pace.check_seconds if is_extra else min(self._pace.check_seconds, max(0.0, left)))
            deployed = driver.deployed()
            unready = [each for each in self._order if not deployed[each].is_ready(deployed[each].green)]
            reasons = [
                f"{each}: {deployed[each].green} is not ready" for each in unready if is_extra or each in unready_before
            ]
            measured = {
                (service, colour): driver.figures(service, revision, since)
                for service in self._order
                for colour, revision in (("green", deployed[service].green), ("blue", deployed[service].blue))
                if revision is not None
            }
            self._report(_summary(measured))
            for service in self._order:
                green = deployed[service].green
                if green is not None and not has_enough(measured[service, "green"], self._bounds):
                    longer = driver.figures(service, green, began)
                    measured[service, "green"] = with_enough(measured[service, "green"], longer, self._bounds)
                measured[service, "blue"] = self._compared(service, deployed[service].blue, measured, earlier)
            reasons += self._of_handlers(deployed, driver.handled(since))
            backlog = driver.backlog()
            reasons += judged(list(self._order), measured, lasting(backlog, looked), before, self._bounds)
            is_open = bool(unready) or bool(of_events(backlog, before, self._bounds))
            if reasons or is_extra or (self._now() >= end and not is_open):
                return reasons
            unready_before, looked = unready, backlog

    def _compared(self, service: str, revision: str | None, measured: Measured, earlier: object) -> Figures:
        """Blue, as green is compared with it: what answers slowly anyhow is no reason when green has it all."""
        blue = measured.get((service, "blue"), Figures())
        if is_timed(blue, self._bounds):
            self._blue_p99[service] = blue.p99_seconds
        elif service not in self._blue_p99 and revision is not None:  # this process has not seen it with requests
            known = self._driver.figures(service, revision, earlier)
            self._blue_p99[service] = known.p99_seconds if is_timed(known, self._bounds) else None
        return as_it_was(blue, self._blue_p99.get(service), self._bounds)

    def _wait_ready(self, revisions: Sequence[tuple[str, str]]) -> None:
        end = self._now() + self._pace.start_seconds
        while True:
            deployed = self._driver.deployed()
            waiting = [name for service, name in revisions if not deployed[service].is_ready(name)]
            if not waiting:
                return
            if self._now() >= end:
                raise PlatformFailed(f"not ready after {self._pace.start_seconds:g} s: {', '.join(waiting)}")
            self._sleep(1.0)

    def _do(self, wanted: Iterable[Action]) -> None:
        for action in wanted:
            self._say(action)
            self._perform(action)

    def _say(self, action: Action) -> None:
        self._report(str(action))

    def _perform(self, action: Action) -> None:
        driver = self._driver
        match action:
            case Deploy(service, image, suffix):
                driver.deploy(service, image, suffix)
            case Label(service, label, revision):
                driver.label(service, label, revision)
            case Swap(service):
                driver.swap(service)
            case Weigh(service, weights):
                driver.weigh(service, weights)
            case Consume(service, revision, wanted=True):
                driver.consume(service, revision)
                self._wait_ready_to_take_over(service, revision)
            case ConsumeFew(service, revision, most):
                driver.consume_few(service, revision, most)
            case Consume(service, revision):
                driver.stop_consuming(service, revision)
            case Deactivate(service, revision):
                driver.deactivate(service, revision)

    def _wait_ready_to_take_over(self, service: str, revision: str) -> None:
        """A revision that was stopped before needs a moment; one that another has taken the place of is gone."""
        each = self._driver.deployed()[service]
        if each.is_active(revision):
            self._wait_ready([(service, revision)])


def _summary(measured: dict[tuple[str, str], Figures]) -> str:
    def colour(which: str) -> str:
        of_it = [figures for (_, each), figures in measured.items() if each == which]
        slowest = max((each.p99_seconds for each in of_it if each.p99_seconds is not None), default=None)
        late = "" if slowest is None else f", p99 within {slowest:.3g} s"
        requests, errors = sum(each.requests for each in of_it), sum(each.errors for each in of_it)
        return f"{which} {requests} answers, {errors} errors{late}"

    return f"  {colour('green')}; {colour('blue')}"
