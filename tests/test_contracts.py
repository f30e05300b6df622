"""What every entry of every registry promises, whoever adds it: walked, not listed."""

import inspect
from dataclasses import fields, replace

import numpy as np
import pytest

from tests.conftest import TINY, everything_on, paint, subject_of
from vitdemo.attention import HEAD_FUSIONS
from vitdemo.draw import COLOUR_MAPS, SCALES
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.explain import BASELINES, EXPLANATIONS, Options, explain, gradient
from vitdemo.explain.base import LIMITS
from vitdemo.fusion import FUSIONS
from vitdemo.registry import Registry
from vitdemo.types import Heat, NotOffered

QUICK = Options(steps=4, samples=2, patches=3, batch=16)
SUBJECTS = {
    **{name: ((name,), "mean") for name in TINY},
    **{f"fused by {fusion}": (("vit", "wide", "resnet"), fusion) for fusion in FUSIONS.names()},
}
REGISTRIES = {"fusion": FUSIONS, "explanation": EXPLANATIONS, "colour map": COLOUR_MAPS, "scale": SCALES}


@pytest.fixture(autouse=True)
def no_doubling(monkeypatch):
    monkeypatch.setattr(gradient, "NEGLIGIBLE", float("inf"))


@pytest.fixture(scope="module")
def subjects(tiny):
    picture = paint(70, 50)
    return {
        name: subject_of([tiny[each] for each in names], picture, fusion, target=1)
        for name, (names, fusion) in SUBJECTS.items()
    }


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("method", EXPLANATIONS.names())
def test_explanation(subjects, subject, method):
    explanation, subject = EXPLANATIONS.get(method), subjects[subject]
    before = everything_on(subject.scorer)
    events = []
    hooks = [
        model.network.register_forward_pre_hook(lambda module, inputs: events.append(len(inputs[0])))
        for model in subject.models
    ]
    try:
        heat = explain(method, subject, QUICK)
    finally:
        for hook in hooks:
            hook.remove()
    assert everything_on(subject.scorer) == before

    if isinstance(heat, NotOffered):
        assert explanation.refuse(subject) == heat.reason
        assert len(heat.reason) > 20
        return
    assert isinstance(heat, Heat)
    assert heat.values.ndim == 2
    assert heat.values.dtype == np.float32
    assert np.isfinite(heat.values).all()
    assert heat.values.std() > 0
    assert all(np.isfinite(value) for value in heat.figures.values())

    # the view lies in the picture, as wide as what the members saw
    left, top, right, bottom = heat.view.box
    assert heat.view.picture == (70, 50)
    assert 0 <= left < right <= 70
    assert 0 <= top < bottom <= 50
    assert left <= min(view.box[0] for view in subject.views)
    assert right >= max(view.box[2] for view in subject.views)

    # as much work as it says, a picture at a time for each backbone
    assert sum(events) <= len(subject.models) * explanation.passes(QUICK)

    # the same again
    again = explain(method, subject, QUICK)
    np.testing.assert_array_equal(again.values, heat.values)
    assert again.figures == heat.figures

    # signed only if it says so
    assert heat.signed == explanation.signed
    if not heat.signed:
        assert heat.values.min() >= 0

    # the batch is a matter of memory
    scale = np.abs(heat.values).max()
    single = explain(method, subject, replace(QUICK, batch=1))
    np.testing.assert_allclose(single.values, heat.values, rtol=0, atol=2e-3 * scale)

    # of its class only if it says so
    other = explain(method, replace(subject, target=3), QUICK)
    same = np.abs(other.values - heat.values).max() <= 1e-3 * scale
    assert same != explanation.class_specific


@pytest.mark.parametrize("method", EXPLANATIONS.names())
def test_every_explanation_introduces_itself(method):
    explanation = EXPLANATIONS.get(method)
    assert explanation.name == method
    assert explanation.family in ("attention", "gradient", "perturbation")
    for text in (explanation.title, explanation.sentence, explanation.limits, explanation.paper):
        assert text == text.strip() != ""
    assert explanation.sentence.endswith(".")
    assert explanation.limits.endswith(".")
    assert explanation.passes(Options()) >= 0


def test_every_option_that_is_a_number_has_limits_around_its_default():
    numbers = {field.name for field in fields(Options) if field.type in (int, float)}
    assert numbers == set(LIMITS)
    for name, (low, high) in LIMITS.items():
        assert low <= getattr(Options(), name) <= high
    assert Options().baseline in BASELINES
    assert Options().head_fusion in HEAD_FUSIONS


@pytest.mark.parametrize("kind", REGISTRIES)
def test_registries_refuse_duplicates_and_list_what_they_know(kind):
    registry = REGISTRIES[kind]
    assert registry.kind == kind
    assert len(registry) == len(registry.names()) == len(set(registry.names())) == len(list(registry)) > 1
    first = registry.names()[0]
    with pytest.raises(ValueError, match=f"{kind} '{first}' is registered twice"):
        registry.add(first, registry.get(first))
    for unknown in ("nothing", "", None, 3, ["mean"], first.upper()):
        with pytest.raises(UnknownNameError, match=f"Unknown {kind} .*allowed: {', '.join(registry.names())}"):
            registry.get(unknown)


def test_a_registry_keeps_the_order_in_which_things_came():
    registry: Registry[int] = Registry("number")
    assert [registry.add(name, index) for index, name in enumerate("zya")] == [0, 1, 2]
    assert registry.names() == ["z", "y", "a"]
    assert list(registry) == [0, 1, 2]
    assert registry.get("y") == 1


def test_errors_are_of_one_tree():
    from vitdemo import errors

    for name, kind in inspect.getmembers(errors, inspect.isclass):
        assert issubclass(kind, VitdemoError), name
    long = str(UnknownNameError("class", "x" * 500, [f"class {k}" for k in range(1000)]))
    assert len(long) < 700
    assert long.endswith("class 39 ….")
    assert str(UnknownNameError("class", "x", [])) == "Unknown class 'x'; allowed: none."
