"""The recorder against plain forward passes and against timm's own unfused attention."""

import threading

import pytest
import timm
import torch
from timm.layers import set_fused_attn, use_fused_attn
from torch import nn
from torch.nn import functional as F

from tests.conftest import TINY, everything_on
from tests.families import FAMILIES, body, pixels
from vitdemo.attention import HEAD_FUSIONS, Recorder
from vitdemo.errors import NotOfferedError

TOKENS = {"vit": 17, "wide": 25, "pooled": 16, "registers": 21, "distilled": 18, "beit": 17}  # of the tiny backbones


def picture_of(model, count=2) -> torch.Tensor:
    return torch.rand(count, *model.transform["input_size"], generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", TINY)
def test_logits_of_tiny_backbones_are_plain_logits(tiny, name):
    model, pictures = tiny[name], picture_of(tiny[name])
    with torch.no_grad():
        plain = model.network(pictures)
        with Recorder() as recorder:
            recorded = model.network(pictures)
    torch.testing.assert_close(recorded, plain, rtol=1e-5, atol=1e-6)
    shapes = [(2, 2, TOKENS[name], TOKENS[name])] * 3 if name in TOKENS else []
    assert [tuple(m.shape) for m in recorder.matrices] == shapes


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_families_are_plain_logits(family):
    model, pictures = body(family), pixels(family)
    with torch.no_grad():
        plain = model(pictures)
        with Recorder():
            recorded = model(pictures)
    torch.testing.assert_close(recorded, plain, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_matrix_of_the_architecture_arrives(family):
    with torch.no_grad(), Recorder() as recorder:
        body(family)(pixels(family))
    assert [tuple(m.shape[1:]) for m in recorder.matrices] == FAMILIES[family].shapes
    for matrix in recorder.matrices:
        assert matrix.shape[0] % 2 == 0  # two pictures, or their windows
        torch.testing.assert_close(matrix.sum(-1), torch.ones(matrix.shape[:-1]), rtol=0, atol=1e-5)
        assert matrix.min() >= 0


@pytest.mark.parametrize("family", ["ViT", "DeiT", "DeiT III", "DINOv2", "BEiT", "hybrid", "Swin", "CrossViT", "PiT"])
def test_matrices_are_those_of_timms_unfused_attention(family):
    """timm without its fused attention shows its matrices to a hook on `attn_drop`."""
    made, fused, seen = FAMILIES[family], body(family), []
    assert use_fused_attn()
    set_fused_attn(False)
    try:
        unfused = timm.create_model(made.architecture, num_classes=5, **made.arguments).eval()
    finally:
        set_fused_attn(True)
    unfused.load_state_dict(fused.state_dict())
    for name, module in unfused.named_modules():
        if name.endswith("attn_drop"):
            module.register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.no_grad(), Recorder() as recorder:
        fused(pixels(family))
    with torch.no_grad():
        unfused(pixels(family))
    assert len(seen) == len(recorder.matrices) == len(made.shapes)
    for ours, timms in zip(recorder.matrices, seen, strict=True):
        torch.testing.assert_close(ours, timms, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("how", HEAD_FUSIONS)
def test_heads_fused_while_recording_are_heads_fused_afterwards(tiny, how):
    model = tiny["vit"]
    with torch.no_grad(), Recorder() as whole:
        model.network(picture_of(model))
    with torch.no_grad(), Recorder(HEAD_FUSIONS[how]) as fused:
        model.network(picture_of(model))
    for heads, one in zip(whole.matrices, fused.matrices, strict=True):
        reference = {"mean": heads.mean(1), "max": heads.max(1).values, "min": heads.min(1).values}[how]
        torch.testing.assert_close(one, reference, rtol=0, atol=0)


class Interruption(Exception):
    pass


@pytest.mark.parametrize("when", [None, 0, 1])
@pytest.mark.parametrize("name", ["vit", "beit", "resnet"])
def test_nothing_is_left_behind(tiny, name, when):
    """Neither after a whole pass nor after an exception in its middle."""
    model = tiny[name]
    before = everything_on(model.network)
    count = 0

    def keep(matrix):
        nonlocal count
        count += 1
        if when is not None and count > when:
            raise Interruption
        return matrix

    try:
        with Recorder(keep) as recorder, torch.no_grad():
            model.network(picture_of(model))
    except Interruption:
        assert len(recorder.matrices) == when
    else:
        assert when is None or name == "resnet"
    assert everything_on(model.network) == before
    with torch.no_grad():  # and nothing is recorded any more
        model.network(picture_of(model))
    assert count <= 3


def test_two_threads_record_only_their_own(tiny):
    """Both are inside their recorders while both run."""
    names = ["vit", "registers"]
    alone = {}
    for name in names:
        with torch.no_grad(), Recorder() as recorder:
            tiny[name].network(picture_of(tiny[name]))
        alone[name] = recorder.matrices
    together, barrier = {}, threading.Barrier(2, timeout=20)

    def run(name):
        def keep(matrix):
            barrier.wait()  # the other thread's matrix comes between any two of this one's
            return matrix

        with torch.no_grad(), Recorder(keep) as recorder:
            tiny[name].network(picture_of(tiny[name]))
        together[name] = recorder.matrices

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for name in names:
        assert len(together[name]) == len(alone[name])
        for one, other in zip(together[name], alone[name], strict=True):
            torch.testing.assert_close(one, other)


def test_another_thread_records_nothing(tiny):
    done = []

    def run():
        with torch.no_grad():
            tiny["vit"].network(picture_of(tiny["vit"]))
        done.append(True)

    with Recorder() as recorder:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(30)
    assert done == [True]
    assert recorder.matrices == []


def test_gradients_pass_through_the_recorded_attention(tiny):
    """As those of the fused attention do."""
    model, pictures = tiny["vit"], picture_of(tiny["vit"])

    def gradient() -> torch.Tensor:
        inputs = pictures.clone().requires_grad_()
        return torch.autograd.grad(model.network(inputs)[:, 1].sum(), inputs)[0]

    plain = gradient()
    with Recorder():
        recorded = gradient()
    assert (recorded - plain).abs().max() <= 1e-4 * plain.abs().max()


@pytest.mark.parametrize("mask", ["none", "float", "bool"])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_is_the_fused_functions(mask, scale):
    made = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, n, 8, generator=made) for n in (5, 7, 7))
    masks = {
        "none": None,
        "float": torch.randn(2, 1, 5, 7, generator=made),
        "bool": torch.rand(1, 1, 5, 7, generator=made) > 0.3,
    }
    masks["bool"][..., 0] = True
    plain = F.scaled_dot_product_attention(query, key, value, attn_mask=masks[mask], scale=scale)
    with Recorder() as recorder:
        recorded = F.scaled_dot_product_attention(query, key, value, attn_mask=masks[mask], scale=scale)
    torch.testing.assert_close(recorded, plain, rtol=1e-5, atol=1e-6)
    assert recorder.matrices[0].shape == (2, 3, 5, 7)
    if mask == "bool":
        assert not recorder.matrices[0][(~masks["bool"]).expand(2, 3, 5, 7)].any()


@pytest.mark.parametrize("odd", [{"is_causal": True}, {"enable_gqa": True}])
def test_attention_that_is_not_understood_is_refused(odd):
    query = torch.zeros(1, 2, 3, 4)
    with pytest.raises(NotOfferedError, match="causal or grouped"), Recorder():
        F.scaled_dot_product_attention(query, query, query, **odd)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: torch.softmax(x, -1),
        lambda x: torch.softmax(x, dim=3),
        lambda x: x.softmax(-1),
        lambda x: x.softmax(dim=-1),
        lambda x: F.softmax(x, dim=-1),
        lambda x: torch.softmax(input=x, dim=-1),
        lambda x: nn.Softmax(dim=-1)(x),
    ],
)
def test_a_softmax_is_recorded_once_however_it_is_written(call):
    scores = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    with Recorder() as recorder:
        result = call(scores)
    assert len(recorder.matrices) == 1
    assert recorder.matrices[0] is result


def test_other_softmaxes_are_no_attention():
    with Recorder() as recorder:
        torch.softmax(torch.zeros(2, 10), -1)  # a head
        torch.softmax(torch.zeros(2, 4, 5, 5), 1)  # over channels
    assert recorder.matrices == []
