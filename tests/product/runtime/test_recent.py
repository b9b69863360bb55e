"""What was remembered last, in bounded memory."""

from cludale.runtime.recent import Recent


def test_the_last_ones_are_there_and_no_more_than_twice_as_many() -> None:
    recent: Recent[int, str] = Recent(10)
    for i in range(1_000):
        recent.remember({i: str(i)})
        assert set(range(max(0, i - 9), i + 1)) <= recent.keys()
        assert len(recent) <= 20
    assert recent[999] == "999"
    assert recent.get(0) is None


def test_one_that_is_remembered_again_stays_with_what_was_said_last() -> None:
    recent: Recent[str, int] = Recent(4)
    for i in range(100):
        recent.remember({"here": i, str(i): i})
    assert recent["here"] == 99


def test_a_batch_that_is_too_large_is_remembered_until_the_next() -> None:
    seen: Recent[int, None] = Recent(4)
    seen.remember(dict.fromkeys(range(100)))
    assert len(seen) == 100
    seen.remember(dict.fromkeys(range(100, 104)))
    assert seen.keys() == {100, 101, 102, 103}


def test_what_was_forgotten_on_purpose_is_not_there() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.remember({"a": 1})
    del recent["a"]
    recent.remember({"b": 2, "c": 3})
    recent.remember({"d": 4, "e": 5})
    assert recent == {"d": 4, "e": 5}
