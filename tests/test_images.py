"""The picture gate: what should pass does so with the right colours, everything else gets one sentence."""

import io
import os
import struct
import subprocess
import sys
import textwrap
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from vitdemo import images
from vitdemo.errors import PictureError

RNG = np.random.default_rng(7)
CORNERS = np.array([[[250, 10, 10], [10, 250, 10]], [[10, 10, 250], [250, 250, 10]]], np.uint8)


def picture(width=48, height=32):
    """A picture whose four quarters differ, so that no flip or turn leaves it as it is."""
    return Image.fromarray(CORNERS).resize((width, height), Image.Resampling.NEAREST)


def encoded(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height, depth, colour, rows, *extra):
    """A PNG made by hand: `rows` are the bytes of all scan lines with their filter bytes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows)) if isinstance(rows, bytes) else chunk(b"IDAT", rows[0])
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + data + chunk(b"IEND", b"")


def array(image):
    assert image.mode == "RGB" and image.info == {} and type(image) is Image.Image
    return np.asarray(image)


# -- what passes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
@pytest.mark.parametrize("way", ["bytes", "path", "string", "pil"])
def test_every_kind_arrives_by_every_way(kind, way, tmp_path):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 98} if kind == "JPEG" else {}
    data = encoded(picture(), kind, **options)
    path = tmp_path / "picture.dat"  # the name does not matter
    path.write_bytes(data)
    source = {"bytes": data, "path": path, "string": str(path), "pil": Image.open(io.BytesIO(data))}[way]
    got = array(images.load(source))
    assert got.shape == (32, 48, 3)
    inner = np.s_[4:-4:23, 6:-6:35]  # one pixel well inside each quarter
    assert np.abs(got[inner].astype(int) - np.asarray(picture())[inner]).max() <= (12 if kind == "JPEG" else 0)


# Exif 2.32, tag 274: which side of the visible picture the stored row 0 and column 0 are.
EXIF_SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


@pytest.mark.parametrize("orientation", EXIF_SIDES)
def test_exif_orientation_follows_the_standard(orientation):
    stored = np.asarray(picture())
    row0, column0 = EXIF_SIDES[orientation]
    upright = stored if row0 in ("top", "bottom") else stored.swapaxes(0, 1)
    if "bottom" in (row0, column0):
        upright = upright[::-1]
    if "right" in (row0, column0):
        upright = upright[:, ::-1]
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(picture(), "PNG", exif=exif)
    np.testing.assert_array_equal(array(images.load(data)), upright)
    np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))), upright)
    jpeg = array(images.load(encoded(picture(), "JPEG", quality=98, subsampling=0, exif=exif)))
    assert np.abs(jpeg.astype(int) - upright).mean() < 3


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
def test_exif_that_cannot_be_read_is_ignored(exif):
    data = encoded(picture(), "PNG")
    broken = data[:33] + chunk(b"eXIf", exif[6:]) + data[33:]
    np.testing.assert_array_equal(array(images.load(broken)), np.asarray(picture()))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa", "P"])
def test_what_is_transparent_lies_on_white(mode):
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[..., :3] = 40  # a hidden colour on the left, which must not show
    rgba[:, 15:, 3] = 255
    image = Image.fromarray(rgba)
    if mode == "P":
        image = Image.fromarray(np.repeat(np.r_[[0] * 15, [1] * 15].astype(np.uint8)[None], 20, 0), "P")
        image.putpalette([40] * 6)
        image.info["transparency"] = 0
        image = Image.open(io.BytesIO(encoded(image)))
        assert image.mode == "P"
    elif mode in ("PA", "La"):
        alpha = image.getchannel("A")
        image = image.convert("P") if mode == "PA" else image.convert("LA").convert("La")
        if mode == "PA":
            image.putalpha(alpha)
    else:
        image = image.convert(mode)
    assert image.mode == mode
    got = array(images.load(image))
    assert (got[:, :15] == 255).all() and np.abs(got[:, 15:].astype(int) - 40).max() <= 1


def test_half_transparent_is_half_white():
    got = array(images.load(encoded(Image.new("RGBA", (9, 9), (200, 100, 0, 51)))))
    np.testing.assert_allclose(got, np.broadcast_to([244, 224, 204], (9, 9, 3)), atol=1)  # 0.2 c + 0.8 * 255


def test_large_transparent_pictures_keep_their_colour_at_the_edge():
    """Hidden black must not bleed into the red when the picture is reduced."""
    rgba = np.zeros((900, 4800, 4), np.uint8)
    rgba[:, 2400:] = (255, 0, 0, 255)
    got = array(images.load(encoded(Image.fromarray(rgba))))
    assert got.shape == (384, 2048, 3)
    assert got[..., 0].min() >= 250


def test_sixteen_bit_grey_uses_its_true_range(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 256).round().astype(np.uint16), (4, 1))
    data = encoded(Image.fromarray(ramp))
    assert data[24] == 16
    got = array(images.load(data))
    np.testing.assert_array_equal(got[0, :, 0], np.arange(256))
    for mode_picture in (Image.fromarray(ramp.astype(np.int32)), Image.fromarray(ramp)):
        np.testing.assert_array_equal(array(images.load(mode_picture))[2, :, 2], np.arange(256))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 51.0, 255.0], [0, 51, 255]),
        ([-2.0, 0.0, 2.0], [0, 128, 255]),
        ([0.0, np.nan, 1.0], [0, 0, 255]),
        ([5000.0, 5000.0, 5000.0], [0, 0, 0]),
        ([0.25, np.inf, -np.inf], [64, 255, 0]),
    ],
)
def test_floats(values, expected):
    got = array(images.load(Image.fromarray(np.array([values], np.float32))))
    np.testing.assert_array_equal(got[0, :, 0], expected)


def test_sixteen_bit_rgb_png():
    samples = (np.array([[0x00FF, 0x8000, 0xFF00], [0x1234, 0xABCD, 0xFFFF]]).astype(">u2")).tobytes()
    got = array(images.load(png(2, 1, 16, 2, b"\0" + samples)))
    np.testing.assert_array_equal(got, [[[0x00, 0x80, 0xFF], [0x12, 0xAB, 0xFF]]])


@pytest.mark.parametrize(
    ("depth", "colour", "rows", "clear", "expected"),
    [
        (8, 2, bytes([0, 9, 9, 9, 8, 9, 9]), (9, 9, 9), [[255] * 3, [8, 9, 9]]),
        (16, 2, b"\0" + bytes([9, 1] * 3 + [8, 1] * 3), (0x0901,) * 3, [[255] * 3, [8] * 3]),
        (8, 0, bytes([0, 9, 8]), (9,), [[255] * 3, [8] * 3]),
        (2, 0, bytes([0, 0b01_10_0000]), (1,), [[255] * 3, [170] * 3]),
        (1, 0, bytes([0, 0b01_000000]), (0,), [[255] * 3, [255] * 3]),
        (16, 0, b"\0" + bytes([9, 9, 8, 8]), (0x0909,), [[255] * 3, [8] * 3]),
    ],
)
def test_the_transparent_colour_of_a_png_becomes_white(depth, colour, rows, clear, expected):
    key = chunk(b"tRNS", b"".join(struct.pack(">H", sample) for sample in clear))
    np.testing.assert_array_equal(array(images.load(png(2, 1, depth, colour, rows, key)))[0], expected)


def test_one_bit_and_cmyk():
    np.testing.assert_array_equal(
        array(images.load(encoded(Image.fromarray(np.array([[True, False]])))))[0], [[255] * 3, [0] * 3]
    )
    cmyk = encoded(picture().convert("CMYK"), "JPEG", quality=98)
    assert np.abs(array(images.load(cmyk)).astype(int) - np.asarray(picture())).mean() < 4


def test_adobe_inverted_cmyk():
    """Photoshop stores CMYK inverted and says so in an APP14 segment, as Pillow's writer does."""
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=98)
    assert b"Adobe" in data
    assert np.abs(array(images.load(data)).astype(int) - [255, 0, 0]).max() < 8


def test_the_first_frame_is_taken():
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (array(images.load(data)) == [255, 0, 0]).all()


def test_nothing_but_pixels_comes_out():
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    data = encoded(
        picture(),
        "JPEG",
        exif=exif,
        comment=b"secret",
        icc_profile=b"not a profile",
        dpi=(300, 300),
        xmp=b"<x/>",
    )
    assert b"secret" in data and b"taken at home" in data
    out = images.load(data)
    assert out.info == {} and dict(out.getexif()) == {}
    written = io.BytesIO()
    out.save(written, "PNG")
    assert b"secret" not in written.getvalue()


def test_a_pil_picture_is_left_as_it_is():
    exif = Image.Exif()
    exif[274] = 6
    source = Image.open(io.BytesIO(encoded(Image.new("RGB", (5000, 40), "red"), "JPEG", exif=exif)))
    out = images.load(source)
    assert out.size == (16, 2048)
    assert source.size == (5000, 40) and "exif" in source.info


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (1, 1)),
        ((1, 20000), (1, 2048)),
        ((20000, 1), (2048, 1)),
        ((20000, 3), (2048, 1)),
        ((2048, 2048), (2048, 2048)),
        ((2049, 7), (2048, 7)),
        ((4097, 4095), (2048, 2047)),
        ((9999, 333), (2048, 68)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_long_side_is_bounded_and_short_side_is_never_zero(size, expected, kind):
    got = images.load(encoded(Image.new("RGB", size, (90, 160, 30)), kind, quality=95))
    assert got.size == expected
    assert np.abs(array(got).astype(int) - [90, 160, 30]).max() <= 3


def test_reduction_agrees_with_one_step_of_lanczos():
    wave = np.sin(np.linspace(0, 40, 9001))[None, :, None] * np.cos(np.linspace(0, 9, 2001))[:, None, None]
    source = Image.fromarray((127 + 120 * wave * [1, 0.5, -1]).astype(np.uint8))
    got = array(images.load(source)).astype(int)
    direct = np.asarray(source.resize((2048, 455), Image.Resampling.LANCZOS)).astype(int)
    assert got.shape == direct.shape and np.abs(got - direct).max() <= 2


def test_a_large_jpeg_agrees_with_its_full_decoding():
    fine = np.add.outer(np.linspace(0, 120, 2400), np.linspace(0, 120, 4800))[..., None] + [0, 10, 15]
    data = encoded(Image.fromarray(fine.astype(np.uint8)), "JPEG", quality=95)
    got = array(images.load(data)).astype(int)
    direct = np.asarray(Image.open(io.BytesIO(data)).resize((2048, 1024), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(got - direct).max() <= 4


# -- what does not -------------------------------------------------------------------------------------------


def gif(screen, frame):
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0) + b"!\xfe\x03abc\0"
    return head + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\0;"


def webp_header(width, height):
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def vp8l_header(width, height):
    bits = (width - 1) | (height - 1) << 14
    body = b"VP8L" + struct.pack("<I", 20) + b"\x2f" + struct.pack("<I", bits) + bytes(15)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def bmp_header(width, height):
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def jpeg_with_size(width, height):
    data = encoded(picture(), "JPEG")
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def jpeg_of_many_scans():
    """A progressive JPEG whose last scan is repeated: few bytes, and a pass over all pixels for each."""
    data = encoded(Image.new("L", (2000, 2000), 90), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + 3000 * last + data[-2:]


def zeros_compressed(megabytes):
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


SMALL_ROWS = b"".join(b"\0" + bytes(24) for _ in range(8))  # 8 x 8 RGB
NOISE = RNG.integers(0, 256, 5000, np.uint8).tobytes()

TOO_LARGE = {
    "png-169-megapixels": lambda: png(13000, 13000, 8, 2, [zeros_compressed(20)]),
    "png-100-megapixels": lambda: png(10000, 10000, 8, 2, b""),  # where Pillow would only warn
    "png-one-row-too-many": lambda: png(8000, 5001, 8, 0, b""),
    "png-2-31": lambda: png(2**31 - 1, 2**31 - 1, 8, 2, b""),
    "gif-screen": lambda: gif((60000, 60000), (1, 1)),
    "gif-frame": lambda: gif((1, 1), (10000, 10000)),
    "webp-canvas": lambda: webp_header(16000, 16000),
    "webp-lossless": lambda: vp8l_header(16383, 16383),
    "bmp": lambda: (
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 50000, 50000, 1, 24, *[0] * 6)
    ),
    "jpeg": lambda: jpeg_with_size(65000, 65000),
    "pil": lambda: Image.new("1", (10000, 5000)),
}
DAMAGED = {
    "png-half": lambda: encoded(picture(400, 300).effect_spread(50))[:2000],
    "png-signature-only": lambda: b"\x89PNG\r\n\x1a\n",
    "png-no-data": lambda: png(8, 8, 8, 2, [b""]),
    "png-corrupt-zlib": lambda: png(8, 8, 8, 2, [b"\x78\x9c" + NOISE]),
    "png-zlib-too-short": lambda: png(8, 8, 8, 2, SMALL_ROWS[:60]),
    "png-checksum": lambda: encoded(picture()).replace(b"IDAT", b"IDAT\x01", 1),
    "png-profile-bomb": lambda: png(8, 8, 8, 2, SMALL_ROWS, chunk(b"iCCP", b"p\0\0" + zeros_compressed(300))),
    "png-colour-type": lambda: png(8, 8, 3, 7, SMALL_ROWS),
    "png-zero-wide": lambda: png(0, 8, 8, 2, SMALL_ROWS),
    "jpeg-half": lambda: encoded(picture(400, 300).effect_spread(50), "JPEG")[:4000],
    "jpeg-head": lambda: encoded(picture(), "JPEG")[:200],
    "jpeg-noise": lambda: b"\xff\xd8\xff\xe0" + NOISE,
    "jpeg-scans": jpeg_of_many_scans,
    "gif-half": lambda: encoded(picture(400, 300).effect_spread(50), "GIF")[:2000],
    "gif-no-frame": lambda: b"GIF89a" + struct.pack("<HHBBB", 5, 5, 0, 0, 0) + b";",
    "gif-endless-extension": lambda: b"GIF89a" + struct.pack("<HHBBB", 5, 5, 0, 0, 0) + b"!\xfe\xff",
    "webp-half": lambda: encoded(picture(400, 300).effect_spread(50), "WEBP")[:2000],
    "webp-noise": lambda: b"RIFF\x88\x13\0\0WEBPVP8 \0\1\0\0" + bytes(6) + b"\x40\0\x40\0" + NOISE,
    "webp-other-chunk": lambda: b"RIFF\x88\x13\0\0WEBPJUNK" + NOISE,
    "bmp-half": lambda: encoded(picture(400, 300), "BMP")[:5000],
    "bmp-noise": lambda: b"BM" + NOISE,
}
NOT_PICTURES = {
    "empty": lambda: b"",
    "text": lambda: b"This is not a picture.\n" * 10,
    "noise": lambda: b"\x01" + NOISE,
    "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    "svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "tiff": lambda: encoded(picture(), "TIFF"),
    "ico": lambda: encoded(picture(), "ICO"),
    "ppm": lambda: encoded(picture(), "PPM"),
    "heic": lambda: b"\0\0\0\x18ftypheic" + NOISE,
    "one-byte": lambda: b"\x89",
}
HOSTILE = TOO_LARGE | DAMAGED | NOT_PICTURES


def refusal(source):
    """The sentence with which a picture is refused; any other exception, or a warning, fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PictureError) as caught:
            images.load(source)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and 20 < len(sentence) < 300
    return sentence


@pytest.mark.parametrize("which", HOSTILE)
def test_hostile_bytes_get_one_sentence(which):
    sentence = refusal(HOSTILE[which]())
    if which in TOO_LARGE:
        assert "million" in sentence
    elif which == "jpeg-scans":
        assert "scans" in sentence
    elif which in DAMAGED and which != "png-signature-only":
        assert "cannot be decoded" in sentence
    else:
        assert "is empty" in sentence or "not a picture of a kind" in sentence


@pytest.mark.parametrize("which", [name for name in HOSTILE if name != "pil"])
def test_hostile_files_get_one_sentence_without_their_folder(which, tmp_path):
    path = tmp_path / "flower.png"
    path.write_bytes(HOSTILE[which]())
    sentence = refusal(path)
    assert "'flower.png'" in sentence and str(tmp_path) not in sentence and tmp_path.name not in sentence


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_any_damage_gives_a_picture_or_a_sentence(kind):
    data = encoded(picture(60, 40).effect_spread(9), kind)
    for trial in range(150):
        broken = bytearray(data)
        for _ in range(1 + trial % 5):
            broken[RNG.integers(len(broken))] = RNG.integers(256)
        if trial % 3 == 0:
            broken = broken[: RNG.integers(len(broken))]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow may complain of EXIF that it cannot read
                out = images.load(bytes(broken))
        except PictureError:
            continue
        assert out.mode == "RGB" and max(out.size) <= images.MAX_SIDE


def test_places_that_are_no_picture_file(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    assert "folder" in refusal(folder)
    for missing in (
        tmp_path / "none.png",
        folder / "a.png" / "b.png",
        "nul\0name",
        "x" * 5000,
        "https://a.b/c.png",
    ):
        sentence = refusal(missing)
        assert str(tmp_path) not in sentence and "expected" in sentence
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        assert "regular" in refusal(tmp_path / "pipe.png")
    for nothing in (None, 3, "", [1, 2], np.zeros((3, 3))):
        assert "Expected a picture" in refusal(nothing)


def test_files_of_too_many_bytes_are_not_read(tmp_path):
    path = tmp_path / "large.bmp"
    with path.open("wb") as stream:
        stream.write(b"BM")
        stream.truncate(images.MAX_BYTES + 1)  # sparse: takes no disk
    assert "200 MB" in refusal(path)


def test_pil_pictures_that_cannot_be_used():
    assert "0 x 4 pixels" in refusal(Image.new("RGB", (0, 4)))
    closed = picture()
    closed.close()
    assert "RGB" in refusal(closed)
    assert "RGB" in refusal(Image.open(io.BytesIO(encoded(picture(400, 300).effect_spread(50))[:2000])))


# -- memory, settings, threads -------------------------------------------------------------------------------


def grown_by(data, tmp_path):
    """MiB by which loading these bytes raises the peak memory of a fresh process, C libraries included."""
    path = tmp_path / "picture.dat"
    path.write_bytes(data)
    small = tmp_path / "small.png"
    small.write_bytes(encoded(picture()))
    script = """
        import resource, sys
        from vitdemo import images
        from vitdemo.errors import PictureError
        images.load(sys.argv[1])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            images.load(sys.argv[2])
        except PictureError:
            pass
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(small), str(path)]
    root = Path(__file__).resolve().parents[1]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout)


on_unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource module")


@on_unix
@pytest.mark.parametrize("which", ["png-169-megapixels", "gif-frame", "webp-canvas", "png-profile-bomb"])
def test_a_bomb_is_refused_without_a_spike(which, tmp_path):
    data = TOO_LARGE[which]() if which in TOO_LARGE else DAMAGED[which]()
    assert grown_by(data, tmp_path) < 20


@on_unix
@pytest.mark.parametrize(
    ("make", "limit"),
    [
        (lambda: encoded(Image.new("RGB", (7900, 5000), "red"), "JPEG"), 60),  # decoded at a smaller scale
        (lambda: encoded(Image.new("L", (7900, 5000), 9), compress_level=1), 120),  # 40 MB decoded
        (lambda: encoded(Image.new("RGBA", (7900, 5000), "red"), compress_level=1), 260),  # 160 MB decoded
        (lambda: encoded(Image.new("L", (1, 20000), 9)), 20),
    ],
    ids=["jpeg", "grey", "rgba", "thin"],
)
def test_the_largest_allowed_pictures_stay_small(make, limit, tmp_path):
    assert grown_by(make(), tmp_path) < limit


@on_unix
def test_a_text_bomb_does_not_grow(tmp_path):
    """A compressed comment of 300 MB: the picture may pass or not, its comment may not be unpacked."""
    data = png(8, 8, 8, 2, SMALL_ROWS, chunk(b"zTXt", b"Comment\0\0" + zeros_compressed(300)))
    assert len(data) < 400_000
    assert grown_by(data, tmp_path) < 20


def test_settings_of_pillow_are_neither_needed_nor_changed(monkeypatch):
    before = (Image.MAX_IMAGE_PIXELS, warnings.filters[:])
    images.load(encoded(picture()))
    refusal(TOO_LARGE["png-100-megapixels"]())
    assert (Image.MAX_IMAGE_PIXELS, warnings.filters[:]) == before
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # a host that switched Pillow's own guard off
    for which in TOO_LARGE:
        assert "million" in refusal(TOO_LARGE[which]())


def test_threads_do_not_meet():
    sources = [encoded(Image.new("RGB", (300 + i, 200), (i * 7, 90, 10))) for i in range(32)] + [
        make() for name, make in HOSTILE.items() if name != "pil"
    ]

    def outcome(data):
        try:
            return images.load(data).tobytes()
        except PictureError as error:
            return str(error)

    alone = [outcome(data) for data in sources]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, sources)) == alone
