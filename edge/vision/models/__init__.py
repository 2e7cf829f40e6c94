"""The shipped models: what the manifest says of each, and its bytes once their hash is proved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from edge.errors import ModelError
from edge.files import may_be_file
from edge.vision.models.manifest import (
    ConfirmEntry,
    ConfirmRule,
    EdgeTpuVariant,
    FaceEntry,
    FirstLook,
    FloatVariant,
    InputSize,
    Manifest,
    MaskEntry,
    ModelEntry,
    ShapeVariant,
)

__all__ = [
    "MANIFEST_NAME",
    "SHIPPED_MANIFEST",
    "ConfirmEntry",
    "ConfirmRule",
    "EdgeTpuVariant",
    "FaceEntry",
    "FirstLook",
    "FloatVariant",
    "InputSize",
    "Manifest",
    "MaskEntry",
    "ModelEntry",
    "ModelFile",
    "ShapeVariant",
    "edgetpu_content",
    "find_entry",
    "is_shipped",
    "load_confirmation",
    "load_first_look",
    "load_model",
    "load_shapes",
    "proven_bytes",
    "read_manifest",
]

MANIFEST_NAME = "manifest.json"
SHIPPED_MANIFEST = Path(__file__).parent / MANIFEST_NAME

ASKS, CONFIRMED = "asks it first", "is confirmed by it"
"""What a model does with the one that helps it."""

Entry = TypeVar("Entry", bound=ModelEntry)


@dataclass(frozen=True, slots=True)
class KnownModel(Generic[Entry]):
    """A model in a manifest. Its file was not looked at.

    Attributes:
        name: In the manifest.
        path: Of the file.
        entry: What the manifest says of it.
    """

    name: str
    path: Path
    entry: Entry

    @property
    def shipped(self) -> bool:
        """Whether it came with maskgate, rather than from the operator."""
        return self.path.parent == SHIPPED_MANIFEST.parent

    @property
    def title(self) -> str:
        """What to call it in front of people."""
        return self.name if self.shipped else f"{self.name}, your own"

    def load(self) -> ModelFile[Entry]:
        """Read the file, whose bytes are hashed before anything else sees them.

        Raises:
            ModelError: It is absent or altered.
        """
        return ModelFile(self.name, self.path, self.entry, proven_bytes(self.path, self.entry.sha256))


@dataclass(frozen=True, slots=True)
class ModelFile(KnownModel[Entry]):
    """A model whose bytes are those that the manifest promises.

    Attributes:
        content: The file's bytes.
    """

    content: bytes


def read_manifest(path: Path = SHIPPED_MANIFEST) -> Manifest:
    """Read a manifest.

    Raises:
        ModelError: It is absent, unreadable, or not a manifest.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"The model manifest {path} cannot be read ({error.strerror}); {_remedy(path)}, or name another."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(
            f"The model manifest {path} is wrong at {where}: {first['msg']}; correct it, or {_remedy(path)}."
        ) from error


def load_model(reference: str, kind: type[Entry]) -> ModelFile[Entry]:
    """Find a model and read its bytes, which are hashed before anything else sees them; see ``find_model``.

    Raises:
        ModelError: There is no such model, it has another task, or its file is absent or altered.
    """
    return find_model(reference, kind).load()


def find_model(reference: str, kind: type[Entry]) -> KnownModel[Entry]:
    """Find a model by name.

    Args:
        reference: A name in the shipped manifest (``face``), ``PATH/manifest.json#name``, a folder with a manifest that
            has one model of this kind, or a .tflite next to its manifest.
        kind: The entry that its task asks for, such as ``FaceEntry``.

    Raises:
        ModelError: There is no such model, or it has another task.
    """
    manifest_path, name = _located(reference, kind)
    models = read_manifest(manifest_path).models
    if name not in models:
        folder = f" For the folder of that name write {name}/." if name == reference and Path(name).is_dir() else ""
        raise ModelError(
            f"There is no model {name!r} in {manifest_path}; it has: {', '.join(sorted(models)) or 'none'}.{folder}"
        )
    entry = models[name]
    if not isinstance(entry, kind):
        raise ModelError(f"The model {name!r} in {manifest_path} is for {entry.task}; name one for the task asked.")
    return KnownModel(name, manifest_path.parent / entry.file, entry)


def find_entry(reference: str, kind: type[Entry]) -> Entry:
    """What the manifest says of a model; see ``find_model``."""
    return find_model(reference, kind).entry


def is_shipped(reference: str) -> bool:
    """Whether a reference names a model that came with maskgate; see ``find_model``."""
    return "#" not in reference and not _is_path(reference)


def _is_path(reference: str) -> bool:
    return "/" in reference or reference.endswith(".tflite")


def _located(reference: str, kind: type[ModelEntry]) -> tuple[Path, str]:
    """The manifest, and the model's name in it."""
    manifest, _, name = reference.rpartition("#")
    if manifest:
        return Path(manifest).expanduser(), name
    if not _is_path(reference):
        return SHIPPED_MANIFEST, name
    path = Path(reference).expanduser()
    if path.suffix == ".tflite":
        return _named_by(path.with_name(MANIFEST_NAME), lambda entry: entry.file == path.name, path)
    return _named_by(path / MANIFEST_NAME, lambda entry: isinstance(entry, kind), path)


def _named_by(manifest: Path, fits: Callable[[ModelEntry], bool], path: Path) -> tuple[Path, str]:
    """The only model of a manifest that fits.

    Raises:
        ModelError: There is no manifest, or not one such model.
    """
    if not may_be_file(manifest):
        raise ModelError(
            f"{path} has no {MANIFEST_NAME} that describes it: name the folder that 'make convert' wrote, runs/convert."
        )
    names = [name for name, entry in read_manifest(manifest).models.items() if fits(entry)]
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise ModelError(f"{manifest} describes {len(names)} such models ({found}): name one as {manifest}#NAME.")
    return manifest, names[0]


def load_shapes(model: ModelFile[FaceEntry]) -> list[ModelFile[FaceEntry]]:
    """A face model at each of its input sizes, its own first; every file is hashed before anything else sees it.

    Raises:
        ModelError: A file is absent or altered.
    """
    others = []
    for shape in model.entry.shapes:
        changed = {"file": shape.file, "sha256": shape.sha256, "input": shape.input, "shapes": (), "edgetpu": None}
        changed["float16"] = shape.float16
        path = model.path.with_name(shape.file)
        entry = model.entry.model_copy(update=changed)
        others.append(ModelFile(model.name, path, entry, proven_bytes(path, shape.sha256)))
    return [model, *others]


def load_first_look(reference: str) -> ModelFile[MaskEntry] | None:
    """The smaller model that judges before a mask model; None where nothing does.

    Raises:
        ModelError: See ``load_model``.
    """
    return _load_helper(find_first_look(reference), _located(reference, MaskEntry)[1], ASKS)


def find_first_look(reference: str) -> KnownModel[MaskEntry] | None:
    """See ``load_first_look``; the file is not looked at."""
    mask = find_model(reference, MaskEntry)
    return _beside(mask, mask.entry.first_look.model, MaskEntry, ASKS) if mask.entry.first_look else None


def load_confirmation(reference: str) -> ModelFile[ConfirmEntry] | None:
    """The model that looks again at what a face model doubts; None where nothing does.

    Raises:
        ModelError: See ``load_model``; or its rule is for the scores of another face model.
    """
    return _load_helper(find_confirmation(reference), _located(reference, FaceEntry)[1], CONFIRMED)


def find_confirmation(reference: str) -> KnownModel[ConfirmEntry] | None:
    """See ``load_confirmation``; the file is not looked at."""
    face = find_model(reference, FaceEntry)
    if not face.entry.confirmed_by:
        return None
    confirmation = _beside(face, face.entry.confirmed_by, ConfirmEntry, CONFIRMED)
    if confirmation.entry.face_sha256 != face.entry.sha256:
        raise ModelError(
            f"The model {confirmation.path} was made for another face model than {face.entry.file}: convert and "
            "publish it for this one (docs/train.md), or remove confirmed_by from "
            f"{confirmation.path.with_name(MANIFEST_NAME)}."
        )
    return confirmation


def _beside(asking: KnownModel[Any], name: str, kind: type[Entry], role: str) -> KnownModel[Entry]:
    """The model called ``name`` in the manifest of another, which needs it."""
    with _needed_by(asking.name, role):
        return find_model(f"{asking.path.with_name(MANIFEST_NAME)}#{name}", kind)


def _load_helper(helper: KnownModel[Entry] | None, asking: str, role: str) -> ModelFile[Entry] | None:
    with _needed_by(asking, role):
        return helper.load() if helper else None


@contextmanager
def _needed_by(asking: str, role: str) -> Iterator[None]:
    """Tell with a helper's fault which model needs it."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{error} The model {asking!r} {role}.") from error


def edgetpu_content(model: ModelFile[Entry]) -> bytes | None:
    """The bytes of a model's variant for the Edge TPU, hashed before anything else sees them; None if it has none.

    Raises:
        ModelError: The manifest names one, and its file is absent or altered.
    """
    variant = model.entry.edgetpu
    return None if variant is None else proven_bytes(model.path.with_name(variant.file), variant.sha256)


def proven_bytes(path: Path, sha256: str) -> bytes:
    """A file's content, which has the hash that the manifest promises.

    Raises:
        ModelError: It is absent or altered.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"The model file {path} cannot be read ({error.strerror}); restore it, or {_remedy(path)}."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"The model file {path} is not the one in its manifest (sha256 {found[:12]}… instead of {sha256[:12]}…); "
            f"restore it, or {_remedy(path)}."
        )
    return content


def _remedy(path: Path) -> str:
    """How to get a model's file back."""
    return "reinstall maskgate" if path.parent == SHIPPED_MANIFEST.parent else "convert the model again"
