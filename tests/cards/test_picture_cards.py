"""The card of what classifies pictures: written, checked, verified, published, loaded again; none of the data on it."""

import base64
import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import quintet
from PIL import Image
from quintet.cards.answers import answers_to
from quintet.cards.facts import read_facts, write_facts
from quintet.cards.picture_usage import DATA_URL, LONGEST_URL, example_picture
from quintet.finetune import finetune
from quintet.pipelines.errors import InputError, UsageError


def stripes(count, seed):
    """Grey pictures of 12 pixels with a bright line across or down."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(count):
        pixels = generator.integers(0, 60, (12, 12), dtype=np.uint8)
        place = generator.integers(1, 11)
        pixels[(place, slice(None)) if number % 2 else (slice(None), place)] = 250
        made.append({"image": Image.fromarray(pixels), "label": ("down", "across")[number % 2]})
    return made


@pytest.fixture(scope="module")
def data():
    return {"train": stripes(96, 0), "validation": stripes(24, 1), "test": stripes(24, 2)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("classifiers") / "stripes"
    finetune(
        "image-classification",
        model="lenet5",
        dataset=data,
        output=folder,
        model_args={"filters": "4-4", "neurons": "8-8"},
        image_size=12,
        epochs=4,
        batch_size=16,
        learning_rate=1e-2,
    )
    report = quintet.card(folder, license="mit")
    assert not any("language" in note for note in report.notes)
    quoted = sum(len(each.mistakes) for each in read_facts(folder).evaluations)
    assert not quoted or any(f"quotes {quoted} names of pictures of the data" in note for note in report.notes)
    return folder


def test_the_card_speaks_of_pictures(trained):
    text = (trained / "README.md").read_text(encoding="utf-8")
    assert "Says whether pictures are `across` or `down`: a convolutional network (LeNet-5) with " in text
    assert "pipeline_tag: image-classification" in text and "lecun1998gradient" in text
    assert "Half of the training pictures have a longer side of at most 12 pixels" in text
    assert "| repeated pictures |" in text and "No picture is in two splits." in text
    assert "Rows with a picture that it was trained on: none." in text
    assert "pictures of another kind were not" in text
    settings = text.index("All settings"), text.index("| training |")
    prose = text[: settings[0]] + text[settings[1] :]
    assert [line for line in prose.splitlines() if "text" in line.lower() and line != "```text"] == [
        line for line in prose.splitlines() if "equal texts together" in line
    ]


def test_the_examples_are_drawn_and_both_snippets_answer_alike(trained):
    facts = read_facts(trained)
    assert [dict(example.inputs) for example in facts.examples] == [
        {"image": "linear gradient"},
        {"image": "radial gradient"},
    ]
    assert all({answer["label"] for answer in example.outputs} == {"across", "down"} for example in facts.examples)
    assert [usage.library for usage in facts.usages] == ["quintet", "transformers"]
    assert all("Image.radial_gradient" in usage.code for usage in facts.usages)
    assert facts.usages[0].output == facts.usages[1].output
    first = facts.usages[0].output.splitlines()[0].split()
    best = max(facts.examples[0].outputs, key=lambda answer: answer["score"])
    assert first == [best["label"], str(round(best["score"], 4))]


def test_nothing_of_the_training_data_is_in_the_folder(trained, data):
    names = {path.name for path in trained.iterdir()}
    assert {path for path in names if path.endswith((".png", ".jpg"))} == {"confusion.png", "curves.png"}
    first = np.asarray(data["train"][0]["image"]).tobytes()
    assert not any(first in path.read_bytes() for path in trained.rglob("*") if path.is_file())


def test_nothing_is_wrong_with_it_and_every_number_is_computed_again(trained, data):
    assert quintet.card(trained, check=True).problems == ()
    report = quintet.verify(trained, dataset=data)
    assert report.is_verified, report.differing


def test_another_image_processor_is_noticed(trained, data, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "stripes")
    file = folder / "preprocessor_config.json"
    file.write_text(file.read_text().replace('"resample": 2', '"resample": 0'))
    report = quintet.verify(folder, dataset=data)
    assert not report.is_verified
    (found,) = (check for check in report.checks if check.name == "image processor")
    assert found.state == "differs" and found.detail.startswith("preprocessor_config.json has the sha256")


def test_the_owner_s_picture_stands_in_the_snippet_without_its_notes(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "stripes")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (10, 10, 3), np.uint8))
    exif = Image.Exif()
    exif[0x013B] = "Jane Secret"  # the artist
    picture.save(tmp_path / "mine.jpg", exif=exif, quality=95)
    quintet.card(folder, license="mit", examples=[str(tmp_path / "mine.jpg")])
    (example,) = read_facts(folder).examples
    stored = example.inputs["image"]
    assert stored.startswith(DATA_URL)
    raw = base64.b64decode(stored.removeprefix(DATA_URL))
    assert b"Secret" not in raw
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(raw))), np.asarray(Image.open(tmp_path / "mine.jpg")))
    usages = read_facts(folder).usages
    assert len(usages) == 2 and usages[0].output == usages[1].output
    assert all(stored in usage.code and "import Image" not in usage.code for usage in usages)
    assert quintet.card(folder, check=True).problems == ()


def test_a_picture_too_large_for_a_snippet_is_refused(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "stripes")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)).save(tmp_path / "big.png")
    words = rf"the example picture 'big\.png' takes \d\d,\d{{3}} characters in a snippet, at most {LONGEST_URL:,} are"
    with pytest.raises(UsageError, match=words):
        quintet.card(folder, license="mit", examples=[str(tmp_path / "big.png")])
    with pytest.raises(InputError, match=r"there is no picture 'none\.png'"):
        quintet.card(folder, license="mit", examples=["none.png"])


def test_facts_of_others_make_nothing_be_read_or_fetched(trained, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("L", (12, 12)).save(secret)
    assert isinstance(example_picture(str(secret)), bytes)
    pipe = quintet.pipeline("image-classification", trained, device="cpu")
    for stored in (str(secret), "http://127.0.0.1:9/x.png", DATA_URL + "@@"):
        with pytest.raises(InputError, match="is no picture that can be decoded"):
            answers_to(pipe, [{"image": stored}])
    folder = shutil.copytree(trained, tmp_path / "stripes")
    facts = read_facts(folder)
    examples = (replace(facts.examples[0], inputs={"image": str(secret)}), *facts.examples[1:])
    write_facts(replace(facts, examples=examples), folder)
    report = quintet.verify(folder)
    (found,) = (check for check in report.checks if check.name == "examples")
    assert found.state == "differs" and "is no picture that can be decoded" in found.detail


@pytest.mark.parametrize("transport", ["lfs"], indirect=True)
def test_it_is_published_and_answers_from_there(trained, loopback, tmp_path, monkeypatch):
    folder = shutil.copytree(trained, tmp_path / "stripes")
    published = quintet.publish(folder, "tester/stripes", endpoint=loopback.url)
    assert published.url == f"{loopback.url}/tester/stripes"
    report = quintet.verify("tester/stripes", endpoint=loopback.url, trust_remote_code=True)
    assert not report.differing, report.differing
