"""Files that other programs write, read by the editor: a workflow is found in each kind that can hold one."""

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from tests.web.node import NEEDS_NODE, NODE

av = pytest.importorskip("av")

ROOT = Path(__file__).parents[2]
WORKFLOW = json.dumps({"nodes": [], "links": [], "extra": {"text": "grün – ü", "long": "x" * 70000}})
PROMPT = json.dumps({"1": {"class_type": "A", "inputs": {}}})
READER = """
import { readFileSync } from "node:fs";
import { readMetadata, wantedBytes } from "./web/core/metadata.js";
const found = {};
for (const path of process.argv.slice(1)) {
  const all = new Uint8Array(readFileSync(path));
  const wanted = Math.min(all.length, wantedBytes(all.subarray(0, 16)));
  const { workflow, prompt, parameters } = await readMetadata(all.slice(0, wanted));
  found[path] = { workflow, prompt, parameters, wanted };
}
console.log(JSON.stringify(found));
"""

pytestmark = NEEDS_NODE


def read(*paths: Path) -> dict[str, dict[str, str]]:
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", READER, *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return {Path(path).name: texts for path, texts in json.loads(done.stdout).items()}


def picture(path: Path, **options: object) -> None:
    Image.new("RGB", (16, 16), "red").save(path, **options)


def png(path: Path) -> None:
    info = PngInfo()
    info.add_text("prompt", PROMPT)
    info.add_itxt("workflow", WORKFLOW, zip=True)
    picture(path, pnginfo=info)


def with_exif(path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "workflow:" + json.dumps(json.loads(WORKFLOW) | {"extra": {"text": "plain"}})
    exif[0x0110] = "prompt:" + PROMPT
    picture(path, exif=exif)


def with_comment(path: Path) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"UNICODE\0" + "grün, (ü)\nSteps: 20".encode("utf-16-be")}
    picture(path, exif=exif)


def svg(path: Path) -> None:
    both = json.dumps({"prompt": json.loads(PROMPT), "workflow": json.loads(WORKFLOW)})
    path.write_text(
        f'<?xml version="1.0"?><svg xmlns="x"><metadata><![CDATA[{both}]]></metadata></svg>', "utf-8"
    )


def safetensors(path: Path) -> None:
    header = json.dumps({"__metadata__": {"prompt": PROMPT, "workflow": WORKFLOW}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(100_000))


def glb(path: Path) -> None:
    content = json.dumps(
        {"asset": {"version": "2.0", "extras": {"prompt": json.loads(PROMPT), "workflow": WORKFLOW}}}
    )
    body = content.encode()
    path.write_bytes(struct.pack("<4sIIII", b"glTF", 2, 20 + len(body), len(body), 0x4E4F534A) + body)


def film(codec: str, **texts: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        options = (
            {"movflags": "use_metadata_tags"} if path.suffix == ".mp4" and "comment" not in texts else {}
        )
        with av.open(str(path), "w", options=options) as file:
            file.metadata.update(texts)
            stream = file.add_stream(codec, rate=4)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))):
                file.mux(packet)
            for packet in stream.encode():
                file.mux(packet)

    return write


def sound(codec: str, kind: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with av.open(str(path), "w") as file:
            file.metadata.update({"prompt": PROMPT, "workflow": WORKFLOW})
            stream = file.add_stream(codec, rate=48000, layout="mono")
            silence = np.zeros((1, 4800), np.float32 if kind.startswith("flt") else np.int16)
            frame = av.AudioFrame.from_ndarray(silence, kind, "mono")
            frame.sample_rate = 48000
            for packet in [*stream.encode(frame), *stream.encode()]:
                file.mux(packet)

    return write


BOTH = {"prompt": PROMPT, "workflow": WORKFLOW}
COMMENT = json.dumps({"prompt": json.loads(PROMPT), "workflow": json.loads(WORKFLOW)})
FILES: dict[str, Callable[[Path], None]] = {
    "a.png": png,
    "a.svg": svg,
    "a.safetensors": safetensors,
    "a.latent": safetensors,
    "a.glb": glb,
    "keys.mp4": film("mpeg4", **BOTH),
    "comment.mp4": film("mpeg4", comment=COMMENT),
    "a.webm": film("libvpx-vp9", **BOTH),
    "a.mkv": film("mpeg4", comment=COMMENT),
    "a.flac": sound("flac", "s16"),
    "a.mp3": sound("libmp3lame", "fltp"),
    "a.opus": sound("libopus", "flt"),
}


def test_a_workflow_is_found_in_every_kind_of_file(tmp_path: Path) -> None:
    for name, write in FILES.items():
        write(tmp_path / name)
    found = read(*(tmp_path / name for name in FILES))
    for name, texts in found.items():
        assert json.loads(texts["workflow"]) == json.loads(WORKFLOW), name
        assert json.loads(texts["prompt"]) == json.loads(PROMPT), name
    assert int(found["a.safetensors"]["wanted"]) < (tmp_path / "a.safetensors").stat().st_size


def test_small_fields_of_photographs_are_read(tmp_path: Path) -> None:
    kinds = ["webp", "jpg", "png", *(["avif"] if features.check("avif") else [])]
    for kind in kinds:
        with_exif(tmp_path / f"exif.{kind}")
        with_comment(tmp_path / f"comment.{kind}")
    found = read(*sorted(tmp_path.iterdir()))
    for kind in kinds:
        assert json.loads(found[f"exif.{kind}"]["workflow"])["extra"] == {"text": "plain"}, kind
        assert found[f"exif.{kind}"]["prompt"] == PROMPT
        assert found[f"comment.{kind}"]["parameters"] == "grün, (ü)\nSteps: 20", kind


def test_damaged_files_hold_nothing(tmp_path: Path) -> None:
    names = ("a.png", "keys.mp4", "a.webm", "a.flac", "a.mp3", "a.opus", "a.glb", "a.safetensors")
    for name in names:
        FILES[name](tmp_path / name)
        for size in (13, 30, 60, 200):
            (tmp_path / f"{size}-{name}").write_bytes((tmp_path / name).read_bytes()[:size])
    found = read(*(path for path in tmp_path.iterdir() if path.name[0].isdigit()))
    assert len(found) == 4 * len(names)
    assert all(len(texts.get("workflow") or "") < 200 for texts in found.values())
