"""ComfyUI's `comfy.utils`: the progress bar, weight files, resizing, and small tools for state dicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from compat.current import current_run
from compat.host import Host
from compat.previews import preview_of
from diffusion import images


class ProgressBar:
    """Reports how far the running node is; outside of a node it reports to nobody.

    Reporting also ends a node whose job was cancelled, by raising.
    """

    def __init__(self, total: float, node_id: str | None = None) -> None:
        self.total = total
        self.current: float = 0
        self.node_id = node_id

    def update_absolute(self, value: float, total: float | None = None, preview: Any = None) -> None:
        """Say that `value` of `total` is done; `preview` is `("JPEG", PIL image, size)` or None."""
        if total is not None:
            self.total = total
        self.current = min(value, self.total)
        run = current_run()
        if run is not None:
            run.progress(self.current, self.total, preview_of(preview))

    def update(self, value: float) -> None:
        """Say that `value` more is done."""
        self.update_absolute(self.current + value)


def common_upscale(samples: Tensor, width: int, height: int, upscale_method: str, crop: str) -> Tensor:
    """`…×H×W` (images, latents, video) resized; see `diffusion.images.resize`."""
    if samples.ndim <= 4:
        return images.resize(samples, width, height, upscale_method, crop)
    batch, channels, *frames, old_height, old_width = samples.shape
    flat = samples.movedim(1, -3).reshape(-1, channels, old_height, old_width)
    resized = images.resize(flat, width, height, upscale_method, crop)
    return resized.reshape(batch, *frames, channels, height, width).movedim(-3, 1)


def tiled_scale(
    samples: Tensor,
    function: Callable[[Tensor], Tensor],
    tile_x: int = 64,
    tile_y: int = 64,
    overlap: int = 8,
    upscale_amount: float = 4,
    out_channels: int = 3,
    output_device: str | torch.device = "cpu",
    pbar: ProgressBar | None = None,
) -> Tensor:
    """`function` applied to overlapping tiles of `B×C×H×W`, blended with linear edges."""
    height, width = samples.shape[-2:]
    if width <= tile_x and height <= tile_y:
        done = function(samples).to(output_device)
        if pbar is not None:
            pbar.update(samples.shape[0])
        return done
    pictures = [
        _tiled(samples[i : i + 1], function, (tile_y, tile_x), overlap, upscale_amount, output_device, pbar)
        for i in range(samples.shape[0])
    ]
    return torch.cat(pictures)


def _tiled(
    picture: Tensor,
    function: Callable[[Tensor], Tensor],
    tile: tuple[int, int],
    overlap: int,
    scale: float,
    device: str | torch.device,
    pbar: ProgressBar | None,
) -> Tensor:
    total: Tensor | None = None
    weights: Tensor | None = None
    for top in _starts(picture.shape[-2], tile[0], overlap):
        for left in _starts(picture.shape[-1], tile[1], overlap):
            done = function(picture[..., top : top + tile[0], left : left + tile[1]]).to(device)
            if total is None or weights is None:
                size = (round(picture.shape[-2] * scale), round(picture.shape[-1] * scale))
                total = torch.zeros(1, done.shape[1], *size, device=device)
                weights = torch.zeros(1, 1, *size, device=device)
            feather = _feather(done.shape[-2:], round(overlap * scale), device)
            y, x = round(top * scale), round(left * scale)
            total[..., y : y + done.shape[-2], x : x + done.shape[-1]] += done * feather
            weights[..., y : y + done.shape[-2], x : x + done.shape[-1]] += feather
            if pbar is not None:
                pbar.update(1)
    assert total is not None
    assert weights is not None
    return total / weights


def _starts(size: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin so that they cover `size` and none reaches beyond it."""
    if size <= tile:
        return [0]
    return [max(0, min(size - tile, start)) for start in range(0, size - overlap, tile - overlap)]


def _feather(size: tuple[int, ...], margin: int, device: str | torch.device) -> Tensor:
    """`1×1×H×W` weights that fall off linearly over `margin` at each edge."""
    sides = []
    for length in size:
        place = torch.arange(length, device=device, dtype=torch.float32)
        edge = torch.minimum(place, length - 1 - place) + 1
        sides.append((edge / max(margin, 1)).clamp(max=1))
    return (sides[0][:, None] * sides[1][None, :])[None, None]


def get_tiled_scale_steps(width: int, height: int, tile_x: int, tile_y: int, overlap: int) -> int:
    """How many tiles `tile_scale` would call its function for."""
    return len(_starts(height, tile_y, overlap)) * len(_starts(width, tile_x, overlap))


def load_torch_file(
    ckpt: str, safe_load: bool = False, device: torch.device | None = None, return_metadata: bool = False
) -> Any:
    """The state dict of a weight file; pickles go through the safe reader whatever `safe_load` says."""
    from diffusion.weights import files as weights

    found = weights.open_weights(ckpt)
    state = {name: found.tensor(name).clone() for name in found}  # the file's own memory must not be written
    if device is not None:
        state = {name: tensor.to(device) for name, tensor in state.items()}
    return (state, dict(found.metadata)) if return_metadata else state


def save_torch_file(sd: Mapping[str, Tensor], ckpt: str, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors."""
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in sd.items()}, ckpt, metadata=dict(metadata or {}))


def calculate_parameters(sd: Mapping[str, Tensor], prefix: str = "") -> int:
    """How many numbers the tensors under a prefix hold."""
    return sum(tensor.nelement() for name, tensor in sd.items() if name.startswith(prefix))


def weight_dtype(sd: Mapping[str, Tensor], prefix: str = "") -> torch.dtype | None:
    """The type that most numbers under a prefix have, or None when there are none."""
    counts: dict[torch.dtype, int] = {}
    for name, tensor in sd.items():
        if name.startswith(prefix):
            counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.numel()
    return max(counts, key=lambda dtype: counts[dtype]) if counts else None


def state_dict_key_replace(state_dict: dict[str, Any], keys_to_replace: Mapping[str, str]) -> dict[str, Any]:
    """Rename keys in place."""
    for old, new in keys_to_replace.items():
        if old in state_dict:
            state_dict[new] = state_dict.pop(old)
    return state_dict


def state_dict_prefix_replace(
    state_dict: dict[str, Any], replace_prefix: Mapping[str, str], filter_keys: bool = False
) -> dict[str, Any]:
    """Replace prefixes of keys; with `filter_keys` only the matching entries go into a new dict."""
    out: dict[str, Any] = {} if filter_keys else state_dict
    for prefix, new in replace_prefix.items():
        for key in [key for key in state_dict if key.startswith(prefix)]:
            out[new + key[len(prefix) :]] = state_dict.pop(key)
    return out


def set_attr(obj: Any, attr: str, value: Any) -> Any:
    """Set a dotted attribute and give what was there."""
    path, _, last = attr.rpartition(".")
    owner = get_attr(obj, path) if path else obj
    before = getattr(owner, last)
    setattr(owner, last, value)
    return before


def set_attr_param(obj: Any, attr: str, value: Tensor) -> Any:
    """Set a dotted attribute to a parameter without gradient."""
    return set_attr(obj, attr, torch.nn.Parameter(value, requires_grad=False))


def copy_to_param(obj: Any, attr: str, value: Tensor) -> None:
    """Copy values into the parameter at a dotted attribute."""
    get_attr(obj, attr).data.copy_(value)


def get_attr(obj: Any, attr: str) -> Any:
    """A dotted attribute."""
    return attrgetter(attr)(obj)


def repeat_to_batch_size(tensor: Tensor, batch_size: int, dim: int = 0) -> Tensor:
    """`tensor` cut, or repeated from its start, to `batch_size` along `dim`."""
    return images.to_batch(tensor.movedim(dim, 0), batch_size).movedim(0, dim)


def resize_to_batch_size(tensor: Tensor, batch_size: int) -> Tensor:
    """`tensor` with `batch_size` rows picked evenly from its own."""
    old = tensor.shape[0]
    if old == batch_size:
        return tensor
    if batch_size <= 1:
        return tensor[:batch_size]
    if batch_size < old:
        scale = (old - 1) / (batch_size - 1)
        picks = [min(round(i * scale), old - 1) for i in range(batch_size)]
    else:
        picks = [min(math.floor((i + 0.5) * old / batch_size), old - 1) for i in range(batch_size)]
    return tensor[picks]


def reshape_mask(input_mask: Tensor, output_shape: tuple[int, ...]) -> Tensor:
    """A mask brought to `B×C×H×W`: bilinear, channels and batch repeated."""
    dims = len(output_shape) - 2
    mask = input_mask.reshape(-1, 1, *input_mask.shape[-dims:])
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[dims]
    mask = torch.nn.functional.interpolate(mask, size=output_shape[2:], mode=mode)
    if mask.shape[1] < output_shape[1]:
        mask = mask.repeat(1, output_shape[1], *[1] * dims)[:, : output_shape[1]]
    return repeat_to_batch_size(mask, output_shape[0])


def string_to_seed(data: str) -> int:
    """A 32-bit number of a text: CRC-32 (ISO 3309)."""
    from zlib import crc32

    return crc32(data.encode())


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    ours = (
        ProgressBar, calculate_parameters, common_upscale, copy_to_param, get_attr, get_tiled_scale_steps,
        load_torch_file, repeat_to_batch_size, reshape_mask, resize_to_batch_size, save_torch_file,
        set_attr, set_attr_param, state_dict_key_replace, state_dict_prefix_replace, string_to_seed,
        tiled_scale, weight_dtype,
    )  # fmt: skip
    return {
        **{each.__name__: each for each in ours},
        "PROGRESS_BAR_ENABLED": True,
        "PROGRESS_BAR_HOOK": None,
        "bislerp": images.bislerp,
        "lanczos": images.lanczos,
        "set_progress_bar_enabled": lambda enabled: None,
        "set_progress_bar_global_hook": lambda function: None,
        "torch": torch,
        "math": math,
        "partial": partial,
    }
