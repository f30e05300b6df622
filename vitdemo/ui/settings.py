"""The settings, which all tabs share: one control for each name in `fields.controls`, but for the target."""

import gradio as gr

from vitdemo.attention import HEAD_FUSIONS
from vitdemo.explain import BASELINES, Options
from vitdemo.explain.base import LIMITS
from vitdemo.ui.fields import controls, families, fusion_groups, values_of
from vitdemo.ui.handlers import Handlers
from vitdemo.ui.text import LANGUAGES, speaker


def build(say: gr.I18n, handlers: Handlers) -> dict[str, gr.components.Component]:
    """The controls by name, and "hint": the sentences about the chosen fusion."""
    start = handlers.start()
    first = dict(zip(controls(), values_of(start), strict=True))
    made = {}
    known = {name for name in LANGUAGES["en"] if name.startswith("collection.")}
    collections = [
        (say(f"collection.{name}") if f"collection.{name}" in known else name, name)
        for name in handlers.catalogue.collections()
    ]
    made["collection"] = gr.Radio(
        collections,
        value=first["collection"],
        label=say("collection"),
        info=say("collection.info"),
        elem_id="collection",
    )
    made["backbones"] = gr.CheckboxGroup(
        handlers.choices(start.collection, speaker("en")),
        value=first["backbones"],
        label=say("backbones"),
        info=say("backbones.info"),
        elem_id="backbones",
    )
    with gr.Column(elem_id="fusion", elem_classes="grouped"):
        _legend(say, "fusion")
        for group, names in fusion_groups().items():
            control = f"fusion.{group}"
            made[control] = gr.Radio(
                _titled(say, "fusion", names), value=first[control], label=say(f"group.{group}"), elem_classes="pills"
            )
        made["hint"] = gr.HTML(elem_id="hint")
    with gr.Column(elem_id="methods", elem_classes="grouped"):
        _legend(say, "methods")
        for family, names in families().items():
            control = f"explanations.{family}"
            made[control] = gr.CheckboxGroup(
                _titled(say, "method", names), value=first[control], label=say(f"family.{family}"), elem_classes="pills"
            )
    with gr.Accordion(say("more"), open=False, elem_id="more"):
        made |= _options(say)
    return made


def _options(say: gr.I18n) -> dict[str, gr.components.Component]:
    usual = Options()

    def slider(name: str, key: str, step: float, most: float | None = None):
        low, high = LIMITS[name]
        return gr.Slider(
            low, most or high, value=getattr(usual, name), step=step, label=say(key), info=say(f"{key}.info"),
            elem_id=f"set-{name}",
        )  # fmt: skip

    def radio(name: str, names):
        choices = _titled(say, name, names)
        return gr.Radio(choices, value=getattr(usual, name), label=say(name), info=say(f"{name}.info"))

    return {
        "head_fusion": radio("head_fusion", HEAD_FUSIONS),
        "discard": slider("discard", "discard", 0.05, 0.95),
        "baseline": radio("baseline", BASELINES),
        "steps": slider("steps", "steps", 1, 256),
        "samples": slider("samples", "samples_count", 1, 128),
        "noise": slider("noise", "noise", 0.01, 0.5),
        "patches": slider("patches", "patches", 1),
    }


def _titled(say: gr.I18n, prefix: str, names) -> list[tuple]:
    return [(say(f"{prefix}.{name}"), name) for name in names]


def _legend(say: gr.I18n, key: str) -> None:
    """The heading of several controls, and its one sentence."""
    gr.Markdown(say(key), elem_classes="legend", container=False)
    gr.Markdown(say(f"{key}.info"), elem_classes="legend-info", container=False)
