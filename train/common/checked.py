"""The photos of a run: read, checked, and described in its folder before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from edge.errors import ConfigError
from train.common import dataset
from train.common.dataset import Names
from train.common.dataset.check import Report, check
from train.common.reproducible import write_json
from train.common.terminal import progress, say


def read_checked(paths: Sequence[Path], names: Names, out: Path, title: str) -> Report:
    """Read data sets and look at every photo, saying what is usable and what is not.

    Args:
        paths: Data sets of any layout.
        names: How classes are called in them.
        out: Folder for the report, ``{title}.json`` and ``.txt``, and the cache; made if need be.
        title: Of the report's files.

    Raises:
        ConfigError: A data set cannot be used, or the folder cannot be written to.
    """
    datasets = [dataset.read(path, names) for path in paths]
    try:
        out.mkdir(parents=True, exist_ok=True)
        report = check(datasets, out / f"looks-{title}.json", _progress)
        write_json(out / f"{title}.json", report.as_json())
        (out / f"{title}.txt").write_text(report.as_text() + "\n", "utf-8")
    except OSError as error:
        raise ConfigError(f"Cannot write to {out}: {error.strerror}; choose another folder with --out.") from error
    say(report.as_text())
    return report


def refuse_shared(training: Report, validation: Report) -> None:
    """Refuse to report on photos that were learned from; say where it is only some of them.

    Raises:
        ConfigError: Most of the validation photos are the same files as training ones.
    """
    learned = {training.looks[photo.path].digest for photo in training.photos}
    shared = [photo.path for photo in validation.photos if validation.looks[photo.path].digest in learned]
    if not shared:
        return
    told = (
        f"{len(shared)} of the {len(validation.photos)} photos of --validation are also in --data, such as {shared[0]}"
    )
    if len(shared) > len(validation.photos) / 2:
        raise ConfigError(
            f"{told}: figures on them would say nothing. Leave --validation out (a part of --data is held out by "
            "itself), or give other photos."
        )
    say(f"! {told}: the figures will look better than they are.")


def _progress(paths: Sequence[Path]) -> Iterable[Path]:
    return progress(paths, "Looking at photos")
