"""What the platform logs during a run: into the trace, and never to the console."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cludale_proof.simulator.loop import OWNER
from cludale_proof.simulator.trace import Trace

Surprised = Callable[[str, BaseException], None]
"""Told of an exception that nobody should see, and where it was seen."""


class _ToTrace(logging.Handler):
    def __init__(self, trace: Trace, *, surprised: Surprised, expected: tuple[type[BaseException], ...]) -> None:
        super().__init__()
        self._trace = trace
        self._surprised = surprised
        self._expected = expected

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if self._trace.on:
            self._trace.say(OWNER.get().name, f"log {record.levelname.lower()}: {message}")
        error = record.exc_info[1] if record.exc_info else None
        if record.levelno >= logging.ERROR and error is not None and not isinstance(error, self._expected):
            self._surprised(f"{OWNER.get().name} logged {message!r}", error)


@contextmanager
def heard(trace: Trace, surprised: Surprised, expected: tuple[type[BaseException], ...]) -> Iterator[None]:
    """Take what Cludale logs from here on; an error with an exception that is not `expected` is a surprise."""
    logger = logging.getLogger("cludale")
    before = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [_ToTrace(trace, surprised=surprised, expected=expected)], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before[0], before[1]
        logger.setLevel(before[2])
