import numpy as np
import pytest
import torch

from headway.batching.batch import Encoded, collate


def ids(*values):
    return np.array(values, dtype=np.int64)


TEXTS = [
    Encoded(input_ids=ids(1, 2, 3), label=0, full_length=5),
    Encoded(input_ids=ids(4), label=2, full_length=1),
    Encoded(input_ids=ids(5, 6), token_types=ids(0, 1), label=1, full_length=2),
    Encoded(input_ids=ids(7), label=0, full_length=1),
]


def test_sequences_lie_end_to_end_the_shortest_first():
    batch = collate(TEXTS)
    assert batch.positions.tolist() == [1, 3, 2, 0]
    assert batch.input_ids.tolist() == [4, 7, 5, 6, 1, 2, 3]
    assert batch.packing.lengths == (1, 1, 2, 3)
    assert batch.token_types.tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert batch.labels.tolist() == [2, 0, 1, 0]
    assert (batch.input_ids.dtype, batch.token_types.dtype, batch.labels.dtype) == (torch.int64,) * 3
    assert (len(batch), batch.num_tokens) == (4, 7)


def test_single_texts_have_no_token_types():
    batch = collate([TEXTS[0], TEXTS[1]])
    assert batch.token_types is None
    assert batch.pixel_values is batch.target_ids is batch.target_packing is None


def test_what_is_only_answered_has_no_labels():
    assert collate([Encoded(input_ids=ids(1, 2))]).labels is None


def test_several_labels_are_zeros_and_ones():
    items = [Encoded(input_ids=ids(1, 2), label=(0, 2)), Encoded(input_ids=ids(3), label=())]
    batch = collate(items, num_labels=3)
    assert batch.labels.tolist() == [[0, 0, 0], [1, 0, 1]]
    assert batch.labels.dtype == torch.float32


def test_the_answers_to_learn_go_with_their_inputs():
    items = [
        Encoded(input_ids=ids(1, 2, 3), target_ids=ids(11)),
        Encoded(input_ids=ids(4), target_ids=ids(12, 13, 14, 15)),
    ]
    batch = collate(items)
    assert batch.input_ids.tolist() == [4, 1, 2, 3]
    assert batch.target_ids.tolist() == [12, 13, 14, 15, 11]
    assert batch.target_packing.lengths == (4, 1)
    assert batch.num_tokens == 9


def test_images_keep_their_order():
    pixels = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    batch = collate([Encoded(pixel_values=image, label=label) for image, label in zip(pixels, (1, 0), strict=True)])
    assert batch.positions.tolist() == [0, 1]
    assert batch.pixel_values.tolist() == pixels.tolist()
    assert batch.labels.tolist() == [1, 0]
    assert batch.input_ids is batch.packing is None
    assert batch.num_tokens == 2


def test_a_batch_goes_to_its_device_whole():
    items = [
        Encoded(
            input_ids=ids(1, 2),
            token_types=ids(0, 1),
            target_ids=ids(3),
            pixel_values=np.zeros((1, 2, 2), dtype=np.float32),
        )
    ]
    batch = collate(items, torch.device("meta"))
    for name in ("input_ids", "token_types", "target_ids", "pixel_values"):
        assert getattr(batch, name).device.type == "meta", name
    assert batch.packing.device.type == batch.target_packing.device.type == "meta"
    assert batch.to(torch.device("meta")).packing == batch.packing
    on_cpu = collate(items)
    assert on_cpu.to(torch.device("cpu")) is on_cpu


@pytest.mark.parametrize(
    ("encoded", "length"),
    [
        (Encoded(input_ids=ids(1, 2), target_ids=ids(3), full_length=9), 3),
        (Encoded(input_ids=ids(1, 2)), 2),
        (Encoded(pixel_values=np.zeros((1, 2, 2), dtype=np.float32)), 1),
    ],
)
def test_what_an_example_costs(encoded, length):
    assert encoded.length == length
