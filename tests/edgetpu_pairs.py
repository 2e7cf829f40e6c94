"""What the Edge TPU Compiler mapped in models that are public both before and after it, without the models themselves.

Writes the table that the prediction is held against:

    python -m tests.edgetpu_pairs FOLDER

FOLDER holds ``name.tflite`` beside ``name_edgetpu.tflite``, at any depth. Of each model the table keeps what decides
the mapping (operations, types, shapes, options) and where each operation ran: those that are still beside the
``edgetpu-custom-op`` of the compiled file were left on the CPU. Models that agree in all of it share an entry.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convert.check import ModelFacts, Operation, TensorFacts, read
from convert.edgetpu_mapping import Where

TABLE = Path(__file__).with_name("edgetpu_pairs.json")
COMPILED = "_edgetpu.tflite"
CUSTOM = "CUSTOM edgetpu-custom-op"
OPTIONS = (
    "axis",
    "dilationHFactor",
    "dilationWFactor",
    "ellipsisMask",
    "fusedActivationFunction",
    "newAxisMask",
    "weightsFormat",
)
"""Of operations: those that decide the mapping."""


def pairs(folder: Path) -> Iterator[tuple[str, ModelFacts, ModelFacts]]:
    """Every model in ``folder``: its name, its content before and after compilation."""
    for compiled in sorted(folder.rglob(f"*{COMPILED}")):
        model = compiled.with_name(compiled.name.replace(COMPILED, ".tflite"))
        if model.exists():
            yield str(model.relative_to(folder)), read(model.read_bytes()), read(compiled.read_bytes())


def places(model: ModelFacts, compiled: ModelFacts) -> list[Where]:
    """Where each operation of ``model`` runs once it is compiled, told by the names of the tensors that it writes."""
    left = {tensor.name for one in compiled.operations if one.name != CUSTOM for tensor in one.outputs}
    return [
        Where.CPU if any(tensor.name in left for tensor in operation.outputs) else Where.EDGE_TPU
        for operation in model.operations
    ]


def as_entry(model: ModelFacts, compiled: ModelFacts) -> dict[str, Any]:
    """A model's line in the table, JSON-ready."""
    used = {tensor.name: tensor for one in model.operations for tensor in (*one.inputs, *one.outputs)}
    number = {name: position for position, name in enumerate(used)}
    return {
        "tensors": [[one.type, one.shape, int(one.constant), one.integers] for one in used.values()],
        "operations": [
            [
                operation.name,
                [number[tensor.name] for tensor in operation.inputs],
                [number[tensor.name] for tensor in operation.outputs],
                {key: operation.options[key] for key in OPTIONS if key in operation.options},
                str(where),
            ]
            for operation, where in zip(model.operations, places(model, compiled), strict=True)
        ],
    }


def from_entry(entry: dict[str, Any]) -> list[tuple[Operation, Where]]:
    """The operations of a line in the table, and where each ran."""
    tensors = [
        TensorFacts(f"t{number}", kind, tuple(shape), False, bool(constant), (), (), 0, tuple(integers))
        for number, (kind, shape, constant, integers) in enumerate(entry["tensors"])
    ]
    return [
        (Operation(name, tuple(tensors[i] for i in reads), tuple(tensors[i] for i in writes), options), Where(where))
        for name, reads, writes, options, where in entry["operations"]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    entries: dict[str, list[str]] = {}
    for name, model, compiled in pairs(parser.parse_args().folder):
        entry = json.dumps(as_entry(model, compiled), separators=(",", ":"))
        entries.setdefault(entry, []).append(name)
    lines = ",\n".join(f'{{"models":{json.dumps(names)},{entry[1:]}' for entry, names in entries.items())
    TABLE.write_text(f"[\n{lines}\n]\n")
    print(f"{TABLE}: {sum(map(len, entries.values()))} models, {len(entries)} of them different")


if __name__ == "__main__":
    main()
