"""Which explanations point at what they explain: methods against methods, on pictures whose flowers are known.

The pictures are drawn from a seed (`samples.series`), none chosen by eye, with a mask for every flower: some with one
kind of flower, some with two. Of two, one is *named*: the map is made for its class, and its peak has to lie on it and
not on the other. A folder of photographs, which have no masks, can take part in what needs none.

For each picture and each subject (every backbone, and the fused model) every method is asked, besides two maps that
know nothing: random noise and a blob in the middle. What is slow is measured on fewer pictures: the first of each
series, which hold every kind equally often. A line of JSON is written after every picture, so that a study that was
interrupted goes on where it stopped.

Every figure is a mean over pictures with its 95 % interval: the 2.5th and 97.5th percentile of the means of 2,000
bootstrap samples of the pictures (Efron, 1979).
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from vitdemo.backbones import FUSED, Backbone
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.evaluate import list_pictures, thinned
from vitdemo.explain import EXPLANATIONS, Options, Subject, explain
from vitdemo.faithfulness import (
    Judge,
    Settings,
    centre_map,
    energy,
    forgetful,
    points_at,
    random_map,
    spearman,
)
from vitdemo.fusion import FUSIONS
from vitdemo.images import load
from vitdemo.models import Model, Models, labels_of
from vitdemo.pipeline import Request, fused_of, look, subjects_of
from vitdemo.recorded import STUDIED
from vitdemo.result import PACKAGES, dumps
from vitdemo.samples import FLOWERS, draw, series
from vitdemo.sources import Hub
from vitdemo.types import Heat, NotOffered
from vitdemo.views import canvas_shape, union

METHODS = ("rollout", "relevance", "grad_cam", "input_x_gradient", "smoothgrad", "integrated_gradients", "occlusion")
RANDOM, CENTRE = "random", "centre"  # the floors, which stand among the methods
EACH = "each"  # among the subjects: the mean over the single backbones
DEPTHS = {"head": 1e-9, "all": 1.0}  # of randomisation
RESAMPLES = 2000
COSTLY = 16  # passes, a backward pass counting as two, beyond which a method is asked about fewer pictures

# What is measured, and how a table calls it; ↑ more is better, ↓ less is better.
METRICS = {
    "pointing": "pointing ↑",  # one flower: the peak lies on it
    "energy": "energy ↑",  # one flower: share of the positive map on it
    "two": "two flowers ↑",  # the peak lies on the named one
    "two_other": "on the other ↓",  # the peak lies on the other one
    "two_recognised": "two, recognised ↑",  # "two", where the subject finds the named flower more probable
    "deletion": "deletion ↓",
    "insertion": "insertion ↑",
    "photo_deletion": "deletion, photographs ↓",
    "photo_insertion": "insertion, photographs ↑",
    "random_head": "head random ↓",  # rank correlation with the map of a copy whose head is random
    "random_all": "all random ↓",  # … whose weights are all random
    "milliseconds": "ms ↓",  # to make the map, beyond the prediction
}
IN_README = ("pointing", "energy", "two", "deletion", "insertion", "random_head", "random_all", "milliseconds")


def quick() -> Options:
    """Cheaper than on the page, so that the whole study takes less than an hour on two cores."""
    return Options(steps=8, samples=8, patches=6, baseline="blurred", batch=32)


@dataclass(frozen=True)
class Plan:
    """What a study does. Two studies of the same plan, backbones and versions give the same figures, times aside."""

    pictures: int = 200  # drawn with one flower, and as many with two
    photographs: int = 32  # at most, where there is a folder of them
    costly: int = 16  # pictures of each kind about which slow methods are asked
    curves: int = 24  # pictures with one flower whose deletion and insertion are measured; photographs all
    randomised: int = 12  # pictures with one flower for which weights are randomised, of single backbones
    seed: int = 0
    size: int = 160  # of a drawn picture, in pixels
    fusion: str = "mean"
    methods: tuple[str, ...] = METHODS
    options: Options = field(default_factory=quick)
    measure: Settings = field(default_factory=lambda: Settings(steps=8, random=8, batch=32))

    def __post_init__(self):
        for name in ("pictures", "photographs", "costly", "curves", "randomised", "seed"):
            if not isinstance(value := getattr(self, name), int) or value < 0:
                raise VitdemoError(f"{name} is {value!r}; allowed: a whole number from 0.")
        if not self.methods:
            raise VitdemoError(f"No method is chosen; allowed: {', '.join(EXPLANATIONS.names())}.")
        for name in self.methods:
            EXPLANATIONS.get(name)
        FUSIONS.get(self.fusion)


@dataclass(frozen=True)
class Item:
    """One picture to be asked about."""

    kind: str  # "one" or "two" flowers drawn, or "photo"
    index: int  # in its series
    flowers: tuple[str, ...]  # what is in it
    named: str  # the class that is explained, one of them
    seed: int = 0  # of the drawing
    file: Path | None = None

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.index}"


def items(plan: Plan, photographs: Sequence[tuple[Path, str]] = ()) -> list[Item]:
    """The pictures of a plan, kinds by turns, so that a part of the study is a smaller study."""
    ones = [
        Item("one", index, flowers, flowers[0], seed)
        for index, (flowers, seed) in enumerate(series(1, plan.pictures, plan.seed))
    ]
    # after every ten pairs the other of the two is named
    twos = [
        Item("two", index, flowers, flowers[(index + index // 10) % 2], seed)
        for index, (flowers, seed) in enumerate(series(2, plan.pictures, plan.seed))
    ]
    photos = [Item("photo", index, (label,), label, file=file) for index, (file, label) in enumerate(photographs)]
    return sorted([*ones, *twos, *photos], key=lambda item: item.index)


# -- one picture ---------------------------------------------------------------------------------------------


def ask(item: Item, models: Sequence[Model], plan: Plan, tick: Callable[[], None] = lambda: None) -> dict:
    """All that is measured on one picture.

    Args:
        item: the picture.
        models: M loaded backbones of one collection that has the named class.
        plan: of the study.
        tick: called before each forward pass; may raise to stop.

    Returns:
        A JSON object: the item, and for each subject its prediction and, by method, figures or why there is no map.
    """
    picture, masks = _picture(item, plan)
    methods = [name for name in plan.methods if item.index < plan.costly or not _costly(name, plan.options)]
    target = models[0].labels.index(item.named)
    subjects, fused = _subjects(models, picture, target, plan)
    maps: dict[str, dict[str, Heat | NotOffered]] = {}
    found: dict[str, dict] = {}
    singles = [name for name in subjects if name != FUSED]
    for name in (*singles, FUSED):
        subject = subjects[name]
        maps[name], spent = {}, {}
        for method in methods:
            members = [maps[single][method] for single in singles] if name == FUSED else None
            tick()
            began = time.perf_counter()
            maps[name][method] = explain(method, subject, plan.options, tick, members)
            spent[method] = 1000 * (time.perf_counter() - began)
            if name == FUSED and _from_members(method, subject):
                spent[method] += sum(found[single]["methods"][method].get("milliseconds", 0) for single in singles)
        heats = {method: heat for method, heat in maps[name].items() if isinstance(heat, Heat)} | _floors(
            subject, item, plan
        )
        figures = {method: {"milliseconds": spent[method]} if method in spent else {} for method in heats}
        for method, heat in heats.items():
            figures[method] |= _on_masks(heat, masks)
        if item.kind == "photo" or (item.kind == "one" and item.index < plan.curves):
            for method, pair in zip(
                heats, Judge(subject, plan.measure, tick).curves(list(heats.values()), tick), strict=True
            ):
                figures[method] |= {"deletion": pair.deletion.area, "insertion": pair.insertion.area}
        if item.kind == "one" and item.index < plan.randomised and name != FUSED:
            for method, correlations in _forgotten(subject.models[0], picture, target, heats, plan, tick).items():
                figures[method] |= correlations
        refused = {
            method: {"refused": heat.reason} for method, heat in maps[name].items() if isinstance(heat, NotOffered)
        }
        found[name] = {**_said(fused[name], models[0].labels, item), "methods": figures | refused}
    return {"key": item.key, "kind": item.kind, "flowers": list(item.flowers), "named": item.named, "subjects": found}


def _picture(item: Item, plan: Plan) -> tuple[Image.Image, list[np.ndarray]]:
    """The picture, and the masks of the named flower and of the other one, if there are any."""
    if item.file is not None:
        return load(item.file), []
    sample = draw(item.flowers, item.seed, plan.size)
    named = item.flowers.index(item.named)
    order = [named, *(index for index in range(len(item.flowers)) if index != named)]
    return Image.fromarray(sample.picture), [sample.masks[index] for index in order]


def _subjects(
    models: Sequence[Model], picture: Image.Image, target: int, plan: Plan
) -> tuple[dict[str, Subject], dict[str, np.ndarray]]:
    """What there is to explain, and what each says, (K,) probabilities."""
    request = Request(fusion=plan.fusion, explanations=plan.methods, options=plan.options)
    looks = [look(model, model.pixels([picture]), request) for model in models]
    fused = fused_of(models, looks, plan.fusion)
    said = {
        model.backbone.name: prediction.probabilities[0] for model, (prediction, *_) in zip(models, looks, strict=True)
    }
    return subjects_of(models, looks, picture, plan.fusion, fused.weights, target), {FUSED: fused.probabilities, **said}


def _costly(method: str, options: Options) -> bool:
    explanation = EXPLANATIONS.get(method)
    return explanation.passes(options) + 2 * explanation.backward(options) > COSTLY


def _from_members(method: str, subject: Subject) -> bool:
    """Whether a fused map is made of the backbones' maps, whose times then count too."""
    explanation = EXPLANATIONS.get(method)
    linear = explanation.add is not None and subject.scorer.fusion.linear
    return linear or explanation.refuse(subject) is not None


def _floors(subject: Subject, item: Item, plan: Plan) -> dict[str, Heat]:
    """The maps that know nothing: another random one for every picture, and the blob."""
    seen = union(subject.views)
    shape = canvas_shape(seen.size, plan.measure.grid)
    number = 2 * item.index + (item.kind == "two")
    return {RANDOM: random_map(seen, shape, plan.measure.seed, number), CENTRE: centre_map(seen, shape)}


def _on_masks(heat: Heat, masks: Sequence[np.ndarray]) -> dict:
    """Where the peak lies ("named", "other" or None), and the share of the energy on the named flower."""
    if not masks:
        return {}
    at = points_at(heat, masks)
    return {"peak": None if at is None else ("named", "other")[at], "energy": energy(heat, masks[0])}


def _forgotten(
    model: Model,
    picture: Image.Image,
    target: int,
    heats: Mapping[str, Heat],
    plan: Plan,
    tick: Callable[[], None],
) -> dict[str, dict[str, float | None]]:
    """Rank correlation of each method's map with that of random copies; one copy serves all methods."""
    found: dict[str, dict[str, float | None]] = {method: {} for method in heats if method not in (RANDOM, CENTRE)}
    for depth, share in DEPTHS.items():
        tick()
        copy = forgetful(model, share, plan.measure.seed)
        subjects, _ = _subjects([copy], picture, target, replace(plan, fusion="mean"))  # one backbone needs no other
        for method in found:
            again = explain(method, subjects[model.backbone.name], plan.options, tick)
            alike = isinstance(again, Heat) and again.values.shape == heats[method].values.shape
            found[method][f"random_{depth}"] = spearman(heats[method].values, again.values) if alike else None
    return found


def _said(probabilities: np.ndarray, labels: Sequence[str], item: Item) -> dict:
    """The first choice, the named flower's probability, and whether it is above the other's."""
    named = float(probabilities[labels.index(item.named)])
    others = [float(probabilities[labels.index(flower)]) for flower in item.flowers if flower != item.named]
    return {
        "first": labels[int(probabilities.argmax())],
        "probability": named,
        "recognised": named > max(others) if others else labels[int(probabilities.argmax())] == item.named,
    }


# -- the study -----------------------------------------------------------------------------------------------


def study(
    plan: Plan,
    rows: Sequence[Backbone],
    models: Models,
    log: Path,
    photographs: Path | None = None,
    fresh: bool = False,
    report: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> dict:
    """Asks about every picture of a plan that the log does not hold yet, and sums up.

    Args:
        plan: what to do.
        rows: backbones of one collection that knows the five drawn flowers.
        models: where they are loaded.
        log: a file of JSON lines; begun if it is not there, else gone on with.
        photographs: a folder with one folder per class.
        fresh: begin a new log, even if there is one.
        report: called before each forward pass with (pictures done, pictures in all, the present one); may raise to
            stop: what was finished stays in the log.

    Returns:
        The document, as `summary` makes it.

    Raises:
        VitdemoError: the collection does not know the flowers, the folder is not allowed, or the log is of another
            study.
    """
    labels = labels_of(rows[0])
    for flower in FLOWERS:
        if flower not in labels:
            raise UnknownNameError("flower in this collection", flower, list(labels))
    there = thinned(list_pictures(photographs, labels), plan.photographs) if photographs and plan.photographs else []
    wanted = items(plan, [(file, labels[target]) for file, target in there])
    header = {
        "version": STUDIED,
        "collection": rows[0].collection,
        "plan": json.loads(dumps(asdict(plan))),
        "backbones": {row.name: _fingerprint(row) for row in rows},
        "photographs": [f"{file.parent.name}/{file.name}" for file, _ in there],
        "device": str(models.device),
        "versions": {package: version(package) for package in PACKAGES},
    }
    done = {} if fresh else _read(log, header)
    log.parent.mkdir(parents=True, exist_ok=True)
    if not done:
        log.write_text(_line(header), encoding="utf-8")
    with models.use(rows) as loaded, log.open("a", encoding="utf-8") as file:
        for index, item in enumerate(wanted):
            if item.key not in done:
                done[item.key] = ask(
                    item,
                    loaded,
                    plan,
                    lambda index=index, item=item: report(index, len(wanted), item.key),
                )
                file.write(_line(done[item.key]))
                file.flush()
    return summary(header, [done[item.key] for item in wanted])


def _fingerprint(row: Backbone) -> str:
    """What tells one set of weights from another: the beginning of a SHA-256, or the hub's tag."""
    return row.source.fingerprint() if isinstance(row.source, Hub) else row.source.fingerprint()[:16]


def _line(document: dict) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _read(log: Path, header: dict) -> dict[str, dict]:
    """The pictures that a log holds, by key. A last line that was cut off is cut off the file as well."""
    if not log.is_file():
        return {}
    whole = log.read_text(encoding="utf-8").rpartition("\n")[0]
    try:
        first, *lines = [json.loads(line) for line in whole.splitlines()] or [None]
    except ValueError:
        first, lines = None, []
    if first != header:
        raise VitdemoError(
            f"{log.name} is the log of another study (other settings, weights or versions); "
            "start a new one with --fresh, or go on with the old settings."
        )
    with suppress(OSError):
        log.write_text("".join(_line(each) for each in [first, *lines]), encoding="utf-8")
    return {line["key"]: line for line in lines}


# -- the figures ---------------------------------------------------------------------------------------------


def interval(values: Sequence[float], seed: int = 0) -> dict:
    """Mean and its 95 % bootstrap interval: {"mean", "low", "high", "count"}; None where there is no value."""
    if not len(values):
        return {"mean": None, "low": None, "high": None, "count": 0}
    array = np.asarray(values, dtype=np.float64)
    picks = np.random.default_rng(seed).integers(0, len(array), (RESAMPLES, len(array)))
    low, high = np.percentile(array[picks].mean(1), [2.5, 97.5])
    return {"mean": float(array.mean()), "low": float(low), "high": float(high), "count": len(array)}


def values_of(lines: Iterable[Mapping], subject: str, method: str) -> dict[str, dict[str, float]]:
    """One subject's and method's values of every metric, by the picture's key."""
    found: dict[str, dict[str, float]] = {metric: {} for metric in METRICS}
    for line in lines:
        said = line["subjects"][subject]
        figures = said["methods"].get(method, {})
        photo = "photo_" if line["kind"] == "photo" else ""
        given = {f"{photo}{name}": figures.get(name) for name in ("deletion", "insertion")}
        given |= {name: figures.get(name) for name in ("random_head", "random_all", "milliseconds")}
        if "peak" in figures:
            named, other = (figures["peak"] == which for which in ("named", "other"))
            if line["kind"] == "one":
                given |= {"pointing": float(named), "energy": figures["energy"] or 0.0}  # a map of nothing has none
            else:
                given |= {"two": float(named), "two_other": float(other)}
                if said["recognised"]:
                    given["two_recognised"] = float(named)
        for metric, value in given.items():
            if value is not None:
                found[metric][line["key"]] = value
    return found


def summary(header: Mapping, lines: Sequence[Mapping]) -> dict:
    """The document of a study.

    Args:
        header: what the study was.
        lines: what `ask` gave for each picture.

    Returns:
        The header's keys; `pictures` by kind; `recognition`: for each subject the share of one-flower pictures that it
        names rightly and of two-flower pictures in which it finds the named flower more probable; `rows`: for each
        subject and method, and for the mean over the single backbones ("each"), every metric with its interval;
        `refused`: pairs without a map, and why; `metrics`: what they are called.
    """
    kinds = ("one", "two", "photo")
    subjects = list(lines[0]["subjects"]) if lines else []
    methods = [*header["plan"]["methods"], RANDOM, CENTRE]
    rows, refused = [], []
    for method in methods:
        by_subject = {}
        for subject in subjects:
            reasons = [line["subjects"][subject]["methods"].get(method, {}).get("refused") for line in lines]
            if reason := next((each for each in reasons if each), None):
                refused.append({"subject": subject, "method": method, "reason": reason})
            values = values_of(lines, subject, method)
            if any(values.values()):
                by_subject[subject] = values
        singles = [values for subject, values in by_subject.items() if subject != FUSED]
        if singles:
            rows.append(_row(EACH, method, _mean_over(singles), len(singles)))
        rows += [_row(subject, method, values) for subject, values in by_subject.items()]
    return {
        **header,
        "pictures": {kind: sum(line["kind"] == kind for line in lines) for kind in kinds},
        "recognition": {
            subject: {
                kind: interval(
                    [float(line["subjects"][subject]["recognised"]) for line in lines if line["kind"] == kind]
                )
                for kind in kinds
            }
            for subject in subjects
        },
        "metrics": METRICS,
        "rows": rows,
        "refused": refused,
    }


def _mean_over(singles: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """The backbones' mean for every picture: pictures, not backbones, are what is drawn again for an interval."""
    found: dict[str, dict[str, float]] = {}
    for metric in METRICS:
        keys = dict.fromkeys(key for values in singles for key in values[metric])
        found[metric] = {key: float(np.mean([v[metric][key] for v in singles if key in v[metric]])) for key in keys}
    return found


def _row(subject: str, method: str, values: Mapping[str, Mapping[str, float]], of: int = 1) -> dict:
    metrics = {metric: interval(list(each.values())) for metric, each in values.items() if each}
    return {"subject": subject, "method": method, "backbones": of, "metrics": metrics}


def table(document: Mapping) -> list[list[str]]:
    """The README's table: one line per method for the mean over the single backbones, then for the fused model."""
    head = ["method", "of", *(METRICS[metric] for metric in IN_README)]
    lines = []
    for subject in (EACH, FUSED):
        for row in document["rows"]:
            if row["subject"] == subject:
                of = FUSED if subject == FUSED else f"{row['backbones']} backbones"
                name = row["method"]
                title = EXPLANATIONS.get(name).title if name not in (RANDOM, CENTRE) else f"*{name}*"
                lines.append([title, of, *(_cell(metric, row["metrics"].get(metric)) for metric in IN_README)])
    return [head, *lines]


def _cell(metric: str, figure: Mapping | None) -> str:
    if figure is None:
        return ""
    if metric == "milliseconds":
        return f"{figure['mean']:.0f}"
    return f"{figure['mean']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"
