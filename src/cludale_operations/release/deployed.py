"""What runs where: the revisions of every service, with their weights and labels. Pure.

Blue is what serves; green is the other one: newer and on its way up, or older and kept for a while. Labels tell them
apart, so that a release can be taken up, ended or taken back from any state that a crash has left behind.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

BLUE: Literal["blue"] = "blue"
GREEN: Literal["green"] = "green"


class NotNow(Exception):
    """That can't be done as things stand; the message says why, and what can."""


class Revision(msgspec.Struct, frozen=True):
    """One version of a service. `created`: later ones compare as greater."""

    name: str
    image: str
    created: str
    active: bool
    ready: bool


class Share(msgspec.Struct, frozen=True):
    """What a revision gets of the traffic."""

    revision: str
    weight: int
    label: str | None = None


class DeployedService(msgspec.Struct, frozen=True):
    """One service."""

    revisions: Mapping[str, Revision]
    traffic: tuple[Share, ...]

    def labelled(self, label: str) -> str | None:
        """The revision that has the label."""
        return next((each.revision for each in self.traffic if each.label == label), None)

    def weight(self, revision: str | None) -> int:
        """What it gets, in hundredths."""
        return sum(each.weight for each in self.traffic if each.revision == revision)

    @property
    def blue(self) -> str | None:
        """What serves: what is labelled so, or else has most of the traffic."""
        labelled = self.labelled(BLUE)
        if labelled is not None or not self.traffic:
            return labelled
        return max(self.traffic, key=lambda each: each.weight).revision

    @property
    def green(self) -> str | None:
        """The other one, as far as it runs."""
        green = self.labelled(GREEN)
        if green is None or green == self.blue or not self.is_active(green):
            return None
        return green

    @property
    def before(self) -> str | None:
        """What served before blue, running or not: where there is a way back to. What is newer was taken back."""
        green, blue = self.labelled(GREEN), self.blue
        if green is None or blue is None or green == blue or green not in self.revisions:
            return None
        return green if self.revisions[green].created < self.revisions[blue].created else None

    @property
    def has_newer_green(self) -> bool:
        """Is green newer than blue, so on its way up?"""
        green, blue = self.green, self.blue
        if green is None or blue is None:
            return False
        return self.revisions[green].created > self.revisions[blue].created

    def is_active(self, revision: str) -> bool:
        """Does it run?"""
        return revision in self.revisions and self.revisions[revision].active

    def is_ready(self, revision: str | None) -> bool:
        """Does it run, and take requests?"""
        return revision is not None and self.is_active(revision) and self.revisions[revision].ready


Deployed = Mapping[str, DeployedService]
"""All services by name."""


def under_way(deployed: Deployed) -> list[str]:
    """The services whose green is newer than their blue, and has traffic."""
    return [name for name, each in deployed.items() if each.has_newer_green and each.weight(each.green) > 0]


def live_parameters(deployed: Deployed) -> dict[str, str]:
    """What runs, as infra/main.bicep takes it: image, suffixes and live label. Raises NotNow where services differ.

    Green keeps its label, whether it runs or was stopped and is kept to go back to.
    """
    found = set()
    for service, each in deployed.items():
        blue = each.blue
        if blue is None or blue not in each.revisions:
            raise NotNow(f"{service} serves nothing yet: put it up first")
        image, suffix = each.revisions[blue].image, blue.removeprefix(f"{service}--")
        labelled = each.labelled(BLUE) is not None
        found.add((image, suffix, suffix if labelled else ""))
    if len(found) > 1 or under_way(deployed):
        raise NotNow("the services run different versions: end the release that is under way, or roll it back")
    ((image, suffix, labelled_suffix),) = found
    return {
        "image": image,
        "revisionSuffix": suffix,
        "blueSuffix": labelled_suffix,
        "greenSuffix": _green_suffix(deployed),
        "liveLabel": BLUE,
    }


def _green_suffix(deployed: Deployed) -> str:
    """The suffix of all services' green; empty if there is none, or if those of several versions are all stopped."""
    greens = {}
    for service, each in deployed.items():
        green = each.labelled(GREEN)
        greens[service] = green if green in each.revisions and green != each.blue else None
    suffixes = {"" if green is None else green.removeprefix(f"{name}--") for name, green in greens.items()}
    if len(suffixes) == 1:
        return suffixes.pop()
    if any(green is not None and deployed[name].is_active(green) for name, green in greens.items()):
        raise NotNow("the services have different versions as green: deploy it again, or roll it back")
    return ""
