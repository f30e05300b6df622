"""The picture gate: whatever a person sends becomes upright RGB, or one clear sentence.

Data convention: what comes out is a plain `PIL.Image.Image` of mode RGB, 8 bits, upright, on white where the
picture was transparent, its long side at most `MAX_SIDE`, with an empty `info`. Every limit on pictures
lives here.

A file's kind is told from its first bytes, never from its name, and its size is read from its header before
anything is decoded. Pillow's plugins are called by class instead of through `Image.open`: that keeps Pillow's
process-wide settings and its warnings out of the matter, so that hosts may set them as they like and threads
do not meet.
"""

import os
import stat
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from vitdemo.errors import PictureError

T = TypeVar("T")

MAX_PIXELS = 40_000_000  # more than most phones take; 160 MB decoded, as Pillow keeps RGB in four bytes
MAX_SIDE = 2048  # no bundled transform asks for more than a quarter of it, and maps stay quick to draw
MAX_BYTES = 200_000_000  # an uncompressed RGB picture of MAX_PIXELS fits
MAX_SCANS = 500  # of a progressive JPEG, as `djpeg -maxscans` is used for: each is a pass over all pixels
STRIP_PIXELS = 1 << 20  # conversion works on strips of about this many pixels, to keep its memory small
KINDS = "JPEG, PNG, WebP, GIF or BMP"

EXIF_ORIENTATION = 0x0112  # Exif 2.32, section 4.6.4, tag 274: what has to be done to see the picture upright
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load(source: str | Path | bytes | Image.Image) -> Image.Image:
    """Makes an upright RGB picture of a file, of a file's bytes, or of a PIL picture.

    Of several frames the first is taken (of a PIL picture the present one). 16-bit grey is scaled by its true
    range 0..65535, as are 32-bit integers; floats are taken as 0..1 if they lie there, else as 0..255 if
    they lie there, else stretched from their smallest to their largest value. Embedded colour profiles are
    not applied.

    Args:
        source: a path, the bytes of a file, or a PIL picture, which is left as it is. Files are JPEG, PNG,
            WebP, GIF or BMP of at most `MAX_BYTES`. All have at most `MAX_PIXELS` pixels.

    Returns:
        Mode RGB, long side at most `MAX_SIDE` and short side at least 1, empty `info`.

    Raises:
        PictureError: it is none of these, too large, damaged or not there. The message holds a file's name,
            not its folder.
    """
    name = _name(source)
    if isinstance(source, Image.Image):
        _check_size(source.size, name)
        return _guarded(
            lambda: _to_rgb(source, _fitted(source.size)),
            f"{name} cannot be turned into RGB: damaged, or mode {source.mode}.",
        )
    if isinstance(source, (bytes, bytearray, memoryview)):
        if len(source) > MAX_BYTES:
            raise PictureError(_too_many_bytes(name, len(source)))
        return _load_stream(BytesIO(source), name)
    if not isinstance(source, (str, os.PathLike)) or source == "":
        got = "an empty name" if isinstance(source, str) else type(source).__name__
        raise PictureError(f"Expected a picture as a file, got {got}; allowed: {KINDS}.")
    with _open_file(source, name) as stream:
        return _load_stream(stream, name)


# -- from a file to a Pillow picture -------------------------------------------------------------------------


def _name(source: object) -> str:
    """What the picture is called in a message: a file's name without its folders, or "The picture"."""
    if isinstance(source, (str, os.PathLike)):
        last = os.fspath(source)
        last = os.fsdecode(last).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
        return repr(last if len(last) <= 80 else last[:77] + "…")
    return "The picture"


def _too_many_bytes(name: str, size: int) -> str:
    return f"{name} has {size / 1e6:.0f} MB; at most {MAX_BYTES // 10**6} MB are allowed."


def _open_file(path: str | os.PathLike, name: str) -> BinaryIO:
    """Opens a regular file; a pipe or a device could block or never end."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise PictureError(f"{name} is a folder; expected one picture file: {KINDS}.")
        if not stat.S_ISREG(status.st_mode):
            raise PictureError(f"{name} is not a regular file; expected one picture file: {KINDS}.")
        if status.st_size > MAX_BYTES:
            raise PictureError(_too_many_bytes(name, status.st_size))
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError):
        raise PictureError(f"There is no file {name}; expected a picture file: {KINDS}.") from None
    except (OSError, ValueError):  # ValueError: a NUL in the name
        raise PictureError(f"The file {name} cannot be opened; expected a picture file: {KINDS}.") from None


def _load_stream(stream: BinaryIO, name: str) -> Image.Image:
    head = stream.read(32)
    if not head:
        raise PictureError(f"{name} is empty; expected a picture: {KINDS}.")
    kind, plugin = _plugin(head)
    if plugin is None:
        raise PictureError(f"{name} is not a picture of a kind that is read here; allowed: {KINDS}.")
    damaged = (
        f"{name} starts like {kind} but cannot be decoded: it is damaged, incomplete, or its metadata is out of bounds."
    )
    size = _guarded(lambda: _size_before_plugin(kind, stream), damaged)
    if size is not None:
        _check_size(size, name)
    stream.seek(0)
    picture = _guarded(lambda: plugin(stream), damaged)  # reads the header, decodes nothing
    _check_size(picture.size, name)
    if kind == "JPEG" and _scans(stream) > MAX_SCANS:
        raise PictureError(f"{name} has more than {MAX_SCANS} scans; expected an ordinary JPEG.")
    wanted = _fitted(picture.size)
    # A PNG's transparent colour is given in the file's own depth, which Pillow does not keep.
    depth = head[24] if kind == "PNG" else 8
    if kind == "JPEG":
        picture.draft(None, wanted)  # libjpeg decodes at 1/2, 1/4 or 1/8, never below what is asked
    return _guarded(lambda: _to_rgb(picture, wanted, depth), damaged)


def _plugin(head: bytes) -> tuple[str, type[ImageFile] | None]:
    """Kind and Pillow class of a file by its first bytes; `("", None)` if it is none of ours."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG", JpegImageFile
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) > 24:
        return "PNG", PngImageFile
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF", GifImageFile
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP", WebPImageFile
    if head.startswith(b"BM"):
        return "BMP", BmpImageFile
    return "", None


def _size_before_plugin(kind: str, stream: BinaryIO) -> tuple[int, int] | None:
    """The size where Pillow's class would allocate (WebP) or warn (GIF) on opening; None elsewhere."""
    if kind == "WebP":
        return _webp_size(stream)
    if kind == "GIF":
        return _gif_size(stream)
    return None


def _webp_size(stream: BinaryIO) -> tuple[int, int]:
    """Canvas of a WebP file: RFC 9649, sections 2.5 to 2.7."""
    stream.seek(12)
    head = stream.read(18)
    chunk, body = head[:4], head[8:]
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = struct.unpack("<I", body[1:5])[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("unknown WebP chunk")


def _gif_size(stream: BinaryIO) -> tuple[int, int]:
    """Screen of a GIF file, grown to hold its first frame as Pillow does: GIF89a, sections 18 to 20."""
    stream.seek(6)
    width, height, flags = struct.unpack("<HHB2x", stream.read(7))
    if flags & 0x80:
        stream.seek(3 << ((flags & 7) + 1), os.SEEK_CUR)  # the global colour table
    while True:
        block = stream.read(1)
        if block == b",":
            left, top, wide, high = struct.unpack("<4H", stream.read(8))
            return max(width, left + wide), max(height, top + high)
        if block != b"!":
            raise ValueError("no frame")
        stream.read(1)  # the extension's label, then its sub-blocks
        while length := stream.read(1)[0]:
            stream.seek(length, os.SEEK_CUR)


def _scans(stream: BinaryIO) -> int:
    """How many scans a JPEG file announces; in its coded data 0xFF is never followed by 0xDA (ITU T.81, B.1.1.5)."""
    place, count, last = stream.tell(), 0, b""
    stream.seek(0)
    while block := stream.read(1 << 20):
        count += (last + block).count(b"\xff\xda")
        last = block[-1:]
    stream.seek(place)
    return count


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise PictureError(f"{name} has {width} x {height} pixels; expected at least one.")
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{name} has {width} x {height} = {width * height / 1e6:.1f} million pixels; "
            f"at most {MAX_PIXELS // 10**6} million are allowed."
        )


def _guarded(step: Callable[[], T], message: str) -> T:
    """Runs a step of Pillow's, which may raise nearly anything on bytes that were made to hurt."""
    try:
        return step()
    except MemoryError:
        raise PictureError("The picture needs more memory than there is; send a smaller one.") from None
    except Exception as error:
        raise PictureError(message) from error


# -- from a Pillow picture to upright RGB --------------------------------------------------------------------


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    """Largest size of the same shape with a long side of at most MAX_SIDE and a short side of at least 1."""
    scale = min(1.0, MAX_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _to_rgb(picture: Image.Image, wanted: tuple[int, int], depth: int = 8) -> Image.Image:
    """Decodes, flattens, reduces to the wanted size (before turning) and turns upright.

    Large pictures are averaged by a whole factor strip by strip, after they were put on white, so that
    beside the decoded picture only a small one is held; what is left to do, less than a factor of four, is
    done by Lanczos.
    """
    picture.load()
    orientation = _orientation(picture)
    flat = _flattener(picture, depth)
    width, height = picture.size
    factor = max(1, max(width, height) // (2 * MAX_SIDE))
    factor_x, factor_y = min(factor, width), min(factor, height)
    small = Image.new("RGB", (-(-width // factor_x), -(-height // factor_y)))
    for top, bottom in _strips(width, height, factor_y):
        strip = flat(picture.crop((0, top, width, bottom)))
        if factor > 1:
            strip = strip.reduce((factor_x, factor_y))
        small.paste(strip, (0, top // factor_y))
    if small.size != wanted:
        small = small.resize(wanted, Image.Resampling.LANCZOS, box=(0, 0, width / factor_x, height / factor_y))
    return small.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else small


def _strips(width: int, height: int, multiple: int) -> Iterator[tuple[int, int]]:
    """(top, bottom) of strips of about STRIP_PIXELS; all heights but the last are multiples of `multiple`."""
    rows = max(1, STRIP_PIXELS // width // multiple) * multiple
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or where it cannot be read."""
    try:
        value = picture.getexif().get(EXIF_ORIENTATION, 1)
        return int(value)
    except Exception:
        return 1


def _flattener(picture: Image.Image, depth: int) -> Callable[[Image.Image], Image.Image]:
    """The function that makes 8-bit RGB on white of a strip, chosen by the picture's mode.

    Args:
        picture: the whole picture.
        depth: bits per sample in the file, for the transparent colour of a PNG.
    """
    mode, clear = picture.mode, picture.info.get("transparency")
    if mode == "F":
        low, high = _float_range(picture)
        return lambda strip: _from_grey((np.nan_to_num(np.asarray(strip), nan=low) - low) / (high - low))
    if mode == "I" or mode.startswith("I;16"):
        return lambda strip: _from_grey(np.asarray(strip) / 65535.0, _differs(np.asarray(strip), clear))
    if mode in ("1", "L", "RGB") and clear is not None:
        colour = _in_eight_bits(clear, depth)
        return lambda strip: _clear_colour(strip, colour)
    if mode in ("LA", "PA", "RGBA", "P", "La", "RGBa"):
        return _on_white
    return lambda strip: strip.convert("RGB")


def _float_range(picture: Image.Image) -> tuple[float, float]:
    """The values that become black and white in a picture of floats."""
    values = np.asarray(picture)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low >= 0 and high <= 255:
        return 0.0, 1.0 if high <= 1 else 255.0
    return low, high if high > low else low + 1.0


def _from_grey(values: np.ndarray, visible: np.ndarray | None = None) -> Image.Image:
    """RGB of grey values 0..1 (H, W), white where they are not visible."""
    levels = (np.clip(values, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    if visible is not None:
        levels[~visible] = 255
    return Image.fromarray(levels).convert("RGB")


def _differs(values: np.ndarray, clear: object) -> np.ndarray | None:
    return values != clear if isinstance(clear, int) else None


def _in_eight_bits(clear: int | tuple[int, ...], depth: int) -> np.ndarray:
    """A PNG's transparent colour in Pillow's terms: the high byte of 16 bits, fewer bits spread out."""
    samples = np.atleast_1d(np.asarray(clear, dtype=np.int64))
    if depth == 16:
        return samples >> 8
    return samples * 255 // (2**depth - 1) if depth < 8 else samples


def _clear_colour(strip: Image.Image, colour: np.ndarray) -> Image.Image:
    """Makes one colour white, as tRNS of PNG asks for grey and RGB: PNG specification, section 11.3.2.1."""
    grey_or_rgb = strip.convert("L") if strip.mode == "1" else strip
    pixels = np.array(grey_or_rgb)
    hit = pixels == colour if pixels.ndim == 2 else (pixels == colour).all(axis=2)
    pixels[hit] = 255
    return Image.fromarray(pixels).convert("RGB")


def _on_white(strip: Image.Image) -> Image.Image:
    if strip.mode in ("La", "RGBa"):  # premultiplied
        strip = strip.convert(strip.mode.upper())
    rgba = strip.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")
