"""Families are found by their files, and nothing but their files names them."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import headway
from headway.checkpoints import families
from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.family import all_families, read_architecture
from headway.errors import CheckpointError

SOURCE = Path(headway.__file__).parent


def test_every_file_in_the_folder_is_a_family() -> None:
    files = {path.stem for path in Path(families.__path__[0]).glob("*.py")} - {"__init__"}
    assert len({id(family) for family in all_families().values()}) == len(files) > 0


def test_no_other_module_imports_a_family() -> None:
    """Importing one by name would be the first step to a special case for it."""
    for file in SOURCE.rglob("*.py"):
        if file.parent.name == "families":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            assert not any("checkpoints.families." in f"{module}.{name}" for name in names), file


def test_a_reader_gathers_every_problem() -> None:
    values = {"a": 0, "b": 1.5, "c": "x", "d": -1, "e": None, "f": float("nan"), "g": {"h": "x" * 100}, "i": [4, 5]}
    reader = ConfigReader(values)
    assert reader.size("a", 7, most=10) == 7
    assert reader.share("b", 0.5) == 0.5
    assert reader.choice("c", "y", {"y": 1}) == 1
    assert reader.index("d", 3) == 3
    assert (reader.first_index("i", 3), reader.first_index("a", 3), reader.first_index("e", 3)) == (4, 0, 3)
    assert reader.size("e", 7, most=10) == 7
    assert reader.positive("f", 1.0) == 1.0
    reader.require("g", None, "it is not supported")
    reader.require("absent", True, "it is not supported")
    assert len(reader.problems) == 6
    assert reader.problems[0] == '"a" is 0, but should be a whole number from 1 to 10.'
    assert all(len(problem) < 120 for problem in reader.problems)


def test_buckets_that_could_not_be_found_are_refused() -> None:
    """With as many distances as a decoder's exact buckets, the oracle divides by zero; with fewer, it looks below 0."""
    family, where = all_families()["t5"], Path("config.json")
    settings = {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 16}
    with pytest.raises(CheckpointError, match="should be a whole number from 17"):
        read_architecture(family, settings, where)
    assert read_architecture(family, settings | {"relative_attention_max_distance": 17}, where)


STRETCHED = {"rope_type": "linear", "factor": 4.0}


@pytest.mark.parametrize(
    ("model_type", "settings", "said"),
    [
        ("electra", {"is_decoder": True}, '"is_decoder" is true'),
        ("modernbert", {"rope_scaling": STRETCHED}, '"rope_scaling" is'),
        ("modernbert", {"rope_scaling": STRETCHED, "rope_parameters": {}}, '"rope_scaling" is'),
        ("marian", {"d_model": 27, "encoder_attention_heads": 3, "decoder_attention_heads": 3}, "is odd"),
        ("modernbert", {"rope_parameters": {"full_attention": STRETCHED}}, '"rope_type" is "linear"'),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(model_type: str, settings: dict[str, object], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        read_architecture(all_families()[model_type], settings, Path("config.json"))


@pytest.mark.parametrize("model_type", ["modernbert", "marian", "gpt2"])
def test_padding_that_the_vocabulary_lacks_is_written_as_none(model_type: str) -> None:
    family = all_families()[model_type]
    settings = {"vocab_size": 97, "pad_token_id": None}
    assert family.config(read_architecture(family, settings, Path("config.json")))["pad_token_id"] is None


def test_a_composed_model_keeps_its_decoders_own_padding() -> None:
    """RoBERTa's positions count from it."""
    family = all_families()["vision-encoder-decoder"]
    decoder = {"model_type": "roberta", "is_decoder": True, "add_cross_attention": True, "pad_token_id": 5}
    settings = {"encoder": {"model_type": "vit"}, "decoder": decoder, "pad_token_id": 0}
    written = family.config(read_architecture(family, settings, Path("config.json")))
    assert (written["pad_token_id"], written["decoder"]["pad_token_id"]) == (0, 5)


@pytest.mark.parametrize("model_type", sorted(set(all_families()) - {"vision-encoder-decoder"}))
def test_what_a_config_leaves_out_is_what_transformers_takes(model_type: str) -> None:
    """Old files leave out what newer versions added: the defaults must be those of the oracle."""
    from transformers import AutoConfig

    family = all_families()[model_type]
    where = Path("config.json")
    written = AutoConfig.for_model(model_type).to_dict()
    expected = read_architecture(family, written, where)
    assert read_architecture(family, {"model_type": model_type}, where) == expected


# Published checkpoints that messages name as an example, and two parts of the tokenizers library.
NO_FAMILY = {"bert-base-uncased", "t5-small", "BertNormalizer", "BertPreTokenizer"}


def test_a_family_is_named_in_its_own_file_only() -> None:
    """No code and no message elsewhere; docstrings may say whose rule it is."""
    types = "|".join(re.escape(name) for name in all_families())
    classes = "|".join(sorted({prefix for family in all_families().values() for prefix in family.model_types.values()}))
    named = re.compile(rf"(?<![A-Za-z])(?i:{types})(?![A-Za-z])|(?<![A-Za-z])({classes})(?=[A-Z]|\b)")
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        if file.parent.name == "families":
            continue
        for line, text in words_of_code(ast.parse(file.read_text())):
            rest = functools.reduce(lambda rest, allowed: rest.replace(allowed, ""), NO_FAMILY, text)
            if named.search(rest):
                found.append(f"{file.relative_to(SOURCE)}:{line}: {text[:60]}")
    assert found == []


def words_of_code(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Names and texts with their lines, without docstrings."""
    documents = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.lineno, node.value
        elif isinstance(node, ast.Name | ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.name
        elif isinstance(node, ast.Attribute | ast.arg | ast.keyword):
            yield node.lineno, (node.attr if isinstance(node, ast.Attribute) else node.arg) or ""
