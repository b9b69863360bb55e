"""An embedded ticket shop: FastAPI, one SQLite file, one process. README.md says what it promises.

    SHOP_FILE=shop.db uvicorn benchmarks.peers.embedded.shop:app --loop uvloop

All that touches the file runs on one thread with one connection, a transaction at a time: SQLite has one writer, and
who waits for it does so in that thread's queue. Between the requests it takes events from the outbox by the batch:
charge, sale and confirmation follow from them, and the log.
"""

import asyncio
import hashlib
import json
import logging
import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from time import monotonic, time
from typing import Annotated, Any, TypeVar
from uuid import uuid4

from fastapi import FastAPI, Header, HTTPException, Response
from pydantic import BaseModel, Field

HOLD_SECONDS = float(os.environ.get("SHOP_HOLD_SECONDS", "600"))
PROVIDER_ANSWERS = os.environ.get("SHOP_PROVIDER", "answers") == "answers"
"""The simulated payment provider accepts every charge; with SHOP_PROVIDER=silent it accepts none, and holds end."""
BATCH = 1_000
"""Events that are handled in one transaction."""
LOOK_FOR_ENDED_HOLDS_SECONDS = 1.0

TABLES = """
CREATE TABLE IF NOT EXISTS concerts (
    id TEXT PRIMARY KEY, total INTEGER, available INTEGER, sold INTEGER, price INTEGER, currency TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, concert TEXT, user TEXT, quantity INTEGER, amount INTEGER, status TEXT, expires_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_held ON orders (expires_at) WHERE status = 'Reserved';
CREATE TABLE IF NOT EXISTS payments (
    order_id TEXT PRIMARY KEY, id TEXT, amount INTEGER, status TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notifications (order_id TEXT PRIMARY KEY, sent_at REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (position INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT, body TEXT);
CREATE TABLE IF NOT EXISTS audit (sequence INTEGER PRIMARY KEY, type TEXT, order_id TEXT, body TEXT, hash BLOB);
CREATE INDEX IF NOT EXISTS audit_order ON audit (order_id);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, request TEXT, body TEXT) WITHOUT ROWID;
"""
"""An order that is Reserved holds its seats until `expires_at` (Unix time). What is neither available nor sold is held.
A row of `audit` has the SHA-256 of the hash before, its type and its body."""

Body = dict[str, Any]
Row = tuple[Any, ...]
T = TypeVar("T")


class Money(BaseModel):
    """An amount in the currency's minor units."""

    amount: int = Field(ge=0)
    currency: str = Field(pattern="^[A-Z]{3}$")


class ConcertWanted(BaseModel):
    """A concert to be."""

    totalSeats: int = Field(ge=1)  # noqa: N815 - as on the wire
    price: Money


class OrderWanted(BaseModel):
    """An order to be."""

    concertId: str = Field(min_length=1, max_length=64)  # noqa: N815 - as on the wire
    userId: str = Field(min_length=1, max_length=64)  # noqa: N815 - as on the wire
    quantity: int = Field(ge=1, le=8)


class Shop:
    """What is done with the file, on its thread alone."""

    def __init__(self, file: str) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(TABLES)
        last = self._one("SELECT hash FROM audit ORDER BY sequence DESC LIMIT 1")
        self._head: bytes = last[0] if last else b""

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put_on(self, wanted: ConcertWanted) -> str:
        """Put a concert on; its id."""
        concert_id = f"concert-{uuid4().hex}"
        seats, price = wanted.totalSeats, wanted.price
        with self._transaction():
            self._db.execute(
                "INSERT INTO concerts VALUES (?, ?, ?, 0, ?, ?)",
                (concert_id, seats, seats, price.amount, price.currency),
            )
        return concert_id

    def place(self, wanted: OrderWanted, key: str | None) -> tuple[int, str]:
        """Hold seats and take the order, both or neither; the same answer again for the same key. Status and body."""
        asked = wanted.model_dump_json()
        if key is not None:
            kept = self._one("SELECT request, body FROM answers WHERE key = ?", (key,))
            if kept is not None:
                return (201, kept[1]) if kept[0] == asked else (422, "the key came with another body")
        with self._transaction():
            taken = self._one(
                "UPDATE concerts SET available = available - ?1 WHERE id = ?2 AND available >= ?1 RETURNING price",
                (wanted.quantity, wanted.concertId),
            )
            if taken is None:
                return 409, "not enough seats"
            order_id, expires_at = f"order-{uuid4().hex}", time() + HOLD_SECONDS
            amount = taken[0] * wanted.quantity
            self._db.execute(
                "INSERT INTO orders VALUES (?, ?, ?, ?, ?, 'Reserved', ?)",
                (order_id, wanted.concertId, wanted.userId, wanted.quantity, amount, expires_at),
            )
            seats = {"orderId": order_id, "concertId": wanted.concertId, "quantity": wanted.quantity, "amount": amount}
            self._publish("TicketReserved", [seats])
            body = json.dumps({**seats, "userId": wanted.userId, "status": "Reserved", "expiresAt": expires_at})
            if key is not None:
                self._db.execute("INSERT INTO answers VALUES (?, ?, ?)", (key, asked, body))
        return 201, body

    def dispatch(self) -> int:
        """Handle and log what waits in the outbox, one batch in one transaction; how many."""
        waiting = self._db.execute(
            "SELECT position, type, body FROM outbox ORDER BY position LIMIT ?", (BATCH,)
        ).fetchall()
        by_type: dict[str, list[Body]] = defaultdict(list)
        logged = []
        head = self._head
        for _, type_, text in waiting:
            body = json.loads(text)
            by_type[type_].append(body)
            head = hashlib.sha256(head + type_.encode() + text.encode()).digest()
            logged.append((type_, body["orderId"], text, head))
        if logged:
            handlers: dict[str, Callable[[Sequence[Body]], None]] = {
                "TicketReserved": self._charge, "PaymentCompleted": self._sell, "OrderPaid": self._confirm,
            }  # fmt: skip
            with self._transaction():
                for type_, events in by_type.items():
                    if type_ in handlers:
                        handlers[type_](events)
                self._db.executemany("INSERT INTO audit (type, order_id, body, hash) VALUES (?, ?, ?, ?)", logged)
                self._db.execute("DELETE FROM outbox WHERE position <= ?", (waiting[-1][0],))
            self._head = head
        return len(logged)

    def end_holds(self) -> None:
        """Give back the seats of orders that were not paid in time."""
        now = time()
        if self._one("SELECT 1 FROM orders WHERE status = 'Reserved' AND expires_at <= ? LIMIT 1", (now,)) is None:
            return
        with self._transaction():
            ended = self._db.execute(
                "UPDATE orders SET status = 'Expired' WHERE status = 'Reserved' AND expires_at <= ?"
                " RETURNING id, concert, quantity",
                (now,),
            ).fetchall()
            back: Counter[str] = Counter()
            for _, concert_id, quantity in ended:
                back[concert_id] += quantity
            self._db.executemany("UPDATE concerts SET available = available + ?2 WHERE id = ?1", list(back.items()))
            self._publish("OrderExpired", [{"orderId": order_id} for order_id, _, _ in ended])

    def outbox(self) -> Body:
        """How many events are logged, and whether any wait (0 or 1)."""
        logged, waiting = self._db.execute(
            "SELECT (SELECT coalesce(max(sequence), 0) FROM audit), EXISTS (SELECT 1 FROM outbox)"
        ).fetchone()
        return {"logged": logged, "waiting": waiting}

    def concert(self, concert_id: str) -> Body | None:
        """How its sale stands: seats, and orders that are paid and that are confirmed."""
        found = self._one("SELECT total, available, sold FROM concerts WHERE id = ?", (concert_id,))
        if found is None:
            return None
        total, available, sold = found
        paid, confirmed = self._db.execute(
            "SELECT count(*), count(order_id) FROM orders LEFT JOIN notifications ON order_id = id"
            " WHERE concert = ? AND status = 'Paid'",
            (concert_id,),
        ).fetchone()
        return {
            "availableSeats": available, "heldSeats": total - available - sold, "soldSeats": sold,
            "paidOrders": paid, "confirmedOrders": confirmed,
        }  # fmt: skip

    def order(self, order_id: str) -> Body | None:
        """How an order stands."""
        found = self._one("SELECT status, quantity, amount FROM orders WHERE id = ?", (order_id,))
        return (
            None
            if found is None
            else {"orderId": order_id} | dict(zip(("status", "quantity", "amount"), found, strict=True))
        )

    def _charge(self, events: Sequence[Body]) -> None:
        """Charge each order; a provider that is silent leaves it to its hold's end."""
        if not PROVIDER_ANSWERS:
            return
        charges = [each | {"paymentId": f"payment-{uuid4().hex}"} for each in events]
        self._db.executemany("INSERT INTO payments VALUES (:orderId, :paymentId, :amount, 'Completed')", charges)
        self._publish("PaymentCompleted", charges)

    def _sell(self, events: Sequence[Body]) -> None:
        """The seats are sold and the order is paid; a charge whose hold ended meanwhile is given back."""
        sold: Counter[str] = Counter()
        paid, late = [], []
        for each in events:
            order_id = each["orderId"]
            changed = self._db.execute(
                "UPDATE orders SET status = 'Paid' WHERE id = ? AND status = 'Reserved'", (order_id,)
            ).rowcount
            if changed:
                sold[each["concertId"]] += each["quantity"]
            (paid if changed else late).append({"orderId": order_id})
        self._db.executemany("UPDATE concerts SET sold = sold + ?2 WHERE id = ?1", list(sold.items()))
        self._db.executemany("UPDATE payments SET status = 'Refunded' WHERE order_id = :orderId", late)
        self._publish("OrderPaid", paid)
        self._publish("PaymentRefunded", late)

    def _confirm(self, events: Sequence[Body]) -> None:
        """Note each order's confirmation."""
        now = time()
        self._db.executemany("INSERT INTO notifications VALUES (?, ?)", [(each["orderId"], now) for each in events])
        self._publish("NotificationSent", [{"orderId": each["orderId"]} for each in events])

    def _publish(self, type_: str, bodies: Sequence[Body]) -> None:
        """Put events of one type into the outbox, in this transaction."""
        rows = [(type_, json.dumps(body)) for body in bodies]
        self._db.executemany("INSERT INTO outbox (type, body) VALUES (?, ?)", rows)

    def _one(self, statement: str, values: Sequence[object] = ()) -> Row | None:
        found: Row | None = self._db.execute(statement, values).fetchone()
        return found

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, durable when left."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


thread = ThreadPoolExecutor(1, thread_name_prefix="shop")
news = asyncio.Event()
"""There is something in the outbox."""


async def on_thread(do: Callable[..., T], *arguments: object) -> T:
    """Have the file's thread do something."""
    return await asyncio.get_running_loop().run_in_executor(thread, do, *arguments)


async def work(shop: Shop) -> None:
    """Handle events and end holds until it is cancelled; what is left goes on at the next start."""
    looked = 0.0
    while True:
        news.clear()
        try:
            if monotonic() - looked >= LOOK_FOR_ENDED_HOLDS_SECONDS:
                looked = monotonic()
                await on_thread(shop.end_holds)
            count = await on_thread(shop.dispatch)
        except sqlite3.OperationalError:  # such as a full disk: nothing of the batch is done, so it is tried again
            logging.getLogger(__name__).exception("the outbox could not be dispatched")
            await asyncio.sleep(LOOK_FOR_ENDED_HOLDS_SECONDS)
            continue
        if not count:
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOK_FOR_ENDED_HOLDS_SECONDS)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the file, and dispatch meanwhile."""
    app.state.shop = shop = await on_thread(Shop, os.environ["SHOP_FILE"])
    dispatcher = asyncio.create_task(work(shop))
    yield
    dispatcher.cancel()
    with suppress(asyncio.CancelledError):
        await dispatcher
    await on_thread(shop.close)


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    """Is it there?"""
    return {"status": "ready"}


@app.get("/outbox")
async def outbox() -> Body:
    """How many events are logged, and whether any wait (0 or 1)."""
    return await on_thread(app.state.shop.outbox)


@app.post("/concerts", status_code=201)
async def put_on(wanted: ConcertWanted) -> dict[str, str]:
    """Put a concert on."""
    return {"id": await on_thread(app.state.shop.put_on, wanted)}


@app.get("/concerts/{concert_id}")
async def show_concert(concert_id: str) -> Body:
    """How its sale stands."""
    return _found(await on_thread(app.state.shop.concert, concert_id))


@app.post("/orders")
async def place(wanted: OrderWanted, idempotency_key: Annotated[str | None, Header(max_length=255)] = None) -> Response:
    """Hold seats and take the order."""
    status, said = await on_thread(app.state.shop.place, wanted, idempotency_key)
    if status != 201:
        problem = json.dumps({"title": said, "status": status})
        return Response(problem, status, media_type="application/problem+json")
    news.set()
    return Response(said, status, media_type="application/json")


@app.get("/orders/{order_id}")
async def show_order(order_id: str) -> Body:
    """How an order stands."""
    return _found(await on_thread(app.state.shop.order, order_id))


def _found(body: Body | None) -> Body:
    if body is None:
        raise HTTPException(404, "there is none of that id")
    return body
