"""Which routes of the pages answer with a page of their own: derived from the routes that there are."""

from datetime import UTC, datetime

from cludale.pages.api import InProcess
from cludale.pages.building import Pages
from cludale.web.responses import Response
from cludale.web.router import Endpoint, Router

NO_PAGE = {
    "/robots.txt": "text",
    "/shop/sitemap.xml": "text",
    "/shop/static/{name}": "a file",
    "/shop/art/{concert_id}": "a picture",
    "/shop/concerts/{concert_id}/button.svg": "a picture",
    "/shop/concerts/{concert_id}/map.svg": "a picture, looked at where seats are chosen",
    "/shop/concerts/{concert_id}/event.ics": "a file",
    "/shop/invoices/{invoice_id}.pdf": "a file",
    "/shop/tickets/{ticket_id}.pdf": "a file",
    "/shop/tickets/{ticket_id}.pkpass": "a file",
    "/shop/tickets/{ticket_id}.svg": "a picture",
    "/staff/exports/file": "a file",
    "/staff/seat-plan-map": "a picture",
    "/staff/invoices/{invoice_id}": "a file",
    "/staff/orders/{order_id}/tickets": "a file",
    "/staff/box-office/tickets": "a file",
    "/door/manifest.webmanifest": "a file",
    "/door/worker.js": "a script",
    "/door/counts": "data for the page's script",
    "/door/merge": "data for the page's script",
    "/door/snapshot": "data for the page's script",
    "/shop/clock": "data for the page's script",
    "/shop/concerts/{concert_id}/live": "data for the page's script",
    "/shop/concerts/{concert_id}/seats": "data for the page's script",
    "/shop/carts/{bought_id}/state": "a piece of the cart's page",
    "/shop/orders/{bought_id}/state": "a piece of the order's page",
    "/staff/concerts/{concert_id}/figures": "a piece of the concert's page",
    "/staff/concerts/{concert_id}/sales-now": "a piece of the sales' page",
    "/staff/console/chain/part": "a piece of the chain's page",
    "/staff/console/events-now": "a piece of the events' page",
    "/staff/console/figures": "a piece of the console's first page",
    "/staff/console/rehearsal-now": "a piece of the rehearsal's page",
    "/staff/console/sale/then": "a piece of the time travel's page",
}
"""What the other routes answer with."""


class PageRoutes:
    """The routes of all pages, each as its method and path: `GET /shop/orders/{order_id}`."""

    def __init__(self) -> None:
        routes = Pages(InProcess(), now=lambda: datetime.now(UTC)).routes
        nobody = Response(404, b"")
        self._router = Router([Endpoint(each.method, each.path, each.handle) for each in routes], lambda *_: nobody)
        unknown = NO_PAGE.keys() - {each.path for each in routes}
        assert unknown == set(), f"there is no route {unknown}"
        self.pages = {f"{each.method} {each.path}" for each in routes if each.path not in NO_PAGE}
        """Those that answer with a page, or lead to one."""

    def of(self, method: str, target: str) -> str:
        """The route that a request goes to; `target`: its path, with a query or without."""
        return f"{method} {self._router.find(method.encode(), target.encode()).endpoint.path}"
