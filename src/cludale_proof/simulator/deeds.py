"""What an organizer does to a concert while it is on sale."""

from typing import NamedTuple


class Deed(NamedTuple):
    """What the organizer does to a concert that is on sale."""

    at: float
    concert_id: str
    section: str
    kind: str
    """`seats`, `price`, `details`, `postpone`, `cancel`, `code`, `block`, `unblock` or `plan`; `section` is the code,
    the seat or the plan, where it is about one."""
    number: int
    """Seats more or fewer, or cents, or for how many days it is moved."""
