"""The readers of what strangers send, with some thousand inputs; `make fuzz` goes on for as long as it is told to."""

import random

import pytest
from tools.fuzz.targets import SEEDS, TARGETS

CASES = 400


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """The seed with some bytes changed, left out, doubled or put in."""
    made = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(4):
            case 0:
                made[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del made[at : at + chance.randint(1, 4)]
            case 2:
                made[at:at] = made[at : at + chance.randint(1, 16)]
            case _:
                made[at:at] = chance.choice((b"\x00", b"\r\n", b'"', b"\xff", b"\xed\xa0\x80", b"9" * 30, b"[" * 200))
    return bytes(made)


def test_every_target_has_something_to_begin_with() -> None:
    assert SEEDS.keys() == TARGETS.keys()
    assert all(SEEDS.values())


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_it_is_read_or_refused_in_the_one_way_that_is_named(name: str) -> None:
    chance = random.Random(name)
    for seed in SEEDS[name]:
        TARGETS[name](seed)
        for _ in range(CASES // len(SEEDS[name])):
            TARGETS[name](mutated(seed, chance))
