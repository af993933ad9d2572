"""An agent that phones a patient of a dental office and confirms an appointment.

Whom to call comes as the metadata of the dispatch:

    {"phone_number": "+12025550120", "patient_name": "Maria Lopez",
     "appointment": "Tuesday at three in the afternoon"}

A person is asked whether they will come, and the answer goes to a tool. A voicemail gets a message
after its beep. A busy line, or one that nobody answers, ends the job with what the carrier said.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from dataclasses import dataclass

from livekit import api
from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    RunContext,
    cli,
    function_tool,
)
from livekit.agents.job import get_job_context

logger = logging.getLogger("appointment-confirmation")

BEEP_SECONDS = 1.0
"""What a voicemail takes for its beep after the greeting; words spoken into it would be lost."""

server = AgentServer()


@dataclass
class Appointment:
    """What the job is about; the session's user data."""

    phone_number: str
    patient_name: str
    appointment: str
    outcome: str = "not reached"


Session = AgentSession[Appointment]
Context = RunContext[Appointment]


async def hang_up() -> None:
    """End the call for everybody: the phone is hung up on as well."""
    ctx = get_job_context()
    await ctx.api.room.delete_room(api.DeleteRoomRequest(room=ctx.room.name))


class AppointmentConfirmation(Agent):
    """Calls for the dental office."""

    def __init__(self, about: Appointment) -> None:
        super().__init__(
            instructions=f"""
            You call patients for Bright Smile Dental, over the phone. Be brief and friendly.
            The patient's name is {about.patient_name}.
            The appointment is on {about.appointment}.
            Ask whether you are speaking with the patient. If so, tell them when their appointment
            is and ask whether they can come. If they can, confirm the appointment with your tool.
            When all is said, say goodbye and end the call with your tool.
            If a voicemail greets you, use the tool for that.
            """
        )

    @function_tool
    async def confirm_appointment(self, context: Context, patient_name: str, when: str) -> str:
        """Confirm the appointment once the patient has said that they will come.

        Args:
            patient_name: the name of the patient
            when: the day and the time of the appointment
        """
        context.userdata.outcome = f"{patient_name} comes on {when}"
        return "confirmed"

    @function_tool
    async def cancel_appointment(self, context: Context, patient_name: str) -> str:
        """Cancel the appointment if the patient cannot come.

        Args:
            patient_name: the name of the patient
        """
        context.userdata.outcome = f"{patient_name} does not come"
        return "cancelled"

    @function_tool
    async def end_call(self, context: Context) -> None:
        """Call this after you have said goodbye."""
        # What is being said while this is called is said to its end.
        await context.wait_for_playout()
        await hang_up()

    @function_tool
    async def detected_answering_machine(self, context: Context) -> None:
        """Call this when a voicemail has answered, after you have heard its greeting."""
        # The beep may sound like a word; it is no reason to begin anew.
        context.disallow_interruptions()
        await asyncio.sleep(BEEP_SECONDS)
        context.userdata.outcome = "message left"
        message = self.session.generate_reply(
            instructions="leave a message: who calls, about which appointment, please call back",
            allow_interruptions=False,
        )
        await message.wait_for_playout()
        await hang_up()


@server.rtc_session(agent_name="appointment-confirmation")
async def call_patient(ctx: JobContext) -> None:
    """One job: dial, and talk with whoever or whatever answers."""
    about = Appointment(**json.loads(ctx.job.metadata))
    session = Session(
        userdata=about,
        stt="deepgram/nova-3",
        llm="openai/gpt-4.1-mini",
        tts="cartesia/sonic-3",
        turn_handling={"turn_detection": "vad"},
    )

    async def report() -> None:
        logger.info("call to %s over: %s", about.phone_number, about.outcome)

    ctx.add_shutdown_callback(report)
    # The session starts while the phone rings, so that not a word of the patient is missed. They
    # speak first, as people do when they answer.
    started = asyncio.create_task(session.start(AppointmentConfirmation(about), room=ctx.room))
    try:
        await ctx.api.sip.create_sip_participant(
            api.CreateSIPParticipantRequest(
                room_name=ctx.room.name,
                sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
                sip_call_to=about.phone_number,
                participant_identity=about.phone_number,
                participant_name=about.patient_name,
                wait_until_answered=True,
            )
        )
    except api.TwirpError as error:
        status = error.metadata.get("sip_status_code"), error.metadata.get("sip_status")
        about.outcome = "not reached, SIP {} {}".format(*status)
        ctx.shutdown(reason="the call was not answered")
    await started


if __name__ == "__main__":
    cli.run_app(server)
