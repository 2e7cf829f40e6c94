"""A model of one's own: named by its folder or file, or carried by the release."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge.board.findings import Machine, State
from edge.config import Config, load
from edge.config.own_model import own_model
from edge.errors import ModelError
from edge.vision.models import SHIPPED_MANIFEST, FaceEntry, MaskEntry, find_model, load_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a conversion leaves: one mask model with its manifest."""
    own = tmp_path / "own"
    own.mkdir()
    entry = json.loads(SHIPPED_MANIFEST.read_text())["models"]["mask-small"]
    (own / "manifest.json").write_text(json.dumps({"version": 1, "models": {"door": entry}}))
    shutil.copy(SHIPPED_MANIFEST.with_name(entry["file"]), own)
    return own


def test_a_folder_names_its_only_model(folder: Path) -> None:
    assert load_model(f"{folder}", MaskEntry).name == "door"


def test_files_are_found_in_their_manifest(folder: Path) -> None:
    assert load_model(f"{folder}/mask-small.tflite", MaskEntry).name == "door"


def test_manifest_and_name_still_work(folder: Path) -> None:
    assert load_model(f"{folder}/manifest.json#door", MaskEntry).path.parent == folder
    assert load_model("mask-small", MaskEntry).path.parent == SHIPPED_MANIFEST.parent


@pytest.mark.parametrize(
    ("name", "words"),
    [("nowhere/", "has no manifest.json that describes it: name the folder that 'make convert' wrote"),
     ("other.tflite", "describes 0 such models")],
)  # fmt: skip
def test_what_is_not_there_is_said(folder: Path, name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_model(f"{folder}/{name}", MaskEntry)


def test_another_kind_of_model_is_named(folder: Path) -> None:
    with pytest.raises(ModelError, match="describes 0 such models"):
        load_model(f"{folder}", FaceEntry)


def test_names_come_from_the_manifest_alone(folder: Path) -> None:
    (folder / "mask-small.tflite").unlink()
    assert find_model(f"{folder}", MaskEntry).title == "door, your own"
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(f"{folder}", MaskEntry)


def test_several_models_need_a_name() -> None:
    with pytest.raises(ModelError, match=r"describes 3 such models .*name one as .*manifest\.json#NAME"):
        load_model(f"{SHIPPED_MANIFEST.parent}/", MaskEntry)


def test_relative_paths_start_at_the_configuration(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "config.toml").write_text('[mask]\nmodel = "own/"\n[face]\nmodel = "face"\n')
    config = load(tmp_path / "config.toml", {}).config
    assert load_model(config.mask.model, MaskEntry).name == "door"
    assert config.face.model == "face"


def test_the_releases_model_is_the_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_model("mask-classification", folder / "manifest.json") == f"{folder}/manifest.json#door"
    assert own_model("face-detection", folder / "manifest.json") is None
    assert own_model("mask-classification", folder / "absent.json") is None
    monkeypatch.setattr("edge.config.own_model.own_model.__defaults__", (folder / "manifest.json",))
    assert load_model(Config().mask.model, MaskEntry).path.parent == folder
    assert Config().face.model == "face"


def test_a_broken_release_manifest_is_told(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")
    reference = own_model("mask-classification", folder / "manifest.json")
    assert reference is not None
    with pytest.raises(ModelError, match=r"manifest\.json is wrong"):
        load_model(reference, MaskEntry)


def test_doctor_and_page_name_it(folder: Path) -> None:
    from edge.vision.checks import models

    config = load(None, {"MASKGATE_MASK_MODEL": f"{folder}/"}).config
    *_, found = models(Machine(), config)
    assert found.state is State.OK
    assert f"door: mask-small.tflite of your own, {folder}" in found.text
    assert load_model(f"{folder}/manifest.json#door", MaskEntry).title == "door, your own"
    assert load_model("mask", MaskEntry).title == "mask"


def test_doctor_restores_no_model_of_your_own(folder: Path) -> None:
    from edge.vision.checks import models

    (folder / "mask-small.tflite").write_bytes(b"altered")
    *_, found = models(Machine(), load(None, {"MASKGATE_MASK_MODEL": f"{folder}/"}).config)
    assert "convert the model again" in found.text
    assert str(found.remedy).startswith("convert and deploy your models again")


def test_a_folder_without_a_slash_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ModelError, match=r"There is no model 'own' in .*For the folder of that name write own/"):
        load_model("own", MaskEntry)
