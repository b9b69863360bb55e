"""Bodies are decoded strictly, and every fault is named by the field that the caller wrote."""

from enum import StrEnum
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid
from cludale.web.bodies import Body, check_media_type
from cludale.web.fields import Email, Text, Time
from cludale.web.problems import UnsupportedMediaType


class Part(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    id: str
    price: Money


class Whole(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    concert_id: Annotated[str, Meta(pattern="^[a-z]+$")]
    quantity: Annotated[int, Meta(ge=1, le=8)]
    parts: list[Part] = []
    email: Email | None = None


BODY = Body(Whole)


def _faults(body: bytes) -> dict[str, str]:
    with pytest.raises(Invalid) as refusal:
        BODY.decode(body)
    return {each["field"]: each["message"] for each in refusal.value.values["errors"]}


def test_a_good_body_is_decoded() -> None:
    assert BODY.decode(b'{"concertId": "a", "quantity": 2}') == Whole("a", 2)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"concertId": "a", "quantity": 2, "quantity": 2}', ["quantity"]),
        (b'{"concertId": "a", "quantity": 2, "quantity" \n: 3}', ["quantity"]),
        (b'{"concertId": "a", "quantity": 2, "quantit\\u0079": 3}', ["quantity"]),
        (b'{"\\u0063oncertId": "a", "concertId": "a", "quantity": 2}', ["concertId"]),
        (
            b'{"quantity": 2, "concertId": "a", "quantity": 2, "concertId": "b", "quantity": 3}',
            ["quantity", "concertId"],
        ),
        (
            b'{"concertId": "a", "quantity": 1, "parts": [{"id": "x", "price": {"amount": 1, "currency": "EUR"}},'
            b' {"id": "x", "price": {"amount": 1, "currency": "EUR", "amount": 2}, "id": "y"}]}',
            ["parts[1].price.amount", "parts[1].id"],
        ),
    ],
)
def test_a_name_that_is_there_twice_is_refused(body: bytes, names: list[str]) -> None:
    assert _faults(body) == dict.fromkeys(names, "is there twice")


PART = b'{"id": "concertId", "price": {"amount": 1, "currency": "EUR"}}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"concertId": "quantity", "quantity": 1}',
        b'{"concertId": "a", "quantity": 1, "parts": [%s, %s]}' % (PART, PART),
        rb'{"concertId": "\u0061", "quantity": 1}',
        b'{"concertId": "a", "quantity": 1, "parts": [%s]}' % PART.replace(b"concertId", rb"\"id\": \\"),
        b'{"concert\\u0049d": "a", "quantity": 1}',
    ],
)
def test_what_only_looks_like_a_name_that_is_there_twice_is_taken(body: bytes) -> None:
    assert BODY.decode(body) == msgspec.json.decode(body, type=Whole)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert _faults(b'{"quantity": "2", "colour": "red"}') == {
        "concertId": "is required",
        "quantity": "must be a whole number, not a string",
        "colour": "is not a known field",
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"concertId": "a", "quantity": 1, "parts": [{"id": 1, "price": {}}]}', "parts[0].id"),
        (b'{"concertId": "a", "quantity": 1, "parts": [{"id": "", "price": {"amount":1}}]}', "parts[0].price.currency"),
        (b'{"concertId": "a", "quantity": 1, "parts": [{"id": "x", "price": {"x": 1}}]}', "parts[0].price.x"),
        (b'{"concertId": "a", "quantity": 1, "parts": {}}', "parts"),
        (b'{"concertId": "A", "quantity": 1}', "concertId"),
        (b'{"concertId": "a", "quantity": 9}', "quantity"),
        (b'{"concertId": "a", "quantity": 1e400}', "quantity"),
        (b'{"concertId": "a", "quantity": null}', "quantity"),
    ],
)  # fmt: skip
def test_the_field_is_named_as_the_caller_wrote_it(body: bytes, field: str) -> None:
    assert list(_faults(body)) == [field]


def test_a_text_of_another_form_is_told_the_form_in_words() -> None:
    parts = b'[{"id": "a", "price": {"amount": 1, "currency": "euro"}}]'
    assert _faults(b'{"concertId": "A", "quantity": 1, "email": "nobody", "parts": ' + parts + b"}") == {
        "concertId": "has another form than this field takes",
        "parts[0].price.currency": "must be an ISO 4217 code, like EUR",
        "email": "must be an e-mail address",
    }


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "nothing came"),
        (b" \n", "nothing came"),
        (b"{", "truncated"),
        (b"[]", "must be an object, not an array"),
        (b"null", "must be an object, not null"),
        (b'{"concertId": "\xff"}', "not UTF-8"),
        (b'{"concertId": "a", "quantity": 1} x', "trailing"),
    ],
)
def test_what_cannot_be_read_is_a_fault_of_the_body(body: bytes, why: str) -> None:
    faults = _faults(body)
    assert list(faults) == ["body"]
    assert why in faults["body"]


@pytest.mark.parametrize("start", [b"", b'{"concertId": ', b'{"parts": ', b'{"parts": [{"price": ', b'{"colour": '])
@pytest.mark.parametrize("nest", [b"[", b'{"a": '])
def test_what_is_nested_without_end_is_refused(start: bytes, nest: bytes) -> None:
    assert _faults(start + nest * 50_000)


def test_the_list_of_faults_has_an_end() -> None:
    many = ",".join(f'"x{i}": 1' for i in range(1_000))
    assert len(_faults(f"{{{many}}}".encode())) <= 50


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        b"",
        b"application/json",
        b"APPLICATION/JSON; charset=utf-8",
        b"application/x-www-form-urlencoded",
        b"text/plain",
    ],
)
def test_what_may_be_json_is_read_as_json(media_type: bytes | None) -> None:
    check_media_type(media_type)


@pytest.mark.parametrize(
    "media_type",
    [b"multipart/form-data; boundary=x", b"application/xml", b"application/soap+xml", b"text/html", b"image/png"],
)
def test_what_is_clearly_no_json_is_refused(media_type: bytes) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_media_type(media_type)


class Way(StrEnum):
    IN = "in"
    OUT = "out"


class Everything(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    count: Annotated[int, Meta(ge=1, le=5)] | None = None
    share: float = 0
    name: Text | None = None
    at: Time | None = None
    yes: bool = True
    items: Annotated[list[Part], Meta(max_length=1)] = []
    by_name: dict[str, int] = {}
    word: Annotated[str, Meta(min_length=1, max_length=2)] = "a"
    ways: list[Way] | None = None


WORDS = [
    ({"count": "1"}, "count", "must be a whole number or null, not a string"),
    ({"count": 1.5}, "count", "must be a whole number or null, not a number with a point or an exponent"),
    ({"count": True}, "count", "must be a whole number or null, not a boolean"),
    ({"count": 0}, "count", "must be at least 1"),
    ({"count": 2**63}, "count", "must be at most 5"),
    ({"share": "x"}, "share", "must be a number, not a string"),
    ({"share": None}, "share", "must be a number, not null"),
    ({"name": 7}, "name", "must be a string or null, not a whole number"),
    ({"name": "\u200b"}, "name", "has no visible character"),
    ({"name": "\u202ea"}, "name", "has the character U+202E, which text on one line can't have"),
    ({"name": "\x85"}, "name", "must be text on one line, with something to see in it"),
    ({"at": 7}, "at", "must be a string or null, not a whole number"),
    ({"at": "2027-01-01 10:00:00Z"}, "at", "must be a time (RFC 3339): 2027-06-05T19:30:00Z"),
    ({"yes": "true"}, "yes", "must be true or false, not a string"),
    ({"items": {}}, "items", "must be an array, not an object"),
    ({"items": [1]}, "items[0]", "must be an object, not a whole number"),
    ({"items": [{"id": "a", "price": None}]}, "items[0].price", "must be an object, not null"),
    ({"items": [{"id": "a", "price": {"amount": 1, "currency": "EUE"}}]}, "items[0].price.currency",
     "'EUE' is not a currency in use (ISO 4217)"),
    ({"items": [1, 2]}, "items", "must have at most 1 item"),
    ({"byName": []}, "byName", "must be an object, not an array"),
    ({"word": ""}, "word", "must have at least 1 character"),
    ({"word": "abc"}, "word", "must have at most 2 characters"),
    ({"ways": ["in", "up"]}, "ways[1]", "must be one of in, out"),
    ({"ways": "up"}, "ways", "must be an array or null, not a string"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "field", "words"), WORDS, ids=[repr(each[0])[:40] for each in WORDS])
def test_what_is_wrong_is_said_in_the_words_of_json(body: object, field: str, words: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Body(Everything).decode(msgspec.json.encode(body))
    assert refusal.value.values["errors"] == [{"field": field, "message": words}]
