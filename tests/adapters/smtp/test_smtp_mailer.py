"""E-mail against a real SMTP server on loopback: one that takes it, one that refuses, one that is slow, none at all."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.fakes import ManualClock

from cludale.adapters.smtp import Encryption, SmtpMailer
from cludale.ports.messengers import Mailer, Message, NotSent

MESSAGE = Message("confirmation-1", "zoe@example.org", "Your tickets: two", "Hello,\n\nseats for Zoë „Nacht“.\n")


class Server:
    """A mail server that keeps what it takes and answers as it is told."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.senders: list[str] = []
        self.recipients: list[list[str]] = []
        self.to_sender = self.to_recipient = self.to_data = "250 OK"
        self.waits_seconds = 0.0
        self.port = 0

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        self.senders.append(address)
        return self.to_sender

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.waits_seconds)
        if self.to_data.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.taken.append(email.message_from_bytes(content, policy=email.policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
        return self.to_data


class Silent(asyncio.Protocol):
    """Accepts the connection and never says a word."""

    transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


class HangsUp(Silent):
    """Closes the connection as soon as it is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


@asynccontextmanager
async def listening(
    make: Callable[[], SMTP | Silent], *, encrypted: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    made: list[SMTP | Silent] = []

    def protocol() -> SMTP | Silent:
        made.append(make())
        return made[-1]

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=encrypted)
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()
        for each in made:
            if each.transport is not None:
                each.transport.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    handler = Server()
    async with listening(lambda: SMTP(handler, hostname="mail.test", loop=asyncio.get_running_loop())) as port:
        handler.port = port
        yield handler


def mailer(
    port: int,
    *,
    timeout_seconds: float = 2.0,
    encryption: Encryption = Encryption.NONE,
    sender: str = "tickets@cludale.example",
) -> SmtpMailer:
    return SmtpMailer(
        "127.0.0.1",
        port,
        sender=sender,
        encryption=encryption,
        timeout_seconds=timeout_seconds,
        clock=ManualClock(),
    )


async def not_sent(sending: Awaitable[None]) -> NotSent:
    with pytest.raises(NotSent) as raised:
        await sending
    return raised.value


async def test_a_message_arrives_as_it_was_written(server: Server) -> None:
    sender: Mailer = mailer(server.port)
    await sender.send(MESSAGE)
    (mail,) = server.taken
    assert server.recipients == [["zoe@example.org"]]
    assert mail["From"] == "tickets@cludale.example"
    assert mail["To"] == "zoe@example.org"
    assert mail["Subject"] == "Your tickets: two"
    assert mail["Date"] == "Sun, 22 Nov 2026 12:00:00 +0000"
    assert mail.get_content().replace("\r\n", "\n") == MESSAGE.text


async def test_the_sender_may_have_a_name(server: Server) -> None:
    await mailer(server.port, sender="Zoë's Tickets <tickets@münchen.example>").send(MESSAGE)
    (mail,) = server.taken
    assert mail["From"] == "Zoë's Tickets <tickets@xn--mnchen-3ya.example>"
    assert mail["Message-ID"] == "<confirmation-1@xn--mnchen-3ya.example>"
    assert server.senders == ["tickets@xn--mnchen-3ya.example"]


async def test_a_message_sent_again_has_the_same_message_id(server: Server) -> None:
    await mailer(server.port).send(MESSAGE)
    await mailer(server.port).send(MESSAGE)
    assert [mail["Message-ID"] for mail in server.taken] == ["<confirmation-1@cludale.example>"] * 2


async def test_many_messages_can_be_sent_at_once(server: Server) -> None:
    sender = mailer(server.port)
    await asyncio.gather(*(sender.send(MESSAGE._replace(id=f"confirmation-{n}")) for n in range(20)))
    assert len({mail["Message-ID"] for mail in server.taken}) == 20


@pytest.mark.parametrize("step", ["to_sender", "to_recipient", "to_data"])
async def test_a_message_refused_for_good_is_not_worth_trying_again(server: Server, step: str) -> None:
    setattr(server, step, "550 never")
    refused = await not_sent(mailer(server.port).send(MESSAGE))
    assert refused.permanent
    assert "550" in str(refused)
    assert server.taken == []


@pytest.mark.parametrize("step", ["to_sender", "to_recipient", "to_data"])
async def test_a_message_refused_for_now_can_be_tried_again(server: Server, step: str) -> None:
    setattr(server, step, "451 not now")
    refused = await not_sent(mailer(server.port).send(MESSAGE))
    assert not refused.permanent
    assert "451" in str(refused)
    setattr(server, step, "250 OK")
    await mailer(server.port).send(MESSAGE)
    assert len(server.taken) == 1


async def test_a_slow_server_is_waited_for_only_so_long(server: Server) -> None:
    server.waits_seconds = 30
    refused = await not_sent(mailer(server.port, timeout_seconds=0.2).send(MESSAGE))
    assert not refused.permanent


@pytest.mark.parametrize("protocol", [Silent, HangsUp])
async def test_a_server_that_says_nothing_can_be_tried_again(protocol: type[Silent]) -> None:
    async with listening(protocol) as port:
        refused = await not_sent(mailer(port, timeout_seconds=0.2).send(MESSAGE))
    assert not refused.permanent


async def test_a_server_that_is_not_there_can_be_tried_again() -> None:
    async with listening(Silent) as port:
        pass
    refused = await not_sent(mailer(port).send(MESSAGE))
    assert not refused.permanent


async def test_without_the_encryption_that_was_asked_for_nothing_is_sent(server: Server) -> None:
    refused = await not_sent(mailer(server.port, encryption=Encryption.STARTTLS).send(MESSAGE))
    assert not refused.permanent
    assert server.taken == []


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "a@b.example, c@d.example", "a@b.example\r\nBcc: c@d.example", "@", "a@..", "a@b..c", ".a@b"],
)
async def test_what_is_no_address_is_refused_before_any_server_is_asked(server: Server, address: str) -> None:
    refused = await not_sent(mailer(server.port).send(MESSAGE._replace(to=address)))
    assert refused.permanent
    assert server.recipients == []


async def test_an_address_in_another_script_is_sent_to_in_ascii(server: Server) -> None:
    await mailer(server.port).send(MESSAGE._replace(to="zoe@münchen.example"))
    assert server.recipients == [["zoe@xn--mnchen-3ya.example"]]


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a mail server on 127.0.0.1 is known by, and this process trusts."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now, address = datetime.now(UTC), x509.IPAddress(ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_with_starttls_a_message_goes_over_tls(certified: ssl.SSLContext) -> None:
    handler = Server()

    def protocol() -> SMTP:
        return SMTP(handler, tls_context=certified, require_starttls=True, loop=asyncio.get_running_loop())

    async with listening(protocol) as port:
        await mailer(port, encryption=Encryption.STARTTLS).send(MESSAGE)
    assert len(handler.taken) == 1


async def test_with_tls_a_message_goes_over_tls_from_the_first_byte(certified: ssl.SSLContext) -> None:
    handler = Server()
    async with listening(lambda: SMTP(handler, loop=asyncio.get_running_loop()), encrypted=certified) as port:
        await mailer(port, encryption=Encryption.TLS).send(MESSAGE)
        assert not (await not_sent(mailer(port, timeout_seconds=0.5).send(MESSAGE))).permanent
    assert len(handler.taken) == 1


async def test_a_server_that_nobody_vouches_for_gets_no_message(
    certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    handler = Server()
    async with listening(lambda: SMTP(handler, loop=asyncio.get_running_loop()), encrypted=certified) as port:
        refused = await not_sent(mailer(port, encryption=Encryption.TLS).send(MESSAGE))
    assert not refused.permanent
    assert handler.taken == []


async def test_a_name_in_another_script_is_sent_to_where_the_server_takes_it() -> None:
    handler = Server()
    async with listening(lambda: SMTP(handler, enable_SMTPUTF8=True, loop=asyncio.get_running_loop())) as port:
        await mailer(port).send(MESSAGE._replace(to="zoë@münchen.example"))
    assert handler.recipients == [["zoë@xn--mnchen-3ya.example"]]
    (mail,) = handler.taken
    assert str(mail["To"]).encode(errors="surrogateescape").decode() == "zoë@xn--mnchen-3ya.example"
    assert mail["Subject"] == "Your tickets: two"


async def test_a_name_in_another_script_that_the_server_does_not_take_is_not_worth_trying_again(server: Server) -> None:
    refused = await not_sent(mailer(server.port).send(MESSAGE._replace(to="zoë@example.org")))
    assert refused.permanent
    assert "SMTPUTF8" in str(refused)
    assert server.recipients == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # on loopback that is all right
@pytest.mark.parametrize(("password", "arrives"), [("right", True), ("wrong", False)])
async def test_a_server_that_wants_to_know_us_is_told(password: str, arrives: bool) -> None:
    handler = Server()

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"cludale", b"right")
        return AuthResult(success=known, handled=False)

    def protocol() -> SMTP:
        return SMTP(
            handler,
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=False,
            loop=asyncio.get_running_loop(),
        )

    async with listening(protocol) as port:
        sender = SmtpMailer(
            "127.0.0.1",
            port,
            sender="tickets@cludale.example",
            encryption=Encryption.NONE,
            timeout_seconds=2,
            clock=ManualClock(),
            user="cludale",
            password=password,
        )
        if arrives:
            await sender.send(MESSAGE)
        else:
            assert not (await not_sent(sender.send(MESSAGE))).permanent
    assert len(handler.taken) == arrives
