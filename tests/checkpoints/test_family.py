"""Families are found by their files, and nothing but their files names them."""

import ast
from dataclasses import fields, replace
from pathlib import Path

import pytest

import headway
from headway.checkpoints import families
from headway.checkpoints.config import ConfigReader
from headway.checkpoints.family import all_families, read_architecture

SOURCE = Path(headway.__file__).parent


def test_every_file_in_the_folder_is_a_family() -> None:
    files = {path.stem for path in Path(families.__path__[0]).glob("*.py")} - {"__init__"}
    assert len({id(family) for family in all_families().values()}) == len(files) > 0


@pytest.mark.parametrize("model_type", sorted(all_families()))
def test_settings_survive_being_written_and_read(model_type: str) -> None:
    family = all_families()[model_type]
    where = Path("config.json")
    settings = replace(
        read_architecture(family, {}, where),
        vocabulary_size=99,
        d_model=24,
        d_ff=50,
        num_heads=4,
        max_positions=17,
        activation="gelu_tanh",
        dropout=0.2,
        head_dropout=0.4,
        initializer_std=0.01,
    )
    again = read_architecture(family, family.config(settings), where)
    # What the family has no key for is what it always is.
    fixed = {"dropout"} if family.config(settings) == family.config(replace(settings, dropout=0.3)) else set()
    assert {f.name for f in fields(settings) if getattr(again, f.name) != getattr(settings, f.name)} <= fixed


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
    reader = ConfigReader({"a": 0, "b": 1.5, "c": "x", "d": -1, "e": None, "f": float("nan"), "g": {"h": "x" * 100}})
    assert reader.size("a", 7, most=10) == 7
    assert reader.share("b", 0.5) == 0.5
    assert reader.choice("c", "y", {"y": 1}) == 1
    assert reader.index("d", 3) == 3
    assert reader.size("e", 7, most=10) == 7
    assert reader.positive("f", 1.0) == 1.0
    reader.require("g", None, "it is not supported")
    reader.require("absent", True, "it is not supported")
    assert len(reader.problems) == 6
    assert reader.problems[0] == '"a" is 0, but should be a whole number from 1 to 10.'
    assert all(len(problem) < 120 for problem in reader.problems)
