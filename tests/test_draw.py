"""Drawing: colours at known values, scales, what was not seen, and pictures that open."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from tests.conftest import paint
from vitdemo.draw import (
    COLOUR_MAPS,
    FINE,
    SCALES,
    SIDE,
    colour_bar,
    displayed,
    grid,
    layer,
    limits,
    overlay,
    scaled,
    shrunk,
    single,
    unseen,
)
from vitdemo.errors import UnknownNameError
from vitdemo.types import Heat, NotOffered, View

WHOLE = View((0.0, 0.0, 60.0, 40.0), (60, 40))
MIDDLE = View((10.0, 0.0, 50.0, 40.0), (60, 40))


def heat(values, signed=False, view=WHOLE) -> Heat:
    return Heat(np.asarray(values, dtype=np.float32), signed, view)


def plain(value: float, signed=False, view=WHOLE) -> Heat:
    return heat(np.full((4, 4), value), signed, view)


def open_png(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "PNG"
    picture.load()
    return picture.convert("RGB")


# scales


def test_limits_begin_at_zero_or_are_symmetric():
    values = np.linspace(0, 1, 101)[None]
    assert limits([heat(values)]) == pytest.approx((0, 0.995))
    assert limits([heat(-3 * values, signed=True)]) == pytest.approx((-2.985, 2.985))
    assert limits([heat(values), heat(2 * values)])[1] == pytest.approx(np.percentile([values, 2 * values], 99.5))


def test_limits_of_a_map_that_is_nothing_or_a_single_spot():
    assert limits([plain(0)]) == (0, 1)
    assert limits([plain(0, signed=True)]) == (-1, 1)
    spot = np.zeros((50, 50))
    spot[3, 3] = 7  # beyond the 99.5th percentile
    assert limits([heat(spot)]) == (0, 7)
    assert limits([heat(-spot, signed=True)]) == (-7, 7)


MAPS = {
    "fused": {"rollout": plain(1), "occlusion": plain(-2, True), "smoothgrad": NotOffered("because")},
    "vit": {"rollout": plain(3), "occlusion": plain(4, True), "smoothgrad": plain(5)},
    "other": {"rollout": heat(np.full((2, 2), 30)), "occlusion": plain(8, True), "smoothgrad": plain(0.5)},
}
EXPECTED = {
    "each": {("vit", "rollout"): (0, 3), ("fused", "occlusion"): (-2, 2), ("other", "smoothgrad"): (0, 0.5)},
    "row": {("vit", "rollout"): (0, 5), ("vit", "occlusion"): (-4, 4), ("fused", "rollout"): (0, 1)},
    "all": {
        ("fused", "rollout"): (0, 3),
        ("other", "rollout"): (0, 30),  # on a grid of its own
        ("vit", "occlusion"): (-8, 8),
        ("other", "smoothgrad"): (0, 5),
    },
}


@pytest.mark.parametrize("scale", SCALES.names())
def test_scales(scale):
    bounds = scaled(MAPS, scale)
    assert len(bounds) == 8  # every map, and nothing for what is not offered
    for key, expected in EXPECTED[scale].items():
        assert bounds[key] == pytest.approx(expected, rel=0.05), key
    for (row, method), (low, high) in bounds.items():
        assert high > 0
        assert low == (-high if MAPS[row][method].signed else 0)


def test_an_unknown_scale_names_the_known_ones():
    with pytest.raises(UnknownNameError, match="each, row, all"):
        scaled(MAPS, "log")


def test_a_map_of_pixels_is_smoothed_for_display_only():
    values = np.random.default_rng(0).normal(size=(96, 128)).astype(np.float32)
    one = heat(values.copy(), signed=True)
    shown = displayed(one)
    np.testing.assert_array_equal(one.values, values)
    assert shown.shape == values.shape
    assert shown.dtype == np.float32
    assert values.min() <= shown.min() <= shown.max() <= values.max()
    assert shown.std() < 0.5 * values.std()
    np.testing.assert_allclose(displayed(heat(np.full((96, 128), 2.5))), 2.5, rtol=1e-6)
    peak = np.zeros((96, 96))
    peak[40, 60] = 1
    assert np.unravel_index(displayed(heat(peak)).argmax(), peak.shape) == (40, 60)
    assert displayed(heat(peak)).sum() == pytest.approx(1, abs=1e-5)


def test_a_map_of_patches_is_shown_as_it_is():
    values = np.random.default_rng(0).normal(size=(FINE, 2 * FINE)).astype(np.float32)
    np.testing.assert_array_equal(displayed(heat(values)), values)


# colours


@pytest.mark.parametrize("name", COLOUR_MAPS.names())
@pytest.mark.parametrize("value", [0.0, 0.25, 0.6, 1.0, 4.0])
def test_colours_of_known_values(name, value):
    drawn = np.asarray(layer(plain(value), (0, 1), name, side=32))
    expected = colormaps[name](min(value, 1.0), bytes=True)
    assert (drawn[..., :3] == expected[:3]).all()
    assert (drawn[..., 3] == 255).all()


@pytest.mark.parametrize("value", [-2.0, -1.0, -0.4, 0.0, 0.7, 3.0])
def test_colours_of_known_signed_values(value):
    """Red is for, blue against, and 0 is in the middle, whatever colour map is chosen for the others."""
    drawn = np.asarray(layer(plain(value, signed=True), (-1, 1), "viridis", side=32)).astype(int)
    expected = colormaps["RdBu_r"]((np.clip(value, -1, 1) + 1) / 2, bytes=True)
    assert (np.abs(drawn[..., :3] - np.array(expected[:3], int)) <= 1).all()
    if value:
        assert (drawn[..., 0] > drawn[..., 2]).all() == (value > 0)


def test_an_unknown_colour_map_names_the_known_ones():
    with pytest.raises(UnknownNameError, match="magma, cividis, viridis, inferno"):
        layer(plain(1), (0, 1), "jet")


@pytest.mark.parametrize("name", COLOUR_MAPS.names())
def test_colour_maps_grow_lighter_evenly(name):
    red, green, blue = colormaps[name](np.linspace(0, 1, 50))[:, :3].T
    lightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (np.diff(lightness) > 0).all()


def test_the_colour_bar_has_the_colours_of_the_map():
    bar = colour_bar(signed=False, colour_map="viridis", stops=5)
    assert bar == [
        "#{:02x}{:02x}{:02x}".format(*colormaps["viridis"](share, bytes=True)[:3]) for share in np.linspace(0, 1, 5)
    ]
    assert colour_bar(signed=True)[0] != colour_bar(signed=True)[-1]
    assert len(colour_bar(signed=True)) == 9


# what was not seen


@pytest.mark.parametrize("signed", [False, True])
def test_transparent_where_nothing_was_seen(signed):
    drawn = np.asarray(layer(plain(1, signed, MIDDLE), (-1 if signed else 0, 1), side=60))
    assert drawn.shape == (40, 60, 4)
    assert (drawn[:, 10:50, 3] == 255).all()
    assert not drawn[:, :10, 3].any()
    assert not drawn[:, 50:, 3].any()


def test_hatched_where_nothing_was_seen():
    hatching = np.asarray(unseen(plain(1, view=MIDDLE), side=60))
    assert not hatching[:, 10:50].any()
    for side in (hatching[:, :10], hatching[:, 50:]):
        assert side[..., 3].all()
        assert len(np.unique(side[..., 0])) == 2
    assert unseen(plain(1)) is None


def test_the_picture_shows_through():
    picture = paint(60, 40)
    invisible = np.asarray(overlay(picture, plain(1), (0, 1), opacity=0.0))
    np.testing.assert_array_equal(invisible, np.asarray(shrunk(picture)))
    opaque = np.asarray(overlay(picture, plain(1), (0, 1), opacity=1.0))
    assert (opaque == colormaps["magma"](1.0, bytes=True)[:3]).all()
    half = np.asarray(overlay(picture, plain(1), (0, 1), opacity=0.5)).astype(float)
    np.testing.assert_allclose(half, (invisible.astype(float) + opaque) / 2, atol=2)


# pictures that open


@pytest.mark.parametrize("size", [(60, 40), (1000, 700), (1, 1), (1, 5000), (3000, 2)])
def test_overlays_have_the_pictures_proportions(size):
    picture = Image.new("RGB", size, (10, 200, 30))
    whole = View((0.0, 0.0, *map(float, size)), size)
    drawn = overlay(picture, plain(0.5, view=whole), (0, 1))
    assert drawn.mode == "RGB"
    assert drawn.size == shrunk(picture).size
    assert max(drawn.size) == min(SIDE, max(size))
    assert abs(drawn.width - drawn.height * size[0] / size[1]) <= max(1, size[0] / size[1])


@pytest.mark.parametrize("size", [(60, 40), (1, 1), (40, 300)])
def test_a_single_map_as_png(size):
    whole = View((0.0, 0.0, *map(float, size)), size)
    png = open_png(single(Image.new("RGB", size), plain(0.5, True, whole), (-1.0, 1.0), "Occlusion"))
    assert png.width > png.height > 200
    assert np.asarray(png).std() > 1


def test_a_grid_as_png():
    picture = paint(60, 40)
    arguments = {"titles": {"rollout": "Attention rollout"}, "captions": {"vit": "ViT: ant 80 %"}}
    small = open_png(grid(picture, {"vit": {"rollout": plain(1)}}, **arguments))
    large = open_png(grid(picture, MAPS, **arguments, heading="ant"))
    assert large.width > small.width
    assert large.height > small.height
    assert len(np.unique(np.asarray(large).reshape(-1, 3), axis=0)) > 1000


def test_what_is_not_offered_is_written_into_its_cell():
    picture = Image.new("RGB", (60, 40), "white")
    drawn = {}
    for reason in ("a convolutional network has no attention", "jumps"):
        maps = {"vit": {"rollout": plain(1)}, "resnet": {"rollout": NotOffered(reason)}}
        png = np.asarray(open_png(grid(picture, maps, {}, {}))).astype(int)
        drawn[reason] = png[png.shape[0] // 2 :, png.shape[1] // 2 :]  # the lower right cell
        assert (drawn[reason].sum(-1) < 200).sum() > 20  # black letters on white
    one, other = drawn.values()
    assert one.shape != other.shape or (one != other).any()


def test_a_grid_with_a_missing_map():
    maps = {"vit": {"rollout": plain(1), "occlusion": plain(1, True)}, "resnet": {"occlusion": plain(1, True)}}
    assert open_png(grid(paint(30, 30), maps, {}, {})).width > 300


def test_the_same_bytes_twice():
    picture = paint(60, 40)
    assert grid(picture, MAPS, {}, {}) == grid(picture, MAPS, {}, {})


def test_pyplot_is_never_imported():
    """It keeps figures in a global list, and is not safe in a server's threads."""
    code = (
        "import sys, numpy as np; from PIL import Image\n"
        "from vitdemo import draw; from vitdemo.types import Heat, View\n"
        "heat = Heat(np.ones((2, 2), np.float32), False, View((0, 0, 9, 9), (9, 9)))\n"
        "draw.single(Image.new('RGB', (9, 9)), heat, (0.0, 1.0), 'title')\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
