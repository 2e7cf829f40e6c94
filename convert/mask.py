"""``python -m convert mask``: the mask classifier, from Keras to a measured int8 file."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convert import calibrate, origin, parity, provenance, publish, quantize, tables, worth
from convert import tflite_file as check
from convert.mask_data import choose
from edge.errors import ConfigError, ModelError
from edge.runtime import open_model
from edge.values import Label
from edge.vision.mask_classifier import MaskClassifier
from edge.vision.models import InputSize, MaskEntry
from train.common.reproducible import METRICS_FILE
from train.mask.data import Sample
from train.mask.device_boxes import DeviceDetector, with_device_boxes

OUTPUT = quantize.ONLY_OUTPUT_NAME


def run(args: argparse.Namespace) -> int:
    """Convert, check, measure and write, as the options of ``python -m convert mask`` say.

    Returns:
        0.

    Raises:
        ConfigError: An option or the data does not serve.
        ModelError: The model cannot be read or converted, or what comes out is not what the device needs.
    """
    metrics_path = args.metrics or args.model.parent / METRICS_FILE
    stages = provenance.stages(metrics_path, "margin", "labels")
    cases = parity.listed_cases(args)
    metrics = stages[-1]
    labels = tuple(_label(name, metrics_path) for name in metrics["labels"])
    chosen = choose(args, metrics, labels)
    judged = with_device_boxes(calibrate.some_of(chosen.validation, args.limit, args.seed), DeviceDetector(), print)
    float_model = quantize.load(args.model)
    size, margin = input_side(float_model), float(metrics["margin"])
    function = quantize.freeze(float_model)
    pictures = calibrate.mask_pictures(chosen.training, size, margin, args.pictures, args.seed)
    print(f"Quantizing {args.model} at {size}x{size} with {len(pictures)} pictures", flush=True)
    content = quantize.to_int8(function, pictures)
    facts = check.read(content)
    check.check(facts, expected(size, len(labels)))
    entry = MaskEntry(
        task="mask-classification",
        file=f"{args.name}.tflite",
        sha256=hashlib.sha256(content).hexdigest(),
        input=InputSize(width=size, height=size),
        labels=labels,
        margin=margin,
        alarm_below=float(metrics.get("alarm_below", 0.5)),
        training=" && ".join(provenance.portable_command(stage["command"]) for stage in stages),
        data=chosen.data,
        figures={},
        card=f"{args.name}.md",
    )
    print(f"Comparing float and int8 on {len(judged)} faces", flush=True)
    compared = compare(judged, function, content, entry, cases)
    worth.of_masks(compared, args.anyway)
    figures = provenance.figures(args, stages, len(pictures), facts, {"data": chosen.measured, **compared})
    figures["origin"] = origin.described(metrics, len(chosen.training), len(judged), "faces")
    publish.stage(args.output, args.name, {entry.file: content}, entry.model_copy(update={"figures": figures}))
    print(f"{tables.parity_tables(compared)}\n\n{publish.written(args.output, entry)}")
    return 0


def input_side(model: Any) -> int:
    """The side of the model's square input, in pixels.

    Raises:
        ModelError: The model takes something else.
    """
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or not shape[1]:
        raise ModelError(f"The model takes {shape}, not a square RGB picture of fixed size: train it again.")
    return int(shape[1])


def expected(size: int, classes: int) -> check.Expected:
    """What a classifier of ``size`` x ``size`` pixels takes and gives."""
    return check.Expected((1, size, size, 3), {OUTPUT: (1, classes)}, frozenset({OUTPUT}))


def compare(
    faces: Sequence[Sample], function: Any, content: bytes, entry: MaskEntry, cases: parity.ListedCases
) -> dict[str, Any]:
    """Float against int8; see ``convert.parity.mask_parity``, and ``case_parity`` for what is under ``cases``."""
    models = (quantize.FloatModel(function), open_model(content, name=entry.file))
    classifiers = [MaskClassifier(model, entry) for model in models]
    before, after = parity.read_masks(faces, classifiers)
    said = parity.masks_alarmed(faces, {"float": before, "int8": after}, entry.alarm_below)
    by_case = parity.case_parity(cases, said, lambda face: face.alarm)
    return {**parity.mask_parity(faces, before, after, entry.alarm_below), "cases": by_case}


def _label(name: str, where: Path) -> Label:
    try:
        return Label(name)
    except ValueError:
        raise ConfigError(f"{where} names the label {name!r}, which no mask model has: train it again.") from None
