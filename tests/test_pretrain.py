"""Pre-training without labels: masks, losses, formulas, the loop and what it writes, on a few small pictures."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

from vitdemo.errors import UnknownNameError, VitdemoError, WeightsError
from vitdemo.training import data, formula, instance, masked, pretrain, train
from vitdemo.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]
SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}  # 16 patches of 192 values


def small(name: str, **changes) -> pretrain.Pretraining:
    """A pre-training of the registry, on a tiny encoder."""
    settings = {"arguments": SMALL, "batch": 8, "classes": 4, "per_class": 4, "short_side": 40} | changes
    return replace(pretrain.PRETRAININGS[name], **settings)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """train/ and val/ with two classes of smooth noise."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3)):
        for label in ("a", "b"):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                noise = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
                noise.resize((50, 40), Image.Resampling.BICUBIC).save(folder / split / label / f"{number}.png")
    return folder


@pytest.fixture(params=sorted(masked.DECODERS))
def pair(request):
    """A tiny encoder with random weights and a decoder for it, in eval mode."""
    torch.manual_seed(0)
    encoder = pretrain.new_encoder(small(request.param))
    return encoder.eval(), masked.DECODERS[request.param](encoder).eval()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def mask_of(pictures: int, patches: int = 16, ratio: float = 0.75, seed: int = 0) -> torch.Tensor:
    return masked.random_mask(pictures, patches, ratio, torch.Generator().manual_seed(seed))


# -- masks and patches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("patches", "ratio", "hidden"), [(64, 0.75, 48), (64, 0.6, 38), (16, 0.75, 12), (9, 1.0, 9)])
def test_a_mask_hides_exactly_its_share_of_every_picture(patches, ratio, hidden):
    assert mask_of(50, patches, ratio).sum(1).tolist() == [hidden] * 50


def test_masks_differ_between_pictures_and_follow_the_seed():
    mask = mask_of(50, 64)
    assert len({tuple(row.tolist()) for row in mask}) == 50
    assert torch.equal(mask, mask_of(50, 64)) and not torch.equal(mask, mask_of(50, 64, seed=1))


def test_every_patch_is_hidden_equally_often():
    shares = mask_of(4000, 16).float().mean(0)
    assert (shares - 0.75).abs().max() < 5 * math.sqrt(0.75 * 0.25 / 4000)


def test_patches_are_cut_row_by_row_and_put_back():
    x = noise(2, 3, 16, 24)
    patches = masked.patchify(x, 8)
    assert patches.shape == (2, 6, 192)
    assert torch.equal(patches[1, 4].view(8, 8, 3), x[1, :, 8:16, 8:16].permute(1, 2, 0))
    assert torch.equal(masked.unpatchify(patches, 8, (2, 3)), x)


def test_patches_are_those_of_the_embedding():
    """Through the weights of timm's convolution, patch by patch, one gets timm's tokens."""
    embedding = pretrain.new_encoder(small("mae")).patch_embed
    x = noise(2, 3, 32, 32)
    weight = embedding.proj.weight.permute(0, 2, 3, 1).flatten(1)  # (D, P), the channel last
    torch.testing.assert_close(masked.patchify(x, 8) @ weight.T + embedding.proj.bias, embedding(x))


# -- losses --------------------------------------------------------------------------------------------------


def test_a_loss_worked_by_hand():
    target = torch.tensor([[[1.0, 3.0], [0.0, 0.0], [2.0, 2.0]]])
    predicted = torch.tensor([[[2.0, 1.0], [9.0, 9.0], [2.0, -1.0]]])
    mask = torch.tensor([[True, False, True]])
    assert masked.masked_error(predicted, target, mask, 2).item() == ((1 + 4) / 2 + (0 + 9) / 2) / 2
    assert masked.masked_error(predicted, target, mask, 1).item() == ((1 + 2) / 2 + (0 + 3) / 2) / 2


@pytest.mark.parametrize("power", [1, 2])
def test_the_loss_sees_hidden_patches_only(power):
    target, predicted, mask = noise(3, 16, 12), noise(3, 16, 12, seed=1), mask_of(3)
    before = masked.masked_error(predicted, target, mask, power)
    elsewhere = predicted + 5 * ~mask[..., None]
    assert torch.equal(masked.masked_error(elsewhere, target, mask, power), before)
    assert masked.masked_error(predicted + 5 * mask[..., None], target, mask, power) > before + 1


def test_the_target_of_an_mae_has_mean_0_and_deviation_1():
    decoder = masked.MaeDecoder(pretrain.new_encoder(small("mae")))
    target = decoder.target(3 + 2 * noise(2, 3, 32, 32))
    assert target.mean(-1).abs().max() < 1e-5
    assert (target.std(-1) - 1).abs().max() < 1e-5
    nothing = masked.masked_error(torch.zeros_like(target), target, mask_of(2), 2)
    assert nothing.item() == pytest.approx(191 / 192, abs=1e-5)  # the deviation is the unbiased one, the error is not


def test_hidden_pixels_do_not_reach_the_prediction(pair):
    encoder, decoder = pair
    x, mask = noise(2, 3, 32, 32), mask_of(2)
    hidden = masked.unpatchify(mask[..., None].expand(-1, -1, 192).float(), 8, (4, 4)).bool()
    predicted = decoder(encoder, x, mask)
    assert torch.allclose(decoder(encoder, torch.where(hidden, 7.0, x), mask), predicted, atol=1e-6)
    assert not torch.allclose(decoder(encoder, torch.where(hidden, x, 7.0), mask), predicted, atol=1e-2)


def test_the_encoder_of_an_mae_is_given_the_visible_patches_only():
    encoder = pretrain.new_encoder(small("mae")).eval()
    x, mask = noise(2, 3, 32, 32), mask_of(2)
    assert masked.encode_visible(encoder, x, mask).shape == (2, 1 + 4, 32)


def test_with_nothing_hidden_both_ways_are_timms_own():
    encoder = pretrain.new_encoder(small("mae")).eval()
    x, nothing = noise(2, 3, 32, 32), torch.zeros(2, 16, dtype=torch.bool)
    expected = encoder.forward_features(x)
    torch.testing.assert_close(masked.encode_visible(encoder, x, nothing), expected)
    torch.testing.assert_close(masked.encode_replaced(encoder, x, nothing, noise(32)), expected)


def test_the_prediction_of_an_mae_stands_where_its_patch_was():
    """A decoder without depth gives visible places their own token and hidden places the mask's, in the right order."""
    torch.manual_seed(0)
    encoder = pretrain.new_encoder(small("mae")).eval()
    decoder = masked.MaeDecoder(encoder, width=32, depth=0)
    x, mask = noise(2, 3, 32, 32), mask_of(2)
    seen = decoder.embed(masked.encode_visible(encoder, x, mask))[:, 1:]
    expected = torch.stack([decoder.mask_token.expand(16, -1)] * 2).clone()
    for picture in range(2):
        for order, place in enumerate((~mask[picture]).nonzero()[:, 0].tolist()):
            expected[picture, place] = seen[picture, order]
    expected = decoder.head(decoder.norm(expected + decoder.places[:, 1:]))
    torch.testing.assert_close(decoder(encoder, x, mask), expected)


# -- reconstructions -----------------------------------------------------------------------------------------


def test_a_reconstruction_keeps_what_was_visible(pair):
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    x = data.normalise(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)[0]
    hidden, filled, original = masked.reconstruct(*pair, x, seed=3)
    assert all(image.shape == (32, 32, 3) and image.dtype == np.uint8 for image in (hidden, filled, original))
    assert np.array_equal(original, picture)
    covered = (hidden == masked.GREY).all(-1)
    assert covered.mean() == 0.75
    assert np.array_equal(filled[~covered], picture[~covered]) and np.array_equal(hidden[~covered], picture[~covered])
    assert not np.array_equal(filled[covered], picture[covered])
    again, other = masked.reconstruct(*pair, x, seed=3)[0], masked.reconstruct(*pair, x, seed=4)[0]
    assert np.array_equal(again, hidden) and not np.array_equal(other, hidden)


def test_a_right_prediction_gives_the_picture_back(pair):
    """Whatever the target is: as pixels it is the picture again."""
    _, decoder = pair
    x = noise(2, 3, 32, 32)
    torch.testing.assert_close(decoder.pixels(decoder.target(x), x), masked.patchify(x, 8))


def test_a_figure_has_a_row_for_each_picture(pair):
    sheet = masked.reconstruction_figure(*pair, noise(2, 3, 32, 32), scale=2)
    assert sheet.size == (3 * 64 + 2 * masked.GAP, 2 * 64 + masked.GAP)
    first = masked.reconstruct(*pair, noise(2, 3, 32, 32)[0], seed=0)[2]
    assert np.array_equal(np.asarray(sheet)[0:64:2, -64::2], first)


# -- formulas and instances ----------------------------------------------------------------------------------


def test_formulas_are_drawn_alike_from_one_seed():
    def drawn(seed: int, order) -> dict[int, bytes]:
        images = formula.Formulas([formula.formula(seed, number) for number in range(4)], 2, 0, 32, seed)
        return {index: images[index].tobytes() for index in order}

    once = drawn(5, range(8))
    assert drawn(5, reversed(range(8))) == once
    assert len(set(once.values())) == 8
    assert not set(drawn(6, range(8)).values()) & set(once.values())


def test_formulas_have_instances_without_end():
    classes = [formula.formula(0, number) for number in range(2)]
    early, late = (formula.Formulas(classes, 2, first, 32, 0) for first in (0, 2))
    assert len(early) == 4
    assert not {image.tobytes() for image in early} & {image.tobytes() for image in late}
    assert np.array_equal(formula.Formulas(classes, 4, 0, 32, 0)[4], late[0])


@pytest.mark.parametrize("kind", [0, 1], ids=["contours", "fractals"])
def test_a_class_of_formulas_can_be_told_from_others(kind):
    """Blurred brightness alone puts a picture beside one of its own class far more often than chance, 3 in 31."""
    numbers = range(kind, 16, 2)
    pictures = []
    for number in numbers:
        drawn, rng = formula.formula(1, number), np.random.default_rng((2, number))
        for _ in range(4):
            brightness = drawn.draw(64, rng)
            assert brightness.shape == (64, 64) and brightness.min() >= 0 and 0.5 < brightness.max() <= 1
            pictures.append(brightness.reshape(16, 4, 16, 4).mean((1, 3)).ravel())
    vectors = np.stack(pictures)
    vectors = (vectors - vectors.mean(1, keepdims=True)) / vectors.std(1, keepdims=True)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -np.inf)
    classes = np.repeat(np.arange(8), 4)
    assert (classes[likeness.argmax(1)] == classes).mean() > 0.3


def test_a_fractal_is_where_its_maps_put_it():
    """Each of the four maps shrinks the square into one quarter, so that the attractor is the whole square."""
    offsets = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) / 2
    square = formula.Fractal(np.stack([np.eye(2) / 2] * 4), offsets)
    counts = square.counts(8, np.random.default_rng(0))
    inner = counts[1:-1, 1:-1]
    assert inner.min() > 0.8 * inner.mean()
    dust = formula.Fractal(np.stack([np.eye(2) / 4] * 4), 1.5 * offsets).counts(16, np.random.default_rng(0))
    assert (dust == 0).mean() > 0.5


def test_every_picture_is_a_class_of_its_own(pictures):
    read = data.read_folder(pictures / "train", 40)
    alone = instance.instances(read)
    assert alone.targets.tolist() == list(range(16)) and len(alone.labels) == 16 and alone.images is read.images


def test_a_classifier_that_knows_nothing_costs_the_logarithm_of_its_classes():
    encoder = pretrain.new_encoder(small("instance"))
    classifier = instance.Classifier(encoder, 10)
    torch.nn.init.zeros_(classifier.head.weight)
    soft = torch.softmax(noise(4, 10), 1)
    assert instance.loss(encoder, classifier, noise(4, 3, 32, 32), soft).item() == pytest.approx(math.log(10))


# -- the loop ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", pretrain.PRETRAININGS)
def test_an_epoch_of_each_is_written_and_fits_timm(name, pictures, tmp_path, monkeypatch):
    chosen = small(name)
    monkeypatch.setitem(pretrain.PRETRAININGS, name, chosen)
    path = pretrain.pretrain(name, pictures, tmp_path, epochs=1)
    assert path == tmp_path / f"{name}.safetensors"
    (line,) = [json.loads(text) for text in (tmp_path / f"{name}.log").read_text().splitlines()]
    assert line["epoch"] == 1 and math.isfinite(line["loss"]) and ("val" in line) != ("accuracy" in line)
    model = timm.create_model(chosen.architecture, num_classes=5, **SMALL)
    missing, unexpected = model.load_state_dict(load_file(path), strict=False)
    assert sorted(missing) == ["head.bias", "head.weight"] and not unexpected
    start = pretrain.new_state(chosen, 4, "cpu").encoder.state_dict()
    moved = [key for key, value in load_file(path).items() if not torch.equal(value, start[key])]
    assert {"patch_embed.proj.weight", "blocks.1.attn.qkv.weight", "cls_token"} <= set(moved)


@pytest.mark.parametrize("name", pretrain.PRETRAININGS)
def test_each_fits_the_recipe_that_it_is_for(name):
    """The tensors have the names and shapes of the plain ViT that the labels teach."""
    chosen, recipe = pretrain.PRETRAININGS[name], RECIPES["vit"]
    with torch.device("meta"):
        wanted = timm.create_model(recipe.architecture, num_classes=5, **recipe.arguments).state_dict()
        given = timm.create_model(chosen.architecture, num_classes=0, **chosen.arguments).state_dict()
    assert {key: value.shape for key, value in wanted.items() if not key.startswith("head.")} == {
        key: value.shape for key, value in given.items()
    }


@pytest.mark.parametrize("name", pretrain.PRETRAININGS)
def test_a_resumed_training_has_the_weights_of_an_uninterrupted_one(name, pictures, tmp_path):
    chosen = small(name)
    sources = pretrain.read_sources(chosen, pictures)
    whole = pretrain.fit(chosen, sources, tmp_path / "whole", 2, True, "cpu")

    first = pretrain.new_state(chosen, sources.classes, "cpu")
    pretrain.run_epoch(first, chosen, 2, sources, "cpu")
    (tmp_path / "parts").mkdir()
    pretrain.save(first, tmp_path / "parts" / f"{name}.ckpt")
    torch.manual_seed(1234)  # what else the process draws must not matter
    second = pretrain.fit(chosen, sources, tmp_path / "parts", 2, True, "cpu")
    assert second.epoch == whole.epoch == 2
    for module in ("encoder", "decoder"):
        expected, got = getattr(whole, module).state_dict(), getattr(second, module).state_dict()
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[key], got[key]) for key in expected)
    assert len((tmp_path / "parts" / f"{name}.log").read_text().splitlines()) == 1  # only what was left to do


def test_an_mae_learns_what_is_the_same_everywhere(tmp_path):
    """On pictures of one repeated gradient, hidden patches can be known, and soon are."""
    ramp = np.tile(np.linspace(0, 255, 8), 5)[None, :, None].repeat(40, 0).repeat(3, 2).astype(np.uint8)
    pictures = data.Pictures([ramp] * 32, torch.zeros(32, dtype=torch.int64), ("ramp",))
    whole = data.Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0), rotation_probability=0.0, jitter=0.0, erasing=0.0)
    chosen = small("mae", augmentation=replace(whole, mixing_probability=0.0), learning_rate=4e-3)
    views = pretrain.centre_views([ramp], 32)
    sources = pretrain.Sources(lambda epoch: pictures, views, torch.zeros(1, dtype=torch.int64), 1)
    state = pretrain.new_state(chosen, 1, "cpu")
    before = pretrain.run_epoch(state, chosen, 12, sources, "cpu")
    for _ in range(11):
        after = pretrain.run_epoch(state, chosen, 12, sources, "cpu")
    assert before > 0.9 and after < 0.7
    assert pretrain.measure(state, chosen, sources) == pretrain.measure(state, chosen, sources)


def test_one_stage_starts_from_another(pictures, tmp_path, monkeypatch):
    first, second = small("mae"), small("instance", start="mae", learning_rate=0.0)
    monkeypatch.setitem(pretrain.PRETRAININGS, "mae", first)
    monkeypatch.setitem(pretrain.PRETRAININGS, "instance", second)
    with pytest.raises(WeightsError, match="run 'mae' first"):
        pretrain.pretrain("instance", pictures, tmp_path, epochs=1)
    given = load_file(pretrain.pretrain("mae", pictures, tmp_path, epochs=1))
    got = load_file(pretrain.pretrain("instance", pictures, tmp_path, epochs=1))
    assert got.keys() == given.keys() and all(torch.equal(got[key], given[key]) for key in got)


def test_the_command_line_writes_weights_and_a_figure(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(pretrain.PRETRAININGS, "mae", small("mae"))
    where = ["--data", str(pictures), "--out", str(tmp_path), "--epochs", "1"]
    assert pretrain.main(["mae", *where, "--figure", str(tmp_path / "mae.png")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "mae.safetensors")
    with Image.open(tmp_path / "mae.png") as sheet:
        assert sheet.size == (3 * 64 + 2 * masked.GAP, 4 * 64 + 3 * masked.GAP)
    assert pretrain.figure(small("formula"), pictures, tmp_path).size == (10 * 128, 4 * 128)


def test_a_figure_of_the_drawn_samples_shows_them_and_no_picture_of_the_folder(pictures, tmp_path, monkeypatch):
    """Its last column is the samples as they are, whatever the weights; the first hides three quarters of each."""
    monkeypatch.setitem(pretrain.PRETRAININGS, "mae", small("mae"))
    where = ["--data", str(pictures), "--out", str(tmp_path), "--epochs", "1"]
    assert pretrain.main(["mae", *where, "--figure", str(tmp_path / "mae.png"), "--samples"]) == 0
    assert_of_samples(tmp_path / "mae.png", 32, 8, lost=0.5)


def test_the_shipped_figure_is_of_the_drawn_samples():
    """The file that the page shows is no photograph, and small enough to travel with it."""
    arguments, path = pretrain.MAE.arguments, ROOT / "assets" / "results" / "mae.webp"
    assert_of_samples(path, arguments["img_size"], arguments.get("patch_size", 16), lost=4)
    assert path.stat().st_size < 200_000


def assert_of_samples(path: Path, side: int, patch: int, lost: float) -> None:
    """A sheet of masked, reconstructed, original: of drawn samples of `side` pixels with patches of `patch`, doubled.

    `lost` is what the file's format may change, as a mean over pixels, of 255.
    """
    samples = pretrain.centre_views(pretrain.sample_pictures(), side).permute(0, 2, 3, 1).numpy().astype(int)
    assert len(samples) == 6
    with Image.open(path) as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)[::2, ::2]
    step = side + masked.GAP // 2
    assert pixels.shape == (6 * step - masked.GAP // 2, 3 * step - masked.GAP // 2, 3)
    for row, sample in enumerate(samples):
        hidden, guessed, original = (
            pixels[row * step : row * step + side, column * step : column * step + side] for column in range(3)
        )
        assert np.abs(original - sample).mean() <= lost
        n = side // patch
        inner = hidden.reshape(n, patch, n, patch, 3)[:, 2:-2, :, 2:-2]  # the edges bleed into their neighbours
        grey = np.abs(inner - masked.GREY).max((1, 3, 4)) < 12
        assert grey.sum() == round(0.75 * n * n)
        seen = ~grey.repeat(patch, 0).repeat(patch, 1)
        assert np.abs(guessed - sample)[seen].mean() <= 1.5 * lost < np.abs(guessed - sample)[~seen].mean()


def test_train_runs_pre_trainings_too(pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(pretrain.PRETRAININGS, "mae", small("mae"))
    tensors = load_file(train("mae", pictures, tmp_path, epochs=1, seed=2))
    begun = pretrain.new_state(small("mae", seed=2), 1, "cpu").encoder.patch_embed.proj.weight
    assert (tensors["patch_embed.proj.weight"] - begun).abs().max() < 0.05  # of the seed that was asked for
    assert not set(pretrain.PRETRAININGS) & set(RECIPES)


def test_what_cannot_be_done_is_said_in_a_sentence(pictures, tmp_path, capsys):
    with pytest.raises(UnknownNameError, match="mae"):
        pretrain.pretrain("beit", pictures, tmp_path)
    with pytest.raises(VitdemoError, match="1 and more"):
        pretrain.pretrain("mae", pictures, tmp_path, epochs=0)
    chosen = small("mae")
    state = pretrain.new_state(replace(chosen, seed=9), 2, "cpu")
    pretrain.save(state, tmp_path / "mae.ckpt")
    with pytest.raises(VitdemoError, match="seed 0, got one with 9"):
        pretrain.fit(chosen, pretrain.read_sources(chosen, pictures), tmp_path, 1, True, "cpu")
    with pytest.raises(VitdemoError, match="can be drawn"):
        pretrain.figure(small("instance"), pictures, tmp_path)
    assert pretrain.main(["mae", "--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "Expected pictures" in capsys.readouterr().err
    figures = {"instance": ("a.png", "can be drawn"), "mae": ("a.gif", "allowed: .png, .webp")}
    for name, (file, words) in figures.items():  # before anything is read or learned
        assert pretrain.main([name, "--data", str(tmp_path), "--out", str(tmp_path), "--figure", file]) == 2
        assert words in capsys.readouterr().err
