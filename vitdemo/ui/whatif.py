"""The tab "What if": hide parts of the picture, mislead the backbones, and compare two classes of one picture.

The picture that is painted on lives in the browser (`whatif.js`), which sends what is hidden as JSON:
{"stamp", "grid", "hidden": [patches], "mask": {"size": [h, w], "bits": base64 of one bit a cell} or null}. Nothing of a
visitor is kept but in that visitor's own session.
"""

import base64
import binascii
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import gradio as gr
import numpy as np
from PIL import Image

from vitdemo import draw, whatif
from vitdemo.backbones import Backbone, Catalogue
from vitdemo.errors import Cancelled, VitdemoError
from vitdemo.explain import EXPLANATIONS
from vitdemo.fusion import FUSIONS
from vitdemo.models import Models
from vitdemo.pipeline import FUSED, Analysis, Progress
from vitdemo.spaces import silent
from vitdemo.types import Heat
from vitdemo.ui import files, render, whatifshow
from vitdemo.ui.handlers import Handlers
from vitdemo.ui.shared import QUIET, Shared
from vitdemo.ui.text import Say, translated
from vitdemo.ui.visitor import language, say_to
from vitdemo.ui.work import Runs, sentence_of

FINEST = 256  # cells on a side of what the brush painted
SHOWN = ("rollout", "grad_cam")  # maps that take little more than a forward pass
FAMILIES = ("attention", "gradient", "cam")  # of the methods that may compare two classes
FIRST_METHOD = "integrated_gradients"
FIRST_EPSILON, FIRST_STEPS, MOST_EPSILON = 4, 10, 16
SECTIONS = ("hide", "attack", "classes")
BROWSER = ("whatif.canvas", "whatif.patch.hidden", "whatif.patch.seen")  # texts that the browser says
TOOLS = ("patch", "brush", "eraser")
BRUSHES = ("small", "medium", "large")
MANY = {"concurrency_limit": 16, "concurrency_id": "whatif"}


@dataclass(frozen=True)
class Change:
    """What a visitor has hidden."""

    stamp: str  # of the analysis whose picture it is
    grid: str
    hidden: tuple[int, ...]
    mask: np.ndarray | None  # (h, w) bool, stretched over the whole picture

    @property
    def nothing(self) -> bool:
        return not self.hidden and self.mask is None


def read_change(text: str) -> Change:
    """What the browser sent.

    Raises:
        VitdemoError: it is not of that form.
    """
    try:
        sent = json.loads(text)
        hidden, mask = sent["hidden"], None
        if sent["mask"] is not None:
            height, width = sent["mask"]["size"]
            if not all(type(side) is int and 1 <= side <= FINEST for side in (height, width)):
                raise ValueError("size")
            bits = np.unpackbits(np.frombuffer(base64.b64decode(sent["mask"]["bits"], validate=True), np.uint8))
            mask = bits[: height * width].reshape(height, width).astype(bool)
        if not all(type(patch) is int for patch in hidden):
            raise ValueError("hidden")
        return Change(str(sent["stamp"]), str(sent["grid"]), tuple(hidden), mask)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise VitdemoError(
            "What is hidden was not understood; expected: an object with stamp, grid, hidden (patches) and mask."
        ) from error


def changed_picture(picture: Image.Image, change: Change, grids: Sequence[whatif.Grid]) -> Image.Image:
    """The picture with what is hidden in grey.

    Raises:
        VitdemoError: a grid or a patch that there is not.
    """
    grid = next((grid for grid in grids if grid.name == change.grid), None)
    if grid is None:
        raise VitdemoError(f"There is no grid {change.grid[:40]!r}; allowed: {', '.join(grid.name for grid in grids)}.")
    picture = whatif.hide_patches(picture, change.hidden, grid.shape, grid.view)
    return picture if change.mask is None else whatif.paint_over(picture, change.mask)


class WhatIf:
    """What happens in this tab. One object per program; it knows of each session's running work and of nothing else."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers
        self._runs = Runs(handlers.gate)  # for each part of the tab

    # What the tab opens with

    def show(self, analysis: Analysis | None, request: gr.Request, done: str, shown: str) -> list:
        """[note, *headings, shown, sent, grid, map, attacked, about the attack, first, second, backbone]."""
        say = say_to(request)
        if analysis is None:
            return [whatifshow.sentence(say("whatif.nothing")), *[""] * len(SECTIONS), *[gr.skip()] * 9]
        if done == shown:
            return [gr.skip()] * 13
        grids = self._grids(analysis)  # computes nothing, and so waits for nobody's turn
        maps = [name for name, heat in analysis.maps[FUSED].items() if isinstance(heat, Heat)]
        names = [row.name for row in analysis.backbones]
        fusion = FUSIONS.get(analysis.request.fusion)
        best = [label for label, _ in analysis.top(2)]
        subjects = [(say(f"fusion.{_followed(analysis)}"), FUSED)] if len(names) > 1 else []
        about = "" if fusion.differentiable else whatifshow.sentence(say("whatif.attack.jumps"))
        classes = [(render.short(label, say), label) for label in analysis.labels]
        return [
            "",
            *(whatifshow.heading(name, say) for name in SECTIONS),
            done,
            json.dumps(document(analysis, grids, done, say)),
            gr.update(choices=_named_grids(grids, say), value=grids[0].name),
            gr.update(
                choices=[(say(f"method.{name}"), name) for name in maps],
                value=maps[0] if maps else None,
                label=say("whatif.by") if maps else say("whatif.by.none"),
            ),
            gr.update(choices=[*subjects, *names], value=FUSED if subjects else names[0]),
            about,
            gr.update(choices=classes, value=best[0]),
            gr.update(choices=classes, value=best[-1]),
            gr.update(choices=names, value=names[0]),
        ]

    def begin(self, request: gr.Request) -> list:
        """Another picture or other settings: what was found for the ones before goes. [change, attack, state, classes,
        state]."""
        for part in ("attack", "classes"):
            self._runs.stop(request.session_hash, part)
        say = say_to(request)
        return [whatifshow.sentence(say("whatif.hide.none")), whatifshow.sentence(say("whatif.attack.none")), None,
                whatifshow.sentence(say("whatif.classes.none")), None]  # fmt: skip

    # Hiding parts

    def change(self, text: str, analysis: Analysis | None, done: str, method: str, request: gr.Request):
        """What the backbones say now that parts are hidden, beside what they said."""
        say, spoken = say_to(request), language(request)
        try:
            change = read_change(text)
            if analysis is None or change.stamp != done:  # it was painted on the picture before
                return gr.skip()
            if change.nothing:
                return whatifshow.sentence(say("whatif.hide.none"))
            methods = (method,) if method in SHOWN else ()
            with self.handlers.gate:
                before, after, share = self._enter(asked, analysis, change, methods, self.handlers.catalogue)
            hidden = say("whatif.share", share=render.percent(share))
            shown = whatifshow.changes(before, after, say, self.handlers.colours(analysis), hidden)
            return shown + (whatifshow.two_maps(before, after, method, say, spoken) if methods else "")
        except Exception as error:
            return whatifshow.sentence(sentence_of(error, say, spoken)[0], "alert")

    def take_changed(self, text: str, analysis: Analysis | None, done: str, request: gr.Request) -> str:
        """The changed picture as the page's own: its path.

        Raises:
            gr.Error: nothing is hidden.
        """
        say = say_to(request)
        try:
            change = read_change(text) if text else None
            if analysis is None or change is None or change.nothing or change.stamp != done:
                raise VitdemoError(say("whatif.take.nothing"))
            with self.handlers.gate:
                return _file(changed_picture(analysis.picture, change, self._grids(analysis)))
        except VitdemoError as error:
            raise gr.Error(translated(str(error), language(request)), print_exception=False) from error

    def _grids(self, analysis: Analysis) -> list[whatif.Grid]:
        return self._enter(grids_of, analysis.backbones, analysis.picture, rows=analysis.backbones)

    def _enter(self, work: Callable, *arguments, rows: Sequence[Backbone] = (), report: whatif.Report = silent):
        """Does work on the models; unless `rows` are given, they are those of the analysis that comes first."""
        return self.handlers.entrance(work, *arguments, rows=rows or arguments[0].backbones, report=report)

    # Misleading

    def attack(
        self, analysis: Analysis | None, method: str, epsilon: float, steps: float, subject: str, request: gr.Request
    ) -> Iterator[list]:
        """[what is shown, the attack]."""
        say = say_to(request)
        if analysis is None:
            yield [whatifshow.sentence(say("whatif.nothing")), gr.skip()]
            return
        colours = self.handlers.colours(analysis)

        def work(report: whatif.Report):
            given = (analysis, method, int(epsilon), int(steps), subject, self.handlers.catalogue)
            return self._enter(attacked, *given, report=report)

        for now in self._watched("attack", work, request):
            if isinstance(now, tuple):
                yield [whatifshow.misled(*now, subject, say, colours), now[0]]
            else:
                yield [now, gr.skip()]

    def take_attacked(self, made: whatif.Attack | None, request: gr.Request) -> str:
        """The attacked picture as the page's own: its path.

        Raises:
            gr.Error: there is none.
        """
        if made is None:
            raise gr.Error(say_to(request)("whatif.attack.none"), print_exception=False)
        return _file(made.attacked)

    # Class against class

    def contrast(
        self, analysis: Analysis | None, first: str, second: str, method: str, name: str, request: gr.Request
    ) -> Iterator[list]:
        """[what is shown, the contrast]."""
        say, spoken = say_to(request), language(request)
        if analysis is None:
            yield [whatifshow.sentence(say("whatif.nothing")), gr.skip()]
            return

        def work(report: whatif.Report):
            given = (analysis, first, second, method, self.handlers.catalogue)
            return self._enter(contrasted, *given, report=report)

        for now in self._watched("classes", work, request):
            if isinstance(now, whatif.Contrast):
                yield [whatifshow.side_by_side(now, name, say, spoken, self.handlers.colours(analysis)), now]
            else:
                yield [now, gr.skip()]

    def redraw(self, made: whatif.Contrast | None, name: str, request: gr.Request):
        """The same contrast for another backbone: no model is asked."""
        if made is None:
            return gr.skip()
        return whatifshow.side_by_side(
            made, name, say_to(request), language(request), self.handlers.colours(made.first)
        )

    # Long work

    def cancel(self, part: str, request: gr.Request):
        """Ends the visitor's running work in a part of the tab; what to show there."""
        stopped = self._runs.stop(request.session_hash, part)
        return whatifshow.sentence(say_to(request)("whatif.cancelled")) if stopped else gr.skip()

    def _watched(self, part: str, work: Callable, request: gr.Request) -> Iterator:
        """Its progress and its end as HTML, or its result."""
        say = say_to(request)
        try:
            for now in self._runs.watch(request.session_hash, part, work):
                yield whatifshow.working(now.done, say(f"whatif.working.{part}")) if isinstance(now, Progress) else now
        except Cancelled:
            yield whatifshow.sentence(say("whatif.cancelled"))
        except Exception as error:
            yield whatifshow.sentence(sentence_of(error, say, language(request))[0], "alert")


def _followed(analysis: Analysis) -> str:
    """The fusion whose gradient an attack follows: the analysis's own, or the mean where that one has none."""
    fusion = FUSIONS.get(analysis.request.fusion)
    return fusion.name if fusion.differentiable else "mean"


# Work on the models, for an `Entrance`


def grids_of(
    models: Models, report: whatif.Report, rows: Sequence[Backbone], picture: Image.Image
) -> list[whatif.Grid]:
    """The grids whose patches can be hidden."""
    with models.use(rows) as loaded:
        return whatif.grids_of(loaded, picture)


def asked(
    models: Models,
    report: whatif.Report,
    analysis: Analysis,
    change: Change,
    methods: Sequence[str],
    catalogue: Catalogue,
) -> tuple[Analysis, Analysis, float]:
    """What everybody says before and after a change, with the maps of `methods`; and the share of the picture hidden.

    Raises:
        VitdemoError: a grid or a patch that there is not.
    """
    grids = grids_of(models, report, analysis.backbones, analysis.picture)
    picture = changed_picture(analysis.picture, change, grids)
    before = analysis
    if any(method not in analysis.maps[FUSED] for method in methods):
        before = whatif.ask_again(analysis, analysis.picture, catalogue, models, methods, report)
    after = whatif.ask_again(analysis, picture, catalogue, models, methods, report)
    white = Image.new("RGB", picture.size, "white")
    return before, after, whatif.hidden_share(changed_picture(white, change, grids))


def attacked(
    models: Models,
    report: whatif.Report,
    analysis: Analysis,
    method: str,
    epsilon: int,
    steps: int,
    subject: str,
    catalogue: Catalogue,
) -> tuple[whatif.Attack, Analysis, Analysis]:
    """An attack on one backbone or the fused model, and what everybody says before and after it.

    Raises:
        VitdemoError: a number or name that is not allowed.
    """
    if subject not in (names := whatif.first_choices(analysis)):
        raise VitdemoError(f"{str(subject)[:40]!r} cannot be attacked; allowed: {', '.join(names)}.")
    target = names[subject]
    rows = [row for row in analysis.backbones if subject in (FUSED, row.name)]
    passes, done = 1 if method == "fgsm" else steps, 0

    def tick() -> None:
        nonlocal done
        report(Progress("explaining", 0.8 * min(1.0, done / passes)))
        done += 1

    with models.use(rows) as loaded:
        made = whatif.attack(analysis.picture, loaded, _followed(analysis), target, epsilon, method, steps, tick)

    def ask(picture: Image.Image, share: float) -> Analysis:
        def at(now: Progress) -> None:
            report(Progress("explaining", share))

        return whatif.ask_again(analysis, picture, catalogue, models, (), at)

    return made, ask(made.picture, 0.8), ask(made.attacked, 0.9)


def contrasted(
    models: Models,
    report: whatif.Report,
    analysis: Analysis,
    first: str,
    second: str,
    method: str,
    catalogue: Catalogue,
) -> whatif.Contrast:
    """`whatif.contrast`."""
    return whatif.contrast(analysis, first, second, method, catalogue, models, report)


# Layout


def build(shared: Shared) -> dict:
    """The tab's controls and places. "takes": how a picture made here becomes the page's own, as (button, handler,
    inputs); the handler gives the picture."""
    say, tab = shared.say, WhatIf(shared.handlers)
    note = gr.HTML(elem_id="wi-note")
    shown, sent = gr.State(""), gr.Textbox(visible="hidden", elem_id="wi-sent")
    with gr.Column(elem_id="wi"):
        heads = {"hide": gr.HTML(elem_classes="wi-head")}
        hide = _hide(say)
        heads["attack"] = gr.HTML(elem_classes="wi-head")
        mislead = _attack(say)
        heads["classes"] = gr.HTML(elem_classes="wi-head")
        classes = _classes(say)

    places = [note, *heads.values(), shown, sent, hide["grid"], hide["map"], mislead["subject"], mislead["about"],
              classes["first"], classes["second"], classes["backbone"]]  # fmt: skip
    shared.follow("whatif", tab.show, [shared.done, shown], places)
    made, compared = gr.State(time_to_live=3600), gr.State(time_to_live=3600)
    fresh = [hide["result"], mislead["result"], made, classes["result"], compared]
    sent.change(None, sent, None, js="(text) => vitdemo.whatif.show(text)")
    sent.change(tab.begin, None, fresh, **QUIET)

    changed = [hide["ask"], shared.analysis, shared.done, hide["shown"]]
    often = QUIET | {"trigger_mode": "always_last", "show_progress": "minimal"}
    hide["ask"].change(tab.change, changed, hide["result"], **often)
    hide["shown"].input(tab.change, changed, hide["result"], **often)

    given = [shared.analysis, *(mislead[name] for name in ("method", "epsilon", "steps", "subject"))]
    mislead["go"].click(tab.attack, given, [mislead["result"], made], **QUIET, **MANY)
    given = [shared.analysis, *(classes[name] for name in ("first", "second", "method", "backbone"))]
    classes["go"].click(tab.contrast, given, [classes["result"], compared], **QUIET, **MANY)
    classes["backbone"].input(tab.redraw, [compared, classes["backbone"]], classes["result"], **QUIET)
    for name, part in {"attack": mislead, "classes": classes}.items():
        part["cancel"].click(_canceller(tab, name), None, part["result"], queue=False, **QUIET)
    return {
        "takes": [
            (hide["take"], tab.take_changed, [hide["ask"], shared.analysis, shared.done]),
            (mislead["take"], tab.take_attacked, [made]),
        ]
    }


def _canceller(tab: WhatIf, part: str) -> Callable:
    def cancel(request: gr.Request):
        return tab.cancel(part, request)

    return cancel


def _hide(say: gr.I18n) -> dict:
    with gr.Row(elem_classes="choices wi-choices"):
        grid = gr.Dropdown([], label=say("whatif.grid"), info=say("whatif.grid.info"), elem_id="wi-grid")
        tool = gr.Radio([(say(f"whatif.tool.{name}"), name) for name in TOOLS], value=TOOLS[0],
                        label=say("whatif.tool"), elem_id="wi-tool", elem_classes="pills")  # fmt: skip
        brush = gr.Radio([(say(f"whatif.brush.{name}"), name) for name in BRUSHES], value=BRUSHES[1],
                         label=say("whatif.brush"), elem_id="wi-brush", elem_classes="pills")  # fmt: skip
    with gr.Row(elem_id="wi-body", equal_height=False):
        with gr.Column(min_width=280, scale=4):
            gr.HTML('<div class="wi"></div>', elem_id="wi-canvas")
            with gr.Row(elem_classes="wi-buttons"):
                reset = gr.Button(say("whatif.reset"), size="sm", elem_id="wi-reset")
                take = gr.Button(say("whatif.take"), size="sm", elem_id="wi-take")
        with gr.Column(min_width=280, scale=6):
            with gr.Row(elem_classes="choices wi-choices"):
                ranking = gr.Dropdown([], label=say("whatif.by"), info=say("whatif.by.info"), elem_id="wi-map")
                share = gr.Slider(5, 90, value=25, step=5, label=say("whatif.part"), elem_id="wi-share")
            with gr.Row(elem_classes="wi-buttons"):
                buttons = {
                    which: gr.Button(say(f"whatif.rank.{which}"), size="sm", elem_id=f"wi-{which}")
                    for which in ("most", "least", "random")
                }
            gr.Markdown(say("whatif.rank.reading"), elem_classes="reading", container=False)
            map_shown = gr.Radio(
                [(say("whatif.shown.none"), ""), *((say(f"method.{name}"), name) for name in SHOWN)],
                value="",
                label=say("whatif.shown"),
                elem_id="wi-shown",
                elem_classes="pills",
            )
            result = gr.HTML(elem_id="wi-change")
    ask = gr.Textbox(visible="hidden", elem_id="wi-ask")
    send = gr.Button("send", visible="hidden", elem_id="wi-send")
    send.click(None, None, ask, js="() => vitdemo.whatif.message()")
    grid.input(None, grid, None, js="(name) => vitdemo.whatif.choose(name)")
    gr.on([tool.input, brush.input], None, [tool, brush], None, js="(tool, brush) => vitdemo.whatif.use(tool, brush)")
    reset.click(None, None, None, js="() => vitdemo.whatif.reset()")
    for which, button in buttons.items():
        button.click(None, [ranking, share], None, js=f"(map, share) => vitdemo.whatif.rank('{which}', map, share)")
    return {"grid": grid, "map": ranking, "result": result, "ask": ask, "take": take, "shown": map_shown}


def _attack(say: gr.I18n) -> dict:
    with gr.Row(elem_classes="choices wi-choices"):
        subject = gr.Dropdown([], label=say("whatif.subject"), info=say("whatif.subject.info"), elem_id="wi-subject")
        method = gr.Radio([("FGSM", "fgsm"), ("PGD", "pgd")], value="pgd", label=say("whatif.method"),
                          info=say("whatif.method.info"), elem_id="wi-method", elem_classes="pills")  # fmt: skip
        epsilon = gr.Slider(0, MOST_EPSILON, value=FIRST_EPSILON, step=1, label=say("whatif.epsilon"),
                            info=say("whatif.epsilon.info"), elem_id="wi-epsilon")  # fmt: skip
        steps = gr.Slider(1, whatif.MOST_STEPS, value=FIRST_STEPS, step=1, label=say("whatif.steps"),
                          info=say("whatif.steps.info"), elem_id="wi-steps")  # fmt: skip
    about = gr.HTML(elem_id="wi-about")
    with gr.Row(elem_classes="wi-buttons"):
        go = gr.Button(say("whatif.attack.go"), size="sm", variant="primary", elem_id="wi-attack")
        cancel = gr.Button(say("cancel"), size="sm", elem_id="wi-attack-cancel")
        take = gr.Button(say("whatif.attack.take"), size="sm", elem_id="wi-attack-take")
    result = gr.HTML(elem_id="wi-attacked")
    return {"subject": subject, "method": method, "epsilon": epsilon, "steps": steps, "about": about, "go": go,
            "cancel": cancel, "take": take, "result": result}  # fmt: skip


def _classes(say: gr.I18n) -> dict:
    methods = [each.name for each in EXPLANATIONS if each.class_specific and each.family in FAMILIES]
    with gr.Row(elem_classes="choices wi-choices"):
        first = gr.Dropdown([], label=say("whatif.first"), elem_id="wi-first")
        second = gr.Dropdown([], label=say("whatif.second"), elem_id="wi-second")
        method = gr.Dropdown([(say(f"method.{name}"), name) for name in methods], value=FIRST_METHOD,
                             label=say("whatif.with"), elem_id="wi-with")  # fmt: skip
        backbone = gr.Dropdown([], label=say("whatif.backbone"), elem_id="wi-backbone")
    with gr.Row(elem_classes="wi-buttons"):
        go = gr.Button(say("whatif.classes.go"), size="sm", variant="primary", elem_id="wi-compare")
        cancel = gr.Button(say("cancel"), size="sm", elem_id="wi-compare-cancel")
    result = gr.HTML(elem_id="wi-compared")
    return {"first": first, "second": second, "method": method, "backbone": backbone, "go": go, "cancel": cancel,
            "result": result}  # fmt: skip


# What the browser is told


def document(analysis: Analysis, grids: list[whatif.Grid], stamp: str, say: Say) -> dict:
    """What the browser needs to hide parts: the picture, the grids in shares of it, and the patches in order of
    importance by each map of the fused answer."""
    width, height = analysis.picture.size
    sides = np.array([width, height, width, height])
    heats = {name: heat for name, heat in analysis.maps[FUSED].items() if isinstance(heat, Heat)}
    return {
        "stamp": stamp,
        "picture": render.uri(draw.shrunk(analysis.picture), "JPEG", quality=90),
        "grids": {
            grid.name: {"shape": list(grid.shape), "box": (np.array(grid.view.box) / sides).round(5).tolist()}
            for grid in grids
        },
        "orders": {grid.name: {name: whatif.ranked(heat, grid) for name, heat in heats.items()} for grid in grids},
        "texts": {key: say(key) for key in BROWSER},
    }


def _named_grids(grids: list[whatif.Grid], say: Say) -> list[tuple[str, str]]:
    return [
        (
            say("whatif.plain", rows=grid.shape[0], columns=grid.shape[1])
            if grid.name == whatif.PLAIN
            else say("whatif.patches", name=grid.name, rows=grid.shape[0], columns=grid.shape[1]),
            grid.name,
        )
        for grid in grids
    ]


def _file(picture: Image.Image) -> str:
    """Writes a picture where Gradio serves from and cleans up, without loss, and gives its path."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return files.write("changed", "png", buffer.getvalue())
