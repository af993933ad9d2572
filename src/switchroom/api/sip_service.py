"""`livekit.SIP`: LiveKit's server API for trunks, dispatch rules and phone calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from switchroom.api.sip_calls import SipCallMethods
from switchroom.api.sip_dispatch_rules import SipDispatchRuleMethods
from switchroom.api.sip_trunks import SipTrunkMethods
from switchroom.api.twirp import Method
from switchroom.telephony.telephony import Telephony


class SipService:
    """The whole service."""

    name = "livekit.SIP"

    def __init__(self, telephony: Telephony) -> None:
        self.methods: Mapping[str, Method[Any, Any]] = {
            **SipTrunkMethods(telephony).methods,
            **SipDispatchRuleMethods(telephony).methods,
            **SipCallMethods(telephony).methods,
        }
