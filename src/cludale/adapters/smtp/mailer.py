"""SmtpMailer: brings messages over a few connections, each kept for the next message while there is one."""

import asyncio
import logging
from collections import deque

from cludale.adapters.smtp.connection import Connection, MailServer, Stale
from cludale.adapters.smtp.mail import Mail, mail, sender_address
from cludale.ports.clock import Clock
from cludale.ports.messengers import HandedTo, Message, NotSent, Trouble

IDLE_SECONDS = 10.0
"""How long a connection is kept that nobody needs."""
TRY_ONE_MORE = 100
"""After so many messages, one connection more is tried again where the server took fewer than it may."""

_log = logging.getLogger(__name__)


class SmtpMailer:
    """A Mailer that hands messages to a mail server over at most `connections` connections.

    Where the server takes fewer, those are used. A message's id becomes its Message-ID, so a mailbox that gets it
    twice can tell. Raises NotSent: REFUSED where the server refuses this recipient or this content for good, or has
    no SMTPUTF8 for an address that needs it; AWAY for what concerns all messages, a refused log-in or sender too,
    for somebody can put that right; UNKNOWN where the server had the message and gave no answer.
    """

    def __init__(
        self,
        server: MailServer,
        *,
        sender: str,
        clock: Clock,
        connections: int,
        bounces: str | None = None,
    ) -> None:
        """`sender`: `tickets@example.com`, or `Cludale Tickets <tickets@example.com>`. Raises ValueError.

        `bounces`: the address that mail comes back to; None: the sender's.
        """
        self._server = server
        self._sender = sender_address(sender)
        self._bounces = None if bounces is None else sender_address(bounces)
        self._clock = clock
        self._most = connections
        self._limit = connections
        """How many the server takes, as far as is known."""
        self._open = 0
        """Connections that are open or being opened, used or idle."""
        self._idle: list[tuple[float, Connection]] = []
        """Each with the time since when."""
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        """Who waits for a connection; None: look again."""
        self._sent = 0
        self._patrol: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def longest_seconds(self) -> float:
        """The longest that sending takes while no more messages wait than there are connections."""
        return 2 * self._server.longest_seconds

    async def send(self, message: Message) -> HandedTo:
        """Hand the message over."""
        try:
            made = mail(message, sender=self._sender, now=self._clock.now(), bounces=self._bounces)
        except ValueError as error:
            raise NotSent(f"no address to send to: {error}", Trouble.REFUSED) from error
        connection = await self._connection()
        try:
            try:
                await connection.send(made)
            except Stale:
                connection = await self._again(made)
        finally:
            self._give_back(connection)
        self._sent += 1
        if self._limit < self._most and self._sent % TRY_ONE_MORE == 0:
            self._limit += 1
        return HandedTo.SERVER

    async def _again(self, made: Mail) -> Connection:
        """On a connection of its own, in the place of the one that failed."""
        connection = await Connection.open(self._server)
        try:
            await connection.send(made)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _connection(self) -> Connection:
        while True:
            while self._idle:
                _, connection = self._idle.pop()
                if connection.is_open:
                    return connection
                self._drop(connection)
            if self._open < self._limit:
                opened = await self._opened()
                if opened is not None:
                    return opened
            future: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                given = await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled() and (unused := future.result()) is not None:
                    self._give_back(unused)
                raise
            if given is not None:
                return given

    async def _opened(self) -> Connection | None:
        """A new connection; None where the server takes no more than those that are open. Raises NotSent."""
        self._open += 1
        try:
            return await Connection.open(self._server)
        except NotSent as away:
            self._open -= 1
            if self._open:
                self._limit = self._open
                _log.info("%d connections are all that the mail server takes now: %s", self._limit, away)
                return None
            self._limit = self._most
            for future in self._waiting:
                if not future.done():
                    future.set_exception(NotSent(str(away), away.trouble))
            self._waiting.clear()
            raise
        except BaseException:
            self._open -= 1
            self._let_next(None)
            raise

    def _give_back(self, connection: Connection) -> None:
        if not connection.is_open:
            self._drop(connection)
        elif not self._let_next(connection):
            loop = asyncio.get_running_loop()
            self._idle.append((loop.time(), connection))
            if self._patrol is None:
                self._patrol = loop.call_later(IDLE_SECONDS, self._go_round)

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self._open -= 1
        self._let_next(None)

    def _let_next(self, connection: Connection | None) -> bool:
        """Give the connection, or the room for one, to who has waited longest; did anybody?"""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(connection)
                return True
        return False

    def _go_round(self) -> None:
        loop = asyncio.get_running_loop()
        self._patrol = None
        kept: list[tuple[float, Connection]] = []
        for since, connection in self._idle:
            if loop.time() - since < IDLE_SECONDS and connection.is_open:
                kept.append((since, connection))
            else:
                self._open -= 1
                task = loop.create_task(connection.quit())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        self._idle = kept
        if kept:
            self._patrol = loop.call_later(IDLE_SECONDS, self._go_round)

    async def close(self) -> None:
        """Close the connections that nobody uses."""
        if self._patrol is not None:
            self._patrol.cancel()
            self._patrol = None
        idle, self._idle = self._idle, []
        self._open -= len(idle)
        await asyncio.gather(*(connection.quit() for _, connection in idle), *self._closing)
