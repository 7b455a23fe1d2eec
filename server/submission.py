"""From a request's body to a job: read the prompt in either format, check it against the specs, give it an id
and a place.
"""

import asyncio
import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from execution.check.validation import Validation, validate
from execution.errors import FolderError, WorkflowError
from server.answers import problem, refusal
from server.jobs import Job, without_secrets
from server.parts import Parts
from server.workers import NoAnswer
from workflows.prompt import is_workflow, to_prompt
from workflows.replacements import by_old_type, replaced_prompt, replaced_workflow

SPECS_SECONDS = 300.0
"""How long a prompt waits for the first worker, when no specs are cached."""
ASK_SECONDS = 20.0
FRESH_SECONDS = 5.0
PREFIX = "filename_prefix"
"""The input by which nodes, also those of packs, are told where to save."""


class Rejected(Exception):
    """A prompt that is not taken: HTTP status and the JSON that says why."""

    def __init__(self, body: Mapping[str, Any], status: int = 400) -> None:
        self.body, self.status = body, status
        super().__init__(str(body))


@dataclass(frozen=True)
class Checked:
    """A prompt in API format that may run. `node_errors` are those of branches that are left out."""

    prompt: dict[str, Any]
    targets: tuple[str, ...]
    node_errors: Mapping[str, Any]
    extra_pnginfo: Mapping[str, Any] | None = None


def rejected(kind: str, message: str, details: str = "") -> Rejected:
    """A rejection in ComfyUI's shape."""
    return Rejected(problem(kind, message, details))


def count_nodes(document: Mapping[str, Any], most: int) -> int:
    """Nodes of a prompt, or of a workflow with all subgraphs opened; beyond `most`, some number above that.

    Counts without opening: definitions that use one another ten times each would grow without bound.
    """
    if not is_workflow(document):
        return len(document)
    kinds = {name: [node.get("type") for node in nodes] for name, nodes in graphs(document).items()}
    sizes = {name: len(types) for name, types in kinds.items()}
    for _ in kinds:
        grown = {
            name: min(
                len(types) + sum(sizes.get(kind, 0) for kind in types if isinstance(kind, str)), most + 1
            )
            for name, types in kinds.items()
        }
        if grown == sizes:
            break
        sizes = grown
    return sizes[""]


def graphs(document: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The nodes of a workflow, under "", and of its subgraphs and group nodes, by the types that stand for
    them.
    """
    found = {"": document}
    definitions, extra = document.get("definitions"), document.get("extra")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    for graph in subgraphs if isinstance(subgraphs, list) else ():
        if isinstance(graph, dict):
            found[str(graph.get("id"))] = graph
    groups = extra.get("groupNodes") if isinstance(extra, dict) else None
    for name, graph in groups.items() if isinstance(groups, dict) else ():
        if isinstance(graph, dict):
            found[f"workflow/{name}"] = found[f"workflow>{name}"] = graph
    lists = {name: graph.get("nodes") for name, graph in found.items()}
    return {
        name: [node for node in nodes if isinstance(node, dict)]
        for name, nodes in lists.items()
        if isinstance(nodes, list)
    }


def document_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt or workflow in a request's body: under `prompt` or `workflow`, or the body itself if it is a
    workflow.
    """
    document = body.get("prompt", body.get("workflow"))
    if document is None and is_workflow(body):
        return dict(body)
    if document is None:
        raise rejected(
            "no_prompt", "No prompt provided", 'Send {"prompt": …}, in the API or the workflow format.'
        )
    if not isinstance(document, dict):
        raise rejected("invalid_prompt", "The prompt must be a JSON object of nodes.")
    return document


def wanted_targets(body: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The nodes asked for by `partial_execution_targets`, outputs or not; None for all outputs."""
    targets = body.get("partial_execution_targets")
    if targets is None:
        return None
    if not isinstance(targets, list) or not all(isinstance(target, str | int) for target in targets):
        raise rejected("invalid_prompt", "partial_execution_targets must be a list of node ids.")
    return tuple(str(target) for target in targets)


async def check(parts: Parts, body: Mapping[str, Any]) -> Checked:
    """Convert and validate what a body holds. Raises `Rejected`."""
    document, targets = document_of(body), wanted_targets(body)
    if count_nodes(document, parts.limits.nodes) > parts.limits.nodes:
        raise rejected("prompt_too_large", f"The prompt has more than {parts.limits.nodes} nodes.")
    if not parts.catalogue.is_known and not await parts.catalogue.wait(SPECS_SECONDS):
        problem = next(iter(parts.crew.problems.values()), "it is still starting")
        error = refusal(503, "no_worker", "No worker has said yet which nodes there are.", problem)
        raise error
    prompt, pnginfo = await converted(parts, document)
    return await validated(parts, prompt, targets, pnginfo)


async def converted(parts: Parts, document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The prompt in API format, its gone node types replaced, and, if it came as a workflow, what pictures
    made by it shall carry.
    """
    listed, specs = by_old_type(parts.catalogue.replacements), parts.catalogue.specs
    if not is_workflow(document):
        return dict(replaced_prompt(document, listed, specs)), None
    try:
        prompt, _ = await asyncio.to_thread(to_prompt, replaced_workflow(document, listed, specs), specs)
    except WorkflowError as error:
        raise rejected(
            "invalid_workflow", "The workflow cannot be turned into a prompt.", str(error)
        ) from error
    return prompt, {"workflow": document}


async def validated(
    parts: Parts, prompt: dict[str, Any], targets: tuple[str, ...] | None, pnginfo: Mapping[str, Any] | None
) -> Checked:
    """Validate against the specs; ask a worker where a node type checks for itself or may offer more than it
    did.
    """
    result = await local(parts, prompt, targets)
    if not result.ok and await refreshed(parts, prompt, result):
        result = await local(parts, prompt, targets)
    if result.needs_worker:
        answer = await by_worker(parts, prompt, targets)
        if answer is not None:
            if answer["error"]:
                raise Rejected({"error": answer["error"], "node_errors": answer["node_errors"]})
            return Checked(prompt, tuple(answer["outputs"]), answer["node_errors"], pnginfo)
    status, response = result.response()
    if status != 200:
        raise Rejected(response, status)
    return Checked(prompt, tuple(result.outputs), result.node_errors, pnginfo)


def check_prefixes(parts: Parts, prompt: Mapping[str, Any]) -> None:
    """Refuse names of saved files that lead out of the output folder, before anything is computed for
    them.
    """
    for node_id, node in prompt.items():
        inputs = node.get("inputs")
        prefix = inputs.get(PREFIX) if isinstance(inputs, dict) else None
        if not isinstance(prefix, str):
            continue
        try:
            parts.folders.inside("output", prefix)
        except (FolderError, OSError, ValueError):
            raise Rejected(bad_prefix(node_id, node["class_type"], prefix)) from None


def bad_prefix(node_id: str, class_type: str, prefix: str) -> dict[str, Any]:
    """The answer to such a name, in the shape of a failed validation."""
    details = f"{prefix!r} leads out of the output folder; use a name relative to it"
    error = {
        "type": "custom_validation_failed",
        "message": "Custom validation failed for node",
        "details": f"{PREFIX} - {details}",
        "extra_info": {"input_name": PREFIX},
    }
    node = {"errors": [error], "dependent_outputs": [node_id], "class_type": class_type}
    whole = problem("prompt_outputs_failed_validation", "Prompt outputs failed validation", details)
    return {**whole, "node_errors": {node_id: node}}


async def local(parts: Parts, prompt: dict[str, Any], targets: tuple[str, ...] | None) -> Validation:
    """Validation in a thread, by the specs alone."""
    return await asyncio.to_thread(inspected, parts, prompt, targets)


def inspected(parts: Parts, prompt: dict[str, Any], targets: tuple[str, ...] | None) -> Validation:
    """What validation finds, unless a name of a file to save is `Rejected` outright."""
    result = validate(prompt, parts.catalogue.specs, targets, parts.folders, any_node=targets is not None)
    if result.ok:
        check_prefixes(parts, prompt)
    return result


async def by_worker(
    parts: Parts, prompt: dict[str, Any], targets: tuple[str, ...] | None
) -> dict[str, Any] | None:
    """A worker's validation, with the types' own checks; None when no worker can be asked, which leaves them
    to the run.
    """
    question = {"prompt": prompt, "targets": list(targets) if targets is not None else None}
    try:
        answer: dict[str, Any] = await parts.crew.ask("validate", question, ASK_SECONDS)
    except NoAnswer:
        return None
    return answer


async def refreshed(parts: Parts, prompt: dict[str, Any], result: Validation) -> bool:
    """Ask anew for the specs of nodes whose choice was refused; whether one changed."""
    names = set()
    for node, problems in result.node_errors.items():
        if any(each["type"] == "value_not_in_list" for each in problems.get("errors", ())):
            names.add(prompt[node].get("class_type"))
    before = parts.catalogue.specs
    for name in names & before.keys():
        try:
            parts.catalogue.refresh(name, await parts.crew.ask("spec", {"name": name}, FRESH_SECONDS))
        except NoAnswer:
            return False
    return parts.catalogue.specs is not before


def job_number(parts: Parts, body: Mapping[str, Any]) -> float:
    """The place asked for by `number` or `front`, else the end of the queue."""
    if "number" in body:
        number = body["number"]
        if (
            isinstance(number, bool)
            or not isinstance(number, int | float)
            or not math.isfinite(float_of(number))
        ):
            raise rejected("invalid_prompt", "number must be a finite number.")
        return float(number)
    return parts.scheduler.take_number(front=bool(body.get("front")))


def float_of(number: float) -> float:
    """The number as a double; infinite when it is beyond one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def job_id(body: Mapping[str, Any]) -> str:
    """The id that a client gave, a UUID in its canonical form, or a new one."""
    given = body.get("prompt_id")
    if given is None:
        return str(uuid.uuid4())
    if not isinstance(given, str) or not is_canonical(given):
        message = "prompt_id must be a UUID in its canonical form: lower case, with hyphens."
        raise rejected("invalid_prompt_id", message, f"not a UUID: {str(given)[:80]!r}")
    return given


def is_canonical(text: str) -> bool:
    """Whether a text is a UUID written the one way that UUIDs compare equal by."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def job_of(parts: Parts, body: Mapping[str, Any], checked: Checked, session: str) -> Job:
    """The job for a checked prompt."""
    given = body.get("extra_data")
    if given is not None and not isinstance(given, dict):
        raise rejected("invalid_prompt", "extra_data must be a JSON object.")
    client = body.get("client_id")
    if client is not None and (not isinstance(client, str) or len(client) > 128):
        raise rejected("invalid_prompt", "client_id must be a text of at most 128 characters.")
    shown, secrets = without_secrets(given or {})
    if checked.extra_pnginfo is not None:
        shown.setdefault("extra_pnginfo", checked.extra_pnginfo)
    if client is not None:
        shown["client_id"] = client
    created = time.time()
    shown["create_time"] = round(created * 1000)
    number = job_number(parts, body)
    return Job(
        job_id(body), number, checked.prompt, checked.targets, shown, created, client, session, 0, secrets
    )
