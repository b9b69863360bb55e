"""Requests go to public addresses alone, however an address is written, and to those that the operator allows."""

import pytest

from cludale.adapters.webhook_posts.addresses import Networks, place
from cludale.ports.webhooks import AddressRefused

INSIDE = (
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200",
    "192.0.0.192", "168.63.129.16", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    "::", "::1", "fe80::1%eth0", "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::127.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "no-address", "",
)  # fmt: skip
OUTSIDE = ("93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8")


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_inside_is_not_connected_to(address: str) -> None:
    assert not Networks().allow(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_outside_is(address: str) -> None:
    assert Networks().allow(address)


def test_what_the_operator_allows_is_connected_to_and_nothing_beside_it() -> None:
    networks = Networks(["10.0.0.0/8", "::1/128"])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "::1"):
        assert networks.allow(address)
    assert not networks.allow("127.0.0.1")
    with pytest.raises(ValueError, match="host bits"):
        Networks(["10.0.0.1/8"])


@pytest.mark.parametrize(
    "url",
    [
        "https://user@example.com/", "https://user:word@example.com/", "https://example.com/#part", "ftp://example.com/",
        "https://", "https://example.com:0/", "https://example.com:65536/", "https://example.com\\@10.0.0.1/",
        "https://exa mple.com/", "https://example.com/\r\nx: y", "https://[::1/", "https://example.com/ä",
        "//example.com", f"https://example.com/{'x' * 2_000}",
    ],
)  # fmt: skip
def test_a_url_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        place(url)


def test_a_url_is_taken_apart() -> None:
    assert place("https://example.com") == ("https", "example.com", 443, "/")
    assert place("http://[2606:4700::1111]:8080/a?b=c") == ("http", "2606:4700::1111", 8080, "/a?b=c")
    assert place("https://example.com?b=c").target == "/?b=c"
