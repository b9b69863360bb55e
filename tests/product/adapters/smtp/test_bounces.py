"""Reports of mail servers, as several write them: which message came back, and why; and what is none."""

from datetime import UTC, datetime
from email.headerregistry import Address

import pytest

from cludale.adapters.smtp import Bounce, bounce_of
from cludale.adapters.smtp.mail import mail
from cludale.ports.messengers import Message

ID = "confirmation-0199c0ffee00700080000000000000a1.2"


def report(
    *,
    to: str = "bounces@example.com",
    envelope: str = "",
    action: str = "failed",
    status: str = "5.1.1",
    said: str = "",
    returned: str = "",
) -> bytes:
    fields = f"Reporting-MTA: dns; mx.example.net\n{envelope}\n"
    diagnostic = f"Diagnostic-Code: smtp; {said}\n" if said else ""
    return f"""Return-Path: <>
From: MAILER-DAEMON@mx.example.net
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry: <zoe@example.org>
--b
Content-Type: message/delivery-status

{fields}
Final-Recipient: rfc822; zoe@example.org
Action: {action}
Status: {status}
{diagnostic}
{returned}
--b--
""".encode()


WHOLE = f"--b\nContent-Type: message/rfc822\n\nMessage-ID: <{ID}@example.com>\nSubject: a\n\nbody\n"
HEADERS = f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <{ID}@example.com>\nSubject: a\n"


@pytest.mark.parametrize(
    "content",
    [
        report(to=f"bounces+{ID}@example.com"),
        report(to=f'"Bounces" <bounces+{ID}@example.com>'),
        report(envelope=f"Original-Envelope-Id: {ID}\n"),
        report(returned=WHOLE),
        report(returned=HEADERS),
        report(returned=HEADERS).replace(b"\n", b"\r\n"),
    ],
)
def test_the_message_is_known_by_each_mark_that_it_left_with(content: bytes) -> None:
    assert bounce_of(content) == Bounce(ID, "5.1.1")


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        ("5.2.2", "", "5.2.2"),
        ("5.0.0", "550 5.1.10 no such recipient", "5.1.10"),
        ("5.0.0", "550 no", "5.0.0"),
        ("nonsense", "452 full", "4.0.0"),
        ("nonsense", "", "5.0.0"),
        ("4.4.7 (expired)", "", "4.4.7"),
    ],
)
def test_the_reason_is_the_most_exact_code_that_is_said(status: str, said: str, code: str) -> None:
    assert bounce_of(report(returned=HEADERS, status=status, said=said)) == Bounce(ID, code)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: I am away\nAuto-Submitted: auto-replied\n\nBack on Monday.\n",
        report(returned=HEADERS, action="delayed"),
        report(returned=HEADERS, action="delivered"),
        report(),
        report(to="bounces+%00@example.com", envelope="Original-Envelope-Id: ../../x\n"),
        report(returned=HEADERS)[:300],
    ],
)
def test_what_reports_no_failure_of_a_message_is_passed_over(content: bytes) -> None:
    assert bounce_of(content) is None


@pytest.mark.parametrize(
    ("id", "bounces", "wanted"),
    [
        (ID, None, "tickets@example.com"),
        (ID, "bounces", f"bounces+{ID}@example.org"),
        ("x" * 60, "bounces", "bounces@example.org"),
    ],
)
def test_a_message_leaves_with_its_id_in_the_return_address(id: str, bounces: str | None, wanted: str) -> None:
    back = None if bounces is None else Address(username=bounces, domain="example.org")
    sender = Address("Tickets", "tickets", "example.com")
    message = Message(id, "zoe@example.org", "s", "t", language="de")
    made = mail(message, sender=sender, now=datetime(2027, 1, 1, tzinfo=UTC), bounces=back)
    assert (made.sender, made.id) == (wanted, id)
    assert b"Content-Language: de" in made.content
