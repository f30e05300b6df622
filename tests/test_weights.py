"""Fetching weights, against a hub on 127.0.0.1. No test here can reach a network."""

import errno
import json
import resource
import shutil
import threading
import time
from pathlib import Path

import pytest
import safetensors.torch
import timm
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError
from timm.models import save_for_hf

from tests.hub import HubServer, keep_to_this_machine, tiny_files
from vitdemo.errors import Cancelled, WeightsError
from vitdemo.weights import WITHOUT, Fetcher, _File, _sentence, damage, parse_config, read_local_dir

REPO = "lab/tiny-vit"
FLAT = {"architecture": "test_vit", "num_classes": 3, "labels": ["a", "b", "c"], "url": "http://elsewhere"}


@pytest.fixture(scope="module")
def files():
    return tiny_files()


@pytest.fixture
def hub(monkeypatch):
    keep_to_this_machine(monkeypatch)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)  # so that a small file arrives in several pieces
    with HubServer() as server:
        yield server


@pytest.fixture
def hurry(monkeypatch):
    """The library sleeps a second before each of its retries; the server does not wait by sleeping."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def fetcher(hub, tmp_path):
    return Fetcher(tmp_path / "cache", endpoint=hub.endpoint)


def left_overs(fetcher: Fetcher) -> list[Path]:
    """Files of weights in the cache, complete or not."""
    return [path for path in fetcher.cache_dir.rglob("*") if path.is_file() and path.stat().st_size > 1000]


def test_fetched_file_is_the_one_on_the_hub(hub, fetcher, files):
    hub.add_repository(REPO, files)
    assert not fetcher.is_cached(REPO)
    path = fetcher.fetch(REPO)
    assert path.read_bytes() == files["model.safetensors"]
    assert fetcher.is_cached(REPO)
    model = timm.create_model("test_vit", num_classes=3)
    model.load_state_dict(safetensors.torch.load_file(path))


def test_second_time_needs_no_network(hub, fetcher, files):
    hub.add_repository(REPO, files)
    first = fetcher.fetch(REPO)
    made = len(hub.requests)
    assert fetcher.fetch(REPO) == first
    assert len(hub.requests) == made
    hub.stop()
    for later in (
        fetcher,
        Fetcher(fetcher.cache_dir, hub.endpoint),
        Fetcher(fetcher.cache_dir, offline=True),
    ):
        assert later.fetch(REPO) == first
        assert later.size(REPO) == len(files["model.safetensors"])


def test_pinned_revision(hub, fetcher, files):
    hub.add_repository(REPO, files)
    old = hub.commit(REPO)
    path = fetcher.fetch(REPO, revision=old)
    hub.add_repository(REPO, tiny_files(seed=1))
    assert fetcher.fetch(REPO, revision=old) == path
    assert fetcher.fetch(REPO).read_bytes() != path.read_bytes()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("missing", "There is no file 'model.safetensors'"),
        ("gated", "accept its terms at"),
        ("forbidden", "refuses access"),
        ("error", "answered 500"),
        ("alien", "does not answer like a hub"),
        ("silent", "did not answer in time"),
    ],
)
def test_refusals_are_one_clear_sentence(hub, tmp_path, files, fault, words):
    fetcher = Fetcher(tmp_path, hub.endpoint, timeout=0.3)
    hub.add_repository(REPO, files, fault)
    with pytest.raises(WeightsError) as caught:
        fetcher.fetch(REPO)
    told = str(caught.value)
    assert words in told and REPO in told and told.endswith(WITHOUT) and "\n" not in told
    assert hub.count("GET") == 0 and not fetcher.is_cached(REPO)
    assert fetcher.size(REPO) is None


def test_unknown_repository_and_revision(hub, fetcher, files):
    with pytest.raises(WeightsError, match="has no repository 'lab/nothing'"):
        fetcher.fetch("lab/nothing")
    hub.add_repository(REPO, files)
    with pytest.raises(WeightsError, match="has no revision 'v9'"):
        fetcher.fetch(REPO, revision="v9")


def test_no_server_fails_at_once(hub, fetcher):
    hub.stop()
    start = time.monotonic()
    with pytest.raises(WeightsError, match=f"'{REPO}' is not on this machine and needs a network once"):
        fetcher.fetch(REPO)
    assert time.monotonic() - start < 2
    assert fetcher.size(REPO) is None


def test_offline_asks_nobody(hub, tmp_path, files):
    hub.add_repository(REPO, files)
    with pytest.raises(WeightsError, match="offline"):
        Fetcher(tmp_path, hub.endpoint, offline=True).fetch(REPO)
    assert hub.requests == []


def test_offline_by_environment(hub, fetcher, files, monkeypatch):
    hub.add_repository(REPO, files)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="unset HF_HUB_OFFLINE"):
        fetcher.fetch(REPO)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("truncated", "broke off while"),
        ("unresumable", "cannot resume"),
        ("short", "arrived incomplete"),
        ("wrong", "checksum is not the hub's"),
    ],
)
def test_damaged_download_leaves_nothing_and_recovers(hub, fetcher, files, hurry, fault, words):
    hub.add_repository(REPO, files, fault)
    with pytest.raises(WeightsError, match=words):
        fetcher.fetch(REPO)
    assert not fetcher.is_cached(REPO) and left_overs(fetcher) == []
    hub.add_repository(REPO, files)
    assert fetcher.fetch(REPO).read_bytes() == files["model.safetensors"]


def test_weights_that_are_no_safetensors(hub, fetcher):
    hub.add(REPO, "model.safetensors", b"\x80\x04 a pickle under a false name" * 100)
    with pytest.raises(WeightsError, match="no complete safetensors file"):
        fetcher.fetch(REPO)
    assert not fetcher.is_cached(REPO) and left_overs(fetcher) == []


def test_damaged_cache_is_fetched_again(hub, fetcher, files):
    hub.add_repository(REPO, files)
    path = fetcher.fetch(REPO)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # the header stays good: only the checksum can tell
    path.resolve().write_bytes(data)
    again = Fetcher(fetcher.cache_dir, hub.endpoint)
    assert again.fetch(REPO).read_bytes() == files["model.safetensors"]
    path.resolve().write_bytes(data)
    with pytest.raises(WeightsError, match="offline"):
        Fetcher(fetcher.cache_dir, offline=True).fetch(REPO)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors.pkl", "model.npz", "config.json"])
def test_only_safetensors_are_fetched(hub, fetcher, name):
    hub.add(REPO, name, b"cos\nsystem\n")
    with pytest.raises(WeightsError, match=r"Only \.safetensors"):
        fetcher.fetch(REPO, name)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("repo", "name", "revision"),
    [
        ("../outside", "model.safetensors", None),
        ("a/b/c", "model.safetensors", None),
        (REPO, "../../model.safetensors", None),
        (REPO, "part/../../model.safetensors", None),
        (REPO, "/etc/model.safetensors", None),
        (REPO, "model.safetensors", "../../../etc/hostname"),
        (REPO, "model.safetensors", "/etc/hostname"),
    ],
)
def test_names_that_leave_the_repository(hub, fetcher, repo, name, revision):
    with pytest.raises(WeightsError, match="is no "):
        fetcher.fetch(repo, name, revision)
    assert hub.requests == []


def test_progress_rises_to_the_total(hub, fetcher, files):
    hub.add_repository(REPO, files)
    seen = []
    fetcher.fetch(REPO, progress=lambda *numbers: seen.append(numbers))
    size = len(files["model.safetensors"])
    done = [number for number, _ in seen]
    assert len(set(done)) > 3 and done == sorted(done) and done[-1] == size
    assert {total for _, total in seen} == {size}


def test_progress_never_falls_when_a_download_starts_over(hub, fetcher, files, hurry):
    hub.add_repository(REPO, files, "unresumable")
    done = []
    with pytest.raises(WeightsError):
        fetcher.fetch(REPO, progress=lambda number, _: done.append(number))
    assert hub.count("GET") > 2 and done == sorted(done)


def test_a_resumed_download_is_good(hub, fetcher, files, hurry):
    hub.add_repository(REPO, files, "truncated")

    def mend(done, total):
        if done > 0:
            hub.repositories[REPO]["model.safetensors"].fault = None

    assert fetcher.fetch(REPO, progress=mend).read_bytes() == files["model.safetensors"]
    assert hub.count("GET") == 2


@pytest.mark.parametrize("stop", [Cancelled("enough"), KeyError("a fault of the caller's own")])
def test_stopped_half_way_leaves_nothing(hub, fetcher, files, stop):
    hub.add_repository(REPO, files)

    def progress(done, total):
        if done > total / 2:
            raise stop

    with pytest.raises(type(stop)) as caught:
        fetcher.fetch(REPO, progress=progress)
    assert caught.value is stop
    assert not fetcher.is_cached(REPO) and left_overs(fetcher) == []
    assert fetcher.fetch(REPO).read_bytes() == files["model.safetensors"]


def together(count, task):
    """Runs task(0), task(1), … at once; returns what each returned or raised."""
    results, start = [None] * count, threading.Barrier(count)

    def run(index):
        start.wait()
        try:
            results[index] = task(index)
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_eight_threads_make_one_download(hub, fetcher, files):
    hub.add_repository(REPO, files, "slow")
    seen = [[] for _ in range(8)]
    paths = together(8, lambda index: fetcher.fetch(REPO, progress=lambda *numbers: seen[index].append(numbers)))
    assert len(set(paths)) == 1 and paths[0].read_bytes() == files["model.safetensors"]
    assert hub.count("GET") == 1
    size = len(files["model.safetensors"])
    assert all(numbers == sorted(numbers) and numbers[-1] == (size, size) for numbers in seen)


def test_eight_threads_share_one_failure(hub, fetcher, files):
    hub.add_repository(REPO, files, "silent")
    fetcher.timeout = 0.5
    start = time.monotonic()
    results = together(8, lambda index: fetcher.fetch(REPO))
    assert len({str(error) for error in results}) == 1 and isinstance(results[0], WeightsError)
    assert time.monotonic() - start < 2 and hub.count("HEAD") == 1


def test_one_visitor_cancels_and_the_other_still_gets_it(hub, fetcher, files):
    hub.add_repository(REPO, files, "slow")
    began = threading.Event()

    def impatient(done, total):
        began.set()
        if done > total / 2:
            raise Cancelled("enough")

    def task(index):
        if index == 0:
            return fetcher.fetch(REPO, progress=impatient)
        assert began.wait(10)
        return fetcher.fetch(REPO)

    cancelled, path = together(2, task)
    assert isinstance(cancelled, Cancelled)
    assert path.read_bytes() == files["model.safetensors"]


def test_a_waiting_visitor_can_cancel(hub, fetcher, files, monkeypatch):
    monkeypatch.setattr("vitdemo.weights.POLL_SECONDS", 0.01)
    hub.add_repository(REPO, files, "slow")
    began = threading.Event()

    def impatient(done, total):
        raise Cancelled("enough")

    def task(index):
        if index == 0:
            return fetcher.fetch(REPO, progress=lambda done, total: began.set())
        assert began.wait(10)
        return fetcher.fetch(REPO, progress=impatient)

    path, cancelled = together(2, task)
    assert isinstance(cancelled, Cancelled)
    assert path.read_bytes() == files["model.safetensors"] and hub.count("GET") == 1


def test_disk_that_is_too_small(hub, fetcher, files, monkeypatch):
    hub.add_repository(REPO, files)
    usage = shutil.disk_usage(fetcher.cache_dir.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(WeightsError, match=r"0\.0 MB free: make room"):
        fetcher.fetch(REPO)
    assert hub.count("GET") == 0


def test_disk_that_fills_up(hub, fetcher, files):
    """The limit on a file's size makes the kernel refuse to write on, as a full disk does."""
    hub.add_repository(REPO, files)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
    try:
        with pytest.raises(WeightsError, match="no room on the disk"):
            fetcher.fetch(REPO)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not fetcher.is_cached(REPO) and left_overs(fetcher) == []


def test_cache_that_cannot_be_written(hub, tmp_path, files):
    hub.add_repository(REPO, files)
    (tmp_path / "file").write_text("in the way of a folder")
    with pytest.raises(WeightsError, match=r"cannot be written to the cache .*set HF_HOME"):
        Fetcher(tmp_path / "file" / "cache", hub.endpoint).fetch(REPO)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no room on the disk"),
        (
            OSError(errno.EROFS, "Read-only file system"),
            "cannot be written to the cache (Read-only file system)",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "cannot be written to the cache (Permission denied)",
        ),
        (LocalEntryNotFoundError("long text\nof the library"), "cannot be reached"),
        (RuntimeError("of a storage library"), "cannot be fetched (RuntimeError)"),
    ],
)
def test_sentences_for_what_a_test_cannot_cause(error, words):
    told = _sentence(_File(REPO, "model.safetensors", "main"), error, "http://hub")
    assert words in told and REPO in told and "\n" not in told


def test_damage_knows_both_kinds_of_checksum(tmp_path):
    path = tmp_path / "hello"
    path.write_bytes(b"hello")
    # printf hello | sha256sum; printf hello | git hash-object --stdin
    sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    blob = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
    assert damage(path, sha256, 5) is None and damage(path, blob, 5) is None and damage(path, "W/abc") is None
    path.write_bytes(b"hellp")
    assert damage(path, sha256) == damage(path, blob) == "its checksum is not the hub's"
    assert damage(path, sha256, 6) == "5 bytes instead of 6"


def test_config_of_a_hub_repository(hub, fetcher, files):
    hub.add_repository(REPO, files)
    config = fetcher.fetch_config(REPO)
    assert config["architecture"] == "test_vit" and config["num_classes"] == 3
    assert config["label_names"] == ["daisy", "rose", "tulip"]
    assert config["pretrained_cfg"]["mean"] == [0.5, 0.5, 0.5]
    model = timm.create_model(config["architecture"], num_classes=config["num_classes"], **config["model_args"])
    model.load_state_dict(safetensors.torch.load_file(fetcher.fetch(REPO)))
    made = len(hub.requests)
    assert fetcher.fetch_config(REPO) == config and len(hub.requests) == made
    hub.add("lab/other", "config.json", b"{")
    with pytest.raises(WeightsError, match=r"config\.json of 'lab/other' is not valid JSON"):
        fetcher.fetch_config("lab/other")


def test_old_flat_config():
    config = parse_config(FLAT, REPO)
    assert config["label_names"] == ["a", "b", "c"] and config["model_args"] == {}
    assert "url" not in config["pretrained_cfg"]
    assert parse_config(config, REPO) == config


def test_config_cannot_name_other_files():
    modern = {
        "architecture": "test_vit",
        "num_classes": 3,
        "model_args": {
            "img_size": 64,
            "num_classes": 5,
            "checkpoint_path": "/tmp/pickle.bin",
            "pretrained": True,
        },
        "pretrained_cfg": {
            "mean": [0, 0, 0],
            "file": "/tmp/pickle.bin",
            "hf_hub_id": "else/where",
            "custom_load": True,
        },
    }
    config = parse_config(modern, REPO)
    assert config["model_args"] == {"img_size": 64} and config["pretrained_cfg"] == {"mean": [0, 0, 0]}


def test_labels_with_gaps():
    labels = {"0": "daisy", "2": "tulip"}
    assert parse_config({**FLAT, "labels": labels}, REPO)["label_names"] == ["daisy", "class 1", "tulip"]
    assert parse_config({**FLAT, "labels": None}, REPO)["label_names"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": None}, "architecture is None"),
        ({"architecture": "resnet_from_elsewhere"}, "does not know"),
        ({"num_classes": 0}, "num_classes is 0"),
        ({"num_classes": "3"}, "num_classes is '3'"),
        ({"labels": ["a"]}, "1 names for 3 classes"),
        ({"labels": {"3": "d"}}, "goes up to 3"),
        ({"num_classes": 1}, "num_classes is 1, and an answer needs 2 or more"),
        ({"labels": {"daisy": "first"}}, "should be a list"),
        ({"labels": {"daisy": 3}}, "goes up to 3"),
        ({"labels": {"daisy": 0, "rose": 0}}, "one index to two names"),
        ({"labels": {"1": "daisy", "01": "rose"}}, "names one class twice"),
        ({"labels": {"-1": "daisy"}}, "has the index -1"),
        ({"labels": ["a", ["b"], "c"]}, r"calls class 1 \['b'\]"),
        ({"labels": "a,b,c"}, "and is 'a,b,c'"),
        ({"label_descriptions": ["a flower"]}, "label_descriptions has 1 names for 3 classes"),
        ({"model_args": [1]}, "model_args should be an object"),
        ({"pretrained_cfg": 3}, "pretrained_cfg should be an object"),
    ],
)
def test_config_that_describes_no_classifier(change, words):
    with pytest.raises(WeightsError, match=words):
        parse_config({**FLAT, **change}, REPO)


def test_config_that_is_a_list():
    with pytest.raises(WeightsError, match="object of names and values"):
        parse_config([], REPO)


def test_local_folder(tmp_path, files):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    config, weights = read_local_dir(str(tmp_path))
    assert config["label_names"] == ["daisy", "rose", "tulip"] and weights == tmp_path / "model.safetensors"
    weights.write_bytes(files["model.safetensors"][:-1])
    with pytest.raises(WeightsError, match="no complete safetensors file"):
        read_local_dir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_vit"}))
    with pytest.raises(WeightsError, match="num_classes is None"):
        read_local_dir(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"has no config\.json"):
        read_local_dir(tmp_path)
    with pytest.raises(WeightsError, match="is no folder"):
        read_local_dir(tmp_path / "nowhere")


def test_local_folder_with_a_pickle(tmp_path):
    save_for_hf(timm.create_model("test_vit", num_classes=3), tmp_path, safe_serialization=False)
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin is not read, save with safe_serialization=True"):
        read_local_dir(tmp_path)
