"""The weight files of a model folder: safetensors or PyTorch's own, whole or in shards, as one table of tensors.

Nothing is read into memory until it is asked for: both formats are mapped from the disk. Pickled code is never run.
"""

import json
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from headway.checkpoints.config_reader import checkpoint_error
from headway.errors import CheckpointError, cut
from headway.files import read_json

__all__ = ["StoredTensor", "find_weight_files", "open_weights"]

_SHARD_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_WEIGHT_FILES = ("model.safetensors", _SHARD_INDEXES[0], "pytorch_model.bin", _SHARD_INDEXES[1])
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_AGAIN = "the download was incomplete or the file is damaged: fetch it again"
_CLAIM = 8
"""How large the tensors of a pickled file may be, in multiples of its size: weights with several names are stored once,
and no model needs more than four names."""
_READABLE = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_SAFETENSORS_READABLE = ("F32", "F16", "BF16", "F64")


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file."""

    file: Path
    shape: tuple[int, ...]
    dtype: str
    readable: bool
    """Whether its values are plain floating point, not quantized."""
    read: Callable[[], Tensor]
    """Its values. The result may share memory with the file: copy before keeping it."""


def find_weight_files(folder: Path) -> tuple[list[Path], list[str]]:
    """The files that hold the weights, safetensors first, and what is wrong with them (missing, not downloaded)."""
    name = next((name for name in _WEIGHT_FILES if (folder / name).is_file()), None)
    if name is None:
        return [], [_explain_absence(folder)]
    if name not in _SHARD_INDEXES:
        files, problems = [folder / name], list[str]()
    else:
        files, problems = _shards(folder / name)
    return files, problems + [problem for file in files if (problem := _pointer_problem(file))]


def open_weights(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a model folder, by the name that it is stored under.

    Raises:
        CheckpointError: There are no weights, shards are missing, or files are truncated, damaged or hold something
            other than plain tensors; all of them are listed.
    """
    files, problems = find_weight_files(folder)
    stored: dict[str, StoredTensor] = {}
    if not problems:
        for file in files:
            try:
                stored.update(_open_safetensors(file) if file.suffix == ".safetensors" else _open_pickle(file))
            except CheckpointError as error:
                problems.append(str(error))
    if problems:
        raise checkpoint_error(folder, problems)
    return stored


def _open_safetensors(file: Path) -> dict[str, StoredTensor]:
    try:
        handle = safe_open(file, framework="pt")
        slices = {name: handle.get_slice(name) for name in handle.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file.name} is not a complete safetensors file ({cut(str(error), 200)}); {_AGAIN}."
        ) from error

    def reader(name: str) -> Callable[[], Tensor]:
        return lambda: handle.get_tensor(name)

    return {
        name: StoredTensor(
            file,
            tuple(part.get_shape()),
            part.get_dtype(),
            part.get_dtype() in _SAFETENSORS_READABLE,
            reader(name),
        )
        for name, part in slices.items()
    }


def _open_pickle(file: Path) -> dict[str, StoredTensor]:
    try:
        # Files from before PyTorch 1.6 are bare pickles, which cannot be mapped.
        zipped = zipfile.is_zipfile(file)
        if zipped:
            _refuse_compression(file)
        with warnings.catch_warnings():
            # Harmless where it works; where it does not, the error says more.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{file.name} is truncated, or holds something other than plain tensors, which is refused because it could "
            "run code. Fetch it again, or use a safetensors version of the model."
        ) from error
    except Exception as error:  # a pickle is a program: a damaged one may raise any error
        reason = cut(str(error).partition("\n")[0], 200)
        raise CheckpointError(f"{file.name} is not a complete PyTorch file ({reason}); {_AGAIN}.") from error
    return _tensors_of(content, file)


def _refuse_compression(file: Path) -> None:
    """PyTorch stores without compressing; anything else could unpack to more than fits into memory."""
    with zipfile.ZipFile(file) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is a compressed archive")


def _tensors_of(content: object, file: Path) -> dict[str, StoredTensor]:
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{file.name} holds a {type(content).__name__}, not named weights.")
    odd = [
        cut(str(name))
        for name, value in content.items()
        if not isinstance(value, Tensor) or value.layout != torch.strided
    ]
    if odd:
        raise CheckpointError(
            f"{file.name} is not a plain table of weights: {', '.join(odd[:3])}{' …' if odd[3:] else ''} "
            "is not a dense tensor. It may be a training state: use the model that was saved from it."
        )
    claimed, held = sum(value.numel() * value.itemsize for value in content.values()), file.stat().st_size
    if claimed > _CLAIM * held:
        # A stride of 0 repeats one number without end, and a pickle may declare a tensor that it does not contain.
        raise CheckpointError(
            f"{file.name} is damaged: its tensors claim {claimed:,} bytes, but it has {held:,}. Use another model."
        )

    def reader(value: Tensor) -> Callable[[], Tensor]:
        return lambda: value.detach()

    return {
        str(name): StoredTensor(
            file, tuple(value.shape), str(value.dtype).removeprefix("torch."), value.dtype in _READABLE, reader(value)
        )
        for name, value in content.items()
    }


def _shards(index: Path) -> tuple[list[Path], list[str]]:
    """The shards that an index names, and the ones that are not there."""
    try:
        places: Any = read_json(index).get("weight_map")
    except CheckpointError as error:
        return [], [str(error)]
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        return [], [f'{index.name} has no "weight_map" of names to files; {_AGAIN}.']
    names = sorted(set(places.values()))
    # A name with folders in it could point anywhere on the disk.
    odd = [name for name in names if Path(name).name != name]
    missing = [name for name in names if name not in odd and not _is_file(index.parent / name)]
    problems = [f"{index.name} points outside its folder: {cut(json.dumps(name))}." for name in odd[:8]]
    if missing:
        problems.append(
            f"{len(missing)} of {len(names)} weight files named by {index.name} are missing: "
            f"{', '.join(map(cut, missing[:8]))}"
            f"{' …' if missing[8:] else ''}. Fetch the rest of the model."
        )
    return [index.parent / name for name in names if name not in odd + missing], problems


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is longer than the system allows
        return False


def _pointer_problem(file: Path) -> str | None:
    with file.open("rb") as handle:
        if handle.read(len(_LFS_POINTER)) != _LFS_POINTER:
            return None
    return f"{file.name} is a git-lfs pointer, not the weights: run `git lfs pull` in the folder."


def _explain_absence(folder: Path) -> str:
    """Why there are no weights that can be read: one sentence that fits what is there instead."""
    present = {path.name for path in folder.iterdir()}
    if present & {"adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"}:
        return (
            "it holds an adapter (LoRA), not a whole model: merge it into its base model first "
            "(peft's merge_and_unload, then save_pretrained)."
        )
    if any(name.endswith((".incomplete", ".part", ".tmp", ".crdownload")) for name in present):
        return "the weights are only partly downloaded: fetch the model again."
    foreign = sorted(name for name in present if name.endswith((".h5", ".msgpack", ".onnx", ".gguf", ".ckpt", ".pt")))
    if foreign or "tf_model.h5.index.json" in present:
        return (
            f"the only weights are for another program ({', '.join(foreign[:3]) or 'TensorFlow'}): choose a version "
            "of the model with model.safetensors, or convert it."
        )
    return f"no weights: none of {', '.join(_WEIGHT_FILES)} is there. Fetch the whole model."
