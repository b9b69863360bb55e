"""Who may do what: keys of organizers, the services' own credential, and an access token for each order."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Sequence
from enum import Enum

from cludale.kernel.carts import cart_of
from cludale.kernel.principals import FIRST, SERVICE, Principal, PrincipalKind, Scope
from cludale.kernel.refusals import NotFound
from cludale.web.keyring import KeyRing
from cludale.web.problems import ScopeMissing, Unauthorized
from cludale.web.service_keys import ANY, ServiceKeys

_SCHEME = "bearer "


class Who(Enum):
    """Who a credential shows the caller of an order's route to be."""

    ORGANIZER = "organizer"
    BUYER = "buyer"


class Access:
    """Checks credentials, in constant time. An order's token follows from its id and the token key."""

    def __init__(
        self,
        *,
        organizer_key: str,
        token_key: str,
        token_key_too: str | None = None,
        service_keys: Sequence[str] = (),
        serves: Collection[str] = (),
        keys: KeyRing | None = None,
    ) -> None:
        """`organizer_key` is the first key. `token_key_too`: tokens made with it open their orders, too.

        `service_keys`: the first is what this service calls others with, each is what others may call it with
        (service_keys.py); without any, as in earlier versions, it is the first key. `serves`: the services that are
        called here. `keys`: the others that there are. Raises UnusableServiceKey.
        """
        self.organizer_key = organizer_key
        """The first key."""
        self.services = ServiceKeys(service_keys or (organizer_key,), serves=serves)
        """What services call each other with."""
        self.keys = keys
        if keys is not None:
            keys.know_first(organizer_key)
        self._organizer_key = organizer_key.encode()
        self.use_token_keys(token_key, token_key_too)

    def use_token_keys(self, key: str, too: str | None) -> None:
        """From now on tokens are made with `key`, and those made with `too` open their orders as well."""
        self._tokens = hmac.new(key.encode(), digestmod="sha256")
        self._tokens_too = None if too is None else hmac.new(too.encode(), digestmod="sha256")

    def token_for(self, order_id: str) -> str:
        """The bearer token that opens this order: 43 characters."""
        return _token(self._tokens, order_id)

    def principal(self, authorization: str | None) -> Principal | None:
        """Who has the key in `authorization`; None for no key, or none that we know. Raises KeysUnknown."""
        return self._principal_with(_bearer(authorization))

    def _principal_with(self, token: bytes) -> Principal | None:
        if not token:
            return None
        if hmac.compare_digest(token, self._organizer_key):
            return FIRST
        if self.keys is None:
            return None
        return self.keys.find(token.decode("utf-8", "surrogatepass"))

    def digest(self, key: str) -> str:
        """The keyed hash by which a key is kept."""
        if self.keys is None:
            raise TypeError("no keys are kept here")
        return self.keys.digest(key)

    def has_one_organizer(self) -> bool:
        """Is everything the default organizer's, as far as is known?"""
        return self.keys is None or self.keys.has_one_organizer

    def is_service(self, authorization: str | None) -> bool:
        """Does `authorization` carry the credential of another service, whichever?"""
        return self.services.caller(_bearer(authorization)) is not None

    def is_one_of(self, callers: Collection[str], authorization: str | None) -> bool:
        """Does `authorization` carry the credential of one of these services?"""
        return self._is_one_of(callers, _bearer(authorization))

    def _is_one_of(self, callers: Collection[str], token: bytes) -> bool:
        caller = self.services.caller(token)
        return caller is not None and (caller in callers or caller == ANY)

    def check(self, authorization: str | None, scope: Scope | None, *, callers: Collection[str] = ()) -> Principal:
        """Who asks, with a key that has this `scope`, or as one of the services that may (too): `callers`.

        Without a scope, services alone may. Raises Unauthorized, ScopeMissing, KeysUnknown.
        """
        token = _bearer(authorization)
        if callers and self._is_one_of(callers, token):
            return SERVICE
        principal = None if scope is None else self._principal_with(token)
        if principal is None or scope is None:
            raise Unauthorized
        if scope not in principal.scopes:
            raise ScopeMissing(scope)
        return principal

    def session(self, authorization: str | None) -> Principal:
        """Who is signed in. Raises Unauthorized for a key, too; KeysUnknown."""
        principal = self.principal(authorization)
        if principal is None or principal.kind is not PrincipalKind.PERSON:
            raise Unauthorized
        return principal

    def stamped(self, authorization: str | None) -> str:
        """The token of the session that is asked with, as used now."""
        if self.keys is None:
            raise TypeError("no keys are kept here")
        return self.keys.stamped(_bearer(authorization).decode("utf-8", "surrogatepass"))

    def of_order(self, order_id: str, authorization: str | None, scope: Scope) -> Principal | None:
        """Who asks for this order: None for its buyer, else whoever has a key with this `scope`.

        Whether the order is theirs is still to be seen. Raises NotFound for anyone else, ScopeMissing, KeysUnknown.
        """
        token = _bearer(authorization)
        if self._opens(token, order_id):
            return None
        principal = self.principal(authorization)
        if principal is None:
            raise NotFound("order", order_id)
        if scope not in principal.scopes:
            raise ScopeMissing(scope)
        return principal

    def opens(self, id: str, authorization: str | None) -> bool:
        """Does `authorization` carry the token of what is called so: an order, or a ticket?"""
        return self._opens(_bearer(authorization), id)

    def _opens(self, token: bytes, order_id: str) -> bool:
        if hmac.compare_digest(token, self.token_for(order_id).encode()):
            return True
        earlier = self._tokens_too
        if earlier is not None and hmac.compare_digest(token, _token(earlier, order_id).encode()):
            return True
        cart_id = cart_of(order_id)  # whoever has a cart's token has those of its orders, too
        return cart_id is not None and self._opens(token, cart_id)


def _token(tokens: hmac.HMAC, order_id: str) -> str:
    token = tokens.copy()  # a third of what beginning with the key takes
    token.update(order_id.encode())
    return urlsafe_b64encode(token.digest()).rstrip(b"=").decode()


def _bearer(authorization: str | None) -> bytes:
    """The token of a bearer credential; empty for anything else, which equals no key."""
    if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
        return b""
    return authorization[len(_SCHEME) :].strip().encode("utf-8", "surrogatepass")
