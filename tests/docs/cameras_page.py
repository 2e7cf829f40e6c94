"""docs/evidence/cameras.md: ``python -m tests.docs.cameras_page`` tries the odd inputs and writes the table."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cameras.odd_inputs import ODD, Odd, outcome

PAGE = Path(__file__).parents[2] / "docs/evidence/cameras.md"
BEGIN = "| what | what became of it |\n| --- | --- |\n"


def row(odd: Odd) -> str:
    """Try one input."""
    with TemporaryDirectory() as folder, odd.make(Path(folder)) as source:
        said = outcome(source).replace(f"{folder}/", "")
    said = re.sub(r"(127\.0\.0\.1):\d+", r"\1", said).replace("|", "\\|")
    return f"| {odd.what} | {said} |\n"


def main() -> None:
    """Replace the table."""
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    tail = rest.partition("\n\n")[2]
    PAGE.write_text(f"{head}{BEGIN}{''.join(map(row, ODD))}\n{tail}", "utf-8")


if __name__ == "__main__":
    main()
