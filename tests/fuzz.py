"""Damages small real files in every way that chance finds, and reads them: only success or a HeadwayError counts.

    python -m tests.fuzz --seconds 600 [--seed 1] [--only data] [--output fuzz-failures]

The readers run in a child process that is watched: another exception, a crash, a hang or too much memory is a failure.
Of each kind of failure the smallest case is kept, as files to read again and a traceback. The same seed gives the same
cases.
"""

import argparse
import contextlib
import gzip
import io
import json
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SECONDS_PER_CASE = 10
MEMORY_PER_CASE = 1 << 30
"""Bytes of address space beyond what the libraries take."""

Steps = list[int]
"""The seeds of the damages done to a base, one after the other."""
Problem = tuple[str, str]
"""What distinguishes a failure, and all that is known about it."""


# --- the files that are damaged -------------------------------------------------------------------------------------

CLASSIFIERS = ("bert", "roberta", "distilbert", "electra", "albert", "modernbert", "gpt2")
WRITERS = ("t5", "bart", "marian", "pegasus", "m2m_100", "gpt2", "vision_encoder_decoder", "blip")

TEXTS = ["good films are a good thing", "bad films, é and 12,000 more", "a thing is a thing", "ｆｕｌｌ ① more words"]
ODD_TEXTS = [*TEXTS, "", " ", "▁ 𒐪 ꙮ\0 </s> <unk>", "x" * 300, ("good", "bad films")]


def make_bases(folder: Path, only: str) -> list[str]:
    """Write the undamaged folders; their names."""
    if only in ("models", "all"):
        _make_models(folder)
    if only in ("texts", "models", "all"):
        _make_tokenizers(folder)
    if only in ("data", "all"):
        _make_data(folder)
    return sorted(path.name for path in folder.iterdir())


def _make_models(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from tests.models import conftest as tiny
    from tokenizers import BertWordPieceTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for family in CLASSIFIERS:
        tiny.save_random_classifier(folder / f"model-{family}", family, 0)
    for family in WRITERS:
        tiny.save_random_writer(folder / f"model-{family}-writer", family, 0)
    tiny.save_random_image_classifier(folder / "model-vit", "vit", 0)
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *"abcdefghijklmnopqrstuvwxyzäé",
        "##s",
        "good",
        "bad",
        "film",
    ]
    for model in folder.glob("model-*"):
        (model / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        if model.name != "model-bert":  # that one has the vocabulary only
            BertWordPieceTokenizer(str(model / "vocab.txt")).save(str(model / "tokenizer.json"))
        settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "added_tokens_decoder": {}}
        (model / "tokenizer_config.json").write_text(json.dumps(settings))
    for name in ("zip", "legacy", "shards"):
        model = Path(shutil.copytree(folder / "model-bert", folder / f"model-{name}"))
        weights = load_file(model / "model.safetensors")
        (model / "model.safetensors").unlink()
        parts = [dict(list(weights.items())[start::2]) for start in range(2)] if name == "shards" else [weights]
        files = ["a.bin", "b.bin"] if name == "shards" else ["pytorch_model.bin"]
        for file, part in zip(files, parts, strict=True):
            torch.save(part, model / file, _use_new_zipfile_serialization=name != "legacy")
        if name == "shards":
            places = {tensor: file for file, part in zip(files, parts, strict=True) for tensor in part}
            (model / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))


def _make_tokenizers(folder: Path) -> None:
    """Folders of the files that tokenizers are built from, and of how pictures are prepared."""
    from sentencepiece import SentencePieceProcessor
    from tokenizers import ByteLevelBPETokenizer

    zero = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    classes: dict[str, dict[str, bytes]] = {
        "T5Tokenizer": {"spiece.model": _pieces(**zero)},
        "NllbTokenizer": {"sentencepiece.bpe.model": _pieces(model_type="bpe")},
        "MarianTokenizer": {"source.spm": _pieces(), "target.spm": _pieces(**zero)},
        "RobertaTokenizer": {},
    }
    for name, files in classes.items():
        place = folder / f"texts-{name.removesuffix('Tokenizer').lower()}"
        place.mkdir()
        for file, content in files.items():
            (place / file).write_bytes(content)
        (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name, "eos_token": "</s>"}))
    cutter = SentencePieceProcessor(model_proto=classes["MarianTokenizer"]["source.spm"])
    known = ["</s>", "<pad>", *(cutter.id_to_piece(index) for index in range(cutter.get_piece_size()))]
    ids = {piece: index for index, piece in enumerate(dict.fromkeys(known))}
    (folder / "texts-marian" / "vocab.json").write_text(json.dumps(ids))
    maker = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    maker.train_from_iterator(TEXTS, vocab_size=300, special_tokens=special, show_progress=False)
    maker.save_model(str(folder / "texts-roberta"))
    pictures = {"size": {"height": 8, "width": 8}, "do_center_crop": True, "crop_size": 6, "do_normalize": True}
    pictures |= {"image_processor_type": "ViTImageProcessor", "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "pictures-vit").mkdir()
    (folder / "pictures-vit" / "preprocessor_config.json").write_text(json.dumps(pictures | {"resample": 2}))


def _pieces(**options: Any) -> bytes:
    """A small SentencePiece model."""
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    options |= {"vocab_size": 80, "hard_vocab_limit": False, "num_threads": 1, "minloglevel": 2}
    SentencePieceTrainer.train(sentence_iterator=iter(TEXTS * 9), model_writer=model, **options)
    return model.getvalue()


def _make_data(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [(f'a "film", number {i}; é\n' * (i % 3) + f"good {i}", "good" if i % 2 else "bad") for i in range(40)]
    plain = [(text.replace("\n", " "), label) for text, label in rows]
    quoted = "".join('"{}",{}\n'.format(text.replace('"', '""'), label) for text, label in rows)
    objects = [{"text": t, "label": n, "stars": i, "tags": [n]} for i, (t, n) in enumerate(rows)]
    contents = {
        "reviews.csv": "text,label\n" + quoted,
        "semicolons.csv": "sep=;\ntext;label\n" + "".join(f"good {i};{label}\n" for i, (_, label) in enumerate(rows)),
        "glue.tsv": "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in plain),
        "reviews.jsonl": "".join(json.dumps(item) + "\n" for item in objects),
        "texts.txt": "".join(f"{text}\n" for text, _ in plain),
    }
    files = {name: content.encode() for name, content in contents.items()}
    for compression in ("none", "snappy", "gzip"):
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(objects), sink, compression=compression)
        files[f"{compression}.parquet"] = sink.getvalue()
    for name, content in files.items():
        for ending, data in (("", content), (".gz", gzip.compress(content, mtime=0))):
            place = folder / f"data-{name}{ending}"
            place.mkdir()
            (place / f"{name}{ending}").write_bytes(data)


# --- damages --------------------------------------------------------------------------------------------------------

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
    packed = file.suffix == ".gz" and draw.random() < 0.7
    if packed:
        with contextlib.suppress(Exception):  # it may be damaged already
            content = gzip.decompress(content)
    name = file.name.removesuffix(".gz") if packed else file.name
    content = _damaged(draw, name, content)
    file.write_bytes(gzip.compress(content, mtime=0) if packed else content)


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


# --- reading, in a process of its own -------------------------------------------------------------------------------


def read_model(folder: Path) -> None:
    """Everything that reads a model folder, each on its own."""
    import torch

    from headway.checkpoints.inspect import inspect_model
    from headway.checkpoints.load import load_classifier, load_language_model
    from headway.checkpoints.tokenizer import load_tokenizer
    from headway.nn.packing import Packing

    pictures = folder.name == "model-vit"

    def use_classifier() -> None:
        model = load_classifier(folder, pictures=pictures).model
        reader = model.architecture.reader
        if not pictures and reader.vocabulary_size > 2 and reader.max_positions > 2:
            model(torch.tensor([0, 1, 2]), Packing([3]))

    def use_writer() -> None:
        model = load_language_model(folder).model
        if model.encoder is None and model.decoder.settings.memory_width is None:
            model.decode(torch.tensor([0, 1]), Packing([2]))

    _each(
        lambda: inspect_model(folder),
        use_classifier,
        lambda: load_classifier(folder, label_names=["a", "b"], pictures=pictures),
        use_writer,
        lambda: load_tokenizer(folder),
    )


def read_texts(folder: Path) -> None:
    """A folder of a tokenizer, for both sides and with a language, and texts through it."""
    from headway.checkpoints.tokenizer import has_tokenizer, load_tokenizer
    from headway.checkpoints.vocabularies import Side

    def use(side: Side, language: str | None) -> None:
        tokenizer = load_tokenizer(folder, side=side, language=language)
        sequences = [*tokenizer.encode(ODD_TEXTS), *tokenizer.encode(ODD_TEXTS, max_length=8)]
        tokenizer.decode([sequence.input_ids.tolist() for sequence in sequences])

    _each(
        lambda: has_tokenizer(folder),
        lambda: use("source", None),
        lambda: use("source", "deu_Latn"),
        lambda: use("target", None),
        lambda: use("target", "deu_Latn"),
    )


def read_pictures(folder: Path) -> None:
    """A folder that says how pictures are prepared, and a picture through it."""
    from PIL import Image

    from headway.checkpoints.image_processor import load_image_processor

    _each(
        lambda: load_image_processor(folder, 6),
        lambda: load_image_processor(folder)([Image.new("RGB", (9, 7))]),
    )


def read_data(folder: Path) -> None:
    """Everything that reads a file of examples."""
    from headway.data.columns import find_columns
    from headway.data.examples import make_examples
    from headway.data.labels import find_labels
    from headway.data.readers import Faults, read, stream

    file = folder / folder.name.removeprefix("data-")

    def examples(skip: bool) -> None:
        for table in read(str(file), skip_bad_rows=skip).values():
            columns = find_columns(table)
            made = make_examples(table, columns, find_labels(table, columns))
            made.fetch(range(len(made)))

    _each(
        lambda: examples(False),
        lambda: examples(True),
        lambda: sum(1 for _ in stream(file, faults=Faults(skip=True))),
        lambda: sum(1 for _ in stream(file)),
    )


def _each(*readers: Callable[[], object]) -> None:
    from headway.errors import HeadwayError

    for read in readers:
        try:
            read()
        except HeadwayError as error:
            message = str(error)
            assert message, "an error without a message"
            assert len(message) < 20_000, f"a message of {len(message)} characters: {message[:300]}"
            message.encode()  # what cannot be printed is no message


def build(bases: Path, base: str, steps: Steps, folder: Path) -> Path:
    """The case: a copy of the base, damaged."""
    shutil.rmtree(folder, ignore_errors=True)
    case = Path(shutil.copytree(bases / base, folder / base))
    for seed in steps:
        damage(case, seed)
    return case


def work(pipe: Connection, bases: Path, folder: Path) -> None:
    """The child: reads case after case and tells what happened, None for what is right."""
    import datasets
    import torch

    datasets.config.HF_DATASETS_CACHE = folder / "cache"
    datasets.disable_progress_bars()
    torch.set_num_threads(1)
    for base in ("model-bert", "model-t5-writer", "data-reviews.csv", "data-none.parquet", "texts-t5", "texts-marian"):
        if (bases / base).is_dir():  # so that the libraries are loaded before memory is counted
            _read(build(bases, base, [], folder))
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        limit = pages * resource.getpagesize() + MEMORY_PER_CASE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    pipe.send("ready")
    while True:
        base, steps = pipe.recv()
        pipe.send(_read(build(bases, base, steps, folder)))


def _read(case: Path) -> Problem | None:
    readers = {"data": read_data, "texts": read_texts, "pictures": read_pictures, "model": read_model}
    try:
        readers[case.name.partition("-")[0]](case)
    except BaseException as error:  # a panic of a library in Rust is no Exception
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "headway" in frame.filename]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "?"
        return f"{type(error).__name__} in {place}", traceback.format_exc()
    return None


# --- watching -------------------------------------------------------------------------------------------------------


class Watched:
    """A child that reads, begun again when it dies."""

    def __init__(self, bases: Path, folder: Path) -> None:
        self.bases, self.folder = bases, folder
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("fork")  # the libraries are loaded once
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, self.bases, self.folder), daemon=True)
        self.process.start()
        theirs.close()
        assert self.pipe.recv() == "ready"

    def stop(self) -> None:
        self.process.kill()
        self.process.join()

    def read(self, base: str, steps: Steps) -> Problem | None:
        self.pipe.send((base, steps))
        problem: Problem | None
        if not self.pipe.poll(SECONDS_PER_CASE):
            problem = ("hang", f"no answer for {SECONDS_PER_CASE} seconds")
        else:
            try:
                return self.pipe.recv()
            except EOFError:
                self.process.join()
                problem = (f"crash {self.process.exitcode}", f"the process ended with {self.process.exitcode}")
        self.stop()
        self.start()
        return problem

    def smallest(self, base: str, steps: Steps, problem: Problem) -> Steps:
        """As few of the damages as give the same kind of failure."""
        for step in list(steps):
            fewer = [other for other in steps if other != step]
            again = self.read(base, fewer) if fewer else None
            if again is not None and again[0] == problem[0]:
                steps = fewer
        return steps


def fuzz(*, seconds: float, cases: int | None, seed: int, only: str, output: Path) -> tuple[int, Counter[str]]:
    """Try cases until the time or their number is over: how many, and the failures by kind."""
    found: Counter[str] = Counter()
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        bases = Path(scratch, "bases")
        bases.mkdir()
        names = make_bases(bases, only)
        watched = Watched(bases, Path(scratch, "case"))
        number, end = 0, time.monotonic() + seconds
        while time.monotonic() < end and number != cases:
            number += 1
            base = draw.choice(names)
            steps = [draw.getrandbits(48) for _ in range(draw.choice([1, 1, 1, 2, 4]))]
            problem = watched.read(base, steps)
            if problem is None:
                continue
            found[problem[0]] += 1
            if found[problem[0]] == 1:
                place = output / problem[0].replace(" ", "-").replace(":", "-")
                steps = watched.smallest(base, steps, problem)
                build(bases, base, steps, place)
                (place / "failure.txt").write_text(f"{base} {steps}\n\n{problem[1]}", "utf-8", "backslashreplace")
                print(f"{problem[0]}: {place}\n{problem[1][-1500:]!a}", file=sys.stderr, flush=True)
        watched.stop()
    return number, found


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--cases", type=int, help="stop after so many cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["models", "texts", "data", "all"], default="all")
    parser.add_argument("--output", type=Path, default=Path("fuzz-failures"))
    options = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    number, found = fuzz(**vars(options))
    print(f"{number} cases, {sum(found.values())} failures: {dict(found)}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
