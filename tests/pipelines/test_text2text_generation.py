"""Text to text, translation and summarization: the answers of transformers 4, against ``generate`` and ``decode``.

transformers 5 has none of these pipelines, so the expected texts are made here from the model and its tokenizer.
"""

import functools
import json

import pytest
import torch
import transformers
from quintet.pipelines import InputError, UnknownNameError, UsageError, WeightsError, pipeline, run

TEXT = (
    "The good film was not bad. The bad plot was very good! A witty actor, a dull one? So it goes.\n\n née 很好。很差！"
    * 3
)
TEXTS = [
    "The good film was not bad.",
    "A dull one?",
    "So it goes. A witty actor, a dull one?",
    "bad",
    "The plot was very good!",
]
TASK_PARAMETERS = {
    "summarization": {
        "prefix": "so: ",
        "min_length": 6,
        "max_length": 14,
        "num_beams": 3,
        "no_repeat_ngram_size": 3,
        "early_stopping": True,
    },
    "translation_en_to_de": {"prefix": "a to b: ", "max_length": 12, "num_beams": 2},
    "translation_en_to_fr": {"prefix": "a to c: ", "max_length": 9},
}
SHORT = {"max_new_tokens": 10}


pytestmark = pytest.mark.usefixtures("quiet")


def bart_like(config_class, size, **changes):
    return config_class(
        vocab_size=size, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=48, init_std=1.0,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, **changes,
    )  # fmt: skip


CONFIGURATIONS = {
    "t5": lambda size: transformers.T5Config(
        vocab_size=size, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0, eos_token_id=2,
        decoder_start_token_id=0, initializer_factor=3.0,
    ),
    "bart": lambda size: bart_like(transformers.BartConfig, size, decoder_start_token_id=2, forced_bos_token_id=1),
    "marian": lambda size: bart_like(transformers.MarianConfig, size, decoder_start_token_id=0),
}  # fmt: skip
TEMPLATES = {"t5": "$A </s>", "bart": "<s> $A </s>", "marian": "$A </s>"}


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory, byte_backend):
    """Saves a tiny encoder-decoder with its tokenizer; it takes 48 tokens."""
    from tokenizers.processors import TemplateProcessing

    def make(name, *, specials=(), parameters=None, limit=48, **changes):
        folder = tmp_path_factory.mktemp("rewriters") / name
        backend = byte_backend(TEXT, specials=("<pad>", "<s>", "</s>", *specials))
        backend.post_processor = TemplateProcessing(TEMPLATES[name], special_tokens=[("<s>", 1), ("</s>", 2)])
        torch.manual_seed(0)
        config = CONFIGURATIONS[name](backend.get_vocab_size())
        if parameters:
            config.task_specific_params = parameters
        model = transformers.AutoModelForSeq2SeqLM.from_config(config).eval()
        for key, value in changes.items():
            setattr(model.generation_config, key, value)
        model.save_pretrained(folder)
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=backend, model_max_length=limit, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
        ).save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="module")
def folders(make_folder):
    """The three architectures, made once."""
    return {name: make_folder(name, parameters=TASK_PARAMETERS if name == "t5" else None) for name in CONFIGURATIONS}


@pytest.fixture(scope="module")
def mbart_folder(tmp_path_factory):
    """A tiny mBART between 25 languages, with a unigram tokenizer over single letters."""
    folder = tmp_path_factory.mktemp("rewriters") / "mbart"
    letters = sorted({*TEXT, "▁"})
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -2.0) for letter in letters)]
    tokenizer = transformers.MBartTokenizer(vocab=vocabulary, src_lang="en_XX", tgt_lang="ro_RO", model_max_length=48)
    torch.manual_seed(0)
    config = transformers.MBartConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=48, init_std=0.4,
        pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2,
    )  # fmt: skip
    transformers.MBartForConditionalGeneration(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@functools.cache
def parts(folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), tokenizer


@torch.no_grad()
def rewritten(folder, text, **options):
    """The texts that the model itself makes of one text."""
    model, tokenizer = parts(folder)
    inputs = tokenizer(text, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    options = {"num_beams": 4} | options
    if "max_length" not in options:
        options = {"max_new_tokens": 256} | options
    rows = model.generate(**inputs, **options)
    return [tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False) for row in rows]


@pytest.mark.parametrize("task", ["text2text-generation", "translation", "summarization"])
@pytest.mark.parametrize("name", ["bart", "marian", "t5"])
def test_answers_are_those_of_transformers_4(folders, make_folder, name, task):
    folder = make_folder("t5") if name == "t5" else folders[name]
    key = {"text2text-generation": "generated_text", "translation": "translation_text"}.get(task, "summary_text")
    ours = pipeline(task, folder, device="cpu")
    one = [rewritten(folder, text, **SHORT)[0] for text in TEXTS]
    assert ours(TEXTS[0], **SHORT) == [{key: one[0]}]
    assert ours(TEXTS, **SHORT) == [{key: text} for text in one]
    assert list(ours(iter(TEXTS), **SHORT)) == [[{key: text}] for text in one]
    several = {"num_return_sequences": 2, "num_beams": 3} | SHORT
    two = [rewritten(folder, text, **several) for text in TEXTS]
    assert ours(TEXTS[1], **several) == [{key: text} for text in two[1]]
    assert ours(TEXTS, **several) == [[{key: text} for text in texts] for texts in two]
    assert len(set(one)) >= 4, "the texts hardly differ, so that comparing them says little"
    assert ours([], **SHORT) == []


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": False, "num_beams": 1},
        {"num_beams": 2, "length_penalty": 2.0, "no_repeat_ngram_size": 2},
        {"max_length": 9},
        {"min_length": 12, "max_length": 14},
        {"num_beams": 1, "repetition_penalty": 1.5},
        {"num_beams": 1, "max_new_tokens": 40},
    ],
)
@pytest.mark.parametrize("name", ["bart", "t5"])
def test_options_of_generate_reach_it_and_batches_give_each_text_its_own(folders, name, options):
    ours = pipeline("text2text-generation", folders[name], device="cpu")
    options = options if "max_length" in options else SHORT | options
    expected = [{"generated_text": rewritten(folders[name], text, **options)[0]} for text in TEXTS]
    assert ours(TEXTS, **options) == expected
    assert ours(TEXTS, batch_size=2, **options) == expected


def test_without_options_the_tasks_defaults_hold_and_the_checkpoint_before_them(folders, make_folder):
    ours = pipeline("text2text-generation", folders["t5"], device="cpu")
    plan = ours.options.plan
    assert (plan.lengths, plan.beams) == ({"max_new_tokens": 256}, 4)
    stated = make_folder("bart", num_beams=2, max_length=13, min_length=11)
    ours = pipeline("text2text-generation", stated, device="cpu")
    expected = [rewritten(stated, text, num_beams=2, max_length=13, min_length=11)[0] for text in TEXTS]
    assert [answer["generated_text"] for answer in ours(TEXTS)] == expected
    assert ours.options.plan.lengths == {"max_length": 13, "min_length": 11}


def test_the_checkpoints_parameters_for_the_task_come_with_its_prefix(folders):
    folder, parameters = folders["t5"], TASK_PARAMETERS
    for task, key in (("summarization", "summary_text"), ("translation_en_to_de", "translation_text")):
        options = {name: value for name, value in parameters[task].items() if name != "prefix"}
        expected = [{key: rewritten(folder, parameters[task]["prefix"] + text, **options)[0]} for text in TEXTS]
        ours = pipeline(task, folder, device="cpu")
        assert ours(TEXTS) == expected
        assert ours(TEXTS, prefix="")[0] != expected[0]
    by_option = pipeline("translation", folder, device="cpu", src_lang="en", tgt_lang="fr")
    assert by_option("bad") == [{"translation_text": rewritten(folder, "a to c: bad", max_length=9)[0]}]
    assert by_option("bad", tgt_lang="de") == pipeline("translation_en_to_de", folder, device="cpu")("bad")
    given = pipeline("summarization", folder, device="cpu", max_length=9, min_length=2, num_beams=1)
    expected = rewritten(
        folder, "so: bad", max_length=9, min_length=2, num_beams=1, no_repeat_ngram_size=3, early_stopping=True
    )
    assert given("bad") == [{"summary_text": expected[0]}]


def test_a_checkpoint_that_is_told_by_prefixes_says_so(folders):
    with pytest.warns(
        UserWarning, match="'t5' is told by a prefix what to translate, and has one for translation_en_to_de"
    ):
        translate = pipeline("translation", folders["t5"], device="cpu")
    assert translate.languages == {} and translate(TEXTS[0], **SHORT)  # it translates all the same, to what nobody said


def test_return_tensors_and_tidying(folders):
    model, tokenizer = parts(folders["bart"])
    ours = pipeline("text2text-generation", folders["bart"], device="cpu")
    expected = model.generate(**tokenizer("bad", return_tensors="pt"), num_beams=4, **SHORT)
    (answer,) = ours("bad", return_tensors=True, **SHORT)
    assert list(answer) == ["generated_token_ids"]
    assert torch.equal(answer["generated_token_ids"], expected[0])
    assert ours.as_columns([answer]) == {"generated_text": expected[0].tolist()}
    assert ours("bad", clean_up_tokenization_spaces=True, return_text=True, **SHORT) == ours("bad", **SHORT)


def test_drawing_with_and_without_a_seed(folders):
    ours = pipeline("text2text-generation", folders["t5"], device="cpu", do_sample=True, num_beams=1, max_new_tokens=10)
    torch.manual_seed(4)
    expected = rewritten(folders["t5"], TEXTS[0], do_sample=True, num_beams=1, **SHORT)[0]
    torch.manual_seed(4)
    assert ours(TEXTS[0]) == [{"generated_text": expected}]
    seeded = ours(TEXTS, seed=3)
    assert [ours(text, seed=3)[0] for text in TEXTS] == seeded
    assert ours(TEXTS[::-1], seed=3, batch_size=2)[::-1] == seeded
    assert ours(TEXTS, seed=4) != seeded


def test_stop_strings(folders):
    ours = pipeline("text2text-generation", folders["t5"], device="cpu", num_beams=1, max_new_tokens=20)
    whole = ours(TEXTS[2])[0]["generated_text"]
    stop = whole[5:8]
    kept = ours([TEXTS[2], "bad"], stop_sequence=stop)[0]["generated_text"]
    assert kept.startswith(whole[: whole.index(stop) + len(stop)])
    assert len(kept) < len(whole)
    cut = ours(TEXTS[2], stop_sequence=stop, keep_stop_string=False)
    assert cut == [{"generated_text": whole[: whole.index(stop)]}]


def test_languages_are_told_by_their_tokens(mbart_folder):
    model, tokenizer = parts(mbart_folder)
    ours = pipeline("translation", mbart_folder, device="cpu", max_new_tokens=12)
    seen = set()
    for source, target in (("en_XX", "de_DE"), ("fr_XX", "zh_CN"), ("en_XX", "zh_CN")):
        tokenizer.src_lang = source
        forced = tokenizer.convert_tokens_to_ids(target)
        expected = []
        for text in TEXTS:
            inputs = tokenizer(text, return_tensors="pt")
            assert inputs["input_ids"][0, -1] == tokenizer.convert_tokens_to_ids(source)
            row = model.generate(**inputs, forced_bos_token_id=forced, num_beams=4, max_new_tokens=12)[0]
            assert row[1] == forced
            expected.append({"translation_text": tokenizer.decode(row, skip_special_tokens=True)})
        assert ours(TEXTS, src_lang=source, tgt_lang=target) == expected
        seen.add(str(expected))
        by_name = pipeline(f"translation_{source}_to_{target}", mbart_folder, device="cpu", max_new_tokens=12)
        assert by_name(TEXTS) == expected
    assert len(seen) == 3


def test_a_language_that_is_not_known_suggests_the_nearest(mbart_folder):
    ours = pipeline("translation", mbart_folder, device="cpu")
    with pytest.raises(
        UnknownNameError, match="tgt_lang is 'de', a language that 'mbart' does not know; did you mean de_DE"
    ):
        ours("bad", src_lang="en_XX", tgt_lang="de")
    with pytest.raises(UnknownNameError, match=r"src_lang is 'tlh', .*; it knows ar_AR, .*, … \(25 languages\)\."):
        pipeline("translation_tlh_to_de_DE", mbart_folder, device="cpu")
    with pytest.raises(UsageError, match=r"'mbart' translates between 25 languages; name both, .*tgt_lang is missing"):
        ours("bad", src_lang="en_XX")
    with pytest.raises(UsageError, match=r"src_lang='ar_AR', tgt_lang='zh_CN' \(src_lang is missing\)"):
        ours("bad")


def test_nllb_languages_are_told_by_their_tokens(make_folder, folders):
    letters = {letter: number for number, letter in enumerate(["<s>", "<pad>", "</s>", "<unk>", *sorted({*TEXT, "▁"})])}
    tokenizer = transformers.NllbTokenizer(vocab=letters, merges=[], model_max_length=48)
    torch.manual_seed(0)
    config = bart_like(transformers.M2M100Config, len(tokenizer), decoder_start_token_id=2)
    model = transformers.M2M100ForConditionalGeneration(config).eval()
    ours = pipeline("translation", model, tokenizer=tokenizer, device="cpu", **SHORT)
    tokenizer.src_lang = "zho_Hans"
    inputs = tokenizer("bad", return_tensors="pt")
    assert inputs["input_ids"][0, 0] == tokenizer.convert_tokens_to_ids("zho_Hans")
    row = model.generate(
        **inputs, forced_bos_token_id=tokenizer.convert_tokens_to_ids("fra_Latn"), num_beams=4, pad_token_id=1, **SHORT
    )[0]
    expected = [{"translation_text": tokenizer.decode(row, skip_special_tokens=True)}]
    tokenizer.src_lang = "eng_Latn"
    assert ours("bad", src_lang="zho_Hans", tgt_lang="fra_Latn") == expected
    with pytest.raises(UnknownNameError, match=r"tgt_lang is 'fr', .* did you mean fra_Latn"):
        ours("bad", src_lang="eng_Latn", tgt_lang="fr")


def test_marian_for_several_targets_is_told_by_a_token_in_the_text(make_folder):
    folder = make_folder("marian", specials=(">>fra<<", ">>deu<<"))
    ours = pipeline("translation", folder, device="cpu", **SHORT)
    expected = [{"translation_text": rewritten(folder, f">>deu<< {text}", **SHORT)[0]} for text in TEXTS]
    assert ours(TEXTS, tgt_lang="deu") == expected
    assert ours(TEXTS) == [{"translation_text": rewritten(folder, text, **SHORT)[0]} for text in TEXTS] != expected
    with pytest.raises(
        UnknownNameError, match="tgt_lang is 'de', a language that 'marian' does not know; did you mean deu"
    ):
        ours("bad", tgt_lang="de")


def test_languages_mean_nothing_to_a_checkpoint_for_one_pair(folders):
    ours = pipeline("translation_en_to_de", folders["marian"], device="cpu", **SHORT)
    assert ours("bad") == pipeline("translation", folders["marian"], device="cpu", **SHORT)("bad")


LONG = "The good film was not bad. The bad plot was very good!\n\nA witty actor, a dull one? So it goes. " * 6


@pytest.mark.parametrize(("task", "key"), [("translation", "translation_text"), ("summarization", "summary_text")])
def test_a_long_text_is_read_in_pieces_of_sentences(folders, task, key):
    folder = folders["marian"]
    ours = pipeline(task, folder, device="cpu", **SHORT)
    pieces = ours.preprocess([LONG])[0]
    assert len(pieces) > 3
    assert all(20 < len(ids) <= 48 for ids in pieces[:-1])
    texts = [ours.tokenizer.decode(ids) for ids in pieces]
    assert " ".join(texts).split() == LONG.split()
    assert all(text[-1] in ".!?" for text in texts)
    expected = [rewritten(folder, text, **SHORT)[0] for text in texts]
    (long,), (short,) = ours([[LONG], ["bad"]][0]), ours(["bad"])
    answer = long[key]
    for text in expected:
        assert text in answer
        answer = answer[answer.index(text) + len(text) :]
    assert short == {key: rewritten(folder, "bad", **SHORT)[0]}
    cut = ours([LONG], truncation=True)
    _, tokenizer = parts(folder)
    kept = tokenizer(LONG, truncation=True)["input_ids"]
    model, _ = parts(folder)
    row = model.generate(torch.tensor([kept]), num_beams=4, **SHORT)[0]
    assert cut == [{key: tokenizer.decode(row, skip_special_tokens=True)}]


def test_a_book_is_read_in_pieces(folders):
    ours = pipeline("summarization", folders["marian"], device="cpu")
    (pieces,) = ours.preprocess([LONG * 400])
    assert sum(map(len, pieces)) > 50_000
    assert max(map(len, pieces)) <= 48


def test_a_long_text_that_cannot_be_read_in_pieces_says_what_to_do(folders):
    ours = pipeline("text2text-generation", folders["bart"], device="cpu", **SHORT)
    words = r"^input 1: the text has \d+ tokens, but the encoder of 'bart' takes 48; shorten it, or let truncation=True"
    with pytest.raises(InputError, match=words):
        ours(["bad", LONG])
    assert len(ours(["bad", LONG], truncation=True)) == 2
    t5 = pipeline("text2text-generation", folders["t5"], device="cpu", **SHORT)
    assert t5(LONG) == [{"generated_text": rewritten(folders["t5"], LONG, **SHORT)[0]}]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (None, "expected a text, got None; leave missing values out"),
        (3, "expected a text, got the number 3"),
        ({"text": "a", "text_pair": "b"}, "expected one text, got a pair of texts"),
        (["a", "b"], "expected a text, got a list of 2"),
        ("bad \ud83d", "the text is not valid Unicode"),
        ("", "the text is empty, or blank, and there is nothing to rewrite; leave it out"),
        (" \n\u3000", "the text is empty, or blank, and there is nothing to rewrite; leave it out"),
    ],
)
def test_a_bad_text_is_named_and_the_others_are_answered(folders, item, words):
    ours = pipeline("translation", folders["marian"], device="cpu", **SHORT)
    with pytest.raises(InputError, match=f"^input 1: .*{words}"):
        ours(["bad", item, "So it goes."])
    answers = list(ours(iter(["bad", item, "So it goes."]), on_error="record"))
    assert list(answers[1]) == ["error"]
    assert [answers[0], answers[2]] == [ours("bad"), ours("So it goes.")]
    assert ours(["bad", ""], on_error="record")[0] == ours("bad")[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0; expected a number of tokens from 1"),
        ({"max_new_tokens": 60}, "max_new_tokens is 60, but the decoder of 'bart' writes 48 tokens at most; ask for"),
        (
            {"max_length": 60},
            "max_length is 60, but the decoder of 'bart' writes 48 tokens at most; ask for max_length=49",
        ),
        ({"max_length": 1}, "max_length is 1, which the token that starts the decoder takes; ask for 2 or more"),
        ({"truncation": "yes"}, "truncation is 'yes'; expected one of True, False"),
        ({"prefix": 3}, "prefix is 3; expected a text"),
        ({"num_return_sequences": 5}, "num_return_sequences is 5, but .* as many texts as beams, 4"),
        ({"length_penalty": "long"}, "length_penalty is 'long'; expected a number, above 0 for longer texts"),
        ({"length_penalty": float("nan")}, "length_penalty is nan; expected a number"),
        ({"early_stopping": "always"}, "early_stopping is 'always'; expected True, False or 'never'"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size is -1; expected a number of tokens, or 0"),
        ({"eos_token_id": ["a"]}, r"eos_token_id is \['a'\]; expected a token's id, or a list of ids"),
        ({"src_lang": "en"}, "unknown option 'src_lang'"),
        ({"num_beam": 2}, "unknown option 'num_beam'; did you mean num_beams"),
    ],
)
def test_a_wrong_option_is_named(folders, options, words):
    ours = pipeline("summarization", folders["bart"], device="cpu")
    with pytest.raises(UsageError, match=words):
        ours("bad", **options)


def test_an_option_that_is_none_is_as_the_checkpoint_has_it(folders):
    ours = pipeline("translation", folders["marian"], device="cpu", num_beams=1, length_penalty=-2.0, **SHORT)
    nothing = {"num_beams": None, "length_penalty": None, "early_stopping": None, "do_sample": None}
    assert ours(TEXTS, **nothing) == pipeline("translation", folders["marian"], device="cpu", **SHORT)(TEXTS)


def test_a_decoder_model_is_refused(bert_folder):
    with pytest.raises(WeightsError, match="for which transformers has no translation model"):
        pipeline("translation", bert_folder)


def test_a_checkpoint_says_its_task_itself(folders):
    assert pipeline(folders["bart"], device="cpu").task == "text2text-generation"
    assert pipeline(folders["marian"], device="cpu").task == "translation"


def test_files(folders, tmp_path):
    (tmp_path / "texts.jsonl").write_text("\n".join(json.dumps({"source": text, "n": 1}) for text in [*TEXTS, LONG]))
    options = {"model": str(folders["t5"]), "device": "cpu", "num_return_sequences": 2}
    summary = run("translation_en_to_de", tmp_path / "texts.jsonl", output=tmp_path / "out.jsonl", **options)
    assert (summary.total, summary.failed) == (6, 0)
    ours = pipeline("translation_en_to_de", folders["t5"], device="cpu", num_return_sequences=2)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    for row, answer in zip(rows, ours([*TEXTS, LONG]), strict=True):
        texts = [one["translation_text"] for one in answer]
        assert list(row) == ["source", "n", "translation_text", "sequences"]
        assert (row["translation_text"], row["sequences"]) == (texts[0], texts)
