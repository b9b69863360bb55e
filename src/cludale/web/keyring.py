"""The keys that this process knows: a listing that is renewed, and who has used which. No I/O.

A key is looked up by its id, which is no secret; what follows it is compared by its keyed hash, in constant time.
A session is a key with an end, whose token says, sealed, when it was used last.
"""

import hmac
import math
from collections.abc import Callable, Sequence
from datetime import datetime

from cludale.kernel.algorithms import algorithm_of
from cludale.kernel.principals import DEFAULT_ORGANIZER, Principal, PrincipalKind
from cludale.kernel.refusals import Busy
from cludale.ports.keys import KeyListing, ListedKey

FRESH_SECONDS = 1.0
"""How old a listing may be that a key is checked by: so long after it is revoked a key may open something."""
SHA2, SHA3 = "sha256", "sha3-256"
_HASHES = {SHA2: "sha256", SHA3: "sha3_256"}
"""By the name that may stand before a pepper, with a colon; without one it is SHA-256."""
_NO_DIGEST = "0" * 64


class KeysUnknown(Busy):
    """Which keys there are can't be known at the moment, so none is taken but the first; try again."""

    def __init__(self) -> None:
        super().__init__("Which keys there are can't be known at the moment: concerts gives no answer. Try again.")


class KeyRing:
    """Checks keys by the newest listing."""

    def __init__(
        self,
        pepper: bytes,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        fresh_seconds: float = FRESH_SECONDS,
        peppers_too: Sequence[bytes] = (),
        renews: bool = False,
    ) -> None:
        """`pepper` is the key of the keyed hash, the same in all services; `peppers_too`, those it may have been.

        `fresh_seconds` is without end where no other process can change the keys: this one hears of each change.
        """
        self._fresh_seconds = fresh_seconds
        self._first_key = ""
        self.first_digests: list[str] = []
        """The hashes of the first key; the one that is made now stands first."""
        self.use_peppers(pepper, peppers_too, renews=renews)
        self._now = now
        self._monotonic = monotonic
        self.listing: KeyListing | None = None
        """The newest that is known."""
        self._by_id: dict[str, ListedKey] = {}
        self._asked_at = -math.inf
        self.used: dict[str, datetime] = {}
        """Key → when it was used last, since this was emptied."""
        self.rehashed: dict[str, str] = {}
        """Key → its hash as it is made now, of those that were used and are kept by another one; since emptied."""

    def use_peppers(self, pepper: bytes, too: Sequence[bytes], *, renews: bool) -> None:
        """From now on hashes are made with `pepper`, and those made with one of `too` count as well.

        A pepper names its hash, so another hash comes with another pepper, one beside the other.

        `renews`: the secret is being changed, so a key that is used and was hashed with another one is hashed anew.
        """
        self._renews = renews
        self._hash = _keyed(pepper)
        self._hashes_too = [_keyed(each) for each in too]
        self.know_first(self._first_key)

    def know_first(self, key: str) -> None:
        """The first key: sessions that were opened with another one have ended."""
        self._first_key = key
        self.first_digests = [_digest(each, key) for each in (self._hash, *self._hashes_too)]

    def digest(self, key: str) -> str:
        """The keyed hash by which a key is kept."""
        return _digest(self._hash, key)

    def learn(self, listing: KeyListing, *, asked_at: float) -> None:
        """Take a listing over that was asked for at this moment of the monotonic clock; not if a later one is known."""
        if asked_at < self._asked_at:
            return
        if listing is not self.listing:
            self.listing = listing
            self._by_id = {key.id: key for key in listing.keys}
        self._asked_at = asked_at

    @property
    def is_fresh(self) -> bool:
        """Is it known which keys there are?"""
        return self.listing is not None and self._monotonic() - self._asked_at <= self._fresh_seconds

    @property
    def has_one_organizer(self) -> bool:
        """Is everything the default organizer's, as far as is known? Nobody without a key ever put a concert on.

        Where nothing is known yet no key is taken but the first, which may make itself a key of any organizer.
        """
        return self.listing is None or set(self.listing.organizers) <= {DEFAULT_ORGANIZER}

    def find(self, key: str) -> Principal | None:
        """Who has this key; None where there is no such key, or it has ended. Raises KeysUnknown."""
        id, dot, _ = key.partition(".")
        if not dot:
            return None  # not of the form that keys have: no listing could have it
        if not self.is_fresh:
            raise KeysUnknown
        known = self._by_id.get(id)
        now = self._now()
        is_session = known is not None and known.idle_seconds is not None
        if known is not None and is_session:
            if self._idle_seconds(key, now) > (known.idle_seconds or 0) or not self._has_its_key(known, now):
                return None
            key = _unstamped(key)
        kept = _NO_DIGEST if known is None else known.digest
        digest = self.digest(key)
        is_it = is_new = hmac.compare_digest(digest, kept)
        for each in self._hashes_too:
            is_it |= hmac.compare_digest(_digest(each, key), kept)
        if known is None or not is_it or (known.ends_at is not None and now >= known.ends_at):
            return None
        if not is_session:
            self.used[known.id] = now
            if self._renews and not is_new:
                self.rehashed[known.id] = digest
        return Principal(
            kind=PrincipalKind.PERSON if is_session else PrincipalKind.KEY,
            id=known.id,
            organizer=known.organizer,
            scopes=frozenset(known.scopes),
            concert_id=known.concert_id,
        )

    def stamped(self, session: str) -> str:
        """A session's token that says when it was used: what its idle end is reckoned from. With or without a stamp.

        The stamp is sealed, so no store is written to for a request, and all replicas know.
        """
        token = _unstamped(session)
        seen = f"{token}.{int(self._now().timestamp())}"
        return f"{seen}.{_seal(self._hash, seen)}"

    def _idle_seconds(self, session: str, now: datetime) -> float:
        """Since it was used last; without end if it doesn't say so, or wrongly."""
        seen, _, seal = session.rpartition(".")
        sealed, is_it = seal.encode("utf-8", "surrogatepass"), False
        for each in (self._hash, *self._hashes_too):
            is_it |= hmac.compare_digest(sealed, _seal(each, seen).encode())
        if not is_it:
            return math.inf
        return now.timestamp() - int(seen.rpartition(".")[2])

    def _has_its_key(self, session: ListedKey, now: datetime) -> bool:
        """Is the key still good that it was opened with?"""
        if not session.of:
            return True
        if session.of_digest:
            return session.of_digest in self.first_digests  # both are hashes that this process has: no secret is told
        key = self._by_id.get(session.of)
        return key is not None and (key.ends_at is None or now < key.ends_at)


def _keyed(pepper: bytes) -> hmac.HMAC:
    named = algorithm_of(pepper.decode("ascii", "replace"), tuple(_HASHES))
    return hmac.new(pepper, digestmod=_HASHES[named])


def _unstamped(session: str) -> str:
    """A session's token without its stamp: its id and its secret."""
    return ".".join(session.split(".", 2)[:2])


def _seal(hash: hmac.HMAC, seen: str) -> str:
    return _digest(hash, f"seen {seen}")[:32]


def _digest(hash: hmac.HMAC, key: str) -> str:
    hashed = hash.copy()
    hashed.update(key.encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()
