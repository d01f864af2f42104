"""Reading model folders: old ones, odd ones, and everything that can be wrong with them, said at once."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.checkpoints.load import load_classifier
from headway.errors import CheckpointError
from headway.nn.packing import Packing

Weights = dict[str, Tensor]


def edit_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def edit_weights(folder: Path, change: Callable[[Weights], Weights]) -> None:
    file = folder / "model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in change(load_file(file)).items()}, file)


def logits(folder: Path, **options: object) -> Tensor:
    with torch.no_grad():
        return load_classifier(folder, **options).model(torch.arange(20), Packing([8, 12]))


def refusal(folder: Path, **options: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_classifier(folder, **options)
    message = str(caught.value)
    assert str(folder) in message
    assert len(message) < 2000
    return message


def without(*parts: str) -> Callable[[Weights], Weights]:
    return lambda weights: {n: t for n, t in weights.items() if not any(part in n for part in parts)}


# --- the same model, stored differently -----------------------------------------------------------------------------


def old_names(weights: Weights) -> Weights:
    greek = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, tensor in weights.items():
        for new, old in greek.items():
            name = name.replace(new, old)
        renamed[name] = tensor
    return renamed


def without_prefix(weights: Weights) -> Weights:
    return {name.removeprefix("bert."): tensor for name, tensor in weights.items()}


def with_other_heads(weights: Weights) -> Weights:
    extra = ("cls.predictions.bias", "cls.predictions.transform.LayerNorm.gamma", "cls.seq_relationship.weight")
    return weights | {name: torch.ones(3) for name in extra} | {"bert.embeddings.position_ids": torch.arange(40)[None]}


@pytest.mark.parametrize("change", [old_names, without_prefix, with_other_heads], ids=lambda change: change.__name__)
def test_other_names_are_the_same_model(folder: Path, pristine: Path, change: Callable[[Weights], Weights]) -> None:
    edit_weights(folder, change)
    assert torch.equal(logits(folder), logits(pristine))


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_shards_are_the_same_model(folder: Path, pristine: Path, suffix: str) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem = {"safetensors": "model", "bin": "pytorch_model"}[suffix]
    places = {name: f"{stem}-0000{index % 3 + 1}-of-00003.{suffix}" for index, name in enumerate(weights)}
    for file in set(places.values()):
        part = {name: tensor for name, tensor in weights.items() if places[name] == file}
        save_file(part, folder / file) if suffix == "safetensors" else torch.save(part, folder / file)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert torch.equal(logits(folder), logits(pristine))

    for number in (1, 3):
        (folder / f"{stem}-0000{number}-of-00003.{suffix}").unlink()
    message = refusal(folder)
    assert "2 of 3 weight files" in message
    assert f"{stem}-00001-of-00003.{suffix}, {stem}-00003-of-00003.{suffix}" in message


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before PyTorch 1.6"])
def test_a_pickled_checkpoint_is_the_same_model(folder: Path, pristine: Path, zipped: bool) -> None:
    weights = load_file(folder / "model.safetensors")
    weights = {name: torch.nn.Parameter(tensor) for name, tensor in weights.items()}
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    (folder / "model.safetensors").unlink()
    assert torch.equal(logits(folder), logits(pristine))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_read_as_float32(folder: Path, pristine: Path, dtype: torch.dtype) -> None:
    edit_weights(folder, lambda weights: {name: tensor.to(dtype) for name, tensor in weights.items()})
    loaded = load_classifier(folder)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    torch.testing.assert_close(logits(folder), logits(pristine), atol=0.2, rtol=0)


def test_the_model_keeps_no_memory_of_the_file(folder: Path) -> None:
    loaded = load_classifier(folder)
    before = loaded.model.encoder.embeddings.token.weight.clone()
    (folder / "model.safetensors").write_bytes(b"\0" * (folder / "model.safetensors").stat().st_size)
    assert torch.equal(loaded.model.encoder.embeddings.token.weight, before)
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())


def test_a_config_without_optional_keys_has_the_familys_defaults(folder: Path, pristine: Path) -> None:
    edit_config(folder, hidden_act=..., layer_norm_eps=..., type_vocab_size=..., pad_token_id=None, dtype=...)
    assert torch.equal(logits(folder), logits(pristine))


# --- labels and heads -----------------------------------------------------------------------------------------------


def test_labels_come_from_the_config(folder: Path) -> None:
    loaded = load_classifier(folder)
    assert (loaded.family, loaded.label_names, loaded.multi, loaded.fresh) == ("bert", ("cat", "dog", "fox"), False, ())
    edit_config(folder, problem_type="multi_label_classification")
    assert load_classifier(folder).multi


def test_more_than_ten_labels_keep_their_order(tmp_path: Path, tiny_bert: Callable[..., Path]) -> None:
    names = {index: f"class {chr(122 - index)}" for index in range(12)}
    folder = tiny_bert(tmp_path, num_labels=12, id2label=names)
    assert load_classifier(folder).label_names == tuple(names.values())


def test_a_head_for_the_same_labels_is_reordered_by_name(folder: Path) -> None:
    loaded = load_classifier(folder, label_names=["fox", "cat", "dog"])
    assert loaded.fresh == ()
    assert loaded.label_names == ("fox", "cat", "dog")
    assert torch.equal(logits(folder, label_names=["fox", "cat", "dog"]), logits(folder)[:, [2, 0, 1]])


@pytest.mark.parametrize("names", [["cat", "dog", "wolf"], ["cat", "dog"], ["a", "b", "c", "d"]])
def test_a_head_for_other_labels_starts_fresh_and_that_is_said(folder: Path, names: list[str]) -> None:
    torch.manual_seed(0)
    loaded = load_classifier(folder, label_names=names, multi=True)
    assert loaded.fresh == ("classification_head.weight", "classification_head.bias")
    assert loaded.multi
    head = loaded.model.classification_head
    assert head.weight.shape == (len(names), 32)
    assert 0.1 < head.weight.std() < 0.3  # the checkpoint's initializer_range is 0.2
    assert head.bias.eq(0).all()
    torch.manual_seed(0)
    assert torch.equal(load_classifier(folder, label_names=names).model.classification_head.weight, head.weight)


def test_a_pooler_may_start_fresh_only_where_allowed(folder: Path) -> None:
    edit_weights(folder, without("pooler", "classifier"))
    loaded = load_classifier(folder, label_names=["yes", "no"])
    assert set(loaded.fresh) == {
        "classification_head.weight",
        "classification_head.bias",
        "pooler.dense.weight",
        "pooler.dense.bias",
    }
    message = refusal(folder, label_names=["yes", "no"], allow_fresh_pooler=False)
    assert "2 of 39 weights are missing: bert.pooler.dense.weight, bert.pooler.dense.bias" in message


def test_dropout_can_be_overridden(folder: Path) -> None:
    model = load_classifier(folder, dropouts={"dropout": 0.3, "head_dropout": 0.0}).model
    assert (model.architecture.encoder.dropout, model.architecture.head.dropout) == (0.3, 0.0)
    assert model.architecture.encoder.attention_dropout == 0.1


@pytest.mark.parametrize(
    ("changes", "dropped", "words"),
    [
        ({"architectures": ["BertModel"]}, ("classifier",), "is not a classifier: it has no classification head"),
        ({"architectures": ["BertForTokenClassification"]}, (), "it was saved as BertForTokenClassification"),
        ({"problem_type": "regression"}, (), "its head predicts one number (regression), not classes"),
    ],
)
def test_what_is_no_classifier_can_be_trained_but_not_used(
    folder: Path, changes: dict[str, object], dropped: tuple[str, ...], words: str
) -> None:
    edit_config(folder, **changes)
    edit_weights(folder, without(*dropped))
    message = refusal(folder)
    assert words in message
    assert "headway train DATA --model" in message
    assert load_classifier(folder, label_names=["cat", "dog", "fox"]).fresh == (
        "classification_head.weight",
        "classification_head.bias",
    )


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"0": "cat", "2": "dog"}, "should be 0 to 1, each once"),
        ({"0": "cat", "1": "cat", "2": "dog"}, "the same name to several classes: cat"),
        ({}, "should be an object of numbers to names"),
        (["cat"], "should be an object of numbers to names"),
        ({"0": "cat", "1": "dog"}, "classifier.weight is 3×32 instead of 2×32, classifier.bias is 3 instead of 2"),
    ],
)
def test_a_table_of_labels_must_make_sense(folder: Path, labels: object, words: str) -> None:
    edit_config(folder, id2label=labels)
    assert words in refusal(folder)


# --- everything wrong, at once --------------------------------------------------------------------------------------


def test_missing_unknown_and_misshapen_weights_are_listed_together(folder: Path) -> None:
    def damage(weights: Weights) -> Weights:
        weights = without("attention.self.query", "layer.1.output.dense.bias")(weights)
        weights["bert.embeddings.word_embeddings.weight"] = torch.zeros(7, 32)
        weights["bert.encoder.layer.1.intermediate.dense.weight"] = torch.zeros(64, 31)
        return weights | {"bert.extra.weight": torch.zeros(1)}

    edit_weights(folder, damage)
    message = refusal(folder)
    assert "3 problems" in message
    assert (
        "5 of 41 weights are missing: bert.encoder.layer.{0–1}.attention.self.query.weight, "
        "bert.encoder.layer.{0–1}.attention.self.query.bias, bert.encoder.layer.1.output.dense.bias. Fetch"
    ) in message
    assert "2 weights have another shape" in message
    assert "bert.embeddings.word_embeddings.weight is 7×32 instead of 600×32" in message
    assert "1 weight has no place in the model: bert.extra.weight" in message


def test_a_weight_stored_under_two_names_is_refused(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights | {"pooler.dense.bias": torch.ones(32)})
    assert "1 weight has no place in the model: " in refusal(folder)


def test_quantized_and_broken_numbers_are_refused(folder: Path) -> None:
    def damage(weights: Weights) -> Weights:
        return weights | {"bert.pooler.dense.weight": torch.zeros(32, 32, dtype=torch.int8)}

    edit_weights(folder, damage)
    assert "1 weight has quantized numbers: bert.pooler.dense.weight (I8)" in refusal(folder)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(folder: Path, number: float) -> None:
    def damage(weights: Weights) -> Weights:
        weights["bert.encoder.layer.0.attention.self.key.weight"][3, 4] = number
        return weights

    edit_weights(folder, damage)
    assert "weights contain NaN or infinity: bert.encoder.layer.0.attention.self.key.weight" in refusal(folder)


def test_every_wrong_setting_is_listed(folder: Path) -> None:
    edit_config(
        folder,
        hidden_size=10**15,
        num_hidden_layers=-1,
        vocab_size="many",
        num_attention_heads=True,
        hidden_act="gelu_9",
        hidden_dropout_prob=1.0,
        layer_norm_eps=0,
        position_embedding_type="relative_key",
        is_decoder="no",
        quantization_config={"bits": 4},
    )
    message = refusal(folder)
    assert "config.json: 10 problems" in message
    for key in ("hidden_size", "hidden_act", "position_embedding_type", "quantization_config", "is_decoder"):
        assert f'"{key}" is ' in message
    assert '"position_embedding_type" is "relative_key": only learned absolute positions are supported.' in message


def test_a_decoder_is_no_classifier(folder: Path) -> None:
    edit_config(folder, is_decoder=True)
    assert "this model (bert) generates text; classifying with it is not supported" in refusal(folder)


def test_heads_must_divide_the_width(folder: Path) -> None:
    edit_config(folder, num_attention_heads=5)
    assert '"hidden_size" 32 is not divisible by "num_attention_heads" 5' in refusal(folder)


@pytest.mark.parametrize(
    ("model_type", "words"),
    [
        ("whisper", 'models of type "whisper" are not supported. Supported: albert, bart, bert'),
        ("brt", "The nearest is bert."),
        (["bert"], "are not supported"),
        (..., 'has no "model_type"'),
    ],
)
def test_a_foreign_model_is_named(folder: Path, model_type: object, words: str) -> None:
    edit_config(folder, model_type=model_type)
    assert words in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}}'])
def test_a_broken_config_is_named(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    assert "config.json" in refusal(folder)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no weights: none of model.safetensors"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": b""}, "adapter (LoRA), not a whole model: merge"),
        ({"tf_model.h5": b"", "flax_model.msgpack": b""}, "for another program (flax_model.msgpack, tf_model.h5)"),
        ({"model.safetensors.incomplete": b"x"}, "only partly downloaded"),
        ({"model.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"}, "git lfs pull"),
        ({"model.safetensors.index.json": b"{}"}, 'has no "weight_map"'),
        ({"model.safetensors.index.json": b"{"}, "is not valid JSON"),
        ({"model.safetensors.index.json": b'{"weight_map": {"a": "../secret"}}'}, "points outside its folder"),
    ],
)
def test_missing_weights_are_explained_by_what_is_there(folder: Path, files: dict[str, bytes], words: str) -> None:
    (folder / "model.safetensors").unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert words in refusal(folder)


def test_all_that_a_half_downloaded_folder_lacks_is_listed(tmp_path: Path) -> None:
    message = refusal(tmp_path)
    assert "2 problems" in message
    for words in ("no config.json", "no weights"):
        assert words in message
    assert "there is no such folder" in refusal(tmp_path / "nothing")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("suffix", ["safetensors", "zip", "pickle"])
def test_a_truncated_file_is_named(folder: Path, share: float, suffix: str) -> None:
    file = folder / "model.safetensors"
    if suffix != "safetensors":
        weights = load_file(file)
        file.unlink()
        file = folder / "pytorch_model.bin"
        torch.save(weights, file, _use_new_zipfile_serialization=suffix == "zip")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    assert file.name in refusal(folder)


def test_a_header_that_lies_about_sizes_is_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    for claimed in (len(header), 2**60):
        file.write_bytes(claimed.to_bytes(8, "little") + header + b"\0" * 64)
        assert "model.safetensors is not a complete safetensors file" in refusal(folder)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("executed",)


def test_pickled_code_is_never_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"bert.pooler.dense.weight": Evil()}, folder / "pytorch_model.bin")
    assert "refused because it could run code" in refusal(folder)
    assert capsys.readouterr().out == ""


def test_a_zip_bomb_and_a_training_state_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    file = folder / "pytorch_model.bin"
    torch.save({"state_dict": weights, "epoch": 3}, file)
    assert "is not a plain table of weights: state_dict, epoch is not a dense tensor" in refusal(folder)
    torch.save([1, 2], file)
    assert "holds a list, not named weights" in refusal(folder)
    torch.save(weights, file)
    packed = folder / "packed.zip"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    packed.replace(file)
    assert "it is a compressed archive" in refusal(folder)
