"""A hub on this machine: it answers on 127.0.0.1 like the real one, from memory, and with faults to choose.

    with HubServer() as hub:
        hub.add_repository("lab/tiny", tiny_files())
        Fetcher(cache_dir, endpoint=hub.endpoint).fetch("lab/tiny")
        hub.count("GET")

The answers follow what huggingface_hub reads of the real hub: X-Repo-Commit, ETag or X-Linked-Etag (sha256 of
large files, git blob sha1 of text files), X-Linked-Size, X-Error-Code, ranges. It does not speak Xet.
"""

import hashlib
import socket
import tempfile
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import unquote

import huggingface_hub
import timm
import torch
from timm.models import save_for_hf

Fault = Literal[
    "missing",  # 404, the repository exists and the file does not
    "gated",  # 401, terms have to be accepted
    "forbidden",  # 403 without a reason
    "error",  # 500
    "silent",  # no answer until the server stops
    "alien",  # 200 without any of the hub's headers, as a captive portal answers
    "truncated",  # the connection closes after half of the body, wherever it is resumed
    "unresumable",  # the same, and ranges are ignored
    "short",  # half of the body, announced as if it were all
    "wrong",  # as many bytes as announced, one of them flipped
    "slow",  # 16 pieces, 20 ms apart
]
TEXT = (".json", ".md", ".txt")  # kept in git, so their etag is a git blob sha1


@dataclass
class Entry:
    data: bytes
    fault: Fault | None

    def etag(self, name: str) -> str:
        if name.endswith(TEXT):
            return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()
        return hashlib.sha256(self.data).hexdigest()


class HubServer:
    """A context manager; `requests` lists (method, path) in the order in which they came.

    A repository has the revisions "main" and `commit(repo)`, which changes with its content.
    """

    def __init__(self):
        self.repositories: dict[str, dict[str, Entry]] = {}
        self.requests: list[tuple[str, str]] = []
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.stop()

    def stop(self) -> None:
        """Closes the port, so that a later request is refused; may be called twice."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()

    def add(self, repo: str, filename: str, data: bytes, fault: Fault | None = None) -> None:
        """Puts a file there, or replaces it."""
        assert fault is None or fault in get_args(Fault), fault
        self.repositories.setdefault(repo, {})[filename] = Entry(data, fault)

    def add_repository(self, repo: str, files: dict[str, bytes], fault: Fault | None = None) -> None:
        """Puts files there; the fault is that of the weights, the rest is good."""
        for name, data in files.items():
            self.add(repo, name, data, None if name.endswith(TEXT) else fault)

    def commit(self, repo: str) -> str:
        parts = (f"{name} {entry.etag(name)}" for name, entry in sorted(self.repositories[repo].items()))
        return hashlib.sha1("\n".join(parts).encode()).hexdigest()

    def count(self, method: str, ending: str = "") -> int:
        """How many requests of that method there were for paths with that ending."""
        return sum(made == method and path.endswith(ending) for made, path in self.requests)


class Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        self.hub.requests.append((self.command, self.path))
        repo, _, rest = unquote(self.path).lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        files = self.hub.repositories.get(repo)
        if files is None:
            return self.refuse(401, "RepoNotFound")  # what the real hub answers to the nameless
        if revision not in ("main", self.hub.commit(repo)):
            return self.refuse(404, "RevisionNotFound")
        entry = files.get(name, Entry(b"", "missing"))
        match entry.fault:
            case "missing":
                self.refuse(404, "EntryNotFound", self.hub.commit(repo))
            case "gated":
                self.refuse(401, "GatedRepo")
            case "forbidden":
                self.refuse(403)
            case "error":
                self.refuse(500)
            case "silent":
                self.hub.stopping.wait()
                self.close_connection = True
            case "alien":
                self.head(200, {"Content-Length": "0"})
            case _:
                self.serve(name, entry, self.hub.commit(repo))

    def serve(self, name: str, entry: Entry, commit: str) -> None:
        size, etag = len(entry.data), f'"{entry.etag(name)}"'
        begin = 0
        if (asked := self.headers.get("Range")) and entry.fault != "unresumable":
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
        body = entry.data[begin:]
        if entry.fault == "wrong":
            body = body[:-1] + bytes([body[-1] ^ 1])
        elif entry.fault == "short":
            body = entry.data[begin : size // 2]
        headers = {
            "X-Repo-Commit": commit,
            "ETag": etag,
            "Accept-Ranges": "bytes",
            "Content-Length": str(len(body)),
        }
        if not name.endswith(TEXT):
            headers |= {"X-Linked-Etag": etag, "X-Linked-Size": str(size)}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{size - 1}/{size}"
        self.head(206 if begin else 200, headers)
        if self.command == "HEAD":
            return
        if entry.fault in ("truncated", "unresumable"):
            body = entry.data[begin : max(begin, size // 2)]
        step = max(1, len(body) // 16) if entry.fault == "slow" else max(1, len(body))
        try:
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                if entry.fault == "slow":
                    self.hub.stopping.wait(0.02)
        except OSError:  # the client has gone, as after a cancel
            pass

    def refuse(self, status: int, code: str | None = None, commit: str | None = None) -> None:
        headers = {"Content-Length": "0", "X-Error-Code": code, "X-Repo-Commit": commit}
        self.head(status, {name: value for name, value in headers.items() if value is not None})

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        # A connection that stays open would be served by its thread even after the server has stopped.
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args) -> None:
        pass


def tiny_files(
    architecture: str = "test_vit", label_names: tuple[str, ...] = ("daisy", "rose", "tulip"), seed: int = 0
) -> dict[str, bytes]:
    """The files of a timm repository, config.json and model.safetensors, with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = timm.create_model(architecture, pretrained=False, num_classes=len(label_names))
    with tempfile.TemporaryDirectory() as folder:
        save_for_hf(model, folder, model_config={"label_names": list(label_names)}, safe_serialization=True)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def keep_to_this_machine(monkeypatch) -> None:
    """Lets huggingface_hub see nothing of this machine's settings, and the process nothing but 127.0.0.1."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    # The library reads its environment once, when it is imported: afterwards these are its settings.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()  # an older one may go through a proxy

    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
            raise AssertionError(f"a test tries to reach {address}")
        return connect(self, address)

    def guarded_look_up(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if name not in (None, "127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tries to look up {name}")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
