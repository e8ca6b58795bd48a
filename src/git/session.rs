//! A conversation with one repository on a server.

use chrono::Utc;

use super::greetings::Greeting;
use super::http::Http;
use super::ingest;
use super::listing::Listing;
use super::pack::{Lineage, Pack};
use super::side_band::SideBand;
use super::v1::Version1;
use super::v2::Version2;
use super::{Limits, Progress};
use crate::domain::{Error, ObjectFormat, ObjectId, RefName, Result};

/// Two commits with more than this many objects between them count as unrelated: more is sent where the server does not know
/// the older one, and then it sends everything.
const MOST_BETWEEN: u32 = 50_000;

/// A server that has said which protocol it speaks. Stateless underneath: it may be kept as long as one likes, but a
/// server of version 0 or 1 has told its references when the session was opened.
pub struct Session {
    http: Http,
    limits: Limits,
    dialect: Dialect,
}

enum Dialect {
    Version1(Version1),
    Version2(Version2),
}

/// What a fetch asks for.
pub(super) struct Question<'a> {
    pub wants: &'a [ObjectId],
    pub haves: &'a [ObjectId],
    /// Files, and trees, are of no interest, if the server can leave them out.
    pub commits_only: bool,
}

impl Session {
    pub(super) async fn open(mut http: Http, limits: Limits) -> Result<Self> {
        let mut answer = http.discover().await?;
        let mut first = answer.line().await?;
        if first.as_deref().is_some_and(|line| line.starts_with(b"# service=")) {
            if answer.line().await?.is_some() {
                return Err(Error::remote("the git server's greeting is not git's protocol"));
            }
            first = answer.line().await?;
        }
        let dialect = if first.as_deref() == Some(b"version 2") {
            Dialect::Version2(Version2::read(&mut answer).await?)
        } else {
            Dialect::Version1(Version1::read(&mut answer, first).await?)
        };
        answer.expect_end().await?;
        Ok(Self { http, limits, dialect })
    }

    /// Goes on from an earlier session's greeting.
    pub(super) fn resume(http: Http, limits: Limits, greeting: Greeting) -> Self {
        Self { http: http.resume(greeting.base), limits, dialect: Dialect::Version2(greeting.server) }
    }

    /// What a later session can go on from.
    pub(super) fn greeting(&self) -> Option<Greeting> {
        match &self.dialect {
            Dialect::Version1(_) => None,
            Dialect::Version2(server) => {
                Some(Greeting { server: server.clone(), base: self.http.base().clone(), at: Utc::now() })
            }
        }
    }

    /// The hash that the repository names its objects with.
    pub fn object_format(&self) -> ObjectFormat {
        match &self.dialect {
            Dialect::Version1(server) => server.format,
            Dialect::Version2(server) => server.format,
        }
    }

    /// The references, or only those named; all of them from a server of version 0 or 1, which has told them already. HEAD
    /// is always asked for.
    pub async fn refs(&self, only: Option<&[RefName]>) -> Result<Listing> {
        match &self.dialect {
            Dialect::Version1(server) => Ok(server.refs()),
            Dialect::Version2(server) => server.refs(&self.http, only).await,
        }
    }

    /// Receives all objects that `wants` reach and `haves` do not, verified and indexed.
    ///
    /// Every one of `haves` must be held with everything that it reaches. Without any, the pack must be complete in
    /// itself; with some, [`Pack::external`] names what it leans on. An error for which [`super::is_moved`] holds means
    /// that a wanted object is gone: list again.
    pub async fn fetch(
        &self,
        wants: &[ObjectId],
        haves: &[ObjectId],
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Pack> {
        let mut wants = wants.to_vec();
        wants.sort_unstable();
        wants.dedup();
        let question = Question { wants: &wants, haves, commits_only: false };
        let stream = self.ask(&question).await?;
        ingest::receive(stream, self.object_format(), &self.limits, &question, progress).await
    }

    /// Whether `old` is an ancestor of `new`, or `new` itself. Not if the server no longer knows `old`.
    pub async fn contains(&self, new: ObjectId, old: ObjectId) -> Result<bool> {
        let contains = match &self.dialect {
            Dialect::Version1(_) => self.leads_back(new, old).await,
            Dialect::Version2(server) => match self.adds_nothing(new, old, true).await {
                // It may have been able to leave things out only when it was greeted, and says so in words of all kinds.
                Err(error) if server.filter && !super::asks_for_a_pause(&error) => {
                    self.adds_nothing(new, old, false).await
                }
                answered => answered,
            },
        };
        match contains {
            Err(error) if super::is_moved(&error) => Ok(false),
            other => other,
        }
    }

    /// Asks for `old` while claiming to have `new`: there is nothing to send exactly if `new` contains it. The connection
    /// is dropped as soon as that is known.
    async fn adds_nothing(&self, new: ObjectId, old: ObjectId, commits_only: bool) -> Result<bool> {
        let question = Question { wants: &[old], haves: &[new], commits_only };
        let mut stream = self.ask(&question).await?;
        Ok(stream.announced().await? == 0)
    }

    /// Asks for `new` while claiming to have `old`, and looks whether what comes has `old` for a parent. A server of
    /// version 0 need not give anything but tips, and `old` is none any longer.
    /// <https://git-scm.com/docs/protocol-capabilities#_allow_reachable_sha1_in_want>
    async fn leads_back(&self, new: ObjectId, old: ObjectId) -> Result<bool> {
        if new == old {
            return Ok(true);
        }
        let question = Question { wants: &[new], haves: &[old], commits_only: true };
        let mut stream = self.ask(&question).await?;
        let announced = stream.announced().await?;
        if announced == 0 || announced > MOST_BETWEEN {
            return Ok(false);
        }
        let pack = ingest::receive(stream, self.object_format(), &self.limits, &question, &|_| {}).await?;
        Ok(pack.lineage(&new, &old)? == Lineage::Descends)
    }

    async fn ask(&self, question: &Question<'_>) -> Result<SideBand> {
        let format = self.object_format();
        if question.wants.is_empty() || question.wants.iter().chain(question.haves).any(|id| id.format() != format) {
            return Err(Error::bug(format!("a fetch that names no {format} object")));
        }
        match &self.dialect {
            Dialect::Version1(server) => server.fetch(&self.http, question).await,
            Dialect::Version2(server) => server.fetch(&self.http, question).await,
        }
    }
}

pub(super) fn shallow() -> Error {
    Error::misconfigured("the repository on the server is shallow: it does not hold its own history")
        .hint("On the server, run `git fetch --unshallow`; until then there is nothing whole to back up.")
}
