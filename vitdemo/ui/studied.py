"""The study of explanations, as `evaluate --explain` wrote it, and how it becomes HTML."""

from collections.abc import Mapping
from html import escape

from vitdemo.backbones import FUSED
from vitdemo.ui.text import Say

FLOORS = ("random", "centre")  # maps that know nothing, among the methods
EACH = "each"  # among the subjects: the mean over the single backbones
METRICS = ("two", "pointing", "energy", "insertion", "deletion", "random_head", "random_all", "milliseconds")
LESS_IS_BETTER = {"deletion", "random_head", "random_all", "milliseconds"}


def heat(data: Mapping, metric: str, colours: Mapping[str, str], say: Say) -> str:
    """One figure for every method (a line) and subject (a column): the darker, the better."""
    found = {(row["method"], row["subject"]): row["metrics"].get(metric) for row in data["rows"]}
    methods = list(dict.fromkeys(row["method"] for row in data["rows"]))
    subjects = [
        EACH,
        FUSED,
        *dict.fromkeys(row["subject"] for row in data["rows"] if row["subject"] not in (EACH, FUSED)),
    ]
    values = [figure["mean"] for figure in found.values() if figure]
    if not values:
        return f'<p class="empty">{escape(say("study.nothing"))}</p>'
    low, high = min(values), max(values)

    def field(method: str, subject: str) -> str:
        figure = found.get((method, subject))
        if not figure:
            return f'<td class="self" aria-label="{escape(say("study.not_measured"))}">·</td>'
        share = (figure["mean"] - low) / ((high - low) or 1)
        share = 1 - share if metric in LESS_IS_BETTER else share
        interval = say("study.interval", low=_amount(metric, figure["low"]), high=_amount(metric, figure["high"]))
        return f'<td style="--share:{share:.2f}" title="{escape(interval)}">{_amount(metric, figure["mean"])}</td>'

    def named(subject: str) -> str:
        if subject in (EACH, FUSED):
            return f'<th scope="col">{escape(say(f"study.{subject}"))}</th>'
        colour = colours.get(subject, "var(--body-text-color-subdued)")
        return f'<th scope="col" style="--colour:{colour}"><i class="dot"></i>{escape(subject)}</th>'

    lines = "".join(
        f'<tr{" class=floor" if method in FLOORS else ""}><th scope="row">{escape(_title(method, say))}</th>'
        f"{''.join(field(method, subject) for subject in subjects)}</tr>"
        for method in methods
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(say("study"))}"><table class="heat">'
        f"<thead><tr><td></td>{''.join(map(named, subjects))}</tr></thead><tbody>{lines}</tbody></table></div>"
        f'<p class="reading">{escape(say(f"study.{metric}.about"))}</p>'
    )


def _title(method: str, say: Say) -> str:
    return say(f"study.floor.{method}") if method in FLOORS else say(f"method.{method}")


def _amount(metric: str, value: float) -> str:
    return f"{value:.0f}" if metric == "milliseconds" else f"{value:.2f}"


def intro(data: Mapping, say: Say) -> str:
    """What the study was, with its command."""
    pictures = data["pictures"]
    words = say("study.of", one=pictures["one"], two=pictures["two"], photographs=pictures["photo"])
    command = f" <code>{escape(data['command'])}</code>" if data.get("command") else ""
    return f'<p class="reading">{escape(words)}{command}</p>'
