"""TLS between the parts of a platform: what a server shows, and whom to trust at an address that says it itself.

An address that does: `https://127.0.0.1:8222?cacertfile=/data/nats/server.crt`. RabbitMQ's addresses name the file by
that word, so the others here do, too. The file has the certificates that are trusted at that address; nobody else is.
"""

import ssl
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit


def naming(certificate: Path) -> str:
    """What an address ends with that says so."""
    return f"?cacertfile={quote(str(certificate), safe='')}"


def shown(certificate: Path) -> ssl.SSLContext:
    """For a server that shows this certificate, whose key is beside it. Raises OSError, ssl.SSLError."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return tls


def trust_named_in(url: str) -> ssl.SSLContext | None:
    """Trust in those certificates alone; None if the address names none. Raises OSError, ssl.SSLError."""
    named = parse_qs(urlsplit(url).query).get("cacertfile")
    if named is None:
        return None
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # looks at the name, too
    trust.load_verify_locations(named[0])
    return trust
