"""POST /prompt takes a prompt into the queue; GET tells how long that is."""

import sqlite3

from aiohttp import web

from server.answers import answer, problem, refusal
from server.bodies import read_json
from server.parts import parts, session
from server.store import IdTaken
from server.submission.checking import check
from server.submission.job import job_of
from server.submission.rejected import Rejected


def routes() -> list[web.RouteDef]:
    return [web.get("/prompt", get_prompt), web.post("/prompt", post_prompt)]


async def get_prompt(request: web.Request) -> web.Response:
    """`{"exec_info": {"queue_remaining": N}}`."""
    return answer({"exec_info": {"queue_remaining": parts(request).scheduler.remaining}})


async def post_prompt(request: web.Request) -> web.Response:
    """Journal and queue a prompt: `{"prompt_id", "number", "node_errors"}`, or 400 with what is wrong."""
    here = parts(request)
    body = await read_json(request, here.limits.body, here.limits.depth, default={})
    if not isinstance(body, dict):
        body = {}
    if here.scheduler.remaining >= here.limits.pending:
        raise refusal(
            503, "queue_full", f"The queue holds {here.limits.pending} prompts, which is all it takes."
        )
    try:
        checked = await check(here, body)
        job = job_of(here, body, checked, session(request))
        await here.scheduler.add(job)
    except Rejected as no:
        return answer(no.body, no.status)
    except IdTaken:
        return answer(problem("prompt_id_in_use", "A prompt with this prompt_id waits or runs already."), 409)
    except sqlite3.Error as error:
        raise refusal(
            507, "not_kept", "The prompt could not be written to disk, so it was not taken.", str(error)
        ) from error
    except ValueError as error:  # numbers that JSON lacks, in a prompt made of a workflow
        return answer(problem("invalid_prompt", "The prompt is not plain JSON.", str(error)), 400)
    number = int(job.number) if job.number.is_integer() else job.number
    return answer({"prompt_id": job.id, "number": number, "node_errors": dict(checked.node_errors)})
