"""Word vectors from a pretrained model: near words stay near, and the same everywhere."""

import pytest
import torch
from quintet.finetune import finetune
from quintet.finetune.word_vectors import principal_components
from quintet.pipelines.errors import UsageError


def test_components_keep_distances_and_do_not_depend_on_signs():
    torch.manual_seed(0)
    vectors = torch.randn(50, 3) @ torch.randn(3, 12) + 5
    kept = principal_components(vectors, 3)
    assert kept.shape == (50, 3) and torch.allclose(kept.mean(0), torch.zeros(3), atol=1e-4)
    assert torch.allclose(torch.pdist(kept), torch.pdist(vectors), atol=1e-3)
    assert torch.allclose(principal_components(vectors.flip(0), 3).flip(0), kept, atol=1e-4)


def test_a_family_starts_from_the_vectors_of_a_checkpoint(reviews, tiny, tiny_bert, tmp_path):
    from safetensors.torch import load_file

    given = {**tiny, "learning_rate": 1e-9, "weight_decay": 0.0, "embeddings_scale": 0.5, "calibrate": False}
    finetune("sentiment", dataset=reviews, output=tmp_path / "out", **given, embeddings_from=str(tiny_bert))
    table = load_file(tmp_path / "out" / "model.safetensors")["network.embedding.weight"]
    words = table[4:]  # after padding, unknown, start and separator
    assert float(words.std()) == pytest.approx(0.5, abs=1e-3)
    assert torch.allclose(words.mean(0), torch.zeros(8), atol=1e-4)


def test_an_embedding_that_is_too_large_is_refused(reviews, tiny, tiny_bert, tmp_path):
    given = {**tiny, "model_args": {"embedding_size": 64}}
    with pytest.raises(
        UsageError, match=r"--embeddings-from tiny-bert has 16 numbers a word.* embedding_size=16 or less"
    ):
        finetune("sentiment", dataset=reviews, output=tmp_path / "out", **given, embeddings_from=str(tiny_bert))


def test_a_checkpoint_whose_words_are_made_of_bytes_has_no_vectors_to_start_from(reviews, tiny, tmp_path):
    rows = [{"tokens": ["Jim", "saw", "Rome"], "tags": ["B-PER", "O", "B-LOC"]}] * 4
    small = {"word_size": 8, "byte_size": 8, "filters": 8, "hidden_size": 8}
    finetune(
        "ner",
        model="bilstm-crf",
        dataset=rows,
        output=tmp_path / "tagger",
        model_args=small,
        max_steps=1,
        validation_fraction=0,
    )
    with pytest.raises(UsageError, match=r"tagger has [\d,]+ input embeddings for [\d,]+ tokens.*one for each token"):
        given = {**tiny, "embeddings_from": str(tmp_path / "tagger")}
        finetune("sentiment", dataset=reviews, output=tmp_path / "out", **given)
