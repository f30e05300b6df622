"""Networks from elsewhere: what their config.json, labels and weights may say, and what is refused by name at start."""

import json
import time

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

from tests.test_host import edit, last
from vitdemo import checkpoint, host
from vitdemo.backbones import IMAGENET
from vitdemo.errors import WeightsError
from vitdemo.labels import described, first_name, imagenet_labels, is_imagenet, listed, read, tidy
from vitdemo.views import view_of
from vitdemo.weights import parse_config

ARGUMENTS = {"img_size": 64, "depth": 1, "embed_dim": 32, "num_heads": 2}
CATS = ["cat", "dog", "cow"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny transformer of three classes, as timm saves it."""
    folder = tmp_path_factory.mktemp("saved")
    torch.manual_seed(0)
    body = timm.create_model("vit_tiny_patch16_224", num_classes=3, **ARGUMENTS)
    save_for_hf(body, folder, model_config={"label_names": CATS}, model_args=ARGUMENTS, safe_serialization=True)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    return tmp_path


def change(folder, path: str, value) -> None:
    """Sets one field of config.json: "mean" at the top, "pretrained_cfg.mean", "model_args.img_size"."""
    *outer, key = path.split(".")

    def put(config):
        (config[outer[0]] if outer else config)[key] = value

    edit(folder, put)


REFUSED = [
    ("num_classes", 0, r"num_classes is 0, and an answer needs 2 or more classes"),
    ("num_classes", 1, r"num_classes is 1, and an answer needs 2 or more classes"),
    ("num_classes", 2.0, r"num_classes is 2\.0"),
    (
        "problem_type",
        "multi_label_classification",
        r"problem_type of x is 'multi_label_classification'; allowed: single",
    ),
    ("problem_type", "regression", r"problem_type of x is 'regression'"),
    ("pretrained_cfg.function_to_apply", "sigmoid", r"function_to_apply of x is 'sigmoid'; allowed: softmax"),
    ("multi_label", True, r"multi_label of x is True; allowed: False"),
    ("pretrained_cfg.label_offset", 1, r"label_offset of x is 1; allowed: 0"),
    ("pretrained_cfg.mean", [0.5, 0.5], r"mean of x is \[0\.5, 0\.5\]; allowed: three numbers from 0 to 1"),
    ("pretrained_cfg.mean", [], r"mean of x is \[\]"),
    ("pretrained_cfg.mean", 0.5, r"mean of x is 0\.5"),
    ("pretrained_cfg.mean", "grey", r"mean of x is 'grey'"),
    ("pretrained_cfg.mean", [123.7, 116.3, 103.5], r"mean of x is \[123\.7.*for pixels of 0 to 1"),
    ("pretrained_cfg.mean", [0.5, 0.5, float("nan")], r"mean of x is \[0\.5, 0\.5, nan\]"),
    ("pretrained_cfg.mean", [True, False, True], r"mean of x is \[True"),
    ("pretrained_cfg.std", [0, 0, 0], r"std of x is \[0, 0, 0\]; allowed: three numbers from 1e-06"),
    ("pretrained_cfg.std", [0.2, -0.2, 0.2], r"std of x is \[0\.2, -0\.2"),
    ("pretrained_cfg.std", [0.2, 0.2, float("inf")], r"std of x is .*inf"),
    ("pretrained_cfg.std", ["a", "b", "c"], r"std of x is \['a'"),
    ("pretrained_cfg.input_size", [64, 64], r"input_size of x is \[64, 64\]; allowed: \[3, height, width\]"),
    ("pretrained_cfg.input_size", 64, r"input_size of x is 64; allowed"),
    ("pretrained_cfg.input_size", [1, 64, 64], r"input_size of x is \[1, 64, 64\]; .*3 for red, green and blue"),
    ("pretrained_cfg.input_size", [3, -64, 64], r"input_size of x is \[3, -64, 64\]"),
    ("pretrained_cfg.input_size", [3, 64.5, 64], r"input_size of x is \[3, 64\.5, 64\]"),
    ("pretrained_cfg.input_size", [3, 64, 999999], r"input_size of x .*sides of 1 to 2048"),
    ("pretrained_cfg.test_input_size", [3, 0, 64], r"test_input_size of x is \[3, 0, 64\]"),
    (
        "pretrained_cfg.min_input_size",
        [3, 96, 96],
        r"input_size of x is \[3, 64, 64\]; allowed: at least min_input_size",
    ),
    ("pretrained_cfg.interpolation", "bicubical", r"interpolation of x is 'bicubical'; allowed: .*bilinear, bicubic"),
    ("pretrained_cfg.interpolation", 3, r"interpolation of x is 3; allowed"),
    ("pretrained_cfg.crop_mode", "middle", r"crop_mode of x is 'middle'; allowed: center, squash, border"),
    ("pretrained_cfg.crop_mode", ["center"], r"crop_mode of x is \['center'\]"),
    ("pretrained_cfg.crop_pct", 0, r"crop_pct of x is 0; allowed: a number above 0, up to 2"),
    ("pretrained_cfg.crop_pct", 87.5, r"crop_pct of x is 87\.5"),
    ("pretrained_cfg.crop_pct", "all", r"crop_pct of x is 'all'"),
    ("pretrained_cfg.test_crop_pct", -1, r"test_crop_pct of x is -1"),
    ("model_args.in_chans", 1, r"in_chans of x is 1; allowed: 3"),
    ("model_args.img_size", "big", r"timm cannot build vit_tiny_patch16_224 with .*'big'"),
    ("model_args.no_such", 1, r"timm cannot build .*no_such"),
    ("model_args.features_only", True, r"timm cannot build .*features_only"),
    ("global_pool", "median", r"global_pool of x is 'median'; allowed: 'token', as in model_args"),
    ("global_pool", 7, r"global_pool of x is 7"),
    ("architecture", "vit_of_tomorrow", r"architecture is 'vit_of_tomorrow'"),
    ("label_names", ["cat", "dog"], r"label_names has 2 names for 3 classes"),
    ("label_names", {"0": "cat", "9": "dog"}, r"label_names goes up to 9, and there are 3 classes"),
    ("label_names", "cat,dog,cow", r"label_names should be a list.* and is 'cat,dog,cow'"),
    ("label_names", ["cat", "dog", {"en": "cow"}], r"calls class 2 \{'en': 'cow'\}"),
    ("label_descriptions", ["a cat"], r"label_descriptions has 1 names for 3 classes"),
    ("label_descriptions", "cats", r"label_descriptions should be a list"),
    ("accuracy", 97.5, r"accuracy 97\.5; allowed: above 0, up to 1"),
]


@pytest.mark.parametrize(("field", "value", "says"), REFUSED, ids=[f"{field}-{value}" for field, value, _ in REFUSED])
def test_what_cannot_be_followed_is_refused_by_name(folder, field, value, says):
    change(folder, field, value)
    with pytest.raises(WeightsError, match=says) as caught:
        last(f"x=local-dir:{folder}")
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and not text.endswith("..")


ACCEPTED = [
    ("pretrained_cfg.mean", [0.25], "mean", (0.25, 0.25, 0.25)),
    ("pretrained_cfg.mean", [0, 0.5, 1], "mean", (0, 0.5, 1)),
    ("pretrained_cfg.mean", None, "mean", (0.485, 0.456, 0.406)),
    ("pretrained_cfg.std", [0.1, 0.2, 0.3], "std", (0.1, 0.2, 0.3)),
    ("pretrained_cfg.interpolation", "lanczos", "interpolation", "lanczos"),
    ("pretrained_cfg.crop_mode", "squash", "crop_mode", "squash"),
    ("pretrained_cfg.crop_mode", None, "crop_mode", "center"),
    ("pretrained_cfg.crop_pct", 1, "crop_pct", 1),
    ("pretrained_cfg.crop_pct", 1.15, "crop_pct", 1.15),  # as timm has it for VOLO
    ("pretrained_cfg.crop_pct", None, "crop_pct", 0.875),
    ("pretrained_cfg.test_crop_pct", 0.75, "crop_pct", 0.75),
    ("pretrained_cfg.input_size", None, "input_size", (3, 64, 64)),  # as img_size says
    ("pretrained_cfg.input_size", [3, 96, 96], "input_size", (3, 64, 64)),  # the network is built for 64
    ("pretrained_cfg.test_input_size", [3, 96, 96], "input_size", (3, 64, 64)),  # and takes no other size
    ("problem_type", "single_label_classification", "input_size", (3, 64, 64)),
    ("global_pool", "token", "input_size", (3, 64, 64)),
    ("pretrained_cfg.label_offset", 0, "input_size", (3, 64, 64)),
    ("pretrained_cfg.pool_size", [7, 7], "input_size", (3, 64, 64)),
    ("pretrained_cfg.first_conv", None, "input_size", (3, 64, 64)),
    ("num_features", 32, "input_size", (3, 64, 64)),
]


@pytest.mark.parametrize(("field", "value", "key", "expected"), ACCEPTED)
def test_what_can_be_followed_is(folder, field, value, key, expected):
    change(folder, field, value)
    row = last(f"x=local-dir:{folder}")
    assert row.transform[key] == expected and row.labels == tuple(CATS)


def test_what_timm_writes_is_read_as_timm_reads_it(saved):
    row = last(f"x=local-dir:{saved}")
    model = timm.create_model(f"local-dir:{saved}", pretrained=True)
    expected = timm.data.resolve_model_data_config(model)
    assert {key: tuple(value) if isinstance(value, list) else value for key, value in expected.items()} == row.transform


# sizes


def test_a_network_of_a_fixed_size_is_built_for_input_size(folder, models):
    """Older exports say the size in pretrained_cfg alone."""
    change(folder, "pretrained_cfg.input_size", [3, 64, 64])
    change(folder, "pretrained_cfg.fixed_input_size", True)
    edit(folder, lambda config: config["model_args"].pop("img_size"))
    row = last(f"x=local-dir:{folder}")
    assert row.arguments["img_size"] == [64, 64] and row.transform["input_size"] == (3, 64, 64)
    with models.use([row]) as (model,):
        assert model.pixels([Image.new("RGB", (90, 70))]).shape == (1, 3, 64, 64)


def test_a_network_that_takes_any_size_is_tested_at_its_test_size(tmp_path):
    arguments = {"layers": [1, 1, 1, 1]}
    body = timm.create_model("resnet10t", num_classes=3, **arguments)
    save_for_hf(body, tmp_path, model_config={"label_names": CATS}, model_args=arguments, safe_serialization=True)
    usual = last(f"x=local-dir:{tmp_path}").transform
    assert (usual["input_size"], usual["crop_pct"]) == ((3, 224, 224), 0.95)  # as published for resnet10t
    change(tmp_path, "pretrained_cfg.input_size", [3, 64, 64])  # the test size is still the architecture's
    stale = last(f"x=local-dir:{tmp_path}").transform
    assert (stale["input_size"], stale["crop_pct"]) == ((3, 64, 64), 0.875)
    change(tmp_path, "pretrained_cfg.test_input_size", [3, 96, 80])
    assert last(f"x=local-dir:{tmp_path}").transform["input_size"] == (3, 96, 80)


def test_a_size_that_the_architecture_cannot_take_is_found_out_without_a_picture(folder):
    change(folder, "model_args.dynamic_img_size", True)
    change(folder, "pretrained_cfg.input_size", [3, 96, 96])
    assert last(f"x=local-dir:{folder}").transform["input_size"] == (3, 96, 96)
    change(folder, "pretrained_cfg.input_size", [3, 100, 96])
    with pytest.raises(WeightsError, match=r"x cannot take pictures of input_size \[3, 100, 96\]: .*divisible"):
        last(f"x=local-dir:{folder}")


@pytest.mark.parametrize("row", IMAGENET, ids=lambda row: row.architecture)
def test_no_architecture_of_ours_is_refused(row):
    architecture = row.architecture.split(".")[0]
    inner = dict(timm.get_pretrained_cfg(row.architecture).to_dict())
    config = {"architecture": architecture, "num_classes": 1000, "pretrained_cfg": inner}
    config = parse_config(config, "here")
    arguments = checkpoint.arguments_of("x", config)
    body = checkpoint.skeleton(architecture, 1000, arguments)
    transform = checkpoint.transform_of("x", config["pretrained_cfg"], arguments, body.pretrained_cfg)
    checkpoint.check_outputs("x", body, transform["input_size"], 1000)
    assert sum(p.numel() for p in body.parameters()) == row.parameters


@pytest.mark.parametrize("size", [(2000, 8), (8, 2000), (2048, 1), (1, 2048), (1, 1)])
@pytest.mark.parametrize("mode", ["border", "center", "squash"])
@pytest.mark.parametrize("wanted", [[3, 64, 64], [3, 48, 64]])
def test_a_very_long_picture_keeps_a_pixel(folder, models, size, mode, wanted):
    change(folder, "pretrained_cfg.crop_mode", mode)
    change(folder, "model_args.img_size", wanted[1:])
    weights = load_file(folder / "model.safetensors")
    weights["pos_embed"] = torch.zeros(1, 1 + wanted[1] * wanted[2] // 256, 32)
    save_file(weights, folder / "model.safetensors")
    row = last(f"x=local-dir:{folder}")
    with models.use([row]) as (model,):
        seen = model.pixels([Image.new("RGB", size, "red")])[0]
    assert list(seen.shape) == wanted
    left, top, right, bottom = view_of(size, row.transform).box
    assert np.isfinite([left, top, right, bottom]).all() and left < right and top < bottom
    red = (seen[0] == 1) & (seen[1] == 0)
    assert red.any() and (mode == "border" or red.all())


def test_a_crop_beyond_the_picture_is_where_the_view_says(folder, models):
    change(folder, "pretrained_cfg.crop_pct", 1.25)
    row = last(f"x=local-dir:{folder}")
    with models.use([row]) as (model,):
        seen = model.pixels([Image.new("RGB", (80, 80), "red")])[0, 0]
    inside = (seen[32] > 0.5).nonzero()[:, 0]
    left, _, right, _ = view_of((80, 80), row.transform).box
    scale = (right - left) / 64
    np.testing.assert_allclose([left + inside[0] * scale, left + (inside[-1] + 1) * scale], [0, 80], atol=scale / 2)


# pooling


@pytest.mark.parametrize(("architecture", "pool"), [("resnet10t", "max"), ("test_vit", "avg"), ("test_vit", "max")])
def test_pooling_at_the_top_is_followed(tmp_path, models, architecture, pool):
    torch.manual_seed(0)
    body = timm.create_model(architecture, num_classes=3, global_pool=pool).eval()
    save_for_hf(body, tmp_path, model_config={"label_names": CATS}, safe_serialization=True)
    edit(tmp_path, lambda config: config.pop("model_args", None))
    assert json.loads((tmp_path / "config.json").read_text())["global_pool"] == pool
    row = last(f"x=local-dir:{tmp_path}")
    with models.use([row]) as (model,), torch.inference_mode():
        pixels = model.pixels([Image.effect_noise((90, 70), 80).convert("RGB")])
        mean, std = (torch.tensor(row.transform[key]).view(3, 1, 1) for key in ("mean", "std"))
        torch.testing.assert_close(model.network(pixels), body((pixels - mean) / std), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pool", ["median", "maximum", 7])
def test_pooling_that_an_architecture_does_not_have_is_refused(folder, pool):
    edit(folder, lambda config: config["model_args"].pop("global_pool"))
    change(folder, "global_pool", pool)
    with pytest.raises(WeightsError, match=r"global_pool of x is .*; allowed: .*a pooling"):
        last(f"x=local-dir:{folder}")


def test_pooling_in_two_places_has_to_agree(folder):
    change(folder, "model_args.global_pool", "avg")
    change(folder, "global_pool", "token")
    with pytest.raises(WeightsError, match=r"global_pool of x is 'token'; allowed: 'avg', as in model_args"):
        last(f"x=local-dir:{folder}")


# weights


def test_weights_that_do_not_fit_say_which(folder):
    weights = load_file(folder / "model.safetensors")
    norm = weights.pop("norm.weight")
    weights |= {"norm.scale": norm, "cls_token": torch.zeros(1, 1, 16)}
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(WeightsError) as caught:
        last(f"x=local-dir:{folder}")
    for said in ("1 missing (such as 'norm.weight')", "1 not of the architecture (such as 'norm.scale')",
                 "1 of another shape (such as 'cls_token', which is (1, 1, 16) and should be (1, 1, 32))"):  # fmt: skip
        assert said in str(caught.value)


def test_a_head_with_other_rows_than_num_classes_is_named(folder):
    change(folder, "num_classes", 4)
    change(folder, "label_names", [*CATS, "sow"])
    with pytest.raises(WeightsError, match=r"num_classes of x is 4, and its weights have 3 rows in 'head\.weight'"):
        last(f"x=local-dir:{folder}")


def test_numbers_that_are_not_finite_are_seen_at_start(folder, caplog):
    last(f"x=local-dir:{folder}")
    assert not caplog.records
    weights = load_file(folder / "model.safetensors")
    weights["head.bias"][1] = float("nan")
    weights["norm.weight"][0] = float("-inf")
    save_file(weights, folder / "model.safetensors")
    last(f"x=local-dir:{folder}")
    assert "2 tensors of x hold numbers that are not finite" in caplog.text


@pytest.mark.parametrize(
    ("dtype", "kind"), [(torch.int8, "I8"), (torch.float8_e4m3fn, "F8_E4M3"), (torch.bool, "BOOL")]
)
def test_quantised_weights_are_refused(folder, dtype, kind):
    weights = load_file(folder / "model.safetensors")
    save_file({key: value.to(dtype) for key, value in weights.items()}, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=rf"in the weights of x is {kind}; allowed: F64, F32, F16, BF16"):
        last(f"x=local-dir:{folder}")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_any_floating_kind_are_read(folder, models, dtype):
    weights = load_file(folder / "model.safetensors")
    save_file({key: value.to(dtype) for key, value in weights.items()}, folder / "model.safetensors")
    with models.use([last(f"x=local-dir:{folder}")]) as (model,):
        assert model.network.body.head.bias.dtype == torch.float32


# labels


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last_line", ["", "\n", "\n\n  \n"])
def test_a_file_of_labels_in_any_form(tmp_path, encoding, end, last_line):
    names = ["猫", "Eichelhäher", "a, b\x0bc"]
    text = ("\ufeff" if encoding.endswith(("-le", "-be")) else "") + end.join(names) + last_line.replace("\n", end)
    (tmp_path / "labels.txt").write_bytes(text.encode(encoding))
    assert read(tmp_path / "labels.txt", 3) == names
    with pytest.raises(WeightsError, match=r"labels.txt' names 3 classes, and the model has 4"):
        read(tmp_path / "labels.txt", 4)


def test_blank_lines_are_left_out_or_are_classes_without_a_name(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\n\ndog\n\n")
    assert read(tmp_path / "labels.txt", 2) == ["cat", "dog"]
    assert tidy(read(tmp_path / "labels.txt", 3)) == ("cat", "class 1", "dog")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a", "b", "c"], ["a", "b", "c"]),
        ({"2": "c", "0": "a", "1": "b"}, ["a", "b", "c"]),
        ({"10": "a"} | {str(k): f"n{k}" for k in range(10)}, [*(f"n{k}" for k in range(10)), "a"]),
        ({"b": 1, "a": 0, "c": 2}, ["a", "b", "c"]),
        ({"2": "c", "0": "a"}, ["a", "class 1", "c"]),
        ([0, 1, 2.5], ["0", "1", "2.5"]),
        (["a", None, "c"], ["a", "class 1", "c"]),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_labels_as_a_list_or_by_index_or_by_name(given, expected):
    assert listed(given, len(expected or "abc")) == expected


@pytest.mark.parametrize(
    ("given", "names", "expected"),
    [
        ({"n1": "one", "n0": "zero"}, ["n0", "n1", "n2"], ["zero", "one", "n2"]),
        ({"n1": "one", "n0": "zero", "n2": "two"}, None, ["one", "zero", "two"]),
        ({"2": "two", "0": "zero", "1": "one"}, None, ["zero", "one", "two"]),
        ({"1": "one"}, ["n0", "n1", "n2"], ["n0", "one", "n2"]),
        (["zero", "one", "two"], ["n0", "n1", "n2"], ["zero", "one", "two"]),
        ({"m7": "of a larger set"}, ["n0", "n1", "n2"], ["n0", "n1", "n2"]),
        (None, ["n0", "n1", "n2"], ["n0", "n1", "n2"]),
        (None, None, None),
    ],
)
def test_descriptions_in_any_form(given, names, expected):
    assert described(given, names, 3) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "a", "b"], ("a (class 0)", "a (class 1)", "b")),
        (["a", "a", "a (class 0)", "b"], ("a (class 0) (class 0)", "a (class 1)", "a (class 0)", "b")),
        (["", "  ", "class 0"], ("class 0 (class 0)", "class 1", "class 0 (class 2)")),
        (["a\nb", "a  b", "a\tc"], ("a b (class 0)", "a b (class 1)", "a c")),
        (["\ufeffcat", "\u202ecat\u202c", "c\x00at"], ("cat (class 0)", "cat (class 1)", "c at")),
        (["é", "e\u0301"], ("é (class 0)", "e\u0301 (class 1)")),  # they look alike
        (["red, round", "red, long"], ("red, round", "red, long")),  # a comma of the user's own
        (["tench, Tinca tinca", "tench"], ("tench, Tinca tinca (class 0)", "tench (class 1)")),
        (["Cat", "cat"], ("Cat", "cat")),
    ],
)
def test_no_two_labels_look_alike(names, expected):
    made = tidy(names)
    assert made == expected
    assert len({first_name(name) for name in made}) == len(names)
    assert tidy(made) == made


def test_no_two_of_imagenets_labels_are_alike_when_shortened():
    labels = imagenet_labels()
    assert len({first_name(label) for label in labels}) == 1000
    assert first_name(labels[0]) == "tench" and first_name("maillot, tank suit") == "maillot, tank suit"
    assert tidy(labels) == labels and is_imagenet(labels)


def test_the_largest_usual_label_set_takes_a_second(folder):
    names = [f"synset {k // 2}, twice" for k in range(21843)]
    began = time.process_time()
    config = parse_config(
        {"architecture": "test_vit", "num_classes": len(names), "label_names": names, "pretrained_cfg": {}}, "here"
    )
    assert len(set(host._labels(config, "here"))) == len(names)
    assert time.process_time() - began < 1


def thousand(folder, **config):
    body = timm.create_model("test_vit", num_classes=1000)
    save_for_hf(body, folder, model_config=config, safe_serialization=True)


def test_a_thousand_classes_without_names_are_not_imagenets(tmp_path, caplog):
    thousand(tmp_path)
    edit(tmp_path, lambda config: config["pretrained_cfg"].pop("tag", None))
    row = last(f"x=local-dir:{tmp_path}")
    assert row.collection == "x" and (row.labels[0], row.labels[-1]) == ("class 0", "class 999")
    assert "names none of its 1,000 classes" in caplog.text and "ImageNet" in caplog.text


def test_a_thousand_classes_that_timm_knows_are_imagenets(tmp_path, caplog):
    thousand(tmp_path)
    change(tmp_path, "pretrained_cfg.tag", "r160_in1k")
    assert last(f"x=local-dir:{tmp_path}").collection == "imagenet"
    assert "ImageNet" in caplog.text  # by a tag only, which weights that were trained on may have kept


def test_a_config_with_a_mark_is_read(folder):
    path = folder / "config.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert last(f"x=local-dir:{folder}").labels == tuple(CATS)


def test_an_old_flat_config_is_read_whole(folder):
    inner = json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    flat = inner | {"architecture": "vit_tiny_patch16_224", "num_classes": 3, "labels": CATS, "global_pool": "token"}
    (folder / "config.json").write_text(json.dumps(flat | {"model_args": ARGUMENTS, "crop_pct": 0.7}))
    row = last(f"x=local-dir:{folder}")
    assert row.labels == tuple(CATS) and row.transform["crop_pct"] == 0.7
    (folder / "config.json").write_text(json.dumps(flat | {"model_args": ARGUMENTS, "std": [0, 1, 1]}))
    with pytest.raises(WeightsError, match=r"std of x is \[0, 1, 1\]"):
        last(f"x=local-dir:{folder}")
