"""BERT's encoder gives what `transformers` gives of the same weights."""

import pytest
import torch
from transformers import BertConfig, BertModel

from diffusion.errors import Mismatch
from diffusion.text.bert import Bert, bert_names, bert_sizes
from diffusion.text.tower import Reading
from diffusion.weights.shapes import Unlike
from tests.diffusion.small_models import as_weights, prefixed, seeded, weights_of
from tests.diffusion.text.small_encoders import BERT

NUMBERS = torch.tensor([[101, 90, 3, 102, 0, 0], [101, 8, 2, 9, 102, 0]])


@pytest.mark.parametrize("mask", [None, (NUMBERS != 0).long()], ids=["open", "masked"])
def test_states_equal_those_of_the_library(mask: torch.Tensor | None) -> None:
    module = seeded(lambda: Bert(BERT))
    config = BertConfig(
        vocab_size=BERT.vocabulary,
        hidden_size=BERT.width,
        num_hidden_layers=BERT.layers,
        num_attention_heads=BERT.width // 64,
        intermediate_size=BERT.inner,
        max_position_embeddings=BERT.positions,
        layer_norm_eps=1e-12,
    )
    theirs = BertModel(config, add_pooling_layer=False).eval()
    theirs.load_state_dict(module.state_dict())
    reading = Reading(module.embed(NUMBERS), NUMBERS, mask)
    with torch.no_grad():
        wanted = theirs(NUMBERS, attention_mask=mask, output_hidden_states=True)
        torch.testing.assert_close(module.encode(reading, -1, True, True).hidden, wanted.last_hidden_state)
        torch.testing.assert_close(module.encode(reading, -2, True, True).hidden, wanted.hidden_states[-2])


def test_sizes_are_read_below_its_prefix() -> None:
    weights = as_weights({**prefixed("bert.", seeded(lambda: Bert(BERT))), "cls.bias": torch.zeros(1)})
    own = bert_names(weights)
    assert bert_sizes(own) == BERT
    assert set(own) == set(weights_of(seeded(lambda: Bert(BERT))))
    with pytest.raises(Unlike, match="word_embeddings"):
        bert_sizes(weights)


def test_pictures_are_refused() -> None:
    with pytest.raises(Mismatch, match="cannot look at pictures"):
        seeded(lambda: Bert(BERT)).see(torch.zeros(1, 8, 8, 3))
