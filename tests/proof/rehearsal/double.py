"""A test double: as much of the platform's API as a rehearsal sees, in memory, able to go wrong on request."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

KEY = "the-organizer"
HAPPY = (
    "OrderPlaced",
    "SeatsReserved",
    "TicketReserved",
    "PaymentCompleted",
    "SeatsSold",
    "OrderPaid",
    "NotificationSent",
    "TicketIssued",
)
DECLINED = (
    "OrderPlaced", "SeatsReserved", "TicketReserved", "PaymentFailed", "OrderCancelled", "SeatsReleased",
    "NotificationSent",
)  # fmt: skip

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Double:
    """The platform's double. Its faults are switched on by their names."""

    def __init__(self, *faults: str) -> None:
        self.faults = frozenset(faults)
        self.concert: dict[str, Any] = {}
        self.sold = 0
        self.requests: list[dict[str, Any]] = []
        self.keys: list[bytes | None] = []
        self.orders: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.audit_asked = 0
        self.moves: list[str] = []
        """What becomes of the first order: its next status each time that somebody asks for orders."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = dict(parse_qsl(scope["query_string"].decode()))
        headers = dict(scope["headers"])
        status, answer = self.answer(scope["method"], scope["path"], asked, body, headers)
        content = json.dumps(answer).encode()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))],
            }
        )
        await send({"type": "http.response.body", "body": content})

    def answer(
        self, method: str, path: str, asked: dict[str, str], body: bytes, headers: dict[bytes, bytes]
    ) -> tuple[int, Any]:
        if (method, path) == ("POST", "/orders"):
            self.keys.append(headers.get(b"idempotency-key"))
            return self.place(json.loads(body))
        public = method == "GET" and path.startswith("/concerts")
        if not public and headers.get(b"authorization") != f"Bearer {KEY}".encode():
            return 401, {"type": "/problems/unauthorized"}
        if (method, path) == ("POST", "/concerts"):
            self.concert = json.loads(body)
            return 201, self.standing()
        return self.look(path, asked)

    def look(self, path: str, asked: dict[str, str]) -> tuple[int, Any]:
        found: tuple[int, Any] = (404, {})
        if path == f"/concerts/{self.concert.get('id')}":
            found = 200, self.standing()
        elif path == "/orders":
            status = asked.get("status")
            if self.orders and self.moves:
                self.orders[0]["status"] = self.moves.pop(0)
            found = self.page([o for o in self.orders if status in (None, o["status"])], asked)
        elif path == "/audit/events":
            self.audit_asked += 1
            late = "audit is late" in self.faults and self.audit_asked < 5
            found = self.page(self.events[: len(self.events) // 2] if late else self.events, asked)
            if "audit is away" in self.faults and self.audit_asked < 6:
                found = 503, {"type": "/problems/no-backend"}
        elif path == "/audit/verify":
            found = 200, {"ok": "chain is broken" not in self.faults, "events": len(self.events), "head": "0" * 64}
        return found

    def place(self, wanted: dict[str, Any]) -> tuple[int, Any]:
        self.requests.append(wanted)
        if "every tenth breaks" in self.faults and len(self.requests) % 10 == 0:
            return 500, {}
        left = self.concert["totalSeats"] - self.sold
        quantity = wanted["quantity"]
        if quantity > left and "oversells" not in self.faults:
            return 409, {"type": "/problems/seats-unavailable", "left": left}
        order = {"id": f"order-{len(self.orders)}", "status": "Paid", "quantity": quantity, "accessToken": "x"}
        if wanted["paymentMethod"] == "card-declined":
            order["status"] = "Cancelled"
        else:
            self.sold += quantity
        if "an order never settles" in self.faults and not self.orders:
            order["status"] = "Reserved"
        self.tell(order)
        if "loses an order" in self.faults and len(self.requests) == 3:
            return 201, {**order, "id": "order-lost"}
        self.orders.append(order)
        return 201, order

    def tell(self, order: dict[str, Any]) -> None:
        cause = None
        for kind in DECLINED if order["status"] == "Cancelled" else HAPPY:
            event_id = f"{order['id']}-{kind}"
            if kind == "OrderPaid" and "loses an event" in self.faults and order["id"] == "order-1":
                cause = event_id
                continue
            self.events.append(
                {
                    "sequence": len(self.events) + 1,
                    "eventId": event_id,
                    "eventType": kind,
                    "correlationId": order["id"],
                    "causationId": cause,
                    "payload": {"quantity": order["quantity"], "something": "else"},
                }
            )
            cause = event_id
        if "audit turns causes round" in self.faults and order["id"] == "order-0":
            self.events[0]["causationId"] = self.events[1]["eventId"]

    def standing(self) -> dict[str, Any]:
        total = self.concert["totalSeats"]
        section = {"id": "general", "totalSeats": total, "availableSeats": total - self.sold}
        return {
            "id": self.concert["id"],
            "totalSeats": total,
            "availableSeats": total - self.sold,
            "heldSeats": 0,
            "soldSeats": self.sold,
            "maxPerOrder": self.concert["maxPerOrder"],
            "sections": [section],
        }

    def page(self, items: list[dict[str, Any]], asked: dict[str, str]) -> tuple[int, Any]:
        after, limit = int(asked.get("after", 0)), int(asked["limit"])
        following = after + limit
        return 200, {"items": items[after:following], "next": str(following) if following < len(items) else None}


@asynccontextmanager
async def running(double: Double) -> AsyncIterator[str]:
    """The double behind a real uvicorn on a free port; its address."""
    server = uvicorn.Server(uvicorn.Config(double, port=0, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving
