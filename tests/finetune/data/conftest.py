"""Small made-up reviews, and `load_data` for the task at hand."""

import csv

import pytest

WORDS = {"positive": ("great", "lovely", "warm"), "negative": ("awful", "dull", "cold")}


def reviews(count=60):
    """(review, stars) of ``count`` different reviews, as many positive as negative ones."""
    stars = ["positive", "negative"]
    return [(f"The {WORDS[stars[i % 2]][i % 3]} film number {i}", stars[i % 2]) for i in range(count)]


@pytest.fixture
def rows():
    """60 rows as dicts with the task's own column names."""
    return [{"text": text, "label": label} for text, label in reviews()]


@pytest.fixture
def write_csv(tmp_path):
    """Writes (review, stars) rows under a name and gives the path."""

    def write(name="reviews.csv", rows=None, header=("review", "stars")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([header, *(reviews() if rows is None else rows)])
        return path

    return write


@pytest.fixture
def load():
    """`load_data` for sentiment."""
    from quintet.finetune.data import load_data
    from quintet.pipelines.tasks import find_task

    def load(dataset, columns=None, **options):
        return load_data(dataset, task=find_task("sentiment"), columns=columns, **options)

    return load


@pytest.fixture
def load_stars(load):
    """The same for data whose label column is called stars."""
    return lambda dataset, **options: load(dataset, {"label": "stars"}, **options)
