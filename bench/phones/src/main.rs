//! Many SIP phones and WebRTC agents in one process: the load of the benchmarks.
//!
//! ```text
//! switchroom-phones IP:PORT
//! ```
//!
//! All phones share the SIP address given; each call has an RTP port of its own. A phone is known
//! by the last six digits of the number that is called. Phones 2n and 2n + 1 are partners: what
//! one says the other should hear. Commands come on standard input, one a line; news go to
//! standard output, one JSON object a line, times in nanoseconds since 1970:
//!
//! ```text
//! answer MS                     answer so long after an INVITE (0: at once)
//! play speech|bursts|tone|silence  what all of them say
//! begin                         begin a window of measurement
//! end                           end it and print its figures
//! call PHONE HOST:PORT NUMBER   call a number
//! hangup PHONE|all              end calls
//! agent NUMBER                  make a WebRTC client; news: its offer
//! widen-agent NUMBER COUNT      let it offer so many sections more on which it hears
//! answer-agent NUMBER SDP       the answer, its lines separated by \n in two characters
//! drop-agents                   let all of them go
//! quit
//! ```

mod agent;
mod call;
mod ear;
mod exchange;
mod measure;
mod message;
mod signalling;
mod sound;
mod stream;
mod system;

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::time::Duration;

use exchange::{Exchange, tell};
use sound::Play;

fn main() -> ExitCode {
    let Some(address) = std::env::args().nth(1).and_then(|address| address.parse().ok()) else {
        return fail("usage: switchroom-phones IP:PORT");
    };
    match Exchange::new(address) {
        Ok(exchange) => run(exchange),
        Err(error) => fail(&format!("can't listen on {address}: {error}")),
    }
}

fn fail(reason: &str) -> ExitCode {
    tell(&format!("{{\"event\":\"failed\",\"reason\":{reason:?}}}"));
    ExitCode::FAILURE
}

fn run(mut exchange: Exchange) -> ExitCode {
    system::come_first();
    tell(&format!("{{\"event\":\"ready\",\"address\":\"{}\"}}", exchange.local));
    let mut commands = Commands::default();
    loop {
        let fds = [exchange.fd(), io::stdin().as_raw_fd()];
        let [sip, command] = system::wait(fds, exchange.idle_time());
        if sip {
            exchange.receive();
        }
        exchange.tick();
        if command {
            for line in commands.read() {
                if line == "quit" {
                    return ExitCode::SUCCESS;
                }
                if obey(&mut exchange, &line).is_none() {
                    tell(&format!("{{\"event\":\"unknown_command\",\"command\":{line:?}}}"));
                }
            }
        }
        if commands.closed {
            return ExitCode::SUCCESS;
        }
    }
}

fn obey(exchange: &mut Exchange, line: &str) -> Option<()> {
    let mut words = line.split_whitespace();
    match (words.next()?, words.next()) {
        ("answer", Some(ms)) => exchange.set_answer_after(Duration::from_millis(ms.parse().ok()?)),
        ("play", Some("speech")) => exchange.set_play(Play::Speech),
        ("play", Some("bursts")) => exchange.set_play(Play::Bursts),
        ("play", Some("tone")) => exchange.set_play(Play::Tone),
        ("play", Some("silence")) => exchange.set_play(Play::Silence),
        ("begin", None) => exchange.begin_window(),
        ("end", None) => exchange.end_window(),
        ("agent", Some(number)) => exchange.add_agent(number.parse().ok()?),
        ("widen-agent", Some(number)) => {
            exchange.widen_agent(number.parse().ok()?, words.next()?.parse().ok()?)?;
        }
        ("answer-agent", Some(number)) => {
            let sdp = line.splitn(3, ' ').nth(2)?.replace("\\n", "\r\n");
            exchange.connect_agent(number.parse().ok()?, &sdp)?;
        }
        ("agents", Some("take-opus")) => exchange.set_narrow_agents(false),
        ("agents", Some("take-all")) => exchange.set_narrow_agents(true),
        ("drop-agents", None) => exchange.drop_agents(),
        ("hangup", Some("all")) => exchange.hang_up(None),
        ("hangup", Some(phone)) => exchange.hang_up(Some(phone.parse().ok()?)),
        ("call", Some(phone)) => {
            let (host, number) = (words.next()?, words.next()?);
            exchange.call(phone.parse().ok()?, &format!("sip:{number}@{host}"), host.parse().ok()?);
        }
        _ => return None,
    }
    Some(())
}

/// Standard input, cut into lines.
#[derive(Default)]
struct Commands {
    rest: Vec<u8>,
    closed: bool,
}

impl Commands {
    /// Lines that are complete. Called when there is something to read.
    fn read(&mut self) -> Vec<String> {
        let mut buffer = [0; 16_384];
        match io::stdin().lock().read(&mut buffer) {
            Ok(0) | Err(_) => self.closed = true,
            Ok(size) => self.rest.extend_from_slice(&buffer[..size]),
        }
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
            return Vec::new();
        };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect()
    }
}
