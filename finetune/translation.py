"""Training for translation; all but the metrics and the languages is in text2text_generation.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..pipelines.nested_columns import MARK
from ..pipelines.parallel_texts import is_language
from ..pipelines.tasks import task_options
from .settings import FinetuneSettings
from .text2text_generation import Text2TextGenerationRecipe
from .text_models import TextStart
from .writing_metrics import Scorer, translation_metrics, translation_protocol

if TYPE_CHECKING:
    from .data import TaskData


class TranslationRecipe(Text2TextGenerationRecipe):
    """The translation part of training: BLEU and chrF."""

    scorer: ClassVar[Scorer] = staticmethod(translation_metrics)

    @classmethod
    def prepare(cls, start: TextStart, settings: FinetuneSettings, data: TaskData) -> None:
        """Keeps the languages in the configuration, as ``src_lang`` and ``tgt_lang``."""
        for name, code in languages_of(settings.task, data.report.columns).items():
            setattr(start.model.config, name, code)

    def facts(self, output: Path) -> Mapping[str, Any]:
        """What is known about the model in ``output``, the languages too."""
        config = self.model.config
        pair = [str(getattr(config, name, "") or "").partition("_")[0] for name in ("src_lang", "tgt_lang")]
        return {**super().facts(output), **({"languages": tuple(pair)} if all(pair) else {})}

    @classmethod
    def protocol(cls) -> dict[str, Any]:
        """The signatures of sacrebleu."""
        return translation_protocol()


def languages_of(task: str, columns: Any) -> dict[str, str]:
    """Between which languages is translated: as the task's name says, or else the data set's names of the columns.

    Args:
        task: as the user named it, such as ``translation_en_to_de``.
        columns: task column -> the data set's.

    Returns:
        ``src_lang`` and ``tgt_lang``; empty where neither says.

    >>> languages_of("translation", {"text": "translation.en", "target": "translation.de"})
    {'src_lang': 'en', 'tgt_lang': 'de'}
    """
    named = task_options(task)
    if named:
        return named
    found = {name: columns[ours].rpartition(MARK)[2] for name, ours in (("src_lang", "text"), ("tgt_lang", "target"))}
    return found if all(map(is_language, found.values())) else {}
