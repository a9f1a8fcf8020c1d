"""Low-rank additions to frozen weights (Hu et al. 2021, "LoRA"), by peft, in place of training all weights."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from torch import nn

from ..pipelines.errors import UsageError
from ..pipelines.tasks import find_task
from .optimization import is_head
from .settings import FinetuneSettings

ADAPTER_FOLDER = "adapter"


class LowRankAdditions:
    """Adds trainable low-rank matrices to the linear layers of ``model``, in place; all else but the head is frozen.

    Args:
        model: a transformers model with a classification head.
        settings: rank, alpha, dropout and targets.
        base_name: public name of the base model, kept in the adapter's configuration.

    Raises:
        UsageError: no layer has a name given by ``--lora-targets``; the message lists those there are.
    """

    def __init__(self, model: Any, settings: FinetuneSettings, base_name: str) -> None:
        from peft import LoraConfig, TaskType, get_peft_model
        from transformers.pytorch_utils import Conv1D

        # GPT-2 keeps its linear layers as Conv1D, with inputs before outputs.
        output = model.get_output_embeddings()  # of T5 it stands beside encoder and decoder, in no base model
        linear = {
            name
            for name, layer in model.named_modules()
            if isinstance(layer, nn.Linear | Conv1D) and layer is not output and not is_head(model, name)
        }
        endings = sorted({name.rpartition(".")[2] for name in linear})
        targets = list(settings.lora_targets) or endings
        unknown = [target for target in targets if target not in endings]
        if unknown or not targets:
            raise UsageError(
                f"--lora-targets {','.join(unknown) or 'none'}: no linear layer below the model's head has that name; "
                f"it has: {', '.join(endings) or 'none, so train it without --lora'}"
            )
        kinds = {
            "AutoModelForCausalLM": TaskType.CAUSAL_LM,
            "AutoModelForSeq2SeqLM": TaskType.SEQ_2_SEQ_LM,
            "AutoModelForQuestionAnswering": TaskType.QUESTION_ANS,  # whose head peft then trains whole
        }
        config = LoraConfig(
            task_type=kinds.get(find_task(settings.task).auto_model, TaskType.SEQ_CLS),
            fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in model.modules()),
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,  # pyright: ignore[reportArgumentType] - a float works and scales finer
            lora_dropout=settings.lora_dropout,
            target_modules=sorted(linear) if not settings.lora_targets else targets,
        )
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5.23 by the old name
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            self._adapted = get_peft_model(model, config)
        config.base_model_name_or_path = base_name

    def save(self, folder: Path) -> None:
        """Writes the additions and the head to ``folder``, for ``peft.PeftModel.from_pretrained``."""
        # save_embedding_layers="auto" would ask the Hub about the base model
        self._adapted.save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # peft's template of a card; ours is that of the checkpoint

    def merge(self) -> nn.Module:
        """The model with the additions added to its weights, as it was built otherwise."""
        return self._adapted.merge_and_unload()  # pyright: ignore[reportCallIssue, reportReturnType]


def freeze_body(model: nn.Module) -> None:
    """Leaves only the classification head trainable.

    Raises:
        UsageError: no weight is recognized as the head's.
    """
    for name, weight in model.named_parameters():
        weight.requires_grad_(is_head(model, name))
    if not any(weight.requires_grad for weight in model.parameters()):
        raise UsageError(
            "--freeze found no classification head in this model; train it without --freeze, or use --lora"
        )
