"""The hub, played by a local server that answers as it does; each reader runs in a process that knows only this hub."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """One data set, `someone/reviews`, as the hub's HTTP interface shows it."""

    def __init__(self, files, *args):
        self.files = files
        super().__init__(*args)

    def do_GET(self):
        url = urlsplit(self.path)
        prefix = "/datasets/someone/reviews/resolve/"
        if url.path.startswith(prefix) and url.path.split("/", 6)[6] in self.files:
            return self.answer(self.files[url.path.split("/", 6)[6]])
        if url.path == "/api/datasets/someone/reviews" or url.path.startswith(
            "/api/datasets/someone/reviews/revision/"
        ):
            return self.answer_json({"id": "someone/reviews", "sha": COMMIT, "siblings": self.siblings(), "tags": []})
        if url.path.startswith("/api/datasets/someone/reviews/tree/"):
            return self.answer_json([self.described(path) for path in self.files])
        return self.missing()

    do_HEAD = do_GET  # noqa: N815 - the library calls it so

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if not self.path.startswith("/api/datasets/someone/reviews/paths-info/"):
            return self.missing()
        paths = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body)["paths"]
        return self.answer_json([self.described(path) for path in paths if path in self.files])

    def siblings(self):
        return [{"rfilename": path} for path in self.files]

    def described(self, path):
        content = self.files[path]
        return {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def answer_json(self, value):
        self.answer(json.dumps(value).encode(), "application/json")

    def answer(self, content, kind="application/octet-stream"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def missing(self):
        self.send_response(404)
        known = "someone/reviews" in self.path
        self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def read_from_hub(tmp_path):
    """read_from_hub(source) → what a process prints that reads `source` from a hub with one data set."""
    files = {
        "README.md": b"---\nlicense: cc0-1.0\n---\n# Reviews\n",
        "train.csv": b"text,label\nI love it,pos\nI hate it,neg\n",
        "validation.csv": b"text,label\nso so,neg\n",
        "test.csv": b"text,label\nnot bad,pos\n",
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, files))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "import sys; from headway.sources.read import read; from headway.errors import DataError\n"
        "try:\n"
        "    for split, table in read(sys.argv[1]).items():\n"
        "        print(split, table.values('text', range(len(table))), table.where(0))\n"
        "except DataError as error:\n"
        "    print('refused:', error)\n"
    )

    def run(source, **environment):
        env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        env |= {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}"} | environment
        command = [sys.executable, "-c", code, source]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    yield run
    server.shutdown()
    server.server_close()


def test_a_data_set_comes_with_its_splits_and_works_offline_from_then_on(read_from_hub):
    answer = read_from_hub("hub:someone/reviews")
    assert answer.splitlines() == [
        "train ['I love it', 'I hate it'] hub:someone/reviews (train), row 1",
        "validation ['so so'] hub:someone/reviews (validation), row 1",
        "test ['not bad'] hub:someone/reviews (test), row 1",
    ]
    assert read_from_hub("hub:someone/reviews", HF_HUB_OFFLINE="1") == answer


def test_what_the_hub_does_not_have_is_one_sentence(read_from_hub):
    for source in ("hub:someone/else", "hub:someone/reviews:german"):
        answer = read_from_hub(source)
        assert answer.startswith(f"refused: {source} could not be loaded from the hub: ")
        assert answer.endswith(
            "Check the name and the network, or download the data set and give its file or folder.\n"
        )
        assert answer.count("\n") == 1
