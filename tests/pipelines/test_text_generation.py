"""Text generation with models of transformers: its calls and values, batches, seeds, chats, streams and errors."""

import json

import pytest
import torch
import transformers
from quintet.pipelines import InputError, UnknownNameError, UsageError, WeightsError, pipeline, run

TEXT = "the good film was not bad and the bad plot was very good. a witty actor, a dull one! so it goes. " * 3
PROMPTS = [
    "the good film",
    "a",
    "the bad plot was very good. a witty actor",
    "dull",
    "not bad and not good and not dull and not witty",
    "so it goes",
]
CHAT = [{"role": "user", "content": "was it good"}]
LONG_CHAT = [
    {"role": "system", "content": "so"},
    {"role": "user", "content": "was it good"},
    {"role": "assistant", "content": "the film"},
]
TEMPLATE = (
    "{% for message in messages %}{{ message.role[0] }}. {{ message.content }}! {% endfor %}"
    "{% if add_generation_prompt %}a. {% endif %}"
)
GREEDY = {"do_sample": False, "max_new_tokens": 12}


pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory, byte_backend):
    """Saves a tiny language model of an architecture, with its tokenizer."""

    def make(name, *, chat=False, **changes):
        folder = tmp_path_factory.mktemp("writers") / name
        backend = byte_backend(TEXT)
        size = backend.get_vocab_size()
        torch.manual_seed(0)
        if name.startswith("gpt2"):
            config = transformers.GPT2Config(
                vocab_size=size, n_embd=16, n_layer=2, n_head=2, n_positions=64, initializer_range=0.4,
                bos_token_id=2, eos_token_id=2,
            )  # fmt: skip
            tokens = {"bos_token": "</s>", "eos_token": "</s>"}
        elif name == "llama":
            config = transformers.LlamaConfig(
                vocab_size=size, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
                max_position_embeddings=200, initializer_range=0.4, bos_token_id=1, eos_token_id=2, pad_token_id=0,
            )  # fmt: skip
            tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
        else:
            config = transformers.XLNetConfig(
                vocab_size=size, d_model=16, n_layer=2, n_head=2, d_inner=32, initializer_range=0.4,
                bos_token_id=1, eos_token_id=2, pad_token_id=0,
            )  # fmt: skip
            tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
        for key, value in changes.items():
            setattr(model.generation_config, key, value)
        model.save_pretrained(folder)
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=backend,
            model_max_length=64 if name.startswith("gpt2") else 200,
            chat_template=TEMPLATE if chat else None,
            **tokens,
        )
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="module")
def both(make_folder):
    """Both libraries' pipelines of the same checkpoint, by the architecture's name."""
    made = {}

    def get(name):
        if name not in made:
            folder = str(make_folder(name, chat=True))
            theirs = transformers.pipeline("text-generation", model=folder, device="cpu")
            made[name] = (theirs, pipeline("text-generation", model=folder, device="cpu"))
        return made[name]

    return get


@pytest.fixture(scope="module")
def gpt2(both):
    return both("gpt2")[1]


@pytest.fixture(scope="module")
def llama(both):
    return both("llama")[1]


@pytest.fixture
def rows_of_batches(monkeypatch):
    """Numbers of rows with which ``generate`` is called from now on."""
    rows = []
    generate = transformers.GenerationMixin.generate

    def counted(self, *arguments, **options):
        rows.append(len(options["input_ids"]))
        return generate(self, *arguments, **options)

    monkeypatch.setattr(transformers.GenerationMixin, "generate", counted)
    return rows


CALLS = {
    "greedy": {},
    "new text": {"return_full_text": False},
    "full text": {"return_full_text": True},
    "ids": {"return_tensors": True},
    "beams": {"num_beams": 3},
    "several beams": {"num_beams": 4, "num_return_sequences": 3, "length_penalty": 0.4, "early_stopping": True},
    "penalty": {"repetition_penalty": 1.7},
    "no repeats": {"no_repeat_ngram_size": 2},
    "at least": {"min_new_tokens": 11},
    "special tokens": {"skip_special_tokens": False},
    "no special tokens": {"add_special_tokens": False},
    "tidied": {"clean_up_tokenization_spaces": True},
    "prefix": {"prefix": "so it "},
    "stop": {"stop_sequence": "o"},
    "stops": {"stop_sequence": ["il", "wi", "as", "t d"]},
    "suppressed": {"suppress_tokens": list(range(10, 60))},
    "encoded": {"tokenizer_encode_kwargs": {"truncation": True, "max_length": 3}},
    "other end": {"eos_token_id": [2, 20, 21, 22, 23, 24, 25, 26, 27, 28]},
    "configuration": {"generation_config": transformers.GenerationConfig(num_beams=2, repetition_penalty=1.3)},
}


@pytest.mark.parametrize(
    ("name", "call"),
    [*((name, call) for name in ("gpt2", "llama") for call in CALLS), ("xlnet", "greedy"), ("xlnet", "prefix")],
)
def test_calls_give_what_transformers_gives(both, name, call):
    theirs, ours = both(name)
    options = GREEDY | CALLS[call]
    expected = [theirs(prompt, **options) for prompt in PROMPTS]
    assert ours(PROMPTS, **options) == expected
    assert len({str(answer) for answer in expected}) == len(PROMPTS)


def test_a_text_a_list_and_a_stream_of_texts(both):
    theirs, ours = both("llama")
    one = theirs("the good film", **GREEDY)
    assert ours("the good film", **GREEDY) == one
    assert ours(["the good film"], **GREEDY) == theirs(["the good film"], **GREEDY) == [one]
    assert list(ours(iter(PROMPTS), **GREEDY)) == list(theirs((prompt for prompt in PROMPTS), **GREEDY))
    assert ours([], **GREEDY) == []


def test_the_calls_differ_so_that_comparing_them_says_something(llama):
    plain = llama(PROMPTS, **GREEDY)
    same = [call for call, options in CALLS.items() if llama(PROMPTS, **GREEDY, **options) == plain]
    assert set(same) <= {"greedy", "full text", "no special tokens", "tidied", "special tokens"}
    assert len(CALLS) == 19


@pytest.mark.parametrize("options", [{"max_length": 20}, {"max_length": 24, "min_length": 22}, {"max_length": 30}])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_total_lengths_count_each_prompt_by_itself(both, name, options):
    theirs, ours = both(name)
    for more in ({}, {"num_beams": 3}, {"prefix": "so it goes "}):
        every = {"do_sample": False} | options | more
        expected = [theirs(prompt, **every) for prompt in PROMPTS]
        assert ours(PROMPTS, **every) == expected


def test_options_of_the_pipeline_and_of_the_call(make_folder):
    folder = str(make_folder("llama"))
    options = {"do_sample": False, "max_new_tokens": 5, "return_full_text": False}
    theirs = transformers.pipeline("text-generation", model=folder, device="cpu", **options)
    ours = pipeline("text-generation", model=folder, device="cpu", **options)
    assert ours(PROMPTS) == theirs(PROMPTS)
    assert ours(PROMPTS, max_new_tokens=9) == theirs(PROMPTS, max_new_tokens=9)
    options = {"do_sample": False, "return_tensors": True}
    by_count = pipeline("text-generation", model=folder, device="cpu", max_new_tokens=5, min_new_tokens=5, **options)
    assert len(by_count("a", max_length=12, min_length=12)[0]["generated_token_ids"]) == 12
    by_total = pipeline("text-generation", model=folder, device="cpu", max_length=12, min_length=12, **options)
    assert len(by_total("a", max_new_tokens=5, min_new_tokens=5)[0]["generated_token_ids"]) == 6


def test_what_the_checkpoint_says_comes_before_the_tasks_defaults(make_folder):
    folder = str(make_folder("llama", max_new_tokens=7, do_sample=True, temperature=0.3, top_k=5))
    theirs = transformers.pipeline("text-generation", model=folder, device="cpu")
    ours = pipeline("text-generation", model=folder, device="cpu")
    for prompt in PROMPTS[:3]:
        torch.manual_seed(0)
        expected = theirs(prompt)
        torch.manual_seed(0)
        assert ours(prompt) == expected
    assert ours(PROMPTS, do_sample=False) == [theirs(prompt, do_sample=False) for prompt in PROMPTS]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 1.4, "top_k": 12, "top_p": 0.8},
        {"num_return_sequences": 3},
        {"typical_p": 0.6, "min_p": 0.02, "top_k": None},
        {"num_beams": 2, "num_return_sequences": 2},
        {"do_sample": True, "epsilon_cutoff": 0.01},
    ],
)
def test_without_a_seed_torch_draws_as_in_transformers(both, options):
    theirs, ours = both("llama")
    options = {"max_new_tokens": 15} | options
    texts = set()
    for seed, prompt in enumerate(PROMPTS):
        torch.manual_seed(seed)
        expected = theirs(prompt, **options)
        torch.manual_seed(seed)
        assert ours(prompt, **options) == expected
        texts.add(str(expected))
    assert len(texts) == len(PROMPTS)


@pytest.mark.parametrize("chat", [CHAT, LONG_CHAT])
def test_chats(both, chat):
    theirs, ours = both("llama")
    for options in ({}, {"return_full_text": False}, {"continue_final_message": False}, {"return_tensors": True}):
        expected = theirs(chat, **GREEDY, **options)
        assert ours(chat, **GREEDY, **options) == expected
        assert ours([chat, CHAT], **GREEDY, **options) == [expected, theirs(CHAT, **GREEDY, **options)]
    answer = ours(chat, **GREEDY)[0]["generated_text"]
    assert answer[-1]["role"] == "assistant"
    assert len(answer) == len(chat) + (chat[-1]["role"] != "assistant")
    assert list(ours(iter([chat, "a"]), **GREEDY)) == [theirs(chat, **GREEDY), theirs("a", **GREEDY)]


def test_tools_reach_the_chat_template(llama, monkeypatch):
    tokenizer = llama.tokenizer.transformers_tokenizer
    monkeypatch.setattr(tokenizer, "chat_template", "{{ tools[0].function.name }} {{ documents[0].text }}" + TEMPLATE)

    def good(film: str) -> str:
        """Whether it is good.

        Args:
            film: its name.
        """
        return film

    (ids,) = llama.preprocess([CHAT], tools=[good], documents=[{"text": "dull"}])
    assert llama.tokenizer.decode(ids) == "good dullu. was it good! a. "


def test_messages_are_made_from_a_response_template(both, monkeypatch):
    theirs, ours = both("llama")
    template = {
        "start_anchor": "a. ",
        "fields": {"content": {}},
        "defaults": {"role": "assistant", "content": ""},
    }
    for each in (theirs.tokenizer, ours.tokenizer.transformers_tokenizer):
        monkeypatch.setattr(each, "response_template", template, raising=False)
    assert ours(CHAT, **GREEDY) == theirs(CHAT, **GREEDY)
    assert ours(CHAT, **GREEDY)[0]["generated_text"][-1].keys() >= {"role", "content"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 3},
        {"stop_strings": ["o", "as"]},
        {"stop_strings": ["o", "as"], "eos_token_id": None},
        {"stop_strings": ["o", "as"], "eos_token_id": None, "num_beams": 2},
    ],
)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_batch_of_prompts_of_different_length_gives_each_its_own_text(both, rows_of_batches, name, options):
    ours = both(name)[1]
    options = GREEDY | options
    alone = [ours(prompt, **options) for prompt in PROMPTS]
    rows_of_batches.clear()
    assert ours(PROMPTS, **options) == alone
    assert rows_of_batches == [len(PROMPTS)]
    assert ours(PROMPTS, batch_size=4, **options) == alone
    assert sorted(rows_of_batches[1:]) == [2, 4]


def test_models_that_read_padding_get_none(both, rows_of_batches):
    ours = both("xlnet")[1]
    ours([*PROMPTS, "bad"], prefix="", **GREEDY)
    lengths = [len(ids) for ids in ours.preprocess([*PROMPTS, "bad"], prefix="")]
    assert len(rows_of_batches) == len(set(lengths)) < len(lengths)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_return_sequences": 3, "temperature": 1.3, "top_k": 9, "top_p": 0.9, "typical_p": 0.9},
        {"num_beams": 2, "num_return_sequences": 2},
        {"stop_strings": ["oo", "il"], "repetition_penalty": 1.2},
    ],
)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_seeds_hold_at_any_batch_size_and_order(both, name, options):
    ours = both(name)[1]
    options = {"max_new_tokens": 12, "do_sample": True} | options
    answers = ours(PROMPTS, seed=11, **options)
    assert [ours(prompt, seed=11, **options) for prompt in PROMPTS] == answers
    assert ours(PROMPTS[::-1], seed=11, batch_size=4, **options)[::-1] == answers
    state = torch.get_rng_state()
    assert ours([PROMPTS[1]] * 2, seed=11, **options) == [answers[1]] * 2
    assert torch.equal(torch.get_rng_state(), state)
    assert ours(PROMPTS, seed=12, **options) != answers
    if len(answers[0]) > 1:
        assert any(len({str(one) for one in answer}) == len(answer) for answer in answers)


def test_a_seed_draws_what_the_documented_generator_draws(llama):
    from quintet.pipelines.decoding import sequence_generator

    (ids,) = llama.preprocess(["the bad"])
    generator = sequence_generator(5, ids, 0)
    new = []
    with torch.no_grad():
        while len(new) < 15 and 2 not in new:
            scores = llama.model(torch.tensor([[*ids, *new]])).logits[0, -1] / 0.8
            best = scores.topk(20)
            scores = torch.full_like(scores, -torch.inf).scatter(0, best.indices, best.values)
            probabilities = transformers.TypicalLogitsWarper(0.5)(None, scores[None])[0].double().softmax(0)
            aim = torch.rand(1, generator=generator, dtype=torch.float64)
            new.append(int((probabilities.cumsum(0) <= aim).sum()))
    options = {"temperature": 0.8, "top_k": 20, "typical_p": 0.5, "max_new_tokens": 15, "return_tensors": True}
    assert llama("the bad", seed=5, **options) == [{"generated_token_ids": [*ids, *new]}]


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": False},
        {"seed": 3},
        {"seed": 4, "stop_strings": ["oo", "il", "a w"]},
        {"seed": 4, "stop_strings": ["oo", "il", "a w"], "keep_stop_string": False},
        {"seed": 5, "clean_up_tokenization_spaces": True},
        {"seed": 5, "skip_special_tokens": False},
    ],
)
def test_streamed_pieces_are_the_text(llama, options):
    options = {"max_new_tokens": 70, "temperature": 1.5} | options
    counts = []
    for prompt in [*PROMPTS[:3], CHAT]:
        (answer,) = llama(prompt, return_full_text=False, **options)
        pieces = list(llama.stream(prompt, **options))
        assert "".join(pieces) == answer["generated_text"]
        assert all(pieces)
        counts.append(len(pieces))
    assert max(counts) > 5


def test_a_stream_draws_with_torch_where_there_is_no_seed(llama):
    torch.manual_seed(3)
    (answer,) = llama("the", max_new_tokens=30, return_full_text=False)
    torch.manual_seed(3)
    assert "".join(llama.stream("the", max_new_tokens=30)) == answer["generated_text"]


def test_a_stream_that_is_left_stops_the_work(make_folder):
    ours = pipeline("text-generation", model=str(make_folder("llama")), device="cpu")
    steps = []
    forward = ours.model.forward

    def counted(*arguments, **options):
        steps.append(1)
        return forward(*arguments, **options)

    ours.model.forward = counted
    ours.model.forward.__signature__ = __import__("inspect").signature(forward)
    stream = ours.stream("the", do_sample=False, min_new_tokens=190, max_new_tokens=190)
    next(stream)
    stream.close()
    assert len(steps) < 150


def test_a_model_that_is_not_finite_says_so(make_folder):
    ours = pipeline("text-generation", model=str(make_folder("llama")), device="cpu")
    with torch.no_grad():
        ours.model.lm_head.weight[3] = torch.nan
    for options in ({"do_sample": False}, {"seed": 1}, {}):
        with pytest.raises(InputError, match="input 0: the model's output is not finite"):
            ours("the", max_new_tokens=3, **options)
        with pytest.raises(InputError, match="the model's output is not finite"):
            list(ours.stream("the", max_new_tokens=3, **options))


def test_a_hole_keeps_the_end_of_a_long_prompt(both):
    theirs, ours = both("gpt2")
    long = TEXT
    for options in ({"max_new_tokens": 12}, {"max_new_tokens": 60}):
        options = {"do_sample": False, "handle_long_generation": "hole"} | options
        assert ours([long, "a"], **options) == [theirs(long, **options), theirs("a", **options)]
    (ids,) = ours.preprocess([long], max_new_tokens=12, handle_long_generation="hole")
    assert len(ids) == 52
    with pytest.raises(InputError, match="64 new tokens are asked for, but the model takes 64 with the prompt"):
        ours(long, max_new_tokens=64, handle_long_generation="hole")


def test_a_prompt_that_leaves_little_room_gets_as_much_as_fits(gpt2, both):
    prompt = gpt2.tokenizer.decode([20] * 60)
    (ids,) = gpt2.preprocess([prompt])
    assert 50 < len(ids) <= 64
    (answer,) = gpt2(prompt, do_sample=False, return_tensors=True)
    assert len(answer["generated_token_ids"]) <= 65
    room = 65 - len(ids)
    options = {"do_sample": False, "min_new_tokens": room, "max_new_tokens": room}
    assert gpt2(prompt, **options) == both("gpt2")[0](prompt, **options)


def test_an_empty_prompt_begins_as_texts_of_the_model_do(both, make_folder):
    theirs, ours = both("llama")
    assert ours("", **GREEDY) == theirs("", **GREEDY)
    assert ours(["", "a"], **GREEDY) == [theirs("", **GREEDY), theirs("a", **GREEDY)]
    without = pipeline("text-generation", model=str(make_folder("llama", bos_token_id=None)), device="cpu")
    with pytest.raises(
        InputError, match="the prompt has no token, and 'llama' knows no token with which a text begins"
    ):
        without("", **GREEDY)


BAD = [
    (None, "expected a text, got None; leave missing values out"),
    (3, "expected a text, got the number 3"),
    ({"text": "a", "text_pair": "b"}, "expected one text, got a pair of texts"),
    (["a", "b"], "expected a text, got a list of 2"),
    ({"role": "user", "content": "a"}, r"got one message; a chat is a list of its messages: \[message\]"),
    ([{"role": "user", "content": "a"}, {"role": "user"}], "message 1 of the chat has 'role'; expected a dict with"),
    ([{"text": "a"}], "message 0 of the chat has 'text'; expected a dict with 'role' and 'content'"),
    (TEXT * 2, r"the prompt has \d+ tokens, but the model takes 64; shorten it to 64 or fewer, or let handle_long"),
]


@pytest.mark.parametrize(("item", "words"), BAD)
def test_a_bad_prompt_is_named_and_the_others_are_answered(gpt2, item, words):
    with pytest.raises(InputError, match=f"^input 1: .*{words}"):
        gpt2(["a", item, "dull"], **GREEDY)
    answers = gpt2(["a", item, "dull"], on_error="record", **GREEDY)
    assert list(answers[1]) == ["error"]
    assert [answers[0], answers[2]] == [gpt2("a", **GREEDY), gpt2("dull", **GREEDY)]


def test_lengths_that_do_not_fit_say_what_does(gpt2):
    with pytest.raises(InputError, match=r"the prompt has 3 tokens and 63 new ones are asked for, .*: 62 new ones fit"):
        gpt2("the good film", do_sample=False, max_new_tokens=63)
    with pytest.raises(
        InputError, match="the prompt has 3 tokens, but max_length is 3, prompt included; raise max_length"
    ):
        gpt2("the good film", max_length=3)


def test_a_chat_without_a_chat_template(make_folder):
    ours = pipeline("text-generation", model=str(make_folder("gpt2-plain")), device="cpu")
    with pytest.raises(InputError, match="a chat was given, but the tokenizer of 'gpt2-plain' has no chat template"):
        ours(CHAT)


def test_a_chat_that_the_template_refuses(llama, monkeypatch):
    template = "{{ raise_exception('system messages are not supported') }}"
    monkeypatch.setattr(llama.tokenizer.transformers_tokenizer, "chat_template", template)
    with pytest.raises(
        InputError, match="the chat template of 'llama' does not take this chat: system messages are not"
    ):
        llama(CHAT)


WRONG = [
    ({"max_new_tokens": 0}, "max_new_tokens is 0; expected a number of tokens from 1"),
    ({"max_new_tokens": "many"}, "max_new_tokens is 'many'; expected a number of tokens"),
    ({"temperature": 0}, "temperature is 0; expected a number above 0; for the most probable text set do_sample=False"),
    ({"top_p": 90}, r"top_p is 90; expected a probability in \(0, 1\]"),
    ({"top_k": -1}, "top_k is -1; expected a number of tokens, or 0 for all"),
    ({"repetition_penalty": 0}, "repetition_penalty is 0; expected a number above 0, for instance 1.2"),
    ({"seed": "one"}, "seed is 'one'; expected a whole number from 0"),
    ({"do_sample": "no"}, "do_sample is 'no'; expected True or False"),
    ({"stop_sequence": ""}, r"stop_strings is \[''\]; expected a text, or a list of texts, none of them empty"),
    ({"stop_strings": []}, r"stop_strings is \[\]; expected a text"),
    ({"num_return_sequences": 2, "do_sample": False}, "without drawing there are as many texts as beams, 1; set"),
    ({"num_return_sequences": 3, "num_beams": 2}, "num_return_sequences is 3, but num_beams is 2; raise num_beams"),
    ({"min_new_tokens": 9, "max_new_tokens": 5}, "min_new_tokens is 9, which is more than max_new_tokens, 5; lower it"),
    ({"handle_long_generation": "cut"}, "handle_long_generation is 'cut'; expected 'hole'"),
    ({"return_full_text": True, "return_tensors": True}, "return_full_text says which text is returned"),
    ({"return_text": True, "return_tensors": True}, "return_text and return_tensors exclude each other"),
    ({"prefix": 3}, "prefix is 3; expected a text"),
    ({"generation_config": {"top_k": 3}}, "generation_config is .*; expected a GenerationConfig of transformers"),
    ({"early_stopping": "soon"}, "early_stopping is 'soon'; expected True, False or 'never'"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_a_wrong_option_is_named(llama, options, words):
    with pytest.raises(UsageError, match=words):
        llama("a", **options)


def test_an_unknown_option_suggests_the_nearest(llama, make_folder):
    with pytest.raises(UnknownNameError, match=r"unknown option 'max_tokens'; did you mean .*max_new_tokens"):
        llama("a", max_tokens=3)
    with pytest.raises(UnknownNameError, match="unknown option 'temprature'; did you mean temperature"):
        pipeline("text-generation", model=str(make_folder("llama")), temprature=1.0)


def test_what_cannot_be_streamed_says_so(llama):
    with pytest.raises(
        UsageError, match=r"stream\(\) writes one text; give one prompt, or call the pipeline with the list"
    ):
        llama.stream(["a", "b"])
    with pytest.raises(UsageError, match="num_beams is 3 and num_return_sequences is 1; set both to 1"):
        llama.stream("a", num_beams=3)
    with pytest.raises(UsageError, match="leave return_tensors out"):
        llama.stream("a", return_tensors=True)
    with pytest.raises(InputError, match="got None"):
        llama.stream(None)


def test_a_checkpoint_without_a_language_model_is_refused(bert_folder):
    with pytest.raises(WeightsError, match="'tiny-bert' has no trained language model"):
        pipeline("text-generation", model=bert_folder)
    live = transformers.AutoModelForSequenceClassification.from_pretrained(bert_folder)
    with pytest.raises(WeightsError, match="'tiny-bert' is a BertForSequenceClassification, which writes no text; exp"):
        pipeline("text-generation", model=live)


def test_a_checkpoint_says_its_task_itself(make_folder):
    assert pipeline(make_folder("llama"), device="cpu").task == "text-generation"
    assert pipeline("text-completion", make_folder("gpt2"), device="cpu").task == "text-generation"


def test_files(make_folder, tmp_path):
    ours = pipeline("text-completion", make_folder("llama", chat=True), device="cpu", max_new_tokens=6, seed=1)
    rows = [{"prompt": prompt} for prompt in PROMPTS] + [{"prompt": CHAT}, {"prompt": None}]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    summary = run("text-completion", tmp_path / "prompts.jsonl", model=ours, output=tmp_path / "out.jsonl")
    assert (summary.total, summary.failed) == (8, 1)
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    expected = [answer[0]["generated_text"] for answer in ours([*PROMPTS, CHAT])]
    assert [row.get("generated_text") for row in written] == [*expected, None]
    assert "column 'prompt' is empty" in written[-1]["error"]
    several = pipeline("text-generation", ours.model, tokenizer=ours.tokenizer, device="cpu", num_return_sequences=2)
    (result,) = run("text-generation", ["a good"], model=several).results
    assert list(result) == ["text", "generated_text", "sequences"]
    assert result["sequences"][0] == result["generated_text"] != result["sequences"][1]
