"""How a bug is planted: a piece of the real code is swapped for a wrong one, until the run is over."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

Plant = Callable[[ExitStack], None]


@dataclass(frozen=True)
class Bug:
    """A mistake. `plant` puts it in for as long as the stack is open."""

    name: str
    plant: Plant
    theme: str | None
    """Which faults bring it out soonest, if it hides well: what a test lets happen."""

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The code with the mistake in it."""
        with ExitStack() as stack:
            self.plant(stack)
            yield


BUGS: list[Bug] = []


def bug(name: str, *, theme: str | None = None) -> Callable[[Plant], Plant]:
    """Register the planting of a mistake under the words that say what it is."""

    def register(plant: Plant) -> Plant:
        BUGS.append(Bug(name, plant, theme))
        return plant

    return register


def swap(stack: ExitStack, owner: Any, name: str, wrong: Any) -> None:
    """Put `wrong` in the place of `owner.name`, which is public, until the stack closes."""
    if name.startswith("_") and not name.startswith("__"):
        raise ValueError(f"{name} is private to {owner}: a bug goes through what that offers to others")
    right = vars(owner)[name]
    setattr(owner, name, wrong)
    stack.callback(setattr, owner, name, right)
