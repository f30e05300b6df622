"""Classifiers that `transformers` saved, held against what that library says of the same pictures."""

import json

import numpy as np
import pytest
import timm
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from tests.conftest import paint
from tests.hub import HubServer, keep_to_this_machine
from tests.test_host import flags, last
from vitdemo import host
from vitdemo.attention import Layout, Recorder, layout_of
from vitdemo.backbones import Catalogue
from vitdemo.errors import WeightsError
from vitdemo.models import Models
from vitdemo.pipeline import Request, analyse
from vitdemo.predict import predict
from vitdemo.sources import Hub
from vitdemo.transformers_format import ARCHITECTURES, dinov2, is_described
from vitdemo.transformers_format.config import ratio
from vitdemo.transformers_format.preparation import prepared
from vitdemo.types import Heat
from vitdemo.weights import Fetcher

NAMES = {2: "lark", 0: "jay", 1: "kite"}  # in no order
SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
OTHER = {"layer_norm_eps": 0.05}  # large enough to be seen
RELATIVE = {"use_relative_position_bias": True}
CASES = {  # architecture, its settings, side of the pictures
    "ViT": ("ViTForImageClassification", SMALL | {"intermediate_size": 40}, 32),
    "ViT, other settings": (
        "ViTForImageClassification",
        SMALL | OTHER | {"intermediate_size": 37, "qkv_bias": False, "hidden_act": "gelu_new", "image_size": [32, 32]},
        32,
    ),
    "ViT, quick GELU": ("ViTForImageClassification", SMALL | {"hidden_act": "quick_gelu", "intermediate_size": 48}, 32),
    "DeiT": ("DeiTForImageClassification", SMALL | {"intermediate_size": 40}, 32),
    "DeiT, other settings": (
        "DeiTForImageClassification",
        SMALL | OTHER | {"intermediate_size": 29, "hidden_act": "relu", "qkv_bias": False, "patch_size": 4},
        32,
    ),
    "DeiT with its teacher's head": ("DeiTForImageClassificationWithTeacher", SMALL | {"intermediate_size": 40}, 32),
    "BEiT": ("BeitForImageClassification", SMALL | RELATIVE | {"intermediate_size": 40}, 32),
    "BEiT, other settings": (
        "BeitForImageClassification",
        SMALL
        | OTHER
        | {"intermediate_size": 31, "use_shared_relative_position_bias": True, "use_absolute_position_embeddings": True,
           "use_mean_pooling": False, "layer_scale_init_value": 0.0, "use_mask_token": True, "hidden_act": "silu"},
        32,
    ),
    "BEiT without positions": ("BeitForImageClassification", SMALL | OTHER | {"intermediate_size": 40}, 32),
    "DINOv2": ("Dinov2ForImageClassification", SMALL | {"mlp_ratio": 2}, 32),
    "DINOv2, smaller pictures": (
        "Dinov2ForImageClassification",
        SMALL | OTHER | {"image_size": 72, "mlp_ratio": 3},
        40,
    ),
    "DINOv2, other settings": (
        "Dinov2ForImageClassification",
        SMALL | OTHER | {"qkv_bias": False, "hidden_act": "gelu_fast", "use_mask_token": False, "mlp_ratio": 3},
        48,
    ),
    "DINOv2, gated": ("Dinov2ForImageClassification", SMALL | {"use_swiglu_ffn": True, "mlp_ratio": 4}, 32),
    "Swin": (
        "SwinForImageClassification",
        {"embed_dim": 8, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4, "image_size": 64, "patch_size": 4},
        64,
    ),
    "Swin, other settings": (  # for pictures of another size than it was made for
        "SwinForImageClassification",
        OTHER
        | {"embed_dim": 8, "depths": [2, 2, 1], "num_heads": [1, 2, 4], "window_size": 3, "image_size": 32,
           "patch_size": 4, "mlp_ratio": 2.5, "qkv_bias": False, "hidden_act": "gelu_pytorch_tanh"},
        48,
    ),
}  # fmt: skip


def made(case: str, seed: int = 0):
    """The classifier of a case with random numbers in every tensor, in eval mode."""
    architecture, settings, _ = CASES[case]
    kind = getattr(transformers, architecture)
    torch.manual_seed(seed)
    model = kind(kind.config_class(**settings, id2label=NAMES, attn_implementation="eager")).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
    return model


def saved(folder, case: str, side: int | None = None, **options):
    """What `transformers` writes for a case; returns its classifier."""
    model = made(case)
    model.save_pretrained(folder, **options)
    side = side or CASES[case][2]
    transformers.ViTImageProcessor(size={"height": side, "width": side}).save_pretrained(folder)
    return model


def edit(folder, file: str = "config.json", **changes) -> None:
    path = folder / file
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value != "absent"}))


def noise(side: int) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(tmp_path, models, case):
    oracle = saved(tmp_path, case)
    row = last(f"birds=local-dir:{tmp_path}")
    assert row.labels == ("jay", "kite", "lark")
    pixels = noise(CASES[case][2])
    with models.use([row]) as (model,), torch.inference_mode():
        body = model.network.body
        logits, expected = body(pixels), oracle(pixels).logits
        features = body.forward_head(body.forward_features(pixels), pre_logits=True)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5 * max(1, expected.abs().max().item()))
    assert expected.std(dim=0).max() > 1e-3, "both pictures look alike to it"
    if case not in ("DINOv2, smaller pictures", "DINOv2, other settings"):  # whose positions are resampled
        assert row.parameters == sum(p.numel() for name, p in oracle.named_parameters() if "mask_token" not in name)
    if "teacher" not in case:  # where two heads are averaged their features are, too
        torch.testing.assert_close(body.get_classifier()(features), logits, rtol=0, atol=1e-5)


def test_every_architecture_has_a_case():
    assert {architecture for architecture, _, _ in CASES.values()} == set(ARCHITECTURES)


@pytest.mark.parametrize("case", CASES)
def test_attention_is_recorded_and_rolled_out(tmp_path, models, case):
    """The matrices are those that `transformers` gives, where it gives all of them, and a map comes of them."""
    oracle = saved(tmp_path, case)
    row = last(f"birds=local-dir:{tmp_path}")
    pixels = noise(CASES[case][2])
    with models.use([row]) as (model,), torch.inference_mode():
        layout = layout_of(model.network.body, tuple(pixels.shape[-2:]))
        with Recorder() as recorder:
            model.network.body(pixels)
        expected = oracle(pixels, output_attentions=True).attentions
    assert isinstance(layout, Layout)
    if not case.startswith("Swin"):  # of which it gives the last block of each stage alone
        assert len(recorder.matrices) == len(expected) == layout.layers
        for ours, theirs in zip(recorder.matrices, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    result = analyse(
        paint(60, 50), Request("birds", ("birds",), explanations=("rollout", "grad_cam")), Catalogue([row]), models
    )
    assert set(result.maps["birds"]) == {"rollout", "grad_cam"}
    assert all(isinstance(heat, Heat) for heat in result.maps["birds"].values())
    assert np.ptp(result.maps["birds"]["rollout"].values) > 0


def test_a_head_that_reads_class_token_and_patches_counts_both_half(tmp_path, models):
    saved(tmp_path, "DINOv2")
    with models.use([last(f"birds=local-dir:{tmp_path}")]) as (model,):
        row = layout_of(model.network.body, (32, 32)).row(torch.zeros(1), 2)
    torch.testing.assert_close(row, torch.tensor([[0.5] + [0.5 / 16] * 16] * 2))


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 141, 3), dtype=np.uint8))
PROCESSORS = {
    "both sides": ("ViTImageProcessorPil", {"size": {"height": 32, "width": 32}}),
    "one number": ("ViTImageProcessorPil", {"size": 32, "resample": 3}),
    "nearest": ("ViTImageProcessorPil", {"size": 32, "resample": 0}),
    "a crop of a square": ("DeiTImageProcessorPil", {"size": 40, "crop_size": 32}),
    "a crop of the short side": ("BitImageProcessorPil", {"size": {"shortest_edge": 40}, "crop_size": 32}),
    "not rescaled": ("ViTImageProcessorPil", {"size": 32, "do_rescale": False, "image_mean": [120, 110, 100],
                                              "image_std": [50, 60, 70]}),
    "to -1 and beyond": ("ViTImageProcessorPil", {"size": 32, "rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1],
                                                  "image_std": [1, 1, 1]}),
    "not normalised": ("ViTImageProcessorPil", {"size": 32, "do_normalize": False}),
}  # fmt: skip


@pytest.mark.parametrize("case", PROCESSORS)
def test_pictures_are_made_ready_as_transformers_does(tmp_path, models, case):
    saved(tmp_path, "ViT")
    kind, settings = PROCESSORS[case]
    processor = getattr(transformers, kind)(**settings)
    processor.save_pretrained(tmp_path)
    with models.use([last(f"birds=local-dir:{tmp_path}")]) as (model,):
        network = model.network
        ours = (model.pixels([PICTURE]) - network.mean) / network.std
    theirs = processor(PICTURE, return_tensors="pt")["pixel_values"]
    step = 1 / 255 / network.std.min().item()  # of one level of brightness, which may be rounded the other way
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1.01 * step)
    assert (ours - theirs).abs().mean() < 0.02 * step


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"size": 384}, ([3, 384, 384], 1.0, "squash")),
        ({"size": {"height": 256, "width": 192}}, ([3, 256, 192], 1.0, "squash")),
        ({"size": 256, "crop_size": 224, "do_center_crop": True}, ([3, 224, 224], 0.875, "squash")),
        ({"size": {"shortest_edge": 256}, "crop_size": 224, "do_center_crop": True}, ([3, 224, 224], 0.875, "center")),
        (
            {"size": 256, "crop_size": 224, "feature_extractor_type": "DeiTFeatureExtractor"},
            ([3, 224, 224], 0.875, "squash"),
        ),
        (
            {"size": 256, "crop_size": 224, "image_processor_type": "BitImageProcessor"},
            ([3, 224, 224], 0.875, "center"),
        ),
    ],
)
def test_sizes_in_every_form(given, wanted):
    made = prepared({"image_mean": [0.5] * 3, "image_std": [0.5] * 3} | given, "x", "vit")
    assert (made["input_size"], made["crop_pct"], made["crop_mode"]) == wanted
    assert made["mean"] == made["std"] == pytest.approx([0.5] * 3)


@pytest.mark.parametrize("crop", range(1, 300, 7))
def test_a_crop_of_any_size_is_cut_from_the_size_that_was_asked_for(crop):
    given = {"size": 300, "crop_size": crop, "do_center_crop": True, "image_mean": [0] * 3, "image_std": [1] * 3}
    assert int(crop / prepared(given, "x", "vit")["crop_pct"]) == 300


@pytest.mark.parametrize(("hidden", "width"), [(37, 24), (3072, 768), (1, 3), (4096, 1023), (29, 24), (1499, 371)])
def test_a_ratio_gives_back_what_it_was_made_of(hidden, width):
    assert int(width * ratio(hidden, width)) == hidden


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"architectures": ["BertModel"]}, r"architectures of birds is \['BertModel'\]; allowed: one of ViTFor"),
        ({"architectures": "absent"}, "architectures of birds is None"),
        ({"hidden_act": "selu"}, "hidden_act of birds is selu; allowed: gelu, .*quick_gelu"),
        ({"num_channels": 1}, "num_channels of birds is 1; allowed: 3"),
        ({"num_attention_heads": 5}, "num_attention_heads of birds is 5; allowed: a divisor of hidden_size, 24"),
        ({"hidden_size": "24"}, "hidden_size of birds is 24; allowed: a whole number"),
        ({"qkv_bias": "no"}, "qkv_bias of birds is no; allowed: true or false"),
        ({"layer_norm_eps": -1}, "layer_norm_eps of birds is -1; allowed: a number"),
        ({"image_size": 64}, "image_size of birds is 64; allowed: 32 x 32, .* 64 x 64 here"),
        ({"patch_size": [8, 8, 8]}, "patch_size of birds is .*one or two sides"),
        ({"id2label": {"0": "jay", "0x": "kite"}}, "id2label"),
        ({"id2label": {"0": "jay", "7": "kite"}}, "id2label goes up to 7, and there are 2 classes"),
        ({"id2label": ["jay", "kite", "lark"]}, "allowed: an object of index and name"),
        ({"id2label": {"0": "jay"}}, "num_classes of birds is 1"),
        ({"num_labels": 4, "id2label": "absent"}, "3.* for .*4|another shape"),
        ({"problem_type": "multi_label_classification"}, "problem_type of birds"),
        ({"num_hidden_layers": 1}, r"left over: .*blocks\.1\."),
        ({"num_hidden_layers": 3}, r"missing: .*blocks\.2\."),
        ({"intermediate_size": 41}, r"of another shape: blocks\.0\.mlp\.fc1"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(tmp_path, changes, says):
    saved(tmp_path, "ViT")
    edit(tmp_path, **changes)
    with pytest.raises(WeightsError, match=says) as raised:
        last(f"birds=local-dir:{tmp_path}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"size": "absent"}, "size of birds is None"),
        ({"size": {"shortest_edge": 32}}, "size of birds is .*shortest_edge with a square crop"),
        ({"size": {"shortest_edge": 32, "longest_edge": 64}}, "size of birds"),
        ({"size": 5000}, "size of birds is 5000"),
        ({"do_center_crop": True}, "crop_size of birds is None"),
        ({"do_center_crop": True, "crop_size": 40}, "size of birds"),
        ({"do_resize": False}, "do_resize of birds is False; allowed: true"),
        ({"resample": 9}, "resample of birds is 9; allowed: a whole number from 0 to 5"),
        ({"image_mean": "absent"}, "image_mean of birds is None; allowed: three numbers"),
        ({"image_std": [0.5, 0, 0.5]}, "image_std of birds"),
        ({"rescale_factor": 0}, "rescale_factor of birds is 0"),
        ({"do_rescale": "yes"}, "do_rescale of birds is yes; allowed: true or false"),
        ({"do_pad": True}, "do_pad of birds is True"),
        ({"image_processor_type": "ConvNextImageProcessor"}, "image_processor_type of birds is ConvNext.*allowed: ViT"),
    ],
)
def test_a_preparation_that_cannot_be_followed_is_refused_by_name(tmp_path, changes, says):
    saved(tmp_path, "ViT")
    edit(tmp_path, "preprocessor_config.json", **changes)
    with pytest.raises(WeightsError, match=says):
        last(f"birds=local-dir:{tmp_path}")


@pytest.mark.parametrize(
    ("case", "changes", "says"),
    [
        ("Swin", {"use_absolute_embeddings": True}, "use_absolute_embeddings of birds is True; allowed: false"),
        ("Swin", {"num_heads": [3, 4]}, "num_heads of birds"),
        ("Swin", {"patch_size": 5}, "patch_size of birds is 5; allowed: a divisor"),
        ("Swin", {"window_size": 16}, r"of another shape: .*relative_position_bias_table"),
        ("Swin", {"depths": [2, 0]}, "depths of birds"),
        ("Swin", {"window_size": 3}, r"window_size of birds is 3; allowed: a divisor of every grid .*\[16, 8\]"),
        ("DINOv2", {"image_size": [32, 40]}, "image_size of birds"),
        ("DINOv2", {"use_swiglu_ffn": True}, "of another shape"),
        ("BEiT", {"use_relative_position_bias": False}, r"2 left over: .*relative_position_bias_table"),
        ("BEiT", {"use_mean_pooling": False}, r"left over: .*fc_norm.* missing: norm"),
    ],
)
def test_settings_of_one_architecture_are_refused_by_name(tmp_path, case, changes, says):
    saved(tmp_path, case)
    edit(tmp_path, **changes)
    with pytest.raises(WeightsError, match=says):
        last(f"birds=local-dir:{tmp_path}")


def test_tensors_without_a_place_are_named(tmp_path):
    saved(tmp_path, "ViT")
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"vit.pooler.dense.weight": torch.zeros(24, 24), "classifier.scale": torch.ones(1)}, file)
    says = r"tensors of birds are not those of ViTForImageClassification: 2 left over: classifier\.scale, vit\.pooler"
    with pytest.raises(WeightsError, match=says):
        last(f"birds=local-dir:{tmp_path}")
    del tensors["vit.encoder.layer.1.attention.attention.key.bias"]
    save_file(tensors, file)
    with pytest.raises(
        WeightsError, match=r"2 left over: blocks\.1\.attn\.query\.bias.*1 missing: blocks\.1\.attn\.qkv"
    ):
        last(f"birds=local-dir:{tmp_path}")


def test_tables_that_follow_from_the_window_are_not_left_over(tmp_path):
    saved(tmp_path, "Swin")
    file = tmp_path / "model.safetensors"
    index = {"swin.encoder.layers.0.blocks.0.attention.self.relative_position_index": torch.zeros(16, 16).long()}
    save_file(load_file(file) | index, file)
    assert last(f"birds=local-dir:{tmp_path}").family == "Swin"


def test_half_precision_and_shards(tmp_path, models):
    oracle = saved(tmp_path, "ViT", max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1 and not (tmp_path / "model.safetensors").exists()
    for file in tmp_path.glob("model-*.safetensors"):
        save_file({key: value.half() for key, value in load_file(file).items()}, file)
    row, pixels = last(f"birds=local-dir:{tmp_path}"), noise(32)
    with models.use([row]) as (model,), torch.inference_mode():
        said, expected = model.network.body(pixels), oracle.half().float()(pixels).logits
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-5)
    assert row.megabytes < 0.1
    next(iter(tmp_path.glob("model-00001-*"))).unlink()
    with pytest.raises(WeightsError, match="has no model-00001-of-"):
        last(f"birds=local-dir:{tmp_path}")


@pytest.mark.parametrize("index", ["[]", '{"weight_map": {}}', '{"weight_map": {"a": "../a.safetensors"}}', "{"])
def test_an_index_that_is_none_is_refused(tmp_path, index):
    saved(tmp_path, "ViT")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(WeightsError, match=r"model.safetensors.index.json of .* is not valid"):
        last(f"birds=local-dir:{tmp_path}")


def test_a_missing_file_is_named(tmp_path):
    saved(tmp_path, "ViT")
    (tmp_path / "preprocessor_config.json").rename(tmp_path / "other.json")
    with pytest.raises(WeightsError, match=r"has no preprocessor_config\.json"):
        last(f"birds=local-dir:{tmp_path}")
    (tmp_path / "other.json").rename(tmp_path / "preprocessor_config.json")
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"has no model\.safetensors"):
        last(f"birds=local-dir:{tmp_path}")


def test_classes_without_names_are_called_as_transformers_calls_them(tmp_path):
    model = made("ViT")
    model.classifier = nn.Linear(24, 2)
    model.config.id2label = {0: "LABEL_0", 1: "LABEL_1"}
    model.save_pretrained(tmp_path)
    transformers.ViTImageProcessor(size=32).save_pretrained(tmp_path)
    edit(tmp_path, id2label="absent")
    assert last(f"birds=local-dir:{tmp_path}").labels == ("LABEL_0", "LABEL_1")
    (tmp_path / "labels.txt").write_text("jay\nkite\n")
    assert last(f"birds=local-dir:{tmp_path}").labels == ("jay", "kite")


def test_the_format_is_told_from_timms():
    assert is_described({"architectures": ["X"]}) and is_described({"model_type": "vit"})
    assert not is_described({"architecture": "resnet18", "architectures": ["TimmWrapper"]})
    assert not is_described({}) and not is_described([])


@pytest.mark.parametrize("shards", [False, True])
def test_a_repository_needs_its_description_now_and_its_weights_later(tmp_path, monkeypatch, shards):
    keep_to_this_machine(monkeypatch)
    oracle = saved(tmp_path / "made", "DINOv2, smaller pictures", max_shard_size="20KB" if shards else "1GB")
    with HubServer() as hub:
        hub.add_repository("lab/birds", {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()})
        fetcher = Fetcher(tmp_path / "cache", endpoint=hub.endpoint)
        revision = hub.commit("lab/birds")
        row = last(f"birds=hf-hub:lab/birds@{revision}", fetcher=fetcher)
        assert isinstance(row.source, Hub) and (len(row.source.files) > 1) == shards
        assert hub.count("GET", ".safetensors") == 0 and not row.source.is_here(fetcher)
        steps, pixels = [], noise(40)
        with Models("cpu", fetcher=fetcher).use([row], lambda _, done, total: steps.append((done, total))) as (model,):
            with torch.inference_mode():
                torch.testing.assert_close(model.network.body(pixels), oracle(pixels).logits, rtol=0, atol=1e-4)
            assert predict(model, model.pixels([paint(70, 50)])).probabilities.shape == (1, 3)
        assert hub.count("GET", ".safetensors") == len(row.source.files) and row.source.is_here(fetcher)
        size = sum(path.stat().st_size for path in (tmp_path / "made").glob("*.safetensors"))
        assert steps == sorted(steps) and steps[-1] == (size, size)
    row = last(f"birds=hf-hub:lab/birds@{revision}", fetcher=Fetcher(tmp_path / "cache", offline=True))
    assert len(row.source.files) > 1 if shards else row.source.files == ("model.safetensors",)


def test_a_repository_that_lacks_something_is_refused(tmp_path, monkeypatch):
    keep_to_this_machine(monkeypatch)
    saved(tmp_path / "made", "ViT")
    files = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    with HubServer() as hub:
        hub.add("lab/none", "config.json", files["config.json"])
        fetcher = Fetcher(tmp_path / "cache", endpoint=hub.endpoint)
        with pytest.raises(WeightsError, match=r"no file 'preprocessor_config\.json' of 'lab/none'"):
            last("birds=hf-hub:lab/none", fetcher=fetcher)
        hub.add("lab/none", "preprocessor_config.json", files["preprocessor_config.json"])
        row = last("birds=hf-hub:lab/none", fetcher=fetcher)
        with (
            pytest.raises(WeightsError, match=r"no file 'model\.safetensors' of 'lab/none'"),
            host.models(flags("--device", "cpu"), fetcher).use([row]),
        ):
            pass


def test_the_body_of_a_dinov2_fills_timms():
    """Behind any prefix, as exported files have them."""
    model = made("DINOv2").dinov2
    given = {}
    for name, tensor in load(model).items():
        given[f"backbone.{name}"] = tensor
    found, left = dinov2(given | {"decoder.weight": torch.zeros(1)})
    body = timm.create_model(
        "vit_small_patch14_dinov2", img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2, mlp_ratio=2,
        num_classes=0,
    ).eval()  # fmt: skip
    assert left == ["decoder.weight"]
    body.load_state_dict(found)
    with torch.inference_mode():
        ours, theirs = body.forward_features(noise(32)), model(noise(32)).last_hidden_state
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def load(model) -> dict[str, torch.Tensor]:
    """The tensors of a model by the names that it has in a file."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(f"{folder}/model.safetensors")
