"""Which encoding a text is in: what its byte order mark says, UTF-8 where it is valid, otherwise what can be told.

A file is UTF-8 until a line is not. If no line before had a character beyond ASCII, the encoding is told from the lines
that follow; otherwise the file is UTF-8 and that line is broken. What was told is always reported.
"""

import codecs
import io
from typing import BinaryIO

from headway.errors import DataError, SettingsError

__all__ = ["SAMPLE_BYTES", "codec_named", "in_utf8", "named_in_words", "told_from", "utf16_of"]

SAMPLE_BYTES = 1 << 18
"""So much of a text is looked at to tell its encoding."""

_EXAMPLES = "Examples: utf-8, utf-16, cp1252, shift_jis."
_NO_FILES = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"})
"""Python's encodings of names and of source code, which no file of rows has."""
_WORDS = {"utf-8": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LIKELY = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r"),
    *("cp932", "euc_jp", "iso2022_jp", "gb18030", "big5", "cp949", "euc_kr", "cp874"),
)
"""What files of tables are written in; more would only be mistaken for these."""
_SEVERAL_BYTES = frozenset({"cp932", "euc_jp", "gb18030", "big5", "cp949", "euc_kr"})
_COMMON = {"cp1251": 0.15, "cp932": 0.2, "gb18030": 0.2, "cp1250": 0.05}
"""How much likelier files in these are than in others, in terms of how much a text resembles its language."""
_MOST_CHAOS = 0.2
_ONE_BYTE_LETTERS = 0.7
"""In text of a European language, at least this share of the bytes beyond ASCII are letters or typographic signs."""


def codec_named(name: str) -> str:
    """Python's name of an encoding.

    Raises:
        SettingsError: There is no such encoding.
    """
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        raise SettingsError(f"encoding = {name!r}: unknown encoding. {_EXAMPLES}") from None
    if not found._is_text_encoding or found.name.replace("-", "_") in _NO_FILES:
        raise SettingsError(f"encoding = {name!r}: text files are not in it. {_EXAMPLES}")
    return found.name


def named_in_words(name: str) -> str:
    """An encoding as people call it."""
    if name.startswith("cp125"):
        return f"Windows-{name.removeprefix('cp')}"
    return _WORDS.get(name, name.upper().replace("_", "-"))


def utf16_of(head: bytes) -> str | None:
    """Which UTF-16 a text is in, by its mark or, without one, by the zero bytes beside ASCII characters; else None."""
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    sample = head[: len(head) // 2 * 2][:4096]
    if len(sample) < 8:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > 0.6 * half and even < 0.02 * half:
        return "utf-16-le"
    if even > 0.6 * half and odd < 0.02 * half:
        return "utf-16-be"
    return None


def in_utf8(stream: BinaryIO, encoding: str, name: str) -> BinaryIO:
    """A text in another encoding as a stream in UTF-8; lines of UTF-16 do not end with a byte of their own.

    Reading raises a DataError where the text, called `name`, cannot be decoded.
    """
    return io.BufferedReader(_Recoded(stream, encoding, name), 1 << 20)


def told_from(sample: bytes) -> str | None:
    """The encoding of a text that is not UTF-8, if it can be told surely; `sample` should begin and end with a line."""
    from charset_normalizer import from_bytes

    western = _decoded(sample, "cp1252")
    is_western = western is not None and _reads_well(western)
    found = [match for match in from_bytes(sample, cp_isolation=list(_LIKELY)) if match.chaos < _MOST_CHAOS]
    if not found:
        return "cp1252" if is_western else None
    best = max(found, key=lambda match: match.coherence + _COMMON.get(codecs.lookup(match.encoding).name, 0.0))
    name, decoded = codecs.lookup(best.encoding).name, str(best)
    if western is not None and decoded.removeprefix("\ufeff") == western:
        return "cp1252"
    if is_western and not (best.coherence > 0.3 and _of_another_script(decoded)):
        # Code pages of neighbouring languages differ in few letters.
        return "cp1252"
    # That bytes pair up to characters all along tells much; single bytes nearly always mean something.
    return name if best.coherence > 0 or name in _SEVERAL_BYTES else None


class _Recoded(io.RawIOBase):
    """Bytes in UTF-8 of a stream in another encoding."""

    def __init__(self, stream: BinaryIO, encoding: str, name: str) -> None:
        self._stream, self._encoding, self._name = stream, encoding, name
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""
        self._at_start = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # of the buffers, io hands over this one
        while not self._ready:
            block = self._stream.read1(1 << 16)  # type: ignore[attr-defined]  # it is buffered
            self._ready = self._recoded(block)
            if not block:
                break
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _recoded(self, block: bytes) -> bytes:
        try:
            text = self._decoder.decode(block, final=not block)
        except UnicodeError as error:
            raise DataError(
                f"{self._name} is not {named_in_words(self._encoding)} throughout: it is damaged or cut short "
                f"({getattr(error, 'reason', error)}). Save it again, or say which encoding it has with "
                "--set encoding=NAME."
            ) from None
        if self._at_start and text:
            text, self._at_start = text.removeprefix("\ufeff"), False
        return text.encode()


def _decoded(sample: bytes, name: str) -> str | None:
    try:
        return sample.decode(name)
    except UnicodeDecodeError:
        return None


def _reads_well(text: str) -> bool:
    """Whether the characters beyond ASCII of a text are mostly letters within or beside words, and usual signs."""
    beyond = [(place, sign) for place, sign in enumerate(text) if ord(sign) > 127]
    usual = "“”„‘’‚–—…€«»°§´·•£¥©®™¿¡\N{NO-BREAK SPACE}"
    good = 0
    for place, sign in beyond:
        beside = text[max(0, place - 1) : place] + text[place + 1 : place + 2]
        good += sign in usual or (sign.isalpha() and any(other.isascii() and other.isalpha() for other in beside))
    return bool(beyond) and good >= _ONE_BYTE_LETTERS * len(beyond)


def _of_another_script(text: str) -> bool:
    letters = [sign for sign in text if sign.isalpha() and ord(sign) > 127]
    return sum(ord(sign) > 0x2AF for sign in letters) > 0.5 * max(1, len(letters))
