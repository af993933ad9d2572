use switchroom_engine::event::Event;

use crate::tone::{OpusTone, Tone, mu_law};
use crate::world::World;

fn levels(world: &World, of: u64) -> Vec<(f32, bool)> {
    let level = |event: &Event| match event {
        Event::Level { source, level, active, .. } if *source == of => Some((*level, *active)),
        _ => None,
    };
    world.events.iter().filter_map(level).collect()
}

/// The client's own level header is believed: −15 dBov here, whatever the payload.
#[test]
fn a_client_that_speaks_and_falls_silent_is_told_as_such() {
    let mut world = World::new();
    let guest = world.join(|offer| offer);
    let source = world.guests[guest].source;
    let mut tone = OpusTone::new(440.0, -15.0);
    world.talk(2_000, |world| {
        let now = world.now;
        world.guests[guest].client.send_audio(now, "s0", 111, &tone.packet());
    });
    let told = levels(&world, source);
    assert!(told.iter().any(|(level, active)| *active && *level > 0.0), "{told:?}");
    world.pass(std::time::Duration::from_secs(3));
    assert_eq!(levels(&world, source).last(), Some(&(0.0, false)));
}

#[test]
fn a_phone_that_speaks_is_told_by_its_samples() {
    let mut world = World::new();
    let phone = world.call();
    let source = world.phones[phone].ids.source;
    let mut tone = Tone::new(300.0, -12.0, 8_000);
    world.talk(2_000, |world| world.say(phone, &mu_law(&tone.frame())));
    assert!(levels(&world, source).iter().any(|(_, active)| *active));
}
