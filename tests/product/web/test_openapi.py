"""The OpenAPI document says what is served: every route of the design, with its answers and its errors."""

from typing import Any

import pytest
from tests.served import Served

from cludale.services import NAMES

FILES = (
    ".pdf",
    ".svg",
    ".png",
    ".csv",
    ".pkpass",
    "/snapshot",
    "/export",
    "/personal",
    "/reports/sales",
    "/reports/till",
    "/files/{token}",
)
"""How the paths end that answer with a file."""

ROUTES = [
    ("post", "/concerts", "organizer"),
    ("get", "/concerts", None),
    ("get", "/concerts/{concert_id}", None),
    ("post", "/concerts/{concert_id}/reserve", "organizer"),
    ("patch", "/concerts/{concert_id}", "organizer"),
    ("post", "/concerts/{concert_id}/postpone", "organizer"),
    ("post", "/concerts/{concert_id}/cancel", "organizer"),
    ("get", "/concerts/{concert_id}/cancellation", "organizer"),
    ("get", "/concerts/{concert_id}/seats", None),
    ("get", "/concerts/{concert_id}/seats/plan", None),
    ("get", "/concerts/{concert_id}/seats/blocked", "organizer"),
    ("post", "/concerts/{concert_id}/seats/block", "organizer"),
    ("post", "/concerts/{concert_id}/seats/unblock", "organizer"),
    ("post", "/concerts/{concert_id}/seats/move", "organizer"),
    ("post", "/concerts/{concert_id}/seats/swap", "organizer"),
    ("post", "/concerts/-/seat-plans", "organizer"),
    ("get", "/concerts/-/seat-plans/{digest}", "organizer"),
    ("post", "/concerts/{concert_id}/codes", "organizer"),
    ("patch", "/concerts/{concert_id}/codes", "organizer"),
    ("get", "/concerts/{concert_id}/codes", "organizer"),
    ("post", "/concerts/{concert_id}/blocks", "organizer"),
    ("patch", "/concerts/{concert_id}/blocks", "organizer"),
    ("post", "/concerts/{concert_id}/blocks/release", "organizer"),
    ("get", "/concerts/{concert_id}/blocks", "organizer"),
    ("get", "/concerts/{concert_id}/waiting-list", "organizer"),
    ("post", "/concerts/{concert_id}/quote", None),
    ("post", "/concerts/-/keys", "organizer"),
    ("get", "/concerts/-/keys", "organizer"),
    ("post", "/concerts/-/keys/{key_id}/revoke", "organizer"),
    ("post", "/concerts/-/keys/{key_id}/rotate", "organizer"),
    ("get", "/concerts/-/sign-in", None),
    ("post", "/concerts/-/sign-in", None),
    ("post", "/concerts/-/sessions", None),
    ("get", "/concerts/-/sessions", "organizer"),
    ("post", "/concerts/-/sessions/{session_id}/end", "organizer"),
    ("get", "/concerts/-/staff", "organizer"),
    ("post", "/concerts/-/staff/{person_id}/end", "organizer"),
    ("get", "/concerts/-/session", "organizer"),
    ("post", "/concerts/-/session/renew", "organizer"),
    ("post", "/concerts/-/session/end", "organizer"),
    ("get", "/concerts/-/session/all", "organizer"),
    ("post", "/concerts/-/session/end-others", "organizer"),
    ("post", "/concerts/-/door/codes", "organizer"),
    ("post", "/concerts/-/door/keys", None),
    ("post", "/orders", None),
    ("post", "/orders/box-office", "organizer"),
    ("post", "/orders/carts", None),
    ("get", "/orders/carts/{cart_id}", "buyer"),
    ("post", "/orders/carts/{cart_id}/cancel", "buyer"),
    ("post", "/orders/carts/{cart_id}/payment", "buyer"),
    ("post", "/orders/guests", "organizer"),
    ("get", "/orders/guests", "organizer"),
    ("post", "/orders/guests/{order_id}/remove", "organizer"),
    ("get", "/orders/{order_id}", "buyer"),
    ("post", "/orders/{order_id}/cancel", "buyer"),
    ("post", "/orders/{order_id}/payment", "buyer"),
    ("patch", "/orders/{order_id}", "buyer"),
    ("post", "/orders/{order_id}/refunds", "buyer"),
    ("post", "/orders/{order_id}/resend", "buyer"),
    ("get", "/orders", "organizer"),
    ("get", "/orders/export", "organizer"),
    ("get", "/orders/export/personal", "organizer"),
    ("get", "/orders/reports/sales", "organizer"),
    ("get", "/orders/reports/till", "organizer"),
    ("get", "/orders/reports/schedules", "organizer"),
    ("post", "/orders/reports/schedules", "organizer"),
    ("post", "/orders/reports/schedules/{schedule_id}/end", "organizer"),
    ("get", "/orders/reports/files/{token}", None),
    ("get", "/orders/{order_id}/invoices", "buyer"),
    ("post", "/orders/{order_id}/invoices", "organizer"),
    ("get", "/orders/invoices", "organizer"),
    ("get", "/orders/invoices/export", "organizer"),
    ("get", "/orders/invoices/settings", "organizer"),
    ("get", "/orders/invoices/offered", None),
    ("put", "/orders/invoices/settings", "organizer"),
    ("get", "/orders/invoices/{invoice_id}", "buyer"),
    ("get", "/orders/invoices/{invoice_id}.pdf", "buyer"),
    ("post", "/orders/-/buyers/export", "organizer"),
    ("post", "/orders/-/buyers/erase", "organizer"),
    ("post", "/payments", "organizer"),
    ("get", "/payments", "organizer"),
    ("get", "/payments/{order_id}/action", "buyer"),
    ("post", "/payments/reconciliations", "organizer"),
    ("get", "/payments/reconciliations", "organizer"),
    ("get", "/payments/reconciliations/{reconciliation_id}", "organizer"),
    ("get", "/payments/differences", "organizer"),
    ("post", "/payments/differences/{difference_id}/settle", "organizer"),
    ("get", "/notifications", "organizer"),
    ("post", "/notifications/retry", "organizer"),
    ("get", "/notifications/webhook-event-types", "organizer"),
    ("post", "/notifications/webhooks", "organizer"),
    ("get", "/notifications/webhooks", "organizer"),
    ("get", "/notifications/webhooks/{webhook_id}", "organizer"),
    ("patch", "/notifications/webhooks/{webhook_id}", "organizer"),
    ("delete", "/notifications/webhooks/{webhook_id}", "organizer"),
    ("post", "/notifications/webhooks/{webhook_id}/rotate", "organizer"),
    ("post", "/notifications/webhooks/{webhook_id}/ping", "organizer"),
    ("get", "/notifications/webhook-deliveries", "organizer"),
    ("get", "/notifications/webhook-deliveries/{delivery_id}", "organizer"),
    ("post", "/notifications/webhook-deliveries/resend", "organizer"),
    ("post", "/notifications/bounces", "organizer"),
    ("get", "/notifications/settings", "organizer"),
    ("post", "/notifications/settings", "organizer"),
    ("get", "/notifications/templates", "organizer"),
    ("get", "/notifications/templates/{template_id}", "organizer"),
    ("post", "/notifications/templates/{template_id}", "organizer"),
    ("post", "/notifications/templates/{template_id}/reset", "organizer"),
    ("post", "/notifications/templates/{template_id}/preview", "organizer"),
    ("get", "/tickets", "buyer"),
    ("get", "/tickets/keys", None),
    ("post", "/tickets/admissions", "organizer"),
    ("get", "/tickets/admissions", "organizer"),
    ("post", "/tickets/admissions/merge", "organizer"),
    ("get", "/tickets/admissions/conflicts", "organizer"),
    ("get", "/tickets/snapshot", "organizer"),
    ("get", "/tickets/inside", "organizer"),
    ("get", "/tickets/inside.csv", "organizer"),
    ("post", "/tickets/{ticket_id}/undo", "organizer"),
    ("post", "/tickets/{ticket_id}/transfer", "buyer"),
    ("get", "/tickets/{ticket_id}.pdf", "buyer"),
    ("get", "/tickets/{ticket_id}.svg", "buyer"),
    ("get", "/tickets/{ticket_id}.png", "buyer"),
    ("get", "/tickets/{ticket_id}.pkpass", "buyer"),
    ("get", "/tickets/{ticket_id}/google-wallet", "buyer"),
    ("get", "/tickets/{ticket_id}", "buyer"),
    ("get", "/audit/events", "organizer"),
    ("get", "/audit/orders/{order_id}", "organizer"),
    ("get", "/audit/concerts/{concert_id}", "organizer"),
    ("get", "/audit/verify", "organizer"),
    ("get", "/audit/verify/parts", "organizer"),
    ("get", "/audit/chain", "organizer"),
    ("post", "/audit/replay", "organizer"),
    *(("get", f"/{service}/-/figures", "organizer") for service in NAMES),
    *(
        (method, f"/{service}/-/dead-letters{rest}", "organizer")
        for service in NAMES
        for method, rest in (("get", ""), ("get", "/{letter_id}"), ("post", "/retry"))
    ),
]


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.http.get("/openapi.json").json()
    return found


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert {"organizer", "buyer"} <= document["components"]["securitySchemes"].keys()


def test_it_has_the_routes_and_no_others(document: dict[str, Any]) -> None:
    there = {(method, path) for path, item in document["paths"].items() for method in item}
    assert there == {(method, path) for method, path, _ in ROUTES}


@pytest.mark.parametrize(("method", "path", "who"), ROUTES)
def test_each_route_says_who_may_what_comes_back_and_how_it_fails(
    document: dict[str, Any], method: str, path: str, who: str | None
) -> None:
    operation = document["paths"][path][method]
    assert operation["summary"]
    schemes = {scheme for requirement in operation["security"] for scheme in requirement}
    assert (who in schemes) if who else not schemes
    responses = operation["responses"]
    good = [each for status, each in responses.items() if status.startswith("2")]
    assert good
    for each in good:
        for kind, said in each["content"].items():
            assert "$ref" in said["schema"] if kind == "application/json" else path.endswith(FILES)
    bad = [each for status, each in responses.items() if not status.startswith("2")]
    assert all(list(each["content"]) == ["application/problem+json"] for each in bad)
    assert ("401" in responses) == (who == "organizer")


def test_bodies_take_no_unknown_fields(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("PlaceOrder", "ScheduleConcert", "SectionRequest", "Reserve", "ChargeOrder", "Replay", "Money"):
        assert schemas[name]["additionalProperties"] is False, name


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [ref for each in node.values() for ref in references(each)]
        return [ref for each in node for ref in references(each)] if isinstance(node, list) else []

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_charging_says_that_the_seats_may_be_gone_and_what_a_failed_payment_is(document: dict[str, Any]) -> None:
    responses = document["paths"]["/payments"]["post"]["responses"]
    assert "`seats-gone`" in responses["409"]["description"]
    assert "503" in responses
    schemas = document["components"]["schemas"]
    for name in ("PaymentView", "OrderPaymentView"):
        assert "Declined" in schemas[name]["properties"]["status"]["description"], name
