"""Models into files: checkpoints and their parts, and LoRAs cut out of differences."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from torch import Tensor

from diffusion.families import saving
from diffusion.patches.weights import adapters, lora_files
from diffusion.patches.weights.adapter_keys import groups
from diffusion.patches.weights.adapter_names import model_targets
from diffusion.weights.entries import Entry, Weights
from diffusion.weights.writing import entry_of, write_safetensors
from execution.declare.node import ForceInput, Options, Range, Run, Socket, Tip, Ui, node
from execution.files.folders import Folders, atomic_write
from nodes.adapt.adapters import ModelStrength
from nodes.image.encoding import Embedding
from nodes.latent.vae import present as present_vae
from nodes.names import ExtraPngInfo, PromptGraph, prefix_of
from nodes.sample.sampling import SomeModel, present
from nodes.sockets import Clip, ClipVision, Model, Vae
from nodes.text.text import present as present_clip

Prefix = Annotated[str, Tip("The start of the file's name in the output folder; a slash makes a folder.")]
SavedClip = Annotated[Clip, Tip("The text encoder.")]
SavedVae = Annotated[Vae, Tip("The VAE.")]
LoraModel = Annotated[Mapping[str, Tensor], Socket("LORA_MODEL")]
"""A LoRA's tensors by the names that they have in files."""


class Writing:
    """Where files go, and what is written into each beside its tensors."""

    def __init__(self, prefix: str, prompt: Any, extra: Any, folders: Folders, embedding: Embedding) -> None:
        self.prefix = prefix_of(prefix, prompt, extra)
        self.folders, self.texts = folders, embedding.texts(prompt, extra)

    def write(
        self, entries: Mapping[str, Entry], run: Run, stated: Mapping[str, str], suffix: str = ""
    ) -> Path:
        """One file, whole or not there; where it is."""
        place = self.folders.save_place(self.prefix + suffix, "output")
        path = place.path(".safetensors")
        with atomic_write(path) as file:
            write_safetensors(file, entries, {**stated, **self.texts}, run.progress)
        run.wrote(path)
        return path


@node("CheckpointSave", category="advanced/model_merging", output_node=True)
def save_checkpoint(
    model: SomeModel,
    clip: SavedClip,
    vae: SavedVae,
    filename_prefix: Prefix = "checkpoints/ComfyUI",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Save Checkpoint.

    Writes model, text encoder and VAE into one file, LoRAs and merges worked in. Move it to
    models/checkpoints to load it.
    """
    model, clip, vae = present(model), present_clip(clip), present_vae(vae)
    parts = model.backbone, vae.resident, *(tower.resident for tower in clip.towers)
    writing = Writing(filename_prefix, prompt, extra_pnginfo, folders, embedding)
    writing.write(saving.checkpoint_entries(model, clip, vae), run, saving.stated(*parts, model=model))
    return Ui()


@node("ImageOnlyCheckpointSave", category="advanced/model_merging", output_node=True)
def save_image_only_checkpoint(
    model: SomeModel,
    clip_vision: Annotated[ClipVision, Tip("The picture encoder.")],
    vae: SavedVae,
    filename_prefix: Prefix = "checkpoints/ComfyUI",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """ImageOnlyCheckpointSave.

    Writes a model that goes on from a picture, its picture encoder and its VAE into one file.
    """
    model, vae = present(model), present_vae(vae)
    entries = saving.checkpoint_entries(model, None, vae) | saving.vision_entries(clip_vision)
    stated = saving.stated(model.backbone, vae.resident, clip_vision.resident, model=model)
    Writing(filename_prefix, prompt, extra_pnginfo, folders, embedding).write(entries, run, stated)
    return Ui()


@node("ModelSave", category="advanced/model_merging", output_node=True)
def save_model(
    model: SomeModel,
    filename_prefix: Prefix = "diffusion_models/ComfyUI",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """ModelSave.

    Writes a diffusion model alone, LoRAs and merges worked in. Move it to models/diffusion_models to load it.
    """
    model = present(model)
    writing = Writing(filename_prefix, prompt, extra_pnginfo, folders, embedding)
    writing.write(saving.model_entries(model), run, saving.stated(model.backbone, model=model))
    return Ui()


@node("CLIPSave", category="advanced/model_merging", output_node=True)
def save_clip(
    clip: SavedClip,
    filename_prefix: Prefix = "clip/ComfyUI",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """CLIPSave.

    Writes each part of a text encoder into a file of its own. Move them to models/text_encoders to load them.
    """
    clip = present_clip(clip)
    writing = Writing(filename_prefix, prompt, extra_pnginfo, folders, embedding)
    for tower in clip.towers:
        entries = saving.tower_entries(clip, tower)
        writing.write(entries, run, saving.stated(tower.resident), f"_clip_{tower.key}")
    return Ui()


@node("VAESave", category="advanced/model_merging", output_node=True)
def save_vae(
    vae: SavedVae,
    filename_prefix: Prefix = "vae/ComfyUI_vae",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """VAESave.

    Writes a VAE alone. Move it to models/vae to load it.
    """
    vae = present_vae(vae)
    writing = Writing(filename_prefix, prompt, extra_pnginfo, folders, embedding)
    writing.write(saving.vae_entries(vae), run, saving.stated(vae.resident))
    return Ui()


@node("LoraSave", category="_for_testing", v3=True, output_node=True, experimental=True)
def save_extracted_lora(
    filename_prefix: Annotated[Prefix, Options(multiline=False)] = "loras/ComfyUI_extracted_lora",
    rank: Annotated[
        int, Range(1, 4096, step=1), Tip("How many directions each weight keeps: more is nearer and larger.")
    ] = 8,
    *,
    lora_type: Annotated[
        Literal["standard", "full_diff"], Tip("Cut down to the rank, or the whole difference.")
    ],
    bias_diff: Annotated[bool, Tip("Keep the differences of biases too.")] = True,
    model_diff: Annotated[Model | None, Tip("A difference of models, from ModelMergeSubtract.")] = None,
    text_encoder_diff: Annotated[
        Clip | None, Tip("A difference of text encoders, from CLIPMergeSubtract.")
    ] = None,
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Extract and Save Lora.

    Writes the difference of two models as a LoRA. Move it to models/loras to load it.
    """
    if model_diff is None and text_encoder_diff is None:
        raise ValueError("inputs 'model_diff' and 'text_encoder_diff' are both empty; connect one of them")
    whole = lora_type == "full_diff"
    found = lora_files.extracted(
        model_diff, text_encoder_diff, rank, whole=whole, biases=bias_diff, progress=run.progress
    )
    if not found:
        raise ValueError("the two models do not differ: there is nothing to write into a LoRA")
    Writing(filename_prefix, prompt, extra_pnginfo, folders, embedding).write(found, run, {})
    return Ui()


@node("SaveLoRANode", category="loaders", output_node=True, experimental=True)
def save_lora(
    lora: Annotated[LoraModel, Tip("The LoRA.")],
    prefix: Prefix = "loras/ComfyUI_trained_lora",
    steps: Annotated[int | None, ForceInput(), Tip("How long it was trained, for the file's name.")] = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Save LoRA Weights.

    Writes a trained LoRA. Move it to models/loras to load it.
    """
    entries = {name: entry_of(tensor) for name, tensor in lora.items()}
    suffix = "" if steps is None else f"_{steps}_steps"
    Writing(prefix, None, None, folders, embedding).write(entries, run, {}, suffix)
    return Ui()


@node("LoraModelLoader", category="loaders", experimental=True)
def apply_lora(
    model: SomeModel,
    lora: Annotated[LoraModel, Tip("The LoRA.")],
    strength_model: ModelStrength = 1.0,
) -> Model:
    """Load LoRA Model.

    Changes a model by a LoRA that comes over a link.
    """
    model = present(model)
    weights = Weights(Path("the LoRA"), {name: entry_of(tensor) for name, tensor in lora.items()})
    targets = model_targets(model.family, model.backbone.weights)
    if not any(group.name in targets for group in groups(weights)):
        raise ValueError("input 'lora' holds no change that fits this model; take one made for its family")
    return model.with_patches(adapters.model_patches(weights, model, strength_model))
