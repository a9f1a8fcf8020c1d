"""What every test gets: one thread, a cache of its own, no way to any network but loopback, and tiny checkpoints.

The variables are set before anything is imported, for they are read at import. Two test processes with two spinning
OpenMP threads each are forty times slower on two cores than one thread each.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
HOME = os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="quintet-tests-")
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ.setdefault("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nothing answers
os.environ.pop("HF_TOKEN", None)

sys.path.insert(0, str(Path(__file__).parent / "hub"))

WORDS = [*"a good bad film plot actor very not the and with dull witty".split(), *"很好差电影!"]  # noqa: SIM905


def pytest_unconfigure():
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def tiny_words():
    """Words that the tiny checkpoints know."""
    return list(WORDS)


@pytest.fixture(scope="session")
def fast_tokenizer():
    """Makes a transformers tokenizer over the tiny words, with the given template and special tokens."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    def make(*, single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", **options):
        names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
        backend = Tokenizer(WordLevel({name: index for index, name in enumerate(names)}, unk_token="[UNK]"))
        backend.pre_tokenizer = BertPreTokenizer()
        if single:
            specials = [("[CLS]", 2), ("[SEP]", 3)]
            backend.post_processor = TemplateProcessing(single=single, pair=pair, special_tokens=specials)
        names_read = ["input_ids", "token_type_ids", "attention_mask"]
        options = {"pad_token": "[PAD]", "model_max_length": 64, "model_input_names": names_read} | options
        return PreTrainedTokenizerFast(
            tokenizer_object=backend, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", **options
        )

    return make


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory, fast_tokenizer):
    """A BERT with two classes, as transformers saves it; it takes 64 tokens."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-bert"
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
        id2label={0: "negative", 1: "positive"},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    fast_tokenizer().save_pretrained(folder)
    return folder
