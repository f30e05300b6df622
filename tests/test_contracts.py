"""What every entry of every registry promises, whoever adds it: walked, not listed."""

import inspect
import random
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from tests import families
from tests.conftest import everything_on, paint, subject_of
from tests.subjects import family
from vitdemo.draw import COLOUR_MAPS, SCALES
from vitdemo.errors import Cancelled, UnknownNameError, VitdemoError
from vitdemo.explain import EXPLANATIONS, FUSED_MAPS, Options, explain, gradient
from vitdemo.explain.base import CHOICES, GENERAL, LIMITS, single_subjects
from vitdemo.fusion import FUSIONS, evidence_of
from vitdemo.registry import Registry
from vitdemo.types import Heat, NotOffered

QUICK = Options(steps=4, samples=2, patches=3, segments=4, coalitions=8, batch=16)
FAST = replace(QUICK, steps=2, patches=2)
METHODS = EXPLANATIONS.names()
SUBJECTS = {
    **{name: ((name,), "mean") for name in ("vit", "wide", "resnet")},  # every other kind of network is a family
    "fused": (("vit", "wide", "resnet"), "mean"),
}
REGISTRIES = {
    "fusion": FUSIONS,
    "explanation": EXPLANATIONS,
    "fused map": FUSED_MAPS,
    "colour map": COLOUR_MAPS,
    "scale": SCALES,
}


@pytest.fixture(autouse=True)
def first_answers(monkeypatch):
    """No doubling of steps, and DeepLift shown whether it adds up or not."""
    monkeypatch.setattr(gradient, "NEGLIGIBLE", float("inf"))
    monkeypatch.setattr(gradient, "LEFT_OUT", float("inf"))


@pytest.fixture(scope="module")
def subjects(tiny):
    picture = paint(70, 50)
    return {
        name: subject_of([tiny[each] for each in names], picture, fusion, target=1)
        for name, (names, fusion) in SUBJECTS.items()
    }


def everything(subject) -> list:
    """What might be left behind: on the networks, in the process, and on what is explained."""
    return [
        *everything_on(subject.scorer),
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
        *((x.requires_grad, x.grad, x.double().sum().item()) for x in subject.pixels),
        *(matrix.double().sum().item() for recording in subject.recordings for matrix in recording),
    ]


def counted(method, subject, options, tick=lambda: None):
    """The map, and how many pictures were sent through each backbone on average."""
    sent = []
    hooks = [
        model.network.body.register_forward_pre_hook(lambda module, inputs: sent.append(len(inputs[0])))
        for model in subject.models
    ]
    try:
        return explain(method, subject, options, tick), sum(sent) / len(subject.models)
    finally:
        for hook in hooks:
            hook.remove()


def check(heat, method, subject, options, pictures) -> None:
    """What every map promises, or every refusal."""
    explanation = EXPLANATIONS.get(method)
    assert pictures <= explanation.passes(options)
    assert explanation.backward(options) <= explanation.passes(options)
    if isinstance(heat, NotOffered):
        assert explanation.refuse(subject) == heat.reason
        assert len(heat.reason) > 20
        assert pictures == 0
        return
    assert isinstance(heat, Heat)
    assert heat.values.ndim == 2
    assert heat.values.dtype == np.float32
    assert np.isfinite(heat.values).all()
    assert all(np.isfinite(value) for value in heat.figures.values())
    assert heat.signed == explanation.signed
    assert heat.signed or heat.values.min() >= 0

    # the view lies in the picture, as wide as what was seen
    left, top, right, bottom = heat.view.box
    assert heat.view.picture == subject.views[0].picture
    assert 0 <= left < right <= heat.view.picture[0]
    assert 0 <= top < bottom <= heat.view.picture[1]
    singles = single_subjects(subject)
    seen = [single.views[0].box for single in singles if EXPLANATIONS.get(method).refuse(single) is None]
    assert left <= min(box[0] for box in seen)
    assert right >= max(box[2] for box in seen)


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("method", METHODS)
def test_explanation(subjects, name, method):
    explanation, subject = EXPLANATIONS.get(method), subjects[name]
    heat, pictures = counted(method, subject, QUICK)
    check(heat, method, subject, QUICK, pictures)
    if isinstance(heat, NotOffered):
        return

    # the same again
    again = explain(method, subject, QUICK)
    np.testing.assert_array_equal(again.values, heat.values)
    assert again.figures == heat.figures

    # the batch is a matter of memory
    scale = np.abs(heat.values).max()
    single = explain(method, subject, replace(QUICK, batch=1))
    np.testing.assert_allclose(single.values, heat.values, rtol=0, atol=2e-3 * scale)
    if heat.values.size == 1:
        return

    # of its class only if it says so
    assert heat.values.std() > 0
    other = explain(method, replace(subject, target=3), QUICK)
    same = np.abs(other.values - heat.values).max() <= 1e-3 * scale
    assert same != explanation.class_specific


@pytest.mark.parametrize("fusion", FUSIONS.names())
@pytest.mark.parametrize("method", ["rollout", "integrated_gradients", "occlusion", "grad_cam"])
def test_every_fusion_can_be_explained(tiny, fusion, method):
    """By one method of each family, on the fused model or by its members."""
    models = [tiny[name] for name in ("vit", "wide", "resnet")]
    if FUSIONS.get(fusion).refuse(evidence_of([model.backbone for model in models])):
        pytest.skip(f"{fusion} has to be fitted first")
    subject = subject_of(models, paint(70, 50), fusion)
    before = everything(subject)
    heat, pictures = counted(method, subject, QUICK)
    assert isinstance(heat, Heat)
    check(heat, method, subject, QUICK, pictures)
    assert everything(subject) == before


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *((name, method) for method in METHODS for name in families.FAMILIES),
        *((name, "grad_cam") for name in families.MORE),  # whose layers differ most
    ],
)
def test_family(name, method):
    """The map or the refusal, the same twice, and nothing left behind, whenever it is stopped."""
    subject = family(name)
    before = everything(subject)
    heat, pictures = counted(method, subject, FAST)
    check(heat, method, subject, FAST, pictures)
    if isinstance(heat, Heat):
        ticks = []

        def stop():
            ticks.append(None)
            if len(ticks) == 1 + len(name) % 3:  # in one family at the first pass, in another at the third
                raise Cancelled("stopped")

        try:
            again = explain(method, subject, FAST, stop)
        except Cancelled:
            again = explain(method, subject, FAST)
        np.testing.assert_array_equal(again.values, heat.values)
        assert again.figures == heat.figures
    assert everything(subject) == before


@pytest.mark.parametrize("stop_at", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["vit", "resnet", "fused"])
@pytest.mark.parametrize("method", METHODS)
def test_an_error_in_the_middle_leaves_nothing_behind(subjects, name, method, stop_at):
    subject, ticks = subjects[name], []
    before = everything(subject)

    def fail():
        ticks.append(None)
        if len(ticks) == stop_at:
            raise ZeroDivisionError

    try:
        explain(method, subject, FAST, fail)
    except ZeroDivisionError:
        assert len(ticks) == stop_at
    else:
        assert len(ticks) < stop_at
    assert everything(subject) == before


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("name", ["vit", "ResNet", "Swin"])
@pytest.mark.parametrize("method", METHODS)
def test_half_the_precision_gives_the_same_map(tiny, monkeypatch, name, method, precision):
    """As on a GPU, where networks run under autocast. A few cells have no ranks to speak of: there it is the values."""
    options = replace(QUICK, samples=8, segments=8, coalitions=32)

    def once():
        return explain(method, subject_of([tiny[name]], paint(60, 60)) if name in tiny else family(name), options)

    full = once()
    monkeypatch.setattr("vitdemo.models.autocast", lambda device: torch.autocast("cpu", precision))
    half = once()
    if isinstance(full, NotOffered):
        assert half == full
        return
    assert half.values.dtype == np.float32 and half.values.shape == full.values.shape
    if full.values.std() == 0:  # a map of one cell
        return
    compare = spearmanr if len(np.unique(full.values)) >= 64 else pearsonr
    assert compare(half.values.ravel(), full.values.ravel())[0] >= 0.99


@pytest.mark.parametrize("method", EXPLANATIONS.names())
def test_every_explanation_introduces_itself(method):
    explanation = EXPLANATIONS.get(method)
    assert explanation.name == method
    assert explanation.family in ("attention", "gradient", "perturbation", "cam")
    for text in (explanation.title, explanation.sentence, explanation.limits, explanation.paper):
        assert text == text.strip() != ""
    assert explanation.sentence.endswith(".")
    assert explanation.limits.endswith(".")
    assert 0 <= explanation.backward(Options()) <= explanation.passes(Options())


def test_every_option_that_is_a_number_has_limits_around_its_default():
    numbers = {field.name for field in fields(Options) if field.type in (int, float)}
    assert numbers == set(LIMITS)
    for name, (low, high) in LIMITS.items():
        assert low <= getattr(Options(), name) <= high
    words = {field.name for field in fields(Options) if field.type is str}
    assert words == set(CHOICES)
    for name, known in CHOICES.items():
        assert getattr(Options(), name) in known


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


class Watched(Options):
    """Options that remember which of them were asked for."""

    def __getattribute__(self, name: str):
        if name in {field.name for field in fields(Options)}:
            object.__getattribute__(self, "__dict__").setdefault("asked", set()).add(name)
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_reads_the_options_that_it_says(subjects, name):
    """Some are read only where others have a certain value, so that it is computed twice."""
    method = EXPLANATIONS.get(name)
    subject = next(subjects[each] for each in ("vit", "resnet") if not method.refuse(subjects[each]))
    read = set()
    for smoothing, head in (("none", -1), ("smoothgrad", 0)):
        options = Watched(**vars(replace(FAST, smoothing=smoothing, head=head)))
        vars(options)["asked"].clear()  # checked as they were made
        method.compute(subject, options, lambda: None)
        read |= vars(options)["asked"]
    assert read - set(GENERAL) == set(method.reads)
