"""What is looked over before it is sent: how large a commit is once it is."""

import json

import pytest

from cludale.adapters.cosmos.layout import BATCH_BYTES
from cludale.adapters.cosmos.planning import prepare
from cludale.ports.records import Commit, CommitTooLarge, Kind, Put

NOTE = Kind("orders", "note")


@pytest.mark.parametrize(
    "text", ["plain", 'with "quotes" and \\', "line\nafter\x01line", "Zoë in Ærøskøbing", "東京 🎸"]
)
def test_a_commit_is_never_larger_than_it_was_taken_for(text: str) -> None:
    body = json.dumps({"text": text * 50}, ensure_ascii=False).encode()
    prepared = prepare(Commit("home", (Put(NOTE, "note-1", body, 0),)), lambda _: pytest.fail("there are no events"))
    assert prepared.size >= len(json.dumps(body.decode()))


def test_a_commit_whose_letters_take_more_than_a_batch_holds_is_refused() -> None:
    body = ("é" * (BATCH_BYTES // 3)).encode()
    with pytest.raises(CommitTooLarge):
        prepare(Commit("home", (Put(NOTE, "note-1", body, 0),)), lambda _: pytest.fail("there are no events"))
