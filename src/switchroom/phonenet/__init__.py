"""The simulated phone network: a carrier with phones, in a process of its own.

It speaks SIP over UDP and TCP and RTP over UDP to whoever calls, like any carrier, and shares
neither process nor media code with the server it is called by. ::

    python -m switchroom.phonenet [--bind IP] [--port 5070] [--any-port]
                                  [--numbers FILE.py] [--messages FOLDER] [--username NAME]
                                  [--pretty] [--detached]

It runs until its standard input closes or SIGTERM or SIGINT comes, then ends its calls and itself.
Lines on its standard input are orders to place a call (`orders`).
With ``--detached`` its input is left alone. With ``--username`` callers must log in (digest, 407),
by the password in the environment variable ``SWITCHROOM_PHONENET_PASSWORD``. Exit status: 0, 1 if
it cannot listen, 2 for bad usage.

Its standard output has one JSON object a line (``--pretty``: text for people). The first is
``{"event":"ready","time":…,"address":"127.0.0.1:5070","username":"","numbers":[…]}``, written when
calls can come in; each number has ``number``, ``name`` and ``does``. Then, for each call:

================  ==================================================================================
``called``        ``call`` (its id), ``number``, ``caller``, ``caller_name``, ``sip_call_id``,
                  ``headers`` (the ``X-`` ones)
``dials``         ``call``, ``number``, ``caller``, ``name``, ``to``, ``sip_call_id``: a phone of
                  ours places a call; the events below are then seen from its side
``ringing``       ``status``: 180, or 183 with early media
``answered``      ``codec``, ``media`` (where the caller wants its sound)
``rejected``      ``status``, ``reason``
``plays``         ``sound``: what the phone begins to play
``said``          ``text``, ``seconds``: what the phone begins to say, and how long it takes
``hears``         ``what`` (``silence``, ``sound``, ``tone``), ``level_dbov``, ``tone_hz``: what it
                  hears has changed and stayed so for half a second
``listened``      ``heard``: a listening of its script is over
``understood``    ``text`` (empty if it made no sense), ``began``, ``ended`` (Unix seconds),
                  ``replied_after`` (seconds since the phone's last word, or null): what the caller
                  said
``digit``         ``digit``, ``duration_ms``: the caller pressed a key
``held``          ``direction``: the caller changed the media
``noted``         ``note``: a remark of the phone's script
``failed``        ``error``: the phone's script broke
``ended``         ``by`` (``caller``, ``phone``, ``network``), ``reason``, ``number``,
                  ``ring_seconds``, ``talk_seconds``, ``heard``, ``digits``, ``packets_sent``,
                  ``packets_received``, ``lost``, ``jitter_ms``: once for each call, last, but for
                  an ``understood`` or ``message_kept``, which take their time
``message_kept``  ``path`` (WAV), ``seconds``, ``transcript``, ``because`` (``hung up``,
                  ``silence``, ``limit``): a mailbox has a message
================  ==================================================================================

An order that cannot be followed is answered by ``misunderstood`` with ``error``.

All have ``event`` and ``time`` (Unix seconds), those of a call have ``call``. ``heard`` is an
object: ``seconds``, ``audible_seconds``, ``level_dbov`` (mean), ``quietest_dbov``,
``loudest_dbov``, ``tone_hz`` (null if it was no tone), ``gaps``, ``longest_gap_ms``, ``matched``.
The last line of all is ``{"event":"stopped","time":…,"calls":…}``.

`client.PhoneNetwork` runs it from tests; `script` has the words to write a phone with.
"""
