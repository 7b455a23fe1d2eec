"""The program's nodes bound to its parts."""

from collections.abc import Iterable

from diffusion.residency.budget import Residency
from execution.declare.node import NodeType
from execution.declare.registry import Registry
from execution.files.folders import Folders
from nodes.image.encoding import Embedding
from nodes.library import native_types
from nodes.sample.previews import Method, Previews
from pictures.budget import Budgets


def build_registry(
    folders: Folders,
    residency: Residency,
    more: Iterable[NodeType] = (),
    *,
    previews: Method = "auto",
    preview_size: int = 512,
    embed_workflow: bool = True,
    decoded_memory: int | None = None,
) -> Registry:
    """All native node types, and `more` after them (packs'; one of the same name replaces ours).

    `previews` says how unfinished pictures are shown, `embed_workflow` whether saved files carry the
    workflow, `decoded_memory` how many bytes the pictures and films that a run loads may take.
    """
    provide = {
        Folders: folders,
        Residency: residency,
        Embedding: Embedding(embed_workflow),
        Budgets: Budgets(decoded_memory),
        Previews: Previews(folders, residency, previews, preview_size),
    }
    registry = Registry(native_types(), provide)
    for node_type in more:
        registry.add(node_type)
    return registry
