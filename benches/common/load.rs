//! Sends signed push webhooks over kept-alive connections. It writes ready bytes and reads only as much of an answer as it
//! must, so that it costs little beside the server that it measures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::Result;

/// A signed body. Each time that it is sent it gets another delivery id.
pub struct Webhook {
    body: String,
    signature: String,
}

/// What came of a run.
pub struct Load {
    /// Time of every answer.
    pub latencies: Vec<Duration>,
    /// From the first to the last.
    pub elapsed: Duration,
}

impl Load {
    /// Requests per second.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The time within which `percent` of the answers came.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(index).copied().unwrap_or_default()
    }
}

impl Webhook {
    /// A push to `repository` (with that id) of about the size that GitHub sends.
    pub fn push(secret: &str, id: u64, repository: &str) -> Self {
        let body = push_payload(id, repository).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(body.as_bytes());
        Self { signature: hex::encode(mac.finalize().into_bytes()), body }
    }

    /// The size of the body.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    fn request(&self, address: SocketAddr, path: &str, buffer: &mut Vec<u8>) {
        buffer.clear();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: GitHub-Hookshot/0123456\r\naccept: */*\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nx-github-event: push\r\nx-github-hook-id: 1\r\n\
             x-github-delivery: {}\r\nx-hub-signature-256: sha256={}\r\n\r\n",
            self.body.len(),
            Uuid::new_v4(),
            self.signature
        );
        buffer.extend_from_slice(head.as_bytes());
        buffer.extend_from_slice(self.body.as_bytes());
    }
}

/// Keeps `connections` busy for `duration`. Every answer must be a 2xx.
pub async fn run(
    address: SocketAddr,
    path: &'static str,
    connections: usize,
    duration: Duration,
    webhooks: &Arc<Vec<Webhook>>,
) -> Result<Load> {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..connections {
        let webhooks = webhooks.clone();
        tasks.spawn(async move {
            let talk = talk(address, path, webhooks.iter().cycle().skip(number), started + duration);
            talk.await.map_err(|error| error.to_string())
        });
    }
    let mut latencies = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        latencies.extend(ended??);
    }
    Ok(Load { latencies, elapsed: started.elapsed() })
}

async fn talk<'a>(
    address: SocketAddr,
    path: &str,
    webhooks: impl Iterator<Item = &'a Webhook>,
    until: Instant,
) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut request, mut answer, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    for webhook in webhooks {
        let started = Instant::now();
        if started > until {
            break;
        }
        webhook.request(address, path, &mut request);
        stream.write_all(&request).await?;
        answer.clear();
        while !is_complete(&answer)? {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("the server has closed the connection".into());
            }
        }
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

/// An answer with a good status has arrived up to its end.
fn is_complete(answer: &[u8]) -> Result<bool> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(false) };
    let head = head.to_ascii_lowercase();
    if !head.starts_with("http/1.1 2") {
        return Err(format!("refused: {text}").into());
    }
    match head.lines().find_map(|line| line.strip_prefix("content-length:")) {
        Some(length) => Ok(body.len() >= length.trim().parse::<usize>()?),
        None => Ok(body.ends_with("0\r\n\r\n")),
    }
}

fn push_payload(id: u64, full_name: &str) -> serde_json::Value {
    let (owner, name) = full_name.split_once('/').unwrap_or(("bench", full_name));
    let web = format!("https://github.example.com/{full_name}");
    let api = format!("https://github.example.com/api/v3/repos/{full_name}");
    let person = |login: &str| json!({ "name": login, "email": format!("{login}@example.com"), "username": login });
    let links =
        ["forks", "keys", "teams", "hooks", "events", "branches", "tags", "blobs", "commits", "issues", "pulls"];
    let mut repository = json!({
        "id": id, "node_id": format!("R_kgDO{id:08x}"), "name": name, "full_name": full_name, "private": true,
        "owner": { "login": owner, "id": 1, "type": "Organization", "url": format!("{api}/owner") },
        "html_url": web, "url": web, "clone_url": format!("{web}.git"), "fork": false, "size": 12_345,
        "default_branch": "main", "master_branch": "main", "archived": false, "visibility": "private",
        "created_at": 1_600_000_000, "pushed_at": 1_700_000_000, "language": "Rust", "topics": [],
    });
    for link in links {
        repository[format!("{link}_url")] = json!(format!("{api}/{link}{{/placeholder}}"));
    }
    let commits: Vec<_> = (0..8)
        .map(|number| {
            let commit = format!("{:040x}", u128::from(id) << 64 | number);
            json!({
                "id": commit, "tree_id": commit, "distinct": true, "url": format!("{web}/commit/{commit}"),
                "message": "Take the shorter way through the reader when the index is at hand\n\nIt saves a copy.",
                "timestamp": "2026-01-02T03:04:05Z", "author": person("author"), "committer": person("committer"),
                "added": [], "removed": [], "modified": ["source/reader/index.rs", "source/reader/mod.rs"],
            })
        })
        .collect();
    json!({
        "ref": "refs/heads/main", "before": format!("{id:040x}"), "after": commits[7]["id"], "base_ref": null,
        "created": false, "deleted": false, "forced": false, "compare": format!("{web}/compare/0...1"),
        "repository": repository, "pusher": person("author"), "organization": { "login": owner, "id": 1 },
        "sender": { "login": "author", "id": 2, "type": "User", "site_admin": false },
        "head_commit": commits[7], "commits": commits,
    })
}
