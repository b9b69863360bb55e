"""A double of Stripe: the part of its API that is used here, over HTTP, with state. It is no Stripe, it moves no money.

It keeps PaymentIntents, refunds and idempotency keys as Stripe's documentation says, signs its webhooks with code of
its own (the library verifies them), and loses an answer or fails when a test says so.
"""

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.listening import LOOPBACK, listening

SECRET_KEY, WEBHOOK_SECRET = "sk_test_of_no_account", "whsec_of_no_account"
DECLINES = {
    "pm_card_visa_chargeDeclined": "generic_decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
}
GOOD = ("pm_card_visa", "pm_card_mastercard")
ASKS, SLOW = "pm_card_authenticationRequired", "pm_double_processing"
"""One wants its owner to be asked; one takes a while (a name of the double's own)."""


class StripeDouble:
    """State, and what tests do to it."""

    def __init__(self, *, secret_key: str = SECRET_KEY) -> None:
        self._secret_key = secret_key
        self.url = ""
        self.intents: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.created = int(time.time())
        """When what is made now was made."""
        self.is_searchable = True
        """Does the search know everything? Stripe's is minutes behind."""
        self._kept: dict[str, tuple[str, int, Any]] = {}
        self._next: list[tuple[str, str]] = []

    # -- what tests do

    def lose_answer(self, path: str) -> None:
        """The next request that has this in its path is done, and its connection is closed without an answer."""
        self._next.append((path, "lose"))

    def fail(self, path: str) -> None:
        """The next such request is answered 500, and not done; its idempotency key keeps that."""
        self._next.append((path, "fail"))

    def forget_keys(self) -> None:
        """A day goes by: idempotency keys are forgotten."""
        self._kept.clear()

    def buyer_pays(self, client_secret: str, method: str = "pm_card_visa") -> None:
        """What Stripe's library does in the buyer's client, and the buyer in its form."""
        (intent,) = (each for each in self.intents.values() if each["client_secret"] == client_secret)
        self._attempt(intent, method)

    def settles(self, id: str, *, well: bool = True) -> None:
        """The bank or the buyer of an intent that waits has decided."""
        intent = self.intents[id]
        if well:
            self._take(intent)
        else:
            self._decline(intent, "generic_decline")

    def by_key(self, key: str) -> list[dict[str, Any]]:
        """The intents with this key of ours."""
        return [each for each in self.intents.values() if each["metadata"].get("cludale_key") == key]

    def event(self, intent: Mapping[str, Any], type: str = "payment_intent.succeeded") -> tuple[bytes, str]:
        """A message about an intent, and the header with its signature."""
        body = json.dumps(
            {
                "id": f"evt_{len(self.requests)}",
                "object": "event",
                "api_version": "2026-10-28.endive",
                "type": type,
                "created": int(time.time()),
                "data": {"object": self._shown(intent, expand=False)},
            }
        ).encode()
        return body, signed(body)

    # -- what it does

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any, bool, str]:
        """Status, JSON, whether it was kept, and what a test has in store for it."""
        split = urlsplit(target)
        path = unquote(split.path)
        self.requests.append((method, path))
        if headers.get("authorization") != f"Bearer {self._secret_key}":
            return 401, _error("invalid_request_error", "api_key_invalid", "no such key"), False, ""
        params = _nested(parse_qsl(split.query) + parse_qsl(body.decode()))
        key = headers.get("idempotency-key") if method == "POST" else None
        asked = f"{method} {target} {body.decode()}"
        if key is not None and key in self._kept:
            first, status, kept = self._kept[key]
            if first != asked:
                return 400, _error("idempotency_error", None, "this key was used with other parameters"), False, ""
            return status, kept, True, self._stored(path)
        stored = self._stored(path)
        if stored == "fail":
            status, result = 500, _error("api_error", None, "something is wrong")
        else:
            status, result = self._done(method, path, params)
        result = json.loads(json.dumps(result))  # as it is now
        if key is not None and status != 429:
            self._kept[key] = (asked, status, result)
        return status, result, False, stored

    def _stored(self, path: str) -> str:
        found = next((each for each in self._next if each[0] in path), None)
        if found is None:
            return ""
        self._next.remove(found)
        return found[1]

    def _done(self, method: str, path: str, params: dict[str, Any]) -> tuple[int, Any]:  # noqa: PLR0911 - a case each
        match method, path.strip("/").split("/")[1:]:
            case "POST", ["payment_intents"]:
                return self._make(params)
            case "GET", ["payment_intents"]:
                return self._list(list(reversed(self.intents.values())), params)
            case "GET", ["payment_intents", "search"]:
                found = re.search(r':"([^"]+)"', params["query"])
                all = self.by_key(found[1] if found else "") if self.is_searchable else []
                return 200, {"object": "search_result", "data": [self._shown(each) for each in all], "has_more": False}
            case "GET", ["payment_intents", id] if id in self.intents:
                return 200, self._shown(self.intents[id])
            case "POST", ["payment_intents", id, "confirm"] if id in self.intents:
                return self._confirm(self.intents[id], params)
            case "POST", ["payment_intents", id, "cancel"] if id in self.intents:
                return self._cancel(self.intents[id])
            case "POST", ["refunds"]:
                return self._refund(params)
            case "GET", ["refunds"]:
                all = [each for each in self.refunds.values() if each["payment_intent"] == params["payment_intent"]]
                return self._list(list(reversed(all)), params)
        return 404, _error("invalid_request_error", "resource_missing", f"no such thing: {path}")

    def _make(self, params: dict[str, Any]) -> tuple[int, Any]:
        amount = int(params["amount"])
        if amount < 50 and params["currency"] == "eur":
            return 400, _error("invalid_request_error", "amount_too_small", "at least 0.50")
        id = f"pi_{len(self.intents) + 1:06}"
        self.intents[id] = {
            "id": id,
            "object": "payment_intent",
            "amount": amount,
            "amount_received": 0,
            "currency": params["currency"],
            "status": "requires_payment_method",
            "metadata": params.get("metadata", {}),
            "client_secret": f"{id}_secret_{hashlib.sha256(id.encode()).hexdigest()[:12]}",
            "created": self.created,
            "last_payment_error": None,
            "returned": 0,
        }
        return 200, self._shown(self.intents[id], expand=False)

    def _confirm(self, intent: dict[str, Any], params: dict[str, Any]) -> tuple[int, Any]:
        if intent["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
            return 400, _error("invalid_request_error", "payment_intent_unexpected_state", intent["status"])
        method = params["payment_method"]
        if method not in (*GOOD, *DECLINES, ASKS, SLOW):
            return 400, _error("invalid_request_error", "resource_missing", "no such PaymentMethod")
        self._attempt(intent, method)
        if intent["last_payment_error"] is not None:
            return 402, {"error": {**intent["last_payment_error"], "payment_intent": self._shown(intent)}}
        return 200, self._shown(intent, expand=False)

    def _attempt(self, intent: dict[str, Any], method: str) -> None:
        intent["last_payment_error"] = None
        if method in DECLINES:
            self._decline(intent, DECLINES[method])
        elif method == ASKS:
            intent["status"] = "requires_action"
        elif method == SLOW:
            intent["status"] = "processing"
        else:
            self._take(intent)

    def _take(self, intent: dict[str, Any]) -> None:
        intent.update(status="succeeded", amount_received=intent["amount"])

    def _decline(self, intent: dict[str, Any], code: str) -> None:
        error = {"type": "card_error", "code": "card_declined", "decline_code": code, "message": "Your card, Ada Lark…"}
        intent.update(status="requires_payment_method", last_payment_error=error)

    def _cancel(self, intent: dict[str, Any]) -> tuple[int, Any]:
        if intent["status"] in ("succeeded", "canceled", "processing"):
            return 400, _error("invalid_request_error", "payment_intent_unexpected_state", intent["status"])
        intent["status"] = "canceled"
        return 200, self._shown(intent, expand=False)

    def _refund(self, params: dict[str, Any]) -> tuple[int, Any]:
        intent = self.intents.get(params["payment_intent"])
        if intent is None or intent["status"] != "succeeded":
            return 400, _error("invalid_request_error", "resource_missing", "no such charge")
        left = intent["amount_received"] - intent["returned"]
        amount = int(params.get("amount", left))
        if left == 0:
            return 400, _error("invalid_request_error", "charge_already_refunded", "it went back before")
        if amount > left:
            return 400, _error("invalid_request_error", None, "more than is left")
        id = f"re_{len(self.refunds) + 1:06}"
        self.refunds[id] = {
            "id": id,
            "object": "refund",
            "amount": amount,
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "metadata": params.get("metadata", {}),
            "status": "succeeded",
            "created": self.created,
        }
        intent["returned"] += amount
        return 200, self.refunds[id]

    def lose_refund(self, id: str) -> None:
        """The bank sends a refund back: Stripe has the money again."""
        refund = self.refunds[id]
        refund["status"] = "failed"
        self.intents[refund["payment_intent"]]["returned"] -= refund["amount"]

    def _list(self, all: list[dict[str, Any]], params: dict[str, Any]) -> tuple[int, Any]:
        created = params.get("created", {})
        least, most = int(created.get("gte", 0)), int(created.get("lt", 2**62))
        found = [each for each in all if least <= each["created"] < most]
        if (after := params.get("starting_after")) is not None:
            ids = [each["id"] for each in found]
            found = found[ids.index(after) + 1 :]
        limit = int(params.get("limit", 10))
        data = [self._shown(each) if each["object"] == "payment_intent" else each for each in found[:limit]]
        return 200, {"object": "list", "url": "/v1", "data": data, "has_more": len(found) > limit}

    def _shown(self, intent: Mapping[str, Any], *, expand: bool = True) -> dict[str, Any]:
        shown = {name: value for name, value in intent.items() if name != "returned"}
        charge_id = f"ch_{intent['id']}"
        charge = {"id": charge_id, "object": "charge", "amount_refunded": intent["returned"]}
        shown["latest_charge"] = None if not intent["amount_received"] else charge if expand else charge_id
        return shown


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, at: int | None = None) -> str:
    """The Stripe-Signature header, by its documentation: HMAC-SHA256 of time and body."""
    at = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def _error(type: str, code: str | None, message: str) -> dict[str, Any]:
    return {"error": {"type": type, "code": code, "message": message}}


def _nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`metadata[a]=b` → {"metadata": {"a": "b"}}; what is a list keeps its last item."""
    params: dict[str, Any] = {}
    for name, value in pairs:
        outer, *inner = name.replace("]", "").split("[")
        if inner:
            params.setdefault(outer, {})[inner[0]] = value
        else:
            params[outer] = value
    return params


@asynccontextmanager
async def running_double(*, secret_key: str = SECRET_KEY) -> AsyncIterator[StripeDouble]:
    """It, at a free port of loopback."""
    double = StripeDouble(secret_key=secret_key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode().strip().split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, result, is_kept, stored = double.answer(method, target, headers, body)
            if stored == "lose":
                break
            data = json.dumps(result).encode()
            replayed = "idempotent-replayed: true\r\n" if is_kept else ""
            writer.write(
                f"HTTP/1.1 {status} Double\r\ncontent-type: application/json\r\nrequest-id: req_double\r\n"
                f"{replayed}content-length: {len(data)}\r\n\r\n".encode()
                + data
            )
            await writer.drain()

    async with listening(serve) as port:
        double.url = f"http://{LOOPBACK}:{port}"
        yield double
