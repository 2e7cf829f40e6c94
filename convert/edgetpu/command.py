"""``python -m convert edgetpu``: predict what the Edge TPU runs, compile for it, check the result, enter it."""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from convert import tflite_file as check
from convert.edgetpu import compiler as edgetpu_compiler
from convert.edgetpu import mapping as edgetpu_mapping
from convert.edgetpu.compiler import Compiled
from convert.publish import MANIFEST, enter
from edge.config import Config
from edge.errors import ConfigError, ModelError
from edge.vision.models import (
    EdgeTpuVariant,
    FaceEntry,
    Manifest,
    ModelEntry,
    ModelFile,
    load_model,
    load_shapes,
    read_manifest,
)

CUSTOM = "CUSTOM edgetpu-custom-op"
"""The operation that stands for all that was mapped."""


def run(args: argparse.Namespace) -> int:
    """Print the prediction; unless only that was asked for, compile, check, and enter the result into the manifest.

    Args:
        args: Of the command line.

    Raises:
        ConfigError: There is no compiler, or the folder cannot be written.
        ModelError: A model is absent or altered, the compiler failed, or left too much on the CPU.
    """
    manifest = args.models / MANIFEST
    names = args.names or usual(read_manifest(manifest))
    models = [load_model(f"{manifest}#{name}", ModelEntry) for name in names]
    facts = [check.read(model.content) for model in models]
    for model, one in zip(models, facts, strict=True):
        print(edgetpu_mapping.report(model.name, edgetpu_mapping.predict(one.operations)))
        for shape in _other_shapes(model):
            print(
                edgetpu_mapping.report(shape.path.stem, edgetpu_mapping.predict(check.read(shape.content).operations))
            )
    if args.report:
        return 0
    compiler = edgetpu_compiler.find(args.compiler)
    together = _compile(compiler, models)
    for model, one, compiled in zip(models, facts, together, strict=True):
        _describe(model, one, compiled, args.most_on_cpu)
    if len(models) > 1:
        _compare(models, together, [_compile(compiler, [model])[0] for model in models])
    _enter_all(manifest, models, together)
    print(f"Entered {' and '.join(names)} into {manifest}")
    return 0


def _other_shapes(model: ModelFile[ModelEntry]) -> list[ModelFile[FaceEntry]]:
    if not isinstance(model.entry, FaceEntry):
        return []
    return load_shapes(ModelFile(model.name, model.path, model.entry, model.content))[1:]


def usual(manifest: Manifest) -> list[str]:
    """The models that share a device unless the configuration names others; of a manifest without them, all."""
    config = Config()
    return sorted({config.face.model, config.mask.model} & manifest.models.keys()) or sorted(manifest.models)


def verify(original: check.ModelFacts, compiled: Compiled, most_on_cpu: int) -> int:
    """Refuse a compiled model that is not the original one, or leaves too much to the CPU.

    Args:
        original: What the model was before.
        compiled: What the compiler made of it.
        most_on_cpu: How many operations may be left on the CPU.

    Returns:
        How many operations are.

    Raises:
        ModelError: Its inputs or outputs changed, its log and its content differ, or the limit is exceeded.
    """
    facts = check.read(compiled.content)
    if _interface(facts) != _interface(original):
        raise ModelError("The compiled model's inputs or outputs are not the original's: update the compiler.")
    left = [operation.name for operation in facts.operations if operation.name != CUSTOM]
    logged = [row for row in compiled.rows if not row.mapped]
    if len(left) != sum(row.number for row in logged):
        raise ModelError(
            f"The compiled model has {len(left)} operations for the CPU, and its log tells of "
            f"{sum(row.number for row in logged)}: delete what an earlier run left, and compile again."
        )
    if len(left) > most_on_cpu or len(left) == len(facts.operations):
        listed = "; ".join(f"{row.number} {row.operation} ({row.status})" for row in logged)
        raise ModelError(
            f"{len(left)} operations were left on the CPU, more than the {most_on_cpu} allowed: {listed}. "
            "Train or convert without them, or allow them with --most-on-cpu."
        )
    return len(left)


def _interface(facts: check.ModelFacts) -> list[list[tuple[object, ...]]]:
    return [
        sorted((tensor.name, tensor.type, tensor.shape, tensor.scales, tensor.zero_points) for tensor in side)
        for side in (facts.inputs, facts.outputs)
    ]


def _compile(compiler: Path, models: Sequence[ModelFile[ModelEntry]]) -> list[Compiled]:
    with tempfile.TemporaryDirectory(prefix="maskgate-edgetpu-") as folder:
        copies = [Path(folder) / model.entry.file for model in models]
        for copy, model in zip(copies, models, strict=True):
            copy.write_bytes(model.content)
        return edgetpu_compiler.compile_models(compiler, copies, Path(folder))


def _describe(model: ModelFile[ModelEntry], facts: check.ModelFacts, compiled: Compiled, most_on_cpu: int) -> None:
    try:
        left = verify(facts, compiled, most_on_cpu)
    except ModelError as error:
        raise ModelError(f"{model.name}: {error}") from error
    total = len(facts.operations)
    print(f"{model.name}: compiled; {total - left} of {total} operations run on the Edge TPU, {left} on the CPU")
    for row in compiled.rows:
        if not row.mapped:
            print(f"  {row.number:4} {row.operation:28} cpu        {row.status}")


def _compare(models: Iterable[ModelFile[ModelEntry]], together: Iterable[Compiled], alone: Iterable[Compiled]) -> None:
    print("Parameters in the Edge TPU's own memory / streamed to it for every picture:")
    for model, both, one in zip(models, together, alone, strict=True):
        print(f"  {model.name:8} compiled together {_memory(both)}, alone {_memory(one)}")


def _memory(compiled: Compiled) -> str:
    return " / ".join(compiled.memory.get(key, "not told") for key in ("on_chip", "off_chip"))


def _enter_all(manifest: Path, models: Sequence[ModelFile[ModelEntry]], compiled: Sequence[Compiled]) -> None:
    entries = read_manifest(manifest).models
    names = [model.name for model in models]
    try:
        for model, one in zip(models, compiled, strict=True):
            variant = EdgeTpuVariant(
                file=f"{Path(model.entry.file).stem}_edgetpu.tflite",
                sha256=hashlib.sha256(one.content).hexdigest(),
                compiler=one.version,
                together_with=tuple(name for name in names if name != model.name),
            )
            (manifest.parent / variant.file).write_bytes(one.content)
            enter(manifest, model.name, entries[model.name].model_copy(update={"edgetpu": variant}))
    except OSError as error:
        raise ConfigError(f"Cannot write to {manifest.parent} ({error.strerror}): name another --models.") from error
