"""The cards of checkpoints that make vectors: written, checked, verified, and what their snippets print."""

import pytest
import quintet
from quintet.cards.facts import read_facts
from quintet.finetune import finetune

THINGS = ("soup", "film", "room", "train", "garden", "river")
SMALL = {"embedding_size": 12, "hidden_size": 8, "dropout": 0.0}


def pairs(seed, names):
    """Questions and texts that answer them; of labelled pairs every other text answers another one."""
    first, second, label = names
    rows = []
    for number, thing in enumerate(THINGS * 3):
        other = thing if number % 2 or label is None else THINGS[(number + 1) % len(THINGS)]
        row = {first: f"how is the {thing} {seed} {number}", second: f"the {other} of {seed} {number} is good"}
        rows.append(row if label is None else {**row, label: int(number % 2)})
    return rows


def trained(folder, task, names):
    data = {split: pairs(seed, names) for seed, split in enumerate(("train", "validation"))}
    finetune(task, model="lstm", dataset=data, output=folder, model_args=SMALL, max_steps=6, batch_size=6)
    quintet.card(folder, license="mit", language="en")
    return folder, data


@pytest.fixture(scope="module")
def similarity(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("a") / "alike", "sentence-similarity", ("sentence1", "sentence2", "label"))


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("b") / "finds", "text-ranking", ("query", "document", None))


def test_the_card_of_a_similarity_says_what_it_compares(similarity):
    folder, _ = similarity
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "Makes vectors of English texts, by which they are compared: an LSTM" in text
    assert "pipeline_tag: sentence-similarity\n" in text and "library_name: quintet\n" in text
    assert "| average precision |" in text and "Word overlap: answers the share of words that both texts have." in text
    assert "vectors = (hidden * mask).sum(1) / mask.sum(1)  # the mean over the tokens" in text
    assert "Answers farthest off" in text
    assert quintet.card(folder, check=True).problems == ()


def test_the_card_of_a_ranking_says_what_it_finds(ranking):
    folder, _ = ranking
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "Finds the documents that answer a query, by vectors of English texts: an LSTM" in text
    assert "pipeline_tag: text-ranking\n" in text and "| MRR@10 |" in text and "| chance | word overlap |" in text
    assert "for ranking in search(queries, documents=documents, top_k=1):" in text


@pytest.mark.parametrize("made", ["similarity", "ranking"])
def test_both_snippets_ran_and_print_the_same(made, request):
    folder, _ = request.getfixturevalue(made)
    ours, plain = read_facts(folder).usages
    assert (ours.library, plain.library) == ("quintet", "transformers")
    assert len(ours.output.splitlines()) == 2
    assert ours.output == plain.output


def test_examples_are_kept_with_their_answers(similarity, ranking):
    one, same = read_facts(similarity[0]).examples
    assert set(one.inputs) == {"text", "text_pair"} and one.outputs[0].keys() == {"score"}
    assert same.outputs[0]["score"] == pytest.approx(1.0, abs=1e-6)
    first, _ = read_facts(ranking[0]).examples
    assert first.inputs["query"] == "Where does Maria Silva work?"
    assert first.outputs[0]["corpus_id"] == 0 and first.outputs[0]["text"] == first.inputs["document"]


@pytest.mark.parametrize("made", ["similarity", "ranking"])
def test_verify_finds_all_numbers_equal(made, request):
    folder, data = request.getfixturevalue(made)
    report = quintet.verify(folder, dataset=data)
    assert report.is_verified, report.differing


def test_a_pooling_that_was_changed_afterwards_is_found(similarity, tmp_path):
    import shutil

    folder, data = similarity
    other = tmp_path / "alike"
    shutil.copytree(folder, other)
    file = other / "1_Pooling" / "config.json"
    text = file.read_text().replace('mean_tokens": true', 'mean_tokens": false')
    file.write_text(text.replace('cls_token": false', 'cls_token": true'))
    report = quintet.verify(other, dataset=data)
    assert not report.is_verified
    assert {"tokenizer", "examples"} <= set(report.differing)
