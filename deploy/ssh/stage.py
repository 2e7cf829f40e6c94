"""The folder on the device that a release is sent to."""

from __future__ import annotations

from pathlib import Path

from deploy.errors import DeployError
from deploy.ssh.device import Remote

SCRIPT = Path(__file__).with_name("stage.sh")
ANSWER = "stage="


def prepare(remote: Remote, release: str) -> str:
    """Make a new folder for ``release`` in the home of the user who logs in, and return its absolute path.

    Raises:
        DeployError: The place is not that user's own folder, or cannot be written to.
    """
    told = remote.run(["sh", "-s", "--", "prepare", release], SCRIPT.read_text("utf-8"))
    # A login script may print lines too.
    paths = [line.removeprefix(ANSWER) for line in told.splitlines() if line.startswith(f"{ANSWER}/")]
    if not paths:
        raise DeployError(f"{remote.host} did not say where the release goes; it said: {told.strip() or 'nothing'}.")
    return paths[-1]


def forget(remote: Remote) -> None:
    """Remove what was sent.

    Raises:
        DeployError: The place is not that user's own folder, or holds other files.
    """
    remote.run(["sh", "-s", "--", "forget"], SCRIPT.read_text("utf-8"))
