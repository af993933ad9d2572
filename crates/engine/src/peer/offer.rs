//! Looks over a client's offer before str0m sees it.
//!
//! str0m changes its state while it reads an offer, and ends the connection over some faults. So
//! what it would stumble over is refused here, with nothing changed and a reason that helps.

use std::collections::HashSet;

use str0m::IceCreds;

use super::{Mid, PeerError};

/// Longest offer that is read. One with 30 tracks has 60 kB.
const MAX_LENGTH: usize = 512 * 1024;
/// Most media sections. Each costs str0m a walk at every packet.
const MAX_SECTIONS: usize = 256;

/// An offer that str0m can be given.
#[derive(Debug)]
pub(super) struct Offer {
    /// The offer without the lines that str0m must not see.
    pub(super) text: String,
    /// Its media sections, in order.
    pub(super) mids: Vec<Mid>,
    /// The client's ICE credentials; a change restarts ICE.
    pub(super) credentials: IceCreds,
}

impl Offer {
    /// # Errors
    /// [`PeerError::BadOffer`] with the fault found first.
    pub(super) fn read(text: &str) -> Result<Self, PeerError> {
        if text.len() > MAX_LENGTH {
            return Err(refused(format!("{} bytes is too long", text.len())));
        }
        let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
        let mids = sections(&lines)?;
        check_bundle(&lines, &mids)?;
        let credentials = credentials(&lines)?;
        if value(&lines, "a=fingerprint:").is_none() {
            return Err(refused("no a=fingerprint"));
        }
        if lines.contains(&"a=ice-lite") {
            return Err(refused("both sides are ICE-lite"));
        }
        let text = lines.iter().filter(|line| !is_withheld(line)).fold(
            String::with_capacity(text.len()),
            |mut text, line| {
                if !line.is_empty() {
                    text.push_str(line);
                    text.push_str("\r\n");
                }
                text
            },
        );
        Ok(Self { text, mids, credentials })
    }
}

/// Lines that do harm: a lite agent sends no checks and needs no candidates, some of which (mDNS
/// names) cannot even be parsed; and once `sctp-init` was used, a later offer without it would be
/// refused.
fn is_withheld(line: &str) -> bool {
    ["a=candidate:", "a=end-of-candidates", "a=sctp-init:", "a=remote-candidates:"]
        .iter()
        .any(|prefix| line.starts_with(prefix))
}

fn sections(lines: &[&str]) -> Result<Vec<Mid>, PeerError> {
    let mut mids: Vec<Option<Mid>> = Vec::new();
    for line in lines {
        if let Some(section) = line.strip_prefix("m=") {
            let kind = section.split(' ').next().unwrap_or_default();
            if !["audio", "video", "application"].contains(&kind) {
                return Err(refused(format!("a section of kind {kind:.32}")));
            }
            mids.push(None);
        } else if let Some(name) = line.strip_prefix("a=mid:") {
            match mids.last_mut() {
                Some(mid @ None) => *mid = Some(Mid::parse(name.trim())?),
                Some(Some(_)) => return Err(refused("a section with two a=mid")),
                None => return Err(refused("a=mid before the first section")),
            }
        }
    }
    if mids.is_empty() {
        return Err(refused("no media sections"));
    }
    if mids.len() > MAX_SECTIONS {
        return Err(refused(format!("{} media sections", mids.len())));
    }
    let mids: Option<Vec<Mid>> = mids.into_iter().collect();
    let mids = mids.ok_or_else(|| refused("a section without a=mid"))?;
    let mut seen = HashSet::new();
    match mids.iter().find(|mid| !seen.insert(**mid)) {
        Some(twice) => Err(refused(format!("mid {twice} used twice"))),
        None => Ok(mids),
    }
}

/// RFC 8829 §5.3.1: everything goes over one transport, so every bundled mid must be a section.
fn check_bundle(lines: &[&str], mids: &[Mid]) -> Result<(), PeerError> {
    let Some(group) = value(lines, "a=group:BUNDLE") else {
        return Err(refused("no a=group:BUNDLE"));
    };
    for name in group.split_ascii_whitespace() {
        if !mids.contains(&Mid::parse(name)?) {
            return Err(refused(format!("BUNDLE names {name:.32}, which is no section")));
        }
    }
    Ok(())
}

fn credentials(lines: &[&str]) -> Result<IceCreds, PeerError> {
    let (ufrag, pass) = (value(lines, "a=ice-ufrag:"), value(lines, "a=ice-pwd:"));
    ufrag
        .zip(pass)
        .and_then(|(ufrag, pass)| usable_credentials(ufrag, pass))
        .ok_or_else(|| refused("no usable a=ice-ufrag and a=ice-pwd"))
}

/// RFC 8839 §5.4: 4 to 256 and 22 to 256 characters.
pub(super) fn usable_credentials(ufrag: &str, pass: &str) -> Option<IceCreds> {
    ((4..=256).contains(&ufrag.len()) && (22..=256).contains(&pass.len()))
        .then(|| IceCreds { ufrag: ufrag.to_owned(), pass: pass.to_owned() })
}

fn value<'a>(lines: &[&'a str], prefix: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| line.strip_prefix(prefix)).map(str::trim)
}

fn refused(reason: impl Into<String>) -> PeerError {
    PeerError::BadOffer(reason.into())
}
