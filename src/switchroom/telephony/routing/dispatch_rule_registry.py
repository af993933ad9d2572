"""The dispatch rules of this server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from switchroom.telephony.errors import InvalidRequestError, RuleNotFoundError
from switchroom.telephony.routing import dispatch_rules
from switchroom.telephony.routing.dispatch_rules import DispatchRule, DispatchRuleUpdate
from switchroom.telephony.routing.record_registry import RecordRegistry

_PREFIX = "SDR_"
_NO_ID = "rule id must be set"


class DispatchRules(RecordRegistry[DispatchRule]):
    """What the API does with dispatch rules, and those that a call may follow."""

    _by_trunk: dict[str, list[DispatchRule]] | None = None

    def for_trunk(self, trunk_id: str) -> Sequence[DispatchRule]:
        """The rules for a trunk and those for any; with an empty id only the latter."""
        if self._by_trunk is None:
            self._by_trunk = {}
            for rule in self._records.values():
                for named in rule.trunk_ids or ("",):
                    self._by_trunk.setdefault(named, []).append(rule)
        own = self._by_trunk.get(trunk_id, []) if trunk_id else []
        return (*own, *self._by_trunk.get("", []))

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

    def _changed(self) -> None:
        self._by_trunk = None

    def _check_beside(self, record: DispatchRule, others: Iterable[DispatchRule]) -> None:
        dispatch_rules.check_conflicts(record, others)

    def _id_of(self, record: DispatchRule) -> str:
        return record.rule_id

    def _stamped(self, record: DispatchRule, record_id: str, created_at: int) -> DispatchRule:
        return replace(record, rule_id=record_id, created_at=created_at, updated_at=created_at)

    def _touched(self, record: DispatchRule, updated_at: int) -> DispatchRule:
        return replace(record, updated_at=updated_at)

    def _unknown(self) -> RuleNotFoundError:
        return RuleNotFoundError()
