"""The server process, from the options. Imports no torch: its workers do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodeloom.arguments import NEEDLESS
from nodeloom.places import ROOT, BadOption, build_folders, make_folders, pack_folders, state_dir
from server.settings import Limits, Settings

VERSION = "0.1.0"
MEGABYTE = 2**20

WORKER_VALUES = (
    "data_dir", "models", "input_dir", "output_dir", "temp_dir", "user_dir", "cuda_device", "precision",
    "device_memory", "preview_method", "preview_size", "cache_memory",
    "decoded_memory",
)  # fmt: skip
WORKER_SWITCHES = ("cpu", "disable_metadata", "disable_all_custom_nodes")


def serve(options: argparse.Namespace) -> int:
    """Serve until stopped; returns the exit code."""
    from server.app import run

    for flag in options.needless:
        print(f"{flag} has nothing to do here: {NEEDLESS[flag]}")
    return run(server_settings(options))


def server_settings(options: argparse.Namespace) -> Settings:
    """What the server is started with.

    Raises:
        BadOption: an option cannot be followed.
    """
    folders = build_folders(options)
    make_folders(folders)
    if (options.tls_certfile is None) != (options.tls_keyfile is None):
        raise BadOption("--tls-certfile and --tls-keyfile belong together: give both")
    tls = (options.tls_certfile, options.tls_keyfile) if options.tls_certfile else None
    sources = [ROOT / name for name in ("execution", "diffusion", "nodes", "compat", "nodeloom")]
    return Settings(
        folders=folders,
        state_dir=state_dir(options),
        web_root=options.front_end_root or ROOT / "web",
        worker_command=(sys.executable, str(ROOT / "main.py"), *worker_arguments(options)),
        declared_by=(*sources, *pack_folders(options, folders)),
        listen=tuple(options.listen.split(",")),
        port=options.port,
        insecure=options.insecure,
        allowed_hosts=tuple(options.allowed_host),
        cors_origins=(options.enable_cors_header,) if options.enable_cors_header else (),
        limits=Limits(upload=int(options.max_upload_size * MEGABYTE)),
        multi_user=options.multi_user,
        glimpses_for_all=options.preview_method is not None,
        feature_flags=dict(map(feature_flag, options.feature_flag)),
        tls=tls,
        version=VERSION,
        argv=tuple(sys.argv),
        auto_launch=options.auto_launch,
        quick_test=options.quick_test_for_ci,
        verbose=options.verbose,
    )


def feature_flag(text: str) -> tuple[str, Any]:
    """Name and value of `NAME[=VALUE]`; a value that is no JSON is a text."""
    name, equals, value = text.partition("=")
    if not name:
        raise BadOption(f"--feature-flag {text}: expected NAME or NAME=VALUE")
    try:
        return name, json.loads(value) if equals else True
    except ValueError:
        return name, value


def worker_arguments(options: argparse.Namespace) -> list[str]:
    """The command that starts a worker with the same places and engine options."""
    words = ["worker"]
    for name in WORKER_VALUES:
        value = getattr(options, name)
        if value is not None:
            words += [option(name), str(value.absolute() if isinstance(value, Path) else value)]
    words += [option(name) for name in WORKER_SWITCHES if getattr(options, name)]
    words += repeated(
        "extra_model_paths_config", [path.absolute() for path in options.extra_model_paths_config]
    )
    words += repeated("whitelist_custom_nodes", options.whitelist_custom_nodes)
    policy, _, number = options.cache.partition(":")
    return [*words, f"--cache-{policy}", *filter(None, [number])]


def option(name: str) -> str:
    """The spelling of an option: `--data-dir` for `data_dir`."""
    return "--" + name.replace("_", "-")


def repeated(name: str, values: Sequence[object]) -> list[str]:
    """An option with several values, or nothing."""
    return [option(name), *map(str, values)] if values else []
