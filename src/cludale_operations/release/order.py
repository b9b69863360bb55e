"""Which service goes first: who hears a new event before who publishes it. Pure."""

from collections.abc import Collection, Mapping

from cludale.kernel.events import Catalogue


def hearers_first(
    hears: Mapping[str, Collection[str]],
    publishes: Mapping[str, Collection[str]],
    changed: Collection[str] | None = None,
) -> list[str]:
    """All services so that whoever hears an event comes before who publishes it, as far as that can be.

    `changed`: the event types that this release changes; without it, all may be changed. Services that hear each other
    can't both come first: there the one goes first that fewest others still wait for, and the events have to be
    readable by the version before, as they have to be anyhow while both run.
    """
    left = set(hears)
    order: list[str] = []
    while left:

        def unready(service: str) -> int:
            said = {each for each in publishes.get(service, ()) if changed is None or each in changed}
            return sum(1 for other in left if other != service and said & set(hears[other]))

        first = min(left, key=lambda service: (unready(service), service))
        order.append(first)
        left.remove(first)
    return order


def publishers(catalogue: Catalogue) -> dict[str, frozenset[str]]:
    """Service → the event types that it publishes."""
    return {topic.source: frozenset(each.__name__ for each in topic.events) for topic in catalogue.topics}
