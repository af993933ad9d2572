use std::time::Duration;

use switchroom_engine::peer::{ChannelLabel, PeerError, PeerEvent, PeerId};

use crate::world::{World, ms};

fn send(world: &mut World, client: usize, label: ChannelLabel, payload: &[u8]) {
    world.with(client, |peer, now, out| peer.send_data(now, label, payload, out)).unwrap();
}

#[test]
fn messages_go_both_ways_on_all_three_channels() {
    let mut world = World::new();
    let client = world.join(1, 0);
    for label in [ChannelLabel::Reliable, ChannelLabel::Lossy, ChannelLabel::DataTrack] {
        world.clients[client].send_data(label.as_str(), b"up");
        send(&mut world, client, label, b"down");
    }
    world.run_for(ms(100));
    for label in [ChannelLabel::Reliable, ChannelLabel::Lossy, ChannelLabel::DataTrack] {
        let up = |event: &PeerEvent| {
            matches!(event,
            PeerEvent::DataReceived(on, message) if *on == label && **message == *b"up")
        };
        assert!(world.events_of(client).iter().any(up), "{label:?}");
        let messages = &world.clients[client].messages;
        assert!(messages.contains(&(label.as_str().into(), b"down".to_vec())), "{label:?}");
    }
}

/// SCTP has no empty chunks: libwebrtc would abort the association.
#[test]
fn an_empty_message_is_dropped_and_harms_nothing() {
    let mut world = World::new();
    let client = world.join(1, 0);
    for label in [ChannelLabel::Reliable, ChannelLabel::Lossy] {
        send(&mut world, client, label, b"");
        send(&mut world, client, label, b"after");
    }
    world.run_for(ms(200));
    assert_eq!(world.clients[client].messages.len(), 2);
    assert!(world.clients[client].messages.iter().all(|(_, message)| message == b"after"));
    assert_eq!(world.table.counters(PeerId(0)).unwrap().data_dropped, 2);
}

/// str0m takes 128 KiB and refuses the rest: 4.5 MB at once must wait and arrive in order.
#[test]
fn a_flood_of_reliable_messages_arrives_whole_and_in_order() {
    for loss_percent in [0, 5] {
        let mut world = World::new();
        let client = world.join(1, 0);
        world.loss_percent = loss_percent;
        for n in 0..300_u16 {
            let mut message = vec![n as u8; 15_000];
            message[..2].copy_from_slice(&n.to_be_bytes());
            send(&mut world, client, ChannelLabel::Reliable, &message);
        }
        world.run_for(Duration::from_secs(300));
        let numbers: Vec<u16> = world.clients[client]
            .messages
            .iter()
            .map(|(_, message)| u16::from_be_bytes([message[0], message[1]]))
            .collect();
        assert_eq!(numbers, (0..300).collect::<Vec<_>>(), "at {loss_percent} % loss");
        assert!(world.clients[client].messages.iter().all(|(_, message)| message.len() == 15_000));
    }
}

#[test]
fn reliable_messages_sent_before_the_channel_opens_wait_for_it() {
    let mut world = World::new();
    let client = world.add_client(switchroom_engine::peer::PeerKind::Answerer);
    world.clients[client].add_section("r0", crate::client::Direction::RecvOnly);
    send(&mut world, client, ChannelLabel::Reliable, b"one");
    send(&mut world, client, ChannelLabel::Lossy, b"gone");
    world.negotiate(client);
    send(&mut world, client, ChannelLabel::Reliable, b"two");
    world.run_for(ms(500));
    let reliable = |text: &[u8]| ("_reliable".to_owned(), text.to_vec());
    assert_eq!(world.clients[client].messages, [reliable(b"one"), reliable(b"two")]);
    assert_eq!(world.table.counters(PeerId(0)).unwrap().data_dropped, 1);
}

#[test]
fn a_flood_of_lossy_messages_is_dropped_and_reliable_ones_get_through() {
    let mut world = World::new();
    let client = world.join(1, 0);
    for _ in 0..1_000 {
        send(&mut world, client, ChannelLabel::Lossy, &[0; 1_000]);
    }
    send(&mut world, client, ChannelLabel::Reliable, b"still there");
    world.run_for(ms(2_000));
    let messages = &world.clients[client].messages;
    assert!(messages.contains(&("_reliable".into(), b"still there".to_vec())));
    let arrived = messages.iter().filter(|(label, _)| label == "_lossy").count() as u64;
    let dropped = world.table.counters(PeerId(0)).unwrap().data_dropped;
    assert!(arrived + dropped <= 1_000 && arrived < 64, "{arrived} arrived, {dropped} dropped");
}

#[test]
fn a_client_that_never_takes_its_reliable_data_is_cut_off() {
    let mut world = World::new();
    let client = world.join(1, 0);
    world.clients[client].dead = true;
    for _ in 0..700 {
        let id = PeerId(client as u64);
        if world.table.ids().any(|living| living == id) {
            send(&mut world, client, ChannelLabel::Reliable, &[0; 15_000]);
        }
    }
    assert!(matches!(world.events_of(client).last(), Some(PeerEvent::Failed(reason))
        if reason.contains("reliable data")));
    assert!(world.table.is_empty());
}

#[test]
fn a_client_that_opens_channel_after_channel_is_cut_off() {
    let mut world = World::new();
    let client = world.join(1, 0);
    for n in 0..40 {
        world.clients[client].open_channel(&format!("more{n}"));
        world.run_for(ms(20));
    }
    assert!(matches!(world.events_of(client).last(), Some(PeerEvent::Failed(reason))
        if reason.contains("channels")));
}

#[test]
fn channels_of_other_names_are_tolerated_and_not_heard() {
    let mut world = World::new();
    let client = world.join(1, 0);
    world.clients[client].open_channel("chat");
    world.run_for(ms(100));
    world.clients[client].send_data("chat", b"hello");
    world.run_for(ms(100));
    let heard = |event: &PeerEvent| matches!(event, PeerEvent::DataReceived(..));
    assert!(!world.events_of(client).iter().any(heard));
}

#[test]
fn a_message_longer_than_the_channels_allow_is_refused() {
    let mut world = World::new();
    let client = world.join(1, 0);
    let error = world
        .with(client, |peer, now, out| {
            peer.send_data(now, ChannelLabel::Reliable, &vec![0; 65_536], out)
        })
        .unwrap_err();
    assert_eq!(error, PeerError::TooLarge(65_536));
    send(&mut world, client, ChannelLabel::Reliable, &vec![1; 65_535]);
    send(&mut world, client, ChannelLabel::Reliable, b"after");
    world.run_for(ms(3_000));
    assert_eq!(world.clients[client].messages.last().unwrap().1, b"after");
    assert_eq!(world.clients[client].messages[0].1.len(), 65_535);
}

/// Whoever hears our events may be slow; what waits for it has a limit, and counts again once it
/// was taken.
#[test]
fn a_client_that_floods_us_is_cut_off_unless_its_messages_are_taken() {
    let mut world = World::new();
    let taken = world.join(1, 0);
    let hoarded = world.join(1, 0);
    let events = |world: &World, client: usize| world.events_of(client);
    for _ in 0..400 {
        for client in [taken, hoarded] {
            if world.table.len() == 2 || client == taken {
                world.clients[client].send_data("_reliable", &[7; 60_000]);
            }
        }
        world.run_for(ms(50));
        let hoard = PeerId(hoarded as u64);
        let message = |event: &PeerEvent| matches!(event, PeerEvent::DataReceived(..));
        world.events.retain(|(_, peer, event)| *peer == hoard || !message(event));
    }
    assert!(matches!(events(&world, hoarded).last(), Some(PeerEvent::Failed(reason))
        if reason.contains("floods")));
    assert!(!events(&world, taken).iter().any(|event| matches!(event, PeerEvent::Failed(_))));
    assert_eq!(world.table.len(), 1);
}
