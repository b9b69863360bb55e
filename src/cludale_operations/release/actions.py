"""What to do, as a list of steps, each made from how things stand. Pure. Doing a step twice is doing it once."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cludale_operations.release.deployed import BLUE, Deployed, DeployedService, NotNow, under_way


class Deploy(NamedTuple):
    """Start a new revision: no traffic, no events."""

    service: str
    image: str
    suffix: str

    def __str__(self) -> str:
        return f"{self.service}: start {self.image} as …--{self.suffix}, no traffic, no events"


class Label(NamedTuple):
    """Give a label to a revision; who had it loses it."""

    service: str
    label: str
    revision: str

    def __str__(self) -> str:
        return f"{self.service}: {self.revision} is {self.label}"


class Swap(NamedTuple):
    """Blue becomes green, green becomes blue. What each gets of the traffic stays."""

    service: str

    def __str__(self) -> str:
        return f"{self.service}: blue and green change places"


class Weigh(NamedTuple):
    """Split the traffic so; what is not named gets nothing."""

    service: str
    weights: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.service}: " + ", ".join(f"{weight} % to {name}" for name, weight in self.weights.items())


class Consume(NamedTuple):
    """Take events, or take none any more."""

    service: str
    revision: str
    wanted: bool

    def __str__(self) -> str:
        return f"{self.service}: {self.revision} takes {'events' if self.wanted else 'no events'}"


class ConsumeFew(NamedTuple):
    """One process takes so many events at most."""

    service: str
    revision: str
    most: int

    def __str__(self) -> str:
        return f"{self.service}: one process of {self.revision} takes {self.most} events at most"


class Deactivate(NamedTuple):
    """Stop all of a revision's processes."""

    service: str
    revision: str

    def __str__(self) -> str:
        return f"{self.service}: stop {self.revision}"


Action = Deploy | Label | Swap | Weigh | Consume | ConsumeFew | Deactivate


def to_adopt(deployed: Deployed) -> list[Action]:
    """Name what serves blue, and pin the traffic to it, where that is not so yet."""
    actions: list[Action] = []
    for service, each in deployed.items():
        blue = each.blue
        if blue is None:
            raise NotNow(f"{service} serves nothing yet: put it up first")
        if each.labelled(BLUE) is None:
            actions += [Weigh(service, {blue: 100}), Label(service, BLUE, blue)]
    return actions


def to_deploy(deployed: Deployed, order: Sequence[str], image: str, suffix: str) -> list[Action]:
    """Start the new version of each service in its turn, after what is left of an earlier one was stopped."""
    climbing = under_way(deployed)
    if climbing:
        raise NotNow(f"a release is under way ({', '.join(climbing)}): promote it or roll it back first")
    actions: list[Action] = []
    for service in order:
        green = deployed[service].green
        if green is not None and not _is_green_of(deployed[service], green, image, suffix):
            actions.append(Deactivate(service, green))
        actions.append(Deploy(service, image, suffix))
    return actions


def _is_green_of(each: DeployedService, revision: str, image: str, suffix: str) -> bool:
    return revision.endswith(f"--{suffix}") and each.revisions[revision].image == image


def to_consume_few(deployed: Deployed, order: Sequence[str], most: int) -> list[ConsumeFew]:
    """One process of each green takes a few events, those that only hear first."""
    return [ConsumeFew(service, _newer_green(deployed, service), most) for service in order]


def to_consume(deployed: Deployed, order: Sequence[str]) -> list[Action]:
    """Let green take events, in this order. Blue takes events too meanwhile: they share them."""
    return [Consume(service, _newer_green(deployed, service), wanted=True) for service in order]


def to_weigh(deployed: Deployed, order: Sequence[str], weight: int) -> list[Action]:
    """Give green this share of the traffic, and blue the rest."""
    actions: list[Action] = []
    for service in order:
        green, blue = _newer_green(deployed, service), deployed[service].blue
        assert blue is not None  # noqa: S101 - there is no green newer than nothing
        actions.append(Weigh(service, {blue: 100 - weight, green: weight}))
    return actions


def to_finish(deployed: Deployed, order: Sequence[str]) -> list[Action]:
    """Green has all of it: it is blue from now on, and what was blue takes no events any more."""
    actions: list[Action] = []
    for service in order:
        green = _newer_green(deployed, service)
        if deployed[service].weight(green) < 100:
            raise NotNow(f"{service}: green has only {deployed[service].weight(green)} % of the traffic")
        actions.append(Swap(service))
    for service in order:
        blue = deployed[service].blue
        assert blue is not None  # noqa: S101 - as above
        actions.append(Consume(service, blue, wanted=False))
    return actions


def to_retire(deployed: Deployed, order: Sequence[str]) -> list[Action]:
    """Stop what was kept of the version before."""
    actions: list[Action] = []
    for service in order:
        each = deployed[service]
        green = each.green
        if green is None:
            continue
        if each.has_newer_green or each.weight(green) > 0:
            raise NotNow(f"{service}: {green} is newer than what serves, or has traffic: promote it or roll it back")
        actions.append(Deactivate(service, green))
    return actions


def to_roll_back(deployed: Deployed, order: Sequence[str]) -> list[Action]:
    """Back to the version before, publishers of events first.

    While a release is under way that is blue; after its end it is the green that was kept.
    """
    actions: list[Action] = []
    stops: list[Action] = []
    for service in reversed(order):
        each = deployed[service]
        green, blue, before = each.green, each.blue, each.before
        if blue is None:
            continue
        bad = blue
        if each.has_newer_green and green is not None:
            bad = green
            actions.append(Weigh(service, {blue: 100, green: 0}))
        elif before is not None:
            actions += [Consume(service, before, wanted=True), Weigh(service, {before: 100, blue: 0}), Swap(service)]
        else:
            continue
        stops += [Consume(service, bad, wanted=False), Deactivate(service, bad)]
    if not actions:
        raise NotNow("there is nothing to go back to: no service has another version")
    return actions + stops


def _newer_green(deployed: Deployed, service: str) -> str:
    each = deployed[service]
    if each.green is None:
        raise NotNow(f"{service} has no green version: deploy one first")
    if not each.has_newer_green:
        raise NotNow(f"{service}: what is green is older than what serves; roll back to return to it, or deploy")
    return each.green
