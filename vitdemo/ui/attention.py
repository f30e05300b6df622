"""The tab "Attention": point at a patch and see where it looks, in every layer and head, without a further question.

The server examines each backbone once and sends one document; `attention.js` does the rest in the browser. Of a model
whose document would be too large the means over heads are sent, and the heads of a layer when they are first wanted.
"""

import json
from collections.abc import Mapping
from html import escape

import gradio as gr

from vitdemo import draw, microscope
from vitdemo.errors import VitdemoError
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
    more = gr.Textbox(visible="hidden", elem_id="attention-more")

    def show(analysis: Analysis | None, request: gr.Request, *chosen: str | None) -> list:
        say, spoken = say_to(request), language(request)
        nothing = [gr.update(visible=False), gr.update(visible=False)]
        if analysis is None:
            return [*nothing, _note(say("attention.nothing")), ""]
        with handlers.gate, handlers.models.use(analysis.backbones) as loaded:
            reasons = {model.backbone.name: microscope.offered(model) for model in loaded}
            names = [name for name, found in reasons.items() if not isinstance(found, NotOffered)]
            refused = [
                say("attention.refused", name=name, reason=translated(found.reason, spoken))
                for name, found in reasons.items()
                if isinstance(found, NotOffered)
            ]
            if not names:
                return [*nothing, _note(" ".join([say("attention.none"), *refused])), ""]
            one = chosen[0] if chosen[0] in names else names[0]
            two = chosen[1] if chosen[1] in names and chosen[1] != one else ""
            views = [
                document(microscope.examine(model, analysis.picture))
                for name in filter(None, (one, two))
                for model in loaded
                if model.backbone.name == name
            ]
        others = [(say("attention.alone"), ""), *(name for name in names if name != one)]
        message = {
            "views": views,
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
    shared.follow("attention", show, [first, second], outputs)

    def again(request: gr.Request, analysis: Analysis | None, *chosen: str | None) -> list:
        return show(analysis, request, *chosen)

    gr.on([first.input, second.input], again, [shared.analysis, first, second], outputs, **QUIET)
    sent.change(None, sent, None, js="(text) => vitdemo.attention.show(text)")
    ask.input(lambda wanted, analysis: heads_of(handlers, wanted, analysis), [ask, shared.analysis], more, **QUIET)
    more.change(None, more, None, js="(text) => vitdemo.attention.more(text)")
    return {}


def document(one: microscope.Examination) -> dict:
    """What the browser needs of one backbone: the packed numbers, and what the backbone saw."""
    return microscope.pack(one) | {"id": one.name, "caption": one.name, "picture": render.uri(one.seen, "PNG")}


def heads_of(handlers: Handlers, wanted: str, analysis: Analysis | None) -> str:
    """The heads of one layer that the browser asks for, as JSON; "" where there is nothing to give."""
    try:
        asked = json.loads(wanted)
        rows = [row for row in analysis.backbones if row.name == asked["backbone"]] if analysis else []
        if not rows or not isinstance(asked["layer"], int):
            return ""
        with handlers.gate, handlers.models.use(rows) as (model,):
            layer = microscope.pack_layer(microscope.examine(model, analysis.picture), asked["layer"])
    except (ValueError, KeyError, TypeError, IndexError, VitdemoError):
        return ""
    return json.dumps(layer | {"doc": asked["doc"]})


def texts(say: Say) -> Mapping[str, str]:
    """Every text of the view, in the visitor's language, with its gaps left open."""
    return {key.removeprefix("att."): say(key) for key in LANGUAGES["en"] if key.startswith("att.")}


def _note(text: str) -> str:
    return f'<p class="empty">{escape(text)}</p>' if text else ""
