"""What clients saw: requests, and the answers that they got. What follows from them for the stores are claims.

An observation is one line of JSON: `{"method": "POST", "path": "/orders", "status": 201, "body": "…", "request": "…",
"key": "…", "credential": "buyer", "sentAt": 12.5, "receivedAt": 12.6}`. `body` and `request` are the texts as they
went over the wire. Times are seconds of any one clock. Status 0: no answer came.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from cludale_proof.checker.documents import KeptAnswer, Kind, Money, Unreadable
from cludale_proof.checker.findings import Invariant, Violation


class Credential(StrEnum):
    """Which credential a request carried."""

    NONE = "none"
    BUYER = "buyer"
    """The order's own access token."""
    ORGANIZER = "organizer"
    OTHER = "other"
    """Some other order's token, or a made-up one."""


class Observation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One request and its answer, as a client saw them."""

    method: str
    path: str
    status: int
    body: str = ""
    request: str = ""
    key: str | None = None
    """The Idempotency-Key."""
    credential: Credential = Credential.BUYER
    sent_at: float | None = None
    received_at: float | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True, tag_field="_", tag="claim", omit_defaults=True, gc=False):
    """What must be true of an order, because a client was told so."""

    by: str
    """The request: `POST /orders`."""
    thing: str
    """order, payment, reservation or admission."""
    id: str
    status: str | None = None
    reason: str | None = None
    quantity: int | None = None
    concert_id: str | None = None
    user_id: str | None = None
    total: Money | None = None
    on_purpose: bool = False
    """A cancellation on purpose was confirmed."""
    sent_at: float | None = None
    """It was true at some time after this…"""
    received_at: float | None = None
    """… and before this."""


class _Said(msgspec.Struct, frozen=True, rename="camel", gc=False):
    id: str | None = None
    order_id: str | None = None
    status: str | int | None = None
    reason: str | None = None
    quantity: int | None = None
    concert_id: str | None = None
    user_id: str | None = None
    total: Money | None = None
    type: str | None = None
    result: str | None = None
    ticket_id: str | None = None
    scan_id: str | None = None
    scans: tuple["_ToldScan", ...] = ()


class _ToldScan(msgspec.Struct, frozen=True, rename="camel", gc=False):
    scan_id: str | None = None
    ticket_id: str | None = None
    result: str | None = None


class _SaidOfCart(msgspec.Struct, frozen=True, gc=False):
    lines: tuple[_Said, ...] = ()


_lines = msgspec.json.Decoder(Observation)
_bodies = msgspec.json.Decoder(_Said)


def observation(line: bytes | str) -> Observation:
    """The observation in a line of JSON. Raises Unreadable."""
    try:
        return _lines.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error


def _claims_in(body: str) -> _Said:
    try:
        return _bodies.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return _Said()  # no object of ours: it claims nothing


class Claimed(NamedTuple):
    """A claim and the order (or the reservation without one, or the concert) that it is about."""

    case: str
    claim: Claim


def claims_of(seen: Observation) -> list[Claimed]:
    """What an answer promised, as far as it can be looked up."""
    if seen.path.partition("?")[0] == "/tickets/admissions/merge" and seen.status == 200:
        told = _claims_in(seen.body).scans
        return [
            _admitted(each.ticket_id, each.scan_id, seen)
            for each in told
            if each.result in ("recorded", "known") and each.ticket_id is not None and each.scan_id is not None
        ]
    claimed = claim_of(seen)
    return _of_cart(seen) if claimed is None else [claimed]


def _of_cart(seen: Observation) -> list[Claimed]:
    """A cart promises what it says of each of its lines."""
    segments = seen.path.partition("?")[0].strip("/").split("/")
    if segments[:2] != ["orders", "carts"] or not 200 <= seen.status < 300:
        return []
    on_purpose = segments[-1] == "cancel"
    lines = msgspec.json.decode(seen.body, type=_SaidOfCart).lines
    return [_of_order(seen, line, line.id or "", on_purpose=on_purpose) for line in lines]


def _of_order(seen: Observation, said: _Said, id: str, *, on_purpose: bool) -> Claimed:
    claim = Claim(
        by=f"{seen.method} {seen.path}",
        thing="order",
        id=id,
        status=said.status if isinstance(said.status, str) else None,
        reason=said.reason,
        quantity=said.quantity,
        concert_id=said.concert_id,
        user_id=said.user_id,
        total=said.total,
        on_purpose=on_purpose,
        # What was kept for a key is given again as it was: true when it was made, not necessarily when it was sent for.
        sent_at=seen.sent_at if seen.key is None else None,
        received_at=seen.received_at,
    )
    return Claimed(id, claim)


def claim_of(seen: Observation) -> Claimed | None:
    """What an answer promised about an order, a payment or a reservation; None: nothing that can be looked up."""
    if not 200 <= seen.status < 300:
        return None
    said = _claims_in(seen.body)
    segments = seen.path.partition("?")[0].strip("/").split("/")
    if said.id is None:
        return _admission_of(seen, said) if segments == ["tickets", "admissions"] else None
    by = f"{seen.method} {seen.path}"
    status = said.status if isinstance(said.status, str) else None
    match seen.method, segments:
        case (
            ("POST", ["orders"] | ["orders", "box-office"])
            | ("GET", ["orders", _])
            | ("POST", ["orders", _, "cancel" | "payment"])
        ):
            return _of_order(seen, said, said.id, on_purpose=segments[-1] == "cancel")
        case ("POST", ["payments"]) if said.order_id is not None:
            return Claimed(said.order_id, Claim(by=by, thing="payment", id=said.id, status=status))
        case ("POST", ["concerts", concert_id, "reserve"]):
            case = _claims_in(seen.request).order_id or f"reservation {said.id}"
            return Claimed(
                case,
                Claim(by=by, thing="reservation", id=said.id, quantity=said.quantity, concert_id=concert_id),
            )
        case _:
            return None


def _admission_of(seen: Observation, said: _Said) -> Claimed | None:
    """Whoever was let in must have been written down."""
    scan_id = _claims_in(seen.request).scan_id
    if said.result != "valid" or said.ticket_id is None or scan_id is None:
        return None
    return _admitted(said.ticket_id, scan_id, seen)


def _admitted(ticket_id: str, scan_id: str, seen: Observation) -> Claimed:
    order_id = "order-" + ticket_id.removeprefix("ticket-").rpartition(".")[0]
    return Claimed(order_id, Claim(by=f"{seen.method} {seen.path}", thing="admission", id=scan_id))


def kept_claim(kind: Kind, kept: KeptAnswer) -> Claimed | None:
    """What an answer kept for an idempotency key promised."""
    if kept.answer is None:
        return None
    said = _claims_in(kept.answer.body)
    if not 200 <= kept.answer.status < 300 or said.id is None:
        return None
    by = f"a request with an idempotency key ({kind})"
    status = said.status if isinstance(said.status, str) else None
    match kind:
        case Kind.ORDERS_ANSWER if not said.id.startswith(("refund-", "cart-")):  # of these their orders tell
            claim = Claim(
                by=by,
                thing="order",
                id=said.id,
                status=status,
                quantity=said.quantity,
                concert_id=said.concert_id,
                user_id=said.user_id,
                total=said.total,
            )
            return Claimed(said.id, claim)
        case Kind.PAYMENTS_ANSWER if said.order_id is not None:
            return Claimed(said.order_id, Claim(by=by, thing="payment", id=said.id, status=status))
        case Kind.CONCERTS_ANSWER if said.quantity is not None:  # others are of concerts and of blocks
            claim = Claim(by=by, thing="reservation", id=said.id, quantity=said.quantity)
            return Claimed(f"reservation {said.id}", claim)
        case _:
            return None


def concert_claimed(seen: Observation) -> str | None:
    """The concert that an answer said was put on."""
    if seen.method == "POST" and seen.path.strip("/") == "concerts" and seen.status == 201:
        return _claims_in(seen.body).id
    return None


REFUSED_FOR_NOW = frozenset(
    {
        "seats-unavailable",
        "seats-not-free",
        "price-too-high",
        "total-too-high",
        "code-used-up",
        "block-too-small",
        "not-on-sale",
        "sale-paused",
        "charge-open",
        "not-paid",
        "part-of-cart",
        "buyer-limit-reached",
        "too-many-holds",
        "holds-lapsed",
    }
)
"""The problems that time or stock undoes: what is asked again with the same key may be met later."""


def is_refused_for_now(kept: KeptAnswer) -> bool:
    """Was a refusal kept that the next request with its key should not get?"""
    if kept.answer is None or 200 <= kept.answer.status < 300:
        return False
    return (_claims_in(kept.answer.body).type or "").rpartition("/")[2] in REFUSED_FOR_NOW


class _Answer(NamedTuple):
    request: bytes
    answer: bytes
    shown: str
    received_at: float | None


class Desk:
    """Looks at observations one by one for what they show by themselves: answers to a key, doors left open."""

    def __init__(self) -> None:
        self._answers: dict[bytes, _Answer] = {}
        """The first answer that had an effect, or refused one, by what the key was for."""
        self._reused: dict[bytes, bytes] = {}
        """A request that was told that its key was another's, where the key has no answer yet."""

    def look(self, seen: Observation) -> Iterator[Violation]:
        """What is wrong with this one, seen those before."""
        yield from self._door(seen)
        if seen.key is not None and seen.method == "POST":
            yield from self._same_answer(seen, seen.key)

    def _door(self, seen: Observation) -> Iterator[Violation]:
        segments = seen.path.partition("?")[0].strip("/").split("/")
        if (
            seen.credential in {Credential.NONE, Credential.OTHER}
            and segments[0] == "orders"
            and len(segments) > 1
            and (seen.method, segments) != ("POST", ["orders", "carts"])
            and 200 <= seen.status < 300
        ):
            yield Violation(
                invariant=Invariant.CREDENTIALS,
                rule="open-door",
                subject=f"order {segments[1]}",
                detail=f"{seen.method} {seen.path} was answered {seen.status} with the credential {seen.credential}",
                order_id=segments[1],
            )

    def _same_answer(self, seen: Observation, key: str) -> Iterator[Violation]:
        about = _digest(seen.method, seen.path, key)
        request = _digest(_canonical(seen.request))
        said = _claims_in(seen.body)
        kind = (said.type or "").rpartition("/")[2]
        if kind == "idempotency-key-reused":
            owner = self._answers.get(about)
            if owner is None:
                self._reused[about] = request
            elif owner.request == request:
                yield _refused_to_itself(seen, key)
            return
        is_refusal = seen.status == 409 and kind != "idempotency-key-in-flight"
        if not (200 <= seen.status < 300 or is_refusal):
            return
        shown = f"{seen.status} {said.id or kind}"
        answer = _Answer(request, _digest(str(seen.status), seen.body), shown, seen.received_at)
        if kind in REFUSED_FOR_NOW:
            # Not kept; but once there is an answer, nobody who asks after that gets anything else.
            before = self._answers.get(about)
            if before is None or not _is_after(seen, before):
                return
        first = self._answers.setdefault(about, answer)
        if first.request != request:
            yield _keys_broken(
                seen, "two-bodies", f"the key {key} was answered to two bodies: {first.shown} and {shown}"
            )
        elif first.answer != _digest(str(seen.status), seen.body):
            yield _keys_broken(
                seen, "two-answers", f"the key {key} was answered in two ways: {first.shown} and {shown}"
            )
        if self._reused.pop(about, None) == request:
            yield _refused_to_itself(seen, key)


def _is_after(seen: Observation, before: _Answer) -> bool:
    """Was it sent for when the other answer was there already, as far as that is known?"""
    if seen.sent_at is None or before.received_at is None:
        return False
    return seen.sent_at >= before.received_at


def _refused_to_itself(seen: Observation, key: str) -> Violation:
    return _keys_broken(seen, "reused-by-itself", f"the key {key} was refused to the body that it belongs to")


def _keys_broken(seen: Observation, rule: str, detail: str) -> Violation:
    return Violation(invariant=Invariant.SAME_ANSWER, rule=rule, subject=f"{seen.method} {seen.path}", detail=detail)


def _digest(*texts: str) -> bytes:
    return sha256("\x1f".join(texts).encode(errors="surrogatepass")).digest()[:16]


def _canonical(text: str) -> str:
    """The same for bodies that say the same."""
    try:
        parsed: Any = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return text
    if isinstance(parsed, Mapping):
        parsed = {name: value for name, value in parsed.items() if value is not None}
    return msgspec.json.encode(parsed, order="deterministic").decode()
