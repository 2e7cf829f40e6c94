"""What a manifest says of models: their files, what they are for, and how they were made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from edge.values import Label

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

    file: FileName = Field(description="Name of the file, next to the manifest")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file, in hexadecimal")
    compiler: str = Field(description="Version of the compiler")
    together_with: tuple[str, ...] = Field(
        (), description="Models compiled in one go, which share the Edge TPU's memory with it"
    )


class ModelEntry(ManifestPart):
    """The manifest entry of a model file, common to all tasks."""

    file: FileName = Field(description="Name of the file, next to the manifest")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file, in hexadecimal")
    input: InputSize
    training: str = Field(description="The command that trained it")
    data: tuple[str, ...] = Field(description="What it was trained from")
    figures: dict[str, Any] = Field(description="What was measured of it")
    card: FileName = Field(description="Name of its model card, next to the manifest")
    edgetpu: EdgeTpuVariant | None = Field(None, description="For the Edge TPU, where it was compiled")


class FloatVariant(ManifestPart):
    """The same weights, not quantized."""

    file: FileName = Field(description="Name of the file, next to the manifest")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file, in hexadecimal")


class ShapeVariant(ManifestPart):
    """The same weights for another input size, for frames of another shape."""

    file: FileName = Field(description="Name of the file, next to the manifest")
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
