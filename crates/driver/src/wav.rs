//! WAV files, read in the thread that asks for them: the media thread never waits for a disk.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use switchroom_codecs::resample::Resampler;

use crate::DriverError;

/// What is played, and so what is kept: no more than a phone can hold.
const NARROW: u32 = 8_000;
const WIDE: u32 = 16_000;
/// Ten minutes of the densest form that is read: 48 kHz stereo.
const MOST_BYTES: u64 = 10 * 60 * 48_000 * 4 + 65_536;
/// PCM, and the form that names its format further on (`WAVE_FORMAT_EXTENSIBLE`).
const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xFFFE;

/// Files that are being played, each kept once however many hear it, as long as somebody does.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<HashMap<PathBuf, Kept>>);

#[derive(Debug)]
struct Kept {
    /// When it was written, and how long it is: another file by that name is read anew.
    version: (Option<SystemTime>, u64),
    samples: Weak<[i16]>,
    rate: u32,
}

impl Files {
    /// The samples of a file, mono, and how many there are to a second: 8,000 or 16,000.
    pub(crate) fn read(&self, path: &Path) -> Result<(Arc<[i16]>, u32), DriverError> {
        let bad = |error: std::io::Error| DriverError::BadFile(path.to_owned(), error.to_string());
        let metadata = std::fs::metadata(path).map_err(bad)?;
        let version = (metadata.modified().ok(), metadata.len());
        if let Some(kept) = self.kept().get(path).filter(|kept| kept.version == version)
            && let Some(samples) = kept.samples.upgrade()
        {
            return Ok((samples, kept.rate));
        }
        let (samples, rate) = read(path)?;
        let mut files = self.kept();
        files.retain(|_, kept| kept.samples.strong_count() > 0);
        let kept = Kept { version, samples: Arc::downgrade(&samples), rate };
        files.insert(path.to_owned(), kept);
        Ok((samples, rate))
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<PathBuf, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The samples of a file, mono, and how many there are to a second: 8,000 or 16,000.
fn read(path: &Path) -> Result<(Arc<[i16]>, u32), DriverError> {
    let bad = |reason: String| DriverError::BadFile(path.to_owned(), reason);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| bad(error.to_string()))?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| bad(error.to_string()))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(bad("longer than ten minutes".to_owned()));
    }
    let (samples, rate) = parse(&bytes).map_err(|reason| bad(reason.to_owned()))?;
    Ok((samples.into(), rate))
}

fn parse(bytes: &[u8]) -> Result<(Vec<i16>, u32), &'static str> {
    if bytes.len() < 12 || &bytes[..4] != b"RIFF" || &bytes[8..12] != b"WAVE" {
        return Err("not a WAV file");
    }
    let mut rest = &bytes[12..];
    let mut format = None;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        // Writers that stream leave the size open: what is there counts.
        let chunk = &body[..size.min(body.len())];
        match &head[..4] {
            b"fmt " => format = Some(Format::parse(chunk)?),
            b"data" => return format.ok_or("the format comes after the data")?.decode(chunk),
            _ => {}
        }
        rest = body.get(size.next_multiple_of(2)..).unwrap_or_default();
    }
    Err("no sound in it")
}

struct Format {
    channels: u16,
    rate: u32,
}

impl Format {
    fn parse(chunk: &[u8]) -> Result<Self, &'static str> {
        let fixed = chunk.first_chunk::<16>().ok_or("damaged")?;
        let half = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
        let rate = u32::from_le_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let (tag, channels, bits) = (half(0), half(2), half(14));
        if !matches!(tag, PCM | EXTENSIBLE) || bits != 16 {
            return Err("not 16-bit PCM");
        }
        if !matches!(channels, 1 | 2) {
            return Err("neither mono nor stereo");
        }
        Ok(Self { channels, rate })
    }

    fn decode(&self, data: &[u8]) -> Result<(Vec<i16>, u32), &'static str> {
        let samples = data.as_chunks::<2>().0.iter().map(|octets| i16::from_le_bytes(*octets));
        let mono: Vec<i16> = if self.channels == 1 {
            samples.collect()
        } else {
            let samples: Vec<i16> = samples.collect();
            let middle = |pair: &[i16; 2]| i16::midpoint(pair[0], pair[1]);
            samples.as_chunks::<2>().0.iter().map(middle).collect()
        };
        if mono.is_empty() {
            return Err("no sound in it");
        }
        let rate = if self.rate < WIDE { NARROW } else { WIDE };
        if self.rate == rate {
            return Ok((mono, rate));
        }
        let mut resampler = Resampler::from_file(self.rate, rate)
            .map_err(|_| "not 8, 11.025, 16, 22.05, 24, 32, 44.1 or 48 kHz")?;
        let mut kept = vec![0; resampler.output_size(mono.len())];
        let count = resampler.process(&mono, &mut kept);
        kept.truncate(count);
        Ok((kept, rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, samples: &[i16]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        bytes.extend(tag.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(rate.to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend(bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend((samples.len() as u32 * 2).to_le_bytes());
        bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        bytes
    }

    #[test]
    fn eight_kilohertz_mono_is_taken_as_it_is() {
        assert_eq!(parse(&wav(PCM, 1, 8_000, 16, &[1, -2, 3])), Ok((vec![1, -2, 3], 8_000)));
    }

    #[test]
    fn stereo_becomes_the_middle_and_higher_rates_come_down() {
        assert_eq!(
            parse(&wav(EXTENSIBLE, 2, 8_000, 16, &[10, 20, -4, -2])),
            Ok((vec![15, -3], 8_000))
        );
        let second = vec![1_000; 48_000];
        let (wide, rate) = parse(&wav(PCM, 1, 48_000, 16, &second)).unwrap();
        assert_eq!(rate, 16_000);
        assert!((15_980..=16_000).contains(&wide.len()), "{}", wide.len());
        assert!(wide[1_000..15_000].iter().all(|sample| (990..=1_010).contains(sample)));
    }

    #[test]
    fn a_length_left_open_means_what_is_there() {
        let mut bytes = wav(PCM, 1, 8_000, 16, &[5, 6]);
        let at = bytes.len() - 8;
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(parse(&bytes), Ok((vec![5, 6], 8_000)));
    }

    #[test]
    fn music_as_it_is_sold_is_played() {
        let second = vec![1_000; 88_200];
        let (wide, rate) = parse(&wav(PCM, 2, 44_100, 16, &second)).unwrap();
        assert_eq!((wide.len(), rate), (16_000, 16_000));
        assert!(wide[1_000..15_000].iter().all(|sample| (990..=1_010).contains(sample)));
    }

    #[test]
    fn a_file_is_kept_once_while_it_is_played_and_read_anew_when_it_changes() {
        let path = std::env::temp_dir().join(format!("switchroom-{}.wav", std::process::id()));
        std::fs::write(&path, wav(PCM, 1, 8_000, 16, &[1; 20])).unwrap();
        let files = Files::default();
        let (first, _) = files.read(&path).unwrap();
        let (again, rate) = files.read(&path).unwrap();
        assert!(Arc::ptr_eq(&first, &again) && rate == 8_000);
        std::fs::write(&path, wav(PCM, 1, 16_000, 16, &[2; 40])).unwrap();
        let (changed, rate) = files.read(&path).unwrap();
        assert_eq!((changed.len(), rate), (40, 16_000));
        drop((first, again, changed));
        std::fs::remove_file(&path).unwrap();
        assert!(files.read(&path).is_err());
        assert_eq!(files.kept()[&path].samples.strong_count(), 0);
    }

    #[test]
    fn each_kind_of_bad_file_has_its_reason() {
        let sound = [1; 10];
        assert_eq!(parse(b"ID3 something else"), Err("not a WAV file"));
        assert_eq!(parse(&wav(3, 1, 8_000, 32, &sound)), Err("not 16-bit PCM"));
        assert_eq!(parse(&wav(PCM, 6, 8_000, 16, &sound)), Err("neither mono nor stereo"));
        assert_eq!(
            parse(&wav(PCM, 1, 44_000, 16, &sound)),
            Err("not 8, 11.025, 16, 22.05, 24, 32, 44.1 or 48 kHz")
        );
        assert_eq!(parse(&wav(PCM, 1, 8_000, 16, &[])), Err("no sound in it"));
        let whole = wav(PCM, 1, 8_000, 16, &sound);
        for cut in 0..whole.len() {
            let _ = parse(&whole[..cut]);
        }
        let missing = read(Path::new("/nonexistent/hello.wav")).unwrap_err().to_string();
        assert!(missing.starts_with("/nonexistent/hello.wav cannot be played: "), "{missing}");
    }
}
