"""The parts of RESULTS.md about how things sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sound(figures: Mapping[str, Any]) -> str:
    """Quality and delay by condition and path."""
    rows = [
        "| network | path | PESQ (MOS-LQO) | STOI | delay p50 / p99 (ms) | phone late (ms) |",
        "|---|---|---|---|---|---|",
    ]
    for condition in figures["conditions"]:
        for path, found in condition["paths"].items():
            late = found.get("delay_ms")
            delay = f"{late['p50']:.1f} / {late['p99']:.1f}" if late else ""
            phone = f"{found['phone_late_ms']:.1f}" if "phone_late_ms" in found else ""
            rows.append(
                f"| {condition['name']} | {path} | {found['pesq']:.2f} | {found['stoi']:.3f} "
                f"| {delay} | {phone} |"
            )
    return (
        f"{figures['seconds']:.0f} s of speech (flite) in PCMU, through all bridges at the same "
        "time, heard by the same phone with a buffer of 80 ms and concealment of its own. "
        '"No bridge" is that phone alone, and its packets are never late. "Phone late": how much '
        "later than it should have the speaking phone sent its latest packet. Whoever buffers "
        "hears that as jitter, and STOI, which follows no delay, takes each change of it for a "
        "loss: one packet in half a minute that is 60 ms late costs 0.02, one of 120 ms 0.04, "
        "however well it is hidden.\n\n" + "\n".join(rows)
    )


def noise(figures: Mapping[str, Any]) -> str:
    """What is left of each noise, and what the voice is worth before and after."""
    rows = [
        "| noise | less between the words | before the first | the voice's level | PESQ | STOI |",
        "|---|---|---|---|---|---|",
    ]
    for row in figures["noises"]:
        less = f"**{row['between_words_db']:.1f} dB** | {row['before_words_db']:.1f} dB"
        rows.append(
            f"| {row['name']} | {less if row['name'] != 'none' else ' | '} "
            f"| {row['voice_db']:+.1f} dB "
            f"| {row['before']['pesq']:.2f} → {row['after']['pesq']:.2f} "
            f"| {row['before']['stoi']:.3f} → {row['after']['stoi']:.3f} |"
        )
    return (
        f"{figures['seconds']:.0f} s of speech (flite) in sentences, 0.6 to 4 s apart, mixed with "
        f"recordings of real noise {figures['snr_db']:.0f} dB below it, through a call with "
        "`krisp_enabled` (PCMU both ways). PESQ and STOI: before → after. The last row is speech "
        "without noise: what the call itself and suppression cost. The phones sent 99 % of their "
        f"packets less than {figures['late_ms']:.1f} ms late: a later one is heard as jitter.\n\n"
        + "\n".join(rows)
    )
