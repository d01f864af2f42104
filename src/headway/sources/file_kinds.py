"""What a file is instead, when it is not text: told by its first bytes."""

import codecs

from headway.errors import DataError

__all__ = ["PARQUET", "refuse_foreign"]

PARQUET = b"PAR1"
_CSV_REMEDY = "Save it as CSV (UTF-8) and read that."
_UNPACK = "Unpack it first."
_NOT_TEXT = {  # the first bytes of a file -> what it is, and what to do
    b"PK\x03\x04": "a ZIP archive or an office document (.xlsx). Unpack it, or save the table as CSV (UTF-8).",
    b"\xd0\xcf\x11\xe0": f"an old Excel or Word document. {_CSV_REMEDY}",
    b"\x89PNG": "a PNG image, not a file of rows.",
    b"\xff\xd8\xff": "a JPEG image, not a file of rows.",
    b"GIF8": "a GIF image, not a file of rows.",
    b"%PDF": "a PDF document, not a file of rows.",
    b"7z\xbc\xaf": f"a 7-Zip archive. {_UNPACK}",
    b"SQLite format 3": "an SQLite database. Export the table as CSV (UTF-8) and read that.",
}


def refuse_foreign(head: bytes, name: str) -> None:
    """Raise a DataError when a file that should be text begins like something else."""
    for magic, meaning in _NOT_TEXT.items():
        if head.startswith(magic):
            raise DataError(f"{name} is {meaning}")
    if head.startswith(PARQUET):
        raise DataError(f"{name} is a Parquet file. Give it a name that ends in .parquet.")
    sample = head[:4096]
    if 3 * sample.count(0) > len(sample):
        raise DataError(f"{name} is a binary file, not a file of rows. {_CSV_REMEDY}")
    controls = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in sample)
    if 20 * controls > len(sample) and not _is_utf8(sample):
        raise DataError(f"{name} is a binary file, not a file of rows.")
    if b"\r" in sample and b"\n" not in head:
        raise DataError(f"{name} ends its lines as old Macs did (CR only). Save it again as 'CSV UTF-8'.")


def _is_utf8(sample: bytes) -> bool:
    """Whether these are the first bytes of a UTF-8 text; the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True
