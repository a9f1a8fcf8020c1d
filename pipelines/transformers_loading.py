"""Loading through transformers' Auto classes: quietly, completely or not at all, and with errors of ours.

transformers draws at random whatever a checkpoint lacks, and says so in a log. Here that is an error, apart from the
classifier of a model that is about to be fine-tuned.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from .checkpoint_sources import Place, explain_hub_error
from .errors import QuintetError, UsageError, WeightsError
from .integrity import check_snapshot
from .models.building import NETWORK_PREFIX, register_families, regression_labels
from .models.families import own_family
from .weights import check_weight_files, describe_misfit, refused_pickle

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from .tasks import Task


SPAN_ENDS = ("start", "end")
"""What the head of a question answering model scores; transformers builds it for as many as the labels."""


def load_model(
    place: Place,
    raw: Mapping[str, Any],
    task: Task,
    *,
    dtype: torch.dtype | None,
    trust_remote_code: bool,
    new_head: bool = False,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
) -> tuple[PreTrainedModel, frozenset[str]]:
    """The model at ``place`` with the head of ``task``, on the CPU, in evaluation mode; and which weights are new.

    These are the names of the weights that were drawn at random; there are some only with ``new_head``.

    Args:
        place: a folder, or a Hub repository whose files transformers fetches.
        raw: content of its ``config.json``.
        task: whose head it is to have.
        dtype: number format of the weights; None for the checkpoint's own.
        trust_remote_code: whether code in the checkpoint may run.
        new_head: whether a head that is missing, or is for other labels, is drawn at random.
        labels: with ``new_head``, names of the classes in the order of their ids; None keeps the checkpoint's.
        problem_type: with ``new_head``, as transformers names it.

    Raises:
        UsageError: the checkpoint brings code that was not allowed to run.
        WeightsError: it cannot be fetched or read, does not fit its configuration, or has no trained head.
    """
    import transformers

    task = replace(task, auto_model=task.auto_model_for(raw.get("architectures") or ()))
    new_head = new_head and task.auto_model != "AutoModel"  # which has none: all of it is body
    is_own = own_family(raw) is not None
    if is_own:
        register_families()
    if place.repository is None or is_own:
        check_weight_files(place.folder, name=place.name)
    source, options = _source(place, is_own=is_own, trust_remote_code=trust_remote_code)
    with _loading_errors(place, task), _checked_downloads(place), quiet_transformers():
        config = transformers.AutoConfig.from_pretrained(source, **options)
        kept_labels = label_names(config)
        if new_head:
            _set_labels(config, labels, problem_type)
            if task.auto_model == "AutoModelForQuestionAnswering":
                config.num_labels = len(SPAN_ENDS)
        model, report = getattr(transformers, task.auto_model).from_pretrained(
            source,
            config=config,
            dtype=dtype or "auto",
            output_loading_info=True,
            # Keys of another shape are reported with the missing ones, not one at a time.
            ignore_mismatched_sizes=True,
            **options,
        )
    _check_report(model, report, place.name, task, new_head=new_head)
    new = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    if new_head and label_names(config) != kept_labels:
        _draw_head_anew(model)
        new |= {name for name, _ in model.named_parameters() if _is_head(model, name)}
    return model.eval(), frozenset(new)


def load_tokenizer(place: Place, raw: Mapping[str, Any], *, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    """The transformers tokenizer at ``place``.

    Raises:
        UsageError: it brings code that was not allowed to run.
        WeightsError: there is none, or it cannot be fetched or read.
    """
    from transformers import AutoTokenizer

    source, options = _source(place, is_own=own_family(raw) is not None, trust_remote_code=trust_remote_code)
    with _loading_errors(place), _checked_downloads(place), quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
    # Where the files are missing transformers makes an empty tokenizer up, to which every word is unknown.
    if len(tokenizer) <= len(set(tokenizer.all_special_tokens)):
        raise _no_tokenizer(place.name)
    return tokenizer


def load_image_processor(place: Place, *, trust_remote_code: bool) -> Any:
    """The transformers image processor at ``place``, in its form that works with Pillow: torchvision is never needed.

    Raises:
        UsageError: it brings code that was not allowed to run.
        WeightsError: there is none, or it cannot be fetched or read.
    """
    from transformers import AutoImageProcessor

    source, options = _source(place, is_own=False, trust_remote_code=trust_remote_code)
    with _loading_errors(place, missing=_no_image_processor), _checked_downloads(place), quiet_transformers():
        return AutoImageProcessor.from_pretrained(source, backend="pil", **options)


def label_names(config: Any) -> tuple[str, ...]:
    """The names of the classes of a transformers configuration, in the order of their ids."""
    return tuple(str(config.id2label[index]) for index in sorted(config.id2label))


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keeps transformers from printing progress bars and loading reports; what matters in them is in our errors."""
    from transformers.utils import logging

    verbosity, had_progress_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_progress_bar:
            logging.enable_progress_bar()


def _source(place: Place, *, is_own: bool, trust_remote_code: bool) -> tuple[str | Path, dict[str, Any]]:
    """What transformers is told to load, and how. Our own families are in ``place.folder``, and run our code."""
    if is_own or place.repository is None:
        return place.folder, {"trust_remote_code": trust_remote_code and not is_own}
    return place.repository, {"trust_remote_code": trust_remote_code, "revision": place.revision}


@contextmanager
def _checked_downloads(place: Place) -> Iterator[None]:
    """Compares what transformers fetched with the Hub's hashes, also where it could make nothing of it."""
    try:
        yield
    finally:
        if place.repository is not None:
            check_snapshot(place.folder, place.repository)


@contextmanager
def _loading_errors(
    place: Place, task: Task | None = None, missing: Callable[[str], WeightsError] | None = None
) -> Iterator[None]:
    """Turns what transformers raises into errors of ours, while it loads the model for ``task`` or else what prepares
    inputs; ``missing`` makes the one for what is not there or cannot be read, from the checkpoint's name."""
    from huggingface_hub import errors
    from safetensors import SafetensorError

    name = place.name
    try:
        yield
    except QuintetError:
        raise
    except pickle.UnpicklingError as error:
        raise refused_pickle("the weight file", name=name) from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise explain_hub_error(error, place.repository or name, place.revision) from error
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
        ImportError,
        AttributeError,
        TypeError,
        SafetensorError,
    ) as error:
        raise _explain_loading(error, place, task, missing or _no_tokenizer) from error


def _explain_loading(
    error: Exception, place: Place, task: Task | None, missing: Callable[[str], WeightsError]
) -> QuintetError:
    text, name = str(error), place.name
    if "trust_remote_code" in text:
        return UsageError(
            f"checkpoint '{name}' brings its own code, which runs only if you ask for it; read that code, then pass "
            "trust_remote_code=True (--trust-remote-code)."
        )
    if "weights_only" in text or "Weights only load failed" in text:
        return refused_pickle("the weight file", name=name)
    if "for this kind of AutoModel" in text and task is not None:
        return WeightsError(
            f"checkpoint '{name}' is of an architecture for which transformers has no {task.head}; "
            f"expected one that {task.auto_model} loads."
        )
    if "does not recognize this architecture" in text or "Unrecognized model" in text:
        return WeightsError(
            f"config.json of checkpoint '{name}' names no model_type that the installed transformers knows; upgrade "
            "transformers, or fetch the checkpoint again."
        )
    if place.repository is not None and isinstance(error, OSError):
        return explain_hub_error(error, place.repository, place.revision)
    if task is None:
        return missing(name)
    first_line = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return WeightsError(f"checkpoint '{name}' cannot be loaded: {first_line}")


def _no_tokenizer(name: str) -> WeightsError:
    return WeightsError(
        f"checkpoint '{name}' has no tokenizer that transformers can read; save its tokenizer beside the weights, or "
        "give quintet.pipeline another one as tokenizer=."
    )


def _no_image_processor(name: str) -> WeightsError:
    return WeightsError(
        f"checkpoint '{name}' has no image processor that transformers can read (preprocessor_config.json); save it "
        "beside the weights."
    )


def _check_report(model: PreTrainedModel, report: Mapping[str, Any], name: str, task: Task, *, new_head: bool) -> None:
    """Refuses a model of which weights would be random, apart from a new head where one is wanted."""
    missing = sorted(report["missing_keys"])
    misshaped = [(key, tuple(given), tuple(expected)) for key, given, expected in report["mismatched_keys"]]
    if new_head:
        missing = [key for key in missing if not _is_head(model, key) and ".pooler." not in f".{key}"]
        misshaped = [entry for entry in misshaped if not _is_head(model, entry[0])]
    if task.auto_model == "AutoModel":  # whose pooler no task of ours reads
        missing = [key for key in missing if ".pooler." not in f".{key}"]
    misfit = describe_misfit(missing=missing, unexpected=[], misshaped=misshaped)
    if not misfit:
        return
    strange = [*missing, *(entry[0] for entry in misshaped)]
    if task.auto_model != "AutoModel" and all(_is_head(model, key) or ".pooler." in f".{key}" for key in strange):
        way_out = f"use one that was trained for {task.name}."
        if task.recipe is not None:
            command = f"quintet finetune {(*task.aliases, task.name)[0]} --model {name}"
            way_out = f"fine-tune it first: {command} --dataset data.csv --output out/mine"
        raise WeightsError(f"checkpoint '{name}' has no trained {task.head} ({misfit}); {way_out}")
    raise WeightsError(f"the weights of checkpoint '{name}' do not fit its config.json: {misfit}.")


def _is_head(model: PreTrainedModel, key: str) -> bool:
    """Whether a weight belongs to the head, not to the body below it."""
    if key.startswith(NETWORK_PREFIX):
        return key.startswith(f"{NETWORK_PREFIX}classifier.")
    prefix = model.base_model_prefix
    return bool(prefix) and not key.startswith(f"{prefix}.")


def _draw_head_anew(model: PreTrainedModel) -> None:
    """Forgets a classifier that was trained for other labels."""
    for name, module in model.named_modules():
        parameters = list(module.parameters(recurse=False))
        if parameters and _is_head(model, f"{name}."):
            for parameter in parameters:
                parameter._is_hf_initialized = False  # type: ignore[attr-defined]
            with torch.no_grad():
                model._init_weights(module)


def _set_labels(config: Any, labels: Sequence[str] | None, problem_type: str | None) -> None:
    if problem_type is not None:
        config.problem_type = problem_type
    if labels is None and problem_type == "regression":
        labels = regression_labels(1)
    if labels is not None:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
