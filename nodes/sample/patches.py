"""Models changed without training: by what is computed inside, and how estimates are combined."""

from typing import Annotated

from diffusion.guidance import estimates as guidance
from diffusion.patches.deep_shrink import Shrink, deep_shrink
from diffusion.patches.freeu import freeu, freeu_v2
from diffusion.patches.tome import merging_tokens
from diffusion.patches.weights.mixing import attention_factors, with_more
from execution.declare.node import Choice, Range, Tip, node
from nodes.sample.sampling import SomeModel, present
from nodes.sockets import Clip, Conditioning, Model
from nodes.text.text import present as present_clip

Tenfold = Annotated[float, Range(0.0, 10.0, step=0.01)]
FirstBackbone = Annotated[Tenfold, Tip("A factor on features at the lowest resolution.")]
SecondBackbone = Annotated[Tenfold, Tip("A factor on features at the second lowest resolution.")]
FirstSkip = Annotated[Tenfold, Tip("A factor on coarse structure of the skips at the lowest resolution.")]
SecondSkip = Annotated[Tenfold, Tip("A factor on coarse structure of the skips at the second lowest.")]
Query = Annotated[Tenfold, Tip("A factor on what tokens ask for.")]
Key = Annotated[Tenfold, Tip("A factor on what tokens are found by.")]
Value = Annotated[Tenfold, Tip("A factor on what tokens give.")]
Out = Annotated[Tenfold, Tip("A factor on what attention adds.")]
Percent = Annotated[float, Range(0.0, 1.0, step=0.001)]
ResizeMethod = Annotated[
    str,
    Choice(["bicubic", "nearest-exact", "bilinear", "area", "bislerp"]),
    Tip("How places in between are found."),
]


@node("FreeU", category="model_patches/unet")
def free_u(
    model: SomeModel,
    b1: FirstBackbone = 1.1,
    b2: SecondBackbone = 1.2,
    s1: FirstSkip = 0.9,
    s2: SecondSkip = 0.2,
) -> Model:
    """FreeU.

    Clearer pictures by weighing the two ways through the network anew.
    """
    return freeu(present(model), b1, b2, s1, s2)


@node("FreeU_V2", category="model_patches/unet")
def free_u_v2(
    model: SomeModel,
    b1: FirstBackbone = 1.3,
    b2: SecondBackbone = 1.4,
    s1: FirstSkip = 0.9,
    s2: SecondSkip = 0.2,
) -> Model:
    """FreeU_V2.

    FreeU whose strength follows the picture from place to place.
    """
    return freeu_v2(present(model), b1, b2, s1, s2)


@node("PatchModelAddDownscale", category="model_patches/unet", v3=True)
def add_downscale(
    model: SomeModel,
    block_number: Annotated[int, Range(1, 32, step=1), Tip("Behind which input block.")] = 3,
    downscale_factor: Annotated[float, Range(0.1, 9.0, step=0.001), Tip("How much smaller.")] = 2.0,
    start_percent: Annotated[Percent, Tip("From when on, as a share of the way.")] = 0.0,
    end_percent: Annotated[Percent, Tip("Until when, as a share of the way.")] = 0.35,
    downscale_after_skip: Annotated[bool, Tip("Leave the skip of that block at full size.")] = True,
    *,
    downscale_method: ResizeMethod,
    upscale_method: ResizeMethod,
) -> Model:
    """PatchModelAddDownscale (Kohya Deep Shrink).

    Composes large pictures as if they were small, so that nothing appears twice.
    """
    window = (start_percent, end_percent, downscale_after_skip, downscale_method, upscale_method)
    return deep_shrink(present(model), Shrink(block_number, downscale_factor, *window))


@node("TomePatchModel", category="model_patches/unet", display_name=None)
def merge_tokens(
    model: SomeModel,
    ratio: Annotated[float, Range(0.0, 1.0, step=0.01), Tip("The share of tokens that are merged.")] = 0.3,
) -> Model:
    """Token Merging.

    Samples faster by letting places that look alike share their attention.
    """
    return merging_tokens(present(model), ratio)


@node("RescaleCFG", category="advanced/model")
def rescale_cfg(
    model: SomeModel,
    multiplier: Annotated[
        float, Range(0.0, 1.0, step=0.01), Tip("How much of the rescaled result; 0 changes nothing.")
    ] = 0.7,
) -> Model:
    """RescaleCFG.

    Keeps strong guidance from burning out colours.
    """
    return guidance.rescaled(present(model), multiplier)


@node("PerturbedAttentionGuidance", category="model_patches/unet", display_name=None)
def perturbed_attention(
    model: SomeModel,
    scale: Annotated[float, Range(0.0, 100.0, step=0.01, round=0.01), Tip("How strongly.")] = 3.0,
) -> Model:
    """Perturbed-Attention Guidance.

    Clearer structure by leading away from an estimate made without attention.
    """
    return guidance.perturbed_attention(present(model), scale)


@node("PerpNeg", category="_for_testing", deprecated=True, experimental=True)
def perp_neg(
    model: SomeModel,
    empty_conditioning: Annotated[Conditioning, Tip("The conditioning of an empty text.")],
    neg_scale: Annotated[
        float, Range(0.0, 100.0, step=0.01), Tip("How strongly the negative is avoided.")
    ] = 1.0,
) -> Model:
    """Perp-Neg (DEPRECATED by PerpNegGuider).

    Avoids only that part of the negative which does not contradict the positive.
    """
    return guidance.perpendicular_negative(present(model), empty_conditioning, neg_scale)


# Attention made stronger or weaker


@node(
    "UNetSelfAttentionMultiply",
    category="_for_testing/attention_experiments",
    display_name=None,
    experimental=True,
)
def multiply_self_attention(
    model: SomeModel, q: Query = 1.0, k: Key = 1.0, v: Value = 1.0, out: Out = 1.0
) -> Model:
    """UNet Self-Attention Multiply.

    Makes parts of the attention between places stronger or weaker.
    """
    return _multiplied(present(model), "attn1", q, k, v, out)


@node(
    "UNetCrossAttentionMultiply",
    category="_for_testing/attention_experiments",
    display_name=None,
    experimental=True,
)
def multiply_cross_attention(
    model: SomeModel, q: Query = 1.0, k: Key = 1.0, v: Value = 1.0, out: Out = 1.0
) -> Model:
    """UNet Cross-Attention Multiply.

    Makes parts of the attention to the text stronger or weaker.
    """
    return _multiplied(present(model), "attn2", q, k, v, out)


@node(
    "UNetTemporalAttentionMultiply",
    category="_for_testing/attention_experiments",
    display_name=None,
    experimental=True,
)
def multiply_temporal_attention(
    model: SomeModel,
    self_structural: Annotated[Tenfold, Tip("A factor on attention between places.")] = 1.0,
    self_temporal: Annotated[Tenfold, Tip("A factor on attention between frames.")] = 1.0,
    cross_structural: Annotated[Tenfold, Tip("A factor on what places take from text or picture.")] = 1.0,
    cross_temporal: Annotated[Tenfold, Tip("A factor on what frames take from text or picture.")] = 1.0,
) -> Model:
    """UNet Temporal Attention Multiply.

    Makes attention stronger or weaker, between places and between the frames of a clip.
    """
    model = present(model)
    names = list(model.backbone.weights)
    temporal = [name for name in names if ".time_stack." in name]
    structural = [name for name in names if ".time_stack." not in name]
    return model.with_patches(
        {
            **attention_factors(structural, "attn1", {"to_out.0": self_structural}),
            **attention_factors(structural, "attn2", {"to_out.0": cross_structural}),
            **attention_factors(temporal, "attn1", {"to_out.0": self_temporal}),
            **attention_factors(temporal, "attn2", {"to_out.0": cross_temporal}),
        }
    )


def _multiplied(model: Model, layer: str, q: float, k: float, v: float, out: float) -> Model:
    factors = {"to_q": q, "to_k": k, "to_v": v, "to_out.0": out}
    return model.with_patches(attention_factors(model.backbone.weights, layer, factors))


@node(
    "CLIPAttentionMultiply",
    category="_for_testing/attention_experiments",
    display_name=None,
    experimental=True,
)
def multiply_clip_attention(
    clip: Annotated[Clip, Tip("The text encoder.")],
    q: Query = 1.0,
    k: Key = 1.0,
    v: Value = 1.0,
    out: Out = 1.0,
) -> Clip:
    """CLIP Attention Multiply.

    Makes parts of the text encoder's attention stronger or weaker.
    """
    clip = present_clip(clip)
    factors = {"q_proj": q, "k_proj": k, "v_proj": v, "out_proj": out}
    patches = {
        tower.key: attention_factors(tower.resident.weights, "self_attn", factors) for tower in clip.towers
    }
    return with_more(clip, patches)
