"""Training the mask classifier: its options, both recipes, and what a run can be resumed from."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from edge.values import LABELS, Label
from tests.train.mask_photos import FAST, coco, folders
from train.__main__ import main
from train.common.checkpoints import RunFolder
from train.mask.figures import figures
from train.mask.soup import Soup


class TestFigures:
    def test_every_other_answer_alarms(self) -> None:
        truth = np.array([0, 0, 1, 1, 2, 2])
        answers = np.array([0, 1, 1, 2, 0, 2])
        found = figures(truth, np.eye(3)[answers])
        assert found["bare_alarmed"] == 1.0
        assert found["masked_wrongly_alarmed"] == 0.5
        assert found["badly_worn_flagged"] == 0.5
        assert found["accuracy"] == 0.5
        assert found["confusion"] == [[1, 1, 0], [0, 1, 1], [1, 0, 1]]

    def test_rates_need_faces(self) -> None:
        assert figures(np.array([0]), np.eye(3)[[0]])["badly_worn_flagged"] is None


class TestSoup:
    def test_the_mean_keeps_starting_weights(self, tmp_path: Path) -> None:
        start, one, other = (
            [np.full(shape, value, np.float32) for shape in ((2, 3), (4,))] for value in (8.0, 1.0, 3.0)
        )
        soup = Soup(keep=0.25)
        soup.begin(start)
        assert soup.weights(one)[0] == pytest.approx(np.full((2, 3), 0.75 * 1 + 0.25 * 8))
        soup.add(one)
        soup.save(tmp_path / "soup.npz")
        again = Soup(keep=0.25)
        again.load(tmp_path / "soup.npz")
        again.add(other)
        assert again.weights(start)[1] == pytest.approx(np.full(4, 0.75 * 2 + 0.25 * 8))
        assert again.members == 2

    def test_a_broken_file_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "soup.npz").write_bytes(b"PK")
        with pytest.raises(ConfigError, match=r"soup\.npz cannot be read"):
            Soup(keep=0).load(tmp_path / "soup.npz")


class TestCommand:
    def test_help_teaches_without_loading_keras(self) -> None:
        code = "import sys; from train.__main__ import parser; parser().format_help(); sys.exit('keras' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=20)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--weights", "nowhere.weights.h5"], "No weights at nowhere.weights.h5"),
            (["--weights", "none", "--detector", "no.onnx"], "No model at no.onnx: give --detector"),
            (["--weights", "none", "--teacher", "no.keras"], "No model at no.keras"),
            (["--weights", "none", "--start-from", "no.keras"], "give one of them"),
            (["--weights", "none", "--learning-rate", "-1"], "--learning-rate is -1.0"),
            (["--weights", "none", "--width", "0"], "--width is 0.0"),
            (["--weights", "none", "--resume"], "Nothing to resume"),
            (["--weights", "none", "--train-from", "block_99"], "No layer block_99"),
            (["--weights", "none", "--epochs", "0"], "--epochs is 0"),
            (["--weights", "none", "--keep-start", "1"], "--keep-start is 1.0"),
            (
                ["--weights", "none", "--leave-out", "web"],
                "--leave-out web: no face of --data has this source; there are data.",
            ),
        ],
    )
    def test_wrong_options_exit_with_2(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
    ) -> None:
        data = folders(tmp_path / "data", count=1)
        fixed = ["mask", "--data", str(data), "--out", str(tmp_path / "out"), "--size", "32", "--warmup-epochs", "0"]
        assert main([*fixed, *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert len(error.strip().splitlines()) == 1


def trained(folder: Path) -> np.ndarray:
    """All weights that the last epoch left to train, in one row."""
    import keras

    weights = keras.models.load_model(folder / "last.keras").trainable_variables
    return np.concatenate([np.asarray(weight).ravel() for weight in weights])


@pytest.mark.usefixtures("eager")
class TestTraining:
    @pytest.mark.usefixtures("tiny_backbone")
    def test_the_default_recipe_resumes_exactly(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        boxes = [(str(label), [5.0 + 20 * n, 10.0, 18.0, 20.0]) for n, label in enumerate(LABELS)]
        validation = coco(tmp_path / "val", [*boxes, ("with_mask", [10, 10, 50, 60])])
        data = folders(tmp_path / "data")
        recipe = [
            "--faces",
            "8",
            "--epochs",
            "1",
            "--members",
            "2",
            "--learning-rate",
            "0.01",
            "--warmup-epochs",
            "0",
            "--train-from",
            "block_16",
        ]
        fixed = ["mask", "--data", str(data), "--validation", str(validation), *FAST, *recipe]
        whole, broken_off = tmp_path / "whole", tmp_path / "broken_off"
        self.keep_a_copy_after_epoch_1(monkeypatch, broken_off)
        assert main([*fixed, "--out", str(whole)]) == 0
        first, second = trained(broken_off), trained(whole)
        assert main([*fixed, "--out", str(broken_off), "--resume"]) == 0

        moved, apart = np.abs(second - first).mean(), np.abs(second - trained(broken_off)).mean()
        assert moved > 0
        assert apart < 0.05 * moved, "only rounding in threads may differ"
        metrics = json.loads((broken_off / "metrics.json").read_text())
        assert metrics["labels"] == list(map(str, LABELS))
        assert (metrics["size"], metrics["margin"], metrics["seed"]) == (32, 0.2273, 1)
        assert [row["epoch"] for row in metrics["history"]] == [1, 2]
        losses = [row["held_out_balanced_loss"] for row in metrics["history"]]
        assert metrics["kept_epoch"] == 1 + losses.index(min(losses))
        assert metrics["validation"]["faces"] == 4
        assert metrics["validation_annotated_40px"]["faces"] == 1
        for name in ("curves_loss", "curves_accuracy", "curves_rates", "confusion_validation"):
            assert cv2.imread(str(whole / f"{name}.png")) is not None

    @pytest.mark.usefixtures("tiny_backbone")
    def test_left_out_sources_are_only_measured(self, tmp_path: Path) -> None:
        own, foreign = folders(tmp_path / "own"), folders(tmp_path / "foreign", count=2)
        recipe = ["--faces", "4", "--epochs", "1", "--members", "1", "--leave-out", "foreign"]
        assert main(["mask", "--data", str(own), "--data", str(foreign), *FAST, *recipe, "--out", str(tmp_path)]) == 0
        metrics = json.loads((tmp_path / "metrics.json").read_text())
        assert metrics["left_out"]["faces"] == 6
        assert sum(metrics["training_faces"].values()) + metrics["held_out"]["faces"] == 18

    @pytest.mark.usefixtures("tiny_backbone")
    def test_teachers_answer_with_their_mean(self, tmp_path: Path) -> None:
        from train.mask.model import classifier, for_door
        from train.mask.teachers import Teachers

        views, answers, paths = np.random.default_rng(1).uniform(-1, 1, (5, 32, 32, 3)), [], []
        for name, ratios in {"one": [2.0, 0.5, 1.0], "other": [3.0, 0.2, 0.1]}.items():
            model = classifier(32, 0.35, "none", 3, dropout=0)
            answers.append(model.predict_on_batch(views))
            paths.append(tmp_path / name / "mask.keras")
            paths[-1].parent.mkdir()
            for_door(model, np.log(ratios).tolist()).save(paths[-1])
            paths[-1].with_name("metrics.json").write_text(json.dumps({"door_ratios": ratios}))
        taught = Teachers(paths)(views.astype(np.float32))
        assert taught.sum(axis=1) == pytest.approx(np.ones(5))
        assert taught == pytest.approx(np.mean(answers, axis=0), abs=1e-5)
        twice_as_large = views.repeat(2, axis=1).repeat(2, axis=2).astype(np.float32)
        assert Teachers(paths)(twice_as_large) == pytest.approx(taught, abs=1e-5)

        data = folders(tmp_path / "data", count=2)
        learn = ["--teacher", str(paths[0]), "--faces", "4", "--epochs", "1", "--members", "1", "--warmup-epochs", "0"]
        assert main(["mask", "--data", str(data), *FAST, *learn, "--out", str(tmp_path / "out")]) == 0

    def test_unusable_teachers_are_explained(self, tmp_path: Path) -> None:
        from train.mask.model import classifier
        from train.mask.teachers import Teachers

        path = tmp_path / "mask.keras"
        classifier(32, 0.35, "none", 3, dropout=0).save(path)
        with pytest.raises(
            ConfigError, match=r"metrics\.json does not tell door_ratios .*keep it next to the --teacher"
        ):
            Teachers([path])
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(
            ConfigError, match=r"mask\.keras cannot be read: give --teacher a \.keras file of an earlier run"
        ):
            Teachers([path])

    @staticmethod
    def keep_a_copy_after_epoch_1(monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
        """What a power cut after the first epoch would leave on the disk."""
        save = RunFolder.save

        def save_and_copy(self: RunFolder, model: object, state: dict[str, list[object]], *others: object) -> None:
            save(self, model, state, *others)  # type: ignore[arg-type]
            if len(state["history"]) == 1:
                shutil.copytree(self.path, copy)

        monkeypatch.setattr(RunFolder, "save", save_and_copy)

    def test_resuming_with_other_options_is_refused(self, tmp_path: Path) -> None:
        import keras

        RunFolder(tmp_path, {"seed": 1, "size": 128}).save(keras.Sequential([keras.Input((1,))]), {"history": []})
        with pytest.raises(ConfigError, match="made with another seed"):
            RunFolder(tmp_path, {"seed": 2, "size": 128}).resume()

    def test_interrupted_saves_keep_the_last_epoch(self, tmp_path: Path) -> None:
        import keras

        def disk_full(path: Path) -> None:
            path.write_bytes(b"half")
            raise OSError("No space left on device")

        folder, model = RunFolder(tmp_path, {}), keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        folder.save(model, {"history": [1]}, {folder.average: lambda path: path.write_bytes(b"whole") and None})
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(OSError, match="No space"):
            folder.save(model, {"history": [1, 2]}, {folder.average: disk_full})
        assert {name: (tmp_path / name).read_bytes() for name in before} == before

    @pytest.mark.usefixtures("tiny_backbone")
    def test_the_report_preset_trains_two_classes(self, tmp_path: Path) -> None:
        data = folders(tmp_path / "data", (Label.WITH_MASK, Label.WITHOUT_MASK), count=10)
        (data / "with_mask" / "broken.jpg").write_bytes(b"")
        out = tmp_path / "out"
        fixed = ["mask", "--preset", "report", "--data", str(data), *FAST, "--out", str(out)]
        assert main([*fixed, "--epochs", "1"]) == 0
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["labels"] == ["with_mask", "without_mask"]
        assert metrics["test"]["faces"] == 4
        assert metrics["unreadable"] == [str(data / "with_mask" / "broken.jpg")]
        report = (out / "classification_report.txt").read_text()
        assert "without_mask" in report
        assert "macro avg" in report
        for name in ("curves_loss", "curves_accuracy", "confusion_test"):
            assert cv2.imread(str(out / f"{name}.png")) is not None

    def test_the_reports_model_is_the_reports(self) -> None:
        from train.mask.model import report_classifier

        model = report_classifier(224, 0.35, "none", classes=2)
        names = [layer.__class__.__name__ for layer in model.layers[2:]]
        assert names == ["AveragePooling2D", "Flatten", "Dense", "Dropout", "Dense"]
        assert model.get_layer("pool").pool_size == (7, 7)
        assert model.get_layer("dense").units == 128
        assert model.get_layer("dropout").rate == 0.5
        assert len(model.trainable_variables) == 4

    def test_the_door_model_follows_bayes_rule(self) -> None:
        from train.mask.model import classifier, for_door

        model = classifier(32, 0.35, "none", len(LABELS), dropout=0.3)
        image = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
        ratios = np.array([2.0, 1.0, 0.25], np.float32)
        before = np.asarray(model(image))
        expected = before**2 * ratios / (before**2 * ratios).sum()
        answered = np.asarray(for_door(model, np.log(ratios).tolist(), temperature=0.5)(image))
        np.testing.assert_allclose(answered, expected, atol=1e-5)
        np.testing.assert_array_equal(np.asarray(model(image)), before)

    def test_the_report_needs_two_classes(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data = folders(tmp_path / "data", (Label.WITH_MASK,), count=2)
        assert main(["mask", "--preset", "report", "--data", str(data), *FAST, "--out", str(tmp_path / "o")]) == 2
        assert "Two classes are needed" in capsys.readouterr().err
