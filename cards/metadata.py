"""The front matter of a card: what the Hub indexes, from facts. Plain dicts and YAML.

huggingface_hub's ``ModelCardData`` is not used: it groups results by data set, split and revision alone, and drops
the second source of a group and every key that it does not know.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from .architectures import ARCHITECTURES, is_own_family
from .facts import DataFacts, EvaluationFacts, RunFacts
from .languages import is_language
from .vector_usage import VECTOR_TASKS

LICENCES = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0
    eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 grok2-community h-research
    intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit
    mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openmdw-1.0 openmdw-1.1 openrail openrail++ osl-3.0 other pddl postgresql
    unknown unlicense wtfpl zlib
    """.split()  # noqa: SIM905
)
"""The licences that the Hub takes (hub-docs, repositories-licenses); it refuses a card with any other word."""

HUB_TASKS = {"next-sentence-prediction": "text-classification", "text2text-generation": "text-generation"}
"""Tasks that the Hub has no word for -> the nearest one of `PIPELINE_TAGS`."""

PIPELINE_TAGS = frozenset(
    """
    any-to-any audio-classification audio-text-to-text audio-to-audio automatic-speech-recognition depth-estimation
    document-question-answering feature-extraction fill-mask graph-ml image-classification image-feature-extraction
    image-segmentation image-text-to-text image-to-3d image-to-image image-to-text image-to-video keypoint-detection
    mask-generation object-detection question-answering reinforcement-learning robotics sentence-similarity
    summarization table-question-answering tabular-classification tabular-regression text-classification
    text-generation text-ranking text-to-3d text-to-audio text-to-image text-to-speech text-to-video
    time-series-forecasting token-classification translation unconditional-image-generation video-classification
    video-text-to-text visual-document-retrieval visual-question-answering voice-activity-detection
    zero-shot-classification zero-shot-image-classification zero-shot-object-detection
    """.split()  # noqa: SIM905
)
"""The tasks that the Hub knows."""

METRIC_IDS = {
    "accuracy": "accuracy",
    "subset_accuracy": "accuracy",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "macro_precision": "precision",
    "micro_precision": "precision",
    "macro_recall": "recall",
    "micro_recall": "recall",
    "auroc": "roc_auc",
    "mse": "mse",
    "mae": "mae",
    "r2": "r_squared",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
    "perplexity": "perplexity",
    "sacrebleu": "sacrebleu",
    "chrf": "chrf",
    "rouge1": "rouge",
    "rouge2": "rouge",
    "rougeL": "rouge",
    "exact_match": "exact_match",
    "f1": "f1",
    "precision": "precision",
    "recall": "recall",
}
"""Our metrics under the names that the Hub has for them; it has none for the others."""

METRIC_TITLES = {
    "accuracy": "accuracy",
    "subset_accuracy": "all labels of a row right",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "f1": "F1",
    "has_answer_f1": "F1 where there is an answer",
    "has_answer_exact_match": "exact match where there is an answer",
    "no_answer_exact_match": "exact match where there is none",
    "auroc": "AUROC",
    "sacrebleu": "BLEU (sacreBLEU)",
    "chrf": "chrF",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "bits_per_character": "bits per character",
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ece": "expected calibration error",
    "log_loss": "log loss",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "r2": "R²",
    "pearson": "Pearson's correlation",
    "spearman": "Spearman's correlation",
    "mrr@10": "MRR@10",
}
"""Names for people; of the others the underscores become spaces."""

MOST_ANSWERS = 5
"""Labels of an example in the widget: the best ones."""

REPOSITORY = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
"""A Hub id: ``me/name``, or ``name`` alone for the oldest ones."""

COMPUTED_KEYS = (
    "license",
    "license_name",
    "license_link",
    "language",
    "library_name",
    "pipeline_tag",
    "base_model",
    "base_model_relation",
    "datasets",
    "metrics",
    "tags",
    "widget",
    "model-index",
)
"""Keys that `metadata` may give, in their order."""


OWN_TAGS = frozenset({"quintet", "sentiment-analysis", "distillation", *ARCHITECTURES})
"""Tags that facts decide; all others are a person's."""


def metadata(facts: RunFacts, repository: str | None = None) -> dict[str, Any]:
    """The front matter as a dict, in the order of `COMPUTED_KEYS`; what is unknown has no key.

    Args:
        facts: of the checkpoint.
        repository: Hub id that names the model in its index of results; default: the name of the checkpoint.
    """
    name = (repository or facts.repository or facts.checkpoint_name).rpartition("/")[2]
    languages = [code for code in facts.languages or () if is_language(code)]
    base = facts.base_model if is_hub_id(facts.base_model, facts.base_revision) else None
    indexed = results(facts)
    measured = [metric.name for evaluation in indexed_evaluations(facts) for metric in evaluation.metrics]
    values = {
        "license": facts.licence,
        "license_name": facts.licence_name,
        "license_link": facts.licence_link,
        "language": languages[0] if len(languages) == 1 else languages,
        "library_name": _library(facts),
        "pipeline_tag": _hub_task(facts),
        "base_model": base,
        "base_model_relation": "finetune" if base else None,
        "datasets": _datasets(facts.data),
        "metrics": list(dict.fromkeys(filter(None, map(metric_id, measured)))),
        "tags": _tags(facts),
        "widget": widget(facts),
        "model-index": [{"name": name, "results": indexed}] if indexed else None,
    }
    return {key: values[key] for key in COMPUTED_KEYS if values[key]}


def results(facts: RunFacts) -> list[dict[str, Any]]:
    """The results in the model index: one for each of `indexed_evaluations`, in their order."""
    return [_result(facts, evaluation) for evaluation in indexed_evaluations(facts)]


def front_matter(values: Mapping[str, Any]) -> str:
    """``values`` as YAML between two lines of three dashes; the same values give the same bytes."""
    # a width beyond any line, for folded strings are hard to read and to compare
    text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=100_000, default_flow_style=False)
    return f"---\n{text}---\n"


def is_hub_id(name: str | None, revision: str | None = None) -> bool:
    """Whether ``name`` of a model or data set is one on the Hub, rather than the base name of something local.

    Args:
        name: as in the facts.
        revision: commit on the Hub, which only what is there has.
    """
    if name is None or not REPOSITORY.fullmatch(name):
        return False
    return "/" in name or revision is not None


def metric_title(name: str) -> str:
    """A metric's name for people: ``macro F1`` for ``macro_f1``."""
    kind, _, label = name.partition(":")
    if kind == "f1" and label:
        return f"F1 of {label}"
    return METRIC_TITLES.get(name, name.replace("_", " "))


def metric_id(name: str) -> str | None:
    """The Hub's name for a metric: ``f1`` also for that of one class; None where it has none."""
    return METRIC_IDS.get(name, "f1" if name.startswith("f1:") else None)


def chosen_on(facts: RunFacts, evaluation: EvaluationFacts) -> bool:
    """Whether the rows of ``evaluation`` chose the checkpoint, or some of them did: its numbers may read too well."""
    validation = facts.data.split("validation") if facts.data is not None else None
    if facts.data is None or validation is None:
        return False
    name, is_same_data = evaluation.split.partition("[")[0], evaluation.data_name == facts.data.name
    is_part = is_same_data and name == "validation" == (facts.settings.get("validation_split") or "validation")
    return is_part or validation.fingerprint == evaluation.fingerprint


def shown_evaluations(facts: RunFacts) -> list[EvaluationFacts]:
    """All evaluations in the order in which a card shows them: the main one first."""
    main = main_evaluation(facts)
    return [] if main is None else [main, *(one for one in facts.evaluations if one is not main)]


def indexed_evaluations(facts: RunFacts) -> list[EvaluationFacts]:
    """The evaluations that go into the model index: the main one first, and none whose rows chose the weights.

    What chose the weights may read too well, and the index has no place to say so; the body shows it with that remark.
    """
    return [one for one in shown_evaluations(facts) if not chosen_on(facts, one)]


def main_evaluation(facts: RunFacts) -> EvaluationFacts | None:
    """The evaluation to show first: of the run's own test split, else the first one that chose nothing, else any."""
    test = facts.data.split("test") if facts.data is not None else None
    own = [one for one in facts.evaluations if test is not None and one.fingerprint == test.fingerprint]
    free = [one for one in facts.evaluations if not chosen_on(facts, one)]
    return next(iter([*own, *free, *facts.evaluations]), None)


def widget(facts: RunFacts, most: int | None = MOST_ANSWERS) -> list[dict[str, Any]]:
    """Examples with their answers, which the Hub shows although nobody there runs the model; of single texts only.

    Args:
        facts: of the checkpoint.
        most: answers of an example, the best ones; None for all of them, as older cards have.
    """
    return [
        {
            "text": example.inputs["text"],
            "output": [
                {"label": each.get("label", each.get("token_str")), "score": round(each["score"], 4)}
                for each in sorted(example.outputs, key=lambda each: -each["score"])[:most]
            ],
        }
        for example in facts.examples
        if set(example.inputs) == {"text"} and all(map(_has_score, example.outputs))
    ]


def _has_score(answer: Mapping[str, Any]) -> bool:
    """Whether an answer is a label, or a word for a mask, with its score."""
    return "score" in answer and ("label" in answer or "token_str" in answer)


def _library(facts: RunFacts) -> str:
    if is_own_family(facts.family):
        return "quintet"
    return "sentence-transformers" if facts.task in VECTOR_TASKS and facts.training is not None else "transformers"


def as_list(value: Any) -> list[Any]:
    """A value of a front matter where one may stand for a list of one; none is an empty list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def is_number(value: Any) -> bool:
    """Whether a value of a front matter is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _hub_task(facts: RunFacts) -> str | None:
    """The Hub's word for the task; None where it has none."""
    name = HUB_TASKS.get(facts.task, facts.task)
    return name if name in PIPELINE_TAGS else None


def _datasets(data: DataFacts | None) -> list[str]:
    if data is None or data.kind != "hub":
        return []
    return [name for name in data.name.split(",") if is_hub_id(name, data.revision or "main")]


def _tags(facts: RunFacts) -> list[str]:
    is_sentiment = facts.settings.get("task") in ("sentiment", "sentiment-analysis")
    tags = ["quintet", "sentiment-analysis" if is_sentiment else None, facts.family]
    tags.append("distillation" if facts.teacher else None)
    return [tag for tag in dict.fromkeys(tags) if tag]


def _result(facts: RunFacts, evaluation: EvaluationFacts) -> dict[str, Any]:
    data = evaluation.data or facts.data
    on_hub = data is not None and data.kind == "hub" and is_hub_id(evaluation.data_name, data.revision or "main")
    dataset: dict[str, Any] = {
        # The Hub wants an id here. Without the prefix a file `imdb.csv` would be indexed as the data set imdb.
        "type": evaluation.data_name if on_hub else f"local-{_slug(evaluation.data_name)}",
        "name": evaluation.data_name or "not recorded",
        "config": data.config if data is not None else None,
        "split": evaluation.split,
        "revision": data.revision if data is not None else None,
    }
    return {
        "task": {"type": _hub_task(facts) or "other", "name": facts.task.replace("-", " ")},
        "dataset": {key: value for key, value in dataset.items() if value is not None},
        "metrics": [
            {"type": metric_id(metric.name) or metric.name, "value": metric.value, "name": metric_title(metric.name)}
            for metric in evaluation.metrics
        ],
    }


def _slug(name: str) -> str:
    first: Sequence[str] = [part.rpartition(".")[0] or part for part in name.split(",")]
    return re.sub(r"[^\w.-]+", "-", "-".join(first), flags=re.ASCII).strip("-.") or "unnamed"
