"""One connection to a mail server: opened, greeted and logged in, then one message after another. Decides nothing.

Opening is aiosmtplib's. The messages are sent by code of our own: aiosmtplib does not pipeline, and does not say
whether a lost answer was the answer to the message itself.
"""

import asyncio
from collections.abc import Awaitable
from enum import Enum
from typing import NamedTuple, Self, TypeVar, cast

import aiosmtplib

from cludale.adapters.smtp.mail import Mail
from cludale.ports.messengers import NotSent, Trouble

T = TypeVar("T")

_LONGEST_REPLY = 32_768
OPENING = 3
"""How many answers' time opening may take, and an envelope at most."""
CLOSING = 421
_MAY_BE_MENDED = frozenset({CLOSING, 503, 530, 534, 535, 538})
"""Said of the connection or of us, whichever command it answers; it says nothing of the recipient."""


class Encryption(Enum):
    """How the connection to the mail server is kept private."""

    NONE = "none"
    STARTTLS = "starttls"
    """Insisted on: a server that doesn't offer it gets no message."""
    TLS = "tls"
    """From the first byte, usually on port 465."""


class MailServer(NamedTuple):
    """Where the mail server is, and how it is spoken to."""

    host: str
    port: int
    encryption: Encryption
    timeout_seconds: float
    """For each answer but the last one."""
    data_seconds: float
    """For the answer to the message itself: RFC 5321 says ten minutes, for who gives up earlier sends it twice."""
    user: str | None = None
    password: str | None = None

    @property
    def longest_seconds(self) -> float:
        """What one message takes at most: a used connection that fails, a new one, and the message on that."""
        return 3 * OPENING * self.timeout_seconds + self.data_seconds


class Stale(Exception):
    """A connection that was used before took no further message; nothing of this one has gone out."""


class _Lost(Exception):
    """The connection is gone, or no answer came in time."""


class Reply(NamedTuple):
    """What the server said."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class Connection:
    """An open connection. Use it for one message at a time."""

    def __init__(
        self,
        server: MailServer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        extensions: frozenset[str],
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._extensions = extensions
        self.sent = 0
        """Messages that it has brought."""
        self.usable = True
        """Can it bring another one?"""

    @classmethod
    async def open(cls, server: MailServer) -> Self:
        """Connect, encrypt and log in. Raises NotSent: away, whatever the reason; somebody can mend any of them."""
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.encryption is Encryption.TLS,
            start_tls=server.encryption is Encryption.STARTTLS,
            timeout=server.timeout_seconds,
        )
        try:
            async with asyncio.timeout(OPENING * server.timeout_seconds):
                await client.connect()
                if client.is_ehlo_or_helo_needed:
                    try:
                        await client.ehlo()
                    except aiosmtplib.SMTPHeloError:
                        await client.helo()
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            raise NotSent(f"{server.host}: {_words(error)}", Trouble.AWAY) from error
        except BaseException:
            client.close()
            raise
        transport = cast("asyncio.Transport | None", client.transport)  # uvloop's are none of asyncio's classes
        if transport is None or transport.is_closing():
            client.close()
            raise NotSent(f"{server.host} closed the connection", Trouble.AWAY)
        reader = asyncio.StreamReader(_LONGEST_REPLY)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        return cls(server, reader, writer, frozenset(name.lower() for name in client.esmtp_extensions))

    async def send(self, mail: Mail) -> None:
        """Hand one message over. Raises NotSent, Stale."""
        if mail.needs_utf8 and "smtputf8" not in self._extensions:
            raise NotSent(f"{self._server.host} takes no address in another script (SMTPUTF8)", Trouble.REFUSED)
        used = self.sent > 0
        try:
            await self._envelope(mail)
            await self._content(mail.content)
        except _Lost as lost:
            self.close()
            if used:
                raise Stale from lost
            raise NotSent(f"{self._server.host}: {lost}", Trouble.AWAY) from lost
        except NotSent as not_sent:
            if not_sent.trouble is Trouble.AWAY:
                self.close()
                if used:
                    raise Stale from not_sent
            raise
        except BaseException:
            self.close()  # cancelled in mid-message: what the server says next would be taken for something else
            raise
        self.sent += 1

    async def _envelope(self, mail: Mail) -> None:
        """From whom and to whom, until the server waits for the content. Raises NotSent, _Lost."""
        utf8 = " SMTPUTF8" if mail.needs_utf8 else ""
        dsn = mail.id and "dsn" in self._extensions
        envelope, notify = (f" RET=HDRS ENVID={_xtext(mail.id)}", " NOTIFY=FAILURE") if dsn else ("", "")
        commands = (f"MAIL FROM:<{mail.sender}>{utf8}{envelope}", f"RCPT TO:<{mail.recipient}>{notify}", "DATA")
        answers: list[Reply] = []
        pipelined = "pipelining" in self._extensions
        if pipelined:
            await self._say(*commands)
        for command in commands:
            if not pipelined:
                await self._say(command)
            try:
                answers.append(await self._answer(self._server.timeout_seconds))
            except _Lost:
                if all(reply.code < 400 for reply in answers):
                    raise
                self.close()  # it has said no, and hung up
                break
            if answers[-1].code == CLOSING or (answers[-1].code >= 400 and not pipelined):
                break
        refused = next((at for at, reply in enumerate(answers) if reply.code >= 400), None)
        if refused is None and answers[-1].code == 354:
            return
        if len(answers) == len(commands) and answers[-1].code == 354:
            await self._say(".")  # it waits for content though it has nobody to bring it to
            await self._answer(self._server.timeout_seconds)
        if refused is None:
            raise NotSent(str(answers[-1]), Trouble.AWAY)  # it said something that means nothing here
        # A refused sender says nothing of the recipient, whatever the code, and can be mended.
        trouble = Trouble.AWAY if refused == 0 else _of_message(answers[refused])
        if trouble is not Trouble.AWAY and self.usable:
            await self._reset()
        raise NotSent(str(answers[refused]), trouble)

    async def _content(self, content: bytes) -> None:
        """The message itself. Raises NotSent, and that it is unknown if no answer comes."""
        if not content.endswith(b"\r\n"):
            content += b"\r\n"
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        try:
            self._writer.write((b"." + stuffed if stuffed.startswith(b".") else stuffed) + b".\r\n")
            await self._in_time(self._writer.drain(), self._server.data_seconds)
            reply = await self._answer(self._server.data_seconds)
        except _Lost as lost:
            self.close()
            raise NotSent(
                f"{self._server.host} had the message, and did not say whether it took it: {lost}", Trouble.UNKNOWN
            ) from lost
        if reply.code >= 400:
            raise NotSent(str(reply), _of_message(reply))
        if reply.code >= 300:
            self.close()
            raise NotSent(str(reply), Trouble.UNKNOWN)

    async def _reset(self) -> None:
        await self._say("RSET")
        if (await self._answer(self._server.timeout_seconds)).code >= 400:
            self.close()

    async def _say(self, *commands: str) -> None:
        self._writer.write("".join(f"{command}\r\n" for command in commands).encode())
        await self._in_time(self._writer.drain(), self._server.timeout_seconds)

    async def _answer(self, seconds: float) -> Reply:
        return await self._in_time(self._reply(), seconds)

    async def _reply(self) -> Reply:
        lines: list[str] = []
        size = 0
        while True:
            line = await self._reader.readline()
            size += len(line)
            if not line:
                raise _Lost("the connection was closed")
            if not line.endswith(b"\n") or not line[:3].isdigit() or size > _LONGEST_REPLY:
                raise _Lost("it answered with something else than SMTP")
            lines.append(line[4:].decode(errors="replace").strip())
            if line[3:4] != b"-":
                return Reply(int(line[:3]), " ".join(lines))

    async def _in_time(self, waiting: Awaitable[T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError as error:
            raise _Lost(f"no answer in {seconds:g} s") from error
        except (OSError, ValueError) as error:  # ValueError: a line without end
            raise _Lost(_words(error)) from error

    @property
    def is_open(self) -> bool:
        """Is there still somebody at the other end, as far as can be seen?"""
        return self.usable and not self._writer.is_closing() and not self._reader.at_eof()

    async def quit(self) -> None:
        """Say that it was the last message, and close."""
        if self.is_open:
            try:
                await self._say("QUIT")
                await self._answer(1.0)
            except _Lost:
                pass
        self.close()

    def close(self) -> None:
        """Close at once."""
        self.usable = False
        self._writer.close()


def _xtext(text: str) -> str:
    """RFC 3461, section 4."""
    return "".join(each if "!" <= each <= "~" and each not in "+=" else f"+{ord(each):02X}" for each in text)


def _of_message(reply: Reply) -> Trouble:
    if reply.code in _MAY_BE_MENDED:
        return Trouble.AWAY
    return Trouble.REFUSED if reply.code >= 500 else Trouble.LATER


def _words(error: BaseException) -> str:
    code = getattr(error, "code", None)
    return f"{type(error).__name__}: {f'{code} ' if isinstance(code, int) else ''}{error}"
