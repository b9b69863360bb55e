"""Each service started alone, as it is in a container: it serves its own routes and nobody else's."""

from pathlib import Path

import pytest
from tests.proof.journeys.box_office import fresh, problem
from tests.proof.journeys.conftest import Start

pytestmark = pytest.mark.slow

ROUTES = {
    "concerts": ["/concerts"],
    "orders": ["/orders"],
    "payments": ["/payments"],
    "notifications": ["/notifications"],
    "audit": ["/audit/events", "/audit/verify"],
}
ELSEWHERE = {"concerts_url": "http://127.0.0.1:9", "orders_url": "http://127.0.0.1:9"}


@pytest.mark.parametrize("service", ROUTES)
def test_a_service_alone_serves_its_own_routes(start: Start, tmp_path: Path, service: str) -> None:
    with start(tmp_path, service, **ELSEWHERE) as ours:
        http, organizer = ours.office.http, ours.office.organizer
        for name, paths in ROUTES.items():
            for path in paths:
                answer = http.get(path, headers=organizer)
                if name == service:
                    assert answer.status_code == 200, answer.text
                else:
                    problem(answer, 404, "no-such-route")
        for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs"):
            assert http.get(path).status_code == 200, path
        described = http.get("/openapi.json").json()["paths"]
        assert set(ROUTES[service]) <= set(described)
        assert not {path for name, paths in ROUTES.items() for path in paths if name != service} & set(described)


def test_orders_and_concerts_work_together_over_http(start: Start, tmp_path: Path) -> None:
    with start(tmp_path / "concerts", "concerts") as concerts:
        concert = concerts.office.put_on(seats=3)["id"]
        with start(tmp_path / "orders", "orders", concerts_url=concerts.office.url) as orders:
            order = orders.office.buy(concert, quantity=2)
            assert (order["status"], order["total"]["amount"]) == ("Reserved", 9000)
            assert concerts.office.counts(concert) == (1, 2, 0)
            assert problem(orders.office.order(concert), 409, "seats-unavailable")["left"] == 1
            problem(orders.office.order(fresh("concert")), 404, "concert-not-found")
            problem(orders.office.order(concert, section="pit"), 422, "section-not-found")
            assert problem(orders.office.order(concert, quantity=9), 422, "over-the-limit")["limit"] == 8


def test_concerts_tells_the_organizer_what_would_come_of_money_for_seats(start: Start, tmp_path: Path) -> None:
    with start(tmp_path, "concerts") as concerts:
        http, organizer = concerts.office.http, concerts.office.organizer
        concert = concerts.office.put_on(seats=3)["id"]
        held = http.post(f"/concerts/{concert}/reserve", json={"quantity": 2}, headers=organizer).json()
        asked = {"section": held["section"], "reservationId": held["id"]}
        answer = http.get(f"/concerts/{concert}/sale-outlook", params=asked, headers=organizer)
        assert answer.json() == {"outlook": "possible", "left": 1, "overAt": None}
        other = http.get(f"/concerts/{concert}/sale-outlook", params={**asked, "reservationId": "x"}, headers=organizer)
        assert other.json()["outlook"] == "gone"
        problem(http.get(f"/concerts/{concert}/sale-outlook", params=asked), 401, "unauthorized")
        problem(
            http.get(f"/concerts/{fresh('concert')}/sale-outlook", params=asked, headers=organizer),
            404,
            "concert-not-found",
        )


def test_payments_tells_orders_how_the_money_of_its_orders_stands(start: Start, tmp_path: Path) -> None:
    with start(tmp_path, "payments", **ELSEWHERE) as payments:
        http, organizer = payments.office.http, payments.office.organizer
        known = {"orderId": "order-1", "round": 1, "isOpen": True, "isRefunded": False, "cancelledByWish": False}
        answer = http.post("/payments/compare", json={"orders": [known]}, headers=organizer)
        nothing = {"orderId": "order-1", "state": "unknown", "round": 0, "closed": False, "toldAgain": False}
        assert answer.json() == {"items": [nothing]}
        problem(http.post("/payments/compare", json={"orders": [known]}), 401, "unauthorized")
        problem(http.post("/payments/compare", json={"orders": [known] * 101}, headers=organizer), 422, "invalid")


def test_an_order_that_concerts_did_not_answer_is_finished_once_it_is_back(start: Start, tmp_path: Path) -> None:
    with start(tmp_path / "concerts", "concerts") as concerts:
        concert = concerts.office.put_on(seats=3)["id"]
        address = concerts.office.url
    settings = {"concerts_url": address, "pending_backoff_seconds": "0.1", "pending_backoff_max_seconds": "0.3"}
    with start(tmp_path / "orders", "orders", **settings) as orders:
        answer = orders.office.order(concert)
        assert answer.status_code == 202, answer.text
        pending = answer.json()
        assert (pending["status"], pending["total"], pending["expiresAt"]) == ("Pending", None, None)
        with start(tmp_path / "concerts", "concerts", port=address.rpartition(":")[2]) as concerts:
            reserved = orders.office.end(pending, "Reserved")
            assert reserved["total"] == {"amount": 9000, "currency": "EUR"}
            assert concerts.office.counts(concert) == (1, 2, 0)
