"""The log of a process that runs in the foreground."""

import logging

from cludale.wiring.settings import LogFormat, LogLevel


def log_to_stderr(level: LogLevel, format: LogFormat = LogFormat.TEXT) -> None:
    """The log, as far as `level`, to the standard error output."""
    logging.basicConfig(level=level.value.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    if format is LogFormat.JSON:
        from cludale_operations.telemetry.logs import JsonLines

        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
