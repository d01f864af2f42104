import sys
import tempfile
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.batching import encoded_store
from headway.batching.batch import Encoded
from headway.batching.encoded_store import EncodedStore
from headway.errors import HeadwayError

token_ids = st.none() | st.lists(st.integers(0, 2**31 - 1), max_size=20).map(lambda ids: np.array(ids, dtype=np.int64))
types = st.none() | st.lists(st.integers(0, 1), max_size=20).map(lambda ids: np.array(ids, dtype=np.int64))
labels = st.none() | st.integers(0, 99) | st.lists(st.integers(0, 99)).map(tuple)
encoded = st.builds(
    Encoded,
    input_ids=token_ids,
    token_types=types,
    target_ids=token_ids,
    label=labels,
    full_length=st.integers(0, 2**40),
    num_unknown=st.integers(0, 99),
)


def plain(one):
    """An example as something that can be compared."""
    arrays = (one.input_ids, one.token_types, one.target_ids)
    return [None if ids is None else ids.tolist() for ids in arrays] + [one.label, one.full_length, one.num_unknown]


def chunks(items, size):
    items = iter(items)
    while chunk := list(islice(items, size)):
        yield chunk


@pytest.fixture(params=[1 << 28, 64], ids=["in memory", "on disk"])
def limit(request, monkeypatch):
    monkeypatch.setattr(encoded_store, "MEMORY_BYTES", request.param)
    return request.param


@settings(max_examples=100, deadline=None)
@given(items=st.lists(encoded, min_size=1, max_size=30), memory=st.sampled_from([0, 64, 1 << 28]), data=st.data())
def test_what_goes_in_comes_out(items, memory, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded_store, "MEMORY_BYTES", memory)
        store = EncodedStore(chunks(items, 7))
    order = data.draw(st.lists(st.integers(0, len(items) - 1)))
    assert [plain(one) for one in store.fetch(order)] == [plain(items[index]) for index in order]
    assert store.lengths.tolist() == [one.length for one in items]
    assert store.full_lengths.tolist() == [one.full_length for one in items]
    assert store.unknown.tolist() == [one.num_unknown for one in items]
    assert store.input_lengths.tolist() == [0 if one.input_ids is None else len(one.input_ids) for one in items]
    assert len(store) == len(items)


def some(count, length=50):
    return (Encoded(input_ids=np.full(length, index, dtype=np.int64), full_length=length) for index in range(count))


def test_what_is_fetched_may_be_changed(limit):
    store = EncodedStore(chunks(some(10), 4))
    [one] = store.fetch([3])
    one.input_ids[:] = 99
    assert one.input_ids.dtype == np.int64
    assert store.fetch([3])[0].input_ids.tolist() == [3] * 50


def test_large_stores_lie_in_one_file_without_a_name_which_ends_with_them(monkeypatch, tmp_path):
    monkeypatch.setattr(encoded_store, "MEMORY_BYTES", 4096)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened = []
    make = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: opened.append(make()) or opened[-1])
    store = EncodedStore(chunks(some(1000), 100))
    assert [file.closed for file in opened] == [True]
    assert list(tmp_path.iterdir()) == []
    assert store.fetch([999])[0].input_ids.tolist() == [999] * 50


def test_small_stores_touch_no_disk(monkeypatch):
    def refuse():
        raise AssertionError("a file for a few numbers")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert len(EncodedStore(chunks(some(100), 10))) == 100


def test_an_empty_store():
    store = EncodedStore([])
    assert len(store) == 0
    assert store.lengths.tolist() == store.full_lengths.tolist() == store.input_lengths.tolist() == []
    assert store.fetch([]) == []


def test_images_are_not_stored():
    with pytest.raises(AssertionError, match="images are not stored here"):
        EncodedStore([[Encoded(pixel_values=np.zeros((1, 2, 2), dtype=np.float32))]])


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize("limit", [0, 800], ids=["at once", "at the end"])
def test_a_full_disk_is_said_with_a_remedy(monkeypatch, limit):
    monkeypatch.setattr(encoded_store, "MEMORY_BYTES", limit)
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full)
        with pytest.raises(HeadwayError, match=r"could not be stored there: .*Free some space, or set TMPDIR"):
            EncodedStore(chunks(some(10), 4))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_stays_flat_while_a_large_store_is_made(monkeypatch):
    monkeypatch.setattr(encoded_store, "MEMORY_BYTES", 1 << 20)

    def anonymous():
        with open("/proc/self/status") as file:  # noqa: PTH123 - mapped files do not count
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

    seen = []

    def watched(items):
        for chunk in items:
            seen.append(anonymous())
            yield chunk

    store = EncodedStore(watched(chunks(some(40_000, 500), 1000)))
    assert (max(seen) - seen[2]) < 20_000  # kB; the numbers themselves have 78,125
    assert store.fetch([39_999])[0].input_ids[-1] == 39_999
    assert anonymous() - seen[2] < 20_000
