"""A CSV: ``file,label[,source,group,split]``, paths relative to the file; or with a box: ``file,x0,y0,x1,y1,label``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge.errors import ConfigError
from edge.values import BBox
from train.common.dataset.files import read_text
from train.common.dataset.names import Names
from train.common.dataset.record import PARTS, Annotation, Dataset, Photo

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file": ("file", "filename", "file_name", "image", "path"),
    "label": ("label", "class", "category"),
    "source": ("source",),
    "group": ("group",),
    "split": ("split", "part", "set"),
    "x0": ("x0", "xmin", "x_min"),
    "y0": ("y0", "ymin", "y_min"),
    "x1": ("x1", "xmax", "x_max"),
    "y1": ("y1", "ymax", "y_max"),
}
"""Names of each column, in lower case."""


def recognises(path: Path) -> bool:
    """Whether ``path`` is a .csv or .tsv file."""
    return path.is_file() and path.suffix.lower() in (".csv", ".tsv")


def read(path: Path, names: Names) -> Dataset:
    """Read the rows; rows of one file with boxes become faces of one photo.

    Raises:
        ConfigError: A column is missing, or a row is too short; the text names the line.
    """
    rows = _rows(read_text(path), path)
    _, header = next(rows, (1, []))
    columns = _columns(header, path)
    photos: dict[str, Photo] = {}
    for line, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        where = f"line {line}"
        cells = _cells(row, columns, f"{path}, {where}")
        if names.skips(cells["label"]):
            continue
        photo = _photo(cells, where, path, names)
        known = photos.get(str(photo.path))
        photos[str(photo.path)] = _joined(known, photo, where) if known else photo
    return Dataset(path, "csv", tuple(photos.values()))


def _rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of its line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text.partition("\n")[0]))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise ConfigError(
            f"{path}, line {reader.line_num} is not CSV: {error}; is a quotation mark missing?"
        ) from error


def _delimiter(first: str) -> str:
    return max(",;\t", key=first.count)


def _columns(header: list[str], path: Path) -> dict[str, int]:
    known = {name: column for column, spelt in COLUMNS.items() for name in spelt}
    columns = {known[cell.strip().lower()]: at for at, cell in enumerate(header) if cell.strip().lower() in known}
    missing = [column for column in ("file", "label") if column not in columns]
    if missing:
        found = ", ".join(header) or "nothing"
        columns_are = "columns" if len(missing) > 1 else "column"
        raise ConfigError(
            f"{path}, line 1 lacks the {columns_are} {' and '.join(missing)} (found: {found}). "
            "The first line must name at least file,label."
        )
    return columns


def _cells(row: list[str], columns: Mapping[str, int], where: str) -> dict[str, str]:
    if len(row) <= max(columns[column] for column in ("file", "label")):
        raise ConfigError(f"{where}: the row has {len(row)} of the columns that line 1 names; complete or remove it.")
    return {column: row[at].strip() for column, at in columns.items() if at < len(row)}


def _photo(cells: Mapping[str, str], where: str, path: Path, names: Names) -> Photo:
    file = cells["file"].replace("\\", "/")
    if not file:
        raise ConfigError(f"{path}, {where}: the file is missing; complete or remove the row.")
    label = names.label(cells["label"], f"{path}, {where}")
    return Photo(
        path=path.parent / file,
        source=cells.get("source") or path.parent.name,
        group=f"{path.parent.name}/{cells.get('group') or file}",
        part=PARTS.get(cells.get("split", "").lower()),
        faces=(Annotation(label, _bbox(cells, f"{path}, {where}"), where=where),),
        listed_in=path,
    )


def _bbox(cells: Mapping[str, str], where: str) -> BBox | None:
    edges = [cells.get(edge, "") for edge in ("x0", "y0", "x1", "y1")]
    if not any(edges):
        return None
    try:
        return BBox(*map(float, edges))
    except ValueError as error:
        raise ConfigError(f"{where}: the box {', '.join(edges)} is not four numbers; correct or remove it.") from error


def _joined(known: Photo, photo: Photo, where: str) -> Photo:
    if any(face.bbox is None for face in (*known.faces, *photo.faces)):
        raise ConfigError(f"{known.listed_in}, {where}: {photo.path.name} is listed twice; remove one of the rows.")
    return Photo(known.path, known.source, known.group, known.part, (*known.faces, *photo.faces), known.listed_in)
