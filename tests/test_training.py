"""Recipes, loop and export, on a handful of generated pictures."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from vitdemo.errors import UnknownNameError, VitdemoError, WeightsError
from vitdemo.training import data, export, initial, recipes, supervised, train

LABELS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
NO_MIXING = data.Augmentation(mixing_probability=0.0)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Layers this small gain nothing from threads, and lose much where other programs hold the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """train/, val/ and test/ with five classes of plain colour plus noise."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for index, label in enumerate(LABELS):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                noise = rng.integers(0, 60, (60 + 5 * number, 80, 3))
                image = Image.fromarray((noise + 30 * index).astype(np.uint8))
                image.save(folder / split / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory) -> Path:
    """One epoch of every recipe, in the order that teachers need."""
    out = tmp_path_factory.mktemp("out")
    for name in recipes.RECIPES:
        train(name, pictures, out, epochs=1)
    return out


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_recipe_exports_a_loadable_backbone(name, trained):
    path = trained / f"{name}.safetensors"
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["name"] == name and tuple(card["labels"]) == LABELS
    assert path.stat().st_size <= export.LIMIT
    weights = load_file(path)
    assert {t.dtype for t in weights.values() if t.is_floating_point()} == {torch.float16}
    model = timm.create_model(card["architecture"], num_classes=5, **card["arguments"])
    model.load_state_dict(weights, strict=True)
    assert sum(p.numel() for p in model.parameters()) == card["parameters"]
    assert model(torch.zeros(1, *card["transform"]["input_size"])).shape == (1, 5)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_figures_come_from_the_exported_file(name, trained, pictures):
    model, card = export.read_backbone(trained / f"{name}.safetensors")
    for split, key in (("val", "validation_accuracy"), ("test", "test_accuracy")):
        paths, targets, _ = data.list_folder(pictures / split)
        transform = export.transform_of(card)
        with torch.no_grad():  # one by one, where the product measures in batches
            predicted = [model(transform(Image.open(p).convert("RGB"))[None]).argmax().item() for p in paths]
        assert card[key] == pytest.approx(np.mean(np.array(predicted) == np.array(targets)), abs=1e-4)


def test_a_resumed_training_has_the_weights_of_an_uninterrupted_one(pictures, trained, tmp_path):
    recipe = replace(recipes.VIT, batch=8, resolutions=((0.0, 64), (0.5, 96)))
    teacher, _ = export.read_backbone(trained / "resnet.safetensors")
    in_memory = data.read_folder(pictures / "train", 64)

    whole = supervised.new_state(recipe, 5, "cpu", teacher)
    for _ in range(2):
        supervised.run_epoch(whole, recipe, 2, in_memory, teacher, "cpu")

    first = supervised.new_state(recipe, 5, "cpu", teacher)
    supervised.run_epoch(first, recipe, 2, in_memory, teacher, "cpu")
    supervised.save(first, tmp_path / "half.ckpt")
    torch.manual_seed(1234)  # what else the process draws must not matter
    second = supervised.new_state(replace(recipe, seed=9), 5, "cpu", teacher)
    supervised.restore(second, tmp_path / "half.ckpt")
    supervised.run_epoch(second, recipe, 2, in_memory, teacher, "cpu")

    for module in ("model", "ema", "guide"):
        expected, got = getattr(whole, module).state_dict(), getattr(second, module).state_dict()
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[key], got[key]) for key in expected)
    assert second.epoch == 2


def test_a_finished_training_is_only_exported_again(pictures, trained):
    before = {k: v.clone() for k, v in load_file(trained / "resnet.safetensors").items()}
    lines = (trained / "resnet.log").read_text()
    train("resnet", pictures, trained, epochs=1)
    assert (trained / "resnet.log").read_text() == lines
    after = load_file(trained / "resnet.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_what_cannot_be_trained_is_said_in_a_sentence(pictures, tmp_path):
    with pytest.raises(UnknownNameError, match="resnet"):
        train("alexnet", pictures, tmp_path)
    with pytest.raises(VitdemoError, match="1 and more"):
        train("resnet", pictures, tmp_path, epochs=0)
    (tmp_path / "val").mkdir()
    with pytest.raises(VitdemoError, match="one folder per class"):
        train("resnet", tmp_path, tmp_path)
    with pytest.raises(WeightsError, match="absent"):
        export.read_backbone(tmp_path / "absent.safetensors")


def test_batches_depend_on_seed_and_epoch_alone(pictures):
    in_memory = data.read_folder(pictures / "train", 64)

    def epoch(seed):
        return list(data.batches(in_memory, 32, 6, data.Augmentation(), seed))

    one, again, other = epoch((0, 3)), epoch((0, 3)), epoch((0, 4))
    assert len(one) == 3 and one[0][0].shape == (6, 3, 32, 32)  # 20 pictures, the last two are dropped
    assert all(torch.equal(a, b) and torch.equal(s, t) for (a, s), (b, t) in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for (a, _), (b, _) in zip(one, other, strict=True))


def test_an_error_in_the_thread_reaches_the_training():
    broken = data.Pictures([np.zeros((8, 8, 7), np.uint8)] * 2, torch.zeros(2, dtype=torch.int64), ("a",))
    with pytest.raises((TypeError, ValueError)):
        list(data.batches(broken, 8, 2, data.Augmentation(), (0, 0)))


def test_read_folder_shrinks_and_never_enlarges(pictures):
    assert {min(i.shape[:2]) for i in data.read_folder(pictures / "train", 48).images} == {48}
    assert {i.shape[0] for i in data.read_folder(pictures / "train", 500).images} == {60, 65, 70, 75}


@pytest.mark.parametrize("seed", range(6))
def test_mixed_targets_are_the_share_of_the_pixels(seed):
    """Pictures of one value each: the mean of a mixed one tells what share of it came from which."""
    how = data.Augmentation(
        mixing_probability=1.0, smoothing=0.0, mixup=1.0 if seed % 2 else 0.0, cutmix=1.0 - seed % 2
    )
    x = torch.zeros(2, 3, 16, 16)
    x[1] = 1.0
    mixed, soft = data.mix(x, torch.tensor([0, 1]), 2, how, np.random.default_rng(seed))
    assert torch.allclose(mixed.mean((1, 2, 3)), soft[:, 1], atol=1e-5)
    assert torch.allclose(soft.sum(1), torch.ones(2))
    assert x[0].max() == 0  # the pictures that came in are left alone


def test_smoothed_targets():
    _, soft = data.mix(torch.zeros(1, 3, 4, 4), torch.tensor([2]), 5, NO_MIXING, np.random.default_rng(0))
    assert torch.allclose(soft, torch.tensor([[0.02, 0.02, 0.92, 0.02, 0.02]]))


def test_colour_jitter_keeps_range_and_can_be_switched_off():
    x = torch.rand(4, 3, 8, 8)
    assert torch.allclose(data.jitter(x, 0.0, torch.Generator().manual_seed(0)), x, atol=1e-6)
    moved = data.jitter(x, 0.4, torch.Generator().manual_seed(0))
    assert moved.min() >= 0 and moved.max() <= 1 and not torch.allclose(moved, x, atol=0.01)


def test_erasing_touches_one_rectangle_of_the_share_asked_for():
    x = torch.zeros(64, 3, 40, 40)
    untouched = data.erase(x.clone(), 0.0, torch.Generator().manual_seed(0))
    assert untouched.abs().max() == 0
    shares = (data.erase(x, 1.0, torch.Generator().manual_seed(0))[:, 0] != 0).float().mean((1, 2))
    assert shares.min() > 0.005 and shares.max() < 0.35


def test_schedules():
    recipe = replace(recipes.RESNET, resolutions=((0.0, 96), (0.6, 128)), warmup_epochs=5, restart=1.0)
    assert [supervised.resolution(recipe, e, 10) for e in (0, 5, 6, 9)] == [96, 96, 128, 128]
    recipe = replace(recipe, learning_rate=1.0)
    assert supervised.learning_rate(recipe, 5, 100) == pytest.approx(1.0)
    assert supervised.learning_rate(recipe, 52.5, 100) == pytest.approx(0.505)  # half of the cosine
    assert supervised.learning_rate(recipe, 100, 100) == pytest.approx(0.01)
    assert supervised.learning_rate(recipe, 0, 100) > 0
    again = replace(recipe, restart=0.5, restart_rate=0.4)
    rates = [supervised.learning_rate(again, e, 100) for e in (5, 27.5, 50, 75, 100)]
    assert rates == pytest.approx([1.0, 0.505, 0.4, 0.4 * 0.505, 0.4 * 0.01])


def test_the_teachers_share_of_the_loss():
    recipe = replace(recipes.VIT, teacher_weight=0.75, teacher_temperature=3.0)
    student, teacher, soft = torch.randn(4, 5), torch.randn(4, 5), torch.rand(4, 5).softmax(1)
    labels = F.cross_entropy(student, soft)
    assert supervised.loss_of(student, soft, None, recipe) == labels
    assert torch.allclose(supervised.loss_of(student, soft, student, recipe), 0.25 * labels, atol=1e-6)
    p, q = (teacher / 3).softmax(1), (student / 3).softmax(1)
    divergence = (p * (p / q).log()).sum(1).mean()  # the definition, without torch's kl_div
    expected = 0.25 * labels + 0.75 * 9 * divergence
    assert torch.allclose(supervised.loss_of(student, soft, teacher, recipe), expected, atol=1e-5)


def test_logits_beside_the_intermediate_are_those_of_a_plain_forward():
    recipe = recipes.HYBRID
    model = timm.create_model(recipe.architecture, num_classes=5, **recipe.arguments).eval()
    x = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        logits, tokens = supervised.with_intermediate(model, x, 3)
        assert torch.allclose(logits, model(x), atol=1e-5)
    assert tokens.shape == (1, 192, 8, 8)


def test_a_hybrid_starts_from_the_stem_of_a_resnet():
    resnet = timm.create_model(recipes.RESNET.architecture, num_classes=5, **recipes.RESNET.arguments)
    hybrid = timm.create_model(recipes.HYBRID.architecture, num_classes=5, **recipes.HYBRID.arguments)
    x, stem = torch.randn(1, 3, 64, 64), hybrid.patch_embed.backbone
    blocks = [t.clone() for t in hybrid.blocks.state_dict().values()]
    names = supervised.warm_start(hybrid, resnet)
    assert len(names) == len(stem.state_dict())
    with torch.no_grad():
        (got,), (wanted,) = stem.eval()(x), resnet.eval().forward_intermediates(x, [3], intermediates_only=True)
    assert torch.allclose(got, wanted, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(blocks, hybrid.blocks.state_dict().values(), strict=True))


def test_moving_average_of_parameters_and_statistics():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    ema = copy.deepcopy(model)
    with torch.no_grad():
        model[0].weight.add_(1.0)
        model[1].running_var.add_(2.0)
        model[1].num_batches_tracked.add_(7)
    supervised.update_ema(ema, model, 0.9)
    assert torch.allclose(ema[0].weight, model[0].weight - 0.9)
    assert torch.allclose(ema[1].running_var, model[1].running_var - 1.8)
    assert ema[1].num_batches_tracked == 7


def test_factors_are_the_best_of_their_rank():
    """Eckart & Young: what is left over is as large as the singular values that were left out."""
    product = torch.randn(12, 12)
    left, right = initial.factors(product, 5)
    rest = torch.linalg.matrix_norm(product - left @ right.T)
    assert torch.allclose(rest, torch.linalg.svdvals(product)[5:].norm(), atol=1e-4)


def test_mimetic_attention_looks_like_identities():
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=128, depth=2, num_classes=5)
    attention = initial.mimetic_(model).blocks[1].attn
    query, key, value = attention.qkv.weight.detach().view(3, 192, 192)
    out = value.T @ attention.proj.weight.detach().T
    assert torch.diagonal(out).mean() == pytest.approx(-0.4, abs=0.02)
    assert (out - torch.diag(torch.diagonal(out))).std() == pytest.approx(0.4 / 192**0.5, rel=0.05)
    for head in range(3):
        rows = slice(64 * head, 64 * head + 64)
        product = query[rows].T @ key[rows]
        assert torch.linalg.matrix_rank(product) == 64 and torch.diagonal(product).mean() > 0.25
    assert model.pos_embed[:, 0].abs().max() == 0 and model.pos_embed[:, 1:].std() > 0.5


def test_temperature_has_no_slope_at_its_minimum_and_scales_with_the_logits():
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(200, 5, generator=generator)
    targets = torch.where(torch.rand(200, generator=generator) < 0.7, logits.argmax(1), torch.arange(200) % 5)
    fitted = export.fit_temperature(logits, targets)
    inverse = torch.tensor(1 / fitted, dtype=torch.float64, requires_grad=True)
    F.cross_entropy(logits.double() * inverse, targets).backward()
    assert inverse.grad.abs() < 1e-3
    assert export.fit_temperature(2.5 * logits, targets) == pytest.approx(2.5 * fitted, rel=1e-3)


def test_another_size_keeps_the_class_token_and_resamples_the_grid():
    card = export.card_of(recipes.VIT, LABELS)
    weights = export.rounded(timm.create_model(card["architecture"], num_classes=5, **card["arguments"]).state_dict())
    sized, tensors = export.at_size(card, weights, 144)
    assert sized["transform"]["input_size"] == [3, 144, 144] and sized["arguments"]["img_size"] == 144
    assert tensors["pos_embed"].shape == (1, 1 + 81, 192)
    assert torch.equal(tensors["pos_embed"][:, 0], weights["pos_embed"][:, 0])
    assert export.model_of(sized, tensors)(torch.zeros(1, 3, 144, 144)).shape == (1, 5)


def test_the_hybrid_is_made_of_timms_own_parts():
    model = timm.create_model("vit_resnet_tiny", num_classes=5)
    assert isinstance(model, timm.models.vision_transformer.VisionTransformer)
    assert model.patch_embed.grid_size == (8, 8) and model.num_prefix_tokens == 1
    assert model.pretrained_cfg["input_size"] == (3, 128, 128)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_cuda(pictures, tmp_path):
    assert train("resnet", pictures, tmp_path, epochs=1, device="cuda").is_file()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there(pictures, tmp_path):
    with pytest.raises(VitdemoError, match="cpu"):
        train("resnet", pictures, tmp_path, device="cuda")
