"""A hall by chance: a snapshot, and scans of its tickets with what `offline.decide` says to each."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tests.fakes import NOON
from tests.seats import allocation

from cludale.services.tickets import codes, domain, offline
from cludale.services.tickets.domain import Movement, OrderTickets
from cludale.services.tickets.door import Open, Result
from cludale.services.tickets.events import Direction
from cludale.services.tickets.offline import OfflineScan, Snapshot

KEY = codes.key_of(b"1" * 32)
_OTHER = codes.key_of(b"2" * 32)
_HOURS = Open(NOON - timedelta(hours=1), NOON + timedelta(hours=10))
_TIMES = (NOON - timedelta(hours=2), NOON, NOON + timedelta(minutes=5), NOON + timedelta(hours=11))

Case = tuple[str, str, datetime, Mapping[str, list[dict[str, Any]]], Result]
"""Code, direction, time, the device's own scans by ticket, and what is said."""


def hall(chance: Random, concert: str, scans: int = 120) -> tuple[Snapshot, list[Case]]:
    """One with these many scans."""
    ids = [f"order-{chance.randbytes(chance.choice((16, 22))).hex()}" for _ in range(12)]
    ids = [f"{id[:38]}.{id[38:]}" if len(id) > 38 else id for id in ids] + ["order-7", "odd"]
    orders = [_order(chance, id) for id in ids]
    shot = offline.snapshot(
        concert, orders, keys=[KEY], hours=_HOURS, reentry=chance.random() < 0.5, life=timedelta(hours=12), now=NOON
    )
    return shot, [_case(chance, shot, chance.choice(orders), concert) for _ in range(scans)]


def _order(chance: Random, id: str) -> OrderTickets:
    state = domain.issue(None, order_id=id, allocation=allocation(quantity=2), key_id=KEY.id, now=NOON).state
    happens = chance.randrange(5)
    if happens == 0:
        return domain.cancel(state, order_id=id, concert_id="concert-1", now=NOON).state
    if happens == 1:
        return domain.transfer(state, 1, holder=None, now=NOON).state
    if happens >= 3:
        state = domain.admit(state, 1, generation=1, door="north", scan_id=f"n.{id}", now=NOON).state
    if happens == 4:
        state = domain.let_out(state, 1, door="south", scan_id=f"s.{id}", now=NOON + timedelta(minutes=1)).state
    return state


def _case(chance: Random, shot: Snapshot, order: OrderTickets, concert: str) -> Case:
    number, generation = chance.choice((1, 1, 2)), chance.choice((1, 1, 1, 2))
    of = codes.concert_claim(concert if chance.random() < 0.9 else "another")
    claims = codes.Claims(of, order.order_id, number, 2, generation, "stalls", *_HOURS)
    code = codes.signed(claims, KEY if chance.random() < 0.9 else _OTHER)
    if chance.random() < 0.1:
        code = code[:60] + chance.choice("0A:") + code[61:]
    moves = [
        Movement(NOON + timedelta(seconds=10 + n), "here", f"d.{n}", chance.choice(list(Direction)), "d", n)
        for n in range(chance.choice((0, 0, 1, 2)))
    ]
    own = {domain.ticket_id(order.order_id, number): [_as_kept(each) for each in moves]}
    way, at = chance.choice(list(Direction)), chance.choice(_TIMES)
    said = offline.decide(shot, {(order.order_id, number): moves}, OfflineScan(code, "d.99", way), now=at)
    return code, way.value, at, own, said.scanned.result


def _as_kept(move: Movement) -> dict[str, Any]:
    return {
        "at": move.at.timestamp() * 1000,
        "door": move.door,
        "id": move.scan_id,
        "direction": move.direction.value,
    }
