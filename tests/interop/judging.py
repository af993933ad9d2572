"""How well speech came through, by measures that others wrote: PESQ, STOI; and how late it came.

PESQ (ITU-T P.862, package ``pesq``, with P.862.1's mapping to MOS) and STOI (Taal et al. 2011,
package ``pystoi``) compare what was heard with what was said.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pesq import pesq  # type: ignore[import-untyped]
from pystoi import stoi  # type: ignore[import-untyped]
from scipy.signal import correlate, resample_poly  # type: ignore[import-untyped]

from interop.lossy_line import FRAME, PACE, Line
from switchroom.phonenet.g711 import PCMU

RATE = 8_000
Samples = NDArray[np.float64]

_TEXT = """Good morning, this is the office of Doctor Miller. You have reached us outside of our
opening hours. If this is an emergency, please hang up and dial the emergency number. Otherwise tell
me your name, your date of birth and the reason for your call, and we will ring you back before noon
on the next working day. The quick brown fox jumps over the lazy dog. Please press one for
appointments, two for prescriptions, and three to speak with a nurse. Thank you for waiting, your
call is important to us. Somebody will be with you in a moment, and meanwhile we play no music."""


def speech(seconds: float) -> Samples:
    """So much of flite's voice `slt` as a telephone says it: 8 kHz, once through PCMU.

    What PCMU itself costs is not to be counted.
    """
    spoken = _by_flite(_TEXT)
    wanted = int(seconds * 16_000)
    return _by_telephone(np.tile(spoken, -(-wanted // len(spoken)))[:wanted])


def sentences(seconds: float) -> list[Samples]:
    """The same voice, sentence by sentence, of at least so many seconds."""
    found: list[Samples] = []
    for sentence in _TEXT.split(". "):
        if sum(map(len, found)) >= seconds * RATE:
            break
        found.append(_by_telephone(_by_flite(sentence)))
    return found


def _by_flite(text: str) -> Samples:
    """At 16 kHz."""
    if shutil.which("flite") is None:
        raise SystemExit("flite is missing: apt-get install flite")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", path], check=True)
        with wave.open(str(path)) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)


def _by_telephone(spoken: Samples) -> Samples:
    loudest = spoken * 12_000 / np.abs(spoken).max()
    said = [PCMU.decode(frame) for frame in frames(resample_poly(loudest, RATE, 16_000))]
    return np.concatenate(said).astype(float)


def frames(samples: Samples) -> list[bytes]:
    """PCMU, 20 ms each."""
    whole = samples[: len(samples) // FRAME * FRAME].astype(np.int16)
    return [PCMU.encode(array("h", frame.tolist())) for frame in whole.reshape(-1, FRAME)]


def played(line: Line, since: int, buffer: float = 0.08) -> Samples:
    """What a phone with a buffer of so many seconds plays of what came after `since` (ns).

    The buffer holds from the least delayed packet on. What is missing or later is concealed as
    phones do: the last period of the voice goes on and fades within 60 ms.
    """
    came = [(at, packet) for at, packet in line.heard if at >= since]
    first = came[0][1].timestamp
    timed = [(at / 1e9, _distance(packet.timestamp, first), packet) for at, packet in came]
    deadline = min(at - place / RATE for at, place, _ in timed) + buffer
    kept = {
        place: PCMU.decode(packet.payload)
        for at, place, packet in timed
        if at - place / RATE <= deadline
    }
    sound = np.zeros(max(kept) + FRAME)
    there = np.zeros(len(sound), bool)
    for at, decoded in kept.items():
        if at >= 0:
            size = min(len(decoded), len(sound) - at)
            sound[at : at + size] = decoded[:size]
            there[at : at + size] = True
    return _concealed(sound, there)


def _distance(timestamp: int, first: int) -> int:
    return (timestamp - first + 2**31) % 2**32 - 2**31


def _concealed(sound: Samples, there: NDArray[np.bool_]) -> Samples:
    """Gaps are filled with the repeated last period, at full loudness for 10 ms, none after 60."""
    edges = np.flatnonzero(np.diff(np.concatenate(([1], there.view(np.int8), [1]))))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if start < 400:
            continue
        past = sound[start - 400 : start]
        recent = past[-160:]
        likeness = [
            np.dot(recent, past[-160 - lag : -lag])
            / np.sqrt(np.dot(past[-160 - lag : -lag], past[-160 - lag : -lag]) + 1)
            for lag in range(40, 121)
        ]
        period = past[-(40 + int(np.argmax(likeness))) :]
        size = end - start
        fade = np.clip((480 - np.arange(size)) / 400, 0, 1)
        sound[start:end] = np.resize(period, size) * fade
    return sound


def scores(said: Samples, heard: Samples) -> dict[str, float]:
    """Mean PESQ (MOS-LQO) over pieces of 10 s and STOI over pieces of 2 s, each aligned by itself.

    PESQ follows a delay that changes, as a phone's buffer makes it; STOI does not.
    """
    return {
        "pesq": _mean(said, heard, 10.0, _pesq),
        "stoi": _mean(said, heard, 2.0, _stoi),
    }


def _pesq(said: Samples, heard: Samples) -> float:
    return float(pesq(RATE, said, heard, "nb"))


def _stoi(said: Samples, heard: Samples) -> float:
    return float(stoi(said, heard, RATE))


def _mean(
    said: Samples, heard: Samples, piece: float, judge: Callable[[Samples, Samples], float]
) -> float:
    size = min(int(piece * RATE), len(said))
    lag = _lag(said, heard)
    found: list[float] = []
    for start in range(0, len(said) - size + 1, size):
        original = said[start : start + size]
        if level_db(original) < 40:
            continue
        around = max(start + lag - RATE // 4, 0)
        near = heard[around : around + size + RATE // 2]
        at = max(_lag(original, near), 0)
        copy = near[at : at + size]
        found.append(judge(original, np.pad(copy, (0, size - len(copy)))))
    return float(np.mean(found))


def _lag(said: Samples, heard: Samples) -> int:
    """How many samples later `said` begins in `heard`."""
    return int(np.argmax(correlate(heard, said, "full", "fft"))) - len(said) + 1


def lateness_ms(speaker: Line) -> float:
    """How late the phone itself sent its packets, the one of a hundred that was latest."""
    first = min(speaker.sent)
    due = {at: speaker.sent[first] + (at - first) * PACE * 1e9 for at in speaker.sent}
    late = np.array([speaker.sent[at] - due[at] for at in speaker.sent]) / 1e6
    return float(np.percentile(late - late.min(), 99))


def delays(said: Samples, speaker: Line, listener: Line, since: int) -> list[float]:
    """One-way delay in ms of each stretch of 400 ms that is loud enough to be found again.

    It runs from the sending of the packet that holds its first sample to the arrival of the packet
    that brings it.
    """
    came = [(at, packet) for at, packet in listener.heard if at >= since]
    first = came[0][1].timestamp
    arrivals = {_distance(packet.timestamp, first): at for at, packet in came}
    sound = np.zeros(max(arrivals) + FRAME)
    for _, packet in came:
        at = _distance(packet.timestamp, first)
        decoded = PCMU.decode(packet.payload)
        sound[at : at + FRAME] = decoded[: len(sound) - at]
    lag, size = _lag(said, sound), int(0.4 * RATE)
    found = []
    for start in range(0, len(said) - size, size // 2):
        stretch = said[start : start + size]
        if np.sqrt(np.mean(stretch**2)) < 300:
            continue
        around = max(start + lag - 1_600, 0)
        if around + size > len(sound):
            break
        at = around + _likest(stretch, sound[around : around + size + 3_200])
        place = at // FRAME * FRAME
        begins = min(
            (known for known in arrivals if known <= at), key=lambda k: at - k, default=place
        )
        if start // FRAME in speaker.sent and at - begins < FRAME:
            left = speaker.sent[start // FRAME] + start % FRAME / RATE * 1e9
            found.append((arrivals[begins] + (at - begins) / RATE * 1e9 - left) / 1e6)
    return found


def _likest(stretch: Samples, near: Samples) -> int:
    """Where in `near` the stretch is: the place most like it, however loud others are."""
    found = correlate(near, stretch, "valid", "fft")
    energy = np.cumsum(np.concatenate(([0.0], near**2)))
    loudness = np.sqrt(energy[len(stretch) :] - energy[: -len(stretch)] + 1)
    return int(np.argmax(found / loudness))


def aligned(said: Samples, heard: Samples) -> Samples:
    """`heard` from where `said` begins in it, and as long."""
    found = heard[max(_lag(said, heard), 0) :][: len(said)]
    return np.pad(found, (0, len(said) - len(found)))


def level_db(samples: Samples) -> float:
    """Mean power in dB above one step of 16 bits, of digital silence 0."""
    return float(10 * np.log10(np.mean(samples**2) + 1))


def rms(samples: Samples) -> float:
    """The root of the mean power."""
    return float(np.sqrt(np.mean(samples**2)))


def pauses(said: Samples) -> NDArray[np.bool_]:
    """Which samples are a tenth of a second away from every frame within 50 dB of the loudest.

    The first second is left out: what measures noise has to learn it.
    """
    sounding = _by_frame(said, lambda power: power >= power.max() * 1e-5)
    near = np.convolve(sounding, np.ones(RATE // 5 + 1), "same") > 0.5
    near[:RATE] = True
    return ~near


def loud(said: Samples) -> NDArray[np.bool_]:
    """Which samples are in frames within 20 dB of the loudest."""
    return _by_frame(said, lambda power: power > power.max() * 1e-2)


def _by_frame(said: Samples, judge: Callable[[Samples], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    whole = said[: len(said) // FRAME * FRAME].reshape(-1, FRAME)
    found = np.repeat(judge(np.mean(whole**2, axis=1)), FRAME)
    return np.pad(found, (0, len(said) - len(found)))


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50 and p99 of what was measured."""
    return {"p50": float(np.percentile(values, 50)), "p99": float(np.percentile(values, 99))}
