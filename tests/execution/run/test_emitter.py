"""Events are numbered in the order in which they are heard, from whichever thread they come."""

from __future__ import annotations

import threading
import time

from execution.events import Event, Finished
from execution.run.emitter import Emitter


def test_events_carry_number_job_time_and_memory() -> None:
    heard: list[Event] = []
    emit = Emitter("j", heard.append, lambda: 5)
    before = time.time()
    emit(Finished, status="success", seconds=1.0)
    emit(Finished, status="error", seconds=2.0)
    assert [(each.number, each.job, each.memory) for each in heard] == [(1, "j", 5), (2, "j", 5)]
    assert before <= heard[0].time <= heard[1].time <= time.time()


def test_threads_do_not_mix_up_the_numbers() -> None:
    heard: list[int] = []
    emit = Emitter("j", lambda event: heard.append(event.number))
    threads = [
        threading.Thread(target=lambda: [emit(Finished, status="success", seconds=0.0) for _ in range(200)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == list(range(1, 801))
