"""Sampling methods with their options, for the custom samplers."""

from typing import Annotated, Literal

from diffusion.samplers import SAMPLERS, er_sde_sampler, lcm_upscale_sampler
from diffusion.samplers import Sampler as Method
from diffusion.samplers.cfg_pp import euler_cfg_pp_alternative
from execution.declare.node import Choice, Options, Range, Socket, Tip, node
from nodes.sample.sampling import SamplerName
from nodes.sockets import Model, Sampler

Number = Annotated[float, Range(0.0, 100.0, step=0.01, round=False)]
Eta = Annotated[Number, Tip("How much of the removed noise is put back, as new noise; 0 adds none.")]
Boost = Annotated[Number, Tip("A factor on the noise that is put back.")]
NoiseDevice = Annotated[
    Literal["gpu", "cpu"], Tip("Kept for saved workflows: noise is always drawn on the processor.")
]
Percent = Annotated[float, Range(0.0, 1.0, step=0.001)]


@node("KSamplerSelect", category="sampling/custom_sampling/samplers")
def select(sampler_name: SamplerName) -> Sampler:
    """KSamplerSelect.

    A sampling method by its name, with its usual options.
    """
    return SAMPLERS[sampler_name]


@node("SamplerEulerAncestral", category="sampling/custom_sampling/samplers")
def euler_ancestral(eta: Eta = 1.0, s_noise: Boost = 1.0) -> Sampler:
    """SamplerEulerAncestral.

    Euler's method with new noise after each step.
    """
    return SAMPLERS["euler_ancestral"].with_options(eta=eta, s_noise=s_noise)


@node(
    "SamplerEulerAncestralCFGPP",
    category="sampling/custom_sampling/samplers",
    display_name="SamplerEulerAncestralCFG++",
)
def euler_ancestral_cfg_pp(
    eta: Annotated[
        float, Range(0.0, 1.0, step=0.01, round=False), Tip("How much of the removed noise is put back.")
    ] = 1.0,
    s_noise: Annotated[
        float, Range(0.0, 10.0, step=0.01, round=False), Tip("A factor on the noise that is put back.")
    ] = 1.0,
) -> Sampler:
    """SamplerEulerAncestralCFG++.

    Ancestral Euler steps in the direction of the unguided estimate; use a guidance scale near 1.
    """
    return SAMPLERS["euler_ancestral_cfg_pp"].with_options(eta=eta, s_noise=s_noise)


@node("SamplerEulerCFGpp", category="_for_testing", experimental=True, v3=True)
def euler_cfg_pp(
    version: Annotated[Literal["regular", "alternative"], Tip("Which of two formulas for the step.")],
) -> Sampler:
    """SamplerEulerCFG++.

    Euler steps in the direction of the unguided estimate; use a guidance scale near 1.
    """
    return SAMPLERS["euler_cfg_pp"] if version == "regular" else Method(euler_cfg_pp_alternative)


@node("SamplerLMS", category="sampling/custom_sampling/samplers")
def lms(
    order: Annotated[int, Range(1, 100), Tip("How many past steps are used.")] = 4,
) -> Sampler:
    """SamplerLMS.

    The linear multistep method.
    """
    return SAMPLERS["lms"].with_options(order=order)


@node("SamplerDPMPP_2S_Ancestral", category="sampling/custom_sampling/samplers")
def dpmpp_2s_ancestral(eta: Eta = 1.0, s_noise: Boost = 1.0) -> Sampler:
    """SamplerDPMPP_2S_Ancestral.

    DPM-Solver++ of second order in single steps, with new noise after each.
    """
    return SAMPLERS["dpmpp_2s_ancestral"].with_options(eta=eta, s_noise=s_noise)


@node("SamplerDPMPP_SDE", category="sampling/custom_sampling/samplers")
def dpmpp_sde(
    eta: Eta = 1.0,
    s_noise: Boost = 1.0,
    r: Annotated[Number, Tip("Where in a step the middle lies.")] = 0.5,
    *,
    noise_device: NoiseDevice,
) -> Sampler:
    """SamplerDPMPP_SDE.

    DPM-Solver++ for the stochastic equation, in single steps.
    """
    return SAMPLERS["dpmpp_sde"].with_options(eta=eta, s_noise=s_noise, r=r)


@node("SamplerDPMPP_2M_SDE", category="sampling/custom_sampling/samplers")
def dpmpp_2m_sde(
    solver_type: Annotated[Literal["midpoint", "heun"], Tip("How the second order is reached.")],
    eta: Eta = 1.0,
    s_noise: Boost = 1.0,
    *,
    noise_device: NoiseDevice,
) -> Sampler:
    """SamplerDPMPP_2M_SDE.

    DPM-Solver++ of second order for the stochastic equation, using the step before.
    """
    sampler = SAMPLERS["dpmpp_2m_sde"]
    return sampler.with_options(solver_type=solver_type, eta=eta, s_noise=s_noise)


@node("SamplerDPMPP_3M_SDE", category="sampling/custom_sampling/samplers")
def dpmpp_3m_sde(eta: Eta = 1.0, s_noise: Boost = 1.0, *, noise_device: NoiseDevice) -> Sampler:
    """SamplerDPMPP_3M_SDE.

    DPM-Solver++ of third order for the stochastic equation, using the two steps before.
    """
    return SAMPLERS["dpmpp_3m_sde"].with_options(eta=eta, s_noise=s_noise)


@node("SamplerDPMAdaptative", category="sampling/custom_sampling/samplers")
def dpm_adaptive(
    order: Annotated[int, Range(2, 3), Tip("The order of the solver.")] = 3,
    rtol: Annotated[Number, Tip("The error allowed, relative to the latent.")] = 0.05,
    atol: Annotated[Number, Tip("The error allowed, absolute.")] = 0.0078,
    h_init: Annotated[Number, Tip("The first step's size, in log sigma.")] = 0.05,
    pcoeff: Annotated[Number, Tip("The controller's proportional part.")] = 0.0,
    icoeff: Annotated[Number, Tip("The controller's integral part.")] = 1.0,
    dcoeff: Annotated[Number, Tip("The controller's differential part.")] = 0.0,
    accept_safety: Annotated[Number, Tip("How good a step must be to be taken.")] = 0.81,
    eta: Annotated[Number, Tip("How much of the removed noise is put back, as new noise.")] = 0.0,
    s_noise: Boost = 1.0,
) -> Sampler:
    """SamplerDPMAdaptative.

    DPM-Solver that chooses its steps by their error; the schedule gives only its ends.
    """
    return SAMPLERS["dpm_adaptive"].with_options(
        order=order,
        rtol=rtol,
        atol=atol,
        h_init=h_init,
        pcoeff=pcoeff,
        icoeff=icoeff,
        dcoeff=dcoeff,
        accept_safety=accept_safety,
        eta=eta,
        s_noise=s_noise,
    )


@node("SamplerER_SDE", category="sampling/custom_sampling/samplers")
def er_sde(
    solver_type: Annotated[
        str,
        Socket("COMBO"),
        Options(options=["ER-SDE", "Reverse-time SDE", "ODE"]),
        Tip("Which equation is solved; ODE adds no noise."),
    ],
    max_stage: Annotated[int, Range(1, 3), Tip("The order of the solver.")] = 3,
    eta: Annotated[Number, Tip("How much noise the reverse-time equation adds.")] = 1.0,
    s_noise: Boost = 1.0,
) -> Sampler:
    """SamplerER_SDE.

    Solvers for the extended reverse-time equation.
    """
    return er_sde_sampler(solver_type, max_stage, eta, s_noise)


@node("SamplerSASolver", category="sampling/custom_sampling/samplers")
def sa_solver(
    model: Annotated[Model, Tip("Kept for saved workflows: the sampler knows its model when it runs.")],
    eta: Annotated[
        float, Range(0.0, 10.0, step=0.01, round=False), Tip("How much of the removed noise is put back.")
    ] = 1.0,
    sde_start_percent: Annotated[Percent, Tip("From when on noise is added.")] = 0.2,
    sde_end_percent: Annotated[Percent, Tip("Until when noise is added.")] = 0.8,
    s_noise: Boost = 1.0,
    predictor_order: Annotated[int, Range(1, 6), Tip("How many past steps predict.")] = 3,
    corrector_order: Annotated[int, Range(0, 6), Tip("How many steps correct; 0 does not correct.")] = 4,
    *,
    use_pece: Annotated[bool, Tip("Ask the model again after correcting; twice the time.")],
    simple_order_2: Annotated[bool, Tip("Use the simpler formula where the order is 2.")],
) -> Sampler:
    """SamplerSASolver.

    The stochastic Adams solver.
    """
    return SAMPLERS["sa_solver"].with_options(
        eta=eta,
        sde_start_percent=sde_start_percent,
        sde_end_percent=sde_end_percent,
        s_noise=s_noise,
        predictor_order=predictor_order,
        corrector_order=corrector_order,
        use_pece=use_pece,
        simple_order_2=simple_order_2,
    )


@node("SamplerLCMUpscale", category="sampling/custom_sampling/samplers", display_name=None, v3=True)
def lcm_upscale(
    scale_ratio: Annotated[float, Range(0.1, 20.0, step=0.01), Tip("How much larger it gets.")] = 1.0,
    scale_steps: Annotated[
        int, Range(-1, 1000, step=1), Tip("In how many of the steps it grows; -1 is all.")
    ] = -1,
    *,
    upscale_method: Annotated[
        str,
        Choice(["bislerp", "nearest-exact", "bilinear", "area", "bicubic"]),
        Tip("How places in between are found."),
    ],
) -> Sampler:
    """LCM Upscale Sampler.

    The consistency sampler that enlarges the latent while it samples.
    """
    return lcm_upscale_sampler(scale_ratio, scale_steps, upscale_method)
