"""The card of each network as HTML: closed it says who it is and how often it is right, open where it comes from and
where it errs."""

from collections.abc import Mapping, Sequence
from html import escape

from vitdemo.backbones import Backbone
from vitdemo.cards import Card
from vitdemo.ui import render
from vitdemo.ui.text import Say


def cards(rows: Sequence[tuple[Backbone, Card]], colours: Mapping[str, str], say: Say) -> str:
    """One line for each network, which opens."""
    return "".join(_network(row, card, colours[row.name], say) for row, card in rows)


def _network(row: Backbone, card: Card, colour: str, say: Say) -> str:
    about = f"{row.family} · {say('backbone.weights', millions=f'{row.parameters / 1e6:.1f}')}"
    right = "" if card.test_accuracy is None else f"<b>{100 * card.test_accuracy:.1f} %</b>"
    entries = "".join(f"<dt>{escape(say(f'card.{key}'))}</dt><dd>{value}</dd>" for key, value in _entries(card, say))
    return (
        f'<details class="network" style="--colour:{colour}"><summary><i class="dot"></i>{escape(row.name)} '
        f"<small>{escape(about)}</small> {right}</summary><dl>{entries}</dl></details>"
    )


def _entries(card: Card, say: Say) -> list[tuple[str, str]]:
    """What there is to tell, as (key of the text, HTML)."""
    found = [("pictures", escape(card.pictures))] if card.pictures else []
    for origin in card.provenance:
        link = f'<a href="{escape(origin["source"])}" target="_blank" rel="noopener">{escape(origin["source"])}</a>'
        found.append(("began", f"{escape(origin['weights'])} ({escape(origin['licence'])}): {link}"))
    if card.taught_by:
        found.append(("taught", escape(say("comma").join(card.taught_by))))
    found.append(("licence", escape(card.licence)))
    if card.paper:
        found.append(("paper", f'<a href="https://arxiv.org/abs/{card.paper}">arXiv {escape(card.paper)}</a>'))
    if card.test_accuracy is not None:
        shares = {"test": f"{100 * card.test_accuracy:.1f}", "validation": f"{100 * card.validation_accuracy:.1f}"}
        found.append(("right", escape(say("card.right.both", **shares))))
    if card.classes:
        each = [f"{render.short(one.label, say)} {one.right} / {one.pictures}" for one in card.classes if one.pictures]
        found.append(("classes", escape(say("comma").join(each))))
    if card.confusions:
        each = [
            say("card.confusion", label=render.short(label, say), said=render.short(said, say), count=count)
            for label, said, count in card.confusions
        ]
        found.append(("confusions", escape("; ".join(each))))
    if card.concentrated:
        each = ["–" if share is None else f"{100 * share:.0f} %" for share in card.concentrated]
        found.append(("concentrated", escape(f"{say('comma').join(each)}. {say('card.concentrated.reading')}")))
    if card.command:
        found.append(("command", f"<code>{escape(card.command)}</code>"))
    if card.history:
        found.append(("history", f'<span lang="en">{escape(card.history)}</span>'))
    return found
