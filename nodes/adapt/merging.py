"""Models mixed from two: all weights alike, by blocks, sums and differences."""

from typing import Annotated

from diffusion.patches.weights.mixing import by_prefix, merged, mixed, with_more
from execution.declare.node import Each, Options, Range, Tip, node
from nodes.sample.sampling import present
from nodes.sockets import Clip, Model
from nodes.text.text import present as present_clip

First = Annotated[Model, Tip("The first model.")]
Second = Annotated[Model, Tip("The second model, of the same family.")]
FirstClip = Annotated[Clip, Tip("The first text encoder.")]
SecondClip = Annotated[Clip, Tip("The second text encoder, of the same family.")]
Ratio = Annotated[float, Range(0.0, 1.0, step=0.01)]
Multiplier = Annotated[
    float, Range(-10.0, 10.0, step=0.01), Tip("How much of the second is taken away; negative adds it.")
]


@node("ModelMergeSimple", category="advanced/model_merging")
def merge_simple(
    model1: First, model2: Second, ratio: Annotated[Ratio, Tip("How much of the first.")] = 1.0
) -> Model:
    """ModelMergeSimple.

    Mixes two models.
    """
    return merged(present(model1), present(model2), lambda name: ratio)


@node("ModelMergeBlocks", category="advanced/model_merging")
def merge_blocks(
    model1: First,
    model2: Second,
    input: Annotated[Ratio, Tip("How much of the first in input blocks, and in all that is in none.")] = 1.0,
    middle: Annotated[Ratio, Tip("How much of the first in the middle block.")] = 1.0,
    out: Annotated[Ratio, Tip("How much of the first in output blocks.")] = 1.0,
) -> Model:
    """ModelMergeBlocks.

    Mixes two models, with a ratio for each third of the network.
    """
    ratios = {"input": input, "middle": middle, "out": out}
    return merged(present(model1), present(model2), by_prefix(ratios))


TWELVE, NINE, THREE = range(12), range(9), range(3)
SD_BLOCKS = Each(
    "time_embed.",
    "label_emb.",
    *(f"input_blocks.{number}." for number in TWELVE),
    *(f"middle_block.{number}." for number in THREE),
    *(f"output_blocks.{number}." for number in TWELVE),
    "out.",
)
SDXL_BLOCKS = Each(
    "time_embed.",
    "label_emb.",
    *(f"input_blocks.{number}" for number in NINE),
    *(f"middle_block.{number}" for number in THREE),
    *(f"output_blocks.{number}" for number in NINE),
    "out.",
)
OfFirst = Annotated[Ratio, Options(default=1.0), Tip("How much of the first in weights of this name.")]


@node("ModelMergeSD1", category="advanced/model_merging/model_specific")
def merge_sd1(model1: First, model2: Second, **ratios: Annotated[OfFirst, SD_BLOCKS]) -> Model:
    """ModelMergeSD1.

    Mixes two models of the size of SD 1, with a ratio for each block.
    """
    return merged(present(model1), present(model2), by_prefix(ratios))


@node("ModelMergeSD2", category="advanced/model_merging/model_specific")
def merge_sd2(model1: First, model2: Second, **ratios: Annotated[OfFirst, SD_BLOCKS]) -> Model:
    """ModelMergeSD2.

    Mixes two models of the size of SD 2, with a ratio for each block.
    """
    return merged(present(model1), present(model2), by_prefix(ratios))


@node("ModelMergeSDXL", category="advanced/model_merging/model_specific")
def merge_sdxl(model1: First, model2: Second, **ratios: Annotated[OfFirst, SDXL_BLOCKS]) -> Model:
    """ModelMergeSDXL.

    Mixes two models of the size of SDXL, with a ratio for each block.
    """
    return merged(present(model1), present(model2), by_prefix(ratios))


FLUX_BLOCKS = Each(
    *("img_in.", "time_in.", "guidance_in", "vector_in.", "txt_in."),
    *(f"double_blocks.{number}." for number in range(19)),
    *(f"single_blocks.{number}." for number in range(38)),
    "final_layer.",
)


@node("ModelMergeFlux1", category="advanced/model_merging/model_specific")
def merge_flux(model1: First, model2: Second, **ratios: Annotated[OfFirst, FLUX_BLOCKS]) -> Model:
    """ModelMergeFlux1.

    Mixes two models of the size of FLUX.1, with a ratio for each block.
    """
    return merged(present(model1), present(model2), by_prefix(ratios))


def joint_blocks(number: int) -> Each:
    """SD3's parts by name, with so many blocks."""
    return Each(
        *("pos_embed.", "x_embedder.", "context_embedder.", "y_embedder.", "t_embedder."),
        *(f"joint_blocks.{block}." for block in range(number)),
        "final_layer.",
    )


SD3_BLOCKS, SD35_LARGE_BLOCKS = joint_blocks(24), joint_blocks(38)


@node("ModelMergeSD3_2B", category="advanced/model_merging/model_specific")
def merge_sd3(model1: First, model2: Second, **ratios: Annotated[OfFirst, SD3_BLOCKS]) -> Model:
    """ModelMergeSD3_2B.

    Mixes two models of the size of SD 3 medium, with a ratio for each block.
    """
    return merged(present(model1), present(model2), by_prefix(ratios))


@node("ModelMergeSD35_Large", category="advanced/model_merging/model_specific")
def merge_sd35_large(model1: First, model2: Second, **ratios: Annotated[OfFirst, SD35_LARGE_BLOCKS]) -> Model:
    """ModelMergeSD35_Large.

    Mixes two models of the size of SD 3.5 large, with a ratio for each block.
    """
    return merged(present(model1), present(model2), by_prefix(ratios))


AURAFLOW_BLOCKS = Each(
    *("init_x_linear.", "positional_encoding", "cond_seq_linear.", "register_tokens", "t_embedder."),
    *(f"double_layers.{number}." for number in range(4)),
    *(f"single_layers.{number}." for number in range(32)),
    *("modF.", "final_linear."),
)


@node("ModelMergeAuraflow", category="advanced/model_merging/model_specific")
def merge_auraflow(model1: First, model2: Second, **ratios: Annotated[OfFirst, AURAFLOW_BLOCKS]) -> Model:
    """ModelMergeAuraflow.

    Mixes two models of the size of AuraFlow, with a ratio for each block.
    """
    return merged(present(model1), present(model2), by_prefix(ratios))


QWEN_BLOCKS = Each(
    *("pos_embeds.", "img_in.", "txt_norm.", "txt_in.", "time_text_embed."),
    *(f"transformer_blocks.{number}." for number in range(60)),
    "proj_out.",
)


@node("ModelMergeQwenImage", category="advanced/model_merging/model_specific")
def merge_qwen_image(model1: First, model2: Second, **ratios: Annotated[OfFirst, QWEN_BLOCKS]) -> Model:
    """ModelMergeQwenImage.

    Mixes two models of the size of Qwen-Image, with a ratio for each block.
    """
    return merged(present(model1), present(model2), by_prefix(ratios))


@node("ModelMergeAdd", category="advanced/model_merging")
def merge_add(model1: First, model2: Second) -> Model:
    """ModelMergeAdd.

    Adds the second model's weights to the first's, usually a difference of models.
    """
    return merged(present(model1), present(model2), lambda name: 1.0, lambda name: 1.0)


@node("ModelMergeSubtract", category="advanced/model_merging")
def merge_subtract(model1: First, model2: Second, multiplier: Multiplier = 1.0) -> Model:
    """ModelMergeSubtract.

    Takes the second model's weights away from the first's, to get what one learned beyond the other.
    """
    return merged(present(model1), present(model2), lambda name: multiplier, lambda name: -multiplier)


@node("CLIPMergeSimple", category="advanced/model_merging")
def merge_clips(
    clip1: FirstClip, clip2: SecondClip, ratio: Annotated[Ratio, Tip("How much of the first.")] = 1.0
) -> Clip:
    """CLIPMergeSimple.

    Mixes two text encoders.
    """
    return _merged(clip1, clip2, ratio, 1.0 - ratio)


@node("CLIPMergeAdd", category="advanced/model_merging")
def merge_clips_add(clip1: FirstClip, clip2: SecondClip) -> Clip:
    """CLIPMergeAdd.

    Adds the second text encoder's weights to the first's.
    """
    return _merged(clip1, clip2, 1.0, 1.0)


@node("CLIPMergeSubtract", category="advanced/model_merging")
def merge_clips_subtract(clip1: FirstClip, clip2: SecondClip, multiplier: Multiplier = 1.0) -> Clip:
    """CLIPMergeSubtract.

    Takes the second text encoder's weights away from the first's.
    """
    return _merged(clip1, clip2, multiplier, -multiplier)


def _merged(clip1: Clip, clip2: Clip, ratio: float, share: float) -> Clip:
    """The first text encoder, tower by tower mixed with the second."""
    one, other = present_clip(clip1), present_clip(clip2)
    partners = {tower.key: tower for tower in other.towers}
    patches = {}
    for tower in one.towers:
        partner = partners.get(tower.key)
        if partner is None:
            raise ValueError(f"input 'clip2' has no text encoder {tower.key!r}; both must be of one family")
        weights = tower.resident.weights, partner.resident.weights
        theirs = other.patches.get(tower.key, {})
        patches[tower.key] = mixed(*weights, lambda name: ratio, theirs, lambda name: share)
    return with_more(one, patches)
