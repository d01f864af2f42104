"""What is done to a file: to its bytes, and to what its format is made of."""

import bz2
import contextlib
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

COMPRESSIONS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    ".gz": (lambda content: gzip.compress(content, mtime=0), gzip.decompress),
    ".bz2": (bz2.compress, bz2.decompress),
    ".xz": (lzma.compress, lzma.decompress),
}
"""How files are packed, and unpacked so that what is inside can be damaged."""

ODD_VALUES: list[Any] = [
    *(0, 1, -1, 2, 7, 255, 10**6, 10**12, 2**31, 2**63, 2**64, 10**400, -(10**30)),
    *(0.5, -0.0, 1e308, float("nan"), float("inf"), True, False, None, "", "x", "0", "7", "\ud800", "é" * 3000),
    *([], {}, [0], [[]], {"": 0}, ["x"] * 1000, [10**12, 10**12], [2**62, 4], {"content": None}, {"id": -1}),
    *("gelu", "bert", "t5", "F64", "I8", "BOOL", "../../etc/passwd", "a.bin", "model.safetensors", "[UNK]"),
]
ODD_BYTES = [
    b"\0",
    b"\xff",
    b'"',
    b"\n",
    b"\r",
    b",",
    b"\t",
    b"{",
    b"[",
    b"\xff" * 8,
    b"\0" * 64,
    b"[" * 9999,
    b"9" * 9999,
]


def damage(folder: Path, seed: int) -> None:
    """Do one thing to one file."""
    draw = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        return
    file = draw.choice(files)
    if draw.random() < 0.03:
        _swap(draw, file, files)
        return
    content = file.read_bytes()
    packing = COMPRESSIONS.get(file.suffix) if draw.random() < 0.7 else None
    if packing is None:
        file.write_bytes(_damaged(draw, file.name, content))
        return
    with contextlib.suppress(Exception):  # it may be damaged already
        content = packing[1](content)
    file.write_bytes(packing[0](_damaged(draw, file.stem, content)))


def _damaged(draw: random.Random, name: str, content: bytes) -> bytes:
    kinds: list[tuple[str, Callable[[random.Random, bytes], bytes]]] = [
        (".json", _damaged_json),
        (".safetensors", _damaged_header),
        (".bin", _damaged_archive),
        (".model", _damaged_pieces),
        (".spm", _damaged_pieces),
        (".jsonl", _damaged_json_line),
        (".txt", _damaged_lines),
        (".csv", _damaged_lines),
        (".tsv", _damaged_lines),
    ]
    for suffix, change in kinds:
        if name.endswith(suffix) and draw.random() < 0.75:
            with contextlib.suppress(Exception):  # what is damaged already may not be understood
                return change(draw, content)
    return _damaged_bytes(draw, content)


def _damaged_bytes(draw: random.Random, content: bytes) -> bytes:
    ends = draw.choice([0, 0, len(content)])  # formats have their tables at the beginning or at the end
    reach = min(len(content), draw.choice([16, 300, 10_000, len(content)]))
    for _ in range(draw.choice([1, 1, 3, 20])):
        at = max(0, min(len(content), abs(ends - draw.randrange(reach + 1))))
        piece = draw.choice(
            [bytes([draw.randrange(256)]), draw.choice(ODD_BYTES), content[at : at + draw.randrange(99)]]
        )
        removed = draw.choice([len(piece), len(piece), 0, draw.randrange(50), len(content)])
        content = content[:at] + piece + content[at + removed :]
    return content


def _damaged_json(draw: random.Random, content: bytes) -> bytes:
    value = json.loads(content)
    places = list(_places(value))
    holder, key = draw.choice(places)
    kind = draw.random()
    if kind < 0.7:
        holder[key] = draw.choice(ODD_VALUES)
    elif kind < 0.8:
        del holder[key]
    elif kind < 0.9:
        other, there = draw.choice(places)
        holder[key] = other[there]
    elif isinstance(holder, dict):
        holder[draw.choice(["x", "0", "-1", "9" * 30, "é"])] = holder.pop(key)
    text = json.dumps(value)
    if draw.random() < 0.1:  # longer than Python turns into a number, and deeper than it follows
        odd = draw.choice(["9" * 5000, "[" * 100_000, "-Infinity", "1e999", '{"a":1,"a":2}'])
        text = text.replace(draw.choice([" 1", " 2", " 32", " 97", ' "']), f" {odd}", 1)
    return text.encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value inside, as its holder and its key."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _damaged_header(draw: random.Random, content: bytes) -> bytes:
    length = int.from_bytes(content[:8], "little")
    if draw.random() < 0.2:
        claimed = draw.choice([0, 1, length - 1, length + 1, len(content), 10**8, 2**31, 2**63, 2**64 - 1])
        return claimed.to_bytes(8, "little") + content[8:]
    header = _damaged_json(draw, content[8 : 8 + length])
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _damaged_archive(draw: random.Random, content: bytes) -> bytes:
    """A ZIP with one entry damaged and all its checksums right."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(result, "w") as new:
        names = old.namelist()
        chosen = draw.choice([name for name in names if name.endswith("data.pkl")] * len(names) + names)
        for name in names:
            data = old.read(name)
            new.writestr(name, _damaged_bytes(draw, data) if name == chosen else data)
    return result.getvalue()


def _damaged_pieces(draw: random.Random, content: bytes) -> bytes:
    """A SentencePiece model that is whole as a message, but odd as a model."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    model = ModelProto()
    model.ParseFromString(content)
    for _ in range(draw.choice([1, 1, 3])):
        piece, other = draw.choice(model.pieces), draw.choice(model.pieces)
        changes: list[Callable[[], object]] = [
            lambda piece=piece: setattr(piece, "score", draw.choice([float("nan"), float("inf"), -1e38, 1e38, 0.0])),
            lambda piece=piece: setattr(piece, "piece", draw.choice(["", "▁", "\0", "x" * 9999, "<0x41>", "<unk>"])),
            lambda piece=piece, other=other: setattr(piece, "piece", other.piece),
            lambda piece=piece: setattr(piece, "type", draw.randint(1, 6)),
            lambda: setattr(model.trainer_spec, "model_type", draw.randint(1, 4)),
            lambda: setattr(model.trainer_spec, "byte_fallback", True),
            lambda: setattr(model.trainer_spec, draw.choice(["unk_id", "pad_id"]), draw.choice([-1, 7, 2**31 - 1])),
            lambda: model.pieces.pop(draw.choice([0, 1, 2, 3, -1])),
            lambda: model.ClearField("pieces"),
            lambda: model.ClearField("trainer_spec"),
            lambda: setattr(model.normalizer_spec, "precompiled_charsmap", _damaged_charsmap(draw, model)),
            lambda: setattr(model.normalizer_spec, "add_dummy_prefix", False),
        ]
        draw.choice(changes)()
    return bytes(model.SerializeToString())


def _damaged_charsmap(draw: random.Random, model: Any) -> bytes:
    charsmap = model.normalizer_spec.precompiled_charsmap
    return draw.choice([_damaged_bytes(draw, charsmap), charsmap[: draw.randrange(len(charsmap) + 1)], b"\xff" * 4])


def _damaged_json_line(draw: random.Random, content: bytes) -> bytes:
    lines = content.splitlines()
    at = draw.randrange(len(lines))
    lines[at] = _damaged_json(draw, lines[at])
    return b"\n".join(lines)


def _damaged_lines(draw: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    at, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    kind = draw.randrange(4)
    if kind == 0:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 1:
        lines[at : at + 1] = [lines[at]] * draw.choice([0, 2, 5000])
    elif kind == 2:
        lines[at] = _damaged_bytes(draw, lines[at])
    else:
        lines[at] = draw.choice(ODD_BYTES) * draw.choice([1, 100])
    return b"\n".join(lines)


def _swap(draw: random.Random, file: Path, files: list[Path]) -> None:
    """Lose a file, empty it, put a folder in its place, or another file's content."""
    other = draw.choice(files).read_bytes()
    kind = draw.randrange(4)
    file.unlink()
    if kind == 0:
        file.mkdir()
    elif kind < 3:
        file.write_bytes(b"" if kind == 1 else other)
