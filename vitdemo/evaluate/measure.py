"""A folder of pictures becomes a table: every backbone, and every fusion of several of them.

Every picture is decoded once and shown to all backbones, in a fixed order. Nothing is chosen on the pictures that are
measured: the best single backbone, against which a fusion's gain is counted, is the one that the catalogue calls most
accurate on validation pictures, students included.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import torch

from vitdemo.backbones import Backbone
from vitdemo.errors import VitdemoError
from vitdemo.evaluate import attending
from vitdemo.evaluate.cost import BATCHES, ROUNDS, input_of, milliseconds, multiply_adds, timed
from vitdemo.evaluate.metrics import (
    Bin,
    Disagreement,
    Interval,
    PerClass,
    bootstrap,
    brier,
    disagreement,
    ece,
    interval,
    nll,
    per_class,
    reliability,
)
from vitdemo.evaluate.pictures import batches, list_pictures, measured_folder, thinned
from vitdemo.folders import Broken
from vitdemo.fusion import FUSIONS, evidence_of, fuse, records
from vitdemo.models import Model, Models, labels_of
from vitdemo.predict import is_finite, not_finite, predict
from vitdemo.stages import has_stages
from vitdemo.types import Evidence, Prediction

MOST = 1024  # pictures in a batch
YARDSTICK = "vit"  # times are also given as ratios to the plain ViT's, or else to the first backbone's


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What is measured of a backbone and of a fusion alike."""

    parameters: int  # a fusion's is the sum of its members'
    multiply_adds: int  # for one picture; a fusion's is the sum of its members'
    top1: Interval  # share of right first choices, 0..1
    nll: float  # negative log-likelihood, nats per picture
    ece: float  # expected calibration error, 0..1
    brier: float  # 0..2
    milliseconds: Mapping[str, float]  # per picture by size of batch, and as ratios: "1", "32", "ratio_1", "ratio_32"
    reliability: tuple[Bin, ...]
    per_class: tuple[PerClass, ...]  # K


@dataclass(frozen=True, kw_only=True)
class Single(Scores):
    """One backbone."""

    family: str
    seed: int | None  # of its training, if known
    student_of: tuple[str, ...]
    concentrated: tuple[float, ...]  # by layer of attention: see `attending.concentrated`


@dataclass(frozen=True, kw_only=True)
class Together(Scores):
    """One fusion."""

    members: tuple[str, ...]
    gain: Interval  # its top-1 minus that of the best single backbone, paired over pictures
    weights: Mapping[str, float]  # mean over pictures, by member


@dataclass(frozen=True)
class Group:
    """Fusions of the same members."""

    fusions: Mapping[str, Together] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)  # fusions that cannot be had, and why


@dataclass(frozen=True)
class Table:
    """What was measured, on what."""

    collection: str
    split: str
    pictures: int  # that could be read
    broken: tuple[Broken, ...]  # that could not
    silent: Mapping[str, str]  # backbones that are left out, since their numbers are not finite, and the sentence
    empty: tuple[str, ...]  # classes without a picture
    labels: tuple[str, ...]
    device: str
    threads: int
    batch: int
    backbones: Mapping[str, Single]
    groups: Mapping[str, Group]
    best_single: str
    disagreement: Disagreement


def independent(rows: Sequence[Backbone]) -> list[str]:
    """Names of those that learned from no ensemble; of all if there is none."""
    return [row.name for row in rows if not row.student_of] or [row.name for row in rows]


def best_single(rows: Sequence[Backbone]) -> str:
    """The name of the backbone that was right most often on validation pictures; of equals the first."""
    return max(rows, key=lambda row: -1.0 if np.isnan(row.accuracy) else row.accuracy).name


def evaluate(
    folder: Path,
    rows: Sequence[Backbone],
    fusions: Sequence[str],
    models: Models,
    batch: int = 32,
    report: Callable[[int, int], None] = lambda done, total: None,
    limit: int | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    rounds: int = ROUNDS,
) -> Table:
    """Measures every backbone, and every fusion of the members of each group.

    Args:
        folder: one folder per class, or a folder with such a folder `test` in it.
        rows: backbones of one collection.
        fusions: names in `FUSIONS`.
        models: where they are loaded.
        batch: pictures in one forward pass, 1 to 1024.
        report: called with (pictures done, pictures in all); may raise to stop.
        limit: measure at most so many pictures, spread over the classes.
        groups: names of rows by group; one group "fusions" of all but the students of ensembles unless given.
        rounds: of which a time is the median.

    Raises:
        VitdemoError: the folder, a name or a number is not allowed, no picture can be read, or the weights do not fit
            into memory together.
    """
    for name in fusions:
        FUSIONS.get(name)
    _check_batch(batch)
    stages = any(FUSIONS.get(name).needs == "stages" for name in fusions)
    labels = labels_of(rows[0])
    folder = measured_folder(folder, labels)
    there = list_pictures(folder, labels)
    found, broken, filled = thinned(there, limit), [], {target for _, target in there}
    with models.use(rows) as loaded:
        said, targets = opinions(loaded, found, batch, report, stages, broken)
        silent = {name: not_finite(name) for name, each in said.items() if not is_finite(each)}
        if len(silent) == len(rows):
            raise VitdemoError(" ".join(silent.values()))
        rows = [row for row in rows if row.name not in silent]
        loaded = [model for model in loaded if model.backbone.name not in silent]
        said = {name: each for name, each in said.items() if name not in silent}
        looked_at = [path for path, _ in thinned(found, attending.PICTURES)]
        some = next((pictures for _, pictures in batches(looked_at, attending.PICTURES, [])), [])
        singles, right = _singles(loaded, said, targets, rounds, some)
    setting = _Setting(rows, singles, said, targets, right, best_single(rows), rounds)
    opened = {
        name: _group([row for row in rows if row.name in members], fusions, setting)
        for name, members in (groups or {"fusions": independent(rows)}).items()
    }
    choices = np.stack([said[row.name].probabilities.argmax(-1) for row in rows])
    return Table(
        collection=rows[0].collection,
        split=folder.resolve().name,
        pictures=len(targets),
        broken=tuple(broken),
        silent=silent,
        empty=tuple(label for index, label in enumerate(labels) if index not in filled),
        labels=tuple(labels),
        device=str(models.device),
        threads=torch.get_num_threads(),
        batch=batch,
        backbones=singles,
        groups=opened,
        best_single=setting.best,
        disagreement=disagreement(tuple(said), choices, targets),
    )


def fit(
    folder: Path,
    rows: Sequence[Backbone],
    models: Models,
    batch: int = 32,
    report: Callable[[int, int], None] = lambda done, total: None,
    broken: list[Broken] | None = None,
) -> Path:
    """Records what backbones say of validation pictures, which is all that the fusions learn from.

    Args:
        folder: one folder per class, of pictures that are not measured afterwards.
        rows, models, batch, report: as for `evaluate`.
        broken: gets the pictures that cannot be read.

    Returns:
        Where the record was written, and is looked for.

    Raises:
        VitdemoError: the folder or a number is not allowed, or there are too few pictures of a class.
    """
    _check_batch(batch)
    found = list_pictures(folder, labels_of(rows[0]))
    with models.use(rows) as loaded:
        said, targets = opinions(loaded, found, batch, report, True, [] if broken is None else broken)
    return records.write(rows, list(said.values()), targets.tolist())


def _check_batch(batch: int) -> None:
    if not 1 <= batch <= MOST:
        raise VitdemoError(f"batch is {batch}; allowed: 1 to {MOST}.")


def opinions(
    models: Sequence[Model],
    found: Sequence[tuple[Path, int]],
    batch: int,
    report: Callable[[int, int], None],
    stages: bool,
    broken: list[Broken],
) -> tuple[dict[str, Prediction], np.ndarray]:
    """What each backbone says of the N pictures that can be read, by name: logits and probabilities (N, K), features
    (N, D); and their classes (N,). `broken` gets the other pictures.

    With `stages` also the pooled maps (N, S) of the backbones that show theirs.

    Raises:
        VitdemoError: no picture can be read.
    """
    said: dict[str, list[Prediction]] = {model.backbone.name: [] for model in models}
    targets: list[int] = []
    for numbers, pictures in batches([path for path, _ in found], batch, broken):
        report(numbers[0], len(found))
        targets += [found[number][1] for number in numbers]
        for model in models:
            shown = stages and has_stages(model.network.body)
            said[model.backbone.name].append(predict(model, model.pixels(pictures), shown))
    if not targets:
        raise VitdemoError(f"None of {len(found)} pictures can be read: {broken[0].path}: {broken[0].reason}")
    report(len(found), len(found))
    together = {name: _each(lambda *arrays: np.concatenate(arrays), *parts) for name, parts in said.items()}
    return together, np.array(targets)


def _each(change: Callable[..., np.ndarray], *parts: Prediction) -> Prediction:
    """A prediction whose arrays are made of the same arrays of others."""
    arrays = {each.name: [getattr(part, each.name) for part in parts] for each in fields(Prediction)}
    return Prediction(**{name: None if each[0] is None else change(*each) for name, each in arrays.items()})


@dataclass(frozen=True)
class _Setting:
    """What all fusions of one table share."""

    rows: Sequence[Backbone]
    singles: Mapping[str, Single]
    said: Mapping[str, Prediction]  # of N pictures
    targets: np.ndarray  # (N,)
    right: Mapping[str, np.ndarray]  # (N,) where a backbone is right
    best: str  # the backbone that gains are counted against
    rounds: int


def _singles(
    models: Sequence[Model], said: Mapping[str, Prediction], targets: np.ndarray, rounds: int, some: list
) -> tuple[dict[str, Single], dict[str, np.ndarray]]:
    """Each backbone's line, and (N,) where it is right; `some` are pictures on which its attention is looked at."""
    right = np.stack([each.probabilities.argmax(-1) == targets for each in said.values()])  # (M, N)
    means = bootstrap(right)  # (M, R)
    times = milliseconds(models, rounds=rounds)
    plain = times[_yardstick([model.backbone for model in models])]
    lines = {}
    for index, model in enumerate(models):
        row = model.backbone
        lines[row.name] = Single(
            family=row.family,
            seed=row.details.get("recipe", {}).get("seed"),
            student_of=row.student_of,
            concentrated=attending.concentrated(model, model.pixels(some)) if some else (),
            parameters=row.parameters,
            multiply_adds=multiply_adds(model.network, input_of(model)),
            top1=interval(right[index].mean(), means[index]),
            milliseconds=_times(times[index], plain),
            **_quality(said[row.name].probabilities, targets),
        )
    return lines, dict(zip(lines, right, strict=True))


def _group(rows: Sequence[Backbone], fusions: Sequence[str], setting: _Setting) -> Group:
    """The line of each fusion of these members, or why there is none."""
    evidence = evidence_of(rows)
    refused = {name: reason for name in fusions if (reason := FUSIONS.get(name).refuse(evidence))}
    return Group({name: _together(name, rows, setting) for name in fusions if name not in refused}, refused)


def _together(name: str, rows: Sequence[Backbone], setting: _Setting) -> Together:
    evidence = evidence_of(rows)
    members = [setting.said[row.name] for row in rows]
    lines = [setting.singles[row.name] for row in rows]
    fused = fuse(name, members, evidence)
    probabilities = np.stack([each.probabilities for each in fused])  # (N, K)
    weights = np.mean([each.weights for each in fused], axis=0)  # (M,)
    right = probabilities.argmax(-1) == setting.targets
    best = setting.right[setting.best]
    means, of_best = bootstrap(np.stack([right, best]))  # (R,) each, of the same resamples
    plain = setting.singles[setting.rows[_yardstick(setting.rows)].name].milliseconds
    return Together(
        members=tuple(row.name for row in rows),
        parameters=sum(line.parameters for line in lines),
        multiply_adds=sum(line.multiply_adds for line in lines),
        top1=interval(right.mean(), means),
        gain=interval(right.mean() - best.mean(), means - of_best),
        weights={row.name: float(weight) for row, weight in zip(rows, weights, strict=True)},
        milliseconds=_times(
            [
                sum(line.milliseconds[str(batch)] for line in lines) + _own(name, members, evidence, batch, setting)
                for batch in BATCHES
            ],
            [plain[str(batch)] for batch in BATCHES],
        ),
        **_quality(probabilities, setting.targets),
    )


def _own(name: str, members: Sequence[Prediction], evidence: Evidence, batch: int, setting: _Setting) -> float:
    """Milliseconds per picture that the fusion takes once its members have answered."""
    index = np.resize(np.arange(len(setting.targets)), batch)  # begins anew where there are fewer pictures
    parts = [_each(lambda array: array[index], one) for one in members]
    return timed(lambda: fuse(name, parts, evidence), setting.rounds) / batch


def _quality(probabilities: np.ndarray, targets: np.ndarray) -> dict:
    figures = {"nll": nll, "ece": ece, "brier": brier, "reliability": reliability, "per_class": per_class}
    return {name: figure(probabilities, targets) for name, figure in figures.items()}


def _times(each: Sequence[float], plain: Sequence[float]) -> dict[str, float]:
    """Milliseconds by size of batch, and their ratios to the yardstick's."""
    times = {str(batch): float(one) for batch, one in zip(BATCHES, each, strict=True)}
    ratios = {f"ratio_{batch}": float(one / by) for batch, one, by in zip(BATCHES, each, plain, strict=True)}
    return times | ratios


def _yardstick(rows: Sequence[Backbone]) -> int:
    return next((index for index, row in enumerate(rows) if row.name == YARDSTICK), 0)
