"""Seats as tests name them."""

from cludale.kernel.allocation import Allocation


def allocation(
    reservation_id: str = "reservation-1", quantity: int = 2, *, concert_id: str = "concert-1", section: str = "stalls"
) -> Allocation:
    """Seats of somebody's, two in the stalls if nothing else is said."""
    return Allocation(concert_id=concert_id, section=section, reservation_id=reservation_id, quantity=quantity)
