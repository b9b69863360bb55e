"""The payment provider, outside of all processes: what it did stays done, whoever asked for it.

It keeps a ledger of every movement of money. By its own rules one key moves money once: a second charge with it
is answered like the first, and after a void nothing is ever taken under it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from cludale.kernel.money import Money
from cludale.ports.payment_gateway import (
    TAKEN,
    Booked,
    BookedPage,
    BuyerAction,
    Charge,
    ChargeResult,
    Declined,
    GatewayTrouble,
    NotFromProvider,
)
from cludale_proof.simulator.clock import MORNING
from cludale_proof.simulator.faults import Chaos, Fault
from cludale_proof.simulator.loop import OUTSIDE_CONTEXT

FACILITY = "provider"
BOOKS_AT_ONCE = 3
"""The most charges in a page of the provider's books."""


class Movement(StrEnum):
    """Which way the money went."""

    CAPTURE = "capture"
    REFUND = "refund"


class Account:
    """What the provider knows under one key."""

    __slots__ = ("amount", "at", "captured", "declined", "parts", "returned", "times", "voided")

    def __init__(self) -> None:
        self.amount: Money | None = None
        self.captured = False
        self.times = 0
        """How often it was taken."""
        self.at = 0.0
        self.declined = False
        self.voided = False
        self.returned = 0
        """Minor units that went back."""
        self.parts: dict[str, int] = {}
        """Those of them that went back in part, by key."""

    @property
    def taken(self) -> int:
        """Minor units that were taken in all."""
        return self.times * self.amount.amount if self.amount is not None else 0


OnMovement = Callable[[str, Movement, Money], None]
ERROR_SECONDS = 3.0
"""At most so long after something was done right the provider does something wrong about it."""


def _booked(key: str, account: Account) -> Booked:
    currency = account.amount.currency if account.amount is not None else "EUR"
    return Booked(
        key=key,
        at=MORNING + timedelta(seconds=account.at),
        taken=Money(account.taken, currency),
        returned=account.returned,
        times=account.times,
    )


class Provider:
    """`booked` is told of every movement of money at the moment of it, `errs` of a key before something wrong is done
    under it.
    """

    def __init__(
        self,
        chaos: Chaos,
        booked: OnMovement,
        *,
        attempt_seconds: float,
        time: Callable[[], float] = lambda: 0.0,
        errs: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._chaos = chaos
        self._booked = booked
        self._errs = errs
        self._time = time
        self.attempt_seconds = attempt_seconds
        self.accounts: dict[str, Account] = {}

    async def request(
        self, who: str, what: str, act: Callable[[], object], trouble: Fault, unanswered: Fault
    ) -> object:
        """Have `act` done at the provider's and return its result. Raises GatewayTrouble, and what it raises."""
        chaos = self._chaos
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[object] = loop.create_future()
        await chaos.lag()
        if chaos.is_out(FACILITY) or chaos.strikes(trouble, who, what):
            raise GatewayTrouble("no connection")
        is_unanswered = chaos.strikes(unanswered, who, what)
        patience = self.attempt_seconds
        before, after = chaos.some(0.02), chaos.some(0.02)
        if what.startswith("charge"):
            if chaos.strikes(Fault.CHARGE_SLOW, who, what):
                before += chaos.between(0, patience)
                after += chaos.between(0, patience)
            elif chaos.strikes(Fault.CHARGE_LATE, who, what):
                before += patience * chaos.between(1.0, 4.0)

        def do() -> None:
            result: object = None
            refusal: Declined | GatewayTrouble | None = None
            try:
                result = act()
            except (Declined, GatewayTrouble) as refused:
                refusal = refused
            if not is_unanswered:
                loop.call_later(after, reply, result, refusal, context=OUTSIDE_CONTEXT)

        def reply(result: object, refusal: Declined | GatewayTrouble | None) -> None:
            if answer.done():
                return  # nobody waits any more
            if refusal is not None:
                answer.set_exception(refusal)
            else:
                answer.set_result(result)

        loop.call_later(before, do, context=OUTSIDE_CONTEXT)
        if is_unanswered and chaos.choices.random() < 0.5:
            await asyncio.sleep(before + after)
            raise GatewayTrouble("the connection was closed")
        return await answer

    def charge(self, key: str, amount: Money, *, declines: bool) -> None:
        """Take the money, once for each key. Raises Declined."""
        account = self._account(key)
        if account.captured:
            return
        if account.voided or account.declined or declines:
            account.declined = True
            raise Declined("voided" if account.voided else "insufficient funds")
        self._take(account, key, amount)
        if self._chaos.errs(Fault.TAKEN_TWICE, key):
            self._soon(key, lambda: self._take(account, key, amount))

    def refund(self, key: str) -> None:
        """Give back what was taken under `key`, once."""
        self._give_back(self._account(key), key)

    def refund_part(self, key: str, refund_key: str, amount: Money) -> None:
        """Give back so much of what was taken under `key`, once for each `refund_key`. Raises GatewayTrouble."""
        account = self._account(key)
        if refund_key in account.parts:
            return
        if account.amount is None or account.returned + amount.amount > account.taken:
            raise GatewayTrouble("less is left than is to be given back")
        account.parts[refund_key] = amount.amount
        self._return(account, key, amount)

    def void(self, key: str, amount: Money | None = None) -> bool:
        """Take nothing under `key` any more, and give back what was taken; was there anything?"""
        account = self._account(key)
        is_new = not account.voided
        account.voided = True
        self._give_back(account, key)
        if is_new and not account.captured and amount is not None and self._chaos.errs(Fault.VOID_FORGOTTEN, key):
            self._soon(key, lambda: self._take(account, key, amount))
        return account.captured

    def books(self) -> list[Booked]:
        """What was taken, as it was taken."""
        return [_booked(key, account) for key, account in self.accounts.items() if account.times]

    def _take(self, account: Account, key: str, amount: Money) -> None:
        account.captured = True
        account.amount = amount
        account.at = account.at or self._time()
        account.times += 1
        self._booked(key, Movement.CAPTURE, amount)

    def _give_back(self, account: Account, key: str) -> None:
        left = account.taken - account.returned
        if account.amount is not None and left > 0:
            self._return(account, key, Money(left, account.amount.currency))

    def _return(self, account: Account, key: str, amount: Money) -> None:
        account.returned += amount.amount
        self._booked(key, Movement.REFUND, amount)
        if amount.amount and self._chaos.errs(Fault.REFUND_FORGOTTEN, key):

            def forget() -> None:
                account.returned -= amount.amount
                self._booked(key, Movement.REFUND, Money(-amount.amount, amount.currency))

            self._soon(key, forget)

    def _soon(self, key: str, do: Callable[[], None]) -> None:
        """Something wrong, a little later."""
        self._errs(key)
        wait = ERROR_SECONDS * self._chaos.provider_errors.random()
        asyncio.get_running_loop().call_later(wait, do, context=OUTSIDE_CONTEXT)

    def _account(self, key: str) -> Account:
        account = self.accounts.get(key)
        if account is None:
            account = self.accounts[key] = Account()
        return account


class Gateway:
    """One process's connection to the provider."""

    methods = ("card-ok", "card-declined")

    def __init__(
        self, provider: Provider, chaos: Chaos, who: str, *, kill: Callable[[], None], pause: Callable[[float], None]
    ) -> None:
        self._provider = provider
        self._chaos = chaos
        self._who = who
        self._kill = kill
        self._pause = pause
        self._attempt_seconds = provider.attempt_seconds

    async def charge(self, charge: Charge, method: str) -> ChargeResult:
        """Take the money. Raises Declined, GatewayTrouble."""
        provider, chaos = self._provider, self._chaos
        key, amount = charge.key, charge.amount
        declines = method == "card-declined" or chaos.strikes(Fault.DECLINED, self._who, key)

        def act() -> None:
            provider.charge(key, amount, declines=declines)

        if chaos.strikes(Fault.CRASH_WHILE_PAYING, self._who, key):
            self._perish()
        if chaos.strikes(Fault.PAUSED_WHILE_PAYING, self._who, key):
            self._freeze()
        await provider.request(self._who, f"charge {key}", act, Fault.CHARGE_TROUBLE, Fault.CHARGE_UNANSWERED)
        return TAKEN

    async def refund(self, charge: Charge) -> None:
        """Give back what was taken. Raises GatewayTrouble."""
        provider, key = self._provider, charge.key
        if self._chaos.strikes(Fault.CRASH_WHILE_PAYING, self._who, key):
            self._perish()
        await provider.request(
            self._who,
            f"refund {key}",
            lambda: provider.refund(key),
            Fault.REFUND_TROUBLE,
            Fault.REFUND_UNANSWERED,
        )

    async def refund_part(self, charge: Charge, refund_key: str, amount: Money) -> None:
        """Give back a part of what was taken. Raises GatewayTrouble."""
        provider, key = self._provider, charge.key
        if self._chaos.strikes(Fault.CRASH_WHILE_PAYING, self._who, refund_key):
            self._perish()
        await provider.request(
            self._who,
            f"refund {refund_key}",
            lambda: provider.refund_part(key, refund_key, amount),
            Fault.REFUND_TROUBLE,
            Fault.REFUND_UNANSWERED,
        )

    async def void(self, charge: Charge) -> bool:
        """Make sure that nothing is held under its key. Raises GatewayTrouble."""
        provider, key = self._provider, charge.key
        if self._chaos.strikes(Fault.CRASH_WHILE_PAYING, self._who, key):
            self._perish()
        returned = await provider.request(
            self._who,
            f"void {key}",
            lambda: provider.void(key, charge.amount),
            Fault.VOID_TROUBLE,
            Fault.VOID_UNANSWERED,
        )
        return bool(returned)

    async def listed(self, *, since: datetime, until: datetime, after: str | None, limit: int) -> BookedPage:
        """A page of the books: few at once, so that there are several. Raises GatewayTrouble."""
        self._read_books()
        await self._chaos.lag()
        found = [each for each in self._provider.books() if since <= each.at < until]
        begin, most = int(after or 0), min(limit, BOOKS_AT_ONCE)
        following = begin + most
        return BookedPage(found[begin:following], str(following) if following < len(found) else None)

    async def booked(self, charges: Sequence[Charge]) -> Mapping[str, Booked]:
        """What is in them of these. Raises GatewayTrouble."""
        self._read_books()
        await self._chaos.lag()
        wanted = {charge.key for charge in charges}
        return {each.key: each for each in self._provider.books() if each.key in wanted}

    def _read_books(self) -> None:
        if self._chaos.is_out(FACILITY) or self._chaos.errs(Fault.BOOKS_AWAY, self._who):
            raise GatewayTrouble("no books")

    async def action(self, _: Charge) -> BuyerAction | None:
        """Nothing is ever left to do."""
        return None

    def heard(self, _: bytes, __: str | None) -> str | None:
        """It sends nothing."""
        raise NotFromProvider

    def _freeze(self) -> None:
        """Stand still soon, for longer than others wait before they take the payment up."""
        seconds = self._chaos.between(1.0, 4.0) * (self._attempt_seconds + 2.0)
        asyncio.get_running_loop().call_later(self._chaos.some(0.05), self._pause, seconds)

    def _perish(self) -> None:
        """Be killed soon, with the provider still at work."""
        asyncio.get_running_loop().call_later(self._chaos.some(0.02), self._kill)
