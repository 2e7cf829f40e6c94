"""The files of a converted model: .tflite, manifest entry, model card and parity report; and shipping them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, TypeVar

from convert import origin, tables
from edge.errors import ConfigError
from edge.vision.models import (
    ConfirmEntry,
    FaceEntry,
    FirstLook,
    Manifest,
    MaskEntry,
    ModelEntry,
    ModelFile,
    ShapeVariant,
    edgetpu_content,
    load_model,
    load_shapes,
    read_manifest,
)
from edge.vision.models.precision import suited
from train.common.reproducible import write_json

MANIFEST = "manifest.json"
CARDS = Path(__file__).parent / "cards"
CARD_OF = {
    "face-detection": "own-face.md",
    "mask-classification": "own-mask.md",
    "face-confirmation": "own-confirm.md",
}
"""Of one's own model, by what it does; the others tell the story of the shipped ones."""

Entry = FaceEntry | MaskEntry | ConfirmEntry
Published = TypeVar("Published", FaceEntry, MaskEntry)

SURE = {"sure_below": 0.05, "sure_above": 0.95}
"""Where a first look is sure. With these bounds the pair errs no more often on held-out faces than the larger model."""


def stage(folder: Path, name: str, contents: Mapping[str, bytes], entry: Entry) -> None:
    """Write a converted model to ``folder``, so that the device can already be pointed at its manifest.

    Args:
        folder: Made if it is absent.
        name: In the manifest.
        contents: Of the .tflite files, by their names.
        entry: For the manifest, with its figures: ``training``, ``conversion`` and ``validation``.

    Raises:
        ConfigError: The folder cannot be written.
    """
    parity = entry.figures["validation"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            (folder / file).write_bytes(content)
        (folder / entry.card).write_text(render_card(name, entry), encoding="utf-8")
        write_json(folder / f"{name}-parity.json", parity)
        report = f"# {name}: float against int8\n\n{tables.parity_tables(parity)}\n"
        (folder / f"{name}-parity.md").write_text(report, encoding="utf-8")
        enter(folder / MANIFEST, name, entry)
    except OSError as error:
        raise ConfigError(f"Cannot write to {folder} ({error.strerror}): name another --output.") from error


def written(folder: Path, entry: Entry) -> str:
    """What a conversion wrote, and what comes next, for the terminal."""
    if isinstance(entry, ConfirmEntry):
        return (
            f"Wrote {folder / entry.file}, its card {folder / entry.card} and {folder / MANIFEST}.\n"
            f"Put it to work:  python -m convert publish {Path(entry.file).stem} --from {folder} --confirms face"
        )
    variable = "MASKGATE_MASK_MODEL" if isinstance(entry, MaskEntry) else "MASKGATE_FACE_MODEL"
    return (
        f"Wrote {folder / entry.file}, its card {folder / entry.card} and {folder / MANIFEST}.\n"
        f"Try it:          {variable}={folder / entry.file} maskgate check PHOTO...\n"
        f"Put it to work:  make deploy HOST=pi@door1.local MODEL={folder}"
    )


def publish(
    names: Sequence[str],
    source: Path,
    target: Path,
    *,
    first_look: str | None = None,
    confirms: str | None = None,
    card: Path | None = None,
) -> list[str]:
    """Copy converted models and their manifest entries from ``source`` to ``target``, and write their cards again.

    The manifest is written last and in one go: a file that it does not know yet is refused, not run.

    Args:
        names: In the manifest; all of them where none is given.
        source: Folder of ``stage``.
        target: Folder of the shipped models.
        first_look: Name there of a smaller mask model, that judges before the one that is published.
        confirms: Name there of the face model whose doubts the published model looks at again.
        card: Template of the card; see ``render_card``.

    Returns:
        The names that were published.

    Raises:
        ModelError: A manifest has no such model, or its file is not the one that was measured.
        ConfigError: The target cannot be written; or ``first_look`` is given, and not one other mask model; or
            ``confirms`` is given, and not one model made for that face model.
    """
    entries = read_manifest(source / MANIFEST).models
    chosen = list(names or entries)
    models = [load_model(f"{source / MANIFEST}#{name}", ModelEntry) for name in chosen]
    if first_look is not None:
        entries = {**entries, **_after(first_look, target, {name: entries[name] for name in chosen})}
    confirmed = {} if confirms is None else _confirmed(confirms, target, {name: entries[name] for name in chosen})
    try:
        target.mkdir(parents=True, exist_ok=True)
        for model in models:
            for file in _files(model):
                (target / file.path.name).write_bytes(file.content)
            if model.entry.edgetpu and (compiled := edgetpu_content(model)):
                (target / model.entry.edgetpu.file).write_bytes(compiled)
            (target / model.entry.card).write_text(render_card(model.name, entries[model.name], card), encoding="utf-8")
            enter(target / MANIFEST, model.name, entries[model.name])
        for name, entry in confirmed.items():
            enter(target / MANIFEST, name, entry)
    except OSError as error:
        raise ConfigError(f"Cannot publish to {target} ({error.strerror}): name another --to.") from error
    return chosen


def helped(folder: Path) -> dict[str, str]:
    """What to say if a model of a folder loses the model that helps it, by the name of the model that is helped."""
    if not (folder / MANIFEST).exists():
        return {}
    found: dict[str, str] = {}
    for name, entry in read_manifest(folder / MANIFEST).models.items():
        if isinstance(entry, FaceEntry) and (second := entry.confirmed_by):
            found[name] = (
                f"{name} is no longer confirmed by {second}, which was made for the earlier model: run "
                f"python -m convert confirm, then python -m convert publish {second} --confirms {name}"
            )
        if isinstance(entry, MaskEntry) and entry.first_look:
            first = entry.first_look.model
            found[name] = f"{first} no longer judges before {name}; if it should, publish with --first-look {first}"
    return found


def _after(first: str, target: Path, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entry of a mask model that is asked after ``first``."""
    _published(first, MaskEntry, target, "--first-look")
    if [isinstance(entry, MaskEntry) for entry in entries.values()] != [True] or first in entries:
        raise ConfigError(
            f"--first-look {first}: name the one larger mask model to publish: publish mask --first-look ..."
        )
    look = FirstLook(model=first, **SURE)
    return {name: entry.model_copy(update={"first_look": look}) for name, entry in entries.items()}


def _confirmed(face: str, target: Path, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entry of a face model whose doubts the one published model looks at again."""
    before = _published(face, FaceEntry, target, "--confirms")
    if len(entries) != 1 or not isinstance(entry := next(iter(entries.values())), ConfirmEntry):
        raise ConfigError(f"--confirms {face}: name the one model that confirms: publish confirm --confirms {face}")
    if entry.face_sha256 != before.sha256:
        raise ConfigError(
            f"--confirms {face}: {entry.file} was converted for another face model: python -m convert confirm settles "
            "its rule again."
        )
    return {face: before.model_copy(update={"confirmed_by": next(iter(entries))})}


def _published(name: str, kind: type[Published], target: Path, option: str) -> Published:
    """The entry of a model that has to be in ``target`` already, because an option names it."""
    if not (target / MANIFEST).exists():
        raise ConfigError(
            f"{option} {name}: there are no models in {target} yet; publish that one there first: "
            f"python -m convert publish {name} --to {target}"
        )
    return load_model(f"{target / MANIFEST}#{name}", kind).entry


def _files(model: ModelFile[ModelEntry]) -> Sequence[ModelFile[Any]]:
    if isinstance(model.entry, FaceEntry):
        in_int8 = ModelFile(model.name, model.path, model.entry, model.content)
        in_float = suited(in_int8, "float16")
        return load_shapes(in_int8) + (load_shapes(in_float) if in_float is not in_int8 else [])
    return [model]


def render_card(name: str, entry: Entry, template: Path | None = None) -> str:
    """The model card: a template of words, filled with the entry's figures.

    Args:
        name: In the manifest.
        entry: With its figures.
        template: Default: one that tells of this model only.

    Raises:
        ConfigError: The template cannot be read, or names something that no card has.
    """
    figures = entry.figures
    conversion, parity, told = figures["conversion"], figures["validation"], figures.get("origin", {})
    operations = ", ".join(f"{count} {operation}" for operation, count in conversion["operations"].items())
    gaps = ""
    if not isinstance(entry, ConfirmEntry):
        gaps = origin.face_gaps(parity) if isinstance(entry, FaceEntry) else origin.mask_gaps(parity, told)
    return _template(template or CARDS / CARD_OF[entry.task]).substitute(
        name=name,
        file=entry.file,
        sha256=entry.sha256,
        width=entry.input.width,
        height=entry.input.height,
        margin=getattr(entry, "margin", None),
        alarm_below=getattr(entry, "alarm_below", None),
        shapes=", ".join(f"`{shape.file}` ({shape.input.width}x{shape.input.height})" for shape in _shapes(entry))
        or "none",
        labels=", ".join(entry.labels),
        bytes=f"{conversion['bytes']:,}",
        operations=operations,
        training=entry.training.replace(" && ", "\n"),
        data=_lines(entry.data),
        training_figures=tables.training_tables(figures["training"]),
        conversion=conversion["command"],
        validation_data=_lines(parity["data"]),
        parity=tables.parity_tables(parity),
        start=origin.start(told),
        split=origin.split(told),
        preset="the student report's" if told.get("preset") == "report" else "default",
        gaps=gaps,
        again=origin.again(name, [*entry.training.split(" && "), conversion["command"]]),
    )


def _template(path: Path) -> Template:
    try:
        template = Template(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The card's template {path} cannot be read: give --card a text file.") from error
    return template


def _shapes(entry: Entry) -> Sequence[ShapeVariant]:
    return entry.shapes if isinstance(entry, FaceEntry) else ()


def enter(manifest: Path, name: str, entry: Entry) -> None:
    """Add a model to a manifest, or replace it there, in one go.

    Raises:
        ModelError: There is a manifest, and it cannot be read.
        OSError: It cannot be written.
    """
    models = read_manifest(manifest).models if manifest.exists() else {}
    entered = Manifest(version=1, models=dict(sorted({**models, name: entry}.items())))
    write_json(manifest, entered.model_dump(mode="json", exclude_unset=True))


def _lines(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
