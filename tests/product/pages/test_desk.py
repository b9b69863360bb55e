"""The desk over plain HTTP, as a browser without scripts uses it: who may do what, and what happens once."""

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.product.pages.staffed import Staff, key_for
from tests.served import Served, serve

HASTE = {"CLUDALE_SWEEP_SECONDS": "0.1", "CLUDALE_PAYMENT_BACKOFF_SECONDS": "0.05"}
PAGE_BYTES, SCRIPT_BYTES = 30_000, 15_000
SCRIPT = Path(__file__).parents[3] / "src/cludale/pages/static/desk.js"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("desk"), settings=HASTE) as served:
        served.concert("club", artist="Ada & the Overflows", seats=200, venue="Kellerbar, Vienna", zone="Europe/Vienna")
        served.concert("tricky", artist="<script>alert(1)</script>", seats=5)
        yield served


def paid(shop: Served, quantity: int = 2, email: str = "ada@example.com") -> str:
    sent = {"concertId": "club", "userId": "u", "quantity": quantity, "email": email, "name": "Ada"}
    id: str = shop.http.post("/orders", json=sent).json()["id"]
    assert shop.http.get(f"/orders/{id}?wait=10", headers=shop.organizer).json()["status"] == "Paid"
    return id


def order_of(shop: Served, id: str) -> dict[str, object]:
    found: dict[str, object] = shop.http.get(f"/orders/{id}", headers=shop.organizer).json()
    return found


def test_who_lacks_a_right_sees_a_page_that_names_it(shop: Served, sign_in: Callable[[str], Staff]) -> None:
    order = paid(shop)
    one, that = "/staff/concerts/club", f"/staff/orders/{order}"
    may_read = [
        one,
        f"{one}/sales",
        f"{one}/codes",
        f"{one}/blocks",
        f"{one}/waiting",
        "/staff/orders",
        that,
        "/staff/exports",
    ]
    may_plan = ["/staff/new-concert", f"{one}/change", f"{one}/seats", f"{one}/postpone"]
    rights = {"catalogue": [one, *may_plan], "read": may_read, "refund": [f"{one}/call-off"], "privacy": []}
    every = {*may_read, *may_plan, f"{one}/call-off", f"{that}/refund", f"{that}/cancel", f"{that}/amend"}
    for scope, allowed in rights.items():
        staff = sign_in(key_for(shop, scope))
        for path in every:
            page = staff.get(path)
            if path in allowed:
                assert page.status_code == 200, (scope, path)
            elif page.status_code != 200:
                assert page.status_code == 403, (scope, path)
                assert "You may not see this" in page.text
                assert scope in page.text
        assert (staff.get("/staff/privacy").status_code == 200) is (scope == "privacy")
    reader = sign_in(key_for(shop, "read"))
    token = re.search(r'name="csrf" value="([^"]+)"', reader.get("/staff").text)
    assert token is not None
    for path in ("/staff/new-concert", f"{one}/call-off", f"{that}/cancel", f"{that}/refund", "/staff/privacy/erase"):
        fields = {"csrf": token[1], "reason": "x", "sure": "x" * 24, "quantity": "1", "email": "ada@example.com"}
        assert reader.http.post(path, data=fields).status_code == 403, path
    assert order_of(shop, order)["status"] == "Paid"


def test_another_organizers_concerts_and_orders_are_not_there(shop: Served, sign_in: Callable[[str], Staff]) -> None:
    order = paid(shop)
    other = sign_in(key_for(shop, "read", "catalogue", "refund", "sell", "privacy", organizer="acme"))
    assert "You have no coming concert yet" in other.get("/staff").text
    for path in ("/staff/concerts/club", "/staff/concerts/club/change", "/staff/concerts/club/sales"):
        assert other.get(path).status_code == 404, path
    assert other.get(f"/staff/orders/{order}").status_code == 404
    assert order not in other.get("/staff/orders").text
    assert "Nothing is kept" in other.send("/staff/privacy", "/staff/privacy", email="ada@example.com").text


def test_nobody_gets_in_unsigned_and_no_form_is_taken_that_another_site_sent(shop: Served, staff: Staff) -> None:
    for path in ("/staff", "/staff/orders", "/staff/concerts/club", "/staff/concerts/club/figures"):
        away = httpx.get(shop.url + path)
        assert (away.status_code, away.headers["location"].startswith("/staff/sign-in")) == (303, True)
    for path in (
        "/staff/new-concert", "/staff/concerts/club/change", "/staff/concerts/club/seats",
        "/staff/concerts/club/postpone", "/staff/concerts/club/call-off", "/staff/concerts/club/codes",
        "/staff/concerts/club/code-limits", "/staff/concerts/club/blocks",
        "/staff/orders", "/staff/orders/o/cancel", "/staff/orders/o/refund",
        "/staff/orders/o/amend", "/staff/orders/o/resend", "/staff/privacy", "/staff/privacy/erase",
    ):  # fmt: skip
        assert staff.http.post(path, data={"reason": "x", "sure": "x" * 24}).status_code == 403, path


def test_pages_are_small_and_strict_and_what_somebody_typed_never_runs(shop: Served, staff: Staff) -> None:
    order = paid(shop)
    for path in (
        "/staff", "/staff/new-concert?like=tricky", "/staff/concerts/tricky", "/staff/concerts/tricky/change",
        "/staff/concerts/club/sales?beside=tricky", f"/staff/orders/{order}", "/staff?artist=<script>alert(2)</script>",
    ):  # fmt: skip
        page = staff.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src)", page.text)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        assert len(gzip.compress(page.content)) < PAGE_BYTES
    assert len(gzip.compress(SCRIPT.read_bytes())) < SCRIPT_BYTES


def test_a_concert_is_made_once_however_often_its_form_is_sent(shop: Served, staff: Staff) -> None:
    form = staff.get("/staff/new-concert").text
    fields = {"artist": "Once", "date": "2099-06-05", "section-0-name": "Floor", "section-0-seats": "5"}
    wrong = staff.again("/staff/new-concert", form, **{**fields, "date": "1999-13-01", "section-0-price": "x"})
    assert wrong.status_code == 422
    assert 'id="section-0-price-wrong"' in wrong.text
    wrong = staff.again("/staff/new-concert", form, **fields, zone="Nowhere/There")
    assert 'aria-describedby="zone-wrong"' in wrong.text
    fields["offerMinutes"] = "90"
    made = [staff.again("/staff/new-concert", form, **fields).headers["location"] for _ in range(2)]
    assert made[0] == made[1]
    assert "An offer lasts 90 min." in staff.get(f"{made[0]}/waiting").text
    change = f"{made[0]}/change"
    assert 'id="offerMinutes-wrong"' in staff.send(change, change, offerMinutes="10081").text
    assert staff.send(change, change, offerMinutes="").status_code == 303
    assert "An offer lasts" not in staff.get(f"{made[0]}/waiting").text
    more = staff.again("/staff/new-concert", form, **fields, more="1")
    assert (more.status_code, 'name="section-7-seats"' in more.text, 'value="Once"' in more.text) == (200, True, True)
    copied = staff.send(f"/staff/new-concert?like={made[0].rpartition('/')[2]}", "/staff/new-concert", **fields)
    assert copied.headers["location"] != made[0]


def test_a_change_that_overtakes_another_is_shown_and_saves_nothing(shop: Served, staff: Staff) -> None:
    shop.concert("both", zone="Europe/Vienna")
    at, to = "/staff/concerts/both/change", "/staff/concerts/both/change"
    form = staff.get(at).text
    body = {"venue": "Theirs"}
    shop.http.patch("/concerts/both", json=body, headers={**shop.organizer, "if-match": "*"}).raise_for_status()
    late = staff.again(to, form, venue="Ours", artist="Ours, too")
    assert late.status_code == 412
    assert "Somebody changed this concert meanwhile" in late.text
    assert "Theirs" in late.text
    assert shop.http.get("/concerts/both").json()["venue"] == "Theirs"
    assert staff.again(to, late.text.partition("<main")[2], venue="Ours").status_code == 303
    assert shop.http.get("/concerts/both").json()["venue"] == "Ours"
    seats = staff.get("/staff/concerts/both/seats").text.partition("<main")[2]
    assert staff.again("/staff/concerts/both/seats", seats, **{"section-0-seats": "90"}).status_code == 303
    assert staff.again("/staff/concerts/both/seats", seats, **{"section-0-seats": "80"}).status_code == 412
    assert shop.http.get("/concerts/both").json()["totalSeats"] == 90


def test_a_concert_is_postponed_once_and_called_off_with_its_money(shop: Served, staff: Staff) -> None:
    shop.concert("moved", zone="Europe/Vienna")
    to = "/staff/concerts/moved/postpone"
    wrong = staff.send(to, to, reason="ill")
    assert (wrong.status_code, "cancelUntil-wrong" in wrong.text) == (422, True)
    sure = staff.send(to, to, reason="ill", date="2099-09-05", **{"date-time": "20:00"}).text.partition("<main")[2]
    assert shop.http.get("/concerts/moved").json()["date"] == "2099-06-05"
    assert staff.again(to, sure).status_code == 303
    assert staff.again(to, sure).status_code == 412
    assert shop.http.get("/concerts/moved").json()["date"] == "2099-09-05T20:00:00+02:00"
    off = "/staff/concerts/moved/call-off"
    assert staff.send(off, off, reason="").status_code == 422
    sure = staff.send(off, off, reason="ill").text.partition("<main")[2]
    assert [staff.again(off, sure).status_code for _ in range(2)] == [303, 303]
    assert "Called off" in staff.get("/staff/concerts/moved").text


def test_who_changes_a_concert_that_is_sold_is_told_that_buyers_are_not(shop: Served, staff: Staff) -> None:
    shop.concert("unsold", seats=5)
    paid(shop)
    assert "told of nothing that changes here" in staff.get("/staff/concerts/club/change").text
    assert "told of nothing that changes here" not in staff.get("/staff/concerts/unsold/change").text


def test_an_order_is_found_amended_sent_again_given_back_and_cancelled_once(shop: Served, staff: Staff) -> None:
    order = paid(shop, 3, "lark@example.com")
    at = f"/staff/orders/{order}"
    found = staff.send("/staff/orders", "/staff/orders", email="LARK@example.com")
    assert (found.status_code, order in found.text) == (200, True)
    assert "Ada &amp; the Overflows" in found.text
    led = staff.send("/staff/orders", "/staff/orders", id=order[:30], status="Paid")
    assert led.headers["location"] == f"/staff/orders?id={order[:30]}&status=Paid"
    assert order in staff.get(led.headers["location"]).text
    assert staff.get("/staff/orders?since=x").status_code == 422
    page = staff.get(at).text
    assert [name for name in ("OrderPlaced", "PaymentCompleted", "OrderPaid") if name not in page] == []
    section = shop.http.get("/concerts/club").json()["sections"][0]
    assert section["name"] != section["id"]
    assert f"<dd>{section['name']}</dd>" in page
    sure = staff.send(f"{at}/amend", f"{at}/amend", comment="front row", name="Ada").text.partition("<main")[2]
    assert [staff.again(f"{at}/amend", sure).status_code for _ in range(2)] == [303, 303]
    named = staff.send("/staff/orders", "/staff/orders", name="ad", concert="club")
    assert (named.status_code, order in named.text) == (200, True)
    assert order not in staff.send("/staff/orders", "/staff/orders", name="bob").text
    assert order_of(shop, order)["comment"] == "front row"
    sure = staff.get(f"{at}/resend").text.partition("<main")[2]
    said = [staff.again(f"{at}/resend", sure).headers["location"] for _ in range(2)]
    assert said == [f"{at}?done=resend", f"{at}?failed=resent-too-soon"]
    sure = staff.send(f"{at}/refund", f"{at}/refund", quantity="1", reason="ill").text.partition("<main")[2]
    assert "€45.00" in sure
    assert [staff.again(f"{at}/refund", sure).status_code for _ in range(3)] == [303] * 3
    refunds = order_of(shop, order)["refunds"]
    assert isinstance(refunds, list)
    assert [each["quantity"] for each in refunds] == [1]
    assert "too-many" not in staff.send(f"{at}/refund", f"{at}/refund", quantity="3").text
    sure = staff.get(f"{at}/cancel").text.partition("<main")[2]
    assert order_of(shop, order)["status"] == "Paid"
    assert [staff.again(f"{at}/cancel", sure).status_code for _ in range(2)] == [303, 303]
    assert order_of(shop, order)["status"] == "Cancelled"


def test_seats_are_held_back_and_let_go(shop: Served, staff: Staff) -> None:
    blocks = "/staff/concerts/club/blocks"
    assert staff.send(blocks, blocks, purpose="Sponsors", seats="2").status_code == 422
    assert staff.send(blocks, blocks, purpose="Sponsors", seats="2", hoursBefore="24").status_code == 303
    assert "Sponsors" in staff.get(blocks).text
    assert "Held back" in staff.get("/staff/concerts/club").text
    assert staff.send(blocks, "/staff/concerts/club/block", seats="1").status_code == 303
    assert staff.send(blocks, "/staff/concerts/club/block", release="yes").status_code == 303
    assert "Let go" in staff.get(blocks).text


def test_codes_exports_and_privacy_requests(shop: Served, staff: Staff) -> None:
    order, codes = paid(shop, 1, "gone@example.com"), "/staff/concerts/club/codes"
    assert staff.send(codes, codes, code="SPRING", percent="10", maxUses="5").status_code == 303
    assert "already" in staff.send(codes, codes, code="spring", percent="10").text
    changed = staff.send(codes, "/staff/concerts/club/code-limits", maxUses="7")
    assert changed.status_code == 303
    assert "/ 7" in staff.get(codes).text
    for what, head in (("orders", "concertDate"), ("buyers", "gone@example.com"), ("sales", "ticketsNet")):
        file = staff.get(f"/staff/exports/file?what={what}&format=csv&concert=club")
        assert head in file.text
        assert file.headers["content-disposition"].startswith("attachment")
    assert staff.get("/staff/exports/file?what=orders&format=xlsx").content[:2] == b"PK"
    assert "formula" not in staff.get("/staff/exports/file?since=x").text
    kept = staff.send("/staff/privacy", "/staff/privacy", email="gone@example.com")
    assert order in kept.text
    sure = staff.again("/staff/privacy/erase", kept.text.partition("<main")[2]).text.partition("<main")[2]
    assert order_of(shop, order)["email"] == "gone@example.com"
    assert "Erased in orders: 1" in staff.again("/staff/privacy/erase", sure).text
    assert order_of(shop, order)["email"] is None
