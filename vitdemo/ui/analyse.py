"""The tab "Analyse": the answer, who said what, and the maps."""

import gradio as gr

from vitdemo.draw import COLOUR_MAPS, SCALES
from vitdemo.ui.handlers import NOTHING
from vitdemo.ui.shared import QUIET, Shared

SET_OPACITY = "(value) => { document.documentElement.style.setProperty('--opacity', value); }"
SET_DISPLAY = "(...values) => vitdemo.setDisplay(...values)"
PRESS_FILE = "() => { document.querySelector('#file').click(); }"


def build(shared: Shared) -> dict[str, gr.components.Component]:
    """The controls that a run reads or changes, by name."""
    say, handlers = shared.say, shared.handlers
    answer = gr.HTML(elem_id="answer")
    with gr.Row(elem_id="elsewhere-row"):
        other = gr.HTML(elem_id="elsewhere", padding=False)
        ask = gr.Button(say("elsewhere.go"), size="sm", visible=False, elem_id="ask-imagenet")
    many = {"concurrency_limit": 16, "concurrency_id": "elsewhere"}  # most of them only wait for their turn
    shared.done.change(handlers.elsewhere, shared.analysis, [other, ask], **QUIET, **many)
    with gr.Row(elem_id="controls"):
        classes = {
            name: gr.Dropdown(
                handlers.ranked(handlers.start().collection, nothing, say),
                value="",
                label=say(name),
                info=say(f"{name}.info"),
                elem_id=name,
            )
            for name, nothing in NOTHING.items()
        }
        opacity = gr.Slider(
            0, 1, value=0.6, step=0.05, label=say("opacity"), info=say("opacity.info"), elem_id="opacity"
        )
        scale = gr.Dropdown(
            [(say(f"scale.{name}"), name) for name in SCALES.names()],
            value="each",
            label=say("scale"),
            info=say("scale.info"),
            elem_id="scale",
        )
        colours = gr.Dropdown(
            COLOUR_MAPS.names(),
            value="magma",
            label=say("colours"),
            info=say("colours.info"),
            elem_id="colours",
        )
    maps = gr.HTML(elem_id="maps")
    with gr.Row(elem_id="judging-row"):
        judging = gr.HTML(elem_id="judging", padding=False)
        judge = gr.Button(say("judge"), size="sm", visible=False, elem_id="judge")
        stop = gr.Button(say("judge.stop"), size="sm", visible=False, elem_id="stop-judging")
    with gr.Row(elem_id="downloads"):
        names = ("figure", "raw", "json", "report", "report_image", "script")
        takes = {name: gr.Button(say(name), size="sm", elem_id=f"take-{name}") for name in names}
        file = gr.DownloadButton("file", visible="hidden", elem_id="file")
    asked = gr.Textbox(visible="hidden", elem_id="scrutiny-asked")
    press = gr.Button(visible="hidden", elem_id="scrutiny-press")  # by the script, which cannot write into a textbox
    found = gr.Textbox(visible="hidden", elem_id="scrutiny-found")
    lines = gr.Code(visible=False, language="python", label=say("script.lines"), interactive=False, elem_id="script")

    press.click(None, None, asked, js="() => vitdemo.scrutinyAsked()")
    asked.change(handlers.scrutinise, [asked, shared.analysis], found, **QUIET)
    found.change(None, found, None, js="(html) => vitdemo.scrutinyFound(html)")
    display = [scale, colours, opacity]
    opacity.change(None, opacity, None, js=SET_OPACITY)
    gr.on([scale.input, colours.input, opacity.release], None, display, None, js=SET_DISPLAY)
    gr.on([scale.input, colours.input], handlers.redraw, [shared.analysis, scale, colours], maps, **QUIET)
    files = {
        "figure": (handlers.figure_file, [shared.analysis, *display]),
        "raw": (handlers.maps_file, [shared.analysis]),
        "json": (handlers.json_file, [shared.analysis]),
        "report": (handlers.report_file, [shared.analysis, *display]),
        "report_image": (handlers.report_image_file, [shared.analysis, *display]),
    }
    for name, (make, needs) in files.items():
        takes[name].click(make, needs, file, **QUIET).then(None, None, None, js=PRESS_FILE)
    shared.done.change(lambda: gr.update(visible=False), None, lines, **QUIET)  # they are those of the one before
    shown = takes["script"].click(handlers.script_text, shared.analysis, lines, **QUIET)
    shown.then(None, lines, None, js="(text) => vitdemo.copyText(text)")
    judged = {"judging": judging, "judge": judge, "stop_judging": stop}
    return {
        "answer": answer,
        "ask": ask,
        **classes,
        **judged,
        "maps": maps,
        "scale": scale,
        "colours": colours,
        "opacity": opacity,
    }
