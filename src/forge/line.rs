//! The line to a forge's host, whichever forge: where plain http may go, and why nobody answers.

use std::error::Error as StdError;

use url::{Host, Url};

use crate::domain::Error;

/// Whether an address is this machine's own.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// No answer at all from the host of this name: name resolution, connection, TLS, time.
pub(super) fn silence(host: &str, error: &(dyn StdError + 'static)) -> Error {
    let mut chain = vec![error];
    while let Some(cause) = chain[chain.len() - 1].source() {
        chain.push(cause);
    }
    let told: Vec<String> =
        chain.iter().map(|error| error.to_string().lines().next().unwrap_or_default().to_owned()).collect();
    let client = chain.iter().find_map(|error| error.downcast_ref::<reqwest::Error>());
    let mentions = |word: &str| told.iter().any(|text| text.to_ascii_lowercase().contains(word));
    let why = if client.is_some_and(reqwest::Error::is_timeout) {
        "does not answer in time"
    } else if mentions("certificate") || mentions("tls") {
        "cannot prove who it is (TLS)"
    } else if mentions("dns error") || mentions("lookup address") {
        "is a name that cannot be resolved"
    } else if client.is_some_and(reqwest::Error::is_connect) {
        "cannot be reached"
    } else {
        "breaks the connection off"
    };
    let error = Error::remote(format!("{host} {why}")).detail(told.join(": "));
    if why.ends_with("(TLS)") {
        return error
            .hint("if its certificate is signed by your own authority, name that in the setting `http.ca_file`");
    }
    error
}
