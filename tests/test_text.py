"""A label, a class or a file's name is text: no formula, no path, no format, whatever somebody wrote."""

import io
import os
import sys
import time
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from vitdemo import address, console, draw
from vitdemo.errors import VitdemoError
from vitdemo.lettering import MISSING, families, fitted, font_file, font_file_for, plain, width
from vitdemo.naming import MOST, file_part, name_of, readable
from vitdemo.ui import files

NASTY = ("$\\heart$", "$10 to $20", "<b>x</b>", "{0}", "%s", "../../etc", "con", "a/b", "x" * 300, "猫", "😀", "שלום",
         "a\nb", "", " ", "\udce9", "\x1b[31m", "CON.", "a" * 79 + "猫")  # fmt: skip


@pytest.mark.parametrize("label", NASTY, ids=ascii)
def test_a_label_is_drawn_as_text(label):
    """No formula is read, nothing is warned of, and a figure keeps its letters within it."""
    heights = []

    def look(self, buffer, **options):
        self.canvas.draw()
        box = self.get_window_extent()
        texts = [*self.texts, *([self._suptitle] if self._suptitle else [])]
        heights.extend(text.get_window_extent().width / box.width for text in texts)
        heights.extend(axes.yaxis.label.get_window_extent().height / box.height for axes in self.axes)
        save(self, buffer, **options)

    save = Figure.savefig
    Figure.savefig = look
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            png = draw.grid(
                Image.new("RGB", (60, 40)),
                {"fused": {}, "m": {}},
                {},
                {"fused": f"fused: {label}", "m": label},
                heading=label,
            )
    finally:
        Figure.savefig = save
    assert png[:4] == b"\x89PNG" and max(heights, default=0) <= 1


def test_dollars_are_letters():
    def drawn(mathematics: bool) -> np.ndarray:
        with matplotlib.rc_context({"text.parse_math": mathematics}):
            png = draw.grid(
                Image.new("RGB", (40, 40)), {"fused": {}}, {}, {"fused": "$10 to $20"}, heading="$5_ to $9_"
            )
        return np.asarray(Image.open(io.BytesIO(png)).convert("L"))

    np.testing.assert_array_equal(drawn(True), drawn(False))


def test_letters_that_no_font_has_are_marked_and_the_others_kept():
    assert plain("a\tb\u0007 c") == "a b c"
    assert plain("\U00013000x") == f"{MISSING}x"  # a hieroglyph
    if len(families()) > 1 and font_file("zh-CN"):
        assert plain("猫 cat") == "猫 cat"
        assert font_file_for("猫猫猫") == font_file("zh-CN")
    assert font_file_for("cat") == font_file("en")


def test_long_text_is_broken_and_cut():
    lines = fitted("a label of many words " * 20, 10, 2.0, 3).split("\n")
    assert len(lines) == 3 and lines[-1].endswith("…")
    room = int(72 * 2.0 / (0.62 * 10))
    assert all(width(line) <= room for line in lines)
    assert fitted("short", 10, 2.0, 3) == "short" and fitted("two\nlines", 10, 2.0, 3) == "two\nlines"
    assert max(map(width, fitted("x" * 500, 10, 2.0, 9).split("\n"))) <= room
    assert width("猫a") == 3


@pytest.mark.parametrize("label", NASTY, ids=ascii)
def test_a_part_of_a_files_name_is_one_everywhere(label, tmp_path):
    part = file_part(label)
    assert part and len(part.encode()) <= MOST + 1 and not set(part) & set('/\\:*?"<>|\0\n. ')
    assert part.casefold() not in {"con", "nul", "aux"}
    (tmp_path / f"{part}.txt").write_text("there", encoding="utf-8")
    assert file_part("猫") == "猫" and file_part("  ") == "unnamed"


def test_names_that_are_no_utf8_can_be_encoded():
    name = os.fsdecode(b"/somewhere/caf\xe9.png")
    assert name_of(name) == "caf\N{REPLACEMENT CHARACTER}.png" and readable("caf\xe9") == "caf\xe9"
    readable("\ud800").encode()


def test_a_console_that_cannot_write_a_letter_escapes_it(monkeypatch, capsys):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    console.forgive()
    print("→ 猫")
    console.print_json('{"label": "😀 é"}')
    stream.flush()
    assert stream.buffer.getvalue().decode("cp1252").splitlines() == [
        "\\u2192 \\u732b", "{", '  "label": "\\ud83d\\ude00 \\u00e9"', "}"
    ]  # fmt: skip


def test_files_to_take_home_are_where_gradio_is_told_and_go_with_their_age(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "here"))
    first = files.write("../../etc/passwd $1", "json", b"{}")
    assert os.path.commonpath([first, tmp_path / "here"]) == str(tmp_path / "here")
    assert os.path.basename(first) == "etc-passwd-1.json"
    folder, other = os.path.dirname(first), tmp_path / "here" / "somebody-elses"
    other.mkdir()
    past = time.time() - files.AGE - 60
    for path in (folder, other):
        os.utime(path, (past, past))
    second = files.write("b", "json", b"{}")
    assert not os.path.exists(folder) and os.path.exists(second) and other.exists()


def test_where_the_page_cannot_be_is_said_before_anything_is_built():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(VitdemoError, match=f"Port {port} of 127.0.0.1 is in use"):
            address.check(None, port)
    address.check(None, None)
    for host, port, words in (
        ("nowhere.invalid", None, "no address"),
        ("192.0.2.1", 7860, "not an address of this machine"),
        (None, 70000, "allowed: 1 to 65535"),
    ):
        with pytest.raises(VitdemoError, match=words):
            address.check(host, port)
