"""docs/train.md, followed from photos to a door: the commands that the page gives, with a small set of photos."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from convert.__main__ import main as convert
from deploy.model import read_model
from edge.cli import main as maskgate
from edge.vision.models import read_manifest
from tests.train import own_photos
from tests.train.mask_photos import eager
from train.__main__ import main as train

__all__ = ["eager"]

PAGE = Path(__file__).parents[2] / "docs/train.md"

SHORT = ["--epochs", "1", "--faces", "8", "--batch", "4", "--workers", "1", "--train-from", "block_16"]
"""Instead of minutes of training: what is tested is the way, not the model."""


def steps(section: str) -> list[list[str]]:
    """The commands of a section of the page: words after ``make``, each with its ARGS unpacked."""
    text = PAGE.read_text("utf-8").partition(f"\n## {section}")[2].partition("\n## ")[0]
    lines = re.findall(r"^    (.+)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def arguments(target: str, section: str) -> list[str]:
    """What the first ``make TARGET`` of a section passes on."""
    words = next(words for words in steps(section) if words[:2] == ["make", target])
    given = dict(word.split("=", 1) for word in words[2:])
    return shlex.split(given["ARGS"])


@pytest.mark.training
@pytest.mark.slow
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("layout", ["folders", "voc", "phone"])
def test_the_page_leads_to_the_door(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    own_photos.write(layout, Path("photos"), 6)
    assert train([*arguments("train", "2."), *SHORT]) == 0
    assert "Next: make convert ARGS='mask'\n" in capsys.readouterr().out
    for name in ("dataset.txt", "dataset.jpg", "split.csv", "metrics.json", "mask.keras", "curves_loss.png"):
        assert Path("runs/mask", name).stat().st_size
    assert convert([*arguments("convert", "3."), "--anyway"]) == 0
    assert "make deploy HOST=pi@door1.local MODEL=runs/convert\n" in capsys.readouterr().out
    entry = read_manifest(Path("runs/convert/manifest.json")).models["mask"]
    assert entry.figures["validation"]["data"][0] == "held out of the training's own photos"

    trial = next(words for words in steps("3.") if "maskgate" in " ".join(words))
    name, _, model = trial[0].partition("=")
    monkeypatch.setenv(name, model)
    photos = [str(path) for path in sorted(Path("photos").rglob("*.[jp][pn]g"))[:3]]
    capsys.readouterr()
    assert maskgate(["check", *photos, "--json"]) == 0
    judged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["image"] for one in judged] == photos
    assert any(one["faces"] for one in judged)

    deployed = next(words for words in steps("4.") if words[:2] == ["make", "deploy"])
    named = dict(word.split("=", 1) for word in deployed[2:])["MODEL"]
    assert "mask.tflite" in read_model(Path(named))


def test_the_summary_and_the_steps_agree() -> None:
    head = [shlex.split(line, comments=True) for line in re.findall(r"^    (make .+)$", PAGE.read_text("utf-8"), re.M)][
        :3
    ]
    assert [words[1] for words in head] == ["train", "convert", "deploy"]
    assert head[0] == next(words for words in steps("2.") if words[1] == "train")
    assert head[1] == next(words for words in steps("3.") if words[1] == "convert")
    assert head[2] == next(words for words in steps("4.") if words[1] == "deploy")
