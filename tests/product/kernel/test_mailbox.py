"""Addresses that a message can be made for, as Python's own library for e-mail sees it."""

import unicodedata
from email import message_from_string
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTPUTF8

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cludale.kernel.mailbox import LONGEST, PATTERN, Mailbox, is_plain, mailbox

MAILABLE = {
    "zoe@example.org": ("zoe", "example.org"),
    "a@b": ("a", "b"),
    "o'hara+tickets/2@mail.example.org": ("o'hara+tickets/2", "mail.example.org"),
    "zoë@example.org": ("zoë", "example.org"),
    "zoe@münchen.example": ("zoe", "xn--mnchen-3ya.example"),
    "info@straße.example": ("info", "xn--strae-oqa.example"),
    "a@ß.example": ("a", "xn--zca.example"),
    "a@βόλος.example": ("a", "xn--nxasmm1c.example"),
    "zoe@MÜNCHEN.example": ("zoe", "xn--mnchen-3ya.example"),
    "zoe@München.mail.xn--zca.example": ("zoe", "xn--mnchen-3ya.mail.xn--zca.example"),
    "用户@例え.jp": ("用户", "xn--r8jz45g.jp"),
    "zoë@localhost": ("zoë", "localhost"),
    "Postmaster@mail.LOCAL": ("Postmaster", "mail.local"),
    "a" * 64 + "@example.org": ("a" * 64, "example.org"),
}
UNMAILABLE = [
    "", "nobody", "@", "a@", "@b", "a@b..c", "a@.b", "a@b.", ".a@x", "a.@x", "a..b@x", "a b@x", "a@b c", "a@b@c",
    "a,b@x", "a(b)@x", "a<b@x", "a\\b@x", '"a b"@x', "a@[1.2.3.4]", "a@-x", "a@x-", "a@x_y", "=?utf-8?q?a?=@x",
    "a@x\n", "a@x\r\nBcc: b@x", "a" * 253 + "@x", "ü" * 127 + "@x", "a@" + "b" * 64, "a@" + "ü" * 63,
    "a@" + "b." * 130 + "c", "a\u200b@x", "a@\u200bx", "a\u2028@x", "a@b。c", "a@\uff41.example",
    "a@☃.example", "\u3164@example.org", "a@ü\u200d.example", "a@\u0301ü.example",
    "a@xn--a.example", "a@ab--cd.example", "a@b\ufe0f.example", "a@1.xn--4dbc.example",
    "a@аü.xn--a.example", "a@ü.xn--\u00fc.example",
    "a\ud800@x", unicodedata.normalize("NFD", "zoë@example.org"), unicodedata.normalize("NFD", "zoe@münchen.example"),
]  # fmt: skip
IN_ASCII = st.from_regex(PATTERN, alphabet=st.characters(max_codepoint=127)).filter(lambda text: len(text) <= LONGEST)
ANY = st.from_regex(PATTERN)


@pytest.mark.parametrize(("address", "found"), MAILABLE.items())
def test_an_address_is_a_name_and_a_domain_in_ascii(address: str, found: tuple[str, str]) -> None:
    assert mailbox(address) == Mailbox(*found)


@pytest.mark.parametrize("address", UNMAILABLE)
def test_what_no_message_can_be_made_for_is_no_mailbox(address: str) -> None:
    with pytest.raises(ValueError, match=r"'|\""):
        mailbox(address)


@given(st.one_of(ANY, IN_ASCII))
def test_whatever_is_a_mailbox_reads_back_from_a_message_as_it_was(address: str) -> None:
    try:
        found = mailbox(address)
    except ValueError:
        assume(False)
    written = EmailMessage(SMTPUTF8)
    written["To"] = Address(username=found.local, domain=found.domain)
    read = message_from_string(written.as_bytes().decode(), policy=SMTPUTF8)["To"]
    assert [(each.username, each.domain) for each in read.addresses] == [found]


@given(IN_ASCII.filter(is_plain))
def test_a_plain_address_needs_no_more_than_the_pattern(address: str) -> None:
    assert mailbox(address)
