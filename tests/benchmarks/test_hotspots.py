"""What py-spy saw, added up."""

from benchmarks.hotspots import Samples

SEEN = Samples(
    "thread (1): MainThread;serve (server.py);check (web/access.py);look (web/limits.py) 3\n"
    "thread (1): MainThread;serve (server.py);place (orders/service.py) 5\n"
    "thread (2): writer;write (writer.py) 2\n"
)


def test_a_sample_counts_for_the_first_of_the_files_that_called() -> None:
    assert SEEN.within(["web/limits.py", "web/access.py"]) == {"web/access.py": 3, "web/limits.py": 0}


def test_the_samples_of_all_threads_count() -> None:
    assert (SEEN.total, SEEN.within(["writer.py", "orders/"]).total()) == (10, 7)
