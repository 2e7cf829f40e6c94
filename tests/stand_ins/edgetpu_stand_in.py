"""Stands in for Google's edgetpu_compiler: the same arguments, files and words, as documented and as public logs show.

    python -m tests.stand_ins.edgetpu_stand_in --leave 2 -- -s -o out/ face.tflite mask.tflite

What it writes is a model whose first operations are one ``edgetpu-custom-op``, which no Edge TPU could run.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from convert import tflite_file as check

VERSION = "Edge TPU Compiler version 16.0.384591198"
NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


def with_custom_op(content: bytes, leave: int = 0, code: str = "edgetpu-custom-op") -> bytes:
    """A model in which all but the last ``leave`` operations are one custom operation of the name ``code``."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    kept = len(graph.operators) - leave
    mapped, left = graph.operators[:kept], graph.operators[kept:]
    written = [tensor for operation in mapped for tensor in operation.outputs]
    wanted = {tensor for operation in left for tensor in operation.inputs} | set(graph.outputs)
    custom = schema.OperatorCodeT()
    custom.builtinCode = custom.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    custom.customCode = code
    custom.version = 1
    model.operatorCodes.append(custom)
    operation = schema.OperatorT()
    operation.opcodeIndex = len(model.operatorCodes) - 1
    operation.inputs = list(graph.inputs)
    operation.outputs = [tensor for tensor in written if tensor in wanted]
    graph.operators = [operation, *left]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def compile_one(path: Path, folder: Path, leave: int) -> str:
    """Write the compiled model and its log; what is printed of it."""
    content = path.read_bytes()
    names = [operation.name for operation in check.read(content).operations]
    compiled = folder / f"{path.stem}_edgetpu.tflite"
    compiled.write_bytes(with_custom_op(content, leave))
    kept = len(names) - leave
    rows = [(*one, "Mapped to Edge TPU") for one in Counter(names[:kept]).items()]
    rows += [(*one, "More than one subgraph is not supported") for one in Counter(names[kept:]).items()]
    table = "\n".join(f"{name:30} {count:<10} {status}" for name, count, status in rows)
    heading = f"{'Operator':30} {'Count':10} Status\n"
    log = f"{VERSION}\nInput: {path}\nOutput: {compiled}\n\n{heading}\n{table}\n"
    compiled.with_suffix(".log").write_text(log)
    return (
        f"Input model: {path}\nInput size: {len(content) / 2**20:.2f}MiB\nOutput model: {compiled}\n"
        f"Output size: {len(content) / 2**20:.2f}MiB\n"
        "On-chip memory used for caching model parameters: 2.43MiB\n"
        "On-chip memory remaining for caching model parameters: 5.12MiB\n"
        "Off-chip memory used for streaming uncached model parameters: 0.00B\n"
        f"Number of Edge TPU subgraphs: 1\nTotal number of operations: {len(names)}\n"
        f"Operation log: {compiled.with_suffix('.log')}\n\n{heading}\n{table}\n"
    )


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("--leave", type=int, default=0)
    given.add_argument("--fail", default="")
    given.add_argument("--forget", action="store_true", help="succeed and write nothing")
    own, rest = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    behaviour = given.parse_args(own)
    documented = argparse.ArgumentParser(prog="edgetpu_compiler")
    documented.add_argument("-s", "--show_operations", action="store_true", required=True)
    documented.add_argument("-o", "--out_dir", type=Path, default=Path())
    documented.add_argument("models", type=Path, nargs="+")
    args = documented.parse_args(rest)
    print(f"{VERSION}\nStarted a compilation timeout timer of 180 seconds.\n")
    if behaviour.fail:
        print(f"ERROR: Restored original execution plan.\nCompilation failed: {behaviour.fail}")
        print("Compilation child process completed within timeout period.\nCompilation failed! ")
        return 1
    if not behaviour.forget:
        blocks = [compile_one(model, args.out_dir, behaviour.leave) for model in args.models]
        print("Models compiled successfully in 1234 ms.\n\n" + "\n".join(blocks))
    print("Compilation child process completed within timeout period.\nCompilation succeeded! ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
