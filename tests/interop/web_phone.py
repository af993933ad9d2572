"""A phone for the page's test: says one line after another, the next one at a key.

Understanding the caller is not what that test is about, so it is spared the risk.
"""

from __future__ import annotations

from switchroom.phonenet.script import PhoneCall

NUMBER = "+12025550150"
LINES = ("Hello?", "Yes, this is Maria.")


async def maria(call: PhoneCall) -> None:
    """Answers after a second, says her lines, hangs up."""
    await call.get_ready_to_talk(LINES)
    await call.ring(seconds=1)
    await call.answer()
    for line in LINES:
        await call.say(line)
        await call.collect(count=1, until="", seconds=30)
    await call.hang_up()


NUMBERS = {NUMBER: maria}
