"""``python -m convert again``: make a shipped model again, by the commands that its manifest entry records, in turn."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from convert.publish import MANIFEST
from edge.errors import ConfigError
from edge.vision.models import Manifest, read_manifest
from train.common.reproducible import METRICS_FILE, write_json

CROPS = "runs/face/crops.json"
MAKE_CROPS = (
    "python -m train.mask.face_crops --data DATA/masks/labels.csv --detector PEERS/yunet_n_320.onnx "
    f"--label with_mask --label without_mask --label mask_worn_incorrectly --out {CROPS}"
)
"""What comes before a training that learns from crops, and leaves no record of itself."""


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
    commands = [*entry.training.split(" && "), entry.figures["conversion"]["command"]]
    return [MAKE_CROPS, *commands] if any(CROPS in command for command in commands) else commands


def placed(command: str, folders: Mapping[str, str]) -> list[str]:
    """The words of a command, its placeholders replaced: ``DATA/x`` by x in the folder given for DATA.

    Raises:
        ConfigError: None was given.
    """
    words = []
    for word in shlex.split(command):
        first, slash, rest = word.partition("/")
        if slash and first.isupper():
            if first not in folders:
                raise ConfigError(f"{word} is needed: give --folder {first}=PATH.")
            word = str(Path(folders[first]) / rest)  # noqa: PLW2901 - the same word, placed
        words.append(word)
    return words


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
