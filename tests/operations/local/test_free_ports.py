"""Free ports: each is given once, in this process and in any other on this machine."""

import socket
import subprocess
import sys

from cludale_operations.local.free_ports import LOOPBACK, free_port, free_ports

SEVERAL = """
from cludale_operations.local.free_ports import free_ports
print(*free_ports(150), flush=True)
input()
"""


def test_no_two_processes_give_the_same_port_though_nobody_listens_there_yet() -> None:
    others = [
        subprocess.Popen([sys.executable, "-c", SEVERAL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    try:
        given = free_ports(150)
        for each in others:
            assert each.stdout is not None
            given += map(int, each.stdout.readline().split())
    finally:
        for each in others:
            each.communicate("\n", timeout=30)
    assert len(given) == 7 * 150
    assert len(set(given)) == len(given)


def test_a_port_on_which_somebody_listens_is_not_given() -> None:
    taken = {free_port() for _ in range(20)}
    listeners = [socket.create_server((LOOPBACK, port)) for port in taken]
    try:
        assert not taken & {*free_ports(100)}
    finally:
        for each in listeners:
            each.close()
