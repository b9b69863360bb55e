"""The textbook's ticket shop: FastAPI, SQLAlchemy, PostgreSQL. What many would write, and write well.

A reservation is one transaction: one UPDATE that takes the seats if there are enough, one INSERT of the event into the
outbox. So nothing is oversold, and no event is lost. Nobody publishes the outbox here: that would only cost it time.

    TEXTBOOK_DATABASE_URL=postgresql+asyncpg://… uvicorn benchmarks.peers.textbook.shop:app --loop uvloop
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import JSON, BigInteger, Identity, insert, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HOLD = timedelta(minutes=10)
POOL = int(os.environ.get("TEXTBOOK_POOL", "16"))
"""Connections. All buyers wait for the one row; more connections only wait in the database instead of here."""

engine = create_async_engine(os.environ["TEXTBOOK_DATABASE_URL"], pool_size=POOL, max_overflow=0, pool_timeout=30)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The tables."""


class Concert(Base):
    """A concert and how many seats are left."""

    __tablename__ = "concerts"
    id: Mapped[str] = mapped_column(primary_key=True)
    total: Mapped[int]
    available: Mapped[int]


class Outgoing(Base):
    """An event that is to be published."""

    __tablename__ = "outbox"
    position: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    type: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(JSON)


class ConcertRequest(BaseModel):
    """A concert to be."""

    totalSeats: int = Field(ge=1)  # noqa: N815 - as on the wire


class HoldRequest(BaseModel):
    """Seats to be held."""

    quantity: int = Field(ge=1, le=8)


class Reservation(BaseModel):
    """Seats that are held."""

    id: str
    concertId: str  # noqa: N815 - as on the wire
    quantity: int
    status: str
    expiresAt: datetime  # noqa: N815 - as on the wire


async def session() -> AsyncIterator[AsyncSession]:
    """One transaction for each request."""
    async with sessions() as each, each.begin():
        yield each


Session = Annotated[AsyncSession, Depends(session, scope="function")]
"""The transaction is committed before the answer is sent."""


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Make the tables."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    """Is it there?"""
    return {"status": "ready"}


@app.post("/concerts", status_code=201)
async def put_on(request: ConcertRequest, session: Session) -> dict[str, str]:
    """Put a concert on."""
    concert = Concert(id=f"concert-{uuid4().hex}", total=request.totalSeats, available=request.totalSeats)
    session.add(concert)
    return {"id": concert.id}


@app.get("/concerts/{concert_id}")
async def show(concert_id: str, session: Session) -> dict[str, int]:
    """How many seats are held."""
    concert = await session.get_one(Concert, concert_id)
    return {"heldSeats": concert.total - concert.available}


@app.post("/concerts/{concert_id}/reserve", status_code=201)
async def reserve(concert_id: str, request: HoldRequest, session: Session) -> Reservation:
    """Hold seats, all or none."""
    reservation = Reservation(
        id=f"reservation-{uuid4().hex}",
        concertId=concert_id,
        quantity=request.quantity,
        status="Held",
        expiresAt=datetime.now(UTC) + HOLD,
    )
    body = reservation.model_dump(mode="json")
    # the row's lock is held from the UPDATE to the commit: so the UPDATE comes last
    await session.execute(insert(Outgoing).values(type="SeatsReserved", body=body))
    taken = await session.execute(
        update(Concert)
        .where(Concert.id == concert_id, Concert.available >= request.quantity)
        .values(available=Concert.available - request.quantity)
        .returning(Concert.available)
    )
    if taken.scalar_one_or_none() is None:
        raise HTTPException(409, "not enough seats")
    return reservation
