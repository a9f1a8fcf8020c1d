"""The table of model families that can be trained from scratch: one row a family, plain data, nothing heavy imported.

A family of our own is a plain network plus an adapter for transformers, both in this folder; the BERT sizes come from
transformers. Families that read pictures are in image_families.py. Adding a family is adding a row here or there and
its files; CONTRIBUTING.md has the checklist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from ..errors import UsageError, unknown_name
from .family import Family, Value
from .image_families import IMAGE_FAMILIES

TAGGER_DEFAULTS: Mapping[str, int | float] = MappingProxyType(
    {"epochs": 15, "batch_size": 32, "learning_rate": 5e-4, "weight_decay": 1e-2, "warmup": 0.1}
)


# name, summary, paper, learning rate
_CELLS = (
    ("rnn", "Elman's recurrent network", "Elman 1990, Finding Structure in Time", 1e-3),
    ("lstm", "long short-term memory", "Hochreiter and Schmidhuber 1997, Long Short-Term Memory", 2e-3),
    ("gru", "gated recurrent unit", "Cho et al. 2014, RNN Encoder-Decoder for SMT", 2e-3),
)

_RECURRENT_SIZES: Mapping[str, Value] = MappingProxyType(
    {"embedding_size": 200, "hidden_size": 200, "layers": 1, "bidirectional": True}
)
_POOLED_SIZES: Mapping[str, Value] = MappingProxyType({**_RECURRENT_SIZES, "pooling": "max", "dropout": 0.4})
_POOLINGS = ("last", "max", "mean", "attention")


def _recurrent(cell: str, summary: str, paper: str, learning_rate: float) -> Family:
    return Family(
        name=cell,
        summary=summary,
        paper=paper,
        model_type="quintet-recurrent",
        network="recurrent:RecurrentClassifier",
        adapter="modeling_recurrent:RecurrentForSequenceClassification",
        config="modeling_recurrent:RecurrentConfig",
        sizes=_POOLED_SIZES,
        fixed=MappingProxyType({"cell": cell}),
        choices=MappingProxyType({"pooling": _POOLINGS}),
        tasks=("text-classification",),
        tokenizer="wordlevel",
        vocab_size=20_000,
        max_length=256,
        defaults=MappingProxyType(
            {"epochs": 5, "batch_size": 64, "learning_rate": learning_rate, "weight_decay": 1e-2, "warmup": 0.05}
        ),
        is_recurrent=True,
    )


def _siamese(cell: str, summary: str, paper: str, learning_rate: float) -> Family:
    return replace(
        _recurrent(cell, f"{summary}, pairs of texts read one by one and compared", paper, learning_rate),
        paper=f"{paper}; Conneau et al. 2017, InferSent (comparison)",
        model_type="quintet-siamese",
        network="siamese:SiameseClassifier",
        adapter="modeling_siamese:SiameseForSequenceClassification",
        config="modeling_siamese:SiameseConfig",
        sizes=MappingProxyType({**_POOLED_SIZES, "comparison": "full"}),
        choices=MappingProxyType({"pooling": _POOLINGS, "comparison": ("full", "symmetric")}),
        has_token_types=True,
        reads_pairs=True,
    )


def _recurrent_encoder(cell: str, summary: str, paper: str, learning_rate: float) -> Family:
    return replace(
        _recurrent(cell, f"{summary}, a vector for each token", paper, learning_rate),
        model_type="quintet-recurrent-encoder",
        network="recurrent:RecurrentEncoder",
        adapter="modeling_recurrent_encoder:RecurrentEncoderModel",
        config="modeling_recurrent_encoder:RecurrentEncoderConfig",
        auto_model="AutoModel",
        sizes=MappingProxyType({**_RECURRENT_SIZES, "dropout": 0.2}),
        choices=MappingProxyType({}),
        tasks=("sentence-similarity", "text-ranking"),
    )


REWRITING_TASKS = ("text2text-generation", "translation", "summarization")

# What our hyperparameters are called in PegasusConfig.
PEGASUS_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "hidden_size": ("d_model",),
        "layers": ("encoder_layers", "decoder_layers"),
        "heads": ("encoder_attention_heads", "decoder_attention_heads"),
        "feed_forward_size": ("encoder_ffn_dim", "decoder_ffn_dim"),
        "dropout": ("dropout",),
        "activation": ("activation_function",),
        "scale_embedding": ("scale_embedding",),
        "init_std": ("init_std",),
        "max_length": ("max_position_embeddings",),
    }
)

# What our hyperparameters are called in BertConfig.
BERT_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "hidden_size": ("hidden_size",),
        "layers": ("num_hidden_layers",),
        "heads": ("num_attention_heads",),
        "feed_forward_size": ("intermediate_size",),
        "dropout": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
        "max_length": ("max_position_embeddings",),
    }
)


@dataclass(frozen=True)
class _BertHead:
    """What a BERT of each size is trained for: the task, how transformers calls the class, and how it is trained."""

    task: str
    ending: str
    has_token_types: bool
    defaults: Mapping[str, int | float]
    auto_model: str = ""
    tokenizer: Literal["byte-bpe", "masked-bpe"] = "byte-bpe"


_BERT_HEADS = (
    _BertHead(
        "text-classification",
        "SequenceClassification",
        has_token_types=True,
        defaults=MappingProxyType(
            {"epochs": 5, "batch_size": 64, "learning_rate": 3e-4, "weight_decay": 1e-2, "warmup": 0.1}
        ),
    ),
    _BertHead("token-classification", "TokenClassification", has_token_types=False, defaults=TAGGER_DEFAULTS),
    _BertHead(
        "question-answering",
        "QuestionAnswering",
        has_token_types=True,
        defaults=MappingProxyType(
            {"epochs": 10, "batch_size": 32, "learning_rate": 3e-4, "weight_decay": 1e-2, "warmup": 0.1}
        ),
    ),
    _BertHead(
        "next-sentence-prediction",
        "NextSentencePrediction",
        has_token_types=True,
        defaults=MappingProxyType(
            {"epochs": 5, "batch_size": 64, "learning_rate": 3e-4, "weight_decay": 1e-2, "warmup": 0.1}
        ),
    ),
    _BertHead(
        "fill-mask",
        "MaskedLM",
        has_token_types=True,  # for who goes on to pairs of texts with it
        tokenizer="masked-bpe",
        defaults=MappingProxyType(
            {"epochs": 40, "batch_size": 64, "learning_rate": 1e-3, "weight_decay": 1e-2, "warmup": 0.1}
        ),
    ),
)

# Turc et al. 2019, table 1: name, then layers, features and heads of the compact models.
_BERT_SIZES = (("bert-tiny", 2, 128, 2), ("bert-mini", 4, 256, 4), ("bert-small", 4, 512, 8))


def _bert(head: _BertHead, name: str, layers: int, hidden_size: int, heads: int) -> Family:
    return Family(
        name=name,
        summary=f"BERT encoder, {layers} layers of {hidden_size} features, random weights",
        paper="Turc et al. 2019, Well-Read Students Learn Better (sizes); Devlin et al. 2019, BERT",
        model_type="bert",
        network=None,
        adapter=f"transformers:BertFor{head.ending}",
        auto_model=head.auto_model or f"AutoModelFor{head.ending}",
        config="transformers:BertConfig",
        config_names=BERT_NAMES,
        sizes=MappingProxyType(
            {
                "hidden_size": hidden_size,
                "layers": layers,
                "heads": heads,
                "feed_forward_size": 4 * hidden_size,
                "dropout": 0.1,
            }
        ),
        tasks=(head.task,),
        tokenizer=head.tokenizer,
        has_token_types=head.has_token_types,
        vocab_size=16_000,
        max_length=256,
        defaults=head.defaults,
    )


def _language_model(cell: str, summary: str, paper: str, learning_rate: float) -> Family:
    return Family(
        name=f"{cell}-lm",
        summary=f"{summary} that tells the next character, or the next piece of a word",
        paper=f"{paper}; Merity et al. 2017, Regularizing and Optimizing LSTM Language Models",
        model_type="quintet-language-model",
        network="language_model:RecurrentLanguageModel",
        adapter="modeling_language_model:RecurrentForCausalLM",
        config="modeling_language_model:RecurrentLanguageModelConfig",
        auto_model="AutoModelForCausalLM",
        sizes=MappingProxyType({"embedding_size": 128, "hidden_size": 512, "layers": 2, "dropout": 0.1, "tied": False}),
        fixed=MappingProxyType({"cell": cell}),
        tasks=("text-generation",),
        tokenizer="characters",
        vocab_size=8_000,
        max_length=128,
        defaults=MappingProxyType(
            {"epochs": 5, "batch_size": 32, "learning_rate": learning_rate, "weight_decay": 1e-2, "warmup": 0.02}
        ),
        is_recurrent=True,
    )


# What our hyperparameters are called in GPT2Config.
GPT2_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "hidden_size": ("n_embd",),
        "layers": ("n_layer",),
        "heads": ("n_head",),
        "dropout": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
        "activation": ("activation_function",),
        "max_length": ("n_positions",),
    }
)


FAMILIES: tuple[Family, ...] = (
    *(_recurrent(*cell) for cell in _CELLS),
    *(_siamese(*cell) for cell in _CELLS),
    *(_recurrent_encoder(*cell) for cell in _CELLS),
    Family(
        name="textcnn",
        summary="convolutions of several widths over word vectors",
        paper="Kim 2014, Convolutional Neural Networks for Sentence Classification",
        model_type="quintet-textcnn",
        network="textcnn:TextConvolutionClassifier",
        adapter="modeling_textcnn:TextConvolutionForSequenceClassification",
        config="modeling_textcnn:TextConvolutionConfig",
        # Section 3.1 of the paper.
        sizes=MappingProxyType({"embedding_size": 300, "filters": 100, "kernel_sizes": (3, 4, 5), "dropout": 0.5}),
        tasks=("text-classification",),
        tokenizer="wordlevel",
        vocab_size=20_000,
        max_length=256,
        defaults=MappingProxyType(
            {"epochs": 5, "batch_size": 64, "learning_rate": 1e-3, "weight_decay": 1e-2, "warmup": 0.05}
        ),
    ),
    Family(
        name="transformer",
        summary="Transformer encoder with the norm first",
        paper="Vaswani et al. 2017, Attention Is All You Need; Xiong et al. 2020 (norm first)",
        model_type="quintet-transformer",
        network="transformer:TransformerClassifier",
        adapter="modeling_transformer:TransformerForSequenceClassification",
        config="modeling_transformer:TransformerConfig",
        sizes=MappingProxyType(
            {
                "hidden_size": 256,
                "layers": 3,
                "heads": 4,
                "feed_forward_size": 1024,
                "pooling": "mean",
                "dropout": 0.2,
            }
        ),
        choices=MappingProxyType({"pooling": ("mean", "max")}),
        tasks=("text-classification",),
        tokenizer="byte-bpe",
        vocab_size=16_000,
        max_length=256,
        defaults=MappingProxyType(
            {"epochs": 5, "batch_size": 64, "learning_rate": 5e-4, "weight_decay": 1e-2, "warmup": 0.1}
        ),
    ),
    Family(
        name="bilstm-crf",
        summary="LSTM in both directions over words and their bytes, with a random field over the tags",
        paper="Lample et al. 2016, Neural Architectures for NER; Ma and Hovy 2016, BiLSTM-CNNs-CRF",
        model_type="quintet-bilstm-crf",
        network="bilstm_crf:BiLstmCrfTagger",
        adapter="modeling_bilstm_crf:BiLstmCrfForTokenClassification",
        config="modeling_bilstm_crf:BiLstmCrfConfig",
        auto_model="AutoModelForTokenClassification",
        # Ma and Hovy, table 1: 30 filters and 200 features; wider filters, since bytes are finer than characters.
        sizes=MappingProxyType(
            {
                "words": 20_000,
                "word_size": 100,
                "byte_size": 30,
                "filters": 60,
                "hidden_size": 200,
                "layers": 1,
                "dropout": 0.5,
            }
        ),
        tasks=("token-classification",),
        tokenizer="byte-words",
        vocab_size=260,
        max_length=1024,
        defaults=MappingProxyType(
            {"epochs": 15, "batch_size": 16, "learning_rate": 2e-3, "weight_decay": 1e-2, "warmup": 0.02}
        ),
        is_recurrent=True,
    ),
    Family(
        name="transformer",
        summary="Transformer encoder with the norm first, a tag for each token",
        paper="Vaswani et al. 2017, Attention Is All You Need; Xiong et al. 2020 (norm first)",
        model_type="quintet-transformer-tagger",
        network="transformer:TransformerTagger",
        adapter="modeling_transformer_tagger:TransformerForTokenClassification",
        config="modeling_transformer_tagger:TransformerTaggerConfig",
        auto_model="AutoModelForTokenClassification",
        sizes=MappingProxyType(
            {"hidden_size": 256, "layers": 3, "heads": 4, "feed_forward_size": 1024, "dropout": 0.2}
        ),
        tasks=("token-classification",),
        tokenizer="byte-bpe",
        vocab_size=16_000,
        max_length=256,
        defaults=TAGGER_DEFAULTS,
    ),
    Family(
        name="transformer-seq2seq",
        summary="Transformer encoder and decoder, one vocabulary for both texts, random weights",
        paper="Vaswani et al. 2017, Attention Is All You Need; Xiong et al. 2020 (norm first)",
        model_type="pegasus",
        network=None,
        adapter="transformers:PegasusForConditionalGeneration",
        auto_model="AutoModelForSeq2SeqLM",
        config="transformers:PegasusConfig",
        config_names=PEGASUS_NAMES,
        # A size that suits some 30,000 pairs and a CPU.
        sizes=MappingProxyType({"hidden_size": 128, "layers": 4, "heads": 4, "feed_forward_size": 256, "dropout": 0.3}),
        # Vaswani et al., sections 3.3 and 3.4. With the usual 0.02 the vectors of tokens, which are scaled by the root
        # of hidden_size, would be far below those of the places.
        fixed=MappingProxyType({"activation": "relu", "scale_embedding": True, "init_std": 0.088}),
        tasks=REWRITING_TASKS,
        tokenizer="cased-bpe",
        ends_texts=True,
        vocab_size=6_000,
        max_length=256,
        defaults=MappingProxyType(
            {
                "epochs": 26,
                "batch_size": 256,
                "learning_rate": 3e-3,
                "weight_decay": 1e-2,
                "warmup": 0.12,
                "label_smoothing": 0.1,
                "ema": 0.998,
            }
        ),
    ),
    Family(
        name="lstm-seq2seq",
        summary="LSTM encoder and decoder with attention, one vocabulary for both texts",
        paper="Bahdanau et al. 2015, NMT by Jointly Learning to Align and Translate; Wu et al. 2016, GNMT (layers)",
        model_type="quintet-seq2seq",
        network="seq2seq:AttentiveSeq2Seq",
        adapter="modeling_seq2seq:RecurrentForConditionalGeneration",
        config="modeling_seq2seq:Seq2SeqConfig",
        auto_model="AutoModelForSeq2SeqLM",
        sizes=MappingProxyType({"embedding_size": 256, "hidden_size": 256, "layers": 1, "dropout": 0.3}),
        tasks=REWRITING_TASKS,
        tokenizer="cased-bpe",
        ends_texts=True,
        vocab_size=8_000,
        max_length=256,
        defaults=MappingProxyType(
            {
                "epochs": 15,
                "batch_size": 64,
                "learning_rate": 2e-3,
                "weight_decay": 1e-2,
                "warmup": 0.05,
                "label_smoothing": 0.1,
            }
        ),
        is_recurrent=True,
    ),
    Family(
        name="bidaf",
        summary="LSTMs over words and their bytes, with attention from the context to the question and back",
        paper="Seo et al. 2017, Bidirectional Attention Flow for Machine Comprehension",
        model_type="quintet-bidaf",
        network="bidaf:BidirectionalAttentionFlow",
        adapter="modeling_bidaf:BidirectionalAttentionFlowForQuestionAnswering",
        config="modeling_bidaf:BidirectionalAttentionFlowConfig",
        auto_model="AutoModelForQuestionAnswering",
        # Section 4 of the paper and its code: 100 filters of width 5, hidden size 100, dropout 0.2.
        sizes=MappingProxyType(
            {
                "words": 20_000,
                "word_size": 100,
                "byte_size": 16,
                "filters": 100,
                "kernel_size": 5,
                "hidden_size": 100,
                "dropout": 0.2,
            }
        ),
        tasks=("question-answering",),
        tokenizer="byte-words",
        vocab_size=260,
        max_length=1920,
        defaults=MappingProxyType(
            {"epochs": 12, "batch_size": 32, "learning_rate": 2e-3, "weight_decay": 1e-2, "warmup": 0.02}
        ),
        is_recurrent=True,
    ),
    *(_bert(head, *size) for head in _BERT_HEADS for size in _BERT_SIZES),
    _language_model("lstm", "LSTM", "Zaremba et al. 2014, Recurrent Neural Network Regularization", 5e-3),
    _language_model("gru", "GRU", "Cho et al. 2014, RNN Encoder-Decoder for SMT", 3e-3),
    Family(
        name="gpt2-mini",
        summary="GPT-2 decoder, 4 layers of 256 features, random weights",
        paper="Radford et al. 2019, Language Models are Unsupervised Multitask Learners",
        model_type="gpt2",
        network=None,
        adapter="transformers:GPT2LMHeadModel",
        auto_model="AutoModelForCausalLM",
        config="transformers:GPT2Config",
        config_names=GPT2_NAMES,
        sizes=MappingProxyType({"hidden_size": 256, "layers": 4, "heads": 4, "dropout": 0.1}),
        fixed=MappingProxyType({"activation": "gelu_pytorch_tanh"}),  # GPT-2's own function, computed at once
        tasks=("text-generation",),
        tokenizer="characters",
        vocab_size=8_000,
        max_length=256,
        defaults=MappingProxyType(
            {"epochs": 4, "batch_size": 8, "learning_rate": 1e-3, "weight_decay": 1e-1, "warmup": 0.05}
        ),
    ),
    *IMAGE_FAMILIES,
)


def find_family(name: str, task: str | None = None, *, has_pairs: bool = False) -> Family:
    """The row with this name, of several the one for ``task``, and of those the one for pairs of texts if there is one.

    Args:
        name: what ``--model`` calls it.
        task: the task's name; None for any.
        has_pairs: whether it is to read pairs of texts.

    Raises:
        UnknownNameError: no family has it; the message suggests the nearest ones.
        UsageError: the family is for other tasks.
    """
    rows = [family for family in FAMILIES if family.name == name]
    if not rows:
        known = dict.fromkeys(family.name for family in FAMILIES if task is None or task in family.tasks)
        raise unknown_name("model family", name, list(known), hint="`quintet models` lists them.")
    fitting = [family for family in rows if task is None or task in family.tasks]
    if fitting:
        return next((family for family in fitting if family.reads_pairs == has_pairs), fitting[0])
    others = ", ".join(dict.fromkeys(family.name for family in FAMILIES if task in family.tasks)) or "none"
    tasks = ", ".join(dict.fromkeys(task for row in rows for task in row.tasks))
    raise UsageError(f"model family {name} is for {tasks}, not for {task}; families for it: {others}.")


def is_family(name: str) -> bool:
    """Whether a family is called that."""
    return any(family.name == name for family in FAMILIES)


def own_family(config: Mapping[str, object]) -> Family | None:
    """The family of our own to which a checkpoint with this ``config.json`` belongs; None if it is another's."""
    for family in FAMILIES:
        if (
            family.network is not None
            and config.get("model_type") == family.model_type
            and all(config.get(name) == value for name, value in family.fixed.items())
        ):
            return family
    return None


def family_rows() -> list[dict[str, Any]]:
    """The table as plain rows, for `quintet.models()` and ``quintet models --json``."""
    return [
        {"name": family.name, "summary": family.summary, "paper": family.paper, "tasks": list(family.tasks)}
        for family in FAMILIES
    ]
