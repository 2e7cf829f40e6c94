"""``maskgate check``: what it prints, writes and refuses."""

import argparse
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from edge import config
from edge.commands import check
from edge.commands.check import run_check
from edge.errors import ConfigError, ModelError
from edge.values import BBox, Face, Frame, Image, Reading
from edge.vision.pipeline import Pipeline
from tests.stand_ins import memory
from tests.stand_ins.disk import small_disk

__all__ = ["small_disk"]

NOBODY: list[Reading] = []
ONE_BARE = [Reading(Face(BBox(10.04, 20.0, 50.0, 60.26), 0.93456), (0.02, 0.95, 0.03))]
TWO = [
    Reading(Face(BBox(10, 20, 50, 60), 0.9), (0.97, 0.02, 0.01)),
    Reading(Face(BBox(60, 20, 90, 60), 0.8), (0.1, 0.2, 0.7)),
]


class Scripted:
    """A detector and classifier in one that sees the same in every picture, and remembers the pictures."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.shown: list[Image] = []
        self._readings = list(readings)

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        self.shown.append(frame.image)
        return [reading.face for reading in self._readings]

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        return self._readings


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def checked(
    *images: object, sees: Sequence[Reading] = NOBODY, as_json: bool = True, output: Path | None = None
) -> Result:
    out, err = io.StringIO(), io.StringIO()
    scripted = Scripted(sees)
    code = run_check(
        [str(image) for image in images],
        Pipeline(scripted, scripted, 0.4),
        as_json=as_json,
        output=output,
        out=out,
        err=err,
    )
    return Result(code, out.getvalue(), err.getvalue())


def write(path: Path, image: Any = None) -> Path:
    """Write a picture 100 pixels wide and 80 high unless told otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, content = cv2.imencode(path.suffix, np.full((80, 100, 3), 90, np.uint8) if image is None else image)
    path.write_bytes(content.tobytes())
    return path


def huge_png(width: int, height: int) -> bytes:
    """A few bytes that promise a very large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def promising(width: int, height: int, suffix: str) -> bytes:
    """A small picture whose header says that it is larger."""
    content = bytearray(cv2.imencode(suffix, np.full((16, 16, 3), 90, np.uint8))[1].tobytes())
    if suffix == ".png":
        return huge_png(width, height)
    if suffix == ".ppm":
        return f"P6\n{width} {height}\n255\n".encode() + bytes(99)
    if suffix == ".bmp":
        content[18:26] = struct.pack("<ii", width, height)
    if suffix == ".jpg":
        frame = content.index(b"\xff\xc0")
        content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    if suffix == ".tif":
        (directory,) = struct.unpack_from("<I", content, 4)
        for entry in range(directory + 2, directory + 2 + 12 * content[directory], 12):
            tag = content[entry] | content[entry + 1] << 8
            if tag in (256, 257):
                struct.pack_into("<HII", content, entry + 2, 4, 1, width if tag == 256 else height)
    return bytes(content)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_only_terminals_show_progress(tmp_path: Path) -> None:
    names, scripted = [str(write(tmp_path / f"{number}.png")) for number in range(3)], Scripted(NOBODY)
    for err in (Terminal(), io.StringIO()):
        run_check(names, Pipeline(scripted, scripted, 0.4), as_json=True, output=None, out=io.StringIO(), err=err)
        shown = err.getvalue().split("\r")[1:]
        assert shown == (["Checked 0 of 3 pictures", "Checked 1 of 3 pictures", "Checked 2 of 3 pictures",
                          "Checked 3 of 3 pictures\n"] if err.isatty() else [])  # fmt: skip


def test_fast_skips_the_closer_search(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(check, "load_pipeline", lambda *_, closely: asked.append(closely))
    monkeypatch.setattr(check, "run_check", lambda *_, **__: 0)
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    for words in (["a.jpg"], ["a.jpg", "--fast"]):
        assert check.run(parser.parse_args(words), config.Settings(config.Config(), {}, None)) == 0
    assert asked == [True, False]


# The JSON lines


def test_json_keys_keep_the_contract(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png")
    result = checked(path, sees=ONE_BARE)
    assert result.code == 0
    assert result.out == (
        f'{{"image": "{path}", "width": 100, "height": 80, "faces": [{{"bbox": [10.0, 20.0, 50.0, 60.3], '
        '"score": 0.9346, "label": "without_mask", "probabilities": {"with_mask": 0.02, "without_mask": 0.95, '
        '"mask_worn_incorrectly": 0.03}}], "with_mask": 0, "without_mask": 1, "mask_worn_incorrectly": 0}\n'
    )


def test_no_faces_give_zeros(tmp_path: Path) -> None:
    (record,) = checked(write(tmp_path / "a.png")).records
    assert record["faces"] == []
    assert [record[str(label)] for label in check.LABELS] == [0, 0, 0]


def test_unreadable_pictures_keep_their_place(tmp_path: Path) -> None:
    first, last = write(tmp_path / "a.png"), write(tmp_path / "c.png")
    (tmp_path / "b.png").write_bytes(b"not a picture")
    result = checked(first, tmp_path / "b.png", last)
    assert result.code == 1
    assert [record["image"] for record in result.records] == [
        str(tmp_path / name) for name in ("a.png", "b.png", "c.png")
    ]
    assert list(result.records[1]) == ["image", "error"]
    assert result.err == ""


def test_a_folder_gives_pictures_by_name(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "c.webp"):
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "deeper.png").mkdir()
    result = checked(tmp_path)
    assert result.code == 0
    assert [Path(record["image"]).name for record in result.records] == ["a.PNG", "b.jpg", "c.webp"]


def test_links_that_lead_nowhere_stop_nothing(tmp_path: Path) -> None:
    write(tmp_path / "b.png")
    (tmp_path / "a.png").symlink_to("a.png")
    (tmp_path / "c.png").symlink_to("absent.png")
    loop, picture = checked(tmp_path).records
    assert "Too many levels of symbolic links" in loop["error"]
    assert picture["width"] == 100


def test_what_a_folder_skips_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.jpg")
    for name in ("b.MP4", "c.mov", "d.heic", "notes.txt", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "deeper.png").mkdir()
    assert checked(tmp_path).code == 0
    (said,) = caplog.messages
    assert said == (
        f"{tmp_path}: skipped 1 HEIC (convert to JPEG), 2 videos (judge each with `maskgate run --source FILE`),"
        " 1 other file, 1 folder (not searched)."
    )


def test_a_folder_of_videos_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (record,) = checked(tmp_path).records
    assert "only 1 video (judge each with `maskgate run --source FILE`)" in record["error"]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    result = checked(tmp_path)
    assert result.code == 1
    assert "holds no picture" in result.records[0]["error"]


# The lines for people


def test_plain_output_has_lines_and_sum(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.png"), write(tmp_path / "b.png")
    assert checked(first, second, sees=TWO, as_json=False).out.splitlines() == [
        f"{first}: 2 faces: 1 with mask, 1 badly worn",
        f"{second}: 2 faces: 1 with mask, 1 badly worn",
        "2 pictures, 4 faces: 2 with mask, 0 no mask, 2 badly worn",
    ]


def test_errors_go_to_standard_error(tmp_path: Path) -> None:
    result = checked(tmp_path / "absent.jpg", write(tmp_path / "a.png"), as_json=False)
    assert result.code == 1
    assert result.err == f"{tmp_path}/absent.jpg: the file cannot be read (No such file or directory)\n"
    assert result.out.splitlines() == [
        f"{tmp_path}/a.png: no face",
        "2 pictures, 0 faces: 0 with mask, 0 no mask, 0 badly worn; 1 could not be read",
    ]


# Every kind of picture


@pytest.mark.parametrize(
    "image",
    [
        np.full((80, 100), 90, np.uint8),
        np.full((80, 100, 4), 90, np.uint8),
        np.full((80, 100, 3), 90 * 257, np.uint16),
        np.full((80, 100), 90 * 257, np.uint16),
    ],
    ids=["grey", "alpha", "16 bit", "16 bit grey"],
)
def test_any_depth_becomes_eight_bits(tmp_path: Path, image: Any) -> None:
    assert (check.read_picture(write(tmp_path / "a.png", image)) == 90).all()


def test_exif_orientation_turns_pictures_upright(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg")
    content = path.read_bytes()
    quarter_turn = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"\xff\xe1" + struct.pack(">H", len(quarter_turn) + 8) + b"Exif\0\0" + quarter_turn
    path.write_bytes(content[:2] + exif + content[2:])
    (record,) = checked(path).records
    assert (record["width"], record["height"]) == (80, 100)


def test_a_cmyk_jpeg_is_read(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("CMYK", (100, 80), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    blue, green, red = check.read_picture(tmp_path / "a.jpg")[40, 50].tolist()
    assert red > 150
    assert max(blue, green) < 100


QUADRANTS = np.kron(np.array([[10, 80], [150, 220]], np.uint8), np.ones((40, 50), np.uint8))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, [[10, 80], [150, 220]]),
        (2, [[80, 10], [220, 150]]),
        (3, [[220, 150], [80, 10]]),
        (4, [[150, 220], [10, 80]]),
        (5, [[10, 150], [80, 220]]),
        (6, [[150, 10], [220, 80]]),
        (7, [[220, 80], [150, 10]]),
        (8, [[80, 220], [10, 150]]),
        (9, [[10, 80], [150, 220]]),
    ],
)
def test_every_format_is_turned_upright(tmp_path: Path, suffix: str, orientation: int, seen: list[list[int]]) -> None:
    pillow = pytest.importorskip("PIL.Image")
    exif = pillow.Exif()
    exif[0x0112] = orientation
    pillow.fromarray(np.dstack([QUADRANTS] * 3)).save(tmp_path / f"a.{suffix}", exif=exif)
    image = check.read_picture(tmp_path / f"a.{suffix}")[..., 0].astype(int)
    height, width = image.shape
    centres = image[height // 4 :: height // 2, width // 4 :: width // 2]
    assert np.abs(centres - seen).max() < 6


@pytest.mark.parametrize("name", ["Größe.png", "照片.png", "a b\tc.png", "new\nline.png"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    assert checked(path).records[0]["image"] == str(path)
    assert len(checked(path, as_json=False).out.splitlines()) == 2


def test_names_without_utf8_can_be_printed(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    write(path)
    checked(path, as_json=False).out.encode("utf-8")
    assert checked(path).records[0]["image"] == str(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"GIF89a", "GIF pictures are not supported; convert it to JPEG"),
        (huge_png(60_000, 60_000), "too many pixels"),
    ],
    ids=["no bytes", "a beginning only", "60,000 x 60,000 pixels"],
)
def test_a_bad_file_is_described(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert said in checked(tmp_path / "a.png").records[0]["error"]


def test_headers_over_64_megapixels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(huge_png(8_001, 8_000))
    program = "import sys, pathlib, edge.commands.check; edge.commands.check.read_picture(pathlib.Path(sys.argv[1]))"
    # OpenCV takes its limit from the environment that it is first imported in: a process of its own shows it.
    process = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.png")], capture_output=True, text=True, check=False
    )
    assert "too many pixels" in process.stderr.splitlines()[-1]


@pytest.mark.parametrize("suffix", [".bmp", ".jpg", ".png", ".ppm", ".tif"])
def test_a_lying_header_takes_no_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(promising(60_000, 60_000, suffix))
    before = memory.resident()
    memory.forget_peak()
    (record,) = checked(path).records
    assert "too many pixels" in record["error"]
    assert memory.peak() - before < 32 * memory.MEGABYTE


def tiled(side: int, order: str = "<", kind: int = 4) -> bytes:
    """A TIFF of 16 x 16 pixels in one tile of so many by so many, of which there is little."""
    values = {256: 16, 257: 16, 258: 8, 259: 8, 262: 2, 277: 3, 284: 1, 322: side, 323: side, 324: 8, 325: 64}
    entries = [
        struct.pack(f"{order}HHI", tag, kind if tag in (322, 323) else 4, 1)
        + struct.pack(f"{order}H2x" if kind == 3 and tag in (322, 323) else f"{order}I", value)
        for tag, value in values.items()
    ]
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 72) + bytes(64)
    return start + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)


@pytest.mark.parametrize("content", [tiled(8192), tiled(8192, ">"), tiled(8192, kind=3), tiled(8192, kind=16)])
def test_enormous_tiles_take_no_memory(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    before = memory.resident()
    memory.forget_peak()
    (record,) = checked(tmp_path / "a.tif").records
    assert "error" in record
    assert memory.peak() - before < 32 * memory.MEGABYTE


def test_tiled_pictures_are_read(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (300, 200), (90, 90, 90)).save(tmp_path / "a.tif", tiffinfo={322: 256, 323: 256})
    assert checked(tmp_path / "a.tif").records[0]["width"] == 300


@pytest.mark.parametrize("suffix", [".jp2", ".hdr", ".pfm", ".sr"])
def test_disguised_formats_are_not_decoded(tmp_path: Path, suffix: str) -> None:
    image = np.full((64, 64, 3), 90, np.float32 if suffix in (".hdr", ".pfm") else np.uint8)
    (tmp_path / "a.png").write_bytes(cv2.imencode(suffix, image)[1].tobytes())
    (record,) = checked(tmp_path / "a.png").records
    assert "JPEG 2000 pictures are not supported" in record["error"] or "not a picture" in record["error"]


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a file" in checked(tmp_path / "pipe.png").records[0]["error"]


# The marked pictures


def test_marked_pictures_are_written(tmp_path: Path) -> None:
    path, output = write(tmp_path / "in/a.png", np.full((300, 400, 3), 90, np.uint8)), tmp_path / "out"
    output.mkdir()
    result = checked(path, sees=TWO, output=output, as_json=False)
    marked = cv2.imread(str(output / "a.png"))
    assert marked.shape[1:] == (400, 3)
    assert marked.shape[0] > 300, "the counts are written below the picture"
    assert (marked[:300] != 90).any()
    assert f"(marked: {output / 'a.png'})" in result.out


def test_equal_names_are_both_kept(tmp_path: Path) -> None:
    first, second = write(tmp_path / "x/a.png"), write(tmp_path / "y/a.png")
    (tmp_path / "out").mkdir()
    checked(first, second, output=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-2.png", "a.png"]


def test_no_input_is_ever_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png")
    before = path.read_bytes()
    checked(path, sees=TWO, output=tmp_path)
    assert path.read_bytes() == before
    assert (tmp_path / "a-2.png").is_file()


def test_unwritable_formats_become_png(tmp_path: Path) -> None:
    path = write(tmp_path / "in/a.pgm", np.full((80, 100), 90, np.uint8))
    (tmp_path / "out").mkdir()
    checked(path, output=tmp_path / "out")
    assert (tmp_path / "out/a.png").is_file()


@pytest.mark.parametrize(("name", "height", "width"), [("a.jpg", 65500, 4), ("a.webp", 16383, 4)])
def test_copies_too_high_for_their_format_take_another(tmp_path: Path, name: str, height: int, width: int) -> None:
    path = write(tmp_path / "in" / name, np.full((height, width, 3), 90, np.uint8))
    (tmp_path / "out").mkdir()
    assert checked(path, output=tmp_path / "out").code == 0
    (copy,) = (tmp_path / "out").iterdir()
    assert copy.suffix == ".png"
    assert cv2.imread(str(copy)).shape[0] > height


def test_the_longest_names_are_kept_apart(tmp_path: Path) -> None:
    path = write(tmp_path / ("é" * 125 + "a.png"))
    (tmp_path / "out").mkdir()
    assert checked(path, path, path, output=tmp_path / "out").code == 0
    names = sorted(copy.name for copy in (tmp_path / "out").iterdir())
    assert names == sorted([path.name, "é" * 124 + "-2.png", "é" * 124 + "-3.png"])


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.png")

    open_file = Path.open

    def refuse(self: Path, mode: str = "r", *options: Any, **named: Any) -> Any:
        if "x" in mode:
            raise OSError(28, "No space left on device")
        return open_file(self, mode, *options, **named)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"Cannot write to .*: No space left on device; choose another --output"):
        checked(path, output=tmp_path)


def test_a_disk_that_fills_keeps_no_part(tmp_path: Path, small_disk: Path) -> None:
    path = write(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8))
    with pytest.raises(ConfigError, match=r"Cannot write to .*: No space left on device; choose another --output"):
        checked(path, output=small_disk)
    assert not list(small_disk.iterdir())


# The command


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args([str(argument) for argument in arguments]), config.load())


def test_shipped_models_judge_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.png")
    assert run(path, "--json", "--output", tmp_path / "new/folder") == 0
    assert json.loads(capsys.readouterr().out)["faces"] == []
    assert (tmp_path / "new/folder/a.png").is_file()


def test_the_command_lines_threshold_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def load(settings: Any, threshold: float, max_faces: int, closely: bool) -> Pipeline:
        asked.append(threshold)
        return Pipeline(Scripted([]), Scripted([]), threshold)

    monkeypatch.setattr(check, "load_pipeline", load)
    path = write(tmp_path / "a.png")
    run(path)
    run(path, "--face-threshold", "0.7")
    assert asked == [0.4, 0.7]


@pytest.mark.parametrize("threshold", ["0", "1", "-0.1", "high", "nan"])
def test_an_invalid_threshold_is_refused(threshold: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("a.png", f"--face-threshold={threshold}")
    assert stopped.value.code == 2
    assert "--face-threshold" in capsys.readouterr().err


def test_a_file_as_output_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png")
    with pytest.raises(ConfigError, match="is a file, and copies go into a folder; choose another --output"):
        run(path, "--output", path)


def test_a_missing_model_stops_the_command(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    settings = config.load(overrides={"mask.model": "nosuch"})
    with pytest.raises(ModelError):
        check.run(parser.parse_args([str(write(tmp_path / "a.png"))]), settings)
