"""Lines over the socket between commands and the door that runs."""

from __future__ import annotations

import socket
import threading

import pytest

from edge.running import read_line


def test_what_follows_a_line_is_left() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b'{"do": "outputs"}\nraw')
        assert read_line(ours, 100) == b'{"do": "outputs"}'
        assert ours.recv(10) == b"raw"


def test_long_lines_are_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x" * 200)
        with pytest.raises(ValueError, match="too long"):
            read_line(ours, 100)


def test_dripping_senders_are_given_up() -> None:
    ours, theirs = socket.socketpair()
    left = threading.Event()

    def drip() -> None:
        while not left.wait(0.05):
            theirs.send(b" ")

    with ours, theirs:
        ours.settimeout(0.5)
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(TimeoutError):
                read_line(ours, 10**6)
        finally:
            left.set()
            thread.join()
