"""The five flowers' heads, each painted on a layer of its own.

Every function takes a random generator, a radius in pixels and the direction that light comes from (a unit
vector (x, y), y downwards) and returns a `Layer` whose middle is the head's. No two heads are alike: number,
length and tint of the petals, tilt and turn are drawn from the generator.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from vitdemo.samples.paint import Layer, blob, mix, parastichies, petal, rgb, step

Head = Callable[[np.random.Generator, float, np.ndarray], Layer]


def _tilted(rng: np.random.Generator, most: float) -> Callable[[float, float, float], np.ndarray]:
    """A slanting view of the head: (radius, angle, lift towards the viewer) to (x, y) about its middle."""
    squash, turn = np.cos(rng.uniform(0, most)), rng.normal(0, 0.5)
    rise = np.sqrt(1 - squash * squash)

    def project(radius: float, angle: float, lift: float = 0.0) -> np.ndarray:
        x, y = radius * np.cos(angle), radius * np.sin(angle) * squash - lift * rise
        return np.array([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], np.float32)

    return project


def _veins(rng: np.random.Generator, depth: float, count: float) -> Callable[[np.ndarray], np.ndarray]:
    """Light and dark lines along a petal, as a factor by its position across."""
    phases, waves = rng.uniform(0, 6.3, 3), count * np.array([1.0, 1.9, 3.3])

    def factor(t: np.ndarray) -> np.ndarray:
        return 1 + depth * sum(np.sin(wave * t + phase) for wave, phase in zip(waves, phases, strict=True)) / 2

    return factor


def _facing(angle: float, light: np.ndarray, depth: float) -> float:
    """Brightness of a petal that points to `angle`: most where the light comes from."""
    return 1 - depth * (0.5 - 0.5 * (np.cos(angle) * light[0] + np.sin(angle) * light[1]))


def _disc(layer: Layer, centre, first, second, light, seeds, families, tone) -> None:
    """A dome of florets; `tone` maps (radius, pattern, light) to a colour."""

    def colour(s, t):
        radius = np.sqrt(s * s + t * t)
        dome = np.sqrt(np.clip(1 - 0.85 * radius * radius, 0, 1))
        shine = 0.62 + 0.38 * dome + 0.25 * (s * light[0] + t * light[1])
        return tone(radius, parastichies(s, t, seeds, families), shine)

    blob(layer, centre, first, second, lambda a: 1 + 0.02 * np.sin(9 * a), colour, shadow=0.4, soft=3.0)


def daisy(rng: np.random.Generator, radius: float, light: np.ndarray) -> Layer:
    """White rays about a yellow disc."""
    half = int(radius * 1.25) + 4
    layer, middle = Layer.empty(2 * half, 2 * half), np.array([half, half], np.float32)
    project = _tilted(rng, 0.9)
    count, inner = int(rng.integers(17, 30)), rng.uniform(0.24, 0.36)
    width = radius * rng.uniform(0.95, 1.35) * 2.2 / count
    white = mix(rgb(0.97, 0.97, 0.97), rgb(1.0, 0.95, 0.98), np.array(rng.uniform()))
    shade = mix(rgb(0.62, 0.66, 0.74), rgb(0.72, 0.68, 0.62), np.array(rng.uniform()))
    blunt = rng.uniform(3, 7)
    cup = rng.uniform(-0.15, 0.3)

    def profile(u):
        return (0.25 + 0.75 * np.sqrt(u)) * np.clip(1 - u**blunt, 0, 1) ** 0.55

    for ring in range(2):
        for i in rng.permutation(count):
            angle = 2 * np.pi * (i + 0.5 * ring + rng.normal(0, 0.16)) / count
            long = radius * rng.uniform(0.86, 1.05) * (1 - 0.06 * ring)
            base = project(0.6 * inner * radius, angle)
            tip = project(long, angle + rng.normal(0, 0.03), cup * long * rng.uniform(0.5, 1.2))
            along = tip - base
            side = project(1, angle + np.pi / 2)
            veins, bright = _veins(rng, 0.07, 4.0), _facing(angle, light, 0.28) * rng.uniform(0.93, 1.03)

            def colour(u, t, veins=veins, bright=bright):
                lit = bright * veins(t) * (1 - 0.16 * t * t) - 0.42 * step(0.55, 0.1, u)
                return mix(shade, white, 0.15 + lit) * (0.66 + 0.37 * np.clip(lit, 0, 1.05))[..., None]

            petal(
                layer,
                middle + base,
                along,
                side * width,
                profile,
                colour,
                rng.normal(0, 0.35),
                0.22,
                radius * 0.03,
            )
    gold, dark = rgb(0.99, 0.80, 0.10), rgb(0.72, 0.40, 0.02)
    lift = middle + project(0, 0, 0.08 * radius)

    def tone(r, pattern, shine):
        base = mix(dark, gold, 0.62 + 0.35 * pattern - 0.35 * step(0.7, 1.0, r))
        green = mix(base, rgb(0.72, 0.74, 0.15), 0.35 * step(0.45, 0.0, r))
        return green * shine[..., None]

    first, second = project(inner * radius, 0), project(inner * radius, np.pi / 2)
    _disc(
        layer,
        lift,
        first,
        second,
        light,
        int(np.clip(radius * 2.5, 40, rng.integers(120, 240))),
        (13, 21, 34) if radius > 40 else (5, 8, 13),
        tone,
    )
    return layer


def _families(radius: float) -> tuple[int, ...]:
    """Spirals that are coarse enough to be seen at this size; finer ones would only give moiré."""
    return (21, 34, 55) if radius > 60 else (13, 21, 34) if radius > 30 else (8, 13, 21)


def sunflowers(rng: np.random.Generator, radius: float, light: np.ndarray) -> Layer:
    """Yellow pointed rays about a large brown disc."""
    half = int(radius * 1.3) + 4
    layer, middle = Layer.empty(2 * half, 2 * half), np.array([half, half], np.float32)
    project = _tilted(rng, 0.8)
    count, inner = int(rng.integers(14, 22)), rng.uniform(0.42, 0.60)
    width = radius * rng.uniform(2.3, 3.0) / count
    warm = rng.uniform(0, 1)
    tip_colour = mix(rgb(1.0, 0.90, 0.12), rgb(1.0, 0.76, 0.06), np.array(warm))
    base_colour = mix(rgb(0.97, 0.68, 0.03), rgb(0.92, 0.50, 0.02), np.array(warm))

    def profile(u):
        return 1.55 * (0.12 + 0.88 * u) ** 0.55 * (1 - u) ** 0.75

    for ring in range(3):
        for i in rng.permutation(count):
            angle = 2 * np.pi * (i + ring / 3 + rng.normal(0, 0.2)) / count
            long = radius * rng.uniform(0.78, 1.12) * (1 - 0.05 * ring)
            base = project(0.8 * inner * radius, angle)
            tip = project(long, angle + rng.normal(0, 0.06), rng.normal(0.05, 0.1) * long)
            side = project(1, angle + np.pi / 2)
            veins = _veins(rng, 0.11, 5.0)
            bright = _facing(angle, light, 0.25) * rng.uniform(0.92, 1.08) * (0.86 + 0.08 * ring)

            def colour(u, t, veins=veins, bright=bright):
                lit = bright * veins(t) * (1 - 0.22 * np.abs(t)) * (0.72 + 0.3 * step(0.15, 0.6, u))
                return mix(base_colour, tip_colour, 0.15 + 1.0 * u - 0.2 * np.abs(t)) * lit[..., None]

            across = side * width * rng.uniform(0.75, 1.15)
            petal(
                layer,
                middle + base,
                tip - base,
                across,
                profile,
                colour,
                rng.normal(0, 0.7),
                0.3,
                radius * 0.035,
            )
    brown, rust, seed = rgb(0.12, 0.06, 0.03), rgb(0.38, 0.20, 0.06), rgb(0.66, 0.42, 0.10)
    core = mix(rgb(0.16, 0.08, 0.03), rgb(0.45, 0.42, 0.12), np.array(rng.uniform(0, 1)))
    crown, golden = rng.uniform(0.66, 0.9), rng.uniform(0.2, 1.0)

    def tone(r, pattern, shine):
        ring = golden * np.exp(-(((r - crown) / 0.12) ** 2))
        base = mix(brown, rust, 0.40 + 0.40 * pattern)
        base = mix(brown, seed, 0.35 + 0.5 * pattern) * ring[..., None] + base * (1 - ring)[..., None]
        base = (
            base * (1 - step(0.55, 0.2, r))[..., None] + core * ((0.85 + 0.3 * pattern) * step(0.55, 0.2, r))[..., None]
        )
        return base * (shine * (1 - 0.35 * step(0.88, 1.0, r)))[..., None]

    first, second = project(inner * radius, 0), project(inner * radius, np.pi / 2)
    _disc(
        layer,
        middle,
        first,
        second,
        light,
        int(np.clip(radius * 7, 90, rng.integers(420, 800))),
        _families(radius),
        tone,
    )
    return layer


def dandelion(rng: np.random.Generator, radius: float, light: np.ndarray) -> Layer:
    """A full yellow head of many narrow florets."""
    half = int(radius * 1.2) + 4
    layer, middle = Layer.empty(2 * half, 2 * half), np.array([half, half], np.float32)
    project = _tilted(rng, 0.95)
    bright_yellow = mix(rgb(1.0, 0.93, 0.16), rgb(1.0, 0.84, 0.05), np.array(rng.uniform()))
    deep = mix(rgb(0.93, 0.68, 0.0), rgb(0.86, 0.56, 0.0), np.array(rng.uniform()))
    detail = float(np.clip(radius / 70, 0.3, 1.0))  # small heads get fewer and broader florets
    rings, width = 8, radius * rng.uniform(0.026, 0.036) / detail**0.7
    fullness = rng.uniform(0.30, 0.55)
    blob(
        layer,
        middle,
        project(0.55 * radius, 0),
        project(0.55 * radius, np.pi / 2),
        lambda a: 1.0 + 0 * a,
        lambda s, t: (0.75 * deep) * np.ones_like(s)[..., None],
    )

    def profile(u):
        return (0.45 + 0.55 * np.minimum(1, u * 1.5)) * (1 - 0.2 * step(0.95, 1.0, u))

    for ring in range(rings):
        share = ring / (rings - 1)
        count = int((62 * (1 - share) + 18) * detail)
        reach = radius * (1.0 - 0.78 * share)
        for i in rng.permutation(count):
            angle = 2 * np.pi * (i + rng.uniform(-0.45, 0.45)) / count + ring
            long = reach * rng.uniform(0.74, 1.08)
            base = project(0.22 * long, angle, 0.2 * radius * share)
            tip = project(
                long,
                angle + rng.normal(0, 0.07),
                radius * fullness * (0.1 + 0.7 * share) * rng.uniform(0.7, 1.2),
            )
            side = project(1, angle + np.pi / 2)
            bright = _facing(angle, light, 0.18) * rng.uniform(0.86, 1.07)

            def colour(u, t, bright=bright, share=share):
                lit = bright * (1 - 0.06 * np.abs(t)) * (0.78 + 0.26 * u)
                return mix(deep, bright_yellow, 0.25 + 0.95 * u - 0.20 * share) * lit[..., None]

            across = side * width * rng.uniform(0.75, 1.2)
            petal(
                layer,
                middle + base,
                tip - base,
                across,
                profile,
                colour,
                rng.normal(0, 1.3),
                0.16,
                radius * 0.016,
            )
    return layer


def seed_head(rng: np.random.Generator, radius: float, light: np.ndarray) -> Layer:
    """A dandelion gone to seed, a ball of parachutes: stalks from the middle, each with a star of hairs."""
    scale = 3 if radius < 50 else 2
    half = int(radius * 1.15) + 4
    size = 2 * half * scale
    hairs, stalks = Image.new("L", (size, size)), Image.new("L", (size, size))
    draw_hair, draw_stalk = ImageDraw.Draw(hairs), ImageDraw.Draw(stalks)
    detail = float(np.clip(radius / 60, 0.4, 1.0))  # small heads get fewer parachutes
    count, star, rays = int(rng.integers(90, 170) * detail), rng.uniform(0.18, 0.27), int(9 + 6 * detail)
    ball = radius * scale * 0.86
    golden = np.pi * (3 - np.sqrt(5))
    for i in rng.permutation(count):
        z = 1 - 2 * (i + 0.5) / count
        flat, angle = np.sqrt(1 - z * z), i * golden + rng.normal(0, 0.12)
        x, y = flat * np.cos(angle), flat * np.sin(angle)
        px, py = half * scale + ball * x, half * scale + ball * y
        near = 0.5 + 0.5 * z
        draw_stalk.line(
            (half * scale + 0.12 * ball * x, half * scale + 0.12 * ball * y, px, py),
            int(90 + 80 * near),
            max(1, int(ball / 170)),
        )
        for k in range(rays):
            ray = 2 * np.pi * (k + rng.uniform(-0.3, 0.3)) / rays
            dx, dy = star * ball * np.cos(ray), star * ball * np.sin(ray)
            squash = dx * x + dy * y  # a star seen from the side is a line
            dx, dy = (
                dx - squash * x * (1 - abs(z)) + 0.10 * ball * x,
                dy - squash * y * (1 - abs(z)) + 0.10 * ball * y,
            )
            draw_hair.line((px, py, px + dx, py + dy), int(150 + 105 * near), max(1, round(ball / 120)))
    box = (2 * half, 2 * half)
    hair = np.asarray(hairs.resize(box, Image.Resampling.BOX), np.float32) / 255
    stalk = np.asarray(stalks.resize(box, Image.Resampling.BOX), np.float32) / 255
    y, x = (np.mgrid[0 : 2 * half, 0 : 2 * half].astype(np.float32) + 0.5 - half) / radius
    r = np.sqrt(x * x + y * y)
    haze = rng.uniform(0.50, 0.80) * step(1.06, 0.78, r) * (0.60 + 0.40 * r)
    shine = 0.84 + 0.16 * (x * light[0] + y * light[1])
    white = mix(rgb(0.93, 0.93, 0.95), rgb(0.95, 0.92, 0.84), np.array(rng.uniform()))
    brown = mix(rgb(0.42, 0.30, 0.20), rgb(0.62, 0.58, 0.42), np.array(rng.uniform()))
    layer = Layer.empty(2 * half, 2 * half)
    for cover, colour in (
        (haze, white * 0.80),
        (0.75 * stalk, white * 0.90),
        (step(0.24, 0.10, r) * 0.85, brown),
        (np.clip(1.35 * hair, 0, 1), white),
    ):
        layer.colour[...] *= (1 - cover)[..., None]
        layer.colour[...] += colour * (cover * shine)[..., None]
        layer.cover[...] = layer.cover * (1 - cover) + cover
    return layer


ROSES = (
    (rgb(0.86, 0.06, 0.10), rgb(0.30, 0.0, 0.03)),
    (rgb(0.92, 0.16, 0.22), rgb(0.42, 0.01, 0.05)),
    (rgb(0.93, 0.32, 0.50), rgb(0.58, 0.06, 0.22)),
    (rgb(0.97, 0.62, 0.70), rgb(0.78, 0.26, 0.38)),
    (rgb(0.98, 0.76, 0.74), rgb(0.84, 0.42, 0.42)),
    (rgb(0.99, 0.62, 0.36), rgb(0.78, 0.22, 0.08)),
    (rgb(0.97, 0.92, 0.84), rgb(0.72, 0.58, 0.42)),
    (rgb(0.98, 0.84, 0.42), rgb(0.80, 0.46, 0.10)),
)


def rose_colour(rng: np.random.Generator) -> int:
    return int(rng.choice(len(ROSES), p=[0.2, 0.16, 0.18, 0.16, 0.1, 0.1, 0.05, 0.05]))


def roses(rng: np.random.Generator, radius: float, light: np.ndarray, kind: int) -> Layer:
    """Petals laid round each other, wide outside and tightly wound inside; `kind` is a row of ROSES."""
    half = int(radius * 1.35) + 4
    layer, middle = Layer.empty(2 * half, 2 * half), np.array([half, half], np.float32)
    squash, turn = rng.uniform(0.68, 1.0), rng.uniform(0, 2 * np.pi)
    rise = np.sqrt(1 - squash * squash) * radius * 0.38  # the cup's mouth stands nearer to us than its foot
    count, golden = int(rng.integers(17, 27)), np.pi * (3 - np.sqrt(5))
    for i in range(count):
        share = i / (count - 1)
        angle = turn + i * golden + rng.normal(0, 0.14)
        out = np.array([np.cos(angle), np.sin(angle) * squash], np.float32)
        side = np.array([-np.sin(angle), np.cos(angle) * squash], np.float32)
        away = radius * (0.44 * (1 - share) ** 1.25 + 0.02)
        deep_half = radius * (0.53 - 0.44 * share**0.8) * rng.uniform(0.9, 1.1)
        wide_half = radius * (0.64 - 0.53 * share**0.8) * rng.uniform(0.9, 1.1)
        centre = middle + out * away - np.array([0, rise * (share - 0.3)], np.float32)
        bright = _facing(angle, light, 0.25) * rng.uniform(0.92, 1.08)
        _rose_petal(
            rng,
            layer,
            centre,
            out * deep_half,
            side * wide_half,
            light,
            ROSES[kind],
            bright,
            0.50 - 0.15 * share,
            1.15 - share,
        )
    return layer


def _rose_petal(rng, layer, centre, out, side, light, colours, bright, shadow, wave) -> None:
    """A petal, deep inside and light at its lip, which lies towards `out`; `out` and `side` are half axes."""
    lip, deep = colours
    phase, size = rng.uniform(0, 6.3, 3), wave * rng.uniform(0.01, 0.05, 3)
    veins, point = _veins(rng, 0.035, 4.0), rng.uniform(0.0, 0.14) * wave
    slant = (out[0] * light[0] + out[1] * light[1]) / (np.hypot(*out) + 1e-6)

    def outline(a):
        waves = size[0] * np.sin(2 * a + phase[0]) + size[1] * np.sin(3 * a + phase[1]) + size[2] * np.cos(5 * a)
        return 1 + waves + point * np.exp(-((a / 0.45) ** 2))

    def colour(s, t):
        edge = np.sqrt(s * s + t * t) / outline(np.arctan2(t, s))
        front = step(-0.3, 0.4, s)
        roll = np.exp(-(((edge - 0.93) / 0.07) ** 2)) * front  # the lip is rolled outwards
        groove = np.exp(-(((edge - 0.78) / 0.08) ** 2)) * front
        lit = 0.05 + 0.81 * step(-0.5, 0.75, s) + 0.22 * roll - 0.10 * groove - 0.14 * t * t
        return mix(deep, lip, lit * veins(3 * t)) * (bright * (0.86 + 0.14 * slant * s + 0.14 * roll))[..., None]

    blob(layer, centre, out, side, outline, colour, shadow, 0.10 * np.hypot(*side))


TULIPS = (
    (rgb(0.88, 0.08, 0.08), rgb(0.50, 0.0, 0.04), rgb(0.95, 0.70, 0.10)),
    (rgb(0.96, 0.36, 0.48), rgb(0.72, 0.10, 0.28), rgb(0.98, 0.90, 0.86)),
    (rgb(0.98, 0.84, 0.12), rgb(0.84, 0.54, 0.02), rgb(0.80, 0.80, 0.20)),
    (rgb(0.98, 0.48, 0.10), rgb(0.76, 0.16, 0.04), rgb(0.98, 0.80, 0.20)),
    (rgb(0.95, 0.66, 0.76), rgb(0.78, 0.34, 0.52), rgb(0.96, 0.95, 0.88)),
    (rgb(0.58, 0.18, 0.52), rgb(0.30, 0.04, 0.28), rgb(0.80, 0.70, 0.80)),
    (rgb(0.96, 0.95, 0.90), rgb(0.74, 0.76, 0.62), rgb(0.80, 0.86, 0.60)),
)


def tulip_colour(rng: np.random.Generator) -> int:
    return int(rng.choice(len(TULIPS), p=[0.24, 0.2, 0.16, 0.14, 0.12, 0.07, 0.07]))


def tulips(rng: np.random.Generator, radius: float, light: np.ndarray, kind: int) -> Layer:
    """A cup of upright petals, seen from the side; `kind` is a row of TULIPS."""
    half = int(radius * 1.25) + 4
    layer, middle = Layer.empty(2 * half, 2 * half), np.array([half, half], np.float32)
    bright_colour, deep, base_colour = TULIPS[kind]
    lean, wide = rng.normal(0, 0.10), rng.uniform(0.60, 0.74)
    opening = rng.uniform(0.0, 0.24)
    tip_power, flame, belly = rng.uniform(0.6, 0.95), rng.uniform(0, 0.3) ** 1.5, rng.uniform(0.34, 0.46)
    blush = rng.uniform(0.08, 0.26)
    foot = middle + radius * np.array([-np.sin(lean), np.cos(lean)], np.float32)

    def profile(u):
        return (
            np.sqrt(np.clip(1 - (1 - np.minimum(u / belly, 1)) ** 2, 0, 1))
            * np.clip(1 - (np.maximum(u - belly, 0) / (1 - belly)) ** 2.2, 0, 1) ** tip_power
        )

    # From the back to the front: (sideways lean of the petal, its length, its half width, brightness, bow)
    plan = [(-0.22, 1.86, 0.50, 0.66, 0.0), (0.22, 1.84, 0.50, 0.68, 0.0), (0.0, 1.9, 0.5, 0.62, 0.0)]
    plan += [
        (-0.50, 1.80, 0.52, 0.88, 0.55),
        (0.50, 1.80, 0.52, 0.88, -0.55),
        (rng.normal(0, 0.06), 1.74, 0.64, 1.0, 0.0),
    ]
    for sideways, long, width, bright, bow in plan:
        sideways = sideways * (wide + opening) + lean + rng.normal(0, 0.03)
        long = long * radius * rng.uniform(0.95, 1.05)
        along = long * np.array([np.sin(sideways), -np.cos(sideways)], np.float32)
        across = np.array([-along[1], along[0]], np.float32) / long * (width * wide * radius * 1.35)
        veins, tilt = _veins(rng, 0.06, 7.0), np.sign(sideways) * min(1, abs(sideways) * 3)

        def colour(u, t, veins=veins, bright=bright, tilt=tilt):
            round_ = 1 - 0.28 * t * t + 0.26 * light[0] * (t + tilt) / 1.6
            rim = step(0.72, 1.0, np.abs(t)) * flame + 0.10 * np.exp(-((t / 0.10) ** 2))
            body = mix(deep, bright_colour, 0.30 + 0.50 * u + 0.35 * (round_ - 0.8))
            body = body * (1 - rim)[..., None] + (0.3 * bright_colour + 0.7 * base_colour) * rim[..., None]
            low = step(blush, 0.0, u)[..., None]
            body = body * (1 - 0.75 * low) + base_colour * 0.75 * low
            return body * (bright * veins(t) * (0.70 + 0.34 * round_))[..., None]

        petal(layer, foot, along, across, profile, colour, bow, 0.30, radius * 0.05)
    return layer
