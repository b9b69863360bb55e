"""The shop over plain HTTP, as a browser without scripts uses it: pages, forms, cookies, and what they refuse."""

import gzip
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import httpx
import pytest
from tests.patience import eventually
from tests.served import Served, serve

HASTE = {"CLUDALE_SWEEP_SECONDS": "0.1", "CLUDALE_PAYMENT_BACKOFF_SECONDS": "0.05"}
PAGE_BYTES = 30_000
SCRIPT_BYTES = 15_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("shop"), settings=HASTE) as served:
        served.concert("club", artist="Ada & the Overflows", seats=50, venue="Kellerbar, Vienna")
        served.concert("tricky", artist="<script>alert(1)</script>", seats=5)
        later = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
        served.concert("later", artist="Northern Lights", seats=5, onSaleAt=later)
        yield served


@pytest.fixture
def buyer(shop: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shop.url, follow_redirects=True, timeout=20) as client:
        yield client


def fields(html: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that is sent there."""
    form = re.search(rf'action="{re.escape(action)}".*?</form>', html, re.DOTALL)
    assert form, html
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0])}


def checkout(buyer: httpx.Client, concert: str, quantity: int = 2) -> tuple[str, dict[str, str]]:
    """The form for the buyer's details: where it goes, and what it has."""
    page = buyer.get(f"/shop/concerts/{concert}/checkout?section=general&quantity={quantity}")
    assert page.status_code == 200, page.text
    action = f"/shop/concerts/{concert}/checkout"
    return action, {**fields(page.text, action), "email": "ada@example.com", "card": "card-ok"}


def standing(page: httpx.Response) -> str:
    found = re.search(r'class="card narrow state" data-standing="(\w+)"', page.text)
    assert found, page.text
    return found[1]


def orders_of(shop: Served, concert: str) -> list[str]:
    listed = shop.http.get(f"/orders?concertId={concert}&limit=100", headers=shop.organizer).json()
    return [each["id"] for each in listed["items"]]


def test_categories_fees_and_a_code_are_bought_without_a_script(shop: Served, buyer: httpx.Client) -> None:
    categories = [{"id": id, "name": id.capitalize(), "hidden": id == "member"} for id in ("adult", "child", "member")]
    rows = [{"section": "general", "category": id, "amount": amount} for id, amount in (("child", 2000), ("member", 1))]
    fee = {"id": "booking", "name": "Booking fee", "amount": 150}
    tax = {"name": "VAT", "percent": 19}
    shop.concert("priced", pricing={"categories": categories, "prices": rows, "fees": [fee], "tax": tax})
    code = {"code": "club", "unlocks": "member", "percent": 10, "maxUses": 1}
    assert shop.http.post("/concerts/priced/codes", json=code, headers=shop.organizer).status_code == 201
    page = buyer.get("/shop/concerts/priced").text
    assert 'name="tickets-child"' in page
    assert "member" not in page.lower()
    at = "/shop/concerts/priced/checkout"
    chosen = {"section": "general", "tickets-adult": "1", "tickets-child": "1"}
    page = buyer.get(at, params={**chosen, "code": "nope"}).text
    assert "There is no such discount code" in page
    page = buyer.get(at, params={**chosen, "code": "Club"}).text
    assert "Booking fee" in page
    assert "VAT included" in page
    assert "Buy them as" in page
    # 4500 + 2000, less 10 %, and two fees
    sent = {**fields(page, at), "tickets-adult": "1", "tickets-child": "1", "email": "a@example.com", "card": "card-ok"}
    assert (sent["total"], sent["code"]) == ("6150", "Club")
    bought = buyer.post(at, data=sent)
    assert bought.status_code == 200
    (order,) = shop.http.get("/orders?concertId=priced", headers=shop.organizer).json()["items"]
    assert (order["total"]["amount"], [line["category"] for line in order["bill"]["lines"]]) == (
        6150,
        ["adult", "child"],
    )
    again = buyer.get(at, params={**chosen, "code": "Club"}).text
    assert "This discount code is used up" in again


def test_concerts_are_found_by_artist_and_place(buyer: httpx.Client) -> None:
    assert "Ada &amp; the Overflows" in buyer.get("/shop?artist=overflows&venue=vienna").text
    nothing = buyer.get("/shop?artist=nobody").text
    assert "No concert fits" in nothing
    assert "Overflows" not in nothing


def test_a_day_that_is_none_is_said_at_its_field(buyer: httpx.Client) -> None:
    page = buyer.get("/shop?from=tomorrow")
    assert page.status_code == 200
    assert 'aria-describedby="from-wrong"' in page.text


@pytest.mark.parametrize("path", ["/shop", "/shop/concerts/club", "/shop/orders", "/shop/concerts/none"])
def test_every_page_forbids_what_it_does_not_need(buyer: httpx.Client, path: str) -> None:
    page = buyer.get(path)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src| type=\"application/ld)", page.text)


def test_what_an_organizer_or_a_visitor_wrote_never_runs(buyer: httpx.Client) -> None:
    for path in ("/shop", "/shop/concerts/tricky", "/shop?artist=%3Cscript%3Ealert(1)%3C/script%3E"):
        assert "<script>alert" not in buyer.get(path).text


def test_a_page_comes_in_the_language_that_is_chosen_and_stays_so(buyer: httpx.Client) -> None:
    assert '<html lang="fr">' in buyer.get("/shop", headers={"accept-language": "fr-CH, en;q=0.5"}).text
    assert "Konzerte" in buyer.get("/shop?lang=de").text
    assert "45,00 €" in unescape(buyer.get("/shop/concerts/club").text).replace("\xa0", " ")


def test_a_concert_is_not_sent_again_to_whoever_has_it(buyer: httpx.Client) -> None:
    page = buyer.get("/shop/concerts/club")
    again = buyer.get("/shop/concerts/club", headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    frame = buyer.get("/shop/concerts/club/seats")
    assert buyer.get("/shop/concerts/club/seats", headers={"if-none-match": frame.headers["etag"]}).status_code == 304


def test_pages_and_script_are_small(buyer: httpx.Client) -> None:
    page = buyer.get("/shop/concerts/club")
    addresses = re.findall(r'"(/shop/static/[^"]+|/shop/art/[^"]+)"', page.text)
    files = [page.text, *(buyer.get(each).text for each in addresses)]
    assert page.headers["content-encoding"] == "gzip"
    assert sum(len(gzip.compress(each.encode())) for each in files) < PAGE_BYTES
    script = re.search(r'src="(/shop/static/shop[^"]+)"', page.text)
    assert script
    answer = buyer.get(script[1])
    assert len(answer.content) < SCRIPT_BYTES
    assert "immutable" in answer.headers["cache-control"]


def test_machines_read_what_is_offered(buyer: httpx.Client) -> None:
    page = buyer.get("/shop/concerts/club").text
    data = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    assert data
    event = json.loads(data[1])
    assert event["@type"] == "MusicEvent"
    assert event["offers"][0]["availability"] == "https://schema.org/InStock"
    assert event["offers"][0]["price"] == "45.00"
    assert "/shop/concerts/club</loc>" in buyer.get("/shop/sitemap.xml").text
    assert "BEGIN:VEVENT" in buyer.get("/shop/concerts/club/event.ics").text


def test_tickets_are_bought_with_forms_alone(shop: Served, buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club")
    page = buyer.post(action, data={**form, "buyer": " Ada  Lovelace "})
    assert standing(page) in ("paid", "paying", "confirming")
    assert standing(buyer.get(page.url)) == "paid"
    named = shop.http.get("/orders?concertId=club&name=lovelace", headers=shop.organizer).json()["items"]
    assert [each["name"] for each in named] == ["Ada Lovelace"]
    assert all("ada" not in str(each.url) for each in (*page.history, page))
    assert "Ada &amp; the Overflows" in buyer.get("/shop/orders").text


def test_a_button_for_other_sites_says_how_the_sale_stands_and_may_be_loaded_there(buyer: httpx.Client) -> None:
    for concert, words in (("club", "Tickets"), ("later", "Noch nicht im Verkauf")):
        answer = buyer.get(f"/shop/concerts/{concert}/button.svg?lang=de")
        assert f"<title>{words}</title>" in answer.text
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "set-cookie" not in answer.headers
    assert buyer.get("/shop/concerts/none/button.svg").status_code == 404


def test_an_order_of_the_shop_begins_with_the_time_of_its_cart_and_tells_nothing_else_of_it(
    shop: Served, buyer: httpx.Client
) -> None:
    before = time.time() * 1000
    action, form = checkout(buyer, "club")
    order = str(buyer.post(action, data=form).url.path).rpartition("/")[2].removeprefix("order-")
    assert int(before) <= int(order[:12], 16) <= time.time() * 1000
    assert form["cart"].startswith(order[:12])
    assert order[12:] not in form["cart"]


@pytest.mark.parametrize("key", ["a-cart-of-a-release-of-before", "zzzzzzzzzzzzzzzzzzzzzzzz"])
def test_a_cart_of_a_release_of_before_buys_once_too(shop: Served, buyer: httpx.Client, key: str) -> None:
    action, form = checkout(buyer, "club", quantity=1)
    bought = [buyer.post(action, data={**form, "cart": key}).url.path for _ in range(2)]
    assert bought[0] == bought[1]
    assert bought[0].startswith("/shop/orders/order-")


def test_a_form_that_is_sent_again_buys_once(shop: Served, buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club")
    other_action, other = checkout(buyer, "club")
    before = len(orders_of(shop, "club"))
    first = buyer.post(action, data=form)
    again = buyer.post(action, data=form)
    other_tab = buyer.post(other_action, data={**other, "email": "else@example.com"})
    back = buyer.get(f"{action}?section=general&quantity=2&cart={form['cart']}")
    assert len({each.url.path for each in (first, again, other_tab, back)}) == 1
    assert "nothing was bought a second time" in again.text
    assert len(orders_of(shop, "club")) == before + 1


def test_a_lost_answer_is_had_by_sending_the_form_again(shop: Served, buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club")
    before = len(orders_of(shop, "club"))
    cookies = dict(buyer.cookies)
    first = httpx.post(shop.url + action, data=form, cookies=cookies)  # whose cookies the browser never saw
    again = buyer.post(action, data=form)
    assert again.url.path == first.headers["location"]
    assert len(orders_of(shop, "club")) == before + 1
    changed = httpx.post(shop.url + action, data={**form, "email": "else@example.com"}, cookies=cookies)
    assert changed.status_code == 422
    assert "sent before with other details" in changed.text


def test_a_browser_without_cookies_is_told_and_not_sent_round(shop: Served) -> None:
    path = "/shop/concerts/club/checkout?section=general&quantity=1"
    first = httpx.get(shop.url + path)
    page = httpx.get(shop.url + first.headers["location"])
    assert page.status_code == 200
    action = "/shop/concerts/club/checkout"
    sent = httpx.post(
        shop.url + action, data={**fields(page.text, action), "email": "a@example.com", "card": "card-ok"}
    )
    assert sent.status_code == 403
    assert "cookies" in sent.text


def test_a_cart_that_somebody_sent_leads_to_an_order_of_ones_own(shop: Served, buyer: httpx.Client) -> None:
    with httpx.Client(base_url=shop.url, follow_redirects=True, timeout=20) as other:
        action, theirs = checkout(other, "club")
        other.post(action, data=theirs)
        buyer.get(f"{action}?section=general&quantity=2&cart={theirs['cart']}")
        _, mine = checkout(buyer, "club")
        mine = {**mine, "cart": theirs["cart"]}
        before = len(orders_of(shop, "club"))
        buyer.post(action, data=mine)
        assert len(orders_of(shop, "club")) == before + 1


def test_forms_from_elsewhere_are_refused(shop: Served, buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club")
    before = len(orders_of(shop, "club"))
    refused = (
        buyer.post(action, data=form, headers={"sec-fetch-site": "cross-site"}),
        buyer.post(action, data=form, headers={"origin": "https://elsewhere.example"}),
        buyer.post(action, data={**form, "csrf": "0" * 40}),
        buyer.post(action, json=form),
        httpx.post(shop.url + action, data=form),
    )
    assert [each.status_code for each in refused] == [403] * 5
    assert len(orders_of(shop, "club")) == before


def test_what_is_wrong_is_said_at_the_field_and_the_rest_stays(buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club")
    page = buyer.post(action, data={**form, "email": "ada@", "phone": "+49 40 1234567"})
    assert page.status_code == 422
    assert 'id="email-wrong"' in page.text
    assert 'value="+49 40 1234567"' in page.text
    assert standing(buyer.post(action, data=form)) != "cancelled"


def test_a_declined_card_can_be_followed_by_another_one(buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club")
    page = buyer.post(action, data={**form, "card": "card-declined"})
    page = buyer.get(page.url)
    assert standing(page) == "failed"
    pay = f"{page.url.path}/pay"
    second = {**fields(page.text, pay), "card": "card-ok"}
    buyer.post(pay, data=second)
    buyer.post(pay, data=second)
    assert standing(buyer.get(page.url)) == "paid"


def test_an_order_is_cancelled_by_its_buyer(buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club")
    page = buyer.get(buyer.post(action, data=form).url)
    cancel = f"{page.url.path}/cancel"
    assert standing(buyer.post(cancel, data=fields(page.text, cancel))) == "cancelled"


def tickets_of(buyer: httpx.Client, order: str) -> httpx.Response:
    """The page of an order's tickets, as soon as there are some."""
    for _ in range(100):
        page = buyer.get(f"{order}/tickets")
        if "QR code of ticket" in page.text:
            return page
        assert page.status_code == 200
        time.sleep(0.1)
    raise AssertionError(page.text)


def test_tickets_are_shown_printed_and_given_to_somebody_else(shop: Served, buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club")
    order = buyer.post(action, data=form).url.path
    page = tickets_of(buyer, order)
    first, second = dict.fromkeys(re.findall(r'src="(/shop/tickets/[^"]+)\.svg"', page.text))
    drawing = buyer.get(f"{first}.svg")
    assert drawing.headers["content-type"] == "image/svg+xml"
    assert "inline" in drawing.headers["content-disposition"]
    assert drawing.headers["cache-control"] == "no-store"
    for printed in (f"{first}.pdf", f"/shop/tickets/{order.rpartition('/')[2]}.pdf"):
        assert buyer.get(printed).content.startswith(b"%PDF")
    assert "Wallet" not in page.text, "none is set up here"
    assert buyer.get(f"{first}.pkpass").status_code == 404
    with httpx.Client(base_url=shop.url, follow_redirects=True, timeout=20) as friend:
        for path in (f"{order}/tickets", first, f"{first}.svg", f"{first}.pdf"):
            assert friend.get(path).status_code == 404, path
        transfer = f"{first}/transfer"
        form = {**fields(buyer.get(first).text, transfer), "holder": "Zoë Šimić"}
        given = buyer.post(transfer, data=form)
        link = re.search(r'id="link" readonly value="([^"]+)"', given.text)
        assert link, given.text
        reloaded = buyer.post(transfer, data=form)
        assert f'value="{link[1]}"' in reloaded.text, "it was given once, and the link is good"
        theirs = friend.get(unescape(link[1]))
        assert theirs.url.path == first
        assert not theirs.url.query
        assert "Zoë Šimić" in theirs.text
        assert friend.get(f"{first}.svg").content != drawing.content, "the code of before is void"
        assert friend.get(second).status_code == 404
    after = tickets_of(buyer, order).text
    assert "Given to somebody else" in after
    assert link[1] in after, "the link is not lost with the page"
    assert f"{first}.svg" not in after


def test_a_name_that_is_too_long_changes_no_ticket(buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club", 1)
    page = tickets_of(buyer, buyer.post(action, data=form).url.path)
    ticket = re.findall(r'src="(/shop/tickets/[^"]+)\.svg"', page.text)[0]
    wanted = {**fields(buyer.get(ticket).text, f"{ticket}/transfer"), "holder": "x" * 101}
    refused = buyer.post(f"{ticket}/transfer", data=wanted)
    assert refused.status_code == 422
    assert "be a name." in refused.text
    assert f'src="{ticket}.svg"' in refused.text


def test_some_tickets_are_given_back_and_the_form_sent_again_gives_back_no_more(buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club", 3)
    page = buyer.get(buyer.post(action, data=form).url)
    assert standing(page) == "paid"
    back = f"{page.url.path}/give-back"
    wanted = fields(page.text, back)
    names = re.findall(r'name="(tickets-[\w-]+)"', page.text)
    assert len(names) == 1
    for count, why in (("", "Say how many"), ("3", "To give all of them back, cancel the order")):
        refused = buyer.post(back, data={**wanted, names[0]: count})
        assert refused.status_code == 422
        assert why in refused.text
    for _ in range(2):
        after = buyer.post(back, data={**wanted, names[0]: "1"})
        assert standing(after) == "paid"
        assert after.text.count("Tickets: 1 ·") == 1
    assert "Show your tickets" in after.text


def test_the_confirmation_is_sent_again_but_not_at_once(buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club")
    page = buyer.get(buyer.post(action, data=form).url)
    again = f"{page.url.path}/resend"
    assert "on its way once more" in buyer.post(again, data=fields(page.text, again)).text
    refused = buyer.post(again, data=fields(page.text, again))
    assert refused.status_code == 429
    assert "was sent a moment ago" in refused.text


def test_an_order_is_opened_by_its_link_and_by_nothing_else(shop: Served, buyer: httpx.Client) -> None:
    action, form = checkout(buyer, "club")
    page = buyer.post(action, data=form)
    link = re.search(r'id="link" readonly value="([^"]+)"', page.text)
    assert link
    with httpx.Client(base_url=shop.url, follow_redirects=True) as stranger:
        assert stranger.get(page.url.path).status_code == 404
        assert stranger.get(f"{page.url.path}?key={'x' * 43}").status_code == 404
        opened = stranger.get(unescape(link[1]))
        assert opened.status_code == 200
        assert not opened.url.query
        assert "key=" not in re.sub(r'id="link".*', "", opened.text)


def test_the_last_seats_go_to_one_and_the_other_is_told(shop: Served, buyer: httpx.Client) -> None:
    shop.concert("small", artist="Small", seats=2)
    with httpx.Client(base_url=shop.url, follow_redirects=True, timeout=20) as other:
        action, mine = checkout(buyer, "small")
        _, theirs = checkout(other, "small")
        assert standing(other.post(action, data=theirs)) != "cancelled"
        late = buyer.post(action, data=mine)
    assert late.status_code == 409
    assert "Others were faster" in late.text
    assert 'value="ada@example.com"' in late.text


def test_nothing_is_bought_before_the_sale(shop: Served, buyer: httpx.Client) -> None:
    page = buyer.get("/shop/concerts/later/checkout?section=general&quantity=1")
    assert page.url.path == "/shop/concerts/later"
    assert "The sale begins on" in page.text
    assert "Choose these tickets" not in page.text


def test_a_concert_shows_what_its_organizer_says_of_it_by_the_clocks_there(shop: Served, buyer: httpx.Client) -> None:
    shop.concert(
        "told",
        title="The <b>last</b> tour",
        zone="Europe/Vienna",
        date="2099-06-05T20:00",
        doorsAt="2099-06-05T18:30",
        venue="Kellerbar",
        place="Hauptstr. 1, Vienna",
        description="With a band.\nAnd & a choir.",
    )
    page = buyer.get("/shop/concerts/told").text
    for shown in (
        "The &lt;b&gt;last&lt;/b&gt; tour",
        ">18:30</time>",
        "Kellerbar, Hauptstr. 1, Vienna",
        "With a band.\nAnd &amp; a choir.",
        "until June 5, 2099, 20:00 (GMT+02:00)",
    ):
        assert shown in page
    assert "LOCATION:Kellerbar\\, Hauptstr. 1\\, Vienna" in buyer.get("/shop/concerts/told/event.ics").text


def test_what_is_called_off_postponed_or_no_longer_sold_says_so_and_sells_nothing(
    shop: Served, buyer: httpx.Client
) -> None:
    for id, ends in (("off", None), ("moved", None), ("ended", "2026-01-01T00:00:00Z")):
        shop.concert(id, date="2099-06-05T20:00:00Z", offSaleAt=ends)
    why = {"reason": "The singer is ill"}
    shop.http.post("/concerts/off/cancel", json=why, headers=shop.organizer).raise_for_status()
    until = {"cancelUntil": "2099-06-01T00:00:00Z"}
    shop.http.post("/concerts/moved/postpone", json=why | until, headers=shop.organizer).raise_for_status()
    for id, said, event, reason in (
        ("off", "This concert is called off.", "EventCancelled", True),
        ("moved", "This concert is postponed.", "EventPostponed", True),
        ("ended", "The sale has ended.", "EventScheduled", False),
    ):
        page = buyer.get(f"/shop/concerts/{id}/checkout?section=general&quantity=1")
        assert page.url.path == f"/shop/concerts/{id}"
        assert said in page.text
        assert ("The singer is ill" in page.text) is reason
        assert f"https://schema.org/{event}" in page.text
        assert "InStock" not in page.text
        assert "Choose these tickets" not in page.text
        assert buyer.get(f"/shop/concerts/{id}/wait").url.path == f"/shop/concerts/{id}"


def test_an_order_says_what_became_of_its_concert_and_its_money(shop: Served, buyer: httpx.Client) -> None:
    free = {"amount": 0, "currency": "EUR"}
    for id, price in (("fire", None), ("gift", free), ("till", None), ("rain", None)):
        shop.concert(id, seats=9, **({} if price is None else {"price": price}))

    def bought(concert: str, at: str = "/orders", **more: str) -> str:
        body = {"concertId": concert, "quantity": 1} | (more or {"userId": "u"})
        order = shop.http.post(at, json=body, headers=shop.organizer).json()
        shop.http.get(f"/orders/{order['id']}?wait=10", headers=shop.organizer).raise_for_status()
        return f"/shop/orders/{order['id']}?key={order['accessToken']}"

    gift, fire, rain = bought("gift"), bought("fire"), bought("rain")
    till = bought("till", "/orders/box-office", method="cash")
    assert "The card was charged." not in buyer.get(gift).text
    page = buyer.get(till).text
    assert "The card was charged." not in page
    assert "It was paid at the box office." in page
    assert "goes back to your card" not in page
    why = {"reason": "The singer is ill"}
    shop.http.post("/concerts/fire/cancel", json=why, headers=shop.organizer).raise_for_status()
    until(buyer, buyer.get(fire), "cancelled")
    page = buyer.get(fire).text
    assert "This concert is called off." in page
    assert "Choose tickets again" not in page
    later = why | {"cancelUntil": "2099-06-01T00:00:00Z"}
    shop.http.post("/concerts/rain/postpone", json=later, headers=shop.organizer).raise_for_status()
    assert eventually(lambda: "This concert is postponed." in buyer.get(rain).text)
    assert "This concert is postponed." in tickets_of(buyer, rain.partition("?")[0]).text


def test_nobody_is_asked_for_a_card_where_nothing_is_charged(shop: Served, buyer: httpx.Client) -> None:
    shop.concert("present", seats=9, price={"amount": 0, "currency": "EUR"})
    page = buyer.get("/shop/concerts/present/checkout?section=general&quantity=2").text
    assert 'type="radio" name="card"' not in page
    action = "/shop/concerts/present/checkout"
    bought = buyer.post(action, data={**fields(page, action), "email": "ada@example.com"})
    assert bought.url.path.startswith("/shop/orders/"), bought.text
    page = buyer.get("/shop/concerts/present/basket?section=general&quantity=1").text
    assert 'type="radio" name="card"' not in page
    assert "card-declined" in buyer.get("/shop/concerts/club/checkout?section=general&quantity=2").text


def test_a_number_of_seats_that_cannot_be_leads_back(buyer: httpx.Client) -> None:
    for quantity in ("0", "-1", "99", "two", ""):
        page = buyer.get(f"/shop/concerts/club/checkout?section=general&quantity={quantity}")
        assert page.url.path == "/shop/concerts/club"


def test_the_stream_begins_with_what_is_there(shop: Served) -> None:
    with httpx.stream("GET", f"{shop.url}/shop/concerts/club/live", timeout=10) as stream:
        first = next(stream.iter_lines())
    assert json.loads(first.removeprefix("data: "))["sale"] == "open"


def test_an_order_shows_its_invoice(shop: Served, buyer: httpx.Client) -> None:
    said = {"on": True, "name": "Issuer", "address": "1 Main Street"}
    try:
        assert shop.http.put("/orders/invoices/settings", json=said, headers=shop.organizer).status_code == 200
        action, form = checkout(buyer, "club")
        page = buyer.post(action, data=form)
        link = None
        for _ in range(100):
            page = buyer.get(page.url)
            link = re.search(r'href="(/shop/invoices/[^"]+\.pdf)">Invoice INV-', page.text)
            if link is not None:
                break
            time.sleep(0.05)
        assert link is not None, page.text
        document = buyer.get(link[1])
        assert (document.status_code, document.headers["content-type"]) == (200, "application/pdf")
        assert document.content.startswith(b"%PDF-")
        assert buyer.get("/shop/invoices/order-1.invoice.pdf").status_code == 404
        order = str(page.url).rpartition("/")[2]
        at = f"/shop/orders/{order}/invoice-address"
        assert at in page.text
        asked = buyer.get(at)
        typed = {**fields(asked.text, at), "name": "<b>Ng</b>", "street": "Hauptstr. 1", "place": "Berlin"}
        wrong = buyer.post(at, data={**typed, "vatId": "?"})
        assert (wrong.status_code, 'id="country-wrong"' in wrong.text) == (422, True)
        wrong = buyer.post(at, data={**typed, "country": "DE", "vatId": "?"})
        assert (wrong.status_code, 'id="vatId-wrong"' in wrong.text, "<b>Ng" in wrong.text) == (422, True, False)
        done = buyer.post(at, data={**typed, "country": "DE"})
        assert (done.status_code, at in done.text) == (200, False)
        again = buyer.post(at, data={**typed, "country": "FR"})
        assert "has an address already" in again.text
    finally:
        shop.http.put("/orders/invoices/settings", json={**said, "on": False}, headers=shop.organizer)


def test_a_checkout_asks_for_an_invoices_address_where_there_are_invoices(shop: Served, buyer: httpx.Client) -> None:
    said = {"on": True, "name": "Issuer", "address": "1 Main Street"}
    action, form = checkout(buyer, "club")
    wanted = 'name="invoice"'

    def is_asked_for() -> bool:
        time.sleep(1.1)  # what a page knows of it is a second old at most
        return wanted in buyer.get(action, params=form).text

    assert not is_asked_for()
    try:
        assert shop.http.put("/orders/invoices/settings", json=said, headers=shop.organizer).status_code == 200
        assert is_asked_for()
        address = {"name": "<b>Ng</b> GmbH", "street": "Hauptstr. 1", "place": "Berlin"}
        wrong = buyer.post(action, data={**form, **address, "invoice": "1"})
        assert (wrong.status_code, 'href="#country"' in wrong.text, "<b>Ng" in wrong.text) == (422, True, False)
        assert 'name="invoice" value="1" checked' in wrong.text
        wrong = buyer.post(action, data={**form, **address, "invoice": "1", "country": "DE", "vatId": "?"})
        assert (wrong.status_code, 'id="vatId-wrong"' in wrong.text) == (422, True)
        done = buyer.post(action, data={**form, **address, "invoice": "1", "country": "DE"})
        assert "/shop/orders/" in str(done.url), done.text
        id = str(done.url).rpartition("/")[2]
        order = shop.http.get(f"/orders/{id}", headers=shop.organizer).json()
        assert order["billingAddress"] == {**address, "country": "DE"}
        # Who does not tick it has none, whatever a browser filled in by itself.
        action, form = checkout(buyer, "club")
        plain = buyer.post(action, data={**form, **address, "country": "DE"})
        id = str(plain.url).rpartition("/")[2]
        assert "billingAddress" not in shop.http.get(f"/orders/{id}", headers=shop.organizer).json()
        buyer.get("/shop/concerts/club/basket", params={"section": "general", "quantity": "1"})
        basket = buyer.get("/shop/basket").text
        form = {**fields(basket, "/shop/basket/buy"), "email": "ada@example.com", "card": "card-ok", "invoice": "1"}
        wrong = buyer.post("/shop/basket/buy", data={**form, **address})
        assert (wrong.status_code, 'id="country-wrong"' in wrong.text) == (422, True)
        cart = buyer.post("/shop/basket/buy", data={**form, **address, "country": "DE"})
        assert "/shop/carts/" in str(cart.url), cart.text
    finally:
        shop.http.put("/orders/invoices/settings", json={**said, "on": False}, headers=shop.organizer)


def test_who_finds_no_seat_waits_and_takes_what_comes_back(shop: Served, buyer: httpx.Client) -> None:
    shop.concert("tiny", artist="The Wrens", seats=1)
    action, form = checkout(buyer, "tiny", 1)
    first = buyer.post(action, data=form)
    assert standing(until(buyer, first, "paid")) == "paid"
    ends = time.monotonic() + 10
    while "/shop/concerts/tiny/wait" not in buyer.get("/shop/concerts/tiny").text:
        assert time.monotonic() < ends
        time.sleep(0.1)
    page = buyer.get("/shop/concerts/tiny/wait")
    hidden = fields(page.text, "/shop/concerts/tiny/wait")
    wrong = buyer.post("/shop/concerts/tiny/wait", data={**hidden, "quantity": "1", "email": "nobody"})
    assert wrong.status_code == 422
    sent = {**hidden, "quantity": "1", "email": "ada@example.com"}
    waits, again = (buyer.post("/shop/concerts/tiny/wait", data=sent) for _ in range(2))
    assert (standing(waits), waits.url) == ("waiting", again.url)
    assert "number 1 of 1" in waits.text
    where = str(first.url)
    buyer.post(f"{where}/cancel", data=fields(first.text, f"{httpx.URL(where).path}/cancel"))
    offer = until(buyer, waits, "offered")
    path = f"{offer.url.path}/pay"
    buyer.post(path, data={**fields(offer.text, path), "card": "card-ok"})
    assert standing(until(buyer, waits, "paid")) == "paid"


def until(buyer: httpx.Client, page: httpx.Response, wanted: str) -> httpx.Response:
    """The order's page, once it stands so."""
    for _ in range(100):
        seen = buyer.get(page.url.copy_with(query=None))
        if standing(seen) == wanted:
            return seen
        time.sleep(0.1)
    raise AssertionError(f"never {wanted}: {seen.text}")


def test_several_things_are_bought_at_once_from_a_basket(shop: Served, buyer: httpx.Client) -> None:
    page = buyer.get("/shop/concerts/club/basket?section=general&quantity=2")
    assert page.url.path == "/shop/basket"
    assert "Ada &amp; the Overflows" in page.text
    page = buyer.get("/shop/concerts/tricky/basket?section=general&quantity=1")
    assert "<script>alert(1)" not in page.text
    for line, quantity in (("9" * 5_000, "1"), ("7", "1"), ("x", "1"), ("0", ""), ("0", "two")):  # nothing changes
        wrong = {**fields(page.text, "/shop/basket/change"), "line": line, "quantity": quantity}
        assert buyer.post("/shop/basket/change", data=wrong).text.count('name="line"') == page.text.count('name="line"')
    change = {**fields(page.text, "/shop/basket/change"), "line": "0", "quantity": "1"}
    page = buyer.post("/shop/basket/change", data=change)
    assert "€90.00" in page.text  # twice one of 45
    form = {**buying(page.text), "email": "ada@example.com", "card": "card-declined"}
    assert buyer.post("/shop/basket/buy", data={**form, "email": ""}).status_code == 422
    page = buyer.post("/shop/basket/buy", data=form)
    assert page.url.path.startswith("/shop/carts/cart-")
    page = until(buyer, page, "failed")
    pay = f"{page.url.path}/pay"
    page = buyer.post(pay, data={**fields(page.text, pay), "card": "card-ok"})
    page = until(buyer, page, "paid")
    lines = re.findall(r'href="(/shop/orders/order-[^"/]*)"', page.text)
    assert len(lines) == 2
    assert "see all of them" in buyer.get(lines[0]).text
    assert buyer.get(f"{lines[1]}/tickets").status_code == 200
    assert "There is nothing in your basket" in buyer.get("/shop/basket").text
    assert len(re.findall(r'href="/shop/orders/order-', buyer.get("/shop/orders").text)) == 2
    link = re.search(r'id="link" readonly value="([^"]*)"', page.text)
    with httpx.Client(base_url=shop.url, follow_redirects=True) as elsewhere:
        assert elsewhere.get(page.url.path).status_code == 404
        assert link is not None
        opened = elsewhere.get(unescape(link[1]))
        assert (opened.status_code, "key=" in str(opened.url)) == (200, False)
        assert elsewhere.get(lines[0]).status_code == 200


def test_a_basket_that_can_not_be_had_says_which_line(shop: Served, buyer: httpx.Client) -> None:
    shop.concert("few", artist="Few Seats", seats=2)
    buyer.get("/shop/concerts/club/basket?section=general&quantity=1")
    page = buyer.get("/shop/concerts/few/basket?section=general&quantity=2")
    form = {**buying(page.text), "email": "ada@example.com", "card": "card-ok"}
    order = {"concertId": "few", "userId": "u", "quantity": 1}
    assert shop.http.post("/orders", json=order).status_code == 201
    page = buyer.post("/shop/basket/buy", data=form)
    assert page.status_code == 409
    assert "Few Seats" in page.text[page.text.index('id="refusal"') :]
    remove = {**fields(page.text, "/shop/basket/change"), "line": "1", "remove": "1"}
    page = buyer.post("/shop/basket/change", data=remove)
    assert "Few Seats" not in page.text


def buying(html: str) -> dict[str, str]:
    """The hidden fields of the form that buys what is in the basket."""
    form = re.search(r'action="/shop/basket/buy".*?</form>', html, re.DOTALL)
    assert form, html
    return {
        name: unescape(value) for name, value in re.findall(r'type="hidden" name="([\w-]+)" value="([^"]*)"', form[0])
    }
