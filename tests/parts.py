"""Parts of maskgate that tests skip because something is not installed on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable

PACKAGES = re.compile(r"\b(apt|pip) install ((?:[\w.+'\[\]-]+ ?)+)")
MODULE = re.compile(r"could not import '(\w+)")
KERNEL_MODULE = re.compile(r"\bmodprobe ([\w-]+)")
EXTRAS = {
    "tensorflow": "'.[train]'",
    "keras": "'.[train]'",
    "matplotlib": "'.[train]'",
    "pycocotools": "'.[train]'",
    "skimage": "'.[demo]'",
    "PIL": "pillow",
}
"""What pip installs a module with, where the names differ."""
OPTIONAL = frozenset({"gpio-sim", "libreoffice-calc-nogui", "pandas", "tensorboard"})
"""Not installed for CI: no kernel of a container has the first, and the others are large and read what others wrote."""


def lacking(reasons: Iterable[str]) -> dict[str, set[str]]:
    """What to install, by installer, so that tests skipped for these reasons run. Other reasons are passed over."""
    found: dict[str, set[str]] = {}
    for reason in reasons:
        for installer, packages in PACKAGES.findall(reason):
            found.setdefault(f"{installer} install", set()).update(packages.split())
        for module in MODULE.findall(reason):
            found.setdefault("pip install", set()).add(EXTRAS.get(module, module))
        for module in KERNEL_MODULE.findall(reason):
            found.setdefault("modprobe", set()).add(module)
    return found


def required(found: dict[str, set[str]]) -> set[str]:
    """Those that CI must have."""
    return set().union(*found.values()) - OPTIONAL


def sentence(found: dict[str, set[str]]) -> str:
    """One line for the end of a run."""
    commands = "; ".join(f"{installer} {' '.join(sorted(names))}" for installer, names in sorted(found.items()))
    return f"Parts were not tested because something is not installed: {commands}"
