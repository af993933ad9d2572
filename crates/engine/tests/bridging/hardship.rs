//! What a phone hears of a client whose packets are lost, or who falls silent (DTX).

use std::time::Duration;

use switchroom_codecs::level;
use switchroom_netem::Conditions;

use crate::tone::{OpusTone, from_mu_law, level_of};
use crate::world::World;

const PLAIN: u8 = 111;
const REDUNDANT: u8 = 63;

/// A client that a phone hears.
struct Call {
    world: World,
    guest: usize,
    phone: usize,
    tone: OpusTone,
    last: Vec<u8>,
}

impl Call {
    fn new() -> Self {
        let mut world = World::new();
        let (guest, phone) = (world.join(|offer| offer), world.call());
        let (source, sink) = (world.guests[guest].source, world.phones[phone].ids.sink);
        world.hears(sink, &[source]);
        world.forget();
        Self { world, guest, phone, tone: OpusTone::new(440.0, -20.0), last: Vec::new() }
    }

    /// 20 ms of the tone, with a copy of those before it if asked for.
    fn say(&mut self, payload_type: u8) {
        let packet = self.tone.packet();
        let payload = match payload_type {
            REDUNDANT => with_copy(&self.last, &packet),
            _ => packet.clone(),
        };
        self.last = packet;
        let now = self.world.now;
        self.world.guests[self.guest].client.send_audio(now, "s0", payload_type, &payload);
        self.world.pass(Duration::from_millis(20));
    }

    /// A frame of comfort noise, after which nothing is sent for `milliseconds`.
    fn fall_silent(&mut self, milliseconds: u32) {
        let comfort = [self.last[0]];
        let now = self.world.now;
        let client = &mut self.world.guests[self.guest].client;
        client.send_audio(now, "s0", PLAIN, &comfort);
        client.pause((milliseconds - 20) * 48);
        self.world.pass(Duration::from_millis(milliseconds.into()));
    }

    fn heard(&self) -> Vec<i16> {
        self.world.phones[self.phone]
            .heard
            .iter()
            .flat_map(|payload| from_mu_law(payload))
            .collect()
    }

    /// Frames of the phone's sound in which the tone is missing.
    fn holes(&self) -> usize {
        let heard = self.heard();
        heard.chunks(160).filter(|frame| level_of(440.0, frame) < -26.0).count()
    }
}

fn with_copy(last: &[u8], packet: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    if !last.is_empty() {
        let size = last.len();
        let earlier = 960_u16;
        payload.extend([0x80 | PLAIN, (earlier >> 6) as u8]);
        payload.push(((earlier & 0x3f) << 2) as u8 | (size >> 8) as u8);
        payload.push(size as u8);
    }
    payload.push(PLAIN);
    payload.extend(last);
    payload.extend(packet);
    payload
}

fn losing(loss: f64) -> Conditions {
    Conditions { loss, ..Conditions::default() }
}

#[test]
fn a_lost_packet_whose_copy_comes_with_the_next_is_as_if_it_had_not_been_lost() {
    let talk = |payload_type: u8, lossy: bool| {
        let mut call = Call::new();
        for n in 0..200 {
            let lost = lossy && n > 20 && n % 5 == 3;
            call.world.worsen(losing(if lost { 1.0 } else { 0.0 }));
            call.say(payload_type);
        }
        call
    };
    let (whole, redundant) = (talk(PLAIN, false), talk(REDUNDANT, true));
    let (whole, redundant) = (&whole.world.phones[0].heard, &redundant.world.phones[0].heard);
    // What comes is the same to the last octet, up to the pace of the very end.
    assert!(redundant.len() >= 199, "{}", redundant.len());
    assert!(whole[..199] == redundant[..199]);
    let plain = talk(PLAIN, true);
    assert!(whole[..199] != plain.world.phones[0].heard[..199]);
}

#[test]
fn copies_hold_a_voice_together_on_a_bad_network() {
    let conditions = Conditions {
        loss: 0.1,
        burst: 0.2,
        jitter: Duration::from_millis(15),
        ..Conditions::default()
    };
    let talk = |payload_type: u8| {
        let mut call = Call::new();
        call.world.worsen(conditions);
        for _ in 0..1_000 {
            call.say(payload_type);
        }
        call.holes()
    };
    let (plain, redundant) = (talk(PLAIN), talk(REDUNDANT));
    assert!(redundant * 3 <= plain, "{redundant} holes with copies, {plain} without");
}

#[test]
fn a_copy_that_lies_about_its_kind_or_is_empty_is_not_played() {
    let mut call = Call::new();
    for _ in 0..50 {
        call.say(REDUNDANT);
    }
    let sent = |call: &Call| call.world.phones[0].heard.len();
    let now = call.world.now;
    let before = sent(&call);
    let client = &mut call.world.guests[0].client;
    for odd in [&[][..], &[0xff; 40], &[0x80 | 9, 0, 0, 1, PLAIN], &[9, 1, 2, 3], &[PLAIN]] {
        client.send_audio(now, "s0", REDUNDANT, odd);
    }
    call.world.pass(Duration::from_millis(15));
    assert!(sent(&call) <= before + 1);
    for _ in 0..50 {
        call.say(REDUNDANT);
    }
    let heard = call.heard();
    assert!(level_of(440.0, &heard[heard.len() - 4_000..]) > -21.0);
}

#[test]
fn a_client_that_falls_silent_is_silence_and_its_next_word_begins_whole() {
    for jitter in [0, 12, 25] {
        let mut call = Call::new();
        let jitter = Duration::from_millis(jitter);
        call.world.worsen(Conditions { jitter, ..Conditions::default() });
        let mut spoken = 0;
        for word in [50, 30, 45, 20, 33, 27] {
            for _ in 0..word {
                call.say(PLAIN);
            }
            spoken += word;
            for _ in 0..3 {
                call.fall_silent(400);
            }
        }
        assert_paced(&call);
        let heard = call.heard();
        let loud = heard.chunks(160).filter(|frame| level::of_samples(frame) <= 35).count();
        // Each word may ring on for a moment where it ends.
        assert!((spoken..=spoken + 18).contains(&loud), "{loud} of {spoken} with {jitter:?}");
        assert_words_are_whole(&heard);
    }
}

/// One stream of 50 packets a second: numbers and times go on, and nothing comes in a burst.
fn assert_paced(call: &Call) {
    let headers = &call.world.phones[call.phone].headers;
    for pair in headers.windows(2) {
        let ((before, a), (after, b)) = (&pair[0], &pair[1]);
        assert_eq!(b.sequence, a.sequence.wrapping_add(1));
        assert_eq!(b.timestamp.wrapping_sub(a.timestamp), 160);
        let apart = *after - *before;
        assert!(
            apart <= Duration::from_millis(60),
            "{apart:?} before {}",
            b.sequence.wrapping_sub(headers[0].1.sequence)
        );
    }
    let burst = headers.windows(4).any(|four| four[3].0 - four[0].0 < Duration::from_millis(5));
    assert!(!burst, "four packets at once");
}

/// Between two silences the tone has its level from its first frame to its last.
fn assert_words_are_whole(heard: &[i16]) {
    let levels: Vec<u8> = heard.chunks(160).map(level::of_samples).collect();
    let words: Vec<&[u8]> =
        levels.split(|level| *level > 45).filter(|word| word.len() > 5).collect();
    assert_eq!(words.len(), 6, "{levels:?}");
    for word in words {
        let inside = &word[1..word.len() - 4];
        assert!(inside.iter().all(|level| (18..=22).contains(level)), "{word:?}");
    }
}

#[test]
fn a_client_that_stalls_in_mid_word_loses_none_of_it_and_its_delay_ends_with_the_word() {
    for stall in [100_u32, 300, 460] {
        let mut call = Call::new();
        let mut spoken = 0;
        for _ in 0..3 {
            for _ in 0..20 {
                call.say(PLAIN);
            }
            // What its process could not send meanwhile comes all at once.
            let held: Vec<Vec<u8>> = (0..stall / 20).map(|_| call.tone.packet()).collect();
            call.world.pass(Duration::from_millis(stall.into()));
            for packet in &held {
                let now = call.world.now;
                call.world.guests[call.guest].client.send_audio(now, "s0", PLAIN, packet);
                call.last.clone_from(packet);
            }
            for _ in 0..20 {
                call.say(PLAIN);
            }
            spoken += 40 + held.len();
            for _ in 0..3 {
                call.fall_silent(400);
            }
        }
        let heard = call.heard();
        let loud = heard.chunks(160).filter(|frame| level::of_samples(frame) <= 35).count();
        assert!(loud >= spoken - 1, "{loud} of {spoken} after {stall} ms");
        // In the end as much was sent as time has passed: no delay is left.
        let headers = &call.world.phones[call.phone].headers;
        let passed = headers[headers.len() - 1].0 - headers[0].0;
        let sent = Duration::from_millis(20) * (headers.len() as u32 - 1);
        assert!(sent <= passed + Duration::from_millis(25), "{sent:?} in {passed:?}");
        // Each stall is waited for a little before its gap is filled.
        assert!(sent + Duration::from_millis(210) >= passed, "{sent:?} in {passed:?}");
    }
}

#[test]
fn a_client_that_sends_faster_than_time_cannot_put_off_what_comes_after_it() {
    let mut call = Call::new();
    for _ in 0..1_000 {
        let packet = call.tone.packet();
        let now = call.world.now;
        let client = &mut call.world.guests[call.guest].client;
        // Each begins anew a little later, as if a word began.
        client.pause(480);
        client.send_audio(now, "s0", PLAIN, &packet);
        call.world.pass(Duration::from_millis(5));
    }
    let sent = call.world.phones[call.phone].headers.len();
    call.world.pass(Duration::from_secs(4));
    let filled = call.world.phones[call.phone].headers.len() - sent;
    assert!(filled > 75, "{filled} packets in 4 s");
}
