"""The desk's webhooks, box office, guest list, price list, reports and events, over plain HTTP without scripts."""

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.patience import eventually
from tests.product.pages.staffed import Staff, key_for
from tests.served import Served, serve

SETTINGS = {
    "CLUDALE_SWEEP_SECONDS": "0.1",
    "CLUDALE_PAYMENT_BACKOFF_SECONDS": "0.05",
    "CLUDALE_WEBHOOK_HTTP": "1",
    "CLUDALE_WEBHOOK_NETWORKS": "127.0.0.0/8",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("office"), settings=SETTINGS) as served:
        served.concert("club", artist="Ada & the Overflows", seats=60, venue="Kellerbar, Vienna", zone="Europe/Vienna")
        yield served


@pytest.fixture
def receiver() -> Iterator[str]:
    """A server that takes webhooks, but for the first that it is told."""
    answers = iter([410])

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(next(answers, 204))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    thread.join()
    server.server_close()


def until(staff: Staff, path: str, text: str) -> str:
    """The page, once it says that."""
    page = ""

    def says() -> bool:
        nonlocal page
        page = staff.get(path).text
        return text in page

    assert eventually(says), f"{path} never said {text!r}: {page}"
    return page


def test_a_webhook_is_made_tried_switched_on_again_given_a_new_secret_and_deleted(
    shop: Served, staff: Staff, receiver: str
) -> None:
    at = "/staff/webhooks"
    assert "There is no webhook yet" in staff.get(at).text
    wrong = staff.send(at, at, url="ftp://here", about="accounts")
    assert (wrong.status_code, 'id="url-wrong"' in wrong.text, 'value="accounts"' in wrong.text) == (422, True, True)
    assert 'id="concert-wrong"' in staff.send(at, at, url=receiver, concert="nowhere").text
    fields = {
        "url": receiver,
        "about": "<b>accounts</b>",
        "event-order.paid": "1",
        "sign-v1": "1",
        "email": "a@b.example",
    }
    made = staff.send(at, at, **fields)
    (secret,) = re.findall(r"whsec_[\w+/=]+", made.text)
    assert "<b>accounts" not in made.text
    (one,) = set(re.findall(r'href="(/staff/webhooks/webhook-[\w-]+)/end"', made.text))
    assert secret not in staff.get(one).text
    assert re.search(r'name="event-order\.paid" value="1" checked', staff.get(one).text)
    assert staff.send(one, f"{one}/ping").status_code == 303
    off = until(staff, one, "off: it said that it is gone")
    assert "Send all that failed again" not in off
    assert staff.again(f"{one}/change", re.findall(r"<form.*?</form>", off, re.DOTALL)[-1]).status_code == 303
    sent = staff.again(f"{one}/resend", until(staff, one, "Send all that failed again"))
    assert sent.headers["location"] == f"{one}?done=resend&n=1"
    page = until(staff, f"{one}?status=Delivered", ">webhook.ping</a>")
    (delivery,) = re.findall(r'href="(/staff/webhook-deliveries/[\w-]+)">webhook.ping', page)
    assert "&#34;type&#34;: &#34;webhook.ping&#34;" in staff.get(delivery).text
    rotated = staff.send(one, f"{one}/rotate", overlap="3600")
    assert re.findall(r"whsec_[\w+/=]+", rotated.text) != [secret]
    assert "The old secret signs, too, until" in rotated.text
    changed = staff.send(one, f"{one}/change", url=receiver, about="books", **{"no-email": "1"})
    assert changed.headers["location"] == f"{one}?done=change"
    assert "all" in staff.get(at).text
    sure = staff.get(f"{one}/end").text.partition("<main")[2]
    assert [staff.again(f"{one}/end", sure).status_code for _ in range(2)] == [303, 303]
    assert "There is no webhook yet" in staff.get(at).text


def test_who_lacks_a_right_may_look_and_no_more(shop: Served, sign_in: Callable[[str], Staff]) -> None:
    reader = sign_in(key_for(shop, "read"))
    page = reader.get("/staff/webhooks").text
    assert "Make a webhook" not in page
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token is not None
    for path in ("/staff/webhooks", "/staff/webhooks/x/ping", "/staff/webhooks/x/rotate", "/staff/webhooks/x/end"):
        assert reader.http.post(path, data={"csrf": token[1], "url": "https://x.example"}).status_code == 403, path


def test_the_box_office_says_what_to_take_and_sells_once(
    shop: Served, staff: Staff, sign_in: Callable[[str], Staff]
) -> None:
    section = shop.concert("till", seats=30)["sections"][0]["id"]
    pricing = {
        "categories": [{"id": "adult", "name": "Adult"}, {"id": "child", "name": "<i>Child</i>"}],
        "prices": [{"section": section, "category": "child", "amount": 1000}],
        "fees": [{"id": "post", "name": "Booking fee", "amount": 100}],
    }
    shop.http.patch(
        "/concerts/till", json={"pricing": pricing}, headers={**shop.organizer, "if-match": "*"}
    ).raise_for_status()
    at, seller = "/staff/concerts/till/box-office", sign_in(key_for(shop, "sell"))
    assert seller.send(at, at, method="cash").status_code == 422
    wrong = seller.send(at, at, method="complimentary", **{"tickets-child": "two"})
    assert ('id="tickets-child-wrong"' in wrong.text, 'id="reason-wrong"' in wrong.text) == (True, True)
    sure = seller.send(at, at, method="cash", **{"tickets-adult": "1", "tickets-child": "2"}).text
    assert "€68.00" in sure
    assert "<i>Child" not in sure
    sold = [seller.again(at, sure.partition("<main")[2]).text for _ in range(2)]
    assert all("Take €68.00." in each for each in sold)
    (order,) = {id for each in sold for id in re.findall(r'name="order" value="(order-[\w.-]+)"', each)}
    printed = seller.again("/staff/box-office/tickets", sold[0].partition("<main")[2])
    assert (printed.content[:5], printed.headers["content-type"]) == (b"%PDF-", "application/pdf")
    assert staff.get(f"/staff/orders/{order}/tickets").content[:5] == b"%PDF-"
    assert seller.get(f"/staff/orders/{order}/tickets").status_code == 403
    assert shop.http.get("/concerts/till").json()["soldSeats"] == 3
    free = seller.send(at, at, method="complimentary", reason="Press", **{"tickets-adult": "2"}).text
    assert "It costs nothing." in seller.again(at, free.partition("<main")[2]).text
    none = seller.send(at, at, method="terminal", receipt="A-17", **{"tickets-adult": "26"})
    gone = seller.again(at, none.text.partition("<main")[2])
    assert (gone.status_code, 'id="refusal"' in gone.text) == (422, True)
    assert shop.http.get("/concerts/till").json()["soldSeats"] == 5


def test_guests_are_put_on_by_hand_and_by_a_file_that_is_shown_first_and_taken_off(shop: Served, staff: Staff) -> None:
    shop.concert("guests", seats=8)
    at = "/staff/concerts/guests/guests"
    assert "Nobody is on the list yet" in staff.get(at).text
    assert 'id="name-wrong"' in staff.send(at, f"{at}-new", tickets="2").text
    assert "Put on the list: 1." in staff.send(at, f"{at}-new", name="<b>Ann</b> Bee", tickets="2", note="Press").text
    assert "On it before: 1." in staff.send(at, f"{at}-new", name="<b>Ann</b> Bee", tickets="2", note="Press").text
    bad = staff.send(at, f"{at}-file", csv="name,tickets\nBo,two\n,1")
    assert (bad.status_code, "line 2" in bad.text, "line 3" in bad.text) == (422, True, True)
    token = re.search(r'name="csrf" value="([^"]+)"', bad.text)
    assert token is not None
    csv = "name;tickets;note\r\n<b>Ann</b> Bee;2;Press\r\nZoë;3;\r\nCy;9;\r\n"
    upload = {"data": {"csrf": token[1]}, "files": {"file": ("guests.csv", csv.encode("utf-8-sig"), "text/csv")}}
    seen = staff.http.post(f"{at}-file", **upload)  # type: ignore[arg-type]
    for text in ("New: 2.", "stays", "Zoë", "no seats for 1 of them", "no seats</span>"):
        assert text in seen.text, text
    assert "<b>Ann" not in seen.text
    assert shop.http.get("/concerts/guests").json()["availableSeats"] == 6
    not_text = {**upload, "files": {"file": ("x.csv", b"\xff\xfe\x00", "text/csv")}}
    assert "no text in UTF-8" in staff.http.post(f"{at}-file", **not_text).text  # type: ignore[arg-type]
    elsewhere = {**upload, "headers": {"sec-fetch-site": "cross-site"}}
    assert staff.http.post(f"{at}-file", **elsewhere).status_code == 403  # type: ignore[arg-type]
    assert staff.http.post(f"{at}-file", files=upload["files"]).status_code == 403  # type: ignore[arg-type]
    none = staff.again(f"{at}-file", seen.text.partition("<main")[2], csv=csv)
    assert (none.status_code, "csv line 4" in none.text or "line 4" in none.text) == (422, True)
    assert shop.http.get("/concerts/guests").json()["availableSeats"] == 6
    done = staff.again(f"{at}-file", seen.text.partition("<main")[2], csv=csv.replace("Cy;9;\r\n", "")).text
    assert "Put on the list: 1. On it before: 1." in done
    found = staff.send(at, at, search="zoë").text
    order = re.findall(r'href="/staff/orders/(order-[\w.-]+)">Zoë', found)[0]
    assert "&lt;b&gt;Ann" not in found
    tickets = shop.http.get("/tickets", params={"order": order}, headers=shop.organizer)
    while tickets.status_code == 404:
        tickets = shop.http.get("/tickets", params={"order": order}, headers=shop.organizer)
    remove = f"/staff/guests/{order}/remove"
    sure = staff.get(remove).text.partition("<main")[2]
    assert [staff.again(remove, sure).headers["location"] for _ in range(2)] == [f"{at}?gone=1"] * 2
    assert "Zoë" not in staff.get(f"{at}?gone=1").text


def test_a_price_list_is_written_in_a_form_and_who_is_late_saves_nothing(shop: Served, staff: Staff) -> None:
    section = shop.concert("priced", seats=8, zone="Europe/Vienna")["sections"][0]["id"]
    at = "/staff/concerts/priced/prices"
    first = staff.get(at).text.partition("<main")[2]
    fields = {"category-0-name": "Adult", "category-1-name": "<u>Child</u>", "price-0-amount": "20",
              "fee-0-name": "Booking", "fee-0-percent": "5", "tax-name": "VAT", "tax-percent": "19"}  # fmt: skip
    more = staff.again(at, first, **fields, more="price").text
    assert ('name="price-7-amount"' in more, 'value="child"' in more, "<u>Child" in more) == (True, False, False)
    wrong = staff.again(at, first, **fields)
    assert (wrong.status_code, 'id="price-0-section-wrong"' in wrong.text) == (422, True)
    fields |= {"price-0-section": section, "price-0-category": "u-child-u", "price-0-until": "2099-05-01"}
    assert staff.again(at, first, **fields).status_code == 303
    told = shop.http.get("/concerts/priced", headers=shop.organizer).json()["pricing"]
    assert [each["id"] for each in told["categories"]] == ["adult", "u-child-u"]
    assert told["prices"][0]["until"].startswith("2099-05-01T22:00")
    late = staff.again(at, first, **{**fields, "tax-percent": "7"})
    assert (late.status_code, "Somebody changed this concert meanwhile" in late.text) == (412, True)
    assert shop.http.get("/concerts/priced", headers=shop.organizer).json()["pricing"]["tax"]["percent"] == 19


def test_each_figure_leads_to_the_events_that_it_follows_from(shop: Served, staff: Staff) -> None:
    section = shop.concert("figures", seats=20, zone="Europe/Vienna")["sections"][0]["id"]
    orders = []
    for quantity in (2, 3):
        sent = {"concertId": "figures", "userId": "u", "quantity": quantity}
        orders.append(shop.http.post("/orders", json=sent).json()["id"])
        assert shop.http.get(f"/orders/{orders[-1]}?wait=10", headers=shop.organizer).json()["status"] == "Paid"
    at = "/staff/concerts/figures"
    for page in (at, f"{at}/sales", "/staff"):
        links = set(re.findall(r'href="(/staff/concerts/figures/events\?kind=[\w&;=-]+)"', staff.get(page).text))
        assert {"sold", "held", "left", "money"} <= {each.partition("kind=")[2].partition("&")[0] for each in links}
        for each in links:
            assert staff.get(each.replace("&amp;", "&")).status_code == 200, each
    sold = until(staff, f"{at}/events?kind=sold&section={section}", orders[1])
    assert sold.index(orders[1]) < sold.index(orders[0])
    assert (sold.count("The seats were sold"), "tickets: 3" in sold) == (3, True)  # with the name of its list
    assert orders[0] not in staff.get(f"{at}/events?kind=sold&section=elsewhere").text
    assert orders[0] not in staff.get(f"{at}/events?kind=sold&day=2020-01-01").text
    money = until(staff, f"{at}/events?kind=money", orders[1])
    assert ("€135.00" in money, "€90.00" in money, "The money went back" in money) == (True, True, True)
    assert "The concert was made" in staff.get(f"{at}/events").text


def test_reports_are_sent_from_a_form_on_and_tills_and_invoices_are_listed_and_taken_away(
    shop: Served, staff: Staff
) -> None:
    at = "/staff/reports"
    assert "No report is sent yet" in staff.get(at).text
    fields = {"report": "sales", "to": "boss@example.com", "every": "monthly", "day": "31", "zone": "Europe/Vienna",
              "covers": "all", "format": "xlsx", "at": "07:30"}  # fmt: skip
    wrong = staff.send(at, at, **{**fields, "day": "32", "concert": "nowhere", "zone": ""}).text
    assert ('id="zone-wrong"' in wrong, 'id="concert-wrong"' in wrong) == (True, True)
    assert 'id="day-wrong"' in staff.send(at, at, **{**fields, "day": "32"}).text
    assert 'id="zone-wrong"' in staff.send(at, at, **{**fields, "zone": "Mars/Base"}).text
    assert staff.send(at, at, **fields).headers["location"] == f"{at}?done=made"
    page = staff.get(at).text
    assert ("boss@example.com" in page, "Each month, 31., 07:30" in page) == (True, True)
    (end,) = re.findall(r'href="(/staff/reports/[\w.-]+/end)"', page)
    sure = staff.get(end).text.partition("<main")[2]
    assert [staff.again(end, sure).headers["location"] for _ in range(2)] == [f"{at}?done=ended"] * 2
    assert "boss@example.com" not in staff.get(at).text

    to = "/staff/invoice-settings"
    assert "Invoices are off" in staff.get("/staff/invoices").text
    assert 'id="address-wrong"' in staff.send(to, to, on="1", name="Acme").text
    form = staff.get(to).text
    said = {"on": "1", "name": "Acme <i>Ltd</i>", "address": "1 Main Street\r\nSpringfield", "taxPercent": "7,5"}
    assert staff.again(to, form, **said, taxName="VAT").headers["location"] == f"{to}?done=1"
    late = staff.again(to, form, **said)
    assert (late.status_code, "Somebody changed this meanwhile" in late.text) == (412, True)
    shop.concert("billed", seats=9)
    sent = {"concertId": "billed", "userId": "u", "quantity": 2}
    order = shop.http.post("/orders", json=sent).json()["id"]
    until(staff, "/staff/invoices", f"/staff/invoices/{order}.invoice")
    page = until(staff, f"/staff/orders/{order}", f"/staff/invoices/{order}.invoice")
    assert staff.get(f"/staff/invoices/{order}.invoice").content[:5] == b"%PDF-"
    bill_to = f"/staff/orders/{order}/billing"
    assert 'id="street-wrong"' in staff.send(bill_to, bill_to, name="Ng").text
    whom = {"name": "Ng", "street": "Hauptstr. 1", "postcode": "10115", "place": "Berlin", "country": "DE"}
    assert staff.send(bill_to, bill_to, **whom).headers["location"] == f"/staff/orders/{order}?done=amend"
    assert "10115 Berlin<br>Germany" in staff.get(f"/staff/orders/{order}").text
    assert 'value="Hauptstr. 1"' in staff.get(bill_to).text
    staff.send(bill_to, bill_to, remove="1")
    assert "Hauptstr" not in staff.get(f"/staff/orders/{order}").text
    shop.http.post(f"/orders/{order}/cancel", headers=shop.organizer).raise_for_status()
    assert "CN-" in until(staff, "/staff/invoices?kind=credit-note", order)
    assert "No invoice is like this" in staff.get("/staff/invoices?year=1999").text
    assert 'id="year-wrong"' in staff.get("/staff/invoices?year=x").text
    assert "INV-" in staff.get("/staff/exports/file?what=invoices&format=csv").text

    box = "/staff/concerts/billed/box-office"
    sure = staff.send(box, box, method="cash", quantity="2").text.partition("<main")[2]
    staff.again(box, sure)
    assert "€90.00" in until(staff, "/staff/tills?concert=billed", "Cash")
    assert "cash" in staff.get("/staff/exports/file?what=till&format=csv&concert=billed").text
    assert "Nothing was sold" in staff.get("/staff/tills?concert=club").text


def test_the_box_office_asks_whom_the_invoice_is_to_where_there_are_invoices(shop: Served, staff: Staff) -> None:
    shop.concert("invoiced", seats=9)
    box = "/staff/concerts/invoiced/box-office"
    said = {"on": False, "name": "Issuer", "address": "1 Main Street"}
    for is_on in (False, True):
        shop.http.put(
            "/orders/invoices/settings", json={**said, "on": is_on}, headers=shop.organizer
        ).raise_for_status()
        page = staff.get(box).text
        assert ('name="to-street"' in page) is is_on
        assert ("The buyer wants an invoice" in page) is is_on
        assert "I need an invoice" not in page
    to_them = {"to-name": "Ng <b>GmbH</b>", "to-street": "Hauptstr. 1", "to-place": "Berlin"}
    asked = {"method": "cash", "quantity": "1", "name": "Ada", "invoice": "1", **to_them}
    wrong = staff.send(box, box, **asked)
    assert (wrong.status_code, 'id="to-country-wrong"' in wrong.text, "<b>GmbH" in wrong.text) == (422, True, False)
    unusable = staff.again(box, staff.send(box, box, **asked, **{"to-country": "DE", "to-vatId": "?"}).text)
    assert (unusable.status_code, 'id="to-vatId-wrong"' in unusable.text) == (422, True)
    sure = staff.send(box, box, **asked, **{"to-country": "DE"}).text.partition("<main")[2]
    assert "Hauptstr. 1, Berlin, DE" in sure
    (order,) = re.findall(r'name="order" value="(order-[\w.-]+)"', staff.again(box, sure).text)
    sold = shop.http.get(f"/orders/{order}", headers=shop.organizer).json()
    whom = {"name": "Ng <b>GmbH</b>", "street": "Hauptstr. 1", "place": "Berlin", "country": "DE"}
    assert (sold["name"], sold["billingAddress"]) == ("Ada", whom)
