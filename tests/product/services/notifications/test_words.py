"""What a buyer reads: all that is known of the concert, the money as it is, and never markup that somebody typed."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.pofile import read_po
from tests.fakes import NOON
from tests.product.services.notifications.conftest import LETTERS
from tests.product.services.notifications.test_notifications import cancelled, paid, taken

from cludale.kernel.events import Cause
from cludale.kernel.languages import DEFAULT
from cludale.kernel.languages import NAMES as LANGUAGES
from cludale.kernel.money import Money
from cludale.ports.contacts import Contact
from cludale.ports.messengers import Message
from cludale.ports.programme import ConcertDetails
from cludale.services.concerts.events import SeatsOffered
from cludale.services.notifications import words
from cludale.services.notifications.domain import Notification, receipt, tell, tell_of_offer
from cludale.services.notifications.events import NotificationKind, TemplateKind
from cludale.services.notifications.letters import LOCALE, source, spoken
from cludale.services.notifications.templates import Part
from cludale.services.notifications.words import summary, when
from cludale.services.orders.events import CancelReason, OrderCancelled, OrderPaid

CONCERT = ConcertDetails(
    artist="Coldplay", date="2027-06-05T22:30:00-04:00", venue="Waldbühne", sections={"main": "Main floor"}
)


def told(fact: OrderPaid | OrderCancelled, *, money: bool = False) -> Notification:
    came = receipt(taken().data, at=datetime(2026, 11, 22, 12, tzinfo=UTC)) if money else None
    return tell(fact, came, cause=Cause(), now=NOON).state


def mail(notification: Notification, concert: ConcertDetails | None = CONCERT) -> Message:
    return LETTERS.email(notification, Contact(email="somebody@example.org"), concert, None, language="en")


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
            "Saturday, June 5, 2027, 22:30 (GMT-04:00)",
            "Waldbühne",
            "Main floor",
            "€45.00 each",
            "€90.00",
            "Receipt: €90.00 was paid on November 22, 2026, 12:00 (UTC), payment payment-of-order-1.",
            "order-1",
        ):
            assert part in text
    assert "  Seats: 2\n" in made.text
    assert made.subject == "Your tickets: Coldplay, Saturday, June 5, 2027, 22:30"


@pytest.mark.parametrize(
    ("doors_at", "said"),
    [
        ("2027-06-05T21:00:00-04:00", "Doors: 21:00"),
        ("2027-06-04T23:00:00-04:00", "Doors: Friday, June 4, 2027, 23:00"),
        ("2027-06-04", "Doors: Friday, June 4, 2027"),
        (None, ""),
    ],
)
def test_a_confirmation_says_when_the_doors_open(doors_at: str | None, said: str) -> None:
    made = mail(told(paid().data), msgspec.structs.replace(CONCERT, doors_at=doors_at))
    assert [line for line in made.text.splitlines() if "Doors" in line] == ([f"  {said}"] if said else [])


def test_of_a_concert_that_is_moved_the_doors_of_its_new_date_are_said() -> None:
    concert = msgspec.structs.replace(CONCERT, doors_at="2027-06-05T21:00:00-04:00")
    moved = msgspec.structs.replace(told(paid().data), kind=NotificationKind.MOVED, date=concert.date)
    assert "Doors: 21:00" in mail(moved, concert).text
    assert "Doors" not in mail(moved, msgspec.structs.replace(concert, date="2027-07-05T22:30:00-04:00")).text
    off = msgspec.structs.replace(moved, kind=NotificationKind.CANCELLATION)
    assert "Doors" not in mail(off, concert).text


def test_an_offer_from_the_waiting_list_says_what_the_seats_cost() -> None:
    offer = SeatsOffered(
        allocation=paid().data.allocation,
        order_id="order-1",
        place=1,
        expires_at=NOON + timedelta(minutes=30),
        total=Money(9_000, "EUR"),
    )
    n = tell_of_offer(offer, cause=Cause(), now=NOON).state
    for text in shown(mail(n)):
        assert "€45.00 each" in text
        assert "€90.00" in text
    assert (
        "2 tickets (Main floor): €90.00." in LETTERS.text(n, Contact(phone="+3161234567"), CONCERT, language="en").text
    )
    before = msgspec.structs.replace(offer, total=None)  # of an earlier release
    assert "€" not in mail(tell_of_offer(before, cause=Cause(), now=NOON).state).text


def test_of_a_concert_without_a_new_date_the_old_one_is_not_said() -> None:
    postponed = msgspec.structs.replace(CONCERT, is_postponed=True, doors_at="2027-06-05T21:00:00-04:00")
    confirmed = told(paid().data, money=True)
    for text in shown(mail(confirmed, postponed)):
        assert "The concert of your order is postponed; its new date is not known yet." in text
        assert "not known yet" in text
        assert "June" not in text
        assert "Doors" not in text
    assert "June" not in mail(confirmed, postponed).subject
    assert mail(confirmed, postponed).attachments == ()
    phone = LETTERS.text(confirmed, Contact(phone="+3161234567"), postponed, language="en").text
    assert phone.endswith("€90.00. The concert of your order is postponed; its new date is not known yet.")
    off = told(cancelled().data)
    assert "Saturday, June 5, 2027" in mail(off, postponed).text  # it says which one it is


def test_french_has_a_space_before_a_colon() -> None:
    made = LETTERS.email(told(paid().data), Contact(email="somebody@example.org"), CONCERT, None, language="fr")
    labels = [each.strip() for each in made.text.splitlines() if each.startswith("  ")]
    assert "Concert\N{NO-BREAK SPACE}: Coldplay" in labels
    assert all("\N{NO-BREAK SPACE}: " in each for each in labels)


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
        assert "Your order is cancelled, " in text


@pytest.mark.parametrize("reason", CancelReason)
@pytest.mark.parametrize("was_paid", [False, True])
def test_where_money_was_taken_a_cancellation_says_that_it_goes_back(reason: CancelReason, was_paid: bool) -> None:
    for text in shown(mail(told(cancelled(reason=reason, was_paid=was_paid).data, money=True))):
        assert "The €90.00 that you paid goes back to you." in text
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
    assert "Receipt: €90.00 was paid." in mail(told(paid().data)).text
    assert "The €90.00 that you paid goes back to you." in mail(told(cancelled(was_paid=True).data)).text


TYPED = '<b>Bold & "Sons"</b>\r\nBcc: all@example.org\x00\u2028\u202e\u200b<script>alert(1)</script>'


def test_what_somebody_typed_becomes_neither_markup_nor_a_header() -> None:
    concert = ConcertDetails(artist=TYPED, date=TYPED, venue=TYPED, sections={"main": TYPED})
    for fact in (paid().data, cancelled().data):
        made = mail(told(fact), concert)
        assert made.html is not None
        page = Page(made.html)
        assert page.tags <= {
            "html", "head", "meta", "title", "style", "body", "div", "h1", "p", "a", "table", "tr", "th", "td",
        }  # fmt: skip
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
        ("2027-06-05", "Saturday, June 5, 2027"),
        ("2027-06-05T22:30:00-04:00", "Saturday, June 5, 2027, 22:30 (GMT-04:00)"),
        ("2027-06-05T00:30+02:00", "Saturday, June 5, 2027, 00:30 (GMT+02:00)"),
        ("2027-06-05T19:30:00Z", "Saturday, June 5, 2027, 19:30 (UTC)"),
        ("2027-06-05T19:30:00.000000Z", "Saturday, June 5, 2027, 19:30 (UTC)"),
        ("2027-06-05T19:30:00+05:45", "Saturday, June 5, 2027, 19:30 (GMT+05:45)"),
        ("next summer", "next summer"),
    ],
)
def test_a_date_is_read_as_the_organizer_wrote_it(written: str, read: str) -> None:
    assert when(written, spoken("en"), None) == read


@pytest.mark.parametrize(
    ("language", "read"),
    [
        ("en", "Saturday, June 5, 2027, 19:30 (Central European Summer Time, GMT+02:00)"),
        ("de", "Samstag, 5. Juni 2027, 19:30 (Mitteleuropäische Sommerzeit, GMT+02:00)"),
        ("fr", "samedi 5 juin 2027, 19:30 (heure d\u2019été d\u2019Europe centrale, UTC+02:00)"),
        ("es", "sábado, 5 de junio de 2027, 19:30 (hora de verano de Europa central, GMT+02:00)"),
    ],
)
def test_where_the_zone_is_known_it_has_its_name(language: str, read: str) -> None:
    concert = ConcertDetails("A", "2027-06-05T19:30:00+02:00", zone="Europe/Berlin")
    assert when(concert.date, spoken(language), concert) == read


def test_without_the_concert_its_id_stands_there() -> None:
    made = mail(told(paid().data), None)
    assert made.subject == "Your tickets: concert-1"
    for text in shown(made):
        assert "concert-1" in text
        assert "main" in text


def test_a_text_message_is_short_and_in_the_buyer_s_language() -> None:
    buyer = Contact(phone="+3161234567")
    made = LETTERS.text(told(paid().data, money=True), buyer, CONCERT, language="en")
    assert made.html is None
    assert made.text == (
        "Order order-1 is confirmed. 2 tickets (Main floor): €90.00. "
        "Coldplay, Saturday, June 5, 2027, 22:30 (GMT-04:00)."
    )
    assert LETTERS.text(told(paid().data, money=True), buyer, CONCERT, language="de").text.startswith(
        "Bestellung order-1 ist bestätigt. 2 Tickets (Main floor): 90,00\xa0€."
    )


def test_the_log_is_told_in_plain_english() -> None:
    assert summary(told(paid().data)) == "Order order-1 is confirmed. 2 tickets (main), concert-1: 90.00 EUR."


def test_names_from_right_to_left_turn_nothing_round() -> None:
    concert = ConcertDetails("فيروز (live)", "2027-06-05", "היכל התרבות")
    buyer = Contact(email="somebody@example.org", name="ليلى")
    made = LETTERS.email(told(paid().data), buyer, concert, None, language="en")
    assert made.subject == "Your tickets: \u2068فيروز (live)\u2069, Saturday, June 5, 2027"
    assert "Hello \u2068ليلى\u2069," in made.text


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_sentence_is_there_in_every_language(language: str) -> None:
    """As the pages' words are: nothing is missing, nothing is left over, and each names the same values."""
    keywords = {**DEFAULT_KEYWORDS, "say": None}
    with (Path(words.__file__)).open("rb") as source:
        said = {each[1] for each in extract("python", source, keywords)}
    if language == DEFAULT:
        assert len(said) > 50
        return
    with (LOCALE / f"{language}.po").open("rb") as file:
        known = {each.id: each.string for each in read_po(file, locale=language) if each.id}
    assert (said - known.keys(), known.keys() - said) == (set(), set())
    named = re.compile(r"%\(\w+\)s")
    for id, text in known.items():
        said_in_english = id[-1] if isinstance(id, tuple) else str(id)
        for one in text if isinstance(text, tuple) else (str(text),):
            assert sorted(named.findall(one)) == sorted(named.findall(said_in_english)), id


@pytest.mark.parametrize("language", list(LANGUAGES))
@pytest.mark.parametrize("kind", TemplateKind)
def test_every_message_is_there_in_every_language_and_small(language: str, kind: TemplateKind) -> None:
    LETTERS.check(kind, {part: source(part) for part in Part}, language=language)
    letter = LETTERS.preview(kind, {}, language=language)
    assert len(letter.html.encode()) < 20_000
    assert "%(" not in "".join(letter)
    assert f'lang="{language}"' in letter.html
