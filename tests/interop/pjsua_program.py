"""PJSIP as a program: commands in on stdin, answers and events out on stdout, as lines of JSON.

It runs in an environment of its own, where `pjsua2-python` is; `pjsua.py` has the other end. One
thread does everything: PJSIP calls back from within `libHandleEvents`.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pjsua2 as pj  # type: ignore[import-not-found]  # not in the environment of the checks

_PUMP_MS = 10
_CLOCK_RATE = 16_000
"""What the bridge between a call and its files runs at: wide enough for G.722."""
_HIGH, _OFF = 200, 0
_SECURED = 1 << 14
"""The bit of PJSIP's PJMEDIA_TP_PROFILE_SRTP."""
_TRANSPORTS = {
    "udp": pj.PJSIP_TRANSPORT_UDP,
    "tcp": pj.PJSIP_TRANSPORT_TCP,
    "tls": pj.PJSIP_TRANSPORT_TLS,
}
_SRTP = {
    "none": pj.PJMEDIA_SRTP_DISABLED,
    "allowed": pj.PJMEDIA_SRTP_OPTIONAL,
    "required": pj.PJMEDIA_SRTP_MANDATORY,
}


def say(**facts: Any) -> None:
    """One line to the test."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


class Call(pj.Call):  # type: ignore[misc]
    """One call, its sound in both directions, and what the test is told of it."""

    def __init__(self, phone: Phone, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(phone.account, call_id)
        self._phone = phone
        self._voice: pj.AudioMediaPlayer | None = None
        self._ears: pj.AudioMediaRecorder | None = None

    def onCallState(self, _: Any) -> None:  # noqa: N802
        info = self.getInfo()
        self._phone.calls[info.id] = self  # one that a REFER asked for has no number before
        say(
            event="state",
            call=info.id,
            state=info.stateText,
            code=info.lastStatusCode,
            reason=info.lastReason,
        )
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._voice = self._ears = None
            self._phone.calls.pop(info.id, None)
            say(event="over", call=info.id)

    def onCallMediaState(self, _: Any) -> None:  # noqa: N802
        info = self.getInfo()
        for number, media in enumerate(info.media):
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            if media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                self._connect(self.getAudioMedia(number))
            say(event="media", call=info.id, status=media.status, secured=self._secured(number))

    def _connect(self, sound: Any) -> None:
        if self._voice is None:
            self._voice, self._ears = pj.AudioMediaPlayer(), pj.AudioMediaRecorder()
            self._voice.createPlayer(self._phone.voice)
            self._ears.createRecorder(str(self._phone.folder / f"heard-{self.getId()}.wav"))
        self._voice.startTransmit(sound)
        sound.startTransmit(self._ears)

    def _secured(self, number: int) -> bool:
        return bool(self.getStreamInfo(number).proto & _SECURED)

    def onDtmfDigit(self, told: Any) -> None:  # noqa: N802
        say(event="key", call=self.getId(), key=told.digit, method=told.method)

    def onCallTransferRequest(self, told: Any) -> None:  # noqa: N802
        told.newCall = self._phone.remember(Call(self._phone))
        say(event="asked_to_transfer", call=self.getId(), to=told.dstUri)

    def onCallTransferStatus(self, told: Any) -> None:  # noqa: N802
        say(event="transfer", call=self.getId(), code=told.statusCode, final=told.finalNotify)

    def onCallReplaceRequest(self, told: Any) -> None:  # noqa: N802
        say(event="asked_to_replace", call=self.getId())
        told.statusCode = 200

    def onCallReplaced(self, told: Any) -> None:  # noqa: N802
        self._phone.adopt(told.newCallId)

    def onCallTsxState(self, told: Any) -> None:  # noqa: N802
        transaction = told.e.body.tsxState.tsx
        if transaction.state == pj.PJSIP_TSX_STATE_COMPLETED:
            direction = "out" if transaction.role == pj.PJSIP_ROLE_UAC else "in"
            say(
                event="transaction",
                direction=direction,
                method=transaction.method,
                code=transaction.statusCode,
            )


class Account(pj.Account):  # type: ignore[misc]
    """Whom PJSIP tells of calls that come in."""

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self._phone = phone

    def onIncomingCall(self, told: Any) -> None:  # noqa: N802
        self._phone.take(told.callId, told.rdata.wholeMsg)


class Phone:
    """One endpoint with one account."""

    def __init__(self) -> None:
        self.endpoint = pj.Endpoint()
        self.account: Account
        self.calls: dict[int, Call] = {}
        self._coming: list[Call] = []
        self.folder = Path()
        self.voice = ""
        self._answer = 200
        self._begun = False

    # ── the start ────────────────────────────────────────────────────────────

    def begin(self, **wishes: Any) -> None:
        """Open its port and its account."""
        self.folder, self.voice = Path(wishes["folder"]), wishes["voice"]
        self._answer = wishes["answer"]
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.maxCalls = 16
        config.medConfig.clockRate = _CLOCK_RATE
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        config.logConfig.level = config.logConfig.consoleLevel = 0
        config.logConfig.filename = str(self.folder / "pjsip.log")
        config.logConfig.level, config.logConfig.msgLogging = 5, True
        self.endpoint.libCreate()
        self.endpoint.libInit(config)
        self.endpoint.audDevManager().setNullDev()
        transport = self._open(wishes)
        self._choose_codecs(wishes["codecs"])
        self.endpoint.libStart()
        self.account = Account(self)
        self.account.create(_account(wishes, transport))
        self._begun = True

    def _open(self, wishes: dict[str, Any]) -> int:
        config = pj.TransportConfig()
        config.boundAddress, config.port = wishes["address"], wishes["port"]
        if wishes["transport"] == "tls":
            config.tlsConfig.certFile, config.tlsConfig.privKeyFile = wishes["certificate"]
            config.tlsConfig.CaListFile = wishes["authority"]
            config.tlsConfig.verifyServer = True
        identifier: int = self.endpoint.transportCreate(_TRANSPORTS[wishes["transport"]], config)
        return identifier

    def _choose_codecs(self, wanted: list[str]) -> None:
        for codec in self.endpoint.codecEnum2():
            self.endpoint.codecSetPriority(codec.codecId, _OFF)
        for place, name in enumerate(wanted):
            self.endpoint.codecSetPriority(name, _HIGH - place)

    # ── calls ────────────────────────────────────────────────────────────────

    def remember(self, call: Call) -> Call:
        """Keep a call that has no number yet."""
        self._coming.append(call)
        return call

    def adopt(self, call_id: int) -> None:
        """A call that PJSIP has made by itself."""
        self.calls[call_id] = Call(self, call_id)

    def take(self, call_id: int, message: str) -> None:
        """A call comes in: answered as was wished at the start."""
        self.calls[call_id] = Call(self, call_id)
        say(event="called", call=call_id, message=message)
        if self._answer:
            self.answer(call_id, self._answer)

    def answer(self, call: int, code: int) -> None:
        prm = pj.CallOpParam()
        prm.statusCode = code
        self.calls[call].answer(prm)

    def dial(self, uri: str, headers: dict[str, str]) -> int:
        call = Call(self)
        prm = pj.CallOpParam(True)
        for name, value in headers.items():
            header = pj.SipHeader()
            header.hName, header.hValue = name, value
            prm.txOption.headers.append(header)
        call.makeCall(uri, prm)
        self.calls[call.getId()] = call
        number: int = call.getId()
        return number

    def hang_up(self, call: int) -> None:
        self.calls[call].hangup(pj.CallOpParam())

    def press(self, call: int, keys: str, method: str) -> None:
        prm = pj.CallSendDtmfParam()
        prm.digits = keys
        prm.method = (
            pj.PJSUA_DTMF_METHOD_SIP_INFO if method == "info" else pj.PJSUA_DTMF_METHOD_RFC2833
        )
        prm.duration = 120
        self.calls[call].sendDtmf(prm)

    def hold(self, call: int) -> None:
        self.calls[call].setHold(pj.CallOpParam(True))

    def resume(self, call: int) -> None:
        prm = pj.CallOpParam(True)
        prm.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.calls[call].reinvite(prm)

    def offer_anew(self, call: int, codecs: list[str], method: str) -> None:
        """Re-INVITE or UPDATE with other codecs."""
        self._choose_codecs(codecs)
        prm = pj.CallOpParam(True)
        prm.opt.flag = pj.PJSUA_CALL_REINIT_MEDIA
        getattr(self.calls[call], method)(prm)

    def refresh(self, call: int) -> None:
        """UPDATE without an offer, as a session timer sends it."""
        prm = pj.CallOpParam(True)
        prm.opt.flag = pj.PJSUA_CALL_NO_SDP_OFFER
        self.calls[call].update(prm)

    def transfer(self, call: int, uri: str) -> None:
        self.calls[call].xfer(uri, pj.CallOpParam(True))

    def transfer_to_call(self, call: int, other: int) -> None:
        self.calls[call].xferReplaces(self.calls[other], pj.CallOpParam(True))

    def look(self, call: int) -> dict[str, Any]:
        """The codec of a call and what its packets say."""
        info = self.calls[call].getStreamInfo(0)
        stat = self.calls[call].getStreamStat(0).rtcp
        return {
            "codec": info.codecName,
            "rate": info.codecClockRate,
            "received": stat.rxStat.pkt,
            "lost": stat.rxStat.loss,
            "sent": stat.txStat.pkt,
            "lost_there": stat.txStat.loss,
            "round_trip_us": stat.rttUsec.last,
        }

    def hear_commands(self) -> None:
        """Pump PJSIP and take commands until stdin ends."""
        waiting = b""
        while True:
            if self._begun:
                self.endpoint.libHandleEvents(_PUMP_MS)
                if not select.select([0], [], [], 0)[0]:
                    continue
            read = os.read(0, 65_536)
            if not read:
                return
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                perform(self, json.loads(line))


def _account(wishes: dict[str, Any], transport: int) -> Any:
    config = pj.AccountConfig()
    config.idUri = f"<sip:{wishes['user']}@{wishes['address']}:{wishes['port']}>"
    config.sipConfig.transportId = transport
    if wishes["password"]:
        credentials = pj.AuthCredInfo("digest", "*", wishes["login"], 0, wishes["password"])
        config.sipConfig.authCreds.append(credentials)
    config.mediaConfig.srtpUse = _SRTP[wishes["srtp"]]
    config.mediaConfig.srtpSecureSignaling = 0
    config.mediaConfig.transportConfig.boundAddress = wishes["address"]
    config.callConfig.prackUse = (
        pj.PJSUA_100REL_MANDATORY if wishes["reliable"] else pj.PJSUA_100REL_NOT_USED
    )
    if wishes["refresh"]:
        config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_REQUIRED
        config.callConfig.timerMinSESec = config.callConfig.timerSessExpiresSec = wishes["refresh"]
    return config


def perform(phone: Phone, command: dict[str, Any]) -> None:
    """One command, and its answer."""
    number, name = command.pop("id"), command.pop("do")
    wanted: Callable[..., Any] = getattr(phone, name)
    try:
        result = wanted(**command)
    except Exception as failure:  # noqa: BLE001 - the test is told, and judges
        text = failure.info() if isinstance(failure, pj.Error) else repr(failure)
        say(id=number, error=text)
    else:
        say(id=number, ok=result)


if __name__ == "__main__":
    Phone().hear_commands()
    sys.stdout.flush()
    os._exit(0)  # PJSIP's own end may call back into Python that is gone
