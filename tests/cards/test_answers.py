"""Answers side by side: classes by their names, everything else as it stands, numbers within a tolerance."""

import pytest
from quintet.cards.answers import answers_alike, answers_to, difference, printed_alike

CLASSES = [{"label": "good", "score": 0.9}, {"label": "bad", "score": 0.1}]
ENTITIES = [{"entity_group": "PER", "score": 0.99, "word": "Ada", "start": 0, "end": 3}]
SPAN = {"score": 0.5, "start": 4, "end": 9, "answer": "Paris"}


@pytest.mark.parametrize("answer", [CLASSES, ENTITIES, [SPAN], [{"generated_text": "5 is odd"}], [], [[0.25, 1]]])
def test_an_answer_is_like_itself(answer):
    assert answers_alike(answer, answer)
    assert answers_alike(tuple(answer), answer)


def test_classes_are_compared_by_their_names():
    assert answers_alike(CLASSES[::-1], CLASSES)
    assert answers_alike([{**CLASSES[0], "score": 0.90005}, CLASSES[1]], CLASSES)
    assert difference([{**CLASSES[0], "score": 0.7}, CLASSES[1]], CLASSES) == "the score of good is off by 0.2"
    assert difference([{**CLASSES[0], "label": "great"}, CLASSES[1]], CLASSES) == (
        "the labels are great, bad, not good, bad"
    )
    assert difference(CLASSES[:1], CLASSES) == "the labels are good, not good, bad"


@pytest.mark.parametrize(
    ("answer", "recorded", "words"),
    [
        (ENTITIES, [{**ENTITIES[0], "score": 0.5}], "the score is off by 0.49"),
        (ENTITIES, [{**ENTITIES[0], "word": "Eve"}], "the word is Ada, not Eve"),
        (ENTITIES, [{**ENTITIES[0], "end": 4}], "the end is off by 1"),
        (ENTITIES, [], "there are 1 parts of the answer, not 0"),
        (ENTITIES, [{"entity_group": "PER"}], "the answer has entity_group, score, word, start, end, not entity_group"),
        ([SPAN], [{**SPAN, "answer": None}], "the answer is Paris, not None"),
        ([{"generated_text": "5"}], [{"generated_text": "5.0"}], "the generated_text is 5, not 5.0"),
        ([{"flag": True}], [{"flag": 1}], "the flag is True, not 1"),
        ([{"a": [1.0, 2.0]}], [{"a": [1.0, 2.5]}], "the a is off by 0.5"),
        (CLASSES, [{"label": "good", "score": "x"}, CLASSES[1]], "the score of good is 0.9, not x"),
    ],
)
def test_everything_else_is_compared_as_it_stands(answer, recorded, words):
    assert difference(answer, recorded) == words
    assert not answers_alike(answer, recorded)


def test_outputs_are_compared_by_words_and_rounded_numbers():
    assert printed_alike("good 0.9123\n", "good 0.9124\n")
    assert not printed_alike("good 0.9123\n", "good 0.9127\n")
    assert not printed_alike("good 0.9123\n", "bad 0.9123\n")


def test_every_task_is_asked_in_its_own_way():
    class Pipe:
        task = "text-classification"

        def __call__(self, inputs, **options):
            assert options == ({"top_k": None} if self.task == "text-classification" else {})
            return [CLASSES if self.task == "text-classification" else {"seen": each} for each in inputs]

    pipe = Pipe()
    assert answers_to(pipe, [{"text": "fine"}]) == [CLASSES]
    pipe.task = "next-sentence-prediction"
    assert answers_to(pipe, [{"question": "Who?", "context": "Ada."}, {"text": "x"}]) == [
        [{"seen": {"question": "Who?", "context": "Ada."}}],
        [{"seen": "x"}],
    ]
