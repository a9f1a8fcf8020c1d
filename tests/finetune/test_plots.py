import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image
from quintet.finetune import plots


def pixels(path) -> np.ndarray:
    """(height, width, 3) uint8."""
    return np.asarray(Image.open(path).convert("RGB"))


def dark_blue_share(image: np.ndarray) -> float:
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return float(((blue > red + 60) & (red < 60) & (green < 110)).mean())


def test_a_good_model_has_a_dark_diagonal_and_a_bad_one_has_not(tmp_path):
    plots.confusion_matrix([[90, 10], [5, 95]], ["no", "yes"], tmp_path / "good.png", title="reviews, test")
    plots.confusion_matrix([[50, 50], [50, 50]], ["no", "yes"], tmp_path / "bad.png", title="reviews, test")
    assert dark_blue_share(pixels(tmp_path / "good.png")) > 0.1
    assert dark_blue_share(pixels(tmp_path / "bad.png")) < 0.05


def test_colour_is_the_share_of_the_true_class_however_rare_it_is(tmp_path):
    plots.confusion_matrix([[990, 10], [0, 10]], ["many", "few"], tmp_path / "rare.png")
    plots.confusion_matrix([[990, 10], [0, 999]], ["many", "few"], tmp_path / "even.png")
    rare, even = (dark_blue_share(pixels(tmp_path / name)) for name in ("rare.png", "even.png"))
    assert rare == pytest.approx(even, rel=0.05)


@pytest.mark.parametrize("classes", [1, 2, 12, 40, 130])
def test_any_number_of_classes_gives_a_readable_size(tmp_path, classes):
    counts = np.eye(classes, dtype=int) * 9
    plots.confusion_matrix(counts, [f"class-{index}" for index in range(classes)], tmp_path / "c.png")
    height, width, _ = pixels(tmp_path / "c.png").shape
    assert 300 < height < 2400
    assert 300 < width < 2400


def test_empty_rows_strange_names_and_formulas_do_not_disturb(tmp_path):
    labels = ["差评", "$x$ _{1}", "", "a very long name of a class that goes on and on"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a missing letter is a warning of matplotlib
        plots.confusion_matrix(np.zeros((4, 4), int), labels, tmp_path / "c.png", title="评论: $1 and $2")
    assert pixels(tmp_path / "c.png").size


def test_names_that_no_font_can_draw_become_numbers(monkeypatch):
    monkeypatch.setattr(plots, "FALLBACK_FONTS", ())
    names, families = plots._drawable(["good", "差评"])
    assert (names, families) == (["good", "class 1"], ["DejaVu Sans"])


def test_a_title_that_loses_its_name_to_missing_letters_begins_with_a_word(monkeypatch):
    monkeypatch.setattr(plots, "FALLBACK_FONTS", ())
    axes = plots._figure(1, 1).add_subplot()
    plots._title(axes, "评论, test (48 rows)")
    assert axes.get_title(loc="left") == "test (48 rows)"


def test_the_reliability_diagram_shows_overconfidence(tmp_path):
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, 500)
    probabilities = np.stack([confidence, 1 - confidence], 1)
    right = (generator.random(500) > confidence).astype(int)
    wrong = np.ones(500, int)
    plots.reliability_diagram(probabilities, right, tmp_path / "one.png", title="calibrated")
    plots.reliability_diagram(probabilities, wrong, tmp_path / "other.png", title="calibrated")
    assert not np.array_equal(pixels(tmp_path / "one.png"), pixels(tmp_path / "other.png"))


def test_the_same_picture_has_the_same_bytes(tmp_path):
    for name in ("one.png", "two.png"):
        plots.confusion_matrix([[3, 1], [0, 2]], ["no", "yes"], tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_matplotlib_is_loaded_only_to_draw():
    code = "import sys, quintet.finetune.plots; print('matplotlib' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "False"


@pytest.mark.parametrize("labels", [("neg", "pos"), ("x", "yy", "z"), ("negative", "positive"), tuple("abcdefghij")])
@pytest.mark.parametrize("title", ["", "test", "rotten_tomatoes, test (1,066 rows)"])
def test_nothing_is_cut_at_the_edges(tmp_path, labels, title):
    counts = np.random.default_rng(0).integers(10, 500, (len(labels), len(labels)))
    plots.confusion_matrix(counts, labels, tmp_path / "c.png", title=title)
    image = pixels(tmp_path / "c.png")
    for edge in (image[:4], image[-4:], image[:, :4], image[:, -4:]):
        assert (edge == 255).all()
