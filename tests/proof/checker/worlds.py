"""Worlds made by hand: stores, log and ledger written from the specification, without any of the services' code.

Each step is committed as a service would commit it. A watched world tells a SafetyChecker of each.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from cludale_proof.checker import LedgerLine, MemorySnapshot, Report, Row, SafetyChecker, Violation, Write, check

Json = dict[str, Any]

NOON: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
CONCERT: Final = "concert-1"
STALLS: Final = "stalls"
PRICE: Final = 4500
HOLD_SECONDS: Final = 600


def rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def euro(amount: int) -> Json:
    return {"amount": amount, "currency": "EUR"}


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def suffix(order_id: str) -> str:
    return order_id.partition("-")[2]


class World:
    """What happened, what is stored, what the log has and what the provider knows."""

    def __init__(self, *, watched: bool = False, seats: int = 10, price: int = PRICE) -> None:
        self.price = price
        self.now = NOON
        self.records: dict[str, dict[str, tuple[int, Json]]] = {}
        self.logged: list[Json] = []
        """Events in the order in which the log takes them."""
        self.marked: set[str] = set()
        """Those that the log marks as taken in without their cause."""
        self.late: set[str] = set()
        """Those that it marks late, under its hash."""
        self.outbox: list[Json] = []
        self.ledger: dict[str, LedgerLine] = {}
        self.committed = 0
        self.checker = SafetyChecker() if watched else None
        self._numbers = 0
        self._hash = "0" * 64
        self._entries = 0
        self.schedule(seats)

    # what every service does

    def tick(self, seconds: float = 0.01) -> None:
        self.now += timedelta(seconds=seconds)

    def doc(self, kind: str, id: str) -> Json:
        """The record's document, to be looked at or tampered with."""
        return self.records[kind][id][1]

    def event(self, type: str, data: Json, *, cause: Json | None = None, subject: str | None = None) -> Json:
        self._numbers += 1
        order = data.get("orderId")
        event = {
            "specversion": "1.0",
            "id": f"event-{self._numbers:04}",
            "type": type,
            "source": "test",
            "subject": subject or order or data.get("reservationId") or data.get("concertId"),
            "time": rfc3339(self.now),
            "datacontenttype": "application/json",
            "dataversion": "1",
            "data": data,
        }
        if order is not None:
            event["correlationid"] = order
        if cause is not None:
            event["causationid"] = cause["id"]
        return event

    def commit(
        self,
        docs: Mapping[tuple[str, str], Json],
        events: Sequence[Json] = (),
        *,
        logged: bool = True,
    ) -> list[Violation]:
        """Commit these records with these events; the log has the events too, unless they stay in the outbox."""
        writes = []
        for (kind, id), doc in docs.items():
            version = self.records.get(kind, {}).get(id, (0, {}))[0] + 1
            self.records.setdefault(kind, {})[id] = (version, deepcopy(doc))
            writes.append(Write(kind, id, version, encoded(doc)))
        self.committed += len(events)
        found = self.tell(writes, events)
        for event in events:
            if logged:
                found += self.log(event)
            else:
                self.outbox.append(event)
        return found

    def tell(self, writes: Iterable[Write], events: Iterable[Json] = ()) -> list[Violation]:
        if self.checker is None:
            return []
        return self.checker.commit(writes, [encoded(event) for event in events], at=self.now)

    def log(self, event: Json) -> list[Violation]:
        """The log takes an event in."""
        self.logged.append(event)
        if self.checker is None:
            return []
        found = self.checker.published(encoded(event))
        entry = self.next_entry(event)
        head = {"sequence": self._entries, "hash": self._hash}
        writes = [
            Write("audit/event", event["id"], 1, encoded(entry)),
            Write("audit/head", "head", self._entries, encoded(head)),
        ]
        return found + self.tell(writes)

    def next_entry(self, event: Json) -> Json:
        self._entries += 1
        self._hash = sha256(self._hash.encode() + encoded(event)).hexdigest()
        return {"sequence": self._entries, "receivedAt": rfc3339(self.now), "hash": self._hash, "event": event}

    def money(self, key: str, captured: int, refunded: int = 0, charges: int = 1) -> list[Violation]:
        self.ledger[key] = LedgerLine(key=key, captured=captured, refunded=refunded, charges=charges)
        if self.checker is None:
            return []
        return self.checker.money(key, captured=captured, refunded=refunded, charges=charges)

    # concerts

    def schedule(self, seats: int) -> None:
        sections = [{"id": STALLS, "name": "Stalls", "totalSeats": seats, "price": euro(self.price)}]
        told = {"artist": "A", "date": "2027-01-01", "venue": None, "sections": sections, "maxPerOrder": 8}
        concert = {"id": CONCERT, "onSaleAt": None, **told}
        scheduled = self.event("ConcertScheduled", {"concertId": CONCERT, "onSaleAt": None, **told})
        self.commit({("concerts/concert", CONCERT): concert}, [scheduled])

    def section(self) -> Json:
        plan = self.doc("concerts/concert", CONCERT)["sections"][0]
        key = f"{CONCERT}/{STALLS}"
        stored = self.records.get("concerts/section", {}).get(key)
        if stored is not None:
            return deepcopy(stored[1])
        return {
            "concertId": CONCERT,
            "id": STALLS,
            "price": plan["price"],
            "total": plan["totalSeats"],
            "sold": 0,
            "held": {},
        }

    def moved(self, *, held: tuple[datetime, int] | None = None, sold: int = 0) -> Json:
        """The section after seats were held (or, below zero, held no more) and sold."""
        section = self.section()
        section["sold"] += sold
        if held is not None:
            until, seats = str(int(held[0].timestamp())), held[1]
            left = section["held"].pop(until, 0) + seats
            if left:
                section["held"][until] = left
        return section

    def seats_event(self, type: str, reservation: Json, cause: Json | None = None, **more: Any) -> Json:
        data = {
            "reservationId": reservation["id"],
            "concertId": reservation["concertId"],
            "section": reservation["section"],
            "quantity": reservation["quantity"],
            "orderId": reservation["orderId"],
            **more,
        }
        return self.event(type, data, cause=cause, subject=reservation["id"])

    def hold(
        self, order_id: str | None, quantity: int = 2, *, id: str | None = None, seconds: float = HOLD_SECONDS
    ) -> Json:
        """Hold seats; returns the SeatsReserved."""
        until = (self.now + timedelta(seconds=seconds)).replace(microsecond=0)
        reservation: Json = {
            "id": id or f"reservation-{suffix(order_id or 'order-nobody')}",
            "concertId": CONCERT,
            "section": STALLS,
            "quantity": quantity,
            "orderId": order_id,
            "expiresAt": rfc3339(until),
            "status": "Held",
            "releasedFor": None,
            "successor": None,
            "closed": False,
        }
        reserved = self.seats_event("SeatsReserved", reservation, expiresAt=rfc3339(until))
        self.commit(
            {
                ("concerts/reservation", reservation["id"]): reservation,
                ("concerts/section", f"{CONCERT}/{STALLS}"): self.moved(held=(until, quantity)),
            },
            [reserved],
        )
        self.tick()
        return reserved

    def until(self, reservation: Json) -> datetime:
        return datetime.fromisoformat(reservation["expiresAt"])

    def sell(self, order_id: str, cause: Json) -> Json:
        """Sell the held seats; returns the SeatsSold."""
        id = f"reservation-{suffix(order_id)}"
        reservation = self.doc("concerts/reservation", id) | {"status": "Sold"}
        quantity = reservation["quantity"]
        sold = self.seats_event("SeatsSold", reservation, cause)
        self.commit(
            {
                ("concerts/reservation", id): reservation,
                ("concerts/section", f"{CONCERT}/{STALLS}"): self.moved(
                    held=(self.until(reservation), -quantity), sold=quantity
                ),
            },
            [sold],
        )
        self.tick()
        return sold

    def release(self, order_id: str, reason: str, cause: Json | None = None, *, closed: bool = False) -> Json:
        """Give the seats back, the second ones if it had others; returns the SeatsReleased."""
        first = f"reservation-{suffix(order_id)}"
        id = self.doc("concerts/reservation", first).get("successor") or first
        before = self.doc("concerts/reservation", id)
        quantity = before["quantity"]
        if before["status"] == "Sold":
            section = self.moved(sold=-quantity)
        else:
            section = self.moved(held=(self.until(before), -quantity))
        reservation = before | {"status": "Released", "releasedFor": reason, "closed": closed}
        released = self.seats_event("SeatsReleased", reservation, cause, reason=reason)
        self.commit(
            {("concerts/reservation", id): reservation, ("concerts/section", f"{CONCERT}/{STALLS}"): section},
            [released],
        )
        self.tick()
        return released

    def reseat(self, order_id: str, cause: Json, round: int = 1) -> Json:
        """Money came after the hold had ended, and there are other seats; returns the SeatsSold."""
        old = f"reservation-{suffix(order_id)}"
        before = self.doc("concerts/reservation", old)
        new = f"{old}.{round}"
        until = (self.now + timedelta(seconds=2)).replace(microsecond=0)
        again = before | {
            "id": new,
            "status": "Sold",
            "expiresAt": rfc3339(until),
            "successor": None,
            "releasedFor": None,
        }
        events = []
        section = self.moved(sold=again["quantity"])
        if before["status"] == "Held":
            events.append(self.seats_event("SeatsReleased", before, cause, reason="hold-expired"))
            section = self.moved(held=(self.until(before), -again["quantity"]), sold=again["quantity"])
        events.append(self.seats_event("SeatsReserved", again, cause, expiresAt=again["expiresAt"]))
        events.append(self.seats_event("SeatsSold", again, cause))
        ended = before | {"status": "Released", "successor": new}
        ended["releasedFor"] = before["releasedFor"] or "hold-expired"
        self.commit(
            {
                ("concerts/reservation", old): ended,
                ("concerts/reservation", new): again,
                ("concerts/section", f"{CONCERT}/{STALLS}"): section,
            },
            events,
        )
        self.tick()
        return events[-1]

    def refuse(self, order_id: str, cause: Json) -> Json:
        """Money came and there are no seats for it; returns the SaleRefused."""
        reservation = self.doc("concerts/reservation", f"reservation-{suffix(order_id)}")
        refused = self.seats_event("SaleRefused", reservation, cause, paymentRound=1)
        self.commit({}, [refused])
        self.tick()
        return refused

    # orders

    def place(self, order_id: str, quantity: int = 2, *, seconds: float = HOLD_SECONDS) -> Json:
        """Hold seats and take the order; returns the TicketReserved."""
        held = self.hold(order_id, quantity, seconds=seconds)
        total = euro(self.price * quantity)
        order = {
            "id": order_id,
            "concertId": CONCERT,
            "userId": "user-1",
            "quantity": quantity,
            "status": "Reserved",
            "paymentMethod": "card-ok",
            "createdAt": rfc3339(self.now),
            "section": STALLS,
            "reservationId": held["data"]["reservationId"],
            "total": total,
            "expiresAt": held["data"]["expiresAt"],
        }
        common = {"orderId": order_id, "concertId": CONCERT, "userId": "user-1", "quantity": quantity}
        placed = self.event("OrderPlaced", common | {"section": None})
        reserved = self.event(
            "TicketReserved",
            common
            | {
                "reservationId": order["reservationId"],
                "section": STALLS,
                "total": total,
                "paymentMethod": "card-ok",
                "expiresAt": order["expiresAt"],
            },
            cause=held,
        )
        self.commit({("orders/order", order_id): order}, [placed, reserved])
        self.tick()
        return reserved

    def order_event(self, type: str, order: Json, cause: Json | None = None, **more: Any) -> Json:
        data = {
            "orderId": order["id"],
            "concertId": order["concertId"],
            "reservationId": order.get("reservationId"),
            "section": order.get("section"),
            "quantity": order["quantity"],
            "total": order.get("total"),
            "reachable": False,
            **more,
        }
        return self.event(type, data, cause=cause)

    def pay(self, order_id: str, cause: Json) -> Json:
        """The seats are sold: the order is Paid; returns the OrderPaid."""
        before = self.doc("orders/order", order_id)
        order = {name: value for name, value in before.items() if name != "reason"} | {
            "status": "Paid",
            "reservationId": cause["data"]["reservationId"],
        }
        paid = self.order_event("OrderPaid", order, cause)
        self.commit({("orders/order", order_id): order}, [paid])
        self.tick()
        return paid

    def cancel(self, order_id: str, reason: str = "cancelled-by-buyer", cause: Json | None = None) -> Json:
        """Cancel the order; returns the OrderCancelled."""
        before = self.doc("orders/order", order_id)
        order = before | {"status": "Cancelled", "reason": reason}
        off = self.order_event("OrderCancelled", order, cause, reason=reason, wasPaid=before["status"] == "Paid")
        self.commit({("orders/order", order_id): order}, [off])
        self.tick()
        return off

    # payments

    def payment(self, order_id: str) -> Json:
        return self.doc("payments/payment", f"payment-{suffix(order_id)}")

    def begin(self, reserved: Json) -> None:
        """The payment is Pending."""
        data = reserved["data"]
        id = f"payment-{suffix(data['orderId'])}"
        payment = {
            "id": id,
            "orderId": data["orderId"],
            "concertId": CONCERT,
            "reservationId": data["reservationId"],
            "section": STALLS,
            "quantity": data["quantity"],
            "amount": data["total"],
            "method": "card-ok",
            "status": "Pending",
            "createdAt": rfc3339(self.now),
            "expiresAt": data["expiresAt"],
        }
        self.commit({("payments/payment", id): payment})
        self.tick()

    def payment_event(self, type: str, payment: Json, cause: Json | None, **more: Any) -> Json:
        data = {
            "paymentId": payment["id"],
            "orderId": payment["orderId"],
            "concertId": CONCERT,
            "amount": payment["amount"],
            "round": payment.get("round", 1),
            **more,
        }
        return self.event(type, data, cause=cause)

    def charge(self, order_id: str, cause: Json) -> Json:
        """The provider takes the money; returns the PaymentCompleted."""
        payment = self.payment(order_id) | {"status": "Completed", "tries": 1}
        self.money(f"{payment['id']}.{payment.get('round', 1)}", payment["amount"]["amount"])
        more = {name: payment[name] for name in ("reservationId", "section", "quantity")}
        completed = self.payment_event("PaymentCompleted", payment, cause, attempts=1, **more)
        self.commit({("payments/payment", payment["id"]): payment}, [completed])
        self.tick()
        return completed

    def decline(self, order_id: str, cause: Json, reason: str = "payment-declined") -> Json:
        """The provider says no; returns the PaymentFailed."""
        payment = self.payment(order_id) | {"status": "Failed", "tries": 1}
        failed = self.payment_event("PaymentFailed", payment, cause, attempts=1, reason=reason, returned=False)
        self.commit({("payments/payment", payment["id"]): payment}, [failed])
        self.tick()
        return failed

    def again(self, order_id: str) -> None:
        """A new round of charging begins."""
        before = self.payment(order_id)
        payment = before | {"status": "Pending", "round": before.get("round", 1) + 1, "tries": 0}
        self.commit({("payments/payment", payment["id"]): payment})
        self.tick()

    def refund(self, order_id: str, cause: Json) -> Json:
        """The money goes back; returns the PaymentRefunded."""
        payment = self.payment(order_id) | {"refunding": True}
        self.commit({("payments/payment", payment["id"]): payment})
        amount = payment["amount"]["amount"]
        self.money(f"{payment['id']}.{payment.get('round', 1)}", amount, amount)
        back = {name: value for name, value in payment.items() if name != "refunding"} | {"status": "Refunded"}
        refunded = self.payment_event("PaymentRefunded", back, cause)
        self.commit({("payments/payment", payment["id"]): back}, [refunded])
        self.tick()
        return refunded

    # notifications

    def notify(self, kind: str, cause: Json) -> Json:
        """Tell the buyer; returns the NotificationSent."""
        order_id = cause["data"]["orderId"]
        sent = self.notice(order_id, kind, cause)
        id = sent["data"]["notificationId"]
        notification = {
            "id": id,
            "orderId": order_id,
            "concertId": CONCERT,
            "kind": kind,
            "status": "Sent",
            "createdAt": rfc3339(self.now),
            "channel": "log",
        }
        taken = self.taken(order_id)
        if taken is not None:
            notification |= {
                "paymentId": taken["data"]["paymentId"],
                "paid": taken["data"]["amount"],
                "paidAt": taken["time"],
            }
        self.commit({("notifications/notification", id): notification}, [sent])
        self.tick()
        return sent

    def notice(self, order_id: str, kind: str, cause: Json) -> Json:
        of_a_ticket = "ticket-" if cause["data"].get("wasPaid") else ""
        data = {
            "notificationId": f"{of_a_ticket}{kind}-{suffix(order_id)}",
            "orderId": order_id,
            "concertId": CONCERT,
            "kind": kind,
            "channel": "log",
        }
        taken = self.taken(order_id)
        if taken is not None:
            data["paymentId"] = taken["data"]["paymentId"]
        return self.event("NotificationSent", data, cause=cause)

    def taken(self, order_id: str) -> Json | None:
        """The PaymentCompleted of this order, if there is one."""
        events = (*self.logged, *self.outbox)
        return next(
            (each for each in events if each["type"] == "PaymentCompleted" and each["data"]["orderId"] == order_id),
            None,
        )

    # whole lives

    def buy(self, order_id: str, quantity: int = 2) -> Json:
        """From order to ticket; returns the OrderPaid."""
        reserved = self.place(order_id, quantity)
        self.begin(reserved)
        completed = self.charge(order_id, reserved)
        sold = self.sell(order_id, completed)
        paid = self.pay(order_id, sold)
        self.notify("confirmation", paid)
        return paid

    def give_back(self, order_id: str) -> Json:
        """A Paid order is cancelled by its buyer: seats and money go back; returns the OrderCancelled."""
        off = self.cancel(order_id)
        self.release(order_id, "order-cancelled", off, closed=True)
        self.refund(order_id, off)
        self.notify("cancellation", off)
        return off

    def fail(self, order_id: str, quantity: int = 2) -> Json:
        """An order whose payment is declined; returns the OrderCancelled."""
        reserved = self.place(order_id, quantity)
        self.begin(reserved)
        failed = self.decline(order_id, reserved)
        off = self.cancel(order_id, "payment-declined", failed)
        self.release(order_id, "payment-failed", off)
        self.notify("cancellation", off)
        return off

    def pay_late(self, order_id: str, quantity: int = 2) -> Json:
        """Money that comes after the hold has ended gets seats again; returns the OrderPaid."""
        reserved = self.place(order_id, quantity, seconds=1)
        self.begin(reserved)
        completed = self.charge(order_id, reserved)
        self.tick(2)
        paid = self.pay(order_id, self.reseat(order_id, completed))
        self.notify("confirmation", paid)
        return paid

    def pay_too_late(self, order_id: str, quantity: int = 2) -> Json:
        """Money that comes after the hold has ended finds no seats and goes back; returns the OrderCancelled."""
        reserved = self.place(order_id, quantity, seconds=1)
        self.begin(reserved)
        completed = self.charge(order_id, reserved)
        self.tick(2)
        self.release(order_id, "hold-expired")
        refused = self.refuse(order_id, completed)
        off = self.cancel(order_id, "hold-expired", refused)
        self.refund(order_id, refused)
        self.notify("cancellation", off)
        return off

    def pay_at_the_second_try(self, order_id: str) -> Json:
        """A declined payment that is tried anew once the order was given up; returns the OrderPaid."""
        self.fail(order_id)
        self.again(order_id)
        completed = self.charge(order_id, self.found(order_id, "TicketReserved"))
        paid = self.pay(order_id, self.reseat(order_id, completed, round=2))
        self.notify("confirmation", paid)
        return paid

    def regret(self, order_id: str) -> Json:
        """A buyer who cancels while the payment is under way; returns the OrderCancelled."""
        reserved = self.place(order_id)
        self.begin(reserved)
        off = self.cancel(order_id)
        self.release(order_id, "order-cancelled", off, closed=True)
        payment = self.payment(order_id) | {"closing": "order-cancelled", "closed": True}
        self.commit({("payments/payment", payment["id"]): payment})
        del payment["closing"]
        payment["status"] = "Failed"
        reasons = {"reason": "order-cancelled", "returned": False}
        failed = self.payment_event("PaymentFailed", payment, off, attempts=0, **reasons)
        self.commit({("payments/payment", payment["id"]): payment}, [failed])
        self.notify("cancellation", off)
        return off

    # tampering

    def found(self, order_id: str, type: str) -> Json:
        """The order's last logged event of this type."""
        return [each for each in self.logged if each["type"] == type and each["data"].get("orderId") == order_id][-1]

    def forget(self, order_id: str, type: str) -> None:
        """Take an event out of the log, as if it had never been committed."""
        self.logged.remove(self.found(order_id, type))
        self.committed -= 1

    def invent(self, event: Json) -> None:
        """Put an event into the log, as if it had been committed."""
        self.logged.append(event)
        self.committed += 1

    # looking

    def entries(self) -> list[Row]:
        """The log as stored."""
        rows = []
        hash = "0" * 64
        for sequence, event in enumerate(self.logged, 1):
            hash = sha256(hash.encode() + encoded(event)).hexdigest()
            entry = {"sequence": sequence, "receivedAt": rfc3339(self.now), "hash": hash, "event": event}
            if event["id"] in self.marked:
                entry["causeMissing"] = True
            if event["id"] in self.late:
                entry["late"] = True
            rows.append(Row(event["id"], 1, entry))
        return rows

    def snapshot(self) -> MemorySnapshot:
        records = {
            kind: [Row(id, version, doc) for id, (version, doc) in rows.items()] for kind, rows in self.records.items()
        }
        entries = self.entries()
        records["audit/event"] = entries
        if entries:
            last = entries[-1].body
            assert not isinstance(last, bytes)
            records["audit/head"] = [Row("head", 1, {"sequence": last["sequence"], "hash": last["hash"]})]
        return MemorySnapshot(records, self.outbox, list(self.ledger.values()), self.committed)

    def write(self, folder: Path) -> None:
        """Leave the world in a data folder, in the form in which the services keep theirs."""
        folder.mkdir(parents=True, exist_ok=True)
        snapshot = self.snapshot()
        with closing(sqlite3.connect(folder / "cludale.db")) as store, store:
            store.execute("PRAGMA application_id = 1131181412")
            store.execute("PRAGMA user_version = 4")
            store.execute("CREATE TABLE outbox(position INTEGER PRIMARY KEY AUTOINCREMENT, events INTEGER, body BLOB)")
            batch = msgspec.msgpack.encode([("topic", encoded(event)) for event in self.outbox])
            store.execute("INSERT INTO outbox VALUES (?, ?, ?)", (self.committed, len(self.outbox), batch))
            if not self.outbox:
                store.execute("DELETE FROM outbox")
            for kind, rows in snapshot.records.items():
                table = kind.replace("/", "_")
                if kind == "audit/event":
                    log = msgspec.msgpack.encode([(row.id, row.version, encoded(row.body)) for row in rows])
                    store.execute(f"CREATE TABLE {table}(n INTEGER PRIMARY KEY, is_packed INTEGER, body BLOB)")
                    store.execute(f"INSERT INTO {table} VALUES (?, 1, ?)", (len(rows), zlib.compress(log)))
                    continue
                store.execute(f"CREATE TABLE {table}(n INTEGER PRIMARY KEY, id TEXT, version INTEGER, body BLOB)")
                store.executemany(
                    f"INSERT INTO {table}(id, version, body) VALUES (?, ?, ?)",
                    [(row.id, row.version, encoded(row.body)) for row in rows],
                )
        with closing(sqlite3.connect(folder / "simulated-provider.db")) as ledger, ledger:
            ledger.execute("CREATE TABLE charge(key TEXT, captured INTEGER, refunded INTEGER, charges INTEGER)")
            ledger.executemany(
                "INSERT INTO charge VALUES (?, ?, ?, ?)",
                [(line.key, line.captured, line.refunded, line.charges) for line in self.ledger.values()],
            )

    def check(self, **how: Any) -> Report:
        how.setdefault("now", self.now)
        return check(self.snapshot(), **how)


def busy_world(*, watched: bool = False, price: int = PRICE) -> World:
    """One of each life that an order can have, all at their end."""
    world = World(watched=watched, seats=100, price=price)
    world.buy("order-paid")
    world.buy("order-returned")
    world.give_back("order-returned")
    world.fail("order-declined")
    world.pay_late("order-late")
    world.pay_too_late("order-too-late")
    world.pay_at_the_second_try("order-second-try")
    world.pay_at_the_second_try("order-second-thoughts")
    world.give_back("order-second-thoughts")
    world.regret("order-regretted")
    world.hold(None, id="reservation-nobody", seconds=1)
    world.tick(2)
    world.release("order-nobody", "hold-expired")
    return world


def rules(report: Report) -> set[str]:
    """The names of the rules that are broken."""
    return {violation.rule for violation in report.violations}
