"""Session descriptions and the offer/answer rules; pure text and values.

`description` reads and writes RFC 8866, `codecs` names what can be sent, `offer_answer` decides for
plain RTP calls (RFC 3264), `webrtc` and `webrtc_offer` fit descriptions to what LiveKit's clients
expect. Nothing here reads a clock or a socket. The only exception raised is `errors.SdpError`.
"""
