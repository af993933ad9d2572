//! The keys of a phone in its sound (ITU-T Q.23, DTMF): two sines at once, one of a row of the
//! keypad and one of a column.
//!
//! A window of 25 ms moves on by 10 ms. It is a key if nearly all of its energy is in one
//! frequency of each group (ITU-T Q.24 has the tolerances), and two in a row begin a press. A voice
//! has harmonics and moves, so it does not hold two such sines alone for 35 ms.

use std::f64::consts::TAU;

const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYPAD: [[char; 4]; 4] =
    [['1', '2', '3', 'a'], ['4', '5', '6', 'b'], ['7', '8', '9', 'c'], ['*', '0', '#', 'd']];

/// Length of the window and of its step.
const WINDOW_MS: u32 = 25;
const STEP_MS: u32 = 10;

/// Frequencies may be off by 1.5 % (Q.24); each is looked for in its place and this much beside it.
const BESIDE: f64 = 0.01;

/// Windows in a row that begin a key: with two, tones of 40 ms are heard and those of 23 are not.
const BEGINNING: u32 = 2;
/// Windows without it that end a key: it may be interrupted for 10 ms (Q.24) and not for 40.
const ENDING: u32 = 4;

/// Mean square of the quietest key: -36 dBm0, ten below what Q.24 asks for.
const QUIETEST: f64 = 250.0;
/// Part of the window's energy that is in the two sines.
const PURITY: f64 = 0.85;
/// The same before the frequencies are looked for in detail.
const LIKELY: f64 = 0.4;
/// How much stronger a sine is than the others of its group: 8 dB.
const DISTINCT: f64 = 6.3;
/// How much stronger the column may be than the row (5 dB), and the row than the column (9 dB).
const COLUMN_OVER_ROW: f64 = 3.2;
const ROW_OVER_COLUMN: f64 = 8.0;

/// A key that was pressed and let go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeardKey {
    /// `0`–`9`, `*`, `#`, `a`–`d`.
    pub digit: char,
    /// How long it sounded, to within 10 ms.
    pub duration_ms: u32,
}

/// Listens to one stream.
#[derive(Clone, Debug)]
pub struct KeyDetector {
    sample_rate: f64,
    step: usize,
    /// The last samples, oldest first; the window is their end.
    past: Vec<f32>,
    window: usize,
    /// The key of the last windows, and how many have had it.
    key: Option<char>,
    heard: u32,
    /// Windows since it was heard last.
    missed: u32,
}

impl KeyDetector {
    /// For sound at 8,000 samples a second or more.
    #[must_use]
    pub fn new(sample_rate: u32) -> Self {
        let samples = |ms: u32| (sample_rate * ms / 1_000).max(1) as usize;
        let window = samples(WINDOW_MS);
        Self {
            sample_rate: f64::from(sample_rate),
            step: samples(STEP_MS),
            past: vec![0.0; window],
            window,
            key: None,
            heard: 0,
            missed: 0,
        }
    }

    /// Listens to a piece of any size; the key that ended in it. Of several that ended in a piece
    /// longer than 100 ms only the last is told.
    pub fn hear(&mut self, samples: &[i16]) -> Option<HeardKey> {
        let mut ended = None;
        let mut rest = samples;
        while !rest.is_empty() {
            let wanted = self.window + self.step - self.past.len();
            let (now, later) = rest.split_at(wanted.min(rest.len()));
            self.past.extend(now.iter().map(|&sample| f32::from(sample)));
            rest = later;
            if self.past.len() == self.window + self.step {
                self.past.drain(..self.step);
                let key = self.key_in_window();
                ended = self.follow(key).or(ended);
            }
        }
        ended
    }

    fn follow(&mut self, key: Option<char>) -> Option<HeardKey> {
        if key.is_some() && key == self.key {
            // An interruption is part of the key.
            self.heard += 1 + std::mem::take(&mut self.missed);
            return None;
        }
        self.missed += 1;
        let over = self.heard < BEGINNING || self.missed >= ENDING || key.is_some();
        if !over {
            return None;
        }
        let ended = self.ended();
        (self.key, self.heard, self.missed) = (key, u32::from(key.is_some()), 0);
        ended
    }

    /// What was heard so far, if it was a key: all windows but the last start in it.
    fn ended(&self) -> Option<HeardKey> {
        let digit = self.key.filter(|_| self.heard >= BEGINNING)?;
        Some(HeardKey { digit, duration_ms: self.heard * STEP_MS + WINDOW_MS / 2 })
    }

    fn key_in_window(&self) -> Option<char> {
        let energy: f64 = self.past.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        if energy < QUIETEST * self.window as f64 {
            return None;
        }
        let (row, row_strength) = self.strongest(&ROWS)?;
        let (column, column_strength) = self.strongest(&COLUMNS)?;
        if row_strength + column_strength < LIKELY * energy {
            return None;
        }
        let row_strength = self.strength_near(ROWS[row], row_strength);
        let column_strength = self.strength_near(COLUMNS[column], column_strength);
        let pure = row_strength + column_strength >= PURITY * energy;
        let balanced = column_strength <= row_strength * COLUMN_OVER_ROW
            && row_strength <= column_strength * ROW_OVER_COLUMN;
        (pure && balanced).then_some(KEYPAD[row][column])
    }

    /// The strongest frequency of a group, if it stands out.
    fn strongest(&self, group: &[f64; 4]) -> Option<(usize, f64)> {
        let strengths = group.map(|hz| self.strength(hz));
        let (at, most) = strengths.into_iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let distinct = |(other, strength): (usize, &f64)| other == at || strength * DISTINCT < most;
        strengths.iter().enumerate().all(distinct).then_some((at, most))
    }

    fn strength_near(&self, hz: f64, there: f64) -> f64 {
        let beside = [1.0 - BESIDE, 1.0 + BESIDE].map(|factor| self.strength(hz * factor));
        beside.into_iter().fold(there, f64::max)
    }

    /// The energy of one sine in the window (Goertzel), on the scale of the sum of squares.
    fn strength(&self, hz: f64) -> f64 {
        let twice_cosine = 2.0 * (TAU * hz / self.sample_rate).cos();
        let (mut last, mut before) = (0.0, 0.0);
        for &sample in &self.past {
            (last, before) = (f64::from(sample) + twice_cosine * last - before, last);
        }
        let power = last * last + before * before - twice_cosine * last * before;
        2.0 * power / self.window as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchroom_netem::Random;

    /// A key for so long, at this loudness (peak of each sine), then a pause.
    struct Press {
        key: char,
        ms: usize,
        pause_ms: usize,
        row: f64,
        column: f64,
        detuned: f64,
    }

    impl Press {
        fn of(key: char) -> Self {
            Self { key, ms: 80, pause_ms: 60, row: 4_000.0, column: 4_000.0, detuned: 1.0 }
        }

        fn samples(&self, rate: usize) -> Vec<i16> {
            let place = |row: usize| KEYPAD[row].iter().position(|&key| key == self.key);
            let (row, column) = (0..4).find_map(|row| Some((row, place(row)?))).unwrap();
            let step = |hz: f64| TAU * hz * self.detuned / rate as f64;
            let (low, high) = (step(ROWS[row]), step(COLUMNS[column]));
            let tone = (0..rate * self.ms / 1_000).map(|at| {
                let at = at as f64;
                (self.row * (low * at).sin() + self.column * (high * at).cos()) as i16
            });
            tone.chain(std::iter::repeat_n(0, rate * self.pause_ms / 1_000)).collect()
        }
    }

    fn heard(rate: u32, samples: &[i16]) -> Vec<HeardKey> {
        let mut detector = KeyDetector::new(rate);
        samples.chunks(rate as usize / 50).filter_map(|piece| detector.hear(piece)).collect()
    }

    fn digits(samples: &[i16]) -> String {
        heard(8_000, samples).iter().map(|key| key.digit).collect()
    }

    #[test]
    fn every_key_is_heard_once_at_every_rate_with_its_length() {
        for rate in [8_000, 16_000, 48_000] {
            for key in "0123456789*#abcd".chars() {
                let keys = heard(rate, &Press::of(key).samples(rate as usize));
                assert_eq!(keys.len(), 1, "{key} at {rate} Hz");
                assert_eq!(keys[0].digit, key);
                assert!(keys[0].duration_ms.abs_diff(80) <= 12, "{keys:?}");
            }
        }
    }

    #[test]
    fn forty_milliseconds_are_a_key_wherever_they_begin_and_twenty_are_none() {
        for start in 0..160 {
            let mut sound = vec![0; start];
            sound.extend(Press { ms: 40, pause_ms: 40, ..Press::of('5') }.samples(8_000));
            sound.extend(Press { ms: 40, ..Press::of('5') }.samples(8_000));
            assert_eq!(digits(&sound), "55", "begun at {start}");
            let mut sound = vec![0; start];
            sound.extend(Press { ms: 20, ..Press::of('5') }.samples(8_000));
            assert_eq!(digits(&sound), "", "begun at {start}");
        }
    }

    #[test]
    fn an_interruption_of_ten_milliseconds_is_no_new_key() {
        let mut sound = Press { pause_ms: 10, ..Press::of('7') }.samples(8_000);
        sound.extend(Press::of('7').samples(8_000));
        assert_eq!(digits(&sound), "7");
    }

    #[test]
    fn one_key_may_follow_another_at_once() {
        let mut sound = Press { pause_ms: 0, ..Press::of('1') }.samples(8_000);
        sound.extend(Press::of('9').samples(8_000));
        assert_eq!(digits(&sound), "19");
    }

    #[test]
    fn frequencies_off_by_a_percent_and_a_half_are_keys_and_by_three_and_a_half_none() {
        for key in "159d".chars() {
            for (detuned, expected) in
                [(0.985, true), (1.015, true), (0.965, false), (1.035, false)]
            {
                let sound = Press { detuned, ..Press::of(key) }.samples(8_000);
                assert_eq!(digits(&sound).contains(key), expected, "{key} at {detuned}");
            }
        }
    }

    #[test]
    fn quiet_and_uneven_keys_are_heard_within_limits() {
        let with = |row, column| digits(&Press { row, column, ..Press::of('6') }.samples(8_000));
        assert_eq!(with(40.0, 40.0), "6");
        assert_eq!(with(8.0, 8.0), "");
        assert_eq!(with(16_000.0, 16_000.0), "6");
        assert_eq!(with(4_000.0, 4_000.0 * 1.58), "6", "column 4 dB over row");
        assert_eq!(with(4_000.0, 4_000.0 / 2.5), "6", "row 8 dB over column");
        assert_eq!(with(4_000.0, 4_000.0 * 2.5), "");
        assert_eq!(with(4_000.0, 4_000.0 / 4.0), "");
        assert_eq!(with(4_000.0, 0.0), "");
    }

    #[test]
    fn noise_fifteen_decibels_below_hides_no_key() {
        let mut random = Random::new(23);
        let mut sound: Vec<i16> =
            "147*2580369#abcd".chars().flat_map(|k| Press::of(k).samples(8_000)).collect();
        for sample in &mut sound {
            // Uniform to 1,230: a mean square fifteen decibels below that of the two sines.
            *sample += random.below(2_460) as i16 - 1_230;
        }
        assert_eq!(digits(&sound), "147*2580369#abcd");
    }

    #[test]
    fn other_tones_and_noise_are_no_keys() {
        let mut random = Random::new(24);
        let white: Vec<i16> = (0..80_000).map(|_| random.below(65_536) as i16).collect();
        assert_eq!(digits(&white), "");
        // Dial tone and ringing of Europe and America, special information, a fax.
        for group in [
            &[425.0][..],
            &[350.0, 440.0],
            &[440.0, 480.0],
            &[480.0, 620.0],
            &[950.0],
            &[1_400.0],
            &[1_800.0],
            &[1_100.0],
            &[2_100.0],
            &[697.0, 770.0, 1_209.0],
        ] {
            let sum = |at: f64| group.iter().map(|hz| (TAU * hz / 8_000.0 * at).sin()).sum::<f64>();
            let tone: Vec<i16> =
                (0..8_000).map(|at| (4_000.0 * sum(f64::from(at))) as i16).collect();
            assert_eq!(digits(&tone), "", "{group:?}");
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_keys() {
        let sound: Vec<i16> = "12#".chars().flat_map(|key| Press::of(key).samples(8_000)).collect();
        for size in [1, 7, 160, 333, 800] {
            let mut detector = KeyDetector::new(8_000);
            let keys: String =
                sound.chunks(size).filter_map(|p| detector.hear(p)).map(|k| k.digit).collect();
            assert_eq!(keys, "12#", "pieces of {size}");
        }
        assert_eq!(KeyDetector::new(1).hear(&[i16::MIN; 100]), None);
        assert_eq!(KeyDetector::new(8_000).hear(&[]), None);
    }
}
