"""How secrets of a platform on this machine are changed while it sells: the steps; who carries them out is `Up`."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from cludale.adapters.system.keys import new_key, put_key
from cludale_operations.local.deployment import Deployment
from cludale_operations.rotation import ALONE, PAIRED, NotRotated, Pair, course, described

T = TypeVar("T")
DATABASE, BROKER = "database", "broker"
NAMES = (*PAIRED, ALONE, DATABASE, BROKER)


async def rotated(
    layout: Deployment,
    names: Sequence[str],
    give_to_all: Callable[[], Awaitable[None]],
    tell: Callable[[str], Awaitable[None]],
    *,
    finish: bool,
    algorithm: str | None = None,
) -> None:
    """Change all of these at once: after each step `give_to_all` gives every process what there is now.

    Raises NotRotated, PartFailed, OSError, UnusableKey; the same again goes on from there.
    """
    if not names or (unknown := [each for each in names if each not in NAMES]):
        raise NotRotated(f"there is no secret {', '.join(unknown) if names else ''!r}; these are: {', '.join(NAMES)}")
    for name in names:
        _assert_kept(layout, name)
    former: list[tuple[str, Callable[[], Awaitable[None]]]] = []
    if DATABASE in names:
        former += [await _renewed(layout.postgres), await _renewed(layout.logins)]
    if BROKER in names:
        former.append(await _renewed(layout.broker))
    for name in (DATABASE, BROKER):
        if name in names:
            await tell(f"{name}: a new password is used, the former one is good, too")
    courses: dict[str, Iterator[Pair]] = {
        name: course(name, layout.pairs.pair(name), new_key(), finish=finish, algorithm=algorithm)
        for name in names
        if name in PAIRED
    }
    if ALONE in names:
        layout.organizer_key = new_key()
        put_key(layout.folder / "organizer.key", layout.organizer_key)
        await tell(f"{ALONE}: the former one is void")
    is_known = not former and ALONE not in names
    while True:
        steps = {name: pair for name, each in courses.items() if (pair := next(each, None)) is not None}
        for name, pair in steps.items():
            layout.pairs.keep(name, pair)
            await tell(f"{name}: {described(name, pair)}")
        if not steps and is_known:
            return
        await give_to_all()
        is_known = True
        for name, end in former:
            await end()
            await tell(f"{name}: the former password is void")
        former = []


class _Renewable(Protocol[T]):
    """What lets two users in while one takes the other's place."""

    name: str

    async def renew_login(self) -> T: ...

    async def end_login(self, former: T, /) -> None: ...


async def _renewed(part: _Renewable[T]) -> tuple[str, Callable[[], Awaitable[None]]]:
    """Its name, and what ends the login of before."""
    former = await part.renew_login()
    return part.name, lambda: part.end_login(former)


def _assert_kept(layout: Deployment, name: str) -> None:
    if name in PAIRED:
        layout.pairs.assert_kept(name)
    if name == ALONE and layout.settings.organizer_key is not None:
        raise NotRotated("CLUDALE_ORGANIZER_KEY is set: put another one there, and start again")
