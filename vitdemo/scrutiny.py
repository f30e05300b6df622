"""One map under scrutiny: the checks that take too long to be made of every map.

Deletion and insertion (`pipeline`, `Request.trust`) ask whether the map knows where the evidence is. Here the same map
is made again by networks that have forgotten what they learned, and of pictures that have hardly changed, and is asked
to foretell what hiding a random half of the picture does.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from vitdemo.backbones import FUSED
from vitdemo.errors import NotOfferedError, VitdemoError
from vitdemo.explain import Subject, explain
from vitdemo.explain.base import Tick
from vitdemo.faithfulness import Infidelity, Settings, infidelity, randomisation, sensitivity
from vitdemo.models import Model, Models
from vitdemo.pipeline import Analysis, Progress, fused_of, look, subjects_of
from vitdemo.types import Heat, NotOffered

NOISY = 4  # copies of the picture, for sensitivity
HIDDEN = 24  # pictures with a random half hidden, for infidelity
RADIUS = 0.02  # of the noise, in 0..1 pixel values: five grey levels
DEPTHS = (1e-9, 1.0)  # of randomisation: the head alone, and everything


@dataclass(frozen=True)
class Scrutiny:
    """What was found of one map."""

    head: float | None  # rank correlation, -1..1, with the map of copies whose heads are random; None: one is constant
    all: float | None  # … whose weights are all random
    infidelity: Infidelity  # of the map, a random one and a blob in the middle; lower is better
    sensitivity: float  # largest relative change of the map over pictures that hardly differ; 0 is none

    def figures(self) -> dict:
        """As plain numbers and None, with stable keys."""
        return {
            "random_head": self.head,
            "random_all": self.all,
            "infidelity": asdict(self.infidelity),
            "sensitivity": self.sensitivity,
        }


def scrutinise(
    analysis: Analysis,
    name: str,
    method: str,
    models: Models,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Scrutiny:
    """Makes one map of an analysis again and again, and says what that does to it.

    Args:
        analysis: with its picture, settings and maps.
        name: `FUSED` or a backbone's name.
        method: in `explain.EXPLANATIONS`.
        models: where the backbones are loaded; copies are made of them, which are gone afterwards.
        report: called before every forward pass; whatever it raises stops the work and leaves nothing behind.

    Cost: 3 (`HIDDEN` + 1) forward passes, and `NOISY` + 3 times what the map costs.

    Raises:
        NotOfferedError: there is no such map.
    """
    heat = analysis.maps.get(name, {}).get(method, NotOffered("it was not asked for"))
    if isinstance(heat, NotOffered):
        raise NotOfferedError(f"There is no {method} of {name}: {heat.reason.rstrip('.')}.")
    rows = [row for row in analysis.backbones if name in (FUSED, row.name)]
    options = analysis.request.options
    settings = Settings(batch=options.batch, seed=options.seed)
    done = Progress("scrutinising", 0.0, subject=name, method=method)

    def tick(share: float) -> Tick:
        return lambda: report(replace(done, done=share))

    def map_of(subject: Subject, share: float) -> Heat | NotOffered:
        return explain(method, subject, options, tick(share))

    with models.use(rows) as loaded:
        report(done)
        pixels = [model.pixels([analysis.picture]) for model in loaded]
        forgotten = randomisation(
            loaded,
            heat,
            lambda copies: map_of(_subject(analysis, name, copies, pixels), 0.0),
            DEPTHS,
            options.seed,
            tick(0.0),
        )
        subject = _subject(analysis, name, loaded, pixels)
        foretold = infidelity(subject, heat, settings, HIDDEN, tick(0.3))

        def of_noisy(noisy: Sequence) -> Heat:
            again = map_of(_subject(analysis, name, loaded, noisy), 0.4)
            if isinstance(again, NotOffered):
                raise VitdemoError(f"The map cannot be made of a picture that hardly differs: {again.reason}.")
            return again

        steady = sensitivity(pixels, of_noisy, RADIUS, NOISY, options.seed)
    return Scrutiny(*forgotten.correlations, foretold, steady)


def _subject(analysis: Analysis, name: str, models: Sequence[Model], pixels: Sequence) -> Subject:
    """The subject of that name anew: these backbones look at these pixels, attention and weights included."""
    request = replace(analysis.request, fusion="mean") if name != FUSED else analysis.request
    looks = [look(model, x, request) for model, x in zip(models, pixels, strict=True)]
    fusion, classes = request.fusion, (analysis.target, analysis.against)
    weights = fused_of(models, looks, fusion).weights
    return subjects_of(models, looks, analysis.picture, fusion, weights, *classes)[name]
