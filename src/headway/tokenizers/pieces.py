"""The text of tokens that come one by one."""

from collections.abc import Iterable, Iterator

from headway.tokenizers.tokenizer import Tokenizer

__all__ = ["text_pieces"]

_BROKEN = "\ufffd"


def text_pieces(tokenizer: Tokenizer, tokens: Iterable[int]) -> Iterator[str]:
    """What each token adds to the text; together the pieces are what `decode` makes of all tokens.

    A letter that takes several tokens is held back until it is whole, and so is everything that a later token may
    still change.
    """
    ids: list[int] = []
    given = ""
    text = ""
    for token in tokens:
        ids.append(token)
        [text] = tokenizer.decode([ids])
        if text.startswith(given) and not text.endswith(_BROKEN) and text != given:
            yield text[len(given) :]
            given = text
    if text != given:
        yield text[len(given) :]
