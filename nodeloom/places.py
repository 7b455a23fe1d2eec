"""Where things lie, from the options: folders, packs, state. Imports neither torch nor aiohttp."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import yaml

from execution.files.folders import MODEL_KINDS, Folders
from execution.files.saving import atomic_write

ROOT = Path(__file__).parent.parent
"""The checkout: ships `models/`, `web/` and the code."""
SAMPLES = ROOT / "nodeloom" / "samples"
"""Pictures that a new input folder begins with, so that templates that start from a picture have one."""


class BadOption(Exception):
    """An option that cannot be followed; its text names the option, the file and what to do."""


def data_dir(options: argparse.Namespace) -> Path:
    """The folder of all that is not code."""
    chosen: Path = options.data_dir or ROOT
    return chosen.expanduser().resolve()


def state_dir(options: argparse.Namespace) -> Path:
    """Queue, history and cached node specs: beside the user's files, out of reach of every route."""
    return data_dir(options) / "state"


def build_folders(options: argparse.Namespace) -> Folders:
    """The roots and model folders that the options name, the shipped models last.

    Raises:
        BadOption: a file of `--extra-model-paths-config` cannot be read.
    """
    folders = Folders(
        data_dir(options),
        models=options.models,
        input=options.input_dir,
        output=options.output_dir,
        temp=options.temp_dir,
        user=options.user_dir,
    )
    for path in extra_configs(options):
        add_extra(folders, path)
    for kind, names in MODEL_KINDS.items():
        for name in names:
            folders.add_models(kind, ROOT / "models" / name)
    return folders


def extra_configs(options: argparse.Namespace) -> Iterator[Path]:
    """The files that name further model folders; one in the data folder is read unasked."""
    standing = data_dir(options) / "extra_model_paths.yaml"
    if standing.is_file():
        yield standing
    yield from options.extra_model_paths_config


def add_extra(folders: Folders, path: Path) -> None:
    """Read one `extra_model_paths.yaml` into `folders`.

    Raises:
        BadOption: it is not there, is no YAML, or is not made of sections.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise BadOption(
            f"--extra-model-paths-config {path}: {error.strerror}; give the path of a file"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadOption(f"--extra-model-paths-config {path} is not valid YAML: {error}") from error
    if not isinstance(config, dict) or not all(isinstance(each, dict | None) for each in config.values()):
        raise BadOption(
            f"--extra-model-paths-config {path}: expected sections such as `comfyui:` with lines such as "
            "`base_path: /path/to/ComfyUI` and `checkpoints: models/checkpoints`"
        )
    folders.add_extra(config, path.resolve().parent)


def pack_folders(options: argparse.Namespace, folders: Folders) -> list[Path]:
    """The folders that hold packs of custom nodes."""
    return list(dict.fromkeys([data_dir(options) / "custom_nodes", *folders.models("custom_nodes")]))


def make_folders(folders: Folders) -> None:
    """Make the roots that are not there yet; a new input folder begins with pictures to try things on.

    Raises:
        BadOption: one cannot be made.
    """
    for name, root in folders.roots.items():
        is_new = not root.exists()
        try:
            root.mkdir(parents=True, exist_ok=True)
            if name == "input" and is_new:
                put_samples(root)
        except OSError as error:
            raise BadOption(
                f"the {name} folder {root} cannot be made: {error.strerror}; choose another"
            ) from error


def put_samples(folder: Path) -> None:
    """Copy the sample pictures into a folder."""
    for sample in sorted(SAMPLES.iterdir()):
        with atomic_write(folder / sample.name) as file:
            file.write(sample.read_bytes())
