"""A runtime's notes stay off the terminal; its warnings do not."""

import os

import pytest

from edge.runtime.chatter import without_notes


def test_notes_are_dropped_and_warnings_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with without_notes():
        os.write(2, b"INFO: Created a delegate.\nWARNING: it is slow\nINFO: done\n")
    assert capfd.readouterr().err == "WARNING: it is slow\n"


def test_errors_inside_are_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no such operation"), without_notes():
        os.write(2, b"ERROR: unresolved custom op\n")
        raise ValueError("no such operation")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "ERROR: unresolved custom op\nafter\n"
