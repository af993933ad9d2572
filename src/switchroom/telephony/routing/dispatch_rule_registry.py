"""The dispatch rules of this server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from switchroom.base.clock import Clock
from switchroom.base.records import replace
from switchroom.telephony.errors import InvalidRequestError, RuleNotFoundError
from switchroom.telephony.routing import dispatch_rules
from switchroom.telephony.routing.dispatch_rules import DispatchRule, DispatchRuleUpdate
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.number_index import NumberIndex
from switchroom.telephony.routing.record_registry import RecordRegistry, RecordStore

_PREFIX = "SDR_"
#: The key of rules that name no trunk.
_ANY = None
_NO_ID = "rule id must be set"


class DispatchRules(RecordRegistry[DispatchRule]):
    """What the API does with dispatch rules, and those that a call may follow."""

    def __init__(self, store: RecordStore[DispatchRule], clock: Clock) -> None:
        super().__init__(store, clock)
        self._by_trunk: dict[str | None, NumberIndex[DispatchRule]] = {}

    def for_call(self, call: IncomingCall, trunk_id: str) -> Sequence[DispatchRule]:
        """Every rule that `choose_rule` could choose for a call of that trunk; cheap with many.

        `trunk_id` is empty for a call that no trunk took. Where there are only rules for other
        calls, one of them stands for all, the trunk's own first: it tells why none was chosen.
        """
        numbers = (call.called, call.request_user)
        indexes = [self._by_trunk[key] for key in (trunk_id, _ANY) if key in self._by_trunk]
        found: dict[str, DispatchRule] = {}
        for index in indexes:
            found.update(index.find(numbers))
        if found:
            return tuple(found.values())
        specimens = (index.specimen() for index in (*indexes, *self._by_trunk.values()))
        return tuple(rule for rule in specimens if rule is not None)[:1]

    def list(
        self,
        *,
        ids: Iterable[str] = (),
        trunk_ids: Iterable[str] = (),
        after_id: str = "",
        limit: int = 0,
    ) -> list[DispatchRule]:
        """Those that match; see `dispatch_rules.listed`."""
        return dispatch_rules.listed(
            self._records.values(),
            ids=frozenset(ids),
            trunk_ids=frozenset(trunk_ids),
            after_id=after_id,
            limit=limit,
        )

    async def create(self, rule: DispatchRule) -> DispatchRule:
        """Raises InvalidRequestError."""
        if rule.rule_id:
            raise InvalidRequestError("rule id must not be set")
        return await self._create(dispatch_rules.checked(rule), _PREFIX)

    async def replace(self, rule_id: str, rule: DispatchRule) -> DispatchRule:
        """Put another in its place. Raises InvalidRequestError, RuleNotFoundError."""
        return await self._change(
            rule_id, lambda old: dispatch_rules.replacement(old, rule), _NO_ID
        )

    async def update(self, rule_id: str, update: DispatchRuleUpdate) -> DispatchRule:
        """Change some fields. Raises InvalidRequestError, RuleNotFoundError."""
        return await self._change(rule_id, update.applied_to, _NO_ID)

    async def delete(self, rule_id: str) -> DispatchRule:
        """Forget a rule; what it was. Raises InvalidRequestError, RuleNotFoundError."""
        if not rule_id:
            raise InvalidRequestError("dispatch rule ID is required")
        gone = self.get(rule_id)
        await self._forget(rule_id)
        return gone

    def _index(self, old: DispatchRule | None, new: DispatchRule | None) -> None:
        if old is not None:
            for trunk_id in _trunks(old):
                index = self._by_trunk[trunk_id]
                index.drop(old.rule_id, old.numbers)
                if index.specimen() is None:
                    del self._by_trunk[trunk_id]
        if new is not None:
            for trunk_id in _trunks(new):
                index = self._by_trunk.setdefault(trunk_id, NumberIndex())
                index.put(new.rule_id, new.numbers, new)

    def _check_beside(self, record: DispatchRule) -> None:
        for trunk_id in _trunks(record):
            if trunk_id in self._by_trunk:
                rivals = self._by_trunk[trunk_id].find(record.numbers)
                dispatch_rules.check_conflicts(record, rivals.values())

    def _id_of(self, record: DispatchRule) -> str:
        return record.rule_id

    def _stamped(self, record: DispatchRule, record_id: str, created_at: int) -> DispatchRule:
        return replace(record, rule_id=record_id, created_at=created_at, updated_at=created_at)

    def _touched(self, record: DispatchRule, updated_at: int) -> DispatchRule:
        return replace(record, updated_at=updated_at)

    def _unknown(self) -> RuleNotFoundError:
        return RuleNotFoundError()


def _trunks(rule: DispatchRule) -> Iterable[str | None]:
    """The keys that a rule is found by: its trunks, or the key for any."""
    return set(rule.trunk_ids) or (_ANY,)
