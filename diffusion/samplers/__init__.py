"""Every sampler by its exported name, and the value that carries one with its options.

Each file of this package is a page of one paper; `contract.py` says what a sampler is given and yields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any, Literal

from torch import Tensor

from diffusion.noise.draws import brownian, gaussian
from diffusion.noise.prediction import Prediction
from diffusion.samplers.cfg_pp import (
    dpmpp_2m_cfg_pp,
    dpmpp_2s_ancestral_cfg_pp,
    euler_ancestral_cfg_pp,
    euler_cfg_pp,
)
from diffusion.samplers.contract import Denoiser, PairDenoiser, Step, Steps
from diffusion.samplers.ddpm import ddpm, lcm, lcm_upscale
from diffusion.samplers.deis import deis
from diffusion.samplers.dpm2 import dpm_2, dpm_2_ancestral
from diffusion.samplers.dpm_solver import dpm_adaptive, dpm_fast
from diffusion.samplers.dpmpp import dpmpp_2m, dpmpp_2s_ancestral
from diffusion.samplers.dpmpp_sde import dpmpp_2m_sde, dpmpp_3m_sde, dpmpp_sde
from diffusion.samplers.er_sde import er_sde, er_sde_scaler, reverse_time_scaler
from diffusion.samplers.euler import euler, euler_ancestral
from diffusion.samplers.gradient_estimation import gradient_estimation, gradient_estimation_cfg_pp
from diffusion.samplers.heun import heun, heunpp2
from diffusion.samplers.ipndm import ipndm, ipndm_v
from diffusion.samplers.lms import lms
from diffusion.samplers.res import (
    res_multistep,
    res_multistep_ancestral,
    res_multistep_ancestral_cfg_pp,
    res_multistep_cfg_pp,
)
from diffusion.samplers.sa_solver import sa_solver
from diffusion.samplers.seeds import seeds_2, seeds_3
from diffusion.samplers.uni_pc import uni_pc

__all__ = [
    "SAMPLERS",
    "Denoiser",
    "PairDenoiser",
    "Sampler",
    "Step",
    "Steps",
    "er_sde_sampler",
    "lcm_upscale_sampler",
]


@dataclass(frozen=True)
class Sampler:
    """A sampling method with its options: the value on SAMPLER links.

    `solve` is any generator function of this package's shape, or a pack's own. What it names `noise`, `seed`,
    `process` or `prediction` is given to it; `options` are the rest. `noise` says where its noise comes from:
    independent draws, or one Brownian path that does not depend on the steps taken.
    """

    solve: Callable[..., Steps]
    noise: Literal["gaussian", "brownian"] = "gaussian"
    options: Mapping[str, Any] = field(default_factory=dict)
    drops_penultimate: bool = False  # schedules are made one step longer and lose the sigma before the last
    own_mask_noise: bool = False  # what lies outside a noise mask is renoised by noise of its own

    def __call__(
        self,
        denoise: Denoiser | PairDenoiser,
        x: Tensor,
        sigmas: Tensor,
        *,
        seed: int,
        prediction: Prediction,
    ) -> Steps:
        """The steps from x at sigmas[0] to sigmas[-1]."""
        wanted = signature(self.solve).parameters
        given: dict[str, Any] = {"process": prediction.process, "prediction": prediction, "seed": seed}
        if "noise" in wanted:
            given["noise"] = gaussian(x, seed) if self.noise == "gaussian" else brownian(x, sigmas, seed)
        chosen = {name: value for name, value in given.items() if name in wanted}
        return self.solve(denoise, x, sigmas, **chosen, **self.options)

    def with_options(self, **options: Any) -> Sampler:
        """A new value with these options set."""
        return replace(self, options={**self.options, **options})


SAMPLERS: Mapping[str, Sampler] = {
    "euler": Sampler(euler),
    "euler_cfg_pp": Sampler(euler_cfg_pp),
    "euler_ancestral": Sampler(euler_ancestral),
    "euler_ancestral_cfg_pp": Sampler(euler_ancestral_cfg_pp),
    "heun": Sampler(heun),
    "heunpp2": Sampler(heunpp2),
    "dpm_2": Sampler(dpm_2, drops_penultimate=True),
    "dpm_2_ancestral": Sampler(dpm_2_ancestral, drops_penultimate=True),
    "lms": Sampler(lms),
    "dpm_fast": Sampler(dpm_fast),
    "dpm_adaptive": Sampler(dpm_adaptive),
    "dpmpp_2s_ancestral": Sampler(dpmpp_2s_ancestral),
    "dpmpp_2s_ancestral_cfg_pp": Sampler(dpmpp_2s_ancestral_cfg_pp),
    "dpmpp_sde": Sampler(dpmpp_sde, "brownian"),
    "dpmpp_sde_gpu": Sampler(dpmpp_sde, "brownian"),
    "dpmpp_2m": Sampler(dpmpp_2m),
    "dpmpp_2m_cfg_pp": Sampler(dpmpp_2m_cfg_pp),
    "dpmpp_2m_sde": Sampler(dpmpp_2m_sde, "brownian"),
    "dpmpp_2m_sde_gpu": Sampler(dpmpp_2m_sde, "brownian"),
    "dpmpp_2m_sde_heun": Sampler(dpmpp_2m_sde, "brownian", {"solver_type": "heun"}),
    "dpmpp_2m_sde_heun_gpu": Sampler(dpmpp_2m_sde, "brownian", {"solver_type": "heun"}),
    "dpmpp_3m_sde": Sampler(dpmpp_3m_sde, "brownian"),
    "dpmpp_3m_sde_gpu": Sampler(dpmpp_3m_sde, "brownian"),
    "ddpm": Sampler(ddpm),
    "lcm": Sampler(lcm),
    "ipndm": Sampler(ipndm),
    "ipndm_v": Sampler(ipndm_v),
    "deis": Sampler(deis),
    "res_multistep": Sampler(res_multistep),
    "res_multistep_cfg_pp": Sampler(res_multistep_cfg_pp),
    "res_multistep_ancestral": Sampler(res_multistep_ancestral),
    "res_multistep_ancestral_cfg_pp": Sampler(res_multistep_ancestral_cfg_pp),
    "gradient_estimation": Sampler(gradient_estimation),
    "gradient_estimation_cfg_pp": Sampler(gradient_estimation_cfg_pp),
    "er_sde": Sampler(er_sde),
    "seeds_2": Sampler(seeds_2),
    "seeds_3": Sampler(seeds_3),
    "sa_solver": Sampler(sa_solver),
    "sa_solver_pece": Sampler(sa_solver, options={"use_pece": True}),
    "ddim": Sampler(euler, own_mask_noise=True),
    "uni_pc": Sampler(uni_pc, drops_penultimate=True),
    "uni_pc_bh2": Sampler(uni_pc, options={"variant": "bh2"}, drops_penultimate=True),
}


def er_sde_sampler(solver_type: str, max_stage: int = 3, eta: float = 1.0, s_noise: float = 1.0) -> Sampler:
    """ER-SDE's solver with the noise of "ER-SDE", of the "Reverse-time SDE" at eta, or none ("ODE")."""
    if solver_type == "ER-SDE":
        return Sampler(er_sde, options={"scaler": er_sde_scaler, "max_stage": max_stage, "s_noise": s_noise})
    eta = 0.0 if solver_type == "ODE" else eta
    options = {"scaler": reverse_time_scaler(eta), "max_stage": max_stage, "s_noise": s_noise if eta else 0.0}
    return Sampler(er_sde, options=options)


def lcm_upscale_sampler(scale_ratio: float, scale_steps: int, upscale_method: str) -> Sampler:
    """LCM that enlarges the latent on its way."""
    options = {"scale_ratio": scale_ratio, "scale_steps": scale_steps, "upscale_method": upscale_method}
    return Sampler(lcm_upscale, options=options)
