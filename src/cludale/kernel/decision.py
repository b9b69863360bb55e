"""What a pure decision returns."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from cludale.kernel.events import Event

State = TypeVar("State")


class Decision(NamedTuple, Generic[State]):
    """The next state and the facts that led to it, to be committed together. No events: nothing happened."""

    state: State
    events: Sequence[Event] = ()
