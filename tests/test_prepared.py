"""Shipped analyses: what is read was written, nothing is shown for something else, and nothing is out of date."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from PIL import Image

from tests.conftest import paint
from vitdemo import images, prepared
from vitdemo.backbones import Catalogue, bundled
from vitdemo.errors import VitdemoError
from vitdemo.explain import Options
from vitdemo.models import Models
from vitdemo.pipeline import Request, analyse, opening
from vitdemo.prepared import Prepared, key_of
from vitdemo.samples import masks_of, shipped

REQUEST = Request("tiny", ("vit", "resnet"), explanations=("rollout", "grad_cam"), trust=True)


def same(a, b, tolerance: float = 0.0) -> bool:
    """Whether two values of any of the kinds in an analysis agree, numbers to within `tolerance`."""
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name), tolerance) for f in fields(a))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], tolerance) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and np.allclose(a, b, rtol=tolerance, atol=tolerance)
    if isinstance(a, float) and not isinstance(b, bool):
        return abs(a - b) <= tolerance * max(1.0, abs(a))
    return a == b


@pytest.fixture
def analysis(catalogue, models):
    mask = {"b": np.eye(50, 60, dtype=bool)}
    return analyse(paint(60, 50), REQUEST, catalogue, models, masks=mask)


def test_what_is_read_is_what_was_written(analysis, tmp_path):
    prepared.write(analysis, tmp_path / "one.npz")
    found = Prepared(tmp_path).find(analysis.picture, analysis.backbones, REQUEST)
    for field in fields(analysis):
        if field.name != "picture":
            assert same(getattr(found, field.name), getattr(analysis, field.name)), field.name
    assert found.trust and found.picture is analysis.picture


def test_nothing_is_found_for_another_picture_request_or_weights(analysis, tmp_path, rows):
    prepared.write(analysis, tmp_path / "one.npz")
    known, found = Prepared(tmp_path), analysis.backbones
    other = analysis.picture.copy()
    other.putpixel((0, 0), (1, 2, 3))
    assert known.find(other, found, REQUEST) is None
    assert known.find(Image.new("RGB", (60, 50)), found, REQUEST) is None
    for change in ({"explanations": ("rollout",)}, {"trust": False}, {"fusion": "vote"}, {"options": Options(seed=1)}):
        assert known.find(analysis.picture, found, replace(REQUEST, **change)) is None
    assert known.find(analysis.picture, found[::-1], REQUEST) is None
    hotter = (replace(found[0], temperature=2.0), *found[1:])
    assert known.find(analysis.picture, hotter, REQUEST) is None
    assert known.find(analysis.picture.copy(), found, REQUEST) is not None  # equal pixels are the same picture


def test_a_picture_of_other_proportions_with_the_same_bytes_has_another_key(rows):
    found = list(rows.values())[:1]
    wide, tall = Image.new("RGB", (4, 2)), Image.new("RGB", (2, 4))
    assert wide.tobytes() == tall.tobytes() and key_of(wide, found, REQUEST) != key_of(tall, found, REQUEST)


def test_a_damaged_file_is_never_found_and_says_so_when_read(analysis, tmp_path):
    path = prepared.write(analysis, tmp_path / "one.npz")
    path.write_bytes(path.read_bytes()[:-200])
    assert Prepared(tmp_path).find(analysis.picture, analysis.backbones, REQUEST) is None
    with pytest.raises(VitdemoError, match=r"one\.npz is damaged"):
        prepared.read(path, analysis.picture, analysis.backbones, REQUEST)


def test_no_folder_holds_nothing(tmp_path):
    assert len(Prepared(tmp_path / "nowhere")) == 0


def test_every_sample_has_its_analysis():
    """Of the weights, the samples and the request as they are now: `python -m vitdemo prepare` after each change."""
    catalogue = Catalogue(bundled())
    request = opening(catalogue, catalogue.collections()[0])
    rows, known = catalogue.get(request.collection, request.backbones), Prepared()
    for sample in shipped():
        found = known.find(images.load(sample.file), rows, request)
        assert found is not None, sample.name
        assert all(found.trust[name].keys() for name in found.trust), sample.name
        weight = (prepared.FOLDER / f"{sample.name}.npz").stat().st_size
        assert weight < 400_000, (sample.name, weight)
    assert len(known) == len(shipped())


@pytest.mark.parametrize("sample", shipped()[:1], ids=lambda sample: sample.name)
def test_what_is_shipped_is_what_is_computed(sample):
    catalogue = Catalogue(bundled())
    request = opening(catalogue, catalogue.collections()[0])
    picture = images.load(sample.file)
    fresh = analyse(picture, request, catalogue, Models("cpu"), masks=masks_of(sample))
    kept = Prepared().find(picture, fresh.backbones, request)
    for field in fields(fresh):
        if field.name not in {"picture", "seconds", "forward"}:  # the clock
            assert same(getattr(fresh, field.name), getattr(kept, field.name), 1e-4), field.name
