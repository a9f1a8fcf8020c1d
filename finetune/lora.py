"""Low-rank additions to frozen weights (Hu et al. 2021, "LoRA"), by peft, in place of training all weights."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from torch import nn

from ..pipelines.errors import UsageError
from ..pipelines.tasks import find_task
from .optimization import is_head
from .settings import FinetuneSettings

ADAPTER_FOLDER = "adapter"

_LABEL_HEADS = ("classifier", "score")
_HEADS = {
    "AutoModelForSequenceClassification": ("SEQ_CLS", _LABEL_HEADS),
    "AutoModelForTokenClassification": ("TOKEN_CLS", _LABEL_HEADS),
    "AutoModelForQuestionAnswering": ("QUESTION_ANS", ("qa_outputs",)),
    "AutoModelForCausalLM": ("CAUSAL_LM", ()),
    "AutoModelForSeq2SeqLM": ("SEQ_2_SEQ_LM", ()),
}
"""What peft calls the kind of a task, and names of heads that it trains whole by itself."""


class LowRankAdditions:
    """Adds trainable low-rank matrices to the linear layers of ``model``, in place.

    A classification head and all weights that are new are trained whole; all else is frozen.

    Args:
        model: a transformers model.
        settings: rank, alpha, dropout and targets.
        base_name: public name of the base model, kept in the adapter's configuration.
        new_weights: names of the weights that were drawn at random, of a new head.

    Raises:
        UsageError: no layer has a name given by ``--lora-targets``; the message lists those there are.
    """

    def __init__(
        self, model: Any, settings: FinetuneSettings, base_name: str, new_weights: Collection[str] = ()
    ) -> None:
        from peft import LoraConfig, get_peft_model
        from transformers.pytorch_utils import Conv1D

        kind, heads = _HEADS.get(find_task(settings.task).auto_model, (None, ()))
        whole, loose = _trained_whole(model, [name for name in new_weights if not set(heads) & set(name.split("."))])
        # GPT-2 keeps its linear layers as Conv1D, with inputs before outputs.
        output = model.get_output_embeddings()  # of T5 it stands beside encoder and decoder, in no base model
        linear = {
            name
            for name, layer in model.named_modules()
            if isinstance(layer, nn.Linear | Conv1D)
            and layer is not output
            and not is_head(model, name)
            and name not in whole
        }
        endings = sorted({name.rpartition(".")[2] for name in linear})
        targets = list(settings.lora_targets) or endings
        unknown = [target for target in targets if target not in endings]
        if unknown or not targets:
            raise UsageError(
                f"--lora-targets {','.join(unknown) or 'none'}: no linear layer below the model's head has that name; "
                f"it has: {', '.join(endings) or 'none, so train it without --lora'}"
            )
        config = LoraConfig(
            task_type=kind,  # pyright: ignore[reportArgumentType] - peft takes the name as well
            fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in model.modules()),
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,  # pyright: ignore[reportArgumentType] - a float works and scales finer
            lora_dropout=settings.lora_dropout,
            target_modules=sorted(linear) if not settings.lora_targets else targets,
            modules_to_save=sorted(whole) or None,
        )
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5.23 by the old name
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            self._adapted = get_peft_model(model, config)
        config.base_model_name_or_path = base_name
        self._loose = loose
        for weight in loose.values():
            weight.requires_grad_(True)

    def save(self, folder: Path) -> None:
        """Writes the additions and what was trained whole to ``folder``, for ``peft.PeftModel.from_pretrained``."""
        from safetensors.torch import load_file, save_file

        # save_embedding_layers="auto" would ask the Hub about the base model
        self._adapted.save_pretrained(str(folder), save_embedding_layers=False)
        if self._loose:  # peft reads them with the rest, but would not write them
            file = folder / "adapter_model.safetensors"
            more = {f"base_model.model.{name}": weight.detach().contiguous() for name, weight in self._loose.items()}
            save_file({**load_file(file), **more}, file, metadata={"format": "pt"})
        (folder / "README.md").unlink(missing_ok=True)  # peft's template of a card; ours is that of the checkpoint

    def merge(self) -> nn.Module:
        """The model with the additions added to its weights, as it was built otherwise."""
        return self._adapted.merge_and_unload()  # pyright: ignore[reportCallIssue, reportReturnType]


def _trained_whole(model: nn.Module, new_weights: Collection[str]) -> tuple[set[str], dict[str, nn.Parameter]]:
    """Names of the layers all of whose weights are new, and the new weights that are in none of them.

    The latter stand beside other layers, as the bias of BERT's words does, or another layer has them too; peft could
    not copy their layer without the rest.
    """
    names = [(name, id(weight)) for name, weight in model.named_parameters(remove_duplicate=False)]
    uses = Counter(identity for _, identity in names)
    new = {identity for name, identity in names if name in new_weights}
    whole: set[str] = set()
    for name, layer in model.named_modules():
        own = [id(weight) for weight in layer.parameters(recurse=False)]
        if own and not [*layer.children()] and all(each in new and uses[each] == 1 for each in own):
            whole.add(name)
            new.difference_update(own)
    return whole, {name: weight for name, weight in model.named_parameters() if id(weight) in new}


def freeze_body(model: nn.Module, new_weights: Collection[str] = ()) -> None:
    """Leaves only the classification head trainable, and what is new beside it, a pooler for instance.

    Args:
        model: a transformers model.
        new_weights: names of the weights that were drawn at random.

    Raises:
        UsageError: no weight is recognized as the head's.
    """
    for name, weight in model.named_parameters():
        weight.requires_grad_(is_head(model, name) or name in new_weights)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise UsageError(
            "--freeze found no classification head in this model; train it without --freeze, or use --lora"
        )
