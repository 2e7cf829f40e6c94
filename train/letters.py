"""``python -m train.letters``: the letters of ``edge.sinks.lettering``, from the pages' font file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SINKS = Path(__file__).parents[1] / "edge/sinks"
FONT = SINKS / "web/static/atkinson-800.woff2"
SIZE = 56
"""Of the font, in pixels: its capitals are then about as high as the largest text on a 1080p picture."""
CHARACTERS = (
    "".join(chr(code) for code in (*range(0x20, 0x7F), *range(0xA0, 0x100)))
    + "\u0152\u0153\u0178\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u20ac\u2022"
)


def main() -> None:
    """Draw every character once, and write down where it lies."""
    font = ImageFont.truetype(FONT, SIZE)
    baseline, descent = font.getmetrics()
    places: dict[str, tuple[int, int, int, float]] = {}
    drawn = []
    x = 0
    for one in CHARACTERS:
        left, _, right, _ = font.getbbox(one, anchor="ls")
        width = max(1, int(np.ceil(right - left)) + 2)
        image = Image.new("L", (width, baseline + descent))
        ImageDraw.Draw(image).text((1 - left, baseline), one, fill=255, font=font, anchor="ls")
        places[one] = (x, width, int(left) - 1, round(font.getlength(one), 2))
        drawn.append(np.asarray(image))
        x += width
    Image.fromarray(np.hstack(drawn)).save(SINKS / "letters.png", optimize=True)
    capital = -font.getbbox("H", anchor="ls")[1]
    said = {"capital": capital, "baseline": baseline, "letters": places}
    (SINKS / "letters.json").write_text(json.dumps(said, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main()
