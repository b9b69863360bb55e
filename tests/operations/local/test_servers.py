"""PostgreSQL and NATS as we start them: ready when they say so, durable, gone when they are stopped."""

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import asyncpg
import nats.errors
import pytest
from tests.listening import listening
from tests.parts import need
from tests.patience import until

from cludale.services import NAMES
from cludale_operations.local.free_ports import free_ports
from cludale_operations.local.jetstream import STREAM, BrokerRefused, ensure_streams, jetstream
from cludale_operations.local.logins import kept_login
from cludale_operations.local.nats import Nats
from cludale_operations.local.part import PartFailed
from cludale_operations.local.postgres import Postgres


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_database_of_its_own_syncs_what_it_commits(database_url: str) -> None:
    assert await value(database_url, "SHOW fsync") == "on"
    assert await value(database_url, "SHOW synchronous_commit") == "on"


async def test_postgres_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    need("postgres")
    async with Postgres(tmp_path).running() as server:
        await value(server.url, "CREATE TABLE kept (id int)")
        await value(server.url, "INSERT INTO kept VALUES (7)")
        pid = server.pid
        await server.kill()
        await server.start()
        assert server.pid != pid
        assert await value(server.url, "SELECT id FROM kept") == 7


async def test_a_second_start_over_the_folder_finds_the_data_and_the_password(tmp_path: Path) -> None:
    need("postgres")
    async with Postgres(tmp_path).running() as server:
        await value(server.url, "CREATE TABLE kept (id int)")
    async with Postgres(tmp_path).running() as server:
        assert await value(server.url, "SELECT count(*) FROM kept") == 0


async def test_postgres_takes_nobody_without_the_password(postgres_server: Postgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await value(f"postgresql://cludale:wrong@127.0.0.1:{postgres_server.port}/cludale", "SELECT 1")


async def test_a_part_that_cannot_start_says_what_its_log_says(tmp_path: Path) -> None:
    need("postgres")
    async with Postgres(tmp_path).running():
        pass
    (tmp_path / "cluster" / "PG_VERSION").write_text("8\n")
    with pytest.raises(PartFailed, match=r"ended \(status 1\)[\s\S]*incompatible"):
        await Postgres(tmp_path).start()


async def test_nats_keeps_its_streams_when_it_is_killed(tmp_path: Path) -> None:
    need("nats-server")
    async with Nats(tmp_path).running() as server:
        await ensure_streams(server.url, ["orders"])
        async with jetstream(server.url) as broker:
            published = await broker.publish("payment-events", b"{}")
            assert published.stream == STREAM
        await server.kill()
        await server.start()
        async with jetstream(server.url) as broker:
            info = await broker.stream_info(STREAM)
        assert info.state.messages == 1
        assert info.config.storage == "file"


async def test_streams_can_be_made_twice_and_grow_with_the_services(nats: Nats) -> None:
    await ensure_streams(nats.url, ["orders"])
    await ensure_streams(nats.url, ["orders", "audit"])
    async with jetstream(nats.url) as broker:
        names = {each.config.name for each in await broker.streams_info()}
    assert {STREAM, "orders-dead-letters", "audit-dead-letters"} <= names


class SmallNats(Nats):
    """A server on a disk on which its streams may take so much."""

    room = 8 * 2**30 * 3 // 4

    async def prepare(self) -> None:
        await super().prepare()
        path = self.folder / "nats.conf"
        configuration = json.loads(path.read_text())
        configuration["jetstream"]["max_file_store"] = self.room
        path.write_text(json.dumps(configuration))


async def test_the_streams_of_all_services_fit_on_a_disk_with_eight_gib_free(tmp_path: Path) -> None:
    need("nats-server")
    async with SmallNats(tmp_path).running() as server:
        await ensure_streams(server.url, NAMES)


async def test_a_disk_with_too_little_room_for_the_streams_is_called_that(tmp_path: Path) -> None:
    need("nats-server")
    small = SmallNats(tmp_path)
    small.room = 2**30
    async with small.running() as server:
        with pytest.raises(BrokerRefused, match=r"too little room on NATS's disk: its streams reserve 4\.3 GiB"):
            await ensure_streams(server.url, ["orders"])


async def test_nats_takes_nobody_without_the_password(nats_server: Nats) -> None:
    with pytest.raises(BrokerRefused, match="Authorization"):
        async with jetstream(f"nats://cludale:wrong@127.0.0.1:{nats_server.port}"):
            pass


async def test_what_goes_into_no_stream_is_refused_at_once(nats_server: Nats) -> None:
    with pytest.raises(BrokerRefused, match="no response from stream"):
        async with jetstream(nats_server.url) as broker:
            await broker.publish("no.such.topic", b"{}", timeout=60)


async def test_a_password_may_have_any_character(tmp_path: Path) -> None:
    need("nats-server")
    (tmp_path / "password").write_text("p@ss:w%/rd")
    async with Nats(tmp_path).running() as server:
        url = f"nats://{kept_login(server.folder).user}:{quote('p@ss:w%/rd', safe='')}@127.0.0.1:{server.port}"
        async with jetstream(url) as broker:
            assert await broker.streams_info() == []


async def test_a_nats_server_that_is_not_there_is_said_at_once() -> None:
    (port,) = free_ports(1)
    with pytest.raises(BrokerRefused, match="Connect call failed"):
        async with jetstream(f"nats://cludale:x@127.0.0.1:{port}"):
            pass


async def test_a_nats_server_that_cuts_off_who_comes_in_refuses_it() -> None:
    """As one does that takes a new configuration in that moment."""

    async def cut_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"X","max_payload":1048576}\r\n')
        await writer.drain()
        options = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, options)  # a reset, not an end
        writer.close()

    async with listening(cut_off) as port:
        for _ in range(20):  # the client says one of several things, by what it was doing
            with pytest.raises(BrokerRefused):
                async with jetstream(f"nats://cludale:x@127.0.0.1:{port}"):
                    pass


@pytest.mark.parametrize("part", ["postgres", "nats"])
async def test_no_server_outlives_whoever_started_it(part: str, tmp_path: Path) -> None:
    need("postgres" if part == "postgres" else "nats-server")
    program = (
        "import asyncio, sys, time; from pathlib import Path\n"
        "from cludale_operations.local.nats import Nats; from cludale_operations.local.postgres import Postgres\n"
        f"part = {part.title()}(Path(sys.argv[1]))\n"
        "asyncio.run(part.start()); print(part.pid, flush=True); time.sleep(60)"
    )
    starter = await asyncio.to_thread(_started, [sys.executable, "-c", program, str(tmp_path)])
    assert starter.stdout is not None
    with starter, starter.stdout:
        pid = int(starter.stdout.readline())
        starter.send_signal(signal.SIGKILL)
    await until(lambda: not _lives(pid))


def _started(argv: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_a_service_tells_its_own_events_and_hears_those_for_it_alone(tmp_path: Path) -> None:
    need("nats-server")
    async with Nats(tmp_path, services=NAMES).running() as server:
        await ensure_streams(server.url, NAMES)
        async with jetstream(server.url_of("payments")) as payments:
            assert (await payments.publish("payment-events", b"{}", timeout=5)).stream == STREAM
            for others in ("order-events", "orders-dead-letters"):
                with pytest.raises((nats.errors.Error, TimeoutError)):
                    await payments.publish(others, b"{}", timeout=1)
            with pytest.raises((nats.errors.Error, TimeoutError)):
                await asyncio.wait_for(payments.delete_consumer(STREAM, "orders-payment-events"), 1)
            with pytest.raises((nats.errors.Error, TimeoutError)):
                await asyncio.wait_for(payments.consumer_info(STREAM, "orders-payment-events"), 1)
        async with jetstream(server.url) as owner:
            assert (await owner.stream_info(STREAM)).state.messages == 1
            assert (await owner.consumer_info(STREAM, "orders-payment-events")).num_pending == 1
