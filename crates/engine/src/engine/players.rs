//! Players in the engine.

use std::time::Instant;

use super::{Engine, Handle, next_tick, on_grid};
use crate::deadlines::Timer;
use crate::event::Event;
use crate::output::Output;
use crate::player::{Player, PlayerIds, PlayerKey, PlayerSound};
use crate::source::Source;

impl Engine {
    /// Plays something from now on, whether anybody hears it or not.
    pub fn play(&mut self, now: Instant, ids: PlayerIds, sound: PlayerSound) {
        let source = self.graph.add_source(Source::new(ids.source, ids.player));
        self.next_stream += 1;
        let player = Player::new(ids, source, sound, self.next_stream);
        let key = PlayerKey(self.players.insert(player));
        self.handles.insert(ids.player, Handle::Player(key));
        self.handles.insert(ids.source, Handle::Source(source));
        let at = on_grid(self.config.started, now);
        self.deadlines.schedule(Timer::Player(key), at, &mut self.players[key.0].scheduled);
    }

    pub(super) fn stop_player(&mut self, id: u64) {
        let Some(Handle::Player(key)) = self.handles.get(&id).copied() else { return };
        let player = self.players.remove(key.0);
        self.handles.remove(&id);
        self.handles.remove(&player.ids.source);
        self.graph.remove_source(player.source);
    }

    pub(super) fn player_timeout(
        &mut self,
        now: Instant,
        at: Instant,
        key: PlayerKey,
        out: &mut Output,
    ) {
        let Some(player) = self.players.get_mut(key.0) else { return };
        if player.scheduled != Some(at) {
            return;
        }
        player.scheduled = None;
        let (id, source) = (player.ids.player, player.source);
        let Some(samples) = player.play() else {
            out.events.push(Event::PlayerFinished { player: id });
            return;
        };
        self.graph.distribute_samples(now, source, &samples, &mut self.peers, out);
        let next = next_tick(now, at);
        self.deadlines.schedule(Timer::Player(key), next, &mut player.scheduled);
    }
}
