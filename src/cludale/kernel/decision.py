"""Decision: the new state of an aggregate and the events to publish, which a pure function returns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from cludale.kernel.events import Cause, Event

State = TypeVar("State")


class Decision(msgspec.Struct, Generic[State], frozen=True, gc=False):
    """The next state and the facts that led to it, to be committed together. No events: nothing happened."""

    state: State
    events: Sequence[Event] = ()
    at: datetime | None = None
    """When it happened, if that is not when it is committed."""
    again: bool = False
    """Nothing happened: the events are facts that were told before, and are told again."""
    cause: Cause | None = None
    """What caused it, if that is not what asked for the decision."""
