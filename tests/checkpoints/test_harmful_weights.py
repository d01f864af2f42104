"""Weights that are made to do harm are refused with one sentence, and take no memory worth naming."""

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

Ask = Callable[..., Any]  # an answer of the fixture `ask`
Refuse = Callable[..., str]


def test_an_undamaged_folder_is_read(ask: Ask, folder: Path) -> None:
    assert ask("classifier", folder).kind == "read"


# --- pickles --------------------------------------------------------------------------------------------------------


class Harmful:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "shard"])
def test_code_in_a_pickle_is_not_run(refuse: Refuse, folder: Path, tmp_path: Path, form: str) -> None:
    weights = load_file(folder / "model.safetensors") | {"extra": Harmful(tmp_path / "harm")}
    (folder / "model.safetensors").unlink()
    file = folder / ("evil.bin" if form == "shard" else "pytorch_model.bin")
    if form == "pickle":
        file.write_bytes(pickle.dumps(weights))
    else:
        torch.save(weights, file, _use_new_zipfile_serialization=form != "legacy")
    if form == "shard":
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"extra": "evil.bin"}}))
    message = refuse("classifier", folder)
    assert f"{file.name} is truncated, or holds something other than plain tensors, which is refused because" in message
    assert "use a safetensors version" in message
    assert not (tmp_path / "harm").exists()
    torch.load(file, weights_only=False) if form != "pickle" else pickle.loads(file.read_bytes())
    assert (tmp_path / "harm").exists()  # it would have


def rezip(file: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, change(name, data))


@pytest.fixture
def as_pickle(folder: Path) -> Callable[..., Path]:
    """Stores the model's weights as pytorch_model.bin, with some of them replaced."""

    def store(zipped: bool = True, **changes: object) -> Path:
        weights = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(weights | changes, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        return folder / "pytorch_model.bin"

    return store


def test_a_zip_bomb_is_not_unpacked(refuse: Refuse, folder: Path, as_pickle: Callable[..., Path]) -> None:
    file = as_pickle()
    rezip(file, lambda name, data: bytes(2**29) if name.endswith("/data/0") else data, zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 2**20
    assert "is not a complete PyTorch file (it is a compressed archive)" in refuse("classifier", folder)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_storage_that_claims_more_than_the_file_holds(
    ask: Ask, folder: Path, as_pickle: Callable[..., Path], zipped: bool
) -> None:
    weights = load_file(folder / "model.safetensors")
    claim = b"M" + struct.pack("<H", weights["bert.embeddings.word_embeddings.weight"].numel())
    huge = b"\x8a\x05" + (2 * 10**11).to_bytes(5, "little")  # numbers of four bytes
    file = as_pickle(zipped)

    def lie(name: str, data: bytes) -> bytes:
        assert claim in data or not name.endswith("data.pkl")
        return data.replace(claim, huge) if name.endswith("data.pkl") else data

    rezip(file, lie) if zipped else file.write_bytes(lie("data.pkl", file.read_bytes()))
    answer = ask("classifier", folder)
    assert answer.megabytes < 30
    # In a ZIP, the file is mapped and the claim ends where the file does: all the numbers that are used are there.
    assert answer.kind == ("read" if zipped else "CheckpointError"), answer
    assert zipped or "pytorch_model.bin is not a complete PyTorch file" in answer.message


def test_a_storage_that_is_cut_off(refuse: Refuse, folder: Path, as_pickle: Callable[..., Path]) -> None:
    file = as_pickle(zzz=torch.ones(2**20))
    rezip(file, lambda name, data: data[:4] if len(data) == 2**22 else data)
    assert "pytorch_model.bin is not a complete PyTorch file" in refuse("classifier", folder)


def test_a_damaged_table_of_a_zip(refuse: Refuse, folder: Path, as_pickle: Callable[..., Path]) -> None:
    file = as_pickle()
    file.write_bytes(file.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x00", 1))
    assert "pytorch_model.bin is not a complete PyTorch file" in refuse("classifier", folder)


@pytest.mark.parametrize("end", [b"X\x01", b"K", b"h\xf0.", b"0.", b"(t."], ids=repr)
def test_a_pickle_that_stops_or_strays(
    refuse: Refuse, folder: Path, as_pickle: Callable[..., Path], end: bytes
) -> None:
    """Each ends in another error of the unpickler: struct.error, IndexError, KeyError …"""
    rezip(as_pickle(), lambda name, data: b"\x80\x02" + end if name.endswith("data.pkl") else data)
    message = refuse("classifier", folder)
    assert "pytorch_model.bin is" in message or "pytorch_model.bin holds" in message


def test_a_tensor_that_repeats_one_number_is_not_written_out(
    refuse: Refuse, folder: Path, as_pickle: Callable[..., Path]
) -> None:
    """A stride of 0 makes a terabyte of four bytes, and the configuration can ask for as much."""
    vocabulary = 2**24
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": vocabulary}
    (folder / "config.json").write_text(json.dumps(config))
    as_pickle(**{"bert.embeddings.word_embeddings.weight": torch.zeros(1).expand(vocabulary, 32)})
    message = refuse("classifier", folder)
    assert "pytorch_model.bin is damaged: its tensors claim 2,147" in message


def test_a_pickle_that_makes_its_tensors_is_not_believed(refuse: Refuse, folder: Path, tmp_path: Path) -> None:
    """torch.Tensor(n) is among the calls that `weights_only` allows."""

    class Made:
        def __reduce__(self) -> tuple[object, tuple[int]]:
            return torch.Tensor, (2**28,)

    (folder / "model.safetensors").unlink()
    torch.save({"classifier.bias": Made()}, folder / "pytorch_model.bin")
    assert "pytorch_model.bin" in refuse("classifier", folder)


# --- safetensors ----------------------------------------------------------------------------------------------------


def written(header: object, data: bytes = bytes(64), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: list[object], start: int = 0, end: int = 64, dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


LYING = {
    "too long": written({"a": entry([16])}, length=10**6),
    "huge length": written({"a": entry([16])}, length=2**63),
    "the hugest length": written({"a": entry([16])}, length=2**64 - 1),
    "no length": b"\x10\0",
    "nothing": b"",
    "beyond the file": written({"a": entry([32], 0, 128)}),
    "shape and bytes differ": written({"a": entry([17])}),
    "overlapping": written({"a": entry([16]), "b": entry([8], 32, 64)}),
    "a hole": written({"a": entry([4], 0, 16), "b": entry([4], 48, 64)}),
    "backwards": written({"a": entry([16], 64, 0)}),
    "negative": written({"a": entry([16], -64, 0)}),
    "negative shape": written({"a": entry([-4, -4])}),
    "overflow": written({"a": entry([2**32, 2**32])}),
    "overflow to the right size": written({"a": entry([2**62 + 4, 4])}),
    "wide": written({"a": entry([10**30])}),
    "unknown type": written({"a": entry([16], dtype="F33")}),
    "type of another kind": written({"a": entry([16], dtype=7)}),
    "fractions": written({"a": entry([16.5])}),
    "no JSON": written(b"{" * 100),
    "deep": written(b"[" * 200_000),
    "a list": written([]),
    "no UTF-8": written(b'{"\xff\xfe": 1}'),
    "bytes behind": written({"a": entry([16])}, data=bytes(100)),
}


@pytest.mark.parametrize("lie", LYING)
def test_a_header_that_lies_is_refused(refuse: Refuse, folder: Path, lie: str) -> None:
    (folder / "model.safetensors").write_bytes(LYING[lie])
    message = refuse("classifier", folder)
    assert "model.safetensors is not a complete safetensors file" in message
    assert "fetch it again" in message


@pytest.mark.parametrize("extra", [torch.zeros(2), 7], ids=["unknown", "no tensor"])
def test_a_name_of_a_million_letters_is_cut(
    refuse: Refuse, folder: Path, as_pickle: Callable[..., Path], extra: object
) -> None:
    as_pickle(**{"y" * 10**6: extra})
    assert "yyyy…" in refuse("classifier", folder)


@pytest.mark.parametrize("name", ["y" * 300, "/" + "y" * 300, "y\0", "\ud800", ".."])
def test_a_shard_of_an_impossible_name(refuse: Refuse, folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    assert "model.safetensors.index.json" in refuse("classifier", folder)


def test_a_damaged_tensor_with_such_a_name(refuse: Refuse, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(written({"y" * 10**6: entry([17])}))
    assert "model.safetensors is not a complete safetensors file" in refuse("classifier", folder)


def test_very_many_unknown_weights_stay_one_sentence(refuse: Refuse, folder: Path) -> None:
    names = {f"x{index}.y": entry([0], 0, 0) for index in range(20_000)}
    (folder / "model.safetensors").write_bytes(written(names, b""))
    (folder / "config.json").write_text(
        json.dumps({"model_type": "bert", "architectures": ["BertForSequenceClassification"]})
    )
    assert "it has no classification head" in refuse("classifier", folder, megabytes=300)
