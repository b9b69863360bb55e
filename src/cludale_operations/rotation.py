"""Rotation: how a secret is changed while everything sells. Which pairs of secrets follow each other; no I/O.

A process is given a pair: it uses the one secret and takes the other one, too. From one pair to the next, processes of
either work with those of both (a test asks all of them). So a pair has to have reached every process before the next
is given to any: that is for whoever goes the steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from cludale.kernel.algorithms import algorithm_of
from cludale.ports.seals import AES, CHACHA
from cludale.services import NAMES as SERVICES
from cludale.web.keyring import SHA2, SHA3
from cludale.web.service_keys import keys_from

EACH = "each-"
"""What a service key begins with from which a key of each service follows; of it whole no service is told."""
TOO = "-too"
"""What the second secret's name ends with."""
SERVICE_KEY = "service-key"
PAIRED = (SERVICE_KEY, "token-key", "privacy-key", "key-hash")
ALONE = "organizer-key"
"""The first key has no second: the old one is void at once. What else would follow from it has secrets of its own."""
FOLLOWING = {
    "token-key": "CLUDALE_TOKEN_KEY",
    "service-key": "CLUDALE_SERVICE_KEY",
    "key-hash": "CLUDALE_KEY_HASH",
    "privacy-key": "CLUDALE_PRIVACY_KEY",
}
"""What follows from the first key where it is not set, by its variable."""
NAMES = (*PAIRED, ALONE)
KEPT_FOR_BUYERS = "token-key"
KEPT = (KEPT_FOR_BUYERS, "privacy-key", "key-hash")
"""Buyers have tokens of the former one, addresses are under it, keys that nobody used since are kept by hashes made
with it: it is taken away when somebody says so."""


ALGORITHMS: Mapping[str, Sequence[str]] = {"privacy-key": (AES, CHACHA), "key-hash": (SHA2, SHA3)}
"""What a secret can be used with; the first where it says nothing."""


class NotRotated(Exception):
    """It can't be done; the message says why, and how far it came."""


class Stage(StrEnum):
    """What the second secret is."""

    SETTLED = "settled"
    """The same as the first."""
    NEXT = "next"
    """The one that is to be used."""
    FORMER = "former"
    """The one that was used before."""


class Pair(NamedTuple):
    """Two secrets of a process: the one that it uses, and another that it accepts too."""

    secret: str
    too: str
    stage: Stage


def settled(secret: str) -> Pair:
    """One secret alone."""
    return Pair(secret, secret, Stage.SETTLED)


def course(name: str, present: Pair, new: str, *, finish: bool, algorithm: str | None = None) -> Iterator[Pair]:
    """The pairs to go through, each to be kept and then given to every process before the next one.

    What was begun and not ended goes on where it was: the present pair may not have reached everybody. Without
    `finish` the former secret stays good where somebody outside has something of it. `algorithm`: what the new one is
    used with, if not with what the present one is. Raises NotRotated.
    """
    if name not in NAMES:
        raise NotRotated(f"{name!r} can't be rotated; these can: {', '.join(NAMES)}")
    if algorithm is not None:
        check_algorithm(name, algorithm)
    if name == ALONE:
        yield settled(new)
        return
    new = f"{EACH}{new}" if name == SERVICE_KEY else _for_algorithm(name, present, new, algorithm)
    pair = present
    if pair.stage is Stage.SETTLED:
        pair = Pair(present.secret, new, Stage.NEXT)
    if pair.stage is Stage.NEXT:
        yield pair
        pair = Pair(pair.too, pair.secret, Stage.FORMER)
    yield pair
    if finish or name not in KEPT:
        yield settled(pair.secret)


def given(name: str, secret: str, service: str) -> str:
    """What a service is given of a secret: of a service key its own one, all else as it is."""
    return keys_from(secret, SERVICES)[service] if name == SERVICE_KEY and secret.startswith(EACH) else secret


def check_algorithm(name: str, algorithm: str) -> None:
    """Can this secret be used with it? Raises NotRotated."""
    known = ALGORITHMS.get(name)
    if known is None:
        raise NotRotated(f"{name} has one algorithm; {' and '.join(ALGORITHMS)} have a choice")
    if algorithm not in known:
        raise NotRotated(f"{name} can't be used with {algorithm!r}; it can with {' or '.join(known)}")


def _for_algorithm(name: str, present: Pair, new: str, algorithm: str | None) -> str:
    """The secret, with its algorithm before it where that is not the usual one."""
    known = ALGORITHMS.get(name, ("",))
    chosen = algorithm or algorithm_of(present.secret, known)
    return new if chosen == known[0] else f"{chosen}:{new}"


def described(name: str, pair: Pair) -> str:
    """What changes when every process has this pair, in words."""
    if name == ALONE:
        return "the new one"
    return {
        Stage.NEXT: "the new one is good, too",
        Stage.FORMER: "the new one is used, the former one is good, too",
        Stage.SETTLED: "the former one is void",
    }[pair.stage]
