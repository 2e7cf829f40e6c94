"""The manifest, the proof of each file, and the choice of a runtime."""

import hashlib
import json
import sys
import types
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from edge import runtime
from edge.config import RuntimeSettings
from edge.errors import ModelError
from edge.runtime import Quantization, Tensor, default_threads, open_model
from edge.values import Label
from edge.vision.models import SHIPPED_MANIFEST, FaceEntry, MaskEntry, load_model, read_manifest
from tests.nonempty import some

CONTENT = b"a model's bytes"


def manifest(folder: Path, **changes: Any) -> str:
    """Write a manifest with one mask model and its file; returns the model's reference."""
    entry = {
        "file": "own.tflite",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "task": "mask-classification",
        "input": {"width": 128, "height": 128},
        "labels": ["without_mask", "with_mask"],
        "margin": 0.3,
        "training": "python -m train mask",
        "data": ["masks"],
        "figures": {"anything": {"goes": 1}},
        "card": "own.md",
    }
    (folder / "own.tflite").write_bytes(CONTENT)
    path = folder / "manifest.json"
    path.write_text(json.dumps({"version": 1, "models": {"own": entry | changes}}))
    return f"{path}#own"


# The manifest


def test_own_models_are_named_by_manifest(tmp_path: Path) -> None:
    model = load_model(manifest(tmp_path), MaskEntry)
    assert (model.name, model.content) == ("own", CONTENT)
    assert model.entry.labels == (Label.WITHOUT_MASK, Label.WITH_MASK)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"A model's bytes", b""])
def test_altered_files_are_never_read(tmp_path: Path, content: bytes) -> None:
    reference = manifest(tmp_path)
    (tmp_path / "own.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=r"own\.tflite is not the one in its manifest"):
        load_model(reference, MaskEntry)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    reference = manifest(tmp_path)
    (tmp_path / "own.tflite").unlink()
    with pytest.raises(ModelError, match=r"own\.tflite cannot be read \(No such file or directory\)"):
        load_model(reference, MaskEntry)


def test_unknown_name_lists_the_known(tmp_path: Path) -> None:
    reference = manifest(tmp_path).replace("#own", "#other")
    with pytest.raises(ModelError, match=r"no model 'other'.*own"):
        load_model(reference, MaskEntry)


def test_model_of_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="mask-classification"):
        load_model(manifest(tmp_path), FaceEntry)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": ["with_mask", "scarf"]}, "labels"),
        ({"margins": 0.3}, "margins"),
        ({"file": "../own.tflite"}, "file"),
        ({"sha256": "abc"}, "sha256"),
        ({"task": "poetry"}, "poetry"),
        ({"margin": -1}, "margin"),
        ({"margin": float("inf")}, "margin"),
        ({"margin": 1e9}, "margin"),
        ({"file": "own.tflite\0"}, "file"),
        ({"labels": ["with_mask", "with_mask"]}, "labels"),
        ({"task": "face-detection", "labels": ["face"], "strides": [0]}, "strides"),
    ],
)
def test_wrong_manifest_names_the_place(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_model(manifest(tmp_path, **changes), MaskEntry)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "models": {}}'])
def test_other_files_are_no_manifest(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"manifest\.json is wrong") as raised:
        read_manifest(path)
    assert "\n" not in str(raised.value)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.json cannot be read"):
        read_manifest(tmp_path / "nowhere.json")


# The choice of a runtime


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runtimes that open a model, or fail with the given error; returns a function that sets them up."""
    opened: list[tuple[str, bytes, int]] = []

    def install(**outcomes: Exception | None) -> list[tuple[str, bytes, int]]:
        for name, outcome in outcomes.items():
            monkeypatch.setitem(sys.modules, f"fake_{name}", backend(name, outcome))
        monkeypatch.setattr(runtime, "BACKENDS", {name: f"fake_{name}" for name in outcomes})
        monkeypatch.setattr(
            runtime, "PACKAGES", {name: runtime.Package(f"{name}-package", (name,), name) for name in outcomes}
        )
        return opened

    def backend(name: str, outcome: Exception | None) -> types.ModuleType:
        def open_fake(content: bytes, threads: int) -> str:
            if outcome:
                raise outcome
            opened.append((name, content, threads))
            return name

        module = types.ModuleType(f"fake_{name}")
        module.open_model = open_fake  # type: ignore[attr-defined]
        return module

    return install


def test_auto_takes_the_first_working(fakes: Any) -> None:
    opened = fakes(litert=ImportError("No module named 'x'"), tensorflow=None)
    open_model(CONTENT, "auto", threads=3)
    assert opened == [("tensorflow", CONTENT, 3)]


def test_auto_stops_at_the_first(fakes: Any) -> None:
    opened = fakes(litert=None, tensorflow=None)
    open_model(CONTENT)
    assert [name for name, *_ in opened] == ["litert"]


def test_named_runtime_is_never_replaced(fakes: Any) -> None:
    opened = fakes(litert=None, tensorflow=ImportError("No module named 'tensorflow'"))
    with pytest.raises(ModelError, match="tensorflow cannot be used"):
        open_model(CONTENT, "tensorflow")
    assert opened == []


def test_missing_runtime_says_what_to_install(fakes: Any) -> None:
    fakes(litert=ImportError("No module named 'a'"), tensorflow=ImportError("No module named 'b'"))
    with pytest.raises(ModelError) as raised:
        open_model(CONTENT, name="face.tflite")
    said = str(raised.value)
    assert said.startswith("No runtime can run face.tflite: litert cannot be used (No module named 'a'); tensorflow")
    assert said.endswith("pip install litert-package")


def test_refused_model_says_why(fakes: Any) -> None:
    fakes(litert=RuntimeError("Unknown op\nmore lines"), tensorflow=ImportError("No module named 'b'"))
    with pytest.raises(ModelError) as raised:
        open_model(CONTENT)
    assert "litert refused it (Unknown op)" in str(raised.value)
    assert "restore its file" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_tflite_runtime_needs_numpy_1(monkeypatch: pytest.MonkeyPatch) -> None:
    package, module = types.ModuleType("tflite_runtime"), types.ModuleType("tflite_runtime.interpreter")
    module.Interpreter = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tflite_runtime", package)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", module)
    monkeypatch.setattr(np, "__version__", "2.1.0")
    with pytest.raises(ModelError, match=r"needs numpy 1, and numpy 2\.1\.0 is installed"):
        open_model(CONTENT, "tflite-runtime")


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 2), (8, 4), (64, 4)])
def test_threads_are_half_the_cores(monkeypatch: pytest.MonkeyPatch, cores: int, threads: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    assert default_threads() == threads


# Quantization


def test_stored_and_real_values_agree() -> None:
    steps = Quantization(0.5, -3)
    tensor = Tensor(np.array([-3, 1], np.int8), steps)
    assert tensor.real().tolist() == [0.0, 2.0]
    assert [steps.stored(real) for real in (0.0, 2.0)] == [-3.0, 1.0]


# The real thing


@pytest.mark.parametrize("name", ["face", "mask"])
def test_a_shipped_model_runs(name: str) -> None:
    shipped = load_model(name, FaceEntry if name == "face" else MaskEntry)
    model = open_model(shipped.content, threads=1)
    size = shipped.entry.input
    assert model.input.shape == (1, size.height, size.width, 3)
    assert model.input.dtype == np.int8
    outputs = model.invoke(np.zeros(model.input.shape, np.int8))
    assert [output.values.shape for output in outputs] == [spec.shape for spec in model.outputs]
    assert all(output.values.dtype == np.int8 for output in some(outputs))


def test_outputs_survive_the_next_run() -> None:
    shipped = load_model("mask", MaskEntry)
    model = open_model(shipped.content, threads=1)
    (dark,) = model.invoke(np.full(model.input.shape, -128, np.int8))
    kept = dark.values.copy()
    noise = np.random.default_rng(0).integers(-128, 127, model.input.shape).astype(np.int8)
    model.invoke(noise)
    assert (dark.values == kept).all()


@pytest.mark.parametrize("damage", ["empty", "text", "truncated"])
def test_other_bytes_are_no_model(damage: str) -> None:
    content = load_model("mask", MaskEntry).content
    bad = {"empty": b"", "text": b"not a model", "truncated": content[: len(content) // 2]}[damage]
    with pytest.raises(ModelError, match="litert refused it"):
        open_model(bad, "litert", threads=1)


def test_shipped_files_match_the_manifest() -> None:
    models = read_manifest(SHIPPED_MANIFEST).models
    assert {"face", "mask"} <= set(models)
    for name, entry in some(models.items()):
        assert load_model(name, type(entry)).content
        assert (SHIPPED_MANIFEST.parent / entry.card).is_file()


@pytest.mark.parametrize("backend", ["litert", "tensorflow"])
def test_float_model_runs_everywhere(backend: Any) -> None:
    tensorflow = pytest.importorskip("tensorflow")
    function = tensorflow.function(lambda x: x * 2.0).get_concrete_function(tensorflow.TensorSpec((1, 2)))
    content = tensorflow.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    (output,) = open_model(content, backend, threads=1).invoke(np.array([[1.5, -4.0]], np.float32))
    assert output.real().tolist() == [[3.0, -8.0]]


def test_the_settings_name_every_runtime() -> None:
    assert get_args(RuntimeSettings.model_fields["backend"].annotation) == ("auto", *runtime.BACKENDS)
    assert list(runtime.PACKAGES) == list(runtime.BACKENDS)
