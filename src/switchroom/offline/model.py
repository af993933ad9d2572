"""The rule-based model: a script and a conversation in; what to say and to call out. Pure.

It keeps nothing between requests. In which state a conversation is follows from its messages: the
model goes through them again, finds the rule behind each thing it said (an interrupted sentence is
the beginning of one), and follows the rules' ``next``. So a restart loses nothing, and any number
of conversations may go on at once.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from switchroom.base.records import record
from switchroom.offline import answering
from switchroom.offline.conversation import (
    Conversation,
    Heard,
    Returned,
    Spoke,
    Told,
    Tool,
    fields_of,
)
from switchroom.offline.errors import CannotAnswer, shown
from switchroom.offline.script import (
    BUILT_IN,
    START,
    AtStart,
    Category,
    OnHearing,
    OnResult,
    OnTold,
    Otherwise,
    Rule,
    Script,
)
from switchroom.offline.templates import fill
from switchroom.speech.spoken import words

DID_NOT_CATCH = "Sorry, I did not catch that. Could you say it again?"
"""What is said where a script has no rule for what was heard."""

_POSTPONE_SECONDS = 3

_LONGEST_READ = 2000
"""Characters of a message that are held against phrases: with dots in them that takes its time."""


@record
class Call:
    """A tool to call, with arguments as JSON text."""

    tool: str
    arguments: str


@record
class Reply:
    """What the model does now. ``line`` is that of the rule, 0 if none was for it.

    ``remark`` tells whoever watches the gateway what they may want to mend.
    """

    text: str = ""
    call: Call | None = None
    line: int = 0
    remark: str = ""


def reply_to(script: Script, conversation: Conversation) -> Reply:
    """Decide. Raises CannotAnswer when the script has a rule that can't be carried out."""
    offered = {tool.name: tool for tool in conversation.tools}
    if answering.SAVE in offered:
        return _who_answered(script, conversation, offered)
    memory = _Memory(script, conversation.instructions)
    for turn in conversation.turns:
        memory.follow(turn)
    memory.read_end_of_prompt()
    choice = memory.choose(offered)
    if choice is None:
        return memory.without_rule(offered)
    known = memory.known(choice.slots)
    text = fill(memory.text_of(choice.rule), known)
    return Reply(text, _call(choice.rule, known, offered), choice.rule.line)


def foreseen(script: Script, conversation: Conversation) -> list[str]:
    """What the script may say in this conversation and is known to the word already."""
    memory = _Memory(script, conversation.instructions)
    known = {
        name: text
        for name, text in memory.known({}).items()
        if name.partition(".")[0] not in BUILT_IN
    }
    texts = []
    for rule in script.rules:
        for template in rule.say:
            with contextlib.suppress(CannotAnswer):
                texts.append(fill(template, known))
    return texts


def _who_answered(script: Script, conversation: Conversation, offered: Mapping[str, Tool]) -> Reply:
    heard = " ".join(turn.text for turn in conversation.turns if isinstance(turn, Heard))
    category = answering.category_of(heard, script.answering)
    if category is Category.UNCERTAIN and answering.POSTPONE in offered:
        wait = json.dumps({"seconds": _POSTPONE_SECONDS})
        return Reply(call=Call(answering.POSTPONE, wait))
    return Reply(call=Call(answering.SAVE, json.dumps({"label": category.value})))


@record
class _Choice:
    rule: Rule
    slots: Mapping[str, str] = field(default_factory=dict)


class _Memory:
    """What the messages so far mean: the state, the known names, and what is to be answered."""

    def __init__(self, script: Script, instructions: str) -> None:
        self._script = script
        self._state = START
        self._known = {**script.defaults}
        for fact in script.facts:
            self._known |= fact.read(instructions)
        self._known |= dict.fromkeys(BUILT_IN, "")
        self._fired: Counter[int] = Counter()
        # Rules whose tool was called while their text is still being spoken: it comes later.
        self._unspoken: list[Rule] = []
        self._prompted = False
        self._end_of_prompt = ""
        self._begun = False
        self._heard: list[str] = []
        self._returned: list[Returned] = []
        self._told: list[str] = []

    # ── what was ─────────────────────────────────────────────────────────────

    def follow(self, turn: Told | Heard | Spoke | Returned) -> None:
        """Take the next message."""
        match turn:
            case Told(text):
                # The first message is the agent's prompt, the others belong to one reply each.
                if self._prompted:
                    self._told.append(text[:_LONGEST_READ])
                else:
                    _, line_break, last = text.rpartition("\n")
                    self._end_of_prompt = last[:_LONGEST_READ] if line_break else ""
                self._prompted = True
            case Heard(text):
                self._prompted = True
                self._heard.append(text[:_LONGEST_READ])
                self._returned.clear()
                self._told.clear()
                self._begun = True
                self._known["heard"] = text
            case Returned():
                self._returned.append(turn)
                self._told.clear()
                self._know_result(turn.text)
            case Spoke():
                self._prompted = True
                self._remember(turn)
                self._heard.clear()
                self._returned.clear()
                self._told.clear()
                self._begun = True

    def read_end_of_prompt(self) -> None:
        """After the last message: @livekit/agents writes one reply's instructions there."""
        if any(
            isinstance(rule.trigger, OnTold) and rule.trigger.phrases.match(self._end_of_prompt)
            for rule in self._script.rules
        ):
            self._told.append(self._end_of_prompt)

    def _remember(self, spoke: Spoke) -> None:
        """Find the rule behind something the model said or did, and go where it leads."""
        for rule in self._unspoken:
            if spoke.text and not spoke.tools and self._could_say(rule, spoke.text):
                self._unspoken.remove(rule)
                self._known["last"] = spoke.text
                return
        choice = self._behind(spoke)
        # What is worth repeating is never the request to repeat something.
        if spoke.text and not (choice and isinstance(choice.rule.trigger, Otherwise)):
            self._known["last"] = spoke.text
        if choice is None:
            return
        rule = choice.rule
        if rule.tool and rule.say and not spoke.text:
            self._unspoken.append(rule)
        self._known |= choice.slots
        self._fired[rule.line] += 1
        self._state = rule.next or self._state

    def _behind(self, spoke: Spoke) -> _Choice | None:
        expected = self.choose(None)
        if expected is not None and self._did(expected.rule, spoke):
            return expected
        # The agent's code may have asked for a reply with instructions, which are not kept.
        return next((_Choice(rule) for rule in self._script.rules if self._did(rule, spoke)), None)

    def _did(self, rule: Rule, spoke: Spoke) -> bool:
        if spoke.tools:
            return rule.tool in spoke.tools
        return bool(spoke.text) and self._could_say(rule, spoke.text)

    def _could_say(self, rule: Rule, text: str) -> bool:
        """Whether ``text`` is one of the rule's texts, or the beginning of one."""
        said = words(text)
        for template in rule.say:
            try:
                whole = words(fill(template, self._known))
            except CannotAnswer:
                continue
            if said and whole[: len(said)] == said:
                return True
        return False

    def _know_result(self, text: str) -> None:
        self._known = {k: v for k, v in self._known.items() if not k.startswith("result.")}
        self._known["result"] = text
        for name, value in fields_of(text).items():
            self._known[f"result.{name}"] = _as_text(value)

    # ── what now ─────────────────────────────────────────────────────────────

    def choose(self, offered: Mapping[str, Tool] | None) -> _Choice | None:
        """The rule for what happened last; with ``offered``, one whose tool may be called."""
        for candidates in self._candidates():
            for choice in candidates:
                rule = choice.rule
                here = not rule.states or self._state in rule.states
                if here and (offered is None or not rule.tool or rule.tool in offered):
                    return choice
        return None

    def known(self, slots: Mapping[str, str]) -> dict[str, str]:
        """Every name that is known now."""
        return {**self._known, **slots}

    def text_of(self, rule: Rule) -> str:
        """The text whose turn it is."""
        if not rule.say:
            return ""
        return rule.say[min(self._fired[rule.line], len(rule.say) - 1)]

    def without_rule(self, offered: Mapping[str, Tool]) -> Reply:
        """No rule is for this: ask again after a user's words, else keep silent."""
        happened = "this"
        if self._returned:
            happened = f"the result of {self._returned[-1].tool}"
        elif self._heard:
            happened = f"the words {self._heard[-1]!r}"
        elif self._told:
            happened = f"the instructions {self._told[-1]!r}"
        remark = f"no rule is for {happened} in the state {self._state!r}"
        wanted = self.choose(None)
        if wanted is not None:
            given = ", ".join(sorted(offered)) or "none"
            remark = f"line {wanted.rule.line} calls {wanted.rule.tool}; offered are: {given}"
        text = DID_NOT_CATCH if self._heard and not self._returned else ""
        return Reply(text, remark=remark)

    def _candidates(self) -> Iterator[Sequence[_Choice]]:
        """Rules that are for what happened, the most particular kind first."""
        rules = self._script.rules
        if self._told:
            yield [
                _Choice(rule, found.slots)
                for rule in rules
                if isinstance(rule.trigger, OnTold)
                for text in self._told
                if (found := rule.trigger.phrases.match(text)) is not None
            ]
        if self._returned:
            yield [
                _Choice(rule)
                for rule in rules
                for result in reversed(self._returned)
                if isinstance(rule.trigger, OnResult) and _returns(rule.trigger, result)
            ]
        elif self._heard:
            yield from self._for_what_was_heard()
        elif not self._begun:
            yield [_Choice(rule) for rule in rules if isinstance(rule.trigger, AtStart)]

    def _for_what_was_heard(self) -> Iterator[Sequence[_Choice]]:
        # What was said since the model last spoke may come in pieces.
        pieces = " ".join(self._heard)[-_LONGEST_READ:]
        for text in dict.fromkeys((self._heard[-1], pieces)):
            yield self._hearing(text)
            for match in self._script.book.in_a_row(words(text)):
                yield self._hearing(match.said)
        yield [_Choice(rule) for rule in self._script.rules if isinstance(rule.trigger, Otherwise)]

    def _hearing(self, text: str) -> Sequence[_Choice]:
        return [
            _Choice(rule, found.slots)
            for rule in self._script.rules
            if isinstance(rule.trigger, OnHearing)
            and (found := rule.trigger.phrases.match(text)) is not None
        ]


def _as_text(value: Any) -> str:
    """A field of a result as JSON, a set as Python writes it; empty if neither can."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):
        return ""


def _returns(trigger: OnResult, result: Returned) -> bool:
    if trigger.tool != result.tool:
        return False
    return trigger.phrases is None or trigger.phrases.match(result.text[:_LONGEST_READ]) is not None


# ── arguments ────────────────────────────────────────────────────────────────


def _call(rule: Rule, known: Mapping[str, str], offered: Mapping[str, Tool]) -> Call | None:
    if not rule.tool:
        return None
    schema = offered[rule.tool].parameters
    properties = schema.get("properties")
    shapes: Mapping[str, Any] = properties if isinstance(properties, dict) else {}
    arguments: dict[str, Any] = {}
    for name, template in rule.arguments.items():
        if shapes and name not in shapes:
            taken = ", ".join(sorted(shapes))
            raise CannotAnswer(f"line {rule.line}: {rule.tool} takes no {name!r}; it takes {taken}")
        arguments[name] = _shaped(fill(template, known), shapes.get(name), rule, name)
    for name in schema.get("required") or ():
        if name not in arguments:
            if "null" not in _types(shapes.get(name)):
                raise CannotAnswer(f"line {rule.line}: {rule.tool} needs {name!r}, give it in with")
            arguments[name] = None
    return Call(rule.tool, json.dumps(arguments))


def _types(shape: Any) -> set[str]:
    """The types a JSON schema allows, as far as tools' parameters use them.

    It comes from the client: what is no schema allows nothing in particular.
    """
    found: set[str] = set()
    shapes = [shape]
    while shapes:
        shape = shapes.pop()
        if not isinstance(shape, dict):
            continue
        kinds, others = shape.get("type"), shape.get("anyOf")
        found.update(kind for kind in _as_list(kinds) if isinstance(kind, str))
        shapes.extend(_as_list(others))
    return found


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _shaped(text: str, shape: Any, rule: Rule, name: str) -> Any:
    """The text as a value of the type that the tool wants."""
    kinds = _types(shape)
    if not kinds or "string" in kinds:
        return text
    try:
        value = json.loads(text.lower() if kinds & {"boolean", "null"} else text)
    except (ValueError, RecursionError) as error:
        wanted = " or ".join(sorted(kinds))
        raise CannotAnswer(
            f"line {rule.line}: {name!r} of {rule.tool} is {wanted}, not {shown(text)}"
        ) from error
    return value
