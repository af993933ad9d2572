"""A script that several tests converse with."""

from __future__ import annotations

from switchroom.offline.script_file import read_script

DENTIST = read_script(
    """\
facts:
  - "The patient's name is {patient}."
  - "appointment is on {when}"
defaults: {clinic: Bright Smile Dental}
lists:
  weekday: [Monday, Tuesday, Wednesday]
rules:
  - when: start
    say: "Hello, this is {clinic}. Am I speaking with {patient}?"
    next: who

  - hears: ["yes", "[yes] speaking", this is (he | she)]
    in: who
    say: "You have an appointment on {when}. Can you come?"
    next: confirm

  - hears: ["yes", "[yes] I confirm"]
    in: confirm
    say: One moment.
    call: confirm
    with: {patient: "{patient}", visits: "2", first: "true"}
    next: done

  - hears: ["can I move it to {weekday}"]
    say: "I have moved it to {weekday}."

  - after: confirm
    result: ... full ...
    say: "Sorry, we are full: {result.reason}."
    next: confirm

  - after: confirm
    say: "Thank you, {patient}. Goodbye."
    call: end_call

  - told: ["... leave a message ..."]
    say: "A message for {patient}."
    next: done

  - when: otherwise
    say: ["Sorry, could you say that again?", "I still did not understand. {last}"]
"""
)
