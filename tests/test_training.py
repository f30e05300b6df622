"""Recipes, loop and export, on a handful of generated pictures."""

from __future__ import annotations

import copy
import json
import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from vitdemo import folders, training
from vitdemo.errors import UnknownNameError, VitdemoError, WeightsError
from vitdemo.sources import read_files, shards
from vitdemo.training import data, export, initial, machine, recipes, supervised, train

LABELS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
NO_MIXING = data.Augmentation(mixing_probability=0.0)


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
    encoder = timm.create_model(recipes.VIT.architecture, num_classes=0, **recipes.VIT.arguments)
    save_file(encoder.state_dict(), out / "mae.safetensors")
    seen = timm.create_model(recipes.DINO.architecture, num_classes=0, **recipes.DINO.arguments)
    save_file(seen.state_dict(), out / "dinov2.safetensors")
    for name in recipes.RECIPES:
        train(name, pictures, out, epochs=1)
    return out


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_recipe_exports_a_loadable_backbone(name, trained):
    card, paths = json.loads((trained / f"{name}.json").read_text()), shards(trained, name)
    assert card["name"] == name and tuple(card["labels"]) == LABELS
    assert paths and all(path.stat().st_size <= export.LIMIT for path in paths)
    weights = read_files(paths)
    assert {t.dtype for t in weights.values() if t.is_floating_point()} == {torch.float16}
    model = timm.create_model(card["architecture"], num_classes=5, **card["arguments"])
    model.load_state_dict(weights, strict=True)
    assert sum(p.numel() for p in model.parameters()) == card["parameters"]
    assert model.eval()(torch.zeros(1, *card["transform"]["input_size"])).shape == (1, 5)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_figures_come_from_the_exported_file(name, trained, pictures):
    model, card = export.read_backbone(trained / f"{name}.safetensors")
    for split, key in (("val", "validation_accuracy"), ("test", "test_accuracy")):
        paths, targets, _ = folders.list_folder(pictures / split)
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


def test_the_seed_decides_the_weights(pictures):
    in_memory = data.read_folder(pictures / "train", 64)
    recipe = replace(
        recipes.VIT,
        teacher=(),
        guide_weight=0.0,
        resolutions=((0.0, 64),),
        augmentation=data.Augmentation(policy="rand"),
    )

    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(100 + seed)  # what else the process draws must not matter
        state = supervised.new_state(replace(recipe, seed=seed), 5, "cpu")
        supervised.run_epoch(state, replace(recipe, seed=seed), 1, in_memory, None, "cpu")
        return torch.cat([p.detach().flatten() for p in state.model.parameters()])

    first = weights(0)
    assert torch.equal(first, weights(0)) and not torch.allclose(first, weights(1), atol=1e-3)


def test_a_checkpoint_of_another_seed_is_not_gone_on_with(pictures, trained):
    with pytest.raises(VitdemoError, match="seed 5, got one with 0"):
        train("resnet", pictures, trained, epochs=1, seed=5)


@pytest.mark.parametrize("name", ["vit", "deit"])
def test_parts_of_a_batch_add_up_to_the_whole(name, monkeypatch):
    """In fp32, and with layers that do not look across the batch, as BatchNorm does."""
    monkeypatch.setattr(supervised, "autocast", lambda device: nullcontext())
    recipe = replace(recipes.RECIPES[name], teacher=(), guide_weight=0.0, batch=8)
    generator = torch.Generator().manual_seed(0)
    x, soft = torch.randn(7, 3, 64, 64, generator=generator), torch.rand(7, 5, generator=generator).softmax(1)

    def gradient(parts: int) -> tuple[float, torch.Tensor]:
        state = supervised.new_state(recipe, 5, "cpu")
        loss = supervised.backward(state, replace(recipe, accumulation=parts), x, soft, None)
        return loss, torch.cat([p.grad.flatten() for p in state.model.parameters() if p.grad is not None])

    (loss, whole), (same, parts) = gradient(1), gradient(3)  # 3, 3 and 1 pictures
    assert same == pytest.approx(loss, rel=1e-5)
    assert (whole - parts).norm() < 1e-4 * whole.norm()


def test_an_epoch_in_parts_is_the_same_epoch(pictures, monkeypatch):
    monkeypatch.setattr(supervised, "autocast", lambda device: nullcontext())
    recipe = replace(recipes.VIT, teacher=(), guide_weight=0.0, mimetic=False, batch=10, resolutions=((0.0, 64),))
    in_memory, calls, losses = data.read_folder(pictures / "train", 64), [], []
    plain = supervised.batch_loss
    monkeypatch.setattr(supervised, "batch_loss", lambda *args: calls.append(len(args[2])) or plain(*args))
    for parts in (1, 2):
        state = supervised.new_state(recipe, 5, "cpu")
        losses.append(supervised.run_epoch(state, replace(recipe, accumulation=parts), 9, in_memory, None, "cpu"))
    assert calls == [10, 10, 5, 5, 5, 5]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


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


@pytest.mark.parametrize("policy", ["trivial", "rand"])
def test_a_policy_changes_each_picture_by_itself_and_is_drawn_from_its_generator_alone(policy):
    x = torch.randint(0, 256, (1, 3, 24, 24), generator=torch.Generator().manual_seed(0)).byte().expand(16, -1, -1, -1)
    before = torch.random.get_rng_state()
    one, again, other = (data.apply_policy(x, policy, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert one.shape == x.shape and one.dtype == torch.uint8
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert len({picture.numpy().tobytes() for picture in one}) > 4


def test_no_policy_and_an_unknown_one():
    x = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    assert data.apply_policy(x, "", np.random.default_rng(0)) is x
    with pytest.raises(UnknownNameError, match="'auto'; allowed: , trivial, rand"):
        data.apply_policy(x, "auto", np.random.default_rng(0))


def test_splits_that_do_not_belong_together(tmp_path):
    def put(*places):
        for place in places:
            (tmp_path / place).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / place / "a.png")

    put("train/ant")
    with pytest.raises(VitdemoError, match="Expected several classes, got 'ant' alone"):
        folders.check_splits(tmp_path, ("train", "val"))
    put("train/bee")
    with pytest.raises(VitdemoError, match=r"Expected pictures in one folder per class, got none in .*val"):
        folders.check_splits(tmp_path, ("train", "val"))
    put("val/ant", "val/wasp")
    with pytest.raises(VitdemoError, match=r"same classes in train and val of .* difference in bee, wasp"):
        folders.check_splits(tmp_path, ("train", "val"))
    (tmp_path / "val/wasp").rename(tmp_path / "val/bee")
    (tmp_path / "train/.cache").mkdir()
    assert folders.check_splits(tmp_path, ("train", "val")) == ("ant", "bee")
    (tmp_path / "train/cow").mkdir()
    with pytest.raises(VitdemoError, match=r"of every class, got none in .*cow"):
        folders.check_splits(tmp_path, ("train", "val"))


def test_a_damaged_picture_is_left_out_and_named(tmp_path, capsys):
    for label in ("ant", "bee"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.png").write_bytes(b"nothing")
        Image.new("RGB", (20, 20)).save(tmp_path / label / "b.png")
    read = data.read_folder(tmp_path, 64)
    assert len(read.images) == 2 and read.targets.tolist() == [0, 1]
    assert [one.path for one in read.broken] == [tmp_path / label / "a.png" for label in ("ant", "bee")]
    folders.tell([*read.broken, *read.broken])
    said = capsys.readouterr().err
    assert said.count("'a.png' is not a picture") == 2 and "2 pictures could not be read" in said
    (tmp_path / "bee" / "b.png").unlink()
    with pytest.raises(VitdemoError, match=r"a picture of 'bee' that can be read, got none in .*bee: 'a\.png' is not"):
        data.read_folder(tmp_path, 64)


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
    x = torch.randn(1, 3, 192, 192)
    with torch.no_grad():
        logits, tokens = supervised.with_intermediate(model, x, 3)
        assert torch.allclose(logits, model(x), atol=1e-5)
    assert tokens.shape == (1, 192, 12, 12)


def test_a_hybrid_starts_from_the_stem_of_a_resnet():
    resnet = timm.create_model(recipes.RESNET.architecture, num_classes=5, **recipes.RESNET.arguments)
    hybrid = timm.create_model("vit_resnet_tiny", num_classes=5)
    x, stem = torch.randn(1, 3, 64, 64), hybrid.patch_embed.backbone
    blocks = [t.clone() for t in hybrid.blocks.state_dict().values()]
    names = supervised.warm_start(hybrid, resnet.state_dict())
    assert len(names) == len(stem.state_dict())
    with torch.no_grad():
        (got,), (wanted,) = stem.eval()(x), resnet.eval().forward_intermediates(x, [3], intermediates_only=True)
    assert torch.allclose(got, wanted, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(blocks, hybrid.blocks.state_dict().values(), strict=True))


def test_a_hybrid_starts_from_the_stages_of_lite0():
    lite = timm.create_model(recipes.LITE.architecture, num_classes=5).eval()
    hybrid = timm.create_model(recipes.HYBRID.architecture, num_classes=5, **recipes.HYBRID.arguments)
    x, stem = torch.randn(1, 3, 64, 64), hybrid.patch_embed.backbone
    names = supervised.warm_start(hybrid, lite.state_dict())
    assert len(names) == len(stem.state_dict())
    with torch.no_grad():
        (got,), wanted = stem.eval()(x), lite.blocks[:5](lite.bn1(lite.conv_stem(x)))
    assert torch.allclose(got, wanted, atol=1e-5)


def test_positions_of_a_larger_grid_are_resampled():
    """Which leaves the class token's alone, and a grid of the model's own size as it is."""
    small, large = (timm.create_model("vit_tiny_patch16_224", img_size=size, depth=1) for size in (64, 96))
    supervised.warm_start(small, large.state_dict())
    assert torch.equal(small.pos_embed[:, 0], large.pos_embed[:, 0])
    grid = large.pos_embed[:, 1:].unflatten(1, (6, 6)).permute(0, 3, 1, 2)
    wanted = F.interpolate(grid, (4, 4), mode="bicubic", antialias=True).flatten(2).mT
    assert torch.allclose(small.pos_embed[:, 1:], wanted, atol=1e-5)


def test_weights_are_cut_into_files_below_the_limit(tmp_path):
    tensors = {name: torch.randn(100, 50).half() for name in "abcde"}
    (tmp_path / "net.safetensors").write_bytes(b"an earlier export")
    paths = export.write_weights(tensors, tmp_path, "net", limit=export.HEADER + 25_000)
    assert [path.name for path in paths] == [f"net-0000{index}-of-00003.safetensors" for index in (1, 2, 3)]
    assert shards(tmp_path, "net") == paths and not (tmp_path / "net.safetensors").exists()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in read_files(paths).items())
    paths[1].unlink()
    with pytest.raises(WeightsError, match="net-00001-of-00003"):
        shards(tmp_path, "net")
    with pytest.raises(WeightsError, match="at most 5000 bytes, got 10000 in a"):
        export.write_weights(tensors, tmp_path, "net", limit=export.HEADER + 5000)


def test_a_teacher_sees_what_it_was_trained_on():
    """Whatever the recipe of its student normalises by."""
    torch.manual_seed(0)
    body, pixels = nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), torch.rand(2, 3, 4, 4)
    own, given = (data.MEAN, data.STD), ((0.5, 0.5, 0.5), (0.4, 0.5, 0.6))
    teacher = supervised.Renormalised(body, own, given)
    with torch.no_grad():
        assert torch.allclose(teacher(data.normalise(pixels, *given)), body(data.normalise(pixels, *own)), atol=1e-5)


def test_the_precision_is_the_faster_one(monkeypatch):
    spent = {torch.float32: 1.0, torch.bfloat16: 0.5}
    monkeypatch.setattr(machine, "seconds", spent.get)
    assert machine.precision.__wrapped__("cpu") is torch.bfloat16
    spent[torch.bfloat16] = 0.9  # a tie is no reason to round
    assert machine.precision.__wrapped__("cpu") is torch.float32
    assert machine.precision.__wrapped__("mps") is torch.float32


class Says(nn.Module):
    """Gives the same logits for every picture."""

    def __init__(self, logits: list[float]):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def test_teachers_speak_with_the_mean_of_their_calibrated_probabilities():
    sure = math.log(9)  # 9 : 1, and at temperature 2 it is 3 : 1
    teachers = supervised.Ensemble([Says([sure, 0.0]), Says([sure, 0.0]), Says([0.0, 0.0])], [1.0, 2.0, 0.5])
    soft = teachers(torch.zeros(4, 3, 8, 8)).exp()
    assert torch.allclose(soft, torch.tensor([(0.9 + 0.75 + 0.5) / 3, (0.1 + 0.25 + 0.5) / 3]).expand(4, 2))


def test_a_student_of_an_ensemble_loses_nothing_where_it_says_the_mean():
    soft = torch.tensor([[0.2, 0.5, 0.3]])
    labels = torch.tensor([[1.0, 0.0, 0.0]])
    recipe = replace(recipes.STUDENT, teacher_weight=1.0)
    assert supervised.loss_of(7 + soft.log(), labels, soft.log(), recipe).abs() < 1e-6  # the labels do not matter
    student = torch.tensor([[0.5, 0.25, 0.25]])
    expected = 0.2 * math.log(0.2 / 0.5) + 0.5 * math.log(0.5 / 0.25) + 0.3 * math.log(0.3 / 0.25)
    assert supervised.loss_of(student.log(), labels, soft.log(), recipe) == pytest.approx(expected, abs=1e-6)


def test_hard_distillation_asks_each_head_its_own():
    """Class head 3 : 1 for class 0, token head 1 : 4; the label is half and half, the teacher's choice is class 1."""
    logits = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.0, math.log(4)]])
    soft, teacher = torch.tensor([[0.5, 0.5]]), torch.tensor([[-1.0, 2.0]])
    own = -0.5 * math.log(0.75) - 0.5 * math.log(0.25)
    expected = 0.5 * own + 0.5 * -math.log(0.8)
    assert supervised.loss_of(logits, soft, teacher, recipes.DEIT) == pytest.approx(expected, abs=1e-6)
    assert supervised.loss_of(logits, soft, None, recipes.DEIT) == pytest.approx(own, abs=1e-6)


def test_the_distillation_token_learns_from_the_teacher_alone():
    recipe = replace(recipes.DEIT, teacher_weight=1.0, mimetic=False)
    state = supervised.new_state(recipe, 5, "cpu", Says([0.0, 0.0, 9.0, 0.0, 0.0]))
    soft = torch.eye(5)[:2]
    loss = supervised.batch_loss(state, recipe, torch.randn(2, 3, 96, 96), soft, Says([0.0, 0.0, 9.0, 0.0, 0.0]))
    loss.backward()
    assert state.model.head_dist.weight.grad.abs().max() > 0
    assert state.model.head.weight.grad.abs().max() == 0
    x = torch.randn(1, 3, 128, 128)
    with torch.no_grad():  # what is measured and exported has one answer: the mean of both
        tokens = state.ema.forward_features(x)
        both = state.ema.head(tokens[:, 0]), state.ema.head_dist(tokens[:, 1])
        assert torch.allclose(state.ema(x), sum(both) / 2)


@pytest.mark.parametrize(
    "change",
    [{"distillation": "loud"}, {"teacher": (), "guide_weight": 1.0}, {"teacher": ("a", "b")}, {"accumulation": 33}],
)
def test_a_recipe_that_cannot_be_followed(change):
    with pytest.raises(VitdemoError, match="allowed"):
        replace(recipes.VIT, **change)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_no_recipe_has_views_that_its_student_cannot_see(name):
    recipe = recipes.RECIPES[name]
    assert training.read_teacher(replace(recipe, teacher=(), guide_weight=0.0), LABELS, Path("nowhere")) is None


def test_teachers_of_one_size_refuse_other_views(trained):
    recipe = replace(recipes.RESNET, teacher=("resnet", "levit"))
    with pytest.raises(VitdemoError, match=r"128 px.*'levit'.*\[96, 128\]"):
        training.read_teacher(recipe, LABELS, trained)
    several = training.read_teacher(replace(recipe, resolutions=((0.0, 128),)), LABELS, trained)
    cards = [json.loads((trained / f"{name}.json").read_text()) for name in recipe.teacher]
    assert several.temperatures == tuple(card["temperature"] for card in cards)


def test_the_card_of_a_student_names_its_teachers(trained):
    cards = {name: json.loads((trained / f"{name}.json").read_text()) for name in recipes.RECIPES}
    students = {name: card["student_of"] for name, card in cards.items() if "student_of" in card}
    assert students == {"student": ["dino", "lite"]}
    assert cards["vit"]["recipe"]["teacher"]["names"] == ["resnet"] and cards["levit"]["recipe"]["teacher"] is None


def test_a_deit_starts_from_a_plain_vit():
    vit = timm.create_model(recipes.VIT.architecture, num_classes=5, **recipes.VIT.arguments).eval()
    deit = timm.create_model(recipes.DEIT.architecture, num_classes=5, **recipes.DEIT.arguments).eval()
    names = supervised.warm_start(deit, vit.state_dict())
    assert set(names) == set(deit.state_dict())
    assert torch.equal(deit.pos_embed[:, 1:], vit.pos_embed) and torch.equal(deit.pos_embed[:, 0], vit.pos_embed[:, 0])
    with torch.no_grad():  # twins see the same, so both tokens say the same
        tokens = deit.forward_features(torch.randn(1, 3, 128, 128))
    assert torch.allclose(tokens[:, 0], tokens[:, 1], atol=1e-5)


def test_a_pretraining_has_no_card_and_gives_every_tensor_but_the_head(trained):
    start = training.read_start("mae", LABELS, trained)
    model = timm.create_model(recipes.VIT_MAE.architecture, num_classes=5, **recipes.VIT_MAE.arguments)
    names = supervised.warm_start(model, start)
    assert set(model.state_dict()) - set(names) == {"head.weight", "head.bias"}
    assert torch.equal(model.blocks[3].attn.qkv.weight, start["blocks.3.attn.qkv.weight"])


def test_a_start_that_fits_nowhere(trained):
    start = {f"other.{name}": t for name, t in training.read_start("mae", LABELS, trained).items()}
    with pytest.raises(WeightsError, match="other"):
        supervised.warm_start(timm.create_model("resnet10t", num_classes=5), start)


def test_each_layer_learns_more_slowly_than_the_one_above():
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=24, num_heads=2, num_classes=5)
    guide = nn.Linear(2, 2)
    groups = supervised.parameter_groups(model, guide, 0.05, 0.5)
    named = {id(p): name for name, p in model.named_parameters()}
    scales = {named.get(id(p), "guide"): group.get("lr_scale", 1.0) for group in groups for p in group["params"]}
    assert scales["head.weight"] == scales["head.bias"] == scales["guide"] == 1
    assert scales["blocks.1.mlp.fc1.weight"] == scales["norm.weight"] == 0.5
    assert scales["blocks.0.attn.qkv.bias"] == 0.25
    assert scales["patch_embed.proj.weight"] == scales["pos_embed"] == 0.125
    assert sum(len(group["params"]) for group in groups) == len(named) + 2
    assert all(group["weight_decay"] == 0.05 * (p.ndim > 1) for group in groups for p in group["params"])


def test_layer_decay_reaches_the_optimiser(pictures):
    """AdamW's first step has the length of the learning rate, whatever the gradient."""
    recipe = replace(
        recipes.VIT, teacher=(), guide_weight=0.0, mimetic=False, layer_decay=0.5, weight_decay=0.0, learning_rate=1e3
    )
    state = supervised.new_state(recipe, 5, "cpu")
    before = {name: p.detach().clone() for name, p in state.model.named_parameters()}
    supervised.run_epoch(state, recipe, 100, data.read_folder(pictures / "train", 64), None, "cpu")
    steps = {name: (p - before[name]).abs().max().item() for name, p in state.model.named_parameters()}
    assert steps["blocks.5.mlp.fc2.weight"] == pytest.approx(0.5 * steps["head.weight"], rel=1e-2)
    assert steps["blocks.0.mlp.fc2.weight"] == pytest.approx(0.5**6 * steps["head.weight"], rel=1e-2)


def test_mimetic_positions_leave_both_tokens_of_a_deit_alone():
    model = timm.create_model(recipes.DEIT.architecture, num_classes=5, **recipes.DEIT.arguments)
    initial.mimetic_(model)
    assert model.pos_embed[:, :2].abs().max() == 0 and model.pos_embed[:, 2:].std() > 0.5


@pytest.mark.parametrize(("name", "index"), [("swin", 2), ("deit", 3)])
def test_the_guide_finds_the_tokens_of_any_student(name, index):
    recipe = recipes.RECIPES[name]
    model = timm.create_model(recipe.architecture, num_classes=5, **recipe.arguments).eval()
    x = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        logits, tokens = supervised.with_intermediate(model, x, index)
        assert torch.allclose(logits, model(x), atol=1e-5)
    assert tokens.shape == (1, model.feature_info[index]["num_chs"], 8, 8)


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
