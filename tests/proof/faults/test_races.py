"""Races at the door: real HTTP, one server, and everyone wants the same thing in the same moment."""

import asyncio
import json
import os
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import perf_counter, sleep
from typing import Any

import msgspec
import pytest
import uvloop
from tests.proof.faults.crowd import Crowd
from tests.proof.faults.experiment import Faults, Figures, Scale
from tests.proof.faults.judging import events, lost, orders_of, payments, rows, settled
from tests.proof.faults.victims import HASTE, stopped, victim
from tests.served import KEY, Served

from cludale.web.connection import Connection, connect
from cludale.web.http1 import ClientResponse, Target
from cludale_proof.checker import Observation
from cludale_proof.rehearsal.load import Load

BUYERS, SEATS = 10_000, 100
ROWS, ROW = 20, 25
"""Of the numbered hall, and how many seats a row has."""
AT_ONCE = 1_000
"""Connections of those buyers: more than the server works on at once, and than it lets wait for long."""
ROUNDS = "RELIABILITY_ROUNDS"
"""The setting for another number of rounds in the numbered hall."""
PATIENCE = {**HASTE, "CLUDALE_HOLD_SECONDS": "600", "CLUDALE_PAYMENT_ATTEMPT_SECONDS": "30"}
"""For halls that are to be sold out. A process that gets little of the machine needs seconds for one attempt to charge;
with a second for each, all five of an order may come to nothing, and its seats go back when the hold ends."""
FINAL = (201, 409)
"""Answers after which a buyer goes home; with a 503 one asks again."""


class OnSale:
    """Buyers of one ticket each, who ask until they have an answer."""

    def __init__(self, target: Target, concert: str, buyers: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.observations: list[Observation] = []
        self._target = target
        self._concert = concert
        self._buyers = buyers

    async def run(self) -> None:
        """Until everyone has an answer to go home with."""
        while self._waiting:
            await self._ask()

    @property
    def _waiting(self) -> int:
        """How many of the buyers have no such answer yet, of those who have come."""
        return self._buyers - sum(self.statuses[status] for status in FINAL)

    async def _ask(self) -> None:
        load = Load(
            self._target,
            self._requests(),
            connections=AT_ONCE,
            timeout_seconds=30,
            hear=self._hear,
        )
        tally = await load.run()
        assert not tally.errors, tally.errors

    def _requests(self) -> Iterator[bytes]:
        """One for each who waits; those who are turned away meanwhile come once more, if it goes on so long."""
        waiting, away, number = self._waiting, self.statuses[503], 0
        while number - (self.statuses[503] - away) < waiting:
            wanted = {"concertId": self._concert, "userId": f"buyer-{number}", **self._wish()}
            yield self._target.request("POST", "/orders", msgspec.json.encode(wanted))
            number += 1

    def _wish(self) -> dict[str, Any]:
        """What the next buyer wants."""
        return {"quantity": 1}

    def _hear(self, status: int, body: bytes) -> None:
        self.statuses[status] += 1
        if status == 201:
            self.observations.append(Observation(method="POST", path="/orders", status=status, body=body.decode()))
        elif status == 409:
            self._refused(body)

    def _refused(self, body: bytes) -> None:
        assert b"/problems/seats-unavailable" in body, body


class NumberedOnSale(OnSale):
    """Half of the buyers name the seats that they want, one or two beside one another; half take the best."""

    def __init__(self, target: Target, concert: str, buyers: int, random: Random) -> None:
        super().__init__(target, concert, buyers)
        self.not_free = self.full = 0
        self._random = random

    def _wish(self) -> dict[str, Any]:
        if self._random.random() < 0.5:
            return {"quantity": self._random.choice((1, 2, 2, 4)), "section": "hall"}
        row, seat = self._random.randrange(ROWS), self._random.randrange(1, ROW)
        seats = [f"Hall-{row}-{seat}", f"Hall-{row}-{seat + 1}"]
        return {"seats": seats[: self._random.choice((1, 2))]}

    def _refused(self, body: bytes) -> None:
        if b"/problems/seats-not-free" in body:
            self.not_free += 1
        else:
            assert b"/problems/seats-unavailable" in body, body
            self.full += 1

    def seats(self) -> list[str]:
        """Those that were given to somebody."""
        answers = [json.loads(each.body) for each in self.observations]
        return [seat["id"] for answer in answers for seat in answer["seats"]]


def until_sold(served: Served, concert: str, seats: int) -> None:
    """Its last buyers' cards may be charged yet."""
    over, sold = perf_counter() + 60, 0
    while sold != seats and perf_counter() < over:
        sold = served.http.get(f"/concerts/{concert}").json()["soldSeats"]
        sleep(0.1)
    assert sold == seats, f"{sold} of {seats} seats of {concert} are sold: {orders_of(served.folder, concert)}"


def test_ten_thousand_buyers_of_a_hundred_seats_get_exactly_those(
    tmp_path: Path, scale: Scale, faults: Faults, figures: Figures
) -> None:
    rounds = scale.of_three(1, 1, 100)
    sold_out = "buyer who found a hundred seats taken"
    faults.expect(sold_out)
    seen: list[Observation] = []
    began = perf_counter()
    with victim(tmp_path / "data", settings=PATIENCE) as served:
        for turn in range(rounds):
            concert = f"c-{turn}"
            served.concert(concert, seats=SEATS)
            sale = OnSale(Target.of(served.url), concert, BUYERS)
            uvloop.run(sale.run())
            assert sale.statuses[201] == SEATS
            assert sale.statuses[409] == BUYERS - SEATS
            assert set(sale.statuses) <= {201, 409, 503}, sale.statuses
            standing = served.http.get(f"/concerts/{concert}").json()
            assert standing["availableSeats"] == 0
            assert standing["heldSeats"] + standing["soldSeats"] == SEATS
            faults.fire(sold_out, sale.statuses[409])
            seen += sale.observations
        for turn in range(rounds):
            until_sold(served, f"c-{turn}", SEATS)
        settled(tmp_path / "data", seen)
        stopped(served)
    figures.row(
        "races",
        race=f"{BUYERS:,} buyers, {SEATS} seats",
        rounds=rounds,
        outcome=f"{SEATS} sold each time, {faults.fired[sold_out]:,} refused, {perf_counter() - began:.0f} s",
    )


@pytest.mark.slow
def test_ten_thousand_buyers_of_a_numbered_hall_have_each_seat_once(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    """Who names seats and who takes the best come at once, for every seat there is."""
    buyers, rounds = scale.of_three(1_000, BUYERS, BUYERS), int(os.environ.get(ROUNDS) or scale.of_three(1, 1, 100))
    lost_to_another, full = "buyer whose named seats somebody else had", "buyer who found the numbered hall full"
    faults.expect(lost_to_another)
    faults.expect(full)
    lines = [f"Hall,{row},{seat},{seat * 10},{100 + row * 12},A," for row in range(ROWS) for seat in range(1, ROW + 1)]
    plan = "\n".join(["section,row,seat,x,y,category,flags", *lines])
    hall = {"id": "hall", "zone": "Hall", "price": {"amount": 4500, "currency": "EUR"}}
    seen: list[Observation] = []
    began = perf_counter()
    with victim(tmp_path / "data", settings=PATIENCE) as served:
        for turn in range(rounds):
            concert = f"c-{turn}"
            served.concert(concert, totalSeats=None, price=None, seatPlan=plan, sections=[hall])
            sale = NumberedOnSale(Target.of(served.url), concert, buyers, Random(seed * 1_000 + turn))
            uvloop.run(sale.run())
            seats = sale.seats()
            assert len(seats) == len(set(seats)) == ROWS * ROW
            assert set(sale.statuses) <= {201, 409, 503}, sale.statuses
            standing = served.http.get(f"/concerts/{concert}").json()
            assert standing["availableSeats"] == 0
            assert standing["heldSeats"] + standing["soldSeats"] == ROWS * ROW
            faults.fire(lost_to_another, sale.not_free)
            faults.fire(full, sale.full)
            seen += sale.observations
        for turn in range(rounds):
            until_sold(served, f"c-{turn}", ROWS * ROW)
        settled(tmp_path / "data", seen)
        stopped(served)
    figures.row(
        "races",
        race=f"{buyers:,} buyers, a numbered hall of {ROWS * ROW} seats",
        rounds=rounds,
        outcome=f"each seat sold once each time, {faults.fired[lost_to_another]:,} found their seats taken, "
        f"{faults.fired[full]:,} the hall full, {perf_counter() - began:.0f} s",
    )


@pytest.mark.slow
def test_cancel_against_pay_has_one_winner(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    folder = tmp_path / "data"
    paid_first, cancelled_first = "cancelled after it was charged", "cancelled before it was charged"
    faults.expect(paid_first)
    faults.expect(cancelled_first)
    pried = "stranger who asked for another's order, turned away"
    faults.expect(pried)
    methods = {"card-ok": 80, "card-flaky": 20}
    crowd = Crowd(["c-1", "c-2"], seed=seed, methods=methods, regretting=0.9, hesitating=100, pried_on=0.5)

    def look() -> Counter[str]:
        ended = payments(folder)
        faults.count(paid_first, ended["Refunded"])
        faults.count(cancelled_first, ended["Failed"])
        faults.count(pried, crowd.statuses[404])
        return ended

    with victim(folder) as served:
        for concert in ("c-1", "c-2"):
            served.concert(concert, seats=100_000)
        for _ in faults.turns(scale.of_three(1, 1, 30)):
            crowd.rush(served, 1_000)
            look()
        crowd.ask_again(served)
        settled(folder, crowd.observations)
        assert not lost(folder, crowd.accepted)
        stopped(served)
    ended = look()
    figures.row(
        "races",
        race="cancel against pay",
        rounds=len(crowd.accepted),
        outcome=f"{ended['Refunded']:,} charged and given back, {ended['Failed']:,} cancelled in time",
    )


@pytest.mark.slow
def test_expiry_against_pay_has_one_winner(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    folder = tmp_path / "data"
    in_time, found_again, given_back = (
        "paid in time",
        "paid late, seats found again",
        "paid late, seats gone, given back",
    )
    for each in (in_time, found_again, given_back):
        faults.expect(each)
    settings = {
        **HASTE,
        "CLUDALE_HOLD_SECONDS": "1",
        "CLUDALE_SWEEP_SECONDS": "0.1",
        "CLUDALE_PAYMENT_ATTEMPT_SECONDS": "3",
        # A hold of a second ends with the second after, so it lasts one to two. The charge takes as long: every order's
        # money comes at the end of its hold, and when in a second it was placed says whether before or after.
        "CLUDALE_PAYMENT_SLOW_SECONDS": "1.4",
    }
    crowd = Crowd([], seed=seed, methods={"card-slow": 1}, regretting=0.0)

    def look() -> None:
        told = events(folder)
        late = told["SeatsReserved"] - told["TicketReserved"]
        faults.count(in_time, told["OrderPaid"] - late)
        faults.count(found_again, late)
        faults.count(given_back, told["SaleRefused"])

    def rush_for(seconds: float) -> None:
        over = perf_counter() + seconds
        while perf_counter() < over:
            crowd.rush(served, 50)

    with victim(folder, settings=settings) as served:
        for turn in faults.turns(scale.of_three(2, 2, 40)):
            # In the large hall whoever pays late finds seats again. In the small ones there are more buyers than seats,
            # over and over: what one loses another takes at once. They go on sale, and are sold out, in each quarter
            # of a second: so however fast that goes, some are full of buyers whose money comes late.
            crowd.concerts = [f"c-{turn}-large"]
            served.concert(f"c-{turn}-large", seats=100_000)
            for quarter in range(4):
                crowd.concerts.append(f"c-{turn}-small-{quarter}")
                served.concert(crowd.concerts[-1], seats=150)
                rush_for(0.25)
            rush_for(2.5)
            look()
        crowd.ask_again(served)
        settled(folder, crowd.observations)
        assert not lost(folder, crowd.accepted)
        stopped(served)
    look()
    figures.row(
        "races",
        race="expiry against pay",
        rounds=len(crowd.accepted),
        outcome=", ".join(f"{times:,} {what}" for what, times in faults.fired.items()),
    )


class _OfMany(Connection):
    """One of thousands that ask the same thing in the same moment."""

    def __init__(self, heard: Counter[tuple[int, bytes]]) -> None:
        super().__init__()
        self.over = asyncio.get_running_loop().create_future()
        self._heard = heard

    def answered(self, answer: ClientResponse) -> None:
        self._heard[answer.status, answer.body] += 1
        self.over.set_result(None)

    def failed(self, why: str) -> None:
        self._heard[0, why.encode()] += 1
        self.over.set_result(None)


async def all_at_once(target: Target, request: bytes, count: int) -> Counter[tuple[int, bytes]]:
    """The same request over `count` connections that are all open before the first asks; the answers."""
    heard: Counter[tuple[int, bytes]] = Counter()
    lines: list[_OfMany] = []
    while len(lines) < count:
        some = min(200, count - len(lines))
        lines += await asyncio.gather(*(connect(lambda: _OfMany(heard), target, 30) for _ in range(some)))
    for line in lines:
        line.send(request)
    async with asyncio.timeout(120):
        await asyncio.gather(*(line.over for line in lines))
    for line in lines:
        line.close()
    return heard


KEYED = {
    "an order": ("/orders", b'{"concertId":"c","userId":"one","quantity":2}'),
    "a reservation": ("/concerts/c/reserve", b'{"quantity":2}'),
}


@pytest.mark.parametrize("what", KEYED)
@pytest.mark.slow
def test_ten_thousand_requests_with_one_key_have_one_effect_and_one_answer(
    tmp_path: Path, scale: Scale, faults: Faults, figures: Figures, what: str
) -> None:
    count = allow_connections(scale.of_three(2_000, 10_000, 10_000))
    path, body = KEYED[what]
    in_flight, again = f"{what} asked for while its key is in flight", f"{what} asked for again, answered alike"
    faults.expect(in_flight)
    faults.expect(again)
    folder = tmp_path / "data"
    with victim(folder, settings={**HASTE, "CLUDALE_MAX_CONNECTIONS": str(count + 100)}) as served:
        served.concert("c")
        target = Target.of(served.url)
        request = target.request("POST", path, body, {"idempotency-key": "one", "authorization": f"Bearer {KEY}"})
        heard = uvloop.run(all_at_once(target, request, count))
        (effect,) = [answer for status, answer in heard if status == 201]
        for (status, answer), times in heard.items():
            if answer != effect:
                assert (status, b"/problems/idempotency-key-in-flight" in answer) == (409, True), answer
                faults.fire(in_flight, times)
        # Those who were told to wait ask again, all of them: every one gets the first answer, to the byte.
        late = uvloop.run(all_at_once(target, request, count))
        assert set(late) == {(201, effect)}
        faults.fire(again, late[201, effect])
        settled(folder, [observed(path, body, effect)] * 2)
        stopped(served)
    assert events(folder)["SeatsReserved"] == 1
    assert len(rows(folder, "SELECT 1 FROM orders_order")) == (path == "/orders")
    figures.row(
        "races",
        race=f"one key for {what}",
        rounds=count,
        outcome=f"one effect; {heard[201, effect]:,} answered alike, {faults.fired[in_flight]:,} told to wait (409); "
        f"asked again {late[201, effect]:,} answered alike",
    )


def observed(path: str, request: bytes, answer: bytes) -> Observation:
    return Observation(method="POST", path=path, status=201, body=answer.decode(), request=request.decode(), key="one")


def allow_connections(count: int) -> int:
    """Have this process, and those it starts, open so many connections, or as many as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return count if most == resource.RLIM_INFINITY else min(count, most - 500)
