//! Silence that lasts too long, speakers, players that end.

use std::time::Duration;

use switchroom_engine::command::{Command, Direction};
use switchroom_engine::event::{Event, LegEvent};

use crate::world::{FRAME, World};

const LIMIT: Duration = Duration::from_secs(3);

#[test]
fn a_phone_that_falls_silent_is_told_once_and_again_after_it_came_back() {
    let mut world = World::new();
    let mut phone = world.call(0);
    world.update(&phone, |media| media.media_timeout = Some(LIMIT));
    world.talk(10, &mut [(&mut phone, 0x10)]);
    let fell_silent = world.now - FRAME - world.started;
    world.forget();
    world.pass(Duration::from_secs(10));
    assert_eq!(world.told(&phone), [LegEvent::MediaTimedOut]);
    let late = world.events[0].0 - fell_silent - LIMIT;
    assert!(late <= Duration::from_millis(10), "{late:?}");
    world.talk(10, &mut [(&mut phone, 0x10)]);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.told(&phone), [LegEvent::MediaTimedOut, LegEvent::MediaTimedOut]);
}

#[test]
fn a_phone_that_never_speaks_is_told_too() {
    let mut world = World::new();
    let phone = world.open();
    world.update(&phone, |media| media.media_timeout = Some(LIMIT));
    world.pass(LIMIT - FRAME);
    assert_eq!(world.told(&phone), []);
    world.pass(FRAME * 2);
    assert_eq!(world.told(&phone), [LegEvent::MediaTimedOut]);
}

#[test]
fn an_answer_after_a_long_ringing_gives_the_phone_its_whole_time() {
    let mut world = World::new();
    let phone = world.open();
    world.update(&phone, |media| media.media_timeout = Some(LIMIT));
    world.pass(LIMIT - FRAME);
    world.update(&phone, |media| media.media_timeout = Some(LIMIT));
    world.pass(LIMIT - FRAME);
    assert_eq!(world.told(&phone), []);
    world.pass(FRAME * 2);
    assert_eq!(world.told(&phone), [LegEvent::MediaTimedOut]);
}

#[test]
fn the_patience_before_the_first_packet_may_be_another_one() {
    let mut world = World::new();
    for first in [LIMIT * 3, LIMIT / 3] {
        let mut phone = world.open();
        let media = |media: &mut switchroom_engine::command::LegMedia| {
            (media.media_timeout, media.first_timeout) = (Some(LIMIT), Some(first));
        };
        world.update(&phone, media);
        world.pass(first - FRAME);
        assert_eq!(world.told(&phone), []);
        world.pass(FRAME * 2);
        assert_eq!(world.told(&phone), [LegEvent::MediaTimedOut]);
        world.forget();
        world.update(&phone, media);
        world.talk(10, &mut [(&mut phone, 0x10)]);
        world.forget();
        world.pass(LIMIT - FRAME * 2);
        assert_eq!(world.told(&phone), []);
        world.pass(FRAME * 2);
        assert_eq!(world.told(&phone), [LegEvent::MediaTimedOut]);
    }
}

#[test]
fn a_phone_on_hold_may_be_silent_and_gets_its_whole_time_afterwards() {
    let mut world = World::new();
    let phone = world.open();
    let hold = |direction| {
        move |media: &mut switchroom_engine::command::LegMedia| {
            media.media_timeout = Some(LIMIT);
            media.direction = direction;
        }
    };
    world.update(&phone, hold(Direction::SendOnly));
    world.pass(LIMIT * 3);
    assert_eq!(world.told(&phone), []);
    world.update(&phone, hold(Direction::SendRecv));
    world.pass(LIMIT - FRAME);
    assert_eq!(world.told(&phone), []);
    world.pass(FRAME * 2);
    assert_eq!(world.told(&phone), [LegEvent::MediaTimedOut]);
}

#[test]
fn who_speaks_is_told_with_its_leg_and_source() {
    let mut world = World::new();
    let mut phone = world.call(0);
    world.talk(50, &mut [(&mut phone, 0x10)]);
    world.pass(Duration::from_secs(2));
    let levels: Vec<(u64, u64, bool)> = world
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Level { owner, source, active, .. } => Some((*owner, *source, *active)),
            _ => None,
        })
        .collect();
    let (leg, source) = (phone.ids.leg, phone.ids.source);
    assert_eq!(levels.first(), Some(&(leg, source, true)));
    assert_eq!(levels.last(), Some(&(leg, source, false)));
}

#[test]
fn a_player_that_ends_is_told_once_and_one_that_repeats_never() {
    let mut world = World::new();
    let once = world.play(400.0, -20.0, 0.5, false);
    let ever = world.play(400.0, -20.0, 0.5, true);
    world.pass(Duration::from_secs(3));
    let ended: Vec<(Duration, u64)> = world
        .events
        .iter()
        .filter_map(|(at, event)| match event {
            Event::PlayerFinished { player } => Some((*at, *player)),
            _ => None,
        })
        .collect();
    let [(at, player)] = ended[..] else { panic!("{ended:?}") };
    assert_eq!(player, once.player);
    assert!((500..=520).contains(&at.as_millis()), "{at:?}");
    assert_eq!(world.stats().players, 2);
    for player in [once.player, ever.player] {
        world.command(Command::StopPlayer { player });
    }
    assert_eq!((world.stats().players, world.stats().sources), (0, 0));
}

#[test]
fn flowing_calls_share_their_wake_ups() {
    let mut world = World::new();
    let mut phones: Vec<_> = (0..40).map(|_| world.call(0)).collect();
    for pair in 0..20 {
        let (a, b) = (phones[2 * pair].clone(), phones[2 * pair + 1].clone());
        world.hear(&a, &[&b]);
        world.hear(&b, &[&a]);
    }
    let filled = |world: &mut World| -> Vec<u64> {
        world.stats().legs.iter().map(|leg| leg.filled_out).collect()
    };
    let (mut wake_ups, mut filled_at_first) = (0, Vec::new());
    for frame in 0..200_u32 {
        if frame == 10 {
            filled_at_first = filled(&mut world);
        }
        for (n, phone) in phones.iter_mut().enumerate() {
            // Each at its own phase of the 20 ms.
            let at = world.started + FRAME * (frame + 10) + Duration::from_micros(487) * n as u32;
            while let Some(due) = world.engine.next_deadline().filter(|due| *due <= at) {
                let time = due.saturating_duration_since(world.now);
                world.pass(time);
                wake_ups += 1;
            }
            let time = at.saturating_duration_since(world.now);
            world.pass(time);
            world.say(phone, 0x10);
        }
    }
    assert!(wake_ups <= 500, "{wake_ups} in 4 s, beside 8,000 packets");
    assert_eq!(filled(&mut world), filled_at_first);
}
