"""Examples and snippets of tasks on pictures, from facts alone."""

import ast

import pytest
from PIL import Image
from quintet.cards.answers import answers_to
from quintet.cards.facts import RunFacts
from quintet.cards.picture_usage import DRAWN, drawn_examples, example_picture, plain_answer
from quintet.cards.sections import summary
from quintet.cards.snippets import default_examples, snippets

PICTURES = [{"image": "linear gradient"}, {"image": "data:image/png;base64,AAAA"}]


def facts(task, **known):
    return RunFacts(task=task, checkpoint_name="x", labels=("cat", "dog"), **known)


def test_the_drawn_pictures_are_those_of_the_snippet():
    assert len(DRAWN) == 2
    for name, code in DRAWN.items():
        assert example_picture(name).tobytes() == eval(code, {"Image": Image}).tobytes()


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("image-classification", "Says whether pictures are `cat` or `dog`: a model."),
        ("object-detection", "Finds objects of 2 classes (`cat` and `dog`) in pictures: a model."),
        (
            "image-segmentation",
            "Tells parts of 2 classes (`cat` and `dog`) apart in pictures, pixel by pixel: a model.",
        ),
    ],
)
def test_each_task_has_examples_words_and_code_that_parses(task, words):
    assert default_examples(facts(task)) == drawn_examples(task) == [{"image": name} for name in DRAWN]
    assert summary(facts(task)).startswith(words)
    ours, theirs = snippets(facts(task, family="lenet5"), PICTURES)
    for library, code in (ours, theirs):
        ast.parse(code)
        assert f"from {library} import pipeline" in code and "from PIL import Image" in code
        assert '    Image.linear_gradient("L"),\n    "data:image/png;base64,AAAA",\n' in code
    assert "trust_remote_code=True" in theirs[1] and "trust_remote_code" not in ours[1]


def test_a_task_without_examples_has_none():
    assert default_examples(facts("depth-estimation")) == snippets(facts("depth-estimation"), PICTURES) == []


def test_a_mask_is_kept_as_the_share_that_it_covers():
    mask = Image.new("L", (4, 5))
    mask.paste(255, (0, 0, 2, 5))
    assert plain_answer({"score": None, "label": "cat", "mask": mask}) == {"label": "cat", "share": 0.5}
    assert plain_answer({"score": 0.9, "label": "cat", "mask": mask})["score"] == 0.9
    whole = {"score": 0.9, "label": "cat", "box": {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}}
    assert plain_answer(whole) == whole


def test_segments_of_an_example_are_facts():
    class Segmenter:
        task = "image-segmentation"

        def __call__(self, pictures):
            return [[{"score": None, "label": "cat", "mask": picture.point(lambda value: 255)}] for picture in pictures]

    assert answers_to(Segmenter(), [{"image": "radial gradient"}]) == [[{"label": "cat", "share": 1.0}]]
