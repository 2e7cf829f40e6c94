"""``python -m convert again``: make a shipped model again, by the commands that its manifest entry records, in turn."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from convert.publish import MANIFEST
from edge.errors import ConfigError
from edge.vision.models import Manifest, read_manifest
from train.common.reproducible import METRICS_FILE, write_json

DETECTORS = (
    "--detector 0204=TEACHERS/face-detection-0204.xml --detector 0205=TEACHERS/face-detection-0205.xml "
    "--detector yunet=PEERS/yunet_n_dyn.onnx --detector centerface=TEACHERS/centerface.onnx"
)
"""That labelled the photos of a training whose ``--teacher`` is a JSON file, which leaves no record of itself."""


def run(args: argparse.Namespace) -> int:
    """Run what is left of the recorded commands.

    Returns:
        0.

    Raises:
        ConfigError: A folder is not given, or a command failed.
        ModelError: The manifest cannot be read.
    """
    commands = recorded(read_manifest(args.models / MANIFEST), args.name)
    folders = dict(_folder(text) for text in args.folder)
    todo = [placed(command, folders) for command in commands]
    log = args.log / f"again-{args.name}.json"
    done: list[str] = json.loads(log.read_text("utf-8")) if log.exists() else []
    for number, words in enumerate(todo, start=1):
        told = shlex.join(words)
        if told in done:
            print(f"{number} of {len(todo)}, done before: {told}", flush=True)
            continue
        print(f"{number} of {len(todo)}: {told}", flush=True)
        if subprocess.run([sys.executable, *words[1:], *_resume(words)], check=False).returncode:  # noqa: S603 - ours
            raise ConfigError(f"Command {number} failed, see above; repeat this one to go on from there.")
        done.append(told)
        write_json(log, done)
    output = _value(todo[-1], "--output") or "runs/convert"
    print(f"{args.name} was made again. To ship it: python -m convert publish {args.name} --from {output}")
    return 0


def recorded(manifest: Manifest, name: str) -> list[str]:
    """The commands that made a model, from its data to its file, with placeholders for folders outside the project.

    Raises:
        ConfigError: The manifest has no such model.
    """
    if name not in manifest.models:
        raise ConfigError(f"There is no model {name}: the manifest has {', '.join(manifest.models)}.")
    entry = manifest.models[name]
    trainings = entry.training.split(" && ")
    return [*_labelling(trainings), *trainings, entry.figures["conversion"]["command"]]


def _labelling(trainings: Sequence[str]) -> list[str]:
    """The commands that write the labels which trainings read, each once."""
    commands = []
    for words in map(shlex.split, trainings):
        labels = _value(words, "--teacher") or ""
        if labels.endswith(".json"):
            data = [f"--data {shlex.quote(word)}" for before, word in pairwise(words) if before == "--data"]
            commands.append(f"python -m train.face.fuse {' '.join(data)} {DETECTORS} --out {shlex.quote(labels)}")
    return list(dict.fromkeys(commands))


def placed(command: str, folders: Mapping[str, str]) -> list[str]:
    """The words of a command, its placeholders replaced: ``DATA/x`` by x in the folder given for DATA.

    Raises:
        ConfigError: None was given.
    """
    words = []
    for word in shlex.split(command):
        option, equals, value = word.partition("=")
        words.append(f"{option}={_placed(value, folders)}" if equals else _placed(word, folders))
    return words


def _placed(path: str, folders: Mapping[str, str]) -> str:
    first, slash, rest = path.partition("/")
    if not (slash and first.isupper()):
        return path
    if first not in folders:
        raise ConfigError(f"{path} is needed: give --folder {first}=PATH.")
    return str(Path(folders[first]) / rest)


def _resume(words: Sequence[str]) -> list[str]:
    """What makes a training that was stopped go on, where this is one."""
    out = _value(words, "--out")
    begun = words[2] == "train" and out and (Path(out) / METRICS_FILE).exists()
    return ["--resume"] if begun else []


def _value(words: Sequence[str], option: str) -> str | None:
    """What follows an option, or None where it is not there."""
    return words[words.index(option) + 1] if option in words else None


def _folder(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not (name and path):
        raise ConfigError(f"--folder {text} is not understood: give a placeholder and a path, as DATA=../data.")
    return name, path
