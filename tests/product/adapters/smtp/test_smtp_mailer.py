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
import uvloop
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.fakes import ManualClock

from cludale.adapters.smtp import Encryption, MailServer, SmtpMailer
from cludale.ports.messengers import HandedTo, Mailer, Message, NotSent, Trouble

MESSAGE = Message("confirmation-1", "zoe@example.org", "Your tickets: two", "Hello,\n\nseats for Zoë „Nacht“.\n")


class Server:
    """A mail server that keeps what it takes and answers as it is told."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.senders: list[str] = []
        self.recipients: list[list[str]] = []
        self.to_sender = self.to_recipient = self.to_data = "250 OK"
        self.to_the_next_sender: str | None = None
        self.waits_seconds = 0.0
        self.hangs_up_in_data = 0
        """So many times, with the message taken and no answer given."""
        self.port = 0
        self.connections: list[SMTP] = []
        self.extensions: list[str] = []

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], *(f"250-{extension}" for extension in self.extensions), responses[-1]]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        self.senders.append(address)
        said, self.to_the_next_sender = self.to_the_next_sender, None
        return said or self.to_sender

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.waits_seconds)
        if self.to_data.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.taken.append(email.message_from_bytes(content, policy=email.policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
        if self.hangs_up_in_data:
            self.hangs_up_in_data -= 1
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
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


class Full(Silent):
    """Takes no more connections."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"421 too many connections\r\n")
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

    def connected() -> SMTP:
        handler.connections.append(SMTP(handler, hostname="mail.test", loop=asyncio.get_running_loop()))
        return handler.connections[-1]

    async with listening(connected) as port:
        handler.port = port
        yield handler


MADE: list[SmtpMailer] = []


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    """What a test leaves open is closed."""
    yield
    while MADE:
        await MADE.pop().close()


def mailer(
    port: int,
    *,
    timeout_seconds: float = 2.0,
    data_seconds: float = 2.0,
    connections: int = 4,
    encryption: Encryption = Encryption.NONE,
    sender: str = "tickets@cludale.example",
    password: str | None = None,
) -> SmtpMailer:
    made = SmtpMailer(
        MailServer(
            "127.0.0.1",
            port,
            encryption,
            timeout_seconds,
            data_seconds,
            user=None if password is None else "cludale",
            password=password,
        ),
        sender=sender,
        clock=ManualClock(),
        connections=connections,
    )
    MADE.append(made)
    return made


async def not_sent(sending: Awaitable[HandedTo]) -> NotSent:
    with pytest.raises(NotSent) as raised:
        await sending
    return raised.value


async def test_a_message_arrives_as_it_was_written(server: Server) -> None:
    sender: Mailer = mailer(server.port)
    assert await sender.send(MESSAGE) is HandedTo.SERVER
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


@pytest.mark.parametrize("step", ["to_recipient", "to_data"])
async def test_a_message_refused_for_good_is_not_worth_trying_again(server: Server, step: str) -> None:
    setattr(server, step, "550 never")
    refused = await not_sent(mailer(server.port).send(MESSAGE))
    assert refused.trouble is Trouble.REFUSED
    assert "550" in str(refused)
    assert server.taken == []


@pytest.mark.parametrize("answer", ["550 unknown sender", "530 log in first", "451 not now", "421 too busy"])
async def test_a_refused_sender_says_nothing_of_the_message(server: Server, answer: str) -> None:
    server.to_sender = answer
    refused = await not_sent(mailer(server.port).send(MESSAGE))
    assert refused.trouble is Trouble.AWAY
    assert answer in str(refused)


@pytest.mark.parametrize("answer", ["421 too busy", "530 log in first", "503 send MAIL first"])
@pytest.mark.parametrize("step", ["to_recipient", "to_data"])
async def test_what_concerns_all_messages_is_not_held_against_one(server: Server, step: str, answer: str) -> None:
    setattr(server, step, answer)
    refused = await not_sent(mailer(server.port).send(MESSAGE))
    assert refused.trouble is Trouble.AWAY


@pytest.mark.parametrize("step", ["to_recipient", "to_data"])
async def test_a_message_refused_for_now_can_be_tried_again(server: Server, step: str) -> None:
    setattr(server, step, "451 not now")
    refused = await not_sent(mailer(server.port).send(MESSAGE))
    assert refused.trouble is Trouble.LATER
    assert "451" in str(refused)
    setattr(server, step, "250 OK")
    await mailer(server.port).send(MESSAGE)
    assert len(server.taken) == 1


async def test_a_message_without_an_answer_may_have_arrived(server: Server) -> None:
    server.waits_seconds = 30
    refused = await not_sent(mailer(server.port, data_seconds=0.2).send(MESSAGE))
    assert refused.trouble is Trouble.UNKNOWN


@pytest.mark.parametrize("protocol", [Silent, HangsUp])
async def test_a_server_that_says_nothing_can_be_tried_again(protocol: type[Silent]) -> None:
    async with listening(protocol) as port:
        refused = await not_sent(mailer(port, timeout_seconds=0.2).send(MESSAGE))
    assert refused.trouble is Trouble.AWAY


async def test_a_server_that_is_not_there_can_be_tried_again() -> None:
    async with listening(Silent) as port:
        pass
    refused = await not_sent(mailer(port).send(MESSAGE))
    assert refused.trouble is Trouble.AWAY


async def test_without_the_encryption_that_was_asked_for_nothing_is_sent(server: Server) -> None:
    refused = await not_sent(mailer(server.port, encryption=Encryption.STARTTLS).send(MESSAGE))
    assert refused.trouble is Trouble.AWAY
    assert server.taken == []


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "a@b.example, c@d.example", "a@b.example\r\nBcc: c@d.example", "@", "a@..", "a@b..c", ".a@b"],
)
async def test_what_is_no_address_is_refused_before_any_server_is_asked(server: Server, address: str) -> None:
    refused = await not_sent(mailer(server.port).send(MESSAGE._replace(to=address)))
    assert refused.trouble is Trouble.REFUSED
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
        assert (await not_sent(mailer(port, timeout_seconds=0.5).send(MESSAGE))).trouble is Trouble.AWAY
    assert len(handler.taken) == 1


async def test_a_server_that_nobody_vouches_for_gets_no_message(
    certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    handler = Server()
    async with listening(lambda: SMTP(handler, loop=asyncio.get_running_loop()), encrypted=certified) as port:
        refused = await not_sent(mailer(port, encryption=Encryption.TLS).send(MESSAGE))
    assert refused.trouble is Trouble.AWAY
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
    assert refused.trouble is Trouble.REFUSED
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
        sender = mailer(port, password=password)
        if arrives:
            await sender.send(MESSAGE)
        else:
            assert (await not_sent(sender.send(MESSAGE))).trouble is Trouble.AWAY
    assert len(handler.taken) == arrives


async def test_a_message_has_its_text_and_its_page(server: Server) -> None:
    await mailer(server.port).send(MESSAGE._replace(html="<p>seats for Zoë</p>"))
    (mail,) = server.taken
    assert mail.get_content_type() == "multipart/alternative"
    text, page = mail.iter_parts()
    assert (text.get_content_type(), page.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == MESSAGE.text
    assert page.get_content().strip() == "<p>seats for Zoë</p>"


async def test_a_line_that_begins_with_a_point_arrives_whole(server: Server) -> None:
    text = ".\n..two\n.three\nend\n"
    await mailer(server.port).send(MESSAGE._replace(text=text))
    (mail,) = server.taken
    assert mail.get_content().replace("\r\n", "\n") == text


@pytest.mark.parametrize("extensions", [[], ["PIPELINING"]])
async def test_many_messages_go_over_few_connections(server: Server, extensions: list[str]) -> None:
    server.extensions = extensions
    sender = mailer(server.port, connections=3)
    await asyncio.gather(*(sender.send(MESSAGE._replace(id=f"confirmation-{n}")) for n in range(40)))
    await sender.send(MESSAGE)
    assert len(server.taken) == 41
    assert len(server.connections) == 3


@pytest.mark.parametrize("extensions", [[], ["PIPELINING"]])
@pytest.mark.parametrize("step", ["to_recipient", "to_data"])
async def test_the_message_after_a_refused_one_goes_over_the_same_connection(
    server: Server, step: str, extensions: list[str]
) -> None:
    server.extensions = extensions
    sender = mailer(server.port)
    for answer in ("550 never", "451 not now"):
        setattr(server, step, answer)
        assert (await not_sent(sender.send(MESSAGE))).trouble is (
            Trouble.REFUSED if answer.startswith("5") else Trouble.LATER
        )
    setattr(server, step, "250 OK")
    await sender.send(MESSAGE)
    assert len(server.taken) == len(server.connections) == 1


async def test_from_a_server_that_takes_few_connections_no_message_is_refused(server: Server) -> None:
    connected: list[SMTP] = []

    def protocol() -> SMTP | Full:
        if len(connected) == 2:
            return Full()
        connected.append(SMTP(server, loop=asyncio.get_running_loop()))
        return connected[-1]

    async with listening(protocol) as port:
        sender = mailer(port, connections=8)
        await asyncio.gather(*(sender.send(MESSAGE._replace(id=f"confirmation-{n}")) for n in range(300)))
        assert len({mail["Message-ID"] for mail in server.taken}) == len(server.taken) == 300


async def test_a_server_that_turns_everyone_away_is_asked_once_for_all_who_wait() -> None:
    connections = 0

    class Full(Silent):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal connections
            connections += 1
            assert isinstance(transport, asyncio.Transport)
            transport.write(b"421 closed for today\r\n")
            transport.close()

    async with listening(Full) as port:
        sender = mailer(port, connections=2)
        came = await asyncio.gather(*(sender.send(MESSAGE) for _ in range(50)), return_exceptions=True)
    assert {error.trouble for error in came if isinstance(error, NotSent)} == {Trouble.AWAY}
    assert len(came) == 50
    assert connections == 2


async def test_a_kept_connection_that_was_closed_is_replaced_and_the_message_sent_once(server: Server) -> None:
    sender = mailer(server.port)
    await sender.send(MESSAGE)
    server.to_the_next_sender = "421 so many and no more"
    await sender.send(MESSAGE._replace(id="confirmation-2"))
    transport = server.connections[-1].transport
    assert transport is not None
    transport.close()
    await sender.send(MESSAGE._replace(id="confirmation-3"))
    assert [mail["Message-ID"].partition("@")[0] for mail in server.taken] == [
        f"<confirmation-{number}" for number in (1, 2, 3)
    ]
    assert len(server.connections) == 3


async def test_a_server_that_hangs_up_in_mid_message_may_have_taken_it(server: Server) -> None:
    sender = mailer(server.port)
    server.hangs_up_in_data = 1
    assert (await not_sent(sender.send(MESSAGE))).trouble is Trouble.UNKNOWN
    await sender.send(MESSAGE)


async def test_no_connection_is_kept_that_nobody_needs(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cludale.adapters.smtp.mailer.IDLE_SECONDS", 0.02)
    sender = mailer(server.port)
    await sender.send(MESSAGE)
    for _ in range(100):
        if all(connection.transport is None for connection in server.connections):
            break
        await asyncio.sleep(0.01)
    assert all(connection.transport is None for connection in server.connections)
    await sender.send(MESSAGE)
    assert len(server.connections) == 2


async def test_with_tls_a_connection_is_kept_too(certified: ssl.SSLContext) -> None:
    handler = Server()
    made: list[SMTP] = []

    def protocol() -> SMTP:
        made.append(SMTP(handler, tls_context=certified, require_starttls=True, loop=asyncio.get_running_loop()))
        return made[-1]

    async with listening(protocol) as port:
        sender = mailer(port, encryption=Encryption.STARTTLS, connections=1)
        for _ in range(5):
            await sender.send(MESSAGE)
        assert (len(handler.taken), len(made)) == (5, 1)


@pytest.mark.parametrize("encryption", Encryption)
def test_on_the_loop_that_a_server_runs_on_it_is_the_same(certified: ssl.SSLContext, encryption: Encryption) -> None:
    handler = Server()
    handler.extensions = ["PIPELINING"]

    async def send() -> None:
        offered = certified if encryption is Encryption.STARTTLS else None

        def protocol() -> SMTP:
            return SMTP(handler, tls_context=offered, loop=asyncio.get_running_loop())

        async with listening(protocol, encrypted=certified if encryption is Encryption.TLS else None) as port:
            sender = mailer(port, encryption=encryption)
            for _ in range(3):
                await sender.send(MESSAGE)
            handler.to_recipient = "550 never"
            assert (await not_sent(sender.send(MESSAGE))).trouble is Trouble.REFUSED
            await sender.close()
        MADE.clear()

    uvloop.run(send())
    assert len(handler.taken) == 3
