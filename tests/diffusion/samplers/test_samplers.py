"""What every sampler promises, on data whose exact answers are known."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffusion.noise.clocks import FlowClock
from diffusion.noise.prediction import FLOW, RECTIFIED_FLOW, Prediction
from diffusion.noise.schedules import SCHEDULES, karras
from diffusion.samplers import SAMPLERS, er_sde_sampler, lcm_upscale_sampler
from diffusion.samplers.cfg_pp import euler_cfg_pp_alternative
from diffusion.sampling import schedule_for
from tests.diffusion.samplers.gaussian_data import PREDICTION, GaussianData, run

OBJECT_INFO = Path(__file__).parents[2] / "nodes" / "object_info.json"

# The order of each solver of the probability-flow ODE: how many times finer steps of half the size come out.
ORDERS = {
    "euler": 1,
    "ddim": 1,
    "heun": 2,
    "dpm_2": 2,
    "lms": 2,
    "dpmpp_2m": 2,
    "ipndm": 1,
    "ipndm_v": 1,
    "deis": 2,
    "res_multistep": 2,
    "uni_pc": 2,
    "uni_pc_bh2": 2,
}
DISTINCT = [name for name in SAMPLERS if not name.endswith("_gpu")]
NOISY = {name for name in DISTINCT if "ancestral" in name or "sde" in name}
NOISY |= {"ddpm", "lcm", "seeds_2", "seeds_3", "sa_solver", "sa_solver_pece"}
GUIDED_APART = {name for name in DISTINCT if name.endswith("cfg_pp")}

# Mean, one pixel and evaluations of six steps on the toy data, written down when all golden latents agreed.
PINS = {
    "euler": (0.322101, 0.580902, 6),
    "euler_cfg_pp": (0.396777, 0.562158, 6),
    "euler_ancestral": (0.270278, 0.145220, 6),
    "euler_ancestral_cfg_pp": (0.298615, 0.125305, 6),
    "heun": (0.339133, 0.797390, 11),
    "heunpp2": (0.322499, 0.585966, 15),
    "dpm_2": (0.324582, 0.612444, 11),
    "dpm_2_ancestral": (0.258294, -0.024481, 11),
    "lms": (0.327783, 0.653131, 6),
    "dpm_fast": (0.341866, 0.832122, 6),
    "dpm_adaptive": (0.335042, 0.745385, 27),
    "dpmpp_2s_ancestral": (0.269156, 0.196097, 11),
    "dpmpp_2s_ancestral_cfg_pp": (0.296233, 0.153999, 11),
    "dpmpp_sde": (0.235967, 0.650384, 11),
    "dpmpp_2m": (0.339904, 0.807181, 6),
    "dpmpp_2m_cfg_pp": (0.741153, 0.461134, 6),
    "dpmpp_2m_sde": (0.189209, 1.070419, 6),
    "dpmpp_2m_sde_heun": (0.139271, 1.406963, 6),
    "dpmpp_3m_sde": (-0.053522, 2.679210, 6),
    "ddpm": (0.270279, 0.145221, 6),
    "lcm": (0.265287, -0.051740, 6),
    "ipndm": (0.329286, 0.672231, 6),
    "ipndm_v": (0.329377, 0.673389, 6),
    "deis": (0.329586, 0.676036, 6),
    "res_multistep": (0.347603, 0.905033, 6),
    "res_multistep_cfg_pp": (0.641078, 1.225879, 6),
    "res_multistep_ancestral": (0.166188, -0.939952, 6),
    "res_multistep_ancestral_cfg_pp": (0.073366, -1.358170, 6),
    "gradient_estimation": (0.329887, 0.679863, 6),
    "gradient_estimation_cfg_pp": (0.387562, 0.764382, 6),
    "er_sde": (0.304806, 0.596024, 6),
    "seeds_2": (0.301870, 0.728368, 11),
    "seeds_3": (0.294954, -0.005539, 16),
    "sa_solver": (0.271327, 0.213702, 6),
    "sa_solver_pece": (0.262280, 0.104404, 11),
    "ddim": (0.322101, 0.580902, 6),
    "uni_pc": (0.324358, 0.609596, 6),
    "uni_pc_bh2": (0.324051, 0.605693, 6),
}


def test_the_names_are_those_of_the_exported_choice_in_its_order() -> None:
    spec = json.loads(OBJECT_INFO.read_text())
    assert list(SAMPLERS) == spec["KSampler"]["input"]["required"]["sampler_name"][0]


@pytest.mark.parametrize("scheduler", SCHEDULES)
@pytest.mark.parametrize("name", DISTINCT)
def test_every_sampler_stays_finite_on_every_schedule(name: str, scheduler: str) -> None:
    data = GaussianData()
    for steps in (1, 2, 6):
        sigmas = schedule_for(SAMPLERS[name], PREDICTION, scheduler, steps)
        x = data.start(sigmas[0].item(), 1, 4, 4, 4, dtype=torch.float32)
        steps_taken = run(SAMPLERS[name], data, x, sigmas)
        assert steps_taken, (name, scheduler, steps)
        assert steps_taken[-1].x.isfinite().all(), (name, scheduler, steps)
        assert steps_taken[-1].x.shape == x.shape


@pytest.mark.parametrize("name", DISTINCT)
def test_every_sampler_takes_the_steps_it_always_took(name: str) -> None:
    data, sigmas = GaussianData(), schedule_for(SAMPLERS[name], PREDICTION, "normal", 6)
    x = data.start(sigmas[0].item(), 1, 4, 4, 4, seed=5)
    end = run(SAMPLERS[name], data, x, sigmas, seed=11)[-1].x
    mean, pixel, evaluations = PINS[name]
    assert (end.mean().item(), end[0, 1, 2, 3].item()) == pytest.approx((mean, pixel), rel=1e-3, abs=1e-4)
    assert data.evaluations == evaluations


@pytest.mark.parametrize("name", DISTINCT)
def test_a_schedule_that_stops_early_leaves_noise(name: str) -> None:
    data, sigmas = GaussianData(), karras(8, 0.5, 14.0)[:-1]
    x = data.start(14.0, 1, 4, 16, 16, dtype=torch.float32)
    end = run(SAMPLERS[name], data, x, sigmas)[-1].x
    assert end.isfinite().all()
    if name not in GUIDED_APART:
        assert end.std().item() == pytest.approx((0.5**2 + 0.5**2) ** 0.5, rel=0.35)


@pytest.mark.parametrize("name", DISTINCT)
def test_the_same_seed_gives_the_same_latent_and_another_does_not(name: str) -> None:
    data, sigmas = GaussianData(), karras(5, 0.05, 14.0)
    x = data.start(14.0, 1, 4, 4, 4, dtype=torch.float32)
    one, same, other = (run(SAMPLERS[name], data, x, sigmas, seed)[-1].x for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert torch.equal(one, other) == (name not in NOISY)


@pytest.mark.parametrize("name", sorted({*DISTINCT} - NOISY - {"dpm_adaptive"}))
def test_without_noise_each_row_of_a_batch_is_on_its_own(name: str) -> None:
    data, sigmas = GaussianData(), karras(5, 0.05, 14.0)
    batch = data.start(14.0, 3, 4, 4, 4)
    together = run(SAMPLERS[name], data, batch, sigmas)[-1].x
    alone = torch.cat([run(SAMPLERS[name], data, row[None], sigmas)[-1].x for row in batch])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", DISTINCT)
def test_the_input_is_not_changed_in_place(name: str) -> None:
    data, sigmas = GaussianData(), karras(4, 0.05, 14.0)
    x, kept = data.start(14.0, 1, 4, 4, 4), sigmas.clone()
    before = x.clone()
    run(SAMPLERS[name], data, x, sigmas)
    assert torch.equal(x, before)
    assert torch.equal(sigmas, kept)


@pytest.mark.parametrize("name", ORDERS)
def test_solvers_of_the_ode_approach_its_solution_with_their_order(name: str) -> None:
    data, errors = GaussianData(deviation=1.0), []
    for steps in (16, 32):
        sigmas = karras(steps, 0.05, 10.0, rho=3.0)[:-1].double()
        x = data.start(10.0, 1, 4, 4, 4)
        end = run(SAMPLERS[name], data, x, sigmas)[-1].x
        errors.append((end - data.solution(x, sigmas[0], sigmas[-1])).abs().max().item())
    assert errors[1] < 0.3 ** ORDERS[name]
    assert errors[0] / errors[1] > 0.75 * 2 ** ORDERS[name], errors


@pytest.mark.parametrize("name", sorted(NOISY - GUIDED_APART - {"lcm"}))
def test_solvers_of_the_sde_end_in_the_distribution_of_the_data(name: str) -> None:
    data, sigmas = GaussianData(), karras(60, 0.02, 14.0)
    x = data.start(14.0, 1, 4, 48, 48, dtype=torch.float32)
    end = run(SAMPLERS[name], data, x, sigmas, seed=1)[-1].x
    assert end.mean().item() == pytest.approx(0.3, abs=0.03)
    assert end.std().item() == pytest.approx(0.5, rel=0.08)


def test_lcm_ends_in_the_last_estimate() -> None:
    data, sigmas = GaussianData(), karras(4, 0.05, 14.0)
    steps = run(SAMPLERS["lcm"], data, data.start(14.0, 1, 4, 4, 4), sigmas)
    assert torch.equal(steps[-1].x, steps[-1].denoised)


@pytest.mark.parametrize(
    ("guided", "plain"),
    [
        ("euler_cfg_pp", "euler"),
        ("euler_ancestral_cfg_pp", "euler_ancestral"),
        ("dpmpp_2m_cfg_pp", "dpmpp_2m"),
        ("res_multistep_cfg_pp", "res_multistep"),
        ("res_multistep_ancestral_cfg_pp", "res_multistep_ancestral"),
        ("gradient_estimation_cfg_pp", "gradient_estimation"),
    ],
)
def test_cfg_pp_is_the_plain_sampler_where_nothing_is_guided(guided: str, plain: str) -> None:
    class Unguided(GaussianData):
        def pair(self, x: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            denoised = self(x, sigma)
            return denoised, denoised

    sigmas = karras(6, 0.05, 14.0)
    x = Unguided().start(14.0, 1, 4, 4, 4)
    ends = [run(SAMPLERS[name], Unguided(), x, sigmas)[-1].x for name in (guided, plain)]
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-5)


def test_the_alternative_cfg_pp_doubles_the_correction() -> None:
    data, sigmas = GaussianData(), torch.tensor([5.0, 0.0])
    x = data.start(5.0, 1, 1, 2, 2)
    (step,) = euler_cfg_pp_alternative(data, x, sigmas)
    denoised, negative = data.pair(x, sigmas[0])
    torch.testing.assert_close(step.x, 2 * denoised - negative)


@pytest.mark.parametrize(
    "name", ["euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde"]
)
def test_eta_zero_takes_the_noise_away(name: str) -> None:
    data, sigmas = GaussianData(), karras(5, 0.05, 14.0)
    x = data.start(14.0, 1, 4, 4, 4)
    quiet = SAMPLERS[name].with_options(eta=0.0)
    assert torch.equal(*(run(quiet, data, x, sigmas, seed)[-1].x for seed in (1, 2)))


@pytest.mark.parametrize("solver", ["ER-SDE", "Reverse-time SDE", "ODE"])
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_er_sde_takes_each_kind_of_noise_and_each_number_of_stages(solver: str, stage: int) -> None:
    data, sigmas = GaussianData(), karras(40, 0.02, 14.0)
    x = data.start(14.0, 1, 4, 32, 32, dtype=torch.float32)
    end, other = (run(er_sde_sampler(solver, stage), data, x, sigmas, seed)[-1].x for seed in (0, 1))
    assert end.std().item() == pytest.approx(0.5, rel=0.12)
    assert torch.equal(end, other) == (solver == "ODE")


def test_lcm_upscale_enlarges_on_its_way() -> None:
    data, sigmas = GaussianData(), karras(6, 0.05, 14.0)
    x = data.start(14.0, 1, 4, 8, 6, dtype=torch.float32)
    sizes = [tuple(s.x.shape[-2:]) for s in run(lcm_upscale_sampler(2.0, 2, "bilinear"), data, x, sigmas)]
    assert sizes == [(12, 9), (16, 12), (16, 12), (16, 12), (16, 12), (16, 12)]
    halves = [tuple(s.x.shape[-2:]) for s in run(lcm_upscale_sampler(2.0, -1, "bislerp"), data, x, sigmas)]
    assert halves[2] == (16, 12)
    assert halves[0] == (11, 8)


FLOWING = Prediction(RECTIFIED_FLOW, FlowClock())


class FlowingData(GaussianData):
    """The same data under a rectified flow: x = (1 - sigma) · clean + sigma · noise."""

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        alpha = FLOW.alpha(sigma)
        spread = alpha**2 * self.deviation**2 + sigma**2
        return self.mean + (x - alpha * self.mean) * alpha * self.deviation**2 / spread


@pytest.mark.parametrize(
    "name",
    [
        "euler",
        "heun",
        "euler_ancestral",
        "dpm_2_ancestral",
        "dpmpp_2s_ancestral",
        "dpmpp_sde",
        "dpmpp_2m_sde",
        "dpmpp_3m_sde",
        "lcm",
        "er_sde",
        "seeds_2",
        "seeds_3",
        "sa_solver",
        "euler_ancestral_cfg_pp",
    ],
)
def test_flows_are_sampled_by_the_same_formulas(name: str) -> None:
    data, sigmas = FlowingData(), torch.linspace(1.0, 0.0, 41)
    x = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    end = run(SAMPLERS[name], data, x, sigmas, prediction=FLOWING)[-1].x
    assert end.isfinite().all()
    if name not in ("lcm", "euler_ancestral_cfg_pp"):
        assert end.mean().item() == pytest.approx(0.3, abs=0.05)
        assert end.std().item() == pytest.approx(0.5, rel=0.15)


def test_options_make_a_new_value() -> None:
    sampler = SAMPLERS["lms"]
    changed = sampler.with_options(order=2)
    assert changed.options == {"order": 2}
    assert sampler.options == {}
    assert replace(changed, options={}) == sampler


def test_a_foreign_generator_is_a_sampler_too() -> None:
    """A pack's own solver is given what its parameters name."""
    from diffusion.samplers import Sampler, Step

    def jump(denoise, x, sigmas, seed, prediction, *, power=1.0):  # type: ignore[no-untyped-def]  # as packs write
        yield Step(denoise(x, sigmas[0]) * power + seed, x, sigmas[0])

    data = GaussianData()
    x = data.start(5.0, 1, 1, 2, 2)
    (step,) = run(Sampler(jump, options={"power": 2.0}), data, x, torch.tensor([5.0, 0.0]), seed=7)
    torch.testing.assert_close(step.x, 2 * data(x, torch.tensor(5.0)) + 7)


@pytest.mark.parametrize("name", ["euler_cfg_pp", "euler_ancestral_cfg_pp"])
def test_the_first_step_of_a_flow_asks_at_pure_noise(name: str) -> None:
    asked: list[float] = []

    class Noted(FlowingData):
        def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            asked.append(sigma.item())
            return super().__call__(x, sigma)

    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    end = run(SAMPLERS[name], Noted(), x, torch.linspace(1.0, 0.0, 5), prediction=FLOWING)[-1].x
    assert asked[0] == 1.0
    assert end.isfinite().all()
