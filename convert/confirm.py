"""``python -m convert confirm``: the confirmation model, from Keras to an int8 file and the rule it works by."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert import calibrate, origin, provenance, publish, quantize, tables
from convert import tflite_file as check
from convert.mask import input_side
from convert.mask_data import HELD_OUT
from edge.config import Config
from edge.errors import ConfigError
from edge.runtime import open_model
from edge.values import Face
from edge.vision.confirmed import Confirmation, is_doubtful
from edge.vision.models import ConfirmEntry, ConfirmRule, FaceEntry, InputSize, find_entry
from train.common.reproducible import METRICS_FILE
from train.confirm.candidates import Candidate, find
from train.confirm.fit import figures
from train.confirm.rule import Scores, scores, settle
from train.confirm.views import plain, with_photos
from train.face.data import Photo
from train.face.photos import SPLIT_FILE, read_split
from train.face.scores import LIVE, STILL

OUTPUT = quantize.ONLY_OUTPUT_NAME

FOR_RANGES = 2
"""Training photos that are searched for each picture that quantization takes its ranges from."""

NO_RULE = ConfirmRule(doubtful_from=0.3, doubtful_to=0.6, face=1, confirm=1, bias=0)
"""Until it is settled."""


def run(args: argparse.Namespace) -> int:
    """Convert, check, settle the rule, measure and write, as the options of ``python -m convert confirm`` say.

    Returns:
        0.

    Raises:
        ConfigError: The training noted no photos, or they do not serve.
        ModelError: The model cannot be read or converted, or what comes out is not what the device needs.
    """
    stages = provenance.stages(args.metrics or args.model.parent / METRICS_FILE, "settings")
    settings = stages[-1]["settings"]
    split = args.model.parent / SPLIT_FILE
    if not split.is_file():
        raise ConfigError(f"{split}, in which the training notes its photos, is absent: train the model again.")
    training, held = read_split(split)
    float_model = quantize.load(args.model)
    size, margin = input_side(float_model), float(settings["margin"])
    function = quantize.freeze(float_model)
    some = find(calibrate.some_of(training, FOR_RANGES * args.pictures, args.seed), None)
    pictures = plain(calibrate.some_of(some, args.pictures, args.seed), size, margin)
    print(f"Quantizing {args.model} at {size}x{size} with {len(pictures)} pictures", flush=True)
    content = quantize.to_int8(function, pictures)
    facts = check.read(content)
    check.check(facts, check.Expected((1, size, size, 3), {OUTPUT: (1, 1)}, frozenset({OUTPUT})))
    entry = _entry(args, stages, training, content, size)
    models = {"float": quantize.FloatModel(function), "int8": open_model(content, name=entry.file)}
    looks = {kind: Confirmation(model, entry) for kind, model in models.items()}
    compared, rule = compare(held, settings, looks)
    data = provenance.describe_data([Path(HELD_OUT)], [photo.source for photo in held], "photos")
    told = provenance.figures(args, stages, len(pictures), facts, {"data": data, **compared})
    told["origin"] = origin.described(stages[-1], len(training), len(held), "photos")
    publish.stage(
        args.output, args.name, {entry.file: content}, entry.model_copy(update={"figures": told, "rule": rule})
    )
    print(f"{tables.parity_tables(compared)}\n\n{publish.written(args.output, entry)}")
    return 0


def _entry(
    args: argparse.Namespace, stages: Sequence[Mapping[str, Any]], training: Sequence[Photo], content: bytes, size: int
) -> ConfirmEntry:
    """What the manifest says of the model before it was measured."""
    settings = stages[-1]["settings"]
    named = [Path(path) for path in settings["data"]]
    return ConfirmEntry(
        task="face-confirmation",
        file=f"{args.name}.tflite",
        sha256=hashlib.sha256(content).hexdigest(),
        input=InputSize(width=size, height=size),
        labels=("face",),
        margin=float(settings["margin"]),
        rule=NO_RULE,
        face_sha256=find_entry(Config().face.model, FaceEntry).sha256,
        training=" && ".join(provenance.portable_command(stage["command"]) for stage in stages),
        data=provenance.describe_data(named, [photo.source for photo in training], "photos"),
        figures={},
        card=f"{args.name}.md",
    )


def compare(
    held: Sequence[Photo], settings: Mapping[str, Any], looks: Mapping[str, Confirmation]
) -> tuple[dict[str, Any], ConfirmRule]:
    """Settle the rule on held-out photos, and tell what it changes there.

    Args:
        held: The photos held out.
        settings: Of the training.
        looks: The model in ``float`` and in ``int8``; the rule is for the second.

    Returns:
        JSON-ready figures, and the rule.
    """
    teacher = settings["teacher"] and Path(settings["teacher"])
    candidates = find(held, teacher, settings["thorough"])
    seen = {kind: answers(candidates, look) for kind, look in looks.items()}
    rule = settle(candidates, seen["int8"])
    truth = np.array([one.face for one in candidates])
    after = {kind: scores(candidates, each, rule) for kind, each in seen.items()}
    before = np.array([one.score for one in candidates])
    change = np.abs(seen["int8"] - seen["float"])
    found: dict[str, Any] = {
        "candidates": len(candidates),
        "faces": int(truth.sum()),
        "held_out_photos": len(held),
        "rule": rule.model_dump(mode="json"),
        "doubtful": sum(is_doubtful(one.score, rule) for one in candidates),
        "float": figures(seen["float"].astype(np.float32), truth.astype(np.float32)),
        "int8": figures(seen["int8"].astype(np.float32), truth.astype(np.float32)),
        "difference": {"mean_change": round(float(change.mean()), 4), "largest_change": round(float(change.max()), 4)},
    }
    for threshold in (STILL, LIVE):
        kinds = {"before": before, **after}
        found[f"at_{threshold}"] = {
            kind: {
                "faces": round(float((values[truth] >= threshold).mean()), 4),
                "others": round(float((values[~truth] >= threshold).sum()) / len(held), 4),
            }
            for kind, values in kinds.items()
        }
    return found, rule


def answers(candidates: Sequence[Candidate], look: Confirmation) -> Scores:
    """What a confirmation model says of each candidate: (N,)."""
    return np.array([look.probability(image, Face(one.box, one.score)) for one, image in with_photos(candidates)])
