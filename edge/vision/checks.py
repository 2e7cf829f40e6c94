"""What ``maskgate doctor`` checks about OpenCV and the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edge.board.findings import OLDER_NUMPY, PIP, Check, Finding, Machine, State, imports
from edge.config import Config
from edge.errors import MaskgateError

if TYPE_CHECKING:
    from edge.vision.models import ModelFile


def opencv(machine: Machine, _: Config) -> Iterator[Finding]:
    kinds = {kind: machine.version_of(kind) for kind in ("opencv-python-headless", "opencv-python")}
    installed = [f"{kind} {number}" for kind, number in kinds.items() if number]
    numpy = machine.version_of("numpy")
    with_numpy = f"{' and '.join(installed) or 'OpenCV of the system'}, numpy {numpy}"
    if not numpy or machine.files_of("cv2") is None:
        yield Finding("opencv", State.PROBLEM, "OpenCV or numpy is not installed", f"{PIP} install maskgate")
    elif not imports("cv2"):
        yield Finding(
            "opencv",
            State.PROBLEM,
            f"{with_numpy} do not load together",
            OLDER_NUMPY,
        )
    elif len(installed) > 1:
        yield Finding(
            "opencv",
            State.WARNING,
            f"{with_numpy}: two OpenCV packages overwrite each other",
            f"{PIP} uninstall -y opencv-python-headless; {PIP} install --force-reinstall --no-deps opencv-python",
        )
    elif any(_fails_interlaced(number) for number in kinds.values() if number):
        yield Finding(
            "opencv",
            State.WARNING,
            f"{with_numpy}: interlaced video cannot be read",
            f"{PIP} install '{installed[0].split()[0]}<4.13'",
        )
    else:
        yield Finding("opencv", State.OK, with_numpy)


def _fails_interlaced(version: str) -> bool:
    from edge.cameras.interlaced import fails

    return fails(version)


def models(machine: Machine, config: Config) -> Iterator[Finding]:
    from edge.vision.models import (
        FaceEntry,
        MaskEntry,
        load_confirmation,
        load_first_look,
        load_model,
        load_shapes,
    )
    from edge.vision.models.precision import suited

    def mask() -> list[ModelFile[Any]]:
        first = load_first_look(config.mask.model)
        return [load_model(config.mask.model, MaskEntry), *([first] if first else [])]

    def face() -> list[ModelFile[Any]]:
        shapes = load_shapes(suited(load_model(config.face.model, FaceEntry), config.runtime.precision, machine.root))
        confirmation = load_confirmation(config.face.model)
        return [*shapes, *([confirmation] if confirmation else [])]

    yield _model(config.face.model, face, "doubts confirmed by")
    yield _model(config.mask.model, mask, "after")


def _model(reference: str, load: Callable[[], Sequence[ModelFile[Any]]], helper: str) -> Finding:
    """On a model, its other input sizes, and the model that helps it."""
    from edge.vision.models import is_shipped
    from edge.vision.models.precision import FLOAT16

    try:
        model, *others = load()
    except MaskgateError as error:
        restore = "git checkout -- edge/vision/models (in a clone), or install again"
        own = "convert and deploy your models again; to use the shipped ones, remove face.model and mask.model"
        return Finding("models", State.PROBLEM, str(error), restore if is_shipped(reference) else own)
    shapes = [one for one in (model, *others) if one.name == model.name]
    said = [f"{one.entry.input.width}x{one.entry.input.height}" for one in shapes]
    said += [f"{helper} {one.path.name}" for one in others if one.name != model.name]
    said += ["in float16"] if model.path.name.endswith(FLOAT16) else []
    own = "" if model.shipped else f" of your own, {model.path.parent}"
    return Finding("models", State.OK, f"{model.name}: {model.path.name}{own}, {', '.join(said)}, hash verified")


CHECKS: tuple[Check, ...] = (
    opencv,
    models,
)
