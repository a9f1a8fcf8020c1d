"""The convolutional family as a transformers model; the network itself is in textcnn.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .adapter import TextClassifierModel
from .textcnn import TextConvolutionClassifier


class TextConvolutionConfig(PreTrainedConfig):
    """What ``TextConvolutionClassifier`` is built from; the fields are its arguments, the defaults in families.py."""

    model_type = "quintet-textcnn"

    vocab_size: int
    embedding_size: int
    filters: int
    kernel_sizes: list[int] | tuple[int, ...]
    dropout: float
    pad_token_id: int


class TextConvolutionForSequenceClassification(TextClassifierModel):
    """``TextConvolutionClassifier`` as ``network``."""

    config_class = TextConvolutionConfig

    def __init__(self, config: TextConvolutionConfig) -> None:
        network = TextConvolutionClassifier(
            vocab_size=config.vocab_size,
            num_labels=len(config.id2label or {}),
            embedding_size=config.embedding_size,
            filters=config.filters,
            kernel_sizes=config.kernel_sizes,
            dropout=config.dropout,
            padding_id=config.pad_token_id,
        )
        super().__init__(config, network)


TextConvolutionConfig.register_for_auto_class()
TextConvolutionForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
