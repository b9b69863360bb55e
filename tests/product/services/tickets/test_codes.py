"""The code of a ticket: read by another library, small enough, and nothing but what was signed."""

import warnings
from datetime import UTC, datetime, timedelta

import base45  # type: ignore[import-untyped] # it has no types
import cwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from cludale.services.tickets import codes
from cludale.services.tickets.codes import Claims, Unreadable

KEY, OTHER = codes.key_of(b"k" * 32), codes.key_of(b"o" * 32)
START = datetime(2099, 6, 5, 17, tzinfo=UTC)
ORDER = "order-0199c0ffee001122334455667788aabb"


def claims(order_id: str = ORDER, concert: str = "larks-2099", section: str = "stalls", number: int = 2) -> Claims:
    return Claims(
        codes.concert_claim(concert),
        order_id,
        number,
        4,
        1,
        codes.section_claim(section),
        START,
        START + timedelta(days=2),
    )


@pytest.mark.parametrize("order_id", [ORDER, f"{ORDER}.aabbccddeeff", "order-odd", "order-0199C0FFEE"])
def test_a_code_says_what_was_signed_and_is_the_same_each_time(order_id: str) -> None:
    said = claims(order_id)
    code = codes.signed(said, KEY)
    assert codes.read(code, KEY) == said
    assert codes.signed(said, KEY) == code
    assert codes.key_id_of(code) == KEY.id


def test_another_library_verifies_it_with_the_public_key_alone() -> None:
    public = Ed25519PublicKey.from_public_bytes(codes.public_bytes(KEY.seed))
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = cwt.COSEKey.from_pem(pem, kid=bytes.fromhex(KEY.id))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not before 2099
        protected, _, payload = cwt.COSE.new().decode_with_headers(base45.b45decode(codes.signed(claims(), KEY)), key)
    assert protected[4] == bytes.fromhex(KEY.id)
    assert b"larks-2099" in payload


def test_a_code_of_another_key_or_with_any_letter_changed_is_refused() -> None:
    code = codes.signed(claims(), KEY)
    with pytest.raises(Unreadable):
        codes.read(codes.signed(claims(), OTHER), KEY)
    for at in range(0, len(code), 7):
        changed = code[:at] + ("0" if code[at] != "0" else "1") + code[at + 1 :]
        with pytest.raises(Unreadable):
            codes.read(changed, KEY)


def test_a_scanner_may_end_the_line_and_nothing_else() -> None:
    code = codes.signed(claims(), KEY)
    assert codes.read(code + "\r\n", KEY) == claims()
    with pytest.raises(Unreadable):
        codes.read(code.lower(), KEY)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=300), st.text(alphabet="0123456789ABCDEF $%*+-./:", max_size=200)))
def test_whatever_a_scanner_sends_is_a_code_or_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        codes.read(text, KEY)


@given(st.binary(max_size=64))
def test_base45_is_that_of_another_library(raw: bytes) -> None:
    assert codes.base45(raw).encode() == base45.b45encode(raw)
    assert codes.unbase45(codes.base45(raw)) == raw


def test_long_ids_of_concerts_and_sections_make_no_long_code() -> None:
    longest = claims(f"{ORDER}.aabbccddeeff", "c" * 64, "s" * 64, 1_000_000)
    assert longest.concert.startswith("~")
    assert len(codes.signed(longest, KEY)) <= 262  # what version 9-M holds
