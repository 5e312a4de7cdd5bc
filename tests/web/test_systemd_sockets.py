"""Socket activation: the sockets that systemd passes are taken over, anything else is refused."""

import os
import socket

import pytest

from exporter.web.listen import activated

PROCESS_ID = 4711


def passed(count: object, process_id: object = PROCESS_ID) -> dict[str, str]:
    """The environment in which systemd starts a service."""
    return {"LISTEN_PID": str(process_id), "LISTEN_FDS": str(count)}


def test_a_passed_socket_is_listened_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (taken,) = activated(passed(1), PROCESS_ID, os.dup(listening.fileno()))
        with taken:
            assert taken.getsockname() == listening.getsockname()
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert not taken.get_inheritable()


@pytest.mark.parametrize(
    "environment",
    [{}, passed(1, process_id=1), passed(0), passed("x"), passed(""), {"LISTEN_PID": str(PROCESS_ID)}],
)
def test_without_a_passed_socket_the_unit_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"systemd passed no socket; start the service by its \.socket unit"):
        activated(environment, PROCESS_ID)


def test_what_is_no_socket_is_refused() -> None:
    with open(os.devnull) as file, pytest.raises(ValueError, match=r"is no socket; check the \.socket unit"):
        activated(passed(1), PROCESS_ID, file.fileno())


@pytest.mark.parametrize(("family", "listens"), [(socket.AF_INET, False), (socket.AF_UNIX, True)])
def test_what_listens_to_no_tcp_port_is_refused(family: socket.AddressFamily, listens: bool) -> None:
    with socket.socket(family) as other:
        if listens:
            other.bind("")
            other.listen()
        with pytest.raises(ValueError, match="listens to no TCP port; use ListenStream=PORT"):
            activated(passed(1), PROCESS_ID, os.dup(other.fileno()))
