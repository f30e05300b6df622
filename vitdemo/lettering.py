"""Text in pictures: what a person wrote is drawn as letters, whatever they wrote.

A label is text: a dollar sign in it begins no formula, letters of any script are drawn where this machine has a font
for them, and what no font has becomes a replacement mark in place of a warning. A long one is broken into lines and
ends in "…" where there is no more room.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

# What has the letters of a language, by how likely it is to be there; matplotlib brings the first.
FONTS = {
    "en": ("DejaVu Sans",),
    "zh-CN": (
        "Noto Sans CJK SC",
        "Noto Sans SC",
        "Source Han Sans SC",
        "PingFang SC",
        "Hiragino Sans GB",
        "Microsoft YaHei",
        "SimHei",
        "WenQuanYi Micro Hei",
        "WenQuanYi Zen Hei",
        "Noto Sans CJK JP",
    ),
}
FURTHER = ("Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji", "Segoe UI")
MISSING = "\N{REPLACEMENT CHARACTER}"  # drawn for a letter that no font has
EM = 0.62  # width of a letter in heights, a generous mean for DejaVu Sans; wide letters take two
LEADING = 1.25  # height of a line in heights of its letters


def font_file(language: str) -> str | None:
    """The path of a font with the letters of a language in `FONTS`, or None if this machine has none."""
    return next((path for family in FONTS[language] if (path := _file_of(family))), None)


def font_file_for(text: str, language: str = "en") -> str:
    """The path of the one font that has most of the letters of a text; of equals the language's own."""
    first = font_file(language) or font_file("en")
    others = [path for other in FONTS if other != language and (path := font_file(other))]
    wanted = {ord(letter) for letter in text if not letter.isspace()}
    return max((first, *others), key=lambda path: len(wanted & _letters(path)))


@cache
def _file_of(family: str) -> str | None:
    try:
        return str(findfont(FontProperties(family=[family]), fallback_to_default=False))
    except ValueError:
        return None


@cache
def _letters(path: str) -> frozenset[int]:
    """The code points that a font has."""
    return frozenset(get_font(path).get_charmap())


@cache
def families() -> tuple[str, ...]:
    """The fonts of this machine that letters are looked for in, one after the other."""
    chinese = next((family for family in FONTS["zh-CN"] if _file_of(family)), None)
    return tuple(family for family in ("DejaVu Sans", chinese, *FURTHER) if family and _file_of(family))


@cache
def _known() -> frozenset[int]:
    """The code points that any of them has."""
    return frozenset().union(*(_letters(_file_of(family)) for family in families()))


def plain(text: str) -> str:
    """One line of letters that can be drawn: breaks and controls become spaces, letters of no font `MISSING`."""
    known = _known()
    shown = (" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in str(text))
    return " ".join("".join(letter if letter == " " or ord(letter) in known else MISSING for letter in shown).split())


def style(size: float) -> dict:
    """What Matplotlib needs to draw what `plain` gives, as text and nothing else, `size` points high."""
    return {"fontsize": size, "parse_math": False, "fontfamily": list(families())}


def width(text: str) -> int:
    """Of a line, in letters; East Asian ones count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def fitted(text: str, size: float, inches: float, lines: int) -> str:
    """The text in at most so many lines, none longer than `inches`; "…" stands for what is left out.

    Args:
        text: of any length; a break in it stays one.
        size: of the letters, in points.
    """
    room = max(4, int(72 * inches / (EM * size)))
    broken = [line for part in str(text).split("\n") for line in _broken(plain(part), room)]
    if len(broken) > lines:
        broken = broken[:lines]
        broken[-1] = f"{_cut(broken[-1], room - 1)}…"
    return "\n".join(broken)


def _broken(text: str, room: int) -> Iterable[str]:
    """Lines of at most `room` letters: at spaces, or within words that are too long."""
    line = ""
    for word in text.split(" "):
        while width(word) > room:
            if line:
                yield line
                line = ""
            head = _cut(word, room)
            yield head
            word = word[len(head) :]
        joined = f"{line} {word}".strip()
        if width(joined) > room:
            yield line
            line = word
        else:
            line = joined
    if line:
        yield line


def _cut(text: str, room: int) -> str:
    """As much of the beginning as has room."""
    while text and width(text) > room:
        text = text[:-1]
    return text
