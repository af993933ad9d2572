//! RTP, RTCP, telephone events and the jitter buffer: bytes and time in, packets out.
