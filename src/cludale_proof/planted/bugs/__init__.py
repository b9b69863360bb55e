"""Bugs planted on purpose: each takes one piece of the real code and puts a wrong one in its place.

Every one of them is a mistake that somebody could make and a review could let pass. The simulator must find each;
`python -m cludale_proof.planted.hunt` shows within how many seeds. Nothing here is ever used but to try the simulator.
"""

from cludale_proof.planted.bugs import (
    audit,
    blocks,
    box_office,
    carts,
    commits,
    comparison,
    concerts,
    delivery,
    invoices,
    keys,
    limits,
    moves,
    notifications,
    orders,
    payments,
    prices,
    seats,
    tickets,
    waiting,
    webhooks,
)
from cludale_proof.planted.planting import BUGS, Bug

__all__ = [
    "BUGS",
    "Bug",
    "audit",
    "blocks",
    "box_office",
    "carts",
    "commits",
    "comparison",
    "concerts",
    "delivery",
    "invoices",
    "keys",
    "limits",
    "moves",
    "notifications",
    "orders",
    "payments",
    "prices",
    "seats",
    "tickets",
    "waiting",
    "webhooks",
]
