"""The pieces of a text that is written token by token."""

import pytest

from headway.checkpoints.tokenizer_files import learn_tokenizer
from headway.tokenizers.pieces import text_pieces

TEXTS = ["", "a", "red cat", "naïve café 😀👍🏽", "日本語テキスト", "two  spaces\n and a line", " leading"]


@pytest.fixture(scope="module")
def tokenizer():
    """Byte pairs of plain English: any other letter is several tokens."""
    return learn_tokenizer("BartTokenizer", ["red cat", "a cat and a red dog"] * 20, 300)


@pytest.mark.parametrize("text", TEXTS)
def test_together_they_are_the_text_and_none_is_half_a_letter(tokenizer, text):
    [sequence] = tokenizer.encode([text])
    pieces = list(text_pieces(tokenizer, sequence.input_ids.tolist()))
    assert "".join(pieces) == tokenizer.decode([sequence.input_ids.tolist()])[0] == text
    assert all(pieces)
    assert "\ufffd" not in "".join(pieces)


def test_a_word_is_there_as_soon_as_its_token_is(tokenizer):
    [sequence] = tokenizer.encode(["red cat"])
    tokens, taken = sequence.input_ids.tolist(), []
    pieces = text_pieces(tokenizer, (taken.append(token) or token for token in tokens))
    next(pieces)
    assert len(taken) < len(tokens)


def test_what_ends_within_a_letter_is_shown_as_decode_shows_it(tokenizer):
    [sequence] = tokenizer.encode(["a 😀"])
    cut = sequence.input_ids.tolist()[:-2]
    assert "".join(text_pieces(tokenizer, cut)) == tokenizer.decode([cut])[0]
