"""PJSIP's conference bridge between two phones, to compare with: it calls both and joins them.

Runs in the environment that has `pjsua2-python`: ``pjsua_bridge.py OWN_ADDRESS URI URI``, until its
standard input ends.
"""

from __future__ import annotations

import os
import select
import sys
from typing import Any

import pjsua2 as pj  # type: ignore[import-not-found]  # not in the environment of the checks


class Call(pj.Call):  # type: ignore[misc]
    """One of the two calls; `sound` is its port of the bridge once it is up."""

    sound: Any = None
    other: Call | None = None

    def onCallMediaState(self, _: Any) -> None:  # noqa: N802 - PJSIP's name
        self.sound = self.getAudioMedia(-1)
        if self.other is not None and self.other.sound is not None:
            self.sound.startTransmit(self.other.sound)
            self.other.sound.startTransmit(self.sound)


def main(address: str, *uris: str) -> None:
    """Calls both."""
    config = pj.EpConfig()
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.medConfig.clockRate = 8_000
    config.medConfig.noVad = True
    config.medConfig.ecTailLen = 0
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.boundAddress = transport.publicAddress = address
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    account = pj.Account()
    settings = pj.AccountConfig()
    settings.idUri = f"sip:bridge@{address}"
    settings.mediaConfig.transportConfig.boundAddress = address
    account.create(settings)
    calls = [Call(account) for _ in uris]
    calls[0].other, calls[1].other = calls[1], calls[0]
    for call, uri in zip(calls, uris, strict=True):
        call.makeCall(uri, pj.CallOpParam(True))
    while not select.select([sys.stdin], [], [], 0)[0]:
        endpoint.libHandleEvents(10)
    endpoint.hangupAllCalls()
    for _ in range(20):
        endpoint.libHandleEvents(10)
    # Its own clean-up asserts that calls outlive their Python objects.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
