"""docs/settings.md from the configuration model: ``python -m tests.docs.settings_page`` writes it."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from edge.config.model import Config, sections
from edge.config.page import changeable

PAGE = Path(__file__).parents[2] / "docs/settings.md"
HEAD = """\
# Settings

Every setting has a default, so an empty configuration works. Later sources win:

1. the defaults below,
2. one TOML file: `--config FILE`, else `$MASKGATE_CONFIG`, else `~/.config/maskgate/config.toml`, else
   `/etc/maskgate/config.toml` (the service reads this one),
3. changes from the operator page, kept in `page.toml` next to the counts; only the settings marked *page* below,
4. environment variables: `MASKGATE_ALERTS_LED_PIN=5`,
5. options of the command line.

`maskgate config` shows every setting with its value and its source. `maskgate config --example` prints a documented
file to start from. A mistyped key is refused, with the nearest one that exists.

```toml
[camera]
source = "usb:0"

[alerts]
quiet_hours = "22:00-06:30"
```

This page is generated from the model in `edge/config/sections/`: `python -m tests.docs.settings_page` writes it.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for section, kind in sections():
        parts.append(f"\n## {section}\n\n{(kind.__doc__ or '').strip()}\n\n")
        parts.append("| setting | default | allowed | meaning |\n| --- | --- | --- | --- |\n")
        defaults = getattr(Config(), section)
        for name, field in kind.model_fields.items():
            marked = " *page*" if f"{section}.{name}" in changeable() else ""
            cells = (
                f"`{section}.{name}`{marked}",
                _default(getattr(defaults, name)),
                _allowed(field),
                field.description or "",
            )
            parts.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n")
    return "".join(parts)


def _default(value: object) -> str:
    if value is None or value == ():
        return "unset"
    if value == "":
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _allowed(field: FieldInfo) -> str:
    """Choices or range, as far as the model knows them."""
    extra = field.json_schema_extra
    choices = extra.get("choices") if isinstance(extra, dict) else None
    choices = choices or _choices(field.annotation)
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    bounds = {type(one): one for one in field.metadata if isinstance(one, Ge | Gt | Le | Lt)}
    low = bounds.get(Ge) or bounds.get(Gt)
    high = bounds.get(Le) or bounds.get(Lt)
    if low and not high:
        return f"{_low(low)} or more"
    said = [_low(low)] if low else []
    said += [_high(high, bool(low))] if high else []
    return " ".join(said)


def _low(bound: Any) -> str:
    return f"{bound.ge}" if isinstance(bound, Ge) else f"above {bound.gt}"


def _high(bound: Any, after_low: bool) -> str:
    word = "to" if after_low else "up to"
    return f"{word} {bound.le}" if isinstance(bound, Le) else f"{word} below {bound.lt}"


def _choices(kind: Any) -> tuple[object, ...]:
    origin = get_origin(kind)
    if origin is Literal:
        return get_args(kind)
    if kind is bool:
        return ("true", "false")
    if origin is Annotated:
        return _choices(get_args(kind)[0])
    options = [one for one in get_args(kind) if one is not NoneType]
    return _choices(options[0]) if len(options) == 1 and options[0] is not kind else ()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
