"""A paired device, in a cookie that no script reads: its key, its concert, and which door it is. No I/O."""

import math
import re
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any

import msgspec

from cludale.pages import forms
from cludale.pages.site import Visit

COOKIE = "door"
LONGEST_DOOR = 40
"""Letters of a door's name, so that a device's own name, which begins with it, is no longer than 60."""
_NO_NAME = "door"


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser keeps of its pairing. The API believes the key alone."""

    key: str
    concert: str
    door: str
    name: str
    ends_at: datetime | None = None
    paired_at: datetime | None = None

    def age_seconds(self, now: datetime) -> float:
        """How long it has been paired; without end where that is not kept, as by earlier versions."""
        return math.inf if self.paired_at is None else (now - self.paired_at).total_seconds()


def device(visit: Visit) -> Device | None:
    """The device that sent the request; None if it is not paired."""
    text = visit.cookies.get(COOKIE, "")
    try:
        return msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Device) if text else None
    except (ValueError, msgspec.MsgspecError):
        return None


def paired(visit: Visit, device: Device, *, now: datetime) -> tuple[str, str]:
    """A header that keeps it as long as its key is good, a year at most."""
    value = urlsafe_b64encode(msgspec.json.encode(device)).rstrip(b"=").decode()
    left = forms.YEAR_SECONDS if device.ends_at is None else int((device.ends_at - now).total_seconds())
    age = max(0, min(left, forms.YEAR_SECONDS))
    return forms.cookie(COOKIE, value, secure=visit.secure, max_age_seconds=age)


def unpaired(visit: Visit) -> tuple[str, str]:
    """A header that takes it away."""
    return forms.cookie(COOKIE, "", secure=visit.secure, max_age_seconds=0)


def door_of(name: str) -> str:
    """What the log and the counts call the door of a device of this name: `north-door-phone-2`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain).strip("-._")[:LONGEST_DOOR].rstrip("-._") or _NO_NAME


def snapshot_payload(jws: bytes) -> dict[str, Any]:
    """What a snapshot says, as it came from the API itself: nobody's signature is looked at. Raises ValueError."""
    payload = jws.split(b".")[1]
    said: dict[str, Any] = msgspec.json.decode(
        urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), type=dict[str, Any]
    )
    return said
