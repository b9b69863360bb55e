"""Who may do what: a row for each route, written down here by hand, whatever the routes say of themselves.

`opens` is the status for whoever may; in paths and bodies `{concert}`, `{order}`, … stand for what is acme's.
"""

from typing import Any, NamedTuple

from cludale.kernel.principals import Scope
from cludale.services import NAMES
from cludale.web.routing import Credential, Owned


class Row(NamedTuple):
    """One route."""

    method: str
    path: str
    opens: int
    """The answer to whoever may, in `Target`'s case: 404 where there is nothing of the kind."""
    credential: Credential = Credential.NONE
    scope: Scope | None = None
    owned: Owned = Owned.NOBODYS
    services: tuple[str, ...] = ()
    """The other services that may call it."""
    also: Scope | None = None
    """A scope that the key needs beside `scope`."""
    body: dict[str, Any] | None = None
    asked: str = ""
    """What is asked for in the test, where the path has a placeholder or wants a query."""


ORGANIZER, BUYER, SERVICE = Credential.ORGANIZER, Credential.BUYER, Credential.SERVICE
SESSION = Credential.SESSION
OPERATE, READ, SELL, CATALOGUE = Scope.OPERATE, Scope.READ, Scope.SELL, Scope.CATALOGUE
WEBHOOK = "/notifications/webhooks/{webhook_id}"

CONCERT = {"artist": "A", "date": "2099-01-01", "totalSeats": 1}
BUYER_OF_ALL = {"orderIds": ["{order}", "{other}"]}
AT_THE_BOX_OFFICE: dict[str, object] = {"concertId": "ours", "quantity": 1, "method": "cash"}
HOLD = {"concert_id": "ours", "quantity": 1, "order_id": "order-9.ca01"}
GUESTS: dict[str, object] = {"concertId": "ours", "guests": [{"name": "Ann"}]}
REPORT = {"report": "sales", "to": "a@example.org", "every": "daily", "zone": "Europe/Berlin"}
OPEN = ("/", "/livez", "/readyz", "/readyz/replica", "/metrics", "/openapi.json", "/docs", "/problems")

MATRIX: tuple[Row, ...] = (
    # what is served beside the services
    *(Row("GET", path, 200) for path in OPEN),
    Row("GET", "/docs/{name}", 200, asked="/docs/start.js"),
    Row("GET", "/problems/{name}", 200, asked="/problems/not-found"),
    # concerts
    Row("GET", "/concerts", 200),
    Row("GET", "/concerts/{concert_id}", 200, asked="/concerts/ours"),
    Row("POST", "/concerts", 201, ORGANIZER, Scope.CATALOGUE, Owned.MADE, body=CONCERT),
    Row(
        "POST",
        "/concerts/{concert_id}/reserve",
        201,
        ORGANIZER,
        SELL,
        Owned.HIDDEN,
        services=("orders",),
        body={"quantity": 1},
        asked="/concerts/ours/reserve",
    ),
    Row(
        "GET",
        "/concerts/{concert_id}/sale-outlook",
        200,
        SERVICE,
        services=("orders", "payments"),
        asked="/concerts/ours/sale-outlook?section=general&reservationId=none",
    ),
    # numbered seats, of which this concert has none
    Row("GET", "/concerts/{concert_id}/seats", 404, asked="/concerts/ours/seats"),
    Row("GET", "/concerts/{concert_id}/seats/plan", 404, asked="/concerts/ours/seats/plan"),
    Row(
        "GET",
        "/concerts/{concert_id}/seats/blocked",
        200,
        ORGANIZER,
        READ,
        Owned.HIDDEN,
        asked="/concerts/ours/seats/blocked",
    ),
    Row(
        "POST",
        "/concerts/{concert_id}/seats/block",
        422,
        ORGANIZER,
        CATALOGUE,
        Owned.HIDDEN,
        body={"seats": ["A-1"], "reason": "r"},
        asked="/concerts/ours/seats/block",
    ),
    Row(
        "POST",
        "/concerts/{concert_id}/seats/unblock",
        422,
        ORGANIZER,
        CATALOGUE,
        Owned.HIDDEN,
        body={"seats": ["A-1"]},
        asked="/concerts/ours/seats/unblock",
    ),
    Row(
        "POST",
        "/concerts/{concert_id}/seats/move",
        409,
        ORGANIZER,
        SELL,
        Owned.HIDDEN,
        body={"order": "order-none", "reason": "r"},
        asked="/concerts/ours/seats/move",
    ),
    Row(
        "POST",
        "/concerts/{concert_id}/seats/swap",
        409,
        ORGANIZER,
        SELL,
        Owned.HIDDEN,
        body={"first": {"order": "order-none"}, "second": {"order": "order-no"}, "reason": "r"},
        asked="/concerts/ours/seats/swap",
    ),
    Row(
        "POST",
        "/concerts/-/seat-plans",
        422,
        ORGANIZER,
        CATALOGUE,
        Owned.NOBODYS,
        body={"plan": "section,row,seat"},
    ),
    Row(
        "GET",
        "/concerts/-/seat-plans/{digest}",
        404,
        ORGANIZER,
        CATALOGUE,
        Owned.NOBODYS,
        asked="/concerts/-/seat-plans/none",
    ),
    # people who sign in, and the door's devices
    Row("GET", "/concerts/-/sign-in", 200),
    Row("POST", "/concerts/-/sign-in", 409, body={"state": "s" * 22, "nonce": "n" * 22, "challenge": "c" * 43}),
    Row("POST", "/concerts/-/sessions", 403, body={"key": "key-1.wrong"}),
    Row("POST", "/concerts/-/sign-out", 409),
    Row("GET", "/concerts/-/sign-out", 409, asked="/concerts/-/sign-out?iss=i&sid=0123456789abcdef"),
    Row("GET", "/concerts/-/sessions", 200, ORGANIZER, OPERATE),
    Row("POST", "/concerts/-/sessions/{session_id}/end", 404, ORGANIZER, OPERATE, asked="/concerts/-/sessions/no/end"),
    Row("GET", "/concerts/-/staff", 200, ORGANIZER, OPERATE),
    Row("POST", "/concerts/-/staff/{person_id}/end", 404, ORGANIZER, OPERATE, asked="/concerts/-/staff/no/end"),
    Row("GET", "/concerts/-/session", 200, SESSION),
    Row("POST", "/concerts/-/session/renew", 200, SESSION),
    Row("POST", "/concerts/-/session/end", 200, SESSION),
    Row("GET", "/concerts/-/session/all", 200, SESSION),
    Row("POST", "/concerts/-/session/end-others", 200, SESSION),
    Row(
        "POST",
        "/concerts/-/door/codes",
        201,
        ORGANIZER,
        Scope.CATALOGUE,
        Owned.HIDDEN,
        body={"name": "north door", "concertId": "ours"},
    ),
    Row("POST", "/concerts/-/door/keys", 403, body={"code": "0000-0000-0000"}),
    Row(
        "PATCH",
        "/concerts/{concert_id}",
        428,
        ORGANIZER,
        Scope.CATALOGUE,
        Owned.HIDDEN,
        body={"title": "T"},
        asked="/concerts/ours",
    ),
    Row(
        "POST",
        "/concerts/{concert_id}/postpone",
        422,
        ORGANIZER,
        Scope.CATALOGUE,
        Owned.HIDDEN,
        body={"reason": "r"},
        asked="/concerts/ours/postpone",
    ),
    Row(
        "GET",
        "/concerts/{concert_id}/cancellation",
        404,
        ORGANIZER,
        READ,
        Owned.HIDDEN,
        asked="/concerts/ours/cancellation",
    ),
    Row(
        "POST",
        "/concerts/{concert_id}/codes",
        422,
        ORGANIZER,
        Scope.CATALOGUE,
        Owned.HIDDEN,
        body={"code": "c"},
        asked="/concerts/ours/codes",
    ),
    Row(
        "PATCH",
        "/concerts/{concert_id}/codes",
        404,
        ORGANIZER,
        Scope.CATALOGUE,
        Owned.HIDDEN,
        body={"code": "c", "maxUses": 1},
        asked="/concerts/ours/codes",
    ),
    Row("GET", "/concerts/{concert_id}/codes", 200, ORGANIZER, READ, Owned.HIDDEN, asked="/concerts/ours/codes"),
    Row(
        "POST",
        "/concerts/{concert_id}/blocks",
        422,
        ORGANIZER,
        Scope.CATALOGUE,
        Owned.HIDDEN,
        body={"seats": 1, "purpose": "p"},
        asked="/concerts/ours/blocks",
    ),
    Row(
        "PATCH",
        "/concerts/{concert_id}/blocks",
        404,
        ORGANIZER,
        Scope.CATALOGUE,
        Owned.HIDDEN,
        body={"block": "b", "seats": 1},
        asked="/concerts/ours/blocks",
    ),
    Row(
        "POST",
        "/concerts/{concert_id}/blocks/release",
        404,
        ORGANIZER,
        Scope.CATALOGUE,
        Owned.HIDDEN,
        body={"block": "b"},
        asked="/concerts/ours/blocks/release",
    ),
    Row("GET", "/concerts/{concert_id}/blocks", 200, ORGANIZER, READ, Owned.HIDDEN, asked="/concerts/ours/blocks"),
    Row(
        "GET",
        "/concerts/{concert_id}/waiting-list",
        200,
        ORGANIZER,
        READ,
        Owned.HIDDEN,
        asked="/concerts/ours/waiting-list",
    ),
    Row("POST", "/concerts/{concert_id}/quote", 200, body={"quantity": 1}, asked="/concerts/ours/quote"),
    Row("POST", "/concerts/{concert_id}/close", 503, SERVICE, services=("orders",), asked="/concerts/ours/close"),
    Row(
        "GET", "/orders/-/jobs", 204, SERVICE, services=("concerts",), asked="/orders/-/jobs?concertId=ours&revision=1"
    ),
    # keys
    Row("POST", "/concerts/-/keys", 201, ORGANIZER, OPERATE, body={"name": "n", "scopes": ["read"]}),
    Row("GET", "/concerts/-/keys", 200, ORGANIZER, OPERATE),
    Row("POST", "/concerts/-/keys/{key_id}/revoke", 200, ORGANIZER, OPERATE, asked="/concerts/-/keys/{spare}/revoke"),
    Row(
        "POST",
        "/concerts/-/keys/{key_id}/rotate",
        409,
        ORGANIZER,
        OPERATE,
        body={"overlapSeconds": 1},
        asked="/concerts/-/keys/{spare}/rotate",
    ),
    Row("GET", "/concerts/-/keys/listing", 200, SERVICE, services=NAMES),
    Row("POST", "/concerts/-/keys/used", 200, SERVICE, services=NAMES, body={"used": {}}),
    Row("POST", "/concerts/-/holds/apart", 200, SERVICE, services=("orders",), body={"holds": [HOLD]}),
    Row("POST", "/concerts/-/holds", 200, SERVICE, services=("orders",), body={"holds": [HOLD]}),
    # orders
    Row("POST", "/orders/carts", 201, body={"userId": "u", "lines": [{"concertId": "ours", "quantity": 1}]}),
    Row("GET", "/orders/carts/{cart_id}", 200, BUYER, READ, Owned.HIDDEN, asked="/orders/carts/{cart}"),
    Row(
        "POST",
        "/orders/carts/{cart_id}/cancel",
        200,
        BUYER,
        Scope.REFUND,
        Owned.HIDDEN,
        asked="/orders/carts/{cart}/cancel",
    ),
    Row(
        "POST",
        "/orders/carts/{cart_id}/payment",
        409,
        BUYER,
        SELL,
        Owned.HIDDEN,
        body={"paymentMethod": "card-ok"},
        asked="/orders/carts/{cart}/payment",
    ),
    Row("POST", "/orders", 201, body={"concertId": "ours", "userId": "u", "quantity": 1}),
    Row("POST", "/orders/box-office", 201, ORGANIZER, SELL, Owned.HIDDEN, body=AT_THE_BOX_OFFICE),
    Row("POST", "/orders/guests", 200, ORGANIZER, SELL, Owned.HIDDEN, body=GUESTS),
    Row("GET", "/orders/guests", 200, ORGANIZER, READ, Owned.HIDDEN, asked="/orders/guests?concertId=ours"),
    Row(
        "POST",
        "/orders/guests/{order_id}/remove",
        404,
        ORGANIZER,
        SELL,
        Owned.HIDDEN,
        asked="/orders/guests/{order}/remove",
    ),
    Row("GET", "/orders", 200, ORGANIZER, READ, Owned.FILTERED),
    Row("GET", "/orders/export", 200, ORGANIZER, READ, Owned.FILTERED),
    Row("GET", "/orders/export/personal", 200, ORGANIZER, Scope.PRIVACY, Owned.FILTERED),
    Row("GET", "/orders/reports/sales", 200, ORGANIZER, READ, Owned.FILTERED),
    Row("GET", "/orders/reports/till", 200, ORGANIZER, READ, Owned.FILTERED),
    Row("GET", "/orders/reports/schedules", 200, ORGANIZER, READ, Owned.FILTERED),
    Row("POST", "/orders/reports/schedules", 201, ORGANIZER, READ, Owned.MADE, body=REPORT),
    Row(
        "POST",
        "/orders/reports/schedules/{schedule_id}/end",
        200,
        ORGANIZER,
        READ,
        Owned.HIDDEN,
        asked="/orders/reports/schedules/{schedule}/end",
    ),
    Row("GET", "/orders/reports/files/{token}", 404, asked="/orders/reports/files/no"),
    Row("GET", "/orders/{order_id}/invoices", 200, BUYER, READ, Owned.HIDDEN, asked="/orders/{order}/invoices"),
    Row("POST", "/orders/{order_id}/invoices", 202, ORGANIZER, SELL, Owned.HIDDEN, asked="/orders/{order}/invoices"),
    Row("GET", "/orders/invoices", 200, ORGANIZER, READ, Owned.FILTERED),
    Row("GET", "/orders/invoices/export", 200, ORGANIZER, READ, Owned.FILTERED),
    Row("GET", "/orders/invoices/settings", 200, ORGANIZER, READ),
    Row("GET", "/orders/invoices/offered", 200, asked="/orders/invoices/offered?concertId=ours"),
    Row("PUT", "/orders/invoices/settings", 200, ORGANIZER, CATALOGUE, Owned.MADE, body={"on": False}),
    Row("GET", "/orders/invoices/{invoice_id}", 200, BUYER, READ, Owned.HIDDEN, asked="/orders/invoices/{invoice}"),
    Row(
        "GET",
        "/orders/invoices/{invoice_id}.pdf",
        200,
        BUYER,
        READ,
        Owned.HIDDEN,
        asked="/orders/invoices/{invoice}.pdf",
    ),
    Row("GET", "/orders/{order_id}", 200, BUYER, READ, Owned.HIDDEN, asked="/orders/{order}"),
    Row(
        "POST",
        "/orders/{order_id}/payment",
        409,
        BUYER,
        SELL,
        Owned.HIDDEN,
        body={"paymentMethod": "card-ok"},
        asked="/orders/{order}/payment",
    ),
    Row(
        "POST", "/orders/{order_id}/cancel", 200, BUYER, Scope.REFUND, Owned.HIDDEN, asked="/orders/{cancelled}/cancel"
    ),
    Row(
        "POST",
        "/orders/{order_id}/refunds",
        409,
        BUYER,
        Scope.REFUND,
        Owned.HIDDEN,
        body={"quantity": 1},
        asked="/orders/{cancelled}/refunds",
    ),
    Row("PATCH", "/orders/{order_id}", 200, BUYER, SELL, Owned.HIDDEN, body={"name": "N"}, asked="/orders/{cancelled}"),
    Row("POST", "/orders/{order_id}/resend", 409, BUYER, SELL, Owned.HIDDEN, asked="/orders/{cancelled}/resend"),
    Row(
        "GET",
        "/orders/{order_id}/contact",
        200,
        SERVICE,
        services=("notifications", "tickets"),
        asked="/orders/{order}/contact",
    ),
    *(
        Row("POST", f"/orders/-/buyers/{what}", 200, ORGANIZER, Scope.PRIVACY, Owned.FILTERED, body=BUYER_OF_ALL)
        for what in ("export", "erase")
    ),
    # payments
    Row("POST", "/payments", 200, ORGANIZER, SELL, Owned.HIDDEN, body={"orderId": "{order}"}),
    Row("GET", "/payments", 200, ORGANIZER, READ, Owned.FILTERED),
    Row("POST", "/payments/compare", 200, SERVICE, services=("orders",), body={"orders": []}),
    Row("POST", "/payments/webhook", 400),
    Row("GET", "/payments/{order_id}/action", 200, BUYER, READ, Owned.HIDDEN, asked="/payments/{order}/action"),
    Row("POST", "/payments/reconciliations", 202, ORGANIZER, OPERATE, body={}),
    Row("GET", "/payments/reconciliations", 200, ORGANIZER, OPERATE),
    Row(
        "GET",
        "/payments/reconciliations/{reconciliation_id}",
        404,
        ORGANIZER,
        OPERATE,
        asked="/payments/reconciliations/none",
    ),
    Row("GET", "/payments/differences", 200, ORGANIZER, OPERATE),
    Row(
        "POST",
        "/payments/differences/{difference_id}/settle",
        404,
        ORGANIZER,
        OPERATE,
        body={"settlement": "leave"},
        asked="/payments/differences/none/settle",
    ),
    # notifications
    Row("GET", "/notifications", 200, ORGANIZER, READ, Owned.FILTERED),
    Row("POST", "/notifications/retry", 409, ORGANIZER, SELL, Owned.HIDDEN, body={"ids": ["{message}"]}),
    # webhooks
    Row("GET", "/notifications/webhook-event-types", 200, ORGANIZER, READ),
    Row(
        "POST",
        "/notifications/webhooks",
        201,
        ORGANIZER,
        CATALOGUE,
        Owned.HIDDEN,
        also=READ,
        body={"url": "https://hooks.invalid/", "concertId": "ours"},
    ),
    Row("GET", "/notifications/webhooks", 200, ORGANIZER, READ, Owned.FILTERED),
    Row("GET", WEBHOOK, 200, ORGANIZER, READ, Owned.HIDDEN, asked="/notifications/webhooks/{webhook}"),
    Row(
        "PATCH",
        WEBHOOK,
        200,
        ORGANIZER,
        CATALOGUE,
        Owned.HIDDEN,
        also=READ,
        body={"about": "tills"},
        asked="/notifications/webhooks/{webhook}",
    ),
    Row("DELETE", WEBHOOK, 404, ORGANIZER, CATALOGUE, Owned.HIDDEN, asked="/notifications/webhooks/none"),
    Row(
        "POST",
        f"{WEBHOOK}/rotate",
        200,
        ORGANIZER,
        CATALOGUE,
        Owned.HIDDEN,
        also=READ,
        body={},
        asked="/notifications/webhooks/{webhook}/rotate",
    ),
    Row(
        "POST",
        f"{WEBHOOK}/ping",
        202,
        ORGANIZER,
        CATALOGUE,
        Owned.HIDDEN,
        asked="/notifications/webhooks/{webhook}/ping",
    ),
    Row("GET", "/notifications/webhook-deliveries", 200, ORGANIZER, READ, Owned.FILTERED),
    Row(
        "GET",
        "/notifications/webhook-deliveries/{delivery_id}",
        404,
        ORGANIZER,
        READ,
        Owned.HIDDEN,
        asked="/notifications/webhook-deliveries/none",
    ),
    Row("POST", "/notifications/webhook-deliveries/resend", 404, ORGANIZER, SELL, Owned.HIDDEN, body={"ids": ["none"]}),
    Row("POST", "/notifications/bounces", 200, ORGANIZER, OPERATE, body={"bounces": [{"id": "no"}]}),
    Row("GET", "/notifications/templates", 200, ORGANIZER, READ),
    Row("GET", "/notifications/settings", 200, ORGANIZER, READ),
    Row("POST", "/notifications/settings", 200, ORGANIZER, Scope.CATALOGUE, Owned.MADE, body={"language": "de"}),
    Row(
        "GET",
        "/notifications/templates/{template_id}",
        200,
        ORGANIZER,
        READ,
        asked="/notifications/templates/refund.de",
    ),
    Row(
        "POST",
        "/notifications/templates/{template_id}",
        200,
        ORGANIZER,
        Scope.CATALOGUE,
        Owned.MADE,
        body={"text": "{{ headline }}"},
        asked="/notifications/templates/refund.de",
    ),
    Row(
        "POST",
        "/notifications/templates/{template_id}/reset",
        200,
        ORGANIZER,
        Scope.CATALOGUE,
        Owned.MADE,
        asked="/notifications/templates/refund.de/reset",
    ),
    Row(
        "POST",
        "/notifications/templates/{template_id}/preview",
        200,
        ORGANIZER,
        READ,
        body={"text": "{{ headline }}"},
        asked="/notifications/templates/refund.de/preview",
    ),
    # tickets
    Row("GET", "/tickets", 200, BUYER, READ, Owned.HIDDEN, ("concerts", "orders"), asked="/tickets?order={order}"),
    Row("GET", "/tickets/keys", 200),
    Row(
        "POST",
        "/tickets/admissions",
        200,
        ORGANIZER,
        Scope.DOOR,
        body={"code": "none", "door": "north"},
    ),
    Row(
        "GET",
        "/tickets/admissions",
        200,
        ORGANIZER,
        Scope.DOOR,
        Owned.HIDDEN,
        asked="/tickets/admissions?concertId=ours",
    ),
    Row(
        "POST",
        "/tickets/admissions/merge",
        200,
        ORGANIZER,
        Scope.DOOR,
        body={"device": "north-1", "clock": "2026-01-01T00:00:00Z", "scans": []},
    ),
    *(
        Row("GET", path, 200, ORGANIZER, Scope.DOOR, Owned.HIDDEN, asked=f"{path}?concertId=ours")
        for path in ("/tickets/admissions/conflicts", "/tickets/snapshot", "/tickets/inside", "/tickets/inside.csv")
    ),
    Row(
        "POST",
        "/tickets/{ticket_id}/undo",
        409,
        ORGANIZER,
        Scope.DOOR,
        Owned.HIDDEN,
        body={"reason": "mistake"},
        asked="/tickets/{ticket}/undo",
    ),
    Row(
        "POST",
        "/tickets/{ticket_id}/transfer",
        200,
        BUYER,
        SELL,
        Owned.HIDDEN,
        body={},
        asked="/tickets/{given}/transfer",
    ),
    *(
        Row("GET", f"/tickets/{{ticket_id}}{kind}", 200, BUYER, READ, Owned.HIDDEN, asked=f"/tickets/{{ticket}}{kind}")
        for kind in (".pdf", ".svg", ".png", "")
    ),
    *(
        Row("GET", f"/tickets/{{ticket_id}}{kind}", 404, BUYER, READ, Owned.HIDDEN, asked=f"/tickets/{{ticket}}{kind}")
        for kind in (".pkpass", "/google-wallet")
    ),
    # audit
    Row("GET", "/audit/events", 200, ORGANIZER, READ, Owned.FILTERED, asked="/audit/events?type=OrderPlaced"),
    Row("GET", "/audit/orders/{order_id}", 200, ORGANIZER, READ, Owned.HIDDEN, asked="/audit/orders/{order}"),
    Row("GET", "/audit/concerts/{concert_id}", 200, ORGANIZER, READ, Owned.HIDDEN, asked="/audit/concerts/ours"),
    Row("GET", "/audit/verify", 200, ORGANIZER, OPERATE),
    Row("GET", "/audit/verify/parts", 200, ORGANIZER, OPERATE),
    Row("GET", "/audit/chain", 200, ORGANIZER, OPERATE),
    Row("POST", "/audit/replay", 202, ORGANIZER, OPERATE, body={"type": "NotificationSent"}),
    *(Row("GET", f"/{name}/-/figures", 200, ORGANIZER, OPERATE) for name in NAMES),
    # what a service could not handle
    *(
        row
        for name in NAMES
        for row in (
            Row("GET", f"/{name}/-/dead-letters", 200, ORGANIZER, OPERATE),
            Row(
                "GET",
                f"/{name}/-/dead-letters/{{letter_id}}",
                404,
                ORGANIZER,
                OPERATE,
                asked=f"/{name}/-/dead-letters/none",
            ),
            Row("POST", f"/{name}/-/dead-letters/retry", 404, ORGANIZER, OPERATE, body={"ids": ["none"]}),
        )
    ),
    # the last: nothing of it is sold afterwards
    Row(
        "POST",
        "/concerts/{concert_id}/cancel",
        200,
        ORGANIZER,
        Scope.REFUND,
        Owned.HIDDEN,
        body={"reason": "r"},
        asked="/concerts/ours/cancel",
    ),
)

SWITCH: tuple[Row, ...] = (
    Row("GET", "/-/consume", 200, ORGANIZER, OPERATE),
    Row("PUT", "/-/consume", 200, ORGANIZER, OPERATE, body={"consume": False}),
)
"""Behind a sidecar alone."""

BY_THE_SIDECAR = ("/dapr/subscribe", "/dapr/config", "/dapr/healthz", "/dapr/dead-letters", "/dapr/events/")
"""How the paths begin that a sidecar calls, with the app's token; tests/product/adapters/dapr has them."""
