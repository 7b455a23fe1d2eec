"""Stand-ins for the models that bundled examples name: small and random, each of the family its name says.

Those called `emoji-…` belong to the default checkpoint: its parts in files, or made for its sizes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from diffusion.control.control_union import NAMES as UNION_NAMES
from diffusion.control.control_union import UnionSizes
from diffusion.control.controlnet import ControlUNet
from diffusion.control.gligen import Fuser, PositionNet
from diffusion.control.photomaker import IdentityNet
from diffusion.control.style_model import StyleNet
from diffusion.control.t2i_adapter import AdapterNet, AdapterSizes, LevelSizes
from diffusion.families.saving import TEXT_PROJECTION, VISION_PROJECTION
from diffusion.latents.vae import AutoencoderKL, VAESizes
from diffusion.networks.clip_names import to_open_clip
from diffusion.networks.unet import UNet, UNetSizes
from diffusion.text.clip import ClipText, TextSizes
from diffusion.upscaling.upscaler_networks import RRDB
from diffusion.weights.files import open_weights
from tests.diffusion.small_models import (
    METADATA,
    SD1,
    SD1_INPAINTING,
    TEXT,
    VAE,
    prefixed,
    sd1_tensors,
    seeded,
    weights_of,
)
from tests.diffusion.text import small_encoders
from tests.diffusion.weights.packing import write_gguf
from tests.golden.weights import manifests, state_dict
from tests.nodes import (
    small_auraflow,
    small_dit,
    small_flux,
    small_hunyuan,
    small_pixart,
    small_qwen,
    small_sd3,
)

Tensors = dict[str, Tensor]
File = tuple[str, Tensors, Mapping[str, str]]
"""Where it lies below the models folder, its tensors, and its metadata."""

SHIPPED = Path(__file__).parents[2] / "models" / "checkpoints" / "nodeloom-emoji.safetensors"
UNET, AUTOENCODER, WORDS = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."
OPEN_CLIP = TextSizes(width=64, layers=3, heads=1, inner=128, activation="gelu", projection=64)
LARGE = replace(OPEN_CLIP, projection=1280)
SD2 = UNetSizes.even(
    (1, 2), (1, 1), blocks=1, channels=32, context=64, heads=None, head_channels=32, linear_projections=True
)
UNCLIP = replace(SD2, vector=1536)
REFINER = replace(SD2, vector=2560)
XL = UNetSizes.even(
    (1, 2),
    (0, 1),
    channels=32,
    context=128,
    heads=None,
    head_channels=32,
    linear_projections=True,
    vector=2816,
)
LINEAR = {"nodeloom.unet.head_channels": "32", "nodeloom.vae.norm_groups": "8"}
"""The metadata of those since SD 2."""
SEEN = 24
"""The width of what picture encoders tell video models and Zero123."""
TURNER = replace(SD1, in_channels=8, context=SEEN)
VIDEO = replace(TURNER, linear_projections=True, video=True, vector=768)
UPSCALER = replace(SD1, in_channels=7, classes=1000, linear_projections=True, self_attention=(False, True))
HINTS = [(3, 8), (8, 8), (8, 16), (16, 16), (16, 24), (24, 24), (24, 28), (28, 32)]
ADAPTER = AdapterSizes(
    192, 32, (LevelSizes(32, 32, 2, False, False, False), LevelSizes(32, 64, 2, True, False, True))
)
ATTENDED = {
    "input_blocks.1.1": 32,
    "middle_block.1": 64,
    "output_blocks.2.1": 32,
    "output_blocks.3.1": 32,
}
"""Where SD1 attends, and the channels there."""


def make(folder: Path) -> None:
    """Write every model that an example names, except those that are shipped."""
    for path, tensors, metadata in files():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        halved = {name: each.half() if each.is_floating_point() else each for name, each in tensors.items()}
        save_file({name: each.contiguous() for name, each in halved.items()}, target, dict(metadata))
    (folder / "diffusers" / "sd15" / "model_index.json").write_text("{}")
    tokenizers = {"llama3.tokenizer.json": small_encoders.byte_tokenizer()}
    tokenizers["hunyuan_dit.vocab.txt"] = small_encoders.VOCABULARY
    for name, text in tokenizers.items():
        (folder / "text_encoders" / name).write_text(text, "utf-8")
    write_packed(folder / "diffusion_models" / "emoji-unet-Q8_0.gguf")
    for path, contents in pickled().items():
        (folder / path).parent.mkdir(exist_ok=True)
        torch.save(contents, folder / path)


def write_packed(path: Path) -> None:
    """The shipped checkpoint's UNet as GGUF: matrices in blocks of 8 bits, the rest in 16."""
    unet, metadata = under(UNET, load_file(SHIPPED)), open_weights(SHIPPED).metadata
    kinds = {name: "Q8_0" if each.dim() == 2 else "F16" for name, each in unet.items()}
    write_gguf(path, {name: (kinds[name], each.float()) for name, each in unet.items()}, metadata=metadata)


def files() -> Iterator[File]:
    """All of them that are safetensors."""
    yield from emoji_parts()
    yield from checkpoints()
    yield from sdxl()
    yield from from_pictures()
    yield from controls()
    yield from small_nets()
    yield from text_encoders()
    yield from small_flux.files()
    yield from small_sd3.files()
    yield from small_pixart.files()
    yield from small_dit.files()
    yield from small_auraflow.files()
    yield from small_qwen.files()
    yield from small_hunyuan.files()


def text_encoders() -> Iterator[File]:
    """Text encoders in files of their own, as families share them."""
    yield "text_encoders/clip_l.safetensors", small_encoders.clip_l(), {}
    yield "text_encoders/clip_g.safetensors", small_encoders.clip_g(), {}
    yield "text_encoders/t5xxl_fp16.safetensors", small_encoders.t5(), {}
    llama = small_encoders.whole_decoder("llama", small_encoders.LLAMA)
    yield "text_encoders/llama_3.1_8b_instruct.safetensors", llama, {}
    gemma = small_encoders.with_pieces(small_encoders.decoder("gemma2"))
    yield "text_encoders/gemma_2_2b.safetensors", gemma, {}
    qwen = small_encoders.whole_decoder("qwen2", small_encoders.QWEN_7B, vision=True)
    yield "text_encoders/qwen_2.5_vl_7b.safetensors", qwen, {}
    yield "text_encoders/hunyuan_dit_bert.safetensors", small_encoders.bert(), {}
    mt5 = small_encoders.with_pieces(small_encoders.t5(small_encoders.MT5))
    yield "text_encoders/hunyuan_dit_mt5.safetensors", mt5, {}


def emoji_parts() -> Iterator[File]:
    """The shipped checkpoint taken apart, one a little unlike it, and a learned word."""
    whole, metadata = load_file(SHIPPED), open_weights(SHIPPED).metadata
    yield "checkpoints/emoji-tuned.safetensors", unlike(whole), metadata
    yield "diffusion_models/emoji-unet.safetensors", under(UNET, whole), metadata
    yield "text_encoders/emoji-clip.safetensors", under(WORDS, whole), metadata
    yield "vae/emoji-vae.safetensors", under(AUTOENCODER, whole), metadata
    vectors = 0.02 * torch.randn(2, 96, generator=torch.Generator().manual_seed(1))
    yield "embeddings/emoji-style.safetensors", {"emb_params": vectors}, {}


def under(prefix: str, whole: Tensors) -> Tensors:
    """The tensors of one part under its own names."""
    return {name.removeprefix(prefix): each for name, each in whole.items() if name.startswith(prefix)}


def unlike(whole: Tensors) -> Tensors:
    """The same checkpoint with its UNet's weights moved by a little."""
    generator = torch.Generator().manual_seed(3)

    def moved(name: str, weight: Tensor) -> Tensor:
        if not name.startswith(UNET) or weight.dim() < 2:
            return weight
        return weight + 0.05 * weight.float().std() * torch.randn(weight.shape, generator=generator)

    return {name: moved(name, each) for name, each in whole.items()}


def checkpoints() -> Iterator[File]:
    """Whole checkpoints of the families before SDXL."""
    plain = sd1_tensors()
    yield "checkpoints/sd15.safetensors", plain, METADATA
    for prefix, part in ((UNET, "unet"), (AUTOENCODER, "vae"), (WORDS, "text_encoder")):
        yield f"diffusers/sd15/{part}/model.safetensors", under(prefix, plain), METADATA
    for name, sizes in (
        ("sd15-inpainting", SD1_INPAINTING),
        ("instruct-pix2pix", replace(SD1, in_channels=8)),
    ):
        unet = prefixed(UNET, seeded(partial(UNet, sizes), 1))
        yield f"checkpoints/{name}.safetensors", {**plain, **unet}, METADATA
    words = named("cond_stage_model.model.", tower(OPEN_CLIP))
    yield "checkpoints/sd2.safetensors", {**parts(SD2), **words}, LINEAR
    yield "diffusion_models/sd2-tuned.safetensors", prefixed(UNET, seeded(lambda: UNet(SD2), 5)), LINEAR
    seeing = picture_encoder("embedder.model.visual.", 768)
    yield "checkpoints/unclip-h.safetensors", {**parts(UNCLIP), **words, **seeing}, LINEAR
    upscaler = parts(UPSCALER, vae=replace(VAE, multipliers=(1, 1, 2)))
    yield "checkpoints/x4-upscaler.safetensors", {**upscaler, **words}, METADATA


def parts(unet: UNetSizes, vae: VAESizes = VAE) -> Tensors:
    """A UNet and an autoencoder where checkpoints have them."""
    return {
        **prefixed(UNET, seeded(lambda: UNet(unet), 1)),
        **prefixed(AUTOENCODER, seeded(lambda: AutoencoderKL(vae), 3)),
    }


def tower(sizes: TextSizes) -> Tensors:
    """A text tower in OpenCLIP's layout."""
    module = seeded(lambda: ClipText(sizes), 2)
    entries = to_open_clip(weights_of(module), "text_model", TEXT_PROJECTION)
    return {name: entry.read().half() for name, entry in entries.items()}


def named(prefix: str, tensors: Tensors) -> Tensors:
    """The same tensors under a prefix."""
    return {prefix + name: each for name, each in tensors.items()}


def picture_encoder(prefix: str, projection: int) -> Tensors:
    """A picture encoder in OpenCLIP's layout."""
    entries = to_open_clip(weights_of(vision(projection)), "vision_model", VISION_PROJECTION)
    return {prefix + name: entry.read() for name, entry in entries.items() if "position_ids" not in name}


def vision(projection: int) -> nn.Module:
    """A picture encoder."""
    module: nn.Module = seeded(lambda: CLIPVisionModelWithProjection(vision_config(projection)), 4)
    return module


def vision_config(projection: int) -> CLIPVisionConfig:
    """The sizes of a small picture encoder."""
    return CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=96,
        projection_dim=projection,
        num_hidden_layers=2,
        num_attention_heads=1,
        image_size=28,
        patch_size=14,
        hidden_act="gelu",
    )


def sdxl() -> Iterator[File]:
    """SDXL, its refiner, its parts in files of their own, and PhotoMaker."""
    first, second = prefixed("", seeded(lambda: ClipText(TEXT), 2)), tower(LARGE)
    large = named("conditioner.embedders.1.model.", second)
    words = {**named("conditioner.embedders.0.transformer.", first), **large}
    yield "checkpoints/sdxl-base.safetensors", {**parts(XL), **words}, LINEAR
    refining = {**parts(REFINER), **named("conditioner.embedders.0.model.", second)}
    yield "checkpoints/sdxl-refiner.safetensors", refining, LINEAR
    yield "diffusion_models/sdxl-tuned.safetensors", prefixed(UNET, seeded(lambda: UNet(XL), 5)), LINEAR
    yield "text_encoders/clip-l.safetensors", first, {}
    yield "text_encoders/clip-g.safetensors", large, {}
    yield "vae/sdxl-vae.safetensors", prefixed("", seeded(lambda: AutoencoderKL(VAE), 3)), LINEAR
    person = seeded(lambda: IdentityNet(vision_config(64), 64), 3)
    yield "photomaker/photomaker.safetensors", without_places("id_encoder.", person), {}


def without_places(prefix: str, module: nn.Module) -> Tensors:
    """The tensors of a module of transformers, without its numbers of places."""
    return {name: each for name, each in prefixed(prefix, module).items() if "position_ids" not in name}


def from_pictures() -> Iterator[File]:
    """Checkpoints that go on from a picture alone: in motion, or seen from elsewhere."""
    frames = replace(VAE, quantised=False, video=True)
    for name, vector in (("svd", 768), ("sv3d", 1280)):
        own = {**parts(replace(VIDEO, vector=vector), vae=frames)}
        seeing = picture_encoder("conditioner.embedders.0.open_clip.model.visual.", SEEN)
        yield f"checkpoints/{name}.safetensors", {**own, **seeing}, METADATA
    camera = {
        "cc_projection.weight": torch.randn(SEEN, SEEN + 4, generator=torch.Generator().manual_seed(2)),
        "cc_projection.bias": torch.zeros(SEEN),
    }
    turner = {**parts(TURNER), **picture_encoder("cond_stage_model.model.visual.", SEEN), **camera}
    yield "checkpoints/zero123.safetensors", turner, METADATA


def controls() -> Iterator[File]:
    """Control networks of all kinds for the stand-in of SD 1.5."""
    plain = seeded(lambda: ControlUNet(SD1, HINTS), 4).state_dict()
    yield "controlnet/controlnet-canny.safetensors", plain, METADATA
    masked = seeded(lambda: ControlUNet(SD1, [(4, 8), *HINTS[1:]]), 5)
    yield "controlnet/controlnet-inpaint.safetensors", prefixed("", masked), METADATA
    union = seeded(lambda: ControlUNet(SD1, HINTS, UnionSizes(8, 32, 1, 16)), 6)
    yield "controlnet/controlnet-union.safetensors", as_published(union.state_dict()), METADATA
    base = seeded(lambda: UNet(SD1), 1).state_dict()
    differences = {name: each - base[name] if name in base else each for name, each in plain.items()}
    marked = {"difference": torch.tensor([]), **differences}
    yield "controlnet/controlnet-difference.safetensors", marked, METADATA
    yield "controlnet/control-lora-canny.safetensors", low_rank(plain, base), METADATA
    adapter = seeded(lambda: AdapterNet(ADAPTER), 7)
    yield "controlnet/t2i-adapter-sketch.safetensors", prefixed("", adapter), {}


def as_published(tensors: Mapping[str, Tensor]) -> Tensors:
    """A network of several kinds under the names of published files."""
    theirs = {f"union.{ours}": name for name, ours in UNION_NAMES.items()}

    def renamed(name: str) -> str:
        start = next((each for each in theirs if name.startswith(each)), None)
        return name if start is None else theirs[start] + name.removeprefix(start)

    return {renamed(name): each for name, each in tensors.items()}


def low_rank(network: Mapping[str, Tensor], base: Mapping[str, Tensor], rank: int = 4) -> Tensors:
    """A Control-LoRA: changes of a model's weights in two factors, and what the model has not."""
    generator = torch.Generator().manual_seed(8)
    found = {"lora_controlnet": torch.tensor([])}
    found |= {name: each for name, each in network.items() if name not in base}
    for name in sorted(network.keys() & base.keys()):
        weight = base[name].flatten(1) if base[name].dim() > 1 else None
        if weight is not None and name.endswith(".weight"):
            out, into = weight.shape
            stem = name.removesuffix(".weight")
            found[f"{stem}.up"] = 0.02 * torch.randn(out, rank, generator=generator)
            found[f"{stem}.down"] = torch.randn(rank, into, generator=generator) / into**0.5
    return found


def small_nets() -> Iterator[File]:
    """What stands beside a model: a tiny autoencoder, GLIGEN, a picture encoder, a style model."""
    for half in ("taesd_encoder", "taesd_decoder"):
        yield f"vae_approx/{half}.safetensors", state_dict(manifests()[half]), {}
    boxes = prefixed("position_net.", seeded(lambda: PositionNet(64, 64), 1))
    for place, channels in ATTENDED.items():
        fuser = seeded(partial(Fuser, channels, 64), channels)
        boxes |= prefixed(f"{place}.transformer_blocks.0.fuser.", fuser)
    yield "gligen/gligen-boxes.safetensors", boxes, {}
    yield "clip_vision/clip-vision.safetensors", without_places("", vision(SEEN)), {}
    yield "style_models/style.safetensors", style(), {}


def style() -> Tensors:
    """A style model of four words."""
    net = seeded(lambda: StyleNet(4, 64, 64, 1), 1)
    generator = torch.Generator().manual_seed(1)
    for parameter in (net.style_embedding, net.proj):
        nn.init.normal_(parameter, std=0.1, generator=generator)
    return prefixed("", net)


def pickled() -> dict[str, Any]:
    """Those that are no safetensors."""
    enlarging = seeded(lambda: RRDB(channels=8, growth=4, blocks=2, colours=3, doublings=2, folded=2), 2)
    return {
        "hypernetworks/hypernetwork.pt": hypernetwork(),
        "upscale_models/RealESRGAN_x2plus.pth": {"params_ema": enlarging.state_dict()},
    }


def hypernetwork() -> dict[int, list[Tensors]]:
    """A pair of nets for each width of SD1's attention."""
    generator = torch.Generator().manual_seed(9)
    return {
        width: [{"linear.0.weight": 0.1 * torch.randn(width, width, generator=generator)} for _ in range(2)]
        for width in (32, 64)
    }
