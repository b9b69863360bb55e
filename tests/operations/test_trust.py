"""Whom a client trusts, by the address that it asks."""

import ssl

import pytest

from cludale_operations.trust import trust_at


def test_over_https_everybody_whom_the_machine_trusts_or_who_is_named() -> None:
    named = ssl.create_default_context()
    assert trust_at("https://tickets.example") is True
    assert trust_at("https://tickets.example", named) is named


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "tickets.example"])
def test_without_tls_nobody(url: str) -> None:
    trust = trust_at(url)
    assert isinstance(trust, ssl.SSLContext)
    assert trust.verify_mode is ssl.CERT_REQUIRED
    assert trust.get_ca_certs() == []
