"""The README keeps its promises: its commands and files exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.config import Config
from edge.vision.models.about import models_in_use

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TEXT = README.read_text("utf-8")


def test_figures_are_of_shipped_models() -> None:
    stated = dict(re.findall(r"(\w+) ([0-9a-f]{12})\b", TEXT))
    used = {task: model.entry.sha256[:12] for task, model in models_in_use(Config()).items()}
    assert stated == used, "run make eval"


def test_every_file_it_links_to_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^ {4}|`)make ([a-z][a-z-]*)", TEXT, re.MULTILINE))
    assert named
    assert named - targets == set()


@pytest.mark.parametrize("command", sorted(set(re.findall(r"maskgate (run|check|doctor|counts|config)", TEXT))))
def test_every_command_it_names_teaches(command: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "edge", command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"maskgate {command}" in shown.stdout


def test_no_file_names_this_folder() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    texts = [ROOT / name for name in files if Path(name).suffix in {".py", ".md", ".toml", ".json", ".sh", ".service"}]
    assert [str(path) for path in texts if f"{ROOT}/" in path.read_text("utf-8")] == []
