"""A tiny model folder to damage, SentencePiece models, and a server that speaks as much of the hub's protocol as its
client needs."""

import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import sentencepiece


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Callable[..., Path]) -> Path:
    """A tiny classifier with the labels cat, dog and fox; not to be written to."""
    return tiny_bert(
        tmp_path_factory.mktemp("pristine") / "model", num_labels=3, id2label={0: "cat", 1: "dog", 2: "fox"}
    )


@pytest.fixture
def folder(tmp_path: Path, pristine: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(pristine, tmp_path / "model"))


MORE_ODD_TEXTS = [
    " lead",
    "trail ",
    "  two  spaces  in  ",
    "a </s> b<pad>c <unk> d <s>",
    "9, 12,000 3,",
    "ｆｕｌｌ　ｗｉｄｔｈ ①②",
    "a\u00a0b\u3000c\u2009d",
    "▁under▁score",
    ">>fra<< I love it",
    ">>xx<< >>fra<< I love >>fra<< it",
    "en_XX __en__ eng_Latn",
]


@pytest.fixture(scope="session")
def texts(review_texts: list[str], odd_texts: list[str]) -> list[str]:
    """The sample's 2,985 texts, and odd ones."""
    return [*odd_texts, *MORE_ODD_TEXTS, *review_texts]


@pytest.fixture(scope="session")
def train(review_texts: list[str], odd_texts: list[str]) -> Callable[..., bytes]:
    """Trains a SentencePiece model on real texts."""
    made: dict[str, bytes] = {}

    def model(**options: Any) -> bytes:
        key = json.dumps(options, sort_keys=True)
        if key not in made:
            writer = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter([*review_texts[:1000], *odd_texts[:12]]),
                model_writer=writer,
                vocab_size=1200,
                minloglevel=2,
                num_threads=1,
                **options,
            )
            made[key] = writer.getvalue()
        return made[key]

    return model


@dataclass
class Hub:
    """What the server offers and what it was asked."""

    url: str = ""
    repositories: dict[str, Path] = field(default_factory=dict)
    """`owner/name` → folder with the files of its only version."""
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    """Both are shown to the token `good` only."""
    breaking: dict[str, int] = field(default_factory=dict)
    """File → how many bytes of it are sent before the connection drops, each time that it is asked for."""
    lying: set[str] = field(default_factory=set)
    """Files that are sent short, as if they ended there."""
    corrupt: set[str] = field(default_factory=set)
    """Files that are sent with other bytes, as many as promised."""
    vanished: set[str] = field(default_factory=set)
    """Files that are listed, and then not there."""
    large: set[str] = field(default_factory=set)
    """Files that are kept with git-lfs: their checksum is another."""
    requests: list[str] = field(default_factory=list)

    def commit(self, name: str) -> str:
        return sha1(name.encode()).hexdigest()

    def files(self, name: str) -> list[Path]:
        return sorted(path for path in self.repositories[name].rglob("*") if path.is_file())


class HubHandler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            name, rest = "/".join(parts[2:4]), parts[4:]
        else:
            name, rest = "/".join(parts[:2]), parts[2:]
        refusal = self.refusal(name)
        if refusal:
            self.refuse(*refusal)
        elif rest[:1] in ([], ["revision"], ["tree"], ["resolve"]) and rest[1:2] not in (
            [],
            ["main"],
            [self.hub.commit(name)],
        ):
            self.refuse(404, "RevisionNotFound")
        elif rest[:1] in ([], ["revision"]):
            self.send_json({"id": name, "modelId": name, "sha": self.hub.commit(name), "siblings": [], "tags": []})
        elif rest[0] == "tree":
            root = self.hub.repositories[name]
            self.send_json([self.entry(root, file) for file in self.hub.files(name)])
        else:
            self.send_file(name, "/".join(rest[2:]), with_body)

    def entry(self, root: Path, file: Path) -> dict[str, object]:
        size, name = file.stat().st_size, str(file.relative_to(root))
        entry: dict[str, object] = {"type": "file", "path": name, "size": size, "oid": oid(file)}
        if name in self.hub.large:
            entry["lfs"] = {"oid": sha256(file.read_bytes()).hexdigest(), "size": size, "pointerSize": 130}
        return entry

    def refusal(self, name: str) -> tuple[int, str] | None:
        if self.headers.get("Authorization") != "Bearer good":
            if name in self.hub.gated:
                return 401, "GatedRepo"
            if name in self.hub.private:
                return 401, "RepoNotFound"
        return None if name in self.hub.repositories else (401, "RepoNotFound")

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, name: str, file: str, with_body: bool) -> None:
        path = self.hub.repositories[name] / file
        if not path.is_file() or file in self.hub.vanished:
            self.refuse(404, "EntryNotFound")
            return
        body = path.read_bytes()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if file in self.hub.lying and with_body:
            body = body[: len(body) // 2]
        if file in self.hub.corrupt:
            body = body[:-8] + bytes(byte ^ 1 for byte in body[-8:])
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{oid(path)}"')
        if file in self.hub.large:
            self.send_header("X-Linked-ETag", f'"{sha256(path.read_bytes()).hexdigest()}"')
            self.send_header("X-Linked-Size", str(path.stat().st_size))
        self.send_header("X-Repo-Commit", self.hub.commit(name))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if with_body and file in self.hub.breaking:
            self.wfile.write(body[start : start + self.hub.breaking[file]])
            self.close_connection = True
        elif with_body:
            self.wfile.write(body[start:])


def oid(path: Path) -> str:
    content = path.read_bytes()
    return sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()
    handler = type("Handler", (HubHandler,), {"hub": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        server.shutdown()
        thread.join()
