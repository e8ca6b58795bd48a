//! Protocol versions 0 and 1: what Azure Repos and old servers speak. The list of references comes first, unasked.

use bytes::Bytes;

use super::answer::{Answer, text};
use super::http::Http;
use super::listing::{Listing, ListingBuilder, parse_id};
use super::pkt_line::{self, FLUSH, Pkt};
use super::session::{Question, shallow};
use super::side_band::SideBand;
use crate::domain::{Error, ObjectFormat, Result};

/// What the server can do, and its references as it told them.
pub(super) struct Version1 {
    pub format: ObjectFormat,
    capabilities: Vec<String>,
    listing: Listing,
}

impl Version1 {
    /// Reads the advertisement; `first` is its first line, `None` where it has none.
    pub async fn read(answer: &mut Answer, mut first: Option<Bytes>) -> Result<Self> {
        if first.as_deref() == Some(b"version 1") {
            first = answer.line().await?;
        }
        let (first, words) = split_capabilities(first.unwrap_or_default());
        let head = words.split(|&byte| byte == b' ').find_map(|word| word.strip_prefix(b"symref=HEAD:"));
        let words = String::from_utf8_lossy(&words);
        let capabilities: Vec<String> = words.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let value = |key: &str| capabilities.iter().find_map(|word| word.strip_prefix(key));
        let format = value("object-format=").map_or(Ok(ObjectFormat::Sha1), str::parse)?;

        let mut listing = ListingBuilder::new(format, None);
        if let Some(target) = head {
            listing.note(target);
            listing.head_symbolic(target);
        }
        let mut line = first;
        while !line.is_empty() {
            read_ref(&line, format, &mut listing)?;
            match answer.line().await? {
                Some(next) => line = next,
                None => break,
            }
        }
        Ok(Self { format, capabilities, listing: listing.finish() })
    }

    /// All references, whoever asks for how many: they have been told already.
    pub fn refs(&self) -> Listing {
        self.listing.clone()
    }

    pub async fn fetch(&self, http: &Http, question: &Question<'_>) -> Result<SideBand> {
        let mut answer = http.post(self.request(question)?, false).await?;
        // Acknowledgements and the side-band differ in their first byte, so that no version's order needs to be known.
        loop {
            match answer.next().await? {
                Pkt::Data(line) if line.starts_with(b"ACK ") || line.starts_with(b"NAK") => {}
                Pkt::Data(line) if line.starts_with(b"shallow ") => return Err(shallow()),
                Pkt::Data(frame) => {
                    let frame = if frame.starts_with(b"ERR ") { text(frame)? } else { frame };
                    return Ok(SideBand::starting_with(answer, frame));
                }
                Pkt::Flush | Pkt::Delimiter | Pkt::ResponseEnd => {}
            }
        }
    }

    fn request(&self, question: &Question<'_>) -> Result<Vec<u8>> {
        let side_band = self.first_of(&["side-band-64k", "side-band"]).ok_or_else(|| lacking("side-band"))?;
        // Azure Repos refuses whoever does not name one of these.
        let multi_ack = self.first_of(&["multi_ack_detailed", "multi_ack"]);
        let mut words: Vec<&str> = multi_ack.into_iter().chain([side_band]).collect();
        words.extend(self.first_of(&["no-progress"]));
        words.extend(self.first_of(&["ofs-delta"]));
        // A server of this version need not know more filters than this one; Azure Repos doesn't.
        let filter = self.first_of(&["filter"]).filter(|_| question.commits_only);
        words.extend(filter);
        let format = format!("object-format={}", self.format);
        if self.capabilities.contains(&format) {
            words.push(&format);
        }
        if self.capabilities.iter().any(|word| word.starts_with("agent=")) {
            words.push(concat!("agent=refward/", env!("CARGO_PKG_VERSION")));
        }

        let mut body = Vec::new();
        for (position, want) in question.wants.iter().enumerate() {
            let line = if position == 0 { format!("want {want} {}", words.join(" ")) } else { format!("want {want}") };
            pkt_line::line(&mut body, &line);
        }
        if filter.is_some() {
            pkt_line::line(&mut body, "filter blob:none");
        }
        body.extend_from_slice(FLUSH);
        for have in question.haves {
            pkt_line::line(&mut body, &format!("have {have}"));
        }
        pkt_line::line(&mut body, "done");
        Ok(body)
    }

    fn first_of(&self, wanted: &[&'static str]) -> Option<&'static str> {
        wanted.iter().copied().find(|wanted| self.capabilities.iter().any(|word| word == wanted))
    }
}

/// The first line carries the capabilities after a NUL.
fn split_capabilities(mut line: Bytes) -> (Bytes, Bytes) {
    let Some(position) = line.iter().position(|&byte| byte == 0) else { return (line, Bytes::new()) };
    let words = line.split_off(position);
    (line, words.slice(1..))
}

fn read_ref(line: &[u8], format: ObjectFormat, listing: &mut ListingBuilder) -> Result<()> {
    if line.starts_with(b"shallow ") {
        return Err(shallow());
    }
    let space = line.iter().position(|&byte| byte == b' ');
    let Some((id, name)) = space.map(|space| (&line[..space], &line[space + 1..])) else {
        return Err(Error::remote("the git server's list of references has a line without a name"));
    };
    // An empty repository has only this line, with an id of zeroes; `^{}` says what a tag points at.
    if name.ends_with(b"^{}") {
        return Ok(());
    }
    listing.note(line);
    listing.add(name, parse_id(id, format)?);
    Ok(())
}

fn lacking(capability: &str) -> Error {
    Error::remote(format!("the git server is too old: it does not offer {capability}"))
}
