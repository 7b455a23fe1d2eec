"""Who sees ComfyUI's module names, and who does not."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from compat.importing import PackImporter


def module(name: str):
    return sys.modules[f"custom_nodes.{name}"]


def test_packs_see_comfyuis_modules_and_we_see_ours(load) -> None:
    load(
        {
            "looks/__init__.py": """
                import nodes, server, execution
                from nodes import MAX_RESOLUTION, NODE_CLASS_MAPPINGS
                from server import PromptServer
                from . import inner
                NODE_CLASS_MAPPINGS_ = NODE_CLASS_MAPPINGS
                NODE_CLASS_MAPPINGS = {}
            """,
            "looks/inner.py": """
                def late():
                    import nodes
                    from server import BinaryEventTypes
                    return nodes, BinaryEventTypes.PREVIEW_IMAGE
            """,
        }
    )
    import execution
    import server

    looks = module("looks")
    assert looks.MAX_RESOLUTION == 16384
    assert "ToyTwice" in looks.NODE_CLASS_MAPPINGS_
    assert looks.inner.late() == (looks.nodes, 1)
    assert looks.server is not server
    assert looks.execution is not execution
    assert server.__file__.endswith("server/__init__.py")
    assert not hasattr(server, "PromptServer")
    assert sys.modules["execution"] is execution


def test_top_level_modules_reached_over_sys_path_belong_to_the_pack(load, monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    load(
        {
            "edits/__init__.py": """
                import os, sys
                sys.path.append(os.path.join(os.path.dirname(__file__), "modules"))
                import edits_library.core as core
                NODE_CLASS_MAPPINGS = {}
            """,
            "edits/modules/edits_library/__init__.py": "",
            "edits/modules/edits_library/core.py": "import nodes, server\nlimit = nodes.MAX_RESOLUTION\n",
        }
    )
    assert module("edits").core.limit == 16384
    assert "edits_library" in sys.modules


def test_a_module_early_on_the_path_wins_over_a_packs(load, monkeypatch, tmp_path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "twice_there.py").write_text("owner = 'program'\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "library"), *sys.path])
    load(
        {
            "appends/__init__.py": """
                import os, sys
                sys.path.append(os.path.dirname(__file__))
                import twice_there
                NODE_CLASS_MAPPINGS = {}
            """,
            "appends/twice_there.py": "owner = 'pack'\n",
        }
    )
    assert module("appends").twice_there.owner == "program"
    del sys.modules["twice_there"]


def test_import_module_knows_the_names_too(load) -> None:
    load(
        {
            "dynamic.py": """
                import importlib
                import importlib.util
                from importlib import import_module
                import nodes
                same = importlib.import_module("nodes") is nodes is import_module("nodes")
                other = importlib.import_module("json")
                there = importlib.util.find_spec("json") is not None
                NODE_CLASS_MAPPINGS = {}
            """
        }
    )
    assert module("dynamic").same
    assert module("dynamic").there
    assert module("dynamic").other is sys.modules["json"]
    assert module("dynamic").importlib is not importlib


def test_modules_are_writable_and_shared_between_packs(load) -> None:
    load(
        {
            "a.py": """
                import nodes, folder_paths
                import comfy.hooks
                nodes.VHSLoadFormats = {"x": 1}
                comfy.hooks.__DINKLINK = 7
                folder_paths.extra = "written"
                NODE_CLASS_MAPPINGS = {}
            """,
            "b.py": """
                from nodes import VHSLoadFormats
                import comfy, folder_paths
                import comfy.hooks
                found = (VHSLoadFormats, comfy.hooks.__DINKLINK, folder_paths.extra)
                NODE_CLASS_MAPPINGS = {}
            """,
        }
    )
    assert module("b").found == ({"x": 1}, 7, "written")


def test_submodules_answer_as_attributes_without_being_imported(load) -> None:
    load(
        {
            "lazy.py": """
                import comfy
                device = comfy.model_management.get_torch_device()
                sizes = comfy.utils.common_upscale
                NODE_CLASS_MAPPINGS = {}
            """
        }
    )
    assert str(module("lazy").device) in ("cpu", "mps", "cuda:0")


def test_names_comfyui_lacks_stay_errors_so_that_probes_work(load) -> None:
    load(
        {
            "probes.py": """
                import comfy.model_management
                has = hasattr(comfy.model_management, "from_the_future")
                try:
                    import comfy.quant_ops
                    future = True
                except ImportError:
                    future = False
                try:
                    import nodes.submodule
                except ModuleNotFoundError as error:
                    message = str(error)
                NODE_CLASS_MAPPINGS = {}
            """
        }
    )
    assert (module("probes").has, module("probes").future) == (False, False)
    assert "'nodes' is not a package" in module("probes").message


def test_star_imports_and_the_install_root(load, host) -> None:
    load(
        {
            "star.py": """
                import os
                from folder_paths import *
                import folder_paths
                root = os.path.dirname(folder_paths.__file__)
                listed = get_filename_list("checkpoints")
                NODE_CLASS_MAPPINGS = {}
            """
        }
    )
    assert module("star").root == str(host.base)
    assert module("star").listed == []


def test_only_one_importer_at_a_time(load, host, tmp_path) -> None:
    load()
    with pytest.raises(RuntimeError, match="close the first"):
        PackImporter(host, [tmp_path]).install()


def test_compat_is_light_to_import_and_installs_nothing() -> None:
    code = """
import sys
before = list(sys.meta_path)
import compat.packs
assert sys.meta_path == before
print(sorted({"torch", "numpy", "aiohttp", "PIL", "comfy", "folder_paths"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
