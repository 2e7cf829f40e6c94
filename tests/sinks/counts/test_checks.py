"""What ``maskgate doctor`` says of the place of the counts, and what it advises there."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from edge.board.findings import Finding, Machine, State
from edge.config import Config, CountSettings
from edge.sinks.counts.checks import disk


def found(path: Path) -> Finding:
    (finding,) = disk(Machine(), Config(counts=CountSettings(path=str(path))))
    return finding


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(**_: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)


def test_a_writable_place_is_fine(tmp_path: Path) -> None:
    assert found(tmp_path / "new" / "counts.db").state is State.OK


def test_no_folder_on_the_way_is_given_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, errno.EACCES)
    finding = found(tmp_path / "new folder" / "counts.db")
    assert "counts.db cannot be written (Permission denied)" in finding.text
    assert finding.remedy == f"sudo install -d -o $USER '{tmp_path}/new folder', or set counts.path"


def test_an_existing_folder_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, errno.EACCES)
    remedy = found(tmp_path / "counts.db").remedy
    assert remedy.endswith(f"or let this user write there: ls -la {tmp_path}")
    assert "chown" not in remedy


def test_a_read_only_card_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, errno.EROFS)
    finding = found(tmp_path / "counts.db")
    assert "(Read-only file system)" in finding.text
    assert finding.remedy.endswith("dmesg | tail")
