"""What FLUX's tests share."""

import pytest

from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision


@pytest.fixture
def residency() -> Residency:
    """Weights in float32 on the processor."""
    return Residency(Precision("fp32"), "cpu")
