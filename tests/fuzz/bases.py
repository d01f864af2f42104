"""The small real folders and files that are damaged."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

from tests.fuzz.damages import COMPRESSIONS

CLASSIFIERS = ("bert", "roberta", "distilbert", "electra", "albert", "modernbert", "gpt2")
WRITERS = ("t5", "bart", "marian", "pegasus", "m2m_100", "gpt2", "vision_encoder_decoder", "blip")

TEXTS = ["good films are a good thing", "bad films, é and 12,000 more", "a thing is a thing", "ｆｕｌｌ ① more words"]


def make_bases(folder: Path, only: str) -> list[str]:
    """Write the undamaged folders; their names."""
    if only in ("models", "all"):
        _make_models(folder)
    if only in ("texts", "models", "all"):
        _make_tokenizers(folder)
    if only in ("data", "all"):
        _make_data(folder)
        _make_image_folders(folder)
    return sorted(path.name for path in folder.iterdir())


def _make_models(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from tests.models import random_models as tiny
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
    """Folders of the files that tokenizers are built from, and of how images are prepared."""
    from sentencepiece import SentencePieceProcessor
    from tokenizers import ByteLevelBPETokenizer

    from headway.checkpoints.tokenizer_files import load_tokenizer, save_tokenizer

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
    for place in sorted(folder.glob("texts-*")):  # and the same as one file
        whole = folder / f"{place.name}-whole"
        save_tokenizer(whole, load_tokenizer(place), max_length=64)
    images = {"size": {"height": 8, "width": 8}, "do_center_crop": True, "crop_size": 6, "do_normalize": True}
    images |= {"image_processor_type": "ViTImageProcessor", "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "images-vit").mkdir()
    (folder / "images-vit" / "preprocessor_config.json").write_text(json.dumps(images | {"resample": 2}))


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
        packed = {ending: pack(content) for ending, (pack, _) in COMPRESSIONS.items()}
        for ending, data in {"": content, **packed}.items():
            place = folder / f"data-{name}{ending}"
            place.mkdir()
            (place / f"{name}{ending}").write_bytes(data)


def _make_image_folders(folder: Path) -> None:
    """Class folders of small images, tables beside images, and a table with images in it."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    draw = np.random.default_rng(0)
    images: dict[str, bytes] = {}
    for ending in ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm", "jp2"):
        for number in range(2):
            pixels = draw.integers(0, 256, (9, 7 + number, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(
                buffer, "JPEG2000" if ending == "jp2" else Image.registered_extensions()[f".{ending}"]
            )
            images[f"{number}.{ending}"] = buffer.getvalue()
    rows = [{"file_name": name, "label": f"class {name[0]}"} for name in images]
    for name, content in images.items():
        for split in ("train", "test"):
            place = folder / "folder-classes" / split / f"class {name[0]}"
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        for kind in ("csv", "jsonl"):
            place = folder / f"folder-metadata-{kind}"
            place.mkdir(exist_ok=True)
            (place / name).write_bytes(content)
    lines = "".join(f"{row['file_name']},{row['label']}\n" for row in rows)
    (folder / "folder-metadata-csv" / "metadata.csv").write_text(f"file_name,label\n{lines}")
    objects = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "folder-metadata-jsonl" / "metadata.jsonl").write_text(objects)
    structs = [{"image": {"bytes": images[row["file_name"]], "path": row["file_name"]}, **row} for row in rows]
    (folder / "folder-structs").mkdir()
    pq.write_table(
        pa.Table.from_pylist(structs).drop_columns(["file_name"]), folder / "folder-structs" / "rows.parquet"
    )
