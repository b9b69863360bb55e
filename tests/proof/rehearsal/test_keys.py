"""Keys of buyers: UUIDv7s of the moment in which they are sent."""

from time import time
from uuid import UUID

from cludale_proof.rehearsal.keys import NUMBER, marked_key, of_buyer


def test_each_buyer_has_a_uuid_of_version_7_of_this_moment() -> None:
    template = f"key {marked_key()} of buyer-{NUMBER}".encode()
    before = time() * 1000
    made = [of_buyer(template, number).decode().split() for number in range(100)]
    keys = [UUID(words[1]) for words in made]
    assert {key.version for key in keys} == {7}
    assert all(int(before) <= key.int >> 80 <= time() * 1000 for key in keys)
    assert [words[3] for words in made] == [f"buyer-{number:08}" for number in range(100)]


def test_no_two_runs_share_a_key() -> None:
    assert of_buyer(marked_key().encode(), 1) != of_buyer(marked_key().encode(), 1)
