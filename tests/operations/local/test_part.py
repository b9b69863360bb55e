"""How the supervisor looks whether a part answers."""

import asyncio
import gc
import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from cludale.web.trust import naming, shown, trust_named_in
from cludale_operations.local.certificate import make_certificate
from cludale_operations.local.part import answers


@contextmanager
def says_no_goodbye(tls: ssl.SSLContext) -> Iterator[int]:
    """A server over TLS that answers well, and does not end a connection before the test is over."""
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as plain, tls.wrap_socket(plain, server_side=True) as there:
                there.recv(1_000)
                there.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                over.wait(10)

        serving = Thread(target=serve)
        serving.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            serving.join()


def test_a_look_over_tls_leaves_no_connection_open(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "part").certificate
    with says_no_goodbye(shown(certificate)) as port, warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        url = f"https://127.0.0.1:{port}"
        assert asyncio.run(answers(url, trust=trust_named_in(url + naming(certificate))))
        gc.collect()  # what was left open is told when it is found
