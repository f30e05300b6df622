"""The tab "Attention": point at a patch and see where it looks, in every layer and head, without a further question.

The server examines each backbone once and sends one document; `attention.js` does the rest in the browser. Of a model
whose document would be too large the means over heads are sent, and the heads of a layer when they are first wanted.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape

import gradio as gr
from PIL import Image

from vitdemo import draw, microscope
from vitdemo.backbones import Backbone
from vitdemo.errors import VitdemoError
from vitdemo.models import Models
from vitdemo.pipeline import Analysis
from vitdemo.types import NotOffered
from vitdemo.ui import render
from vitdemo.ui.handlers import Handlers
from vitdemo.ui.shared import QUIET, Shared
from vitdemo.ui.text import LANGUAGES, Say, translated
from vitdemo.ui.visitor import language, say_to

STOPS = 128  # colours sent for a map


def build(shared: Shared) -> dict:
    """The tab's controls and places; it needs nothing of the page and the page needs nothing of it."""
    say, handlers = shared.say, shared.handlers
    with gr.Row(elem_id="att-choices", elem_classes="choices"):
        first = gr.Dropdown([], label=say("attention.backbone"), elem_id="att-backbone", visible=False)
        second = gr.Dropdown([], label=say("attention.beside"), elem_id="att-beside", visible=False)
    note = gr.HTML(elem_id="att-note")
    gr.HTML('<div class="att"></div>', elem_id="attention-view")
    sent = gr.Textbox(visible="hidden", elem_id="attention-sent")
    ask = gr.Textbox(visible="hidden", elem_id="attention-ask")
    press = gr.Button(visible="hidden", elem_id="attention-press")  # by the script, which cannot write into a textbox
    more = gr.Textbox(visible="hidden", elem_id="attention-more")

    def show(analysis: Analysis | None, request: gr.Request, *chosen: str | None) -> list:
        say, spoken = say_to(request), language(request)
        nothing = [gr.update(visible=False), gr.update(visible=False)]
        if analysis is None:
            return [*nothing, _note(say("attention.nothing")), ""]
        rows = analysis.backbones
        if not any(chosen):  # not yet: as the link says
            chosen = [request.query_params.get(name) for name in ("at", "beside")]
        # two passes, which wait for nobody's turn: somebody is looking
        reasons, views = handlers.entrance(examined, rows, analysis.picture, chosen, rows=rows)
        names = [name for name, reason in reasons.items() if not reason]
        refused = [
            say("attention.refused", name=name, reason=translated(reason, spoken))
            for name, reason in reasons.items()
            if reason
        ]
        if not names:
            return [*nothing, _note(" ".join([say("attention.none"), *refused])), ""]
        one, two = shown_of(names, chosen)
        others = [(say("attention.alone"), ""), *(name for name in names if name != one)]
        message = {
            "first": names[0],
            "views": [view | spoken_in(view, say, spoken) for view in views],
            "texts": texts(say),
            "colours": list(draw.colour_bar(signed=False, stops=STOPS)),
        }
        return [
            gr.update(choices=names, value=one, visible=True),
            gr.update(choices=others, value=two, visible=len(names) > 1),
            _note(" ".join(refused)),
            json.dumps(message),
        ]

    outputs = [first, second, note, sent]
    shared.follow("attention", show, [first, second], outputs, choosers=[first, second])
    sent.change(None, sent, None, js="(text) => vitdemo.attention.show(text)")
    press.click(None, None, ask, js="() => vitdemo.attention.wanted()")
    ask.change(lambda wanted, analysis: heads_of(handlers, wanted, analysis), [ask, shared.analysis], more, **QUIET)
    more.change(None, more, None, js="(text) => vitdemo.attention.more(text)")
    return {}


def shown_of(names: Sequence[str], chosen: Sequence[str | None]) -> tuple[str, str]:
    """Which backbone is shown, and which one beside it, "" for none."""
    one = chosen[0] if chosen[0] in names else names[0]
    return one, chosen[1] if chosen[1] in names and chosen[1] != one else ""


def examined(models: Models, report, rows: Sequence[Backbone], picture: Image.Image, chosen) -> tuple[dict, list[dict]]:
    """Why each backbone cannot be examined, "" where it can; and the documents of those that are shown."""
    with models.use(rows) as loaded:
        found = {model.backbone.name: microscope.offered(model) for model in loaded}
        reasons = {name: one.reason if isinstance(one, NotOffered) else "" for name, one in found.items()}
        names = [name for name, reason in reasons.items() if not reason]
        shown = shown_of(names, chosen) if names else ()
        of = {model.backbone.name: model for model in loaded}
        return reasons, [document(microscope.examine(of[name], picture)) for name in filter(None, shown)]


def spoken_in(view: Mapping, say: Say, language: str) -> dict:
    """What of a backbone's document is for people to read, in the visitor's language."""
    labels = [render.short(label, say) for label in view["labels"]]
    return {"note": translated(view["note"], language), "labels": labels}


def layer_of(models: Models, report, row: Backbone, picture: Image.Image, layer: int) -> dict:
    """The heads of one layer."""
    with models.use([row]) as (model,):
        return microscope.pack_layer(microscope.look(model, picture)[layer], layer)


def document(one: microscope.Examination) -> dict:
    """What the browser needs of one backbone: the packed numbers, and what the backbone saw."""
    return microscope.pack(one) | {"caption": one.name, "picture": render.uri(one.seen, "PNG")}


def heads_of(handlers: Handlers, wanted: str, analysis: Analysis | None) -> str:
    """The heads of one layer that the browser asks for, as JSON: the question, with the answer where there is one.

    "" where it is no question.
    """
    try:
        asked = json.loads(wanted)
        name, layer = asked["backbone"], asked["layer"]
    except (ValueError, KeyError, TypeError):
        return ""
    rows = [row for row in analysis.backbones if row.name == name] if analysis else []
    if not rows or not isinstance(layer, int) or layer < 0:
        return json.dumps(asked)
    try:
        with handlers.gate:
            return json.dumps(asked | handlers.entrance(layer_of, rows[0], analysis.picture, layer, rows=rows))
    except (IndexError, VitdemoError):
        return json.dumps(asked)


def texts(say: Say) -> Mapping[str, str]:
    """Every text of the view, in the visitor's language, with its gaps left open."""
    return {key.removeprefix("att."): say(key) for key in LANGUAGES["en"] if key.startswith("att.")}


def _note(text: str) -> str:
    return f'<p class="empty">{escape(text)}</p>' if text else ""
