"""ComfyUI's modules, one file each under its own name: `comfy.utils` is `modules/comfy/utils.py`.

Each file has one function, `names(host)`, which returns what its module holds. The pack loader calls it the
first time a pack imports the module; nothing here runs otherwise.
"""
