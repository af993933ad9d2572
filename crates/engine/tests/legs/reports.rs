//! RTCP with phones.

use std::time::Duration;

use switchroom_engine::LegPort;
use switchroom_engine::command::Command;
use switchroom_rtp::rtcp::{
    self, ReportBlock, RtcpPacket, SenderInfo, middle_of_ntp, ntp_time, parse_compound,
};

use crate::world::{FRAME, Phone, Sent, World};

fn reports(world: &World, phone: &Phone) -> Vec<Sent> {
    let to_phone = |sent: &&Sent| sent.leg == phone.key && rtp_is_not(sent);
    world.sent.iter().filter(to_phone).cloned().collect()
}

fn rtp_is_not(sent: &Sent) -> bool {
    switchroom_rtp::is_rtcp(&sent.bytes)
}

fn packets(sent: &Sent) -> Vec<RtcpPacket<'_>> {
    parse_compound(&sent.bytes).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_sender_report_with_a_name_goes_to_the_port_above() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.talk(500, &mut [(&mut a, 0x10)]);
    let sent = reports(&world, &a);
    assert!((1..=5).contains(&sent.len()), "{} in 10 s", sent.len());
    let report = sent.last().unwrap();
    assert_eq!(report.port, LegPort::Rtcp);
    assert_eq!(report.to.port(), a.address.port() + 1);
    let [RtcpPacket::SenderReport { ssrc, info, reports }, description] = packets(report)[..]
    else {
        panic!("{:?}", packets(report))
    };
    let heard = world.heard(&a);
    assert_eq!(ssrc, heard[0].header().ssrc);
    assert!(info.packets >= 100 && info.octets == info.packets * 160);
    assert_eq!(info.ntp >> 32, 1_700_000_000 + 2_208_988_800 + report.at.as_secs());
    let near = heard.iter().rfind(|rtp| rtp.at <= report.at).unwrap();
    let apart = info.rtp_timestamp.wrapping_sub(near.header().timestamp).cast_signed();
    assert!(apart.abs() <= 320, "RTP and NTP time name the same moment: {apart}");
    let block = reports.iter().next().unwrap();
    assert_eq!((block.ssrc, block.cumulative_lost), (a.ssrc, 0));
    let RtcpPacket::SourceDescription { cname: Some(name), .. } = description else {
        panic!("{description:?}")
    };
    assert!(name.ends_with(b"@192.0.2.1"));
}

#[test]
fn a_phone_that_reports_on_its_rtp_port_is_answered_there() {
    let mut world = World::new();
    let mut phone = world.call(0);
    let mut datagram = Vec::new();
    rtcp::write_receiver_report(phone.ssrc, &[], &mut datagram);
    world.deliver_rtcp(&phone, LegPort::Rtp, &datagram);
    world.talk(500, &mut [(&mut phone, 0x10)]);
    let sent = reports(&world, &phone);
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|sent| sent.port == LegPort::Rtp && sent.to == phone.address));
}

#[test]
fn loss_jitter_and_round_trip_are_measured_on_both_sides() {
    let mut world = World::new();
    let mut phone = world.call(0);
    for n in 0..500 {
        if n % 10 == 0 {
            phone.skip(1);
        } else {
            world.say(&mut phone, 0x10);
        }
        world.pass(FRAME);
    }
    let sent = reports(&world, &phone);
    let RtcpPacket::SenderReport { ssrc, info, reports } = packets(sent.last().unwrap())[0] else {
        panic!()
    };
    let block = reports.iter().next().unwrap();
    assert!((20..=31).contains(&block.fraction_lost), "{}", block.fraction_lost);
    assert!(block.cumulative_lost > 10);

    world.pass(Duration::from_millis(1_080));
    let now = ntp_time(1_700_000_000_000_000_000 + (world.now - world.started).as_nanos() as u64);
    let late = middle_of_ntp(now).wrapping_sub(middle_of_ntp(info.ntp));
    let answer = ReportBlock {
        ssrc,
        cumulative_lost: 9,
        last_sender_report: middle_of_ntp(info.ntp),
        delay_since: late - 65_536 / 20, // all but 50 ms of it was the phone's
        ..ReportBlock::default()
    };
    let mut datagram = Vec::new();
    rtcp::write_sender_report(phone.ssrc, &SenderInfo::default(), &[answer], &mut datagram);
    world.deliver_rtcp(&phone, LegPort::Rtcp, &datagram);
    let stats = world.stats().legs[0].clone();
    assert_eq!(stats.lost_out, 9);
    let trip = stats.round_trip.unwrap().as_millis();
    assert!((49..=51).contains(&trip), "{trip} ms");
    assert!((40..=60).contains(&stats.received.lost), "{}", stats.received.lost);
}

#[test]
fn reports_of_strangers_are_ignored() {
    let mut world = World::new();
    let mut phone = world.call(0);
    world.talk(10, &mut [(&mut phone, 0x10)]);
    let stranger = Phone { address: "203.0.113.1:9".parse().unwrap(), ..phone.clone() };
    let mut datagram = Vec::new();
    rtcp::write_receiver_report(1, &[], &mut datagram);
    world.deliver_rtcp(&stranger, LegPort::Rtcp, &datagram);
    world.talk(500, &mut [(&mut phone, 0x10)]);
    assert!(world.sent.iter().all(|sent| sent.to.ip() == phone.address.ip()));
    assert_eq!(world.stats().legs[0].received.strangers, 1);
}

#[test]
fn a_closed_leg_says_good_bye_before_its_ports_are_closed() {
    let mut world = World::new();
    let mut phone = world.call(0);
    world.talk(500, &mut [(&mut phone, 0x10)]);
    world.forget();
    world.command(Command::CloseLeg { leg: phone.ids.leg });
    let sent = reports(&world, &phone);
    let [report] = &sent[..] else { panic!("{sent:?}") };
    assert!(matches!(packets(report).last(), Some(RtcpPacket::Goodbye { .. })));
    assert_eq!(world.closed, [phone.key]);
}

#[test]
fn on_hold_reports_go_on_as_those_of_a_receiver() {
    let mut world = World::new();
    let mut phone = world.call(0);
    world.update(&phone, |media| {
        media.direction = switchroom_engine::command::Direction::RecvOnly;
    });
    world.talk(500, &mut [(&mut phone, 0x10)]);
    world.forget();
    world.talk(500, &mut [(&mut phone, 0x10)]);
    let sent = reports(&world, &phone);
    assert!(!sent.is_empty());
    let receiver = |sent: &Sent| matches!(packets(sent)[0], RtcpPacket::ReceiverReport { .. });
    assert!(sent.iter().all(receiver));
}
