//! Ten minutes of speech by four voices, in which no key may be heard.
//!
//! Speech comes from flite (`apt-get install flite`); without it there is nothing to listen to, and
//! in continuous integration that is a failure.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

use switchroom_codecs::g711::Law;
use switchroom_codecs::keys::KeyDetector;
use switchroom_codecs::resample::Resampler;
use switchroom_netem::Random;

const VOICES: [&str; 4] = ["slt", "rms", "awb", "kal16"];
const SECONDS: usize = 610;

/// Words with many vowels and whistling consonants, as those are what looks like keys.
const WORDS: &str = "hello yes no please one two three four five six seven eight nine zero pound star \
    appointment tomorrow morning seventeen thirty people really easy machine eagle evening police \
    agency receipt keys me see she he we three free tea street week speak agree music beautiful \
    you do who through group school moon usual reuse window hold the line while I look it up \
    Susan insists on sixteen sassy sisters whistling in unison oh no I am all alone now \
    laughter ha ha ha hmm mhm uh huh okay thank you goodbye doctor pharmacy prescription refill";

fn flite(voice: &str, text: &str) -> Option<Vec<u8>> {
    let file = std::env::temp_dir().join(format!("talk-off-{}-{voice}.wav", std::process::id()));
    let run = Command::new("flite").args(["-voice", voice, "-t", text, "-o"]).arg(&file).status();
    let spoken = run.is_ok_and(|status| status.success()).then(|| std::fs::read(&file).unwrap());
    drop(std::fs::remove_file(file));
    spoken
}

fn sentences(random: &mut Random, count: usize) -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut text = String::new();
    for _ in 0..count {
        for _ in 0..4 + random.below(8) {
            text.push_str(words[random.below(words.len() as u64) as usize]);
            text.push(' ');
        }
        text.push_str(". ");
    }
    text
}

/// What a phone sends: 8 kHz, at the peak that is usual, through G.711.
fn through_a_telephone(wav: &[u8]) -> Vec<i16> {
    let samples: Vec<i16> =
        wav[44..].as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
    let mut resampler = Resampler::new(16_000, 8_000).unwrap();
    let mut narrow = vec![0; resampler.output_size(samples.len())];
    resampler.process(&samples, &mut narrow);
    let peak = narrow.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(1).max(1);
    for sample in &mut narrow {
        *sample = (i32::from(*sample) * 16_000 / i32::from(peak)) as i16;
    }
    let mut octets = Vec::new();
    Law::Mu.encode_onto(&narrow, &mut octets);
    Law::Mu.decode(&octets, &mut narrow);
    narrow
}

#[test]
fn ten_minutes_of_speech_hold_no_key() {
    let mut random = Random::new(1633);
    let (mut seconds, mut heard) = (0, Vec::new());
    for voice in VOICES.iter().cycle() {
        let Some(wav) = flite(voice, &sentences(&mut random, 20)) else {
            assert!(std::env::var_os("CI").is_none(), "flite is missing: apt-get install flite");
            println!("skipped, flite is missing: apt-get install flite");
            return;
        };
        let sound = through_a_telephone(&wav);
        let mut detector = KeyDetector::new(8_000);
        heard.extend(sound.chunks(160).filter_map(|piece| detector.hear(piece)));
        seconds += sound.len() / 8_000;
        if seconds >= SECONDS {
            break;
        }
    }
    assert_eq!(heard, [], "in {seconds} s of speech");
}
