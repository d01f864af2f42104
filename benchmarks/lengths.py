"""Texts of random ids at the lengths of real reviews: nothing to fetch, and the mixture that padding pays for."""

import random

__all__ = ["LENGTHS", "Batch", "draw_batch", "draw_lengths"]

Batch = list[list[int]]

# Every twentieth of the distribution of lengths in MiniLM tokens, from the shortest text to the longest.
LENGTHS = {
    "Rotten Tomatoes": (3, 10, 13, 15, 17, 19, 21, 22, 24, 25, 27, 28, 29, 31, 33, 35, 37, 40, 43, 47, 78),
    "IMDB": (32, 86, 128, 148, 158, 170, 181, 191, 203, 218, 233, 257, 282, 310, 344, 384, 432, 506, 512, 512, 512),
}


def draw_lengths(name: str, count: int, seed: int) -> list[int]:
    """`count` lengths that follow the real distribution called `name`."""
    source, points = random.Random(seed), LENGTHS[name]
    lengths = []
    for _ in range(count):
        place = source.random() * (len(points) - 1)
        low = int(place)
        lengths.append(round(points[low] + (place - low) * (points[low + 1] - points[low])))
    return lengths


def draw_batch(name: str, count: int, vocabulary: int, seed: int) -> Batch:
    """Random ids at real lengths."""
    source = random.Random(seed)
    return [[source.randrange(1, vocabulary) for _ in range(length)] for length in draw_lengths(name, count, seed)]
