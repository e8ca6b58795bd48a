//! A mail server on loopback that insists on the dialogue of RFC 5321 and can be in any mood.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::world::eventually;

/// Trusts the certificate of a server with TLS.
pub const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls/ca.pem");

/// How the server is today.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It takes what comes.
    #[default]
    Well,
    /// It answers the message with this.
    Refuses(&'static str),
    /// It hangs up instead of a greeting.
    Away,
    /// It keeps the message and hangs up before it says so.
    HangsUpLate,
    /// It reads the message and says nothing any more.
    FallsSilent,
}

/// A mail as it arrived.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// Names and unfolded, decoded values.
    pub headers: Vec<(String, String)>,
    /// Decoded.
    pub text: String,
}

impl Mail {
    /// The value of a header that is there once.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = &found.next().unwrap_or_else(|| panic!("no header {name}: {self:?}")).1;
        assert!(found.next().is_none(), "{name} is there twice: {self:?}");
        value
    }
}

#[derive(Default)]
struct State {
    mood: Mood,
    /// Who may send, if not everybody.
    login: Option<(String, String)>,
    mails: Vec<Mail>,
    visits: usize,
    violations: Vec<String>,
}

/// The server. What broke its rules fails the test when this is dropped.
pub struct Smtp {
    port: u16,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
}

impl Smtp {
    /// Without TLS.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// With TLS from the start and a certificate that [`CA`] has signed.
    pub async fn with_tls() -> Self {
        use rustls::pki_types::pem::PemObject as _;
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls");
        let certificate = rustls::pki_types::CertificateDer::from_pem_file(format!("{folder}/server.pem")).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::from_pem_file(format!("{folder}/server.key")).unwrap();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap();
        Self::listen(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "smtps" } else { "smtp" };
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    state.lock().unwrap().visits += 1;
                    if state.lock().unwrap().mood == Mood::Away {
                        return;
                    }
                    match tls {
                        None => Dialogue::new(socket, state).run().await,
                        // Whoever does not trust the certificate leaves here.
                        Some(tls) => match tls.accept(socket).await {
                            Ok(socket) => Dialogue::new(socket, state).run().await,
                            Err(_) => None,
                        },
                    };
                });
            }
        });
        Self { port, scheme, state }
    }

    /// For the setting `mail.server`.
    pub fn address(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// From now on.
    pub fn is(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// Only this user may send.
    pub fn only(&self, user: &str, password: &str) {
        self.state.lock().unwrap().login = Some((user.to_owned(), password.to_owned()));
    }

    /// What arrived so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.state.lock().unwrap().mails.clone()
    }

    /// How often somebody came.
    pub fn visits(&self) -> usize {
        self.state.lock().unwrap().visits
    }

    /// The first mail whose subject has this in it, as soon as it is there.
    pub async fn mail(&self, subject: &str) -> Mail {
        let look = async || self.mails().into_iter().find(|mail| mail.header("Subject").contains(subject));
        eventually(look, || format!("a mail about `{subject}`; there are {:#?}", self.mails())).await
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let violations = std::mem::take(&mut self.state.lock().unwrap().violations);
        assert!(
            violations.is_empty() || std::thread::panicking(),
            "the mail server was spoken to wrongly: {violations:#?}"
        );
    }
}

struct Dialogue<S> {
    stream: BufReader<S>,
    state: Arc<Mutex<State>>,
    greeted: bool,
    signed_in: bool,
    from: Option<String>,
    to: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    fn new(stream: S, state: Arc<Mutex<State>>) -> Self {
        let stream = BufReader::new(stream);
        Self { stream, state, greeted: false, signed_in: false, from: None, to: Vec::new() }
    }

    /// Until somebody hangs up.
    async fn run(mut self) -> Option<()> {
        self.say("220 mail.example.com ESMTP").await?;
        loop {
            let line = self.line().await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_uppercase().as_str() {
                "EHLO" => {
                    self.greeted = true;
                    let auth = self.state.lock().unwrap().login.is_some();
                    self.say("250-mail.example.com").await?;
                    if auth {
                        self.say("250-AUTH PLAIN").await?;
                    }
                    self.say("250 8BITMIME").await?;
                }
                "AUTH" => self.auth(rest).await?,
                "MAIL" => self.mail(rest).await?,
                "RCPT" => {
                    let to = rest.strip_prefix("TO:<").and_then(|rest| rest.split('>').next()).map(str::to_owned);
                    match to.filter(|_| self.from.is_some()) {
                        Some(to) => self.to.push(to),
                        None => return self.wrong("RCPT without MAIL or without an address").await,
                    }
                    self.say("250 OK").await?;
                }
                "DATA" if self.to.is_empty() => return self.wrong("DATA without RCPT").await,
                "DATA" => self.data().await?,
                "QUIT" => {
                    self.say("221 Bye").await?;
                    return None;
                }
                "NOOP" | "RSET" => self.say("250 OK").await?,
                _ => return self.wrong(&format!("an unknown command: {line}")).await,
            }
        }
    }

    async fn auth(&mut self, rest: &str) -> Option<()> {
        let given = rest.strip_prefix("PLAIN ").and_then(|given| STANDARD.decode(given).ok()).unwrap_or_default();
        let (user, password) = self.state.lock().unwrap().login.clone()?;
        if given == format!("\0{user}\0{password}").into_bytes() {
            self.signed_in = true;
            self.say("235 2.7.0 Accepted").await
        } else {
            self.say("535 5.7.8 Username and Password not accepted").await
        }
    }

    async fn mail(&mut self, rest: &str) -> Option<()> {
        if !self.greeted {
            return self.wrong("MAIL without EHLO").await;
        }
        let closed = self.state.lock().unwrap().login.is_some();
        if closed && !self.signed_in {
            return self.say("530 5.7.0 Authentication required").await;
        }
        self.from = rest.strip_prefix("FROM:<").and_then(|rest| rest.split('>').next()).map(str::to_owned);
        self.say("250 OK").await
    }

    async fn data(&mut self) -> Option<()> {
        self.say("354 Go ahead").await?;
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            match line.strip_prefix('.') {
                Some("") => break,
                Some(stuffed) => lines.push(stuffed.to_owned()),
                None => lines.push(line),
            }
        }
        let mail = read(self.from.take().unwrap_or_default(), std::mem::take(&mut self.to), &lines);
        let mood = self.state.lock().unwrap().mood;
        match mood {
            Mood::Refuses(why) => return self.say(why).await,
            Mood::FallsSilent => return std::future::pending().await,
            Mood::Well | Mood::HangsUpLate | Mood::Away => self.state.lock().unwrap().mails.push(mail),
        }
        if mood == Mood::HangsUpLate {
            return None;
        }
        self.say("250 Kept").await
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await.ok()?;
        if line.is_empty() {
            return None;
        }
        let ended = line.ends_with(b"\r\n");
        let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        // RFC 5321 2.3.8 and 4.5.3.1.6
        if !ended || text.contains('\r') || line.len() > 1000 {
            self.state.lock().unwrap().violations.push(format!("a bare line end or too long a line: {text}"));
        }
        Some(text)
    }

    async fn wrong(&mut self, what: &str) -> Option<()> {
        self.state.lock().unwrap().violations.push(what.to_owned());
        self.say("503 Bad sequence of commands").await
    }

    async fn say(&mut self, line: &str) -> Option<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
        self.stream.flush().await.ok()
    }
}

fn read(from: String, to: Vec<String>, lines: &[String]) -> Mail {
    let end = lines.iter().position(String::is_empty).unwrap_or(lines.len());
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in &lines[..end] {
        match (line.starts_with([' ', '\t']), line.split_once(": ")) {
            (true, _) => headers.last_mut().unwrap().1 += line,
            (_, Some((name, value))) => headers.push((name.to_owned(), value.to_owned())),
            (_, None) => panic!("no header: {line}"),
        }
    }
    let body = lines[(end + 1).min(lines.len())..].join("\n");
    let encoding = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Content-Transfer-Encoding"));
    let bytes = match encoding.map(|(_, value)| value.as_str()) {
        Some("quoted-printable") => unquoted(&body.replace("=\n", ""), '='),
        Some("base64") => STANDARD.decode(body.replace('\n', "")).unwrap(),
        _ => body.into_bytes(),
    };
    let text = String::from_utf8(bytes).unwrap().replace("\r\n", "\n");
    let headers = headers.into_iter().map(|(name, value)| (name, decoded(&value))).collect();
    Mail { from, to, headers, text }
}

/// Encoded words of RFC 2047, as far as our library writes them.
fn decoded(value: &str) -> String {
    let joined = value.replace("?= =?utf-8?b?", "");
    match joined.split_once("=?utf-8?b?") {
        None => value.to_owned(),
        Some((before, rest)) => {
            let (word, after) = rest.split_once("?=").unwrap_or((rest, ""));
            let bytes = STANDARD.decode(word).unwrap_or_else(|error| panic!("{error}: {value}"));
            format!("{before}{}{}", String::from_utf8(bytes).unwrap(), decoded(after))
        }
    }
}

fn unquoted(text: &str, mark: char) -> Vec<u8> {
    let mut parts = text.split(mark);
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.extend(hex::decode(&part[..2]).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    bytes
}
