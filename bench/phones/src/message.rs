//! As much of SIP's text as a phone on a clean network needs (RFC 3261 §7).

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// A received message, borrowed from its datagram.
pub(crate) struct Message<'a> {
    /// The whole.
    pub(crate) text: &'a str,
    start: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a str,
}

impl<'a> Message<'a> {
    pub(crate) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(datagram).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (long_name(name.trim()), value.trim()))
            .collect();
        Some(Self { text, start, headers, body })
    }

    /// Method and request URI, of a request.
    pub(crate) fn request(&self) -> Option<(&'a str, &'a str)> {
        let mut words = self.start.split(' ');
        let (method, uri, version) = (words.next()?, words.next()?, words.next()?);
        (version == "SIP/2.0").then_some((method, uri))
    }

    /// Status code, of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let mut found = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.next().map(|&(_, value)| value)
    }

    /// The method of the `CSeq` header.
    pub(crate) fn sequence_method(&self) -> Option<&'a str> {
        self.header("CSeq")?.split_whitespace().nth(1)
    }

    /// The URI of the Contact header, without brackets and parameters behind them.
    pub(crate) fn contact(&self) -> Option<&'a str> {
        let value = self.header("Contact")?;
        match value.split_once('<') {
            Some((_, rest)) => rest.split_once('>').map(|(uri, _)| uri),
            None => value.split(';').next(),
        }
    }

    /// A response to this request: what RFC 3261 §8.2.6.2 has copied, then `more` headers.
    pub(crate) fn response(&self, status: &str, tag: &str, more: &str, body: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for &(name, value) in &self.headers {
            let copied = ["Via", "Record-Route", "From", "Call-ID", "CSeq"];
            if copied.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                let _ = write!(text, "{name}: {value}\r\n");
            } else if name.eq_ignore_ascii_case("To") {
                let tag =
                    if value.contains(";tag=") { String::new() } else { format!(";tag={tag}") };
                let _ = write!(text, "To: {value}{tag}\r\n");
            }
        }
        finish(text, more, body)
    }
}

/// Ends a message: its last headers, the length, the body.
pub(crate) fn finish(mut text: String, more: &str, body: &str) -> String {
    let _ = write!(text, "{more}Content-Length: {}\r\n\r\n{body}", body.len());
    text
}

/// The number at the end of a URI's user part: "sip:+15550000012@host" is phone 12.
pub(crate) fn phone_of_uri(uri: &str) -> Option<u32> {
    let user = uri.split_once(':')?.1.split('@').next()?;
    let digits: String = user.chars().filter(char::is_ascii_digit).collect();
    digits.get(digits.len().checked_sub(6)?..)?.parse().ok()
}

/// Where a session description wants sound sent: connection address and port of the audio.
pub(crate) fn media_address(sdp: &str) -> Option<SocketAddr> {
    let connection = sdp.lines().find_map(|line| line.strip_prefix("c=IN IP4 "))?;
    let audio = sdp.lines().find_map(|line| line.strip_prefix("m=audio "))?;
    let ip: IpAddr = connection.trim().parse().ok()?;
    let port = audio.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

/// An offer or answer with PCMU only, which is what is measured.
pub(crate) fn session_description(ip: IpAddr, port: u16) -> String {
    format!(
        "v=0\r\no=- {port} 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// RFC 3261 §7.3.3.
fn long_name(name: &str) -> &str {
    match name {
        "v" | "V" => "Via",
        "f" | "F" => "From",
        "t" | "T" => "To",
        "i" | "I" => "Call-ID",
        "m" | "M" => "Contact",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:+15550000012@192.0.2.2:5070 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nf: <sip:a@192.0.2.1>;tag=1\r\n\
        t: <sip:+15550000012@192.0.2.2>\r\nCall-ID: abc\r\nCSeq: 7 INVITE\r\n\
        Contact: <sip:192.0.2.1:5060;transport=udp>;x=y\r\nContent-Length: 3\r\n\r\nv=0";

    #[test]
    fn an_invite_is_read_and_answered() {
        let message = Message::parse(INVITE.as_bytes()).unwrap();
        assert_eq!(message.request(), Some(("INVITE", "sip:+15550000012@192.0.2.2:5070")));
        assert_eq!(message.contact(), Some("sip:192.0.2.1:5060;transport=udp"));
        assert_eq!(message.body, "v=0");
        let response = message.response("200 OK", "2", "Contact: <sip:b>\r\n", "");
        let response = Message::parse(response.as_bytes()).unwrap();
        assert_eq!(response.status(), Some(200));
        assert_eq!(response.sequence_method(), Some("INVITE"));
        assert_eq!(response.header("To"), Some("<sip:+15550000012@192.0.2.2>;tag=2"));
        assert_eq!(response.header("call-id"), Some("abc"));
    }

    #[test]
    fn a_number_names_its_phone() {
        assert_eq!(phone_of_uri("sip:+15550000012@host"), Some(12));
        assert_eq!(phone_of_uri("sip:000345@host;user=phone"), Some(345));
        assert_eq!(phone_of_uri("sip:12@host"), None);
        assert_eq!(phone_of_uri("garbage"), None);
    }

    #[test]
    fn the_media_address_of_an_own_description_is_found() {
        let ip: IpAddr = "192.0.2.7".parse().unwrap();
        let address = media_address(&session_description(ip, 4_000));
        assert_eq!(address, Some(SocketAddr::new(ip, 4_000)));
        assert_eq!(media_address("v=0\r\nm=audio x"), None);
    }

    #[test]
    fn damage_is_no_message() {
        assert!(Message::parse(b"\xFF\xFE\r\n\r\n").is_none());
        assert!(Message::parse(b"OPTIONS sip:x SIP/2.0\r\n").is_none());
        let odd = Message::parse(b"x\r\n:\r\n\r\n").unwrap();
        assert_eq!((odd.request(), odd.status(), odd.contact()), (None, None, None));
    }
}
