//! Offers and answers: a client's offer by str0m's SDP, our own offers section by section.

use std::time::Instant;

use str0m::Candidate;
use str0m::change::SdpOffer;
use str0m::config::Fingerprint;
use str0m::media::MediaKind;

use super::channels::Channels;
use super::connection::Peer;
use super::offer::{Offer, usable_credentials};
use super::receiver::audio_codec;
use super::sender::Sender;
use super::{Mid, PeerError, PeerKind, PeerOutput};
use crate::audio::AudioCodec;

/// What our offer has to say about the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTransport {
    /// `a=ice-ufrag`.
    pub ice_ufrag: String,
    /// `a=ice-pwd`.
    pub ice_pwd: String,
    /// `a=fingerprint`: algorithm and hex digits, `sha-256 AA:BB:…`.
    pub fingerprint: String,
    /// One for each address of ours, as in `a=…`: `candidate:…`.
    pub candidates: Vec<String>,
}

/// What the client's answer to our offer says about its transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTransport {
    /// `a=ice-ufrag`. Another one than before completes an ICE restart.
    pub ice_ufrag: String,
    /// `a=ice-pwd`.
    pub ice_pwd: String,
    /// `a=fingerprint`.
    pub fingerprint: String,
    /// `a=setup`: `active` or `passive`.
    pub setup: String,
}

impl Peer {
    /// Answers an offer: the first one, one that adds sections, or one that restarts ICE.
    /// Returns str0m's answer; its msid lines, and sections of kinds that we do not take, are the
    /// caller's to rewrite.
    ///
    /// # Errors
    /// [`PeerError::BadOffer`] or [`PeerError::BadMid`]; the connection goes on as it was.
    pub fn accept_offer(
        &mut self,
        now: Instant,
        sdp: &str,
        out: &mut PeerOutput,
    ) -> Result<String, PeerError> {
        self.require(PeerKind::Answerer)?;
        let offer = Offer::read(sdp)?;
        let parsed = SdpOffer::from_sdp_string(&offer.text)
            .map_err(|error| PeerError::BadOffer(error.to_string()))?;
        // What was written before must be out: str0m takes one change at a time.
        self.handle_timeout(now, out);
        if self.is_ended() {
            return Err(PeerError::Gone);
        }
        let answer = match self.rtc.sdp_api().accept_offer(parsed) {
            Ok(answer) => answer.to_sdp_string(),
            Err(error) => {
                self.undo(now);
                self.drive(now, out);
                return Err(PeerError::BadOffer(error.to_string()));
            }
        };
        let answer = self.own_credentials(answer);
        self.remote_credentials = Some(offer.credentials);
        self.refresh(&offer.mids);
        self.handle_timeout(now, out);
        check_mids(&answer, &offer.mids)?;
        Ok(answer)
    }

    /// Puts right what a refused offer may have changed, so that the connection survives it.
    fn undo(&mut self, now: Instant) {
        match &self.remote_credentials {
            None => self.rebuild(now),
            Some(remote) => {
                let mut api = self.rtc.direct_api();
                api.set_local_ice_credentials(self.credentials.clone());
                api.set_remote_ice_credentials(remote.clone());
            }
        }
    }

    /// At an ICE restart str0m invents credentials; ours take their place, in str0m and in the
    /// answer. Both are long random words, so replacing them cannot hit anything else.
    fn own_credentials(&mut self, answer: String) -> String {
        let theirs = self.rtc.direct_api().local_ice_credentials();
        if theirs == self.credentials {
            return answer;
        }
        self.credentials = self.identity.ice_credentials();
        self.rtc.direct_api().set_local_ice_credentials(self.credentials.clone());
        answer
            .replace(&theirs.ufrag, &self.credentials.ufrag)
            .replace(&theirs.pass, &self.credentials.pass)
    }

    /// Takes over from str0m which sections we send on, and in which codecs.
    fn refresh(&mut self, mids: &[Mid]) {
        self.receiver.set_codecs(self.rtc.codec_config());
        self.senders.retain(|mid, _| mids.contains(mid));
        for mid in mids {
            let Some(media) = self.rtc.media(mid.inner()) else { continue };
            let sending = media.direction().is_sending() && media.kind() == MediaKind::Audio;
            let payload_types = media.remote_pts().to_vec();
            let mut api = self.rtc.direct_api();
            let Some(stream) = api.stream_tx_by_mid(mid.inner(), None) else { continue };
            let ssrc = *stream.ssrc();
            let sender = self.senders.entry(*mid).or_insert_with(|| Sender::new(ssrc));
            sender.clear_payload_types();
            for payload_type in payload_types.into_iter().filter(|_| sending) {
                if let Some(codec) = self.receiver.codec(payload_type) {
                    sender.set_payload_type(codec, Some(payload_type));
                }
            }
        }
    }

    /// What to write into our offer.
    ///
    /// # Errors
    /// [`PeerError::WrongKind`] for an answerer.
    pub fn describe(&mut self) -> Result<LocalTransport, PeerError> {
        self.require(PeerKind::Offerer)?;
        let candidates = self.advertised.iter().map(|address| Candidate::host(*address, "udp"));
        Ok(LocalTransport {
            ice_ufrag: self.credentials.ufrag.clone(),
            ice_pwd: self.credentials.pass.clone(),
            candidates: candidates.flatten().map(|candidate| candidate.to_sdp_string()).collect(),
            fingerprint: self.rtc.direct_api().local_dtls_fingerprint().to_string(),
        })
    }

    /// Adds a section on which we send sound, under an SSRC of the caller's choice (random, and the
    /// one that the offer names). A section that exists keeps its SSRC.
    ///
    /// # Errors
    /// [`PeerError::WrongKind`] for an answerer; [`PeerError::BadSsrc`] if the SSRC is in use.
    pub fn declare_sender(&mut self, mid: Mid, ssrc: u32) -> Result<(), PeerError> {
        self.require(PeerKind::Offerer)?;
        let mut api = self.rtc.direct_api();
        if api.stream_tx_by_mid(mid.inner(), None).is_some() {
            return Ok(());
        }
        // Zero is what str0m and libwebrtc give to probes.
        if ssrc == 0 || api.stream_tx(&ssrc.into()).is_some() {
            return Err(PeerError::BadSsrc(ssrc));
        }
        api.declare_media(mid.inner(), MediaKind::Audio);
        api.declare_stream_tx(ssrc.into(), None, mid.inner(), None);
        self.senders.insert(mid, Sender::new(ssrc));
        Ok(())
    }

    /// Gives a section on which we send another SSRC, for the next track on it: libwebrtc stays
    /// silent when a section comes back to life under the SSRC that it had. The next answer or
    /// offer must name it. A section that does not exist is none to renew.
    ///
    /// # Errors
    /// [`PeerError::UnknownMid`]; [`PeerError::BadSsrc`] if the SSRC is in use.
    pub fn renew_sender(&mut self, mid: Mid, ssrc: u32) -> Result<(), PeerError> {
        let mut api = self.rtc.direct_api();
        let old = api.stream_tx_by_mid(mid.inner(), None).map(|stream| stream.ssrc());
        let (Some(old), Some(sender)) = (old, self.senders.get_mut(&mid)) else {
            return Err(PeerError::UnknownMid(mid.to_string()));
        };
        if ssrc == 0 || api.stream_tx(&ssrc.into()).is_some() {
            return Err(PeerError::BadSsrc(ssrc));
        }
        // Not `reset_stream_tx`: it leaves the stream filed under its old SSRC, and the client's
        // reports about the new one would find nothing.
        api.remove_stream_tx(old);
        api.declare_stream_tx(ssrc.into(), None, mid.inner(), None);
        *sender = sender.renewed(ssrc);
        Ok(())
    }

    /// Says which of the offered payload types the client takes on a section. Those that we did
    /// not offer under this number are left out.
    ///
    /// # Errors
    /// [`PeerError::WrongKind`], [`PeerError::UnknownMid`].
    pub fn set_sender_payload_types(
        &mut self,
        mid: Mid,
        payload_types: &[(AudioCodec, u8)],
    ) -> Result<(), PeerError> {
        self.require(PeerKind::Offerer)?;
        let Some(sender) = self.senders.get_mut(&mid) else {
            return Err(PeerError::UnknownMid(mid.to_string()));
        };
        sender.clear_payload_types();
        for params in self.rtc.codec_config().params() {
            let offered = audio_codec(params.spec().codec).map(|codec| (codec, *params.pt()));
            if let Some((codec, _)) = offered.filter(|offered| payload_types.contains(offered)) {
                sender.set_payload_type(codec, Some(params.pt()));
            }
        }
        Ok(())
    }

    /// Takes the transport part of the client's answer: the first one starts DTLS and SCTP and
    /// opens the channels, later ones matter only if ICE was restarted.
    ///
    /// # Errors
    /// [`PeerError::WrongKind`], [`PeerError::BadAnswer`]; nothing is changed then.
    pub fn apply_answer(
        &mut self,
        now: Instant,
        remote: &RemoteTransport,
        out: &mut PeerOutput,
    ) -> Result<(), PeerError> {
        self.require(PeerKind::Offerer)?;
        let fingerprint: Fingerprint =
            remote.fingerprint.parse().map_err(|_| bad_answer("unreadable fingerprint"))?;
        let active = match remote.setup.as_str() {
            "active" => false,
            "passive" => true,
            _ => return Err(bad_answer("a=setup must be active or passive")),
        };
        let credentials = usable_credentials(&remote.ice_ufrag, &remote.ice_pwd)
            .ok_or_else(|| bad_answer("no usable ICE credentials"))?;
        let first = self.remote_credentials.is_none();
        let mut api = self.rtc.direct_api();
        api.set_remote_ice_credentials(credentials.clone());
        if first {
            api.set_remote_fingerprint(fingerprint);
            api.start_dtls(active).map_err(|error| bad_answer(&error.to_string()))?;
            api.start_sctp(active);
            Channels::create(&mut self.rtc);
        }
        self.remote_credentials = Some(credentials);
        self.handle_timeout(now, out);
        Ok(())
    }

    /// Makes new credentials for our next offer. The old ones stop working at once; media goes on
    /// over the present path until the client nominates another.
    ///
    /// # Errors
    /// [`PeerError::WrongKind`] for an answerer.
    pub fn restart_ice(&mut self) -> Result<LocalTransport, PeerError> {
        self.require(PeerKind::Offerer)?;
        self.credentials = self.identity.ice_credentials();
        self.rtc.direct_api().set_local_ice_credentials(self.credentials.clone());
        self.describe()
    }

    /// Accepts a trickled candidate. An ICE-lite agent sends no checks (RFC 8445 §2.5): the client
    /// is found by the checks that it sends, so there is nothing to do with it.
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut)] // full ICE will need it
    pub fn add_remote_candidate(&mut self, _candidate: &str) {}

    fn require(&self, kind: PeerKind) -> Result<(), PeerError> {
        if self.is_ended() {
            return Err(PeerError::Gone);
        }
        if self.kind == kind { Ok(()) } else { Err(PeerError::WrongKind) }
    }
}

/// The answer must name the offer's sections in the offer's order (RFC 8829 §5.3.1).
fn check_mids(answer: &str, offered: &[Mid]) -> Result<(), PeerError> {
    let answered: Vec<&str> =
        answer.lines().filter_map(|line| line.strip_prefix("a=mid:")).map(str::trim).collect();
    let offered: Vec<String> = offered.iter().map(ToString::to_string).collect();
    if answered == offered {
        return Ok(());
    }
    Err(PeerError::BadOffer(format!("answered sections {answered:?} instead of {offered:?}")))
}

fn bad_answer(reason: &str) -> PeerError {
    PeerError::BadAnswer(reason.to_owned())
}
