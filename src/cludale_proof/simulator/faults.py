"""The faults that are made, how often in one run (its weather), and how often each really was.

Also the situations that a run is meant to get into: they are not made, they come of the faults, and are counted
alike. A fault or situation that many runs never had is a hole in the simulator.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from math import log

from cludale.kernel.events import Envelope
from cludale_proof.simulator.trace import Trace


class Fault(StrEnum):
    """What is done to the platform."""

    READ_AWAY = "store: read fails"
    COMMIT_AWAY = "store: commit fails, nothing written"
    COMMIT_UNKNOWN = "store: commit written, answer lost"
    COMMIT_IN_PART = "store: some commits of a call written, answer lost"
    STORE_SLOW = "store: slow"
    STORE_OUTAGE = "store: away for a while"

    CRASH_AT_STEP = "process: killed at some step"
    CRASH_BEFORE_COMMIT = "process: killed before a commit"
    CRASH_AFTER_COMMIT = "process: killed after a commit, before its answer"
    CRASH_BEFORE_ACK = "process: killed after handling, before the answer"
    CRASH_WHILE_PAYING = "process: killed while the provider works"
    CRASH_WHILE_HOLDING = "process: killed while concerts holds seats for it"
    PAUSED = "process: frozen for a while"
    PAUSED_WHILE_PAYING = "process: frozen while the provider works"
    STOPPED = "process: stopped in an orderly way"

    PUBLISH_REFUSED = "bus: takes nothing"
    PUBLISH_IN_PART = "bus: takes some events"
    PUBLISH_UNANSWERED = "bus: takes events, answer lost"
    BUS_OUTAGE = "bus: away for a while"
    POISON = "bus: an event that nobody can read"
    DELIVERY_LATE = "delivery: late"
    DELIVERY_LOST = "delivery: lost, made again"
    DELIVERY_LOST_FOR_GOOD = "delivery: answered as handled, and lost"
    LOG_LOST = "delivery: lost on its way to the audit log for good"
    DELIVERY_TWICE = "delivery: twice at once"
    DELIVERY_AGAIN = "delivery: once more, long after"
    DELIVERY_REORDERED = "delivery: out of order"
    ACK_LOST = "delivery: handled, answer lost"
    BULK_UNANSWERED = "delivery: no answer to a bulk, all of it again"
    APP_UNREACHABLE = "delivery: a sidecar can't reach its process"

    HOLD_UNASKED = "network: reserve call lost"
    HOLD_UNANSWERED = "network: seats held, answer lost"
    HOLD_SLOW = "network: reserve call slow"
    HOLD_TWICE = "network: reserve call made once more"
    PARTITION = "network: orders and concerts apart for a while"
    SALES_AWAY = "network: no word of seats for late money to be had"
    CHARGES_AWAY = "network: no word of an order's payment to be had"
    CONTACTS_AWAY = "network: no address to be had"
    PROGRAMME_AWAY = "network: no word of a concert to be had"

    DECLINED = "provider: declines"
    CHARGE_TROUBLE = "provider: trouble before the charge"
    CHARGE_UNANSWERED = "provider: charged, answer lost"
    CHARGE_SLOW = "provider: charge slow"
    CHARGE_LATE = "provider: charge lands after its caller gave up"
    REFUND_TROUBLE = "provider: trouble before the refund"
    REFUND_UNANSWERED = "provider: refunded, answer lost"
    VOID_TROUBLE = "provider: trouble before the void"
    VOID_UNANSWERED = "provider: voided, answer lost"
    REFUND_FORGOTTEN = "provider: confirms a refund, and loses it"
    TAKEN_TWICE = "provider: takes the money of one key twice"
    VOID_FORGOTTEN = "provider: takes money under a key that was voided"
    BOOKS_AWAY = "provider: its books can't be had"
    PROVIDER_OUTAGE = "provider: away for a while"

    MESSAGE_TROUBLE = "message: trouble"
    MESSAGE_REFUSED = "message: refused for good"
    MESSAGE_UNANSWERED = "message: sent, answer lost"
    MESSAGE_SLOW = "message: slow"
    MESSAGE_BOUNCED = "message: comes back"

    WEBHOOK_AWAY = "webhook: no connection"
    WEBHOOK_TROUBLE = "webhook: answered 503"
    WEBHOOK_UNANSWERED = "webhook: taken, answer lost"

    CLOCK_FORWARD = "clock: jumps forward"
    CLOCK_BACK = "clock: jumps back"
    CLOCK_SKEW = "clock: differs between machines"

    REQUEST_LOST = "buyer: request lost"
    REPLY_LOST = "buyer: answer lost"
    HUNG_UP = "buyer: hangs up"
    KEY_REPEATED = "buyer: same key again"
    KEY_RACED = "buyer: same key twice at once"
    KEY_REUSED = "buyer: same key, another body"
    CANCELLED_AT_ONCE = "buyer: cancels at the worst moment"
    CANCELLED_TWICE = "buyer: cancels twice"
    CANCELLED_AT_EXPIRY = "buyer: cancels when the hold ends"
    CANCELLED_BY_ORGANIZER = "organizer: cancels"
    PAID_AGAIN = "organizer: charges again after a failure"
    PAID_AT_ONCE = "organizer: charges while a charge is under way"
    PAID_IN_ANOTHER_WAY = "buyer: pays in another way after a failure"
    PAID_AT_EXPIRY = "buyer: pays in another way when the hold ends"
    AFTER_THE_SALE = "buyer, organizer: give a part back, change the address, want the confirmation again"
    RESERVED_WITHOUT_ORDER = "organizer: holds seats without an order"
    TWO_DOORS = "guest: shows a ticket at two doors at once"
    GIVEN_BACK_INSIDE = "buyer: cancels once somebody came in"
    SCANNED_AGAIN = "door: tells a scan again"
    TRANSFERRED = "guest: shows a ticket that is given to another"
    OFFLINE_DOORS = "door: lets in without network, and tells it later"
    MERGED_AGAIN = "door: tells what it let in without network twice"
    REDELIVERED = "organizer: delivers events from the audit log again"


class Situation(StrEnum):
    """What the faults lead to, and the platform has to live through."""

    CONFLICT = "a commit met another version"
    SOLD_OUT = "no seats were left"
    NOT_ON_SALE = "the on-sale had not begun"
    CONCERT_OVER = "the concert was over"
    TOO_DEAR = "seats were left, and dearer than wanted"
    BUYER_AT_THE_LIMIT = "a buyer had as many tickets as one may have"
    TOO_MANY_HOLDS = "a buyer had as many unpaid orders as one may have"
    TOO_LATE_TO_CANCEL = "a buyer wanted to cancel too late"
    HOLD_EXPIRED = "a hold expired"
    PENDING = "an order waited for its seats"
    PENDING_FINISHED = "a waiting order got its seats"
    PENDING_ENDED = "a waiting order got none"
    RESEATED = "late money got seats again"
    SALE_REFUSED = "late money found no seats"
    REFUNDED = "money went back"
    PART_REFUNDED = "a part of the money went back"
    SEATS_MOVED = "an organizer moved somebody to other seats"
    SEATS_RETURNED = "some seats of an order went back"
    MENDED = "what the provider did wrong was mended"
    RETURNED = "an unanswered charge was found and given back"
    SECOND_ROUND = "an order was charged in a new round"
    REVIVED = "a cancelled order was paid after all"
    CANCELLED_PAID = "a paid order was cancelled"
    CANCELLED_UNPAID = "an order was cancelled before it was paid"
    KEPT = "the audit log kept an event until its cause came"
    SEALED = "a segment of the audit log was full, and sealed"
    ORPHAN = "the audit log took an event without its cause, and marked it late"
    TOO_EARLY = "a handler was too early"
    DEAD_LETTERED = "an event came by way of the dead-letter topic"
    TOLD_AGAIN = "a fact was told again, for somebody who had not heard it"
    HEALED = "an order came to its end by a fact that was told again"
    ADMITTED = "somebody was let in with a ticket"
    USED = "a ticket was shown that had been used"
    GIVEN_ON = "a ticket was given to somebody else"
    MERGED = "a door told later whom it had let in without network"
    DOUBLE_ENTRY = "two doors without network let in with one ticket"
    TAKEN_OVER = "a replica took over the events of one that was gone"


class Weather:
    """How a run's faults come: which, how often. `rates` are chances at each opportunity."""

    def __init__(self, rates: Mapping[Fault, float], *, lag_seconds: float) -> None:
        self.rates = rates
        self.lag_seconds = lag_seconds
        """Mean of an ordinary delay in store and bus."""


class Chaos:
    """Decides when a fault strikes, and counts."""

    def __init__(self, choices: random.Random, weather: Weather, trace: Trace) -> None:
        self.choices = choices
        self.trace = trace
        self.active = True
        """False: no more faults, only ordinary delays."""
        self.fired: dict[Fault, int] = dict.fromkeys(Fault, 0)
        self.met: dict[Situation, int] = dict.fromkeys(Situation, 0)
        self.unlogged: set[str] = set()
        """Events that were lost on their way to the audit log."""
        self.again: Counter[tuple[str, str]] = Counter()
        """How often a service, having handled an event of this type, was given it again."""
        self._handled: set[tuple[str, str]] = set()
        self.after_sale = random.Random(0)  # noqa: S311 - a simulation
        """What is done after the sale is chosen apart: a run without it is as it was before there was any."""
        self.provider_errors = random.Random(0)  # noqa: S311 - a simulation
        """What the provider does wrong is chosen apart, too."""
        self._random = choices.random
        self._rates = dict.fromkeys(Fault, 0.0) | dict(weather.rates)
        self._lag_seconds = weather.lag_seconds
        self._outages: dict[str, float] = {}

    def strikes(self, fault: Fault, who: str, about: str | Callable[[], str] = "") -> bool:
        """Does this fault happen here and now?"""
        rate = self._rates[fault]
        if not rate or not self.active or self._random() >= rate:
            return False
        self.count(fault, who, about)
        return True

    def errs(self, fault: Fault, about: str) -> bool:
        """Does the provider do this wrong, here and now?"""
        rate = self._rates[fault]
        if not rate or not self.active or self.provider_errors.random() >= rate:
            return False
        self.count(fault, "provider", about)
        return True

    def does_after_sale(self) -> bool:
        """Does somebody do something about this order, now that it is paid?"""
        rate = self._rates[Fault.AFTER_THE_SALE]
        return self.active and rate > 0 and self.after_sale.random() < rate

    def count(self, fault: Fault, who: str, about: str | Callable[[], str] = "") -> None:
        """This fault happens, by whoever's decision."""
        self.fired[fault] += 1
        if self.trace.on:
            said = about if isinstance(about, str) else about()
            self.trace.say(who, f"!! {fault.value}{' · ' if said else ''}{said}")

    def handled(self, service: str, event: Envelope) -> None:
        """The service says that it has handled the event."""
        if (service, event.id) in self._handled:
            self.again[service, event.type] += 1
        self._handled.add((service, event.id))

    def meets(self, situation: Situation) -> None:
        """The platform is in this situation."""
        self.met[situation] += 1

    def begin_outage(self, facility: str, *, until: float) -> None:
        """`facility` (a store, the bus, the provider, the network) is away until then."""
        self._outages[facility] = until

    def is_out(self, facility: str) -> bool:
        """Is it away now?"""
        until = self._outages.get(facility)
        return until is not None and self.active and asyncio.get_running_loop().time() < until

    def rate(self, fault: Fault) -> float:
        """Its chance at each opportunity, now."""
        return self._rates[fault] if self.active else 0.0

    def some(self, mean: float) -> float:
        """A random duration: mostly short, sometimes a few times the mean."""
        return -mean * log(1.0 - self._random())

    def between(self, least: float, most: float) -> float:
        """A random number."""
        return least + (most - least) * self._random()

    async def lag(self) -> None:
        """An ordinary delay; more often than not none at all."""
        if self._random() < 0.6:
            return
        await asyncio.sleep(self.some(self._lag_seconds))

    async def long_lag(self) -> None:
        """A delay that makes others give up."""
        await asyncio.sleep(self.between(0.2, 6.0))
