"""Whom to trust at an address, as httpx is told it."""

import ssl


def trust_at(url: str, trust: ssl.SSLContext | None = None) -> ssl.SSLContext | bool:
    """`trust`, or whom everybody trusts. Without TLS nobody: reading those takes 50 ms."""
    if trust is not None:
        return trust
    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
