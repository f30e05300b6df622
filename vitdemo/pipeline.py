"""The whole way of a picture, in one function. The page, the command line and the API call nothing else."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from PIL import Image

from vitdemo import defaults
from vitdemo.attention import Recorder
from vitdemo.backbones import FUSED, Backbone, Catalogue
from vitdemo.errors import NotOfferedError, UnknownNameError, VitdemoError
from vitdemo.explain import EXPLANATIONS, Options, Subject, explain, fused_subject
from vitdemo.explain.attention import layout
from vitdemo.faithfulness import Judge, Memory, Settings, Trust
from vitdemo.fusion import FUSIONS, FusedModel, evidence_of, fuse, pairwise_divergence
from vitdemo.labels import synonyms
from vitdemo.models import Model, Models, labels_of
from vitdemo.predict import is_finite, not_finite, predict
from vitdemo.types import Fused, Heat, NotOffered, Prediction


@dataclass(frozen=True)
class Request:
    """What a person asks for, besides the picture."""

    collection: str = "flowers"
    backbones: tuple[str, ...] = ("vit", "hybrid", "resnet")
    fusion: str = "mean"
    explanations: tuple[str, ...] = defaults.EXPLANATIONS
    # a class, by name, number or rank ("second", or "#2", of the fused model); None is the fused model's first choice
    target: str | None = None
    options: Options = field(default_factory=Options)
    trust: bool = False  # whether every map is judged too, which takes longer than making most of them
    against: str | None = None  # a class that the target is compared with, named in the same ways


def opening(catalogue: Catalogue, collection: str) -> Request:
    """What is asked of a picture until somebody asks for something else: the suggested backbones, every map judged."""
    return Request(collection, tuple(catalogue.suggested(collection)), trust=True)


@dataclass(frozen=True)
class Progress:
    """How far the work is. `analysis` holds what is known so far, once when the predictions are there and, if maps are
    judged, once more when the maps are."""

    # "loading" (up to the predictions), "waiting" (for others), "fetching", "predicted", "explaining", "explained",
    # "judging", or, of one map, "scrutinising"
    stage: str
    done: float  # 0..1 of the whole work
    analysis: "Analysis | None" = None
    subject: str = ""  # the backbone fetched or asked, or the subject explained
    method: str = ""  # the explanation
    fetched: tuple[int, int] = (0, 0)  # bytes so far, bytes in all

    @property
    def message(self) -> str:
        """In words, such as "rollout of vit"."""
        if self.stage == "fetching":
            return f"fetching {self.subject}: {self.fetched[0] / 1e6:.0f} of {self.fetched[1] / 1e6:.0f} MB"
        if self.stage in ("judging", "scrutinising"):
            return f"{self.stage} {self.method} of {self.subject}"
        return f"{self.method} of {self.subject}" if self.stage == "explaining" else self.stage


@dataclass(frozen=True)
class Analysis:
    """Everything that is known of one picture."""

    request: Request
    picture: Image.Image
    backbones: tuple[Backbone, ...]  # M
    labels: tuple[str, ...]  # K
    predictions: tuple[Prediction, ...]  # M, each of one picture
    fused: Fused
    divergence: np.ndarray  # (M, M) between any two backbones, in bits
    target: int
    maps: Mapping[str, Mapping[str, Heat | NotOffered]]  # FUSED or a backbone's name, then the explanation's name
    device: str
    seconds: float  # until the maps were there: what judges them afterwards is not counted
    trust: Mapping[str, Mapping[str, Trust]] = field(default_factory=dict)  # of each map there is, where it was asked
    against: int | None = None  # the class that the target is compared with
    name: str = ""  # what the picture is called: a file's name, never a path
    forward: float = 0.0  # seconds that one pass of all backbones takes
    broken: Mapping[str, str] = field(default_factory=dict)  # backbones that gave no finite answer, and the sentence
    unfinished: Request | None = None  # what was asked for, where the work ended before the maps were there

    @property
    def asked(self) -> Request:
        """What was asked for, whether or not it was finished."""
        return self.unfinished or self.request

    def probabilities(self, name: str = FUSED) -> np.ndarray:
        """(K,) of the fused model or of one backbone."""
        if name == FUSED:
            return self.fused.probabilities
        return self.predictions[[row.name for row in self.backbones].index(name)].probabilities[0]

    def top(self, count: int = 5, name: str = FUSED) -> list[tuple[str, float]]:
        """The `count` most probable classes, most probable first."""
        probabilities = self.probabilities(name)
        return [(self.labels[k], float(probabilities[k])) for k in np.argsort(-probabilities, kind="stable")[:count]]


def find_target(target: str | int, labels: Sequence[str], probabilities: np.ndarray | None = None) -> int:
    """The class that a name or a number means. Any of ImageNet's "tench, Tinca tinca" will do if no other class has it.

    Args:
        target: a name, a number from 0, or a rank: "second", or "#1", "#2" and so on.
        labels: K.
        probabilities: (K,) what ranks are taken of; without them, ranks are not known.

    Raises:
        UnknownNameError: no class, or more than one, goes by that name.
    """
    text = str(target).strip()
    if text in labels:
        return list(labels).index(text)
    if text.isdecimal() and len(text) < 10 and int(text) < len(labels):  # Python refuses to read very long numbers
        return int(text)
    named = [k for k, label in enumerate(labels) if text.lower() in [name.strip().lower() for name in synonyms(label)]]
    if len(named) == 1:
        return named[0]
    ranked = "2" if text.lower() == "second" else text.removeprefix("#") if text.startswith("#") else ""
    if probabilities is not None and ranked.isdecimal() and len(ranked) < 10 and 1 <= int(ranked) <= len(labels):
        return int(np.argsort(-probabilities, kind="stable")[int(ranked) - 1])
    raise UnknownNameError("target class", target, list(labels))


def _classes(request: Request, labels: Sequence[str], probabilities: np.ndarray) -> tuple[int, int | None]:
    """The class that the maps explain, and the one that it is compared with.

    Raises:
        VitdemoError: they are not known, or the same.
    """
    first = int(probabilities.argmax())
    target = first if request.target is None else find_target(request.target, labels, probabilities)
    if request.against is None:
        return target, None
    against = find_target(request.against, labels, probabilities)
    if against == target:
        raise VitdemoError(f"{labels[target]} is to be compared with itself; allowed: two different classes.")
    return target, against


def analyse(
    picture: Image.Image,
    request: Request,
    catalogue: Catalogue,
    models: Models,
    report: Callable[[Progress], None] = lambda progress: None,
    masks: Mapping[str, np.ndarray] | None = None,
) -> Analysis:
    """Predicts with every backbone, fuses, and explains each backbone and the fused model.

    Args:
        picture: upright RGB, as `images.load` gives it.
        request: what to do.
        catalogue: where the backbones are looked up.
        models: the loaded backbones, shared by all visitors.
        report: called before every forward pass; whatever it raises stops the work and leaves nothing behind.
        masks: where the objects are, (H, W) bool over the whole picture by class, if that is known; read where maps
            are judged.

    Raises:
        VitdemoError: a name that is not known, or weights that cannot be had, and nothing was computed; or a class that
            is to be compared with itself.
    """
    began = time.perf_counter()
    rows = check(request, catalogue)
    report(Progress("loading", 0.0))
    with models.use(rows, lambda name, done, total: report(_fetching(name, done, total))) as loaded:
        seen, forward = [], 0.0
        for index, model in enumerate(loaded):
            report(Progress("loading", 0.1 * index / len(loaded), subject=model.backbone.name))
            pixels, started = model.pixels([picture]), time.perf_counter()
            seen.append(look(model, pixels, request))
            forward += time.perf_counter() - started
        loaded, seen, broken = sound(loaded, seen)
        predictions = tuple(prediction for prediction, _, _ in seen)
        probabilities = np.stack([prediction.probabilities for prediction in predictions])  # (M, 1, K)
        fused = fused_of(loaded, seen, request.fusion)
        labels = loaded[0].labels
        target, against = _classes(request, labels, fused.probabilities)
        analysis = Analysis(
            request=request,
            picture=picture,
            backbones=tuple(model.backbone for model in loaded),
            labels=labels,
            predictions=predictions,
            fused=fused,
            divergence=pairwise_divergence(probabilities[:, 0]),
            target=target,
            maps={},
            device=str(models.device),
            seconds=time.perf_counter() - began,
            against=against,
            forward=forward,
            broken=broken,
        )
        report(Progress("predicted", 0.1, analysis))
        subjects = subjects_of(loaded, seen, picture, request.fusion, fused.weights, target, against)
        started = time.perf_counter()
        analysis = _explain_all(analysis, subjects, report)
        explaining = time.perf_counter() - started
        if count := passes_behind_maps(request):  # the first pass of a network just loaded is slow
            analysis = replace(analysis, forward=min(forward, explaining / count))
        analysis = replace(analysis, seconds=time.perf_counter() - began)
        if not request.trust:
            return analysis
        report(Progress("explained", 0.5, analysis))
        return replace(analysis, trust=_judge_all(analysis, subjects, (masks or {}).get(labels[target]), report))


def passes_behind_maps(request: Request) -> int:
    """What the maps of one subject take, in forward passes: going back counts as two."""
    methods = [EXPLANATIONS.get(name) for name in dict.fromkeys(request.explanations)]
    return sum(each.passes(request.options) + 2 * each.backward(request.options) for each in methods)


def sound(models: Sequence[Model], looks: Sequence["Look"]) -> tuple[list[Model], list["Look"], dict[str, str]]:
    """The backbones that gave an answer, with their looks; and for each of the others the sentence why it has no say.

    Raises:
        VitdemoError: none gave one.
    """
    good = [is_finite(prediction) for prediction, *_ in looks]
    names = [model.backbone.name for model in models]
    broken = {name: not_finite(name) for name, fine in zip(names, good, strict=True) if not fine}
    if not any(good):
        raise VitdemoError(" ".join(broken.values()))
    kept = [pair for pair, fine in zip(zip(models, looks, strict=True), good, strict=True) if fine]
    return [model for model, _ in kept], [seen for _, seen in kept], broken


def judge(
    analysis: Analysis,
    models: Models,
    report: Callable[[Progress], None] = lambda progress: None,
    masks: Mapping[str, np.ndarray] | None = None,
) -> Analysis:
    """The analysis with every map of it judged, as `analyse` judges them where `Request.trust` asks for it.

    Args:
        analysis: with its picture and maps.
        models: the loaded backbones.
        report: called before every forward pass; whatever it raises stops the work and leaves nothing behind.
        masks: as for `analyse`.
    """
    request = replace(analysis.request, trust=True)
    with models.use(analysis.backbones, lambda name, done, total: report(_fetching(name, done, total))) as loaded:
        seen = [look(model, model.pixels([analysis.picture]), request) for model in loaded]
        weights, classes = analysis.fused.weights, (analysis.target, analysis.against)
        subjects = subjects_of(loaded, seen, analysis.picture, request.fusion, weights, *classes)
        mask = (masks or {}).get(analysis.labels[analysis.target])
        return replace(analysis, request=request, trust=_judge_all(analysis, subjects, mask, report))


def check(request: Request, catalogue: Catalogue) -> list[Backbone]:
    """The rows that a request names, once everything in it is known to be allowed.

    Raises:
        VitdemoError: what is not allowed, and what is.
    """
    rows = catalogue.get(request.collection, request.backbones)
    fusion = FUSIONS.get(request.fusion)
    for name in request.explanations:
        EXPLANATIONS.get(name)
    labels = labels_of(rows[0])
    for named in (request.target, request.against):
        if named is not None:
            find_target(named, labels, np.zeros(len(labels)))  # any rank that there is will do
    if reason := fusion.refuse(evidence_of(rows)):
        raise NotOfferedError(reason)
    return rows


def _fetching(name: str, done: int, total: int) -> Progress:
    return Progress("fetching", 0.0, subject=name, fetched=(done, total)) if name else Progress("waiting", 0.0)


Look = tuple[Prediction, torch.Tensor, list[torch.Tensor]]


def look(model: Model, pixels: torch.Tensor, request: Request) -> Look:
    """One forward pass over (1, 3, h, w) in 0..1: what the backbone says, what it saw, and its attention if that is
    wanted and can be used."""
    stages = FUSIONS.get(request.fusion).needs == "stages"
    wanted = any(EXPLANATIONS.get(name).family == "attention" for name in request.explanations)
    if not wanted or isinstance(tokens := layout(model), NotOffered):
        return predict(model, pixels, stages), pixels, []
    with Recorder(tokens.keep(request.options.head_fusion)) as recorder:
        return predict(model, pixels, stages), pixels, recorder.matrices


def fused_of(models: Sequence[Model], looks: Sequence[Look], fusion: str) -> Fused:
    """What M backbones say together of the picture at which each has looked."""
    predictions = tuple(prediction for prediction, *_ in looks)
    return fuse(fusion, predictions, evidence_of([model.backbone for model in models]))[0]


def subjects_of(
    models: Sequence[Model],
    looks: Sequence[Look],
    picture: Image.Image,
    fusion: str,
    weights: np.ndarray,
    target: int,
    against: int | None = None,
) -> dict[str, Subject]:
    """What there is to explain: the fused model first, then each backbone.

    Args:
        models: M loaded backbones.
        looks: what `look` gave for each.
        picture: what they looked at.
        fusion: in `FUSIONS`.
        weights: (M,) each backbone's share in the fused prediction.
        target: class.
        against: the class that it is compared with, if any.
    """
    singles = {
        model.backbone.name: Subject(
            (model,),
            FusedModel([model], "mean"),
            (pixels,),
            (model.view(picture),),
            np.ones(1),
            (matrices,),
            target,
            against,
        )
        for model, (_, pixels, matrices) in zip(models, looks, strict=True)
    }
    return {FUSED: fused_subject(list(singles.values()), fusion, weights), **singles}


def _explain_all(analysis: Analysis, subjects: Mapping[str, Subject], report: Callable[[Progress], None]) -> Analysis:
    names = dict.fromkeys(analysis.request.explanations)  # each once
    backbones = [name for name in subjects if name != FUSED]
    maps: dict[str, dict[str, Heat | NotOffered]] = {name: {} for name in subjects}
    work = [(method, name) for method in names for name in (*backbones, FUSED)]
    for index, (method, name) in enumerate(work):
        done = 0.1 + (0.4 if analysis.request.trust else 0.9) * index / len(work)
        now = Progress("explaining", done, subject=name, method=method)
        report(now)
        members = [maps[backbone][method] for backbone in backbones] if name == FUSED else None
        tick = partial(report, now)
        maps[name][method] = explain(method, subjects[name], analysis.request.options, tick, members)
    return replace(analysis, maps=maps)


def _judge_all(
    analysis: Analysis,
    subjects: Mapping[str, Subject],
    mask: np.ndarray | None,
    report: Callable[[Progress], None],
) -> dict[str, dict[str, Trust]]:
    """Every map that there is, judged beside the random maps of its subject; the fused model last, which then recalls
    what its backbones said."""
    options = analysis.request.options
    settings, memory = Settings(batch=options.batch, seed=options.seed), Memory()
    trust: dict[str, dict[str, Trust]] = {name: {} for name in subjects}
    for index, (name, subject) in enumerate(reversed(subjects.items())):
        maps = {method: heat for method, heat in analysis.maps[name].items() if isinstance(heat, Heat)}
        judge = None
        for number, (method, heat) in enumerate(maps.items()):
            done = 0.5 + 0.5 * (index + number / len(maps)) / len(subjects)
            now = Progress("judging", done, subject=name, method=method)
            report(now)
            tick = partial(report, now)
            judge = judge or Judge(subject, settings, tick, memory)
            trust[name][method] = judge.trust(heat, mask, tick)
    return trust
