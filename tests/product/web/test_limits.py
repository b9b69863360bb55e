"""Limits of requests: an address and a key have so many, a proxy is believed where it is trusted, and each is told."""

import pytest

from cludale.web.limits import MOST_COUNTED, Addresses, RequestLimit, TooManyRequests


class Limited:
    """Three requests in ten seconds, and the clock."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.limit = RequestLimit("address", most=3, seconds=10, clock=lambda: self.now)

    def may(self, who: str = "a") -> bool:
        try:
            self.limit.check(who)
        except TooManyRequests:
            return False
        return True


@pytest.fixture
def limited() -> Limited:
    return Limited()


def test_each_has_its_own_number(limited: Limited) -> None:
    assert [limited.may() for _ in range(4)] == [True, True, True, False]
    assert limited.may("b")


def test_what_is_left_is_told(limited: Limited) -> None:
    assert limited.limit.check("a") == (("ratelimit-policy", '"address";q=3;w=10'), ("ratelimit", '"address";r=2;t=10'))
    limited.now += 2.5
    assert limited.limit.check("a")[1] == ("ratelimit", '"address";r=1;t=8')


def test_one_too_many_is_told_when_to_come_back(limited: Limited) -> None:
    for _ in range(3):
        limited.may()
    limited.now += 4
    with pytest.raises(TooManyRequests) as refused:
        limited.limit.check("a")
    assert refused.value.headers == (
        ("retry-after", "6"),
        ("ratelimit-policy", '"address";q=3;w=10'),
        ("ratelimit", '"address";r=0;t=6'),
    )


def test_the_window_slides_so_nobody_gets_twice_as_much_at_its_edge(limited: Limited) -> None:
    limited.now += 9.9
    assert [limited.may() for _ in range(3)] == [True] * 3
    limited.now += 0.2
    assert not limited.may()
    limited.now += 9.8
    assert limited.may()


def test_after_a_window_without_a_request_all_is_there_again(limited: Limited) -> None:
    for _ in range(5):
        limited.may()
    limited.now += 20
    assert [limited.may() for _ in range(4)] == [True, True, True, False]


def test_only_so_many_are_counted_each_by_itself(limited: Limited) -> None:
    for number in range(MOST_COUNTED):
        limited.limit.count(str(number))
    assert [limited.may(f"late-{number}") for number in range(4)] == [True, True, True, False]
    assert limited.may("0")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # nobody's proxy: it may say what it likes
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # what stands before was sent by the client
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::/64"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::/64"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("fe80::1%eth0", "198.51.100.1", "fe80::/64"),
        ("10.0.0.1", "1.2.3.4, unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_a_forwarded_address_counts_where_a_trusted_proxy_says_it(peer: str, forwarded: str, address: str) -> None:
    assert Addresses(("10.0.0.0/8",)).of(peer, {b"x-forwarded-for": forwarded.encode()}) == address


def test_without_a_trusted_proxy_the_peer_counts() -> None:
    assert Addresses(()).of("10.0.0.1", {b"x-forwarded-for": b"198.51.100.1"}) == "10.0.0.1"


def test_all_of_one_ipv6_network_is_one_address_and_how_much_that_is_can_be_set() -> None:
    mine = ("2001:db8:0:1::1", "2001:0DB8:0:1:ffff::2", "2001:db8:0:2::1")
    assert [Addresses(()).of(each, {}) for each in mine] == ["2001:db8:0:1::/64"] * 2 + ["2001:db8:0:2::/64"]
    assert {Addresses((), ipv6_prefix=48).of(each, {}) for each in mine} == {"2001:db8::/48"}
    assert Addresses((), ipv6_prefix=128).of(mine[1], {}) == "2001:db8:0:1:ffff::2"
    assert Addresses(()).of("::ffff:192.0.2.1", {}) == "192.0.2.1"


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="proxy"):
        Addresses(("proxy",))
