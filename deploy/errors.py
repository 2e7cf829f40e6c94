"""What can go wrong between workstation and device."""

from __future__ import annotations


class DeployError(Exception):
    """One host, or the build, failed. Its text is one sentence that says what to do."""
