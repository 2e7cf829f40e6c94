"""``python -m convert face``: the face detector, from Keras to a measured int8 file."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from typing import Any

from convert import calibrate, parity, provenance, publish, quantize, tables
from convert import tflite_file as check
from edge.errors import ConfigError, ModelError
from edge.runtime import open_model
from edge.vision.face_detector import FaceDetector
from edge.vision.models import FaceEntry, InputSize
from train.common.reproducible import METRICS_FILE
from train.face import figures as face_eval
from train.face.data import Photo, read_coco
from train.face.model import STRIDES, build_face_model


def run(args: argparse.Namespace) -> int:
    """Convert, check, measure and write, as the options of ``python -m convert face`` say.

    Returns:
        0.

    Raises:
        ConfigError: An option or the data does not serve.
        ModelError: The model cannot be read or converted, or what comes out is not what the device needs.
    """
    width, height = args.size
    quantize.must_exist(args.model)
    stages = provenance.stages(args.metrics or args.model.parent / METRICS_FILE)
    cases = parity.listed_cases(args)
    photos = [photo for path in args.data for photo in read_coco(path)]
    validation = [photo for path in args.validation for photo in read_coco(path)]
    if not photos or not validation:
        raise ConfigError("The data has no photos: name COCO files with some as --data and as --validation.")
    function = quantize.freeze(at_size(quantize.load(args.model), width, height))
    pictures = calibrate.face_pictures(photos, width, height, args.pictures, args.seed)
    print(f"Quantizing {args.model} at {width}x{height} with {len(pictures)} pictures", flush=True)
    content = quantize.to_int8(function, pictures)
    facts = check.read(content)
    check.check(facts, expected(width, height))
    entry = FaceEntry(
        task="face-detection",
        file=f"{args.name}.tflite",
        sha256=hashlib.sha256(content).hexdigest(),
        input=InputSize(width=width, height=height),
        labels=("face",),
        strides=STRIDES,
        training=" && ".join(provenance.portable_command(stage["command"]) for stage in stages),
        data=provenance.describe_data(args.data, [photo.source for photo in photos], "photos"),
        figures={},
        card=f"{args.name}.md",
    )
    judged = calibrate.some_of(validation, args.limit, args.seed)
    print(f"Comparing float and int8 on {len(judged)} photos", flush=True)
    compared = compare(judged, function, content, entry, cases)
    data = provenance.describe_data(args.validation, [photo.source for photo in judged], "photos")
    figures = provenance.figures(args, stages, len(pictures), facts, {"data": data, **compared})
    publish.stage(args.output, args.name, content, entry.model_copy(update={"figures": figures}))
    print(tables.parity_tables(compared))
    return 0


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
    return resized


def expected(width: int, height: int) -> check.Expected:
    """What a detector of ``width`` x ``height`` pixels takes and gives."""
    outputs: dict[str, tuple[int, ...]] = {}
    for stride in STRIDES:
        outputs[f"score_{stride}"] = (1, height // stride, width // stride, 1)
        outputs[f"bbox_{stride}"] = (1, height // stride, width // stride, 4)
    return check.Expected((1, height, width, 3), outputs, frozenset(f"score_{stride}" for stride in STRIDES))


def compare(
    photos: Sequence[Photo], function: Any, content: bytes, entry: FaceEntry, cases: parity.ListedCases
) -> dict[str, Any]:
    """Float against int8; see ``convert.parity.face_parity``, and ``case_parity`` for what is under ``cases``."""
    models = (quantize.FloatModel(function), open_model(content, name=entry.file))
    detectors = [FaceDetector(model, entry, face_eval.NMS_IOU, face_eval.MAX_FACES) for model in models]
    before, after = parity.find_faces(photos, detectors)
    said = parity.faces_found(photos, {"float": before, "int8": after})
    by_case = parity.case_parity(cases, said, lambda _: True)
    return {**parity.face_parity(photos, before, after), "cases": by_case}
