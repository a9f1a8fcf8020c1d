"""Facts of a made-up run, for tests of what is rendered from them."""

from dataclasses import replace

from quintet.cards.facts import (
    BaselineFact,
    CalibrationFacts,
    ClassFact,
    DataFacts,
    EvaluationFacts,
    ExampleFact,
    HardwareFacts,
    MetricFact,
    MistakeFact,
    RunFacts,
    SplitFacts,
    TrainingFacts,
    UsageFact,
)


def review_facts() -> RunFacts:
    """Facts of a made-up run with something in every part of a card."""
    train = SplitFacts(
        name="train",
        rows=900,
        fingerprint="a1" * 32,
        rule="90 % of all rows",
        seed=7,
        label_histogram={"bad": 300, "good": 600},
        length_percentiles={"0": 3.0, "5": 10.0, "50": 39.0, "95": 90.0, "99": 120.0, "100": 150.0},
        duplicates=4,
    )
    validation = replace(
        train, name="validation", rows=50, fingerprint="b2" * 32, label_histogram={"bad": 10, "good": 40}
    )
    test = replace(train, name="test", rows=100, fingerprint="c3" * 32, label_histogram={"bad": 40, "good": 60})
    hardware = HardwareFacts(cpu="Xeon", cores=2, threads=2, memory_gib=23.5, bf16_units=True)
    measured = EvaluationFacts(
        split="test",
        count=100,
        data_name="me/reviews",
        fingerprint="c3" * 32,
        metrics=(
            MetricFact("accuracy", 0.9, 0.84, 0.95),
            MetricFact("macro_f1", 0.8904761904761904, 0.83, 0.94),
            MetricFact("ece", 0.05123, 0.03, 0.08, higher_is_better=False),
        ),
        checkpoint="reviews",
        weights_sha256="d4" * 32,
        protocol={"bootstrap": 1000, "dtype": "float32", "seed": 0, "label_map": {"0": "bad"}},
        labels=("bad", "good"),
        per_class=(
            ClassFact("bad", 40, (MetricFact("precision", 0.9, 0.8, 0.98), MetricFact("f1", 0.86, 0.77, 0.93))),
            ClassFact("good", 60, (MetricFact("precision", 0.9, 0.82, 0.96), MetricFact("f1", 0.92, 0.87, 0.96))),
        ),
        confusion=((33, 7), (3, 57)),
        baselines=(
            BaselineFact("majority class", (MetricFact("accuracy", 0.6),), "answers 'good', the most frequent"),
        ),
        mistakes=(MistakeFact(7, "not bad | at all `really`\n<!-- /own words -->", "good", "bad", 0.987),),
        notes=("3 of 100 rows were longer than the model takes",),
        training_rows=2,
    )
    chosen = replace(
        measured, split="validation", count=50, fingerprint="b2" * 32, mistakes=(), notes=(), training_rows=0
    )
    return RunFacts(
        task="text-classification",
        checkpoint_name="reviews",
        family="gru",
        teacher="teacher",
        problem_type="single_label_classification",
        labels=("bad", "good"),
        parameters=1_234_567,
        trainable_parameters=1_234_567,
        max_length=256,
        weights_sha256="d4" * 32,
        weights_bytes=4_938_268,
        command="quintet finetune sentiment --model gru --dataset me/reviews --output reviews",
        settings={"task": "sentiment", "epochs": 3, "learning_rate": 0.002, "columns": {"text": "review"}, "track": []},
        changed_settings=("epochs",),
        seed=7,
        versions={"python": "3.11.7", "torch": "2.13.0", "quintet": "0.1.0"},
        hardware=hardware,
        data=DataFacts(
            name="me/reviews",
            kind="hub",
            revision="c0ffee" * 6 + "c0ff",
            columns={"text": "review", "label": "stars"},
            splits=(train, validation, test),
            leakage={"train/test": 2, "train/validation": 0},
            rejected_rows=1,
            licence="cc-by-4.0",
        ),
        training=TrainingFacts(
            steps=87,
            epochs=3.0,
            metric="accuracy",
            best_step=58,
            best_metric=0.92,
            seconds=204.7,
            samples_per_second=1234.5,
            peak_memory_bytes=2**30,
            stopped_by="epochs",
            threads=2,
            precision="float32",
            device="cpu",
            train_loss=0.1234,
            energy_watt_hours=1.25,
            notes=("the loss rose at the end",),
        ),
        evaluations=(chosen, measured),
        calibration=CalibrationFacts(temperature=1.25, ece_before=0.08, ece_after=0.05, split="validation", count=50),
        licence="apache-2.0",
        languages=("en",),
        usages=(
            UsageFact("quintet", 'classify = pipeline("text-classification", model="<checkpoint>")\n', "good 0.9\n"),
            UsageFact("transformers", 'pipeline("text-classification", model="<checkpoint>")\n', "good 0.9\n"),
        ),
        examples=(
            ExampleFact(
                {"text": "no, fine"}, ({"label": "good", "score": 0.91234}, {"label": "bad", "score": 0.08766})
            ),
        ),
        pictures=("confusion.png", "curves.png"),
        finished="2025-01-31",
    )
