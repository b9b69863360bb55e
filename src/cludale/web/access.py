"""Who may do what: the organizer's key, and an access token for each order."""

import hmac
from base64 import urlsafe_b64encode
from enum import Enum

from cludale.kernel.refusals import NotFound
from cludale.web.problems import Unauthorized

_SCHEME = "bearer "


class Who(Enum):
    """Who a credential shows the caller to be."""

    ORGANIZER = "organizer"
    BUYER = "buyer"


class Access:
    """Checks credentials, in constant time. Keeps nothing: an order's token follows from its id and the token key."""

    def __init__(self, *, organizer_key: str, token_key: str) -> None:
        self.organizer_key = organizer_key
        """What a service calls another one with."""
        self._organizer_key = organizer_key.encode()
        self._tokens = hmac.new(token_key.encode(), digestmod="sha256")

    def token_for(self, order_id: str) -> str:
        """The bearer token that opens this order: 43 characters."""
        token = self._tokens.copy()  # a third of what beginning with the key takes
        token.update(order_id.encode())
        return urlsafe_b64encode(token.digest()).rstrip(b"=").decode()

    def check_organizer(self, authorization: str | None) -> None:
        """Raises Unauthorized unless `authorization` carries the organizer's key."""
        if not self.is_organizer(authorization):
            raise Unauthorized

    def is_organizer(self, authorization: str | None) -> bool:
        """Does `authorization` carry the organizer's key?"""
        return self._has_organizers_key(_bearer(authorization))

    def who_sees(self, order_id: str, authorization: str | None) -> Who:
        """Who asks for this order. Raises NotFound for anyone but its buyer and the organizer."""
        token = _bearer(authorization)
        if hmac.compare_digest(token, self.token_for(order_id).encode()):
            return Who.BUYER
        if self._has_organizers_key(token):
            return Who.ORGANIZER
        raise NotFound("order", order_id)

    def _has_organizers_key(self, token: bytes) -> bool:
        return hmac.compare_digest(token, self._organizer_key)


def _bearer(authorization: str | None) -> bytes:
    """The token of a bearer credential; empty for anything else, which equals no key."""
    if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
        return b""
    return authorization[len(_SCHEME) :].strip().encode("utf-8", "surrogatepass")
