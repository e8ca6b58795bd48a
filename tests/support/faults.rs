//! A world that breaks at a chosen moment: a proxy that holds, cuts and stalls, and small disks.
//!
//! The product knows nothing of this. Where a story needs the service to stand still at a certain step, something that
//! the step waits for is held: the git server's answer, the store's answer, the database's lock.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

use super::world::PATIENCE;

/// Stands in front of an HTTP server and passes everything on, one request per connection, unless told otherwise.
#[derive(Clone)]
pub struct Proxy {
    url: Url,
    inner: Arc<Inner>,
}

struct Inner {
    upstream: Mutex<SocketAddr>,
    rules: Mutex<Vec<Rule>>,
    dropped: Mutex<Vec<&'static str>>,
    requests: Mutex<Vec<String>>,
}

struct Rule {
    method: &'static str,
    path: String,
    left: usize,
    act: Act,
}

#[derive(Clone)]
enum Act {
    HoldRequest(Hold),
    HoldAnswer(Hold),
    Cut(usize),
    Stall(usize),
}

impl Proxy {
    /// In front of whatever listens at `upstream`.
    pub async fn before(upstream: &Url) -> Self {
        let upstream = Mutex::new(address(upstream));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (rules, dropped, requests) = (Mutex::default(), Mutex::default(), Mutex::default());
        let inner = Arc::new(Inner { upstream, rules, dropped, requests });
        let serving = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let inner = Arc::clone(&serving);
                // Connections that break are what this is for.
                tokio::spawn(async move { drop(inner.pass(client).await) });
            }
        });
        Self { url, inner }
    }

    /// Its address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Stands in front of another server from now on.
    pub fn lead_to(&self, upstream: &Url) {
        *self.inner.upstream.lock().unwrap() = address(upstream);
    }

    /// The next request like this does not reach the server before [`Hold::release`].
    pub fn hold_request(&self, method: &'static str, path: &str) -> Hold {
        let hold = Hold::new();
        self.rule(method, path, 1, Act::HoldRequest(hold.clone()));
        hold
    }

    /// The next request like this reaches the server; its answer does not come back before [`Hold::release`].
    pub fn hold_answer(&self, method: &'static str, path: &str) -> Hold {
        let hold = Hold::new();
        self.rule(method, path, 1, Act::HoldAnswer(hold.clone()));
        hold
    }

    /// The next `times` answers to such requests end after so many bytes, head included.
    pub fn cut(&self, method: &'static str, path: &str, times: usize, bytes: usize) {
        self.rule(method, path, times, Act::Cut(bytes));
    }

    /// The next `times` answers to such requests bring so many bytes, head included, and then nothing.
    pub fn stall(&self, method: &'static str, path: &str, times: usize, bytes: usize) {
        self.rule(method, path, times, Act::Stall(bytes));
    }

    /// The server never gets to see this header.
    pub fn drop_header(&self, name: &'static str) {
        self.inner.dropped.lock().unwrap().push(name);
    }

    /// How many request lines so far hold all of these words.
    pub fn requests(&self, words: &[&str]) -> usize {
        let requests = self.inner.requests.lock().unwrap();
        requests.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }

    fn rule(&self, method: &'static str, path: &str, left: usize, act: Act) {
        self.inner.rules.lock().unwrap().push(Rule { method, path: path.to_owned(), left, act });
    }
}

impl Inner {
    async fn pass(&self, mut client: TcpStream) -> std::io::Result<()> {
        let Some((head, rest)) = read_head(&mut client).await? else { return Ok(()) };
        let line = head.lines().next().unwrap_or_default().to_owned();
        self.requests.lock().unwrap().push(line.clone());
        let act = self.act_on(&line);
        if let Some(Act::HoldRequest(hold)) = &act {
            hold.here().await;
        }
        let upstream = *self.upstream.lock().unwrap();
        let mut server = TcpStream::connect(upstream).await?;
        server.write_all(self.rewrite(&head).as_bytes()).await?;
        server.write_all(&rest).await?;

        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let upward = async {
            tokio::io::copy(&mut from_client, &mut to_server).await?;
            std::future::pending::<std::io::Result<()>>().await
        };
        let downward = async {
            match act {
                Some(Act::HoldAnswer(hold)) => {
                    let mut answer = Vec::new();
                    from_server.read_to_end(&mut answer).await?;
                    hold.here().await;
                    to_client.write_all(&answer).await
                }
                Some(Act::Cut(bytes)) => some(&mut from_server, &mut to_client, bytes).await,
                Some(Act::Stall(bytes)) => {
                    some(&mut from_server, &mut to_client, bytes).await?;
                    std::future::pending().await
                }
                Some(Act::HoldRequest(_)) | None => tokio::io::copy(&mut from_server, &mut to_client).await.map(drop),
            }
        };
        tokio::select! { done = upward => done, done = downward => done }
    }

    fn act_on(&self, line: &str) -> Option<Act> {
        let mut words = line.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.iter_mut().find(|rule| rule.left > 0 && rule.method == method && path.contains(&rule.path))?;
        rule.left -= 1;
        Some(rule.act.clone())
    }

    /// Asks the server to end the connection after its answer, so that its end is seen without understanding it.
    fn rewrite(&self, head: &str) -> String {
        let dropped = self.dropped.lock().unwrap();
        let stays = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            name != "connection" && !dropped.contains(&name.as_str())
        };
        let lines: Vec<&str> = head.trim_end().lines().filter(stays).collect();
        lines.join("\r\n") + "\r\nConnection: close\r\n\r\n"
    }
}

fn address(url: &Url) -> SocketAddr {
    url.socket_addrs(|| None).unwrap()[0]
}

async fn read_head(client: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Ok(Some((String::from_utf8_lossy(&read).into_owned(), rest)));
        }
        if client.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
    }
}

async fn some(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    bytes: usize,
) -> std::io::Result<()> {
    tokio::io::copy(&mut from.take(bytes as u64), to).await?;
    to.flush().await
}

/// Something that stands still.
#[derive(Clone)]
pub struct Hold {
    reached: Arc<watch::Sender<bool>>,
    released: Arc<watch::Sender<bool>>,
}

impl Hold {
    fn new() -> Self {
        Self { reached: Arc::new(watch::Sender::new(false)), released: Arc::new(watch::Sender::new(false)) }
    }

    async fn here(&self) {
        self.reached.send_replace(true);
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }

    /// Waits until it stands still.
    pub async fn reached(&self) {
        let mut reached = self.reached.subscribe();
        let come = reached.wait_for(|reached| *reached);
        assert!(tokio::time::timeout(PATIENCE, come).await.is_ok(), "what was to be held never came");
    }

    /// Lets it go on.
    pub fn release(&self) {
        self.released.send_replace(true);
    }
}

/// A file system in memory of a given size, for which one must be root.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, said loudly, where mounting is not allowed.
    pub fn mount(size: &str) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        eprintln!("SKIPPED: mounting a small disk needs root");
        None
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// `ro`, `rw`, `size=…`.
    pub fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(self.path()).status();
        assert!(status.unwrap().success());
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        // How it ends is the purpose.
        let _ = std::fs::write(self.path().join("filler"), vec![1; 64 << 20]);
    }

    /// Gives it back.
    pub fn clear(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
