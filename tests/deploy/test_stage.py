"""The folder on the device that a release is sent to: whatever its place is, nothing else is deleted.

The script runs as a user without rights, in a home of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.ssh import stage
from tests.stand_ins.container import must

NOBODY = 65534
YEARS_AGO = (946_684_800, 946_684_800)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another user needs root")


@dataclass(frozen=True)
class Home:
    """A home with photos that are years old."""

    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / ".cache"

    @property
    def releases(self) -> Path:
        return self.cache / "maskgate"

    def script(self, *words: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
        """Run the script as this home's user, from within it."""
        variables = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **environment}
        command = ["sh", "-s", "--", *words]
        if os.geteuid() == 0:
            command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
        return subprocess.run(
            command,
            input=stage.SCRIPT.read_text("utf-8"),
            env={name: value for name, value in variables.items() if value is not None},
            cwd=self.folder if self.folder.is_dir() else "/",
            text=True,
            capture_output=True,
            check=False,
        )

    def prepare(self, release: str = "1.0") -> Path:
        done = self.script("prepare", release)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip().removeprefix("stage="))

    def own(self) -> None:
        """Everything here belongs to its user."""
        if os.geteuid() == 0:
            must(["chown", "-hR", f"{NOBODY}:{NOBODY}", str(self.folder)])

    def photos(self, place: Path | None = None) -> Path:
        """A folder that nobody touched for years."""
        folder = (place or self.folder) / "photos"
        folder.mkdir(parents=True)
        (folder / "wedding.jpg").write_text("once")
        os.utime(folder, YEARS_AGO)
        return folder

    def refuses(self, *words: str) -> str:
        """Why the script refuses; the photos are still there, and no folder came into the home."""
        before = sorted(self.folder.rglob("*"))
        done = self.script(*(words or ("prepare", "1.0")))
        assert done.returncode == 1, done
        assert sorted(self.folder.rglob("*")) == before
        assert (self.folder / "photos" / "wedding.jpg").exists()
        return done.stderr


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that its user can reach; its path has a space in it."""
    top = Path(tempfile.mkdtemp(prefix="maskgate home "))
    top.chmod(0o755)
    home = Home(top / "pi")
    home.folder.mkdir()
    home.photos()
    home.own()
    yield home
    must(["chmod", "-R", "u+rwX", str(top)])
    shutil.rmtree(top)


def test_every_release_gets_a_folder(home: Home) -> None:
    first, second = home.prepare(), home.prepare()
    assert first != second
    assert {first.parent, second.parent} == {home.releases}
    assert (first / "VERSION").read_text() == "1.0\n"


def test_earlier_files_are_reused(home: Home) -> None:
    first = home.prepare("1.0")
    (first / "wheels").mkdir()
    (first / "wheels" / "numpy.whl").write_text("large")
    home.own()
    second = home.prepare("1.1")
    assert (second / "wheels" / "numpy.whl").samefile(first / "wheels" / "numpy.whl")


def test_yesterdays_releases_go_and_todays_stay(home: Home) -> None:
    old, young = home.prepare("1.0"), home.prepare("1.1")
    os.utime(old, YEARS_AGO)
    new = home.prepare("1.2")
    assert sorted(home.releases.iterdir()) == sorted([young, new])


def test_only_releases_are_removed(home: Home) -> None:
    home.prepare()
    kept = home.photos(home.releases)
    outside = home.photos(home.folder / "elsewhere")
    (outside / "VERSION").touch()
    os.utime(outside, YEARS_AGO)
    (home.releases / "link").symlink_to(outside)
    home.own()
    home.prepare()
    assert (kept / "wedding.jpg").exists()
    assert (outside / "wedding.jpg").exists()
    assert (home.releases / "link").is_symlink()


@as_root
def test_root_owned_caches_change_nothing(home: Home) -> None:
    home.cache.mkdir()
    assert "cannot be made" in home.refuses()


def test_cache_files_change_nothing(home: Home) -> None:
    home.cache.write_text("not a folder")
    home.own()
    assert "cannot be made" in home.refuses()


def test_read_only_caches_change_nothing(home: Home) -> None:
    home.cache.mkdir()
    home.own()
    home.cache.chmod(0o555)
    assert "cannot be made" in home.refuses()


def test_read_only_release_folders_are_refused(home: Home) -> None:
    home.photos(home.releases)
    home.own()
    home.releases.chmod(0o555)
    assert "chmod u+rwx" in home.refuses()


@as_root
def test_foreign_release_folders_are_refused(home: Home) -> None:
    home.cache.mkdir()
    home.own()
    home.photos(home.releases)
    home.releases.chmod(0o777)
    assert "belongs to another user" in home.refuses()


@pytest.mark.parametrize("words", [("prepare", "1.0"), ("forget",)])
def test_linked_release_folders_are_refused(home: Home, words: tuple[str, ...]) -> None:
    home.cache.mkdir()
    home.releases.symlink_to(home.folder)
    home.own()
    assert "is a link" in home.refuses(*words)


def test_a_dangling_cache_link_is_refused(home: Home) -> None:
    home.cache.symlink_to(home.folder / "nowhere" / "at all")
    home.own()
    assert "leads nowhere" in home.refuses()


def test_a_cache_may_be_another_disk(home: Home) -> None:
    disk = home.folder / "disk"
    disk.mkdir()
    home.cache.symlink_to(disk)
    home.own()
    assert home.prepare().parent == disk / "maskgate"


@pytest.mark.parametrize("value", [None, "", "relative"])
def test_without_a_home_nothing_is_made(home: Home, value: str | None) -> None:
    done = home.script("prepare", "1.0", HOME=value)
    assert (done.returncode, "Your account has no home folder" in done.stderr) == (1, True)
    assert [path.name for path in home.folder.iterdir()] == ["photos"]


def test_a_missing_home_is_not_made(home: Home) -> None:
    missing = home.folder / "missing"
    done = home.script("prepare", "1.0", HOME=str(missing))
    assert (done.returncode, "does not exist" in done.stderr) == (1, True)
    assert not missing.exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../photos", "a/b", "$(id)", "a b", "-rf"])
def test_release_names_cannot_lead_elsewhere(home: Home, name: str) -> None:
    assert "cannot be the name of a release" in home.refuses("prepare", name)


def test_forgetting_removes_what_was_sent(home: Home) -> None:
    home.prepare()
    assert home.script("forget").returncode == 0
    assert not home.releases.exists()
    assert home.script("forget").returncode == 0
    assert home.cache.exists()


def test_forgetting_leaves_what_others_put_there(home: Home) -> None:
    home.prepare()
    kept = home.photos(home.releases)
    home.own()
    done = home.script("forget")
    assert (done.returncode, "did not put there" in done.stderr) == (1, True)
    assert (kept / "wedding.jpg").exists()
    assert [path.name for path in home.releases.iterdir()] == ["photos"]
