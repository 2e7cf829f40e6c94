"""The small parts that every room shares: text, pacing, workers, files, spreads."""

from __future__ import annotations

import logging
import random
import threading
from pathlib import Path

import pytest

from edge.files import NotTextError, read_text
from edge.pacing import Backoff, SayOnce, SlidingRate
from edge.spread import Spread
from edge.text import did_you_mean, nearest, plural
from edge.worker import Worker


class TestText:
    def test_counts_take_the_right_noun(self) -> None:
        assert [plural(count, "visit") for count in (0, 1, 2)] == ["0 visits", "1 visit", "2 visits"]
        assert plural(2, "person", "people") == "2 people"

    def test_a_slip_is_offered_its_word(self) -> None:
        assert nearest("soruce", ["source", "fps"]) == "source"
        assert did_you_mean("soruce", ["source", "fps"]) == "did you mean 'source'?"

    def test_nothing_close_says_otherwise(self) -> None:
        assert nearest("xyz", ["source"]) is None
        assert did_you_mean("xyz", ["source"], "there is: source.") == "there is: source."


class TestBackoff:
    def test_pauses_double_up_to_the_longest(self) -> None:
        backoff = Backoff(1.0, 5.0)
        assert [backoff.next() for _ in range(4)] == [1.0, 2.0, 4.0, 5.0]

    def test_success_begins_again(self) -> None:
        backoff = Backoff(1.0, 5.0)
        backoff.next()
        backoff.reset()
        assert backoff.next() == 1.0

    def test_chance_shortens_but_never_lengthens(self) -> None:
        pauses = [Backoff(8.0, 8.0, jitter=0.5).next() for _ in range(200)]
        assert 4.0 <= min(pauses) < 5.0
        assert 7.0 < max(pauses) <= 8.0

    def test_other_users_of_a_seed_are_undisturbed(self) -> None:
        before = random.getstate()
        Backoff(8.0, 8.0, jitter=0.5).next()
        assert random.getstate() == before


class TestSlidingRate:
    def test_nothing_is_known_at_first(self) -> None:
        rate = SlidingRate()
        assert rate.per_second(5.0) is None
        rate.mark(5.0, 0)
        assert rate.per_second(5.5) is None

    def test_it_covers_the_last_seconds_only(self) -> None:
        rate = SlidingRate(over=10.0)
        for second in range(100):
            rate.mark(float(second), second * 30 if second < 50 else 1500 + (second - 50) * 5)
        assert rate.per_second(99.0) == pytest.approx(5.0)

    def test_it_falls_to_nothing_without_marks(self) -> None:
        rate = SlidingRate(over=10.0)
        for second in range(20):
            rate.mark(float(second), second * 30)
        assert rate.per_second(100.0) == 0.0


class TestSayOnce:
    def test_each_sentence_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        say = SayOnce(logging.getLogger("test"))
        told = [say.warn(sentence, then="Alerts go on.") for sentence in ("A.", "B.", "A.")]
        assert told == [True, True, False]
        assert caplog.messages == ["A. Alerts go on.", "B. Alerts go on."]

    def test_memory_stays_bounded(self) -> None:
        say = SayOnce(logging.getLogger("test"))
        for number in range(3 * SayOnce.MOST_REMEMBERED):
            say.warn(f"Sentence {number}.")
        assert say.warn("Sentence 0.")


class TestWorker:
    def test_it_ends_when_asked(self) -> None:
        rounds = threading.Semaphore(0)

        def work(worker: Worker) -> None:
            while not worker.wait(0.001):
                rounds.release()

        worker = Worker("test", work)
        assert rounds.acquire(timeout=5)
        assert worker.close(within=5)
        assert worker.close(within=5)

    def test_one_that_hangs_is_left_behind(self) -> None:
        never = threading.Event()
        worker = Worker("test", lambda _: never.wait(30) and None)
        assert not worker.close(within=0.01)
        never.set()

    def test_a_failure_is_logged_and_kept(self, caplog: pytest.LogCaptureFixture) -> None:
        def work(worker: Worker) -> None:
            raise ZeroDivisionError("too little")

        worker = Worker("screens", work)
        assert worker.close(within=5)
        assert isinstance(worker.failure, ZeroDivisionError)
        assert "screens failed (ZeroDivisionError: too little)" in caplog.text


class TestReadText:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_a_byte_order_mark_is_skipped(self, tmp_path: Path, encoding: str) -> None:
        (tmp_path / "file").write_text("déjà vu\n", encoding)
        assert read_text(tmp_path / "file") == "déjà vu\n"

    @pytest.mark.parametrize(
        ("content", "said"), [("text".encode("utf-16"), "UTF-16"), (b"caf\xe9", r"not UTF-8 text \(byte 3\)")]
    )
    def test_other_encodings_are_named(self, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(NotTextError, match=said):
            read_text(tmp_path / "file")


def test_a_spread_has_middle_and_edges() -> None:
    assert Spread.of(range(1, 100)) == Spread(50, 10, 90)
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)
    assert str(Spread.of([1.0, 1.0])) == "1.00 (1.00 to 1.00)"
