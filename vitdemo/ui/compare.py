"""The tab "Compare": what every fusion makes of this picture, and how good each one is on the test pictures."""

from collections.abc import Mapping
from html import escape

import gradio as gr

from vitdemo import recorded
from vitdemo.cards import card_of
from vitdemo.errors import VitdemoError
from vitdemo.fusion import FUSIONS, evidence_of, fuse
from vitdemo.pipeline import Analysis
from vitdemo.types import Fused, NotOffered
from vitdemo.ui import measured, networks, render, studied
from vitdemo.ui.shared import Shared
from vitdemo.ui.text import Say
from vitdemo.ui.visitor import language, say_to

NEEDS_RUN = "it reads maps from inside the backbones, which are kept when it is the chosen fusion"
FIRST_SHOWN = "mean"  # of the reliability diagrams
PARTS = ("intro", "accuracy", "table", "reliability", "pairs")  # what is made of the measured figures
LATER = (*PARTS[3:], "cards", "study", "studied")


def build(shared: Shared) -> dict:
    """The tab's controls and places; it needs nothing of the page and the page needs nothing of it."""
    say, handlers = shared.say, shared.handlers
    place = {"this": gr.HTML(elem_id="compare-this"), "intro": gr.HTML(elem_id="compare-intro")}
    with gr.Row(elem_id="compare-controls", elem_classes="choices"):
        kind = gr.Radio(
            [(say(f"cost.{name}"), name) for name in measured.COSTS],
            value=measured.COSTS[0],
            label=say("cost"),
            elem_id="cost",
        )
        members = gr.Radio(
            [(say(f"members.{name}"), name) for name in measured.MEMBERS],
            value=measured.MEMBERS[0],
            label=say("fused_of"),
            elem_id="fused-of",
        )
    place["accuracy"] = gr.HTML(elem_id="compare-accuracy")
    place["table"] = gr.HTML(elem_id="compare-table")
    with gr.Row(elem_id="compare-columns"):
        with gr.Column(min_width=280):
            shown = gr.Dropdown([FIRST_SHOWN], value=FIRST_SHOWN, label=say("calibration_of"), elem_id="calibration")
            place["reliability"] = gr.HTML(elem_id="compare-reliability")
        with gr.Column(min_width=280):
            pair = gr.Dropdown(
                [(say(f"pairs.{name}"), name) for name in measured.PAIRS],
                value=measured.PAIRS[0],
                label=say("pairs_by"),
                elem_id="pairs",
            )
            place["pairs"] = gr.HTML(elem_id="compare-pairs")
    place["cards"] = gr.HTML(elem_id="compare-cards")
    place["study"] = gr.HTML(elem_id="compare-study")
    figure = gr.Dropdown(
        [(say(f"study.{name}"), name) for name in studied.METRICS],
        value=studied.METRICS[0],
        label=say("study.figure"),
        elem_id="study-figure",
    )
    place["studied"] = gr.HTML(elem_id="compare-studied")
    choosers = [kind, members, shown, pair, figure]

    def show(analysis: Analysis | None, request: gr.Request, *chosen: str) -> list:
        say, spoken = say_to(request), language(request)
        collection = analysis.request.collection if analysis else handlers.start().collection
        colours = render.colours_of(handlers.names(collection))
        this = side_by_side(analysis, colours, say, spoken) if analysis else ""
        data = recorded.measured(collection)
        kind, members, name, pair, figure = chosen
        study = _study(collection, figure, colours, say)
        cards = [(row, card_of(row, data)) for row in handlers.catalogue.members(collection)]
        about = _section("compare.cards", networks.cards(cards, colours, say), say)
        if data is None:
            nothing = f'<p class="empty">{escape(say("compare.absent", collection=collection))}</p>'
            return [this, nothing, "", "", gr.skip(), "", "", about, *study]
        refused = data.get(members.replace("fusions", "refused"), {})
        names = measured.everything(data, members)
        name = name if name in names else data["best_single"]
        choices = [(measured.title(each, fused, say), each) for each, (_, fused) in names.items()]
        colours |= {each: colours.get(each, "var(--body-text-color-subdued)") for each in data["backbones"]}
        return [
            this,
            _section("compare.measured.title", measured.intro(data, members, say), say),
            _section("compare.accuracy", measured.accuracy_chart(data, members, kind, colours, say), say),
            _section(
                "compare.table",
                measured.table(data, members, colours, say) + render.refusals(refused, say, spoken),
                say,
            ),
            gr.update(choices=choices, value=name),
            _section("compare.reliability", measured.reliability_chart(data, members, name, colours, say), say),
            _section("compare.pairs", measured.matrix(data, pair, colours, say), say),
            about,
            *study,
        ]

    outputs = [*(place[name] for name in ("this", *PARTS[:3])), shown, *(place[name] for name in LATER)]
    shared.follow("compare", show, choosers, outputs, choosers)
    return {}


def _study(collection: str, figure: str, colours: Mapping[str, str], say: Say) -> list[str]:
    """What the study of explanations was, and the figure of it that was chosen."""
    data = recorded.studied(collection)
    if data is None:
        return [_section("study", f'<p class="empty">{escape(say("study.absent"))}</p>', say), ""]
    return [_section("study", studied.intro(data, say), say), studied.heat(data, figure, colours, say)]


def _section(key: str, content: str, say: Say) -> str:
    """A heading, the one sentence that says how to read it, and what there is to read."""
    about = say(f"{key}.reading")
    return f'<section class="part"><h3>{escape(say(key))}</h3><p class="reading">{escape(about)}</p>{content}</section>'


def fusions_of(analysis: Analysis) -> dict[str, Fused | NotOffered]:
    """What every fusion makes of the predictions that are there, with no further pass, or why it makes nothing."""
    evidence = evidence_of(analysis.backbones)
    found: dict[str, Fused | NotOffered] = {}
    for fusion in FUSIONS:
        if fusion.name == analysis.request.fusion:
            found[fusion.name] = analysis.fused
            continue
        if fusion.needs == "stages" and any(each.stages is None for each in analysis.predictions):
            found[fusion.name] = NotOffered(fusion.refuse(evidence) or NEEDS_RUN)
            continue
        try:
            found[fusion.name] = fuse(fusion.name, analysis.predictions, evidence)[0]
        except VitdemoError as error:
            found[fusion.name] = NotOffered(str(error))
    return found


def side_by_side(analysis: Analysis, colours: Mapping[str, str], say: Say, language: str) -> str:
    """Every fusion of the analysis at hand: its three best classes, and the weight that it gave to each backbone."""
    if len(analysis.backbones) == 1:
        return _section("compare.this", f'<p class="empty">{escape(say("agree.one"))}</p>', say)
    every = fusions_of(analysis)
    made = {name: each for name, each in every.items() if isinstance(each, Fused)}
    firsts: dict[str, list[str]] = {}
    for name, each in made.items():
        label = render.short(analysis.labels[int(each.probabilities.argmax())], say)
        firsts.setdefault(label, []).append(say(f"fusion.{name}"))
    if len(firsts) == 1:
        verdict = say("compare.same", count=len(made), label=next(iter(firsts)))
    else:
        parts = [say("compare.says", label=label, names=say("comma").join(names)) for label, names in firsts.items()]
        verdict = "; ".join(parts)
    lines = []
    for name, each in every.items():
        chosen = name == analysis.request.fusion
        note = f" <small>{escape(say('compare.chosen'))}</small>" if chosen else ""
        head = f'<th scope="row">{escape(say(f"fusion.{name}"))}{note}</th>'
        if isinstance(each, NotOffered):
            why = escape(say("compare.refused", reason=render.why_not(name, each.reason, language)))
            lines.append(f'<tr class="refused">{head}<td colspan="2">{why}</td></tr>')
        else:
            kind = ' class="chosen"' if chosen else ""
            lines.append(
                f"<tr{kind}>{head}<td>{_best(analysis, each, say)}</td><td>{_shares(analysis, each, colours)}</td></tr>"
            )
    heads = "".join(
        f'<th scope="col">{escape(say(f"compare.this.{key}"))}</th>' for key in ("fusion", "best", "weights")
    )
    table = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(say("compare.this"))}">'
        f'<table class="side"><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )
    return _section("compare.this", f'<p class="finding">{escape(verdict)}</p>{table}', say)


def _best(analysis: Analysis, fused: Fused, say: Say) -> str:
    order = (-fused.probabilities).argsort(kind="stable")[:3]
    bars = "".join(
        f'<span class="best"><span class="bar" aria-hidden="true"><i style="width:{100 * fused.probabilities[k]:.1f}%">'
        f"</i></span>{escape(render.short(analysis.labels[k], say))} "
        f"{render.percent(float(fused.probabilities[k]))}</span>"
        for k in order
    )
    return f'<div class="bests">{bars}</div>'


def _shares(analysis: Analysis, fused: Fused, colours: Mapping[str, str]) -> str:
    pairs = [(row.name, float(weight)) for row, weight in zip(analysis.backbones, fused.weights, strict=True)]
    bar = "".join(
        f'<i style="flex:{weight:.4f};background:{colours[name]}"></i>' for name, weight in pairs if weight > 0
    )
    words = " ".join(
        f'<span style="--colour:{colours[name]}"><i class="dot"></i>{escape(name)} {weight:.2f}</span>'
        for name, weight in pairs
    )
    return f'<div class="shares" aria-hidden="true">{bar}</div><div class="names">{words}</div>'
