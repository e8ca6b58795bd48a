//! Notices by mail.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Letter};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::ExposeSecret as _;
use url::Url;

use super::{Message, Receiver, is_loopback, secret_of};
use crate::config;
use crate::domain::{Error, Result};

/// However long the server thinks about a line; RFC 5321 4.5.3.2 allows minutes, a worker is worth more.
const PATIENCE: Duration = Duration::from_mins(1);

const SUBMISSIONS: u16 = 465;
const SUBMISSION: u16 = 587;

pub(super) struct Mail {
    server: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Mail {
    pub(super) fn new(settings: &config::Mail, http: &config::Http) -> Result<Self> {
        let url = address(&settings.server)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let (tls, port) = match url.scheme() {
            "smtps" => (Tls::Wrapper(trusting(&host, http)?), SUBMISSIONS),
            _ if is_loopback(&url) => (Tls::None, SUBMISSION),
            _ => (Tls::Required(trusting(&host, http)?), SUBMISSION),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&host)
            .port(url.port().unwrap_or(port))
            .tls(tls)
            .timeout(Some(PATIENCE));
        if !settings.username.is_empty() {
            let password = secret_of(&settings.password_file, "mail.password_file")?;
            let password = password.expose_secret().to_owned();
            transport = transport.credentials(Credentials::new(settings.username.clone(), password));
        }
        if settings.to.is_empty() {
            return Err(Error::misconfigured("the setting `mail.to` names nobody"));
        }
        Ok(Self {
            server: host,
            from: mailbox(&settings.from, "mail.from")?,
            to: settings.to.iter().map(|to| mailbox(to, "mail.to")).collect::<Result<_>>()?,
            transport: transport.build(),
        })
    }

    /// The headers are made by the library, which encodes whatever does not belong there.
    fn letter(&self, message: &Message) -> Result<Letter> {
        let mut letter = Letter::builder()
            .from(self.from.clone())
            .subject(format!("Refward {}: {}", message.severity, message.summary))
            .message_id(Some(format!("<{}@{}>", message.id, self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN);
        // No out-of-office replies: RFC 3834.
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        letter = letter.raw_header(HeaderValue::new(name, "auto-generated".to_owned()));
        for to in &self.to {
            letter = letter.to(to.clone());
        }
        letter.body(message.text.clone()).map_err(|error| Error::bug("cannot write a mail").detail(error))
    }

    fn explain(&self, error: &lettre::transport::smtp::Error) -> Error {
        let server = &self.server;
        let code = error.status().map(|code| code.to_string());
        let told = match code.as_deref() {
            Some("530" | "534" | "535" | "538") => {
                Error::misconfigured(format!("the mail server {server} does not accept our user name and password"))
                    .hint("check `mail.username` and the file of `mail.password_file`")
            }
            Some(code) if error.is_permanent() => {
                Error::misconfigured(format!("the mail server {server} refuses the message ({code})"))
                    .hint("check `mail.from` and `mail.to`; its log says more")
            }
            Some(code) => Error::remote(format!("the mail server {server} does not take the message now ({code})")),
            None if is_about_tls(error) => Error::remote(format!("no safe connection to the mail server {server} comes about"))
                .hint("check the port in `mail.server` (smtps:// is TLS from the start, smtp:// is STARTTLS), the server's certificate, and `http.ca_file`"),
            None if error.is_client() => {
                Error::misconfigured(format!("the mail server {server} does not offer what we need"))
                    .hint("check `mail.server`: its port may want TLS from the start, or another way to sign in")
            }
            None => Error::remote(format!("the mail server {server} cannot be reached, or does not answer as one")),
        };
        told.detail(error)
    }
}

#[async_trait]
impl Receiver for Mail {
    async fn send(&self, message: &Message) -> Result<()> {
        let sent = self.transport.send(self.letter(message)?).await;
        sent.map(drop).map_err(|error| self.explain(&error))
    }
}

/// A handshake's failure comes as one of the connection: <https://docs.rs/tokio-rustls>, `InvalidData` around rustls' error.
fn is_about_tls(error: &lettre::transport::smtp::Error) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(first), |error| error.source());
    let invalid = |io: &std::io::Error| io.kind() == std::io::ErrorKind::InvalidData;
    error.is_tls() || causes.any(|cause| cause.downcast_ref().is_some_and(invalid))
}

fn address(server: &str) -> Result<Url> {
    let refuse = |why: &str| {
        Error::misconfigured(format!("the setting `mail.server` {why}"))
            .hint("write smtps://HOST:PORT for TLS from the start, or smtp://HOST:PORT for STARTTLS")
    };
    let url = Url::parse(server).map_err(|_| refuse("is not an address"))?;
    if !matches!(url.scheme(), "smtp" | "smtps") || url.host_str().is_none_or(str::is_empty) {
        return Err(refuse("is not a mail server's address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "must not hold a user or password: those belong in `mail.username` and `mail.password_file`",
        ));
    }
    Ok(url)
}

/// The platform's certificate authorities and those of `http.ca_file`.
fn trusting(host: &str, http: &config::Http) -> Result<TlsParameters> {
    let mut tls = TlsParameters::builder(host.to_owned());
    if !http.ca_file.as_os_str().is_empty() {
        let file = http.ca_file.display();
        let pem = std::fs::read(&http.ca_file)
            .map_err(|error| Error::misconfigured(format!("cannot read `http.ca_file` {file}: {error}")))?;
        let certificates = Certificate::from_pem(&pem)
            .map_err(|error| Error::misconfigured(format!("`http.ca_file` {file} is not a PEM file")).detail(error))?;
        tls = tls.add_root_certificate(certificates);
    }
    tls.build().map_err(|error| Error::misconfigured("cannot set up TLS for mail").detail(error))
}

fn mailbox(text: &str, setting: &str) -> Result<Mailbox> {
    text.parse().map_err(|error| {
        Error::misconfigured(format!(
            "the setting `{setting}` holds `{}`, which is no mail address",
            text.escape_debug()
        ))
        .detail(error)
    })
}
