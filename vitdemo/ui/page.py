"""The layout, and which handler answers which control."""

from dataclasses import fields
from pathlib import Path

import gradio as gr

from vitdemo.attention import HEAD_FUSIONS
from vitdemo.draw import COLOUR_MAPS, SCALES
from vitdemo.explain import BASELINES, EXPLANATIONS, Options
from vitdemo.explain.base import LIMITS
from vitdemo.fusion import FUSIONS
from vitdemo.ui.handlers import OPTIONS, PLAIN, RESULTS, Handlers, values_of
from vitdemo.ui.text import LANGUAGES, speaker

HERE = Path(__file__).parent

SET_OPACITY = "(value) => { document.documentElement.style.setProperty('--opacity', value); }"
# the link in the address bar says what the page shows; Gradio's own parameters (__theme …) stay in it
SET_LINK = """(query) => {
  const own = [...new URLSearchParams(location.search)].filter(([key]) => key.startsWith('__'));
  const rest = new URLSearchParams(own).toString();
  history.replaceState(null, '', '?' + query + (rest ? '&' + rest : ''));
}"""
COPY_LINK = """() => {
  const link = location.href;
  navigator.clipboard ? navigator.clipboard.writeText(link) : window.prompt('', link);
}"""


def unread(payload) -> str | None:
    """Hands over the uploaded file unread, in place of `gr.Image.preprocess`.

    Gradio would decode it with Pillow first: whatever the file pretends to be, and with the wrong result for 16 bits,
    transparency and rotation. `images.load` is the only gate.
    """
    return payload.path if payload else None


def settings(say, handlers: Handlers) -> dict[str, gr.components.Component]:
    """Every setting by the name of its field in a request or its options."""
    start = handlers.start()
    first = dict(zip([*PLAIN, *OPTIONS], values_of(start), strict=True))
    usual = Options()

    def titled(prefix: str, names):
        return [(say(f"{prefix}.{name}"), name) for name in names]

    def slider(name: str, key: str, step: float, most: float | None = None):
        low, high = LIMITS[name]
        return gr.Slider(
            low, most or high, value=getattr(usual, name), step=step, label=say(key), info=say(f"{key}.info"),
            elem_id=f"set-{name}",
        )  # fmt: skip

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
    made["fusion"] = gr.Radio(
        titled("fusion", FUSIONS.names()),
        value=first["fusion"],
        label=say("fusion"),
        info=say("fusion.info"),
        elem_id="fusion",
    )
    made["hint"] = gr.HTML(elem_id="hint")
    made["explanations"] = gr.CheckboxGroup(
        titled("method", EXPLANATIONS.names()),
        value=first["explanations"],
        label=say("methods"),
        info=say("methods.info"),
        elem_id="methods",
    )
    with gr.Accordion(say("more"), open=False, elem_id="more"):
        made["head_fusion"] = gr.Radio(
            titled("head_fusion", HEAD_FUSIONS),
            value=usual.head_fusion,
            label=say("head_fusion"),
            info=say("head_fusion.info"),
        )
        made["discard"] = slider("discard", "discard", 0.05, 0.95)
        made["baseline"] = gr.Radio(
            titled("baseline", BASELINES), value=usual.baseline, label=say("baseline"), info=say("baseline.info")
        )
        made["steps"] = slider("steps", "steps", 1, 256)
        made["samples"] = slider("samples", "samples_count", 1, 128)
        made["noise"] = slider("noise", "noise", 0.01, 0.5)
        made["patches"] = slider("patches", "patches", 1)
    return made


def build(handlers: Handlers) -> gr.Blocks:
    """The page. Nothing is loaded or launched."""
    say = gr.I18n(**LANGUAGES)
    with gr.Blocks(title="vitdemo", analytics_enabled=False, delete_cache=(3600, 7200), fill_width=True) as page:
        page.texts = say
        with gr.Row(elem_id="head"):
            gr.Markdown("# vitdemo", elem_id="name", container=False)
            gr.Markdown(say("tagline"), elem_id="tagline", container=False)
            copy = gr.Button(say("copy_link"), size="sm", scale=0, min_width=120, elem_id="copy")
        with gr.Row(elem_id="page", equal_height=False):
            with gr.Column(elem_id="pane-picture"):
                picture = gr.Image(
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard", "webcam"],
                    label=say("picture"),
                    height=248,
                    elem_id="picture",
                    buttons=[],
                )
                picture.preprocess = unread
                with gr.Row():
                    analyse = gr.Button(say("analyse"), variant="primary", scale=3, elem_id="analyse")
                    cancel = gr.Button(say("cancel"), scale=1, min_width=80, elem_id="cancel")
                gallery = gr.Gallery(
                    handlers.gallery(handlers.start().collection),
                    label=say("samples"),
                    columns=4,
                    height="auto",
                    allow_preview=False,
                    interactive=False,
                    object_fit="cover",
                    elem_id="samples",
                    buttons=[],
                )
            with gr.Column(elem_id="pane-results"):
                status = gr.HTML(elem_id="status")
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
                    takes = {
                        name: gr.Button(say(name), size="sm", elem_id=f"take-{name}")
                        for name in ("figure", "raw", "json")
                    }
                    file = gr.DownloadButton("file", visible="hidden", elem_id="file")
            with gr.Column(elem_id="pane-settings"):
                chosen = settings(say, handlers)
        hint = chosen.pop("hint")
        chosen["target"] = target
        inputs = [chosen[name] for name in (*PLAIN, *OPTIONS)]
        sample, analysis = gr.State(""), gr.State(time_to_live=3600)
        query = gr.Textbox(visible="hidden", elem_id="query")
        shown = {
            "status": status,
            "answer": answer,
            "maps": maps,
            "analysis": analysis,
            "analyse": analyse,
            "query": query,
        }
        results = [shown[name] for name in RESULTS]
        given = [picture, sample, scale, colours, analysis, *inputs]
        # a new event never waits for an older one of the same visitor: it ends it
        quiet = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "multiple"}
        many = {"concurrency_limit": 16, "concurrency_id": "analyses"}
        run = {"inputs": given, "outputs": results, **quiet, **many}

        opened = page.load(handlers.open, None, [*inputs, hint, gallery, sample, picture, status], **quiet)
        opened.then(handlers.run, **run)
        analyse.click(handlers.run, **run)
        picture.input(lambda: "", None, sample, **quiet).then(handlers.run, **run)
        gallery.select(handlers.pick_sample, chosen["collection"], [sample, picture], **quiet).then(handlers.run, **run)
        chosen["collection"].input(
            handlers.pick_collection, chosen["collection"], [chosen["backbones"], target, gallery], **quiet
        ).then(handlers.run_if_quick, **run)
        chosen["fusion"].change(handlers.pick_fusion, chosen["fusion"], hint, **quiet)
        for name, control in chosen.items():
            if name != "collection":
                event = control.release if isinstance(control, gr.Slider) else control.input
                event(handlers.run_if_quick, **run)
        cancel.click(handlers.cancel, None, status, queue=False, **quiet)

        opacity.input(None, opacity, None, js=SET_OPACITY)
        gr.on([scale.input, colours.input], handlers.redraw, [analysis, scale, colours], maps, **quiet)
        query.change(None, query, None, js=SET_LINK)
        copy.click(None, None, None, js=COPY_LINK).then(lambda: gr.update(value=say("copied")), None, copy, **quiet)
        press = "() => { document.querySelector('#file').click(); }"
        files = {
            "figure": (handlers.figure_file, [analysis, scale, colours, opacity]),
            "raw": (handlers.maps_file, [analysis]),
            "json": (handlers.json_file, [analysis]),
        }
        for name, (make, needs) in files.items():
            takes[name].click(make, needs, file, **quiet).then(None, None, None, js=press)
        _endpoint(handlers)
    return page


def _endpoint(handlers: Handlers) -> None:
    """The named endpoint /analyse, with an input for each of its arguments."""
    start = handlers.start()
    everyone = list(dict.fromkeys(row.name for row in handlers.catalogue))
    inputs = [
        gr.File(label="one JPEG, PNG, WebP, GIF or BMP picture", type="filepath", visible=False),
        gr.Dropdown(handlers.catalogue.collections(), value=start.collection, label="collection", visible=False),
        gr.CheckboxGroup(everyone, value=[], label="backbones; none for those suggested", visible=False),
        gr.Dropdown(FUSIONS.names(), value=start.fusion, label="fusion", visible=False),
        gr.CheckboxGroup(EXPLANATIONS.names(), value=list(start.explanations), label="maps to make", visible=False),
        gr.Textbox("", label="class to explain, by name or number; empty for the fused answer", visible=False),
        gr.JSON({}, label=f"options by name: {', '.join(f.name for f in fields(Options))}", visible=False),
    ]
    outputs = [
        gr.JSON(label="result", visible=False),
        gr.File(label="figure (PNG)", visible=False),
        gr.File(label="raw maps (NPZ)", visible=False),
    ]
    gr.Button(visible=False).click(
        handlers.api,
        inputs,
        outputs,
        api_name="analyse",
        api_description="Predicts with several backbones, fuses, and explains: picture in, predictions and maps out.",
        concurrency_limit=4,
        concurrency_id="api",
    )


def launch_options(page: gr.Blocks, handlers: Handlers) -> dict:
    """How the page is launched: its looks, the files it may serve, and what of Gradio is switched off."""
    return {
        "allowed_paths": [str(path) for each in handlers.samples.values() for path in each.values()],
        "theme": gr.themes.Default(
            primary_hue="blue",
            font=["system-ui", "Segoe UI", "Roboto", "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
            text_size="md",
            spacing_size="sm",
            radius_size="sm",
        ),
        "css_paths": HERE / "style.css",
        "i18n": page.texts,
        "max_file_size": "50mb",
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "footer_links": ["api"],
        "show_error": True,
    }
