"""What happens when a visitor does something. No layout here, and no arithmetic that belongs to a stage.

A visitor's picture and results live in that visitor's session alone. Shared are the weights, and the analyses of the
samples that come with the program, which are nobody's pictures.
"""

import json
import math
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import gradio as gr

from vitdemo import result
from vitdemo.backbones import FUSED, Backbone, Catalogue, default_catalogue
from vitdemo.elsewhere import Elsewhere, elsewhere
from vitdemo.errors import Cancelled, VitdemoError
from vitdemo.explain import EXPLANATIONS
from vitdemo.faithfulness import Settings, passes
from vitdemo.fusion import FUSIONS, evidence_of
from vitdemo.host import IMAGENET
from vitdemo.labels import first_name
from vitdemo.models import Models, is_here, labels_of
from vitdemo.pipeline import Analysis, Progress, Request, analyse, check, judge, opening, passes_behind_maps
from vitdemo.prepared import Prepared, key_of
from vitdemo.samples import FOLDER
from vitdemo.script import script
from vitdemo.scrutiny import Scrutiny, scrutinise
from vitdemo.spaces import Entrance, lends
from vitdemo.types import Heat
from vitdemo.ui import files, permalink, pictures, render, report, trust
from vitdemo.ui.fields import controls, fusions, request_of, values_of
from vitdemo.ui.session import Known, Samples
from vitdemo.ui.text import Say
from vitdemo.ui.visitor import language, say_to
from vitdemo.ui.work import Gate, Runs, sentence_of

# What a run changes on the page, in order.
RESULTS = ("status", "answer", "maps", "analysis", "analyse", "query", "done")
JUDGED = ("judging", "judge", "stop_judging", "maps", "analysis")  # and what judging the maps changes
# What a visitor's running work may be for.
ANALYSIS, JUDGING, SCRUTINY, ELSEWHERE = "analysis", "judging", "scrutiny", "elsewhere"
DRAWING = "working drawing"  # kind of a status above an answer that is new already
PATIENT = 5.0  # seconds; judging that takes longer is offered by a button
NOTHING = {"target": "target.top", "against": "against.none"}  # lists of classes, and what choosing none is called
QUICK = 2.0  # seconds; a changed setting that takes longer waits for the button
KEPT_SAMPLES = 16  # analyses of samples that are kept for the next visitor


def changes(**given) -> list:
    """The results that change, the others left as they are."""
    return [given.get(name, gr.skip()) for name in RESULTS]


def scrutinised(models: Models, report, analysis: Analysis, name: str, method: str) -> Scrutiny:
    """`scrutiny.scrutinise`, as work for an `Entrance`."""
    return scrutinise(analysis, name, method, models, report)


def judged(models: Models, report, analysis: Analysis, masks) -> Analysis:
    """`pipeline.judge`, as work for an `Entrance`."""
    return judge(analysis, models, report, masks)


def judged_changes(line: str, offer: str | bool, stop: bool, **given) -> list:
    """What judging changes on the page, in the order of `JUDGED`."""
    button = gr.update(visible=bool(offer), **({"value": offer} if isinstance(offer, str) else {}))
    made = {"judging": line, "judge": button, "stop_judging": gr.update(visible=stop), **given}
    return [made.get(name, gr.skip()) for name in JUDGED]


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
        self.known = Samples(samples)
        self._gate = Gate()  # one analysis at a time computes; the others wait their turn
        self._runs = Runs(self._gate)
        self._opened: OrderedDict[str, Analysis] = OrderedDict()  # by `prepared.key_of`
        self._prepared = Prepared()

    @property
    def gate(self) -> Gate:
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
        """Settings and picture that the link asks for: [*settings, hint, gallery, picture, status]."""
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
        if request.query_params.get("own"):
            told = f"{told} {say('link_own')}".strip()
        if told:
            gr.Warning(told)  # the status below the title soon speaks of the analysis
        gallery = gr.update(value=self.gallery(wanted.collection))
        picture = str(own[sample]) if sample else None
        return [*values.values(), hint, gallery, picture, render.notice(told)]

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

    def pick_sample(self, collection: str, event: gr.SelectData) -> str:
        """The sample's picture."""
        return str(list(self.samples[collection].values())[event.index])

    # The analysis

    def warm(self) -> None:
        """Loads what the page opens with, so that the first visitor need not wait for it; nobody waits for this."""
        if lends():  # a GPU is lent to visitors alone
            return
        start = self.start()
        with self.models.use(self.catalogue.get(start.collection, start.backbones)):
            pass

    def run(self, request: gr.Request, picture, scale, colours, last, *values) -> Iterator[list]:
        """Analyses and shows. What was there before stays whole until the new answer is there; from then on everything
        is of the new picture, with its maps missing until they are made."""
        say, spoken, visitor = say_to(request), language(request), request.session_hash
        self._stop(request)
        if picture is None:
            yield changes(status=render.notice(say("no_picture")))
            return
        shown, known = last, None
        try:
            wanted, rows = self._wanted(values)
            known = self.known.know(picture, wanted.collection)
            if kept := self._kept(known, rows, wanted):
                yield self._shown(*kept, known, wanted, scale, colours, say, spoken)
                return
            plain = replace(wanted, trust=False)  # maps are judged when they are there

            def work(report):
                return self.entrance(analysed, known.picture, plain, self.catalogue, rows=rows, report=report)

            for now in self._runs.watch(visitor, ANALYSIS, work, plain):
                if not isinstance(now, Progress):
                    shown = replace(now, name=known.name)
                    self._remember(known, rows, shown)
                    yield self._shown(shown, "", known, wanted, scale, colours, say, spoken)
                elif now.analysis is not None:
                    request_so_far = replace(plain, explanations=())
                    shown = replace(now.analysis, name=known.name, request=request_so_far, unfinished=plain)
                    working = render.working(now, say, kind=DRAWING)
                    yield self._shown(shown, "", known, wanted, scale, colours, say, spoken, working)
                else:
                    besides = _still(last, known, say) if shown is last else ""
                    yield changes(status=render.working(now, say, besides, "working" if shown is last else DRAWING))
        except Exception as error:
            text, kind = sentence_of(error, say, spoken)
            if shown is not last:
                maps = render.maps(shown, say, spoken, self.colours(shown), scale, colours)
                yield changes(status=render.notice(text, kind), maps=maps)
            else:
                besides = _still(last, known, say)
                yield changes(status=render.notice(f"{text} {besides}".strip(), kind or ("stale" if besides else "")))

    def run_if_quick(self, request: gr.Request, status, picture, scale, colours, last, *values):
        """Runs at once what takes no time to speak of; otherwise the button says how long it will take. Settings that
        are those of what is shown, or of what is being computed, change nothing."""
        try:
            wanted, rows = self._wanted(values)
        except VitdemoError as error:
            yield changes(status=render.notice(*sentence_of(error, say_to(request), language(request))))
            return
        say, plain = say_to(request), replace(wanted, trust=False)
        running = self._runs.about(request.session_hash, ANALYSIS)
        if running == plain:
            yield changes()  # a generator that yields nothing would empty the page
            return
        if running is None and last is not None and replace(last.asked, trust=False) == plain:
            stale = "stale" in (status or "")  # they were others for a while
            yield changes(status="", analyse=gr.update(value=say("analyse"))) if stale else changes()
            return
        label = self._button(wanted, rows, last, say)
        if label and not self._is_kept(picture, rows, wanted):
            self._stop(request)
            stale = render.notice(say("stale", button=label), "stale")
            yield changes(status=stale if last else gr.skip(), analyse=gr.update(value=label))
        else:
            yield from self.run(request, picture, scale, colours, last, *values)

    def judge(self, request: gr.Request, last: Analysis | None, wanted: bool, scale, colours) -> Iterator[list]:
        """Judges the maps that are shown, if that is wanted and takes a few seconds; else a button offers it."""
        yield from self._judge(request, last, wanted, scale, colours, PATIENT)

    def judge_now(self, request: gr.Request, last: Analysis | None, scale, colours) -> Iterator[list]:
        """Judges the maps that are shown, however long it takes."""
        yield from self._judge(request, last, True, scale, colours, math.inf)

    def _judge(self, request: gr.Request, last, wanted: bool, scale, colours, patience: float) -> Iterator[list]:
        say, spoken, visitor = say_to(request), language(request), request.session_hash
        self._runs.stop(visitor, JUDGING)
        if last is None or last.trust or not (wanted and _has_maps(last)):
            yield judged_changes("", offer=False, stop=False)
            return
        seconds = last.forward * _judging(last)
        label = say("judge_about", seconds=f"{seconds:.0f}")
        if seconds > patience:
            yield judged_changes(render.line(say("judge.offer")), offer=label, stop=False)
            return
        sample = self.known.file_of(last.picture, last.request.collection)
        masks = pictures.masks(sample) if sample else {}
        rows = list(last.backbones)

        def work(report):
            return self.entrance(judged, last, masks, rows=rows, report=report)

        try:
            for now in self._runs.watch(visitor, JUDGING, work, last, patient=True):
                if isinstance(now, Progress):
                    yield judged_changes(render.judging(now, say), offer=False, stop=True)
                elif self._runs.about(visitor, JUDGING) is last:  # and nothing else has been asked for since
                    if sample:
                        self._keep(key_of(now.picture, rows, now.request), now)
                    maps = render.maps(now, say, spoken, self.colours(now), scale, colours)
                    yield judged_changes("", offer=False, stop=False, maps=maps, analysis=now)
        except Exception as error:
            text, kind = sentence_of(error, say, spoken)
            told = render.notice(text, kind) if kind else render.line(say("judge.stopped"))
            yield judged_changes(told, offer=label, stop=False)

    def stop_judging(self, request: gr.Request) -> None:
        """Ends the judging, which says so itself."""
        self._runs.stop(request.session_hash, JUDGING)

    # What is kept for all visitors: analyses of samples

    def _kept(self, known: Known, rows: Sequence[Backbone], wanted: Request) -> tuple[Analysis, str] | None:
        """What is there of exactly this, and where it comes from: "prepared" or "kept"."""
        if not known.sample:
            return None
        for request in (replace(wanted, trust=True), replace(wanted, trust=False)):
            key = key_of(known.picture, rows, request)
            found, whence = self._opened.get(key), "kept"
            if found is None:
                found, whence = self._prepared.get(key, known.picture, rows, request), "prepared"
            if found is not None:
                trust = found.trust if wanted.trust else {}
                request = replace(request, trust=bool(trust))
                return replace(found, name=known.name, trust=trust, request=request), whence
        return None

    def _is_kept(self, picture: str | None, rows: Sequence[Backbone], wanted: Request) -> bool:
        try:
            known = None if picture is None else self.known.know(picture, wanted.collection)
            return known is not None and self._kept(known, rows, wanted) is not None
        except VitdemoError:  # no picture: a run will say so
            return False

    def _remember(self, known: Known, rows: Sequence[Backbone], analysis: Analysis) -> None:
        if known.sample:
            self._keep(key_of(known.picture, rows, analysis.request), analysis)

    def _keep(self, key: str, analysis: Analysis) -> None:
        self._opened[key] = analysis
        while len(self._opened) > KEPT_SAMPLES:
            self._opened.popitem(last=False)

    def _button(self, wanted: Request, rows: list[Backbone], last: Analysis | None, say: Say) -> str:
        """What the button says where the work should not begin by itself, or nothing."""
        away = [row for row in rows if not is_here(row, self.models.fetcher)]
        missing = sum(row.bytes for row in away if not row.source.command())
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

    def colours(self, analysis: Analysis) -> dict[str, str]:
        """Each backbone's colour, the same everywhere on the page."""
        return render.colours_of(self.names(analysis.request.collection))

    def _shown(
        self,
        analysis: Analysis,
        whence: str,
        known: Known,
        wanted: Request,
        scale: str,
        colours: str,
        say: Say,
        spoken: str,
        status: str = "",
    ) -> list:
        """An analysis on the page, whole: its answer, its maps or that they are missing, what tabs and files get."""
        return changes(
            status=status,
            answer=render.answer(analysis, say, self.colours(analysis), bool(known.sample), whence, spoken),
            maps=render.maps(analysis, say, spoken, self.colours(analysis), scale, colours, coming=bool(status)),
            analysis=analysis,
            analyse=gr.update(value=say("analyse")),
            query=permalink.to_query(wanted, known.sample),
            done=secrets.token_hex(4),
        )

    def elsewhere(self, analysis: Analysis | None, request: gr.Request) -> Iterator[list]:
        """That these classes are all that these backbones know, with the button that leads to ImageNet, and as soon as
        nobody waits for an answer what ImageNet says: [line, button]. Never of another picture than the answer."""
        say, visitor = say_to(request), request.session_hash
        if analysis is None or analysis.request.collection == IMAGENET:
            self._runs.stop(visitor, ELSEWHERE)
            yield ["", gr.update(visible=False)]
            return
        alone = [render.elsewhere(analysis, None, say), gr.update(visible=IMAGENET in self.catalogue.collections())]
        try:
            for now in self._runs.watch(visitor, ELSEWHERE, lambda _: self._other(analysis), analysis, patient=True):
                if isinstance(now, Progress):
                    yield alone
                elif self._runs.about(visitor, ELSEWHERE) is analysis:  # and no other answer has come since
                    yield [render.elsewhere(analysis, now, say), gr.skip()]
        except VitdemoError:  # another answer came, or ImageNet cannot be asked: the line says enough
            return

    def other(self, analysis: Analysis) -> Elsewhere | None:
        """What ImageNet says of the picture."""
        with self._gate:
            return self._other(analysis)

    def _other(self, analysis: Analysis) -> Elsewhere | None:
        return elsewhere(analysis.picture, analysis.request.collection, self.catalogue, self.models)

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
        """Cancels the session's analysis, and the judging of the one before; says whether there was one going on."""
        self._runs.stop(request.session_hash, JUDGING)
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
        return report.compose(analysis, spoken, self.colours(analysis), now, scale, colours, opacity, analysis.name)

    def script_text(self, analysis: Analysis | None, request: gr.Request):
        """The analysis as lines of Python, shown where they can be copied."""
        if analysis is None:
            return gr.skip()
        known = {(row.collection, row.name) for row in default_catalogue()}
        added = tuple(row.name for row in analysis.backbones if (row.collection, row.name) not in known)
        sample = self._sample_file(analysis)
        own = sample if (FOLDER / sample).is_file() else ""
        return gr.update(value=script(analysis, own, added), visible=True)

    def _sample_file(self, analysis: Analysis) -> str:
        """The file name of the sample that was analysed, "" if it was another picture."""
        file = self.known.file_of(analysis.picture, analysis.request.collection)
        return file.name if file else ""

    def display(self, request: gr.Request) -> list:
        """How the link wants maps to be drawn: [scale, colours, opacity]."""
        return list(permalink.display_of(request.query_params))


def _still(last: Analysis | None, known: Known | None, say: Say) -> str:
    """That what is shown is of another picture than the one in the box, which it names; "" where it is not."""
    if last is None or (known is not None and known.picture.tobytes() == last.picture.tobytes()):
        return ""
    return say("still", name=last.name or say("still.unnamed"))


def _has_maps(analysis: Analysis) -> bool:
    return any(isinstance(heat, Heat) for each in analysis.maps.values() for heat in each.values())


def _judging(analysis: Analysis) -> int:
    """Passes of all backbones that judging the maps takes; the fusion recalls what its members said."""
    return passes(Settings(), max(1, len(analysis.request.explanations)))


def _cost(request: Request, rows) -> float:
    """What a request costs until its maps are there, in passes times weights: enough to compare two requests."""
    return (1 + 2 * passes_behind_maps(request)) * sum(row.parameters for row in rows)


def _file(analysis: Analysis | None, suffix: str, make) -> str | None:
    """A file of the analysis, if there is one."""
    return None if analysis is None else write_file(analysis, suffix, make())


def write_file(analysis: Analysis, suffix: str, content: bytes) -> str:
    """Writes a file to take home, named after the answer, and gives its path."""
    return files.write(f"vitdemo-{first_name(analysis.top(1)[0][0])}", suffix, content)
