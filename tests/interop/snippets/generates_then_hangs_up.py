"""Two tools end a call: one leaves a message that the model makes up, one waits for its words."""

import json
import os

from livekit import api
from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    RunContext,
    cli,
    function_tool,
    get_job_context,
)

server = AgentServer()


async def hangup_call() -> None:
    """Delete the room of this job."""
    ctx = get_job_context()
    if ctx is None:
        return
    await ctx.api.room.delete_room(api.DeleteRoomRequest(room=ctx.room.name))


class MyAgent(Agent):
    """Ends calls."""

    def __init__(self) -> None:
        super().__init__(instructions="You are helpful.")

    @function_tool
    async def end_call(self, ctx: RunContext) -> None:
        """Called when the user wants to end the call."""
        await ctx.wait_for_playout()
        await hangup_call()

    @function_tool
    async def detected_answering_machine(self) -> None:
        """Call this tool if you have detected a voicemail system, AFTER hearing the greeting."""
        handle = self.session.generate_reply(
            instructions="Leave a voicemail message letting the user know you'll call back later."
        )
        handle.add_done_callback(lambda _: print("message left"))
        await handle.wait_for_playout()
        await hangup_call()


@server.rtc_session(agent_name="my-telephony-agent")
async def my_agent(ctx: JobContext) -> None:
    """Dial and talk."""
    await ctx.api.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            room_name=ctx.room.name,
            sip_trunk_id=os.environ["LIVEKIT_SIP_OUTBOUND_TRUNK"],
            sip_call_to=json.loads(ctx.job.metadata)["phone_number"],
            participant_identity="phone_user",
            wait_until_answered=True,
        )
    )
    session = AgentSession(stt="deepgram/nova-3", llm="openai/gpt-4.1-mini", tts="cartesia/sonic-3")
    await session.start(agent=MyAgent(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
