"""What a pipeline that continues text accepts as one input: a text, or the messages of a chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .text_inputs import is_single_text, read_one_text

if TYPE_CHECKING:
    from .tokenization import TextTokenizer

Message = Mapping[str, Any]
"""What somebody said in a chat: ``role`` and ``content``."""

Chat = list[Message]


def is_single_prompt(inputs: Any) -> bool:
    """Whether ``inputs`` is one text or one chat, rather than several."""
    return is_single_text(inputs) or (isinstance(inputs, list | tuple) and len(inputs) > 0 and is_message(inputs[0]))


def is_message(item: Any) -> bool:
    """Whether ``item`` is a message of a chat."""
    return isinstance(item, Mapping) and "role" in item and "content" in item


def read_prompt(item: Any) -> str | Chat:
    """The text or the chat that ``item`` stands for.

    Raises:
        InputError: it is anything else.
    """
    if is_message(item):
        raise InputError("expected a text or a chat, got one message; a chat is a list of its messages: [message].")
    if isinstance(item, list | tuple) and item and isinstance(item[0], Mapping):
        strange = next((number for number, message in enumerate(item) if not is_message(message)), None)
        if strange is not None:
            keys = ", ".join(map(repr, item[strange])) if isinstance(item[strange], Mapping) else "no dict"
            raise InputError(
                f"message {strange} of the chat has {keys or 'no keys'}; expected a dict with 'role' and 'content'."
            )
        return list(item)
    return read_one_text(item)


def encode_chat(
    tokenizer: TextTokenizer, chat: Sequence[Message], *, continues: bool, name: str, **settings: Any
) -> list[int]:
    """The chat as token ids by the tokenizer's chat template.

    Args:
        tokenizer: of the model.
        chat: messages.
        continues: whether the last message is to be continued, rather than answered.
        name: how errors call the checkpoint.
        settings: what the template takes beside the messages: ``tools``, ``documents`` …

    Raises:
        InputError: there is no chat template, or it does not take these messages.
    """
    live: Any = tokenizer.as_transformers
    if not live.chat_template:
        raise InputError(
            f"a chat was given, but the tokenizer of '{name}' has no chat template; give a text, or a checkpoint that "
            "was trained for chats."
        )
    from jinja2 import TemplateError

    try:
        encoded = live.apply_chat_template(
            list(chat),
            add_generation_prompt=not continues,
            continue_final_message=continues,
            return_dict=True,
            **settings,
        )
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"the chat template of '{name}' does not take this chat: {error}") from error
    return list(encoded["input_ids"])
