"""Reading a script from YAML; every complaint names its line. docs/offline.md shows the form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from switchroom.offline.errors import ScriptError
from switchroom.offline.script import (
    BUILT_IN,
    PAUSE,
    START,
    AtStart,
    Category,
    OnHearing,
    OnResult,
    OnTold,
    Otherwise,
    Rule,
    Script,
    Trigger,
)
from switchroom.offline.templates import Fact, fact, names_in
from switchroom.offline.yaml_nodes import Node, read_yaml
from switchroom.speech.errors import PhraseError
from switchroom.speech.phrases import Phrases, parse
from switchroom.speech.synthesis import VOICES

_TRIGGERS = ("when", "hears", "after", "told")
_RULE = frozenset({*_TRIGGERS, "in", "result", "say", "call", "with", "next"})
_SCRIPT = frozenset(
    {
        "name",
        "voice",
        "listen",
        "pause",
        "facts",
        "defaults",
        "lists",
        "phrases",
        "answering",
        "rules",
    }
)
_MOST_RULES = 500


def load_script(path: Path) -> Script:
    """Read a script file. Raises ScriptError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScriptError(f"can't be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise ScriptError("can't be read: it is not UTF-8 text", file=str(path)) from error
    return read_script(text, str(path))


def read_script(text: str, file: str = "script") -> Script:
    """Read a script. Raises ScriptError."""
    root = read_yaml(text, file)
    fields = root.fields("a script", _SCRIPT)
    if "rules" not in fields:
        raise root.error("a script has rules; this one has none")
    reader = _Reader(_lists(fields.get("lists")))
    facts = _facts(fields.get("facts"))
    defaults = _texts_by_name(fields.get("defaults"), "defaults")
    rules = tuple(reader.rule(node) for node in fields["rules"].items("rules"))
    if not 1 <= len(rules) <= _MOST_RULES:
        raise fields["rules"].error(f"{len(rules)} rules; there must be 1 to {_MOST_RULES}")
    _check_states(rules, file)
    known = {name for fact in facts for name in fact.names} | set(defaults)
    _check_names(rules, known | set(reader.lists), file)
    return Script(
        rules=rules,
        book=reader.book(fields.get("phrases")),
        facts=facts,
        defaults=defaults,
        answering=reader.answering(fields.get("answering")),
        name=fields["name"].text("name") if "name" in fields else Path(file).stem,
        voice=_one_of(fields.get("voice"), "voice", VOICES),
        listens_freely=_one_of(fields.get("listen"), "listen", ("phrases", "anything"))
        == "anything",
        pause=fields["pause"].number("pause", 0.1, 3.0) if "pause" in fields else PAUSE,
    )


class _Reader:
    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        self.lists = lists
        self._heard: list[str] = []

    def rule(self, node: Node) -> Rule:
        fields = node.fields("a rule", _RULE)
        triggers = [name for name in _TRIGGERS if name in fields]
        if len(triggers) != 1:
            given = " and ".join(triggers) or "none"
            raise node.error(f"a rule begins with one of {', '.join(_TRIGGERS)}; here is {given}")
        rule = Rule(
            line=node.line,
            trigger=self._trigger(fields),
            states=frozenset(fields["in"].texts("in")) if "in" in fields else frozenset(),
            say=tuple(fields["say"].texts("say")) if "say" in fields else (),
            tool=fields["call"].text("call") if "call" in fields else "",
            arguments=_texts_by_name(fields.get("with"), "with"),
            next=fields["next"].text("next") if "next" in fields else "",
        )
        if not (rule.say or rule.tool or rule.next):
            raise node.error("this rule does nothing: give it say, call or next")
        if rule.arguments and not rule.tool:
            raise fields["with"].error("with are the arguments of call, which is missing")
        if "result" in fields and "after" not in fields:
            raise fields["result"].error("result belongs to after")
        return rule

    def book(self, extra: Node | None) -> Phrases:
        """All phrases that may be heard."""
        if extra is not None:
            self._phrases(extra, "phrases")
            self._heard += extra.texts("phrases")
        return parse(list(dict.fromkeys(self._heard)), self.lists)

    def answering(self, node: Node | None) -> tuple[tuple[Category, Phrases], ...]:
        if node is None:
            return ()
        fields = node.fields("answering", [category.value for category in Category])
        return tuple(
            (Category(name), self._phrases(phrases, name)) for name, phrases in fields.items()
        )

    def _trigger(self, fields: Mapping[str, Node]) -> Trigger:
        if "hears" in fields:
            self._heard += fields["hears"].texts("hears")
            return OnHearing(self._phrases(fields["hears"], "hears"))
        if "told" in fields:
            return OnTold(self._phrases(fields["told"], "told"))
        if "after" in fields:
            result = fields.get("result")
            phrases = None if result is None else self._phrases(result, "result")
            return OnResult(fields["after"].text("after"), phrases)
        word = _one_of(fields["when"], "when", ("start", "otherwise"))
        return AtStart() if word == "start" else Otherwise()

    def _phrases(self, node: Node, what: str) -> Phrases:
        for item in node.items(what) if node.is_list else (node,):
            try:
                parse([item.text(what)], self.lists)
            except PhraseError as error:
                raise item.error(str(error)) from error
        return parse(node.texts(what), self.lists)


def _lists(node: Node | None) -> dict[str, list[str]]:
    if node is None:
        return {}
    lists = {}
    for name, values in node.fields("lists").items():
        lists[name] = values.texts(f"the list {name}")
        if name in BUILT_IN:
            raise values.error(f"{name!r} has a meaning of its own; choose another name")
        try:
            parse([f"{{{name}}}"], {name: lists[name]})
        except PhraseError as error:
            raise values.error(str(error)) from error
    return lists


def _facts(node: Node | None) -> tuple[Fact, ...]:
    if node is None:
        return ()
    facts = []
    for item in node.items("facts"):
        try:
            facts.append(fact(item.text("a fact")))
        except ValueError as error:
            raise item.error(str(error)) from error
    return tuple(facts)


def _texts_by_name(node: Node | None, what: str) -> dict[str, str]:
    if node is None:
        return {}
    return {name: value.text(name) for name, value in node.fields(what).items()}


def _one_of(node: Node | None, what: str, words: Sequence[str]) -> str:
    """One of some words, the first if there is none. Raises ScriptError."""
    if node is None:
        return words[0]
    word = node.text(what)
    if word not in words:
        raise node.error(f"{what} is one of {', '.join(words)}, not {word!r}")
    return word


def _check_states(rules: Sequence[Rule], file: str) -> None:
    """A state that no rule leads to is a slip of the pen."""
    reached = {START, *(rule.next for rule in rules if rule.next)}
    for rule in rules:
        for state in sorted(rule.states - reached):
            raise ScriptError(
                f"no rule leads to the state {state!r}; there are: {', '.join(sorted(reached))}",
                rule.line,
                file,
            )


def _check_names(rules: Sequence[Rule], known: set[str], file: str) -> None:
    """Every name in a text must be one that something may give."""
    for rule in rules:
        for text in (*rule.say, *rule.arguments.values()):
            for name in names_in(text):
                if name not in known and name.partition(".")[0] not in BUILT_IN:
                    raise ScriptError(
                        f"nothing gives {{{name}}}: known are "
                        f"{', '.join(sorted(known | set(BUILT_IN)))}",
                        rule.line,
                        file,
                    )
