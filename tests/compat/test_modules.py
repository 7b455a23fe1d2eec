"""The smaller modules of ComfyUI that packs import."""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Literal

import pytest
import torch
from PIL import Image

from compat.current import calling
from compat.modules import latent_preview, node_helpers, server
from compat.modules.comfy import cli_args, model_management, samplers, utils
from compat.modules.comfy.comfy_types import node_typing
from compat.previews import preview_of
from execution.declare.node import node
from execution.declare.run import AloneSeat, Run
from execution.errors import Cancelled


class Listening(AloneSeat):
    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def progress(self, value: float, maximum: float, preview: Any) -> None:
        self.heard.append((value, maximum, preview))


def test_the_progress_bar_reports_to_the_running_node() -> None:
    seat = Listening()
    bar = utils.ProgressBar(4)
    bar.update(1)
    with calling(Run(seat=seat)):
        bar.update(1)
        bar.update_absolute(9)
        bar.update_absolute(5, 10, ("JPEG", Image.new("RGBA", (8, 4)), None))
    assert [heard[:2] for heard in seat.heard] == [(2, 4), (4, 4), (5, 10)]
    assert [heard[2] and (heard[2].kind, heard[2].size) for heard in seat.heard] == [
        None,
        None,
        ("jpeg", (8, 4)),
    ]


def test_progress_and_the_helpers_stop_a_cancelled_job() -> None:
    run = Run()
    with calling(run):
        model_management.throw_exception_if_processing_interrupted()
        assert not model_management.processing_interrupted()
        model_management.interrupt_current_processing()
        assert model_management.processing_interrupted()
        for stops in (
            model_management.throw_exception_if_processing_interrupted,
            lambda: utils.ProgressBar(1).update(1),
        ):
            with pytest.raises(Cancelled):
                stops()
    model_management.throw_exception_if_processing_interrupted()


PICTURES = {
    # what a pack gives: kind and size of the preview
    "nothing": (None, None),
    "a tuple": (("PNG", Image.new("RGB", (600, 300)), 100), ("png", (100, 50))),
    "a picture": (Image.new("L", (1024, 512)), ("jpeg", (512, 256))),
    "a batch": (torch.rand(2, 8, 16, 3), ("jpeg", (16, 8))),
    "one tensor": (torch.full((8, 16, 3), 7.0), ("jpeg", (16, 8))),
}


@pytest.mark.parametrize("what", PICTURES)
def test_previews_are_made_of_what_packs_give(what: str) -> None:
    given, expected = PICTURES[what]
    preview = preview_of(given)
    assert (preview and (preview.kind, preview.size)) == expected
    if preview is None:
        return
    shown = Image.open(BytesIO(preview.data))
    assert (shown.format.lower(), shown.size) == (preview.kind, preview.size)
    corner = {"a batch": None, "one tensor": (255, 255, 255)}.get(what, (0, 0, 0))
    assert corner is None or shown.convert("RGB").getpixel((1, 1)) == corner, "7.0 is as white as 1.0"


def test_upscaling_takes_images_and_video() -> None:
    image = torch.rand(2, 3, 8, 12)
    halved = torch.nn.functional.avg_pool2d(image, 2)
    assert torch.allclose(utils.common_upscale(image, 6, 4, "area", "disabled"), halved)
    cropped = utils.common_upscale(image, 4, 4, "nearest-exact", "center")
    assert torch.equal(cropped, utils.common_upscale(image[..., 2:10], 4, 4, "nearest-exact", "disabled"))
    video = torch.rand(2, 3, 5, 8, 12)
    resized = utils.common_upscale(video, 6, 4, "bilinear", "center")
    assert resized.shape == (2, 3, 5, 4, 6)
    alone = utils.common_upscale(video[:, :, 2], 6, 4, "bilinear", "center")
    assert torch.equal(resized[:, :, 2], alone)


@pytest.mark.parametrize("size", [(20, 30), (8, 8), (64, 9)])
def test_tiles_blend_into_what_the_whole_would_give(size: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, *size)
    steps = utils.ProgressBar(100)

    def doubled(tile: torch.Tensor) -> torch.Tensor:
        return tile.repeat_interleave(2, -1).repeat_interleave(2, -2)

    tiled = utils.tiled_scale(picture, doubled, 16, 16, 4, 2, pbar=steps)
    assert torch.allclose(tiled, doubled(picture), atol=1e-6)
    assert steps.current == 2 * utils.get_tiled_scale_steps(size[1], size[0], 16, 16, 4)


def test_state_dicts_are_renamed_counted_and_saved(tmp_path) -> None:
    state = {"a.x": torch.ones(2, 3), "a.y": torch.ones(1), "b": torch.ones(4, dtype=torch.float16)}
    assert utils.calculate_parameters(state, "a.") == 7
    assert utils.weight_dtype(state) == torch.float32
    assert utils.weight_dtype(state, "b") == torch.float16
    assert utils.weight_dtype({}) is None
    path = str(tmp_path / "x.safetensors")
    utils.save_torch_file(state, path, {"who": "me"})
    from safetensors.torch import load_file

    assert load_file(path).keys() == state.keys()
    assert utils.state_dict_prefix_replace(dict(state), {"a.": "c."}, filter_keys=True).keys() == {
        "c.x",
        "c.y",
    }
    assert utils.state_dict_key_replace(dict(state), {"b": "d", "no": "e"}).keys() == {"a.x", "a.y", "d"}


def test_attributes_are_reached_by_dotted_names() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    before = utils.get_attr(module, "0.weight")
    assert utils.set_attr_param(module, "0.weight", torch.zeros(2, 2)) is before
    utils.copy_to_param(module, "0.bias", torch.ones(2))
    assert utils.get_attr(module, "0.bias").tolist() == [1, 1]
    assert not utils.get_attr(module, "0.weight").requires_grad


def test_batches_and_masks_are_brought_to_size() -> None:
    rows = torch.arange(4.0)[:, None]
    assert utils.repeat_to_batch_size(rows, 6).flatten().tolist() == [0, 1, 2, 3, 0, 1]
    assert utils.repeat_to_batch_size(rows.t(), 2, dim=1).shape == (1, 2)
    assert utils.resize_to_batch_size(rows, 2).flatten().tolist() == [0, 3]
    assert utils.resize_to_batch_size(rows, 8).flatten().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert utils.reshape_mask(torch.ones(8, 8), (2, 4, 16, 16)).shape == (2, 4, 16, 16)
    assert utils.string_to_seed("abc") == 0x352441C2


def test_devices_and_memory_answer(host) -> None:
    names = model_management.names(host)
    device = names["get_torch_device"]()
    assert names["intermediate_device"]() == names["unet_offload_device"]() == torch.device("cpu")
    assert 0 < names["get_free_memory"]() <= names["get_total_memory"]()
    assert names["get_free_memory"](torch.device("cpu"), True)[0] > 0
    assert names["is_device_cpu"](torch.device("cpu"))
    assert names["unet_dtype"](torch.device("cpu")) == torch.float32
    assert not names["should_use_fp16"](torch.device("cpu"))
    assert names["cast_to_device"](torch.ones(1), device, torch.float16).dtype == torch.float16
    assert names["load_models_gpu"](["model"]) is None
    names["soft_empty_cache"]()
    assert issubclass(names["InterruptProcessingException"], BaseException)


@node("KSampler", category="sampling")
def ksampler(sampler_name: Any = "euler", scheduler: Any = "normal") -> None:
    """KSampler."""


def test_sampler_names_are_the_natives_choices(host, registry) -> None:
    assert samplers.choices(host, "sampler_name") == []

    @node("KSampler", category="sampling")
    def declared(
        sampler_name: Literal["euler", "ddim"] = "euler", scheduler: Literal["karras"] = "karras"
    ) -> None:
        """KSampler."""

    registry.add(declared.native)
    names = samplers.names(host)
    assert names["KSampler"].SAMPLERS == ["euler", "ddim"]
    assert names["KSampler"].SCHEDULERS is names["SCHEDULER_NAMES"]
    assert names["KSAMPLER_NAMES"] == ["euler"]


def test_arguments_say_what_is_true_here(host, folders) -> None:
    args = cli_args.names(host)["args"]
    assert args.output_directory == str(folders.output)
    assert args.preview_method is cli_args.LatentPreviewMethod.Auto
    assert cli_args.LatentPreviewMethod.from_string("taesd") is cli_args.LatentPreviewMethod.TAESD
    assert cli_args.LatentPreviewMethod.from_string("x") is None


def test_types_of_nodes_are_text_that_matches(host) -> None:
    io = node_typing.IO
    assert f"{io.IMAGE}" == "IMAGE" == io.IMAGE
    unequal = [io.ANY != "INT", io.NUMBER != "INT", io.PRIMITIVE != "INT,STRING", io.INT != "FLOAT"]
    assert unequal == [False, False, False, True], "packs compare types by this operator"
    assert {io.INT: 1}["INT"] == 1
    assert node_typing.CheckLazyMixin().check_lazy_status(a=None, b=1, c=None) == ["a", "c"]
    with pytest.raises(TypeError, match="abstract"):
        node_typing.ComfyNodeABC()


def test_conditionings_get_values_without_being_changed() -> None:
    before = [["t", {"a": [1]}], ["u", {"b": 2}]]
    assert node_helpers.conditioning_set_values(before, {"a": [2]}) == [
        ["t", {"a": [2]}],
        ["u", {"b": 2, "a": [2]}],
    ]
    assert node_helpers.conditioning_set_values(before, {"a": [2]}, append=True)[0] == ["t", {"a": [1, 2]}]
    assert before == [["t", {"a": [1]}], ["u", {"b": 2}]]


def test_truncated_pictures_are_opened_at_the_second_try(tmp_path) -> None:
    path = tmp_path / "cut.png"
    Image.new("RGB", (64, 64), "red").save(path)
    path.write_bytes(path.read_bytes()[:-40])

    def opened(name: str) -> Image.Image:
        with Image.open(name) as image:
            return image.convert("RGB")

    assert node_helpers.pillow(opened, str(path)).size == (64, 64)
    with pytest.raises(OSError, match="truncated"):
        opened(str(path))


def test_alpha_channels_are_made_equal() -> None:
    rgb, rgba = torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2, 4)
    assert node_helpers.image_alpha_fix(rgb, rgba)[1].shape[-1] == 3
    padded, _ = node_helpers.image_alpha_fix(rgb, rgba)[0], None
    assert padded.shape[-1] == 3
    _, padded = node_helpers.image_alpha_fix(rgba, rgb)
    assert padded[..., 3].min() == 1
    assert node_helpers.string_to_torch_dtype("bf16") is torch.bfloat16


def test_a_picture_of_any_size_is_one_that_the_pack_sends() -> None:
    picture = Image.new("RGB", (600, 4))
    made = [preview_of(("PNG", picture, size)) for size in (None, 512)]
    assert [(each.purpose, each.size[0]) for each in made if each and each.size] == [
        ("result", 600),
        ("shown", 512),
    ]


def test_sampler_callbacks_report_steps() -> None:
    seat, x0 = Listening(), {}
    with calling(Run(seat=seat)):
        latent_preview.prepare_callback(None, 3, x0)(0, "x0", "x", 3)
    assert [heard[:2] for heard in seat.heard] == [(1, 3)]
    assert x0 == {"x0": "x0"}


class Sent(list[tuple[Any, ...]]):
    def __call__(self, *message: Any) -> None:
        self.append(message)


@pytest.fixture
def instance(host) -> server.PromptServer:
    host.send = Sent()
    bound: Mapping[str, Any] = server.names(host)
    assert bound["PromptServer"].instance is server.names(host)["PromptServer"].instance
    return bound["PromptServer"].instance


async def test_messages_of_packs_go_out_whatever_their_name(instance, host) -> None:
    instance.send_sync("impact-node-feedback", {"node_id": "1"}, "me")
    await instance.send("VHS_latentpreview", {"length": 3})
    await instance.send_json("status", {})
    await instance.send_bytes(9, b"x")
    instance.send_sync(2, ("JPEG", Image.new("RGB", (4, 4)), 512), "me")
    instance.send_progress_text("hello", "12", "me")
    instance.queue_updated()
    assert host.send[0] == ("impact-node-feedback", {"node_id": "1"}, "me")
    assert host.send[1:4] == [
        ("VHS_latentpreview", {"length": 3}, None),
        ("status", {}, None),
        (9, b"x", None),
    ]
    event, picture, _ = host.send[4]
    assert (event, picture[:4], picture[4:7]) == (1, struct.pack(">I", 1), b"\xff\xd8\xff")
    assert host.send[5] == (3, b"\x00\x00\x00\x0212hello", "me")
    assert host.send[6][0] == "status"


def test_the_server_knows_client_and_node_of_the_running_job(instance) -> None:
    assert (instance.client_id, instance.last_node_id) == (None, None)
    with calling(Run(node="7", extra_data={"client_id": "me"})):
        assert (instance.client_id, instance.last_node_id) == ("me", "7")


def test_prompt_handlers_change_prompts_and_failing_ones_are_passed_over(instance, caplog) -> None:
    instance.add_on_prompt_handler(lambda prompt: {**prompt, "seen": 1})
    instance.add_on_prompt_handler(lambda prompt: 1 / 0)
    instance.add_on_prompt_handler(lambda prompt: {**prompt, "also": 2})
    assert instance.trigger_on_prompt({"prompt": {}}) == {"prompt": {}, "seen": 1, "also": 2}
    assert "ZeroDivisionError" in caplog.text


async def test_the_queue_seems_empty_and_flags_are_kept(instance) -> None:
    queue = instance.prompt_queue
    assert queue.get_current_queue() == ([], [])
    assert (queue.get_tasks_remaining(), queue.get_history(), queue.get_history("x")) == (0, {}, {})
    queue.set_flag("free_memory", True)
    assert queue.get_flags() == {"free_memory": True}
    assert queue.get_flags() == {}
    import asyncio

    assert instance.loop is asyncio.get_running_loop()


def test_routes_of_packs_are_collected_and_reported(load, host) -> None:
    packs = load(
        {
            "routes.py": """
                from aiohttp import web
                from server import PromptServer
                routes = PromptServer.instance.routes

                @routes.get("/routes/hello")
                async def hello(request):
                    return web.json_response({"hello": request.query.get("who")})

                @PromptServer.instance.routes.post("/routes/echo")
                async def echo(request):
                    return web.json_response(await request.json())

                NODE_CLASS_MAPPINGS = {}
            """
        }
    )
    assert packs.reports[0].routes == ("GET /routes/hello", "POST /routes/echo")
    assert len(host.server.routes) == 2
    assert sys.modules["custom_nodes.routes"].PromptServer.instance is host.server
