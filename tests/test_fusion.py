"""Fusion: what every strategy must keep, closed forms in NumPy and SciPy, and the fused model as a module."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from scipy.stats import gmean

from tests.conftest import paint
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.fusion import FUSIONS, FusedModel, agreement, evidence_of, fuse, pairwise_divergence
from vitdemo.fusion.agreement import divergence, entropy
from vitdemo.fusion.strategies import TAU
from vitdemo.fusion.votes import Votes
from vitdemo.models import labels_of
from vitdemo.predict import predict
from vitdemo.types import Evidence, Prediction, Record

STRATEGIES = FUSIONS.names()
PLAIN = [fusion.name for fusion in FUSIONS if not fusion.fitted]
MIXING = [*PLAIN, "classwise", "greedy"]  # weighted means of some kind, so that who agrees is left alone
WHOLE = [*MIXING, "calibrated"]  # what gives a single backbone back; the others have heads of their own
SHAPES = [(2, 3, 4), (3, 5, 5), (5, 2, 10), (4, 1, 2)]  # backbones, pictures, classes


def random_probabilities(shape, seed=0, sharpness=3.0) -> np.ndarray:
    logits = sharpness * np.random.default_rng(seed).normal(size=shape)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)).astype(np.float32)


def predictions(probabilities: np.ndarray) -> list[Prediction]:
    """As backbones would give them, with features and stages that follow from the probabilities."""
    return [Prediction(np.log(p), p, 3 * p, np.sqrt(p)) for p in probabilities]


def evidence(count: int, classes: int, seed=0) -> Evidence:
    """Of backbones with a record of 40 pictures, on which they were right more often than not."""
    names = tuple(f"backbone {m}" for m in range(count))
    labels = tuple(f"class {k}" for k in range(classes))
    targets = np.arange(40) % classes
    said = random_probabilities((count, 40, classes), seed + 1) + np.eye(classes, dtype=np.float32)[targets]
    said = dict(zip(names, said / said.sum(-1, keepdims=True), strict=True))
    return Evidence(
        names=names,
        labels=(labels,) * count,
        accuracy=np.random.default_rng(seed).uniform(0.2, 0.9, count).astype(np.float32),
        record=Record(
            "noise",
            labels,
            targets,
            fingerprints=dict.fromkeys(names, "as it was"),
            log_probabilities={name: np.log(p) for name, p in said.items()},
            features={name: p.astype(np.float16) for name, p in said.items()},
            stages={name: np.sqrt(p).astype(np.float16) for name, p in said.items()},
            strengths=dict.fromkeys(STRATEGIES, 0.01),
        ),
        fingerprints=("as it was",) * count,
    )


def pick(known: Evidence, order) -> Evidence:
    return replace(
        known,
        names=tuple(known.names[m] for m in order),
        labels=tuple(known.labels[m] for m in order),
        accuracy=known.accuracy[list(order)],
        fingerprints=tuple(known.fingerprints[m] for m in order),
    )


# what every strategy must keep


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_sums_to_one_and_is_never_negative(strategy, shape):
    for fused in fuse(strategy, predictions(random_probabilities(shape)), evidence(shape[0], shape[2])):
        assert fused.probabilities.shape == (shape[2],)
        assert fused.weights.shape == (shape[0],)
        assert fused.probabilities.dtype == fused.weights.dtype == np.float32
        assert fused.probabilities.sum() == pytest.approx(1, abs=1e-6)
        assert fused.weights.sum() == pytest.approx(1, abs=1e-6)
        assert fused.probabilities.min() >= 0
        assert fused.weights.min() >= 0
        assert 0 <= fused.agreement <= 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_permutes_with_its_backbones(strategy):
    probabilities, known = random_probabilities((4, 6, 5)), evidence(4, 5)
    order = [2, 0, 3, 1]
    plain = fuse(strategy, predictions(probabilities), known)
    permuted = fuse(strategy, predictions(probabilities[order]), pick(known, order))
    for one, other in zip(plain, permuted, strict=True):
        np.testing.assert_allclose(other.probabilities, one.probabilities, atol=1e-7)
        np.testing.assert_allclose(other.weights, one.weights[order], atol=1e-7)
        assert other.agreement == pytest.approx(one.agreement)


@pytest.mark.parametrize("strategy", PLAIN)
def test_permutes_with_its_classes(strategy):
    probabilities, known = random_probabilities((3, 6, 5)), evidence(3, 5)
    order = [4, 2, 0, 1, 3]
    for one, other in zip(
        fuse(strategy, probabilities, known), fuse(strategy, probabilities[..., order], known), strict=True
    ):
        np.testing.assert_allclose(other.probabilities, one.probabilities[order], atol=1e-7)
        np.testing.assert_allclose(other.weights, one.weights, atol=1e-7)


@pytest.mark.parametrize("strategy", WHOLE)
def test_one_backbone_gives_itself_back(strategy):
    probabilities = random_probabilities((1, 20, 7))
    for fused, own in zip(fuse(strategy, probabilities, evidence(1, 7)), probabilities[0], strict=True):
        np.testing.assert_allclose(fused.probabilities, own, rtol=1e-6)
        assert fused.weights.tolist() == [1.0]
        assert fused.agreement == 1.0


@pytest.mark.parametrize("strategy", MIXING)
def test_equal_backbones_give_themselves_back(strategy):
    probabilities = random_probabilities((1, 8, 5)).repeat(3, axis=0)
    for fused, own in zip(fuse(strategy, probabilities, evidence(3, 5)), probabilities[0], strict=True):
        np.testing.assert_allclose(fused.probabilities, own, rtol=1e-5)
        assert fused.agreement == pytest.approx(1)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_batch_is_a_loop(strategy):
    probabilities, known = random_probabilities((3, 7, 5)), evidence(3, 5)
    for index, fused in enumerate(fuse(strategy, predictions(probabilities), known)):
        alone = fuse(strategy, predictions(probabilities[:, index : index + 1]), known)[0]
        np.testing.assert_allclose(fused.probabilities, alone.probabilities, atol=1e-7)
        np.testing.assert_allclose(fused.weights, alone.weights, atol=1e-7)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_follows_the_picture_where_it_says_so(strategy):
    """The gradient is there, and is that of finite differences."""
    fusion, known = FUSIONS.get(strategy), evidence(3, 4)
    logits = torch.from_numpy(random_probabilities((3, 2, 4)).astype(np.float64)).log().requires_grad_()
    if fusion.differentiable:

        def combined(z):
            p = z.softmax(-1)
            return fusion.combine(Votes(p, tuple(3 * p), tuple(p.sqrt())), known)[0]

        assert torch.autograd.gradcheck(combined, logits)
    else:  # one voter changes its mind

        def fused(gap):
            votes = torch.tensor([[0.6, 0.4], [0.5 + gap, 0.5 - gap]], dtype=torch.float64)[:, None]
            return fusion.combine(Votes(votes), evidence(2, 2))[0][0, 0]

        assert abs(float(fused(1e-9) - fused(-1e-9))) > 0.01


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if FUSIONS.get(name).differentiable])
def test_a_backbone_that_is_utterly_sure_does_not_break_the_gradient(strategy):
    logits = torch.tensor([[[300.0, 0.0, -300.0]], [[0.5, 0.2, 0.0]]], requires_grad=True)
    p = logits.softmax(-1)
    fused, weights = FUSIONS.get(strategy).combine(Votes(p, tuple(3 * p), tuple(p)), evidence(2, 3))
    gradient = torch.autograd.grad(fused[0, 1], logits)[0]
    assert torch.isfinite(fused).all()
    assert torch.isfinite(weights).all()
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_backbones_that_were_never_right_can_still_be_fused(strategy):
    known = replace(evidence(2, 3), accuracy=np.zeros(2, dtype=np.float32))
    fused = fuse(strategy, predictions(random_probabilities((2, 1, 3))), known)[0]
    assert fused.probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert fused.weights.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_introduces_itself(strategy):
    fusion = FUSIONS.get(strategy)
    assert fusion.name == strategy
    assert all(text.strip() for text in (fusion.title, fusion.sentence, fusion.formula, fusion.paper))
    assert fusion.sentence.endswith(".")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_linear_is_a_mean_with_weights_that_do_not_depend_on_the_picture(strategy):
    probabilities, known = random_probabilities((3, 8, 5)), evidence(3, 5)
    fused = fuse(strategy, predictions(probabilities), known)
    linear = all(
        np.allclose(one.weights, fused[0].weights)
        and np.allclose(one.probabilities, fused[0].weights @ probabilities[:, index], atol=1e-6)
        for index, one in enumerate(fused)
    )
    assert FUSIONS.get(strategy).linear == linear


# what is not allowed


def test_different_classes_are_named():
    known = Evidence(("one", "two"), (("a", "b", "c"), ("a", "b", "d")), np.array([0.5, 0.5]))
    with pytest.raises(VitdemoError, match=r"two and one do not share their classes .*a, b, d.*a, b, c"):
        fuse("mean", random_probabilities((2, 1, 3)), known)


def test_the_same_classes_in_another_order_are_refused():
    known = Evidence(("one", "two"), (("a", "b"), ("b", "a")), np.array([0.5, 0.5]))
    with pytest.raises(VitdemoError, match="do not share their classes"):
        fuse("mean", random_probabilities((2, 1, 2)), known)


@pytest.mark.parametrize("shape", [(3, 1, 4), (1, 1, 4), (2, 1, 5)])
def test_wrong_counts_are_refused(shape):
    with pytest.raises(VitdemoError, match=f"got .*{shape[0] if shape[0] != 2 else shape[2]}"):
        fuse("mean", random_probabilities(shape), evidence(2, 4))


def test_no_backbone_is_refused():
    with pytest.raises(VitdemoError, match="at least one"):
        fuse("mean", np.zeros((0, 1, 4), np.float32), Evidence((), (), np.zeros(0)))


def test_an_unknown_strategy_names_the_known_ones():
    with pytest.raises(UnknownNameError, match=", ".join(STRATEGIES)):
        fuse("median", random_probabilities((2, 1, 4)), evidence(2, 4))


# closed forms, written again in NumPy


def by_mean(p, known):
    return p.mean(0), np.full(len(p), 1 / len(p))


def by_geometric_mean(p, known):
    product = gmean(p, axis=0)
    return product / product.sum(), np.full(len(p), 1 / len(p))


def by_validation(p, known):
    weights = known.accuracy.astype(np.float64) / known.accuracy.astype(np.float64).sum()
    return weights @ p, weights


def by_confidence(p, known):
    weights = np.exp(-scipy_entropy(p, axis=-1) / TAU)
    return weights @ p / weights.sum(), weights / weights.sum()


def by_vote(p, known):
    counts = np.bincount(p.argmax(-1), minlength=p.shape[-1])
    winner = max(range(p.shape[-1]), key=lambda k: (counts[k], p[:, k].mean()))
    voters = p.argmax(-1) == winner
    return p[voters].mean(0), voters / voters.sum()


CLOSED_FORMS = {
    "mean": by_mean,
    "geometric": by_geometric_mean,
    "validation": by_validation,
    "confidence": by_confidence,
    "vote": by_vote,
}


def test_every_strategy_has_a_closed_form():
    assert set(CLOSED_FORMS) == set(PLAIN)


@pytest.mark.parametrize("shape", [*SHAPES, (5, 40, 4)])
@pytest.mark.parametrize("strategy", PLAIN)
def test_closed_form(strategy, shape):
    probabilities, known = random_probabilities(shape, seed=7, sharpness=1.5), evidence(shape[0], shape[2])
    for index, fused in enumerate(fuse(strategy, probabilities, known)):
        expected, weights = CLOSED_FORMS[strategy](probabilities[:, index].astype(np.float64), known)
        np.testing.assert_allclose(fused.probabilities, expected, atol=1e-6)
        np.testing.assert_allclose(fused.weights, weights, atol=1e-6)


def test_a_tied_vote_goes_to_the_higher_mean_probability():
    probabilities = np.array([[[0.5, 0.4, 0.1]], [[0.05, 0.9, 0.05]], [[0.6, 0.3, 0.1]], [[0.1, 0.8, 0.1]]])
    fused = fuse("vote", probabilities, evidence(4, 3))[0]
    np.testing.assert_allclose(fused.weights, [0, 0.5, 0, 0.5])
    np.testing.assert_allclose(fused.probabilities, [0.075, 0.85, 0.075], atol=1e-7)


def test_a_vote_outweighs_a_single_sure_backbone():
    probabilities = np.array([[[0.51, 0.49]], [[0.51, 0.49]], [[0.0, 1.0]]])
    assert fuse("vote", probabilities, evidence(3, 2))[0].probabilities.argmax() == 0
    assert fuse("mean", probabilities, evidence(3, 2))[0].probabilities.argmax() == 1


def test_a_veto_holds_in_the_geometric_mean():
    probabilities = np.array([[[0.98, 0.01, 0.01]], [[0.0, 0.9, 0.1]]])
    assert fuse("geometric", probabilities, evidence(2, 3))[0].probabilities[0] < 1e-6


# agreement


@pytest.mark.parametrize("seed", range(5))
def test_pairwise_divergence_is_scipys(seed):
    probabilities = random_probabilities((4, 6), seed)
    probabilities[0, 2] = 0
    probabilities[0] /= probabilities[0].sum()
    expected = [[jensenshannon(a, b, base=2) ** 2 for b in probabilities] for a in probabilities]
    np.testing.assert_allclose(pairwise_divergence(probabilities), expected, atol=1e-7)


def test_entropy_is_scipys():
    probabilities = random_probabilities((4, 6), 3)
    np.testing.assert_allclose(entropy(probabilities), scipy_entropy(probabilities, axis=-1), rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_agreement_is_one_minus_the_share_of_the_largest_divergence(shape):
    probabilities = random_probabilities(shape).astype(np.float64)
    mixture = probabilities.mean(0, keepdims=True)
    from_mixture = scipy_entropy(probabilities, np.broadcast_to(mixture, probabilities.shape), axis=-1).mean(0)
    largest = np.log(min(shape[0], shape[2]))
    np.testing.assert_allclose(agreement(probabilities), 1 - from_mixture / largest, atol=1e-6)


def test_two_backbones_agreement_is_scipys():
    probabilities = random_probabilities((2, 9), 4)
    expected = 1 - jensenshannon(*probabilities, base=2) ** 2
    assert agreement(probabilities) == pytest.approx(expected, abs=1e-6)


def test_mutual_information_of_equal_members_is_nothing():
    equal = random_probabilities((1, 5, 6)).repeat(4, axis=0)
    np.testing.assert_allclose(divergence(equal), 0, atol=1e-12)
    np.testing.assert_allclose(agreement(equal), 1, atol=1e-12)
    assert (divergence(random_probabilities((4, 5, 6))) > 0).all()


def test_agreement_of_those_who_exclude_each_other_is_nothing():
    assert agreement(np.eye(3)[:, None]) == pytest.approx(0)
    assert agreement(np.eye(2).repeat(2, axis=0)) == pytest.approx(0)  # four backbones, two classes


def test_agreement_of_a_single_class_is_whole():
    assert agreement(np.ones((3, 2, 1))).tolist() == [1, 1]


# the fused model


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_fused_model_is_the_fusion_of_the_predictions(tiny, strategy):
    models = [tiny["vit"], tiny["wide"], tiny["resnet"]]
    pixels = [model.pixels([paint(80, 60), paint(50, 90, seed=1)]) for model in models]
    said = [predict(model, x, stages=True) for model, x in zip(models, pixels, strict=True)]
    expected = fuse(strategy, said, evidence_of([model.backbone for model in models]))
    with torch.no_grad():
        given = FusedModel(models, strategy)(*pixels).numpy()
    np.testing.assert_allclose(given, [fused.probabilities for fused in expected], atol=1e-6)


def test_a_temperature_of_one_changes_nothing(tiny):
    model = replace(tiny["vit"], backbone=replace(tiny["vit"].backbone, temperature=1.0))
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = torch.softmax(model.network(pixels), -1).numpy()
    np.testing.assert_allclose(predict(model, pixels).probabilities, plain, atol=1e-6)
    with torch.no_grad():
        np.testing.assert_allclose(FusedModel([model], "mean")(pixels).numpy(), plain, atol=1e-6)
    warmer = predict(tiny["vit"], pixels)  # at 1.5
    np.testing.assert_allclose(warmer.probabilities, torch.softmax(torch.tensor(warmer.logits) / 1.5, -1), atol=1e-6)
    assert warmer.probabilities.max() < plain.max()


def test_evidence_is_read_from_the_rows(rows):
    known = evidence_of([rows["vit"], rows["resnet"]])
    assert known.names == ("vit", "resnet")
    assert known.labels == (labels_of(rows["vit"]), labels_of(rows["resnet"]))
    np.testing.assert_allclose(known.accuracy, [rows["vit"].accuracy, rows["resnet"].accuracy])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_fused_model_refuses_a_wrong_number_of_inputs(tiny, strategy):
    with pytest.raises(ValueError, match=r"shorter|longer"):
        FusedModel([tiny["vit"], tiny["resnet"]], strategy)(torch.zeros(1, 3, 32, 32))
