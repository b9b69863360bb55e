"""What is sealed names its cipher by its master key, so two ciphers are there at once, and one takes over."""

from itertools import permutations

import pytest

from cludale.adapters.ciphers import AeadSeals
from cludale.ports.seals import CannotOpen

BY_AES, BY_CHACHA = "a-master-key", "chacha20-poly1305:a-master-key"
DATA, OF = b"zoe@example.org", "order-1"


def test_what_earlier_versions_sealed_is_of_aes() -> None:
    assert AeadSeals("aes-256-gcm:x").seal(DATA, OF).master != AeadSeals("x").seal(DATA, OF).master
    for seals in (AeadSeals(BY_AES), AeadSeals("a:colon"), AeadSeals("aes-256-gcm:x")):
        sealed = seals.seal(DATA, OF)
        assert seals.open(sealed, OF) == DATA


@pytest.mark.parametrize(("former", "new"), list(permutations((BY_AES, BY_CHACHA), 2)))
def test_two_ciphers_are_read_at_once_and_one_takes_over(former: str, new: str) -> None:
    before = AeadSeals(former).seal(DATA, OF)
    both = AeadSeals(new, former)
    assert [both.open(each, OF) for each in (before, both.seal(DATA, OF))] == [DATA, DATA]
    after = both.rewrap(before, OF)
    assert (after.master, both.open(after, OF)) == (both.master, DATA)
    assert AeadSeals(new).open(after, OF) == DATA, "neither its key nor its text is by the former one"
    with pytest.raises(CannotOpen):
        AeadSeals(former).open(after, OF)
    assert both.rewrap(after, OF).text == after.text, "the same cipher, so the text is left as it is"


@pytest.mark.parametrize("master", [BY_AES, BY_CHACHA])
def test_neither_opens_what_was_changed_or_is_anothers(master: str) -> None:
    seals = AeadSeals(master)
    sealed = seals.seal(DATA, OF)
    for at in range(len(sealed.text)):
        changed = bytearray(sealed.text)
        changed[at] ^= 1
        with pytest.raises(CannotOpen):
            seals.open(type(sealed)(sealed.master, sealed.key, bytes(changed)), OF)
    with pytest.raises(CannotOpen):
        seals.open(sealed, "order-2")
