from __future__ import annotations

import subprocess
import sys

from switchroom.base.ids import ALPHABET, new_id, random_token


def test_an_id_is_its_prefix_and_twelve_letters_of_livekits_alphabet() -> None:
    sid = new_id("RM_")
    assert sid.startswith("RM_")
    assert len(sid) == 15
    assert set(sid[3:]) <= set(ALPHABET)


def test_every_letter_can_stand_in_every_place() -> None:
    drawn = [new_id("") for _ in range(2000)]
    assert all({sid[place] for sid in drawn} == set(ALPHABET) for place in range(12))


def test_the_alphabet_has_no_letters_that_are_mistaken_for_one_another() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 57
    assert not set("01IOl") & set(ALPHABET)


def test_ids_and_tokens_do_not_repeat() -> None:
    assert len({new_id("") for _ in range(1000)}) == 1000
    assert len({random_token(64) for _ in range(1000)}) == 1000


def test_a_token_holds_at_least_the_bits_asked_for() -> None:
    assert len(random_token(128)) == 32
    assert len(random_token(33)) == 10


def test_a_forked_process_draws_ids_of_its_own() -> None:
    script = """
import os
from switchroom.base.ids import new_id
new_id("")
heard, told = os.pipe()
if not os.fork():
    os.write(told, new_id("").encode())
    os._exit(0)
theirs = os.read(heard, 100).decode()
os.wait()
print(new_id(""), theirs)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    ours, theirs = run.stdout.split()
    assert ours != theirs
