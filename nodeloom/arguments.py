"""The command line as data: every option, ComfyUI's spellings among them, and what each one sets.

Standard library only, so that `--help` and the server's start cost nothing.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
PREVIEWS = ("none", "auto", "latent2rgb", "taesd")

# ComfyUI's switches that this engine needs no switch for, with the reason it prints when one is given.
NEEDLESS: dict[str, str] = {
    "--disable-auto-launch": "the browser is opened on --auto-launch only",
    "--disable-smart-memory": "memory is kept within one budget, see --device-memory",
    "--gpu-only": "weights stay on the device as far as its memory goes",
    "--highvram": "weights stay on the device as far as its memory goes",
    "--normalvram": "weights stay on the device as far as its memory goes",
    "--lowvram": "weights move by need, see --device-memory",
    "--novram": "weights move by need, see --device-memory",
    "--async-offload": "blocks are fetched ahead where the device can",
    "--cuda-malloc": "torch chooses its allocator",
    "--disable-cuda-malloc": "torch chooses its allocator",
    "--use-split-cross-attention": "attention is torch's own kernel",
    "--use-quad-cross-attention": "attention is torch's own kernel",
    "--use-pytorch-cross-attention": "attention is torch's own kernel",
    "--use-sage-attention": "attention is torch's own kernel",
    "--use-flash-attention": "attention is torch's own kernel",
    "--disable-xformers": "attention is torch's own kernel",
    "--force-upcast-attention": "the precision policy decides, see --precision",
    "--dont-upcast-attention": "the precision policy decides, see --precision",
    "--force-channels-last": "convolutions run in the layout that is faster on the device",
    "--deterministic": "the same seed gives the same bytes without it",
    "--mmap-torch-files": "weights are always memory-mapped",
    "--fast": "exact savings are always on",
    "--dont-print-server": "the server prints little",
    "--windows-standalone-build": "there is no such build",
    "--enable-compress-response-body": "answers are always compressed where it pays",
    "--disable-api-nodes": "there are no nodes that call a paid service",
    "--log-stdout": "see --verbose",
}

# ComfyUI's spellings of the precision; all of them set --precision.
PRECISION_FLAGS = {
    "--force-fp32": "fp32",
    "--fp32-unet": "fp32",
    "--force-fp16": "fp16",
    "--fp16-unet": "fp16",
    "--bf16-unet": "bf16",
}


class Needless(argparse.Action):
    """Accepts an option of ComfyUI's that has nothing to do here, and remembers to say so."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        namespace.needless = [*namespace.needless, option_string]


def port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: give a number from 0 (any free one) to 65535")
    return number


def memory(text: str) -> int:
    """Bytes from `6GB`, `800MB`, `1.5g` or a plain number of bytes."""
    number = text.lower().rstrip("b").rstrip("i")
    for unit, factor in {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}.items():
        if number.endswith(unit):
            return int(float(number[:-1]) * factor)
    return int(number)


def newest(text: str) -> str:
    """The cache policy that keeps the results of the `text` nodes used last; for 0 the classic one."""
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError(f"{text}: give how many results are kept, 0 for the classic cache")
    return f"lru:{count}" if count else "classic"


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """Where things lie: options that every command shares."""
    places = parser.add_argument_group("places")
    places.add_argument(
        "--data-dir",
        "--base-directory",
        type=Path,
        default=None,
        metavar="DIR",
        help="holds models, input, output, temp, user and custom_nodes (default: this folder)",
    )
    places.add_argument(
        "--models",
        "--models-directory",
        type=Path,
        default=None,
        metavar="DIR",
        help="model folders by kind, instead of DATA/models",
    )
    places.add_argument(
        "--input-dir",
        "--input-directory",
        type=Path,
        default=None,
        metavar="DIR",
        help="pictures to load, instead of DATA/input",
    )
    places.add_argument(
        "--output-dir",
        "--output-directory",
        type=Path,
        default=None,
        metavar="DIR",
        help="where results are saved, instead of DATA/output",
    )
    places.add_argument(
        "--temp-dir",
        "--temp-directory",
        type=Path,
        default=None,
        metavar="DIR",
        help="previews that need not last, instead of DATA/temp",
    )
    places.add_argument(
        "--user-dir",
        "--user-directory",
        type=Path,
        default=None,
        metavar="DIR",
        help="workflows, settings, queue and history, instead of DATA/user",
    )
    places.add_argument(
        "--extra-model-paths-config",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="YAML",
        help="further model folders, in ComfyUI's extra_model_paths.yaml form",
    )
    packs = parser.add_argument_group("custom nodes")
    packs.add_argument("--disable-all-custom-nodes", action="store_true", help="load none")
    packs.add_argument(
        "--whitelist-custom-nodes", nargs="+", default=[], metavar="PACK", help="load these even so"
    )


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """How the engine computes: options of every command that runs workflows."""
    engine = parser.add_argument_group("engine")
    engine.add_argument(
        "--cpu", action="store_true", help="compute on the processor even where there is a GPU"
    )
    engine.add_argument("--cuda-device", default=None, metavar="N", help="the GPU to use")
    engine.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="arithmetic: auto takes what is fast and safe on the device",
    )
    for flag, precision in PRECISION_FLAGS.items():
        engine.add_argument(
            flag, dest="precision", action="store_const", const=precision, help=argparse.SUPPRESS
        )
    engine.add_argument(
        "--device-memory",
        type=memory,
        default=None,
        metavar="SIZE",
        help="budget for weights on the device, such as 6GB (default: what is free)",
    )
    engine.add_argument(
        "--preview-method",
        choices=PREVIEWS,
        help="pictures while sampling, for every client (default: auto, for those that ask for them)",
    )
    engine.add_argument("--preview-size", type=int, default=512, metavar="PIXELS", help="their longer side")
    cache = engine.add_mutually_exclusive_group()
    cache.add_argument(
        "--cache-classic",
        dest="cache",
        action="store_const",
        const="classic",
        help="keep results within --cache-memory, dearest first (the default)",
    )
    cache.add_argument(
        "--cache-lru",
        dest="cache",
        type=newest,
        metavar="N",
        help="keep the results of the N nodes used last",
    )
    cache.add_argument(
        "--cache-none",
        dest="cache",
        action="store_const",
        const="none",
        help="keep nothing: every run computes everything",
    )
    engine.add_argument(
        "--cache-memory",
        "--cache-ram",
        type=memory,
        default=None,
        metavar="SIZE",
        help="budget for results kept (default: a quarter of the memory)",
    )
    engine.add_argument(
        "--decoded-memory",
        type=memory,
        default=None,
        metavar="SIZE",
        help="budget for the pictures and films that a run loads (default: half of the memory, "
        "and 768 MB for one picture)",
    )
    engine.add_argument(
        "--disable-metadata", action="store_true", help="save pictures without their workflow"
    )


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Who may reach the server, and how."""
    server = parser.add_argument_group("server")
    server.add_argument(
        "--listen",
        nargs="?",
        const="0.0.0.0,::",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to serve on; anything but loopback asks for a login (default: 127.0.0.1)",
    )
    server.add_argument("--port", type=port, default=8188, help="port to serve on, 0 for any (default: 8188)")
    server.add_argument(
        "--insecure",
        action="store_true",
        help="no login even beyond loopback: whoever reaches the port may run anything",
    )
    server.add_argument(
        "--allowed-host",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="further host names that the page is reached by, such as a proxy's",
    )
    server.add_argument(
        "--enable-cors-header",
        nargs="?",
        const="*",
        default=None,
        metavar="ORIGIN",
        help="a further origin whose pages may talk to the server",
    )
    server.add_argument(
        "--feature-flag",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a further entry of /features, true or a JSON value",
    )
    server.add_argument("--max-upload-size", type=float, default=200.0, metavar="MB", help="default: 200")
    server.add_argument("--tls-keyfile", type=Path, default=None, metavar="FILE", help="serve HTTPS")
    server.add_argument("--tls-certfile", type=Path, default=None, metavar="FILE", help="serve HTTPS")
    server.add_argument("--front-end-root", type=Path, default=None, metavar="DIR", help="another editor")
    server.add_argument("--auto-launch", action="store_true", help="open the editor in a browser")
    server.add_argument(
        "--multi-user",
        action="store_true",
        help="keep workflows and settings by user (header comfy-user); no login",
    )
    server.add_argument(
        "--quick-test-for-ci", action="store_true", help="start, load everything, stop; 1 if that failed"
    )
    server.add_argument(
        "--verbose", nargs="?", const="DEBUG", default="INFO", metavar="LEVEL", help="how much is logged"
    )
    for flag in NEEDLESS:
        server.add_argument(flag, nargs="*", action=Needless, help=argparse.SUPPRESS)
    server.set_defaults(needless=[])


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The sub-commands beside serving."""
    run = commands.add_parser(
        "run",
        help="run workflows without a server",
        description="Runs workflow files, of the editor's or the API's form, in one engine.",
    )
    run.add_argument("files", nargs="+", type=Path, metavar="WORKFLOW.json")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NODE.INPUT=VALUE",
        dest="settings",
        help="change an input before the run, such as 3.seed=7; VALUE is JSON or else text",
    )
    run.add_argument(
        "--dump",
        type=Path,
        default=None,
        metavar="DIR",
        help="write every node's tensors as DIR/WORKFLOW/NODE.safetensors",
    )
    run.add_argument("--quiet", action="store_true", help="no progress bar")
    lint = commands.add_parser("lint", help="say what is wrong with workflows, without running them")
    lint.add_argument("files", nargs="+", type=Path, metavar="WORKFLOW.json")
    explain = commands.add_parser("explain", help="say what each node of a workflow would do, and why")
    explain.add_argument("files", nargs=1, type=Path, metavar="WORKFLOW.json")
    nodes = commands.add_parser("nodes", help="list the node types, or show one")
    nodes.add_argument("action", choices=("list", "show"))
    nodes.add_argument("name", nargs="?", default=None, metavar="NAME")
    for command in (run, lint, explain, nodes):
        add_place_options(command)
        add_engine_options(command)
    worker = commands.add_parser("worker")  # what the server starts; nobody types it
    worker.add_argument("--channel", type=int, required=True, metavar="FD", help=argparse.SUPPRESS)
    add_place_options(worker)
    add_engine_options(worker)


def parser() -> argparse.ArgumentParser:
    """The whole command line: serving by default, or one of the commands."""
    whole = argparse.ArgumentParser(
        prog="main.py",
        description="Nodeloom: a node-based workflow engine for diffusion models. "
        "Without a command it serves the editor.",
    )
    add_place_options(whole)
    add_engine_options(whole)
    add_server_options(whole)
    add_commands(whole.add_subparsers(dest="command", metavar="COMMAND"))
    return whole


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Options from the command line (or `arguments`); a wrong one exits with a message that names it."""
    options = parser().parse_args(arguments)
    options.cache = options.cache or "classic"
    if options.command == "nodes" and options.action == "show" and not options.name:
        parser().error("nodes show needs a NAME, such as: nodes show KSampler")
    return options
