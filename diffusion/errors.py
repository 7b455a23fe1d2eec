"""What can go wrong with model files and memory, each with the facts and what to do.

DiffusionError
├── FileProblem        a weight file that cannot be read, or must not be trusted
├── UnknownModel       a readable file whose tensors fit no family in the catalogue
├── Mismatch           parts that are fine but do not belong together
└── OutOfMemory        every way that was tried needed more memory than there is
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class DiffusionError(Exception):
    """The root of the tree; its text is meant for the person who started the run."""


class FileProblem(DiffusionError):
    """A weight file is broken, hostile or of another kind."""

    def __init__(self, path: Path, problem: str, advice: str = "Download or export it again.") -> None:
        super().__init__(f"{path.name}: {problem} {advice}")
        self.path = path
        self.problem = problem
        self.advice = advice


class UnknownModel(DiffusionError):
    """Nothing in the catalogue looks like this file."""

    def __init__(self, path: Path, found: str, nearest: Sequence[str], advice: str = "") -> None:
        near = "".join(f"\n  - {line}" for line in nearest)
        super().__init__(f"{path.name}: {found}{near}\n{advice}".rstrip())
        self.path = path
        self.found = found
        self.nearest = tuple(nearest)
        self.advice = advice


class Mismatch(DiffusionError):
    """A conditioning, latent or control that another family of models made."""

    def __init__(self, found: str, advice: str) -> None:
        super().__init__(f"{found} {advice}")
        self.found = found
        self.advice = advice


class OutOfMemory(DiffusionError):
    """Memory ran out, also after everything idle had been unloaded."""

    def __init__(self, device: str, doing: str) -> None:
        advice = "Use a smaller size or batch, a tiled VAE, or free memory used by other programs."
        super().__init__(f"Out of memory on {device} while {doing}. {advice}")
        self.device = device
        self.doing = doing
        self.advice = advice
