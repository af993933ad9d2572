//! What the phones say to SIP messages: the least that RFC 3261 lets a telephone get away with.

use std::net::SocketAddr;

use crate::call::{Call, Dialog, State};
use crate::exchange::{Exchange, event};
use crate::message::{Message, media_address, phone_of_uri};
use crate::system::now_ns;

impl Exchange {
    /// Reads what has arrived on the SIP socket.
    pub(crate) fn receive(&mut self) {
        let mut arrived = Vec::new();
        self.socket.drain(&mut self.inbox, |at, from, datagram| {
            arrived.push((at, from, datagram.to_vec()));
        });
        for (at, from, datagram) in arrived {
            if let Some(message) = Message::parse(&datagram) {
                match message.request() {
                    Some((method, uri)) => self.request(at, from, &message, (method, uri)),
                    None => self.response(at, &message),
                }
            }
        }
    }

    fn request(
        &mut self,
        at: u64,
        from: SocketAddr,
        message: &Message<'_>,
        (method, uri): (&str, &str),
    ) {
        let known = message.header("Call-ID").and_then(|id| self.by_id.get(id)).copied();
        match (method, known) {
            ("INVITE", None) => self.called(at, from, message, uri),
            ("INVITE", Some(index)) => self.called_again(index, from, message),
            ("ACK", Some(index)) => self.acknowledged(index, at),
            ("ACK", None) => {}
            ("BYE", Some(index)) => {
                self.respond(message, "200 OK", from);
                self.end_at(index, "bye", at);
            }
            ("CANCEL", Some(index)) => self.cancelled(index, at, from, message),
            ("OPTIONS", _) => self.respond(message, "200 OK", from),
            (_, None) => self.respond(message, "481 Call Does Not Exist", from),
            (_, Some(_)) => self.respond(message, "501 Not Implemented", from),
        }
    }

    /// A phone is called: it rings, or answers at once.
    fn called(&mut self, at: u64, from: SocketAddr, message: &Message<'_>, uri: &str) {
        let (Some(phone), Some(id)) = (phone_of_uri(uri), message.header("Call-ID")) else {
            return self.respond(message, "404 Not Found", from);
        };
        let Ok(mut stream) = self.open_stream(phone) else {
            return self.respond(message, "503 No Port", from);
        };
        event("invite", phone, at);
        stream.remote = media_address(message.body);
        let to = message.header("To").unwrap_or_default();
        let dialog = Dialog {
            local: self.local.to_string(),
            from: format!("{to};tag={}", Call::tag(phone)),
            to: message.header("From").unwrap_or_default().to_owned(),
            target: message.contact().unwrap_or_default().to_owned(),
            sequence: 1,
        };
        let mut call = Call::new(phone, State::Ringing, id.to_owned(), from, stream, dialog);
        message.text.clone_into(&mut call.invite);
        if self.answer_after_ns > 0 {
            let ringing = message.response("180 Ringing", &Call::tag(phone), "", "");
            self.socket.send(ringing.as_bytes(), from);
            call.wake = Some(now_ns() + self.answer_after_ns);
        }
        let index = self.add(call);
        self.arm(index);
        if self.answer_after_ns == 0 {
            self.answer(index);
        }
    }

    /// Sends the 200 of a ringing call, and again until it is acknowledged.
    pub(crate) fn answer(&mut self, index: usize) {
        let Some(call) = self.calls[index].as_mut() else { return };
        let Some(answer) =
            Message::parse(call.invite.as_bytes()).map(|invite| call.answer(&invite))
        else {
            return;
        };
        let now = now_ns();
        self.socket.send(answer.as_bytes(), call.peer);
        call.state = State::Answered;
        call.repeat(now, answer);
        event("answered", call.phone, now);
        self.arm(index);
    }

    /// A copy of the INVITE, or a new offer in the dialog: both get the present answer.
    fn called_again(&mut self, index: usize, from: SocketAddr, message: &Message<'_>) {
        let Some(call) = self.calls[index].as_mut() else { return };
        let answer = match call.state {
            State::Answered => call.pending().map(str::to_owned),
            State::Talking => {
                call.stream.remote = media_address(message.body).or(call.stream.remote);
                Some(call.answer(message))
            }
            _ => None,
        };
        if let Some(answer) = answer {
            self.socket.send(answer.as_bytes(), from);
        }
    }

    fn acknowledged(&mut self, index: usize, at: u64) {
        if let Some(call) = &mut self.calls[index]
            && call.state == State::Answered
        {
            call.state = State::Talking;
            call.settle();
            event("talking", call.phone, at);
        }
    }

    fn cancelled(&mut self, index: usize, at: u64, from: SocketAddr, cancel: &Message<'_>) {
        self.respond(cancel, "200 OK", from);
        let Some(call) = self.calls[index].as_ref() else { return };
        if call.state != State::Ringing {
            return;
        }
        if let Some(invite) = Message::parse(call.invite.as_bytes()) {
            let tag = Call::tag(call.phone);
            let refusal = invite.response("487 Request Terminated", &tag, "", "");
            self.socket.send(refusal.as_bytes(), from);
        }
        self.end_at(index, "cancelled", at);
    }

    /// A response to our INVITE or BYE.
    fn response(&mut self, at: u64, message: &Message<'_>) {
        let known = message.header("Call-ID").and_then(|id| self.by_id.get(id)).copied();
        let (Some(index), Some(status)) = (known, message.status()) else { return };
        let Some(call) = self.calls[index].as_mut() else { return };
        match (message.sequence_method(), status) {
            (Some("INVITE"), 100..200) => call.settle(),
            (Some("INVITE"), 200..300) => {
                let ack = call.acknowledge(message, false);
                self.socket.send(ack.as_bytes(), call.peer);
                if call.state == State::Calling {
                    call.settle();
                    call.state = State::Talking;
                    call.stream.remote = media_address(message.body);
                    event("talking", call.phone, at);
                }
            }
            (Some("INVITE"), _) => {
                let ack = call.acknowledge(message, true);
                self.socket.send(ack.as_bytes(), call.peer);
                self.end_at(index, "refused", at);
            }
            (Some("BYE"), 200..) => self.end(index, "ended"),
            _ => {}
        }
    }

    fn end_at(&mut self, index: usize, why: &str, at: u64) {
        if let Some(call) = &self.calls[index] {
            event(why, call.phone, at);
        }
        self.end(index, "ended");
    }

    fn respond(&self, message: &Message<'_>, status: &str, to: SocketAddr) {
        self.socket.send(message.response(status, "none", "", "").as_bytes(), to);
    }
}
