"""Models in the folder layout of diffusers: one folder a part, each with a configuration and its tensors.

Configurations are only asked for what shapes do not reveal: heads, norm groups, the kind of prediction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffusion.errors import FileProblem
from diffusion.families.checkpoints import Checkpoint, model_from
from diffusion.families.detect import require
from diffusion.latents.vae_files import vae_from, vae_part
from diffusion.residency.budget import Residency
from diffusion.text.loading import text_encoder_from, text_parts
from diffusion.text.tokens import Find, no_embeddings
from diffusion.weights.entries import Entry, Weights
from diffusion.weights.files import open_weights
from diffusion.weights.shards import shards_of

STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
ENDINGS = (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin")
MAX_JSON = 16 << 20


def load_diffusers(
    folder: Path | str, residency: Residency | None = None, find: Find = no_embeddings
) -> Checkpoint:
    """The model, text encoder and VAE of a folder; a part without its folder is None."""
    folder, residency = Path(folder), residency or Residency()
    unet, vae = _part(folder, "unet"), _part(folder, "vae")
    towers: dict[str, Weights] = {}
    for name in ("text_encoder", "text_encoder_2"):
        part = _part(folder, name)
        towers |= text_parts(part) if part else {}
    named, autoencoder = require(unet) if unet else None, vae_part(vae) if vae else None
    if named is None and autoencoder is None and not towers:
        problem = "This folder has no unet, vae or text_encoder in the layout of diffusers."
        raise FileProblem(folder, problem, "Choose the folder that holds model_index.json.")
    return Checkpoint(
        model_from(named, residency) if named else None,
        text_encoder_from(towers, residency, find) if towers else None,
        vae_from(autoencoder, residency) if autoencoder else None,
    )


def _part(folder: Path, name: str) -> Weights | None:
    """The tensors of one sub-folder, with its configuration as metadata."""
    inner = folder / name
    if not inner.is_dir():
        return None
    path = next((path for path in _candidates(inner) if path.is_file()), None)
    if path is None:
        raise FileProblem(inner, "It holds no weights.", "Download the folder again, weights included.")
    weights = _sharded(path) if path.suffix == ".json" else open_weights(path)
    return replace(weights, metadata={**weights.metadata, **_stated(folder, name)})


def _candidates(folder: Path) -> Iterator[Path]:
    for ending in ENDINGS:
        for stem in STEMS:
            yield folder / f"{stem}{ending}"
            if ending == ".safetensors":
                yield folder / f"{stem}{ending}.index.json"


def _sharded(index: Path) -> Weights:
    """The tensors of several files, as an index lists them."""
    shards = sorted({str(shard) for shard in _json(index).get("weight_map", {}).values()})
    entries: dict[str, Entry] = {}
    for shard in shards:
        if Path(shard).name != shard:
            raise FileProblem(index, f"It names a file outside its folder ({shard!r:.60}).")
        if len(shards_of(index.parent / shard)) > 1:
            return open_weights(index.parent / shard)
        entries |= open_weights(index.parent / shard).entries
    return Weights(index, entries)


def _stated(folder: Path, part: str) -> dict[str, str]:
    """What the configurations say, in the words of our metadata."""
    config = _json(folder / part / "config.json")
    stated: dict[str, Any] = {}
    if part in ("unet", "vae"):
        stated[f"nodeloom.{part}.norm_groups"] = config.get("norm_num_groups")
    if part == "unet":
        stated |= _heads(config)
        schedule = _json(folder / "scheduler" / "scheduler_config.json")
        said = schedule.get("prediction_type")
        stated["nodeloom.prediction"] = {"v_prediction": "v", "epsilon": "eps"}.get(str(said))
        stated["nodeloom.unet.zero_snr"] = "true" if schedule.get("rescale_betas_zero_snr") else None
    if part.startswith("text"):
        stated["nodeloom.text.heads"] = config.get("num_attention_heads")
        stated["nodeloom.text.activation"] = config.get("hidden_act")
    return {key: str(value) for key, value in stated.items() if value is not None}


def _heads(config: Mapping[str, Any]) -> dict[str, Any]:
    """diffusers calls the number of heads attention_head_dim: one for all levels, or one a level."""
    heads = config.get("num_attention_heads") or config.get("attention_head_dim")
    if isinstance(heads, list):
        return {"nodeloom.unet.head_channels": config["block_out_channels"][0] // heads[0]}
    return {"nodeloom.unet.heads": heads}


def _json(path: Path) -> dict[str, Any]:
    """A configuration; an absent one says nothing."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise FileProblem(path, "It is too large for a configuration.")
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        raise FileProblem(path, "It is not valid JSON.") from None
    return found if isinstance(found, dict) else {}
