"""Pipelines and tokenizers that the tests of this folder share."""

import pytest


@pytest.fixture(scope="module")
def quiet():
    """transformers warns of many things that are not ours to change."""
    from transformers import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    yield
    logging.set_verbosity(verbosity)


@pytest.fixture(scope="session")
def bert(bert_folder):
    """A pipeline around the tiny BERT."""
    from quintet.pipelines import pipeline

    return pipeline("sentiment", bert_folder, device="cpu")


@pytest.fixture(scope="session")
def piece_tokenizer():
    """Makes a transformers tokenizer of a kind: wordpiece, byte-bpe (RoBERTa's), or unigram (XLM-RoBERTa's).

    Words are split into pieces of two or three characters, so that every strategy has something to do.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(code) for code in range(33, 127)] + list("éöüßÅńжи北京")
    pairs = [first + second for first in "abcdefghijklmnoprstuvw" for second in "aeinorst"]

    def wordpiece():
        vocabulary = [*names, *letters, *(f"##{piece}" for piece in letters + pairs), *pairs, "Paris", "##kel"]
        ids = {piece: index for index, piece in enumerate(vocabulary)}
        backend = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
        backend.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=True)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece()
        return backend

    def byte_bpe():
        symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
        merges = [tuple(pair) for pair in pairs] + [("\u0120", pair) for pair in pairs[::3]]
        joined = ["".join(merge) for merge in merges]
        ids = {piece: index for index, piece in enumerate(dict.fromkeys([*names, *symbols, *joined]))}
        backend = Tokenizer(models.BPE(vocab=ids, merges=merges))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        return backend

    def unigram():
        pieces = [(name, 0.0) for name in names] + [("\u2581", -4.0)]
        pieces += [(piece, -5.0) for piece in letters] + [(piece, -6.0) for piece in pairs]
        pieces += [(f"\u2581{piece}", -6.5) for piece in pairs[::2]]
        backend = Tokenizer(models.Unigram(pieces, unk_id=1))
        backend.normalizer = normalizers.NFKC()
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        backend.decoder = decoders.Metaspace()
        return backend

    makers = {"wordpiece": wordpiece, "byte-bpe": byte_bpe, "unigram": unigram}

    def make(kind, **options):
        backend = makers[kind]()
        if kind == "byte-bpe":
            backend.post_processor = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), add_prefix_space=False)
        else:
            specials = [("[CLS]", 2), ("[SEP]", 3)]
            backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=specials)
        options = {"model_max_length": 48, "model_input_names": ["input_ids", "attention_mask"]} | options
        return PreTrainedTokenizerFast(
            tokenizer_object=backend,
            unk_token="[UNK]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            pad_token="[PAD]",
            **options,
        )

    return make


@pytest.fixture(scope="session")
def tagger_folder(tmp_path_factory, piece_tokenizer):
    """A BERT that labels tokens, as transformers saves it; it takes 48 tokens."""
    import torch
    from transformers import BertConfig, BertForTokenClassification

    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-tagger"
    tokenizer = piece_tokenizer("wordpiece")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=48,
        initializer_range=0.5,
        id2label=dict(enumerate(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])),
    )
    BertForTokenClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tagger(tagger_folder):
    """A pipeline around the tiny tagger."""
    from quintet.pipelines import pipeline

    return pipeline("ner", tagger_folder, device="cpu")


@pytest.fixture(scope="session")
def byte_backend():
    """Makes a byte-level tokenizer over what is in ``text``: its bytes, and its most frequent pieces."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    def make(text, *, size=120, specials=("<pad>", "<s>", "</s>")):
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(specials), show_progress=False)
        backend.train_from_iterator([text], trainer)
        return backend

    return make


@pytest.fixture(scope="session")
def own_writer():
    """Makes a pipeline around a network of our own that carries a state, without transformers."""
    from quintet.pipelines import TextGenerationPipeline
    from quintet.pipelines.checkpoints import Checkpoint, CheckpointConfig
    from quintet.pipelines.tokenization import TextTokenizer

    def make(network, backend, *, max_length=None, **settings):
        raw = {"model_type": "quintet-test", "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
        config = CheckpointConfig((), None, "text-generation", "quintet-test", max_length, raw)
        tokenizer = TextTokenizer.from_backend(backend, {"pad_token": "<pad>"})
        checkpoint = Checkpoint("tiny", None, config, network.eval().requires_grad_(False), tokenizer, light=True)
        return TextGenerationPipeline.from_checkpoint(checkpoint, **settings)

    return make
