"""Google Wallet: a link with a signed token (JWT, RS256) that has the whole ticket in it; nothing is sent to Google.

Built after Google's documentation, and verified with another library against a key that was made for the test: Google's
servers have never seen one of these.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cludale.kernel.times import rfc3339
from cludale.ports.wallets import WalletTicket

SAVE = "https://pay.google.com/gp/v/save/"
LONGEST = 1_800
"""Characters of an address that every browser takes, by Google's documentation."""
_SHORTER = ("holder", "section", "venue")
_OTHERS = re.compile(r"[^A-Za-z0-9._-]")


class UnusableAccount(Exception):
    """Links can't be signed with it; the message says why."""


class _Account(msgspec.Struct, frozen=True):
    client_email: str
    private_key: str


class GoogleLinks:
    """Signs links with a service account's key, for an issuer of passes."""

    def __init__(self, path: Path, *, issuer: str) -> None:
        """`path`: the account's key as Google gives it, JSON. Raises UnusableAccount, OSError."""
        try:
            account = msgspec.json.decode(path.read_bytes(), type=_Account)
            key = load_pem_private_key(account.private_key.encode(), None)
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            raise UnusableAccount(f"{path} is no key of a service account: {error}") from error
        if not isinstance(key, RSAPrivateKey):
            raise UnusableAccount(f"the key in {path} is no RSA key")
        self._email, self._key, self._issuer = account.client_email, key, issuer

    def link(self, ticket: WalletTicket, *, now: datetime) -> str:
        """The address that saves the ticket. What makes it too long for some browser is left out of it."""
        for left_out in range(len(_SHORTER) + 1):
            none: dict[str, Any] = dict.fromkeys(_SHORTER[:left_out])
            shorter = ticket._replace(**none)
            address = self._signed(shorter, now)
            if len(address) <= LONGEST:
                break
        return address

    def _signed(self, ticket: WalletTicket, now: datetime) -> str:
        said = {
            "iss": self._email,
            "aud": "google",
            "typ": "savetowallet",
            "iat": int(now.timestamp()),
            "payload": self._payload(ticket),
        }
        to_sign = f"{_text(_json({'alg': 'RS256', 'typ': 'JWT'}))}.{_text(_json(said))}"
        signature = self._key.sign(to_sign.encode(), PKCS1v15(), hashes.SHA256())
        return f"{SAVE}{to_sign}.{_text(signature)}"

    def _payload(self, ticket: WalletTicket) -> Mapping[str, Any]:
        concert = f"{self._issuer}.{_OTHERS.sub('_', ticket.concert_id)}"
        kind: dict[str, Any] = {
            "id": concert,
            "issuerName": ticket.organizer,
            "reviewStatus": "UNDER_REVIEW",
            "eventName": _words(ticket.title),
        }
        times = {"start": ticket.begins, "doorsOpen": ticket.doors}
        said = {name: rfc3339(at.replace(microsecond=0)) for name, at in times.items() if at is not None}
        if said:
            kind["dateTime"] = said
        if ticket.begins is None:
            kind["textModulesData"] = [{"id": "date", "header": "Date", "body": ticket.day}]
        if ticket.venue:
            kind["venue"] = {"name": _words(ticket.venue), "address": _words(ticket.venue)}
        saved: dict[str, Any] = {
            "id": f"{self._issuer}.{ticket.id}.{ticket.generation}",
            "classId": concert,
            "state": "ACTIVE",
            "barcode": {"type": "QR_CODE", "value": ticket.code},
            "ticketNumber": f"{ticket.number}/{ticket.quantity}",
        }
        if ticket.section:
            saved["seatInfo"] = {"section": _words(ticket.section)}
        if ticket.holder:
            saved["ticketHolderName"] = ticket.holder
        return {"eventTicketClasses": [kind], "eventTicketObjects": [saved]}


def _words(text: str) -> Mapping[str, Any]:
    return {"defaultValue": {"language": "en", "value": text}}


_json = msgspec.json.encode


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
