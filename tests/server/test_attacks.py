"""The replay list, first part, files: published attacks, sent as raw bytes, and what an immune server does.

Numbers S1 to S31 are those of our field study of advisories; the CVE or issue is in the test's docstring.
"""

import io
import json
import os
import struct
import time
import zlib

import pytest

from server.settings import Settings
from tests.server.attacks import (
    CANARY,
    JSON,
    LOAD,
    NUMBER,
    SHOW,
    assert_refused,
    chunk,
    data,
    picture,
    plant_canaries,
    png,
    upload,
)
from tests.server.client import Client, RawAnswer


@pytest.fixture(autouse=True)
def canaries(settings: Settings) -> None:
    """Files that must never be read."""
    plant_canaries(settings)


CLIMBING = [
    "filename=../../canary", "filename=%2e%2e%2fcanary", "filename=%2e%2e%2f%2e%2e%2fcanary",
    "filename=..%5c..%5ccanary", "filename=/etc/passwd", "filename=%2fetc%2fpasswd", "filename=..",
    "filename=../../canary%20[input]", "filename=..%252f..%252fcanary", "filename=a/../../canary",
]  # fmt: skip
VIEWS = {
    400: CLIMBING,
    403: [
        "filename=canary&subfolder=../..", "filename=passwd&subfolder=/etc", "filename=canary&subfolder=..",
        "filename=canary&subfolder=a%5c..%5c..", "filename=canary&subfolder=%2e%2e%2f",
    ],
    404: [
        "filename=C:%5cwin.ini", "filename=a.png%00.txt", "filename=real.png%00", "filename=.",
        "filename=canary&subfolder=link", "filename=link.png", "filename=link.png&preview=webp;90",
        "filename=absent.png", "filename=link&channel=a", "filename=%ff%fe", "filename=a&subfolder=%00",
        "filename=" + "a" * 5000, "filename=....//....//canary", "subfolder=..", "",
    ],
}  # fmt: skip
TYPES = ["..", "user", "../../", "bogus", "", "models"]


@pytest.mark.parametrize("root", ["input", "output", "temp"])
async def test_s1_s2_view_reads_nothing_outside_its_roots(calm: Client, root: str) -> None:
    """ComfyUI#2927, #12285. What is absent and what is behind a link look the same."""
    for status, queries in VIEWS.items():
        bodies = set()
        for query in queries:
            for path in ("/view", "/api/view"):
                answer = await calm.request("GET", f"{path}?{query}&type={root}")
                assert_refused(answer, query, status)
                bodies.add(answer.body)
        assert len(bodies) == 1, status
    for kind in TYPES:
        for name in ("canary", "real.png", "absent.png"):
            assert_refused(await calm.request("GET", f"/view?filename={name}&type={kind}"), kind, 400)
    assert_refused(await calm.request("GET", "/view?filename="), "empty", 400)
    assert (await calm.request("GET", "/view?filename=real.png&type=output")).status == 200


async def test_s1_a_name_with_dots_in_it_is_a_name(calm: Client, settings: Settings) -> None:
    for name in ("a..b.png", "...png", "to be continued...png"):
        (data(settings) / "output" / name).write_bytes(picture(2, 2))
        assert (await calm.request("GET", f"/view?filename={name.replace(' ', '%20')}")).status == 200, name


STATICS = [
    "/../../../../canary", "/../canary", "/..%2fcanary", "/%2e%2e/canary", "/%2e%2e%2fcanary", "/..%5ccanary",
    "/extensions/toys/..%2f..%2fcanary", "/extensions/toys/../../canary", "/extensions/../canary",
    "/extensions/nope/x.js", "/extensions/toys/absent.js", "/extensions/core/..%2f..%2fcanary",
    "//etc/passwd",
    "/etc/passwd", "/./canary", "/main.js%00", "/.git/config", "/main.js/", "/main.js/x", "/C:/win.ini",
    "/api/../canary", "/web-link/canary", "/workflow_templates/toys/..%2f..%2fcanary",
]  # fmt: skip


async def test_s3_static_files_stay_in_their_folder(calm: Client, settings: Settings) -> None:
    """aiohttp CVE-2024-23334, CVE-2025-69226."""
    (settings.web_root / "web-link").symlink_to(data(settings))
    (settings.web_root.parent / "canary").write_bytes(CANARY)
    bodies = set()
    for target in STATICS:
        answer = await calm.request("GET", target)
        assert_refused(answer, target, 404)
        bodies.add(answer.body)
    assert len(bodies) == 1, "absent and forbidden look the same"
    assert (await calm.request("GET", "/main.js")).status == 200


BAD_NAMES = [
    "../../custom_nodes/x/__init__.py", "..\\\\..\\\\x.png", "/etc/cron.d/x", "a/b.png", "CON", "con.png",
    "nul.txt", "COM1.png", "trailing.", "..", ".", "a\x00b.png", "x" * 300, "", "LPT9", " ",
]  # fmt: skip


async def test_s4_uploads_land_in_their_folder_under_a_plain_name(calm: Client, settings: Settings) -> None:
    """CVE-2024-21575 and the reference's unhandled `type`."""
    for name in BAD_NAMES:
        assert_refused(await upload(calm, "/upload/image", name), name, 400)
    fields = [
        {"subfolder": "../custom_nodes"}, {"subfolder": "/etc"}, {"subfolder": "a/../../b"},
        {"subfolder": "link"},
        {"subfolder": "link/x"}, {"type": "bogus"}, {"type": "../output"}, {"type": "user"},
        {"subfolder": "a//b"},
        {"subfolder": "..\\x"}, {"subfolder": "a\x00"}, {"subfolder": "CON"},
    ]  # fmt: skip
    for extra in fields:
        assert_refused(await upload(calm, "/upload/image", "x.png", **extra), extra, 400)
    written = {path.relative_to(data(settings)) for path in data(settings).rglob("*") if path.name == "x.png"}
    assert not written
    assert not list((data(settings) / "secrets").glob("x*"))


async def test_s4_a_link_of_the_name_is_replaced_and_not_followed(calm: Client, settings: Settings) -> None:
    for overwrite in ("false", "true"):
        answer = await upload(calm, "/upload/image", "link.png", b"mine", overwrite=overwrite)
        assert answer.status == 200, answer.body
    assert (data(settings) / "secrets" / "canary").read_bytes() == CANARY
    assert (data(settings) / "input" / "link.png").read_bytes() == b"mine"
    assert not (data(settings) / "input" / "link.png").is_symlink()


REFERENCES = {
    400: [
        '{"filename":"../../canary","type":"output","subfolder":"../"}', '{"filename":"/etc/passwd"}',
        '{"filename":"canary","type":"state"}', "null", "[]", "{}", '"x"', '{"filename":3}',
        '{"filename":"a","type":7}', "not json", "[" * 5000, '{"filename":"real.png"}',
        '{"filename":"real.png","subfolder":null}',
    ],
    403: ['{"filename":"canary","subfolder":".."}', '{"filename":"canary","subfolder":"/"}'],
    200: [
        '{"filename":"link.png","type":"input"}', '{"filename":"canary","subfolder":"link"}',
        '{"filename":"absent.png"}', "",
    ],
}  # fmt: skip


async def test_s5_a_mask_upload_reads_pictures_of_its_roots_only(calm: Client, settings: Settings) -> None:
    """Without an original, and with one that may not be seen, the mask is kept as it came."""
    for status, references in REFERENCES.items():
        for reference in references:
            answer = await upload(
                calm, "/upload/mask", "m.png", picture(4, 4), original_ref=reference, overwrite="true"
            )
            assert_refused(answer, reference, status)
    assert (data(settings) / "input" / "m.png").read_bytes() == picture(4, 4)


ACTIVE = [
    "a.html", "a.htm", "a.xhtml", "a.xht", "a.svg", "a.xml", "a.mht", "a.pdf", "a.js", "a.mjs", "a.css",
    "a.swf",
    "noextension", "a.hta", "a.json", "a.txt", "a.SVG", "a.png.html", "a.wasm", "a.vtt",
]  # fmt: skip
SCRIPT = b"<html><svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


def assert_inert(answer: RawAnswer, name: str) -> None:
    """A browser that opens it shows or runs nothing of it."""
    assert answer.status == 200, name
    assert answer.headers["content-disposition"].startswith("attachment"), name
    assert answer.headers["x-content-type-options"] == "nosniff", name
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy, name
    assert "default-src 'none'" in policy, name


async def test_s6_what_users_store_is_never_active_content(calm: Client) -> None:
    """CVE-2024-10099, CVE-2026-56670, CVE-2026-56672."""
    for name in ACTIVE:
        assert (await upload(calm, "/upload/image", name, SCRIPT)).status == 200, name
        assert_inert(await calm.request("GET", f"/view?filename={name}&type=input"), name)
        posted = await calm.request("POST", f"/userdata/{name}", JSON, SCRIPT)
        assert posted.status == 200, name
        assert_inert(await calm.request("GET", f"/userdata/{name}"), name)


async def test_s6_a_polyglot_is_a_picture_and_nothing_else(calm: Client) -> None:
    await upload(calm, "/upload/image", "poly.png", SCRIPT)
    answer = await calm.request("GET", "/view?filename=poly.png&type=input")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert_refused(
        await calm.request("GET", "/view?filename=poly.png&type=input&preview=webp;90"), "preview", 400
    )


PATHS_AS_INPUTS = [
    "../../../canary.png", "../canary.png", "..\\..\\canary.png", "canary.png [output]",
    "../canary.png [output]",
    "/etc/passwd", "absent.png", "../absent.png", "link/canary", "link.png", "C:\\x.png", "canary.png\x00",
    "",
    "../../canary.png [temp]", {"a": 1}, 3, None, True,
]  # fmt: skip


async def test_s7_a_path_as_an_input_is_refused_before_the_run(client: Client) -> None:
    """CVE-2026-56673; existing and absent files get the same kind of error."""
    for value in PATHS_AS_INPUTS:
        prompt = {"1": {**LOAD, "inputs": {"image": value}}, "2": SHOW}
        status, body = await client.post("/prompt", {"prompt": prompt})
        assert status == 400, (value, body)
        assert body["error"]["type"] == "prompt_outputs_failed_validation", value
        kinds = {each["type"] for each in body["node_errors"]["1"]["errors"]}
        assert kinds <= {"custom_validation_failed", "invalid_input_type"}, (value, kinds)


async def test_s8_a_path_as_a_model_name_is_refused_before_the_run(client: Client) -> None:
    """ComfyUI PR#13302, PR#14166."""
    for value in (
        "../../canary.safetensors",
        "../canary.safetensors",
        "/etc/passwd",
        "absent.safetensors",
        "..\\x",
    ):
        prompt = {"1": {"class_type": "ToyCheckpoint", "inputs": {"ckpt_name": value}}, "2": SHOW}
        status, body = await client.post("/prompt", {"prompt": prompt})
        assert status == 400, value
        assert body["node_errors"]["1"]["errors"][0]["type"] == "value_not_in_list", value


async def test_s8_a_path_as_a_file_prefix_is_refused_before_the_run(client: Client) -> None:
    for prefix in (
        "../../x",
        "/tmp/x",
        "link/x",
        "a/../../b",
        "..\\x",
        "C:\\x",
        "a\x00b",
        "x/../../../y/%date%",
    ):
        save = {"class_type": "ToySave", "inputs": {"filename_prefix": prefix, "value": ["1", 0]}}
        status, body = await client.post("/prompt", {"prompt": {"1": NUMBER, "2": save}})
        assert status == 400, (prefix, body)
        assert body["node_errors"]["2"]["errors"][0]["type"] == "custom_validation_failed", prefix


MODEL_PATHS = [
    "/experiment/models/preview/checkpoints/0/..%2f..%2f..%2fcanary",
    "/experiment/models/preview/checkpoints/0/../../canary",
    "/experiment/models/preview/checkpoints/-1/canary",
    "/experiment/models/preview/checkpoints/99999/canary", "/experiment/models/preview/checkpoints/a/canary",
    "/experiment/models/preview/checkpoints/%D9%A1/canary", "/experiment/models/preview/nope/0/canary",
    "/experiment/models/preview/checkpoints/0/absent", "/experiment/models/preview/checkpoints/0/%00",
    "/experiment/models/preview/checkpoints/0/", "/experiment/models/nope", "/models/nope", "/models/..%2f..",
    "/models/custom_nodes", "/view_metadata/loras?filename=../../canary.safetensors",
    "/view_metadata/checkpoints?filename=../canary.safetensors",
    "/view_metadata/checkpoints?filename=/etc/passwd",
    "/view_metadata/..%2f..?filename=canary.safetensors",
    "/view_metadata/checkpoints?filename=absent.safetensors",
    "/view_metadata/user?filename=canary.safetensors", "/view_metadata/checkpoints?filename=a%00.safetensors",
]  # fmt: skip


async def test_s9_model_previews_and_metadata_stay_in_their_folders(calm: Client) -> None:
    """CVE-2026-56671; numbers are parsed with bounds."""
    for target in MODEL_PATHS:
        assert_refused(await calm.request("GET", target), target, 404)


USER_PATHS = [
    "..%2f..%2fcanary", "..%2fcanary.json", "%2e%2e%2fcanary.json", "..%5ccanary.json", "%2fetc%2fpasswd",
    "link%2fcanary", "link.png", "ComfyUI-Manager%2fconfig.ini", "comfyui-manager%2fconfig.ini", "config.ini",
    "a%2f..%2f..%2f..%2fcanary", "__manager%2fx.json", "x%00.json", "..", ".", "%2f", "x.py", "a%0d%0ab",
]  # fmt: skip


async def test_s10_user_files_hold_no_security_and_lead_nowhere(calm: Client, settings: Settings) -> None:
    """CVE-2025-67303."""
    manager = data(settings) / "user" / "default" / "ComfyUI-Manager"
    manager.mkdir(parents=True)
    (manager / "config.ini").write_bytes(CANARY)
    await calm.post("/userdata/b.json", {})
    for name in USER_PATHS:
        assert_refused(await calm.request("GET", f"/userdata/{name}"), name, 404)
        assert_refused(await calm.request("POST", f"/userdata/{name}", JSON, b"weak"), name, 404)
        assert_refused(await calm.request("DELETE", f"/userdata/{name}"), name, 404)
        assert_refused(await calm.request("POST", f"/userdata/b.json/move/{name}", JSON), name, 404)
        assert_refused(await calm.request("POST", f"/userdata/{name}/move/c.json", JSON), name, 404)
    for folder in ("../..", "..", "/etc", "link", "ComfyUI-Manager", "%00", "a/../../.."):
        for query in ("", "&recurse=true", "&recurse=true&full_info=true", "&split=true"):
            assert_refused(await calm.request("GET", f"/userdata?dir={folder}{query}"), folder, 404)
    assert_refused(await calm.request("GET", "/v2/userdata?path=../.."), "v2", 404)
    listed = await calm.request("GET", "/userdata?dir=&recurse=true")
    assert json.loads(listed.body) == ["b.json"], "links and closed folders are not listed"
    assert (manager / "config.ini").read_bytes() == CANARY


async def test_s10_the_user_header_is_nobody(calm: Client, settings: Settings) -> None:
    (data(settings) / "user" / "victim").mkdir()
    (data(settings) / "user" / "victim" / "a.json").write_bytes(CANARY)
    for user in ("victim", "__manager", "../victim", "default/../victim"):
        for target in ("/userdata/a.json", "/userdata?dir=", "/settings", "/history", "/queue"):
            answer = await calm.request("GET", target, {"comfy-user": user})
            assert CANARY not in answer.body, (user, target)
            assert b"a.json" not in answer.body, (user, target)


async def test_s17_a_setting_is_a_value_and_not_a_line(calm: Client, settings: Settings) -> None:
    """CVE-2026-22777."""
    value = "cache\r\nsecurity_level = weak"
    assert (await calm.post("/settings/db_mode", value))[0] == 200
    assert await calm.get("/settings/db_mode") == (200, value)
    kept = (data(settings) / "user" / "default" / "comfy.settings.json").read_bytes()
    assert b"\n" not in kept
    for path in ("/settings/a%0d%0ab", "/settings/" + "x" * 1000):
        assert_refused(await calm.request("POST", path, JSON, b"1"), path, 400)
    for body in (b"[1]", b"7", b"{", b'{"a\\nb": 1}', b'{"": 1}', b"null"):
        assert_refused(await calm.request("POST", "/settings", JSON, body), body, 400)
    before = kept
    await calm.request("GET", "/settings/db_mode?value=cache%0Dsecurity_level%20=%20weak")
    assert (data(settings) / "user" / "default" / "comfy.settings.json").read_bytes() == before


SAFETENSORS: list[bytes] = [
    b"", b"\x01", struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 2**64 - 1), struct.pack("<Q",
    100 * 2**20),
    struct.pack("<Q", 10) + b"not json!!", struct.pack("<Q", 5) + b"[[[[[", struct.pack("<Q", 2) + b"[]",
    struct.pack("<Q", 20) + b'{"__metadata__": []}', struct.pack("<Q", 20_000) + b"[" * 20_000,
    struct.pack("<Q", 8) + b"\x80\x04cposix",
]  # fmt: skip


async def test_s20_s21_hostile_weights_have_no_metadata(calm: Client, settings: Settings) -> None:
    for index, content in enumerate(SAFETENSORS):
        (data(settings) / "models" / "checkpoints" / f"bad{index}.safetensors").write_bytes(content)
        start = time.monotonic()
        answer = await calm.request("GET", f"/view_metadata/checkpoints?filename=bad{index}.safetensors")
        assert_refused(answer, content[:20], 404)
        assert time.monotonic() - start < 1
    for suffix in ("ckpt", "pt", "pth", "bin", "SafeTensors.ckpt"):
        answer = await calm.request("GET", f"/view_metadata/checkpoints?filename=bad0.{suffix}")
        assert_refused(answer, suffix, 404)


def many_frames() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    frames = [Image.new("P", (8, 8), index % 256) for index in range(2_000)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=1)
    return out.getvalue()


async def test_s22_bombs_are_measured_before_they_are_opened(calm: Client, settings: Settings) -> None:
    text = chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(80 * 2**20)))
    bombs = {
        "wide.png": png(60_000, 60_000),
        "text.png": png(4, 4, b"\0" + bytes(4), before=text),
        "truncated.png": picture(64, 64)[:60],
        "empty.png": b"",
        "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
    }
    for name, content in bombs.items():
        (data(settings) / "input" / name).write_bytes(content)
        for form in ("preview=webp;90", "channel=rgb", "channel=a", "preview=jpeg;50", "size=64"):
            start = time.monotonic()
            answer = await calm.request("GET", f"/view?filename={name}&type=input&{form}")
            assert_refused(answer, (name, form), 400)
            assert time.monotonic() - start < 5, (name, form)
    (data(settings) / "input" / "frames.gif").write_bytes(many_frames())
    answer = await calm.request("GET", "/view?filename=frames.gif&type=input&preview=webp;90")
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/webp"


async def test_s22_odd_qualities_are_brought_into_range(calm: Client, settings: Settings) -> None:
    (data(settings) / "input" / "p.png").write_bytes(picture(8, 8))
    for form in (
        "webp;-1",
        "webp;9999",
        "jpeg;99999999999999999999",
        "webp;x",
        "bogus",
        "webp;",
        "jpeg;0",
        ";;",
        "%D9%A1",
    ):
        answer = await calm.request("GET", f"/view?filename=p.png&type=input&preview={form}")
        assert answer.status == 200, form
        assert answer.headers["content-type"] in ("image/webp", "image/jpeg")


async def test_s29_nothing_is_downloaded_by_path(calm: Client) -> None:
    """CVE-2025-6237."""
    for target in ("/download/..%2f..%2fcanary", "/api/v1/images/..%2f..%2fcanary", "/api/..%2fcanary"):
        assert_refused(await calm.request("GET", target), target, 404)


async def test_the_state_folder_is_private(calm: Client, settings: Settings) -> None:
    assert settings.state_dir.stat().st_mode & 0o077 == 0 or settings.state_dir.stat().st_uid != os.getuid()
