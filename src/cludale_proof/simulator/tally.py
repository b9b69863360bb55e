"""What came of some runs, counted."""

from collections import Counter
from dataclasses import dataclass, field

from cludale_proof.simulator.faults import Fault, Situation

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
        """Add the counts of another tally."""
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
