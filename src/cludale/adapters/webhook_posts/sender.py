"""HttpWebhooks: one POST, over a connection to an address that was looked at, within one bound of time and of bytes."""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore

from cludale.adapters.webhook_posts.addresses import Networks, TargetAddress, literal, place
from cludale.ports.webhooks import AddressRefused, Answered, NotPosted

READ_BYTES = 16 * 1_024
"""What is read of an answer; of a longer one the connection is closed."""
CONNECTIONS = 64
"""Kept open, to all servers together."""
ADDRESSES = 4
"""How many of a name's addresses are tried."""
RESOLVING_AT_ONCE = 8


class _GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Looks names up, and connects to the addresses that may be connected to."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._inner = httpcore.AnyIOBackend()
        # Apart from the loop's own threads: a name server that is slow on purpose must not hold up others.
        self._threads = ThreadPoolExecutor(RESOLVING_AT_ONCE, thread_name_prefix="webhook-names")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the host's addresses. Raises AddressRefused, httpcore's errors."""
        found = await self._addresses(host, port)
        allowed = [each for each in found if self._networks.allow(each)]
        if not allowed:
            raise AddressRefused("its host leads to no public address")
        trouble: Exception = httpcore.ConnectError("no address")
        for address in allowed[:ADDRESSES]:
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise trouble

    async def connect_unix_socket(self, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        """None is ever made."""
        raise AddressRefused("must be a host on the network")

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[str]:
        address = literal(host)
        if address is not None:
            return [address]
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _look_up, host, port)
        except (OSError, UnicodeError) as error:
            raise NotPosted("its host is not known") from error
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Look nothing up any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class HttpWebhooks:
    """Posts. Knows no proxies; a redirect is an answer like others."""

    def __init__(
        self,
        *,
        networks: Networks,
        allow_http: bool,
        timeout_seconds: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`timeout_seconds`: for one post, from looking the name up to the end of the answer. `tls`: whom to trust; as
        the system does, if none is given.
        """
        self._networks = networks
        self._allow_http = allow_http
        self._timeout_seconds = timeout_seconds
        self._tls = tls
        self._network: _GuardedNetwork | None = None
        self._pool: httpcore.AsyncConnectionPool | None = None

    def check(self, url: str) -> None:
        """Raises AddressRefused."""
        self._checked(url)

    def _checked(self, url: str) -> TargetAddress:
        found = place(url)
        if found.scheme != "https" and not self._allow_http:
            raise AddressRefused("must begin with https://")
        address = literal(found.host)
        if address is not None and not self._networks.allow(address):
            raise AddressRefused("must lead to a public address")
        return found

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """POST this JSON. Raises NotPosted."""
        where = self._checked(url)
        host = where.host.encode()
        to = httpcore.URL(scheme=where.scheme.encode(), host=host, port=where.port, target=where.target.encode())
        sent = {"content-type": "application/json", "user-agent": "Cludale-Webhooks/1.0", **headers}
        try:
            async with asyncio.timeout(self._timeout_seconds):
                pool = self._connected()
                async with pool.stream("POST", to, headers=list(sent.items()), content=body) as response:
                    await _read_some(response)
                    return Answered(response.status, _retry_after(response.headers))
        except NotPosted:
            raise
        except TimeoutError as error:
            raise NotPosted(f"no answer within {self._timeout_seconds:g} s") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, ssl.SSLError) as error:
            raise NotPosted(_why(error)) from error

    def _connected(self) -> httpcore.AsyncConnectionPool:
        """The connections, made when the first is wanted: most platforms post to nobody."""
        if self._pool is None:
            self._network = _GuardedNetwork(self._networks)
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._tls or ssl.create_default_context(),
                max_connections=CONNECTIONS,
                max_keepalive_connections=CONNECTIONS,
                keepalive_expiry=10.0,
                network_backend=self._network,
            )
        return self._pool

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.aclose()
        if self._network is not None:
            self._network.close()


async def _read_some(response: httpcore.Response) -> None:
    """Nothing of an answer but its status is kept. Read to its end, unless it is long, its connection serves again."""
    read = 0
    async for part in response.aiter_stream():
        read += len(part)
        if read > READ_BYTES:
            return


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    for name, value in headers:
        if name.lower() == b"retry-after":
            written = value.decode("latin-1").strip()
            if written.isdecimal() and len(written) < 10:
                return float(written)
            try:
                return max(0.0, (parsedate_to_datetime(written) - datetime.now(UTC)).total_seconds())
            except (ValueError, TypeError):
                return None
    return None


def _why(error: Exception) -> str:
    """What went wrong, in words that say nothing of the inside of this network."""
    if isinstance(error, ssl.SSLError) or "certificate" in str(error).lower() or "ssl" in str(error).lower():
        return "no TLS connection: its certificate is not trusted, or it speaks no TLS"
    if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout):
        return "no connection"
    if isinstance(error, httpcore.ProtocolError):
        return "its answer is no HTTP"
    return "the connection broke off"
