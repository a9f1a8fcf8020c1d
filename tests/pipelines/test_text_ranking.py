"""Ranking documents by a query, checked against all vectors compared at once and against the cross-encoder's logits."""

import json

import numpy as np
import pytest
import torch
import transformers
from quintet.pipelines import DataError, InputError, UnknownNameError, UsageError, pipeline, run
from quintet.pipelines.ranked_documents import Ranking

CONFIG = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
CONFIG |= {"intermediate_size": 32, "max_position_embeddings": 64, "pad_token_id": 0, "initializer_range": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fast_tokenizer):
    """A tiny BERT without a head, which takes 64 tokens."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny-encoder"
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**CONFIG)).save_pretrained(folder)
    fast_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def cross_folder(tmp_path, fast_tokenizer):
    """Makes a tiny BERT with some labels."""

    def make(labels=1, **extra):
        torch.manual_seed(0)
        config = transformers.BertConfig(**CONFIG, num_labels=labels, **extra)
        transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "cross")
        fast_tokenizer().save_pretrained(tmp_path / "cross")
        return tmp_path / "cross"

    return make


@pytest.fixture(scope="module")
def search(folder):
    return pipeline("semantic-search", folder, device="cpu")


@pytest.fixture(scope="module")
def embed(folder):
    return pipeline("embeddings", folder, device="cpu")


@pytest.fixture(scope="module")
def documents(tiny_words):
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(tiny_words, generator.integers(2, 40))) for _ in range(150)]


@pytest.fixture
def embedded(search, monkeypatch):
    """The texts that the encoder reads, in order."""
    seen = []
    samples = search._encoder.samples

    def watched(items, settings):
        seen.extend(items)
        return samples(items, settings)

    monkeypatch.setattr(search._encoder, "samples", watched)
    return seen


def ranking(embed, query, documents, count):
    """The numbers of the nearest documents and their cosines, of all of them at once."""
    vectors = embed.embed([query, *documents], normalize=True)
    scores = vectors[1:] @ vectors[0]
    order = np.argsort(-scores, kind="stable")[:count]
    return order.tolist(), scores[order].tolist()


def assert_ranked(rows, embed, query, documents, count=10):
    order, scores = ranking(embed, query, documents, count)
    assert [row["corpus_id"] for row in rows] == order
    assert [row["score"] for row in rows] == pytest.approx(scores, abs=1e-5)
    assert [row["text"] for row in rows] == [documents[place] for place in order]


def test_the_nearest_documents_come_first(search, embed, documents):
    rows = search("a good film", documents=documents)
    assert list(rows[0]) == ["corpus_id", "score", "text"]
    assert [type(value) for value in rows[0].values()] == [int, float, str]
    assert_ranked(rows, embed, "a good film", documents)
    assert_ranked(search("a good film", documents=documents, top_k=3), embed, "a good film", documents, 3)
    assert len(search("a good film", documents=documents[:4])) == 4
    assert np.ptp([row["score"] for row in rows]) > 1e-3


def test_several_queries(search, embed, documents):
    queries = ["a good film", "bad", "very dull plot and actor"]
    for answers in (search(queries, documents=documents), list(search(iter(queries), documents=documents))):
        assert len(answers) == 3
        for query, rows in zip(queries, answers, strict=True):
            assert_ranked(rows, embed, query, documents)


def test_equal_documents_stand_in_their_order(search):
    rows = search("good", documents=["film", "good", "film", "good", "film"], top_k=4)
    assert [row["corpus_id"] for row in rows] == [1, 3, 0, 2]


def test_a_ranking_keeps_the_best_of_a_stream():
    kept = Ranking(3)
    kept.add(0, np.array([0.1, 0.5, np.nan, 0.3]), ["a", "b", "c", "d"])
    kept.add(4, np.array([0.4, 0.5, 0.2, np.nan]), ["e", "f", "g", "h"])
    assert [(row["corpus_id"], row["text"]) for row in kept.rows()] == [(1, "b"), (5, "f"), (4, "e")]
    assert len(kept.best) == 3


def test_documents_of_a_file(search, embed, documents, tmp_path):
    (tmp_path / "docs.jsonl").write_text(
        "".join(json.dumps({"id": place, "body": text}) + "\n" for place, text in enumerate(documents)),
        encoding="utf-8",
    )
    assert_ranked(search("bad plot", documents=tmp_path / "docs.jsonl"), embed, "bad plot", documents)
    assert_ranked(search("bad plot", documents=str(tmp_path / "*.jsonl")), embed, "bad plot", documents)
    rows = search("bad plot", documents=tmp_path / "docs.jsonl", document_column="body", top_k=1)
    assert_ranked(rows, embed, "bad plot", documents, 1)
    listed = [{"body": text} for text in documents]
    assert_ranked(search("bad plot", documents=listed, document_column="body"), embed, "bad plot", documents)
    listed = [{"text": text} for text in documents]
    assert_ranked(search("bad plot", documents=listed), embed, "bad plot", documents)


def test_a_stream_of_queries_reads_the_documents_once(search, documents, embedded):
    queries = [f"good {'film ' * (number % 5)}" for number in range(12)]
    answers = list(search(iter(queries), documents=documents))
    assert len(answers) == 12
    assert len(embedded) == 12 + len(documents)


def test_vectors_are_kept_for_the_next_time(search, embed, documents, tmp_path, embedded):
    options = {"documents": documents, "vectors": tmp_path / "docs.npy"}
    assert_ranked(search("bad plot", **options), embed, "bad plot", documents)
    assert len(embedded) == 151
    kept = np.load(tmp_path / "docs.npy")
    np.testing.assert_allclose(kept, embed.embed(documents), atol=1e-5)
    assert kept.dtype == np.float32
    embedded.clear()
    assert_ranked(search("good film", **options), embed, "good film", documents)
    assert embedded == ["good film"]
    others = [*documents[1:], "a witty film"]
    assert_ranked(search("good film", documents=others, vectors=tmp_path / "docs.npy"), embed, "good film", others)
    assert len(embedded) == 2 + 150
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs.npy", "docs.npy.json"]


def test_vectors_of_a_changed_file_are_made_anew(search, embed, documents, tmp_path):
    for texts in (documents[:20], documents[20:50]):
        (tmp_path / "docs.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
        rows = search("good", documents=tmp_path / "docs.txt", vectors=tmp_path / "docs.npy")
        assert_ranked(rows, embed, "good", texts)


def test_vectors_that_were_not_finished_are_not_there(search, documents, tmp_path):
    with pytest.raises(DataError, match="document 1: expected a text, got None"):
        search("good", documents=["good", None], vectors=tmp_path / "docs.npy")
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_file_is_not_overwritten(search, tmp_path):
    np.save(tmp_path / "mine.npy", np.zeros(3))
    with pytest.raises(
        UsageError, match=r"'mine\.npy' exists and has no mine\.npy\.json beside it, so text-ranking did"
    ):
        search("good", documents=["film"], vectors=tmp_path / "mine.npy")
    assert np.load(tmp_path / "mine.npy").shape == (3,)


def test_documents_that_cannot_be_read_are_left_out_where_errors_are_recorded(search, embed, tmp_path):
    given = ["good", None, " ", "film"]
    with pytest.raises(DataError, match=r"^document 1: expected a text, got None; leave missing values out"):
        search("good", documents=given)
    for options in ({}, {"vectors": tmp_path / "docs.npy"}, {"vectors": tmp_path / "docs.npy"}):
        with pytest.warns(
            UserWarning, match="2 of 4 documents are left out; the first: document 1: expected a text, got"
        ):
            rows = search("good", documents=given, on_error="record", **options)
        assert [row["corpus_id"] for row in rows] == [0, 3]


def test_a_bad_row_of_a_file_of_documents_is_named(search, tmp_path):
    (tmp_path / "docs.csv").write_text("body,n\ngood film,1\n,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"document 1 \(docs\.csv, row 2\): the document is empty; leave it out"):
        search("good", documents=tmp_path / "docs.csv")


@pytest.mark.parametrize(
    ("item", "words"),
    [(None, "expected a text, got None"), ({"text": "a", "text_pair": "b"}, "expected one text, got a")],
)
def test_a_bad_query_is_named_and_the_others_are_answered(search, embed, documents, item, words):
    with pytest.raises(InputError, match=f"^input 1: .*{words}"):
        search(["good", item, "bad"], documents=documents)
    answers = search(["good", item, "bad"], documents=documents, on_error="record")
    assert list(answers[1]) == ["error"]
    assert_ranked(answers[2], embed, "bad", documents)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, UsageError, r"text-ranking needs documents to rank; give documents=\['one text', 'another'\]"),
        ({"documents": []}, UsageError, "documents is empty; give at least one text"),
        (
            {"documents": iter(["a"])},
            UsageError,
            "documents is list_iterator; expected a list of texts, or a data file",
        ),
        ({"documents": {"text": "a"}}, UsageError, "documents is dict; expected a list of texts"),
        ({"documents": "nothing.csv"}, DataError, "nothing.csv"),
        ({"documents": ["a"], "top_k": 0}, UsageError, "top_k is 0; expected a whole number from 1"),
        (
            {"documents": ["a"], "vectors": "v.bin"},
            UsageError,
            r"vectors is 'v\.bin'; expected a file that ends in \.npy",
        ),
        ({"documents": ["a"], "vectors": "none/v.npy"}, DataError, r"the folder 'none' for v\.npy does not exist"),
        ({"document": ["a"]}, UnknownNameError, "unknown option 'document'; did you mean document"),
    ],
)
def test_a_wrong_option_is_named(search, options, error, words):
    with pytest.raises(error, match=words):
        search("good", **options)


def test_a_column_that_is_not_there_is_named(search, tmp_path):
    (tmp_path / "docs.csv").write_text("a,b\nx,y\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"docs\.csv: none of the columns is known to hold documents; found: a, b\. Set"
    ):
        search("good", documents=tmp_path / "docs.csv")
    with pytest.raises(DataError, match=r"docs\.csv: no column 'c'; found: a, b\. Set document_column"):
        search("good", documents=tmp_path / "docs.csv", document_column="c")


@pytest.mark.parametrize(
    ("extra", "activation"),
    [
        ({}, torch.sigmoid),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, lambda logits: logits),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, lambda logits: logits),
    ],
)
def test_a_cross_encoder_reads_query_and_document_together(cross_folder, documents, extra, activation):
    folder = cross_folder(**extra)
    ours = pipeline("text-ranking", folder, device="cpu", documents=documents)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    queries = ["a good film", "bad"]
    for query, rows in zip(queries, ours(queries, top_k=5), strict=True):
        pairs = tokenizer([query] * len(documents), documents, padding=True, return_tensors="pt")
        with torch.no_grad():
            scores = activation(model(**pairs).logits[:, 0])
        best = scores.topk(5)
        assert [row["corpus_id"] for row in rows] == best.indices.tolist()
        assert [row["score"] for row in rows] == pytest.approx(best.values.tolist(), abs=1e-5)


def test_of_a_long_document_the_best_window_counts(cross_folder, tiny_words):
    ours = pipeline("text-ranking", cross_folder(), device="cpu")
    words = (tiny_words * 9)[:140]
    tokenizer, model = ours.tokenizer.as_transformers, ours.checkpoint.model
    scores = []
    for start in (0, 52, 80):  # 64 tokens less 3 special ones and the query's; 8 are shared
        pair = tokenizer("good", " ".join(words[start : start + 60]), return_tensors="pt")
        with torch.no_grad():
            scores.append(torch.sigmoid(model(**pair).logits).item())
    (row,) = ours("good", documents=[" ".join(words)])
    assert row["score"] == pytest.approx(max(scores), abs=1e-5)
    pair = tokenizer("good", " ".join(words), truncation=True, return_tensors="pt")
    with torch.no_grad():
        expected = torch.sigmoid(model(**pair).logits).item()
    (row,) = ours("good", documents=[" ".join(words)], truncation=True)
    assert row["score"] == pytest.approx(expected, abs=1e-5)


def test_a_cross_encoder_keeps_no_vectors_and_records_bad_documents(cross_folder, tmp_path):
    ours = pipeline("text-ranking", cross_folder(), device="cpu")
    with pytest.raises(
        UsageError, match=r"vectors is 'v\.npy', but 'cross' is a cross-encoder, which makes no vectors"
    ):
        ours("good", documents=["film"], vectors=tmp_path / "v.npy")
    with pytest.warns(UserWarning, match="1 of 2 documents are left out"):
        assert len(ours("good", documents=["film", 3], on_error="record")) == 1


def test_a_classifier_of_several_labels_ranks_nothing(cross_folder):
    with pytest.raises(
        UsageError, match=r"is a classifier of 3 labels \(LABEL_0, LABEL_1, LABEL_2\), which ranks nothin"
    ):
        pipeline("text-ranking", cross_folder(labels=3), device="cpu")


def test_prompts_of_the_checkpoint_are_used(folder, embed, tmp_path, fast_tokenizer):
    transformers.AutoModel.from_pretrained(folder).save_pretrained(tmp_path)
    fast_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "1_Pooling").mkdir()
    modules = [{"path": "", "type": "a.Transformer"}, {"path": "1_Pooling", "type": "a.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}', encoding="utf-8")
    prompts = {"prompts": {"query": "not ", "passage": "very "}}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf-8")
    ours = pipeline("text-ranking", tmp_path, device="cpu")
    (row,) = ours("good", documents=["film"])
    assert row["score"] == pytest.approx(embed({"text": "not good", "text_pair": "very film"}), abs=1e-5)


def test_a_file_of_queries_gets_the_best_document_and_the_ranking(search, documents, tmp_path):
    (tmp_path / "queries.csv").write_text("question\ngood film\nbad plot\n", encoding="utf-8")
    ours = pipeline("text-ranking", search.checkpoint.model, tokenizer=search.tokenizer, device="cpu", top_k=2)
    ours.options = ours.read_options({"documents": documents})
    run("text-ranking", tmp_path / "queries.csv", model=ours, output=tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    best = search("bad plot", documents=documents, top_k=2)
    assert list(rows[0]) == ["question", "document", "score", "corpus_id", "ranking"]
    assert (rows[1]["document"], rows[1]["corpus_id"]) == (best[0]["text"], best[0]["corpus_id"])
    assert [row["corpus_id"] for row in rows[1]["ranking"]] == [row["corpus_id"] for row in best]


def test_settings_name_the_documents_by_their_digest(search, tmp_path):
    """A file run that is resumed compares them: with other documents its old answers are none."""
    one, other = (str(search.read_options({"documents": [text]})) for text in ("good", "bad"))
    assert one != other
    assert one == str(search.read_options({"documents": ["good"]}))
