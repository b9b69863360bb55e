#!/usr/bin/env python3
"""Starts the program FIREFOX, and relays what Playwright and it say to each other over WebDriver BiDi.

Playwright begins each browser context by asking for light or dark pages, with a command that Firefox 153 does not know:
it is answered here, and pages are as the settings say that Firefox was started with. Once Debian's Firefox knows
`emulation.setMediaFeaturesOverride`, it needs no relay.
"""

import asyncio
import json
import os
import re
import sys

from aiohttp import ClientSession, ClientWebSocketResponse, web

LISTENS = "WebDriver BiDi listening on "
UNKNOWN = "emulation.setMediaFeaturesOverride"


async def relayed(request: web.Request, firefox: str) -> web.WebSocketResponse:
    """One connection of Playwright's, and one to Firefox for as long as it lasts."""
    playwright = web.WebSocketResponse(max_msg_size=0)
    await playwright.prepare(request)
    async with ClientSession() as session, session.ws_connect(f"{firefox}/session", max_msg_size=0) as there:
        back = asyncio.create_task(_answers(there, playwright))
        async for message in playwright:
            command = json.loads(message.data)
            if command["method"] == UNKNOWN:
                await playwright.send_json({"type": "success", "id": command["id"], "result": {}})
            else:
                await there.send_str(message.data)
        back.cancel()
    return playwright


async def _answers(firefox: ClientWebSocketResponse, playwright: web.WebSocketResponse) -> None:
    async for message in firefox:
        await playwright.send_str(message.data)
    await playwright.close()


async def _listens_at(said: asyncio.StreamReader) -> str:
    """The address that Firefox says; ends this program if Firefox ends without."""
    async for line in said:
        if found := re.search(rf"{LISTENS}(ws://\S+)", line.decode(errors="replace")):
            return found[1]
    sys.exit("Firefox ended before it listened")


async def _read(said: asyncio.StreamReader) -> None:
    """To its end, so that Firefox never waits for a reader."""
    async for _line in said:
        pass


async def main() -> int:
    """Until Firefox ends; its status."""
    firefox = await asyncio.create_subprocess_exec(
        os.environ["FIREFOX"], *sys.argv[1:], stderr=asyncio.subprocess.PIPE, limit=2**20
    )
    assert firefox.stderr is not None
    address = await _listens_at(firefox.stderr)
    reading = asyncio.create_task(_read(firefox.stderr))
    app = web.Application()
    app.router.add_get("/session", lambda request: relayed(request, address))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stderr.write(f"{LISTENS}ws://127.0.0.1:{runner.addresses[0][1]}\n")
    sys.stderr.flush()
    status = await firefox.wait()
    await reading
    await runner.cleanup()
    return status


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
