"""The real program in a process of its own, and a real browser in front of it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 180
PATIENCE = 120_000  # milliseconds; a busy machine is no reason to fail


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(folder: Path, cwd: Path = ROOT, flags: Sequence[str] = ()) -> Iterator[str]:
    """The address of `python app.py` with further flags, started in `cwd`; what it prints goes to `folder`."""
    port, logged = free_port(), folder / "server.log"
    environment = os.environ | {"GRADIO_TEMP_DIR": str(folder / "gradio"), "HF_HUB_OFFLINE": "1"}
    with logged.open("w") as log:
        command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), *flags]
        process = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=log, env=environment)
        try:
            address = f"http://127.0.0.1:{port}/"
            _wait(process, address, logged)
            yield address
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="session")
def server_log(tmp_path_factory) -> Path:
    """What `server` prints."""
    return tmp_path_factory.mktemp("server") / "server.log"


@pytest.fixture(scope="session")
def server(server_log):
    with running(server_log.parent) as address:
        yield address


def _wait(process: subprocess.Popen, address: str, logged: Path) -> None:
    for _ in range(START_SECONDS * 2):
        if process.poll() is not None:
            pytest.fail(f"app.py ended with {process.returncode}:\n{logged.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(address, timeout=2).read()
            return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"app.py did not answer in {START_SECONDS} s:\n{logged.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def chromium():
    """A Chromium; without one the tests fail in CI and are skipped elsewhere."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        reason = "no Chromium found: install one (Debian: apt-get install chromium) to run the browser tests"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


# What most tests ask: a transformer, one that attends in windows, and a convolutional network, all of them small.
USUAL = {"backbones": "vit,swin,resnet", "explanations": "rollout,integrated_gradients", "trust": "0"}
# What Gradio says of requests that a reload breaks off; 404 is the queue's, of a session whose page has been left.
LEAVING = ("AbortError", "Connection errored out", "Unexpected error 404")


def grave(message) -> bool:
    return message.type == "error" and not any(each in message.text for each in LEAVING)


@pytest.fixture
def visit(chromium, server):
    """visit(query="", width=1440, …) opens the page as a new visitor and waits until it is alive. Where the query does
    not say otherwise, small backbones are asked and no maps are judged, which saves most of the time; with
    usual=False the page opens as it does for anybody."""
    contexts, complaints = [], []

    def open_page(query: str = "", width: int = 1440, height: int = 900, usual: bool = True, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if grave(message) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        asked = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
        page.goto(f"{server}?{urlencode((USUAL if usual else {}) | asked, safe=',')}")
        page.wait_for_selector("#maps .maps", state="attached")
        page.wait_for_selector("#status .working", state="detached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints, complaints
