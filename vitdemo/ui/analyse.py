"""The tab "Analyse": the answer, who said what, and the maps."""

import gradio as gr

from vitdemo.draw import COLOUR_MAPS, SCALES
from vitdemo.ui.shared import QUIET, Shared

SET_OPACITY = "(value) => { document.documentElement.style.setProperty('--opacity', value); }"
PRESS_FILE = "() => { document.querySelector('#file').click(); }"


def build(shared: Shared) -> dict[str, gr.components.Component]:
    """The controls that a run reads or changes, by name."""
    say, handlers = shared.say, shared.handlers
    answer = gr.HTML(elem_id="answer")
    with gr.Row(elem_id="controls"):
        target = gr.Dropdown(
            [(say("target.top"), ""), *handlers.labels(handlers.start().collection)],
            value="",
            label=say("target"),
            info=say("target.info"),
            elem_id="target",
        )
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
    with gr.Row(elem_id="downloads"):
        takes = {name: gr.Button(say(name), size="sm", elem_id=f"take-{name}") for name in ("figure", "raw", "json")}
        file = gr.DownloadButton("file", visible="hidden", elem_id="file")

    opacity.input(None, opacity, None, js=SET_OPACITY)
    gr.on([scale.input, colours.input], handlers.redraw, [shared.analysis, scale, colours], maps, **QUIET)
    files = {
        "figure": (handlers.figure_file, [shared.analysis, scale, colours, opacity]),
        "raw": (handlers.maps_file, [shared.analysis]),
        "json": (handlers.json_file, [shared.analysis]),
    }
    for name, (make, needs) in files.items():
        takes[name].click(make, needs, file, **QUIET).then(None, None, None, js=PRESS_FILE)
    return {"answer": answer, "target": target, "scale": scale, "colours": colours, "maps": maps}
