"""What comes in from the sidecar: bulks of events, and what went to the dead-letter topic.

A bulk gets its answer soon, because the sidecar has one bulk of a topic under way at a time: an event that came too
early is tried again for HOLD_SECONDS, then it is answered RETRY. Dapr puts that, and what is answered DROP, into this
app's dead-letter topic. From there it comes one by one, so that it holds up no other, and there it is tried again
with growing waits up to the delivery limit; then it is buried, with the reason, among the dead letters.
What was tried here before is remembered as long as the process lives; another replica begins to count anew.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from cludale.adapters.dapr.consumption import Consumption
from cludale.kernel.backoff import Backoff
from cludale.kernel.wire import Codec, Malformed
from cludale.ports.bus import Acknowledgement, Delivery, Subscription
from cludale.ports.clock import IdSource
from cludale.ports.records import StoreUnavailable
from cludale.runtime.consumers import Consumers
from cludale.runtime.dead_letters import DeadLetters
from cludale.runtime.outcomes import HandlerOutcomes
from cludale.runtime.recent import Recent

HOLD_SECONDS = 0.15
"""How long a bulk waits for those of its events that came too early, once its handlers have said so."""
LETTER_SECONDS = 6.0
"""How long a dead letter is tried in one delivery; below the time after which a broker delivers again."""
REMEMBERED = 20_000
HANDLER_BATCH = 256

_log = logging.getLogger(__name__)


class _Published(msgspec.Struct, rename="camel", gc=False):
    """An event as nearly all come: base64 of what was published."""

    entry_id: str
    event: bytes


class _Entry(msgspec.Struct, rename="camel"):
    entry_id: str
    event: msgspec.Raw


class _PublishedBulk(msgspec.Struct):
    entries: list[_Published]


class _Bulk(msgspec.Struct):
    entries: list[_Entry]


class _Wrapped(msgspec.Struct):
    data_base64: str | None = None


class _Status(msgspec.Struct, rename="camel", gc=False):
    entry_id: str
    status: Acknowledgement


class _Statuses(msgspec.Struct):
    statuses: list[_Status]


class _One(msgspec.Struct):
    status: Acknowledgement


_read_published = msgspec.json.Decoder(_PublishedBulk).decode
_read_bulk = msgspec.json.Decoder(_Bulk).decode
_read_text = msgspec.json.Decoder(str).decode
_read_wrapped = msgspec.json.Decoder(_Wrapped).decode
_encode = msgspec.json.Encoder().encode

# A class of enum finds its members ten times as slowly as a module its names.
_SUCCESS, _RETRY, _DROP = Acknowledgement.SUCCESS, Acknowledgement.RETRY, Acknowledgement.DROP


class _Tried(NamedTuple):
    """What is known of an event that some service here has not taken at once."""

    attempts: int
    answer: Acknowledgement


class _Case(msgspec.Struct, frozen=True, gc=False):
    """A delivery to one service, within a request."""

    entry: int
    service: str
    delivery: Delivery

    @property
    def key(self) -> tuple[str, str]:
        return self.service, self.delivery.event.id


class Inbound:
    """Takes what the sidecar delivers to the services of this process."""

    def __init__(
        self,
        codec: Codec,
        *,
        app_id: str,
        ids: IdSource,
        backoff: Backoff,
        attempts: int,
        dead_letters: DeadLetters,
        consumption: Consumption | None = None,
        outcomes: HandlerOutcomes | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._codec = codec
        self._app_id = app_id
        self._ids = ids
        self._backoff = backoff
        self._attempts = attempts
        self._dead_letters = dead_letters
        self._consumption = Consumption(wanted=True) if consumption is None else consumption
        self._sleep = sleep
        self.consumers = Consumers(batch_limit=HANDLER_BATCH, outcomes=outcomes)
        self._tried: Recent[tuple[str, str], _Tried] = Recent(REMEMBERED)
        self.delivered = 0
        """Events that came, each as often as it came."""
        self.too_early = 0
        """Events that had to be tried once more."""

    def start(self, subscriptions: Sequence[Subscription]) -> None:
        """Begin to deliver to these subscriptions."""
        self.consumers.add(subscriptions)

    async def stop(self) -> None:
        """Finish what the handlers have begun."""
        await self.consumers.close()

    # Events

    async def take(self, body: bytes) -> bytes:
        """The answer to a delivery on an event topic: a status for each entry of a bulk, or the one status."""
        entries = _entries(body)
        if entries is None:
            (answer,) = await self.answers([_single(body)])
            return _encode(_One(answer))
        answers = await self.answers([entry.event for entry in entries])
        return _encode(
            _Statuses([_Status(entry.entry_id, answer) for entry, answer in zip(entries, answers, strict=True)])
        )

    async def answers(self, events: Sequence[bytes]) -> list[Acknowledgement]:
        """For each: SUCCESS once all services here that hear it have taken it, DROP for what can't be, else RETRY."""
        self.delivered += len(events)
        answers = [_SUCCESS] * len(events)
        cases: list[_Case] = []
        for at, body in enumerate(events):
            try:
                event = self._codec.decode(body)
            except Malformed as malformed:
                _log.warning("an event that is none of ours goes to the dead letters: %s", malformed)
                answers[at] = _DROP
                continue
            hearing = self.consumers.hearing.get(event.type, ())
            if hearing and not self._is_known(event.id, hearing) and not self._consumption.take():
                answers[at] = _RETRY
                continue
            for service in hearing:
                case = _Case(at, service, Delivery(event, body))
                before = self._tried.get(case.key) if self._tried else None
                if before is None:
                    cases.append(case)
                elif before.answer is _RETRY and before.attempts < self._attempts:
                    cases.append(replace(case, delivery=Delivery(event, body, before.attempts + 1)))
                else:
                    given_up = before.answer is _RETRY
                    answers[at] = _worse(answers[at], _DROP if given_up else before.answer)
        if cases:
            for case, answer in await self._settle(cases):
                if answer is _SUCCESS:
                    continue
                is_given_up = answer is _RETRY and case.delivery.attempt >= self._attempts
                answers[case.entry] = _worse(answers[case.entry], _DROP if is_given_up else answer)
        return answers

    def _is_known(self, event_id: str, services: Sequence[str]) -> bool:
        return bool(self._tried) and any(self._tried.get((service, event_id)) is not None for service in services)

    async def _settle(self, cases: Sequence[_Case]) -> list[tuple[_Case, Acknowledgement]]:
        """Hand over, and again for a moment where it was too early; then what became of each."""
        loop = asyncio.get_running_loop()
        until = loop.time() + HOLD_SECONDS
        settled: list[tuple[_Case, Acknowledgement]] = []
        tries = 0
        while True:
            tries += 1
            got = await self._hand_over(cases)
            if tries == 1 and None not in got:  # under load the handlers alone may take longer than that
                until = loop.time() + HOLD_SECONDS
            if got.count(_SUCCESS) == len(got):  # nearly always
                settled += [(case, _SUCCESS) for case in cases]
                break
            again = [
                case if answer is None else replace(case, delivery=_next(case.delivery))
                for case, answer in zip(cases, got, strict=True)
                if answer is None or (answer is _RETRY and case.delivery.attempt < self._attempts)
            ]
            settled += [
                (case, answer)
                for case, answer in zip(cases, got, strict=True)
                if answer is not None and (answer is not _RETRY or case.delivery.attempt >= self._attempts)
            ]
            if not again:
                break
            self.too_early += len(again)
            wait = self._backoff.seconds(tries, self._ids.jitter())
            if loop.time() + wait > until:
                settled += [(replace(case, delivery=_before(case.delivery)), _RETRY) for case in again]
                break
            await self._sleep(wait)
            cases = again
        self._remember(settled)
        return settled

    def _remember(self, settled: Sequence[tuple[_Case, Acknowledgement]]) -> None:
        """What an event that comes again should find; nothing of those that went well, as nearly all do."""
        failed = {case.entry for case, answer in settled if answer is not _SUCCESS}
        if not failed and not self._tried:
            return
        for case, answer in settled:
            if case.entry in failed:
                self._tried.remember({case.key: _Tried(case.delivery.attempt, answer)})
            else:
                self._tried.pop(case.key, None)

    async def _hand_over(self, cases: Sequence[_Case]) -> list[Acknowledgement | None]:
        """An answer for each; None where the store was away."""
        answers: list[Acknowledgement | None] = [None] * len(cases)
        by_service: dict[str, list[int]] = {}
        for at, case in enumerate(cases):
            by_service.setdefault(case.service, []).append(at)

        async def hand_over(service: str, places: Sequence[int]) -> None:
            with suppress(StoreUnavailable):
                got = await self.consumers.hand_over(service, [cases[at].delivery for at in places])
                for at, answer in zip(places, got, strict=True):
                    answers[at] = answer

        if len(by_service) == 1:  # without a task for it
            await hand_over(*by_service.popitem())
        else:
            await asyncio.gather(*(hand_over(service, places) for service, places in by_service.items()))
        return answers

    # Dead letters

    async def take_dead(self, body: bytes) -> bytes:
        """The answer to what the sidecar delivers from the dead-letter topic: SUCCESS once handled or buried.

        A canary buries nothing: it may be the one that can't handle it. So it leaves all of that to the others.
        """
        if self._consumption.is_canary:
            return _encode(_One(_RETRY))
        return _encode(_One(await self._last_chance(_single(body))))

    async def _last_chance(self, body: bytes) -> Acknowledgement:
        try:
            event = self._codec.decode(body)
        except Malformed as malformed:
            return await self._bury(self._app_id, body, "?", f"sha256-{sha256(body).hexdigest()}", str(malformed), 1)
        answers = [
            await self._try(_Case(0, service, Delivery(event, body)))
            for service in self.consumers.hearing.get(event.type, ())
        ]
        if _RETRY in answers:
            return _RETRY
        for service in self.consumers.hearing.get(event.type, ()):
            self._tried.pop((service, event.id), None)
        return _SUCCESS

    async def _try(self, case: _Case) -> Acknowledgement:
        """One service's part in a dead letter: SUCCESS when it is handled or buried, RETRY for another delivery."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LETTER_SECONDS
        tried = self._tried.get(case.key, _Tried(0, _RETRY))
        tries = 0
        while tried.answer is _RETRY and tried.attempts < self._attempts:
            if tries:
                wait = self._backoff.seconds(max(tries, tried.attempts), self._ids.jitter())
                if loop.time() + wait > until:
                    # Too long for one delivery; the broker does the rest of the waiting.
                    await self._sleep(max(0.0, until - loop.time()))
                    return _RETRY
                await self._sleep(wait)
            tries += 1
            delivery = msgspec.structs.replace(case.delivery, attempt=tried.attempts + 1)
            (answer,) = await self._hand_over([replace(case, delivery=delivery)])
            if answer is not None:  # where the store is away, no event is to blame
                tried = _Tried(tried.attempts + 1, answer)
                self._tried.remember({case.key: tried})
        if tried.answer is _SUCCESS:
            return _SUCCESS
        event = case.delivery.event
        is_dropped = tried.answer is _DROP
        why = "refused by its handler" if is_dropped else "still not handled at the delivery limit"
        return await self._bury(case.service, case.delivery.body, event.type, event.id, why, tried.attempts)

    async def _bury(self, service: str, body: bytes, type_: str, id_: str, why: str, attempts: int) -> Acknowledgement:
        try:
            await self._dead_letters.bury(service, body, event_type=type_, event_id=id_, reason=why, attempts=attempts)
        except StoreUnavailable as away:
            _log.warning("%s can't be kept as a dead letter yet: %s", id_, away)
            await self._sleep(1.0)
            return _RETRY
        self.consumers.outcomes.buried(service, type_)
        return _SUCCESS

    @property
    def depths(self) -> dict[str, int]:
        """Events waiting for each service."""
        return self.consumers.depths


def _next(delivery: Delivery) -> Delivery:
    return msgspec.structs.replace(delivery, attempt=delivery.attempt + 1)


def _before(delivery: Delivery) -> Delivery:
    return msgspec.structs.replace(delivery, attempt=delivery.attempt - 1)


_BADNESS = {_SUCCESS: 0, _DROP: 1, _RETRY: 2}


def _worse(one: Acknowledgement, other: Acknowledgement) -> Acknowledgement:
    return one if _BADNESS[one] >= _BADNESS[other] else other


def _entries(body: bytes) -> Sequence[_Published] | None:
    """The events of a bulk; None if it is none."""
    try:
        return _read_published(body).entries
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return [_Published(entry.entry_id, _event(entry.event)) for entry in _read_bulk(body).entries]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _event(raw: msgspec.Raw) -> bytes:
    """The event's bytes: base64 of what was published, or, from a subscription without rawPayload, JSON."""
    content = bytes(raw)
    if content[:1] != b'"':
        return content
    try:
        return base64.b64decode(_read_text(content), validate=True)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return content


def _single(body: bytes) -> bytes:
    """The event of a delivery that is no bulk: within a CloudEvent of the sidecar's own making, or as it is."""
    try:
        wrapped = _read_wrapped(body).data_base64
        return body if wrapped is None else base64.b64decode(wrapped, validate=True)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, binascii.Error, ValueError):
        return body
