"""Fusions that learn: oracles from scikit-learn, SciPy and by hand, the record, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from tests.conftest import TINY, paint, write_backbone
from tests.families import FAMILIES, body
from tests.families import pixels as family_pixels
from tests.test_fusion import evidence, pick, predictions, random_probabilities
from tests.test_layers import PACKAGE, imported
from vitdemo.backbones import BUNDLED, bundled
from vitdemo.errors import NotOfferedError, VitdemoError
from vitdemo.fusion import FUSIONS, FusedModel, Votes, evidence_of, fuse
from vitdemo.fusion.fitted import (
    FLOOR,
    FOLDS,
    STRENGTHS,
    centred_log,
    choose_strengths,
    folds,
    head,
    held_out,
    recorded,
    unit,
)
from vitdemo.fusion.fitting import class_weights, class_wise, greedy_counts, logistic, principal, temperature
from vitdemo.fusion.records import fingerprint, load, path_of, record_of, save, write
from vitdemo.models import Network
from vitdemo.predict import predict
from vitdemo.sources import Hub
from vitdemo.stages import GRID, MOST, chosen, has_stages, pooled

FITTED = [fusion.name for fusion in FUSIONS if fusion.fitted]
STRENGTH = 0.02


def problem(count: int, width: int, classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Descriptions (N, D) and classes (N,) that have something to do with each other."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % classes
    x = rng.normal(size=(count, width)) + rng.normal(size=(classes, width))[targets] * 0.7 + 1.5
    return torch.from_numpy(x), torch.from_numpy(targets)


def sklearn_logistic(x, targets, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights (D, K) and bias (K,) by scikit-learn, whose bias may be shifted."""
    how = {"solver": "newton-cg", "tol": 1e-10, "max_iter": 20000}  # L-BFGS stops further away
    fitted = LogisticRegression(C=1 / (len(x) * strength), **how).fit(x.astype(np.float64), targets)
    return fitted.coef_.T, fitted.intercept_ - fitted.intercept_.mean()


# the solvers


@pytest.mark.parametrize("shape", [(60, 7), (24, 60)], ids=["tall", "wide"])
@pytest.mark.parametrize("strength", [0.003, 0.3])
def test_logistic_regression_is_scikit_learns(shape, strength):
    x, targets = problem(*shape)
    weights, bias = logistic(x, targets, 4, strength)
    expected_weights, expected_bias = sklearn_logistic(x.numpy(), targets.numpy(), strength)
    np.testing.assert_allclose(weights, expected_weights, atol=2e-5)
    np.testing.assert_allclose(bias, expected_bias, rtol=1e-4, atol=1e-4)  # where scikit-learn stops
    np.testing.assert_allclose(weights.sum(1), 0, atol=1e-12)


def test_logistic_regression_starts_from_its_offset():
    """SciPy, over all weights at once, without any rotation or rescaling."""
    x, targets = problem(30, 3)
    offset = torch.from_numpy(np.random.default_rng(5).normal(size=(30, 4)))

    def loss(flat):
        weights, bias = flat[:12].reshape(3, 4), flat[12:]
        logits = x.numpy() @ weights + bias + offset.numpy()
        return -log_softmax(logits, axis=1)[np.arange(30), targets].mean() + STRENGTH / 2 * (weights**2).sum()

    expected = minimize(loss, np.zeros(16), method="BFGS", options={"gtol": 1e-8}).x
    weights, bias = logistic(x, targets, 4, STRENGTH, offset)
    np.testing.assert_allclose(weights, expected[:12].reshape(3, 4), atol=1e-4)
    np.testing.assert_allclose(bias, expected[12:] - expected[12:].mean(), atol=1e-4)


@pytest.mark.parametrize("shape", [(9, 4), (5, 12)])
def test_principal_axes_are_a_rotation(shape):
    x = problem(*shape)[0]
    x[:, -1] = x[:, 0]  # one direction that nothing lies in
    coordinates, lengths, axes = principal(x)
    np.testing.assert_allclose(coordinates @ axes.T, x, atol=1e-10)
    np.testing.assert_allclose(axes.T @ axes, np.eye(len(lengths)), atol=1e-10)
    np.testing.assert_allclose(lengths, np.sort(np.linalg.svd(x.numpy())[1])[-len(lengths) :], atol=1e-10)
    assert len(lengths) == min(shape[0], shape[1] - 1)


@pytest.mark.parametrize("warmth", [0.4, 1.0, 2.5])
def test_temperature_is_scipys(warmth):
    said = torch.from_numpy(random_probabilities((50, 4), seed=3).astype(np.float64)).log()
    targets = torch.from_numpy(np.random.default_rng(1).permutation(said.argmax(1).numpy()[:20].tolist() + [0, 1] * 15))
    targets[:30] = said.argmax(1)[:30]

    def loss(t):
        return F.cross_entropy(said * warmth / t, targets).item()

    expected = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-10}).x
    assert temperature(said * warmth, targets).item() == pytest.approx(expected, rel=1e-5)


def test_greedy_selection_by_hand():
    """One backbone is lukewarm on both pictures, two are each sure of one and wrong on the other.

    The products of the two means decide. Alone: 0.18, 0.18, 0.25, so the lukewarm one is taken; of two: 0.245 and 0.25,
    it is taken again, which makes nothing better; of three: 1.9 · 1.2 / 9 = 0.2533, the first joins; of four:
    2.1 · 2.1 / 16 = 0.2756, so does the second; of five: 3.0 · 2.3 / 25 = 0.276, the first again.
    """
    given = torch.tensor([[0.9, 0.2], [0.2, 0.9], [0.5, 0.5]], dtype=torch.float64)
    steps = [greedy_counts(given, rounds).tolist() for rounds in (1, 2, 3, 4, 5)]
    assert steps == [[0, 0, 1], [0, 0, 1], [1, 0, 2], [1, 1, 2], [2, 1, 2]]


def test_greedy_selection_leaves_out_who_only_harms():
    given = torch.tensor([[0.6, 0.7], [0.8, 0.9], [0.8, 0.9], [0.1, 0.2]], dtype=torch.float64)
    assert greedy_counts(given).tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("strength", [1e-4, 0.1])
def test_class_weights_are_never_worse_than_equal_ones_where_they_were_fitted(strength):
    for seed in range(4):
        known = evidence(3, 5, seed)
        votes, targets = recorded(known.record, known.names, "probabilities")
        weights = class_weights(votes.probabilities, targets, strength)
        np.testing.assert_allclose(weights.sum(0), 1, atol=1e-12)
        equal = torch.full_like(weights, 1 / 3)
        fitted, plain = (F.nll_loss(class_wise(votes.probabilities, each).log(), targets) for each in (weights, equal))
        assert fitted < plain
    np.testing.assert_allclose(class_weights(votes.probabilities, targets, 1e6), equal, atol=1e-5)


def test_class_weights_find_who_knows_which_class():
    targets = torch.arange(60) % 3
    right = F.one_hot(targets, 3).double()
    probabilities = torch.full((2, 60, 3), 1 / 3, dtype=torch.float64)
    probabilities[0, targets == 0] = 0.9 * right[targets == 0] + 0.1 / 3
    probabilities[1, targets == 1] = 0.9 * right[targets == 1] + 0.1 / 3
    weights = class_weights(probabilities, targets, 1e-3)
    assert weights[0, 0] > 0.8 and weights[1, 1] > 0.8


# the strategies


def test_stacking_is_the_penalised_fit():
    """SciPy, in the weights of the docstring, drawn towards the geometric mean."""
    known = evidence(2, 3)
    x, targets = recorded(known.record, known.names, "probabilities")
    x = np.concatenate(list(centred_log(x.probabilities).numpy()), axis=1)  # (N, 6)
    start = np.concatenate([(np.eye(3) - 1 / 3) / 2] * 2)

    def loss(flat):
        weights, bias = flat[:18].reshape(6, 3), flat[18:]
        likelihood = log_softmax(x @ weights + bias, axis=1)[np.arange(len(x)), targets].mean()
        return -likelihood + known.record.strengths["stacking"] / 2 * ((weights - start) ** 2).sum()

    expected = minimize(loss, np.zeros(21), method="BFGS", options={"gtol": 1e-8}).x
    probabilities = random_probabilities((2, 6, 3), seed=9)
    logs = np.log(np.maximum(probabilities.astype(np.float64), FLOOR))
    blocks = np.concatenate(list(logs - logs.mean(-1, keepdims=True)), axis=1)
    given = [fused.probabilities for fused in fuse("stacking", probabilities, known)]
    logits = blocks @ expected[:18].reshape(6, 3) + expected[18:]
    np.testing.assert_allclose(given, np.exp(log_softmax(logits, axis=1)), atol=2e-5)


def test_stacking_that_dares_nothing_is_the_geometric_mean():
    known = evidence(3, 4)
    timid = replace(known, record=replace(known.record, strengths={"stacking": 1e9}))
    probabilities = random_probabilities((3, 8, 4), seed=2, sharpness=1.0)
    bias = head("stacking", known.names, timid.record).bias
    logits = torch.from_numpy(probabilities).double().log().mean(0) + bias
    given = [fused.probabilities for fused in fuse("stacking", probabilities, timid)]
    np.testing.assert_allclose(given, logits.softmax(-1), atol=1e-6)


@pytest.mark.parametrize(("strategy", "needs"), [("features", "features"), ("multiscale", "stages")])
def test_a_head_on_features_is_scikit_learns(strategy, needs):
    known = evidence(3, 4)
    votes, targets = recorded(known.record, known.names, needs)
    seen = predictions(random_probabilities((3, 7, 4), seed=9))
    blocks, others = [], []
    for m in range(3):
        block = getattr(votes, needs)[m].numpy()
        block = block / np.linalg.norm(block, axis=1, keepdims=True)
        centre = block.mean(0)
        scale = np.sqrt(3 * ((block - centre) ** 2).sum(1).mean())
        other = getattr(seen[m], needs).astype(np.float64)
        other = other / np.linalg.norm(other, axis=1, keepdims=True)
        blocks.append((block - centre) / scale)
        others.append((other - centre) / scale)
    weights, bias = sklearn_logistic(np.concatenate(blocks, 1), targets.numpy(), known.record.strengths[strategy])
    added = np.stack([x @ w for x, w in zip(others, np.split(weights, 3), strict=True)])  # (M, B, K)
    fused = fuse(strategy, seen, known)
    expected = np.exp(log_softmax(added.sum(0) + bias, axis=1))
    np.testing.assert_allclose([one.probabilities for one in fused], expected, atol=1e-5)
    for index, one in enumerate(fused):  # the share of each backbone in the winning logit
        share = np.abs(added[:, index, expected[index].argmax()])
        np.testing.assert_allclose(one.weights, share / share.sum(), atol=1e-4)


def test_the_calibrated_mean_keeps_the_means_choice_and_is_likelier():
    known = evidence(4, 5)
    probabilities = random_probabilities((4, 60, 5), seed=8)
    plain, warm = fuse("mean", probabilities, known), fuse("calibrated", probabilities, known)
    assert [one.probabilities.argmax() for one in plain] == [one.probabilities.argmax() for one in warm]
    votes, targets = recorded(known.record, known.names, "probabilities")
    said = {
        name: FUSIONS.get(name).combine(votes, known)[0].log().gather(1, targets[:, None]).mean()
        for name in ("mean", "calibrated")
    }
    assert said["calibrated"] > said["mean"]


def test_weights_are_what_they_say():
    known, probabilities = evidence(3, 4), random_probabilities((3, 2, 4))
    weights = {name: fuse(name, predictions(probabilities), known)[0].weights for name in FITTED}
    np.testing.assert_allclose(weights["calibrated"], 1 / 3, atol=1e-7)
    np.testing.assert_allclose(weights["classwise"], head("classwise", known.names, known.record).mean(1), atol=1e-7)
    counts = head("greedy", known.names, known.record).double()
    np.testing.assert_allclose(weights["greedy"], counts / counts.sum(), atol=1e-7)


@pytest.mark.parametrize("strategy", FITTED)
def test_the_same_record_makes_the_same_head_whoever_asks(strategy):
    known, said = evidence(3, 4), predictions(random_probabilities((3, 5, 4)))
    first = fuse(strategy, said, known)
    head.cache_clear()
    with torch.inference_mode():  # as an explanation may come first, and still has to be differentiable afterwards
        again = fuse(strategy, said, known)
    for one, other in zip(first, again, strict=True):
        assert one.probabilities.tolist() == other.probabilities.tolist()
        assert one.weights.tolist() == other.weights.tolist()
    p = torch.full((3, 1, 4), 0.25, dtype=torch.float64, requires_grad=True)
    FUSIONS.get(strategy).combine(Votes(p, tuple(p), tuple(p)), known)[0].sum().backward()
    fuse(strategy, [said[m] for m in (2, 1, 0)], pick(known, (2, 1, 0)))
    assert head.cache_info().currsize == 1  # the order of the backbones is no other head


@pytest.mark.parametrize("strategy", ["features", "multiscale"])
def test_probabilities_alone_are_not_enough(strategy):
    with pytest.raises(VitdemoError, match=r"needs (features|stages)"):
        fuse(strategy, random_probabilities((2, 1, 4)), evidence(2, 4))


def test_predictions_without_stages_are_not_enough_for_multiscale():
    said = [replace(one, stages=None) for one in predictions(random_probabilities((2, 1, 4)))]
    with pytest.raises(VitdemoError, match="stages of every backbone"):
        fuse("multiscale", said, evidence(2, 4))


# cross-validation


def test_every_class_is_dealt_out_over_the_folds():
    targets = torch.tensor([0] * 10 + [1] * 7 + [2] * 5)
    fold = folds(targets)
    for k, counts in {0: [2, 2, 2, 2, 2], 1: [2, 2, 1, 1, 1], 2: [1, 1, 1, 1, 1]}.items():
        assert fold[targets == k].bincount(minlength=FOLDS).tolist() == counts


def test_strengths_are_those_under_which_left_out_pictures_are_likeliest(monkeypatch):
    record = evidence(2, 3).record
    few = STRENGTHS[::4]
    learner = replace(FUSIONS.get("features").learner, strengths=few)
    monkeypatch.setattr("vitdemo.fusion.fitted.FUSIONS", [replace(FUSIONS.get("features"), learner=learner)])
    best = choose_strengths(record)
    x, targets = recorded(record, ("backbone 0", "backbone 1"), "features")
    x = np.concatenate([unit(block).numpy() for block in x.features], 1)
    losses = []
    for strength in few:
        total = 0.0
        for index in range(FOLDS):
            out = (folds(targets) == index).numpy()
            centre = x[~out].mean(0)
            spread = np.sqrt(2 * ((x[~out] - centre) ** 2).reshape(-1, 2, 3).sum(2).mean(0)).repeat(3)
            weights, bias = sklearn_logistic((x[~out] - centre) / spread, targets.numpy()[~out], strength)
            logits = (x[out] - centre) / spread @ weights + bias
            total -= log_softmax(logits, axis=1)[np.arange(out.sum()), targets.numpy()[out]].sum()
        losses.append(total / len(x))
    votes = recorded(record, ("backbone 0", "backbone 1"), "features")[0]
    np.testing.assert_allclose([held_out(learner, votes, targets, each) for each in few], losses, atol=1e-5)
    assert best == {"features": few[int(np.argmin(losses))]}


# the record


@pytest.fixture(scope="module")
def said(tiny):
    """What three tiny backbones say of 16 pictures, and the pictures' classes."""
    models = [tiny[name] for name in ("vit", "wide", "resnet")]
    pictures = [paint(60, 50, seed=index) for index in range(16)]
    seen = [predict(model, model.pixels(pictures), stages=True) for model in models]
    return [model.backbone for model in models], seen, np.arange(16) % 4


def test_a_record_is_what_was_said(said):
    rows, seen, targets = said
    record = record_of(rows, seen, targets)
    assert record.collection == "tiny" and list(record.fingerprints) == ["vit", "wide", "resnet"]
    np.testing.assert_array_equal(record.targets, targets)
    for row, one in zip(rows, seen, strict=True):
        np.testing.assert_allclose(np.exp(record.log_probabilities[row.name]), one.probabilities, atol=1e-6)
        features, stages = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (one.features, one.stages))
        np.testing.assert_allclose(record.features[row.name], features, atol=1e-3)
        assert record.stages[row.name].dtype == np.int8
        away = np.abs(record.stages[row.name] * record.steps[row.name] - stages)
        assert (away <= 0.501 * np.abs(stages).max(0) / 127).all()  # rounded to the nearest of 255 values


def test_a_record_comes_back_as_it_was_saved(said, tmp_path):
    record = replace(record_of(*said), strengths={"stacking": 0.1})
    path = save(record, tmp_path / "new" / "one.npz")
    back = load(path)
    for name in ("collection", "labels", "fingerprints", "strengths"):
        assert getattr(back, name) == getattr(record, name)
    np.testing.assert_array_equal(back.targets, record.targets)
    for kind in ("log_probabilities", "features", "stages", "steps"):
        for name in record.fingerprints:
            np.testing.assert_array_equal(getattr(back, kind)[name], getattr(record, kind)[name])
            assert getattr(back, kind)[name].dtype == getattr(record, kind)[name].dtype
    assert load(path) is back  # read once
    assert save(record, tmp_path / "two.npz").read_bytes() == path.read_bytes()
    assert sorted(each.name for each in tmp_path.rglob("*.*")) == ["one.npz", "two.npz"]  # nothing half-written is left


def test_a_record_is_made_of_what_was_given_and_of_nothing_else(said, tmp_path, monkeypatch):
    """No picture is opened: those of a test split could not be if they wanted to."""

    def refuse(*arguments, **keywords):
        raise AssertionError("a picture was opened")

    monkeypatch.setattr(Image, "open", refuse)
    monkeypatch.setattr("vitdemo.images.load", refuse)
    monkeypatch.setattr("vitdemo.fusion.records.choose_strengths", lambda record: {"stacking": len(record.targets)})
    assert load(write(*said, tmp_path / "one.npz")).strengths == {"stacking": 16}
    names = set.union(*(imported(path) for path in (PACKAGE / "fusion").glob("*.py")))
    assert not names & {"PIL", "vitdemo.images", "vitdemo.evaluate", "vitdemo.training"}


def test_what_does_not_fit_is_no_record(said):
    rows, seen, targets = said
    for bad in [(rows[:2], seen, targets), (rows, seen, targets[:-1]), (rows, seen, np.zeros(16, int))]:
        with pytest.raises(VitdemoError, match=r"A record got .*allowed: "):
            record_of(*bad)
    with pytest.raises(VitdemoError, match="all of one collection"):
        record_of([*rows[:2], replace(rows[2], collection="other")], seen, targets)


def test_a_fingerprint_is_of_weights_and_settings(rows, tmp_path):
    row = rows["vit"]
    other = write_backbone(tmp_path, "vit")
    assert fingerprint(row) == fingerprint(other)
    assert fingerprint(replace(row, temperature=2.0)) != fingerprint(row)
    assert fingerprint(replace(row, transform={**row.transform, "crop_pct": 1.0})) != fingerprint(row)
    other.source.paths[0].write_bytes(other.source.paths[0].read_bytes()[:-1] + b"x")
    assert fingerprint(other) != fingerprint(row)
    hub = replace(row, source=Hub("timm/one"))
    assert fingerprint(hub) != fingerprint(replace(hub, source=Hub("timm/one", "v2")))
    assert path_of(hub).parent == BUNDLED.parent / "fusion"


# what is refused, and why


@pytest.mark.parametrize("strategy", FITTED)
def test_without_a_record_nothing_is_fitted(rows, strategy, tmp_path):
    known = evidence_of([replace(rows["vit"], collection="nowhere")])
    reason = FUSIONS.get(strategy).refuse(known)
    assert reason.startswith(FUSIONS.get(strategy).title) and "there is no record" in reason and reason.endswith(".")
    with pytest.raises(NotOfferedError, match="there is no record"):
        fuse(strategy, predictions(random_probabilities((1, 1, 4))), known)
    assert fuse("mean", random_probabilities((1, 1, 4)), known)


def changed(known, **changes):
    return replace(known, record=replace(known.record, **changes))


@pytest.mark.parametrize("strategy", FITTED)
def test_a_record_of_others_is_refused(strategy):
    fusion, known = FUSIONS.get(strategy), evidence(2, 4)
    assert fusion.refuse(known) is None
    assert "backbone 7; allowed: backbone 0, backbone 1." in fusion.refuse(
        replace(known, names=("backbone 0", "backbone 7"))
    )
    assert "other weights or settings of backbone 1." in fusion.refuse(
        replace(known, fingerprints=("as it was", "as it is"))
    )
    assert "other classes" in fusion.refuse(changed(known, labels=("a", "b", "c", "d")))
    reason = fusion.refuse(changed(known, stages={"backbone 0": known.record.stages["backbone 0"]}))
    assert (reason is not None) == (strategy == "multiscale")
    assert reason is None or "backbone 1 does not show the maps of its stages; allowed: backbone 0." in reason
    reason = fusion.refuse(changed(known, strengths={}))
    assert (reason is not None) == bool(fusion.learner.strengths)


def test_plain_strategies_refuse_nothing():
    for fusion in FUSIONS:
        assert fusion.fitted or fusion.refuse(replace(evidence(2, 4), record=None)) is None


@pytest.mark.parametrize("damage", ["noise", "short", "version"])
def test_a_damaged_record_stops_only_those_who_need_it(tmp_path, damage):
    folder = tmp_path / "backbones"
    folder.mkdir()
    row = write_backbone(folder, "vit")
    path = path_of(row)
    seen = predictions(random_probabilities((1, 8, 4)))
    save(record_of([row], seen, np.arange(8) % 4), path)
    if damage == "noise":
        path.write_bytes(b"no archive")
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:-200])
    else:
        with np.load(path) as file:
            arrays = dict(file)
        arrays["header"] = np.array(json.dumps({**json.loads(str(arrays["header"])), "version": 0}))
        np.savez(path, **arrays)
    known = evidence_of([row])
    assert known.record is None
    assert "tiny.npz is damaged" in FUSIONS.get("greedy").refuse(known)
    assert fuse("mean", seen, known)


def test_a_fused_model_is_refused_like_its_fusion(tiny):
    model = replace(tiny["vit"], backbone=replace(tiny["vit"].backbone, temperature=3.0))
    with pytest.raises(NotOfferedError, match="other weights or settings of vit"):
        FusedModel([model], "stacking")
    with torch.no_grad():
        FusedModel([model], "mean")(torch.zeros(1, 3, 32, 32))


# the fused model


@pytest.mark.parametrize("strategy", FITTED)
def test_the_fused_models_gradient_is_that_of_finite_differences(tiny, strategy):
    models = [tiny["vit"], tiny["resnet"]]
    scorer = FusedModel(models, strategy)
    pixels = [torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(m)) for m in range(2)]
    inputs = [x.clone().requires_grad_() for x in pixels]
    gradients = torch.autograd.grad(scorer(*inputs)[0, 1], inputs)
    step, size = [gradient / gradient.norm() for gradient in gradients], 0.005
    with torch.no_grad():
        up, down = (
            scorer(*(x + sign * size * along for x, along in zip(pixels, step, strict=True)))[0, 1] for sign in (1, -1)
        )
    slope = sum(float((gradient * along).sum()) for gradient, along in zip(gradients, step, strict=True))
    assert all(float(gradient.norm()) > 0 for gradient in gradients) or strategy == "greedy"
    assert float(up - down) / (2 * size) == pytest.approx(slope, rel=0.02, abs=1e-4)


@pytest.mark.parametrize("strategy", FITTED)
def test_each_backbone_is_asked_once(tiny, strategy):
    models = [tiny["vit"], tiny["resnet"]]
    passes = []
    stems = [models[0].network.body.patch_embed, models[1].network.body.layer1]
    hooks = [stem.register_forward_hook(lambda module, *rest: passes.append(type(module))) for stem in stems]
    try:
        with torch.no_grad():
            FusedModel(models, strategy)(torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32))
    finally:
        for hook in hooks:
            hook.remove()
    assert len(passes) == len(set(passes)) == 2


# stages


def test_pooled_stages_in_numpy():
    maps = [np.random.default_rng(m).normal(size=(2, width, side, side)) for m, (width, side) in enumerate(SIDES)]
    expected = []
    for map_ in maps:
        _, width, side, _ = map_.shape
        cells = map_.reshape(2, width, GRID, side // GRID, GRID, side // GRID).mean((3, 5)).reshape(2, width, -1)
        cells = (cells - cells.mean(1, keepdims=True)) / np.sqrt(cells.var(1, keepdims=True) + 1e-5)
        expected.append(np.concatenate([cells.mean(2), cells.max(2)], 1) / np.sqrt(2 * width))
    given = pooled([torch.from_numpy(map_) for map_ in maps])
    np.testing.assert_allclose(given, np.concatenate(expected, 1), atol=1e-5)


SIDES = [(6, 16), (8, 8), (10, 4)]


def test_what_is_somewhere_is_not_drowned():
    """Two maps of the same average: something everywhere a little, and in one place a lot."""
    spread, one_place = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    spread[0, 0] = 1 / 16
    one_place[0, 0, :2, :2] = 1
    assert spread.mean() == one_place.mean()
    assert (pooled([spread]) - pooled([one_place])).abs().max() > 0.1


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)], [1, 2, 3, 4]),
        ([(16, 16), (16, 16), (8, 8), (8, 8)], [1, 3]),
        ([(8, 8)] * 12, [2, 5, 8, 11]),
        ([(8, 8)] * 5, [0, 1, 2, 4]),
        ([(8, 8)] * 2, [0, 1]),
        ([(8, 4)], [0]),
    ],
)
def test_which_maps_describe_a_network(shapes, expected):
    assert chosen(shapes) == expected
    assert len(expected) <= MOST


@pytest.mark.parametrize("family", FAMILIES)
def test_stages_come_with_the_same_logits_in_one_pass(family):
    network = Network(body(family), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    x = family_pixels(family)
    if not has_stages(network.body):
        with pytest.raises(NotOfferedError, match="does not show the maps"):
            network.embed_stages(x)
        return
    with torch.no_grad():
        logits, features, stages = network.embed_stages(x)
        plain, plain_features = network.embed(x)
    torch.testing.assert_close(logits, plain, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(features, plain_features, rtol=1e-5, atol=1e-6)
    assert stages.shape[0] == len(x) and torch.isfinite(stages).all()
    assert (stages[0] - stages[1]).abs().max() > 1e-3  # it speaks of the picture


def test_an_architecture_without_stages_is_refused():
    network = Network(torch.nn.Linear(2, 2), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    with pytest.raises(NotOfferedError, match="Linear does not show the maps of its stages"):
        network.embed_stages(torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize("name", TINY)
def test_predict_gives_stages_only_where_they_are_wanted(tiny, name):
    pixels = tiny[name].pixels([paint(60, 50)])
    plain, more = predict(tiny[name], pixels), predict(tiny[name], pixels, stages=True)
    assert plain.stages is None and more.stages.shape[0] == 1 and more.stages.dtype == np.float32
    np.testing.assert_allclose(more.logits, plain.logits, rtol=1e-5, atol=1e-6)


# what comes with the project


def test_every_bundled_backbone_can_be_fused_by_every_strategy():
    known = evidence_of(bundled())
    assert known.record is not None, known.unrecorded
    assert set(known.record.fingerprints) == set(known.names)
    for fusion in FUSIONS:
        assert fusion.refuse(known) is None
