"""Tests read and write no settings or counts of the user who runs them. Parts that were not tested are named."""

import os
from pathlib import Path

import pytest

from tests import parts


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh home, and no MASKGATE_* variables from outside."""
    home: Path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "STATE_DIRECTORY", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("MASKGATE_")]:
        monkeypatch.delenv(name)


def _lacking(config: pytest.Config) -> dict[str, set[str]]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    return parts.lacking(report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a part that is not tested fails the run. Nothing is left to try again, since that would test less."""
    if os.environ.get("CI") and parts.required(_lacking(session.config)):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        if cache := getattr(session.config, "cache", None):
            cache.set("cache/lastfailed", {})


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line names what to install."""
    lacking = _lacking(config)
    if lacking:
        print(parts.sentence(lacking))
