"""Decoding with a cache gives what decoding all at once gives: after a selection, for beams, with all positions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from headway.checkpoints.load import load_language_model
from headway.models.config import LMHeadConfig, ModelConfig, RelativePositions, StackConfig
from headway.models.language_model import LanguageModel
from headway.nn.block import Memory
from headway.nn.packing import Packing
from headway.nn.rows import Rows

CLOSE = {"atol": 2e-5, "rtol": 1e-5}
READERS = ["bart", "marian", "t5", "vision_encoder_decoder", "blip"]


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest, tmp_path: Path, write_writer: Callable[[Path, str, int], None]) -> Any:
    """A tiny random model that writes what it reads off a text or an image."""
    write_writer(tmp_path, request.param, 2)
    return load_language_model(tmp_path).model


def draw_sources(model: LanguageModel, lengths: list[int]) -> list[Tensor]:
    stack = model.architecture.input_stack
    generator = torch.Generator().manual_seed(0)
    if stack.patches is not None:
        shape = (stack.patches.num_channels, stack.patches.image_size, stack.patches.image_size)
        return [torch.randn(shape, generator=generator) for _ in lengths]
    return [torch.randint(5, stack.vocabulary_size, (length,), generator=generator) for length in lengths]


def encode(model: LanguageModel, sources: list[Tensor]) -> Memory:
    patches = model.architecture.input_stack.patches
    if patches is not None:
        return model.encode(torch.stack(sources), Packing([patches.num_tokens] * len(sources)))
    return model.encode(torch.cat(sources), Packing(map(len, sources)))


def draw_targets(model: LanguageModel, lengths: list[int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(5, model.decoder.settings.vocabulary_size, (n,), generator=generator) for n in lengths]


def last_scores(model: LanguageModel, sources: list[Tensor], targets: list[Tensor]) -> Tensor:
    """Of the word after each whole target, computed one by one and without a cache."""
    pairs = zip(sources, targets, strict=True)
    return torch.stack([model.decode(t, Packing([len(t)]), encode(model, [s]))[-1] for s, t in pairs])


@pytest.mark.parametrize("lengths", [[6, 6, 6, 6], [6, 2, 9, 1]], ids=["equal", "different"])
@pytest.mark.parametrize("kept", [[2, 0, 2], [3, 2, 1, 0], [1], [0, 0, 1, 1, 3, 3]], ids=str)
@torch.no_grad()
def test_a_selection_takes_the_sources_along(reader: LanguageModel, lengths: list[int], kept: list[int]) -> None:
    sources, targets = draw_sources(reader, lengths), draw_targets(reader, [5, 2, 7, 3])
    memory, cache = encode(reader, sources), reader.new_cache(4)
    reader.decode(torch.cat(targets), Packing(map(len, targets)), memory, cache)
    sources, targets = ([side[row] for row in kept] for side in (sources, targets))
    cache.select(torch.tensor(kept))
    for word in (7, 9):
        new = torch.full((len(kept),), word)
        scores = reader.decode(new, Packing([1] * len(kept)), cache=cache)
        targets = [torch.cat((target, new[:1])) for target in targets]
        torch.testing.assert_close(scores, last_scores(reader, sources, targets), **CLOSE)


@pytest.mark.parametrize(
    ("kept", "num_memories"),
    [([1, 0, 3, 3, 4, 5], 3), ([4, 4, 0, 1], 2), ([5, 0, 1], 3)],
    ids=["within", "a sentence less", "parted"],
)
@torch.no_grad()
def test_beams_share_a_memory(reader: LanguageModel, kept: list[int], num_memories: int) -> None:
    sources, targets = draw_sources(reader, [6, 2, 9]), draw_targets(reader, [4, 4, 3, 3, 5, 5])
    cache = reader.new_cache(6)
    scores = reader.decode(torch.cat(targets), packing := Packing(map(len, targets)), encode(reader, sources), cache)
    beams = [sources[row // 2] for row in range(6)]
    torch.testing.assert_close(scores[packing.lasts()], last_scores(reader, beams, targets), **CLOSE)
    cache.select(torch.tensor(kept))
    assert len(cache.memory_packing) == num_memories
    new = torch.full((len(kept),), 8)
    targets = [torch.cat((targets[row], new[:1])) for row in kept]
    scores = reader.decode(new, Packing([1] * len(kept)), cache=cache)
    torch.testing.assert_close(scores, last_scores(reader, [beams[row] for row in kept], targets), **CLOSE)


def test_sequences_that_do_not_share_the_memories_evenly_are_refused(reader: LanguageModel) -> None:
    memory = encode(reader, draw_sources(reader, [6, 2]))
    with pytest.raises(ValueError, match="3 sequences do not share 2 memories evenly"):
        reader.decode(torch.tensor([5, 6, 7]), Packing([1, 1, 1]), memory)


RELATIVE = {"positions": "relative", "relative": RelativePositions(num_buckets=8, max_distance=20)}
POSITIONS: dict[str, dict[str, Any]] = {
    "learned": {},
    "rotary": {"positions": "rotary", "rotary_thetas": (1e4, 100.0)},
    "rotary window": {"positions": "rotary", "rotary_thetas": (1e4, 1e4), "windows": (None, 3)},
    "relative": RELATIVE,
    "relative window": {**RELATIVE, "windows": (4, None)},
}


@pytest.mark.parametrize("prompts", [[4, 4, 4], [1, 8, 3]], ids=["equal", "mixed"])
@pytest.mark.parametrize("settings", POSITIONS.values(), ids=POSITIONS)
@torch.no_grad()
def test_positions_go_on_where_the_cache_ends(settings: dict[str, Any], prompts: list[int]) -> None:
    sizes = {"d_model": 16, "d_ff": 24, "num_layers": 2, "num_heads": 2, "vocabulary_size": 50, "max_positions": 40}
    torch.manual_seed(0)
    decoder = StackConfig(**sizes | settings, causal=True)
    model = LanguageModel(ModelConfig(decoder=decoder, lm_head=LMHeadConfig())).eval()
    targets = [torch.randint(50, (20,)) for _ in prompts]
    expected = model.decode(torch.cat(targets), Packing([20] * 3)).split(20)
    cache, start = model.new_cache(3), [0, 0, 0]
    for chunk in (prompts, [1] * 3, [2] * 3, [3, 1, 2], [1] * 3):
        new = [target[at : at + count] for target, at, count in zip(targets, start, chunk, strict=True)]
        scores = model.decode(torch.cat(new), Packing(chunk), cache=cache).split(chunk)
        for index, count in enumerate(chunk):
            torch.testing.assert_close(scores[index], expected[index][start[index] : start[index] + count], **CLOSE)
            start[index] += count


@pytest.mark.parametrize("cached", [False, True], ids=["at once", "with a cache"])
@pytest.mark.parametrize("settings", POSITIONS.values(), ids=POSITIONS)
@torch.no_grad()
def test_only_the_wanted_rows_are_scored(settings: dict[str, Any], cached: bool) -> None:
    sizes = {"d_model": 16, "d_ff": 24, "num_layers": 2, "num_heads": 2, "vocabulary_size": 50, "max_positions": 40}
    torch.manual_seed(0)
    decoder = StackConfig(**sizes | settings, causal=True)
    model = LanguageModel(ModelConfig(decoder=decoder, lm_head=LMHeadConfig())).eval()
    seen = []
    model.lm_head.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    caches = [model.new_cache(3) if cached else None for _ in range(2)]
    for lengths in ([5, 1, 9], [1, 4, 2], [1, 1, 1], [1, 1, 1])[: None if cached else 1]:
        packing, ids = Packing(lengths), torch.randint(50, (sum(lengths),))
        rows = Rows.last(packing)
        full = model.decode(ids, packing, cache=caches[0])
        wanted = model.decode(ids, packing, cache=caches[1], rows=rows)
        torch.testing.assert_close(wanted, rows.take(full), **CLOSE)
        assert seen[-2:] == [sum(lengths), 3]
