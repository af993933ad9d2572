"""The phones that the network comes with. Each is also an example of how to write one."""

from __future__ import annotations

from switchroom.phonenet.directory import Phone
from switchroom.phonenet.mailbox import mailbox
from switchroom.phonenet.people import person
from switchroom.phonenet.script import PhoneCall, Script, melody, tone


async def ada(call: PhoneCall) -> None:
    """Rings for two seconds, answers, plays a chime, then a quiet tone while she listens."""
    await call.ring(seconds=2)
    await call.answer()
    await call.play(melody())
    async with call.playing(tone(1000)):
        await call.listen()


async def echo(call: PhoneCall) -> None:
    """Answers at once and sends everything back."""
    await call.answer()
    await call.echo()


async def test_tone(call: PhoneCall) -> None:
    """Rings once, answers, and plays 1,000 Hz at −20 dBov until you hang up."""
    await call.ring(seconds=0.2)
    await call.answer()
    async with call.playing(tone(1000)):
        await call.listen()


async def listener(call: PhoneCall) -> None:
    """Answers at once, says nothing and listens."""
    await call.answer()
    await call.listen()


async def short_caller(call: PhoneCall) -> None:
    """Answers after a second, talks for three seconds and hangs up."""
    await call.ring(seconds=1)
    await call.answer()
    await call.play(melody(), seconds=3)
    await call.hang_up()


async def digit_reader(call: PhoneCall) -> None:
    """Beeps, takes digits up to #, repeats them in its report, presses them back, hangs up."""
    await call.answer()
    call.start_playing(tone(600), seconds=0.3)
    digits = await call.collect(seconds=30)
    call.note(f"digits: {digits}")
    if digits:
        await call.press(digits)
    await call.play(tone(800), seconds=0.5)
    await call.hang_up()


async def early_talker(call: PhoneCall) -> None:
    """Speaks before it answers (183 with early media), then plays 1,000 Hz."""
    await call.announce(melody(), seconds=2)
    await call.answer()
    async with call.playing(tone(1000)):
        await call.listen()


async def alaw_phone(call: PhoneCall) -> None:
    """Speaks PCMA only; answers after a second and plays 1,000 Hz."""
    await call.ring(seconds=1)
    await call.answer(codecs=["PCMA"])
    async with call.playing(tone(1000)):
        await call.listen()


async def vanisher(call: PhoneCall) -> None:
    """Answers, plays for two seconds, then sends nothing any more and never hangs up."""
    await call.answer()
    await call.play(melody(), seconds=2)
    call.vanish()
    await call.wait(None)


async def nobody_home(call: PhoneCall) -> None:
    """Rings for ever and is never answered."""
    await call.ring(seconds=None)


async def busy(call: PhoneCall) -> None:
    """Is busy (486)."""
    await call.reject(486, "Busy Here")


async def declines(call: PhoneCall) -> None:
    """Rings for a second, then declines (603)."""
    await call.ring(seconds=1)
    await call.reject(603, "Decline")


async def not_in_service(call: PhoneCall) -> None:
    """Is not in service (404)."""
    await call.reject(404, "Not Found")


async def unavailable(call: PhoneCall) -> None:
    """Rings for a second, then is temporarily unavailable (480)."""
    await call.ring(seconds=1)
    await call.reject(480, "Temporarily Unavailable")


async def carrier_error(call: PhoneCall) -> None:
    """The carrier has no line free (503)."""
    await call.reject(503, "Service Unavailable")


async def forbidden(call: PhoneCall) -> None:
    """The carrier forbids the call (403)."""
    await call.reject(403, "Forbidden")


async def no_common_codec(call: PhoneCall) -> None:
    """Speaks no codec that anybody has (488)."""
    await call.reject(488, "Not Acceptable Here")


def refusing(status: int) -> Script:
    """A phone that answers every call with that status."""

    async def refuse(call: PhoneCall) -> None:
        await call.reject(status)

    return refuse


# ── people who talk ──────────────────────────────────────────────────────────
# Maria is a patient of a dental office whose agent is among the examples: this is what it says.

_DAY = "(Monday | Tuesday | Wednesday | Thursday | Friday)"
_HOUR = "(eight | nine | ten | eleven | twelve | one | two | three | four | five)"
_TIME = f"{_DAY} at {_HOUR} [thirty] [in the (morning | afternoon)]"

_DENTAL_OFFICE = {
    "[Hello] this is Bright Smile Dental": "",
    "Am I speaking with Maria Lopez?": "Yes, this is Maria.",
    f"You have an appointment on {_TIME}": "",
    "Can you come?": "Yes, I confirm.",
    "[Thank you] your appointment is confirmed": "",
}

maria = person(
    "Is a patient of Bright Smile Dental: says hello, and confirms her appointment when asked.",
    hello="Hello?",
    answers=_DENTAL_OFFICE,
    goodbyes={"Goodbye": "Goodbye."},
    rings=2.0,
)

impatient_maria = person(
    "Is the same patient in a hurry: interrupts the caller's first words.",
    hello="Hello?",
    answers=_DENTAL_OFFICE,
    goodbyes={"Goodbye": "Goodbye."},
    interrupts={1: "Who is calling please?"},
)

patient = person(
    "Is the same patient when she calls the office: asks when her appointment is.",
    hello="Hello?",
    answers={
        "Bright Smile Dental how can I help you?": "When is my appointment?",
        "May I have your name [please]?": "This is Maria Lopez.",
        f"Your appointment is on {_TIME}": "",
        "Can I help you with anything else?": "No, that is all.",
    },
    goodbyes={"[Thank you for calling] goodbye": "Goodbye."},
)

receptionist = person(
    "Is the receptionist of a clinic: greets, says who is in and when it is open.",
    hello="Riverside Clinic. How can I help you?",
    answers={
        "[Hello] this is (Bright Smile Dental | the library | the bicycle shop)": "",
        "[Can I | may I | I would like to] speak (to | with) doctor (Brown | Miller)": (
            "I am sorry. The doctor is not in today."
        ),
        "When are you open?": "We are open from nine to five.",
        "Thank you": "You are welcome.",
    },
    goodbyes={"Goodbye": "Goodbye."},
)

voicemail = mailbox(
    "Is Maria's voicemail: greets, beeps, and keeps your message as a recording.",
    greeting="You have reached Maria Lopez. Please leave a message after the tone.",
    expects=(
        *(phrase for phrase in _DENTAL_OFFICE),
        "[Hello] this is Bright Smile Dental with a message for Maria Lopez",
        f"[We are calling about] your appointment on {_TIME}",
        "Please call us back",
        "Goodbye",
    ),
)


#: The directory. The numbers lie in the range that is kept free for fiction (555-0100 to 0199).
PHONES = (
    Phone("+12025550100", "Ada", ada),
    Phone("+12025550101", "Echo", echo),
    Phone("+12025550102", "Test tone", test_tone),
    Phone("+12025550103", "Listener", listener),
    Phone("+12025550104", "Short caller", short_caller),
    Phone("+12025550105", "Digit reader", digit_reader),
    Phone("+12025550106", "Early talker", early_talker),
    Phone("+12025550107", "A-law phone", alaw_phone),
    Phone("+12025550108", "Vanisher", vanisher),
    Phone("+12025550110", "Nobody home", nobody_home),
    Phone("+12025550111", "Busy", busy),
    Phone("+12025550112", "Declines", declines),
    Phone("+12025550113", "Not in service", not_in_service),
    Phone("+12025550114", "Unavailable", unavailable),
    Phone("+12025550115", "Carrier error", carrier_error),
    Phone("+12025550116", "Forbidden", forbidden),
    Phone("+12025550117", "Locked trunk", forbidden, locked=True),
    Phone("+12025550118", "No common codec", no_common_codec),
    Phone("+12025550120", "Maria", maria),
    Phone("+12025550121", "Receptionist", receptionist),
    Phone("+12025550122", "Voicemail", voicemail),
    Phone("+12025550123", "Maria in a hurry", impatient_maria),
    Phone("+12025550124", "Patient", patient),
)
