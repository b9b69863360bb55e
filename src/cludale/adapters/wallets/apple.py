"""Apple Wallet: a pass is a zip of pass.json, an icon, their hashes, and a detached CMS signature of those.

Built after Apple's documentation, and verified with `openssl cms` against a certificate that was made for the test: no
phone and none of Apple's own certificates have seen one of these.
"""

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7
from cryptography.x509.oid import NameOID

from cludale.kernel.times import rfc3339
from cludale.ports.wallets import WalletTicket

ICONS = {"icon.png": 29, "icon@2x.png": 58, "icon@3x.png": 87}
COLOUR = (24, 32, 72)


class UnusableCertificate(Exception):
    """Passes can't be signed with it; the message says why."""


class ApplePasses:
    """Signs passes with the key, the certificate and the one above it from one PEM file."""

    def __init__(self, path: Path, *, now: datetime) -> None:
        """Raises UnusableCertificate, OSError."""
        pem = path.read_bytes()
        try:
            key = load_pem_private_key(pem, None)
            own, *above = x509.load_pem_x509_certificates(pem)
        except (ValueError, TypeError) as error:
            raise UnusableCertificate(f"{path} has no key without a password and its certificate: {error}") from error
        if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey) or key.public_key() != own.public_key():
            raise UnusableCertificate(f"the key in {path} is not that of its first certificate")
        if now >= own.not_valid_after_utc:
            raise UnusableCertificate(f"the certificate in {path} ended on {own.not_valid_after_utc:%Y-%m-%d}")
        self._key, self._own, self._above = key, own, above
        self.pass_type = _named(own, NameOID.USER_ID, path)
        self.team = _named(own, NameOID.ORGANIZATIONAL_UNIT_NAME, path)

    def made(self, ticket: WalletTicket) -> bytes:
        """The pass, signed now."""
        files = {name: _icon(size) for name, size in ICONS.items()}
        files["pass.json"] = msgspec.json.encode(self._content(ticket))
        # SHA-1 is what the format wants; the signature itself is over SHA-256
        hashed = {name: hashlib.sha1(body, usedforsecurity=False).hexdigest() for name, body in files.items()}
        manifest = msgspec.json.encode(hashed)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as pack:
            for name, body in {**files, "manifest.json": manifest, "signature": self._signature(manifest)}.items():
                pack.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), body)
        return archive.getvalue()

    def _signature(self, manifest: bytes) -> bytes:
        builder = pkcs7.PKCS7SignatureBuilder().set_data(manifest).add_signer(self._own, self._key, hashes.SHA256())
        for certificate in self._above:
            builder = builder.add_certificate(certificate)
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        return builder.sign(Encoding.DER, options)

    def _content(self, ticket: WalletTicket) -> Mapping[str, Any]:
        barcode = {"format": "PKBarcodeFormatQR", "message": ticket.code, "messageEncoding": "iso-8859-1"}
        begins = None if ticket.begins is None else _moment(ticket.begins)
        secondary = [
            _field("when", "Date", ticket.day)
            if begins is None
            else _field("when", "Begins", begins, dateStyle="PKDateStyleMedium", timeStyle="PKDateStyleShort")
        ]
        if ticket.doors is not None:
            doors = _moment(ticket.doors)
            secondary.append(_field("doors", "Doors", doors, dateStyle="PKDateStyleNone", timeStyle="PKDateStyleShort"))
        if ticket.venue:
            secondary.append(_field("where", "Venue", ticket.venue))
        auxiliary = [_field("number", "Ticket", f"{ticket.number} of {ticket.quantity}")]
        if ticket.section:
            auxiliary.insert(0, _field("section", "Section", ticket.section))
        if ticket.holder:
            auxiliary.append(_field("holder", "Name", ticket.holder))
        return {
            "formatVersion": 1,
            "passTypeIdentifier": self.pass_type,
            "teamIdentifier": self.team,
            "serialNumber": f"{ticket.id}.{ticket.generation}",
            "organizationName": ticket.organizer,
            "description": f"Ticket: {ticket.title}",
            **({} if begins is None else {"relevantDate": begins}),
            "expirationDate": _moment(ticket.valid_until),
            "foregroundColor": "rgb(255,255,255)",
            "labelColor": "rgb(200,205,230)",
            "backgroundColor": f"rgb({','.join(map(str, COLOUR))})",
            "barcodes": [barcode],
            "barcode": barcode,
            "eventTicket": {
                "primaryFields": [_field("concert", ticket.artist, ticket.title)],
                "secondaryFields": secondary,
                "auxiliaryFields": auxiliary,
                "backFields": [_field("id", "Ticket id", ticket.id)],
            },
        }


def _moment(at: datetime) -> str:
    return rfc3339(at.astimezone(UTC).replace(microsecond=0))


def _field(key: str, label: str, value: str, **more: str) -> dict[str, str]:
    return {"key": key, "label": label, "value": value, **more}


def _named(certificate: x509.Certificate, oid: x509.ObjectIdentifier, path: Path) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    if not found:
        raise UnusableCertificate(
            f"the certificate in {path} is none for passes: its subject lacks {oid.dotted_string}"
        )
    return str(found[0].value)


def _icon(size: int) -> bytes:
    """A square of one colour as PNG."""
    rows = (b"\0" + bytes(COLOUR) * size) * size
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    sizes = ((struct.pack(">I", len(body)), kind + body) for kind, body in chunks)
    packed = (size + body + struct.pack(">I", zlib.crc32(body)) for size, body in sizes)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
