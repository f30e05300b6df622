"""The command line: what it writes, what it prints, and how it refuses."""

import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import LABELS, paint, write_backbone
from vitdemo import host, training
from vitdemo.__main__ import OPTIONS, folders, main, table
from vitdemo.attention import Layout, layout_of
from vitdemo.backbones import Catalogue, bundled
from vitdemo.explain import EXPLANATIONS, Options
from vitdemo.fusion import FUSIONS
from vitdemo.fusion.records import load as load_record
from vitdemo.images import load
from vitdemo.models import Models
from vitdemo.pipeline import Request
from vitdemo.pipeline import analyse as walk
from vitdemo.predict import predict
from vitdemo.training import finetune
from vitdemo.types import Heat
from vitdemo.views import canvas_shape, place

ROOT = Path(__file__).parents[1]
QUICK = ("--device", "cpu", "--collection", "tiny", "--backbones", "vit,resnet")


@pytest.fixture(autouse=True)
def tiny_catalogue(monkeypatch, rows):
    """The tiny backbones and nothing else, as the catalogue of the program."""
    tiny = Catalogue(rows[name] for name in ("vit", "wide", "resnet"))
    monkeypatch.setattr(host, "default_catalogue", lambda: tiny)
    return tiny


@pytest.fixture
def image(tmp_path) -> str:
    path = tmp_path / "ant.png"
    paint(80, 60).save(path)
    return str(path)


def strict(text: str):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def run(capsys, *words: str) -> str:
    """What a command that succeeds prints."""
    assert main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    assert err == ""  # no progress where nobody watches
    return out


def refused(capsys, *words: str) -> str:
    """The one sentence of a command that is refused."""
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and len(err) < 1000 and "Traceback" not in err
    return err.strip()


def written(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# -- analyse -------------------------------------------------------------------------------------------------


def test_one_picture_is_written_straight_into_the_folder(capsys, tmp_path, image, tiny_catalogue, models):
    out = tmp_path / "new" / "out"
    words = ("--explain", "rollout,occlusion", "--patches", 3, "--fusion", "geometric", "--target", "cat", "--json")
    document = strict(run(capsys, "analyse", image, *QUICK, "--out", out, *words))
    assert document == strict((out / "result.json").read_text(encoding="utf-8"))
    assert document["picture"]["name"] == Path(image).name and document["target"] == "cat"
    request = Request("tiny", ("vit", "resnet"), "geometric", ("rollout", "occlusion"), "cat", Options(patches=3))
    again = walk(load(image), request, tiny_catalogue, models)
    assert document["fused"]["probabilities"] == pytest.approx(
        dict(zip(LABELS, again.fused.probabilities.tolist(), strict=True)), abs=1e-6
    )
    shape = canvas_shape((80, 60), 448)
    maps = [(s, m, heat) for s, each in again.maps.items() for m, heat in each.items() if isinstance(heat, Heat)]
    names = [f"{subject}.{method}.{end}" for subject, method, _ in maps for end in ("npy", "png")]
    assert len(maps) == 5 and written(out) == sorted([*names, "figure.png", "result.json"])
    for subject, method, heat in maps:
        raw = np.load(out / f"{subject}.{method}.npy")
        assert raw.dtype == np.float32 and raw.shape == shape and np.isfinite(raw).all()
        np.testing.assert_allclose(raw, place(heat.values, heat.view, shape)[0], atol=1e-6)
        with Image.open(out / f"{subject}.{method}.png") as drawn:
            assert drawn.format == "PNG" and drawn.width > drawn.height > 200


def test_the_look_changes_pictures_and_no_numbers(capsys, tmp_path, image):
    looks = {"a": (), "b": ("--colour-map", "cividis"), "c": ("--opacity", 0), "d": ("--scale", "all")}
    for name, look in looks.items():
        run(capsys, "analyse", image, *QUICK, "--explain", "rollout", "--out", tmp_path / name, *look)
    for file in ("vit.rollout.npy", "fused.rollout.npy"):
        assert len({(tmp_path / name / file).read_bytes() for name in looks}) == 1
    assert len({(tmp_path / name / "vit.rollout.png").read_bytes() for name in "abc"}) == 3
    assert len({(tmp_path / name / "figure.png").read_bytes() for name in looks}) == 4


def test_several_pictures_have_a_folder_each(capsys, tmp_path, image):
    (tmp_path / "other").mkdir()
    same_name = tmp_path / "other" / "ANT.jpg"
    paint(50, 70, seed=3).save(same_name)
    out = tmp_path / "out"
    printed = run(capsys, "analyse", image, same_name, *QUICK, "--explain", "none", "--out", out, "--json")
    documents = strict(printed)
    assert written(out) == [f"{name}/{file}" for name in ("ANT-2", "ant") for file in ("figure.png", "result.json")]
    assert [document["picture"]["name"] for document in documents] == [Path(image).name, same_name.name]
    assert strict((out / "ANT-2" / "result.json").read_text()) == documents[1]
    assert all(document["maps"] == {"fused": {}, "vit": {}, "resnet": {}} for document in documents)


def test_no_folder_twice():
    names = ["a.png", "b/a.jpg", "a-2.png", "A.png", "c.x.png"]
    assert folders(names, Path("o")) == [Path("o") / name for name in ("a", "a-2", "a-2-2", "A-3", "c.x")]
    assert folders(["a.png"], Path("o")) == [Path("o")]


def test_the_table_says_who_said_what(capsys, tmp_path, image):
    printed = run(capsys, "analyse", image, *QUICK, "--explain", "rollout", "--out", tmp_path)
    document = strict((tmp_path / "result.json").read_text())
    lines = printed.splitlines()
    assert lines[0].startswith(f"{image} → {tmp_path} (cpu, ")
    for line, name in zip(lines[1:4], ("fused", "vit", "resnet"), strict=True):
        said = document["fused"] if name == "fused" else document["backbones"][name]
        assert line.split()[:3] == [name, said["top"], f"{100 * said['probabilities'][said['top']]:.0f}"]
    assert f"maps for {document['target']}: rollout" in printed
    assert "no rollout of resnet: a convolutional network has no attention" in printed


def test_what_is_taken_where_nothing_is_said(capsys, tmp_path, image, tiny_catalogue, monkeypatch):
    asked = []

    def stop(picture, request, *rest):
        asked.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr("vitdemo.pipeline.analyse", stop)
    assert main(["analyse", image, "--collection", "tiny", "--out", str(tmp_path / "out"), "--device", "cpu"]) == 130
    assert capsys.readouterr().err == "Stopped.\n"
    default = Request()
    assert asked[0].backbones == tuple(tiny_catalogue.suggested("tiny"))
    assert (asked[0].fusion, asked[0].explanations) == (default.fusion, default.explanations)
    assert (asked[0].target, asked[0].options) == (default.target, default.options)


def test_every_option_has_its_flag(capsys, tmp_path, image, monkeypatch):
    assert list(OPTIONS) == [field.name for field in fields(Options)]
    words = {"head_fusion": "max", "baseline": "blurred", "smoothing": "vargrad", "regions": "patches",
             "fused_map": "union"}  # fmt: skip
    shares = {"residual": 0.4, "discard": 0.5, "noise": 0.2}
    counts = {"start": 1, "layer": 2, "head": 0, "query": 3, "steps": 7, "samples": 3, "patches": 5, "window": 2,
              "segments": 9, "coalitions": 16, "batch": 2, "seed": 11}  # fmt: skip
    given = Options(**words, **shares, **counts)
    assert all(getattr(given, field.name) != field.default for field in fields(Options))
    asked = []
    monkeypatch.setattr("vitdemo.pipeline.analyse", lambda picture, request, *rest: asked.append(request) or 1 / 0)
    words = [word for name in OPTIONS for word in (f"--{name.replace('_', '-')}", str(getattr(given, name)))]
    with pytest.raises(ZeroDivisionError):
        main(["analyse", image, *QUICK, "--out", str(tmp_path / "out"), *words])
    assert asked[0].options == given


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--backbones", "vit,nobody"), "Unknown tiny backbone 'nobody'; allowed: vit, wide, resnet"),
        (("--backbones", ""), "No backbone is chosen"),
        (("--collection", "cars"), "Unknown collection 'cars'; allowed: tiny"),
        (("--fusion", "sum"), "Unknown fusion 'sum'; allowed: mean"),
        (("--explain", "rollout,tea"), "Unknown explanation 'tea'; allowed: rollout"),
        (("--target", "cow"), "Unknown target class 'cow'; allowed: ant, bee, cat, dog"),
        (("--steps", "many"), "invalid int value: 'many'; see python -m vitdemo analyse --help"),
        (("--steps", "0"), "steps is '0'; allowed: a whole number from 2 to 512"),
        (("--noise", "nan"), "noise is 'nan'; allowed: 0 to 1"),
        (("--head-fusion", "sum"), "Unknown head fusion 'sum'; allowed: mean, max, min"),
        (("--baseline", "pink"), "Unknown baseline 'pink'"),
        (("--opacity", "2"), "opacity is 2.0; allowed: 0 to 1"),
        (("--colour-map", "jet"), "Unknown colour map 'jet'; allowed: magma"),
        (("--scale", "big"), "Unknown scale 'big'; allowed: each, row, all"),
        (("--device", "tpu"), "Unknown device 'tpu'; allowed: auto, cpu, cuda, mps"),
        (("--memory", "much"), "--memory is 'much'; allowed: a positive size"),
        (("--backbone", "mine"), "--backbone is 'mine'; allowed: NAME=hf-hub:"),
        (("--flavour", "mint"), "Unrecognized arguments: --flavour mint"),
    ],
)
def test_a_bad_word_is_one_sentence_and_nothing_is_done(capsys, tmp_path, image, words, says):
    out = tmp_path / "out"
    assert says in refused(capsys, "analyse", image, *QUICK, "--out", out, *words)
    assert not out.exists()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_bad_picture_is_told_before_any_work(capsys, tmp_path, image, order):
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    pictures = [(image, text)[index] for index in order]
    assert refused(capsys, "analyse", *pictures, *QUICK, "--out", tmp_path / "out").startswith(
        "'text.jpg' is not a picture"
    )
    assert refused(capsys, "analyse", image, tmp_path / "gone.png", *QUICK, "--out", tmp_path / "out").startswith(
        "There is no file 'gone.png'"
    )
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written(capsys, image):
    says = refused(capsys, "analyse", image, *QUICK, "--out", Path(image) / "below")
    assert says.startswith("Nothing can be written to --out '") and "Not a directory" in says
    assert refused(capsys, "analyse", image, *QUICK, "--out", image).startswith("Nothing can be written to --out")


# -- lists ---------------------------------------------------------------------------------------------------


def test_backbones_are_listed_as_they_are(capsys, tmp_path, monkeypatch, catalogue, tiny):
    monkeypatch.setattr(host, "default_catalogue", lambda: catalogue)
    listed = strict(run(capsys, "backbones", "--json"))
    assert [one["name"] for one in listed] == [row.name for row in catalogue]
    for one, row in zip(listed, catalogue, strict=True):
        loaded = tiny[row.name]
        assert one["rollout"] == isinstance(
            layout_of(loaded.network.body, tuple(row.transform["input_size"][-2:])), Layout
        )
        assert one["on_disk"] is True and one["megabytes"] == row.source.size() / 1e6
        assert (one["accuracy"], one["licence"]) == (row.accuracy, "Apache-2.0")
    lines = run(capsys, "backbones", "--collection", "tiny").splitlines()
    assert [line.split()[1] for line in lines] == ["name", *(row.name for row in catalogue)]
    assert "allowed: tiny" in refused(capsys, "backbones", "--collection", "cars")


def test_methods_lists_every_registry(capsys):
    document = strict(run(capsys, "methods", "--json"))
    assert list(document["fusions"]) == FUSIONS.names() and list(document["explanations"]) == EXPLANATIONS.names()
    assert {name: one["default"] for name, one in document["options"].items()} == vars(Options())
    printed = run(capsys, "methods")
    assert all(name in printed for name in [*FUSIONS.names(), *EXPLANATIONS.names(), "--head-fusion"])


def test_tables_are_flush():
    assert table([["a", "n"], ["bb", "10"], ["c", "9"]]) == "a    n\nbb  10\nc    9"


# -- evaluate, train, bench ----------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path):
    for index, label in enumerate(LABELS):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(2):
            paint(40, 40, seed=10 * index + number).save(tmp_path / "data" / label / f"{number}.png")
    return tmp_path / "data"


def test_evaluate_prints_a_line_for_everyone(capsys, data):
    lines = run(capsys, "evaluate", "--data", data, *QUICK).splitlines()
    assert lines[0] == "8 pictures, cpu, in batches of 32"
    assert lines[1].split() == ["top-1", "(95%)", "NLL", "ECE", "parameters", "multiply-adds", "ms", "ratio"]
    assert [line.split()[0] for line in lines[2:]] == ["vit", "resnet", *FUSIONS.names()]
    document = strict(run(capsys, "evaluate", "--data", data, *QUICK, "--fusion", "vote", "--limit", 4, "--json"))
    assert document["pictures"] == 4 and set(document["fusions"]) == {"vote"}
    assert list(document["backbones"]) == ["vit", "resnet"] == document["fusions"]["vote"]["members"]
    assert document["command"].startswith("python -m vitdemo evaluate --data ") and not document["fusions_suggested"]


def test_evaluate_measures_a_whole_collection_and_writes_it(capsys, data, tmp_path):
    (tmp_path / "flowers").mkdir()
    data.rename(tmp_path / "flowers" / "test")
    words = ("--data", tmp_path / "flowers", "--device", "cpu", "--collection", "tiny", "--fusion", "mean")
    file = tmp_path / "new" / "tiny.json"
    run(capsys, "evaluate", *words, "--results", file)
    document = strict(file.read_text(encoding="utf-8"))
    assert document["split"] == "test" and document["pictures"] == 8
    assert list(document["backbones"]) == document["fusions"]["mean"]["members"] == ["vit", "wide", "resnet"]
    assert document["fusions_suggested"]["mean"]["members"] == ["resnet"]  # all are of one family
    (tmp_path / "file").write_text("")
    assert "Nothing can be written to --results" in refused(
        capsys, "evaluate", *words, "--results", tmp_path / "file" / "x.json"
    )


def test_evaluate_writes_its_table_into_a_readme(capsys, data, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# Ü\n<!-- evaluate -->\nold\n<!-- /evaluate -->\nafter\n", encoding="utf-8")
    printed = run(capsys, "evaluate", "--data", data, *QUICK, "--readme", readme)
    before, body, after = readme.read_text(encoding="utf-8").replace("-->", "<!--").split("<!--")[::2]
    assert (before, after) == ("# Ü\n", "\nafter\n") and "old" not in body
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.strip().splitlines()]
    assert cells[0][:3] == ["", "top-1 (95%)", "NLL"]
    assert [row[0] for row in cells[2:]] == ["vit", "resnet", *FUSIONS.names()]
    assert [" ".join(row) for row in cells[2:]] == [" ".join(line.split()) for line in printed.splitlines()[2:]]
    readme.write_text("<!-- /evaluate --> <!-- evaluate -->")
    assert "has no <!-- evaluate -->" in refused(capsys, "evaluate", "--data", data, *QUICK, "--readme", readme)
    assert "cannot be read" in refused(capsys, "evaluate", "--data", data, *QUICK, "--readme", tmp_path / "none")


def test_evaluate_fits_on_validation_pictures(capsys, data, tmp_path, monkeypatch):
    home = tmp_path / "assets" / "backbones"
    home.mkdir(parents=True)
    own = Catalogue([write_backbone(home, name) for name in ("vit", "resnet")])
    monkeypatch.setattr(host, "default_catalogue", lambda: own)
    flowers = tmp_path / "flowers"
    flowers.mkdir()
    data.rename(flowers / "test")
    pictures = {}
    for number in range(12):
        pictures[flowers / "val" / LABELS[number % 4] / f"{number}.png"] = paint(40, 40, seed=100 + number)
    for path, picture in pictures.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    words = ("evaluate", "--data", flowers, "--device", "cpu", "--collection", "tiny", "--fusion", "mean,stacking")
    assert list(strict(run(capsys, *words, "--json"))["refused"]) == ["stacking"]
    assert "no stacking: Stacking has to learn from validation pictures" in run(capsys, *words)
    assert "not measured" in refused(capsys, *words, "--fit", flowers / "test")
    assert not (tmp_path / "assets" / "fusion").exists()
    document = strict(run(capsys, *words, "--fit", "--json"))
    assert list(document["fusions"]) == ["mean", "stacking"] and not document["refused"] and document["pictures"] == 8
    record = load_record(tmp_path / "assets" / "fusion" / "tiny.npz")
    assert record.targets.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    with Models("cpu").use([own.get("tiny", ["vit"])[0]]) as (model,):
        said = predict(model, model.pixels([load(path) for path in sorted(pictures)])).probabilities
    np.testing.assert_allclose(np.exp(record.log_probabilities["vit"]), said, atol=1e-5)


def test_evaluate_refuses(capsys, data):
    assert "batch is 0" in refused(capsys, "evaluate", "--data", data, *QUICK, "--batch", 0)
    assert "Unknown fusion 'x'" in refused(capsys, "evaluate", "--data", data, *QUICK, "--fusion", "x")
    (data / "bee").rename(data / "wasp")
    assert "a folder 'wasp', which is no class" in refused(capsys, "evaluate", "--data", data, *QUICK)


def test_train_hands_its_words_on(capsys, tmp_path, monkeypatch):
    given = []

    def note(*args, **kwargs):
        given.append((args, kwargs))
        return tmp_path / "x"

    monkeypatch.setattr(training, "train", note)
    monkeypatch.setattr(finetune, "finetune", note)
    words = ("--data", "d", "--out", tmp_path, "--epochs", 3, "--fresh", "--device", "cpu")
    how = {"epochs": 3, "resume": False, "device": "cpu"}
    assert run(capsys, "train", "vit", *words, "--seed", 7) == f"{tmp_path / 'x'}\n"
    assert run(capsys, "train", "mae", *words) == f"{tmp_path / 'x'}\n"
    folders = (Path("d"), tmp_path)
    assert given == [(("vit", *folders), how | {"seed": 7}), (("mae", *folders), how | {"seed": None})]
    assert run(capsys, "train", "finetune", "--backbone", "hybrid", *words) == f"{tmp_path / 'x'}\n"
    (row, *where), said = given[2]
    assert (row.name, tuple(where)) == ("hybrid", folders) and how.items() <= said.items()


def test_train_refuses(capsys, tmp_path):
    words = ("--data", tmp_path, "--out", tmp_path / "out", "--device", "cpu")
    assert "Unknown recipe 'gpt'" in refused(capsys, "train", "gpt", *words)
    assert "train finetune got no --backbone; allowed" in refused(capsys, "train", "finetune", *words)
    assert "got --backbone resnet; allowed" in refused(capsys, "train", "vit", *words, "--backbone", "resnet")
    assert "Unknown backbone 'gpt'" in refused(capsys, "train", "finetune", *words, "--backbone", "gpt")
    assert not (tmp_path / "out").exists()
    assert refused(capsys, "train", "vit", *words).startswith("Expected pictures in one folder per class")
    words = ("finetune", "--backbone", "vit", *words)
    assert refused(capsys, "train", *words).startswith("Expected pictures in one folder per class")


def test_bench_refuses_unknown_measurements(capsys):
    assert "Unknown measurement 'speed'; allowed: rollout" in refused(capsys, "bench", "--only", "speed")


# -- the program itself --------------------------------------------------------------------------------------


def program(*words: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "vitdemo", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", timeout=300)


def test_without_words_it_helps():
    done = program()
    assert done.returncode == 2 and done.stderr == ""
    for command in ("analyse", "backbones", "methods", "evaluate", "prepare", "train", "bench"):
        assert f"    {command} " in done.stdout or f"    {command}\n" in done.stdout


@pytest.mark.parametrize("words", [[], ["analyse"], ["evaluate"], ["train"], ["bench"]])
def test_help_waits_for_nothing_heavy(capsys, words):
    heavy = "{'torch', 'timm', 'gradio', 'matplotlib', 'numpy', 'PIL'}"
    code = (
        "import sys\nfrom vitdemo.__main__ import main\n"
        f"try: main({[*words, '--help']!r})\n"
        f"finally: print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60)
    assert (done.returncode, done.stderr) == (0, "[]\n") and "usage: python -m vitdemo" in done.stdout


def test_the_bundled_backbones_answer_as_a_program(tmp_path, image):
    done = program("analyse", image, "--explain", "rollout", "--device", "cpu", "--out", tmp_path / "out", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = strict(done.stdout)
    names = Catalogue(bundled()).suggested("flowers")
    assert list(document["backbones"]) == names
    assert sum(document["fused"]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    offered = {name for name in ("fused", *names) if "not_offered" not in document["maps"][name]["rollout"]}
    assert set(written(tmp_path / "out")) == {"result.json", "figure.png"} | {
        f"{name}.rollout.{end}" for name in offered for end in ("npy", "png")
    }
    assert {"fused", "dino", "hybrid"} <= offered


def test_a_reader_who_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m vitdemo backbones | head -n 1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300)
    assert done.stdout.startswith("collection") and done.stderr == ""
