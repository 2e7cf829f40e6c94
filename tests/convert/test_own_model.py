"""Converting a model of one's own: on the photos that its training held out, if it is worth it, with its own card."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from convert import origin, worth
from convert.__main__ import main
from edge.errors import ModelError
from edge.values import LABELS, Label
from edge.vision.models import read_manifest
from tests.nonempty import some
from train.face.data import Faces
from train.face.photos import read_photos, write_split
from train.mask.data import Sample
from train.mask.split import write_split as write_mask_split

STORIES = ("web_crops", "street_masks", "caltech_webfaces", "mask-small", "fifty masked", "0.4")
"""Words that only the shipped models' cards have."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a mask training on few photos, one of which has since been damaged."""
    import keras

    keras.utils.set_random_seed(3)
    folder = tmp_path_factory.mktemp("door") / "run"
    folder.mkdir()
    samples = []
    for number in range(24):
        label = LABELS[number % 2]
        path = folder.parent / f"{number}.png"
        tiles = np.random.default_rng(number).choice([0, 90, 180, 255], (8, 8, 3))
        cv2.imwrite(str(path), np.kron(tiles, np.ones((8, 8, 1))).astype(np.uint8))
        samples.append(Sample(path, label, "door", str(number)))
    samples[0].path.write_bytes(b"")
    write_mask_split(folder / "split.csv", samples[:16], samples[16:], [])
    image = keras.Input((32, 32, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(image))
    keras.Model(image, keras.layers.Dense(3, activation="softmax")(features)).save(folder / "mask.keras")
    metrics = {
        "command": f"python -m train mask {folder.parent} --out {folder}",
        "margin": 0.25,
        "labels": list(LABELS),
        "settings": {"data": [str(folder.parent)]},
        "start": {"model": "the shipped mask model of maskgate", "sha256": "ab" * 32, "licence": "Apache-2.0"},
        "training_faces": {"with_mask": 8, "without_mask": 8},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture(scope="module")
def converted(run: Path) -> Path:
    output = run.parent / "converted"
    assert main(["mask", "--model", str(run / "mask.keras"), "--output", str(output), "--anyway"]) == 0
    return output


def test_held_out_photos_are_compared(converted: Path) -> None:
    figures = read_manifest(converted / "manifest.json").models["mask"].figures
    assert figures["validation"]["all"]["int8"]["faces"] == 8
    assert figures["validation"]["data"] == ["held out of the training's own photos", "door: 8 faces"]


def test_damaged_photos_are_skipped(converted: Path) -> None:
    assert "door: 15 faces" in read_manifest(converted / "manifest.json").models["mask"].data


def test_the_card_describes_this_model(converted: Path) -> None:
    card = (converted / "mask.md").read_text()
    assert not [word for word in STORIES if word in card]
    assert "The weights start from the shipped mask model of maskgate" in card
    assert "Licence of the start: Apache-2.0" in card
    assert "15 faces were learned from and 8 measured on" in card
    assert "`mask_worn_incorrectly` was not measured" in card
    assert "`mask_worn_incorrectly` had no photo to learn from" in card
    assert "was measured on 4 faces only" in card
    assert "$" not in card


def test_rebuilding_names_every_folder(converted: Path) -> None:
    card = (converted / "mask.md").read_text()
    (line,) = [line.strip() for line in card.splitlines() if "convert again" in line]
    commands = card.rpartition("```\n")[0].rpartition("```\n")[2].splitlines()
    placeholders = {word.partition("/")[0] for text in commands for word in shlex.split(text) if word[:1].isupper()}
    for name in some(placeholders):
        assert f"--folder {name}=PATH" in line


def test_a_model_that_guesses_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mask", "--model", str(run / "mask.keras"), "--output", str(tmp_path / "out")]) == 4
    error = capsys.readouterr().err
    assert "guessing would" in error
    assert "--anyway" in error
    assert not (tmp_path / "out").exists()


def recalls(**shares: float | None) -> dict[str, Any]:
    return {"all": {"int8": {"per_class": {name: {"recall": share, "faces": 9} for name, share in shares.items()}}}}


def test_a_model_better_than_guessing_passes() -> None:
    worth.of_masks(recalls(with_mask=0.9, without_mask=0.7, mask_worn_incorrectly=None), anyway=False)
    with pytest.raises(ModelError, match=r"names 50 % .* guessing would 50 %"):
        worth.of_masks(recalls(with_mask=1.0, without_mask=0.0), anyway=False)


def test_a_blind_detector_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"int8": {"ap": 0.0, "at_0.4": {"recall": {"20_40": None, "40_up": 0.0}}}}
    with pytest.raises(ModelError, match="finds none of the faces"):
        worth.of_faces(nothing, anyway=False)
    worth.of_faces(nothing, anyway=True)
    assert "Converted all the same" in capsys.readouterr().out
    worth.of_faces({"int8": {"at_0.4": {"recall": {"40_up": 0.1}}}}, anyway=False)


def test_missing_notes_ask_for_photos(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("mask.keras", "metrics.json"):
        shutil.copy(run / name, tmp_path)
    assert main(["mask", "--model", str(tmp_path / "mask.keras")]) == 2
    assert "name them with --data and --validation" in capsys.readouterr().err


def test_publishing_can_tell_a_story(converted: Path, tmp_path: Path) -> None:
    (tmp_path / "story.md").write_text("The story of $name.\n")
    told = ["--card", str(tmp_path / "story.md"), "--to", str(tmp_path / "models")]
    assert main(["publish", "--from", str(converted), *told]) == 0
    assert (tmp_path / "models/mask.md").read_text() == "The story of mask.\n"


def test_a_face_training_notes_its_photos(tmp_path: Path) -> None:
    from train.face.photos import read_split

    images, boxes = [], []
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((40, 60, 3), np.uint8))
        images.append({"id": number, "file_name": f"{number}.png", "source": "hall"})
        boxes.append({"image_id": number, "category_id": 1, "bbox": [5, 5, 20, 30], "ignore": number % 2})
    faces = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "head"}]}
    (tmp_path / "faces.json").write_text(json.dumps(faces))
    photos = read_photos(tmp_path / "faces.json")
    write_split(tmp_path / "split.json", Faces(photos[:2], photos[2:], []))
    learned, held = read_split(tmp_path / "split.json")
    for before, after in zip(photos, [*learned, *held], strict=True):
        assert (before.path.resolve(), before.source) == (after.path, after.source)
        assert before.boxes.tolist() == after.boxes.tolist()
        assert before.ignore.tolist() == after.ignore.tolist()
    assert len(held) == 1


def test_gaps_say_what_was_not_measured() -> None:
    parity = recalls(with_mask=1.0) | {"sources": {"door": {}}}
    said = origin.mask_gaps(parity, {"classes": {str(Label.WITH_MASK): 5}})
    assert "Faces of 8 to 20 pixels and 20 to 40 pixels were not measured" in said
    assert "All photos compared on are from one source" in said
