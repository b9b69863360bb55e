"""An embedded ticket shop: FastAPI, SQLAlchemy, one SQLite file, one process. README.md says what it promises.

    SHOP_FILE=shop.db uvicorn benchmarks.peers.embedded.shop:app --loop uvloop

A request is a transaction in a thread of the framework's pool. What follows from an order (charge, sale, confirmation)
is done by one more thread, which takes events from the outbox by the batch and logs them.
"""

import asyncio
import hashlib
import json
import os
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from time import monotonic, time
from typing import Annotated, Any
from uuid import uuid4

from fastapi import FastAPI, Header, HTTPException, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection, Index, create_engine, delete, event, func, insert, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HOLD_SECONDS = float(os.environ.get("SHOP_HOLD_SECONDS", "600"))
PROVIDER_ANSWERS = os.environ.get("SHOP_PROVIDER", "answers") == "answers"
"""The simulated payment provider accepts every charge; with SHOP_PROVIDER=silent it accepts none, and holds end."""
BATCH = 200
"""Events that the dispatcher takes in one transaction."""
LOOK_FOR_ENDED_HOLDS_SECONDS = 1.0
BUSY_SECONDS = 30

engine = create_engine(
    f"sqlite:///{os.environ['SHOP_FILE']}", pool_size=48, max_overflow=0, connect_args={"timeout": BUSY_SECONDS}
)
writer = engine.execution_options(writes=True)
buyers = ThreadPoolExecutor(1)
writing = threading.Lock()
"""SQLite has one writer: the others wait here instead of in its busy loop."""
news = threading.Event()
"""There is something in the outbox."""


@event.listens_for(engine, "connect")
def _set_up(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says so, below
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


@event.listens_for(engine, "begin")
def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Base(DeclarativeBase):
    """The tables."""


class Concert(Base):
    """A concert and its seats: what is neither available nor sold is held."""

    __tablename__ = "concerts"
    id: Mapped[str] = mapped_column(primary_key=True)
    total: Mapped[int]
    available: Mapped[int]
    sold: Mapped[int] = mapped_column(default=0)
    price: Mapped[int]
    currency: Mapped[str]


class Order(Base):
    """An order; while it is Reserved, its seats are held until `expires_at` (Unix time)."""

    __tablename__ = "orders"
    id: Mapped[str] = mapped_column(primary_key=True)
    concert_id: Mapped[str]
    user_id: Mapped[str]
    quantity: Mapped[int]
    amount: Mapped[int]
    status: Mapped[str]
    expires_at: Mapped[float]
    __table_args__ = (Index("orders_held", "expires_at", sqlite_where=text("status = 'Reserved'")),)


class Payment(Base):
    """The charge of an order."""

    __tablename__ = "payments"
    order_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str]
    amount: Mapped[int]
    status: Mapped[str]


class Notification(Base):
    """The confirmation of an order."""

    __tablename__ = "notifications"
    order_id: Mapped[str] = mapped_column(primary_key=True)
    sent_at: Mapped[float]


class Outgoing(Base):
    """An event that is not handled and logged yet."""

    __tablename__ = "outbox"
    position: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[str]
    body: Mapped[str]


class Logged(Base):
    """An event in the audit log; `hash` is the SHA-256 of the hash before, the type and the body."""

    __tablename__ = "audit"
    sequence: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[str]
    order_id: Mapped[str] = mapped_column(index=True)
    body: Mapped[str]
    hash: Mapped[str]


class Kept(Base):
    """The answer that a key got."""

    __tablename__ = "answers"
    key: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str]
    body: Mapped[str]


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


@contextmanager
def transaction() -> Iterator[Connection]:
    """The one write transaction at a time; durable when left."""
    with writing, writer.begin() as connection:
        yield connection


def publish(connection: Connection, type_: str, bodies: Sequence[dict[str, Any]]) -> None:
    """Put events of one type into the outbox, in this transaction."""
    if bodies:
        connection.execute(insert(Outgoing), [{"type": type_, "body": json.dumps(body)} for body in bodies])


def charge(connection: Connection, events: Sequence[dict[str, Any]]) -> None:
    """Charge each order that still holds its seats."""
    if not PROVIDER_ANSWERS:
        return
    ids = [each["orderId"] for each in events]
    held = connection.execute(
        select(Order.id, Order.concert_id, Order.quantity, Order.amount).where(
            Order.id.in_(ids), Order.status == "Reserved"
        )
    ).all()
    if not held:
        return
    payments = [
        {"order_id": each.id, "id": f"payment-{uuid4().hex}", "amount": each.amount, "status": "Completed"}
        for each in held
    ]
    connection.execute(insert(Payment), payments)
    publish(
        connection,
        "PaymentCompleted",
        [
            {
                "orderId": each.id, "paymentId": payment["id"], "concertId": each.concert_id,
                "quantity": each.quantity, "amount": each.amount,
            }
            for each, payment in zip(held, payments, strict=True)
        ],
    )  # fmt: skip


def sell(connection: Connection, events: Sequence[dict[str, Any]]) -> None:
    """The seats are sold and the order is paid; a charge whose hold ended meanwhile is given back."""
    ids = [each["orderId"] for each in events]
    paid = set(
        connection.scalars(
            update(Order).where(Order.id.in_(ids), Order.status == "Reserved").values(status="Paid").returning(Order.id)
        )
    )
    sold: Counter[str] = Counter()
    for each in events:
        if each["orderId"] in paid:
            sold[each["concertId"]] += each["quantity"]
    for concert_id, quantity in sold.items():
        connection.execute(update(Concert).where(Concert.id == concert_id).values(sold=Concert.sold + quantity))
    publish(connection, "OrderPaid", [{"orderId": id} for id in ids if id in paid])
    if late := [id for id in ids if id not in paid]:
        connection.execute(update(Payment).where(Payment.order_id.in_(late)).values(status="Refunded"))
        publish(connection, "PaymentRefunded", [{"orderId": id} for id in late])


def confirm(connection: Connection, events: Sequence[dict[str, Any]]) -> None:
    """Note each order's confirmation."""
    now = time()
    connection.execute(insert(Notification), [{"order_id": each["orderId"], "sent_at": now} for each in events])
    publish(connection, "NotificationSent", [{"orderId": each["orderId"]} for each in events])


HANDLERS: dict[str, Callable[[Connection, Sequence[dict[str, Any]]], None]] = {
    "TicketReserved": charge,
    "PaymentCompleted": sell,
    "OrderPaid": confirm,
}


def dispatch(head: str) -> tuple[int, str]:
    """Handle and log what waits in the outbox, one batch in one transaction; how many, and the log's new head."""
    with engine.connect() as connection:
        waiting = connection.execute(
            select(Outgoing.position, Outgoing.type, Outgoing.body).order_by(Outgoing.position).limit(BATCH)
        ).all()
    if not waiting:
        return 0, head
    by_type: dict[str, list[dict[str, Any]]] = defaultdict(list)
    rows = []
    for _, type_, text_ in waiting:
        body = json.loads(text_)
        by_type[type_].append(body)
        head = hashlib.sha256(f"{head}{type_}{text_}".encode()).hexdigest()
        rows.append({"type": type_, "order_id": body["orderId"], "body": text_, "hash": head})
    with transaction() as connection:
        for type_, events in by_type.items():
            if type_ in HANDLERS:
                HANDLERS[type_](connection, events)
        connection.execute(insert(Logged), rows)
        connection.execute(delete(Outgoing).where(Outgoing.position <= waiting[-1].position))
    return len(waiting), head


def end_holds() -> None:
    """Give back the seats of orders that were not paid in time."""
    with engine.connect() as connection:
        due = select(Order.id).where(Order.status == "Reserved", Order.expires_at <= time()).limit(1)
        if connection.scalar(due) is None:
            return
    with transaction() as connection:
        ended = connection.execute(
            update(Order)
            .where(Order.status == "Reserved", Order.expires_at <= time())
            .values(status="Expired")
            .returning(Order.id, Order.concert_id, Order.quantity)
        ).all()
        back: Counter[str] = Counter()
        for each in ended:
            back[each.concert_id] += each.quantity
        for concert_id, quantity in back.items():
            connection.execute(
                update(Concert).where(Concert.id == concert_id).values(available=Concert.available + quantity)
            )
        publish(connection, "OrderExpired", [{"orderId": each.id} for each in ended])


def work(ending: threading.Event) -> None:
    """The dispatcher: handle events and end holds until the process ends; what is left goes on at the next start."""
    with engine.connect() as connection:
        head = connection.scalar(select(Logged.hash).order_by(Logged.sequence.desc()).limit(1)) or ""
    looked = 0.0
    while not ending.is_set():
        if monotonic() - looked >= LOOK_FOR_ENDED_HOLDS_SECONDS:
            looked = monotonic()
            end_holds()
        news.clear()
        count, head = dispatch(head)
        if not count:
            news.wait(LOOK_FOR_ENDED_HOLDS_SECONDS)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Make the tables, and dispatch meanwhile."""
    Base.metadata.create_all(writer)
    ending = threading.Event()
    dispatcher = threading.Thread(target=work, args=(ending,))
    dispatcher.start()
    yield
    ending.set()
    news.set()
    dispatcher.join()
    engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    """Is it there?"""
    return {"status": "ready"}


@app.get("/outbox")
def outbox() -> dict[str, int]:
    """How many events are logged, and whether any wait (0 or 1)."""
    with engine.connect() as connection:
        waiting = connection.scalar(select(Outgoing.position).limit(1)) is not None
        return {"waiting": int(waiting), "logged": connection.scalar(select(func.max(Logged.sequence))) or 0}


@app.post("/concerts", status_code=201)
def put_on(wanted: ConcertWanted) -> dict[str, str]:
    """Put a concert on."""
    concert_id = f"concert-{uuid4().hex}"
    with transaction() as connection:
        connection.execute(
            insert(Concert).values(
                id=concert_id, total=wanted.totalSeats, available=wanted.totalSeats,
                price=wanted.price.amount, currency=wanted.price.currency,
            )
        )  # fmt: skip
    return {"id": concert_id}


@app.get("/concerts/{concert_id}")
def show_concert(concert_id: str) -> dict[str, int]:
    """How its sale stands: seats, and orders that are paid and that are confirmed."""
    with engine.connect() as connection:
        concert = connection.execute(select(Concert).where(Concert.id == concert_id)).one_or_none()
        if concert is None:
            raise HTTPException(404, "no such concert")
        paid = select(func.count()).where(Order.concert_id == concert_id, Order.status == "Paid")
        confirmed = (
            select(func.count())
            .select_from(Notification)
            .join(Order, Order.id == Notification.order_id)
            .where(Order.concert_id == concert_id)
        )
        return {
            "availableSeats": concert.available,
            "heldSeats": concert.total - concert.available - concert.sold,
            "soldSeats": concert.sold,
            "paidOrders": connection.scalar(paid) or 0,
            "confirmedOrders": connection.scalar(confirmed) or 0,
        }


@app.post("/orders")
async def place(wanted: OrderWanted, idempotency_key: Annotated[str | None, Header(max_length=255)] = None) -> Response:
    """Hold seats and take the order, both or neither; the same answer again for the same key."""
    return await asyncio.get_running_loop().run_in_executor(buyers, _place, wanted, idempotency_key)


def _place(wanted: OrderWanted, idempotency_key: str | None) -> Response:
    asked = wanted.model_dump_json()
    order_id, expires_at = f"order-{uuid4().hex}", time() + HOLD_SECONDS
    with transaction() as connection:
        if idempotency_key is not None:
            kept = connection.execute(select(Kept.request, Kept.body).where(Kept.key == idempotency_key)).one_or_none()
            if kept is not None:
                return _problem(422, "the key came with another body") if kept.request != asked else _created(kept.body)
        price = connection.scalar(
            update(Concert)
            .where(Concert.id == wanted.concertId, Concert.available >= wanted.quantity)
            .values(available=Concert.available - wanted.quantity)
            .returning(Concert.price)
        )
        if price is None:
            return _problem(409, "not enough seats")
        amount = price * wanted.quantity
        connection.execute(
            insert(Order).values(
                id=order_id, concert_id=wanted.concertId, user_id=wanted.userId, quantity=wanted.quantity,
                amount=amount, status="Reserved", expires_at=expires_at,
            )
        )  # fmt: skip
        publish(
            connection,
            "TicketReserved",
            [{"orderId": order_id, "concertId": wanted.concertId, "quantity": wanted.quantity, "amount": amount}],
        )
        body = json.dumps(
            {
                "id": order_id, "concertId": wanted.concertId, "userId": wanted.userId, "quantity": wanted.quantity,
                "status": "Reserved", "amount": amount, "expiresAt": expires_at,
            }
        )  # fmt: skip
        if idempotency_key is not None:
            connection.execute(insert(Kept).values(key=idempotency_key, request=asked, body=body))
    news.set()
    return _created(body)


@app.get("/orders/{order_id}")
def show_order(order_id: str) -> dict[str, str | int]:
    """How an order stands."""
    with engine.connect() as connection:
        order = connection.execute(select(Order).where(Order.id == order_id)).one_or_none()
    if order is None:
        raise HTTPException(404, "no such order")
    return {"id": order.id, "status": order.status, "quantity": order.quantity, "amount": order.amount}


def _created(body: str) -> Response:
    return Response(body, 201, media_type="application/json")


def _problem(status: int, title: str) -> Response:
    return Response(json.dumps({"title": title, "status": status}), status, media_type="application/problem+json")
