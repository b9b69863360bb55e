"""Posts go to a real server, by HTTP and HTTPS; to none inside, whatever its name leads to; and have bounds."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.listening import listening

from cludale.adapters.webhook_posts.addresses import Networks
from cludale.adapters.webhook_posts.sender import HttpWebhooks
from cludale.ports.webhooks import AddressRefused, Answered, NotPosted

Handle = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HERE = Networks(["127.0.0.0/8"])


class Server:
    """Answers with `answer`, or does what `then` says; keeps the heads and bodies that it got."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
        self.got: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self.waits = 0.0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            self.got.append((head, await reader.readexactly(length)))
            await asyncio.sleep(self.waits)
            writer.write(self.answer)
            await writer.drain()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, int]]:
    server = Server()
    async with listening(server.handle) as port:
        yield server, port


def sender(networks: Networks = HERE, *, seconds: float = 5, tls: ssl.SSLContext | None = None) -> HttpWebhooks:
    return HttpWebhooks(networks=networks, allow_http=True, timeout_seconds=seconds, tls=tls)


async def test_it_posts_json_with_the_headers_over_one_connection(server: tuple[Server, int]) -> None:
    there, port = server
    webhooks = sender()
    for _ in range(2):
        assert await webhooks.post(f"http://localhost:{port}/hook?a=b", b'{"a": 1}', {"webhook-id": "m-1"}) == (
            204,
            None,
        )
    head, body = there.got[0]
    assert head.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    for line in (b"\r\nhost: localhost:%d\r\n" % port, b"webhook-id: m-1", b"content-type: application/json"):
        assert line in head.lower()
    assert body == b'{"a": 1}'
    assert there.connections == 1
    await webhooks.close()


async def test_a_redirect_is_an_answer_and_is_not_followed(server: tuple[Server, int]) -> None:
    there, port = server
    there.answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:%d/other\r\ncontent-length: 0\r\n\r\n" % port
    webhooks = sender()
    assert (await webhooks.post(f"http://127.0.0.1:{port}/", b"{}", {})).status == 302
    assert len(there.got) == 1
    there.answer = b"HTTP/1.1 429 Slow down\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n"
    assert await webhooks.post(f"http://127.0.0.1:{port}/", b"{}", {}) == Answered(429, 120)
    await webhooks.close()


async def test_nothing_inside_is_connected_to_by_its_address_or_by_a_name(
    server: tuple[Server, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, port = server
    webhooks = sender(Networks())
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"):
        with pytest.raises(AddressRefused):
            await webhooks.post(f"http://{host}:{port}/", b"{}", {})
    asked: list[str] = []

    def rebinding(host: str, *_: object, **__: object) -> list[tuple[object, object, object, object, tuple[str, int]]]:
        """A name that leads outside when it is first looked up, and inside from then on."""
        asked.append(host)
        return [(2, 1, 6, "", ("192.0.2.1" if len(asked) == 1 else "127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    webhooks.check(f"http://rebinding.example:{port}/")
    for _ in range(2):
        with pytest.raises(AddressRefused):
            await webhooks.post(f"http://rebinding.example:{port}/", b"{}", {})
    assert len(asked) == 2
    assert there.connections == 0
    await webhooks.close()


async def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(
    server: tuple[Server, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, port = server
    asked: list[str] = []

    def looked_up(host: str, *_: object, **__: object) -> list[tuple[object, object, object, object, tuple[str, int]]]:
        asked.append(host)
        return [(2, 1, 6, "", ("10.0.0.1", port)), (2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    webhooks = sender()
    assert (await webhooks.post(f"http://two.example:{port}/", b"{}", {})).status == 204
    assert asked.count("two.example") == 1
    assert there.connections == 1
    await webhooks.close()


async def test_a_server_that_is_slow_away_or_endless_takes_no_longer_than_the_bound(server: tuple[Server, int]) -> None:
    there, port = server
    webhooks = sender(seconds=0.3)
    there.waits = 60
    began = time.monotonic()
    with pytest.raises(NotPosted, match=r"no answer within 0\.3 s"):
        await webhooks.post(f"http://127.0.0.1:{port}/", b"{}", {})
    there.waits, there.answer = 0, b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" + b"x" * 100_000
    assert (await webhooks.post(f"http://127.0.0.1:{port}/", b"{}", {})).status == 200
    there.answer = b"nonsense\r\n\r\n"
    with pytest.raises(NotPosted, match="no HTTP"):
        await webhooks.post(f"http://127.0.0.1:{port}/", b"{}", {})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(NotPosted, match="no connection"):
            await webhooks.post(f"http://127.0.0.1:{free.getsockname()[1]}/", b"{}", {})
    with pytest.raises(NotPosted, match="not known"):
        await webhooks.post("http://nowhere.invalid/", b"{}", {})
    assert time.monotonic() - began < 30
    await webhooks.close()


async def test_https_is_wanted_and_its_certificate_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(AddressRefused, match="https"):
        HttpWebhooks(networks=HERE, allow_http=False, timeout_seconds=1).check("http://example.com/")
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    strangers, trusting = sender(), sender(tls=ssl.create_default_context(cafile=str(pem)))
    async with listening(Server().handle, host="0.0.0.0", tls=context) as port:
        with pytest.raises(NotPosted, match="certificate"):
            await strangers.post(f"https://localhost:{port}/", b"{}", {})
        with pytest.raises(NotPosted, match="certificate"):
            await trusting.post(f"https://127.0.0.2:{port}/", b"{}", {})  # another name than it has
        assert (await trusting.post(f"https://localhost:{port}/", b"{}", {})).status == 204
        for each in (strangers, trusting):
            await each.close()


def certificate(folder: Path) -> Path:
    """A certificate for localhost, with its key: one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
