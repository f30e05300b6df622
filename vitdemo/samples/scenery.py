"""What is about the flowers: an out-of-focus background, stems and leaves.

Backgrounds are (size, size, 3) float32 in 0..1. They are painted at half size, since nothing in them is
sharp.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from vitdemo.samples.paint import Layer, mix, noise, petal, rgb, step, strand

Greens = tuple[np.ndarray, np.ndarray]  # of one picture's plants: dark, bright

LUSH = (
    (rgb(0.10, 0.22, 0.05), rgb(0.42, 0.60, 0.18)),
    (rgb(0.06, 0.16, 0.06), rgb(0.28, 0.48, 0.20)),
    (rgb(0.16, 0.24, 0.08), rgb(0.56, 0.66, 0.28)),
)
MUTED = (
    (rgb(0.05, 0.10, 0.05), rgb(0.22, 0.35, 0.18)),
    (rgb(0.08, 0.12, 0.06), rgb(0.36, 0.45, 0.24)),
    (rgb(0.03, 0.08, 0.03), rgb(0.15, 0.29, 0.11)),
    (rgb(0.11, 0.14, 0.08), rgb(0.47, 0.52, 0.32)),
    (rgb(0.08, 0.15, 0.11), rgb(0.38, 0.53, 0.38)),
)
FOLIAGE = {  # meadows are fresh, gardens and fields are not
    "daisy": LUSH + MUTED,
    "dandelion": LUSH,
    "roses": MUTED,
    "sunflowers": MUTED + LUSH[:1],
    "tulips": MUTED + LUSH[:1],
}
BACKGROUNDS = {  # how likely each background is about each flower
    "daisy": {"grass": 4, "bokeh": 3, "dark": 3, "soil": 1, "leaves": 1, "sky": 0.5},
    "dandelion": {"grass": 6, "bokeh": 3, "dark": 1, "soil": 1, "sky": 0.3},
    "roses": {"leaves": 3, "dark": 4, "bokeh": 2, "soil": 1, "plain": 2},
    "sunflowers": {"sky": 7, "leaves": 2, "bokeh": 1, "dark": 1, "plain": 0.5},
    "tulips": {"bed": 6, "sky": 2, "dark": 1.5, "bokeh": 1, "leaves": 1, "soil": 1, "plain": 1},
}


def background(rng: np.random.Generator, size: int, kind: str, greens: Greens) -> np.ndarray:
    """A background of a kind that `BACKGROUNDS` names."""
    small = max(8, size // 2)
    dark, bright = greens
    painted = {
        "grass": _grass,
        "bed": _bed,
        "leaves": _leaves,
        "bokeh": _bokeh,
        "dark": _dark,
        "soil": _soil,
        "plain": _plain,
        "sky": _sky,
    }[kind](rng, small, dark, bright)
    flat = Image.fromarray((np.clip(painted, 0, 1) * 255 + 0.5).astype(np.uint8))
    return np.asarray(flat.resize((size, size), Image.Resampling.BICUBIC), np.float32) / 255


def _wash(rng, n, dark, bright, cells=4.0, fall=0.25):
    """Lumps of two colours, a little brighter above."""
    share = 0.45 + 0.22 * noise(rng, n, n, cells) + 0.12 * noise(rng, n, n, 3 * cells)
    return mix(dark, bright, share + fall * (0.5 - np.linspace(0, 1, n, dtype=np.float32)[:, None]))


def _through(picture: np.ndarray, blur: float) -> Image.Image:
    flat = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return flat.filter(ImageFilter.GaussianBlur(blur))


def _tuple(colour: np.ndarray) -> tuple[int, ...]:
    return tuple(int(v) for v in np.clip(colour * 255, 0, 255))


def _blades(rng, image, count, dark, bright, width):
    """Grass: long triangles that lean, as tall as a third to all of the picture."""
    image = image.resize((2 * image.size[0], 2 * image.size[1]), Image.Resampling.BICUBIC)
    n, draw = image.size[0], ImageDraw.Draw(image)
    for _ in range(count):
        x, foot = rng.uniform(-0.2, 1.2) * n, rng.uniform(0.5, 1.3) * n
        tall, lean, wide = (
            rng.uniform(0.25, 0.8) * n,
            rng.normal(0, 0.22) * n,
            rng.uniform(0.4, 1.3) * width * n,
        )
        middle = (x + 0.35 * lean, foot - 0.6 * tall)
        outline = [
            (x - wide, foot),
            (middle[0] - 0.7 * wide, middle[1]),
            (x + lean, foot - tall),
            (middle[0] + 0.7 * wide, middle[1]),
            (x + wide, foot),
        ]
        draw.polygon(outline, _tuple(dark + (bright - dark) * rng.uniform(0.0, 1.25)))
    return image.reduce(2)


def _grass(rng, n, dark, bright):
    far = _through(_wash(rng, n, dark, bright), 0.01 * n)
    for count, width, blur in ((70, 0.016, 0.022), (70, 0.012, 0.010), (60, 0.008, 0.004)):
        far = _blades(rng, far, count, dark, bright, width)
        far = far.filter(ImageFilter.GaussianBlur(blur * n * rng.uniform(0.6, 1.4)))
    return np.asarray(far, np.float32) / 255


def _bed(rng, n, dark, bright):
    """A flower bed from low: broad upright leaves before spots of colour."""
    image = _through(_wash(rng, n, dark, bright, 5.0), 0.01 * n)
    hues = rng.uniform(0.1, 1.0, (3, 3)).astype(np.float32) * rgb(1.0, 0.7, 0.7)
    for count, large, blur in ((rng.integers(0, 40), 0.035, 0.028), (rng.integers(0, 16), 0.05, 0.020)):
        draw = ImageDraw.Draw(image)
        for _ in range(int(count)):
            x, y, r = *(rng.uniform((0, 0), (1, 0.75)) * n), n * large * rng.uniform(0.6, 1.2)
            draw.ellipse((x - r, y - 1.3 * r, x + r, y + 1.3 * r), _tuple(hues[rng.integers(3)]))
        image = _blades(rng, image, 14, dark, bright, 0.03)
        image = image.filter(ImageFilter.GaussianBlur(blur * n))
    return np.asarray(image, np.float32) / 255


def _leaves(rng, n, dark, bright):
    """Foliage: layers of ovals, the nearer the sharper."""
    image = _through(_wash(rng, n, dark * 0.6, bright * 0.7), 0.01 * n)
    for count, large, blur in ((40, 0.16, 0.03), (30, 0.14, 0.015), (18, 0.12, 0.007)):
        draw = ImageDraw.Draw(image)
        for _ in range(count):
            centre, turn = rng.uniform(-0.05, 1.05, 2) * n, rng.uniform(0, np.pi)
            long, wide = large * n * rng.uniform(0.6, 1.2), large * n * rng.uniform(0.25, 0.45)
            along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
            lobe = [
                (-1.0, 0),
                (-0.5, 0.8),
                (0.1, 1),
                (0.6, 0.6),
                (1, 0),
                (0.6, -0.6),
                (0.1, -1),
                (-0.5, -0.8),
            ]
            points = [tuple(centre + a * long * along + b * wide * across) for a, b in lobe]
            shade = rng.uniform(0.1, 0.9)
            draw.polygon(points, _tuple(0.8 * (dark + (bright - dark) * shade)))
            draw.polygon(points[:5], _tuple(0.8 * (dark + (bright - dark) * (shade + 0.15))))
        image = image.filter(ImageFilter.GaussianBlur(blur * n))
    return np.asarray(image, np.float32) / 255


def _bokeh(rng, n, dark, bright):
    """Discs of light out of focus."""
    base = _wash(rng, n, dark, bright, 3.0)
    spots = Image.new("L", (n, n))
    for _ in range(int(rng.integers(8, 30))):
        x, y, r = *(rng.uniform(0, 1, 2) * n), n * rng.uniform(0.02, 0.08)
        disc = Image.new("L", (n, n))
        ImageDraw.Draw(disc).ellipse((x - r, y - r, x + r, y + r), int(rng.uniform(15, 70)))
        spots = Image.fromarray(np.minimum(255, np.asarray(spots, np.int32) + np.asarray(disc)).astype(np.uint8))
    light = np.asarray(spots.filter(ImageFilter.GaussianBlur(0.008 * n)), np.float32)[..., None] / 255
    return base + light * (0.35 + bright)


def _dark(rng, n, dark, bright):
    return _wash(rng, n, dark * 0.15, bright * rng.uniform(0.15, 0.4), 3.0)


def _soil(rng, n, dark, bright):
    brown = _wash(rng, n, rgb(0.12, 0.09, 0.07), rgb(0.46, 0.38, 0.30), 10.0, 0.0)
    image = _through(brown + 0.05 * noise(rng, n, n, 40)[..., None], 0.006 * n)
    image = _blades(rng, image, 25, dark, bright, 0.012)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(0.008 * n)), np.float32) / 255


def _plain(rng, n, dark, bright):
    """A wall indoors."""
    tone = mix(rgb(0.85, 0.80, 0.72), rgb(0.55, 0.58, 0.62), np.array(rng.uniform()))
    return tone * (0.9 + 0.06 * noise(rng, n, n, 2.0))[..., None]


def _sky(rng, n, dark, bright):
    """Blue with clouds over a strip of field."""
    height = np.repeat(np.linspace(0, 1, n, dtype=np.float32)[:, None], n, 1)
    blue = mix(rgb(0.16, 0.38, 0.78), rgb(0.56, 0.74, 0.93), height + rng.uniform(-0.3, 0.2))
    clouds = noise(rng, n, n, 3.0) + 0.6 * noise(rng, n, n, 7.0) + 0.3 * noise(rng, n, n, 15.0)
    white = (0.9 * step(rng.uniform(0.0, 1.4), 3.0, clouds))[..., None]
    sky = blue * (1 - white) + rgb(0.97, 0.97, 0.98) * white
    horizon = rng.uniform(0.62, 1.15) + 0.03 * noise(rng, n, n, 6.0)[:1]
    land = _wash(rng, n, dark, bright, 9.0, 0.0)
    ground = step(-0.02, 0.02, height - horizon)[..., None]
    return sky * (1 - ground) + land * ground


def stem(
    rng, layer: Layer, head: np.ndarray, width: float, colour: np.ndarray, light: np.ndarray, droop: float
) -> None:
    """A round stem from a head down and out of the layer."""
    height = layer.cover.shape[0]
    foot = np.array([head[0] + droop * (height - head[1]), height * 1.08 + 4], np.float32)

    def shade(u, t):
        lit = 0.62 + 0.30 * (1 - t * t) + 0.25 * t * light[0]
        return colour * (lit * (1 - 0.25 * u))[..., None]

    strand(layer, head, foot, rng.normal(0, 0.06) * (height - head[1]), (width * 0.85, width * 1.1), shade, 0.2)


def leaf(rng, layer: Layer, base: np.ndarray, along: np.ndarray, wide: float, dark, bright, teeth: float = 0.0) -> None:
    """A leaf with a rib and side veins; `wide` is its half width in pixels, `teeth` roughens its edge."""
    length = float(np.hypot(*along))
    across = np.array([-along[1], along[0]], np.float32) / max(length, 1e-6) * wide
    tone, phase = rng.uniform(-0.15, 0.25), rng.uniform(0, 6.3)

    def profile(u):
        return np.sin(np.pi * np.clip(u, 0, 1) ** 0.8) ** 0.8 * (1 + teeth * np.sin(60 * u + phase))

    def colour(u, t):
        rib = np.exp(-((t / 0.07) ** 2))
        side = 0.10 * np.cos(40 * (u - 0.18 * np.abs(t)))
        fold = 0.18 * np.sign(t) * step(0.0, 0.3, np.abs(t))
        return mix(dark, bright, 0.45 + tone + side + fold + 0.35 * rib) * (1 - 0.15 * u)[..., None]

    petal(layer, base, along.astype(np.float32), across, profile, colour, rng.normal(0, 0.4), 0.25, 3.0)
