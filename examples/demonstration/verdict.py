"""Was everything as it should be? The summary of the demo, and what each turn took."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from demonstration.calls import APPOINTMENT, PATIENT_NAME
from demonstration.journal import Journal, Record, ToolCall
from demonstration.timeline import Timeline
from switchroom.speech.spoken import words

AGENT_LINES = (
    f"Hello, this is Bright Smile Dental. Am I speaking with {PATIENT_NAME}?",
    f"You have an appointment on {APPOINTMENT}. Can you come?",
    "Thank you. Your appointment is confirmed. Goodbye.",
)
PATIENT_LINES = ("Hello?", "Yes, this is Maria.", "Yes, I confirm.")
MESSAGE = (
    f"Hello, this is Bright Smile Dental with a message for {PATIENT_NAME}. "
    f"We are calling about your appointment on {APPOINTMENT}. Please call us back. Goodbye."
)
TOOLS = [
    ToolCall("confirm_appointment", {"patient_name": PATIENT_NAME, "when": APPOINTMENT}),
    ToolCall("end_call", {}),
]


@dataclass(frozen=True)
class Check:
    """One thing that should be so, whether it is, and what was found."""

    what: str
    good: bool
    found: str


@dataclass(frozen=True)
class Turn:
    """A turn of the agent: what was said before, and the silence until its first sound.

    `parts` says what the silence was made of, in seconds.
    """

    after: str
    seconds: float
    text: str
    parts: tuple[tuple[str, float], ...]


def turns(journal: Journal) -> list[Turn]:
    """The reaction times, as the phone measured them: from its last word to the agent's first."""
    found = []
    for heard in journal.told("understood"):
        before = [said for said in journal.told("said") if said["time"] < heard["began"]]
        if heard["replied_after"] is not None and before:
            last_word = heard["began"] - heard["replied_after"]
            parts = _parts(journal.models, last_word, heard["began"])
            found.append(Turn(before[-1]["text"], heard["replied_after"], heard["text"], parts))
    return found


def _parts(models: list[Record], last_word: float, began: float) -> tuple[tuple[str, float], ...]:
    """When the models had understood, replied and spoken, one after the other.

    What is left is the agent's waiting for the end of the turn, and the way to the phone.
    """
    parts = []
    since = last_word
    for event, name in (("understood", "hearing"), ("replied", "model"), ("spoken", "voice")):
        done = next(
            (each["at"] for each in models if each["event"] == event and each["at"] > since), None
        )
        if done is None or done > began:
            return ()
        parts.append((name, done - since))
        since = done
    return (*parts, ("end of turn and way", began - since))


def check_patient(journal: Journal) -> list[Check]:
    """The talk with the patient."""
    understood = [heard["text"] for heard in journal.told("understood")]
    return [
        _same("the phone understood every word of the agent", understood, AGENT_LINES),
        _same(
            "the agent understood every word of the patient",
            [said.text for said in journal.agent_heard],
            PATIENT_LINES,
        ),
        _same(
            "the room's transcript has what the agent said",
            [said.text for said in journal.agent_said],
            AGENT_LINES,
        ),
        Check(
            "the agent confirmed the right appointment, then ended the call",
            journal.tools == TOOLS,
            ", ".join(tool.name for tool in journal.tools) or "no tool was called",
        ),
        _statuses(journal, ["dialing", "ringing", "active"]),
        _not_clipped(journal),
    ]


def check_busy(journal: Journal) -> list[Check]:
    """The call to the busy line."""
    found = "; ".join(journal.remarks) or "the agent logged nothing"
    return [
        Check("busy was told as busy, and the agent went", "486" in found, found),
        Check("nobody was talked to", not journal.agent_said, f"{len(journal.agent_said)} lines"),
    ]


def check_voicemail(journal: Journal) -> list[Check]:
    """The message on the voicemail."""
    kept = [message["transcript"] for message in journal.told("message_kept")]
    because = [message["because"] for message in journal.told("message_kept")]
    called = [tool.name for tool in journal.tools]
    return [
        _same("the whole message was kept, from the beep on", kept, (MESSAGE,)),
        Check(
            "the agent recognised the machine, and hung up",
            called == ["detected_answering_machine"] and because == ["hung up"],
            ", ".join([*called, *because]) or "it did not",
        ),
    ]


def show_turns(timeline: Timeline, journal: Journal) -> None:
    """What each turn took."""
    console = timeline.console
    console.print("\n[bold]What each turn took[/bold]")
    about = "from the patient's last word to the agent's first sound, at the phone"
    console.print(f"[dim]{about}[/dim]\n")
    for turn in turns(journal):
        console.print(Text(f"  {turn.seconds:.2f} s  “{turn.after}” → “{_begin(turn.text)}”"))
        parts = " + ".join(f"{seconds:.2f} {name}" for name, seconds in turn.parts)
        console.print(Text(f"          {parts}", style="dim"))


def show_checks(timeline: Timeline, checks: list[Check], about: str = "Was it right?") -> bool:
    """Print the checks of a call; whether all is well."""
    timeline.console.print(Text(f"\n{about}\n", style="bold"))
    for check in checks:
        timeline.check(check.what, check.found, good=check.good)
    return all(check.good for check in checks)


def show_latency(timeline: Timeline, journals: list[Journal]) -> None:
    """The distribution of what the turns of many calls took."""
    took = sorted(turn.seconds for journal in journals for turn in turns(journal))
    if took:
        middle, late = took[len(took) // 2], took[len(took) * 9 // 10]
        timeline.console.print(
            f"\n  {len(took)} turns: {took[0]:.2f} s the quickest, {middle:.2f} s the median, "
            f"{late:.2f} s the 90th percentile, {took[-1]:.2f} s the slowest"
        )


def _same(what: str, found: list[str], wanted: tuple[str, ...]) -> Check:
    """Compared by words: a transcript has no punctuation, and one turn may come in pieces."""
    heard, right = words(" ".join(found)), words(" ".join(wanted))
    if heard == right:
        return Check(what, good=True, found=f"{len(right)} words")
    return Check(what, good=False, found=f"{' '.join(heard)!r} instead of {' '.join(right)!r}")


def _statuses(journal: Journal, wanted: list[str]) -> Check:
    found = list(dict.fromkeys(journal.statuses))
    good = found[: len(wanted)] == wanted
    return Check("the call went dialing, ringing, active", good, ", ".join(found))


def _not_clipped(journal: Journal) -> Check:
    """The last sound had died away before the call ended, and no packet was lost."""
    what = "the last word was heard to its end, then the agent hung up"
    ended, heard = journal.told("ended")[-1], journal.told("understood")
    if not heard:
        return Check(what, good=False, found="the phone heard nothing")
    quiet = ended["time"] - heard[-1]["ended"]
    good = quiet > 0 and ended["by"] == "caller" and not ended["lost"]
    found = f"{quiet * 1000:.0f} ms of silence before the end, {ended['lost']} packets lost"
    return Check(what, good, found)


def _begin(text: str, longest: int = 40) -> str:
    return text if len(text) <= longest else f"{text[:longest].rsplit(' ', 1)[0]} …"
