"""Which of a face model's files suits a processor: the int8 one, or the same weights in float16."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edge.runtime.processor import quicker_in_float
from edge.vision.models import FaceEntry, ModelFile, ShapeVariant, proven_bytes

FLOAT16 = "-float16.tflite"
"""How the names of such files end."""

Precision = Literal["auto", "int8", "float16"]


def suited(model: ModelFile[FaceEntry], precision: Precision, root: Path = Path("/")) -> ModelFile[FaceEntry]:
    """A face model as this processor runs it best, at all its input sizes.

    Args:
        model: In int8.
        precision: ``auto`` decides by the processor. A model that has no float16 file is always int8.
        root: Where /proc is.

    Raises:
        ModelError: The float16 file is absent or altered.
    """
    variant = model.entry.float16
    if variant is None or not (precision == "float16" or (precision == "auto" and quicker_in_float(root))):
        return model
    shapes = tuple(
        ShapeVariant(file=shape.float16.file, sha256=shape.float16.sha256, input=shape.input)
        for shape in model.entry.shapes
        if shape.float16
    )
    changed = {"file": variant.file, "sha256": variant.sha256, "float16": None, "shapes": shapes, "edgetpu": None}
    path = model.path.with_name(variant.file)
    return ModelFile(model.name, path, model.entry.model_copy(update=changed), proven_bytes(path, variant.sha256))
