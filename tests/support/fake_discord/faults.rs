//! What can be the matter with Discord.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use serde_json::json;

use super::FakeDiscord;
use super::reply::{Reply, failed};

/// What happens to a call instead of what should.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// An answer with this status and nothing that explains it.
    Status(u16),
    /// 429, for the whole bot or for this route alone.
    Limited {
        /// Seconds.
        retry_after: f64,
        /// All routes.
        global: bool,
    },
    /// 429, because others use the same thing too much; it does not count as an invalid request.
    Shared {
        /// Seconds.
        retry_after: f64,
    },
    /// It is carried out, but the connection ends before the answer.
    Lost,
    /// The connection ends; nothing was carried out.
    Closed,
    /// There is never an answer.
    Hang,
}

#[derive(Default)]
pub struct Faults {
    next: VecDeque<Fault>,
    down: bool,
}

impl Faults {
    pub fn next(&mut self) -> Option<Fault> {
        if self.down { Some(Fault::Closed) } else { self.next.pop_front() }
    }
}

impl Fault {
    /// The answer that comes in place of the right one, if it is one.
    pub fn reply(self) -> Option<Reply> {
        match self {
            Self::Status(429) => Some(limited(1.0, false, "user")),
            Self::Status(status) => Some(failed(status, 0, &format!("{status}: made up"))),
            Self::Limited { retry_after, global } => {
                Some(limited(retry_after, global, if global { "global" } else { "user" }))
            }
            Self::Shared { retry_after } => Some(limited(retry_after, false, "shared")),
            Self::Lost | Self::Closed | Self::Hang => None,
        }
    }
}

/// 429: <https://docs.discord.com/developers/topics/rate-limits#exceeding-a-rate-limit>
pub fn limited(retry_after: f64, global: bool, scope: &str) -> Reply {
    let text = match scope {
        "shared" => "The resource is being rate limited.",
        _ => "You are being rate limited.",
    };
    let body = json!({ "message": text, "retry_after": retry_after, "global": global, "code": 0 });
    let reply = Reply { status: 429, headers: Vec::new(), body: Some(body) };
    let reply = reply.header("retry-after", retry_after.ceil()).header("x-ratelimit-scope", scope);
    if global { reply.header("x-ratelimit-global", true) } else { reply }
}

impl FakeDiscord {
    /// The next `times` calls meet this.
    pub fn fail(&self, times: usize, fault: Fault) {
        self.state().faults.next.extend(std::iter::repeat_n(fault, times));
    }

    /// Nobody gets an answer until [`Self::up`].
    pub fn down(&self) {
        self.state().faults.down = true;
    }

    /// As before.
    pub fn up(&self) {
        self.state().faults.down = false;
    }
}

/// A second handle of each connection, to end it with.
pub fn keep_connection(connection: &dyn std::any::Any, extensions: &mut Extensions) {
    let stream = connection.downcast_ref::<actix_web::rt::net::TcpStream>().expect("a plain connection");
    extensions.insert(Arc::new(TcpStream::from(stream.as_fd().try_clone_to_owned().unwrap())));
}

/// Ends the connection that a request came over.
pub fn hang_up(request: &HttpRequest) {
    let connection = request.conn_data::<Arc<TcpStream>>().unwrap();
    // It may have ended by itself.
    let _ = connection.shutdown(Shutdown::Both);
}
