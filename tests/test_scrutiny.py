"""One map under scrutiny: figures that are known beforehand, and a network that stays as it was."""

import json
from dataclasses import replace

import pytest

from tests.conftest import everything_on, stopping_after
from vitdemo import faithfulness as faith
from vitdemo.backbones import FUSED
from vitdemo.errors import Cancelled, NotOfferedError
from vitdemo.explain import Options, explain
from vitdemo.fusion import evidence_of, fuse
from vitdemo.models import Models
from vitdemo.pipeline import Progress, Request, analyse, look, subjects_of
from vitdemo.result import dumps
from vitdemo.scrutiny import DEPTHS, HIDDEN, scrutinise
from vitdemo.types import Heat

REQUEST = Request(
    "tiny",
    ("vit", "resnet"),
    "confidence",
    explanations=("rollout", "relevance", "gradient", "occlusion"),
    options=Options(patches=3, batch=64),
)


@pytest.fixture(scope="module")
def loaded():
    return Models("cpu", memory=1 << 30)


@pytest.fixture
def analysis(catalogue, loaded, picture):
    return analyse(picture, REQUEST, catalogue, loaded)


def test_rollout_does_not_change_with_the_head_and_relevance_does(analysis, loaded):
    rolled, related = (scrutinise(analysis, "vit", method, loaded) for method in ("rollout", "relevance"))
    assert rolled.head == pytest.approx(1, abs=1e-9) and rolled.all < 0.99
    assert related.head < 0.99
    assert rolled.sensitivity > 0 and related.sensitivity > 0
    figures = json.loads(dumps(rolled.figures()))
    assert set(figures) == {"random_head", "random_all", "infidelity", "sensitivity"}
    assert set(figures["infidelity"]) == {"value", "random", "centre"}


@pytest.mark.parametrize("name", ["resnet", FUSED])
def test_figures_are_those_of_the_single_checks(analysis, loaded, name):
    found = scrutinise(analysis, name, "gradient", loaded)
    rows = [row for row in analysis.backbones if name in (FUSED, row.name)]
    again = replace(REQUEST, backbones=tuple(row.name for row in rows), target=str(analysis.target))
    with loaded.use(rows) as models:
        subject: list = []

        def map_of(copies) -> Heat:
            looks = [look(model, model.pixels([analysis.picture]), again) for model in copies]
            fusion = REQUEST.fusion if name == FUSED else "mean"
            weights = fuse(fusion, tuple(one for one, *_ in looks), evidence_of(rows))[0].weights
            subjects = subjects_of(copies, looks, analysis.picture, fusion, weights, analysis.target)
            subject[:] = [subjects[name]]
            return explain("gradient", subjects[name], REQUEST.options)

        expected = faith.randomisation(models, analysis.maps[name]["gradient"], map_of, DEPTHS)
        map_of(models)
        wrong = faith.infidelity(subject[0], analysis.maps[name]["gradient"], faith.Settings(batch=64), HIDDEN)
    assert (found.head, found.all) == pytest.approx(expected.correlations, abs=1e-9)
    assert found.infidelity == wrong


def test_what_is_not_there_is_refused(analysis, loaded):
    with pytest.raises(NotOfferedError, match=r"no rollout of resnet: .*no attention"):
        scrutinise(analysis, "resnet", "rollout", loaded)
    with pytest.raises(NotOfferedError, match="not asked for"):
        scrutinise(analysis, "vit", "lime", loaded)
    with pytest.raises(NotOfferedError, match="not asked for"):
        scrutinise(analysis, "unheard", "rollout", loaded)


def test_scrutiny_stops_and_leaves_nothing(analysis, loaded):
    said: list[Progress] = []
    scrutinise(analysis, FUSED, "relevance", loaded, said.append)
    shares = [one.done for one in said]
    assert shares == sorted(shares) and {one.stage for one in said} == {"scrutinising"}
    with loaded.use(analysis.backbones) as models:
        before = [everything_on(model.network) for model in models]
    for stop_at in range(0, len(said), max(1, len(said) // 6)):
        with pytest.raises(Cancelled):
            scrutinise(analysis, FUSED, "relevance", loaded, stopping_after(stop_at))
    with loaded.use(analysis.backbones) as models:
        assert [everything_on(model.network) for model in models] == before
