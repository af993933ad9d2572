"""What the rest of the house hears of jobs. The listeners are named in `app.py`."""

from __future__ import annotations

from collections.abc import Callable

from switchroom.base.records import record
from switchroom.rooms.dispatches import Dispatch, Job
from switchroom.rooms.info import RoomInfo


@record
class JobStarted:
    """A worker has the job, and its agent will come."""

    room: RoomInfo
    dispatch: Dispatch
    job: Job


@record
class JobEnded:
    """A job is over; `job.status`, `job.reason` and `job.error` say how.

    Also for a job that no worker took, which had no JobStarted. `room` is as it was last known.
    """

    room: RoomInfo
    dispatch: Dispatch
    job: Job


JobEvent = JobStarted | JobEnded
Listener = Callable[[JobEvent], None]
