"""What can go wrong, as a tree.

HeadwayError                 the run failed                        exit status 1
├── UserError                the user can fix it                   exit status 2
│   ├── SettingsError        an unknown or impossible setting
│   ├── DataError            a file of examples that cannot be used
│   └── CheckpointError      a model that cannot be read
├── TrainingError            the training itself cannot continue   exit status 1
└── Interrupted              Ctrl-C or SIGTERM; the state is saved exit status 130

Every message says what is wrong, where (file, row, key), and what to do about it, in one or a few plain sentences:
the command line prints it as it is, without a traceback.
"""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "CheckpointError",
    "DataError",
    "HeadwayError",
    "Interrupted",
    "SettingsError",
    "TrainingError",
    "UserError",
    "cut",
    "library_errors",
    "reason_of",
]


class HeadwayError(Exception):
    """Anything that Headway refuses or fails to do, with a message for the person who runs it."""

    exit_status = 1

    def __str__(self) -> str:
        """The message, with what cannot be printed (an unpaired surrogate, from a file or its name) escaped."""
        return super().__str__().encode(errors="backslashreplace").decode()


class UserError(HeadwayError):
    """The command, the settings or the files are wrong, and the user can fix them."""

    exit_status = 2


class SettingsError(UserError):
    """A setting is unknown, has an impossible value, or contradicts another."""


class DataError(UserError):
    """A file of examples cannot be used: a missing column, a broken row, an unknown label."""


class CheckpointError(UserError):
    """A model folder or hub name cannot be read, or its weights do not fit its configuration."""


class TrainingError(HeadwayError):
    """Training cannot continue: the loss stays non-finite, the disk is full, memory is exhausted."""


class Interrupted(HeadwayError):  # noqa: N818 - an interruption is not an error of anyone's
    """The user stopped the run. What is needed to continue has been saved."""

    exit_status = 130


def cut(text: str, most: int = 60) -> str:
    """A text from a file, shortened for a message."""
    return text if len(text) <= most else text[: most - 1] + "…"


def reason_of(error: Exception) -> str:
    """Why something failed, in words: of a system error, without its number and without the path again."""
    return error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)


@contextmanager
def library_errors(what: str, remedy: str = "Fetch it again.") -> Iterator[None]:
    """Around calls of the tokenizer libraries: whatever they raise about a file becomes a CheckpointError.

    A failed assertion in Rust is a PanicException, which is no `Exception`; its class cannot be imported.
    """
    try:
        yield
    except (HeadwayError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CheckpointError(f"{what} ({cut(str(error), 200)}). {remedy}") from error
