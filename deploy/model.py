"""A model of one's own in a release: put into the wheel, so that a rollback brings the model before it back, too."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from deploy.errors import DeployError

MANIFEST = "manifest.json"
FOLDER = "edge/vision/models/own"
"""In the wheel; see ``edge.config.own_model``."""

Files = Mapping[str, bytes]


def read_model(named: Path) -> dict[str, bytes]:
    """The files of a converted model, by their names: manifest, .tflite and card, as the manifest lists them.

    Args:
        named: The folder that ``make convert`` wrote, or a .tflite in it.

    Raises:
        DeployError: Something is absent, or is not the file that the manifest describes.
    """
    folder = named.parent if named.suffix == ".tflite" else named
    manifest = folder / MANIFEST
    fault = f"is not a converted model (it has no {MANIFEST})" if folder.exists() else "does not exist"
    content = _read(manifest, f"{named} {fault}: name the folder that 'make convert' wrote, runs/convert.")
    models = _models(content, manifest)
    if named.suffix == ".tflite":
        chosen = {name: entry for name, entry in models.items() if entry["file"] == named.name}
        helpers = {name for entry in chosen.values() for name in _helpers(entry)}
        models = {name: entry for name, entry in models.items() if name in chosen or name in helpers}
        if not chosen:
            raise DeployError(f"{manifest} does not describe {named.name}: convert it again with 'make convert'.")
    files: dict[str, bytes] = {}
    for entry in models.values():
        in_int8 = [entry, *entry.get("shapes", ())]
        for one in filter(None, [*in_int8, *(each.get("float16") for each in in_int8), entry.get("edgetpu")]):
            files[one["file"]] = _proven(folder / one["file"], one["sha256"])
        if (folder / entry["card"]).is_file():
            files[entry["card"]] = (folder / entry["card"]).read_bytes()
    files[MANIFEST] = (json.dumps({"version": 1, "models": models}, indent=2) + "\n").encode()
    return files


def digest(files: Files) -> str:
    """Eight hexadecimal digits that tell models apart."""
    return hashlib.sha256(b"".join(name.encode() + files[name] for name in sorted(files))).hexdigest()[:8]


def add_to_wheel(wheel: Path, files: Files) -> None:
    """Write the files into a wheel, and into its RECORD.

    Raises:
        DeployError: The wheel has no RECORD.
    """
    with ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    record = next((name for name in contents if name.endswith(".dist-info/RECORD")), None)
    if record is None:
        raise DeployError(f"{wheel.name} is no wheel: it has no RECORD; report this.")
    added = {f"{FOLDER}/{name}": content for name, content in files.items()}
    rows = io.StringIO()
    csv.writer(rows, lineterminator="\n").writerows(
        (name, f"sha256={_record_hash(content)}", len(content)) for name, content in added.items()
    )
    contents |= added
    contents[record] = rows.getvalue().encode() + contents[record]
    with ZipFile(wheel, "w", ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def _models(content: bytes, manifest: Path) -> dict[str, Any]:
    try:
        models = json.loads(content)["models"]
        listed = {name: entry for name, entry in models.items() if entry["file"] and entry["sha256"] and entry["card"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeployError(
            f"{manifest} is not the manifest of a model: convert it again with 'make convert'."
        ) from error
    if not listed:
        raise DeployError(f"{manifest} describes no model: convert one with 'make convert'.")
    return listed


def _helpers(entry: Mapping[str, Any]) -> set[str | None]:
    """The models that look at a face before or after this one; None stands for none."""
    return {(entry.get("first_look") or {}).get("model"), entry.get("confirmed_by")}


def _proven(path: Path, sha256: str) -> bytes:
    content = _read(path, f"{path}, which the manifest names, cannot be read: convert the model again.")
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DeployError(f"{path} is not the file that was converted and measured: convert the model again.")
    return content


def _read(path: Path, otherwise: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DeployError(otherwise) from error


def _record_hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
