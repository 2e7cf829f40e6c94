"""Picture files as people have them: odd names, missing ends, formats that are not read, costs out of proportion."""

from __future__ import annotations

import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.picture import MAX_FILE_BYTES, PictureError, decode, read_picture
from edge.cameras.stills import Stills
from edge.values import Image
from tests.stand_ins import memory


def pattern(width: int = 160, height: int = 120) -> Image:
    small = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height))  # type: ignore[return-value]


def jpeg(image: Image, *options: int) -> bytes:
    return cv2.imencode(".jpg", image, options)[1].tobytes()


def tiff(width: int, height: int, samples: int, bits: int, sample_format: int = 1, *, compression: int = 8) -> bytes:
    """A TIFF in one compressed strip of nothing but zeros."""
    data = zlib.compress(bytes(width * height * samples * bits // 8), 9)
    tags = {
        256: width,
        257: height,
        258: bits,
        259: compression,
        262: 2 if samples > 1 else 1,
        273: 8 + 2 + 12 * 10 + 4,
    }
    tags |= {277: samples, 278: height, 279: len(data), 339: sample_format}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + data


class TestNames:
    @pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".jfi", ".mpo", ".JPG"])
    def test_every_jpeg_extension_is_an_image(self, tmp_path: Path, suffix: str) -> None:
        (tmp_path / f"a{suffix}").write_bytes(jpeg(pattern()))
        frame = Stills(tmp_path).read()
        assert frame is not None
        assert frame.image.shape == (120, 160, 3)

    def test_content_decides_not_the_name(self, tmp_path: Path) -> None:
        (tmp_path / "a.jfif").write_bytes(cv2.imencode(".png", pattern())[1].tobytes())
        assert np.array_equal(read_picture(tmp_path / "a.jfif"), pattern())

    def test_the_first_of_several_pictures(self, tmp_path: Path) -> None:
        (tmp_path / "a.mpo").write_bytes(jpeg(pattern()) + jpeg(pattern(64, 48)))
        assert read_picture(tmp_path / "a.mpo").shape == (120, 160, 3)

    def test_hidden_and_mac_files_are_skipped(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for name in ("a.jpg", ".hidden.jpg"):
            (tmp_path / name).write_bytes(jpeg(pattern()))
        (tmp_path / "._a.jpg").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
        camera = Stills(tmp_path)
        assert camera.read() is not None
        assert camera.read() is None
        assert not caplog.records

    def test_unsupported_images_are_counted(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "a.jpg").write_bytes(jpeg(pattern()))
        for name in ("b.heic", "c.HEIC", "d.gif", "e.avif"):
            (tmp_path / name).touch()
        Stills(tmp_path)
        assert f"{tmp_path}: skipped 2 HEIC, 1 GIF, 1 AVIF (convert to JPEG)." in caplog.text

    def test_a_folder_without_images_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "a.heic").touch()
        with pytest.raises(OSError, match=r"holds no image .*, only 1 HEIC \(convert to JPEG\); give another source"):
            Stills(tmp_path)


class TestFormats:
    @pytest.mark.parametrize(
        ("begin", "name"),
        [
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x1cftypavif\0\0\0\0avif", "AVIF"),
            (b"GIF89a\1\0\1\0", "GIF"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        ],
    )
    def test_an_unsupported_format_is_named(self, tmp_path: Path, begin: bytes, name: str) -> None:
        (tmp_path / "a.jpg").write_bytes(begin + bytes(64))
        with pytest.raises(PictureError, match=f"^{name} pictures are not supported; convert it to JPEG"):
            read_picture(tmp_path / "a.jpg")

    @pytest.mark.parametrize(
        "begin",
        [
            b"\0\0\0\x18ftypisom\0\0\2\0isommp42",
            b"\0\0\0\x14ftypqt  \0\0\2\0qt  ",
            b"RIFF\0\1\2\3AVI LIST",
            b"\x1aE\xdf\xa3\x93B\x82\x88matroska",
            b"\0\0\1\xba\x44\0\4\0\4\1",
        ],
        ids=["mp4", "mov", "avi", "mkv", "mpg"],
    )
    def test_a_video_is_named_however_large(self, tmp_path: Path, begin: bytes) -> None:
        with (tmp_path / "clip").open("wb") as file:
            file.write(begin)
            file.truncate(MAX_FILE_BYTES + 1)
        with pytest.raises(PictureError, match=r"^this is a video; `maskgate run --source FILE` judges it"):
            read_picture(tmp_path / "clip")

    def test_a_floating_point_tiff_is_named(self) -> None:
        with pytest.raises(PictureError, match="TIFF pictures of floating-point numbers are not supported"):
            decode(tiff(16, 16, 3, 32, 3))

    @pytest.mark.parametrize("sample_format", [1, 2], ids=["unsigned", "signed"])
    def test_a_deep_tiff_is_named(self, sample_format: int) -> None:
        with pytest.raises(PictureError, match="TIFF pictures with more than 16 bits per channel are not supported"):
            decode(tiff(16, 16, 3, 32, sample_format))

    def test_a_rare_compression_is_named(self) -> None:
        with pytest.raises(PictureError, match="TIFF pictures with Zstandard compression are not supported"):
            decode(tiff(16, 16, 3, 8, compression=50000))


class TestMissingEnd:
    @pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)], ids=["baseline", "progressive"])
    def test_missing_end_markers_are_noted(
        self, tmp_path: Path, options: tuple[int, ...], caplog: pytest.LogCaptureFixture
    ) -> None:
        whole = jpeg(pattern(), *options)
        (tmp_path / "a.jpg").write_bytes(whole[:-2])
        assert np.array_equal(read_picture(tmp_path / "a.jpg"), decode(whole))
        assert "a.jpg lacks its end marker; all of the picture is there." in caplog.text

    @pytest.mark.parametrize("missing", [12, 40, 0.5, 0.9])
    def test_one_that_lacks_more_is_damaged(self, tmp_path: Path, missing: float) -> None:
        whole = jpeg(pattern())
        kept = len(whole) - (int(missing) if missing >= 1 else int(missing * len(whole)))
        (tmp_path / "a.jpg").write_bytes(whole[:kept])
        with pytest.raises(PictureError, match="damaged"):
            read_picture(tmp_path / "a.jpg")

    def test_data_after_a_jpeg_is_ignored(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(jpeg(pattern()) + bytes(5000))
        assert read_picture(tmp_path / "a.jpg").shape == (120, 160, 3)


class TestCost:
    @pytest.mark.parametrize(("samples", "bits"), [(4, 16), (3, 16), (3, 8)])
    @pytest.mark.slow
    def test_memory_hungry_tiffs_are_refused(self, samples: int, bits: int) -> None:
        content = tiff(8000, 8000, samples, bits)
        before = memory.resident()
        memory.forget_peak()
        with pytest.raises(PictureError, match="too many pixels"):
            decode(content)
        assert memory.peak() - before < 32 * memory.MEGABYTE

    def test_a_huge_progressive_jpeg_is_refused(self) -> None:
        whole = bytearray(jpeg(pattern(16, 16), cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
        struct.pack_into(">HH", whole, whole.index(b"\xff\xc2") + 5, 8000, 8000)
        with pytest.raises(PictureError, match="too many pixels"):
            decode(bytes(whole))

    def test_a_jpeg_with_hundreds_of_scans(self) -> None:
        whole = jpeg(pattern(4000, 3000), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
        last = whole.rindex(b"\xff\xda")
        many = whole[:last] + whole[last:-2] * 400 + b"\xff\xd9"
        began = time.process_time()
        with pytest.raises(PictureError, match="too many pixels or scans"):
            decode(many)
        assert time.process_time() - began < 1

    def test_a_phone_photo_is_read(self) -> None:
        for options in ((), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)):
            assert decode(jpeg(pattern(4000, 3000), *options)).shape == (3000, 4000, 3)
