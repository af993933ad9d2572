"""The four transaction machines of RFC 3261 section 17, as corrected by RFC 6026 and RFC 4320."""
