"""The README's table of settings: `python -m tests.stand_ins.readme_tables` writes it from the configuration model."""

from __future__ import annotations

import re
from pathlib import Path

from edge.config import load

README = Path(__file__).parents[2] / "README.md"
MARKED = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)


def settings_table() -> str:
    """Every setting with its default and meaning, as a Markdown table."""
    head = ["| setting | default | meaning |", "| --- | --- | --- |"]
    rows = [f"| `{it.key}` | {_default(it.value)} | {it.description} |" for it in load(environment={})]
    return "\n".join([*head, *rows]) + "\n"


def with_tables(readme: str) -> str:
    """The README with its marked part replaced."""
    return MARKED.sub(lambda match: match[1] + settings_table() + match[2], readme)


def _default(value: object) -> str:
    if value is None or value == ():
        return "unset"
    if value == "":
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
