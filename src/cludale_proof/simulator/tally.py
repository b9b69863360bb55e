"""What came of some runs, counted."""

from collections import Counter
from dataclasses import dataclass, field

from cludale_proof.simulator.delivery import HEARD_WITHOUT_WEBHOOKS
from cludale_proof.simulator.faults import Fault, Situation

ENOUGH_SEEDS = 300
"""From so many seeds on, a fault that never fired is a failure of the campaign."""


NEVER_HERE = {("tickets", "ContactErased")}
"""No run has a buyer who is forgotten."""
TO_COME_AGAIN = sorted(
    (service, type)
    for service, types in HEARD_WITHOUT_WEBHOOKS.items()
    for type in types
    if service != "audit" and (service, type) not in NEVER_HERE
)
"""What each service is to be given again. Audit and webhooks take all types alike."""


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
    again: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often a service was given an event of a type again that it had handled."""
    failed: list[tuple[int, list[str]]] = field(default_factory=list)
    """Seeds that broke something, and what."""
    seconds: float = 0.0
    """Of real time."""

    def add(self, other: "Tally") -> None:
        """Add the counts of another tally."""
        self.seeds += other.seeds
        self.orders += other.orders
        self.events += other.events
        self.steps += other.steps
        self.virtual_seconds += other.virtual_seconds
        self.fired.update(other.fired)
        self.met.update(other.met)
        self.again.update(other.again)
        self.failed += other.failed

    @property
    def never(self) -> list[str]:
        """The faults that never fired, the situations that nobody got into, the events that nobody was given again."""
        missing = [each.value for each in Fault if not self.fired[each.value]]
        missing += [each.value for each in Situation if not self.met[each.value]]
        missing += [
            f"{service} is given {type} again" for service, type in TO_COME_AGAIN if not self.again[service, type]
        ]
        return missing

    @property
    def ok(self) -> bool:
        """Nothing broke, and everything was tried that was to be tried."""
        return not self.failed and not (self.seeds >= ENOUGH_SEEDS and self.never)
