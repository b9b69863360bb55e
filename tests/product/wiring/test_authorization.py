"""The authorization matrix, every cell of it, against the real app: each route, whoever asks, whosever it is."""

import asyncio
import csv
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.product.wiring.authorization import BY_THE_SIDECAR, MATRIX, REPORT, SWITCH, Row
from tests.product.wiring.organizers import FIRST_KEY, Office, office
from tests.product.wiring.platforms import BEHIND_A_SIDECAR, settings

from cludale.kernel.principals import Scope
from cludale.services import NAMES
from cludale.web.access import Access
from cludale.web.app import WebApp
from cludale.web.routing import Credential, Owned
from cludale.web.service_keys import ServiceKeys, keys_from
from cludale.wiring.platform import Platform
from cludale.wiring.services import described


class Caller(NamedTuple):
    """Who asks: what they show, and what that should open."""

    name: str
    credential: str | None
    scopes: frozenset[Scope] = frozenset()
    is_acmes: bool = False
    only_concert: str | None = None
    """`ours`, or another one of acme's."""
    opens_orders: bool = False
    """It is the token of the orders that are asked for; that they are two, the test sees to."""
    is_service: bool = False
    is_session: bool = False
    """Somebody who is signed in."""


def expected(row: Row, caller: Caller) -> int:
    """The status that the matrix says."""
    if _is_opened_without_a_key(row, caller):
        return row.opens
    if row.credential is Credential.SESSION:
        return row.opens if caller.is_session else 401
    if not caller.scopes or row.scope is None:
        return 404 if row.credential is Credential.BUYER else 401
    if not {row.scope, row.also or row.scope} <= caller.scopes or (
        row.owned is Owned.MADE and caller.only_concert is not None
    ):
        return 403
    is_own = caller.is_acmes and caller.only_concert in (None, "ours")
    return 404 if row.owned is Owned.HIDDEN and not is_own else row.opens


def _is_opened_without_a_key(row: Row, caller: Caller) -> bool:
    return (
        row.credential is Credential.NONE
        or (caller.is_service and bool(row.services))
        or (row.credential is Credential.BUYER and caller.opens_orders)
    )


PRICE = {"amount": 1000, "currency": "EUR"}
INVOICES = {"on": True, "name": "Issuer", "address": "1 Main Street"}
EVERY = [scope.value for scope in Scope if scope is not Scope.OPERATE]
"""All that an organizer's key may open."""


class World(NamedTuple):
    """The office, everyone who may call, and what stands for the placeholders."""

    office: Office
    callers: list[Caller]
    tokens: dict[str, str]
    """Order → its token."""
    names: dict[str, str]


async def _bought_together(here: Office, wanted: dict[str, Any]) -> dict[str, Any]:
    """A cart, once it is paid."""
    cart: dict[str, Any] = (await here.ask("POST", "/orders/carts", None, json=wanted)).json()
    await here.ask("GET", f"/orders/carts/{cart['id']}?wait=10", cart["accessToken"])
    return cart


class Keys(NamedTuple):
    """Acme's keys."""

    acme: str
    only_ours: str
    """For one concert."""
    ended: str


async def _callers(here: Office, keys: Keys, another_buyers: str) -> list[Caller]:
    """Everybody who may ask: with each scope alone, for each organizer and concert, signed in and out."""
    callers = [
        Caller("nobody", None),
        Caller("a wrong key", "key-1.wrong"),
        Caller("a revoked key", keys.ended),
        Caller("the buyer", "(token)", opens_orders=True),
        Caller("another buyer", another_buyers),
        Caller("a service", here.platform.access.services.token("concerts"), is_service=True),
        Caller("the first key", FIRST_KEY, frozenset(Scope)),
        Caller("acme", keys.acme, frozenset(map(Scope, EVERY)), is_acmes=True),
        Caller("acme's one concert", keys.only_ours, frozenset(map(Scope, EVERY)), is_acmes=True, only_concert="ours"),
    ]
    for scope in Scope:
        only = frozenset({scope})
        if scope is Scope.OPERATE:
            callers.append(Caller("operate", await here.new_key(scope), only))
            continue
        for concert in (None, "ours", "ours-too"):
            key = await here.new_key(scope, organizer="acme", **({} if concert is None else {"concertId": concert}))
            callers.append(Caller(f"{scope} of acme, {concert}", key, only, is_acmes=True, only_concert=concert))
        callers.append(Caller(f"{scope} of another", await here.new_key(scope, organizer="other"), only))
    for name, key in (("the first key", FIRST_KEY), ("acme", keys.acme), ("acme's one concert", keys.only_ours)):
        session = await here.sign_in(key)
        known = next(each for each in callers if each.credential == key)
        callers.append(known._replace(name=f"signed in with {name}", credential=session, is_session=True))
    signed_out = await here.sign_in(keys.acme)
    await here.ask("POST", "/concerts/-/session/end", signed_out)
    callers.append(Caller("signed out", signed_out))
    return callers


async def _are_told(here: Office, acme: str, order: str, other: str, given: str) -> None:
    """Wait for what comes of these orders by itself: messages, tickets, invoices and what the log has of them."""
    ours = (f"/notifications?orderId={order}", f"/audit/orders/{order}", f"/orders/invoices?orderId={order}")
    tickets = (f"/tickets?order={order}", f"/tickets?order={given}")
    theirs = (f"/notifications?orderId={other}", f"/audit/orders/{other}", f"/orders/invoices?orderId={other}")
    for key, paths in ((acme, (*ours, *tickets)), (FIRST_KEY, theirs)):
        for path in paths:
            for _ in range(200):
                if (await here.ask("GET", path, key)).json().get("items"):
                    break
                await asyncio.sleep(0.05)


async def _webhooks(here: Office, acme: str) -> str:
    """One of acme's, whose id it is, and one of another's, each with a delivery."""
    ids = []
    for key, concert_id in ((acme, "ours"), (FIRST_KEY, "theirs")):
        hook = {"url": "https://hooks.invalid/", "concertId": concert_id}
        ids.append((await here.ask("POST", "/notifications/webhooks", key, json=hook)).json()["id"])
        await here.ask("POST", f"/notifications/webhooks/{ids[-1]}/ping", key)
    return str(ids[0])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with office(tmp_path) as here:
        acme = await here.new_key(*EVERY, organizer="acme")
        only_ours = await here.new_key(*EVERY, organizer="acme", concertId="ours")
        for id in ("ours", "ours-too"):
            await here.concert(id, acme, price=PRICE, totalSeats=500)
        await here.concert("theirs", price=PRICE)
        for key in (acme, FIRST_KEY):
            assert (await here.ask("PUT", "/orders/invoices/settings", key, json=INVOICES)).status_code == 200
        order, cancelled, given = [await here.order("ours") for _ in range(3)]
        other = await here.order("theirs")
        for concert_id, key in (("ours", acme), ("theirs", FIRST_KEY)):
            at_the_box_office = {"concertId": concert_id, "quantity": 1, "method": "cash"}
            sold = (await here.ask("POST", "/orders/box-office", key, json=at_the_box_office)).json()
            await here.ask("GET", f"/orders/{sold['id']}?wait=10", key)
        lines = {"userId": "u", "lines": [{"concertId": "ours", "quantity": 1}]}
        cart = await _bought_together(here, lines)
        await here.ask("POST", f"/orders/{cancelled['id']}/cancel", cancelled["accessToken"])
        spare = (await here.new_key("read")).partition(".")[0]
        await here.ask("POST", f"/concerts/-/keys/{spare}/revoke")
        ended = await here.new_key(*EVERY, organizer="acme")
        await here.ask("POST", f"/concerts/-/keys/{ended.partition('.')[0]}/revoke")
        callers = await _callers(here, Keys(acme, only_ours, ended), (await here.order("ours"))["accessToken"])
        message = f"confirmation-{order['id'].partition('-')[2]}"
        await _are_told(here, acme, order["id"], other["id"], given["id"])
        reports = {}
        for concert, key in (("ours", acme), ("theirs", FIRST_KEY)):
            wanted = REPORT | {"concertId": concert}
            reports[concert] = (await here.ask("POST", "/orders/reports/schedules", key, json=wanted)).json()
        ticket, on = [f"ticket-{each['id'].partition('-')[2]}.1" for each in (order, given)]
        webhook = await _webhooks(here, acme)
        names = {
            "webhook": webhook,
            "order": order["id"],
            "ticket": ticket,
            "given": on,
            "cancelled": cancelled["id"],
            "cart": cart["id"],
            "message": message,
            "spare": spare,
            "other": other["id"],
            "sold": sold["id"],
            "schedule": reports["ours"]["id"],
            "invoice": f"{order['id']}.invoice",
        }
        tokens = {each["id"]: each["accessToken"] for each in (order, cancelled, cart)}
        tokens |= {ticket: order["accessToken"], on: given["accessToken"]}
        yield World(here, callers, tokens, names)


def filled(value: Any, names: dict[str, str]) -> Any:
    """`value` with what the placeholders stand for."""
    if isinstance(value, dict):
        return {name: filled(each, names) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, names) for each in value]
    for name, meant in names.items() if isinstance(value, str) else ():
        value = value.replace(f"{{{name}}}", meant)
    return value


@pytest.mark.timeout(400)  # among the longest: its file begins early
@pytest.mark.slow
async def test_every_cell_is_as_the_matrix_says(world: World) -> None:
    wrong = []
    for row in MATRIX:
        path = filled(row.asked or row.path, world.names)
        sent = {} if row.body is None else {"json": filled(row.body, world.names)}
        token = next((token for id, token in world.tokens.items() if id in path), "no-token")
        asked_by_head: set[int] = set()
        for caller in world.callers:
            cell = f"{row.method} {row.path}, {caller.name}"
            key = token if caller.opens_orders else caller.credential
            if row.path == "/concerts/-/session/end" and caller.is_session:
                key = await world.office.sign_in_again(key)
            answer = await world.office.ask(row.method, path, key, **sent)
            if answer.status_code != expected(row, caller):
                wrong.append(f"{cell}: {answer.status_code}, not {expected(row, caller)}")
            is_new = answer.status_code not in asked_by_head  # one cell of each status: HEAD goes the way of GET
            if row.method == "GET" and row.credential is not Credential.NONE and is_new:
                asked_by_head.add(answer.status_code)
                head = await world.office.ask("HEAD", path, key)
                if head.status_code != answer.status_code:
                    wrong.append(f"HEAD of {cell}: {head.status_code}, not {answer.status_code}")
            if row.owned is Owned.FILTERED and answer.status_code == 200:
                sees = {_concert_of(each, world) for each in _items(answer)}
                if sees != _seen(caller):
                    wrong.append(f"{cell}: sees {sees}")
    assert not wrong, "\n".join(wrong)


def _items(answer: httpx.Response) -> list[dict[str, Any]]:
    if answer.headers["content-type"].startswith("text/csv"):
        return list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig"), newline="")))
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def _concert_of(item: dict[str, Any], world: World) -> str:
    if "payload" in item:
        return str(item["payload"]["concertId"])
    if "concertId" in item:
        return str(item["concertId"])
    return "theirs" if item["orderId"] in (world.names["other"], world.names["sold"]) else "ours"


def _seen(caller: Caller) -> set[str]:
    if caller.is_acmes:
        return set() if caller.only_concert == "ours-too" else {"ours"}
    return {"theirs"} if caller.name.endswith("the first key") else set()


async def test_the_releases_switch_wants_its_own_scope(tmp_path: Path) -> None:
    async with office(tmp_path, ("concerts",), **BEHIND_A_SIDECAR, service_key="service") as here:
        callers = [
            Caller("nobody", None),
            Caller("a service", "service", is_service=True),
            Caller("the first key", FIRST_KEY, frozenset(Scope)),
            *[Caller(scope, await here.new_key(scope), frozenset({scope})) for scope in Scope],
        ]
        for row in SWITCH:
            for caller in callers:
                sent = {} if row.body is None else {"json": row.body}
                answer = await here.ask(row.method, row.path, caller.credential, **sent)
                assert answer.status_code == expected(row, caller), caller.name


async def test_each_route_has_its_row_and_each_row_its_route(tmp_path: Path) -> None:
    platform = Platform(settings(tmp_path, **BEHIND_A_SIDECAR), ["concerts"])
    try:
        app = WebApp(
            described(), is_ready=lambda: True, gauges=platform.gauges, version="0", internal=platform.internal
        )
        routes = {(each.method, each.path) for each in app.router.endpoints() if each.method not in ("HEAD", "OPTIONS")}
    finally:
        await platform.stop()
    sidecars = {(method, path) for method, path in routes if path.startswith(BY_THE_SIDECAR)}
    assert routes - sidecars == {(row.method, row.path) for row in (*MATRIX, *SWITCH)}


def test_a_service_opens_what_is_for_it_and_nothing_that_is_for_another() -> None:
    keys = keys_from("a secret", NAMES)
    for callee in described():
        access = Access(
            organizer_key="organizer", token_key="tokens", service_keys=[keys[callee.name]], serves=[callee.name]
        )
        for caller in NAMES:
            token = ServiceKeys([keys[caller]]).token(callee.name)
            for route in callee.routes:
                assert access.is_one_of(route.callers, f"Bearer {token}") == (caller in route.callers), route.path


def test_the_routes_say_of_themselves_what_the_matrix_says() -> None:
    rows = {
        (row.method, row.path): (row.credential, row.scope, row.owned, row.services)
        for row in MATRIX
        if row.credential is not Credential.NONE
    }
    routes = {
        (each.method, each.path): (each.credential, each.scope, each.owned, each.callers)
        for service in described()
        for each in service.routes
        if each.credential is not Credential.NONE
    }
    assert routes == rows
