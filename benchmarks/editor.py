# ruff: noqa: E501 - scripts and tables that stand in one line each read better than wrapped
"""How fast the editor is, in a real headless Chromium: opening, loading, panning, zooming, dragging, undo, rest.

    python benchmarks/editor.py [--sizes 100,300,1000,3000,10000] [--url http://127.0.0.1:8188/]

Without --url it serves the page itself, with recorded node specs. Prints each figure beside its target, and the peer's.
"""

import argparse
import contextlib
import itertools
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
VIEWS = ("pan 1:1", "pan 0.4", "pan whole", "zoom", "zoom whole", "drag")
PEER_3000 = {
    "pan 1:1": "11.4",
    "pan 0.4": "9",
    "pan whole": "2.8",
    "zoom": "10.6",
    "drag": "4.9",
    "undo ms": "5722",
    "load s": "7.6",
}

COLLECT = """() => {
  window.frames_ = []; window.long_ = 0;
  window.observer_ = new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.long_ = Math.max(window.long_, entry.duration); });
  try { window.observer_.observe({ entryTypes: ['longtask'] }); } catch {}
  window.on_ = true;
  const tick = (time) => { window.frames_.push(time); if (window.on_) requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
}"""
STOP = "() => { window.on_ = false; window.observer_.disconnect(); return { frames: window.frames_, long: window.long_ }; }"


def unit(first: int, x: float, y: float) -> tuple[list[dict], list[list]]:
    """Ten nodes that make a picture, and the links among them."""
    kinds: list[tuple[str, int, int, int, int, list, list, list]] = [
        ("CheckpointLoaderSimple", 0, 60, 315, 98, [], ["MODEL", "CLIP", "VAE"], ["model.safetensors"]),
        (
            "CLIPTextEncode",
            360,
            0,
            400,
            160,
            ["clip"],
            ["CONDITIONING"],
            ["a photograph of a lighthouse at dusk, long exposure, " * 3],
        ),
        ("CLIPTextEncode", 360, 210, 400, 160, ["clip"], ["CONDITIONING"], ["blurry, text, watermark"]),
        ("EmptyLatentImage", 360, 420, 315, 106, [], ["LATENT"], [512, 512, 1]),
        (
            "KSampler",
            800,
            0,
            315,
            262,
            ["model", "positive", "negative", "latent_image"],
            ["LATENT"],
            [1, "randomize", 20, 7, "euler", "normal", 1],
        ),
        ("VAEDecode", 800, 320, 210, 46, ["samples", "vae"], ["IMAGE"], []),
        ("PreviewImage", 1160, 0, 210, 246, ["images"], [], []),
        ("PreviewImage", 1160, 300, 210, 246, ["images"], [], []),
        ("LoadImage", 0, 220, 315, 314, [], ["IMAGE", "MASK"], ["example.png", "image"]),
        ("ImageScale", 800, 420, 315, 130, ["image"], ["IMAGE"], ["bilinear", 512, 512, "disabled"]),
    ]
    nodes = []
    for index, (kind, dx, dy, width, height, inputs, outputs, values) in enumerate(kinds):
        nodes.append(
            {
                "id": first + index,
                "type": kind,
                "pos": [x + dx, y + dy],
                "size": [width, height],
                "flags": {},
                "order": index,
                "mode": 0,
                "inputs": [{"name": name, "type": "*", "link": None} for name in inputs],
                "outputs": [
                    {"name": name, "type": name, "links": [], "slot_index": slot}
                    for slot, name in enumerate(outputs)
                ],
                "properties": {},
                "widgets_values": values,
            }
        )
    pairs = [
        (0, 0, 4, 0),
        (0, 1, 1, 0),
        (0, 1, 2, 0),
        (1, 0, 4, 1),
        (2, 0, 4, 2),
        (3, 0, 4, 3),
        (4, 0, 5, 0),
        (0, 2, 5, 1),
        (5, 0, 6, 0),
        (8, 0, 9, 0),
    ]
    return nodes, [[first + a, slot, first + b, place] for a, slot, b, place in pairs]


def workflow(count: int) -> dict[str, Any]:
    """`count` nodes in a grid of units, a group around each, one long link a unit to the row's first loader."""
    nodes: list[dict] = []
    ends: list[list] = []
    groups = []
    columns = max(1, round((count / 10) ** 0.5))
    for index in range(count // 10):
        column, row = index % columns, index // columns
        made, links = unit(index * 10 + 1, column * 1500, row * 700)
        nodes += made
        row_first = (index - column) * 10 + 1
        ends += [*links, [row_first + 5, 0, index * 10 + 8, 0]]
        groups.append(
            {
                "title": f"Group {index}",
                "bounding": [column * 1500 - 30, row * 700 - 80, 1440, 660],
                "color": "#3f789e",
                "font_size": 24,
            }
        )
    by_id = {node["id"]: node for node in nodes}
    links = []
    for number, (origin, slot, target, place) in enumerate(ends, 1):
        kind = by_id[origin]["outputs"][slot]["name"]
        links.append([number, origin, slot, target, place, kind])
        by_id[origin]["outputs"][slot]["links"].append(number)
        by_id[target]["inputs"][place] |= {"link": number, "type": kind}
    return {
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": groups,
        "config": {},
        "extra": {},
        "version": 0.4,
    }


class Bench:
    """One page with a protocol session for its main-thread time."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.session = page.context.new_cdp_session(page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy(self) -> float:
        """Seconds of main-thread tasks so far."""
        metrics = {
            entry["name"]: entry["value"] for entry in self.session.send("Performance.getMetrics")["metrics"]
        }
        return float(metrics["TaskDuration"])

    def heap(self) -> float:
        """Megabytes of JavaScript after a collection."""
        self.session.send("HeapProfiler.collectGarbage")
        metrics = {
            entry["name"]: entry["value"] for entry in self.session.send("Performance.getMetrics")["metrics"]
        }
        return float(metrics["JSHeapUsedSize"]) / 1e6

    def during(self, act: Any) -> dict[str, float]:
        """Frames a second, main-thread milliseconds a frame, and the longest task while `act` runs."""
        self.page.evaluate(COLLECT)
        before = self.busy()
        act()
        got = self.page.evaluate(STOP)
        frames = got["frames"]
        spent = self.busy() - before
        gaps = [b - a for a, b in itertools.pairwise(frames)]
        return {
            "fps": 1000 * len(gaps) / (frames[-1] - frames[0]),
            "ms": 1000 * spent / len(gaps),
            "p95": sorted(gaps)[int(len(gaps) * 0.95)],
            "long": got["long"],
        }

    def place(self, scale: float | None) -> None:
        """Show the middle of the graph at a scale, or all of it."""
        self.page.evaluate(
            """(scale) => { const { editor } = nodeloom; const box = editor.scene.bounds(); editor.clearSelection(); if (scale === null) editor.fit();
          else { editor.camera.scale = scale; editor.camera.x = box[0] + box[2] / 2; editor.camera.y = box[1] + box[3] / 2; editor.moved(); } }""",
            scale,
        )
        self.page.wait_for_timeout(300)

    def drag(self, button: str, start: tuple[float, float], steps: int = 90) -> None:
        """A steady drag with one move a frame."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down(button=button)
        for step in range(steps):
            mouse.move(
                start[0] + (step if step < steps / 2 else steps - step) * 6,
                start[1] + (step if step < steps / 2 else steps - step) * 3,
            )
        mouse.up(button=button)

    def wheel(self, steps: int = 80) -> None:
        """Zooming in and out again under the pointer."""
        self.page.mouse.move(700, 450)
        for step in range(steps):
            self.page.mouse.wheel(0, -60 if step < steps / 2 else 60)


def measure(page: Any, count: int) -> dict[str, Any]:
    """All figures for one size."""
    bench = Bench(page)
    found: dict[str, Any] = {}
    text = json.dumps(workflow(count))
    found["load s"] = page.evaluate(
        """async (text) => { const start = performance.now(); await app.loadGraphData(JSON.parse(text), true, true, 'bench');
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); return (performance.now() - start) / 1000; }""",
        text,
    )
    page.wait_for_timeout(1200)
    for name, scale in (("pan 1:1", 1.0), ("pan 0.4", 0.4), ("pan whole", None)):
        bench.place(scale)
        found[name] = bench.during(lambda: bench.drag("middle", (500, 400)))
    for name, scale in (("zoom", 0.6), ("zoom whole", None)):
        bench.place(scale)
        found[name] = bench.during(bench.wheel)
        page.wait_for_timeout(400)
    bench.place(0.6)
    start = page.evaluate("""() => { const { editor } = nodeloom; const [x, y, w, h] = editor.renderer.seen; const host = editor.host.getBoundingClientRect();
      const id = [...editor.scene.nodes.query([x + w * 0.3, y + h * 0.3, w * 0.3, h * 0.3])][0]; const box = editor.scene.box(id);
      const [sx, sy] = editor.camera.toScreen([box[0] + 60, box[1] + 12]); return [sx + host.left, sy + host.top]; }""")
    found["drag"] = bench.during(lambda: bench.drag("left", tuple(start)))
    found["after drop ms"] = bench.during(lambda: page.wait_for_timeout(1000))["long"]
    found["undo ms"] = page.evaluate(
        """async () => { const start = performance.now(); nodeloom.editor.tab.history.undo(); await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); return performance.now() - start; }"""
    )
    found["palette ms"] = page.evaluate(
        """async () => { const start = performance.now(); await nodeloom.commands.run('palette-free'); await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); return performance.now() - start; }"""
    )
    page.keyboard.press("Escape")
    found["prompt ms"] = page.evaluate(
        "async () => { await app.graphToPrompt(); const start = performance.now(); const { output } = await app.graphToPrompt(); return performance.now() - start; }"
    )
    found["save ms"] = page.evaluate(
        "async () => { const { workflow } = await app.graphToPrompt(); const start = performance.now(); JSON.stringify(workflow); return performance.now() - start; }"
    )
    page.wait_for_timeout(1500)
    before = bench.busy()
    page.wait_for_timeout(3000)
    found["idle ms/s"] = 1000 * (bench.busy() - before) / 3
    found["heap MB"] = bench.heap()
    found["page MB"] = page_memory()
    return found


def page_memory() -> float:
    """Megabytes that the pages' processes have to themselves (the browser was started by this one)."""
    pages = [
        each for each in psutil.Process().children(recursive=True) if "--type=renderer" in each.cmdline()
    ]
    return sum(each.memory_full_info().uss for each in pages) / 1e6


SLOW_NETWORK = {"offline": False, "latency": 20, "downloadThroughput": 50e6 / 8, "uploadThroughput": 50e6 / 8}
"""50 Mbit/s, answers 20 ms late."""


def cold(browser: Any, url: str, network: dict[str, Any] | None = None) -> dict[str, Any]:
    """A first visit: requests, bytes over the wire, foreign hosts, and when the canvas is ready."""
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    if network is not None:
        session.send("Network.emulateNetworkConditions", network)
    totals = {"requests": 0, "bytes": 0, "foreign": 0}

    def requested(event: dict) -> None:
        totals["requests"] += 1
        totals["foreign"] += not event["request"]["url"].startswith((url, "blob:", "data:"))

    session.on("Network.requestWillBeSent", requested)
    session.on(
        "Network.loadingFinished",
        lambda event: totals.__setitem__("bytes", totals["bytes"] + event["encodedDataLength"]),
    )
    page.goto(url)
    page.wait_for_selector("html[data-ready]", timeout=30000)
    ready = page.evaluate("performance.now()")
    page.wait_for_timeout(1000)
    session.send("Performance.enable")
    session.send("HeapProfiler.collectGarbage")
    heap = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}[
        "JSHeapUsedSize"
    ] / 1e6
    context.close()
    return {**totals, "ready s": ready / 1000, "heap MB": heap}


def line(name: str, value: str, target: str, peer: str = "") -> None:
    print(f"  {name:<24}{value:>34}   target {target:<14}{'peer ' + peer if peer else ''}")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", default="100,300,1000,3000,10000")
    options.add_argument("--url")
    options.add_argument("--json", action="store_true", help="also print the figures as JSON")
    chosen = options.parse_args()
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(ROOT))
    from tests.web.dev_server import served

    everything: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        url = chosen.url or stack.enter_context(served())
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path="/usr/bin/chromium", args=ARGUMENTS
        )
        visits = [cold(browser, url) for _ in range(3)]
        first = {key: statistics.median(visit[key] for visit in visits) for key in visits[0]}
        everything["cold"] = first
        print("cold visit")
        line("requests", f"{first['requests']:.0f}", "<= 60", "481")
        line("megabytes", f"{first['bytes'] / 1e6:.2f}", "<= 0.7", "20.8")
        line("foreign hosts", f"{first['foreign']:.0f}", "0", "1")
        line("canvas ready, s", f"{first['ready s']:.2f}", "<= 0.8", "4.7")
        far = statistics.median(cold(browser, url, SLOW_NETWORK)["ready s"] for _ in range(3))
        line("ready at 50 Mbit/s, s", f"{far:.2f}", "<= 1.5", "11.4")
        line("heap, MB", f"{first['heap MB']:.1f}", "<= 15", "40")
        everything["cold at 50 Mbit/s"] = far
        for size in map(int, chosen.sizes.split(",")):
            page = browser.new_page(viewport={"width": 1600, "height": 900})
            page.goto(url)
            page.wait_for_selector("html[data-ready]", timeout=30000)
            found = measure(page, size)
            everything[str(size)] = found
            page.close()
            print(f"{size} nodes")
            rate = ">= 58" if size <= 3000 else ">= 50"
            for name in VIEWS:
                got = found[name]
                line(
                    name,
                    f"{got['fps']:.1f} fps {got['ms']:.1f} ms p95 {got['p95']:.0f} long {got['long']:.0f}",
                    f"{rate}, <= 10 ms",
                    PEER_3000.get(name, "") if size == 3000 else "",
                )
            for name, target in (
                ("load s", "<= 0.5"),
                ("after drop ms", "<= 50"),
                ("undo ms", "<= 50"),
                ("palette ms", "<= 80"),
                ("prompt ms", "<= 30"),
                ("save ms", "<= 40"),
                ("idle ms/s", "<= 5"),
                ("heap MB", "<= 60"),
                ("page MB", "<= 250"),
            ):
                line(name, f"{found[name]:.2f}", target, PEER_3000.get(name, "") if size == 3000 else "")
        browser.close()
    if {"300", "3000"} <= everything.keys():
        print("main thread a frame, 3000 nodes / 300   target 0.8 to 1.2")
        for name in VIEWS:
            line(name, f"{everything['3000'][name]['ms'] / everything['300'][name]['ms']:.2f}", "")
    if chosen.json:
        print(json.dumps(everything))


if __name__ == "__main__":
    main()
