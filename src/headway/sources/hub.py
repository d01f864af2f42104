"""What the library `datasets` holds, imported only here: data sets of the hub, folders that it saved, its objects."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headway.errors import DataError, reason_of
from headway.sources.frames import arrow_table
from headway.sources.names import SPLITS, split_of
from headway.sources.table import Table

__all__ = ["dataset_table", "is_dataset", "is_saved", "read_hub", "read_saved", "split_tables"]


def is_dataset(source: object) -> bool:
    """Whether this is a `datasets.Dataset`."""
    return all(hasattr(source, name) for name in ("features", "with_format", "column_names", "__len__"))


def read_hub(source: str) -> dict[str, Table]:
    """The splits of `hub:NAME[:CONFIG]`.

    Raises:
        DataError: The hub does not answer or has no such data set, or it has no split for training.
    """
    import datasets

    _, name, *config = source.split(":")
    if not name or len(config) > 1:
        raise DataError(f"'{source}' names no data set: write hub:NAME or hub:NAME:CONFIG, for example hub:glue:sst2.")
    try:
        found = datasets.load_dataset(name, *config)
    except Exception as error:  # the hub's library raises many kinds, also from below it
        reason = " ".join(reason_of(error).split())[:300] or type(error).__name__
        raise DataError(
            f"{source} could not be loaded from the hub: {reason.rstrip('.')}. "
            "Check the name and the network, or download the data set and give its file or folder."
        ) from error
    return _dataset_tables(source, found)


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` of `datasets` wrote this folder."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def read_saved(source: str, folder: Path) -> dict[str, Table]:
    """The splits of a folder that `save_to_disk` wrote.

    Raises:
        DataError: It is damaged or has no split for training.
    """
    import datasets

    try:
        found = datasets.load_from_disk(str(folder))
    except Exception as error:  # whatever a damaged file leads to
        reason = " ".join(reason_of(error).split())[:300] or type(error).__name__
        raise DataError(f"{folder}: is not a readable data set ({reason.rstrip('.')}). Save it again.") from error
    if isinstance(found, Mapping):
        return _dataset_tables(source, found)
    return {"train": dataset_table(source, found, source, (source,))}


def split_tables(source: str, found: Mapping[Any, Any], make: Callable[[Any, str], Table]) -> dict[str, Table]:
    """The parts of a `DatasetDict`, or of any dict of tables, under our names for the splits.

    Args:
        source: What the user asked for.
        found: The parts by their own names.
        make: From a part and what its rows are called in messages to a table.

    Raises:
        DataError: None is for training.
    """
    tables: dict[str, Table] = {}
    for name in sorted(map(str, found), key=lambda name: name not in SPLITS):
        split = split_of(name) or ("train" if len(found) == 1 else None)
        if split is not None and split not in tables:
            tables[split] = make(found[name], f"{source} ({name})")
    if "train" not in tables:
        raise DataError(f"{source} has no split for training, only {', '.join(map(str, found))}.")
    return {name: tables[name] for name in SPLITS if name in tables}


def _dataset_tables(source: str, found: Mapping[str, Any]) -> dict[str, Table]:
    return split_tables(source, found, lambda part, name: dataset_table(source, part, name, (source,)))


def dataset_table(source: str, dataset: Any, name: str, files: tuple[str, ...] = ()) -> Table:
    """A `datasets.Dataset` as a table; rows that were shuffled or selected are gathered in memory."""
    data = dataset.with_format("arrow")[:]
    return arrow_table(source, data.replace_schema_metadata(dataset.features.arrow_schema.metadata), name, files)
