"""Rehearsals that the console starts: `cludale rehearse --apart` as a program beside the server, one at a time.

It has a server and a data folder of its own, no setting of ours, and less of the CPU than what is really sold.
"""

import asyncio
import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import sys

import msgspec

from cludale.pages.console.rehearsals import Asked, Rehearsals, Report, State
from cludale_operations.proof import PACKAGE

NICE = 15
"""How much less of the CPU it gets."""
LONGEST_SECONDS = 900
MOST_WORDS = 500
STOP_SECONDS = 20

_log = logging.getLogger(__name__)


def rehearsing() -> Rehearsals | None:
    """What holds them; None where it is not installed."""
    return Beside() if importlib.util.find_spec(PACKAGE) is not None else None


class Beside:
    """One rehearsal, or none, as a program beside this process."""

    def __init__(self) -> None:
        self.state: State | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, asked: Asked) -> bool:
        """Begin, unless one is under way."""
        if self._task is not None and not self._task.done():
            return False
        self.state = State(asked)
        self._task = asyncio.get_running_loop().create_task(self._hold(asked))
        self._task.add_done_callback(self._ended)
        return True

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a rehearsal could not be held: %s", error, exc_info=error)
            self._over(str(error))
        self._over("It was ended.")

    def stop(self) -> None:
        """End it, if one is under way."""
        if self._task is not None:
            self._task.cancel()

    async def _hold(self, asked: Asked) -> None:
        options = ["--apart", "--lines", "--settle", "120"]
        options += ["--hall" if asked.numbered else "--seats", str(asked.seats)]
        options += ["--buyers", str(asked.buyers), "--connections", str(asked.connections)]
        if asked.rate is not None:
            options += ["--rate", str(asked.rate)]
        if asked.declined:
            options += ["--payment-method", "card-ok=9", "--payment-method", "card-declined=1"]
        nice = shutil.which("nice")
        command = [*((nice, "-n", str(NICE)) if nice else ()), sys.executable, "-m", "cludale_operations", "rehearse"]
        process = await asyncio.create_subprocess_exec(
            *command,
            *options,
            env={name: value for name, value in os.environ.items() if not name.startswith("CLUDALE_")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                said = asyncio.gather(self._listen(process.stdout), _words(process.stderr))
                _, words = await said
                await process.wait()
            self._over(words)
        except TimeoutError:
            self._over(f"It took longer than {LONGEST_SECONDS} s.")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)  # it stops its server and removes its folder
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.communicate(), STOP_SECONDS)

    async def _listen(self, lines: asyncio.StreamReader | None) -> None:
        while lines is not None and (line := await lines.readline()):
            try:
                report = msgspec.json.decode(line, type=Report)
            except msgspec.MsgspecError as error:
                _log.warning("a rehearsal said something else: %s", error)
                continue
            if self.state is not None:
                self.state = self.state.after(report)

    def _over(self, words: str) -> None:
        if self.state is not None and self.state.is_under_way:
            self.state = msgspec.structs.replace(self.state, failed=words or "It ended without an outcome.")


async def _words(lines: asyncio.StreamReader | None) -> str:
    """The last that it said of what went wrong."""
    said = b""
    while lines is not None and (more := await lines.read(4_096)):
        said = (said + more)[-MOST_WORDS:]
    return said.decode(errors="replace").strip()
