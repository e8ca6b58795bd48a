//! Protocol version 2: what GitHub and all current servers speak.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::http::Http;
use super::listing::{Listing, ListingBuilder, parse_id};
use super::pkt_line::{self, DELIMITER, FLUSH, Pkt};
use super::session::Question;
use super::side_band::SideBand;
use crate::domain::{Error, ObjectFormat, RefName, Result};

/// What the server said it can do.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Version2 {
    pub format: ObjectFormat,
    names_format: bool,
    unborn: bool,
    /// It can leave trees and files out.
    pub filter: bool,
}

impl Version2 {
    /// Reads the lines after `version 2`.
    pub async fn read(answer: &mut Answer) -> Result<Self> {
        let mut known = Self { format: ObjectFormat::Sha1, names_format: false, unborn: false, filter: false };
        let (mut lists, mut fetches) = (false, false);
        while let Some(line) = answer.line().await? {
            let line = String::from_utf8_lossy(&line);
            let (key, value) = line.split_once('=').unwrap_or((&line, ""));
            match key {
                "ls-refs" => {
                    lists = true;
                    known.unborn = has(value, "unborn");
                }
                "fetch" => {
                    fetches = true;
                    known.filter = has(value, "filter");
                }
                "object-format" => {
                    known.names_format = true;
                    known.format = value.parse()?;
                }
                _ => {}
            }
        }
        if !(lists && fetches) {
            return Err(Error::remote("the git server offers neither a list of references nor a fetch"));
        }
        Ok(known)
    }

    pub async fn refs(&self, http: &Http, only: Option<&[RefName]>) -> Result<Listing> {
        let mut body = self.command("ls-refs");
        body.extend_from_slice(DELIMITER);
        pkt_line::line(&mut body, "symrefs");
        if self.unborn {
            pkt_line::line(&mut body, "unborn");
        }
        if let Some(only) = only {
            pkt_line::line(&mut body, "ref-prefix HEAD");
            for name in only {
                pkt_line::line(&mut body, &format!("ref-prefix {name}"));
            }
        }
        body.extend_from_slice(FLUSH);

        let mut answer = http.post(body, true).await?;
        let mut listing = ListingBuilder::new(self.format, only);
        while let Some(line) = answer.line().await? {
            listing.note(&line);
            self.read_ref(&line, &mut listing)?;
        }
        answer.expect_end().await?;
        Ok(listing.finish())
    }

    /// `<id> <name>[ symref-target:<name>]`, or `unborn <name> …`.
    fn read_ref(&self, line: &[u8], listing: &mut ListingBuilder) -> Result<()> {
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else {
            return Err(Error::remote("the git server's list of references has a line without a name"));
        };
        let target = words.find_map(|word| word.strip_prefix(b"symref-target:"));
        if let (b"HEAD", Some(target)) = (name, target) {
            listing.head_symbolic(target);
        }
        if id != b"unborn" {
            listing.add(name, parse_id(id, self.format)?);
        }
        Ok(())
    }

    pub async fn fetch(&self, http: &Http, question: &Question<'_>) -> Result<SideBand> {
        let mut body = self.command("fetch");
        body.extend_from_slice(DELIMITER);
        // No `thin-pack`: the answer must stand on its own.
        pkt_line::line(&mut body, "no-progress");
        pkt_line::line(&mut body, "ofs-delta");
        if question.commits_only && self.filter {
            pkt_line::line(&mut body, "filter tree:0");
        }
        for want in question.wants {
            pkt_line::line(&mut body, &format!("want {want}"));
        }
        for have in question.haves {
            pkt_line::line(&mut body, &format!("have {have}"));
        }
        pkt_line::line(&mut body, "done");
        body.extend_from_slice(FLUSH);

        let mut answer = http.post(body, true).await?;
        loop {
            match answer.line().await?.as_deref() {
                Some(b"packfile") => return Ok(SideBand::new(answer)),
                Some(b"acknowledgments") => skip_section(&mut answer).await?,
                Some(b"shallow-info") => return Err(super::session::shallow()),
                Some(other) => {
                    let name = String::from_utf8_lossy(other).escape_debug().to_string();
                    return Err(Error::remote(format!(
                        "the git server sent a section `{name}` that was not asked for"
                    )));
                }
                None => return Err(Error::remote("the git server ended its answer without a pack")),
            }
        }
    }

    fn command(&self, name: &str) -> Vec<u8> {
        let mut body = Vec::new();
        pkt_line::line(&mut body, &format!("command={name}"));
        pkt_line::line(&mut body, concat!("agent=refward/", env!("CARGO_PKG_VERSION")));
        if self.names_format {
            pkt_line::line(&mut body, &format!("object-format={}", self.format));
        }
        body
    }
}

async fn skip_section(answer: &mut Answer) -> Result<()> {
    loop {
        match answer.next().await? {
            Pkt::Data(_) => {}
            Pkt::Delimiter => return Ok(()),
            Pkt::Flush | Pkt::ResponseEnd => {
                return Err(Error::remote("the git server ended its answer without a pack"));
            }
        }
    }
}

fn has(words: &str, wanted: &str) -> bool {
    words.split(' ').any(|word| word == wanted)
}
