"""One reader for the photos people have: folders, CSV, COCO, Pascal VOC and YOLO.

    photos = read(Path("photos/"))            # looks at what is there and picks the layout
    report = check(photos, progress)          # what is usable, what is not, and what is there twice

A layout is a module with ``recognises(path)`` and ``read(path, names)``; a new one is a file and a line in ``LAYOUTS``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from edge.errors import ConfigError
from train.common.dataset.names import FaceNames, Names
from train.common.dataset.record import Annotation, Dataset, Part, Photo

__all__ = ["Annotation", "Dataset", "FaceNames", "Names", "Part", "Photo", "read"]

LAYOUTS: Mapping[str, str] = {
    "csv": "train.common.dataset.table",
    "coco": "train.common.dataset.coco",
    "yolo": "train.common.dataset.yolo",
    "voc": "train.common.dataset.voc",
    "folders": "train.common.dataset.folders",
}
"""Layouts by name, in the order in which they are tried."""


def read(path: Path, names: Names | None = None) -> Dataset:
    """Read a data set, whatever its layout.

    Args:
        path: A folder, a .csv, a .json or a data.yaml.
        names: How classes are called in it.

    Returns:
        Its photos in a stable order. No picture is opened.

    Raises:
        ConfigError: Nothing is there, no layout fits, a class is unknown, or a file has the wrong shape. The text names
            the file and, where there is one, the line or annotation.
    """
    if not path.exists():
        raise ConfigError(f"There is no data at {path}: give a folder of photos, a .csv, a COCO .json or a data.yaml.")
    for name, module in LAYOUTS.items():
        layout = importlib.import_module(module)
        if layout.recognises(path):
            return _found(path, name, layout, names or Names())
    raise ConfigError(
        f"{path} has no layout that is known. Give a folder with one folder per class (with_mask/, without_mask/), "
        "a .csv with the columns file and label, a COCO .json, a folder of Pascal VOC .xml files, or a YOLO data.yaml."
    )


def _found(path: Path, name: str, layout: ModuleType, names: Names) -> Dataset:
    dataset: Dataset = layout.read(path, names)
    if not dataset.photos:
        raise ConfigError(f"{path} (layout: {name}) contains no photo: check that the photos are where it says.")
    return dataset
