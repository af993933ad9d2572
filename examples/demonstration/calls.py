"""The three calls of the demo: a patient, a busy line, a voicemail."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from livekit import api

from demonstration.journal import Journal, Record
from demonstration.observer import observing
from demonstration.programs import Server, running_agent, running_models, running_server
from demonstration.timeline import Timeline

AGENT_NAME = "appointment-confirmation"
PATIENT, BUSY, VOICEMAIL = "+12025550120", "+12025550111", "+12025550122"
PATIENT_NAME, BUSY_NAME = "Maria Lopez", "Peter Brown"
APPOINTMENT = "Tuesday at three in the afternoon"


@dataclass
class Stage:
    """Everything that runs. `current` is the journal of the call that is being made."""

    server: Server
    livekit: api.LiveKitAPI
    timeline: Timeline
    current: Journal


@contextlib.asynccontextmanager
async def everything_running(timeline: Timeline, data: Path) -> AsyncIterator[Stage]:
    """Server, phones, models and agent; the block may begin when all are ready."""
    stage: Stage | None = None

    def on_phone(record: Record) -> None:
        if stage is not None:
            take_phone(stage, record)

    def on_model(record: Record) -> None:
        if stage is not None and "event" in record:
            stage.current.models.append(record)

    def on_agent(record: Record) -> None:
        if stage is not None:
            take_remark(stage, record)

    async with contextlib.AsyncExitStack() as programs:
        with timeline.waiting("starting the server and the phones"):
            server = await programs.enter_async_context(running_server(data, on_phone))
        with timeline.waiting("starting the agent's models"):
            models = await programs.enter_async_context(running_models(on_model))
        with timeline.waiting("starting the agent's worker"):
            worker = running_agent(server, models, on_agent)
            await programs.enter_async_context(worker)
        keys = server.api_key, server.api_secret
        livekit = await programs.enter_async_context(api.LiveKitAPI(server.url, *keys))
        stage = Stage(server, livekit, timeline, Journal("nowhere"))
        yield stage


def take_phone(stage: Stage, record: Record) -> None:
    """Write down what the phone reports, and show what matters of it."""
    journal, timeline = stage.current, stage.timeline
    journal.phone.append(record)
    match record.get("event"):
        case "ringing":
            timeline.note("phone", "rings", at=record["time"])
        case "answered":
            timeline.note("phone", f"is picked up ({record['codec']})", at=record["time"])
        case "rejected":
            what = f"refuses the call: {record['status']} {record['reason']}"
            timeline.note("phone", what, at=record["time"])
        case "said":
            timeline.speech(journal.called, record["text"], at=record["time"])
        case "plays":
            timeline.note("phone", f"beeps ({record['sound']})", at=record["time"])
        case "understood":
            timeline.understood("phone", record["text"])
        case "message_kept":
            what = f"keeps a message of {record['seconds']:.1f} s"
            timeline.note("phone", what, at=record["time"])
            timeline.understood("mailbox", record["transcript"])
        case "ended":
            what = f"call over, ended by the {record['by']} ({record['reason']})"
            timeline.note("phone", what, at=record["time"])
    journal.news.set()


def take_remark(stage: Stage, record: Record) -> None:
    """Show what the agent's own code logs; what its libraries log is no news."""
    if record.get("name") != AGENT_NAME or record.get("room") != stage.current.room:
        return
    remark = str(record["message"])
    stage.current.remarks.append(remark)
    stage.timeline.note("agent", f"logs: {remark}")
    stage.current.news.set()


async def call(
    stage: Stage, journal: Journal, number: str, name: str, is_over: Callable[[Journal], object]
) -> Journal:
    """Dispatch the agent to call a number, exactly as LiveKit's documentation does it."""
    stage.current = journal
    server = stage.server
    async with observing(server.ws_url, server.api_key, server.api_secret, journal, stage.timeline):
        about = {
            "phone_number": number,
            "patient_name": name,
            "appointment": APPOINTMENT,
        }
        await stage.livekit.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(
                agent_name=AGENT_NAME, room=journal.room, metadata=json.dumps(about)
            )
        )
        stage.timeline.note("api", f"the agent is dispatched to call {number}")
        with stage.timeline.waiting("the call goes on", in_logs=False):
            await journal.until(f"the call to {number} should be over", lambda: is_over(journal))
    with contextlib.suppress(api.TwirpError):
        await stage.livekit.room.delete_room(api.DeleteRoomRequest(room=journal.room))
    return journal


async def call_patient(stage: Stage, number: int = 1) -> Journal:
    """Maria answers, is asked, confirms; the agent says goodbye and hangs up."""
    stage.timeline.chapter(f"{number}. {PATIENT_NAME} answers the phone")
    return await call(stage, Journal(f"appointment-{number}"), PATIENT, PATIENT_NAME, _talked)


async def call_busy_line(stage: Stage) -> Journal:
    """The carrier says 486: the agent reports it and goes."""
    stage.timeline.chapter(f"2. {BUSY_NAME}'s line is busy")
    return await call(stage, Journal("busy-line"), BUSY, BUSY_NAME, _refused)


async def call_voicemail(stage: Stage) -> Journal:
    """A machine answers: the agent leaves a message after the beep and hangs up."""
    stage.timeline.chapter(f"3. {PATIENT_NAME}'s voicemail answers")
    journal = Journal("voicemail", called="mailbox")
    return await call(stage, journal, VOICEMAIL, PATIENT_NAME, _message_left)


def _talked(journal: Journal) -> bool:
    """The phone's last understanding comes after the call's end; a call not answered has none."""
    heard, said = journal.told("understood"), journal.told("said")
    return _ended(journal) and len(heard) >= len(said)


def _refused(journal: Journal) -> bool:
    return _ended(journal) and journal.agent_left


def _message_left(journal: Journal) -> bool:
    answered, kept = journal.told("answered"), journal.told("message_kept")
    return _ended(journal) and len(kept) >= len(answered)


def _ended(journal: Journal) -> bool:
    """Phone and agent are both done; the agent's last act is to log what came of the call."""
    return bool(journal.told("ended") and journal.remarks)
