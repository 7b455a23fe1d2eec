"""A changed embedding or tiny autoencoder is a changed input: nothing made with the old one is reused."""

from pathlib import Path
from typing import Any

import pytest

from diffusion.residency.budget import Residency
from execution.declare.node import Run
from execution.files.folders import Folders
from nodes.load.loaders import load_vae_file
from nodes.text.embeddings import embedding_path, embedding_stamps
from nodes.text.text import encode_text, encode_text_sdxl, encode_text_sdxl_refiner


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("embeddings/cat.safetensors", "embeddings/sub/dog.pt"):
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"first")
    for half in ("encoder", "decoder"):
        path = tmp_path / "models" / "vae_approx" / f"taesd_{half}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"first")
    return Folders(tmp_path)


def fingerprint(function: Any, folders: Folders, **inputs: Any) -> Any:
    """What a node's key holds beside its constants."""
    bound = function.native.bind({Folders: folders, Residency: None})
    return bound.fingerprint(inputs, Run())


def change(folders: Folders, name: str) -> None:
    (folders.models_root / name).write_bytes(b"another length")


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (encode_text, "text"),
        (encode_text_sdxl, "text_g"),
        (encode_text_sdxl, "text_l"),
        (encode_text_sdxl_refiner, "text"),
    ],
)
@pytest.mark.parametrize("mention", ["embedding:cat", "a (embedding:cat:1.2) b", "x, embedding:cat, y"])
def test_a_changed_embedding_changes_the_key(
    folders: Folders, function: Any, name: str, mention: str
) -> None:
    before = fingerprint(function, folders, **{name: mention})
    assert fingerprint(function, folders, **{name: mention}) == before
    change(folders, "embeddings/cat.safetensors")
    assert fingerprint(function, folders, **{name: mention}) != before


def test_a_text_that_names_none_adds_nothing(folders: Folders) -> None:
    assert embedding_stamps(folders, "a cat", None) is None
    assert embedding_stamps(folders) is None


def test_an_embedding_that_appears_changes_the_key(folders: Folders) -> None:
    before = embedding_stamps(folders, "embedding:bird")
    (folders.models_root / "embeddings" / "bird.pt").write_bytes(b"x")
    assert embedding_stamps(folders, "embedding:bird") != before


def test_embeddings_are_found_without_suffix_and_in_folders(folders: Folders) -> None:
    assert embedding_path(folders, "cat") == folders.models_root / "embeddings" / "cat.safetensors"
    assert embedding_path(folders, "sub/dog") == folders.models_root / "embeddings" / "sub" / "dog.pt"
    assert embedding_path(folders, "../../x") is None


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_a_changed_half_of_a_tiny_autoencoder_changes_the_key(folders: Folders, half: str) -> None:
    before = fingerprint(load_vae_file, folders, vae_name="taesd")
    change(folders, f"vae_approx/taesd_{half}.safetensors")
    assert fingerprint(load_vae_file, folders, vae_name="taesd") != before
