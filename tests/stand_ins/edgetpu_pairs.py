"""What the Edge TPU Compiler mapped in models that are public both before and after it, without the models themselves.

Writes the table that the prediction is held against:

    python -m tests.stand_ins.edgetpu_pairs FOLDER

FOLDER holds ``name.tflite`` next to ``name_edgetpu.tflite``, at any depth. The table in the repository is of
google-coral/test_data at 104342d, google-coral/edgetpu at 5020de9 and ricardodeazambuja/LibrEdgeTPU at be71d6d, as
``FOLDER/OWNER/NAME``, without eleven compiled files that could not be had, and of one model of ESCVM's.

Of each model the table keeps what decides the mapping (operations, their versions, types, shapes, options) and where
each operation ran: those that are still next to the ``edgetpu-custom-op`` of the compiled file were left on the CPU.
Models that agree in all of it share an entry. It is also told how many of the compiled files pass the check that ours
have to pass.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convert.edgetpu.command import CUSTOM, verify
from convert.edgetpu.compiler import Compiled, Row
from convert.edgetpu.mapping import Where
from convert.tflite_file import ModelFacts, Operation, TensorFacts, read
from edge.errors import ModelError

TABLE = Path(__file__).with_name("edgetpu_pairs.json")
COMPILED = "_edgetpu.tflite"
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


def pairs(folder: Path) -> Iterator[tuple[str, bytes, bytes]]:
    """Every model in ``folder``: its name, its file before and after compilation."""
    for compiled in sorted(folder.rglob(f"*{COMPILED}")):
        model = compiled.with_name(compiled.name.replace(COMPILED, ".tflite"))
        if model.exists():
            yield str(model.relative_to(folder)), model.read_bytes(), compiled.read_bytes()


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
                operation.version,
                str(where),
            ]
            for operation, where in zip(model.operations, places(model, compiled), strict=True)
        ],
    }


def refusal(model: ModelFacts, content: bytes) -> str | None:
    """Why ``convert edgetpu`` would refuse a compiled file, whatever it leaves on the CPU; None if it would not."""
    left = Counter(one.name for one in read(content).operations if one.name != CUSTOM)
    rows = tuple(Row(name, number, "left on the CPU") for name, number in left.items())
    try:
        verify(model, Compiled(content, rows, {}, "unknown"), most_on_cpu=sum(left.values()))
    except ModelError as error:
        return str(error)
    return None


def from_entry(entry: dict[str, Any]) -> list[tuple[Operation, Where]]:
    """The operations of a line in the table, and where each ran."""
    tensors = [
        TensorFacts(f"t{number}", kind, tuple(shape), False, bool(constant), (), (), 0, tuple(integers))
        for number, (kind, shape, constant, integers) in enumerate(entry["tensors"])
    ]
    return [
        (
            Operation(name, tuple(tensors[i] for i in reads), tuple(tensors[i] for i in writes), options, version),
            Where(where),
        )
        for name, reads, writes, options, version, where in entry["operations"]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    entries: dict[str, list[str]] = {}
    refused = 0
    for name, content, compiled in pairs(parser.parse_args().folder):
        model = read(content)
        entry = json.dumps(as_entry(model, read(compiled)), separators=(",", ":"))
        entries.setdefault(entry, []).append(name)
        if why := refusal(model, compiled):
            refused += 1
            print(f"{name}: {why}")
    lines = ",\n".join(f'{{"models":{json.dumps(names)},{entry[1:]}' for entry, names in entries.items())
    TABLE.write_text(f"[\n{lines}\n]\n")
    models = sum(map(len, entries.values()))
    print(f"{TABLE}: {models} models, {len(entries)} of them different; {models - refused} pass the check")


if __name__ == "__main__":
    main()
