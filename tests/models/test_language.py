"""Families that write text, against the library that their checkpoints come from: at once, word by word, and saved."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor

from headway.checkpoints.family import all_families
from headway.checkpoints.load import LoadedLanguageModel, load_language_model
from headway.checkpoints.save import save_language_model
from headway.errors import CheckpointError
from headway.models.language_model import LanguageModel
from headway.models.shift import shift_right
from headway.nn.packing import Packing
from headway.tokenizers.fast_tokenizer import FastTokenizer

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
# Logits of these wide models reach 20: one unit in the last place of a product of other shapes is 2e-6 of that.
CACHED = {"atol": 2e-5, "rtol": 1e-5}


def oracle(folder: Path):
    """The same folder in `transformers`, and what it says about the weights."""
    import transformers

    kind = getattr(transformers, json.loads((folder / "config.json").read_text())["architectures"][0])
    model, info = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    for module in model.modules():
        # transformers 5.23 leaves the sinusoids of one family without numbers when it loads a folder.
        if isinstance(table := getattr(module, "weights", None), Tensor) and table.is_meta:
            module.weights = module.get_embedding(*table.shape, module.padding_idx)
    return model.eval()


SOURCES, TARGETS = [20, 1, 7, 7, 12], [3, 20, 1, 11, 11]


def draw_sources(model: LanguageModel, seed: int) -> list[Tensor]:
    """Random ids or images, or nothing for a model that only writes."""
    if model.encoder is None:
        return []
    patches, generator = model.encoder.settings.patches, torch.Generator().manual_seed(seed)
    if patches is not None:
        shape = (patches.num_channels, patches.image_size, patches.image_size)
        return [torch.randn(shape, generator=generator) for _ in SOURCES]
    return [torch.randint(5, model.encoder.settings.vocabulary_size, (n,), generator=generator) for n in SOURCES]


def draw_targets(model: LanguageModel, seed: int, lengths: list[int] = TARGETS) -> list[Tensor]:
    """Random ids; never those of padding, end and start."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(5, model.decoder.settings.vocabulary_size, (n,), generator=generator) for n in lengths]


def their_logits(theirs, sources: list[Tensor], targets: list[Tensor]) -> Tensor:
    if not sources:
        return torch.cat([theirs(input_ids=target[None]).logits[0] for target in targets])
    images = sources[0].ndim == 3
    names = (
        "pixel_values" if images else "input_ids",
        "input_ids" if hasattr(theirs, "text_decoder") else "decoder_input_ids",
    )
    pairs = zip(sources, targets, strict=True)
    return torch.cat([theirs(**dict(zip(names, (s[None], t[None]), strict=True))).logits[0] for s, t in pairs])


def encode(model: LanguageModel, sources: list[Tensor]):
    if model.encoder is None:
        return None
    patches = model.encoder.settings.patches
    if patches is not None:
        return model.encode(torch.stack(sources), Packing([patches.num_tokens] * len(sources)))
    return model.encode(torch.cat(sources), Packing(map(len, sources)))


def our_logits(model: LanguageModel, sources: list[Tensor], targets: list[Tensor]) -> Tensor:
    return model.decode(torch.cat(targets), Packing(map(len, targets)), encode(model, sources))


def test_teacher_forcing_gives_the_same_logits_and_gradients(random_writer: Path) -> None:
    theirs, ours = oracle(random_writer), load_language_model(random_writer)
    sources = draw_sources(ours.model, 0)
    targets = draw_targets(ours.model, 1)
    expected, actual = their_logits(theirs, sources, targets), our_logits(ours.model, sources, targets)
    torch.testing.assert_close(actual, expected, **CLOSE)
    labels = torch.cat(draw_targets(ours.model, 2))
    for logits in (expected, actual):
        torch.nn.functional.cross_entropy(logits, labels).backward()
    assert_same_gradients(ours, theirs)


def assert_same_gradients(ours: LoadedLanguageModel, theirs: torch.nn.Module) -> None:
    table = all_families()[ours.family].table(ours.model.architecture)
    trained = {table.current_name(n): p.grad for n, p in theirs.named_parameters() if p.grad is not None}
    total = torch.stack([gradient.norm() for gradient in trained.values()]).norm()
    for name, parameter in ours.model.named_parameters():
        if name == "lm_head.bias" and "final_logits_bias" in dict(theirs.named_buffers()):
            continue  # the oracle does not train it
        for their_name, gradient in table.views(name, parameter.grad.to_dense()).items():
            expected = trained.pop(their_name)
            # The key's bias has no gradient but noise (a softmax does not see what is added to all its scores).
            assert (gradient - expected).norm() <= 1e-4 * expected.norm() + 1e-6 * total, their_name
    assert not trained


@pytest.mark.parametrize(("scale", "close"), [(0.1, CLOSE), (1.0, CACHED)], ids=["as drawn by the paper", "wide"])
@torch.no_grad()
def test_word_by_word_with_a_cache_gives_what_all_at_once_gives(
    random_writer: Path, scale: float, close: dict[str, float]
) -> None:
    model = load_language_model(random_writer).model
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.mul_(scale)
    sources = draw_sources(model, 3)
    targets, prompts = draw_targets(model, 4, [14, 20, 11, 19, 17]), [1, 8, 2, 3, 8]
    expected = our_logits(model, sources, targets).split([len(target) for target in targets])

    memory, cache = encode(model, sources), model.new_cache(len(targets))
    first = torch.cat([target[:count] for target, count in zip(targets, prompts, strict=True)])
    packing = Packing(prompts)
    steps = [model.decode(first, packing, memory, cache).split(prompts)]
    for step in range(9):
        new = torch.stack([target[count + step] for target, count in zip(targets, prompts, strict=True)])
        steps.append(model.decode(new, Packing([1] * 5), memory, cache).split(1))
    for index, count in enumerate(prompts):
        written = torch.cat([step[index] for step in steps])
        torch.testing.assert_close(written, expected[index][: count + 9], **close)


@torch.no_grad()
def test_a_cache_follows_the_sequences_that_are_kept(random_decoder: Path) -> None:
    model = load_language_model(random_decoder).model
    targets = draw_targets(model, 5, [6, 6, 6])
    cache = model.new_cache(3)
    model.decode(torch.cat(targets), Packing([6] * 3), cache=cache)
    cache.select(torch.tensor([2, 0, 2]))
    new = torch.tensor([5, 6, 7])
    written = model.decode(new, Packing([1] * 3), cache=cache)
    kept = [torch.cat((targets[row], token[None])) for row, token in zip((2, 0, 2), new, strict=True)]
    expected = our_logits(model, [], kept).view(3, 7, -1)[:, -1]
    torch.testing.assert_close(written, expected, **CLOSE)


@torch.no_grad()
def test_saved_by_us_it_opens_in_transformers_with_the_same_logits(random_writer: Path, tmp_path: Path) -> None:
    assert_the_same_and_saved(random_writer, tmp_path)


def assert_the_same_and_saved(folder: Path, tmp_path: Path) -> None:
    theirs, ours = oracle(folder), load_language_model(folder)
    sources, targets = draw_sources(ours.model, 6), draw_targets(ours.model, 7)
    expected = their_logits(theirs, sources, targets)
    torch.testing.assert_close(our_logits(ours.model, sources, targets), expected, **CLOSE)
    alone = [our_logits(ours.model, sources[i : i + 1], targets[i : i + 1]) for i in range(len(targets))]
    torch.testing.assert_close(our_logits(ours.model, sources, targets), torch.cat(alone), **CLOSE)
    tokenizer = FastTokenizer(Tokenizer(WordLevel({"a": 0}, unk_token="a")))
    save_language_model(tmp_path / "ours", ours.model, config=ours.config, tokenizer=tokenizer)
    torch.testing.assert_close(their_logits(oracle(tmp_path / "ours"), sources, targets), expected, **CLOSE)
    assert load_language_model(tmp_path / "ours").model.architecture == ours.model.architecture


def untied(family: str, **settings: object) -> torch.nn.Module:
    """A model of theirs whose names for one weight are not tied, each with random numbers of its own."""
    import transformers as hf

    bert = {"hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 1, "intermediate_size": 8}
    text = bert | {"vocab_size": 97, "max_position_embeddings": 40, "is_decoder": True} | settings
    image = hf.ViTConfig(**bert, image_size=8, patch_size=4)
    crossing = {"add_cross_attention": True}
    if family == "bart":
        parts = {f"{part}_{key}": 1 for part in ("encoder", "decoder") for key in ("layers", "attention_heads")}
        config = hf.BartConfig(vocab_size=97, d_model=24, max_position_embeddings=40, **parts, **settings)
        model = hf.BartForConditionalGeneration(config)
    elif family == "blip":
        vision = bert | {"image_size": 8, "patch_size": 4}
        text |= {"encoder_hidden_size": 24, "bos_token_id": 3, "sep_token_id": 4, "tie_word_embeddings": True}
        model = hf.BlipForConditionalGeneration(hf.BlipConfig(text_config=text, vision_config=vision, **settings))
    elif family.startswith("vit-"):
        decoder = {"vit-bert": hf.BertConfig, "vit-roberta": hf.RobertaConfig}[family](**text, **crossing)
        config = hf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(image, decoder)
        config.decoder_start_token_id, config.pad_token_id = 2, 0
        model = hf.VisionEncoderDecoderModel(config)
    else:
        config = {"bert": hf.BertConfig, "roberta": hf.RobertaConfig, "xlm-roberta": hf.XLMRobertaConfig}[family]
        model = hf.AutoModelForCausalLM.from_config(config(**text))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@torch.no_grad()
@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "vit-bert", "blip", "bart"])
def test_a_weight_of_two_names_is_read_by_the_one_that_counts(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = untied(family, tie_word_embeddings=False)
    if family == "bart":
        for stack in (model.model.encoder, model.model.decoder):
            stack.embed_tokens.weight.copy_(model.model.shared.weight)
    model.save_pretrained(tmp_path / "theirs")
    assert_the_same_and_saved(tmp_path / "theirs", tmp_path)


def test_an_embedding_for_each_stack_is_refused(tmp_path: Path) -> None:
    untied("bart", tie_word_embeddings=False).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"differ from .* model\.decoder\.embed_tokens\.weight"):
        load_language_model(tmp_path)


def test_targets_are_shifted_once_and_here() -> None:
    target, packing = torch.tensor([11, 12, 13, 21, 31, 32]), Packing([3, 1, 2])
    assert shift_right(target, packing, 9).tolist() == [9, 11, 12, 9, 9, 31]
    assert shift_right(target, packing, None).tolist() == [13, 11, 12, 21, 32, 31]
    assert target.tolist() == [11, 12, 13, 21, 31, 32]
