"""A pipeline that all tests of this folder share."""

import pytest


@pytest.fixture(scope="session")
def bert(bert_folder):
    """A pipeline around the tiny BERT."""
    from quintet.pipelines import pipeline

    return pipeline("sentiment", bert_folder, device="cpu")
