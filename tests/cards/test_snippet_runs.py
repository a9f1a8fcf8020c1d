"""Snippets run as a reader would run them, but that nobody answers what they ask."""

import os

import pytest
from quintet.cards.snippet_runs import run_snippets


@pytest.fixture
def typed():
    """Keys on standard input, as an owner might have typed ahead."""
    keys, typing = os.pipe()
    os.write(typing, b"y\n")
    os.close(typing)
    before = os.dup(0)
    os.dup2(keys, 0)
    yield
    os.dup2(before, 0)
    os.close(before)
    os.close(keys)


def test_a_snippet_that_asks_fails_and_takes_no_key_of_the_owner(typed):
    (run,) = run_snippets([("transformers", "print(input('Run code? '))")], "me/x")
    assert run.problem == "EOFError: EOF when reading a line"
