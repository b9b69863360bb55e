"""`pytest --cpu`: how many seconds of processor each file of tests takes, its servers and programs with it.

What a server takes counts for the test in whose time it ends: the last of its module, or of the session. So does what
it took while it stood idle.
"""

import os
from collections import Counter
from collections.abc import Generator

import pytest

_CPU = "cludale/cpu"
SHOWN = 30


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("make test and make test-all").addoption(
        "--cpu", action="store_true", help="seconds of processor by file"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("cpu"):
        config.pluginmanager.register(_Meter(), "cludale-cpu")


def taken() -> float:
    """Seconds of processor that this process took, with all that it started and that has ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class _Meter:
    """With pytest-xdist workers measure, and their reports tell the process that prints."""

    def __init__(self) -> None:
        self._before = 0.0
        self._by_file: Counter[str] = Counter()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self._before = taken()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        now = taken()
        report.user_properties = [*report.user_properties, (_CPU, now - self._before)]
        self._before = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seconds = sum(float(str(value)) for name, value in report.user_properties if name == _CPU)
        self._by_file[report.nodeid.partition("::")[0]] += round(seconds * 1000)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("seconds of processor")
        terminalreporter.write_line(f"{sum(self._by_file.values()) / 1000:9.1f} all files")
        for file, milliseconds in self._by_file.most_common(SHOWN):
            terminalreporter.write_line(f"{milliseconds / 1000:9.1f} {file}")
