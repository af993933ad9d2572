"""A call that rings in three places at once, its answers in every order: nobody is left hanging.

Whoever answers is acknowledged, all but one are hung up, and no request of a dialog comes with a
number that this callee has seen before.
"""

from __future__ import annotations

import random

from hypothesis import given, settings, strategies as st

from switchroom.sip.caller_session import CallerSession
from switchroom.sip.invite_session import ByeReceived, DialogEnded, Failed
from switchroom.sip.message import Request, Response
from unit.sip.wire import ANSWER, THEM, Agent, in_dialog, reply

CALLEES = "ABC"
LAST = (Failed, ByeReceived, DialogEnded)


class Callees:
    """Three phones behind one proxy, and what they have seen of us."""

    def __init__(self, agent: Agent, choices: random.Random) -> None:
        self.agent = agent
        self.choices = choices
        self.session: CallerSession = agent.call(transport=agent.transport)
        self.invite = agent.sent_request("INVITE")
        self.answered: set[str] = set()
        self.acknowledged: set[str] = set()
        self.over: set[str] = set()
        self._seen: set[str] = set()
        self._highest = dict.fromkeys(CALLEES, 0)
        self._reliable = dict.fromkeys(CALLEES, 0)
        self._replies: list[Response] = []

    def do(self, action: str) -> None:
        """One letter of a script."""
        tag = self.choices.choice(CALLEES)
        if action == "c":
            self.session.cancel(self.agent.now)
        elif action == "w":
            self.agent.advance(self.choices.random() * 3)
        elif action == "f":
            self._hand_in_replies()
        elif action == "b" and tag in self.answered:
            self.over.add(tag)
            self._says(in_dialog("BYE", self.invite, cseq=1, tag=tag, branch=f"z9hG4bK{tag}"))
        elif action == "a":
            self.answered.add(tag)
            self._says(self._response(tag, 200, body=ANSWER))
        elif action in "rp" and not self.answered:
            self._rings(tag, reliably=action == "p")

    def _rings(self, tag: str, *, reliably: bool) -> None:
        if not reliably:
            self._says(self._response(tag, 180))
            return
        self._reliable[tag] += 1
        fields = (("Require", "100rel"), ("RSeq", str(self._reliable[tag])))
        self._says(self._response(tag, 183, headers=fields))

    def _response(
        self, tag: str, status: int, *, headers: tuple[tuple[str, str], ...] = (), body: bytes = b""
    ) -> Response:
        by = ";transport=tcp" if self.agent.transport == "tcp" else ""
        contact = f"<sip:{tag}@192.0.2.{ord(tag)}:5060{by}>"
        return reply(self.invite, status, tag=tag, headers=headers, body=body, contact=contact)

    def _says(self, message: Request | Response) -> None:
        # What is read in one go is acted upon together.
        agent = self.agent
        agent.endpoint.receive(agent.flow_to(THEM), message.serialise(), agent.now)
        if self.choices.random() < 0.7:
            self.take_in()

    def _hand_in_replies(self) -> None:
        while self._replies:
            self.agent.hear(self._replies.pop(self.choices.randrange(len(self._replies))))
            self.take_in()

    def take_in(self) -> None:
        """See what we have sent."""
        self.agent.settle()
        for message in self.agent.sent():
            if isinstance(message, Request) and message.method != "INVITE":
                self._take(message)

    def _take(self, request: Request) -> None:
        tag = request.to_tag
        if tag is None:
            self._replies.append(reply(request, 200))
            return
        if request.method == "ACK":
            assert request.cseq.number == self.invite.cseq.number
            self.acknowledged.add(tag)
            return
        if request.branch not in self._seen:
            self._seen.add(request.branch)
            assert request.cseq.number > self._highest[tag]
            self._highest[tag] = request.cseq.number
        if request.method == "BYE":
            self.over.add(tag)
        self._replies.append(reply(request, 200))

    def come_to_an_end(self) -> None:
        """The call is hung up, and everybody answers."""
        self.take_in()
        self.session.cancel(self.agent.now)
        for _ in range(6):
            self.take_in()
            self._hand_in_replies()
            self.agent.advance(20)
        if not self.answered:
            self.agent.hear(reply(self.invite, 487))
        self.take_in()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    script=st.text("rppaabcwff", max_size=12),
    transport=st.sampled_from(["udp", "tcp"]),
)
def test_of_several_who_answer_all_but_one_are_hung_up(
    seed: int, script: str, transport: str
) -> None:
    agent = Agent(transport=transport)
    callees = Callees(agent, random.Random(seed))
    for action in script:
        callees.do(action)
    callees.come_to_an_end()
    assert callees.acknowledged >= callees.answered
    assert callees.over >= callees.answered
    ends = [event for event in agent.events() if isinstance(event, LAST)]
    assert len(ends) == 1
    assert agent.at_rest()
