"""What is made to do harm is refused with one sentence, and takes no memory worth naming."""

import gzip
import io
import json
import math
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from sentencepiece import SentencePieceTrainer
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from headway.checkpoints.family import family_of, read_architecture
from headway.data.tokenizer import FastTokenizer
from headway.errors import CheckpointError, library_errors

PROBE = """
import json, resource, signal, sys, traceback
from pathlib import Path
import datasets
from headway.checkpoints.inspect import inspect_model
from headway.checkpoints.load import load_classifier, load_language_model
from headway.checkpoints.tokenizer import load_tokenizer
from headway.data.readers import read, stream
from headway.errors import UserError

datasets.disable_progress_bars()
readers = {
    "classifier": lambda path: load_classifier(Path(path)),
    "writer": lambda path: load_language_model(Path(path)),
    "inspect": lambda path: inspect_model(Path(path)),
    "tokenizer": lambda path: load_tokenizer(Path(path)),
    "read": lambda path: read(path),
    "stream": lambda path: sum(1 for row in stream(path)),
}

def memory(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name + ":"))

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 2**30,) * 2)
for line in sys.stdin:
    signal.alarm(30)  # ends the process
    reader, path = json.loads(line)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    try:
        readers[reader](path)
        answer = ["read", ""]
    except UserError as error:
        answer = [type(error).__name__, str(error)]
    except BaseException:
        answer = ["traceback", traceback.format_exc()]
    signal.alarm(0)
    print(json.dumps([*answer, (memory("VmHWM") - before) / 1024]), flush=True)
"""


@dataclass(frozen=True)
class Answer:
    kind: str
    message: str
    megabytes: float
    """How far the memory rose above what it was before."""


Ask = Callable[[str, Path], Answer]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Reads in a process of its own, whose memory is measured and limited."""
    if sys.platform != "linux":
        pytest.skip("a peak of memory can be measured anew on Linux only")
    environment = os.environ | {"HF_DATASETS_CACHE": str(tmp_path_factory.mktemp("cache")), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:

        def ask(reader: str, path: Path) -> Answer:
            process.stdin.write(json.dumps([reader, str(path)]) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer, "the process died"
            return Answer(*json.loads(answer))

        yield ask
        process.stdin.close()


@pytest.fixture
def refuse(ask: Ask) -> Callable[..., str]:
    """Reads what must be refused; the message."""

    def refuse(reader: str, path: Path, megabytes: float = 30) -> str:
        answer = ask(reader, path)
        assert answer.kind in ("CheckpointError", "DataError"), answer
        assert answer.megabytes < megabytes, answer
        assert path.name in answer.message
        assert len(answer.message) < 1000
        assert "\n" not in answer.message
        return answer.message

    return refuse


Refuse = Callable[..., str]


def test_the_probe_sees_memory_and_success(ask: Ask, folder: Path, tmp_path: Path) -> None:
    assert ask("classifier", folder).kind == "read"
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "x" * 50_000_000}))
    answer = ask("stream", tmp_path / "rows.jsonl")
    assert answer.kind == "read"
    assert 50 < answer.megabytes < 400


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
    assert "take a safetensors version" in message
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
    assert "is not a whole PyTorch file (it is a compressed archive)" in refuse("classifier", folder)


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
    assert zipped or "pytorch_model.bin is not a whole PyTorch file" in answer.message


def test_a_storage_that_is_cut_off(refuse: Refuse, folder: Path, as_pickle: Callable[..., Path]) -> None:
    file = as_pickle(zzz=torch.ones(2**20))
    rezip(file, lambda name, data: data[:4] if len(data) == 2**22 else data)
    assert "pytorch_model.bin is not a whole PyTorch file" in refuse("classifier", folder)


def test_a_damaged_table_of_a_zip(refuse: Refuse, folder: Path, as_pickle: Callable[..., Path]) -> None:
    file = as_pickle()
    file.write_bytes(file.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x00", 1))
    assert "pytorch_model.bin is not a whole PyTorch file" in refuse("classifier", folder)


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
    assert "model.safetensors is not a whole safetensors file" in message
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
    assert "model.safetensors is not a whole safetensors file" in refuse("classifier", folder)


def test_very_many_unknown_weights_stay_one_sentence(refuse: Refuse, folder: Path) -> None:
    names = {f"x{index}.y": entry([0], 0, 0) for index in range(20_000)}
    (folder / "model.safetensors").write_bytes(written(names, b""))
    (folder / "config.json").write_text(
        json.dumps({"model_type": "bert", "architectures": ["BertForSequenceClassification"]})
    )
    assert "is a base model without a classification head" in refuse("classifier", folder, megabytes=300)


# --- config.json ----------------------------------------------------------------------------------------------------

ABSURD = {
    "hidden_size": (10**12, "a whole number from 1 to 65,536"),
    "num_hidden_layers": (10**6, "a whole number from 1 to 1,000"),
    "intermediate_size": (-64, "a whole number from 1 to"),
    "num_attention_heads": (0, "a whole number from 1 to"),
    "vocab_size": (1e9, "a whole number from 1 to"),
    "max_position_embeddings": ("512", "a whole number from 1 to"),
    "type_vocab_size": (True, "a whole number from 1 to"),
    "layer_norm_eps": (float("nan"), "a number above 0"),
    "initializer_range": (10**400, "a number above 0"),
    "hidden_dropout_prob": (10**400, "a number from 0 to below 1"),
    "hidden_act": (["gelu"] * 1000, "one of gelu"),
    "pad_token_id": (10**300, "a whole number from 0"),
    "model_type": ("bert" * 10**5, "are not supported"),
    "id2label": ([1, 2], '"id2label" should be an object'),
}


@pytest.mark.parametrize("key", ABSURD)
@pytest.mark.parametrize("reader", ["classifier", "inspect"])
def test_an_absurd_setting_is_named(refuse: Refuse, folder: Path, reader: str, key: str) -> None:
    value, words = ABSURD[key]
    config = json.loads((folder / "config.json").read_text()) | {key: value}
    (folder / "config.json").write_text(json.dumps(config))
    message = refuse(reader, folder)
    assert words in message
    assert "config.json" in message
    assert key in message or key == "model_type"


@pytest.mark.parametrize("model_type", ["t5", "bart", "blip", "vision-encoder-decoder"])
@pytest.mark.parametrize("reader", ["writer", "inspect"])
def test_a_decoder_with_an_encoder_of_its_own(refuse: Refuse, folder: Path, reader: str, model_type: str) -> None:
    decoder = {"model_type": model_type, "encoder": {"model_type": "vit"}, "decoder": {"model_type": "gpt2"}}
    composed = {"model_type": "vision-encoder-decoder", "encoder": {"model_type": "vit"}, "decoder": decoder}
    (folder / "config.json").write_text(json.dumps(composed))
    assert '"decoder" is no decoder that stands alone' in refuse(reader, folder)


def test_models_within_models_have_an_end() -> None:
    """JSON of Python 3.12 and later may be nested deeper than functions may call each other."""
    config: dict[str, object] = {}
    for _ in range(5000):
        config = {"model_type": "vision-encoder-decoder", "encoder": config}
    where = Path("config.json")
    with pytest.raises(CheckpointError, match=r"config\.json: holds models within models without end"):
        read_architecture(family_of(config, where), config, where)


@pytest.mark.parametrize("kinds", [7, [7, None], "BertModel", {"a": 1}, ["\ud800"]])
@pytest.mark.parametrize("reader", ["classifier", "inspect"])
def test_odd_names_of_classes_are_no_traceback(ask: Ask, folder: Path, reader: str, kinds: object) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"architectures": kinds}
    (folder / "config.json").write_text(json.dumps(config))
    assert ask(reader, folder).kind in ("read", "CheckpointError")


def test_each_problem_is_said_once_and_not_its_consequences(ask: Ask, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 7, "num_attention_heads": 0}))
    message = ask("classifier", folder).message
    assert "config.json: 2 problems:" in message
    assert "does not divide" not in message


@pytest.mark.parametrize("key", ["num_hidden_layers", "vocab_size", "intermediate_size"])
def test_a_large_setting_that_the_weights_do_not_bear_out_costs_nothing(ask: Ask, folder: Path, key: str) -> None:
    largest = {"num_hidden_layers": 1000, "vocab_size": 2**24, "intermediate_size": 2**18}[key]
    config = json.loads((folder / "config.json").read_text()) | {key: largest}
    (folder / "config.json").write_text(json.dumps(config))
    answer = ask("classifier", folder)
    assert answer.kind == "CheckpointError", answer
    assert answer.megabytes < 100
    assert len(answer.message) < 2000


UNREADABLE = {
    "deep": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "deep and closed": '{"model_type": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "digits": '{"model_type": "bert", "hidden_size": ' + "9" * 10_000_000 + "}",
    "not UTF-8": b'{"model_type": "\xff\xfe"}',
    "empty": "",
    "NUL": b"\0" * 1000,
    "a number": "7",
    "a list": "[1, 2]",
    "too large": '{"model_type": "bert", "x": "' + "x" * (40 << 20) + '"}',
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("file", ["config.json", "model.safetensors.index.json"])
def test_json_that_cannot_be_read(refuse: Refuse, folder: Path, file: str, kind: str) -> None:
    content = UNREADABLE[kind]
    if file.startswith("model"):
        (folder / "model.safetensors").unlink()
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refuse("classifier", folder, megabytes=60)
    assert file in message
    assert "fetch the file again" in message


def test_a_key_given_twice_counts_as_transformers_counts_it(ask: Ask, folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace("{", '{"hidden_size": 1000000000000, ', 1))
    assert ask("classifier", folder).kind == "read"  # the last one counts


def test_very_many_labels_of_one_name_are_refused_at_once(refuse: Refuse, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {index: f"label {index % 150_000}" for index in range(200_000)}
    (folder / "config.json").write_text(json.dumps(config))
    assert "gives the same name to several classes" in refuse("classifier", folder, megabytes=200)


# --- tokenizers -----------------------------------------------------------------------------------------------------


def edited_tokenizer(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    change(tokenizer)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


DAMAGE: dict[str, Callable[[dict[str, object]], object]] = {
    "no model": lambda it: it.pop("model"),
    "unknown model": lambda it: it["model"].update(type="Telepathy"),
    "id too wide": lambda it: it["model"]["vocab"].update(cat=2**40),
    "negative id": lambda it: it["model"]["vocab"].update(cat=-1),
    "id that is no number": lambda it: it["model"]["vocab"].update(cat="7"),
    "unknown normalizer": lambda it: it.update(normalizer={"type": "Bogus"}),
    "broken pattern": lambda it: it.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(((("}}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_tokenizer_is_refused(refuse: Refuse, folder: Path, kind: str) -> None:
    edited_tokenizer(folder, DAMAGE[kind])
    assert "tokenizer.json: is not a readable tokenizer" in refuse("tokenizer", folder)


@pytest.mark.parametrize("content", ["", "[" * 100_000, "{}", "\0" * 100], ids=["empty", "deep", "object", "NUL"])
def test_what_is_no_tokenizer_is_refused(refuse: Refuse, folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    assert "tokenizer.json: is not a readable tokenizer" in refuse("tokenizer", folder)


def test_a_huge_token_id_takes_no_memory(ask: Ask, folder: Path) -> None:
    edited_tokenizer(folder, lambda it: it["model"]["vocab"].update(cat=2**32 - 1))
    answer = ask("tokenizer", folder)
    assert answer.kind in ("read", "CheckpointError"), answer
    assert answer.megabytes < 30


def score(model: ModelProto, value: float) -> None:
    model.pieces[7].score = value


def table(model: ModelProto, content: bytes) -> None:
    model.normalizer_spec.precompiled_charsmap = content


def own_table(model: ModelProto) -> bytes:
    return model.normalizer_spec.precompiled_charsmap


ODD_PIECES: dict[str, tuple[Callable[[ModelProto], object], str]] = {
    "score": (lambda it: score(it, math.nan), "the score nan"),
    "endless score": (lambda it: score(it, math.inf), "the score inf"),
    "half a table": (lambda it: table(it, b"\x10\0\0\0abcd"), "its table of characters is damaged"),
    "a table of gigabytes": (lambda it: table(it, b"\xff" * 99), "its table of characters is damaged"),
    "no table": (lambda it: table(it, b"\4\0\0\0abcd\xff\xfe"), "its table of characters is damaged"),
    "a table without texts": (
        lambda it: table(it, own_table(it)[:-9000] + b"\0"),
        "its table of characters is damaged",
    ),
    "a table with another's texts": (lambda it: table(it, own_table(it) + b"\xff\0"), "is not a usable SentencePiece"),
    "words": (lambda it: setattr(it.trainer_spec, "model_type", 3), "only unigram models and byte pairs"),
    "nothing unknown": (lambda it: it.pieces.pop(0), "lacks <unk>"),
}


@pytest.fixture(scope="module")
def pieces() -> bytes:
    model = io.BytesIO()
    texts = ["good films are a good thing", "bad films, and 12,000 more", "a thing is a thing"]
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 9), model_writer=model, vocab_size=60, hard_vocab_limit=False, minloglevel=2
    )
    return model.getvalue()


@pytest.mark.parametrize("kind", ODD_PIECES)
def test_an_odd_sentencepiece_model_is_refused(refuse: Refuse, tmp_path: Path, pieces: bytes, kind: str) -> None:
    change, words = ODD_PIECES[kind]
    model = ModelProto()
    model.ParseFromString(pieces)
    change(model)
    (tmp_path / "spiece.model").write_bytes(model.SerializeToString())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer"}')
    message = refuse("tokenizer", tmp_path)
    assert "spiece.model" in message
    assert words in message


def test_a_special_token_without_letters_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[UNK]\n\n:\n[SEP]\n")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "cls_token": ":"}')
    assert "special tokens cannot stand around texts" in refuse("tokenizer", tmp_path)


def test_a_panic_of_a_library_is_an_error_of_its_file() -> None:
    """Its class cannot be imported: it is found by its name, and is no Exception."""
    panic = type("PanicException", (BaseException,), {})
    words = r"a\.json: is odd \(index out of bounds\)\. Fetch it again\."
    with pytest.raises(CheckpointError, match=words), library_errors("a.json: is odd"):
        raise panic("index out of bounds")
    with pytest.raises(KeyboardInterrupt), library_errors("a.json: is odd"):
        raise KeyboardInterrupt


def test_a_text_that_the_library_fails_on_is_an_error_of_the_model() -> None:
    tokenizer = FastTokenizer(Tokenizer(WordLevel({"good": 0}, unk_token="[UNK]")))
    assert tokenizer.encode(["good"])[0].input_ids.tolist() == [0]
    with pytest.raises(CheckpointError, match=r"fails on a text \(.*\[UNK\].*\)\. Its files are damaged: fetch"):
        tokenizer.encode(["good", "bad"])


# --- data -----------------------------------------------------------------------------------------------------------


def gzip_bomb(file: Path, head: bytes, unit: bytes, size: int) -> None:
    block = unit * (2**20 // len(unit))
    with gzip.open(file, "wb", compresslevel=1) as packed:
        packed.write(head)
        for _ in range(size // len(block)):
            packed.write(block)


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("a.csv.gz", b"", "line 1: longer than 64 MB, so this is no file of rows"),
        ("b.csv.gz", b"text,label\n", "line 2: longer than 64 MB"),
        ("c.tsv.gz", b"text\tlabel\n", "line 2: longer than 64 MB"),
        ("d.jsonl.gz", b'{"text": "', "line 1: longer than 64 MB"),
        ("e.parquet.gz", b"", "is not a readable Parquet file"),
        ("f.csv.gz", b'text,label\n"', "longer than 64 MB"),
    ],
)
@pytest.mark.parametrize("reader", ["read", "stream"])
def test_a_bomb_of_one_endless_line(
    refuse: Refuse, tmp_path: Path, reader: str, name: str, head: bytes, words: str
) -> None:
    gzip_bomb(tmp_path / name, head, b"x", 2**28)
    assert (tmp_path / name).stat().st_size < 2 * 2**20
    assert words in refuse(reader, tmp_path / name, megabytes=200)


def test_a_bomb_of_an_open_quote(refuse: Refuse, tmp_path: Path) -> None:
    gzip_bomb(tmp_path / "open.csv.gz", b'text,label\n"', b"xxxxxxx\n", 2**29)
    # Python's csv keeps a field with four bytes a character, in a buffer that doubles: 192 MB for the longest one.
    message = refuse("read", tmp_path / "open.csv.gz", megabytes=256)
    assert "row 1 (line 2): a quotation mark opens a field here and is never closed" in message


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.jsonl.gz"])
def test_a_bomb_of_many_rows_is_read_in_little_memory(ask: Ask, tmp_path: Path, name: str) -> None:
    head, row = (b"text,label\n", b"good,1\n") if "csv" in name else (b"", b'{"text": "good", "label": 1}\n')
    gzip_bomb(tmp_path / name, head, row * 100, 2**22)
    answer = ask("stream", tmp_path / name)
    assert answer.kind == "read", answer
    assert answer.megabytes < 30


def test_a_bomb_of_blank_rows_is_read_in_little_memory(ask: Ask, tmp_path: Path) -> None:
    gzip_bomb(tmp_path / "blank.csv.gz", b"text,label\ngood,1\n", b"\n", 2**22)
    answer = ask("stream", tmp_path / "blank.csv.gz")
    assert answer.kind == "read", answer
    assert answer.megabytes < 30


def parquet(file: Path, texts: object, **options: object) -> Path:
    table = pa.table({"text": texts, "label": ["a"] * len(texts)})
    pq.write_table(table, file, **options)
    assert file.stat().st_size < 2 * 2**20
    return file


@pytest.mark.parametrize("plain", [True, False], ids=["string", "dictionary"])
@pytest.mark.parametrize("reader", ["read", "stream"])
def test_a_text_that_a_dictionary_repeats_is_not_written_out_at_once(
    ask: Ask, tmp_path: Path, reader: str, plain: bool
) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 4096, pa.int32()), ["x" * 2**18])
    file = parquet(tmp_path / "repeated.parquet", texts, store_schema=not plain)
    answer = ask(reader, file)
    assert answer.kind == "read", answer
    # A gigabyte in all; what is read goes to the disk, whose pages the system may count while they are mapped.
    assert answer.megabytes < 300


@pytest.mark.parametrize("reader", ["read", "stream"])
def test_a_text_in_parquet_may_be_as_long_as_in_a_csv(refuse: Refuse, tmp_path: Path, reader: str) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([1] * 5000 + [0] * 5000, pa.int32()), ["x" * (2**24 + 1), "good"])
    file = parquet(tmp_path / "long.parquet", texts, store_schema=False, compression="gzip", row_group_size=4000)
    message = refuse(reader, file, megabytes=400)
    assert "long.parquet, row 5001: 'text' has 16,777,217 bytes, more than the 16,777,216 that are read" in message


@pytest.mark.parametrize("rows", [1, 5000])
def test_a_huge_text_is_not_unpacked(refuse: Refuse, tmp_path: Path, rows: int) -> None:
    texts = ["good"] * (rows - 1) + ["x" * 300_000_000]
    file = parquet(tmp_path / "huge.parquet", texts, compression="gzip")
    message = refuse("read", file)
    assert "huge.parquet, from row 1:" in message
    assert " bytes unpack to 300," in message
    assert "Write the file again with fewer rows in a group" in message


def test_long_texts_without_a_dictionary_are_read_some_at_a_time(ask: Ask, tmp_path: Path) -> None:
    texts = [f"{row} " + "x" * 2**20 for row in range(200)]
    file = parquet(tmp_path / "long.parquet", texts, compression="zstd", use_dictionary=False, write_batch_size=4)
    answer = ask("stream", file)
    assert answer.kind == "read", answer
    assert answer.megabytes < 300


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (b"\x25\x02\x18\x04text", b"\x25\x00\x18\x04text", "DataError"),  # "never null", against the counts of nulls
        (b"\x25\x02\x18\x04text", b"\x25\x02\x18\x04te\tt", "read"),  # not the name that the columns themselves give
    ],
)
def test_a_damaged_description_of_columns_ends_no_process(
    ask: Ask, tmp_path: Path, old: bytes, new: bytes, kind: str
) -> None:
    file = parquet(tmp_path / "columns.parquet", ["good", "bad"])
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new))
    answer = ask("stream", file)
    assert answer.kind == kind, answer
    assert kind == "read" or "columns.parquet is not a readable Parquet file (Definition level" in answer.message
