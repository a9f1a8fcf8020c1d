"""The head of a language model on chosen tokens only: the same logits, whatever the architecture."""

import pytest
import torch
import transformers
from quintet.pipelines.selected_tokens import has_separate_head, head_at

SMALL = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def model_of(name):
    torch.manual_seed(0)
    if name == "DistilBert":
        config = transformers.DistilBertConfig(vocab_size=60, dim=16, n_layers=2, n_heads=2, hidden_dim=24)
        return transformers.DistilBertForMaskedLM(config).eval()
    extra = {"embedding_size": 8} if name in ("Albert", "Electra") else {}
    config = getattr(transformers, f"{name}Config")(**SMALL, **extra)
    return getattr(transformers, f"{name}ForMaskedLM")(config).eval()


def batch():
    ids = torch.arange(2, 26).reshape(3, 8)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    return {"input_ids": ids, "attention_mask": mask}


WHERE = torch.zeros(3, 8, dtype=torch.bool)
WHERE[0, 2] = WHERE[1, 0] = WHERE[1, 4] = WHERE[2, 7] = True


@pytest.mark.parametrize("name", ["Bert", "Roberta", "DistilBert", "Albert", "Electra", "DebertaV2", "MPNet"])
def test_logits_of_the_chosen_tokens_are_those_of_the_whole_text(name):
    model = model_of(name)
    assert has_separate_head(model)
    with torch.no_grad():
        whole = model(**batch()).logits
        with head_at(model, WHERE):
            chosen = model(**batch()).logits
        after = model(**batch()).logits
    assert chosen.shape == (1, 4, 60)
    torch.testing.assert_close(chosen[0], whole[WHERE], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after, whole, atol=0, rtol=0)  # nothing of it stays behind


def test_gradients_are_those_of_the_whole_text():
    gradients = []
    for is_chosen in (False, True):
        model = model_of("Bert")
        if is_chosen:
            with head_at(model, WHERE):
                logits = model(**batch()).logits[0]
        else:
            logits = model(**batch()).logits[WHERE]
        torch.nn.functional.cross_entropy(logits, torch.tensor([1, 2, 3, 4])).backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_trying_out_leaves_the_model_as_it_was():
    model = model_of("Bert").train()
    random_state = torch.get_rng_state()
    assert has_separate_head(model)
    assert model.training and torch.equal(torch.get_rng_state(), random_state)
    assert not model.base_model._forward_hooks


class Shifting(transformers.BertForMaskedLM):
    """A head that mixes neighbouring tokens."""

    def forward(self, **inputs):
        outputs = super().forward(**inputs)
        outputs.logits = outputs.logits + outputs.logits.roll(1, dims=1)
        return outputs


def test_a_head_that_looks_at_several_tokens_is_computed_for_all():
    torch.manual_seed(0)
    assert not has_separate_head(Shifting(transformers.BertConfig(**SMALL)))


def test_a_model_without_a_body_of_its_own_is_computed_for_all():
    assert not has_separate_head(transformers.BertModel(transformers.BertConfig(**SMALL)))
    assert not has_separate_head(torch.nn.Linear(2, 2))
