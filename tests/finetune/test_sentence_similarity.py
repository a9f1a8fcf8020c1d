"""Vectors of texts as a user has them: trained on three kinds of pairs, measured, loaded again, searched with."""

import json

import numpy as np
import pytest
import quintet
import torch
from quintet.cards.facts import read_facts
from quintet.finetune import finetune, pair_answers
from quintet.finetune.sentence_similarity import SentenceSimilarityRecipe
from quintet.finetune.step_log import read_log
from quintet.pipelines.checkpoints import load_checkpoint
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.sentence_settings import SentenceSettings, read_sentence_settings, write_sentence_settings
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

THINGS = ("soup", "film", "room", "train", "garden", "river")
WORDS = ("good", "cold", "long", "old")
SMALL = {"embedding_size": 16, "hidden_size": 12, "dropout": 0.0}
OPTIONS = {"batch_size": 8, "epochs": 3, "learning_rate": 1e-2, "save_every": "1steps"}


def matching(seed=0):
    """Questions with the texts that answer them."""
    return [
        {"query": f"how {word} is the {thing} {seed}", "document": f"the {thing} of {seed} is {word} today"}
        for thing in THINGS
        for word in WORDS
    ]


def labelled(seed=0, names=("different", "same")):
    rows = []
    for number, row in enumerate(matching(seed)):
        others = matching(seed)
        other = row if number % 2 else others[(number + 7) % len(others)]
        rows.append({"sentence1": row["query"], "sentence2": other["document"], "label": names[number % 2]})
    return rows


def scored(seed=0):
    """From 0 to 5, as STS has them: which of the two words agree."""
    rows = []
    for number, row in enumerate(matching(seed)):
        other = matching(seed)[number % 5 * 3]
        shared = len({*row["query"].split()} & {*other["document"].split()})
        rows.append({"text": row["query"], "text_pair": other["document"], "score": float(shared) + 0.5 * (number % 2)})
    return rows


def splits(make):
    return {"train": make(0) + make(1), "validation": make(2), "test": make(3)}


def train(output, rows, task="sentence-similarity", model="lstm", **settings):
    arguments = {"model_args": SMALL} if model == "lstm" else {}
    return finetune(task, model=model, dataset=rows, output=output, **{**OPTIONS, **arguments, **settings})


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors") / "pairs"
    train(folder, splits(labelled))
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A sentence-transformers folder with a tiny BERT, pooled by its first token."""
    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    words = sorted({word for row in matching(0) + matching(1) for text in row.values() for word in text.split()})
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(tokens))
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(tokens), max_position_embeddings=32, **sizes)).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=32).save_pretrained(folder)
    write_sentence_settings(SentenceSettings(pooling="cls", normalize=True, max_length=24), folder)
    return folder


def test_labelled_pairs_have_a_threshold_of_training_and_baselines(checkpoint):
    facts = read_facts(checkpoint)
    assert [evaluation.split for evaluation in facts.evaluations] == ["validation", "test"]
    test = facts.evaluations[-1]
    assert [metric.name for metric in test.metrics] == ["average_precision", "auroc", "accuracy", "f1"]
    assert [baseline.name for baseline in test.baselines] == ["majority class", "word overlap", "tf-idf"]
    assert test.metric("average_precision").value > 0.8
    config = json.loads((checkpoint / "config.json").read_text())
    threshold = config["similarity_threshold"]
    assert f"from a similarity of {threshold:.4f} on for 'same', as learned in training" in test.notes[-1]
    assert "id2label" not in config and facts.labels == () and facts.settings["pooling"] == "mean"


def test_what_is_written_is_a_sentence_transformers_folder(checkpoint):
    modules = json.loads((checkpoint / "modules.json").read_text())
    assert [module["type"].rpartition(".")[2] for module in modules] == ["Transformer", "Pooling", "Normalize"]
    pooling = json.loads((checkpoint / "1_Pooling" / "config.json").read_text())
    assert pooling["pooling_mode_mean_tokens"] and pooling["word_embedding_dimension"] == 24
    sentences = read_sentence_settings(load_checkpoint(checkpoint))
    assert sentences == SentenceSettings(normalize=True, max_length=256, prompts={})
    hashed = read_facts(checkpoint).files_sha256
    assert {"modules.json", "1_Pooling/config.json", "sentence_bert_config.json"} <= hashed.keys()


def test_plain_transformers_gives_the_same_vectors(checkpoint):
    model = AutoModel.from_pretrained(checkpoint, trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=True)
    texts = ["how good is the soup", "the old river"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"][:, :, None]
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    embed = quintet.pipeline("embeddings", model=checkpoint)
    assert embed.embed(texts) == pytest.approx(expected.numpy(), abs=1e-6)
    tokens = quintet.pipeline("feature-extraction", model=checkpoint)(texts[0], return_tensors=True)
    torch.testing.assert_close(tokens[0], hidden[0][: tokens.shape[1]], rtol=0, atol=1e-5)


def test_evaluate_gives_the_numbers_of_training_again(checkpoint):
    facts = quintet.evaluate(checkpoint, dataset=splits(labelled), split="test")
    before = read_facts(checkpoint).evaluations[-1]
    assert facts.metrics == before.metrics and facts.baselines == before.baselines
    assert facts.problem_type == before.problem_type == "single_label_classification"


def test_an_evaluation_of_another_task_does_not_get_into_the_facts(checkpoint, tmp_path):
    evaluations = read_facts(checkpoint).evaluations
    facts = quintet.evaluate(checkpoint, task="text-ranking", dataset=matching(5), output=tmp_path / "out")
    assert facts.metrics[0].name == "recall@10" and (tmp_path / "out" / "evaluation.json").is_file()
    assert read_facts(checkpoint).evaluations == evaluations


def test_scored_pairs_learn_their_cosine(tmp_path):
    facts = train(tmp_path / "out", splits(scored), epochs=8)
    test = facts.evaluations[-1]
    assert [metric.name for metric in test.metrics] == ["spearman", "pearson"]
    assert facts.problem_type == "regression" and test.metrics[0].value > 0.5
    assert facts.training.metric == "spearman"


def test_whole_numbers_are_scores_where_there_are_more_than_two(tmp_path):
    whole = {name: [{**row, "score": int(row["score"])} for row in rows] for name, rows in splits(scored).items()}
    facts = train(tmp_path / "out", whole, max_steps=2, epochs=None)
    assert [metric.name for metric in facts.evaluations[-1].metrics] == ["spearman", "pearson"]


def test_scores_of_validation_need_not_stand_in_train(tmp_path):
    rows = {
        "train": [{**row, "score": number * 37 % 101} for number, row in enumerate(scored(0))],
        "validation": [{**row, "score": number * 31 % 101} for number, row in enumerate(scored(1))],
    }
    facts = train(tmp_path / "out", rows, max_steps=1, epochs=None)
    assert facts.problem_type == "regression" and facts.evaluations[-1].metric("spearman")


def test_the_nearest_are_found_some_rows_at_a_time(monkeypatch):
    generator = np.random.default_rng(0)
    vectors, others = (generator.normal(size=(count, 4)).astype(np.float32) for count in (23, 7))
    seen = []

    def compare(firsts, seconds):
        seen.append(len(firsts))
        return firsts @ seconds.T

    monkeypatch.setattr(pair_answers, "_CELLS", 30)
    found = list(pair_answers.nearest(vectors, others, 3, compare))
    assert found == np.argsort(-(vectors @ others.T), axis=1)[:, :3].tolist()
    assert seen == [4, 4, 4, 4, 4, 3]


def test_weights_that_collapsed_have_no_correlation_and_are_measured_on(tmp_path, monkeypatch):
    same = np.ones(1, np.float32)
    monkeypatch.setattr("quintet.finetune.sentence_similarity.embed", lambda pipe, texts, **_: [same] * len(texts))
    train(tmp_path / "out", splits(scored), max_steps=1, epochs=None)
    (line,) = [line["validation"] for line in read_log(tmp_path / "out") if "validation" in line]
    assert line["spearman"] == 0.0 and "pearson" not in line


def test_matching_pairs_are_told_from_all_others(tmp_path):
    facts = train(tmp_path / "out", splits(matching), task="text-ranking", batch_size=16, epochs=8)
    test = facts.evaluations[-1]
    assert [metric.name for metric in test.metrics] == ["recall@10", "recall@1", "mrr@10"]
    chance, *words = test.baselines
    assert chance.metrics[0].value == pytest.approx(10 / 24) and [each.name for each in words] == [
        "word overlap",
        "tf-idf",
        "bm25",
    ]
    assert test.metric("recall@10").value > 0.7
    assert facts.problem_type == "matching" and facts.task == "text-ranking"
    search = quintet.pipeline("text-ranking", model=tmp_path / "out", top_k=1)
    assert search("how cold is the soup", documents=["the soup is cold"])[0]["corpus_id"] == 0


def test_the_batch_that_a_text_is_told_from_is_never_parted(tmp_path):
    options = {"task": "text-ranking", "max_steps": 3, "epochs": None}
    weights = []
    for tokens in (4, 16_384):
        train(tmp_path / str(tokens), splits(matching), batch_tokens=tokens, **options)
        weights.append((tmp_path / str(tokens) / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_only_equal_pairs_are_learned_in_the_batch(tmp_path):
    facts = train(tmp_path / "out", splits(labelled), pair_loss="in-batch", max_steps=2, epochs=None)
    assert facts.training.epochs == pytest.approx(2 * 8 / 24, abs=1e-3)  # half of the 48 rows
    assert facts.evaluations[-1].metric("accuracy") is not None


def test_pretrained_weights_and_pooling_are_kept_and_trained_on(encoder, tmp_path):
    options = {"learning_rate": 1e-9, "max_steps": 1, "epochs": None, "pair_loss": "contrastive"}
    train(tmp_path / "out", splits(labelled), model=str(encoder), **options)
    before, after = (quintet.pipeline("embeddings", model=each) for each in (encoder, tmp_path / "out"))
    assert after.sentences.pooling == "cls" and after.sentences.max_length == 24
    texts = [row["query"] for row in matching()]
    assert after.embed(texts) == pytest.approx(before.embed(texts), abs=1e-5)


def test_low_rank_additions_learn_too(encoder, tmp_path):
    facts = train(tmp_path / "out", splits(matching), task="text-ranking", model=str(encoder), lora=True)
    assert facts.trainable_parameters < facts.parameters
    losses = [json.loads(line)["loss"] for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0] - 0.1


def test_a_run_that_goes_on_ends_where_the_whole_one_does(tmp_path, monkeypatch):
    rows, options = splits(matching), {"task": "text-ranking", "epochs": 2}
    train(tmp_path / "whole", rows, **options)
    loss, calls = SentenceSimilarityRecipe.loss, []

    def failing(self, *arguments):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return loss(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(SentenceSimilarityRecipe, "loss", failing)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "parts", rows, **options)
    facts = train(tmp_path / "parts", rows, resume=True, **options)
    assert facts.training.resumes == 1
    whole, parts = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def refusal(rows, tmp_path, error=DataError, **settings):
    with pytest.raises(error) as caught:
        train(tmp_path / "out", rows, **settings)
    return str(caught.value)


def test_pairs_that_teach_nothing_are_refused_by_their_words(tmp_path):
    rows = labelled()
    assert "no column 'text_pair'; found: sentence1, label" in refusal(
        [{"sentence1": row["sentence1"], "label": row["label"]} for row in rows], tmp_path
    )
    missing = [*rows[:5], {**rows[5], "sentence2": None}, *rows[6:]]
    assert "column 'sentence2' is missing or empty" in refusal(missing, tmp_path)
    found = refusal([{**row, "label": "same"} for row in rows], tmp_path)
    assert "holds one class only ('same' in all 24 rows of train)" in found and found.endswith("--columns score=…")
    assert "column 'score' has the labels 'a', 'b', 'c'; expected numbers, or two labels of which one means" in refusal(
        [{**row, "label": "abc"[number % 3]} for number, row in enumerate(rows)], tmp_path
    )
    assert "'left' and 'right', which do not say which one means that the texts belong together; call it 1" in refusal(
        labelled(names=("left", "right")), tmp_path
    )
    assert "rows of train have the same second text, so no text can be told from another" in refusal(
        {"train": [{**row, "document": "the same"} for row in matching()], "test": matching(1)},
        tmp_path,
        task="text-ranking",
    )


def test_validation_that_cannot_tell_good_weights_is_refused_before_training(tmp_path):
    rows = {"train": labelled(0), "validation": [row for row in labelled(1) if row["label"] == "same"]}
    found = refusal(rows, tmp_path)
    assert found.startswith("all 12 rows of validation have the label 'same', so average_precision is undefined there;")
    rows = {"train": scored(0), "validation": [{**row, "score": 2.5} for row in scored(1)]}
    found = refusal(rows, tmp_path)
    assert found == (
        "all 24 rows of validation have the score 2.5, so spearman is undefined there; give another --validation-split "
        "or a larger --validation-fraction, or choose the best weights by --metric loss"
    )
    assert train(tmp_path / "by-loss", rows, metric="loss", max_steps=1, epochs=None).training.steps == 1


def test_a_score_that_is_not_finite_is_refused(tmp_path):
    rows = scored()
    rows[3]["score"] = float("inf")
    found = refusal({"train": rows, "test": scored(1)}, tmp_path)
    assert "'inf'; expected numbers, or two labels of which one means that the texts belong together" in found


def test_equal_pairs_that_cannot_be_told_apart_are_refused(tmp_path):
    rows = labelled()
    few = [{**row, "label": "same" if number == 1 else "different"} for number, row in enumerate(rows)]
    found = refusal({"train": few, "validation": rows}, tmp_path, pair_loss="in-batch")
    assert found.startswith("all 1 equal pairs of train have the same second text, so no text can be told from another")


def test_a_label_beside_queries_and_documents_is_said_to_be_left_out(tmp_path):
    from quintet.finetune.data import load_data
    from quintet.pipelines.tasks import find_task

    rows = [{**row, "Label": number % 2} for number, row in enumerate(matching())]
    (notice,) = load_data(rows, task=find_task("text-ranking")).report.notices
    assert notice == (
        "column 'Label' is left out: text-ranking takes each document for one that answers its query; train "
        "sentence-similarity on pairs with a label"
    )
    assert load_data(matching(), task=find_task("text-ranking")).report.notices == ()


def test_a_score_that_is_text_is_refused_by_its_place(tmp_path):
    rows = scored()
    rows[3]["score"] = "high"
    found = refusal({"train": rows, "test": scored(1)}, tmp_path, problem_type="regression")
    assert "high" in found


def test_settings_that_contradict_the_pairs_are_refused(tmp_path):
    found = refusal(splits(scored), tmp_path, UsageError, pair_loss="in-batch")
    assert found == (
        "--pair-loss in-batch is for labelled and matching pairs, and these are scored; leave it out for cosine"
    )
    options = {"task": "text-ranking", "error": UsageError}
    assert "--accumulation 2 would part the batch, in which a text is told from all others" in refusal(
        splits(matching), tmp_path, accumulation=2, **options
    )
    assert "--batch-size 1 leaves no other text to tell the right one from" in refusal(
        splits(matching), tmp_path, batch_size=1, **options
    )
    assert "--teacher means nothing to sentence-similarity" in refusal(
        splits(labelled), tmp_path, UsageError, teacher="sentiment-en"
    )


def test_dense_layers_behind_the_pooling_are_refused(encoder, tmp_path):
    import shutil

    from safetensors.numpy import save_file

    dense = tmp_path / "dense"
    shutil.copytree(encoder, dense)
    modules = json.loads((dense / "modules.json").read_text())
    modules.insert(2, {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (dense / "modules.json").write_text(json.dumps(modules))
    (dense / "2_Dense").mkdir()
    (dense / "2_Dense" / "config.json").write_text("{}")
    save_file({"linear.weight": np.eye(16, dtype=np.float32)}, dense / "2_Dense" / "model.safetensors")
    found = refusal(splits(labelled), tmp_path, UsageError, model=str(dense))
    assert "has Dense layers behind its pooling, which are not trained here" in found
