"""The settings, which all tabs share: one control for each name in `fields.controls`, but for the classes.

Which of the options are seen depends on the methods that are chosen. The browser decides that by itself, by the rules
of `rules`, which are made of what each method says that it reads.
"""

import gradio as gr

from vitdemo.explain import Options
from vitdemo.explain.base import CHOICES, LIMITS
from vitdemo.faithfulness import Settings
from vitdemo.faithfulness import passes as judging
from vitdemo.ui.fields import FUSED_MAP, controls, families, fusions, option_groups, readers, values_of
from vitdemo.ui.handlers import Handlers
from vitdemo.ui.render import PALETTE, fusion_label
from vitdemo.ui.text import LANGUAGES, speaker

# Sliders: (step, highest), where the page offers less than a program may ask for. Other numbers are typed.
SLIDERS = {"residual": (0.05, 0.95), "discard": (0.05, 0.95), "steps": (1, 256), "samples": (1, 128),
           "noise": (0.01, 0.5), "patches": (1, 32), "window": (1, 8), "segments": (1, 128),
           "coalitions": (8, 1024)}  # fmt: skip


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
        elem_classes="pills",
    )
    made["backbones"] = gr.CheckboxGroup(
        handlers.choices(start.collection, speaker("en")),
        value=first["backbones"],
        label=say("backbones"),
        info=say("backbones.info"),
        elem_id="backbones",
        elem_classes="pills",
    )
    with gr.Column(elem_id="fusion-box", elem_classes="grouped"):
        made["fusion"] = gr.Dropdown(
            [(fusion_label(name, speaker("en")), name) for name in fusions()],
            value=first["fusion"],
            label=say("fusion"),
            info=say("fusion.info"),
            elem_id="fusion",
        )
        made["hint"] = gr.HTML(elem_id="hint")
    with gr.Column(elem_id="methods", elem_classes="grouped"):
        _legend(say, "methods")
        for family, names in families().items():
            made[f"explanations.{family}"] = gr.CheckboxGroup(
                _titled(say, "method", names),
                value=first[f"explanations.{family}"],
                label=say(f"family.{family}"),
                elem_classes="pills",
            )
    made["trust"] = gr.Checkbox(
        value=first["trust"], label=say("trust"), info=say("trust.info"), elem_id="trust", container=True
    )
    with gr.Accordion(say("more"), open=False, elem_id="more"):
        made[FUSED_MAP] = _option(say, FUSED_MAP)
        for family, names in option_groups().items():
            with gr.Column(elem_id=f"options-{family}", elem_classes="options"):
                gr.Markdown(say(f"options.{family}"), elem_classes="legend", container=False)
                made |= {name: _option(say, name) for name in names}
    return made


def _option(say: gr.I18n, name: str) -> gr.components.Component:
    """One option with its name and its sentence: a choice of words, a slider, or a number to type."""
    usual = getattr(Options(), name)
    about = {"label": say(f"option.{name}"), "info": say(f"option.{name}.info"), "elem_id": f"set-{name}"}
    if name in CHOICES:
        return gr.Dropdown(_titled(say, name, CHOICES[name]), value=usual, **about)
    low, high = LIMITS[name]
    if name in SLIDERS:
        step, most = SLIDERS[name]
        return gr.Slider(low, most, value=usual, step=step, **about)
    return gr.Number(usual, minimum=low, maximum=high, precision=0, **about)


def rules() -> str:
    """CSS: options that no chosen method reads are not there, and each backbone has its colour."""
    lines = []
    for family, names in option_groups().items():
        shown = dict.fromkeys(method for name in names for method in readers(name))
        lines += [_unless(list(shown), f"#options-{family}")]
        lines += [_unless(readers(name), f"#set-{name}") for name in names]
    count = len(PALETTE)
    lines += [
        f"#backbones label:nth-of-type({count}n + {index}) {{ --colour: {colour}; }}"
        for index, colour in enumerate(PALETTE, start=1)
    ]
    return "\n".join(lines)


def _unless(methods: list[str], hidden: str) -> str:
    ticked = ", ".join(f'[name="{method}"]:checked' for method in methods)
    return f"#pane-settings:not(:has(#methods :is({ticked}))) {hidden} {{ display: none !important; }}"


def trust_passes() -> int:
    """Passes that judging two maps of one backbone takes, as the sentence beside the tick says it."""
    return round(judging(Settings(), maps=2), -2)


def _titled(say: gr.I18n, prefix: str, names) -> list[tuple]:
    return [(say(f"{prefix}.{name}"), name) for name in names]


def _legend(say: gr.I18n, key: str) -> None:
    """The heading of several controls, and its one sentence."""
    gr.Markdown(say(key), elem_classes="legend", container=False)
    gr.Markdown(say(f"{key}.info"), elem_classes="legend-info", container=False)
