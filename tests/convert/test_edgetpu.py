"""Compiling for the Edge TPU: what is predicted without the compiler, and what is made of what it says."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from convert import tflite_file as check
from convert.__main__ import main
from convert.edgetpu.compiler import Row, compile_models
from convert.edgetpu.mapping import NEWEST_OTHERWISE, NEWEST_SEEN, Where, predict
from convert.publish import publish
from convert.tflite_file import Operation, TensorFacts
from edge.errors import ModelError
from edge.vision.models import SHIPPED_MANIFEST, MaskEntry, edgetpu_content, load_model, read_manifest
from tests.nonempty import some
from tests.stand_ins.edgetpu_pairs import TABLE, from_entry
from tests.stand_ins.edgetpu_stand_in import with_custom_op

ROOT = Path(__file__).parents[2]
SHIPPED = SHIPPED_MANIFEST.parent


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the shipped models, with an entry of each that names no compiled variant."""
    folder = tmp_path / "models"
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest["models"].values():
        entry.pop("edgetpu", None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def compile_with(models: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs ``python -m convert edgetpu`` with a stand-in compiler that behaves as told; its exit code."""

    def run(*behaviour: str, arguments: tuple[str, ...] = ()) -> int:
        compiler = tmp_path / "edgetpu_compiler"
        told = " ".join(f"'{word}'" for word in behaviour)
        compiler.write_text(
            f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.stand_ins.edgetpu_stand_in {told} -- "$@"\n'
        )
        compiler.chmod(0o755)
        return main(["edgetpu", "--models", str(models), "--compiler", str(compiler), *arguments])

    return run


# The prediction


def test_predictions_agree_with_public_models() -> None:
    entries = json.loads(TABLE.read_text())
    outcomes: Counter[tuple[Where, Where]] = Counter()
    for entry in some(entries):
        operations = from_entry(entry)
        for one, (_, truth) in some(zip(predict([operation for operation, _ in operations]), operations, strict=True)):
            outcomes[one.where, truth] += len(entry["models"])
            assert one.where in (truth, Where.UNVERIFIED), (entry["models"], one.operation.name, one.why)
    assert sum(len(entry["models"]) for entry in entries) == 54
    assert outcomes == {
        (Where.EDGE_TPU, Where.EDGE_TPU): 1403,
        (Where.CPU, Where.CPU): 98,
        (Where.UNVERIFIED, Where.EDGE_TPU): 37,
    }


def test_known_versions_were_seen_mapped() -> None:
    newest: Counter[str] = Counter()
    for entry in json.loads(TABLE.read_text()):
        for operation, where in from_entry(entry):
            if where is Where.EDGE_TPU:
                newest[operation.name] = max(newest[operation.name], operation.version)
    assert {name: version for name, version in newest.items() if version > NEWEST_OTHERWISE} == NEWEST_SEEN


@pytest.mark.parametrize("name", ["face", "mask"])
def test_shipped_models_fit_the_edge_tpu(name: str) -> None:
    operations = check.read((SHIPPED / f"{name}.tflite").read_bytes()).operations
    assert {one.where for one in predict(operations)} == {Where.EDGE_TPU}


def test_the_report_is_only_a_prediction(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["edgetpu", "--models", str(models), "--report"]) == 0
    said = capsys.readouterr().out
    assert "face: predicted to run on the Edge TPU: 73 of 73 operations; only the compiler decides" in said
    assert "mask: predicted to run on the Edge TPU: 65 of 65 operations; only the compiler decides" in said
    assert not list(models.glob("*_edgetpu.tflite"))


def tensor(name: str, *shape: int, kind: str = "INT8", values: tuple[int, ...] | None = None) -> TensorFacts:
    return TensorFacts(name, kind, shape, False, values is not None, (), (), 0, values or ())


def step(name: str, *reads: TensorFacts, writes: TensorFacts, version: int = 1, **options: int) -> Operation:
    return Operation(name, reads, (writes,), options, version)


PICTURE = tensor("picture", 1, 8, 8, 6)
DONE = tensor("done", 1, 8, 8, 6)
VECTOR = tensor("vector", 1, 6)


@pytest.mark.parametrize(
    ("operation", "where", "why"),
    [
        (step("TANH", PICTURE, writes=DONE), Where.EDGE_TPU, "documented"),
        (step("CUSTOM own-op", PICTURE, writes=DONE), Where.CPU, "custom"),
        (step("HARD_SWISH", PICTURE, writes=DONE), Where.CPU, "not among"),
        (step("QUANTIZE", tensor("a", 1, 8, kind="FLOAT32"), writes=VECTOR), Where.CPU, "float32"),
        (step("ADD", tensor("a", 2, 8, 8, 6), PICTURE, writes=DONE), Where.CPU, "3 axes"),
        (step("ADD", tensor("a", -1, 8, 8, 6), PICTURE, writes=DONE), Where.CPU, "open"),
        (step("MAX_POOL_2D", PICTURE, writes=DONE, fusedActivationFunction=1), Where.CPU, "activation"),
        (step("CONV_2D", PICTURE, writes=DONE, dilationWFactor=2, dilationHFactor=1), Where.CPU, "dilation"),
        (step("MEAN", PICTURE, tensor("axes", 1, values=(1, 2)), writes=VECTOR), Where.EDGE_TPU, "documented"),
        (step("MEAN", PICTURE, tensor("axes", 1, values=(-1,)), writes=VECTOR), Where.CPU, "multiple of 4"),
        (step("SUM", PICTURE, tensor("axes", 1, values=(0,)), writes=VECTOR), Where.CPU, "batch"),
        (step("PAD", PICTURE, tensor("p", 4, 2, values=(0, 0, 1, 1, 1, 1, 0, 0)), writes=DONE), Where.EDGE_TPU, ""),
        (step("PAD", PICTURE, tensor("p", 4, 2, values=(0, 1, 0, 0, 0, 0, 0, 0)), writes=DONE), Where.CPU, "batch"),
        (step("SPLIT", tensor("axis", values=(0,)), PICTURE, writes=DONE), Where.CPU, "batch"),
        (step("PACK", VECTOR, VECTOR, writes=tensor("o", 2, 1, 6), axis=0), Where.CPU, "batch"),
        (step("FULLY_CONNECTED", VECTOR, writes=tensor("o", 1, 6), weightsFormat=1), Where.CPU, "default format"),
        (step("FULLY_CONNECTED", VECTOR, writes=tensor("o", 1, 6), weightsFormat=0, version=4), Where.EDGE_TPU, ""),
        (
            step("FULLY_CONNECTED", VECTOR, writes=tensor("o", 1, 6), weightsFormat=0, version=12),
            Where.UNVERIFIED,
            "12",
        ),
        (step("TANH", PICTURE, writes=DONE, version=3), Where.UNVERIFIED, "its version 3 is newer than 2"),
        (step("SOFTMAX", tensor("a", 1, 20_000), writes=VECTOR), Where.UNVERIFIED, "16,000"),
        (step("SOFTMAX", tensor("a", 1, 4, 4), writes=VECTOR), Where.CPU, "one axis"),
        (step("PRELU", PICTURE, tensor("alpha", 8, 8, 6, values=(1,)), writes=DONE), Where.CPU, "alpha"),
        (step("RESHAPE", tensor("a", 1, 400, 400), writes=VECTOR), Where.UNVERIFIED, "large"),
        (step("RESIZE_BILINEAR", PICTURE, writes=tensor("o", 1, 16, 16, 6)), Where.EDGE_TPU, "seen mapped"),
        (step("RESIZE_BILINEAR", PICTURE, writes=tensor("o", 1, 40, 16, 6)), Where.UNVERIFIED, "5 times"),
        (step("RESIZE_BILINEAR", PICTURE, writes=tensor("o", 1, 160, 16, 6)), Where.CPU, "20 times"),
        (
            step("CONCATENATION", PICTURE, tensor("zeros", 1, 8, 8, 2, values=(0,)), writes=DONE),
            Where.UNVERIFIED,
            "constant",
        ),
    ],
)
def test_the_documented_limits_are_heeded(operation: Operation, where: Where, why: str) -> None:
    (one,) = predict([operation])
    assert (one.where, why in one.why) == (where, True), one


def test_operations_after_cpu_stay_there() -> None:
    a, b, c, d = (tensor(name, 1, 8) for name in "abcd")
    chain = [
        step("TANH", PICTURE, writes=a),
        step("LOGISTIC", a, writes=b),
        step("EXP", b, writes=c),
        step("TANH", c, writes=d),
    ]
    assert [one.where for one in predict(chain)] == [Where.EDGE_TPU, Where.EDGE_TPU, Where.CPU, Where.CPU]
    assert predict(chain)[3].why == "outside the one part of the graph that is mapped"


def test_doubt_spreads_to_later_operations() -> None:
    large = tensor("large", 1, 400, 400)
    chain = [
        step("TANH", PICTURE, writes=large),
        step("RESHAPE", large, writes=VECTOR),
        step("TANH", VECTOR, writes=tensor("end", 1, 6)),
    ]
    assert [one.where for one in predict(chain)] == [Where.EDGE_TPU, Where.UNVERIFIED, Where.UNVERIFIED]


def test_circular_operations_are_refused() -> None:
    with pytest.raises(ModelError, match="in a circle"):
        predict([step("TANH", PICTURE, writes=PICTURE)])


# The compiler

SAID = """\
Edge TPU Compiler version 15.0.340273435

Model compiled successfully in 577 ms.

Input model: /home/yolo/yolov3-tiny_int8.tflite
Input size: 8.58MiB
Output model: /home/yolo/yolov3-tiny_int8_edgetpu.tflite
Output size: 8.70MiB
On-chip memory used for caching model parameters: 3.00KiB
On-chip memory remaining for caching model parameters: 7.67MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 36
Operation log: /home/yolo/yolov3-tiny_int8_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model will \
instead run on the CPU, which is slower. If possible, consider updating your model to use only operations supported by \
the Edge TPU. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 2
Number of operations that will run on CPU: 34

"""
LOG = """\
Operator                       Count      Status

MAX_POOL_2D                    6          More than one subgraph is not supported
QUANTIZE                       2          Operation is otherwise supported, but not mapped due to some unspecified \
limitation
QUANTIZE                       1          Mapped to Edge TPU
QUANTIZE                       1          More than one subgraph is not supported
CONV_2D                        1          Mapped to Edge TPU
CONV_2D                        12         More than one subgraph is not supported
RESIZE_NEAREST_NEIGHBOR        1          Operation version not supported
LEAKY_RELU                     11         Operation not supported
CONCATENATION                  1          More than one subgraph is not supported
"""
"""What the real compiler said of a YOLOv3-tiny, as its user published it."""


def test_real_compiler_output_is_read(tmp_path: Path) -> None:
    said, model = tmp_path / "said", tmp_path / "yolov3-tiny_int8.tflite"
    said.write_text(f"{SAID}{LOG}")
    compiler = tmp_path / "edgetpu_compiler"
    compiler.write_text(f"#!/bin/sh\ncat {said}\n")
    compiler.chmod(0o755)
    (tmp_path / "yolov3-tiny_int8_edgetpu.tflite").touch()
    (tmp_path / "yolov3-tiny_int8_edgetpu.log").write_text(LOG)
    (compiled,) = compile_models(compiler, [model], tmp_path)
    assert compiled.version == "15.0.340273435"
    assert compiled.memory == {"on_chip": "3.00KiB", "left_on_chip": "7.67MiB", "off_chip": "0.00B"}
    assert sum(row.number for row in compiled.rows if row.mapped) == 2
    assert sum(row.number for row in compiled.rows if not row.mapped) == 34
    assert Row("RESIZE_NEAREST_NEIGHBOR", 1, "Operation version not supported") in compiled.rows


def test_a_missing_compiler_is_explained(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["edgetpu", "--models", str(models)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "edgetpu_compiler is not on the PATH" in said
    assert "docs/how-to/edgetpu.md" in said


def test_both_models_are_compiled_together(
    compile_with: Callable[..., int], models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compile_with() == 0
    entries = read_manifest(models / "manifest.json").models
    for name, other in (("face", "mask"), ("mask", "face")):
        variant = entries[name].edgetpu
        assert variant is not None
        assert (variant.file, variant.together_with) == (f"{name}_edgetpu.tflite", (other,))
        assert variant.compiler == "16.0.384591198"
        assert variant.sha256 == hashlib.sha256((models / variant.file).read_bytes()).hexdigest()
    assert entries["mask-224"].edgetpu is None
    said = capsys.readouterr().out
    assert "face: compiled; 73 of 73 operations run on the Edge TPU, 0 on the CPU" in said
    assert "mask     compiled together 2.43MiB / 0.00B, alone 2.43MiB / 0.00B" in said


def test_the_device_refuses_an_altered_variant(compile_with: Callable[..., int], models: Path) -> None:
    compile_with()
    model = load_model(f"{models}/manifest.json#mask", MaskEntry)
    assert edgetpu_content(model) == (models / "mask_edgetpu.tflite").read_bytes()
    (models / "mask_edgetpu.tflite").write_bytes(b"altered")
    with pytest.raises(ModelError, match="not the one in its manifest"):
        edgetpu_content(model)


def test_publishing_takes_the_compiled_variant_along(
    compile_with: Callable[..., int], models: Path, tmp_path: Path
) -> None:
    compile_with()
    publish([], models, tmp_path / "shipped")
    assert edgetpu_content(load_model(f"{tmp_path}/shipped/manifest.json#mask", MaskEntry))


def test_cpu_operations_are_listed_and_limited(
    compile_with: Callable[..., int], models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (models / "manifest.json").read_bytes()
    assert compile_with("--leave", "2") == 4
    said = capsys.readouterr().err
    assert "face: 2 operations were left on the CPU, more than the 0 allowed" in said
    assert "More than one subgraph is not supported" in said
    assert (models / "manifest.json").read_bytes() == before
    assert compile_with("--leave", "2", arguments=("--most-on-cpu", "2")) == 0
    assert "face: compiled; 71 of 73 operations run on the Edge TPU, 2 on the CPU" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (("--fail", "Compilation failed due to large activation tensors in model."), "large activation tensors"),
        (("--forget",), "left no face_edgetpu.tflite"),
    ],
)
def test_compiler_failures_are_quoted(
    compile_with: Callable[..., int],
    models: Path,
    capsys: pytest.CaptureFixture[str],
    behaviour: tuple[str, ...],
    said: str,
) -> None:
    before = (models / "manifest.json").read_bytes()
    assert compile_with(*behaviour) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert (models / "manifest.json").read_bytes() == before
    assert not list(models.glob("*_edgetpu.tflite"))


def test_another_compiled_model_is_refused(models: Path) -> None:
    from convert.edgetpu.command import verify
    from convert.edgetpu.compiler import Compiled

    face = check.read((models / "face.tflite").read_bytes())
    other = with_custom_op((models / "mask.tflite").read_bytes())
    with pytest.raises(ModelError, match="inputs or outputs"):
        verify(face, Compiled(other, (), {}, "16.0"), 0)


def test_contradictory_compiler_logs_are_refused(models: Path) -> None:
    from convert.edgetpu.command import verify
    from convert.edgetpu.compiler import Compiled

    content = (models / "face.tflite").read_bytes()
    with pytest.raises(ModelError, match="has 1 operations for the CPU, and its log tells of 0"):
        verify(check.read(content), Compiled(with_custom_op(content, leave=1), (), {}, "16.0"), 5)
