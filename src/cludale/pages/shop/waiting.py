"""The waiting list of a concert that has no seats left: its form, and the order that waits then."""

import hashlib
from collections.abc import Mapping
from http import HTTPStatus

from cludale.kernel import mailbox
from cludale.pages import forms
from cludale.pages.api import Refused
from cludale.pages.shop import memory
from cludale.pages.shop.availability import sale
from cludale.pages.shop.programme import Programme
from cludale.pages.shop.views import Concert, Order
from cludale.pages.site import Missing, Site, Visit
from cludale.web.responses import Response
from cludale.web.routing import Route


class WaitingPages:
    """The page by which somebody joins a waiting list."""

    def __init__(self, site: Site, programme: Programme) -> None:
        self._site = site
        self._programme = programme

    def routes(self) -> list[Route]:
        """Its routes."""
        path = "/shop/concerts/{concert_id}/wait"
        return [self._site.route("GET", path, self._form), self._site.route("POST", path, self._join)]

    async def _form(self, visit: Visit) -> Response:
        concert = await self._concert(visit)
        if not sale(concert, self._site.now()).sells:
            return self._site.see(visit, f"/shop/concerts/{concert.id}#tickets")
        return self._shown(visit, concert, {"section": visit.query.get("section", "")})

    def _shown(
        self, visit: Visit, concert: Concert, fields: Mapping[str, str], *, wrong: str = "", refusal: str = ""
    ) -> Response:
        return self._site.private(
            visit,
            "shop/wait.html",
            status=422 if wrong else 409 if refusal else 200,
            concert=concert,
            fields={"email": "", "quantity": "2", "section": "", **fields},
            wrong=wrong,
            refusal=refusal,
        )

    async def _join(self, visit: Visit) -> Response:
        fields = forms.read(visit.request)
        concert = await self._concert(visit)
        wrong = _wrong(concert, fields)
        if wrong:
            return self._shown(visit, concert, fields, wrong=wrong)
        # The same form, sent twice, joins once.
        said = "\x1f".join((visit.cookies[forms.FORM_COOKIE], concert.id, *map(str, sorted(fields.items()))))
        key = hashlib.sha256(said.encode()).hexdigest()[:40]
        body = {
            "concertId": concert.id,
            "userId": f"web-{key[:16]}",
            "quantity": int(fields["quantity"]),
            "section": fields.get("section") or concert.sections[0].id,
            "email": fields["email"],
            "waitingList": True,
        }
        headers = {"idempotency-key": f"shop-{key}", "accept-language": visit.language.code}
        answer = await self._site.ask(visit, "POST", "/orders", body, headers=headers)
        if answer.status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
            order = answer.read(Order)
            tokens = memory.with_token(memory.orders(visit), order.id, order.access_token)
            cookie = forms.cookie(memory.ORDERS, tokens, secure=visit.secure)
            return self._site.see(visit, f"/shop/orders/{order.id}", headers=(cookie,))
        if answer.problem.status in (404, 500):
            raise Refused(answer.problem)
        if answer.problem.name == "invalid":
            return self._shown(visit, concert, fields, wrong="email")
        return self._shown(visit, concert, fields, refusal=answer.problem.name)

    async def _concert(self, visit: Visit) -> Concert:
        if not memory.is_id(visit.segment):
            raise Missing
        return (await self._programme.concert(visit.segment)).value


def _wrong(concert: Concert, fields: Mapping[str, str]) -> str:
    """Which field is unusable, if one is."""
    quantity = forms.whole(fields.get("quantity", ""))
    if quantity is None or not 1 <= quantity <= concert.max_per_order:
        return "quantity"
    if len(concert.sections) > 1 and fields.get("section") not in {each.id for each in concert.sections}:
        return "section"
    try:
        mailbox.mailbox(fields.get("email", ""))
    except ValueError:
        return "email"
    return ""
