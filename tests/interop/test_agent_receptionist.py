"""An agent of livekit-agents takes the calls of baresip, SIPp and a phone of our network."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from livekit import api

from interop.agents import EXAMPLES, Worker, agent_worker, needs_agents
from interop.inbound_desk import NUMBER, Desk, desk
from interop.server import KEY, SECRET
from interop.sipp_caller import ACK, RINGING, TRYING, expect, invite, sipp_calls
from interop.sipp_phone import needs_sipp, receive, send
from interop.talking_phone import talking_phone
from switchroom.offline.journal import Replied, to_line
from switchroom.offline.server import Gateway
from switchroom.phonenet.client import PhoneNetwork
from switchroom.phonenet.events import Answered, Ended, Understood
from switchroom.phonenet.orders import CallOrder

pytestmark = [pytest.mark.interop, needs_agents]

GREETING = "Bright Smile Dental. How can I help you?"
NAME = "May I have your name, please?"
FOUND = "Your appointment is on Tuesday at three in the afternoon."
MORE = "Can I help you with anything else?"
GOODBYE = "Thank you for calling. Goodbye."


@dataclass
class Office:
    """A server whose callers reach the receptionist."""

    desk: Desk
    gateway: Gateway
    worker: Worker

    @property
    def tools(self) -> list[str]:
        """The tools that the model has called, in order."""
        events = self.gateway.journal.events
        return [event.tool for event in events if isinstance(event, Replied) and event.tool]

    def told(self) -> str:
        """What everybody knows, for a failure's message."""
        events = "\n".join(map(to_line, self.gateway.journal.events))
        return f"{events}\n{self.worker.told()}\n"


async def send_to_receptionist(front: Desk) -> None:
    """Callers get rooms of their own, and the agent with them."""
    old = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=front.rule_id)
    await front.lk.sip.delete_dispatch_rule(old)
    individual = api.SIPDispatchRuleIndividual(room_prefix="call-")
    agents = [api.RoomAgentDispatch(agent_name="receptionist")]
    rule = api.SIPDispatchRuleInfo(
        rule=api.SIPDispatchRule(dispatch_rule_individual=individual),
        trunk_ids=[front.trunk_id],
        room_config=api.RoomConfiguration(agents=agents),
    )
    await front.lk.sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(dispatch_rule=rule))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """The office is open."""
    async with running_office(tmp_path) as running:
        yield running


@asynccontextmanager
async def running_office(folder: Path) -> AsyncIterator[Office]:
    async with (
        desk(folder, room__departure_timeout=1) as front,
        Gateway(EXAMPLES / "receptionist.yaml", keys={KEY: SECRET}) as gateway,
        agent_worker(
            EXAMPLES / "receptionist.py", front.server.ws_url, gateway.inference_url
        ) as worker,
    ):
        await send_to_receptionist(front)
        open_office = Office(front, gateway, worker)
        try:
            yield open_office
        except BaseException:
            sys.stdout.write(open_office.told())
            raise


async def test_a_baresip_caller_is_told_when_the_appointment_is(
    office: Office, tmp_path: Path
) -> None:
    phrases = [GREETING, NAME, f"{FOUND} {MORE}", GOODBYE]
    async with (
        asyncio.timeout(180),
        talking_phone(tmp_path / "person", phrases, port=5090) as person,
    ):
        person.phone.dial(NUMBER, office.desk.address)
        await person.is_called()
        await person.hears("How can I help you")
        await person.say("when is my appointment")
        await person.hears("May I have your name")
        await person.say("this is Maria Lopez")
        await person.hears("anything else")
        await person.say("no that is all")
        await person.is_hung_up_on()
        await person.hears("Goodbye")
        assert person.heard == phrases
    assert office.tools == ["find_appointment", "end_call"]
    await office.worker.wait_for("call from +12025550123")


async def test_a_simulated_patient_calls_and_understands_the_receptionist(office: Office) -> None:
    async with asyncio.timeout(180), PhoneNetwork() as network:
        network.place(CallOrder(NUMBER, office.desk.local, as_="patient"))
        await network.expect(Answered)
        ended = await network.expect(Ended)
        understood = [e.text for e in network.events if isinstance(e, Understood)]
    assert "your appointment is on tuesday at three in the afternoon" in " ".join(understood)
    assert ended.by in ("callee", "phone")
    assert office.tools == ["find_appointment", "end_call"]
    await office.worker.wait_for("call from +12025550124")


@needs_sipp
async def test_a_sipp_caller_hears_ringing_and_then_the_agent_answers(
    office: Office, tmp_path: Path
) -> None:
    """The agent says its greeting; SIPp hangs up after the sound of it has come."""
    steps = [invite(), TRYING, RINGING, expect(200), ACK, receive("BYE"), send("200 OK")]
    calling = asyncio.create_task(sipp_calls(tmp_path, NUMBER, office.desk.local, steps))
    await office.worker.wait_for("call from +15105550123")
    await office.gateway.journal.expect(lambda event: isinstance(event, Replied))
    (room,) = (await office.desk.lk.room.list_rooms(api.ListRoomsRequest())).rooms
    assert room.name.startswith("call-_+15105550123_")
    await office.desk.lk.room.delete_room(api.DeleteRoomRequest(room=room.name))
    assert not await calling
