"""``python -m convert face``: the face detector, from Keras to a measured int8 file."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras

from convert import calibrate, origin, parity, provenance, publish, quantize, tables, tflite_file, worth
from convert.equalise import equalise
from convert.mask_data import HELD_OUT
from convert.spread import spread
from convert.unbias import unbias
from edge.errors import ConfigError, ModelError
from edge.runtime import Model, open_model
from edge.values import Image
from edge.vision.detectors import NMS_IOU
from edge.vision.face_detector import FaceDetector, ShapedDetector
from edge.vision.models import FaceEntry, FloatVariant, InputSize, ShapeVariant
from edge.vision.models.precision import FLOAT16
from train.common.reproducible import METRICS_FILE
from train.face.data import Photo
from train.face.figures import MAX_FACES
from train.face.model import STRIDES, build_face_model
from train.face.photos import SPLIT_FILE, read_photos, read_split


class Converted(NamedTuple):
    """The detector for one size of input: the content of its .tflite files, in int8 and in float16.

    Attributes:
        file: Name of the int8 file.
        input: Of both.
        content: In int8.
        facts: Of ``content``.
        float16: In float16.
    """

    file: str
    input: InputSize
    content: bytes
    facts: tflite_file.ModelFacts
    float16: bytes

    @property
    def sha256(self) -> str:
        """Of the int8 file, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def in_float16(self) -> FloatVariant:
        """What the manifest says of the float16 file."""
        name = self.file.removesuffix(".tflite") + FLOAT16
        return FloatVariant(file=name, sha256=hashlib.sha256(self.float16).hexdigest())

    @property
    def changes(self) -> dict[str, Any]:
        """What a manifest entry says otherwise of this file than of another shape."""
        return {"file": self.file, "sha256": self.sha256, "input": self.input, "shapes": ()}


def run(args: argparse.Namespace) -> int:
    """Convert, check, measure and write, as the options of ``python -m convert face`` say.

    Returns:
        0.

    Raises:
        ConfigError: An option or the data does not serve.
        ModelError: The model cannot be read or converted, or what comes out is not what the device needs.
    """
    width, height = args.size
    stages = provenance.stages(args.metrics or args.model.parent / METRICS_FILE)
    cases = parity.listed_cases(args)
    noted = ([], []) if args.data and args.validation else _noted(args.model.parent / SPLIT_FILE)
    photos = _read(args.data) or noted[0]
    validation = _read(args.validation) or noted[1]
    named = args.data or [Path(path) for path in stages[-1].get("settings", {}).get("data", [])]
    if not photos or not validation:
        raise ConfigError("The data has no photos: name COCO files with some as --data and as --validation.")
    model = quantize.load(args.model)
    own = _own_size(model)
    pictures_for = partial(calibrate.face_pictures, photos, count=args.pictures, seed=args.seed)
    pictures = pictures_for(*own)
    equalise(model, pictures)
    level = at_size(model, *own)
    unbias(level, pictures, lambda one: quantize.to_int8(quantize.freeze(one), pictures))
    sizes = [(width, height), *((across, down) for across, down in args.shape)]
    shapes = [_convert(args, model, level, size, pictures if size == own else pictures_for(*size)) for size in sizes]
    described = provenance.describe_data(named, [photo.source for photo in photos], "photos")
    entry = _entry(args.name, shapes, stages, described)
    judged = calibrate.some_of(validation, args.limit, args.seed)
    print(f"Comparing float and int8 on {len(judged)} photos", flush=True)
    compared = compare(judged, shapes, entry, cases)
    worth.of_faces(compared, args.anyway)
    measured = args.validation or [Path(HELD_OUT)]
    data = provenance.describe_data(measured, [photo.source for photo in judged], "photos")
    figures = provenance.figures(args, stages, args.pictures, shapes[0].facts, {"data": data, **compared})
    figures["origin"] = origin.described(stages[-1], len(photos), len(judged), "photos")
    contents = {one.file: one.content for one in shapes} | {one.in_float16.file: one.float16 for one in shapes}
    publish.stage(args.output, args.name, contents, entry.model_copy(update={"figures": figures}))
    print(f"{tables.parity_tables(compared)}\n\n{publish.written(args.output, entry)}")
    return 0


def _entry(
    name: str, shapes: Sequence[Converted], stages: Sequence[Mapping[str, Any]], data: tuple[str, ...]
) -> FaceEntry:
    """What the manifest says of the model before it was measured."""
    first, *others = shapes
    return FaceEntry(
        task="face-detection",
        file=first.file,
        sha256=first.sha256,
        input=first.input,
        labels=("face",),
        strides=STRIDES,
        shapes=tuple(_variant(one) for one in others),
        float16=first.in_float16,
        training=" && ".join(provenance.portable_command(stage["command"]) for stage in stages),
        data=data,
        figures={},
        card=f"{name}.md",
    )


def _read(paths: Sequence[Path]) -> list[Photo]:
    return [photo for path in paths for photo in read_photos(path)]


def _noted(split: Path) -> tuple[list[Photo], list[Photo]]:
    if not split.is_file():
        raise ConfigError(
            f"{split}, in which a training notes its photos, is absent: name them with --data and --validation."
        )
    return read_split(split)


def _convert(
    args: argparse.Namespace, model: Any, level: Any, size: tuple[int, int], pictures: Sequence[Image]
) -> Converted:
    """Quantize the model for one size of input, which names the file unless it is the main one.

    ``level`` is the model with what ``unbias`` changed. It becomes int8; the model itself is what it is compared with.
    """
    width, height = size
    print(f"Quantizing {args.model} at {width}x{height} with {len(pictures)} pictures", flush=True)
    content = quantize.to_int8(quantize.freeze(at_size(level, width, height)), pictures)
    facts = tflite_file.read(content)
    tflite_file.check(facts, expected(width, height))
    name = args.name if size == tuple(args.size) else f"{args.name}-{width}x{height}"
    float16 = quantize.to_float16(quantize.freeze(spread(at_size(model, width, height))))
    return Converted(f"{name}.tflite", InputSize(width=width, height=height), content, facts, float16)


def _variant(shape: Converted) -> ShapeVariant:
    return ShapeVariant(file=shape.file, sha256=shape.sha256, input=shape.input, float16=shape.in_float16)


def _own_size(model: Any) -> tuple[int, int]:
    _, height, width, _ = model.input_shape
    return width, height


def at_size(model: Any, width: int, height: int) -> Any:
    """The detector for another input size: it is fully convolutional, so that its weights fit any.

    Raises:
        ConfigError: The size is impossible.
        ModelError: The model is not a face detector of this ``train/``.
    """
    resized = build_face_model(width, height)
    try:
        resized.set_weights(model.get_weights())
    except ValueError as error:
        raise ModelError("The model is no face detector as train/face/model.py builds it: train it again.") from error
    return keras.models.clone_model(resized, clone_function=_with_one_resize)


def _with_one_resize(layer: keras.Layer) -> keras.Layer:
    """A layer of the copy: the enlarging ones as one TFLite operation, in the version that the Edge TPU knows."""
    return _Enlarge(name=layer.name) if isinstance(layer, keras.layers.UpSampling2D) else layer


class _Enlarge(keras.layers.Layer):  # type: ignore[misc]
    """Repeats rows and columns of (N, H, W, C) twice, as ``UpSampling2D`` does with several operations."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        size = (2 * inputs.shape[1], 2 * inputs.shape[2])
        return tf.raw_ops.ResizeNearestNeighbor(images=inputs, size=size, half_pixel_centers=False)

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[0], 2 * shape[1], 2 * shape[2], shape[3]


def expected(width: int, height: int) -> tflite_file.Expected:
    """What a detector of ``width`` x ``height`` pixels takes and gives."""
    outputs: dict[str, tuple[int, ...]] = {}
    for stride in STRIDES:
        outputs[f"score_{stride}"] = (1, height // stride, width // stride, 1)
        outputs[f"bbox_{stride}"] = (1, height // stride, width // stride, 4)
    return tflite_file.Expected((1, height, width, 3), outputs, frozenset(f"score_{stride}" for stride in STRIDES))


def compare(
    photos: Sequence[Photo], shapes: Sequence[Converted], entry: FaceEntry, cases: parity.ListedCases
) -> dict[str, Any]:
    """Compare the float16 files with the int8 ones, each photo in the input shape that the device would use.

    See ``convert.parity.face_parity``.
    """
    entries = [entry.model_copy(update=one.changes) for one in shapes]
    floating = _shaped([open_model(one.float16, name=one.in_float16.file) for one in shapes], entries)
    quantized = _shaped([open_model(one.content, name=one.file) for one in shapes], entries)
    before, after = parity.find_faces(photos, [floating, quantized])
    said = parity.faces_found(photos, {"float": before, "int8": after})
    by_case = parity.case_parity(cases, said, lambda _: True)
    return {**parity.face_parity(photos, before, after), "cases": by_case}


def _shaped(models: Sequence[Model], entries: Sequence[FaceEntry]) -> ShapedDetector:
    pairs = zip(models, entries, strict=True)
    own, *others = (FaceDetector(model, entry, NMS_IOU, MAX_FACES) for model, entry in pairs)
    return ShapedDetector(own, {one.input_size(0, 0): partial(_itself, one) for one in others})


def _itself(detector: FaceDetector) -> FaceDetector:
    return detector
