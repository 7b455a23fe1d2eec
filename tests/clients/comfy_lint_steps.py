"""comfy-lint at a server: it reads the node types and finds what is wrong with workflows. It runs none."""

import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from comfy_lint.cli import main
from comfy_lint.schema import fetch_from_server, load_schema
from steps import HERE, Server, address, inverting, perform, sampling


class Steps:
    """The steps, in order."""

    def __init__(self, url: str) -> None:
        self._url, self._server = url, Server(url)

    def _lint(self, *prompts: dict[str, Any], more: tuple[str, ...] = ()) -> tuple[int, list[dict[str, Any]]]:
        """The exit code, and what was found in all the prompts."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{number}.json" for number in range(len(prompts))]
            for path, prompt in zip(paths, prompts, strict=True):
                path.write_text(json.dumps(prompt))
            out, err = io.StringIO(), io.StringIO()
            code = main(["--server", self._url, "--json", *more, *map(str, paths)], out, err)
        assert out.getvalue(), err.getvalue()
        return code, [found for file in json.loads(out.getvalue())["files"] for found in file["diagnostics"]]

    def schema(self) -> None:
        """The node types with their inputs and outputs."""
        schema, _ = fetch_from_server(self._url)
        sampler = schema.get("KSampler")
        assert len(schema) > 300
        assert sampler.inputs["sampler_name"].choices[0] == "euler"
        assert sampler.outputs == ["LATENT"]

    def schema_kept(self) -> None:
        """The node types in a file, for use without a server."""
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "schema.json")
            load_schema(self._url, path)
            assert "SaveImage" in load_schema("http://127.0.0.1:9", path)

    def right_workflows(self) -> None:
        """Workflows that run are found right, strictly."""
        picture = {
            "class_type": "EmptyImage",
            "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0},
        }
        drawn = {**inverting(""), "1": picture}
        code, found = self._lint(drawn, sampling(4), more=("--strict",))
        assert (code, found) == (0, [])

    def examples(self) -> None:
        """So are the examples that the server offers, but for files that are not there, and for inputs that
        grow or match, which the client does not know (with no server).
        """
        examples = [each["name"] for each in self._server.get("/nodeloom/examples")["examples"]]
        dynamic = {
            kind for kind, told in self._server.get("/object_info").items() if "COMFY_" in json.dumps(told)
        }
        _, found = self._lint(*(self._server.get(f"/examples/{name}.json") for name in examples))
        right = [each for each in found if each["rule"] == "invalid-enum" or each["class_type"] in dynamic]
        wrong = [each for each in found if each not in right and "COMFY_" not in each["message"]]
        assert wrong == []
        assert len(examples) > 10

    def wrong_workflows(self) -> None:
        """Unknown types, missing inputs, links of the wrong type and values that are no choice are found."""
        unknown, missing, crossed, chosen = (sampling(4) for _ in range(4))
        unknown["5"]["class_type"] = "VAEDecoder"
        del missing["4"]["inputs"]["model"]
        crossed["5"]["inputs"]["samples"] = ["1", 0]
        chosen["4"]["inputs"]["sampler_name"] = "eulerian"
        for prompt, node in ((unknown, "5"), (missing, "4"), (crossed, "5"), (chosen, "4")):
            code, found = self._lint(prompt)
            assert (code, {str(each["node_id"]) for each in found}) == (1, {node}), found

    def command(self) -> None:
        """The report for people."""
        out = io.StringIO()
        assert main(["--server", self._url, str(HERE / "sample.json")], out) == 0
        assert "1 file clean" in out.getvalue()


if __name__ == "__main__":
    sys.exit(perform(Steps(address())))
