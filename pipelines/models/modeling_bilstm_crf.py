"""BiLSTM-CNN-CRF as a transformers model; the network itself is in bilstm_crf.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it. The logits are the
scores before the random field; the best sequence of tags is what ``model.network.decode`` gives for the scores at one
token of each word.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .bilstm_crf import BiLstmCrfTagger
from .tagger import TextTaggerModel


class BiLstmCrfConfig(PreTrainedConfig):
    """What ``BiLstmCrfTagger`` is built from; the fields are its arguments, the defaults are in families.py."""

    model_type = "quintet-bilstm-crf"

    vocab_size: int
    words: int
    word_size: int
    byte_size: int
    filters: int
    hidden_size: int
    layers: int
    dropout: float
    pad_token_id: int


class BiLstmCrfForTokenClassification(TextTaggerModel):
    """``BiLstmCrfTagger`` as ``network``."""

    config_class = BiLstmCrfConfig

    def __init__(self, config: BiLstmCrfConfig) -> None:
        network = BiLstmCrfTagger(
            vocab_size=config.vocab_size,
            num_labels=len(config.id2label or {}),
            words=config.words,
            word_size=config.word_size,
            byte_size=config.byte_size,
            filters=config.filters,
            hidden_size=config.hidden_size,
            layers=config.layers,
            dropout=config.dropout,
            padding_id=config.pad_token_id,
        )
        super().__init__(config, network)


BiLstmCrfConfig.register_for_auto_class()
BiLstmCrfForTokenClassification.register_for_auto_class("AutoModelForTokenClassification")
