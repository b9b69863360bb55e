"""What an issuer's roles open here: a mapping that is written down as one line of text. No I/O, clock or HTTP.

`box-office=sell,read,refund; acme-staff=catalogue,read@acme; door-c1=door@acme/c1; ops=operate,read`
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cludale.kernel.principals import DEFAULT_ORGANIZER, Scope
from cludale.kernel.refusals import Refusal

PREFIX = "cludale:"
"""Roles that say themselves what they open begin so: `cludale:read`, `cludale:sell@acme`."""


class NoRole(Refusal):
    """The issuer knows this person, and none of their roles opens anything here."""

    def __init__(self) -> None:
        super().__init__(
            "You are signed in, but none of your roles gives access to anything here: ask whoever gives out the roles."
        )


class RolesDisagree(Refusal):
    """The roles are for several organizers, or for several concerts: a session is for one."""

    def __init__(self) -> None:
        super().__init__("Your roles are for several organizers or concerts, and one can sign in for one alone.")


class Opens(NamedTuple):
    """What a role opens."""

    scopes: frozenset[Scope]
    organizer: str = DEFAULT_ORGANIZER
    concert_id: str | None = None


def mapping(text: str) -> Mapping[str, Opens]:
    """Role → what it opens. Raises ValueError, which says what is wrong."""
    found: dict[str, Opens] = {}
    for part in filter(None, (each.strip() for each in text.split(";"))):
        role, equals, says = part.rpartition("=")
        if not equals or not role.strip():
            raise ValueError(f"{part!r} is not of the form role=scope,scope@organizer/concert")
        if role.strip() in found:
            raise ValueError(f"the role {role.strip()!r} is there twice")
        found[role.strip()] = _opens(says)
    return found


def _opens(text: str) -> Opens:
    scopes, at, place = text.strip().partition("@")
    organizer, slash, concert = place.partition("/")
    named = [each.strip() for each in scopes.split(",")]
    unknown = [each for each in named if each not in set(Scope)]
    if unknown:
        raise ValueError(f"there is no scope {unknown[0]!r}; these are: {', '.join(Scope)}")
    if (at and not organizer) or (slash and not concert):
        raise ValueError(f"{text!r} names no organizer, or no concert, after its @ or /")
    opens = Opens(frozenset(map(Scope, named)), organizer or DEFAULT_ORGANIZER, concert or None)
    if Scope.OPERATE in opens.scopes and at:
        raise ValueError("`operate` is about the whole platform: not for one organizer or one concert")
    return opens


def opened(roles: Iterable[str], known: Mapping[str, Opens]) -> Opens:
    """What somebody with these roles may do: all that each opens. Raises NoRole, RolesDisagree."""
    found = [opens for opens in (known.get(role) or _itself(role) for role in roles) if opens is not None]
    if not found:
        raise NoRole
    if len({each[1:] for each in found}) > 1:
        raise RolesDisagree
    scopes: frozenset[Scope] = frozenset().union(*(each.scopes for each in found))
    return found[0]._replace(scopes=scopes)


def _itself(role: str) -> Opens | None:
    if not role.startswith(PREFIX):
        return None
    try:
        return _opens(role.removeprefix(PREFIX))
    except ValueError:
        return None
