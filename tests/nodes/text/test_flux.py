"""What FLUX is told beside its text."""

import torch

from nodes.text import flux


def test_guidance_is_set_on_every_entry() -> None:
    entries = [[torch.zeros(1, 2, 3), {"kept": 1}], [torch.zeros(1, 1, 3), {"guidance": 1.0}]]
    assert [options for _, options in flux.set_guidance(entries, 4.5)] == [
        {"kept": 1, "guidance": 4.5},
        {"guidance": 4.5},
    ]


def test_guidance_can_be_taken_away() -> None:
    assert flux.take_guidance_away([[torch.zeros(1, 2, 3), {"guidance": 4.5}]])[0][1] == {"guidance": None}
