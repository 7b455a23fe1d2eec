"""What FLUX is told beside its text: how closely to follow it, or nothing of that."""

from typing import Annotated

from execution.declare.node import Range, Tip, node
from nodes.sockets import Conditioning
from nodes.text.conditioning import AnyConditioning, with_values

Guidance = Annotated[
    float, Range(0.0, 100.0, step=0.1), Tip("How closely the picture follows the text; 3.5 is usual.")
]


@node("FluxGuidance", category="advanced/conditioning/flux", display_name=None)
def set_guidance(conditioning: AnyConditioning, guidance: Guidance = 3.5) -> Conditioning:
    """Flux Guidance.

    Tells a model that learned its own guidance how closely to follow the text.
    """
    return with_values(conditioning, guidance=guidance)


@node("FluxDisableGuidance", category="advanced/conditioning/flux", display_name=None)
def take_guidance_away(conditioning: AnyConditioning) -> Conditioning:
    """Flux Disable Guidance.

    Tells a model that learned its own guidance nothing about it.
    """
    return with_values(conditioning, guidance=None)
