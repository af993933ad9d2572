use super::*;
use crate::Header;
use crate::srtp::keys::{Purpose, SessionKeys};

const KEY: &str = "e1f97a0d3e018be0d64fa32c06de4139";
const SALT: &str = "0ec675ad498afeebb6960b3aabe6";
/// A packet with sixteen octets of payload, and the same as RTCP.
const RTP: &str = "800f1234decafbadcafebabeabababababababababababababababab";
const RTCP: &str = "81c8000bcafebabeabababababababababababababababab";
const GCM_KEY: &str = "000102030405060708090a0b0c0d0e0fa0a1a2a3a4a5a6a7a8a9aaab";

fn octets(hex: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn key() -> Vec<u8> {
    octets(&format!("{KEY}{SALT}"))
}

fn any_key(suite: Suite) -> Vec<u8> {
    (0..suite.key_size() as u8).map(|octet| octet.wrapping_mul(37)).collect()
}

fn pair(suite: Suite) -> (SrtpSender, SrtpReceiver) {
    let key = any_key(suite);
    (SrtpSender::new(suite, &key).unwrap(), SrtpReceiver::new(suite, &key, 0).unwrap())
}

fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let header = Header { sequence, ssrc, timestamp: 77, payload_type: 8, marker: false };
    let mut packet = Vec::new();
    header.write(&[sequence as u8; 160], &mut packet);
    packet
}

fn protected(sender: &mut SrtpSender, sequence: u16) -> Vec<u8> {
    let mut packet = rtp(sequence, 9);
    sender.protect(&mut packet, 0).unwrap();
    packet
}

#[test]
fn keys_are_derived_as_rfc_3711_appendix_b_3_has_it() {
    // The key stream of the derived keys at index 0 and SSRC 0, by the published session keys.
    let keys = SessionKeys::derive(Suite::AesCm128Sha1_80, &key(), Purpose::Rtp).unwrap();
    assert_eq!(keys.salt(), octets("30cbbc08863d8c85d49db34a9ae1"));
    let tag = octets("cebe321f6ff7716b6fd4ab49af256a156d38baa4");
    assert!(keys.is_authenticated_by(&tag));
}

#[test]
fn counter_mode_packets_are_those_of_other_implementations() {
    let mut sender = SrtpSender::new(Suite::AesCm128Sha1_80, &key()).unwrap();
    let mut packet = octets(RTP);
    sender.protect(&mut packet, 0).unwrap();
    let expected = "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb";
    assert_eq!(packet, octets(expected));
    let mut receiver = SrtpReceiver::new(Suite::AesCm128Sha1_80, &key(), 0).unwrap();
    receiver.open(&mut packet).unwrap();
    assert_eq!(packet, octets(RTP));
    let mut report =
        octets("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798");
    receiver.open_report(&mut report).unwrap();
    assert_eq!(report, octets(RTCP));
}

#[test]
fn galois_packets_are_those_of_other_implementations() {
    let mut sender = SrtpSender::new(Suite::AeadAes128Gcm, &octets(GCM_KEY)).unwrap();
    let mut packet = octets(RTP);
    sender.protect(&mut packet, 0).unwrap();
    let expected = "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06e\
                    d2976826f796b201df3131a127e8a392";
    assert_eq!(packet, octets(&expected.replace(' ', "")));
    let mut receiver = SrtpReceiver::new(Suite::AeadAes128Gcm, &octets(GCM_KEY), 0).unwrap();
    receiver.open(&mut packet).unwrap();
    assert_eq!(packet, octets(RTP));
    let mut report = octets(
        "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001",
    );
    receiver.open_report(&mut report).unwrap();
    assert_eq!(report, octets(RTCP));
}

#[test]
fn every_suite_opens_what_it_protects_over_two_turns_of_the_sequence_numbers() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        for count in 0..150_000_u32 {
            let sequence = (count as u16).wrapping_add(65_000);
            if count % 7_919 != 0 && count % 500 > 3 {
                let mut skipped = rtp(sequence, 9);
                sender.protect(&mut skipped, 0).unwrap();
                if count % 40 != 0 {
                    continue; // lost on the way
                }
                receiver.open(&mut skipped).unwrap();
                continue;
            }
            let mut packet = protected(&mut sender, sequence);
            receiver.open(&mut packet).unwrap();
            assert_eq!(packet, rtp(sequence, 9), "{suite:?} {count}");
        }
        for _ in 0..3 {
            let mut report = octets(RTCP);
            sender.protect_report(&mut report, 0).unwrap();
            assert_ne!(report[..24], octets(RTCP)[..]);
            receiver.open_report(&mut report).unwrap();
            assert_eq!(report, octets(RTCP));
        }
    }
}

#[test]
fn a_packet_is_opened_once_and_in_any_order() {
    for suite in [Suite::AesCm128Sha1_80, Suite::AeadAes256Gcm] {
        let (mut sender, mut receiver) = pair(suite);
        let packets: Vec<_> =
            (0..200).map(|n| protected(&mut sender, 65_500_u16.wrapping_add(n))).collect();
        for at in [0, 3, 2, 1, 50, 49, 36, 35] {
            assert_eq!(receiver.open(&mut packets[at].clone()), Ok(()), "{at}");
        }
        for at in [3, 50, 35] {
            assert_eq!(receiver.open(&mut packets[at].clone()), Err(SrtpError::Replayed));
        }
        assert_eq!(receiver.open(&mut packets[199].clone()), Ok(()));
        assert_eq!(receiver.open(&mut packets[60].clone()), Err(SrtpError::Replayed));
        assert_eq!(receiver.open(&mut packets[100].clone()), Ok(()));
    }
}

#[test]
fn a_stream_that_turned_over_before_its_first_packet_came_is_opened() {
    for suite in [Suite::AesCm128Sha1_32, Suite::AeadAes128Gcm] {
        let (mut sender, mut receiver) = pair(suite);
        protected(&mut sender, 65_535);
        let mut first = protected(&mut sender, 0);
        assert_eq!(receiver.open(&mut first), Ok(()), "{suite:?}");
        assert_eq!(receiver.open(&mut protected(&mut sender, 1)), Ok(()));
    }
}

#[test]
fn a_new_key_goes_on_counting_whether_the_far_end_does_or_begins_anew() {
    let suite = Suite::AesCm128Sha1_80;
    let (mut sender, mut receiver) = pair(suite);
    for sequence in [65_534, 65_535, 0, 1] {
        receiver.open(&mut protected(&mut sender, sequence)).unwrap();
    }
    let other = octets(&format!("{SALT}{KEY}"));
    let mut rekeyed = receiver.rekeyed(suite, &other, 0).unwrap();
    let mut anew = SrtpSender::new(suite, &other).unwrap();
    sender.rekey(suite, &other).unwrap();
    assert_eq!(receiver.open(&mut protected(&mut sender, 2)), Err(SrtpError::NotAuthentic));
    assert_eq!(rekeyed.open(&mut protected(&mut sender, 2)), Ok(()));
    let mut rekeyed = receiver.rekeyed(suite, &other, 0).unwrap();
    assert_eq!(rekeyed.open(&mut protected(&mut anew, 2)), Ok(()));
    assert_eq!(rekeyed.open(&mut protected(&mut anew, 3)), Ok(()));
}

#[test]
fn other_keys_damage_and_garbage_are_told_and_change_nothing() {
    let mut random = switchroom_netem::Random::new(3711);
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        assert_eq!(receiver.open(&mut protected(&mut sender, 10)), Ok(()));
        let mut other = SrtpSender::new(suite, &vec![7; suite.key_size()]).unwrap();
        assert_eq!(receiver.open(&mut protected(&mut other, 11)), Err(SrtpError::NotAuthentic));
        let good = protected(&mut sender, 12);
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 0x10;
            assert!(receiver.open(&mut damaged).is_err(), "{suite:?} {at}");
        }
        for size in 0..good.len() {
            assert!(receiver.open(&mut good[..size].to_vec()).is_err());
            assert!(receiver.open_report(&mut good[..size].to_vec()).is_err());
        }
        for _ in 0..2_000 {
            let mut garbage = vec![0; random.below(120) as usize];
            random.fill(&mut garbage);
            if let Some(first) = garbage.first_mut() {
                *first = 0x80 | *first & 0x1F;
            }
            assert!(receiver.open(&mut garbage.clone()).is_err());
            assert!(receiver.open_report(&mut garbage).is_err());
        }
        assert_eq!(receiver.open(&mut good.clone()), Ok(()));
    }
}

#[test]
fn a_master_key_identifier_is_passed_over() {
    for suite in [Suite::AesCm128Sha1_80, Suite::AeadAes128Gcm] {
        let key = any_key(suite);
        let mut sender = SrtpSender::new(suite, &key).unwrap();
        let mut receiver = SrtpReceiver::new(suite, &key, 4).unwrap();
        let mut packet = protected(&mut sender, 5);
        // Counter mode has the identifier before the tag, Galois mode after it.
        let at = packet.len() - if suite.is_aead() { 0 } else { suite.rtp_tag_size() };
        packet.splice(at..at, [0, 0, 0, 1]);
        receiver.open(&mut packet).unwrap();
        assert_eq!(packet, rtp(5, 9));
    }
}

#[test]
fn keys_of_another_size_are_refused_and_names_are_those_of_the_registry() {
    for suite in Suite::ALL {
        let short = vec![0; suite.key_size() - 1];
        assert_eq!(SrtpSender::new(suite, &short).err(), Some(SrtpError::BadKey));
        assert_eq!(SrtpReceiver::new(suite, &short, 0).err(), Some(SrtpError::BadKey));
        assert_eq!(Suite::from_name(suite.name()), Some(suite));
    }
    assert_eq!(Suite::from_name("AES_CM_256_HMAC_SHA1_80"), Some(Suite::AesCm256Sha1_80));
    assert_eq!(Suite::from_name("F8_128_HMAC_SHA1_80"), None);
}
