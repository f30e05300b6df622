"""Fine-tuning tiny backbones on a handful of pictures, from the folder to the analysis."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.conftest import LABELS
from vitdemo import host
from vitdemo.__main__ import main
from vitdemo.backbones import default_catalogue
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.models import labels_of
from vitdemo.training import supervised
from vitdemo.training.data import read_folder
from vitdemo.training.finetune import finetune, recipe_of, row_of, without_head

ROOT = Path(__file__).parent.parent
COLOURS = {"blue": (30, 40, 200), "green": (20, 190, 40), "red": (210, 30, 30)}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """train/ and val/ with three classes that a colour tells apart."""
    folder, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for label, colour in COLOURS.items():
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                noise = rng.integers(-30, 30, (40, 50, 3))
                pixels = np.clip(noise + np.array(colour), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def tuned(rows, pictures, tmp_path_factory) -> Path:
    return finetune(rows["vit"], pictures, tmp_path_factory.mktemp("tuned"), epochs=4)


def test_timm_reads_what_was_written(tuned, pictures):
    model = timm.create_model(f"local-dir:{tuned}", pretrained=True).eval()
    assert model.num_classes == 3 and model.pos_embed.shape == (1, 17, 24)
    config = json.loads((tuned / "config.json").read_text())
    assert config["label_names"] == sorted(COLOURS) and config["finetuned_from"] == "vit"
    assert config["pretrained_cfg"]["mean"] == [0.5, 0.4, 0.45] and config["pretrained_cfg"]["crop_pct"] == 0.9
    assert config["recipe"]["optimiser"]["thaw"] == [0.25, 0.75] and config["recipe"]["pictures"] == 18
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    right = 0
    for path in sorted((pictures / "val").glob("*/*.png")):
        with torch.no_grad():
            right += sorted(COLOURS)[model(transform(Image.open(path))[None]).argmax()] == path.parent.name
    assert config.get("validation_accuracy", 0.0) == pytest.approx(right / 6, abs=1e-4)
    log = [json.loads(line) for line in (tuned / "vit.log").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2, 3, 4] and {line["size"] for line in log} == {32}
    assert log[-1]["loss"] < log[0]["loss"]


def test_from_a_folder_to_the_analysis(tuned, pictures, tmp_path, capsys):
    picture = pictures / "val" / "red" / "0.png"
    words = ("--backbone", f"mine=local-dir:{tuned}", "--collection", "mine", "--backbones", "mine", "--device", "cpu")
    code = main(["analyse", str(picture), *words, "--explain", "rollout", "--out", str(tmp_path), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    document = json.loads(captured.out)
    probabilities = document["backbones"]["mine"]["probabilities"]
    model = timm.create_model(f"local-dir:{tuned}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    with torch.no_grad():
        expected = model(transform(Image.open(picture))[None]).softmax(1)[0].tolist()
    assert probabilities == pytest.approx(dict(zip(sorted(COLOURS), expected, strict=True)), abs=1e-4)
    assert (tmp_path / "mine.rollout.png").is_file()


def test_at_first_the_head_learns_alone_and_then_layer_after_layer(rows, pictures, tiny):
    """Of a network with BatchNorm: its running statistics are frozen with their layer."""
    recipe = replace(recipe_of(rows["resnet"], tiny["resnet"].transform, 100), batch=6)
    start = without_head(tiny["resnet"].network.body)
    state = supervised.new_state(recipe, 3, "cpu", start=start)
    in_memory = read_folder(pictures / "train", 40)
    assert all(torch.equal(tensor, state.model.state_dict()[name]) for name, tensor in start.items())

    def moved() -> set[str]:
        now = state.model.state_dict()
        return {name for name, before in start.items() if not torch.equal(before, now[name])}

    supervised.run_epoch(state, recipe, 8, in_memory, None, "cpu")
    supervised.run_epoch(state, recipe, 8, in_memory, None, "cpu")
    assert moved() == set()  # a quarter of 8 epochs
    supervised.run_epoch(state, recipe, 8, in_memory, None, "cpu")
    assert {"layer4.0.conv2.weight", "layer4.0.bn2.running_mean"} <= moved()
    assert not any(name.startswith(("conv1", "bn1", "layer1")) for name in moved())
    state.epoch = 6
    supervised.run_epoch(state, recipe, 8, in_memory, None, "cpu")
    assert moved() == set(start)  # every one, in the last quarter


def test_layers_thaw_from_the_top_and_none_freezes_again(rows, tiny):
    recipe = recipe_of(rows["vit"], tiny["vit"].transform, 100)
    counts = [supervised.open_layers(recipe, epoch, 12, 5) for epoch in range(12)]
    assert counts == [1, 1, 1, 2, 3, 3, 4, 5, 5, 5, 5, 5]
    assert supervised.open_layers(recipe, 0, 1, 5) == 1
    assert supervised.open_layers(replace(recipe, thaw=None), 0, 12, 5) == 5
    for change in ({"thaw": (0.5, 0.5)}, {"layer_decay": 1.0}):
        with pytest.raises(VitdemoError, match="thaw one by one"):
            replace(recipe, **change)


def test_a_resumed_fine_tuning_has_the_weights_of_an_uninterrupted_one(rows, pictures, tiny, tmp_path):
    recipe = replace(recipe_of(rows["vit"], tiny["vit"].transform, 100), batch=9)
    start, in_memory = without_head(tiny["vit"].network.body), read_folder(pictures / "train", 40)

    def states(epochs: int, state=None):
        state = state or supervised.new_state(recipe, 3, "cpu", start=start)
        while state.epoch < epochs:
            supervised.run_epoch(state, recipe, 4, in_memory, None, "cpu")
        return state

    whole = states(4)
    supervised.save(states(2), tmp_path / "half.ckpt")
    torch.manual_seed(1234)
    second = supervised.new_state(recipe, 3, "cpu", start=start)
    supervised.restore(second, tmp_path / "half.ckpt")
    expected, got = whole.model.state_dict(), states(4, second).model.state_dict()
    assert all(torch.equal(expected[name], got[name]) for name in expected)


@pytest.mark.parametrize("name", ["vit", "resnet", "distilled", "beit"])
def test_the_old_head_is_left_behind_and_nothing_else(name, tiny):
    body = tiny[name].network.body
    left = set(body.state_dict()) - set(without_head(body))
    heads = {"vit": ["head"], "resnet": ["fc"], "distilled": ["head", "head_dist"], "beit": ["head"]}[name]
    assert left == {f"{head}.{part}" for head in heads for part in ("weight", "bias")}


@pytest.mark.parametrize("row", list(default_catalogue()), ids=lambda row: row.name)
def test_every_backbone_of_the_catalogue_has_a_head_above_layers(row):
    """What depends on the number of classes is the head, by the shapes of a network with one class more."""
    classes = len(labels_of(row))
    body, other = (host.skeleton(row.architecture, count, row.arguments) for count in (classes, classes + 1))
    shapes = {name: tensor.shape for name, tensor in other.state_dict().items()}
    heads = {name for name, tensor in body.state_dict().items() if shapes[name] != tensor.shape}
    assert heads <= set(body.state_dict()) - set(without_head(body))
    named = {id(parameter): name for name, parameter in body.named_parameters()}
    groups = supervised.parameter_groups(body, torch.nn.Identity(), 0.05, 0.5)
    scales = {named[id(p)]: group.get("lr_scale", 1.0) for group in groups for p in group["params"]}
    assert heads <= {name for name, scale in scales.items() if scale == 1}
    assert len(set(scales.values())) >= 5 and set(scales) == set(named.values())


def test_our_own_architecture_is_read_by_a_fresh_program():
    config = {"architecture": "vit_resnet_tiny", "num_classes": 2, "pretrained_cfg": {}}
    code = f"from vitdemo.weights import parse_config; print(parse_config({config!r}, 'here')['architecture'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout == "vit_resnet_tiny\n", done.stderr


def test_the_new_head_is_new_even_where_the_old_one_would_fit(rows, tiny):
    recipe = recipe_of(rows["vit"], tiny["vit"].transform, 100)
    state = supervised.new_state(recipe, len(LABELS), "cpu", start=without_head(tiny["vit"].network.body))
    assert not torch.equal(state.model.head.weight, tiny["vit"].network.body.head.weight)
    assert torch.equal(state.model.norm.weight, tiny["vit"].network.body.norm.weight)


def test_backbones_that_are_refused(rows, tiny):
    with pytest.raises(VitdemoError, match=r"shape \(3, S, S\), got \(3, 32, 48\) of 'wide'"):
        recipe_of(rows["wide"], tiny["wide"].transform, 100)
    with pytest.raises(UnknownNameError, match="Unknown backbone 'gpt'; allowed: "):
        row_of("gpt")


def test_folders_that_are_refused_before_anything_is_written(rows, tmp_path):
    def put(place: str, content: bytes | None = None):
        (tmp_path / "data" / place).mkdir(parents=True, exist_ok=True)
        path = tmp_path / "data" / place / "a.png"
        Image.new("RGB", (40, 40)).save(path) if content is None else path.write_bytes(content)

    def refused(error: type[Exception], match: str):
        with pytest.raises(error, match=match):
            finetune(rows["vit"], tmp_path / "data", tmp_path / "out", epochs=1)
        assert not (tmp_path / "out").exists()

    refused(VitdemoError, "got none in .*train")
    put("train/ant")
    refused(VitdemoError, "Expected several classes, got 'ant' alone")
    put("train/bee")
    refused(VitdemoError, "got none in .*val")
    put("val/ant")
    put("val/bee", b"no picture at all")
    refused(VitdemoError, r"a picture of 'bee' that can be read, got none in .*val.bee: 'a\.png' is not")
    with pytest.raises(VitdemoError, match="Expected a number of epochs, got 0"):
        finetune(rows["vit"], tmp_path / "data", tmp_path / "out", epochs=0)


def test_a_checkpoint_of_other_classes_is_refused(rows, tuned, tmp_path):
    for split in ("train", "val"):
        for label in ("ant", "bee"):
            (tmp_path / split / label).mkdir(parents=True)
            Image.new("RGB", (40, 40)).save(tmp_path / split / label / "a.png")
    weights = load_file(tuned / "model.safetensors")
    with pytest.raises(VitdemoError, match=r"checkpoint of 'vit' with 2 classes, got "):
        finetune(rows["vit"], tmp_path, tuned, epochs=4)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in load_file(tuned / "model.safetensors").items())


def test_a_device_that_is_not_there_is_refused_before_anything_is_read(rows, pictures, tmp_path, monkeypatch, capsys):
    """As on a machine without CUDA, whatever this one has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(VitdemoError, match=r"^Expected a device of this machine, got 'cuda'; allowed here: 'cpu'\.$"):
        finetune(rows["vit"], tmp_path / "nowhere", tmp_path / "out", epochs=1, device="cuda")
    words = ("--backbone", "resnet", "--data", str(pictures), "--out", str(tmp_path / "out"), "--device", "cuda")
    assert main(["train", "finetune", *words]) == 2
    assert capsys.readouterr().err.startswith("This machine has no cuda device; allowed: ")
    assert not (tmp_path / "out").exists()
