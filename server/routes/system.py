"""What the server is and has: /system_stats, /features, /users, /extensions, /i18n, templates, /free."""

import asyncio
import contextlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from aiohttp import web

from server.answers import answer, not_found
from server.bodies import read_object
from server.files import send_user_file
from server.parts import Parts, parts
from server.statics import inside
from server.subgraphs import Published, published
from server.userfiles import DEFAULT_USER
from workflows.replacements import by_old_type

COMFYUI_VERSION = "0.3.64"
"""The release whose API this server speaks; clients compare it."""
STATS_SECONDS = 3.0
START_SECONDS = 30.0
"""How long who asks for the machine waits for its devices, which the first worker knows."""
PACKAGES = (
    "aiohttp", "av", "blake3", "comfy-kitchen", "diffusers", "numpy", "pillow", "safetensors", "scipy",
    "torch", "torchsde", "transformers",
)  # fmt: skip
FREE_SECONDS = 30.0
TEMPLATE_FOLDERS = ("example_workflows", "example", "examples", "workflow", "workflows")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/system_stats", get_stats),
        web.get("/features", get_features),
        web.post("/free", post_free),
        web.get("/users", get_users),
        web.post("/users", post_users),
        web.get("/extensions", get_extensions),
        web.get("/i18n", get_translations),
        web.get("/workflow_templates", get_templates),
        web.get("/workflow_templates/{pack}/{name:.*}", get_template),
        web.get("/global_subgraphs", get_subgraphs),
        web.get("/global_subgraphs/{id}", get_subgraph),
        web.get("/node_replacements", get_replacements),
    ]


def features(here: Parts) -> dict[str, Any]:
    """What this server can do, as clients ask for over both HTTP and the socket."""
    own = {"version": here.settings.version, "numbered_messages": True, "revisions": True, "api_v2": True}
    return {
        "supports_preview_metadata": True,
        "supports_model_type_tags": True,
        "max_upload_size": here.limits.upload,
        "extension": {"manager": {"supports_v4": True}, "nodeloom": own},
        "node_replacements": True,
        "assets": True,
        **here.settings.feature_flags,
    }


def memory() -> tuple[int, int]:
    """Bytes of memory in all and available."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return tuple(int(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))  # type: ignore[return-value]  # two names give two
    except (OSError, KeyError, ValueError):
        page = os.sysconf("SC_PAGE_SIZE")
        return page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")


def packages() -> list[dict[str, str | None]]:
    """The installed versions of what the program stands on; blocks."""
    found: list[dict[str, str | None]] = []
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found.append({"name": name, "installed": version(name), "required": None})
    return found


async def worker_stats(here: Parts) -> list[Mapping[str, Any]]:
    """What each worker says of its device, or said last if it does not answer in time."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(here.crew.tried.wait(), START_SECONDS)
    workers = here.crew.ready()
    asked = [worker.ask("stats", {}, STATS_SECONDS) for worker in workers]
    for worker, told in zip(workers, await asyncio.gather(*asked, return_exceptions=True), strict=True):
        if isinstance(told, Mapping):
            worker.stats = told
    return [worker.stats for worker in workers]


async def get_stats(request: web.Request) -> web.Response:
    """The machine, and the devices as the workers see them; there are none if no worker can start."""
    here = parts(request)
    told = await worker_stats(here)
    stats = told[0] if told else {}
    total, free = memory()
    system = {
        "os": sys.platform,
        "ram_total": total,
        "ram_free": free,
        "comfyui_version": COMFYUI_VERSION,
        "nodeloom_version": here.settings.version,
        "required_frontend_version": here.settings.version,
        "installed_templates_version": here.settings.version,
        "required_templates_version": here.settings.version,
        "python_version": sys.version,
        "python_implementation": platform.python_implementation(),
        "pytorch_version": stats.get("pytorch_version", ""),
        "embedded_python": False,
        "deploy_environment": "manual",
        "comfy_package_versions": await asyncio.to_thread(packages),
        "argv": list(here.settings.argv),
    }
    devices = [device for each in told for device in each.get("devices", ())]
    return answer({"system": {**system, **dict(stats.get("system", {}))}, "devices": devices})


async def get_features(request: web.Request) -> web.Response:
    """See `features`."""
    return answer(features(parts(request)))


async def post_free(request: web.Request) -> web.Response:
    """`unload_models` and `free_memory`: let go of weights, of cached results. Done by workers after what
    runs.
    """
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    wanted = {name: bool(body.get(name)) for name in ("unload_models", "free_memory")}
    asked = [worker.ask("free", wanted, FREE_SECONDS) for worker in here.crew.ready()]
    await asyncio.gather(*asked, return_exceptions=True)
    return web.Response()


async def get_users(request: web.Request) -> web.Response:
    """Files are kept on the server: for one user, or for `users`, names by id."""
    here = parts(request)
    if here.users.several:
        return answer({"storage": "server", "users": await asyncio.to_thread(here.users.names)})
    return answer({"storage": "server", "migrated": (here.folders.user / DEFAULT_USER).is_dir()})


async def post_users(request: web.Request) -> web.Response:
    """`{"username"}` makes a user and gives the id, to be sent as the header `comfy-user`; with one user, as
    ComfyUI does, for a later start with --multi-user.
    """
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    return answer(await asyncio.to_thread(here.users.add, body.get("username")))


def web_folders(here: Parts) -> dict[str, Path]:
    """Web folders by pack."""
    found = {pack.get("name"): pack.get("web_directory") for pack in here.catalogue.packs}
    return {str(name): Path(folder) for name, folder in found.items() if folder}


def scripts(folders: Mapping[str, Path]) -> list[str]:
    """Addresses of the scripts that packs bring for the page."""
    return [
        f"/extensions/{pack}/{path.relative_to(folder).as_posix()}"
        for pack, folder in sorted(folders.items())
        for path in sorted(folder.rglob("*.js"))
        if path.is_file()
    ]


async def get_extensions(request: web.Request) -> web.Response:
    """See `scripts`."""
    return answer(await asyncio.to_thread(scripts, web_folders(parts(request))))


def pack_folders(here: Parts) -> dict[str, Path]:
    """Packs that are folders, by name."""
    found = {str(pack.get("name")): Path(str(pack.get("path"))) for pack in here.catalogue.packs}
    return {name: path for name, path in found.items() if path.is_dir()}


def translations(folders: Mapping[str, Path]) -> dict[str, Any]:
    """What packs bring in `locales/LANGUAGE/*.json`, merged."""
    merged: dict[str, Any] = {}
    for folder in folders.values():
        for path in sorted(folder.glob("locales/*/*.json")):
            try:
                document = json.loads(path.read_bytes())
            except (OSError, ValueError, RecursionError):
                continue
            language = merged.setdefault(path.parent.name, {})
            if isinstance(document, dict):
                part = document if path.stem == "main" else {path.stem: document}
                for name, value in part.items():
                    known = language.get(name)
                    both = isinstance(known, dict) and isinstance(value, dict)
                    language[name] = {**known, **value} if both else value
    return merged


async def get_translations(request: web.Request) -> web.Response:
    """See `translations`."""
    return answer(await asyncio.to_thread(translations, pack_folders(parts(request))))


def templates(folders: Mapping[str, Path]) -> dict[str, list[str]]:
    """Names of the example workflows that packs bring."""
    found = {
        pack: sorted({path.stem for name in TEMPLATE_FOLDERS for path in (folder / name).glob("*.json")})
        for pack, folder in folders.items()
    }
    return {pack: names for pack, names in found.items() if names}


async def get_templates(request: web.Request) -> web.Response:
    """See `templates`."""
    return answer(await asyncio.to_thread(templates, pack_folders(parts(request))))


async def get_template(request: web.Request) -> web.StreamResponse:
    """A pack's example workflow or its picture."""
    folder = pack_folders(parts(request)).get(request.match_info["pack"])
    if folder is None:
        not_found()
    for name in TEMPLATE_FOLDERS:
        if (folder / name).is_dir():
            path = inside(folder / name, request.match_info["name"])
            if path.is_file():
                return await send_user_file(request, path)
    return not_found()


async def published_subgraphs(request: web.Request) -> dict[str, Published]:
    """See `subgraphs.published`."""
    here = parts(request)
    return await asyncio.to_thread(published, here.folders.base, pack_folders(here))


async def get_subgraphs(request: web.Request) -> web.Response:
    """The published subgraphs by id: source, name, pack."""
    return answer({name: each.to_json() for name, each in (await published_subgraphs(request)).items()})


async def get_subgraph(request: web.Request) -> web.Response:
    """One published subgraph, with its workflow as text in `data`."""
    found = (await published_subgraphs(request)).get(request.match_info["id"])
    if found is None:
        not_found()
    try:
        return answer(await asyncio.to_thread(found.with_data))
    except (OSError, ValueError):
        return not_found()


async def get_replacements(request: web.Request) -> web.Response:
    """What takes the place of node types that have gone, by the old type."""
    return answer(by_old_type(parts(request).catalogue.replacements))
