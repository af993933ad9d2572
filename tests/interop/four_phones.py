"""Four simulated phones, one for each way in which a call may go."""

from __future__ import annotations

PHONES = '''
async def patient(call):
    """Listens until somebody hangs up."""
    await call.answer()
    await call.listen()

async def hasty(call):
    """Hangs up at once."""
    await call.answer()
    await call.wait(0.2)
    await call.hang_up()

async def busy(call):
    """Is busy."""
    await call.reject(486)

async def ringing(call):
    """Is never answered."""
    await call.ring(seconds=None)

NUMBERS = {
    "+12025550180": patient, "+12025550181": hasty, "+12025550182": busy, "+12025550183": ringing,
}
'''
PATIENT, HASTY, BUSY, RINGING = (f"+1202555018{n}" for n in range(4))
