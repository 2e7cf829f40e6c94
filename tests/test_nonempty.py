"""No test passes because there was nothing to check."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nonempty import some, vacuous

TESTS = sorted(Path(__file__).parent.rglob("test_*.py"))


def test_some_gives_every_item() -> None:
    assert list(some(iter([1, 2, 3]))) == [1, 2, 3]


def test_some_refuses_nothing() -> None:
    with pytest.raises(AssertionError, match="nothing was checked"):
        assert all(item > 0 for item in some([]))


@pytest.mark.parametrize(
    "code",
    [
        "assert all(face.score > 0 for face in faces)",
        "assert not any(face.alarm for face in found())",
        "assert faces == [] or all(face.alarm for face in faces)",
        "assert all(a == b for a, b in zip(ours, theirs, strict=True))",
        "assert all(a == b for a, b in zip(ours, KNOWN))",
        "assert all(face.alarm for face in FACES if face.worn)",
        "for face in faces:\n    assert face.score",
        "for number in range(0):\n    with closing(number):\n        assert number",
        "for number in range(count):\n    assert number",
    ],
)
def test_checks_of_perhaps_nothing_are_found(code: str) -> None:
    assert vacuous(code) == [1]


@pytest.mark.parametrize(
    "code",
    [
        "assert all(face.score > 0 for face in some(faces))",
        "assert any(face.alarm for face in faces)",
        "assert all(face.alarm for face in (one, other))",
        "assert all(word in said for word in WORDS.values())",
        "assert all(a == b for a, b in zip(ours, [1, 2], strict=True))",
        "for number in range(3):\n    assert number < 3",
        "for face in faces:\n    print(face)",
        "for index, face in enumerate(some(faces)):\n    assert face.score",
    ],
)
def test_checks_of_something_are_passed(code: str) -> None:
    assert vacuous(code) == []


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_every_check_has_something_to_check(file: Path) -> None:
    lines = vacuous(file.read_text("utf-8"))
    assert lines == [], f"{file.name} checks what may be empty; write: for item in some(items)"
