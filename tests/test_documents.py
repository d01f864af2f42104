"""`docs/add-a-family.md`, read as a newcomer reads it: every block is run, every output is the true one."""

import ast
import contextlib
import importlib
import importlib.util
import io
import random
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from headway.checkpoints import families
from headway.checkpoints.family import all_families

REPOSITORY = Path(__file__).parents[1]
DOCUMENT = REPOSITORY / "docs" / "add-a-family.md"
FAMILIES = "src/headway/checkpoints/families"
FAMILY, MODEL_TYPE = "roberta_prelayernorm", "roberta-prelayernorm"


@dataclass(frozen=True)
class Block:
    """A fenced block: what it is, the file that it is about, what stands in it, and where."""

    language: str
    file: str | None
    text: str
    line: int


def blocks_of(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    return [
        Block(match[1], match[2], match[3], text.count("\n", 0, match.start()) + 1)
        for match in re.finditer(r'^```(\w*)(?: title="([^"\n]+)")?\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    ]


class Newcomer:
    """Does what the document says, in a folder that stands for the repository and one to work in."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.names: dict[str, Any] = {}
        self.printed = ""

    def follow(self, block: Block) -> None:
        where = f"{DOCUMENT.name}, line {block.line}"
        if block.language == "text":
            assert self.printed == block.text, where
            self.printed = ""
            return
        assert not self.printed, f"{where}: the block before prints what the document does not show"
        match block.language, block.file:
            case "python", None:
                code = compile("\n" * block.line + block.text, str(DOCUMENT), "exec")
                with contextlib.redirect_stdout(io.StringIO()) as stdout:
                    exec(code, self.names)
                self.printed = stdout.getvalue()
            case "python", str(file):
                assert not (REPOSITORY / file).exists(), f"{where}: the family is there already; teach another"
                self.write(file, block.text)
            case "diff", str(file):
                self.write(file, patched(self.path(file).read_text(encoding="utf-8"), block.text, where))
            case "sh", None:
                for word in shlex.split(block.text):
                    assert not word.startswith("tests") or (REPOSITORY / word).exists(), where
            case _:
                pytest.fail(f"{where}: a block of {block.language} that nobody runs")

    def path(self, file: str) -> Path:
        changed = self.checkout / file
        return changed if changed.exists() else REPOSITORY / file

    def write(self, file: str, text: str) -> None:
        """A new file, and the new Python that the document asks for."""
        (self.checkout / file).parent.mkdir(parents=True, exist_ok=True)
        (self.checkout / file).write_text(text, encoding="utf-8")
        self.names.clear()
        forget_the_family()


def patched(text: str, diff: str, where: str) -> str:
    for hunk in filter(None, re.split(r"^@@\n", diff, flags=re.MULTILINE)):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        assert text.count(before) == 1, f"{where}: does not fit the file"
        text = text.replace(before, "".join(line[1:] for line in lines if line[0] in " +"))
    return text


def forget_the_family() -> None:
    sys.modules.pop(f"{families.__name__}.{FAMILY}", None)
    vars(families).pop(FAMILY, None)
    importlib.invalidate_caches()
    all_families.cache_clear()


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Somebody who has read the document to its end."""
    newcomer = Newcomer(tmp_path_factory.mktemp("checkout"))
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.chdir(tmp_path_factory.mktemp("work"))
        patch.setattr(sys, "dont_write_bytecode", True)  # two versions of a file within one second look the same
        patch.setattr(families, "__path__", [*families.__path__, str(newcomer.checkout / FAMILIES)])
        for block in blocks_of(DOCUMENT):
            newcomer.follow(block)
        yield newcomer
    forget_the_family()


def test_the_outputs_in_the_document_are_the_true_ones(newcomer: Newcomer) -> None:
    assert not newcomer.printed
    assert MODEL_TYPE in all_families()


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"document_{path.stem}", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_family_of_the_document_passes_the_tests_of_every_family(newcomer: Newcomer, tmp_path: Path) -> None:
    models = REPOSITORY / "tests" / "models"
    parity, settings = module(models / "test_parity.py"), module(models / "test_settings.py")
    defaults = module(REPOSITORY / "tests" / "checkpoints" / "test_family.py")
    drawn = module(newcomer.path("tests/models/random_models.py"))
    for seed in range(6):
        folder = tmp_path / str(seed)
        drawn.save_random_classifier(folder, FAMILY, seed)
        parity.test_a_random_model_gives_the_same_logits_and_gradients(folder)
        parity.test_a_random_model_answers_the_same_without_gradients_and_saved(folder, tmp_path)
        config = drawn.CLASSIFIERS[FAMILY](random.Random(seed)).to_dict()
        settings.test_the_keys_that_a_family_writes_say_all_that_it_reads(config)
    defaults.test_what_a_config_leaves_out_is_what_transformers_takes(MODEL_TYPE)


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["lint", "format"])
def test_the_files_of_the_document_are_in_the_house_style(newcomer: Newcomer, command: list[str]) -> None:
    settings = ["--no-cache", "--config", str(REPOSITORY / "pyproject.toml")]
    files = [newcomer.path(f"{FAMILIES}/{FAMILY}.py"), newcomer.path("tests/models/random_models.py")]
    ruff = [sys.executable, "-m", "ruff", *command, *settings]
    done = subprocess.run([*ruff, *files], cwd=newcomer.checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_that_the_document_quotes_stand_in_the_families() -> None:
    calls = {
        ast.unparse(node)
        for file in (REPOSITORY / FAMILIES).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    quoted = re.findall(
        r"`((?:Rename|Concat|Transpose|Unsqueeze|Alias|Drop|Optional)\(.+?\))`", DOCUMENT.read_text(encoding="utf-8")
    )
    assert len(quoted) == 8
    for rule in quoted:
        assert ast.unparse(ast.parse(rule, mode="eval")) in calls, rule
