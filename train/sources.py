"""``python -m train.sources``: annotation files from the public sources that the shipped models learned from.

Each source is a public repository at a commit. Its photos are fetched into a folder of yours and stay there: where no
licence is stated, you may not pass photos on, nor parts of them. The shipped models learned from smaller copies with
another split. Sources that are in no public repository, such as Caltech 10,000 Web Faces, are not fetched; the model
cards name them.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import ConfigError
from edge.values import LABELS
from train.common import dataset
from train.common.dataset import Names, Photo
from train.common.dataset.names import FACE
from train.common.reproducible import write_json
from train.common.terminal import run_program

GITHUB = "https://github.com/"


@dataclass(frozen=True, slots=True)
class Source:
    """A public set of photos.

    Attributes:
        repository: Owner and name.
        commit: The one that is fetched.
        licence: As the repository states it.
        folder: Where the photos and their annotations are in it.
        labels: What its classes mean, where their names alone do not tell.
        yolo: Its classes by number, where it has YOLO's text files but no data.yaml.
    """

    repository: str
    commit: str
    licence: str
    folder: str = "."
    labels: dict[str, str] = field(default_factory=dict)
    yolo: tuple[str, ...] = ()


SOURCES = {
    "web_crops": Source(
        "chandrikadeb7/Face-Mask-Detection", "7e500749401bad4bb338790fbdb89b58e41ef2d9", "MIT", "dataset"
    ),
    "street_masks": Source(
        "jolignier/face-mask-dataset-ilc-2021",
        "1178de48480a2fb7ca5f3c200f335f97fcd0c434",
        "none stated",
        labels={"with_incorrect_mask": "mask_worn_incorrectly"},
    ),
    "kaggle853": Source(
        "K0EKJE/Face_mask_dataset", "23e9b8b3854c8485fea3c04138898810801f1504", "none stated; CC0 on Kaggle"
    ),
    "smartmask1600": Source(
        "haonanshi0125/Yolo-SmartMaskDetector",
        "6cb0c93df56b56f4c6203f1124e15c1d0a527f0c",
        "none stated",
        "yolo_server/data/raw",
        labels={"face": "without_mask"},
    ),
    "portrait_masks": Source(
        "MacwinWin/face_mask_dataset",
        "5791f890b03dc73fb6201e086073545bbd32b2b2",
        "none stated",
        "data",
        yolo=("with_mask", "without_mask"),
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the sources that the options name and write their annotation files. Returns the exit code."""
    return run_program("train.sources", _run, _parser().parse_args(arguments))


def _run(args: argparse.Namespace) -> None:
    unknown = [name for name in args.names if name not in SOURCES]
    if unknown:
        raise ConfigError(f"There is no source {unknown[0]}: give {', '.join(SOURCES)}.")
    for name in args.names or SOURCES:
        source = SOURCES[name]
        clone = args.out / "clones" / name
        fetch(source, clone, args.clone_from)
        photos = read(source, clone)
        written = write(args.out, name, photos)
        faces = sum(len(photo.faces) for photo in photos)
        print(
            f"{name}: {len(photos)} photos, {faces} faces; {source.repository} at {source.commit[:12]}, "
            f"licence: {source.licence}. Wrote {written}",
            flush=True,
        )


def fetch(source: Source, clone: Path, clone_from: str) -> None:
    """Bring a source's commit into a folder; one that is there already is left as it is.

    Raises:
        ConfigError: git is absent, or could not bring it.
    """
    if _git(clone, "rev-parse", "--quiet", "--verify", "HEAD") == source.commit:
        return
    clone.mkdir(parents=True, exist_ok=True)
    address = f"{clone_from}{source.repository}"
    for words in (("init", "--quiet"), ("fetch", "--quiet", "--depth=1", address, source.commit)):
        if _git(clone, *words) is None:
            raise ConfigError(f"git could not fetch {source.commit[:12]} of {address}; see its message above.")
    if _git(clone, "checkout", "--quiet", "FETCH_HEAD") is None:
        raise ConfigError(f"git could not write the files of {address} to {clone}; see its message above.")


def read(source: Source, clone: Path) -> tuple[Photo, ...]:
    """The annotated photos of a fetched source."""
    names = Names({**source.labels})
    if not source.yolo:
        return dataset.read(clone / source.folder, names).photos
    listed = clone / "data.yaml"
    classes = "".join(f"  {number}: {name}\n" for number, name in enumerate(source.yolo))
    listed.write_text(f"path: {source.folder}\ntrain: images\nnames:\n{classes}", "utf-8")
    return dataset.read(listed, names).photos


def write(folder: Path, source: str, photos: Sequence[Photo]) -> Path:
    """Write ``{source}.csv`` of photos that are a face as a whole, ``{source}.json`` (COCO) of photos with boxes."""
    if all(face.bbox is None for photo in photos for face in photo.faces):
        return _write_table(folder / f"{source}.csv", source, photos)
    return _write_coco(folder / f"{source}.json", source, photos)


def _write_table(path: Path, source: str, photos: Sequence[Photo]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "label", "source"))
        for photo in photos:
            rows.writerow((os.path.relpath(photo.path, path.parent), str(photo.faces[0].label), source))
    return path


def _write_coco(path: Path, source: str, photos: Sequence[Photo]) -> Path:
    categories = [*map(str, LABELS), FACE]
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, photo in enumerate(photos, 1):
        images.append({"id": number, "file_name": os.path.relpath(photo.path, path.parent), "source": source})
        for face in photo.faces:
            assert face.bbox is not None
            box = [face.bbox.x0, face.bbox.y0, face.bbox.width, face.bbox.height]
            category = 1 + categories.index(str(face.label or FACE))
            one = {"id": len(annotations) + 1, "image_id": number, "category_id": category, "bbox": box}
            annotations.append({**one, "ignore": int(face.ignore)})
    listed = [{"id": number, "name": name} for number, name in enumerate(categories, 1)]
    write_json(path, {"images": images, "annotations": annotations, "categories": listed})
    return path


def _git(folder: Path, *words: str) -> str | None:
    """What git says, without the line's end; None where it fails."""
    if not folder.is_dir():
        return None
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise ConfigError("git is not installed: sudo apt install git.") from error
    return done.stdout.strip() if done.returncode == 0 else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.sources", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="SOURCE", help=f"which ones (default: all: {', '.join(SOURCES)})")
    parser.add_argument("--out", type=Path, default=Path("data"), metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--clone-from", default=GITHUB, metavar="URL", help="where repositories are (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
