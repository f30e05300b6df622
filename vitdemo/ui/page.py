"""The whole page: what surrounds the tabs, and which handler answers which control.

A tab is a file with a function `build(shared)`, called inside its `gr.Tab`, and a row in `TABS`.
"""

from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from vitdemo.host import IMAGENET
from vitdemo.ui import analyse, attention, compare, learn, settings, whatif
from vitdemo.ui.api import build as build_endpoints
from vitdemo.ui.api import has_mcp
from vitdemo.ui.early import Early
from vitdemo.ui.fields import controls
from vitdemo.ui.handlers import JUDGED, RESULTS, Handlers
from vitdemo.ui.shared import QUIET, Shared
from vitdemo.ui.text import LANGUAGES
from vitdemo.ui.visitor import say_to

HERE = Path(__file__).parent
TABS = {
    "analyse": analyse.build,
    "attention": attention.build,
    "compare": compare.build,
    "whatif": whatif.build,
    "learn": learn.build,
}  # in their order on the page; the first one is open
FIRST = next(iter(TABS))


def unread(payload) -> str | None:
    """Hands over the uploaded file unread, in place of `gr.Image.preprocess`.

    Gradio would decode it with Pillow first: whatever the file pretends to be, and with the wrong result for 16 bits,
    transparency and rotation. `images.load` is the only gate.
    """
    return payload.path if payload else None


def build(handlers: Handlers) -> gr.Blocks:
    """The page. Nothing is loaded or launched."""
    say = gr.I18n(**LANGUAGES)
    with gr.Blocks(title="vitdemo", analytics_enabled=False, delete_cache=(3600, 7200), fill_width=True) as page:
        page.texts = say
        build_endpoints(handlers)  # first, so that no event of a tab takes their names
        shared = Shared.create(say, handlers, list(TABS))
        _head(say)
        with gr.Row(elem_id="page", equal_height=False):
            with gr.Column(elem_id="pane-picture"):
                made = _picture(shared)
            with gr.Column(elem_id="pane-results"):
                made["status"] = gr.HTML(elem_id="status")
                made["tabs"] = _tabs(shared, made)
            with gr.Column(elem_id="pane-settings"):
                made |= settings.build(say, handlers)
        _wire(page, shared, made)
    return page


def _head(say: gr.I18n) -> None:
    with gr.Row(elem_id="head"):
        gr.Markdown("# vitdemo", elem_id="name", container=False)
        gr.Markdown(say("tagline"), elem_id="tagline", container=False)
        small = {"size": "sm", "scale": 0, "min_width": 0}
        gr.Button(say("other_language"), elem_id="language", **small).click(js="() => vitdemo.switchLanguage()")
        gr.Button(say("look"), elem_id="look", **small).click(js="() => vitdemo.switchLook()")
        gr.Button(say("projector"), elem_id="projector", **small).click(js="() => vitdemo.switchProjector()")
        copy = gr.Button(say("copy_link"), elem_id="copy", **small)
        linked = gr.Textbox(visible="hidden")
        copied = copy.click(None, None, linked, js="() => vitdemo.copyLink()")
        copied.then(
            lambda sample: gr.update(value=say("copied" if sample else "copied_settings")), linked, copy, **QUIET
        )


def _picture(shared: Shared) -> dict:
    """The picture, the buttons under it, and the samples."""
    say, handlers = shared.say, shared.handlers
    with gr.Row(elem_id="choose-picture", equal_height=True):
        picture = gr.Image(
            type="filepath",
            image_mode=None,
            sources=["upload", "clipboard", "webcam"],
            label=say("picture"),
            height=160,
            elem_id="picture",
            buttons=[],
        )
        picture.preprocess = unread
        gallery = gr.Gallery(
            handlers.gallery(handlers.start().collection),
            label=say("samples"),
            columns=3,
            height="auto",
            allow_preview=False,
            interactive=False,
            object_fit="cover",
            elem_id="samples",
            buttons=[],
        )
    with gr.Row(elem_id="go"):
        button = gr.Button(say("analyse"), variant="primary", scale=3, elem_id="analyse")
        cancel = gr.Button(say("cancel"), scale=1, min_width=80, elem_id="cancel")
    return {"picture": picture, "analyse": button, "cancel": cancel, "gallery": gallery}


def _tabs(shared: Shared, made: dict) -> gr.Tabs:
    """Every tab; what the page needs of them goes into `made`."""
    with gr.Tabs(selected=FIRST, elem_id="tabs") as tabs:
        for name, build_tab in TABS.items():
            with gr.Tab(shared.say(f"tab.{name}"), id=name, elem_id=f"tab-{name}", render_children=True) as tab:
                made |= build_tab(shared)
            tab.select(None, None, shared.opened, js=f"() => vitdemo.setTab('{name}', '{FIRST}')")
    return tabs


def _wire(page: gr.Blocks, shared: Shared, made: dict) -> None:
    """What the picture, the samples and the settings do."""
    handlers = shared.handlers
    inputs = [made[name] for name in controls()]
    query = gr.Textbox(visible="hidden", elem_id="query")
    changed = made | {"analysis": shared.analysis, "done": shared.done, "query": query}
    given = [made["picture"], made["scale"], made["colours"], shared.analysis, *inputs]
    many = {"concurrency_limit": 16, "concurrency_id": "analyses"}
    run = {"inputs": given, "outputs": [changed[name] for name in RESULTS], **QUIET, **many}
    quick = {**run, "inputs": [made["status"], *given]}

    page.load(js="() => vitdemo.begin()")
    opened = page.load(_open_tab, None, [made["tabs"], shared.opened], **QUIET)
    opened.then(None, shared.opened, shared.opened, js=f"(name) => vitdemo.beginTabs(name, '{FIRST}')")
    surroundings = [made["hint"], made["gallery"], made["picture"], made["status"]]
    display = [made["scale"], made["colours"], made["opacity"]]
    drawn = page.load(handlers.display, None, display, **QUIET)
    drawn.then(handlers.open, None, [*inputs, *surroundings], **QUIET).then(handlers.run, **run)
    made["analyse"].click(handlers.run, **run)
    made["picture"].input(js="() => vitdemo.ownPicture()")
    made["picture"].input(handlers.run, **run)
    chosen = made["gallery"].select(handlers.pick_sample, made["collection"], made["picture"], **QUIET)
    chosen.then(handlers.run, **run)
    for take, handler, given_to in made["takes"]:
        taken = take.click(handler, given_to, made["picture"], **QUIET)
        taken.success(handlers.run, **run)
    offers = [made["fusion"], made["hint"]]
    classes = [made["target"], made["against"]]
    fused = [made["fusion"], made["collection"], made["backbones"]]
    first = {
        "collection": (
            handlers.pick_collection,
            [made["collection"], made["fusion"]],
            [made["backbones"], *classes, made["gallery"], *offers],
        ),
        "backbones": (handlers.pick_fusion, fused, offers),
        "fusion": (handlers.pick_fusion, fused, offers),
    }
    judging = {"outputs": [changed[name] for name in JUDGED], **QUIET, **many}
    shown = [shared.analysis, made["trust"], made["scale"], made["colours"]]
    gr.on([shared.done.change, made["trust"].input], handlers.judge, shown, **judging)
    made["judge"].click(handlers.judge_now, [shared.analysis, made["scale"], made["colours"]], **judging)
    made["stop_judging"].click(handlers.stop_judging, queue=False, **QUIET)
    made["trust"].input(None, made["trust"], None, js="(wanted) => vitdemo.setTrust(wanted)")
    for name in controls():
        if name == "trust":  # it asks for no other analysis
            continue
        control = made[name]
        event = control.release if isinstance(control, gr.Slider) else control.input
        if name in first:
            event(*first[name], **QUIET).then(handlers.run_if_quick, **quick)
        else:
            event(handlers.run_if_quick, **quick)
    asked = made["ask"].click(lambda: IMAGENET, None, made["collection"], **QUIET)
    offered = asked.then(*first["collection"], **QUIET)
    offered.then(handlers.run, **run)
    made["cancel"].click(handlers.cancel, queue=False, **QUIET)  # what it ends says so
    query.change(None, query, None, js="(settings) => vitdemo.setLink(settings)")


def _open_tab(request: gr.Request) -> list:
    """The tab that the link asks for: [the tabs, its name]."""
    name = request.query_params.get("tab", FIRST)
    if name not in TABS:
        gr.Warning(say_to(request)("link_ignored", what="tab"))
        name = FIRST
    return [gr.update(selected=name), name]


def _scripts() -> str:
    """What runs in the browser before Gradio does: the page's own script first, then those of tabs."""
    return "\n".join(
        (HERE / name).read_text(encoding="utf-8") for name in ("page.js", "attention.js", "whatif.js", "learn.js")
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
        "css": settings.rules(),
        "i18n": page.texts,
        "max_file_size": "50mb",
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "footer_links": ["api"],
        "app_kwargs": {"middleware": [Middleware(Early, script=_scripts())]},
        "show_error": True,
        "mcp_server": has_mcp(),
    }
