"""One reader of picture folders, with everything that people's folders hold besides pictures."""

import os

import pytest

from tests.conftest import paint
from vitdemo import folders
from vitdemo.errors import VitdemoError


@pytest.fixture
def folder(tmp_path):
    """Two classes of two pictures each, one of them further down, and what is no picture."""
    for index, label in enumerate(("cat", "dog")):
        (tmp_path / label / "camera 1").mkdir(parents=True)
        paint(20, 10, seed=index).save(tmp_path / label / "1.JPG", "JPEG")
        paint(20, 10, seed=index + 2).save(tmp_path / label / "camera 1" / "2.gif")
        for name in ("._1.jpg", ".DS_Store", "Thumbs.db", "notes.txt"):
            (tmp_path / label / name).write_bytes(b"\0\5\26\7")
        (tmp_path / label / ".thumbnails").mkdir()
        paint(8, 8).save(tmp_path / label / ".thumbnails" / "1.png")
    for name in (".cache", "__MACOSX"):
        (tmp_path / name).mkdir()
    return tmp_path


def names(paths) -> list[str]:
    return [path.name for path in paths]


def test_training_and_measuring_see_the_same_pictures(folder):
    paths, targets, labels = folders.list_folder(folder)
    assert labels == ("cat", "dog") and targets == [0, 0, 1, 1] and names(paths) == ["1.JPG", "2.gif"] * 2
    assert folders.list_pictures(folder, labels) == list(zip(paths, targets, strict=True))


def test_a_link_that_leads_back_ends(folder):
    try:
        os.symlink(folder / "cat", folder / "cat" / "again", target_is_directory=True)
    except OSError:
        pytest.skip("this file system has no links")
    assert names(folders.pictures_in(folder / "cat")) == ["1.JPG", "2.gif"]


def test_what_cannot_be_read_is_kept_with_its_sentence(folder):
    (folder / "cat" / "0.png").write_bytes(b"nothing")
    broken: list[folders.Broken] = []
    paths = folders.list_folder(folder)[0]
    read = dict(folders.readable(paths, broken))
    assert list(read) == [1, 2, 3, 4] and all(picture.mode == "RGB" for picture in read.values())
    assert [one.path for one in broken] == [paths[0]] and "'0.png' is not a picture" in broken[0].reason


def test_many_broken_pictures_are_counted_and_some_of_them_listed(capsys, tmp_path):
    folders.tell([folders.Broken(tmp_path / f"{number}.png", "is none.") for number in range(folders.TOLD + 5)])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == folders.TOLD + 1 and said[-1].startswith("25 pictures") and "20 are listed" in said[-1]
    folders.tell([])
    assert not capsys.readouterr().err


def test_a_folder_without_pictures(tmp_path):
    assert folders.classes(tmp_path / "nowhere") == ()
    (tmp_path / "cat").mkdir()
    with pytest.raises(VitdemoError, match="pictures in one folder per class, got none"):
        folders.list_folder(tmp_path)
    with pytest.raises(VitdemoError, match="hold no picture"):
        folders.list_pictures(tmp_path, ("cat",))
