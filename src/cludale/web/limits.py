"""How many requests one address, and one key, may make in a while, counted by this process alone. No I/O.

The `limits` library was measured first: 66 µs and more for one look at its store in memory, a fifth of an order. What
is counted here costs a look-up in a dictionary.
"""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil, floor
from typing import NamedTuple

from cludale.kernel.refusals import RefusedForNow
from cludale.web.responses import Headers

MOST_COUNTED = 100_000
"""How many addresses or keys are counted each by itself in one window; all others together."""
SLOW_SECONDS = 1.0
"""How long who goes on asking waits for each refusal: a client in a loop then takes next to nothing from others."""
OTHERS = ""
NOWHERE: Mapping[str, int] = {}
_FORWARDED = b"x-forwarded-for"

IPAddress = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]
IPV6_PREFIX = 64
"""What one subscriber has of IPv6 addresses at the least (RFC 6177): who has one has as many as they like."""


class TooManyRequests(RefusedForNow):
    """This address or key made as many requests as it may for now; `Retry-After` says when to try again."""

    def __init__(self, headers: Headers, retry_after_seconds: int, *, goes_on: bool = False) -> None:
        """`goes_on`: they ask over and over all the same."""
        super().__init__(f"Too many requests; try again in {retry_after_seconds} s.")
        self.headers: Headers = (("retry-after", str(retry_after_seconds)), *headers)
        self.goes_on = goes_on


class Quota(NamedTuple):
    """What is left to whoever asked."""

    left: int
    """Below 0: it was one too many."""
    reset_seconds: int


class RequestLimit:
    """At most so many requests in so many seconds, in a sliding window: what the window before had counts in part."""

    def __init__(self, name: str, *, most: int, seconds: float, clock: Callable[[], float]) -> None:
        """`name` is that of the policy in the header fields; `clock` says seconds."""
        self.name = name
        self.most = most
        self.seconds = seconds
        self._clock = clock
        self._window = 0
        self._counts: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self.policy = f'"{name}";q={most};w={ceil(seconds)}'

    def count(self, who: str) -> Quota:
        """Count one request. One that is refused counts, too: whoever goes on asking waits on."""
        return self._counted(who)[1]

    def _counted(self, who: str, elsewhere: Mapping[str, int] = NOWHERE) -> tuple[int, Quota]:
        """One more, which of this process's it is, and what is left; `elsewhere`: what others counted meanwhile."""
        window, into = divmod(self._clock(), self.seconds)
        if window != self._window:
            self._turn(int(window))
        counts = self._counts
        if who not in counts and len(counts) >= MOST_COUNTED:
            who = OTHERS
        number = counts[who] = counts.get(who, 0) + 1
        return number, self._quota(who, number + elsewhere.get(who, 0), into)

    def _turn(self, window: int) -> None:
        """Another window has begun."""
        self._before = self._counts if window == self._window + 1 else {}
        self._window, self._counts = window, {}

    def _quota(self, who: str, counted: int, into: float) -> Quota:
        earlier = self._before.get(who, 0)
        weighed = counted + (earlier * (1 - into / self.seconds) if earlier else 0)
        return Quota(floor(self.most - weighed), ceil(self.seconds - into))

    def check(self, who: str) -> Headers:
        """Count one request, and what to tell whoever made it (draft-ietf-httpapi-ratelimit-headers-10).

        Raises TooManyRequests.
        """
        return self._headers_for(self._counted(who)[1])

    async def admit(self, who: str) -> Headers:
        """As `check`, by the word of all who count."""
        return self.check(who)

    def _headers_for(self, quota: Quota) -> Headers:
        left, reset = quota
        told = (("ratelimit-policy", self.policy), ("ratelimit", f'"{self.name}";r={max(left, 0)};t={reset}'))
        if left < 0:
            raise TooManyRequests(told, reset, goes_on=left < -self.most)
        return told


class Addresses:
    """Tells from which address a request comes: the peer's, or the one that a trusted proxy names."""

    def __init__(self, trusted: Iterable[str], *, ipv6_prefix: int = IPV6_PREFIX) -> None:
        """`trusted`: networks of proxies, `10.0.0.0/8`. `ipv6_prefix`: so many bits of an IPv6 address are one
        client's; 128 counts each by itself. Raises ValueError.
        """
        self.trusted: Networks = tuple(ip_network(each) for each in trusted)
        self._prefix = ipv6_prefix

    def of(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        """The last address that no trusted proxy has: what stands before it in `X-Forwarded-For`, anyone may write.

        IPv4 as it is (`::ffff:192.0.2.1` is 192.0.2.1), IPv6 as its network (`2001:db8::/64`).
        """
        if not self.trusted and ":" not in peer:
            return peer
        found = self.exactly(peer, headers)
        return peer if found is None else self._counted_as(found)

    def exactly(self, peer: str, headers: Mapping[bytes, bytes]) -> IPAddress | None:
        """As `of`, but the address itself; None for a peer that has none."""
        found = _parsed(peer)
        if found is not None and self._is_trusted(found):
            for each in reversed(headers.get(_FORWARDED, b"").decode("latin-1").split(",")):
                named = _parsed(_without_port(each.strip()))
                if named is None:
                    break
                found = named
                if not self._is_trusted(named):
                    break
        return found

    def _counted_as(self, address: IPAddress) -> str:
        if isinstance(address, IPv4Address) or self._prefix == address.max_prefixlen:
            return str(address)
        return str(IPv6Network((int(address), self._prefix), strict=False))

    def _is_trusted(self, address: IPAddress) -> bool:
        return any(address in network for network in self.trusted)


class Inside:
    """Networks from which what is for operators is shown."""

    def __init__(self, networks: Iterable[str], addresses: Addresses) -> None:
        """Raises ValueError."""
        self.networks: Networks = tuple(ip_network(each) for each in networks)
        self._addresses = addresses

    def has(self, peer: str, headers: Mapping[bytes, bytes]) -> bool:
        """Does a request come from there?"""
        address = self._addresses.exactly(peer, headers)
        return address is not None and any(address in network for network in self.networks)


def _parsed(text: str) -> IPAddress | None:
    """IPv4 that is written as IPv6 is IPv4; the name of an interface (`fe80::1%eth0`) is no part of the address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _without_port(text: str) -> str:
    """Some proxies say the port, too: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


class Limits(NamedTuple):
    """The limits of a server; None for none."""

    addresses: Addresses
    per_address: RequestLimit | None
    per_key: RequestLimit | None
