"""Everything that reads a folder or a file, for the cases; only success or a HeadwayError counts."""

import os
import resource
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.fuzz.bases import TEXTS
from tests.fuzz.damages import damage

ODD_TEXTS = [*TEXTS, "", " ", "▁ 𒐪 ꙮ\0 </s> <unk>", "x" * 300, ("good", "bad films")]

Steps = list[int]
"""The seeds of the damages done to a base, one after the other."""
Problem = tuple[str, str]
"""What distinguishes a failure, and all that is known about it."""

MEMORY_PER_CASE = 1 << 30
"""Bytes of address space beyond what the libraries take."""


def read_model(folder: Path) -> None:
    """Everything that reads a model folder, each on its own."""
    import torch

    from headway.checkpoints.load import Input, load_classifier, load_language_model
    from headway.checkpoints.model_facts import inspect_model
    from headway.checkpoints.tokenizer_files import load_tokenizer
    from headway.nn.packing import Packing

    input: Input = "image" if folder.name == "model-vit" else "text"

    def use_classifier() -> None:
        model = load_classifier(folder, input=input).model
        reader = model.architecture.input_stack
        if input == "text" and reader.vocabulary_size > 2 and reader.max_positions > 2:
            model(torch.tensor([0, 1, 2]), Packing([3]))

    def use_writer() -> None:
        model = load_language_model(folder).model
        if model.encoder is None and model.decoder.settings.memory_width is None:
            model.decode(torch.tensor([0, 1]), Packing([2]))

    _each(
        lambda: inspect_model(folder),
        use_classifier,
        lambda: load_classifier(folder, label_names=["a", "b"], input=input),
        use_writer,
        lambda: load_tokenizer(folder),
    )


def read_texts(folder: Path) -> None:
    """A folder of a tokenizer, for both sides and with a language, and texts through it."""
    from headway.checkpoints.tokenizer_files import has_tokenizer, load_tokenizer
    from headway.tokenizers.formats.base import Side

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


def read_images(folder: Path) -> None:
    """A folder that says how images are prepared, and an image through it."""
    from PIL import Image

    from headway.checkpoints.preprocessor_config import load_image_processor

    _each(
        lambda: load_image_processor(folder, 6),
        lambda: load_image_processor(folder)([Image.new("RGB", (9, 7))]),
    )


def read_data(folder: Path) -> None:
    """Everything that reads a file of examples."""
    from headway.sources.read import BadRowPolicy, stream
    from headway.tasks.classification.task import TextClassification

    file = folder / folder.name.removeprefix("data-")

    def examples(skip: bool) -> None:
        for made in _examples(file, TextClassification.fields, skip):
            made.fetch(range(len(made)))

    _each(
        lambda: examples(False),
        lambda: examples(True),
        lambda: sum(len(table) for table in stream(file, policy=BadRowPolicy(skip=True))),
        lambda: sum(len(table) for table in stream(file)),
    )


def read_image_folder(folder: Path) -> None:
    """Everything that reads a folder of images, or of tables with images."""
    from headway.images.decoding import open_image, to_grey, to_rgb
    from headway.sources.read import BadRowPolicy, stream
    from headway.tasks.image_classification.task import ImageClassification

    def look(image: Any) -> None:
        opened = open_image(image)
        to_rgb(opened)
        to_grey(opened)

    def examples(skip: bool) -> None:
        for made in _examples(folder, ImageClassification.fields, skip):
            _each(*(partial(look, example["image"]) for example in made))

    _each(
        lambda: examples(False),
        lambda: examples(True),
        lambda: sum(len(table) for table in stream(folder, policy=BadRowPolicy(skip=True))),
    )


def _examples(source: Path, fields: Sequence[Any], skip: bool) -> Iterator[Any]:
    """The examples of each split, with their labels."""
    from headway.examples.examples import make_examples
    from headway.examples.fields import find_columns
    from headway.examples.labels import learn_labels
    from headway.sources.read import read

    for table in read(str(source), skip_bad_rows=skip).values():
        made = make_examples(table, fields, find_columns(table, fields))
        yield made.labelled(learn_labels(made.raw_labels), skip_bad_rows=skip)


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

    os.environ["HF_DATASETS_CACHE"] = str(folder / "cache")
    datasets.disable_progress_bars()
    torch.set_num_threads(1)
    models, texts = ("model-bert", "model-t5-writer"), ("texts-t5", "texts-marian")
    for base in (*models, *texts, "data-reviews.csv", "data-none.parquet", "folder-classes", "folder-structs"):
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
    readers = {
        "data": read_data,
        "folder": read_image_folder,
        "texts": read_texts,
        "images": read_images,
        "model": read_model,
    }
    try:
        readers[case.name.partition("-")[0]](case)
    except BaseException as error:  # a panic of a library in Rust is no Exception
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "headway" in frame.filename]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "?"
        return f"{type(error).__name__} in {place}", traceback.format_exc()
    return None
