"""Which dead letters a store keeps."""

from cludale.ports.records import Query, Records
from cludale.runtime.dead_letters import LETTERS, DeadLetter, LetterState


async def buried(records: Records, consumer: str | None = None) -> list[DeadLetter]:
    """Those that wait, of all consumers or this one, oldest first."""
    equal = {"state": LetterState.WAITING.value} | ({"consumer": consumer} if consumer else {})
    found, _ = await LETTERS.find(records, Query(equal=equal, limit=50))
    return [each.state for each in found]
