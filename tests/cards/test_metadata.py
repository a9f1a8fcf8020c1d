"""The front matter, against the rules of the Hub and the tables of the rest of Quintet."""

from dataclasses import replace

import pytest
import yaml
from loopback_hub import LICENSES, card_errors
from quintet.cards.architectures import ARCHITECTURES, find_architecture, is_own_family
from quintet.cards.facts import DataFacts, EvaluationFacts, MetricFact, RunFacts, SplitFacts
from quintet.cards.languages import LANGUAGES, is_language
from quintet.cards.metadata import (
    COMPUTED_KEYS,
    LICENCES,
    front_matter,
    indexed_evaluations,
    main_evaluation,
    metadata,
    metric_id,
    metric_title,
    results,
)
from quintet.cards.phrases import metric_phrase
from quintet.cards.render import merged, render
from quintet.finetune.label_learning import known_metrics
from quintet.pipelines.models.families import FAMILIES
from quintet.pipelines.tasks import TASKS

PLAIN = RunFacts(task="text-classification", checkpoint_name="reviews", family="lstm")


def measured(split: str, value: float, *, data: DataFacts | None = None, name: str = "reviews.csv") -> EvaluationFacts:
    return EvaluationFacts(
        split=split,
        count=10,
        data_name=data.name if data else name,
        fingerprint=f"{name}{split}",
        metrics=(MetricFact("accuracy", value), MetricFact("ece", 0.1, higher_is_better=False)),
        data=data,
    )


def test_the_licences_are_those_of_the_hub():
    assert set(LICENSES) == LICENCES
    assert len(LICENCES) >= 80


def test_every_task_has_its_tag():
    for task in TASKS:
        assert metadata(replace(PLAIN, task=task.name))["pipeline_tag"] == task.pipeline_tag
    assert "pipeline_tag" not in metadata(replace(PLAIN, task="time-travel"))


def test_every_family_has_its_paper_and_says_whether_its_code_is_ours():
    assert len(FAMILIES) >= 8
    for family in FAMILIES:
        architecture = find_architecture(family.name)
        assert architecture is not None, family.name
        assert architecture.is_own == (family.network is not None)
        assert is_own_family(family.model_type) == (family.network is not None)
        assert str(architecture.year) in family.paper or "Turc" in family.paper
    for architecture in ARCHITECTURES.values():
        assert architecture.bibtex.startswith("@")
        assert architecture.bibtex.count("{") == architecture.bibtex.count("}")


def test_a_model_of_our_own_is_for_our_library_and_others_for_transformers():
    assert metadata(PLAIN)["library_name"] == "quintet"
    assert metadata(replace(PLAIN, family="bert-mini"))["library_name"] == "transformers"
    assert metadata(replace(PLAIN, family="quintet-recurrent"))["library_name"] == "quintet"


@pytest.mark.parametrize(
    ("name", "revision", "expected"),
    [
        ("org/base", None, "org/base"),
        ("org/base", "c0ffee", "org/base"),
        ("bert-base-uncased", "c0ffee", "bert-base-uncased"),
        ("my-folder", None, None),
        ("my folder", "c0ffee", None),
    ],
)
def test_only_a_base_model_on_the_hub_is_named(name, revision, expected):
    values = metadata(replace(PLAIN, base_model=name, base_revision=revision))
    assert values.get("base_model") == expected
    assert values.get("base_model_relation") == ("finetune" if expected else None)


def test_only_data_sets_on_the_hub_are_named():
    on_hub = DataFacts(name="me/reviews,imdb", kind="hub", revision="c0ffee")
    assert metadata(replace(PLAIN, data=on_hub))["datasets"] == ["me/reviews", "imdb"]
    for kind in ("local", "url", "memory"):
        assert "datasets" not in metadata(replace(PLAIN, data=DataFacts(name="me/reviews", kind=kind)))


def test_norwegian_stays_text_in_yaml():
    text = front_matter(metadata(replace(PLAIN, languages=("no", "en"))))
    assert yaml.safe_load(text.split("---\n")[1])["language"] == ["no", "en"]


def test_results_of_one_group_are_not_merged():
    """huggingface_hub's EvalResult shows two sources with the same type, config, split and revision as one."""
    evaluations = (measured("test", 0.9, name="a.csv"), measured("test", 0.8, name="a.tsv"))
    found = metadata(replace(PLAIN, evaluations=evaluations))["model-index"][0]["results"]
    names = [(each["dataset"]["type"], each["dataset"]["name"]) for each in found]
    assert names == [("local-a", "a.csv"), ("local-a", "a.tsv")]
    assert [each["metrics"][0]["value"] for each in found] == [0.9, 0.8]


@pytest.mark.parametrize("kind", ["local", "url", "memory"])
def test_a_file_is_not_indexed_as_a_data_set_of_the_hub(kind):
    (result,) = results(
        replace(PLAIN, evaluations=(measured("test", 0.9, data=DataFacts(name="imdb.csv", kind=kind)),))
    )
    assert (result["dataset"]["type"], result["dataset"]["name"]) == ("local-imdb", "imdb.csv")


def test_another_data_set_has_its_own_revision():
    data = DataFacts(name="me/other", kind="hub", revision="beef", config="plain")
    (result,) = results(replace(PLAIN, evaluations=(measured("test", 0.9, data=data),)))
    assert result["dataset"] == {
        "type": "me/other",
        "name": "me/other",
        "config": "plain",
        "split": "test",
        "revision": "beef",
    }


def test_the_main_evaluation_is_that_of_the_runs_own_test_split():
    def split(name):
        return SplitFacts(name=name, rows=10, fingerprint=f"reviews.csv{name}")

    data = DataFacts(name="reviews.csv", kind="local", splits=tuple(map(split, ("train", "validation", "test"))))
    chosen, own, other = measured("validation", 0.99), measured("test", 0.9), measured("test", 0.7, name="other.csv")
    facts = replace(PLAIN, data=data, evaluations=(chosen, other, own))
    assert main_evaluation(facts) is own
    assert indexed_evaluations(facts) == [own, other]
    assert main_evaluation(replace(facts, evaluations=(chosen,))) is chosen
    assert "model-index" not in metadata(replace(facts, evaluations=(chosen,)))


def test_some_of_the_rows_that_chose_the_weights_are_no_main_evaluation():
    data = DataFacts(
        name="reviews.csv",
        kind="local",
        splits=(SplitFacts(name="validation", rows=10, fingerprint="reviews.csvvalidation"),),
    )
    whole = measured("validation", 0.9)
    part = replace(measured("validation", 0.99), fingerprint="a part", count=2)
    sliced = replace(part, split="validation[:2]", fingerprint="another part")
    facts = replace(PLAIN, data=data, evaluations=(whole, part, sliced))
    assert main_evaluation(facts) is whole
    assert indexed_evaluations(facts) == []
    elsewhere = replace(part, data_name="other.csv")
    assert main_evaluation(replace(facts, evaluations=(whole, elsewhere))) is elsewhere
    unused = replace(facts, settings={"validation_split": "train[:10%]"})
    assert indexed_evaluations(unused) == [part, sliced]


def test_metrics_have_the_hubs_names():
    kinds = (
        (("a", "b"), "single_label_classification"),
        (("a", "b"), "multi_label_classification"),
        (None, "regression"),
    )
    names = {name for labels, kind in kinds for name in known_metrics(labels, kind)}
    assert {name for name in names if metric_id(name) is None} == {"ece", "log_loss", "loss"}
    assert [metric_id(name) for name in ("f1", "f1:a", "precision", "recall")] == ["f1", "f1", "precision", "recall"]


def test_the_f1_of_a_class_names_it_as_it_is():
    assert metric_title("f1:a_b") == "F1 of a_b"
    assert metric_phrase("f1:a|<b>") == "F1 of `a|<b>`" and metric_phrase("macro_f1") == "macro F1"


@pytest.mark.parametrize("repository", [None, "me/reviews"])
def test_the_hub_takes_the_card_of_any_facts(repository):
    facts = replace(
        PLAIN,
        licence="mit",
        languages=("en",),
        base_model="folder",
        evaluations=(measured("test", 0.9),),
        data=DataFacts(name="reviews.csv", kind="local"),
    )
    assert card_errors(render(facts, repository=repository), "model") == []


def test_a_persons_values_stay_where_the_facts_say_nothing():
    extra = {"tags": ["mine", "lstm"], "datasets": "stanfordnlp/sst2", "thumbnail": "x.png", "model-index": 3}
    values = merged(metadata(PLAIN), extra)
    assert values["tags"] == ["quintet", "lstm", "mine"]
    assert values["datasets"] == ["stanfordnlp/sst2"]
    assert values["thumbnail"] == "x.png"
    assert "model-index" not in values
    known = metadata(replace(PLAIN, base_model="org/base"))
    assert merged(known, {"base_model": "org/other"})["base_model"] == "org/base"
    assert list(values) == [*(key for key in COMPUTED_KEYS if key in values), "thumbnail"]


def test_languages_are_told_from_other_words():
    assert len(LANGUAGES) >= 180
    for code in ("en", "zh", "zh-Hans", "yue", "multilingual", "code"):
        assert is_language(code), code
    for code in ("english", "xx", "EN", "", False, None, 3):
        assert not is_language(code), code
