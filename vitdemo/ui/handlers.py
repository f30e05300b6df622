"""What happens when a visitor does something. No layout here, and no arithmetic that belongs to a stage.

A visitor's picture and results live in that visitor's session alone. Shared are the weights, and the analyses of the
samples that come with the program, which are nobody's pictures.
"""

import json
import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import gradio as gr
from PIL import Image

from vitdemo import images, result
from vitdemo.backbones import FUSED, Backbone, Catalogue, default_catalogue
from vitdemo.errors import Cancelled, VitdemoError
from vitdemo.explain import EXPLANATIONS
from vitdemo.fusion import FUSIONS, evidence_of
from vitdemo.labels import first_name
from vitdemo.models import Models, is_here, labels_of
from vitdemo.pipeline import Analysis, Progress, Request, analyse, check, opening
from vitdemo.samples import FOLDER
from vitdemo.script import script
from vitdemo.scrutiny import Scrutiny, scrutinise
from vitdemo.spaces import Entrance, lends
from vitdemo.ui import permalink, pictures, render, report, trust
from vitdemo.ui.fields import controls, fusions, request_of, values_of
from vitdemo.ui.text import Say
from vitdemo.ui.visitor import language, say_to
from vitdemo.ui.work import Runs, sentence_of

# What a run changes on the page, in order.
RESULTS = ("status", "answer", "maps", "analysis", "analyse", "query", "done")
ANALYSIS, SCRUTINY = "analysis", "scrutiny"  # what a visitor's running work may be for
NOTHING = {"target": "target.top", "against": "against.none"}  # lists of classes, and what choosing none is called
QUICK = 2.0  # seconds; a changed setting that takes longer waits for the button
KEPT_SAMPLES = 16  # analyses of samples that are kept for the next visitor


def changes(**given) -> list:
    """The results that change, the others left as they are."""
    return [given.get(name, gr.skip()) for name in RESULTS]


def scrutinised(models: Models, report, analysis: Analysis, name: str, method: str) -> Scrutiny:
    """`scrutiny.scrutinise`, as work for an `Entrance`."""
    return scrutinise(analysis, name, method, models, report)


def analysed(models: Models, report, picture, wanted: Request, catalogue: Catalogue, masks=None) -> Analysis:
    """`pipeline.analyse`, as work for an `Entrance`."""
    return analyse(picture, wanted, catalogue, models, report, masks)


class Handlers:
    """One object per program.

    Args:
        catalogue: the backbones that are offered.
        models: the loaded backbones, shared by all visitors.
        samples: paths of sample pictures, by collection and name.
    """

    def __init__(self, catalogue: Catalogue, models: Models, samples: Mapping[str, Mapping[str, Path]]):
        self.catalogue = catalogue
        self.models = models
        self.samples = samples
        self.entrance = Entrance(models)  # to whatever computes
        self._gate = threading.Semaphore(1)  # one analysis at a time computes; the others wait their turn
        self._runs = Runs(self._gate)
        self._opened: OrderedDict[tuple[str, Request], Analysis] = OrderedDict()

    @property
    def gate(self) -> threading.Semaphore:
        """Held by whoever computes: one at a time, so that nobody's work slows another's."""
        return self._gate

    # What the page shows before anything is computed

    def start(self) -> Request:
        """The request that the page opens with."""
        return opening(self.catalogue, self.catalogue.collections()[0])

    def names(self, collection: str) -> list[str]:
        return [row.name for row in self.catalogue.members(collection)]

    def classes(self, collection: str, say: Say) -> list[tuple[str, str]]:
        """Classes to choose from, each as people read it and as it is sent."""
        return [(render.label_of(label, say), label) for label in labels_of(self.catalogue.members(collection)[0])]

    def choices(self, collection: str, say: Say) -> list[tuple[str, str]]:
        """Backbones to tick."""
        members = self.catalogue.members(collection)
        return [(render.backbone_label(row, is_here(row, self.models.fetcher), say), row.name) for row in members]

    def gallery(self, collection: str) -> list[tuple[str, str]]:
        """Samples to show, each with its name for those who cannot see it."""
        return [(str(path), name) for name, path in self.samples.get(collection, {}).items()]

    def open(self, request: gr.Request) -> list:
        """Settings, sample and picture that the link asks for: [*settings, hint, gallery, sample, picture, status]."""
        say = say_to(request)
        known = {name for each in self.samples.values() for name in each}
        wanted, sample, ignored = permalink.from_query(
            dict(request.query_params), self.catalogue, self.start(), dict.fromkeys(known)
        )
        own = self.samples.get(wanted.collection, {})
        sample = sample if sample in own else next(iter(own), "")
        fusion, hint = self._fusions(wanted.fusion, wanted.collection, wanted.backbones, request)
        values = dict(zip(controls(), values_of(wanted), strict=True)) | {"fusion": fusion}
        values["backbones"] = self._offer(wanted.collection, list(wanted.backbones), say)
        for name in NOTHING:
            values[name] = self._class(name, wanted.collection, getattr(wanted, name) or "", say)
        told = say("link_ignored", what=", ".join(ignored)) if ignored else ""
        if told:
            gr.Warning(told)  # the status below the title soon speaks of the analysis
        gallery = gr.update(value=self.gallery(wanted.collection))
        picture = str(own[sample]) if sample else None
        return [*values.values(), hint, gallery, sample, picture, render.notice(told)]

    def pick_collection(self, collection: str, fusion: str, request: gr.Request) -> list:
        """What another collection offers: [backbones, target, against, gallery, fusion, hint]."""
        say = say_to(request)
        names = self.catalogue.suggested(collection)
        offered = self._offer(collection, names, say)
        gallery = gr.update(value=self.gallery(collection))
        classes = [self._class(name, collection, "", say) for name in NOTHING]
        return [offered, *classes, gallery, *self._fusions(fusion, collection, names, request)]

    def pick_fusion(self, fusion: str, collection: str, names: list[str], request: gr.Request) -> list:
        """The fusions that are offered for these backbones, and what the chosen one does: [fusion, hint]."""
        return [*self._fusions(fusion, collection, names, request)]

    def refused(self, collection: str, names: Sequence[str]) -> dict[str, str]:
        """Why some fusions are not offered for these backbones, by name."""
        try:
            evidence = evidence_of(self.catalogue.get(collection, names))
        except VitdemoError:  # none is ticked, and a run will say so
            return {}
        return {fusion.name: reason for fusion in FUSIONS if (reason := fusion.refuse(evidence))}

    def _fusions(self, chosen: str, collection: str, names: Sequence[str], request: gr.Request) -> tuple[dict, str]:
        """What the list of fusions offers, and the sentences below it."""
        say, refused = say_to(request), self.refused(collection, names)
        if not chosen or chosen in refused:
            chosen = self.start().fusion
        offered = [(render.fusion_label(name, say), name) for name in fusions() if name not in refused]
        return gr.update(choices=offered, value=chosen), render.hint(chosen, refused, say, language(request))

    def _offer(self, collection: str, chosen: list[str], say: Say) -> dict:
        return gr.update(choices=self.choices(collection, say), value=chosen)

    def ranked(self, collection: str, nothing: str, say: Say | gr.I18n) -> list[tuple]:
        """What a list of classes offers, as (shown, value): no class, by the key of that, a rank, each class."""
        return [(say(nothing), ""), (say("target.second"), "second"), *self.classes(collection, say)]

    def _class(self, name: str, collection: str, chosen: str, say: Say) -> dict:
        return gr.update(choices=self.ranked(collection, NOTHING[name], say), value=chosen)

    def masks(self, collection: str, sample: str) -> dict:
        """Where the objects of a sample are, by class, as far as that is known."""
        path = self.samples.get(collection, {}).get(sample)
        return pictures.masks(path) if path else {}

    def pick_sample(self, collection: str, event: gr.SelectData) -> list:
        """[sample's name, its picture]."""
        name, path = list(self.samples[collection].items())[event.index]
        return [name, str(path)]

    # The analysis

    def warm(self) -> None:
        """Analyses the sample that the page opens with, so that the first visitor finds it done."""
        if lends():  # a GPU is lent to visitors alone
            return
        wanted = self.start()
        for name, path in list(self.samples.get(wanted.collection, {}).items())[:1]:
            key, masks = (name, wanted), self.masks(wanted.collection, name)

            def remember(now: Progress, key=key) -> None:
                if now.stage == "explained":
                    self._remember(key, now.analysis)

            with self._gate:
                self._remember(key, analyse(images.load(path), wanted, self.catalogue, self.models, remember, masks))

    def run(self, request: gr.Request, picture, sample, scale, colours, last, *values) -> Iterator[list]:
        """Analyses and shows; what was there before stays until there is something new."""
        say, spoken = say_to(request), language(request)
        self._stop(request)
        if picture is None:
            yield changes(status=render.notice(say("no_picture")))
            return
        known = None
        try:
            wanted, rows = self._wanted(values)
            key = (sample, wanted)
            known = self._opened.get(key) if sample else None
            if known:
                yield self._shown(known, sample, scale, colours, say, spoken)
            if _whole(known):
                return

            def work(report):
                if sample and _whole(self._opened.get(key)):  # another visitor has just had it analysed
                    return self._opened[key]
                loaded, masks = images.load(picture), self.masks(wanted.collection, sample) if wanted.trust else None
                return self.entrance(analysed, loaded, wanted, self.catalogue, masks, rows=rows, report=report)

            for now in self._runs.watch(request.session_hash, ANALYSIS, work):
                if not isinstance(now, Progress):
                    self._remember(key, now)
                    yield self._shown(now, sample, scale, colours, say, spoken, news=not known)
                elif now.stage == "explained":
                    known = now.analysis
                    yield self._shown(known, sample, scale, colours, say, spoken, render.working(now, say))
                else:
                    answer = self._answer(now.analysis, sample, say) if now.analysis else gr.skip()
                    yield changes(status=render.working(now, say), answer=answer)
        except Exception as error:
            text, kind = sentence_of(error, say, spoken)
            if not kind and last and not known and not (last.request == wanted and _same(last.picture, picture)):
                kind = "stale"  # what is still there answers another question
            yield changes(status=render.notice(text, kind))

    def run_if_quick(self, request: gr.Request, picture, sample, scale, colours, last, *values):
        """Runs at once what takes no time to speak of; otherwise the button says how long it will take."""
        try:
            wanted, rows = self._wanted(values)
        except VitdemoError as error:
            yield changes(status=render.notice(*sentence_of(error, say_to(request), language(request))))
            return
        label = self._button(wanted, rows, last, say_to(request))
        if label and not (sample and (sample, wanted) in self._opened):
            self._stop(request)
            stale = render.notice(say_to(request)("stale", button=label), "stale")
            yield changes(status=stale if last else gr.skip(), analyse=gr.update(value=label))
        else:
            yield from self.run(request, picture, sample, scale, colours, last, *values)

    def _button(self, wanted: Request, rows: list[Backbone], last: Analysis | None, say: Say) -> str:
        """What the button says where the work should not begin by itself, or nothing."""
        missing = sum(row.bytes for row in rows if not is_here(row, self.models.fetcher))
        if missing:
            return say("analyse_fetch", megabytes=f"{missing / 1e6:.0f}")
        if last is None:
            return ""
        seconds = last.seconds * _cost(wanted, rows) / _cost(last.request, last.backbones)
        return say("analyse_about", seconds=f"{seconds:.0f}") if seconds >= QUICK else ""

    def _wanted(self, values: tuple) -> tuple[Request, list[Backbone]]:
        """The request in the order of the lists on the page, whatever the order of the clicks, and its backbones."""
        given = request_of(values)
        check(given, self.catalogue)
        names = render.order(self.names(given.collection), given.backbones)
        methods = render.order(EXPLANATIONS.names(), given.explanations)
        wanted = replace(given, backbones=tuple(names), explanations=tuple(methods))
        return wanted, self.catalogue.get(wanted.collection, names)

    def _remember(self, key: tuple[str, Request], analysis: Analysis) -> None:
        if key[0]:
            self._opened[key] = analysis
            while len(self._opened) > KEPT_SAMPLES:
                self._opened.popitem(last=False)

    def _answer(self, analysis: Analysis, sample: str, say: Say) -> str:
        return render.answer(analysis, say, self.colours(analysis), sample)

    def colours(self, analysis: Analysis) -> dict[str, str]:
        """Each backbone's colour, the same everywhere on the page."""
        return render.colours_of(self.names(analysis.request.collection))

    def _shown(
        self,
        analysis: Analysis,
        sample: str,
        scale: str,
        colours: str,
        say: Say,
        spoken: str,
        status: str = "",
        news: bool = True,
    ) -> list:
        """An analysis on the page. It is news to the other tabs unless its maps alone have been judged since."""
        return changes(
            status=status,
            answer=self._answer(analysis, sample, say),
            maps=render.maps(analysis, say, spoken, self.colours(analysis), scale, colours),
            analysis=analysis,
            analyse=gr.update(value=say("analyse")),
            query=permalink.to_query(analysis.request, sample),
            done=secrets.token_hex(4) if news else gr.skip(),
        )

    def scrutinise(self, request: gr.Request, asked: str, analysis: Analysis | None) -> Iterator[str]:
        """What the checks of one map find, as HTML: how far they are, then the figures.

        Args:
            asked: {"subject", "method"} as JSON, from the page; "" stops what goes on.
        """
        say, visitor = say_to(request), request.session_hash
        self._runs.stop(visitor, SCRUTINY)
        try:
            wanted = json.loads(asked)
            name, method = str(wanted["subject"]), str(wanted["method"])
        except (ValueError, KeyError, TypeError):
            return
        if analysis is None:
            return
        rows = [row for row in analysis.backbones if name in (FUSED, row.name)]

        def work(report):
            return self.entrance(scrutinised, analysis, name, method, rows=rows, report=report)

        try:
            for now in self._runs.watch(visitor, SCRUTINY, work):
                yield render.working(now, say) if isinstance(now, Progress) else trust.scrutiny(now, say)
        except Cancelled:
            return
        except Exception as error:
            yield render.notice(*sentence_of(error, say, language(request)))

    def cancel(self, request: gr.Request) -> None:
        """Ends the visitor's running analysis, which says so itself."""
        self._stop(request)

    def _stop(self, request: gr.Request) -> bool:
        """Cancels the session's analysis, and says whether there was one going on."""
        return self._runs.stop(request.session_hash, ANALYSIS)

    def redraw(self, analysis: Analysis | None, scale: str, colours: str, request: gr.Request):
        """The same maps in other colours: no model is asked."""
        if analysis is None:
            return gr.skip()
        return render.maps(analysis, say_to(request), language(request), self.colours(analysis), scale, colours)

    # Files to take home

    def figure_file(self, analysis: Analysis | None, scale: str, colours: str, opacity: float) -> str | None:
        return _file(analysis, "png", lambda: result.figure(analysis, scale, colours, opacity))

    def maps_file(self, analysis: Analysis | None) -> str | None:
        return _file(analysis, "npz", lambda: result.save_maps(analysis))

    def json_file(self, analysis: Analysis | None) -> str | None:
        return _file(analysis, "json", lambda: result.dumps(result.to_json(analysis)).encode())

    def report_file(
        self, analysis: Analysis | None, scale: str, colours: str, opacity: float, request: gr.Request
    ) -> str | None:
        """The report as HTML, in the visitor's language."""
        if analysis is None:
            return None
        composed = self._report(analysis, language(request), scale, colours, opacity, request)
        return write_file(analysis, "html", report.html(composed).encode())

    def report_image_file(
        self, analysis: Analysis | None, scale: str, colours: str, opacity: float, request: gr.Request
    ) -> str | None:
        """The report as PNG, in the visitor's language if this machine has letters for it."""
        if analysis is None:
            return None
        spoken = report.drawable(language(request))
        composed = self._report(analysis, spoken, scale, colours, opacity, request)
        return write_file(analysis, "report.png", report.png(composed))

    def _report(self, analysis: Analysis, spoken: str, scale: str, colours: str, opacity: float, request: gr.Request):
        now = datetime.now(UTC)
        name = self._sample_of(analysis, request)
        return report.compose(analysis, spoken, self.colours(analysis), now, scale, colours, opacity, name)

    def script_text(self, analysis: Analysis | None, request: gr.Request):
        """The analysis as lines of Python, shown where they can be copied."""
        if analysis is None:
            return gr.skip()
        known = {(row.collection, row.name) for row in default_catalogue()}
        added = tuple(row.name for row in analysis.backbones if (row.collection, row.name) not in known)
        sample = self._sample_of(analysis, request)
        own = sample if (FOLDER / sample).is_file() else ""
        return gr.update(value=script(analysis, own, added), visible=True)

    def _sample_of(self, analysis: Analysis, request: gr.Request) -> str:
        """The file name of the sample that was analysed, "" if it was another picture: the link says which, and is not
        taken at its word."""
        path = self.samples.get(analysis.request.collection, {}).get(request.query_params.get("sample", ""))
        return path.name if path and _same(analysis.picture, path) else ""

    def display(self, request: gr.Request) -> list:
        """How the link wants maps to be drawn: [scale, colours, opacity]."""
        return list(permalink.display_of(request.query_params))


def _same(picture: Image.Image, path: str) -> bool:
    """Whether a file holds that picture."""
    return images.load(path).tobytes() == picture.tobytes()


def _whole(analysis: Analysis | None) -> bool:
    """Whether there is an analysis, and its maps have been judged if that was wanted."""
    return analysis is not None and bool(analysis.trust or not analysis.request.trust)


def _cost(request: Request, rows) -> float:
    """What a request costs until its maps are there, in passes times weights: enough to compare two requests."""
    passes = 1
    for name in request.explanations:
        method = EXPLANATIONS.get(name)
        forward, backward = method.passes(request.options), method.backward(request.options)
        passes += 2 * (forward + 2 * backward)  # going back takes about twice as long
    return passes * sum(row.parameters for row in rows)


def _file(analysis: Analysis | None, suffix: str, make) -> str | None:
    """A file of the analysis, if there is one."""
    return None if analysis is None else write_file(analysis, suffix, make())


def write_file(analysis: Analysis, suffix: str, content: bytes) -> str:
    """Writes a file where Gradio serves from and cleans up, named after the answer, and gives its path."""
    folder = Path(tempfile.gettempdir()) / "gradio" / secrets.token_hex(16)
    folder.mkdir(parents=True)
    path = folder / f"vitdemo-{first_name(analysis.top(1)[0][0]).replace(' ', '-')}.{suffix}"
    path.write_bytes(content)
    return str(path)
