"""One page to take home: an analysis as a document of its own, HTML or PNG, in the visitor's language.

`compose` puts into words and pictures what is said; `html` and `png` lay it out. The HTML fetches nothing: its pictures
are data URIs, its style is inline; it is light or dark as the reader's system is, and prints on A4. The PNG is as wide
as A4 at 150 dpi and as tall as it needs to be. No model is asked, and nothing of Gradio is used.
"""

import io
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from html import escape

from PIL import Image, ImageDraw, ImageFont

from vitdemo import draw, result
from vitdemo.explain import EXPLANATIONS, Options
from vitdemo.lettering import font_file, font_file_for
from vitdemo.pipeline import FUSED, Analysis
from vitdemo.types import Heat, NotOffered
from vitdemo.ui import render, trust
from vitdemo.ui.text import Say, speaker, translated

INK = "#1a1a1a"  # the fusion's own colour on paper
WIDTH, MARGIN, GAP = 1240, 60, 20  # pixels of the PNG: A4 at 150 dpi
STOPS = 9  # colours of a colour bar


@dataclass(frozen=True)
class Opinion:
    """What the fused model or one backbone says."""

    name: str
    colour: str  # "#rrggbb"
    note: str  # its weight
    top: tuple[tuple[str, float], ...]  # (class, probability), the most probable first


@dataclass(frozen=True)
class Map:
    """One map, or why there is none."""

    subject: str
    picture: Image.Image | None  # the map over the picture
    alternative: str  # in words, for those who do not see it
    bounds: tuple[str, str]  # what the ends of the colour bar stand for
    colours: tuple[str, ...]
    lines: tuple[str, ...]  # trust, figures, or the reason


@dataclass(frozen=True)
class Method:
    """One explanation, of everybody."""

    title: str
    sentence: str
    limits: str  # what it cannot tell
    paper: str
    maps: tuple[Map, ...]


@dataclass(frozen=True)
class Report:
    """Everything that stands in the report, in words and pictures."""

    language: str  # a key of `text.LANGUAGES`
    title: str
    heading: str
    verdict: str
    facts: str
    picture: Image.Image
    alternative: str
    opinions: tuple[Opinion, ...]
    methods: tuple[Method, ...]
    limits: str  # the heading of what a method cannot tell
    settings: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    headings: Mapping[str, str]  # of "settings" and "versions"
    note: str


def compose(
    analysis: Analysis,
    language: str,
    colours: Mapping[str, str],
    when: datetime,
    scale: str = "each",
    colour_map: str = "magma",
    opacity: float = 0.6,
    name: str = "",
) -> Report:
    """What a report says.

    Args:
        analysis: of one picture.
        language: a key of `text.LANGUAGES`.
        colours: of each backbone, by name.
        when: the date that it bears.
        scale, colour_map, opacity: how maps are drawn.
        name: what the picture is called, "" where that is not known.

    Raises:
        VitdemoError: a way to draw that is not allowed.
    """
    result.check_display(scale, colour_map, opacity)
    say = speaker(language)
    label, probability = analysis.top(1)[0]
    several = len(analysis.backbones) > 1
    subjects = [FUSED, *(row.name for row in analysis.backbones)] if several else [analysis.backbones[0].name]
    weights = {row.name: weight for row, weight in zip(analysis.backbones, analysis.fused.weights, strict=True)}
    bounds = draw.scaled(analysis.maps, scale)
    look = (colour_map, opacity)
    return Report(
        language=language,
        title=say("report.title", label=render.short(label, say)),
        heading=f"{render.short(label, say)} {render.percent(probability)}",
        verdict=render.verdict(analysis, say),
        facts=" · ".join(
            [say("agreement", percent=f"{100 * analysis.fused.agreement:.0f}")] * several
            + [
                say(
                    "ran",
                    fusion=say(f"fusion.{analysis.request.fusion}"),
                    count=len(analysis.backbones),
                    device=analysis.device,
                    seconds=f"{analysis.seconds:.1f}",
                )
            ]
        ),
        picture=draw.shrunk(analysis.picture),
        alternative=say("report.picture", name=name or say("report.unnamed")),
        opinions=tuple(
            Opinion(
                say("fused") if one == FUSED else one,
                INK if one == FUSED else colours[one],
                "" if one == FUSED else say("weight", weight=f"{100 * weights[one]:.0f}"),
                tuple((render.short(each, say), p) for each, p in analysis.top(5, one)),
            )
            for one in subjects
        ),
        methods=tuple(_method(analysis, method, subjects, bounds, look, language) for method in _methods(analysis)),
        limits=say("limits"),
        settings=tuple(_settings(analysis, say, scale, *look)),
        versions=tuple(_versions(analysis, say, when)),
        headings={"settings": say("report.settings"), "versions": say("report.versions")},
        note=say("footnote"),
    )


def _methods(analysis: Analysis) -> Iterable[str]:
    return dict.fromkeys(analysis.request.explanations)


def _method(
    analysis: Analysis, method: str, subjects: Sequence[str], bounds: Mapping, look: tuple[str, float], language: str
) -> Method:
    say, entry = speaker(language), EXPLANATIONS.get(method)
    target = render.short(analysis.labels[analysis.target], say)
    if analysis.against is not None:
        target = say("versus", target=target, against=render.short(analysis.labels[analysis.against], say))
    return Method(
        title=say(f"method.{method}") + (f": {target}" if entry.class_specific else ""),
        sentence=say(f"method.{method}.sentence"),
        limits=say(f"method.{method}.limits"),
        paper=entry.paper,
        maps=tuple(
            _map(analysis, subject, method, bounds.get((subject, method)), look, target, language)
            for subject in subjects
        ),
    )


def _map(
    analysis: Analysis,
    subject: str,
    method: str,
    bounds: tuple[float, float] | None,
    look: tuple[str, float],
    target: str,
    language: str,
) -> Map:
    say, heat = speaker(language), analysis.maps[subject][method]
    title = say("fused") if subject == FUSED else subject
    if isinstance(heat, NotOffered):
        reason = say("not_offered", reason=translated(heat.reason, language))
        return Map(title, None, "", ("", ""), (), (reason,))
    judged = analysis.trust.get(subject, {}).get(method)
    lines = [say(trust.WORDS[judged.word])] if judged else []
    lines += [f"{name}: {value}" for name, value in trust.figures(judged, say)] if judged else []
    figures = dict(heat.figures)
    if "members" in figures:
        lines.append(say("members", members=f"{figures.pop('members'):.0f}", of=f"{figures.pop('of'):.0f}"))
    lines += [f"{render.figure_name(name, say)}: {value:.4g}" for name, value in figures.items()]
    if heat.note:
        lines.append(translated(heat.note, language))
    return Map(
        title,
        _drawn(analysis, heat, bounds, look),
        say("map_of", method=say(f"method.{method}"), subject=title, target=target),
        (f"{bounds[0]:.2g}", f"{bounds[1]:.2g}"),
        tuple(draw.colour_bar(bounds[0] < 0, look[0], STOPS)),
        tuple(lines),
    )


def _drawn(analysis: Analysis, heat: Heat, bounds: tuple[float, float], look: tuple[str, float]) -> Image.Image:
    return draw.overlay(analysis.picture, heat, bounds, *look)


def _settings(analysis: Analysis, say: Say, scale: str, colour_map: str, opacity: float) -> list[tuple[str, str]]:
    request, read = analysis.request, {name for m in _methods(analysis) for name in EXPLANATIONS.get(m).reads}
    options = {field.name: getattr(request.options, field.name) for field in fields(Options) if field.name in read}
    rows = [
        (say("collection"), request.collection),
        (say("backbones"), ", ".join(request.backbones)),
        (say("fusion"), say(f"fusion.{request.fusion}")),
        (say("methods"), ", ".join(say(f"method.{method}") for method in _methods(analysis))),
        (say("target"), render.label_of(analysis.labels[analysis.target], say)),
    ]
    if analysis.against is not None:
        rows.append((say("against"), render.label_of(analysis.labels[analysis.against], say)))
    if options:
        rows.append((say("more"), ", ".join(f"{name} = {value}" for name, value in options.items())))
    rows += [(say("scale"), say(f"scale.{scale}")), (say("colours"), colour_map), (say("opacity"), f"{opacity:g}")]
    return rows


def _versions(analysis: Analysis, say: Say, when: datetime) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in result.versions().items())
    licences = "; ".join(f"{row.name}: {row.licence or '?'}" for row in analysis.backbones)
    device = f"{analysis.device}, {platform.system()} {platform.machine()}"
    return [
        (say("report.date"), when.strftime("%Y-%m-%d %H:%M %Z").strip()),
        (say("report.software"), versions),
        (say("report.device"), device),
        (say("report.licences"), licences),
    ]


# -- HTML --------------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --quiet: #595959; --line: #d9d9d9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f0f0f0; --paper: #161616; --quiet: #b3b3b3; --line: #444; }
}
@media print {
  :root { color-scheme: light; --ink: #000; --paper: #fff; --quiet: #444; --line: #bbb; }
}
@page { size: A4; margin: 14mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 16px; max-width: 1000px; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", sans-serif; }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 17px; margin: 24px 0 4px; } h3 { font-size: 15px; margin: 0; }
p { margin: 4px 0; } .quiet, cite, dt { color: var(--quiet); } cite { font-style: normal; }
.top { display: grid; grid-template-columns: minmax(160px, 260px) 1fr; gap: 16px; margin: 16px 0; }
.top img, figure img { width: 100%; height: auto; display: block; }
.opinions, .maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 16px; }
.opinion { border-top: 4px solid var(--colour); padding-top: 4px; }
.opinion table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.opinion td { padding: 0; overflow-wrap: anywhere; } .opinion td:last-child { text-align: right; white-space: nowrap; }
figure { margin: 8px 0; break-inside: avoid; } figcaption { font-weight: 600; }
figure p { font-size: 13px; color: var(--quiet); overflow-wrap: anywhere; }
.scale { display: grid; grid-template-columns: auto 1fr auto; gap: 8px; align-items: center; font-size: 13px; }
.scale i { height: 8px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
dl { display: grid; grid-template-columns: minmax(110px, max-content) 1fr; gap: 2px 16px; margin: 4px 0; }
dd { margin: 0; overflow-wrap: anywhere; } section { border-top: 1px solid var(--line); margin-top: 16px; }
@media (max-width: 600px) { .top { grid-template-columns: 1fr; } }
"""


def html(report: Report) -> str:
    """The report as one HTML document that fetches nothing."""
    opinions = "".join(
        f'<div class="opinion" style="--colour:{"currentColor" if one.colour == INK else one.colour}">'
        f'<h3>{escape(one.name)}</h3><p class="quiet">{escape(one.note)}</p><table>'
        + "".join(f"<tr><td>{escape(label)}</td><td>{render.percent(p)}</td></tr>" for label, p in one.top)
        + "</table></div>"
        for one in report.opinions
    )
    parts = [
        f"<header><h1>{escape(report.heading)}</h1><p>{escape(report.verdict)}</p>"
        f'<p class="quiet">{escape(report.facts)}</p></header>',
        f'<div class="top"><img src="{render.uri(report.picture, "JPEG", quality=88)}" '
        f'alt="{escape(report.alternative)}"><div class="opinions">{opinions}</div></div>',
        *(_method_html(method, report.limits) for method in report.methods),
        f'<p class="quiet">{escape(report.note)}</p>' if report.methods else "",
        _pairs(report.headings["settings"], report.settings),
        _pairs(report.headings["versions"], report.versions),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="{report.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head><body><main>"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )


def _method_html(method: Method, limits: str) -> str:
    maps = "".join(_map_html(one) for one in method.maps)
    return (
        f"<section><h2>{escape(method.title)}</h2><p>{escape(method.sentence)}</p>"
        f"<p><b>{escape(limits)}:</b> {escape(method.limits)} <cite>{escape(method.paper)}</cite></p>"
        f'<div class="maps">{maps}</div></section>'
    )


def _map_html(one: Map) -> str:
    lines = "".join(f"<p>{escape(line)}</p>" for line in one.lines)
    if one.picture is None:
        return f"<figure><figcaption>{escape(one.subject)}</figcaption>{lines}</figure>"
    low, high = one.bounds
    return (
        f"<figure><figcaption>{escape(one.subject)}</figcaption>"
        f'<img src="{render.uri(one.picture, "JPEG", quality=88)}" alt="{escape(one.alternative)}">'
        f'<div class="scale"><span>{low}</span><i style="background:linear-gradient(90deg,{",".join(one.colours)})">'
        f"</i><span>{high}</span></div>{lines}</figure>"
    )


def _pairs(heading: str, pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<section><h2>{escape(heading)}</h2><dl>{rows}</dl></section>"


# -- PNG ---------------------------------------------------------------------------------------------------------


def drawable(language: str) -> str:
    """The language, or English where no font of this machine has its letters."""
    return language if font_file(language) else "en"


def png(report: Report) -> bytes:
    """The report as one PNG, as tall as it needs to be.

    The report has to be in a language that is `drawable` here.
    """
    labels = " ".join(label for one in report.opinions for label, _ in one.top)
    sheet = Sheet(font_file_for(f"{report.heading} {labels}", report.language))
    sheet.text(report.heading, 40)
    sheet.text(report.verdict, 22)
    sheet.text(report.facts, 18, quiet=True)
    sheet.row([[report.picture], *([one] for one in report.opinions)])
    for method in report.methods:
        sheet.rule()
        sheet.text(method.title, 26)
        sheet.text(method.sentence, 18)
        sheet.text(f"{report.limits}: {method.limits} {method.paper}", 18, quiet=True)
        sheet.row([[one] for one in method.maps])
    if report.methods:
        sheet.text(report.note, 16, quiet=True)
    for key in ("settings", "versions"):
        sheet.rule()
        sheet.text(report.headings[key], 22)
        for name, value in getattr(report, key):
            sheet.text(f"{name}: {value}", 16)
    return sheet.png()


class Sheet:
    """A white sheet that is written from the top down; it grows with what stands on it."""

    def __init__(self, font: str):
        self._font = font
        self._strips: list[Image.Image] = []

    def _sized(self, size: int) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(self._font, size)

    def text(self, text: str, size: int, quiet: bool = False) -> None:
        """A paragraph over the whole width."""
        self._strips.append(self._paragraph(text, size, WIDTH - 2 * MARGIN, "#595959" if quiet else INK))

    def rule(self) -> None:
        strip = Image.new("RGB", (WIDTH - 2 * MARGIN, 25), "white")
        ImageDraw.Draw(strip).line((0, 12, strip.width, 12), fill="#d9d9d9")
        self._strips.append(strip)

    def row(self, cells: Sequence[Sequence], most: int = 5) -> None:
        """Cells side by side, at most `most` in a line."""
        for start in range(0, len(cells), most):
            line = cells[start : start + most]
            width = (WIDTH - 2 * MARGIN - GAP * (most - 1)) // most if len(cells) > 3 else 340
            drawn = [self._cell(things[0], width) for things in line]
            strip = Image.new("RGB", (WIDTH - 2 * MARGIN, max(one.height for one in drawn) + GAP), "white")
            for index, one in enumerate(drawn):
                strip.paste(one, (index * (width + GAP), GAP // 2))
            self._strips.append(strip)

    def png(self) -> bytes:
        height = sum(strip.height for strip in self._strips) + 2 * MARGIN
        whole, y = Image.new("RGB", (WIDTH, height), "white"), MARGIN
        for strip in self._strips:
            whole.paste(strip, (MARGIN, y))
            y += strip.height
        buffer = io.BytesIO()
        whole.save(buffer, "PNG", optimize=False)
        return buffer.getvalue()

    def _cell(self, thing, width: int) -> Image.Image:
        if isinstance(thing, Image.Image):
            return self._fitted(thing, width)
        if isinstance(thing, Opinion):
            return _stacked([self._band(thing.colour, width), *self._opinion(thing, width)])
        parts = [self._paragraph(thing.subject, 18, width, INK)]
        if thing.picture is not None:
            parts += [self._fitted(thing.picture, width), self._bar(thing, width)]
        return _stacked([*parts, *(self._paragraph(line, 15, width, "#595959") for line in thing.lines)])

    def _fitted(self, picture: Image.Image, width: int) -> Image.Image:
        return picture.convert("RGB").resize((width, max(1, round(width * picture.height / picture.width))))

    def _band(self, colour: str, width: int) -> Image.Image:
        return Image.new("RGB", (width, 6), colour)

    def _opinion(self, one: Opinion, width: int) -> list[Image.Image]:
        lines = [self._paragraph(one.name, 18, width, INK)]
        if one.note:
            lines.append(self._paragraph(one.note, 15, width, "#595959"))
        return lines + [self._paragraph(f"{render.percent(p)}  {label}", 16, width, INK) for label, p in one.top]

    def _bar(self, one: Map, width: int) -> Image.Image:
        """The colour bar and the values at its ends."""
        strip = Image.new("RGB", (width, 36), "white")
        colours = Image.new("RGB", (len(one.colours), 1))
        colours.putdata([tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in one.colours])
        strip.paste(colours.resize((width, 10), Image.Resampling.BILINEAR), (0, 4))
        pen, font = ImageDraw.Draw(strip), self._sized(14)
        pen.text((0, 17), one.bounds[0], fill=INK, font=font)
        pen.text((width, 17), one.bounds[1], fill=INK, font=font, anchor="ra")
        return strip

    def _paragraph(self, text: str, size: int, width: int, colour: str) -> Image.Image:
        font, leading = self._sized(size), round(size * 1.4)
        lines = wrapped(text, lambda piece: font.getlength(piece), width)
        strip = Image.new("RGB", (width, leading * len(lines) + 2), "white")
        pen = ImageDraw.Draw(strip)
        for index, line in enumerate(lines):
            pen.text((0, index * leading), line, fill=colour, font=font)
        return strip


def _stacked(parts: Sequence[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (max(part.width for part in parts), sum(part.height for part in parts)), "white")
    y = 0
    for part in parts:
        whole.paste(part, (0, y))
        y += part.height
    return whole


def wrapped(text: str, length, width: float) -> list[str]:
    """Lines no wider than `width`: broken at spaces, between Chinese characters, and in words that are too long.

    Args:
        text: one paragraph.
        length: gives the width of a piece of text.
        width: in the same units.
    """
    lines = [""]
    for piece in re.findall(r"\s+|[⺀-￿]|[^\s⺀-￿]+", text):
        while length(lines[-1] + piece) > width and (lines[-1] or len(piece) > 1):
            if lines[-1].strip():
                lines[-1] = lines[-1].rstrip()
                lines.append("")
                piece = piece.lstrip()
            else:
                fit = next((n for n in range(len(piece) - 1, 1, -1) if length(piece[:n]) <= width), 1)
                lines[-1] = piece[:fit]
                piece = piece[fit:]
                lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines if line.strip()] or [""]
