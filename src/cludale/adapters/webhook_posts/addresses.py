"""Which addresses may be connected to, and what a URL of an organizer's may look like. No I/O.

An organizer chooses the URL, and we make the request from inside: so it goes to public addresses alone. What counts is
the address that is connected to, not the name: a name may lead elsewhere each time it is looked up.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from cludale.ports.webhooks import AddressRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_INSIDE = tuple(
    ip_network(each)
    for each in (
        "168.63.129.16/32",  # Azure's own to each of its machines, from a public block
        "192.88.99.0/24",  # 6to4 and Teredo, which lead to an IPv4 address inside them
        "2002::/16",
        "2001::/32",
        "64:ff9b:1::/48",  # NAT64 of a local network
        "fec0::/10",  # site-local, as it was once
    )
)
_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")
_SMALLEST_COMPATIBLE = 0xFFFF
"""Below are `::` and `::1`, which are what they are."""
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<target>(?:/[!-~]*)?(?:\?[!-~]*)?)",
    re.ASCII,
)
_REFUSED_IN_TARGET = '#\\"<>'
LONGEST_URL = 2_000


class TargetAddress(NamedTuple):
    """A URL, taken apart."""

    scheme: str
    host: str
    """Without the brackets of an IPv6 address."""
    port: int
    target: str


def place(url: str) -> TargetAddress:
    """What the URL says. Raises AddressRefused."""
    found = _URL.fullmatch(url) if len(url) <= LONGEST_URL else None
    if found is None or any(each in found["target"] for each in _REFUSED_IN_TARGET):
        raise AddressRefused("must be a URL without user and fragment: https://example.com/webhooks")
    scheme = found["scheme"]
    port = int(found["port"]) if found["port"] else 443 if scheme == "https" else 80
    if not 0 < port < 65_536:
        raise AddressRefused("has a port that there is not")
    target = found["target"]
    return TargetAddress(scheme, found["host"].strip("[]"), port, target if target.startswith("/") else f"/{target}")


class Networks:
    """Addresses that may be connected to: all public ones, and those of networks that the operator allows."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """`allowed`: networks such as `10.0.0.0/8`. Raises ValueError for what is none."""
        self._allowed: tuple[Network, ...] = tuple(ip_network(each) for each in allowed)

    def allow(self, written: str) -> bool:
        """May this address be connected to? False for what is no address, too."""
        try:
            address = ip_address(written.partition("%")[0])
        except ValueError:
            return False
        return self._allows(_meant(address))

    def _allows(self, address: Address) -> bool:
        if any(address in each for each in self._allowed):
            return True
        if any(address in each for each in _INSIDE):
            return False
        return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does: that is what is connected to."""
    if isinstance(address, IPv4Address):
        return address
    is_compatible = address in _COMPATIBLE and int(address) > _SMALLEST_COMPATIBLE
    if address.ipv4_mapped is not None or address in _NAT64 or is_compatible:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def literal(host: str) -> str | None:
    """The address, where the host is one; None for a name."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None
