"""The shipped models: what the manifest says of each, and its bytes once their hash is proved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from edge.errors import ModelError
from edge.files import may_be_file
from edge.values import Label

MANIFEST_NAME = "manifest.json"
SHIPPED_MANIFEST = Path(__file__).parent / MANIFEST_NAME

FileName = Annotated[str, Field(pattern=r"^[^/\\\x00]+$")]
"""Name of a file next to the manifest."""


class ManifestPart(BaseModel):
    """A part of the manifest: immutable, and no key but those declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class InputSize(ManifestPart):
    """Of a model's input picture, in pixels."""

    width: int = Field(gt=0)
    height: int = Field(gt=0)


class EdgeTpuVariant(ManifestPart):
    """The same model, compiled for Google's Edge TPU."""

    file: FileName = Field(description="Name of the file, beside the manifest")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file, in hexadecimal")
    compiler: str = Field(description="Version of the compiler")
    together_with: tuple[str, ...] = Field(
        (), description="Models compiled in one go, which share the Edge TPU's memory with it"
    )


class ModelEntry(ManifestPart):
    """The manifest entry of a model file, common to all tasks."""

    file: FileName = Field(description="Name of the file, beside the manifest")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file, in hexadecimal")
    input: InputSize
    training: str = Field(description="The command that trained it")
    data: tuple[str, ...] = Field(description="What it was trained from")
    figures: dict[str, Any] = Field(description="What was measured of it")
    card: FileName = Field(description="Name of its model card, beside the manifest")
    edgetpu: EdgeTpuVariant | None = Field(None, description="For the Edge TPU, where it was compiled")


class FloatVariant(ManifestPart):
    """The same weights, not quantized."""

    file: FileName = Field(description="Name of the file, beside the manifest")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file, in hexadecimal")


class ShapeVariant(ManifestPart):
    """The same weights for another input size, for frames of another shape."""

    file: FileName = Field(description="Name of the file, beside the manifest")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file, in hexadecimal")
    input: InputSize
    float16: FloatVariant | None = Field(None, description="The same in float16; see runtime.precision")


class FaceEntry(ModelEntry):
    """A face detector."""

    task: Literal["face-detection"]
    labels: tuple[Literal["face"]] = Field(description="The only class")
    head: str = Field("maskgate", description="How its outputs become boxes: a name in edge.vision.detectors")
    strides: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (8, 16, 32), min_length=1, description="Input pixels between cells of the output maps, of heads that have maps"
    )
    shapes: tuple[ShapeVariant, ...] = Field(
        (), description="The same weights for other input sizes; each frame goes where least of the input is padding"
    )
    float16: FloatVariant | None = Field(
        None, description="The same weights in float16, which some processors run faster; see runtime.precision"
    )
    confirmed_by: str | None = Field(
        None, description="Name of the model in the same manifest that looks again at doubtful faces, if any does"
    )


class ConfirmRule(ManifestPart):
    """What becomes of the score of a doubtful face, once it was looked at again.

    logit(score) = face * logit(score before) + confirm * logit(probability that the second look gives) + bias
    """

    doubtful_from: float = Field(gt=0, lt=1, description="Scores below are left as they are: surely no face")
    doubtful_to: float = Field(gt=0, lt=1, description="Scores from here on are left as they are: surely a face")
    face: float = Field(ge=0, description="Weight of the face model's score")
    confirm: float = Field(ge=0, description="Weight of the second look")
    bias: float = Field(description="Sets what scores mean, so that thresholds can stay")


class ConfirmEntry(ModelEntry):
    """Tells whether a crop shows a face, where a face detector is in doubt."""

    task: Literal["face-confirmation"]
    labels: tuple[Literal["face"]] = Field(description="The only class")
    margin: float = Field(
        ge=0, le=4, description="Added around a face on each side, as a share of the bbox's longer side"
    )
    rule: ConfirmRule = Field(description="Settled on held-out photos, for the face model of face_sha256")
    face_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the face model whose doubts it was made for")


class FirstLook(ManifestPart):
    """A smaller mask model that judges every face first; this one is only asked where that one is unsure."""

    model: str = Field(description="Name of the smaller model in the same manifest")
    sure_below: float = Field(ge=0, lt=1, description="It is sure up to this probability of with_mask ...")
    sure_above: float = Field(gt=0, le=1, description="... and from this one on")


class MaskEntry(ModelEntry):
    """A classifier of face crops."""

    task: Literal["mask-classification"]
    labels: tuple[Label, ...] = Field(min_length=2, description="The meaning of each output, in order")
    margin: float = Field(
        ge=0, le=4, description="Added around a face on each side, as a share of the bbox's longer side"
    )
    alarm_below: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Default of mask.alarm_below, chosen from faces held out of the training",
    )
    first_look: FirstLook | None = Field(None, description="What judges before it on a processor, if anything does")

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: tuple[Label, ...]) -> tuple[Label, ...]:
        if len(set(labels)) < len(labels):
            raise ValueError("a label stands there twice")
        return labels


class Manifest(ManifestPart):
    """What ``manifest.json`` holds: every model by name."""

    version: Literal[1]
    models: dict[str, Annotated[FaceEntry | MaskEntry | ConfirmEntry, Field(discriminator="task")]]


Entry = TypeVar("Entry", bound=ModelEntry)


@dataclass(frozen=True, slots=True)
class ModelFile(Generic[Entry]):
    """A model whose bytes are those that the manifest promises.

    Attributes:
        name: In the manifest.
        path: Of the file.
        entry: What the manifest says of it.
        content: The file's bytes.
    """

    name: str
    path: Path
    entry: Entry
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
            f"The model manifest {path} cannot be read ({error.strerror}); reinstall maskgate, or name another."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(
            f"The model manifest {path} is wrong at {where}: {first['msg']}; correct it, or reinstall maskgate."
        ) from error


def load_model(reference: str, kind: type[Entry]) -> ModelFile[Entry]:
    """Find a model by name and read its bytes, which are hashed before anything else sees them.

    Args:
        reference: A name in the shipped manifest (``face``), ``PATH/manifest.json#name``, a folder with a manifest that
            has one model of this kind, or a .tflite next to its manifest.
        kind: The entry that its task asks for, such as ``FaceEntry``.

    Raises:
        ModelError: There is no such model, it has another task, or its file is absent or altered.
    """
    entry = find_entry(reference, kind)
    manifest_path, name = _located(reference, kind)
    path = manifest_path.parent / entry.file
    return ModelFile(name, path, entry, proven_bytes(path, entry.sha256))


def find_entry(reference: str, kind: type[Entry]) -> Entry:
    """What the manifest says of a model; see ``load_model``.

    Raises:
        ModelError: There is no such model, or it has another task.
    """
    manifest_path, name = _located(reference, kind)
    models = read_manifest(manifest_path).models
    if name not in models:
        raise ModelError(
            f"There is no model {name!r} in {manifest_path}; it has: {', '.join(sorted(models)) or 'none'}."
        )
    entry = models[name]
    if not isinstance(entry, kind):
        raise ModelError(f"The model {name!r} in {manifest_path} is for {entry.task}; name one for the task asked.")
    return entry


def title(reference: str) -> str:
    """What to call a model in front of people."""
    manifest, _, name = reference.rpartition("#")
    if not manifest and not _is_path(reference):
        return name
    return f"{name if manifest else Path(reference).stem}, your own"


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
    first = find_entry(reference, MaskEntry).first_look
    return _beside(reference, MaskEntry, first.model, MaskEntry) if first else None


def load_confirmation(reference: str) -> ModelFile[ConfirmEntry] | None:
    """The model that looks again at what a face model doubts; None where nothing does.

    Raises:
        ModelError: See ``load_model``.
    """
    name = find_entry(reference, FaceEntry).confirmed_by
    return _beside(reference, FaceEntry, name, ConfirmEntry) if name else None


def _beside(reference: str, own: type[ModelEntry], name: str, kind: type[Entry]) -> ModelFile[Entry]:
    """The model called ``name`` in the manifest of ``reference``, which has an entry of the kind ``own``."""
    manifest_path, _ = _located(reference, own)
    return load_model(f"{manifest_path}#{name}", kind)


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
            f"The model file {path} cannot be read ({error.strerror}); restore it, or reinstall maskgate."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"The model file {path} is not the one in its manifest (sha256 {found[:12]}… instead of {sha256[:12]}…); "
            "restore it, or reinstall maskgate."
        )
    return content
