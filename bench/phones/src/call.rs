//! One call of one phone, and the SIP it speaks.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::message::{Message, finish, session_description};
use crate::stream::Stream;

/// RFC 3261 T1 and T2: the first and the longest time between two copies of a message.
const T1_NS: u64 = 500_000_000;
const T2_NS: u64 = 4_000_000_000;
/// 64 T1: when a message without answer is given up.
const GIVE_UP_NS: u64 = 64 * T1_NS;

/// How far a call is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// They called: it rings until the timer says to answer.
    Ringing,
    /// We answered; the ACK is awaited.
    Answered,
    /// We called; an answer is awaited.
    Calling,
    Talking,
    /// We sent BYE.
    Leaving,
}

/// A call, seen from the phone.
pub(crate) struct Call {
    pub(crate) phone: u32,
    pub(crate) state: State,
    pub(crate) id: String,
    /// Where SIP for this call is sent.
    pub(crate) peer: SocketAddr,
    pub(crate) stream: Stream,
    /// When something is due: an answer, or the next copy of `pending`.
    pub(crate) wake: Option<u64>,
    /// The INVITE this phone was called with.
    pub(crate) invite: String,
    /// The response or request that is repeated until it is acknowledged.
    pending: Option<Pending>,
    dialog: Dialog,
}

struct Pending {
    message: String,
    interval: u64,
    give_up: u64,
}

/// What a request inside the dialog is made of.
pub(crate) struct Dialog {
    /// Our Via sent-by and Contact: "ip:port".
    pub(crate) local: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) target: String,
    pub(crate) sequence: u32,
}

/// What is left to do after a timer.
pub(crate) enum Due {
    /// Answer the ringing call.
    Answer,
    /// Send this copy.
    Repeat(String),
    /// The far end is gone.
    GiveUp,
}

impl Call {
    pub(crate) fn new(
        phone: u32,
        state: State,
        id: String,
        peer: SocketAddr,
        stream: Stream,
        dialog: Dialog,
    ) -> Self {
        let invite = String::new();
        Self { phone, state, id, peer, stream, wake: None, invite, pending: None, dialog }
    }

    /// The tag this phone puts on its side of every dialog.
    pub(crate) fn tag(phone: u32) -> String {
        format!("p{phone}")
    }

    pub(crate) fn description(&self) -> String {
        let ip = self.dialog.local.split(':').next().and_then(|ip| ip.parse().ok());
        match (ip, self.stream.port()) {
            (Some(ip), Ok(port)) => session_description(ip, port),
            _ => String::new(),
        }
    }

    /// The headers of a message that carries a description.
    fn content_headers(&self) -> String {
        format!("Contact: <sip:{}>\r\nContent-Type: application/sdp\r\n", self.dialog.local)
    }

    pub(crate) fn answer(&self, invite: &Message<'_>) -> String {
        let (headers, body) = (self.content_headers(), self.description());
        invite.response("200 OK", &Self::tag(self.phone), &headers, &body)
    }

    pub(crate) fn invite(&self) -> String {
        let text = self.request_head("INVITE", self.dialog.sequence);
        finish(text, &self.content_headers(), &self.description())
    }

    /// The ACK of a 2xx; `refused` makes it that of a refusal (RFC 3261 §17.1.1.3: same branch).
    pub(crate) fn acknowledge(&mut self, response: &Message<'_>, refused: bool) -> String {
        if let Some(to) = response.header("To") {
            to.clone_into(&mut self.dialog.to);
        }
        if let Some(contact) = response.contact().filter(|_| !refused) {
            contact.clone_into(&mut self.dialog.target);
        }
        let branch = if refused { "INVITE" } else { "ACK" };
        let text = self.request_with_branch("ACK", branch, self.dialog.sequence);
        finish(text, "", "")
    }

    /// Takes over what the answer to our INVITE says about the dialog, and makes the BYE.
    pub(crate) fn bye(&mut self) -> String {
        self.dialog.sequence += 1;
        finish(self.request_head("BYE", self.dialog.sequence), "", "")
    }

    fn request_head(&self, method: &str, sequence: u32) -> String {
        self.request_with_branch(method, method, sequence)
    }

    fn request_with_branch(&self, method: &str, branch: &str, sequence: u32) -> String {
        let Dialog { local, from, to, target, .. } = &self.dialog;
        let mut text = format!("{method} {target} SIP/2.0\r\n");
        let branch = format!("z9hG4bK-{}-{branch}-{sequence}", self.id);
        let _ = write!(text, "Via: SIP/2.0/UDP {local};branch={branch}\r\nMax-Forwards: 70\r\n");
        let _ = write!(text, "From: {from}\r\nTo: {to}\r\nCall-ID: {}\r\n", self.id);
        let _ = write!(text, "CSeq: {sequence} {method}\r\n");
        text
    }

    /// Sends `message` again and again from `now` on, until [`Self::settle`].
    pub(crate) fn repeat(&mut self, now: u64, message: String) {
        self.pending = Some(Pending { message, interval: T1_NS, give_up: now + GIVE_UP_NS });
        self.wake = Some(now + T1_NS);
    }

    /// The pending message has been acknowledged.
    pub(crate) fn settle(&mut self) {
        self.pending = None;
        self.wake = None;
    }

    /// A copy of the pending message, for a far end that asks again.
    pub(crate) fn pending(&self) -> Option<&str> {
        self.pending.as_ref().map(|pending| pending.message.as_str())
    }

    /// Called when `wake` has come.
    pub(crate) fn due(&mut self, now: u64) -> Due {
        self.wake = None;
        let Some(pending) = &mut self.pending else { return Due::Answer };
        if now >= pending.give_up {
            return Due::GiveUp;
        }
        pending.interval = (pending.interval * 2).min(T2_NS);
        self.wake = Some(now + pending.interval);
        Due::Repeat(pending.message.clone())
    }
}
