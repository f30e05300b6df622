"""The drawn samples: repeatable, varied, masks where the flowers are, shipped as the script draws them."""

import hashlib
import json
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitdemo import images, samples
from vitdemo.errors import UnknownNameError, VitdemoError

PAIRS = list(permutations(samples.FLOWERS, 2))
SHIPPED = samples.shipped()


@pytest.fixture(scope="module")
def singles():
    """Three pictures of each flower."""
    return {(kind, seed): samples.draw([kind], seed, 128) for kind in samples.FLOWERS for seed in (1, 2, 3)}


def edge_of(mask):
    """Pixels just outside a mask: within 6 pixels of it, but not in it."""
    near = mask.copy()
    for _ in range(6):
        grown = near.copy()
        grown[1:] |= near[:-1]
        grown[:-1] |= near[1:]
        grown[:, 1:] |= near[:, :-1]
        grown[:, :-1] |= near[:, 1:]
        near = grown
    return near & ~mask


def test_shapes_types_and_names(singles):
    for (kind, seed), sample in singles.items():
        assert sample.picture.shape == (128, 128, 3) and sample.picture.dtype == np.uint8
        assert sample.masks.shape == (1, 128, 128) and sample.masks.dtype == bool
        assert sample.flowers == (kind,) and sample.seed == seed


@pytest.mark.parametrize("flowers", [("daisy",), ("dandelion",), ("roses", "tulips"), ("tulips", "roses")])
def test_the_same_seed_gives_the_same_bytes(flowers):
    first, second = samples.draw(flowers, 11, 96), samples.draw(list(flowers), 11, 96)
    assert first.picture.tobytes() == second.picture.tobytes()
    assert first.masks.tobytes() == second.masks.tobytes()


def test_global_random_state_does_not_matter():
    np.random.seed(1)
    first = samples.draw(["roses"], 5, 96).picture
    np.random.seed(2)
    state = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(samples.draw(["roses"], 5, 96).picture, first)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_another_process_draws_the_same():
    script = (
        "import hashlib; from vitdemo import samples; s = samples.draw(['daisy', 'tulips'], 4, 96);"
        "print(hashlib.sha256(s.picture.tobytes() + s.masks.tobytes()).hexdigest())"
    )
    root = Path(__file__).resolve().parents[1]
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    here = samples.draw(["daisy", "tulips"], 4, 96)
    expected = hashlib.sha256(here.picture.tobytes() + here.masks.tobytes()).hexdigest()
    assert there.stdout.strip() == expected


def test_pictures_vary(singles):
    """Other seeds give other places, sizes, colours: masks and mean colours differ."""
    for kind in samples.FLOWERS:
        three = [singles[kind, seed] for seed in (1, 2, 3)]
        for i in range(3):
            other = three[i - 1]
            assert (three[i].masks != other.masks).mean() > 0.02
            assert np.abs(three[i].picture.astype(int) - other.picture).mean() > 8


def test_masks_cover_the_flower(singles):
    """Inside differs from just outside in colour, and is a fair share of the picture."""
    for key, sample in singles.items():
        mask = sample.masks[0]
        assert 0.02 < mask.mean() < 0.85, key
        inside, outside = sample.picture[mask].astype(float), sample.picture[edge_of(mask)].astype(float)
        distance = np.abs(np.median(inside, 0) - np.median(outside, 0)).max()
        assert distance > 40, (key, distance)


@pytest.mark.parametrize("flowers", PAIRS, ids="+".join)
def test_two_flowers_have_a_mask_each(flowers):
    sample = samples.draw(flowers, 7, 128)
    assert sample.masks.shape == (2, 128, 128) and sample.flowers == flowers
    first, second = sample.masks
    assert not (first & second).any()
    for mask in sample.masks:
        assert 0.03 < mask.mean() < 0.35
    assert 1 / 4 < first.sum() / second.sum() < 4  # of like size, or pointing at one of them would be too easy
    centres = [np.argwhere(mask).mean(0) for mask in sample.masks]
    assert np.hypot(*(centres[0] - centres[1])) > 0.25 * 128


def test_yellow_white_and_red_are_where_the_masks_say():
    """A daisy is pale and a sunflower yellow or brown, whatever surrounds them."""
    for seed in range(4):
        sample = samples.draw(["daisy", "sunflowers"], seed, 128)
        daisy, sunflower = (sample.picture[mask].astype(float).mean(0) for mask in sample.masks)
        assert daisy[2] > sunflower[2] + 50  # blue: much in white, none in yellow and brown
        assert sunflower[0] - sunflower[2] > 60


def test_size_scales_the_same_scene():
    """The same seed at another size shows the same scene."""
    for kind in samples.FLOWERS:
        small, large = samples.draw([kind], 2, 96), samples.draw([kind], 2, 192)
        again = large.masks[0].reshape(96, 2, 96, 2).mean((1, 3)) > 0.5
        overlap = (again & small.masks[0]).sum() / (again | small.masks[0]).sum()
        assert overlap > 0.6, (kind, overlap)


@pytest.mark.parametrize(
    ("flowers", "seed", "size", "words"),
    [
        ((), 0, 128, "got 0"),
        (("daisy", "roses", "tulips"), 0, 128, "got 3"),
        (("daisy", "daisy"), 0, 128, "two different"),
        (("daisy",), 0, 63, "64 to 2048"),
        (("daisy",), 0, 4000, "64 to 2048"),
        (("daisy",), -1, 128, "seed of 0 or more"),
        (("daisy",), 1.5, 128, "whole"),
        (("daisy",), 1, 128.5, "whole"),
    ],
)
def test_bad_input_gets_a_sentence(flowers, seed, size, words):
    with pytest.raises(VitdemoError, match=words):
        samples.draw(flowers, seed, size)


def test_unknown_flowers_are_told_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"orchid.*daisy.*tulips"):
        samples.draw(["orchid"], 0)


# -- the shipped files -------------------------------------------------------------------------------------


def test_what_is_shipped():
    assert len([entry for entry in SHIPPED if len(entry.flowers) == 1]) >= 5
    assert len([entry for entry in SHIPPED if len(entry.flowers) == 2]) >= 3
    assert {entry.flowers[0] for entry in SHIPPED if len(entry.flowers) == 1} == set(samples.FLOWERS)
    assert len({entry.name for entry in SHIPPED}) == len(SHIPPED)
    files = {file for entry in SHIPPED for file in (entry.file, *entry.masks)}
    on_disk = {file for file in samples.FOLDER.iterdir() if file.name != "samples.json"}
    assert files == on_disk
    assert sum(file.stat().st_size for file in on_disk) < 2_000_000


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)
def test_shipped_files_are_what_the_script_draws(entry):
    """JPEG loses a little; another processor's sine may round a pixel the other way."""
    kept = np.asarray(images.load(entry.file)).astype(int)
    sample = samples.draw(entry.flowers, entry.seed, kept.shape[0])
    assert np.abs(kept - sample.picture).mean() < 3
    for file, mask in zip(entry.masks, sample.masks, strict=True):
        assert (samples.read_mask(file) != mask).mean() < 1e-3
        with Image.open(file) as stored:
            assert stored.mode == "1"


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)
def test_shipped_pictures_are_described(entry):
    assert set(entry.alt) == {"en", "zh"}
    assert entry.alt["en"].endswith(".") and entry.alt["zh"].endswith("。")
    assert any("\u4e00" <= sign <= "\u9fff" for sign in entry.alt["zh"])


def test_writing_twice_gives_the_same_files(tmp_path):
    rows = [("one", ("tulips",), 3, "Tulips.", "郁金香。"), ("two", ("daisy", "roses"), 4, "Both.", "两种。")]
    first = samples.write(tmp_path / "a", rows, 96)
    samples.write(tmp_path / "b", rows, 96)
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert names == sorted(
        [
            "one.jpg",
            "one.tulips.mask.png",
            "two.jpg",
            "two.daisy.mask.png",
            "two.roses.mask.png",
            "samples.json",
        ]
    )
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert [entry.flowers for entry in first] == [("tulips",), ("daisy", "roses")]
    np.testing.assert_array_equal(samples.read_mask(first[1].masks[1]), samples.draw(rows[1][1], 4, 96).masks[1])


def test_a_missing_or_damaged_index_gets_a_sentence(tmp_path):
    with pytest.raises(VitdemoError, match=r"python -m vitdemo\.samples"):
        samples.shipped(tmp_path)
    for text in ("{", "[1]", json.dumps([{"name": "a"}])):
        (tmp_path / "samples.json").write_text(text, encoding="utf-8")
        with pytest.raises(VitdemoError, match="damaged"):
            samples.shipped(tmp_path)


# -- series ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flowers", "kinds"), [(1, 5), (2, 10)])
def test_a_series_has_every_kind_equally_often(flowers, kinds):
    rows = samples.series(flowers, 4 * kinds, seed=3)
    counts = {kind: [names for names, _ in rows].count(kind) for kind, _ in rows}
    assert set(counts.values()) == {4} and len(counts) == kinds
    assert all(len(set(names)) == flowers for names, _ in rows)
    assert rows[:7] == samples.series(flowers, 7, seed=3)
    others = {seed for _, seed in samples.series(flowers, 4 * kinds, seed=4)} | {entry.seed for entry in SHIPPED}
    assert len({seed for _, seed in rows}) == len(rows) and not {seed for _, seed in rows} & others


def test_pictures_of_a_series_have_their_masks():
    for names, seed in [*samples.series(1, 5, seed=1), *samples.series(2, 10, seed=1)]:
        sample = samples.draw(names, seed, 96)
        assert (sample.masks.mean((1, 2)) > 0.02).all()


@pytest.mark.parametrize("arguments", [(3, 1, 0), (0, 1, 0), (1, -1, 0), (2, 1, -1)])
def test_a_series_that_cannot_be(arguments):
    with pytest.raises(VitdemoError, match="1 or 2 flowers"):
        samples.series(*arguments)
