"""What a door without network goes by: a signed snapshot, its own journal, and a clock that is put right. Pure.

A code says by itself what it is, so a snapshot has the public keys, and of tickets those alone to which something
happened: void, given on, let in. No name is in it. It is a JSON Web Signature (RFC 7515) of the key that signs codes,
the same bytes for the same state, so its hash is its version.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cludale.kernel.allocation import NumberedSeat
from cludale.ports.ticket_keys import TicketKey
from cludale.services.tickets import codes, door
from cludale.services.tickets.domain import Movement, OrderTickets, Ticket
from cludale.services.tickets.door import Open, Result, Scanned
from cludale.services.tickets.events import Direction, RevokeReason

TYPE = "door-snapshot+jwt"
FORMAT = 1
PARTS = 4
"""A snapshot is made anew after a quarter of its life, so a device that loads it has three quarters at least."""


class ShortMovement(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A movement, as short as it goes."""

    microseconds: int
    """Since 1970."""
    door: str
    scan_id: str
    direction: Direction


class Standing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A ticket to which something happened."""

    number: int
    generation: int
    revoked: RevokeReason | None
    moves: tuple[ShortMovement, ...]
    """The last one, and the last way in."""
    had_since: int = 0
    """As in Ticket; 0, too, in snapshots that were made before this field existed."""
    seat: tuple[str, str] | None = None
    """Row and number of the seat that it was moved to; None, too, in snapshots of before."""


class SnapshotKey(msgspec.Struct, frozen=True, gc=False):
    """A public key."""

    kid: str
    x: str
    """In Base64 for addresses."""
    exp: int | None = None
    """Second since 1970 at which its codes end."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All that a door needs to know of a concert."""

    format: int
    concert_id: str
    expires: datetime
    """From then on it is too old to let anybody in by it."""
    opens: datetime
    closes: datetime
    reentry: bool
    keys: tuple[SnapshotKey, ...]
    orders: Mapping[str, tuple[Standing, ...]]


class Distrusted(Exception):
    """It is no snapshot of this concert, or none that a known key signed; the message says why."""


class SignedSnapshot(NamedTuple):
    """A snapshot as it is sent."""

    body: bytes
    tag: str
    """Its version: another one only where anything in it is."""


def snapshot(
    concert_id: str,
    orders: Iterable[OrderTickets],
    *,
    keys: Sequence[TicketKey],
    hours: Open,
    reentry: bool,
    life: timedelta,
    now: datetime,
) -> Snapshot:
    """The snapshot of now. It is good for at least three quarters of `life`, and for `life` at most."""
    part = life.total_seconds() / PARTS
    begun = int(now.timestamp() // part)
    return Snapshot(
        format=FORMAT,
        concert_id=concert_id,
        expires=datetime.fromtimestamp((begun + PARTS) * part, UTC),
        opens=hours.since,
        closes=hours.until,
        reentry=reentry,
        keys=tuple(
            SnapshotKey(
                key.id,
                _text(codes.public_bytes(key.seed)),
                None if key.ends_at is None else int(key.ends_at.timestamp()),
            )
            for key in keys
            if key.is_good(now)
        ),
        orders={each.order_id: tuple(_standing(each)) for each in orders if each.changed},
    )


def _standing(order: OrderTickets) -> Iterable[Standing]:
    for number, ticket in sorted(order.changed.items()):
        kept = ticket.moves[-1:]
        if kept and kept[0].direction is Direction.OUT:
            came = [move for move in ticket.moves if move.direction is Direction.IN]
            kept = (*came[-1:], *kept)
        moves = tuple(ShortMovement(_microseconds(move.at), move.door, move.scan_id, move.direction) for move in kept)
        seat = order.seat(number) if ticket.had_since else None
        moved_to = None if seat is None else (seat.row, seat.number)
        yield Standing(number, ticket.generation, ticket.revoked, moves, ticket.had_since, moved_to)


def signed(shot: Snapshot, key: TicketKey) -> SignedSnapshot:
    """The snapshot with its signature, as it is sent."""
    head = msgspec.json.encode({"alg": "EdDSA", "kid": key.id, "typ": TYPE})
    to_sign = f"{_text(head)}.{_text(msgspec.json.encode(shot))}".encode()
    signature = Ed25519PrivateKey.from_private_bytes(key.seed).sign(to_sign)
    body = to_sign + b"." + _text(signature).encode()
    return SignedSnapshot(body, hashlib.sha256(body).hexdigest()[:24])


class _Head(msgspec.Struct, frozen=True):
    alg: str
    kid: str
    typ: str


def read_snapshot(body: bytes, keys: Mapping[str, bytes], *, concert_id: str) -> Snapshot:
    """The snapshot, if one of these public keys signed it. Raises Distrusted. Whether it is too old, `decide` says."""
    try:
        first, second, third = body.decode("ascii").split(".")
        head = msgspec.json.decode(from_text(first), type=_Head)
        if head.typ != TYPE or head.alg != "EdDSA" or head.kid not in keys:
            raise Distrusted(f"no key that is known here signed this snapshot (it names {head.kid!r})")
        Ed25519PublicKey.from_public_bytes(keys[head.kid]).verify(from_text(third), f"{first}.{second}".encode())
        shot = msgspec.json.decode(from_text(second), type=Snapshot)
    except InvalidSignature:
        raise Distrusted("the snapshot was changed after it was signed") from None
    except (ValueError, msgspec.MsgspecError) as error:
        raise Distrusted(f"this is no snapshot: {error}") from error
    if shot.format != FORMAT:
        raise Distrusted(f"the snapshot is of format {shot.format}, and this program reads {FORMAT}: update it")
    if shot.concert_id != concert_id:
        raise Distrusted(f"the snapshot is of concert {shot.concert_id!r}")
    return shot


class OfflineScan(NamedTuple):
    """What a device without network is shown."""

    code: str
    scan_id: str
    direction: Direction = Direction.IN


class Verdict(NamedTuple):
    """A device's own decision about a code, and the ticket that the code is of."""

    scanned: Scanned
    claims: codes.Claims | None = None


STALE = "stale"
"""What a device says instead of a result when its snapshot is too old: it lets nobody in by it."""


def decide(
    shot: Snapshot, own: Mapping[tuple[str, int], Sequence[Movement]], scan: OfflineScan, *, now: datetime
) -> Verdict:
    """What is said to this code by all that the device knows. `own`: its own movements, by order and number.

    VALID: it has yet to be written down, and only then to be said.
    """
    claims = read_code(shot, scan.code, now)
    if claims is None:
        return Verdict(Scanned(Result.FORGED))
    if claims.concert != codes.concert_claim(shot.concert_id):
        return Verdict(Scanned(Result.WRONG_CONCERT), claims)
    ticket = known_ticket(shot, claims, own.get((claims.order_id, claims.number), ()))
    if claims.generation > ticket.generation:  # given on since the snapshot was made
        ticket = msgspec.structs.replace(ticket, generation=claims.generation)
    said = door.judged(
        ticket,
        generation=claims.generation,
        direction=scan.direction,
        scan_id=scan.scan_id,
        reentry=shot.reentry,
        hours=Open(shot.opens, shot.closes),
        now=now,
    )
    if said.result is Result.REPLACED and ticket.is_of_holder(claims.generation):
        standing = _standing_of(shot, claims)
        if standing is not None and standing.seat is not None:
            said = said._replace(moved_to=NumberedSeat("", *standing.seat, 0))
    return Verdict(said, claims)


def known_ticket(shot: Snapshot, claims: codes.Claims, own: Sequence[Movement]) -> Ticket:
    """The ticket, with what the device itself let through."""
    standing = _standing_of(shot, claims)
    ticket = Ticket() if standing is None else _ticket(standing)
    told = {move.scan_id for move in ticket.moves}
    moves = sorted((*ticket.moves, *(move for move in own if move.scan_id not in told)), key=lambda move: move.place)
    return msgspec.structs.replace(ticket, moves=tuple(moves))


def _standing_of(shot: Snapshot, claims: codes.Claims) -> Standing | None:
    return next((each for each in shot.orders.get(claims.order_id, ()) if each.number == claims.number), None)


def read_code(shot: Snapshot, code: str, now: datetime) -> codes.Claims | None:
    """What a good code says; None for any other."""
    try:
        key_id = codes.key_id_of(code)
        for key in shot.keys:
            if key.kid == key_id and (key.exp is None or now.timestamp() < key.exp):
                return codes.verified(code, from_text(key.x))
    except codes.Unreadable:
        pass
    return None


def _ticket(standing: Standing) -> Ticket:
    moves = tuple(Movement(_time(it.microseconds), it.door, it.scan_id, it.direction) for it in standing.moves)
    return Ticket(generation=standing.generation, revoked=standing.revoked, moves=moves, had_since=standing.had_since)


# -- the device's clock


class Reading(NamedTuple):
    """What a device's clocks say. The one of the day may be wrong or be set; the other only counts, from each start."""

    clock: datetime
    boot: str
    """Which start of the device it is."""
    seconds: float
    """Since that start."""


class Anchor(NamedTuple):
    """The server saw the device's clock: at `reading` it was really `at`."""

    reading: Reading
    at: datetime


def put_right(reading: Reading, anchors: Sequence[Anchor]) -> datetime:
    """When that was by the server's clock.

    By the counting clock from the last anchor of the same start; after a start without network by the clock of the day,
    put right by the last anchor; without any anchor as the device says.
    """
    same = [each for each in anchors if each.reading.boot == reading.boot]
    if same:
        return same[-1].at + timedelta(seconds=reading.seconds - same[-1].reading.seconds)
    if anchors:
        return reading.clock + (anchors[-1].at - anchors[-1].reading.clock)
    return reading.clock


def in_sequence(times: Iterable[datetime], *, after: datetime | None) -> list[datetime]:
    """The times of scans one after the other: none is before the one that came before it."""
    found: list[datetime] = []
    for each in times:
        after = each if after is None else max(after, each)
        found.append(after)
    return found


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    """Bytes from Base64 for addresses. Raises ValueError."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
