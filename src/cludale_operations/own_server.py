"""Where the server of the settings is, as this machine reaches it, and whom to trust there."""

import re
import ssl
from pathlib import Path

from cludale.web.http1 import url_of
from cludale.wiring.settings import Settings


def own_url(settings: Settings) -> str:
    """Where the server of these settings is, as this machine reaches it: over HTTPS, if it has a certificate."""
    url = url_of(settings.host, settings.port)
    return url if settings.tls_certificate is None else f"https{url.removeprefix('http')}"


def own_trust(url: str, settings: Settings) -> ssl.SSLContext | None:
    """What a client of `url` trusts: where that is the server of these settings, whoever shows its very certificate,
    whoever signed it and whatever name it has, for people know it by a name, and it is asked here by this machine's
    address. None: whom everybody trusts, also where the certificate can't be read.
    """
    certificate: Path | None = settings.tls_certificate
    if certificate is None or url != own_url(settings):
        return None
    try:
        leaf = re.search(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", certificate.read_text(), re.DOTALL)
    except (OSError, UnicodeDecodeError):
        return None
    if leaf is None:
        return None
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname = False  # the certificate itself is compared
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # none above it is asked for
    try:
        trust.load_verify_locations(cadata=leaf[0])
    except ssl.SSLError:
        return None
    return trust
