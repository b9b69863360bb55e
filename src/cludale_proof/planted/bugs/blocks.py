"""Seats that are held back."""

from contextlib import ExitStack
from datetime import datetime
from typing import Any

from cludale.ports.seats import BlockNotFound
from cludale.services.concerts.blocks import block as blocks
from cludale.services.concerts.blocks.block import Block, Blocks
from cludale.services.concerts.events import SeatsHeldBack, SeatsLetGo
from cludale_proof.planted.planting import bug, swap


@bug("blocks: seats that are held back are sold to anybody", theme="blocks")
def _(stack: ExitStack) -> None:
    def wrong(known: Blocks, now: datetime) -> int:
        return 0

    swap(stack, blocks, "held_back", wrong)


@bug("blocks: a block that was let go is let go again", theme="blocks")
def _(stack: ExitStack) -> None:
    right = blocks.evolve

    def wrong(known: Blocks, event: SeatsHeldBack | SeatsLetGo) -> Blocks:
        return known if isinstance(event, SeatsLetGo) else right(known, event)

    swap(stack, blocks, "evolve", wrong)


@bug("blocks: more is sold out of a block than it has", theme="blocks")
def _(stack: ExitStack) -> None:
    def wrong(known: Blocks, block: str, wanted: int, now: datetime) -> None:
        if block not in known:
            raise BlockNotFound(block)

    swap(stack, blocks, "check_room", wrong)


@bug("blocks: few seats are left, and a block is kept all the same", theme="blocks")
def _(stack: ExitStack) -> None:
    def wrong(known: Blocks, **_: Any) -> list[tuple[str, Block]]:
        return []

    swap(stack, blocks, "few_are_left", wrong)


@bug("blocks: what is sold out of a block does not make it smaller", theme="blocks")
def _(stack: ExitStack) -> None:
    def wrong(known: Blocks, block: str, quantity: int) -> Blocks:
        return known

    swap(stack, blocks, "with_drawn", wrong)
