"""A model of one's own in a release."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from deploy import payload
from deploy.__main__ import main
from deploy.errors import DeployError
from deploy.model import FOLDER, add_to_wheel, digest, read_model
from edge.config import Config
from edge.config.own_model import OWN_MANIFEST
from edge.vision.models import SHIPPED_MANIFEST
from edge.vision.models.about import models_in_use
from tests.stand_ins.container import must
from tests.stand_ins.converted_model import converted_model

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return converted_model(tmp_path / "converted")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "maskgate-1.2.3-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        archive.writestr("edge/cli.py", "pass")
        archive.writestr("maskgate-1.2.3.dist-info/RECORD", "maskgate-1.2.3.dist-info/RECORD,,\n")
    return path


def test_the_device_finds_it() -> None:
    assert OWN_MANIFEST.relative_to(ROOT).as_posix() == f"{FOLDER}/manifest.json"
    assert not OWN_MANIFEST.exists()


def test_wheels_get_model_and_record(model: Path, wheel: Path) -> None:
    add_to_wheel(wheel, read_model(model))
    with ZipFile(wheel) as archive:
        assert archive.read("edge/cli.py") == b"pass"
        content = archive.read(f"{FOLDER}/mask-small.tflite")
        record = archive.read("maskgate-1.2.3.dist-info/RECORD").decode().splitlines()
    assert content == (model / "mask-small.tflite").read_bytes()
    hashed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    assert f"{FOLDER}/mask-small.tflite,sha256={hashed},{len(content)}" in record
    assert record[-1] == "maskgate-1.2.3.dist-info/RECORD,,"


def test_wheels_get_every_file_of_a_face_model() -> None:
    files = {path.name for path in SHIPPED_MANIFEST.parent.glob("face*.tflite")}
    assert len(files) == 6
    sent = read_model(SHIPPED_MANIFEST.with_name("face.tflite"))
    assert files | {"confirm.tflite"} == {name for name in sent if name.endswith(".tflite")}


@pytest.mark.parametrize(("task", "helper"), [("face", "confirm.tflite"), ("mask", "mask-small.tflite")])
def test_models_bring_what_helps_them(task: str, helper: str, tmp_path: Path) -> None:
    for name, content in read_model(SHIPPED_MANIFEST.with_name(f"{task}.tflite")).items():
        (tmp_path / name).write_bytes(content)
    config = Config.model_validate({task: {"model": f"{tmp_path}/manifest.json#{task}"}})
    assert helper in {model.path.name for model in models_in_use(config).values() if not model.shipped}


def test_releases_are_named_after_models(model: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "build_wheel", lambda _: wheel)
    monkeypatch.setattr(payload, "release_name", lambda _: "1.2.3-abc")
    assert payload.build_release(None)[1] == "1.2.3-abc"
    assert payload.build_release(model)[1] == f"1.2.3-abc-model.{digest(read_model(model))}"
    entry = json.loads((model / "manifest.json").read_text())
    entry["models"]["mask"]["margin"] = 0.5
    before = digest(read_model(model))
    (model / "manifest.json").write_text(json.dumps(entry))
    assert digest(read_model(model)) != before


@pytest.fixture
def release(model: Path, tmp_path: Path) -> Path:
    """What of a release with this model lies on a device."""
    shutil.copytree(ROOT / "edge", tmp_path / "release" / "edge", ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in read_model(model).items():
        path = tmp_path / "release" / FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "release"


def config(release: Path, file: Path, *options: str) -> str:
    return must([sys.executable, "-m", "edge", "config", *options, "--config", str(file)], cwd=release)


def test_examples_name_no_release(release: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.toml").touch()
    effective = config(release, tmp_path / "empty.toml")
    assert f'model = "{release / FOLDER}/manifest.json#mask"  # default' in effective
    example = config(release, tmp_path / "empty.toml", "--example")
    assert str(release) not in example
    assert "\n# model =\n" in example
    assert "unset: the model that came with this release" in " ".join(example.replace("# ", "").split())
    (tmp_path / "example.toml").write_text(example)
    assert f'{release / FOLDER}/manifest.json#mask"  # default' in config(release, tmp_path / "example.toml")


def test_any_file_in_the_folder_works(model: Path) -> None:
    assert read_model(model / "mask-small.tflite") == read_model(model)


def test_a_wrong_folder_is_told_from_none(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"runs/mask does not exist: name the folder that 'make convert' wrote"):
        read_model(tmp_path / "runs/mask")
    (tmp_path / "runs/mask").mkdir(parents=True)
    with pytest.raises(DeployError, match=r"runs/mask is not a converted model \(it has no manifest\.json\): name"):
        read_model(tmp_path / "runs/mask")


@pytest.mark.parametrize("fault", ["altered", "absent", "no manifest", "not JSON", "other file"])
def test_other_files_than_models_are_refused(model: Path, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    named = model
    if fault == "altered":
        (model / "mask-small.tflite").write_bytes(b"another")
    elif fault == "absent":
        (model / "mask-small.tflite").unlink()
    elif fault == "no manifest":
        (model / "manifest.json").unlink()
    elif fault == "not JSON":
        (model / "manifest.json").write_text("[]")
    else:
        named = model / "other.tflite"
    with pytest.raises(DeployError, match=r"make convert|convert the model again"):
        read_model(named)
    assert main(["install", "pi@door.invalid", "--model", str(named)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
