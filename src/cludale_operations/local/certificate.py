"""A server's certificate on loopback. It is signed by itself: who asks that server trusts this one and no other."""

import datetime as dt
import ipaddress
import os
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cludale_operations.local.free_ports import LOOPBACK

GOOD_FOR = dt.timedelta(days=3_650)
"""A new one is made at each start, so this is for a platform that is never stopped."""
SKEW = dt.timedelta(days=1)
_KEY_MODE = 0o600
CERTIFICATE = "server.crt"
"""The file in a server's folder that is to be trusted: its name is known before the first is made."""


class Certificate(NamedTuple):
    """The files, in PEM."""

    certificate: Path
    """To be trusted."""
    key: Path
    """For the server alone."""


def make_certificate(folder: Path, name: str) -> Certificate:
    """A new one for the server `name` in `folder`, in the place of the one before. Raises OSError."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"cludale {name}")])
    now, number = dt.datetime.now(dt.UTC), x509.random_serial_number()
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), number, now - SKEW, now + GOOD_FOR)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = Certificate(folder / CERTIFICATE, folder / "server.key")
    pem = serialization.Encoding.PEM
    files.certificate.write_bytes(made.public_bytes(pem))
    files.key.unlink(missing_ok=True)
    with os.fdopen(os.open(files.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _KEY_MODE), "wb") as out:
        out.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files
