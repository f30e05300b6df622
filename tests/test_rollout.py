"""Rollout against the paper's full matrix product, against answers known by hand, and the addresses of tokens."""

import numpy as np
import pytest
import torch

from tests.conftest import TINY
from tests.families import FAMILIES, body
from vitdemo.attention import HEAD_FUSIONS, Layout, Recorder, layout_of, rollout
from vitdemo.attention.tokens import stack
from vitdemo.errors import VitdemoError
from vitdemo.types import NotOffered

PAPER = "the paper's matrix product in NumPy"
LAYOUTS = {
    "class token": stack(1, (3, 3), (0,), 4),
    "not square": stack(1, (2, 5), (0,), 3),
    "registers": stack(5, (3, 2), (0,), 3),
    "distilled": stack(2, (2, 3), (0, 1), 3),
    "pooled": stack(0, (2, 3), (0, 1, 2, 3, 4, 5), 3),
    "pooled beside a class token": stack(1, (2, 2), (1, 2, 3, 4), 3),
}


def random_attention(layout: Layout, batch=2, seed=0) -> list[torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    scores = [2 * torch.randn(batch, layout.tokens, layout.tokens, generator=made) for _ in range(layout.layers)]
    return [score.softmax(-1) for score in scores]


def by_the_paper(matrices, layout: Layout, residual=0.5) -> np.ndarray:
    """Abnar and Zuidema, section 3, for each picture: Â = rownorm(½ E + ½ I), R = Â_L ··· Â_1, rows that are read."""
    maps = []
    for picture in range(len(matrices[0])):
        product = np.eye(layout.tokens)
        for attention in matrices:  # later layers on the left
            mixed = (1 - residual) * attention[picture].numpy().astype(np.float64) + residual * np.eye(layout.tokens)
            product = (mixed / mixed.sum(1, keepdims=True)) @ product
        read = product[list(layout.readout)].mean(0)
        maps.append(read[layout.prefix :].reshape(layout.grid))
    return np.stack(maps)


@pytest.mark.parametrize("residual", [0.5, 0.0, 0.9])
@pytest.mark.parametrize("name", LAYOUTS)
def test_rollout_is_the_papers(name, residual, oracle):
    matrices = random_attention(LAYOUTS[name])
    rolled = rollout(matrices, LAYOUTS[name], residual)
    assert rolled.shape == (2, *LAYOUTS[name].grid)
    oracle("Attention rollout", PAPER, rolled, by_the_paper(matrices, LAYOUTS[name], residual), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("how", HEAD_FUSIONS)
@pytest.mark.parametrize("name", [name for name in TINY if name != "resnet"])
def test_rollout_of_recorded_attention_is_the_papers(tiny, name, how, oracle):
    """From the whole heads, fused in NumPy; rows that do not sum to 1 are normalised."""
    model = tiny[name]
    layout = layout_of(model.network.body, model.transform["input_size"][1:])
    pictures = torch.rand(2, *model.transform["input_size"], generator=torch.Generator().manual_seed(3))
    with torch.no_grad(), Recorder() as whole:
        model.network(pictures)
    with torch.no_grad(), Recorder(HEAD_FUSIONS[how]) as fused:
        model.network(pictures)
    heads = [torch.from_numpy(getattr(np, how)(matrix.numpy(), axis=1)) for matrix in whole.matrices]
    rolled = rollout(fused.matrices, layout)
    oracle("Attention rollout", PAPER, rolled, by_the_paper(heads, layout), rtol=1e-4, atol=1e-6)
    # what the patches and the prefix tokens got is all there is
    assert (rolled.sum((1, 2)) <= 1 + 1e-5).all()
    assert (rolled >= 0).all()


# answers known by hand


@pytest.mark.parametrize("name", LAYOUTS)
def test_identity_gives_the_readout_itself(name, oracle):
    layout = LAYOUTS[name]
    rolled = rollout([torch.eye(layout.tokens)[None]] * layout.layers, layout)[0].flatten()
    expected = torch.zeros(layout.tokens)
    expected[list(layout.readout)] = 1 / len(layout.readout)
    oracle("Attention rollout", "identity by hand", rolled, expected[layout.prefix :], rtol=1.3e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["class token", "not square", "registers"])
def test_uniform_attention_gives_a_uniform_map(name, oracle):
    """(a I + b J) to the power L: all patches get (1 - ½^L) / N."""
    layout = LAYOUTS[name]
    uniform = torch.full((1, layout.tokens, layout.tokens), 1 / layout.tokens)
    rolled = rollout([uniform] * layout.layers, layout)
    expected = torch.full_like(rolled, (1 - 0.5**layout.layers) / layout.tokens)
    oracle("Attention rollout", "closed form of uniform attention", rolled, expected, rtol=1.3e-6, atol=1e-5)


def test_a_chain_of_looks_points_at_its_end():
    """In the last layer the class token looks at token 5, before that 5 at 3, and in the first layer 3 at 6."""
    layout = stack(1, (2, 3), (0,), 3)
    steps = [(3, 6), (5, 3), (0, 5)]  # (who, at whom), first layer first
    matrices = []
    for who, at in steps:
        matrix = torch.eye(7)
        matrix[who] = torch.eye(7)[at]
        matrices.append(matrix[None])
    without_residual = rollout(matrices, layout, residual=0.0)[0].flatten()
    assert without_residual.tolist() == [0, 0, 0, 0, 0, 1]  # token 6 is patch 5
    half = rollout(matrices, layout)[0].flatten()
    # ½ stays with the class token; ½ reaches token 5, half of which goes on to token 3, half of that to token 6
    torch.testing.assert_close(half, torch.tensor([0, 0, 0.125, 0, 0.25, 0.125]))


def test_the_order_of_layers_matters():
    matrices = random_attention(LAYOUTS["class token"])
    assert not torch.allclose(
        rollout(matrices, LAYOUTS["class token"]), rollout(matrices[::-1], LAYOUTS["class token"])
    )


def test_distilled_is_the_mean_of_two_rows():
    layout, matrices = LAYOUTS["distilled"], random_attention(LAYOUTS["distilled"])
    each = [rollout(matrices, stack(2, layout.grid, (row,), layout.layers)) for row in (0, 1)]
    torch.testing.assert_close(rollout(matrices, layout), (each[0] + each[1]) / 2)


def test_pooled_is_the_mean_over_the_patches():
    layout, matrices = LAYOUTS["pooled beside a class token"], random_attention(LAYOUTS["pooled beside a class token"])
    each = [rollout(matrices, stack(1, layout.grid, (row,), layout.layers)) for row in range(1, 5)]
    torch.testing.assert_close(rollout(matrices, layout), torch.stack(each).mean(0))


@pytest.mark.parametrize("discard", [0.0, 0.4])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_batch_is_a_loop(name, discard):
    layout = LAYOUTS[name]
    matrices = random_attention(layout, batch=4)
    together = rollout(matrices, layout, discard=discard)
    for index in range(4):
        alone = rollout([matrix[index : index + 1] for matrix in matrices], layout, discard=discard)
        torch.testing.assert_close(together[index : index + 1], alone)


# discarding


def by_sorting(attention: np.ndarray, layout: Layout, share: float) -> np.ndarray:
    """The lowest ⌊share N²⌋ entries of one picture set to 0, never those of rows and columns that the head reads."""
    kept = attention.copy()
    spares = len(layout.readout) < layout.grid[0] * layout.grid[1]
    order = sorted(np.ndindex(*kept.shape), key=lambda at: kept[at])
    allowed = [at for at in order if not (spares and (at[0] in layout.readout or at[1] in layout.readout))]
    for at in allowed[: int(share * kept.size)]:
        kept[at] = 0
    return kept


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", LAYOUTS)
def test_discarding_is_by_picture_and_spares_what_the_head_reads(name, share, oracle):
    layout = LAYOUTS[name]
    matrices = random_attention(layout, seed=5)
    discarded = [torch.from_numpy(np.stack([by_sorting(one.numpy(), layout, share) for one in m])) for m in matrices]
    rolled = rollout(matrices, layout, discard=share)
    oracle(
        "Attention rollout, discarding",
        "sorting in NumPy",
        rolled,
        by_the_paper(discarded, layout),
        rtol=1e-4,
        atol=1e-7,
    )
    assert not torch.allclose(rolled, rollout(matrices, layout))


def test_discarding_leaves_its_input_alone():
    matrices = random_attention(LAYOUTS["class token"])
    before = [matrix.clone() for matrix in matrices]
    rollout(matrices, LAYOUTS["class token"], discard=0.9)
    assert all(torch.equal(one, other) for one, other in zip(matrices, before, strict=True))


# what is not allowed


@pytest.mark.parametrize("wrong", [{"residual": 1.0}, {"residual": -0.1}, {"discard": 1.0}, {"discard": -0.5}])
def test_shares_have_limits(wrong):
    matrices = random_attention(LAYOUTS["class token"])
    with pytest.raises(VitdemoError, match=f"{next(iter(wrong))} is .*allowed: 0 to below 1"):
        rollout(matrices, LAYOUTS["class token"], **wrong)


def test_matrices_have_to_be_those_of_the_layout():
    layout = LAYOUTS["class token"]
    matrices = random_attention(layout)
    with pytest.raises(VitdemoError, match=r"Recorded 3 .*expected 4 of \(B, \[heads,\] 10, 10\)"):
        rollout(matrices[:3], layout)
    with pytest.raises(VitdemoError, match=r"\(2, 9, 9\)"):
        rollout([*matrices[:3], matrices[0][:, 1:, 1:]], layout)
    with pytest.raises(VitdemoError, match="Recorded 0"):
        rollout([], layout)
    with pytest.raises(VitdemoError, match=r"expected 4"):  # some heads fused, some not
        rollout([matrices[0][:, None], *matrices[1:]], layout)


@pytest.mark.parametrize("start", [-1, 4])
def test_the_first_layer_has_limits(start):
    with pytest.raises(VitdemoError, match=f"start is {start}; allowed: 0 to 3"):
        rollout(random_attention(LAYOUTS["class token"]), LAYOUTS["class token"], start=start)


def test_starting_late_is_a_shorter_stack():
    layout, matrices = LAYOUTS["registers"], random_attention(LAYOUTS["registers"])
    shorter = stack(layout.prefix, layout.grid, layout.readout, 1)
    torch.testing.assert_close(rollout(matrices, layout, start=2), rollout(matrices[2:], shorter))


@pytest.mark.parametrize("how", HEAD_FUSIONS)
def test_heads_may_be_fused_before_or_after(how):
    layout = LAYOUTS["class token"]
    heads = [torch.stack(random_attention(layout, seed=seed), 1) for seed in range(layout.layers)]  # 4 heads each
    fused = [HEAD_FUSIONS[how](one) for one in heads]
    torch.testing.assert_close(rollout(heads, layout, head_fusion=how), rollout(fused, layout))


# addresses


ADDRESSES = {  # prefix, grid, readout, layers
    "vit": (1, (4, 4), (0,), 3),
    "wide": (1, (4, 6), (0,), 3),
    "pooled": (0, (4, 4), tuple(range(16)), 3),
    "registers": (5, (4, 4), (0,), 3),
    "distilled": (2, (4, 4), (0, 1), 3),
    "beit": (1, (4, 4), tuple(range(1, 17)), 3),
}


def address(layout: Layout) -> tuple:
    return layout.prefix, layout.grid, layout.readout, layout.layers


@pytest.mark.parametrize("name", ADDRESSES)
def test_layouts_of_tiny_backbones(tiny, name):
    layout = layout_of(tiny[name].network.body, tiny[name].transform["input_size"][1:])
    assert address(layout) == ADDRESSES[name]
    assert layout.kind == "exact" and layout.plain


FAMILY_ADDRESSES = {
    "ViT": (1, (4, 4), (0,), 2),
    "ViT, pooled with its class token": (1, (4, 4), tuple(range(17)), 2),
    "ViT, attention-pooled": (0, (4, 4), (0,), 3),
    "DeiT": (2, (4, 4), (0, 1), 2),
    "DeiT III": (1, (4, 4), (0,), 2),
    "DINOv2": (5, (4, 4), (0,), 2),
    "DINOv3": (5, (4, 4), tuple(range(5, 21)), 2),
    "EVA-02": (1, (4, 4), tuple(range(1, 17)), 2),
    "BEiT": (1, (4, 4), tuple(range(1, 17)), 2),
    "hybrid": (1, (16, 16), (0,), 2),
}


@pytest.mark.parametrize("family", FAMILY_ADDRESSES)
def test_layouts_of_families(family):
    layout = layout_of(body(family), (FAMILIES[family].size,) * 2)
    assert address(layout) == FAMILY_ADDRESSES[family]
    assert layout.kind == "exact"


def read_by_the_head(body, layout: Layout) -> tuple[int, ...]:
    """The tokens with which the logits change."""
    tokens = torch.randn(1, layout.tokens, body.num_features, generator=torch.Generator().manual_seed(0))
    tokens.requires_grad_()
    gradient = torch.autograd.grad(body.forward_head(tokens)[0, 0], tokens)[0]
    return tuple(torch.nonzero(gradient[0].abs().sum(-1) > 1e-9).flatten().tolist())


@pytest.mark.parametrize("name", [name for name in TINY if name != "resnet"])
def test_the_layout_is_what_the_head_of_tiny_backbones_reads(tiny, name):
    network, size = tiny[name].network.body, tiny[name].transform["input_size"][1:]
    assert read_by_the_head(network, layout_of(network, size)) == layout_of(network, size).readout


def test_patches_lie_row_by_row(tiny):
    """A bright patch changes the embedding of the one token that lies there."""
    model = tiny["wide"]
    layout = layout_of(model.network.body, (32, 48))
    dark, bright = torch.zeros(1, 3, 32, 48), torch.zeros(1, 3, 32, 48)
    bright[:, :, 8:16, 40:48] = 1  # row 1, column 5
    embed = model.network.body.patch_embed
    changed = (embed(bright) - embed(dark)).abs().sum(-1)[0] > 0
    assert changed.reshape(layout.grid).nonzero().tolist() == [[1, 5]]


def test_beits_pooled_map_is_not_its_class_row(tiny):
    """Its class token gives a plausible map too, but the head does not read it."""
    model = tiny["beit"]
    layout = layout_of(model.network.body, (32, 32))
    pictures = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), Recorder(HEAD_FUSIONS["mean"]) as recorder:
        model.network(pictures)
    class_row = rollout(recorder.matrices, stack(layout.prefix, layout.grid, (0,), layout.layers))
    pooled = rollout(recorder.matrices, layout)
    assert not torch.allclose(pooled / pooled.sum(), class_row / class_row.sum(), rtol=0.05)


REFUSED = {
    "ResNet": "no attention",
    "MobileViT": "pixel phase",
    "MobileViTv2": "scores each patch",
    "XCiT": "over channels",
    "ViT, pooled twice": "'avgmax'",
    "ViT, differential": "not plain",
    "RepVGG and kin": "ByobNet is not",
}


@pytest.mark.parametrize("family", REFUSED)
def test_what_has_no_checked_rollout_is_refused_with_its_own_reason(family):
    refusal = layout_of(body(family), (FAMILIES[family].size,) * 2)
    assert isinstance(refusal, NotOffered)
    assert REFUSED[family] in refusal.reason


def test_every_family_is_either_offered_or_refused():
    offered = {
        family for family, made in FAMILIES.items() if isinstance(layout_of(body(family), (made.size,) * 2), Layout)
    }
    assert offered == set(FAMILIES) - set(REFUSED)


@pytest.mark.parametrize("family", sorted(set(FAMILY_ADDRESSES) - {"ViT, attention-pooled"}))
def test_the_layout_is_what_the_head_of_families_reads(family):
    layout = layout_of(body(family), (FAMILIES[family].size,) * 2)
    assert read_by_the_head(body(family), layout) == layout.readout


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(REFUSED)))
def test_offered_families_give_the_matrices_of_their_layout(family):
    """Both counts come from the architecture; neither from what was recorded."""
    made = FAMILIES[family]
    layout = layout_of(body(family), (made.size,) * 2)
    assert [shape[1:] for shape in made.shapes] == [
        step.shape[1:] for step in layout.attentions for _ in range(step.matrices)
    ]
