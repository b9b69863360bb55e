"""What a buyer reads: all that is known of the concert, the money as it is, and never markup that somebody typed."""

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from tests.fakes import NOON
from tests.product.services.notifications.test_notifications import cancelled, paid, taken

from cludale.kernel.events import Cause
from cludale.ports.messengers import Message
from cludale.ports.programme import ConcertDetails
from cludale.services.notifications.domain import Notification, receipt, tell
from cludale.services.notifications.words import message, summary, text_message, when
from cludale.services.orders.events import CancelReason, OrderCancelled, OrderPaid

CONCERT = ConcertDetails(
    artist="Coldplay", date="2027-06-05T22:30:00-04:00", venue="Waldbühne", sections={"main": "Main floor"}
)


def told(fact: OrderPaid | OrderCancelled, *, money: bool = False) -> Notification:
    came = receipt(taken().data, at=datetime(2026, 11, 22, 12, tzinfo=UTC)) if money else None
    return tell(fact, came, cause=Cause(), now=NOON).state


def mail(notification: Notification, concert: ConcertDetails | None = CONCERT) -> Message:
    return message(notification, "somebody@example.org", concert)


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"


def shown(made: Message) -> tuple[str, str]:
    """The same, as text and as a page shows it."""
    assert made.html is not None
    return made.text, Page(made.html).text


def test_a_confirmation_says_all_that_a_buyer_needs() -> None:
    made = mail(told(paid().data, money=True))
    for text in shown(made):
        for part in (
            "Coldplay",
            "Saturday, 5 June 2027, 22:30 (UTC-04:00)",
            "Waldbühne",
            "Main floor",
            "45.00 EUR each",
            "90.00 EUR",
            "Receipt: 90.00 EUR was paid on Sunday, 22 November 2026, 12:00 (UTC), payment payment-of-order-1.",
            "order-1",
        ):
            assert part in text
    assert "  Seats:        2\n" in made.text
    assert made.subject == "Your tickets: Coldplay, Saturday, 5 June 2027, 22:30 (UTC-04:00)"


def test_what_is_free_is_neither_paid_nor_given_back() -> None:
    gone = cancelled(was_paid=True, total=0).data
    for made in (mail(told(paid(total=0).data)), mail(told(gone))):
        for text in shown(made):
            assert "0.00" not in text
            assert "goes back" not in text
            assert "free of charge" in text
            assert "othing was charged" in text
    assert summary(told(gone)).endswith("It was free of charge, and nothing was charged.")


@pytest.mark.parametrize("reason", CancelReason)
def test_every_reason_for_a_cancellation_has_words(reason: CancelReason) -> None:
    notification = told(cancelled(reason=reason).data)
    assert "because" in summary(notification) or reason.is_on_purpose
    for text in shown(mail(notification)):
        assert "your order is cancelled, " in text


@pytest.mark.parametrize("reason", CancelReason)
@pytest.mark.parametrize("was_paid", [False, True])
def test_where_money_was_taken_a_cancellation_says_that_it_goes_back(reason: CancelReason, was_paid: bool) -> None:
    for text in shown(mail(told(cancelled(reason=reason, was_paid=was_paid).data, money=True))):
        assert "The 90.00 EUR that you paid goes back to you." in text
        assert "othing was charged" not in text


@pytest.mark.parametrize("reason", [each for each in CancelReason if each is not CancelReason.DECLINED])
def test_while_a_charge_may_be_under_way_nothing_is_said_not_to_have_been_charged(reason: CancelReason) -> None:
    for text in shown(mail(told(cancelled(reason=reason).data))):
        assert "othing was charged" not in text
        assert "If money was taken for it, all of it goes back to you." in text


def test_a_declined_order_was_not_charged_and_its_buyer_gets_back_what_is_charged_later() -> None:
    for text in shown(mail(told(cancelled(reason=CancelReason.DECLINED).data))):
        assert "the payment was declined and no other came in time" in text
        assert "Nothing was charged. If money is taken for it all the same, all of it goes back to you." in text


def test_an_order_that_never_had_seats_was_not_charged() -> None:
    for text in shown(mail(told(cancelled(reason=CancelReason.SOLD_OUT, total=None).data))):
        assert "Nothing was charged." in text
        assert "goes back" not in text


def test_a_ticket_whose_receipt_is_not_known_is_confirmed_and_cancelled_all_the_same() -> None:
    assert "Receipt: 90.00 EUR was paid." in mail(told(paid().data)).text
    assert "The 90.00 EUR that you paid goes back to you." in mail(told(cancelled(was_paid=True).data)).text


TYPED = '<b>Bold & "Sons"</b>\r\nBcc: all@example.org\x00\u2028\u202e\u200b<script>alert(1)</script>'


def test_what_somebody_typed_becomes_neither_markup_nor_a_header() -> None:
    concert = ConcertDetails(artist=TYPED, date=TYPED, venue=TYPED, sections={"main": TYPED})
    for fact in (paid().data, cancelled().data):
        made = mail(told(fact), concert)
        assert made.html is not None
        page = Page(made.html)
        assert page.tags <= {"html", "head", "meta", "title", "body", "p", "table", "tr", "th", "td"}
        assert '<b>Bold & "Sons"</b> Bcc: all@example.org <script>' in page.text
        for text in (made.subject, made.text, made.html):
            assert not any(each in text for each in "\r\x00\u2028\u202e\u200b")
        assert "\n" not in made.subject
        assert not any(line.startswith("Bcc") for line in made.text.splitlines())


def test_names_in_any_script_stay_as_they_are() -> None:
    concert = ConcertDetails(artist="Zoë ‌می‌خواهم 👩\u200d🎤", date="2027-06-05", venue="東京ドーム")
    made = mail(told(paid().data), concert)
    assert "Zoë ‌می‌خواهم 👩\u200d🎤" in made.text
    assert "東京ドーム" in made.text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2027-06-05", "Saturday, 5 June 2027"),
        ("2027-06-05T22:30:00-04:00", "Saturday, 5 June 2027, 22:30 (UTC-04:00)"),
        ("2027-06-05T00:30+02:00", "Saturday, 5 June 2027, 00:30 (UTC+02:00)"),
        ("2027-06-05T19:30:00Z", "Saturday, 5 June 2027, 19:30 (UTC)"),
        ("2027-06-05T19:30:00.000000Z", "Saturday, 5 June 2027, 19:30 (UTC)"),
        ("2027-06-05T19:30:00+05:45", "Saturday, 5 June 2027, 19:30 (UTC+05:45)"),
        ("next summer", "next summer"),
    ],
)
def test_a_date_is_read_as_the_organizer_wrote_it(written: str, read: str) -> None:
    assert when(written) == read


def test_without_the_concert_its_id_stands_there() -> None:
    made = mail(told(paid().data), None)
    assert made.subject == "Your tickets: order order-1"
    for text in shown(made):
        assert "concert-1" in text
        assert "main" in text


def test_a_text_message_is_short() -> None:
    made = text_message(told(paid().data, money=True), "+3161234567", CONCERT)
    assert made.html is None
    assert made.text == (
        "Order order-1 is confirmed: 2 tickets in section main for concert concert-1, 90.00 EUR paid. "
        "Coldplay, Saturday, 5 June 2027, 22:30 (UTC-04:00)."
    )
