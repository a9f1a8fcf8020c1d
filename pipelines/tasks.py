"""The table of tasks: one row a task, plain data, no imports of anything heavy.

A row names the pipeline class and the training recipe as ``module:Class`` strings, so that printing the table
does not load them. Adding a task is adding a row here and the two files it names; CONTRIBUTING.md has the checklist.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from .errors import UsageError, unknown_name

TEXT_KINDS = ("text", "tokens", "answers", "document")
"""Of the kinds of columns those that hold texts."""


@dataclass(frozen=True)
class Column:
    """A column that a task reads.

    Attributes:
        name: the task's own word for it; ``--columns name=theirs`` maps a data set's column to it.
        kind: what it holds: a text, the words of a text as a list (``tokens``; a text will do where there is nothing to
            learn), a label, a label for each word (``tags``), texts with their places in another one (``answers``), the
            one text among all of the column that is to be found (``document``), a picture (``image``), a class index
            for each pixel of one (``mask``), or boxes in one with their classes (``objects``).
        role: whether the task reads it or is to find it out; training needs every ``target``.
        required: whether the task can do without it when running.
        is_learnt: whether training and measuring need it; None where that is so for a target and whatever is required.
        synonyms: names under which public data sets keep it, tried in this order when none is given.
    """

    name: str
    kind: Literal["text", "tokens", "label", "tags", "answers", "document", "image", "mask", "objects"]
    role: Literal["input", "target"] = "input"
    required: bool = True
    synonyms: tuple[str, ...] = ()
    is_learnt: bool | None = None

    @property
    def needed_to_learn(self) -> bool:
        """Whether training and measuring need it."""
        return self.required or self.role == "target" if self.is_learnt is None else self.is_learnt


@dataclass(frozen=True)
class Task:
    """A row of the table of tasks.

    Attributes:
        name: the task's name, in kebab-case, as transformers calls it where it has the task.
        aliases: other names that mean the same row.
        summary: what it does, in a few words.
        pipeline: ``module:Class`` under ``quintet.pipelines``.
        recipe: ``module:Class`` under ``quintet.finetune``; None for a task that can only be run so far.
        columns: what it reads from a data set.
        families: names of model families (``quintet models``) that can be trained for it from scratch.
        default: names of the embedded checkpoints used when no model is given; the pipeline chooses between several
            per input.
        metric: the name of the metric by which the best checkpoint is kept.
        pipeline_tag: the Hub's name of the task.
        auto_model: the Auto class of transformers that loads a checkpoint with the head of this task.
        architectures: how class names of such models end; a checkpoint that does not name its task is told by them.
        head: what the trained head is called in messages.
        accepts: other tasks whose checkpoints do as well; ``*`` for those of any task.
        pattern: regular expression of names that mean this row and say options of it, which are the named groups.
        variants: Auto classes for checkpoints that the task takes with another head: (how class names of such models
            end, the Auto class).
        untrained: why it has no recipe, where it never will.
        asks_in_words: whether texts come with a call beside what the columns hold, so that a tokenizer is needed.
        text_unit: what a row of a plain text file is in training unless asked otherwise, see `record_files.TEXT_UNITS`.
        learns_from_documents: whether its first column will do, if it holds documents: it makes its own rows of these.
    """

    name: str
    aliases: tuple[str, ...]
    summary: str
    pipeline: str
    recipe: str | None
    columns: tuple[Column, ...]
    families: tuple[str, ...]
    default: tuple[str, ...]
    metric: str
    pipeline_tag: str
    auto_model: str
    architectures: tuple[str, ...]
    head: str
    accepts: tuple[str, ...] = ()
    variants: tuple[tuple[str, str], ...] = ()
    pattern: str = ""
    untrained: str = ""
    text_unit: Literal["lines", "documents", "blocks"] = "lines"
    asks_in_words: bool = False
    learns_from_documents: bool = False

    def auto_model_for(self, architectures: Sequence[str]) -> str:
        """The Auto class that loads a checkpoint of these ``architectures``, as its ``config.json`` has them."""
        for ending, auto_model in self.variants:
            if any(name.endswith(ending) for name in architectures):
                return auto_model
        return self.auto_model

    @property
    def target(self) -> Column | None:
        """The column that the task is to find out; None for one that only reads."""
        return next((column for column in self.columns if column.role == "target"), None)

    @property
    def reads_pictures(self) -> bool:
        """Whether pictures are among what it reads."""
        return any(column.kind == "image" for column in self.columns if column.role == "input")

    @property
    def reads_texts(self) -> bool:
        """Whether texts are among what it reads or writes, so that a tokenizer is needed."""
        return self.asks_in_words or any(column.kind in TEXT_KINDS for column in self.columns)

    def load_pipeline(self) -> type:
        """The pipeline class of this task."""
        return _load(".", self.pipeline)

    def load_recipe(self) -> type:
        """The training recipe class of this task.

        Raises:
            UsageError: it has none.
        """
        if self.untrained:
            raise UsageError(f"{self.name} {self.untrained}.")
        if self.recipe is None:
            trained = ", ".join(task.name for task in TASKS if task.recipe is not None)
            raise UsageError(f"{self.name} can be run, but not trained or measured yet; tasks that can: {trained}.")
        return _load("..finetune.", self.recipe)


def _load(package: str, dotted: str) -> type:
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(f"{package}{module}", __package__), name)


TASKS: tuple[Task, ...] = (
    Task(
        name="text-classification",
        aliases=("sentiment", "sentiment-analysis", "sentence-pair", "paraphrase"),
        summary="one label, or scores of all labels, for a text or a pair of texts",
        pipeline="text_classification:TextClassificationPipeline",
        recipe="text_classification:TextClassificationRecipe",
        columns=(
            Column(
                "text",
                "text",
                synonyms=(
                    "sentence",
                    "review",
                    "content",
                    "comment",
                    "document",
                    "body",
                    "sentence1",
                    "premise",
                    "question1",
                ),
            ),
            Column("text_pair", "text", required=False, synonyms=("sentence2", "hypothesis", "question2")),
            Column("label", "label", "target", synonyms=("labels", "class", "category", "sentiment", "target")),
        ),
        families=("rnn", "lstm", "gru", "textcnn", "transformer", "bert-tiny", "bert-mini", "bert-small"),
        default=("sentiment-en", "sentiment-zh"),
        metric="accuracy",
        pipeline_tag="text-classification",
        auto_model="AutoModelForSequenceClassification",
        architectures=("ForSequenceClassification",),
        head="text classifier",
    ),
    Task(
        name="token-classification",
        aliases=("ner", "pos"),
        summary="a label for each word or token of a text, or the entities that they make up",
        pipeline="token_classification:TokenClassificationPipeline",
        recipe="token_classification:TokenClassificationRecipe",
        columns=(
            Column("tokens", "tokens", synonyms=("words", "text", "sentence")),
            Column("tags", "tags", "target", synonyms=("ner_tags", "labels", "ner", "pos_tags", "tag")),
        ),
        families=("bilstm-crf", "transformer", "bert-tiny", "bert-mini", "bert-small"),
        default=("dbmdz/bert-large-cased-finetuned-conll03-english@4c53496",),
        metric="f1",
        pipeline_tag="token-classification",
        auto_model="AutoModelForTokenClassification",
        architectures=("ForTokenClassification",),
        head="token classifier",
    ),
    Task(
        name="question-answering",
        aliases=("qa", "extractive-qa"),
        summary="the part of a context that answers a question, with its place",
        pipeline="question_answering:QuestionAnsweringPipeline",
        recipe="question_answering:QuestionAnsweringRecipe",
        columns=(
            Column("question", "text", synonyms=("query",)),
            Column("context", "text", synonyms=("passage", "paragraph", "document")),
            Column("answers", "answers", "target"),
        ),
        families=("bidaf", "bert-tiny", "bert-mini", "bert-small"),
        default=("distilbert/distilbert-base-cased-distilled-squad@564e9b5",),  # transformers 4's own default
        metric="f1",
        pipeline_tag="question-answering",
        auto_model="AutoModelForQuestionAnswering",
        architectures=("ForQuestionAnswering", "ForQuestionAnsweringSimple"),
        head="question answering head",
    ),
    Task(
        name="fill-mask",
        aliases=("masked-language-modeling",),
        summary="the words that best fill each mask of a text",
        pipeline="fill_mask:FillMaskPipeline",
        recipe="fill_mask:FillMaskRecipe",
        columns=(Column("text", "text", synonyms=("sentence", "content", "document", "body")),),
        families=("bert-tiny", "bert-mini", "bert-small"),
        default=("distilbert/distilroberta-base@fb53ab8",),
        metric="perplexity",
        pipeline_tag="fill-mask",
        auto_model="AutoModelForMaskedLM",
        architectures=("ForMaskedLM",),
        head="head for masked words",
    ),
    Task(
        name="feature-extraction",
        aliases=(),
        summary="a vector for each token of a text",
        pipeline="feature_extraction:FeatureExtractionPipeline",
        recipe=None,
        untrained="gives a vector for each token and has no target, so there is nothing to train or to measure; for "
        "vectors of texts, which can be, use sentence-similarity",
        columns=(Column("text", "text", synonyms=("sentence", "content", "document", "body")),),
        families=(),
        default=("distilbert/distilbert-base-cased@6ea8117",),
        metric="spearman",
        pipeline_tag="feature-extraction",
        auto_model="AutoModel",
        architectures=(),
        head="encoder",
        accepts=("*",),
    ),
    Task(
        name="sentence-similarity",
        aliases=("embeddings",),
        summary="a vector for each text, or how alike two texts are",
        pipeline="sentence_similarity:SentenceSimilarityPipeline",
        recipe="sentence_similarity:SentenceSimilarityRecipe",
        columns=(
            Column(
                "text",
                "text",
                synonyms=("sentence", "sentence1", "anchor", "query", "question", "content", "document", "body"),
            ),
            Column(
                "text_pair",
                "text",
                required=False,
                synonyms=("sentence2", "positive"),
                is_learnt=True,
            ),
            Column(
                "score",
                "label",
                "target",
                required=False,
                synonyms=("similarity", "similarity_score", "label", "labels"),
                is_learnt=False,
            ),
        ),
        families=("rnn", "lstm", "gru"),
        default=(),
        metric="spearman",
        pipeline_tag="sentence-similarity",
        auto_model="AutoModel",
        architectures=(),
        head="encoder",
        accepts=("*",),
    ),
    Task(
        name="zero-shot-classification",
        aliases=(),
        summary="scores of labels that come with the call, for a text",
        pipeline="zero_shot_classification:ZeroShotClassificationPipeline",
        recipe="zero_shot_classification:ZeroShotRecipe",
        columns=(
            Column("text", "text", synonyms=("sentence", "review", "content", "comment", "document", "body")),
            Column("label", "label", "target", required=False, synonyms=("labels", "class", "category")),
        ),
        families=(),
        default=("facebook/bart-large-mnli@d7645e1",),
        metric="accuracy",
        pipeline_tag="zero-shot-classification",
        auto_model="AutoModelForSequenceClassification",
        architectures=(),
        head="text classifier",
        accepts=("text-classification",),
    ),
    Task(
        name="text-ranking",
        aliases=("semantic-search",),
        summary="the documents that answer a query best",
        pipeline="text_ranking:TextRankingPipeline",
        recipe="text_ranking:TextRankingRecipe",
        columns=(
            Column("query", "text", synonyms=("question", "anchor", "search", "text", "sentence")),
            Column(
                "document",
                "document",
                "target",
                required=False,
                synonyms=("passage", "context", "positive", "content", "body", "answer"),
            ),
        ),
        families=("rnn", "lstm", "gru"),
        default=(),
        metric="recall@10",
        pipeline_tag="text-ranking",
        auto_model="AutoModel",
        variants=(("ForSequenceClassification", "AutoModelForSequenceClassification"),),
        architectures=(),
        head="encoder",
        accepts=("*",),
    ),
    Task(
        name="next-sentence-prediction",
        aliases=(),
        summary="whether one text follows another",
        pipeline="next_sentence_prediction:NextSentencePredictionPipeline",
        recipe="next_sentence_prediction:NextSentencePredictionRecipe",
        columns=(
            Column("text", "text", synonyms=("sentence1", "first", "premise")),
            Column("text_pair", "text", synonyms=("sentence2", "second", "next", "hypothesis")),
            Column("label", "label", "target", required=False, synonyms=("labels", "is_next")),
        ),
        families=("bert-tiny", "bert-mini", "bert-small"),
        default=(),
        metric="accuracy",
        pipeline_tag="text-classification",
        auto_model="AutoModelForNextSentencePrediction",
        architectures=("ForNextSentencePrediction",),
        head="next sentence head",
        text_unit="documents",
        learns_from_documents=True,
    ),
    Task(
        name="text-generation",
        aliases=("text-completion",),
        summary="a text or a chat continued, as a whole or piece by piece",
        pipeline="text_generation:TextGenerationPipeline",
        recipe="text_generation:TextGenerationRecipe",
        columns=(Column("text", "text", synonyms=("prompt", "messages", "content", "document", "sentence", "story")),),
        families=("lstm-lm", "gru-lm", "gpt2-mini"),
        default=("HuggingFaceTB/SmolLM3-3B@a07cc9a",),
        metric="perplexity",
        pipeline_tag="text-generation",
        auto_model="AutoModelForCausalLM",
        architectures=("ForCausalLM", "LMHeadModel"),
        head="language model",
        text_unit="blocks",
    ),
    Task(
        name="text2text-generation",
        aliases=("text-to-text",),
        summary="a text rewritten as another one, as the checkpoint was trained to",
        pipeline="text2text_generation:Text2TextGenerationPipeline",
        recipe="text2text_generation:Text2TextGenerationRecipe",
        columns=(
            Column("text", "text", synonyms=("input", "inputs", "source", "question", "prompt", "sentence")),
            Column("target", "text", "target", synonyms=("output", "targets", "label", "answer", "response")),
        ),
        families=("transformer-seq2seq", "lstm-seq2seq"),
        default=("google-t5/t5-base@686f1db",),  # transformers 4's own default, as of the two tasks below
        metric="loss",
        pipeline_tag="text-generation",
        auto_model="AutoModelForSeq2SeqLM",
        architectures=("ForConditionalGeneration", "T5WithLMHeadModel"),
        head="encoder-decoder",
        accepts=("translation", "summarization"),
    ),
    Task(
        name="translation",
        aliases=("translate",),
        summary="a text in another language; translation_en_to_de names both",
        pipeline="translation:TranslationPipeline",
        recipe="translation:TranslationRecipe",
        columns=(
            Column("text", "text", synonyms=("source", "src", "sentence", "en")),
            Column("target", "text", "target", synonyms=("translation", "tgt", "reference", "de", "fr", "zh")),
        ),
        families=("transformer-seq2seq", "lstm-seq2seq"),
        default=("google-t5/t5-base@686f1db",),
        metric="loss",
        pipeline_tag="translation",
        auto_model="AutoModelForSeq2SeqLM",
        architectures=("MTModel",),
        head="translation model",
        accepts=("text2text-generation", "summarization"),
        pattern=r"translation_(?P<src_lang>.+)_to_(?P<tgt_lang>.+)",
    ),
    Task(
        name="summarization",
        aliases=("summarize",),
        summary="a long text in few sentences",
        pipeline="summarization:SummarizationPipeline",
        recipe="summarization:SummarizationRecipe",
        columns=(
            Column("text", "text", synonyms=("document", "article", "dialogue", "content", "body", "source")),
            Column("target", "text", "target", synonyms=("summary", "highlights", "abstract", "headline")),
        ),
        families=("transformer-seq2seq", "lstm-seq2seq"),
        default=("sshleifer/distilbart-cnn-12-6@a4f8f3e",),
        metric="loss",
        pipeline_tag="summarization",
        auto_model="AutoModelForSeq2SeqLM",
        architectures=(),
        head="summarization model",
        accepts=("text2text-generation", "translation"),
    ),
    Task(
        name="image-classification",
        aliases=(),
        summary="one label, or scores of all labels, for a picture",
        pipeline="image_classification:ImageClassificationPipeline",
        recipe="image_classification:ImageClassificationRecipe",
        columns=(
            Column("image", "image", synonyms=("img", "picture", "photo", "file_name", "file", "path", "filename")),
            Column("label", "label", "target", synonyms=("labels", "class", "category", "target", "fine_label")),
        ),
        families=(
            "lenet5",
            "alexnet",
            *(f"vgg{depth}" for depth in (9, 11, 13, 16, 19)),
            *(f"resnet-{depth}" for depth in (20, 32, 44, 56, 110, 18, 50)),
            "vit-tiny",
        ),
        default=("google/vit-base-patch16-224@3f49326",),
        metric="accuracy",
        pipeline_tag="image-classification",
        auto_model="AutoModelForImageClassification",
        architectures=("ForImageClassification",),
        head="image classifier",
    ),
    Task(
        name="image-segmentation",
        aliases=("semantic-segmentation",),
        summary="the class of each pixel of a picture, as a mask for each class or object",
        pipeline="image_segmentation:ImageSegmentationPipeline",
        recipe="image_segmentation:ImageSegmentationRecipe",
        columns=(
            Column("image", "image", synonyms=("img", "picture", "photo", "file_name", "pixel_values")),
            Column("mask", "mask", "target", synonyms=("label", "annotation", "segmentation_map", "labels", "masks")),
        ),
        families=("unet",),
        default=("facebook/detr-resnet-50-panoptic@d53b52a",),
        metric="mean_iou",
        pipeline_tag="image-segmentation",
        auto_model="AutoModelForSemanticSegmentation",
        architectures=(
            "ForSemanticSegmentation",
            "ForInstanceSegmentation",
            "ForUniversalSegmentation",
            "ForSegmentation",
        ),
        variants=(
            ("ForInstanceSegmentation", "AutoModelForInstanceSegmentation"),
            ("ForUniversalSegmentation", "AutoModelForUniversalSegmentation"),
            ("ForSegmentation", "AutoModelForImageSegmentation"),
        ),
        head="segmentation head",
    ),
    Task(
        name="object-detection",
        aliases=("detection",),
        summary="the objects in a picture, each with its box, label and score",
        pipeline="object_detection:ObjectDetectionPipeline",
        recipe="object_detection:ObjectDetectionRecipe",
        columns=(
            Column("image", "image", synonyms=("img", "picture", "photo", "file_name", "file", "path", "filename")),
            Column("objects", "objects", "target", synonyms=("annotations", "object", "boxes", "labels", "target")),
        ),
        families=("yolo-small", "faster-rcnn-small"),
        default=("facebook/detr-resnet-50@1d5f47b",),  # transformers' own default
        metric="ap",
        pipeline_tag="object-detection",
        auto_model="AutoModelForObjectDetection",
        architectures=("ForObjectDetection",),
        head="detector",
    ),
    Task(
        name="zero-shot-image-classification",
        aliases=(),
        summary="one of the labels that come with the call, for a picture",
        pipeline="zero_shot_image_classification:ZeroShotImageClassificationPipeline",
        recipe=None,
        columns=(Column("image", "image", synonyms=("img", "picture", "photo")),),
        families=(),
        default=("openai/clip-vit-base-patch32@3d74acf",),
        metric="accuracy",
        pipeline_tag="zero-shot-image-classification",
        auto_model="AutoModelForZeroShotImageClassification",
        architectures=("CLIPModel", "SiglipModel", "Siglip2Model", "AltCLIPModel", "ChineseCLIPModel"),
        head="model of pictures and texts",
        asks_in_words=True,
    ),
    Task(
        name="image-feature-extraction",
        aliases=("image-embeddings",),
        summary="the vectors that an encoder makes of a picture",
        pipeline="image_feature_extraction:ImageFeatureExtractionPipeline",
        recipe=None,
        columns=(Column("image", "image", synonyms=("img", "picture", "photo")),),
        families=(),
        default=("google/vit-base-patch16-224@3f49326",),
        metric="accuracy",
        pipeline_tag="image-feature-extraction",
        auto_model="AutoModel",
        architectures=(),
        head="encoder of pictures",
        accepts=("*",),
        untrained="has nothing to be trained: it gives the vectors that an encoder has",
    ),
    Task(
        name="depth-estimation",
        aliases=(),
        summary="how far away each pixel of a picture is",
        pipeline="depth_estimation:DepthEstimationPipeline",
        recipe=None,
        columns=(Column("image", "image", synonyms=("img", "picture", "photo")),),
        families=(),
        default=("Intel/dpt-large@bc15f29",),
        metric="loss",
        pipeline_tag="depth-estimation",
        auto_model="AutoModelForDepthEstimation",
        architectures=("ForDepthEstimation",),
        head="depth head",
    ),
)


def find_task(name: str) -> Task:
    """The row whose name or alias is ``name``.

    Raises:
        UnknownNameError: no row has that name; the message suggests the nearest ones.
    """
    for task in TASKS:
        if name == task.name or name in task.aliases or (task.pattern and re.fullmatch(task.pattern, name)):
            return task
    known = [known for task in TASKS for known in (task.name, *task.aliases)]
    raise unknown_name("task", name, known, hint="`quintet tasks` lists them.")


def task_options(name: str) -> dict[str, str]:
    """What a task's name says beside the task.

    >>> task_options("translation_en_to_de")
    {'src_lang': 'en', 'tgt_lang': 'de'}
    """
    match = next((match for task in TASKS if task.pattern and (match := re.fullmatch(task.pattern, name))), None)
    return match.groupdict() if match else {}


def in_languages(task: Task, languages: Mapping[str, str]) -> Task:
    """``task`` with its columns found under the names of languages, as data sets of translations have them.

    Args:
        task: the row.
        languages: ``src_lang`` and ``tgt_lang``, as `task_options` gives them; where empty, the row is as it was.
    """
    codes = {"input": languages.get("src_lang"), "target": languages.get("tgt_lang")}

    def named(column: Column) -> Column:
        code = codes[column.role]
        if code is None:
            return column
        # en_XX and eng_Latn may be called en and eng; no other language must be taken for it
        names = dict.fromkeys((code, re.split("[-_]", code)[0]))
        return replace(column, synonyms=(*names, *(name for name in column.synonyms if len(name) > 2)))

    return replace(task, columns=tuple(map(named, task.columns)))


def task_rows() -> list[dict[str, Any]]:
    """The table as plain rows, for ``quintet.tasks()`` and ``quintet tasks --json``; defaults comma-joined."""
    return [
        {
            "name": task.name,
            "aliases": list(task.aliases),
            "summary": task.summary,
            "families": list(task.families),
            "default": ",".join(task.default),
        }
        for task in TASKS
    ]
