"""Pages of tickets: read by an independent reader, from a screenshot and from paper; tagged; the same bytes again."""

import io
from datetime import UTC, datetime, timedelta

import pypdfium2  # type: ignore[import-untyped] # it has no types
import pytest
import zxingcpp
from PIL import Image

from cludale.adapters.ticket_pages import printing
from cludale.ports.ticket_pages import TicketPage
from cludale.services.tickets import codes

KEY = codes.key_of(b"k" * 32)
START = datetime(2099, 6, 5, 17, tzinfo=UTC)
NAMES = ("Adébáyọ̀ Olúṣẹ́gun", "שלום כהן", "श्री कृष्ण मूर्ति", "சுந்தர் ராமன்")


def code(number: int = 1, concert: str = "c" * 20, section: str = "section-12ab") -> str:
    said = codes.Claims(
        concert,
        "order-0199c0ffee001122334455667788aabb.aabbccddeeff",
        number,
        8,
        1,
        section,
        START,
        START + timedelta(days=2),
    )
    return codes.signed(said, KEY)


def page(number: int = 1, holder: str | None = None) -> TicketPage:
    return TicketPage(
        f"ticket-1.{number}",
        "The Larks",
        "Live at Home",
        "2099-06-05T19:30:00+02:00",
        "2099-06-05T18:30:00+02:00",
        "Olympia",
        "Stalls",
        number,
        8,
        holder,
        code(number),
        START,
    )


def read(image: Image.Image) -> list[str]:
    return [each.text for each in zxingcpp.read_barcodes(image)]


def drawn(document: bytes, dpi: int, number: int = 0) -> Image.Image:
    image: Image.Image = pypdfium2.PdfDocument(document)[number].render(scale=dpi / 72).to_pil()
    return image


def test_a_code_is_version_9_at_level_m_or_less() -> None:
    made = printing.qr(code())
    assert (made.error, made.mode) == ("M", "alphanumeric")
    assert int(made.version) <= 9


def test_it_is_read_from_a_screenshot_scaled_to_half() -> None:
    image = Image.open(io.BytesIO(printing.png(code()))).convert("L")
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    half.save(out, "JPEG", quality=50)
    assert read(Image.open(out)) == [code()]


def test_it_is_read_from_a_page_at_300_dpi_and_from_each_page() -> None:
    document = printing.pdf([page(1), page(2)])
    assert [read(drawn(document, 300, at)) for at in (0, 1)] == [[code(1)], [code(2)]]


def test_the_same_ticket_is_the_same_bytes() -> None:
    assert printing.pdf([page(holder="Zoë")]) == printing.pdf([page(holder="Zoë")])
    assert printing.svg(code()) == printing.svg(code())
    assert printing.png(code()) == printing.png(code())


def test_a_document_is_tagged_and_says_that_it_is_pdf_ua_1() -> None:
    document = printing.pdf([page()])
    assert b"<pdfuaid:part>1</pdfuaid:part>" in document
    pdf = pypdfium2.PdfDocument(document)
    assert pdf.is_tagged()
    assert pdf.get_metadata_dict()["Title"] == "The Larks, Friday, 5 June 2099, 19:30 (UTC+02:00)"


def test_a_page_says_what_it_is_for_and_when_as_people_read_it() -> None:
    def text(shown: TicketPage) -> str:
        (only,) = pypdfium2.PdfDocument(printing.pdf([shown]))
        return str(only.get_textpage().get_text_range())

    for part in ("The Larks", "Live at Home", "Friday, 5 June 2099, 19:30 (UTC+02:00)", "Doors", "18:30 (UTC+02:00)"):
        assert part in text(page())
    day = text(page()._replace(date="2099-06-05", doors_at=None))
    assert "Friday, 5 June 2099" in day
    assert "Doors" not in day
    assert "00:00" not in day
    postponed = page()._replace(date=None, doors_at=None)
    assert "Postponed; its new date is not known yet" in text(postponed)
    assert pypdfium2.PdfDocument(printing.pdf([postponed])).get_metadata_dict()["Title"] == "The Larks"


@pytest.mark.parametrize("name", NAMES)
def test_names_of_many_scripts_are_on_the_page_whole(name: str) -> None:
    text = pypdfium2.PdfDocument(printing.pdf([page(holder=name)]))[0].get_textpage().get_text_range()
    assert name in text


def test_a_letter_that_no_font_has_does_not_keep_somebody_out() -> None:
    text = pypdfium2.PdfDocument(printing.pdf([page(holder="Zoë \N{GUITAR} Ray")]))[0].get_textpage().get_text_range()
    assert "Zoë \N{REPLACEMENT CHARACTER} Ray" in text


def test_what_a_name_says_is_no_markup() -> None:
    text = pypdfium2.PdfDocument(printing.pdf([page(holder="#panic() $x$ *b*")]))[0].get_textpage().get_text_range()
    assert "#panic() $x$ *b*" in text
