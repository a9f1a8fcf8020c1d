"""Text while it grows: pieces that no later token changes, and strings at which a text stops."""

import random

import pytest
import torch
import transformers
from quintet.pipelines.text_pieces import StopStrings, TextPieces
from quintet.pipelines.tokenization import TextTokenizer
from tokenizers import Tokenizer, decoders, models

TEXT = "the good film wasn't bad , and it 's not dull ! née 你好 👍 he 'll stop . stopper op st " * 3


def byte_fallback():
    """A tokenizer like Llama's: pieces with a mark for spaces, and a token for each byte that no piece holds."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abcdefghijklmnoprstuw", "▁the", "good", "é"]
    backend = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, [], byte_fallback=True))
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return backend


def word_pieces():
    """A tokenizer like BERT's, whose text is tidied."""
    pieces = ["[UNK]", "the", "good", "do", "##n", "n", "'", "t", "s", "m", ".", ",", "!", "n't", "'s", "##ing", "a"]
    backend = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece(cleanup=False)
    return backend


def metaspace():
    pieces = ["<unk>", "▁", "▁the", "▁a", "good", "x", "y", ".", "▁."]
    backend = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=0))
    backend.decoder = decoders.Metaspace()
    return backend


@pytest.mark.parametrize("kind", ["byte-level", "byte-fallback", "word-pieces", "metaspace"])
@pytest.mark.parametrize("tidies", [False, True])
def test_joined_pieces_are_the_text_of_all_tokens(byte_backend, kind, tidies):
    makers = {"byte-fallback": byte_fallback, "word-pieces": word_pieces, "metaspace": metaspace}
    backend = byte_backend(TEXT) if kind == "byte-level" else makers[kind]()
    live = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output=True
    )
    tokenizer = TextTokenizer.from_transformers(live)
    draw = random.Random(0)
    changed = 0
    for _ in range(60):
        ids = [draw.randrange(backend.get_vocab_size()) for _ in range(draw.choice([1, 3, 20, 150]))]
        if kind == "byte-fallback":  # some of the bytes stand in an order that makes characters
            ids = [token for number in ids for token in draw.choice([[number], [1 + byte for byte in "你👍".encode()]])]
        pieces = TextPieces(
            lambda ids: tokenizer.decode(ids, clean_up_spaces=tidies), tokenizer.token_text, is_tidied=tidies
        )
        joined = "".join(pieces.add(token) for token in ids) + pieces.finish()
        assert joined == tokenizer.decode(ids, clean_up_spaces=tidies)
        changed += joined != tokenizer.decode(ids, clean_up_spaces=False)
    assert tidies == (changed > 0) or kind in ("byte-fallback", "byte-level")


def test_a_token_costs_the_same_however_long_the_text_is(byte_backend):
    backend = byte_backend(TEXT)
    longest = 0

    def decode(ids):
        nonlocal longest
        longest = max(longest, len(ids))
        return backend.decode(list(ids))

    pieces = TextPieces(decode, backend.id_to_token)
    given = "".join(pieces.add(token) for token in backend.encode(TEXT * 20).ids)
    assert given + pieces.finish() == TEXT * 20
    assert longest <= 66


def test_text_stops_where_transformers_stops(byte_backend):
    backend = byte_backend(TEXT)
    live = transformers.PreTrainedTokenizerFast(tokenizer_object=backend)
    strings = ["stop", "o", "s not", "film wasn", "你", " !", "d f"]
    hits = 0
    for string in strings:
        ours = StopStrings([string, "never there"], lambda ids: backend.decode(list(ids), skip_special_tokens=False))
        theirs = transformers.StopStringCriteria(live, [string, "never there"])
        ids = backend.encode(TEXT).ids
        for end in range(1, len(ids) + 1):
            expected = bool(theirs(torch.tensor([ids[:end]]), None))
            assert ours.is_at_end(ids[:end]) == expected, (string, backend.decode(ids[:end]))
            hits += expected
        first = ours.first_end(ids, 0)
        assert first is not None
        assert string in backend.decode(ids[:first])
        assert string not in backend.decode(ids[: first - 1])
        assert ours.first_end(ids, first) != first
    assert hits > 30


def test_what_goes_with_a_stop_string(byte_backend):
    backend = byte_backend(TEXT)
    stop = StopStrings(["stop", "op s"], lambda ids: backend.decode(list(ids)))
    assert stop.cut("he 'll stopper", backend.encode("he 'll stopper").ids) == "he 'll "
    assert stop.cut("per", backend.encode("per").ids) == ""
    assert [stop.held_back("", text) for text in ("st", "sto", "stop", "a", "", "op ")] == [2, 3, 2, 0, 0, 3]
    assert [stop.held_back("o", "p"), stop.held_back("xs", "t"), stop.held_back("st", "a")] == [1, 1, 0]
