"""A process that makes pages, begun when the first is wanted. What waits is bounded."""

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from importlib import import_module
from typing import Any

from cludale.ports.invoice_pages import InvoicePage
from cludale.ports.ticket_pages import PagesBusy, TicketPage

WAITING_LIMIT = 64
"""How many requests for pages wait at most; the next is turned away."""
SECONDS = 20.0
"""How long one may take, waiting included."""

_log = logging.getLogger(__name__)


class PrintedPages:
    """Pages made in one process of its own, niced, so that selling goes first."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._waiting = 0

    async def pdf(self, pages: Sequence[TicketPage]) -> bytes:
        """A document with these pages. Raises PagesBusy."""
        return await self._make_apart("printing.pdf", list(pages))

    async def svg(self, code: str) -> bytes:
        """The code as a drawing. Raises PagesBusy."""
        return await self._make_apart("printing.svg", code)

    async def png(self, code: str) -> bytes:
        """The code as an image. Raises PagesBusy."""
        return await self._make_apart("printing.png", code)

    async def invoice(self, page: InvoicePage) -> bytes:
        """The document of an invoice. Raises PagesBusy."""
        return await self._make_apart("invoices.pdf", page)

    async def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    async def _make_apart(self, what: str, of: object) -> bytes:
        if self._waiting >= WAITING_LIMIT:
            raise PagesBusy
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
        self._waiting += 1
        try:
            async with asyncio.timeout(SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._pool, _make, what, of)
        except TimeoutError as error:
            raise PagesBusy from error
        except BrokenExecutor as error:
            _log.warning("the process that makes pages of tickets ended; the next request begins another")
            self._pool = None
            raise PagesBusy from error
        finally:
            self._waiting -= 1


def _begin() -> None:
    """In the new process: leave signals to the one that sells, which ends this one, and let it go first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    os.nice(5)


def _make(what: str, of: Any) -> bytes:
    """In that process, which alone needs typst, fonts and segno."""
    module, _, name = what.partition(".")
    made: bytes = getattr(import_module(f"cludale.adapters.ticket_pages.{module}"), name)(of)
    return made
