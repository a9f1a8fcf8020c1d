"""Translation: a text in another language.

Calls and answers are those that version 4 of transformers had. Beyond it: a text longer than the encoder takes is
translated sentence group by sentence group and joined (``truncation=True`` cuts it instead), Marian checkpoints for
several languages take ``tgt_lang``, and an unknown language is an error that names the nearest ones.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from .errors import UnknownNameError, UsageError
from .generation_options import WRITING_OPTIONS
from .text2text_generation import Text2TextGenerationPipeline, Text2TextOptions

if TYPE_CHECKING:
    from .checkpoints import Checkpoint

# NLLB's codes are tokens of its vocabulary, and nothing else tells them: eng_Latn, zho_Hans.
_NLLB_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
_MARIAN_TOKEN = re.compile(r">>(.+)<<")


@dataclass(frozen=True)
class TranslationOptions(Text2TextOptions):
    """What a call may ask for, beside what text to text may.

    Attributes:
        src_lang: the language of the texts, as the checkpoint calls it: ``en``, ``en_XX``, ``eng_Latn``.
        tgt_lang: the language wanted.
    """

    src_lang: str | None = None
    tgt_lang: str | None = None


class TranslationPipeline(Text2TextGenerationPipeline):
    """Translates texts.

        translate("How old are you?")                            # [{'translation_text': 'Wie alt bist du?'}]
        translate("How old are you?", src_lang="en_XX", tgt_lang="de_DE")

    Args:
        checkpoint: model and tokenizer.
        settings: as for `Text2TextGenerationPipeline`, and the fields of `TranslationOptions`.
    """

    task = "translation"
    option_names = (
        *(item.name for item in fields(TranslationOptions) if item.name not in ("writing", "plan")),
        *WRITING_OPTIONS,
    )
    answer_columns = ("translation_text", "sequences")
    return_name = "translation"
    reads_pieces = True
    options = TranslationOptions()

    def __init__(self, checkpoint: Checkpoint, **settings: Any) -> None:
        self._languages = languages(checkpoint)
        self._targets = target_tokens(checkpoint)
        # What a checkpoint of Quintet was trained for.
        raw = checkpoint.config.raw
        self._trained = {name: str(raw[name]) for name in ("src_lang", "tgt_lang") if raw.get(name)}
        given: dict[str, Any] = self._trained | settings
        super().__init__(checkpoint, **given)
        pairs = [name for name in self.task_parameters() if name.startswith("translation_")]
        options = self.options
        if pairs and not self._languages and options.prefix is None and not self.of_task(options):
            warnings.warn(
                f"'{checkpoint.name}' is told by a prefix what to translate, and has one for {', '.join(pairs)}; "
                f"without one it may do anything. Name the languages: pipeline('{pairs[0]}').",
                stacklevel=2,
            )

    def read_options(self, options: dict[str, Any]) -> TranslationOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UnknownNameError: the checkpoint does not know a language.
            UsageError: an option does not exist or has a value it cannot have, or two exclude each other.
        """
        for name, known in (("src_lang", self._languages), ("tgt_lang", self._languages or self._targets)):
            if known and options.get(name) is not None and options[name] not in known:
                raise _unknown_language(name, str(options[name]), list(known), self.checkpoint.name)
            # One pair of languages, and no token that asks for another.
            trained = self._trained.get(name) if not known and not self.task_parameters() else None
            if trained is not None and options.get(name) not in (None, trained):
                raise _unknown_language(name, str(options[name]), [trained], self.checkpoint.name)
        return super().read_options(options)

    @property
    def languages(self) -> Mapping[str, str]:
        """Between which languages it translates, as far as that is settled."""
        pair = {"src_lang": self.options.src_lang, "tgt_lang": self.options.tgt_lang}
        return {name: code for name, code in pair.items() if code is not None}

    def of_task(self, settings: TranslationOptions) -> dict[str, Any]:
        """What the checkpoint's configuration says for these languages, and the token that asks for the target."""
        source, target = settings.src_lang, settings.tgt_lang
        parameters = self.task_parameters()
        found = parameters.get(f"translation_{source}_to_{target}") or parameters.get(self.task) or {}
        if self._languages and target is not None:
            return {**found, "forced_bos_token_id": self._languages[target]}
        return dict(found)

    def prefix(self, settings: TranslationOptions) -> str:
        """What is read before each text: also the token by which Marian is told the target."""
        token = self._targets.get(settings.tgt_lang or "")
        return (f"{token} " if token else "") + super().prefix(settings)

    def encode(self, texts: Sequence[str], settings: TranslationOptions) -> list[list[int]]:
        """The texts as token ids, with the source language's token where the checkpoint reads one.

        Raises:
            UsageError: it reads one, and no language is known.
        """
        if self._languages:
            live: Any = self.checkpoint.tokenizer.transformers_tokenizer
            source, target = settings.src_lang, settings.tgt_lang
            if source is None or (target is None and not settings.plan.parameters.get("forced_bos_token_id")):
                missing = "src_lang" if source is None else "tgt_lang"
                raise UsageError(
                    f"'{self.checkpoint.name}' translates between {len(self._languages)} languages; name both, for "
                    f"instance src_lang='{next(iter(self._languages))}', tgt_lang='{list(self._languages)[-1]}' "
                    f"({missing} is missing)."
                )
            if live.src_lang != source:
                live.src_lang = source
        return super().encode(texts, settings)

    def encode_targets(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts to be written as token ids, with the target language's token where the checkpoint writes one."""
        if self._languages and self.options.tgt_lang is not None:
            live: Any = self.checkpoint.tokenizer.transformers_tokenizer
            live.tgt_lang = self.options.tgt_lang
        return super().encode_targets(texts)


def languages(checkpoint: Checkpoint) -> Mapping[str, int]:
    """The languages between which a checkpoint translates, with the token that asks for each.

    Empty for one that is not told by tokens of its own which they are: one pair of languages, or T5.
    """
    live: Any = checkpoint.tokenizer.transformers_tokenizer
    if not hasattr(live, "src_lang"):
        return {}
    codes = getattr(live, "lang_code_to_id", None)
    if codes:
        return dict(codes)
    return {
        token: live.convert_tokens_to_ids(token) for token in live.all_special_tokens if _NLLB_CODE.fullmatch(token)
    }


def target_tokens(checkpoint: Checkpoint) -> Mapping[str, str]:
    """The target languages of a Marian checkpoint for several, with the token that asks for each; empty for others."""
    live: Any = checkpoint.tokenizer.transformers_tokenizer
    if live is None:
        return {}
    found = [match for token in live.get_vocab() if (match := _MARIAN_TOKEN.fullmatch(token))]
    return {match[1]: match[0] for match in found}


def _unknown_language(option: str, given: str, known: list[str], name: str) -> UnknownNameError:
    near = [code for code in known if code[:2].casefold() == given[:2].casefold()]
    near = near[:3] or difflib.get_close_matches(given, known, n=3)
    shown = ", ".join(known[:20]) + (f", … ({len(known)} languages)" if len(known) > 20 else "")
    hint = f"did you mean {' or '.join(near)}?" if near else f"it knows {shown}."
    return UnknownNameError(f"{option} is '{given}', a language that '{name}' does not know; {hint}")
