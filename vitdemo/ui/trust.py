"""How far a map can be believed, under the map: one word, both curves before those of chance, the figures on demand;
and beside an enlarged map what further checks of it found.

Curves are SVG in the colours of the text: shares of the cells run to the right, the probability upwards.
"""

from collections.abc import Sequence
from html import escape

from vitdemo.faithfulness import BETTER, LIKE, WORSE, Trust
from vitdemo.scrutiny import Scrutiny
from vitdemo.ui.text import Say

WORDS = {BETTER: "trust.better", LIKE: "trust.like", WORSE: "trust.worse"}
WIDTH, HEIGHT = 96, 40  # of the drawing, in its own units
LEAST = 0.05  # of probability on the upright axis, so that nothing is made of nothing


def block(trust: Trust, say: Say) -> str:
    """The word and the drawing, which open to the figures."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in figures(trust, say))
    return (
        f'<details class="trust"><summary>{drawing(trust, say)}<span>{escape(say(WORDS[trust.word]))}</span></summary>'
        f"<p>{escape(say('trust.legend'))}</p><dl>{rows}</dl></details>"
    )


def figures(trust: Trust, say: Say) -> list[tuple[str, str]]:
    """(name, value) of what was measured, in words and figures for a person."""
    rows = [
        (say("trust.deletion"), f"{trust.deletion:.2f}"),
        (say("trust.insertion"), f"{trust.insertion:.2f}"),
        (say("trust.score"), _signed(trust.score)),
        (say("trust.chance"), f"{trust.floor.mean:.2f} ± {trust.floor.sd:.2f}"),
        (say("trust.margin"), f"± {trust.floor.margin:.2f}"),
        (say("trust.centre"), _signed(trust.floor.centre.score)),
    ]
    if trust.energy is not None:
        rows.append(
            (
                say("trust.energy"),
                say("trust.of", share=f"{100 * trust.energy:.0f}", even=f"{100 * trust.expected_energy:.0f}"),
            )
        )
    if trust.pointing is not None:
        rows.append((say("trust.pointing"), say("yes" if trust.pointing else "no")))
    return rows


def scrutiny(found: Scrutiny, say: Say) -> str:
    """What the checks of one map found: each figure with a sentence on how to read it."""
    wrong = found.infidelity
    floors = {"random": f"{wrong.random:.2g}", "centre": f"{wrong.centre:.2g}"}
    rows = [
        ("head", _correlation(found.head, say)),
        ("all", _correlation(found.all, say)),
        ("infidelity", f"{wrong.value:.2g}"),
        ("sensitivity", f"{found.sensitivity:.2f}"),
    ]
    return "".join(
        f"<dl><dt>{escape(say(f'scrutiny.{name}'))}</dt><dd>{escape(value)}</dd></dl>"
        f"<p>{escape(say(f'scrutiny.{name}.reading', **(floors if name == 'infidelity' else {})))}</p>"
        for name, value in rows
    )


def _correlation(value: float | None, say: Say) -> str:
    return say("scrutiny.none") if value is None else _signed(value)


def _signed(value: float) -> str:
    """Two digits and a sign, but for nothing: "+0.31", "0.00"."""
    text = f"{value:+.2f}"
    return text[1:] if float(text) == 0 else text


def drawing(trust: Trust, say: Say) -> str:
    """Both curves before the bands of the random maps: their mean and one standard deviation to either side."""
    bands = [trust.floor.band(kind) for kind in ("deletion", "insertion")]
    curves = [trust.curves.deletion, trust.curves.insertion]
    values = [value for curve in curves for value in curve.values]
    values += [value for _, mean, sd in bands for edge in (mean - sd, mean + sd) for value in edge]
    low, high = min(0.0, *values), max(LEAST, *values)

    def points(shares: Sequence[float], heights: Sequence[float]) -> str:
        return " ".join(
            f"{WIDTH * x:.1f},{HEIGHT * (high - y) / (high - low):.1f}" for x, y in zip(shares, heights, strict=True)
        )

    shapes = [
        f'<polygon class="chance" points="{points(shares, mean + sd)} {points(shares[::-1], (mean - sd)[::-1])}"/>'
        for shares, mean, sd in bands
    ]
    shapes += [
        f'<polyline class="{name}" points="{points(curve.shares, curve.values)}"/>'
        for name, curve in zip(("deletion", "insertion"), curves, strict=True)
    ]
    about = say("trust.about", deletion=f"{trust.deletion:.2f}", insertion=f"{trust.insertion:.2f}")
    return (
        f'<svg class="curves" viewBox="-1 -2 {WIDTH + 2} {HEIGHT + 4}" role="img" aria-label="{escape(about)}">'
        f'<path class="axis" d="M0,0V{HEIGHT}H{WIDTH}"/>{"".join(shapes)}</svg>'
    )
