"""``python -m tests.fuzz``: look for input that breaks maskgate."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import fuzz

WORK = Path("build/fuzz")
TELL_EVERY = 15.0
"""Between two lines of progress, in seconds."""
LONGEST_ATTEMPT = 60
"""One input that takes longer is a finding, in seconds."""
MOST_MEMORY = 2048
"""A process that takes more is a finding, in MB."""
GRACE = 120.0
"""For starting and for the last input, in addition to the time that was asked for, in seconds."""
HELP = """\
targets:
{targets}

examples:
  python -m tests.fuzz                              every target for a minute, one after the other
  python -m tests.fuzz settings web --seconds 600   two of them, ten minutes each
  python -m tests.fuzz --jobs 2 --json fuzz.json    two at a time; the table also as JSON
  python -m tests.fuzz web --replay FILE            try one input again, with its traceback

What is found lies in {work}/TARGET/: make it as small as it can be, and keep it in tests/fuzz/cases/TARGET/ with the
fix; every run of the tests tries it again. The corpus lies there, too, and the next run goes on from it.

Needs atheris: Python on x86-64 (`make fuzz` installs it). --replay and the tests need nothing.
Exit code: 0 where nothing was found, 1 where something was, 2 where it cannot run.
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one target.

    Attributes:
        target: Its name.
        executions: Inputs tried.
        seconds: How long that took.
        branches: Of the watched packages' code, as libFuzzer counts them.
        peak_mb: Most memory of the process, in MB.
        finding: File of the input that broke it, or why it did not run; None where all held.
    """

    target: str
    executions: int
    seconds: float
    branches: int
    peak_mb: int
    finding: str | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print a table, and return the exit code."""
    args = _parse(arguments)
    if args.replay:
        return _replay(args.targets, args.replay)
    if importlib.util.find_spec("atheris") is None:
        print(
            "atheris is missing: run `make fuzz`, or pip install 'maskgate[fuzz]' (Python on x86-64).", file=sys.stderr
        )
        return 2
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda name: _fuzz(name, args.seconds), args.targets))
    print(table(results))
    if args.json:
        args.json.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n", "utf-8")
    return 1 if any(result.finding for result in results) else 0


def table(results: Sequence[Result]) -> str:
    """The results, aligned."""
    lines = [f"{'target':<10}{'inputs tried':>14}{'seconds':>9}{'branches':>10}{'peak MB':>9}  finding"]
    lines += [
        f"{one.target:<10}{one.executions:>14,}{one.seconds:>9.0f}{one.branches:>10,}{one.peak_mb:>9,}  "
        f"{one.finding or 'none'}"
        for one in results
    ]
    return "\n".join(lines)


def read_log(name: str, log: str, seconds: float, finding: str | None) -> Result:
    """What libFuzzer's output says of a run."""
    tried = [int(number) for number in re.findall(r"^#(\d+)", log, re.MULTILINE)]
    branches = [int(number) for number in re.findall(r"cov: (\d+)", log)]
    units = re.search(r"stat::number_of_executed_units: (\d+)", log)
    peak = re.search(r"stat::peak_rss_mb: +(\d+)", log)
    return Result(
        name,
        int(units[1]) if units else max(tried, default=0),
        round(seconds, 1),
        max(branches, default=0),
        int(peak[1]) if peak else 0,
        finding,
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    about = "\n".join(f"  {name:<10}{fuzz.target(name).ABOUT}" for name in fuzz.TARGETS)
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Looks for input that breaks maskgate: libFuzzer, through atheris, led by the branches it reaches.",
        epilog=HELP.format(targets=about, work=WORK),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="what to fuzz (default: all, see below)")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="for each target (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="targets in parallel (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table as JSON")
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="only try the input in this file, on the one TARGET"
    )
    args = parser.parse_args(arguments)
    args.targets = args.targets or list(fuzz.TARGETS)
    if unknown := [name for name in args.targets if name not in fuzz.TARGETS]:
        parser.error(f"there is no target {unknown[0]!r}; there are {', '.join(fuzz.TARGETS)}")
    if args.replay and len(args.targets) != 1:
        parser.error("--replay needs the one target to try")
    if args.replay and not args.replay.is_file():
        parser.error(f"there is no file {args.replay}")
    return args


def _replay(targets: Sequence[str], file: Path) -> int:
    with TemporaryDirectory() as folder, fuzz.target(targets[0]).opened(Path(folder)) as attempt:
        attempt(file.read_bytes())
    print(f"{targets[0]} holds.")
    return 0


def _fuzz(name: str, seconds: int) -> Result:
    target, work = fuzz.target(name), WORK / name
    corpus = work / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in [*target.seeds(), *(case.read_bytes() for case in fuzz.cases(name))]:
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = work / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.WORDS), "ascii")
    command = [
        *(sys.executable, "-m", "tests.fuzz.engine", name, str(corpus)),
        *(f"-max_total_time={seconds}", f"-max_len={target.LONGEST}", f"-artifact_prefix={work}/"),
        *([f"-dict={words}"] if target.WORDS else []),
        *(f"-timeout={LONGEST_ATTEMPT}", f"-rss_limit_mb={MOST_MEMORY}", "-print_final_stats=1"),
    ]
    before = _findings(work)
    log = work / "log"
    began = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "MALLOC_ARENA_MAX": "1"})
        _await(process, name, log, seconds)
    found = sorted(_findings(work) - before)
    failed = f"exit code {process.returncode}: see {log}" if process.returncode else None
    return read_log(
        name, log.read_text("utf-8", "replace"), time.monotonic() - began, str(found[0]) if found else failed
    )


def _findings(work: Path) -> set[Path]:
    return {file for file in work.iterdir() if file.name.startswith(("crash-", "oom-", "timeout-"))}


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _await(process: subprocess.Popen[bytes], name: str, log: Path, seconds: int) -> None:
    began = time.monotonic()
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(TELL_EVERY)
            return
        passed = time.monotonic() - began
        tried = read_log(name, log.read_text("utf-8", "replace"), passed, None).executions
        print(f"{name}: {passed:.0f} of {seconds} s, {tried:,} inputs or more", file=sys.stderr, flush=True)
        if passed > seconds + GRACE:
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
