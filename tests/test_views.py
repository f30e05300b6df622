"""Views against timm's own evaluation transform, run on pictures whose pixels say where they are."""

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform

from tests.conftest import paint
from vitdemo.types import View
from vitdemo.views import canvas_shape, crop_to, place, spread, union, view_of

SIZES = [(200, 120), (90, 250), (160, 160), (37, 53), (251, 64)]
INPUTS = [((3, 32, 32), 1.0), ((3, 32, 32), 0.9), ((3, 48, 32), 0.875), ((3, 32, 48), 0.95), ((3, 64, 64), 0.7)]
MODES = ["center", "squash", "border"]


def transform_of(size, crop_pct, crop_mode):
    return {"input_size": size, "crop_pct": crop_pct, "crop_mode": crop_mode, "interpolation": "bilinear"}


def run_timm(picture: Image.Image, transform: dict) -> torch.Tensor:
    """(3, h, w) uint8; padding is blue."""
    blue = {"mean": (0.0, 0.0, 1.0), "std": (1.0, 1.0, 1.0)}
    seen = create_transform(**transform, **blue, is_training=False, normalize=False)(picture)
    return seen if isinstance(seen, torch.Tensor) else torch.from_numpy(np.array(seen)).permute(2, 0, 1)


def ramp(width: int, height: int) -> Image.Image:
    """Red rises from 0 to 255 along x, green along y."""
    y, x = np.indices((height, width), dtype=float)
    red, green = x / (width - 1), y / (height - 1)
    return Image.fromarray(np.rint(np.stack([red, green, 0 * x], axis=-1) * 255).astype(np.uint8))


def compare(shown: np.ndarray, padded: np.ndarray, begin: float, end: float, length: int) -> float:
    """How far (in input pixels) the coordinates that n pixels show are from those that the view says."""
    step = (end - begin) / len(shown)
    said = begin + (np.arange(len(shown)) + 0.5) * step
    np.testing.assert_array_equal(padded, (said < 0) | (said > length))
    at = shown / 255 * (length - 1) + 0.5
    margin = 1.5 * max(step, 1)  # the resampling filter's reach at the edges of the picture
    inner = ~padded & (said > margin) & (said < length - margin)
    assert inner.sum() >= 3
    rounding = (length - 1) / 255  # of the ramp and of what is seen, half a level each
    return max(np.abs(at - said)[inner].max() - rounding, 0) / step


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("size", "crop_pct"), INPUTS)
@pytest.mark.parametrize("picture", SIZES)
def test_view_is_what_timm_keeps(picture, size, crop_pct, mode):
    transform = transform_of(size, crop_pct, mode)
    seen = run_timm(ramp(*picture), transform).numpy().astype(float)
    view = view_of(picture, transform)
    left, top, right, bottom = view.box
    padded = seen[2] > 0
    assert compare(seen[0][~padded.all(1)].mean(0), padded.all(0), left, right, picture[0]) < 0.05
    assert compare(seen[1][:, ~padded.all(0)].mean(1), padded.all(1), top, bottom, picture[1]) < 0.05
    assert view.picture == picture


def test_view_defaults_are_timms():
    said = {"input_size": (3, 28, 28), "crop_pct": 0.875, "crop_mode": "center"}
    for transform in ({"input_size": (3, 28, 28)}, {**said, "crop_pct": None, "crop_mode": None}):
        assert view_of((100, 70), transform) == view_of((100, 70), said)


def test_view_of_a_line_of_pixels():
    view = view_of((1, 20_000), transform_of((3, 224, 224), 0.875, "center"))
    left, top, right, bottom = view.box
    assert 0 <= left < right <= 1
    assert bottom - top == pytest.approx(right - left)
    assert (top + bottom) / 2 == pytest.approx(10_000, abs=0.01)


@pytest.mark.parametrize("picture", [(1, 20_000), (20_000, 1), (1, 1), (640, 480), (3, 2)])
def test_canvas_keeps_proportions_and_is_never_empty(picture):
    rows, columns = canvas_shape(picture, 224)
    assert min(rows, columns) >= 1
    assert max(rows, columns) == min(224, max(picture))
    assert abs(columns - rows * picture[0] / picture[1]) <= picture[0] / picture[1] or columns == 1


@pytest.mark.parametrize("box", [(0, 0, 60, 40), (10.3, 5.5, 41.7, 38.2), (7, 0, 53, 40)])
@pytest.mark.parametrize("grid", [(4, 4), (7, 3), (64, 64), (1, 1)])
@pytest.mark.parametrize("shape", [(40, 60), (13, 20), (1, 1), (224, 336)])
def test_spread_keeps_the_sum(box, grid, shape):
    values = np.random.default_rng(1).normal(size=grid).astype(np.float32)
    placed = spread(values, View(box, (60, 40)), shape)
    assert placed.shape == shape
    assert placed.dtype == np.float32
    assert placed.sum(dtype=np.float64) == pytest.approx(values.sum(dtype=np.float64), abs=1e-4)


def test_spread_loses_only_what_lies_outside():
    values = np.ones((4, 4), dtype=np.float32)
    half_outside = View((-30.0, 0.0, 30.0, 40.0), (60, 40))
    assert spread(values, half_outside, (8, 12)).sum() == pytest.approx(8)


def test_spread_onto_its_own_grid_changes_nothing():
    values = np.random.default_rng(2).normal(size=(6, 9)).astype(np.float32)
    np.testing.assert_allclose(spread(values, View((0, 0, 90, 60), (90, 60)), (6, 9)), values, atol=1e-6)


def test_spread_and_place_put_a_peak_in_the_same_place():
    values = np.zeros((8, 8), dtype=np.float32)
    values[1, 6] = 1
    view = View((20.0, 0.0, 100.0, 80.0), (120, 80))
    y, x = 15, 85  # the middle of the cell (1, 6), in pixels of the picture
    spread_out = spread(values, view, (80, 120))
    rows, columns = np.nonzero(spread_out > 0)
    assert (rows.mean(), columns.mean()) == pytest.approx((y - 0.5, x - 0.5))
    placed, _ = place(values, view, (80, 120))
    assert np.abs(np.array(np.unravel_index(placed.argmax(), placed.shape)) + 0.5 - (y, x)).max() <= 0.5


@pytest.mark.parametrize("picture", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_place_of_a_constant_is_constant_where_seen(picture, mode):
    view = view_of(picture, transform_of((3, 32, 32), 0.9, mode))
    placed, seen = place(np.full((4, 4), 2.5, dtype=np.float32), view, canvas_shape(picture))
    assert seen.any()
    np.testing.assert_allclose(placed[seen], 2.5, rtol=1e-6)
    assert not placed[~seen].any()


def test_place_interpolates_linearly_between_the_middles_of_cells():
    values = np.array([[0.0, 1.0, 2.0, 3.0]], dtype=np.float32)
    placed, seen = place(values, View((0, 0, 40, 10), (40, 10)), (10, 40))
    assert seen.all()
    expected = np.clip((np.arange(40) + 0.5) / 10 - 0.5, 0, 3)
    np.testing.assert_allclose(placed, np.tile(expected, (10, 1)), atol=1e-6)


def test_place_stays_within_the_values():
    values = np.random.default_rng(3).normal(size=(5, 7)).astype(np.float32)
    placed, _ = place(values, View((0, 0, 70, 50), (70, 50)), (111, 97))
    assert values.min() - 1e-6 <= placed.min() <= placed.max() <= values.max() + 1e-6


@pytest.mark.parametrize("picture", [(1, 20_000), (20_000, 1), (30, 2_000)])
def test_crop_to_makes_long_pictures_cheap(picture):
    transform = transform_of((3, 64, 64), 0.9, "center")
    short = crop_to(Image.new("RGB", picture), transform)
    assert max(short.size) <= 4 * min(picture) + 1
    assert min(short.size) == min(picture)
    assert run_timm(short, transform).shape == (3, 64, 64)


@pytest.mark.parametrize("picture", [(60, 500), (500, 60), (61, 500), (500, 61), (64, 701)])
@pytest.mark.parametrize("size", [(3, 64, 64), (3, 64, 96), (3, 96, 64)])
@pytest.mark.parametrize("crop_pct", [1.0, 0.9])
def test_crop_to_never_changes_what_is_seen(picture, size, crop_pct):
    painted = paint(*picture, seed=sum(picture))
    transform = transform_of(size, crop_pct, "center")
    cropped = crop_to(painted, transform)
    assert cropped.size != painted.size
    plain, short = run_timm(painted, transform).float(), run_timm(cropped, transform).float()
    # timm rounds the long side, and with it where the crop begins, to whole pixels: half of one is allowed
    slope = max(plain.diff(dim=-1).abs().max(), plain.diff(dim=-2).abs().max())
    assert (plain - short).abs().max() <= 0.6 * slope + 2
    assert (plain - short).abs().mean() <= 2


@pytest.mark.parametrize("mode", ["squash", "border"])
def test_crop_to_leaves_what_is_seen_whole(mode):
    picture = Image.new("RGB", (10, 900))
    assert crop_to(picture, transform_of((3, 32, 32), 1.0, mode)) is picture


def test_crop_to_leaves_common_pictures_alone():
    picture = Image.new("RGB", (640, 480))
    assert crop_to(picture, transform_of((3, 32, 32), 1.0, "center")) is picture


def test_union_holds_every_view_and_spread_keeps_the_sum_on_it():
    views = [View((10, 0, 50, 40), (60, 40)), View((5, 5, 45, 45), (60, 40))]
    seen = union(views)
    assert seen.box == (5, 0, 50, 45) and seen.size == (45, 45)
    values = np.random.default_rng(3).normal(size=(6, 7))
    for view in views:
        assert spread(values, view, (20, 30), seen).sum() == pytest.approx(values.sum(), abs=1e-4)
