"""Conversion: what comes out is int8 throughout, agrees with the float model, and can be traced to its training."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import train
from convert import provenance
from convert import tflite_file as check
from convert.__main__ import main
from edge.errors import ConfigError, ModelError
from edge.runtime import open_model
from edge.values import LABELS, BBox, Face, Frame, Image, Label
from edge.vision.face_detector import FaceDetector
from edge.vision.mask_classifier import MaskClassifier
from edge.vision.models import FaceEntry, MaskEntry, load_model, load_shapes, read_manifest
from edge.vision.models.precision import suited
from edge.vision.preprocess import letterbox, quantization_table
from tests.nonempty import some

COMMAND = "python -m train {task} --data /home/someone/data/faces/train.json --weights=/home/someone/weights/net.h5"
SIDE = 64

Converting = Callable[..., int]


def picture(seed: int, width: int = 96, height: int = 72) -> Image:
    """Grey, black and white tiles of 8 pixels: large enough to stay black and white when scaled down."""
    tiles = np.random.default_rng(seed).choice([0, 90, 180, 255], (-(-height // 8), -(-width // 8), 3))
    return np.kron(tiles, np.ones((8, 8, 1))).astype(np.uint8)[:height, :width]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO file with six photos, a face of each class in each."""
    folder = tmp_path_factory.mktemp("photos")
    images, annotations = [], []
    for number in range(6):
        cv2.imwrite(str(folder / f"{number}.png"), picture(number))
        images.append({"id": number, "file_name": f"{number}.png", "source": "street" if number < 2 else "portraits"})
        for kind in (1, 2, 3):
            box = [5 + 25 * kind, 10, 20, 44]
            annotations.append({"id": 3 * number + kind, "image_id": number, "category_id": kind, "bbox": box})
    categories = [{"id": kind, "name": str(label)} for kind, label in enumerate(LABELS, 1)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "photos.json").write_text(json.dumps(coco))
    return folder / "photos.json"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two very short trainings would have left: a face detector and a mask classifier, with their metrics."""
    import keras

    from train.face.model import build_face_model

    keras.utils.set_random_seed(3)
    folder = tmp_path_factory.mktemp("runs")
    image = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.DepthwiseConv2D(3, padding="same")(features))
    classifier = keras.Model(image, keras.layers.Dense(3, activation="softmax")(features))
    for task, model in (("face", build_face_model(SIDE // 2, SIDE // 2)), ("mask", classifier)):
        (folder / task).mkdir()
        model.save(folder / task / f"{task}.keras")
        history = [{"epoch": 1, "loss": 0.75}, {"epoch": 2, "loss": 0.5}]
        metrics = {
            "command": COMMAND.format(task=task),
            "seed": 3,
            "seconds": 12.5,
            "best_epoch": 2,
            "history": history,
        }
        metrics |= {"margin": 0.25, "labels": list(LABELS)} if task == "mask" else {}
        (folder / task / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture(scope="module")
def converted(runs: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which both commands have written."""
    output = tmp_path_factory.mktemp("converted")
    for task, more in (("face", ["--size", str(SIDE), str(SIDE), "--shape", "96", "64"]), ("mask", [])):
        assert main(arguments(task, runs, photos, output) + more) == 0
    return output


@pytest.fixture
def converting(runs: Path, photos: Path, tmp_path: Path) -> Converting:
    """Runs a conversion in which one option has other values; its exit code."""

    def convert(task: str, option: str, *values: str) -> int:
        given = arguments(task, runs, photos, tmp_path)
        if option in given:
            at = given.index(option)
            del given[at : at + 2]
        return main([*given, option, *values])

    return convert


def arguments(task: str, runs: Path, photos: Path, output: Path) -> list[str]:
    model = runs / task / f"{task}.keras"
    data = ["--data", f"{photos}", "--validation", f"{photos}"]
    return [task, "--model", f"{model}", *data, "--output", f"{output}", "--anyway"]


def facts_of(converted: Path, name: str) -> check.ModelFacts:
    return check.read((converted / f"{name}.tflite").read_bytes())


def expected_of(name: str) -> check.Expected:
    from convert import face, mask

    return face.expected(SIDE, SIDE) if name == "face" else mask.expected(32, len(LABELS))


def quantize(model: Any, pictures: int = 4) -> bytes:
    from convert.quantize import freeze, to_int8

    height, width = model.input_shape[1:3]
    return to_int8(freeze(model), [picture(seed, width, height) for seed in range(pictures)])


def test_help_does_not_wait_for_tensorflow() -> None:
    code = "import sys, convert.__main__ as c; c.parser(); print(sorted({'tensorflow', 'keras'} & {*sys.modules}))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["face", "mask"])
def test_converted_models_are_int8_throughout(converted: Path, name: str) -> None:
    facts = facts_of(converted, name)
    check.check(facts, expected_of(name))
    assert {tensor.type for tensor in (*facts.inputs, *facts.outputs)} == {"INT8"}
    assert not [
        tensor for step in facts.operations for tensor in (*step.inputs, *step.outputs) if "FLOAT" in tensor.type
    ]


def test_other_input_sizes_run(converted: Path) -> None:
    file = load_model(f"{converted}/manifest.json#face", FaceEntry)
    detector = FaceDetector(open_model(file.content), file.entry)
    assert (file.entry.input.width, file.entry.strides) == (SIDE, (8, 16, 32))
    faces = detector.detect(Frame.still(picture(1)), 0.004)
    assert all(0 < face.score < 1 for face in some(faces))


def test_each_picture_shape_gets_its_file(converted: Path) -> None:
    files = load_shapes(load_model(f"{converted}/manifest.json#face", FaceEntry))
    assert [(file.path.name, file.entry.input.width, file.entry.input.height) for file in files] == [
        ("face.tflite", SIDE, SIDE), ("face-96x64.tflite", 96, 64),
    ]  # fmt: skip
    detector = FaceDetector(open_model(files[1].content), files[1].entry)
    assert all(0 < face.score < 1 for face in some(detector.detect(Frame.still(picture(1)), 0.004)))


def test_each_shape_comes_in_float_too(converted: Path) -> None:
    in_float = suited(load_model(f"{converted}/manifest.json#face", FaceEntry), "float16")
    files = load_shapes(in_float)
    assert [file.path.name for file in files] == ["face-float16.tflite", "face-96x64-float16.tflite"]
    for file in some(files):
        detector = FaceDetector(open_model(file.content), file.entry)
        assert all(0 < face.score < 1 for face in some(detector.detect(Frame.still(picture(1)), 0.004)))


def test_the_device_runs_the_converted_classifier(converted: Path) -> None:
    file = load_model(f"{converted}/manifest.json#mask", MaskEntry)
    classifier = MaskClassifier(open_model(file.content), file.entry)
    (reading,) = classifier.classify(picture(1), [Face(BBox(10, 10, 40, 50), 0.9)])
    assert sum(reading.probabilities) == pytest.approx(1)
    assert (file.entry.margin, file.entry.labels) == (0.25, LABELS)


def test_outputs_may_come_in_any_order(converted: Path) -> None:
    facts = facts_of(converted, "face")
    assert {output.name for output in facts.outputs} == {
        f"{kind}_{s}" for kind in ("score", "bbox") for s in (8, 16, 32)
    }
    check.check(replace(facts, outputs=facts.outputs[::-1]), expected_of("face"))


def test_converting_twice_gives_the_same_bytes(converted: Path, runs: Path, photos: Path, tmp_path: Path) -> None:
    assert main(arguments("mask", runs, photos, tmp_path)) == 0
    assert (tmp_path / "mask.tflite").read_bytes() == (converted / "mask.tflite").read_bytes()


def test_quantization_agrees_with_the_interpreter() -> None:
    import keras
    import tensorflow as tf

    from convert.quantize import freeze
    from edge.vision.preprocess import normalise

    image = keras.Input((16, 16, 3))
    function = freeze(keras.Model(image, keras.layers.AveragePooling2D(1)(image)))
    greys = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter([[normalise(greys)[None]]])
    converter.inference_output_type = tf.int8
    model = open_model(converter.convert())
    (output,) = model.invoke(normalise(greys)[None])
    scale, zero_point = output.quantization.scale, output.quantization.zero_point
    differing = np.abs(quantization_table(scale, zero_point).astype(int) - output.values[0, :, :, 0].ravel())
    beyond_half = np.mod((np.arange(256) / 127.5 - 1) / scale + zero_point, 1) - 0.5
    assert model.input.dtype == np.float32
    assert differing.max() <= 1
    assert np.abs(beyond_half[differing > 0]).max(initial=0) < 1e-3


def test_ranges_come_from_device_preprocessing(photos: Path) -> None:
    from convert.calibrate import face_pictures
    from train.face.photos import read_photos

    prepared = face_pictures(read_photos(photos), 64, 32, count=10, seed=0)
    wanted = [letterbox(picture(number), 64, 32)[0] for number in range(6)]
    np.testing.assert_array_equal(np.array(prepared), np.array(wanted))


def test_ranges_avoid_validation_and_balance_classes(tmp_path: Path) -> None:
    from convert.calibrate import mask_pictures
    from train.mask.data import read

    rows = ["file,label,split"]
    for number, label in enumerate([*LABELS, *LABELS]):
        split, level = ("train", 50 + number) if number < 3 else ("val", 250)
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((40, 40, 3), level, np.uint8))
        rows.append(f"{number}.png,{label},{split}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    taken = mask_pictures(read(tmp_path / "labels.csv"), 8, 0.2, count=6, seed=0)
    assert sorted(int(crop[0, 0, 0]) for crop in taken) == [50, 51, 52]


def test_the_seed_decides_the_pictures() -> None:
    from convert.calibrate import some_of

    assert some_of(range(100), 10, seed=1) == some_of(range(100), 10, seed=1) != some_of(range(100), 10, seed=2)


def test_unknown_operations_are_refused_by_name() -> None:
    import keras

    image = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(4, 3, strides=2, activation="tanh")(image)
    features = keras.layers.GlobalAveragePooling2D()(features)
    content = quantize(keras.Model(image, keras.layers.Dense(3, activation="softmax")(features)))
    with pytest.raises(ModelError, match="TANH"):
        check.check(check.read(content), expected_of("mask"))


def test_float_inside_is_refused(converted: Path) -> None:
    facts = facts_of(converted, "mask")
    first, *rest = facts.operations
    slipped = first._replace(outputs=(replace(first.outputs[0], type="FLOAT32"),))
    with pytest.raises(ModelError, match=r"CONV_2D works on .* in FLOAT32"):
        check.check(replace(facts, operations=(slipped, *rest)), expected_of("mask"))


def change_input(**changes: Any) -> Callable[[check.ModelFacts], check.ModelFacts]:
    return lambda facts: replace(facts, inputs=(replace(facts.inputs[0], **changes),))


def change_output(**changes: Any) -> Callable[[check.ModelFacts], check.ModelFacts]:
    return lambda facts: replace(facts, outputs=(replace(facts.outputs[0], **changes),))


def one_scale_for_all_channels(facts: check.ModelFacts) -> check.ModelFacts:
    first, *rest = facts.operations
    image, weights, bias = first.inputs
    lumped = first._replace(inputs=(image, replace(weights, scales=(0.1,), zero_points=(0,)), bias))
    return replace(facts, operations=(lumped, *rest))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_input(type="FLOAT32"), "image is FLOAT32"),
        (change_input(dynamic=True), "open side"),
        (change_input(shape=(1, 48, 32, 3)), "takes"),
        (change_input(scales=(0.004,)), "black and white"),
        (change_output(shape=(1, 2)), "gives"),
        (change_output(name="Identity"), "gives"),
        (change_output(scales=(0.5,)), "does not cover 0 to 1"),
        (change_output(scales=()), "has the scales"),
        (one_scale_for_all_channels, "per-channel"),
        (lambda facts: replace(facts, size=5_000_000), "5,000,000 bytes"),
    ],
)
def test_unexpected_models_are_refused(
    converted: Path, change: Callable[[check.ModelFacts], check.ModelFacts], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        check.check(change(facts_of(converted, "mask")), expected_of("mask"))


@pytest.mark.parametrize("cut", [0, 3, 1000])
def test_a_damaged_file_is_refused(converted: Path, cut: int) -> None:
    with pytest.raises(ModelError, match="convert the trained model again"):
        check.read((converted / "mask.tflite").read_bytes()[:cut])


def test_mask_figures_match_a_hand_count(photos: Path) -> None:
    from convert.parity import mask_parity
    from train.mask.data import read

    masked, bare, badly = (next(s for s in read(photos) if s.label is label) for label in LABELS)
    faces = [masked, masked, bare, badly]
    before = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.0, 0.2, 0.8]])
    after = np.array([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.0, 1.0, 0.0], [0.6, 0.2, 0.2]])
    found = mask_parity(faces, before, after, 0.5)
    assert set(found) == {"all", "20_40", "sources"}
    assert found["all"]["float"]["accuracy"] == 1
    assert found["all"]["int8"]["masked_wrongly_alarmed"] == 0.5
    assert (found["all"]["int8"]["bare_alarmed"], found["all"]["int8"]["badly_worn_flagged"]) == (1, 0)
    assert found["all"]["difference"] == {"agreement": 0.5, "mean_change": 0.1333, "largest_change": 0.6}


def test_alarms_are_counted_per_source() -> None:
    from convert.parity import mask_parity
    from convert.tables import parity_tables
    from train.mask.data import Sample

    street, web = (
        Sample(Path(f"{source}.png"), Label.WITH_MASK, source, source, bbox=BBox(0, 0, 50, 60))
        for source in ("street", "web")
    )
    read = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.6, 0.4, 0.0]])
    found = mask_parity([street, street, web], read, read[[0, 0, 1]], alarm_below=0.7)
    assert found["sources"] == {
        "street": {"with_mask": {"faces": 2, "float": 1, "int8": 0}},
        "web": {"with_mask": {"faces": 1, "float": 1, "int8": 1}},
    }
    assert "| street | with_mask | 2 | 1 (50.0 %) | 0 (0.0 %) |" in parity_tables(found)


def test_face_figures_match_a_hand_count(photos: Path) -> None:
    from convert.parity import face_parity
    from train.face.photos import read_photos

    photo = read_photos(photos)[0]
    first, second, third = (BBox(*box.tolist()) for box in photo.boxes)
    before = [[Face(first, 0.9), Face(second, 0.6), Face(third, 0.45), Face(BBox(0, 60, 9, 70), 0.3)]]
    after = [[Face(second, 0.7), Face(first, 0.6), Face(BBox(0, 60, 9, 70), 0.42)]]
    found = face_parity([photo], before, after)
    recalls = [found[kind]["at_0.4"]["recall"]["20_40"] for kind in ("float", "int8")]
    assert recalls == [1, 0.6667]
    assert [found[kind]["at_0.4"]["unmatched"] for kind in ("float", "int8")] == [0, 1]
    changes = found["difference"]["at_0.4"]
    assert changes == {"kept": 0.6667, "mean_score_change": 0.2833, "largest_score_change": 0.45, "mean_iou": 1}
    assert found["difference"]["at_0.5"]["kept"] == 1
    assert found["difference"]["ap"] < 0


def test_parity_uses_the_devices_own_code(photos: Path) -> None:
    from convert.parity import find_faces, read_masks
    from train.face.photos import read_photos
    from train.mask.data import read

    class Recorder:
        def __init__(self) -> None:
            self.seen: list[tuple[Any, ...]] = []

        def detect(self, frame: Frame, threshold: float) -> list[Face]:
            self.seen.append((frame.image.tobytes(), threshold))
            return []

        def classify(self, image: Image, faces: Any) -> list[Any]:
            self.seen.append((image.tobytes(), faces[0].bbox))
            return [type("Reading", (), {"probabilities": (1.0, 0.0, 0.0)})]

    detectors, classifiers = (Recorder(), Recorder()), (Recorder(), Recorder())
    assert find_faces(read_photos(photos), detectors) == [[[]] * 6] * 2
    read_masks(read(photos), classifiers)
    assert detectors[0].seen == detectors[1].seen
    assert classifiers[0].seen == classifiers[1].seen
    assert [len(recorder.seen) for recorder in (*detectors, *classifiers)] == [6, 6, 18, 18]


def test_float_and_int8_are_close(converted: Path) -> None:
    parity = json.loads((converted / "mask-parity.json").read_text())
    assert parity["all"]["difference"]["largest_change"] < 0.05


def test_hard_cases_are_counted_by_name(photos: Path) -> None:
    from convert.parity import case_parity, faces_found, masks_alarmed
    from convert.tables import mask_tables
    from train.evaluate.hard_cases import HardFace
    from train.face.photos import read_photos
    from train.mask.data import read

    photo, samples = read_photos(photos)[0], read(photos)[:2]
    boxes = [sample.bbox for sample in samples if sample.bbox is not None]
    listed = [
        HardFace(photo.path.name, (round(box.x0), round(box.y0), round(box.width), round(box.height)), alarm)
        for box, alarm in zip(boxes, (True, False), strict=True)
    ]
    elsewhere = HardFace("elsewhere.jpg", (0, 0, 9, 9), alarm=True)
    named = {"scarf": [*listed, elsewhere], "fog": [elsewhere]}
    cases = {name: [(photos.parent / face.photo, face) for face in faces] for name, faces in named.items()}

    masked, bare = [0.9, 0.1, 0.0], [0.1, 0.9, 0.0]
    said = masks_alarmed(samples, {"float": np.array([bare, masked]), "int8": np.array([bare, bare])}, 0.5)
    alarmed = case_parity(cases, said, lambda face: face.alarm)
    assert alarmed == {"scarf": {"faces": 2, "float": 2, "int8": 1}}
    assert "| scarf | 2 | 2 | 1 |" in mask_tables({"cases": alarmed})

    sure, unsure = Face(boxes[0], 0.9), Face(boxes[1], 0.3)
    found = faces_found([photo], {"float": [[sure, Face(boxes[1], 0.4)]], "int8": [[sure, unsure]]})
    assert case_parity(cases, found, lambda _: True) == alarmed


@pytest.mark.parametrize("name", ["face", "mask"])
def test_cards_show_figures_and_no_paths(converted: Path, name: str) -> None:
    card = (converted / f"{name}.md").read_text()
    entry = read_manifest(converted / "manifest.json").models[name]
    report = (converted / f"{name}-parity.md").read_text().partition("\n\n")[2].strip()
    assert report in card
    assert entry.sha256 in card
    assert entry.training in card
    assert entry.training == f"python -m train {name} --data DATA/faces/train.json --weights=WEIGHTS/net.h5"
    assert [stage["best"] for stage in entry.figures["training"]] == [{"epoch": 2, "loss": 0.5}]
    everything = card + json.dumps(entry.model_dump(mode="json"))
    assert "/home/someone" not in everything
    assert str(converted) not in everything


def test_the_manifest_counts_pictures_per_source(converted: Path) -> None:
    entries = read_manifest(converted / "manifest.json").models
    assert entries["face"].data[1:] == ("portraits: 4 photos", "street: 2 photos")
    assert entries["mask"].data[1:] == ("portraits: 12 faces", "street: 6 faces")


def test_publishing_keeps_other_models(converted: Path, tmp_path: Path) -> None:
    target = tmp_path / "models"
    for name in ("face", "mask"):
        assert main(["publish", name, "--from", str(converted), "--to", str(target)]) == 0
    assert read_manifest(target / "manifest.json") == read_manifest(converted / "manifest.json")
    assert sorted(path.name for path in target.iterdir()) == [
        "face-96x64-float16.tflite", "face-96x64.tflite", "face-float16.tflite", "face.md", "face.tflite",
        "manifest.json", "mask.md", "mask.tflite",
    ]  # fmt: skip
    load_model(f"{target}/manifest.json#face", FaceEntry)
    load_model(f"{target}/manifest.json#mask", MaskEntry)


def test_second_models_have_their_own_names(
    converting: Converting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert converting("mask", "--name", "mask-large") == 0
    assert main(["publish", "--from", str(tmp_path), "--to", str(tmp_path / "models")]) == 0
    assert "Published mask-large" in capsys.readouterr().out
    load_model(f"{tmp_path}/models/manifest.json#mask-large", MaskEntry)
    card = (tmp_path / "models/mask-large.md").read_text()
    assert "python -m convert again mask-large " in card
    assert "`mask-large.tflite`" in card
    with pytest.raises(SystemExit):
        converting("mask", "--name", "../mask")
    assert "is not made of small letters" in capsys.readouterr().err


def test_altered_models_are_not_published(converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in converted.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "mask.tflite").write_bytes(b"another")
    assert main(["publish", "--from", str(tmp_path), "--to", str(tmp_path / "models")]) == 4
    assert "sha256" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("task", ["face", "mask"])
@pytest.mark.parametrize(
    ("absent", "outcome"),
    [
        ("--model", (4, "There is no trained model")),
        ("--metrics", (2, "says how the model was trained")),
        ("--data", (2, "nowhere.json")),
        ("--validation", (2, "nowhere.json")),
    ],
)
def test_missing_files_are_named(
    task: str, absent: str, outcome: tuple[int, str], converting: Converting, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = outcome
    assert converting(task, absent, "nowhere.json") == code
    error = capsys.readouterr().err
    assert error.startswith("convert: ")
    assert said in error
    assert error.count("\n") == 1


def test_other_files_are_refused(converting: Converting, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "mask" / "broken.keras").write_bytes(b"not a model")
    assert converting("mask", "--model", str(runs / "mask" / "broken.keras")) == 4
    assert "cannot be read as a Keras model" in capsys.readouterr().err


def test_a_classifier_is_no_detector(converting: Converting, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert converting("face", "--model", str(runs / "mask" / "mask.keras")) == 4
    assert "no face detector" in capsys.readouterr().err


def test_an_impossible_size_is_refused(converting: Converting, capsys: pytest.CaptureFixture[str]) -> None:
    assert converting("face", "--size", "300", "320") == 2
    assert "multiples of 32" in capsys.readouterr().err


def test_publishing_needs_a_conversion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "--from", str(tmp_path)]) == 4
    assert "manifest.json" in capsys.readouterr().err


def test_incomplete_metrics_are_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"command": "python -m train mask"}')
    with pytest.raises(ConfigError, match="margin"):
        provenance.read_metrics(tmp_path / "metrics.json", "command", "margin")


def test_continued_trainings_list_their_start(tmp_path: Path) -> None:
    started = {"a": "", "b": f" --weights {tmp_path}/a/face.keras", "c": f" --start-from={tmp_path}/b/last.keras"}
    for name, start in started.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps({"command": f"train --out {name}{start}"}))
    commands = [stage["command"].split()[2] for stage in provenance.stages(tmp_path / "c" / "metrics.json")]
    assert commands == ["a", "b", "c"]
    (tmp_path / "a" / "metrics.json").unlink()
    with pytest.raises(ConfigError, match="says how the model was trained"):
        provenance.stages(tmp_path / "c" / "metrics.json")


def test_teachers_are_listed_once(tmp_path: Path) -> None:
    learned = {"a": [], "b": ["a"], "c": ["a", "b"]}
    for name, teachers in learned.items():
        (tmp_path / name).mkdir()
        words = " ".join(f"--teacher {tmp_path}/{teacher}/mask.keras" for teacher in teachers)
        (tmp_path / name / "metrics.json").write_text(json.dumps({"command": f"train --out {name} {words}"}))
    commands = [stage["command"].split()[2] for stage in provenance.stages(tmp_path / "c" / "metrics.json")]
    assert commands == ["a", "b", "c"]


def test_the_manifest_replaces_lost_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = read_manifest().models["face"].figures["training"]
    words = told[-1]["command"].split()
    folder = words[words.index("--out") + 1]
    (tmp_path / "metrics.json").write_text(json.dumps({"command": f"train --weights {folder}/face.keras"}))
    *before, last = provenance.stages(Path("metrics.json"))
    assert before == told
    assert [provenance.training_figures(stage) for stage in before] == told
    assert last["command"].startswith("train --weights")


def test_overwritten_starts_are_refused(tmp_path: Path) -> None:
    command = {"command": f"train --weights {tmp_path}/face.keras"}
    (tmp_path / "metrics.json").write_text(json.dumps(command))
    with pytest.raises(ConfigError, match="in its own folder"):
        provenance.stages(tmp_path / "metrics.json")


@pytest.mark.parametrize(
    ("command", "portable"),
    [
        ("train --data /a/data/faces/train.json", "train --data DATA/faces/train.json"),
        ("train --data ../shared/data/masks/labels.csv", "train --data DATA/masks/labels.csv"),
        ("train --weights=/a/b/weights/x.h5", "train --weights=WEIGHTS/x.h5"),
        ("train --detector /opt/peers/yunet.onnx", "train --detector PEERS/yunet.onnx"),
        ("train --data faces/train.json --out runs/mask", "train --data faces/train.json --out runs/mask"),
        ("train --weights yunet=/opt/peers/yunet.onnx", "train --weights yunet=PEERS/yunet.onnx"),
        ("train --out /home/anna/runs/face/two", "train --out runs/face/two"),
        ("train --data '/a/data/my faces/train.json'", "train --data 'DATA/my faces/train.json'"),
    ],
)
def test_paths_outside_the_project_become_placeholders(command: str, portable: str) -> None:
    assert provenance.portable_command(command) == portable


def test_the_float_model_matches_keras(runs: Path) -> None:
    import keras

    from convert.quantize import FloatModel, freeze

    model = keras.models.load_model(runs / "mask" / "mask.keras")
    values: NDArray[np.float32] = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    (output,) = FloatModel(freeze(model)).invoke(values)
    np.testing.assert_allclose(output.real(), model.predict(values, verbose=0), atol=1e-5)


def test_the_float_face_model_is_shipped() -> None:
    kept = provenance.read_metrics(Path(train.__file__).parent / "models/face/metrics.json", "command")
    assert provenance.training_figures(kept) == read_manifest().models["face"].figures["training"][-1]
