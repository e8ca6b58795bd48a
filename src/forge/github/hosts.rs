//! The addresses of GitHub's three products, and what may be given as one.

use url::Url;

use crate::domain::{Error, Result};
use crate::forge::line::is_loopback;

/// Which GitHub runs behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    /// github.com.
    GithubCom,
    /// GitHub Enterprise Cloud with data residency: SUB.ghe.com.
    DataResidency,
    /// GitHub Enterprise Server, and whatever speaks like it on loopback.
    Server,
}

/// A host, known by the address that people use in the browser and git uses too.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub product: Product,
    /// Scheme, host and port; the path is `/`.
    pub web: Url,
}

impl Host {
    /// Refuses what cannot be the web address of a GitHub.
    pub fn at(url: &Url) -> Result<Self> {
        let refuse = |why: &str| Err(Error::bad_request(format!("the forge's address {why}")));
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("must not hold a credential; give the token by itself");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("must end after the host: no `?` and no `#`");
        }
        match url.scheme() {
            "https" => (),
            "http" if is_loopback(url) => (),
            "http" => return refuse("must begin with https://: tokens are not sent in the clear"),
            _ => return refuse("must begin with https://"),
        }
        let Some(name) = url.host_str().map(|name| name.trim_end_matches('.')).filter(|name| !name.is_empty()) else {
            return refuse("names no host");
        };
        let product = match name {
            "github.com" | "www.github.com" => Product::GithubCom,
            name if name.ends_with(".github.com") => return refuse("must be https://github.com"),
            "ghe.com" => return refuse("must be https://YOURS.ghe.com"),
            name => match name.strip_suffix(".ghe.com") {
                Some(tenant) if tenant.contains('.') => {
                    let tenant = tenant.rsplit('.').next().unwrap_or_default();
                    return refuse(&format!("must be https://{tenant}.ghe.com"));
                }
                Some(_) => Product::DataResidency,
                None => Product::Server,
            },
        };
        if product != Product::Server && url.port().is_some() {
            return refuse("has a port, which this GitHub does not");
        }
        if url.path().trim_end_matches('/') == "/api/v3" {
            return refuse("is the one that people open in the browser: leave `/api/v3` away");
        }
        if url.path() != "/" {
            return refuse("must end after the host; the owner is given by itself");
        }
        let name = if product == Product::GithubCom { "github.com" } else { name };
        let mut web = url.clone();
        web.set_host(Some(name)).map_err(|error| Error::bug("cannot write a host's address").detail(error))?;
        Ok(Self { product, web })
    }

    /// What REST and GraphQL addresses have in common, without a slash at the end. GraphQL's is this and `/graphql`.
    /// <https://docs.github.com/en/enterprise-server@3.19/graphql/guides/forming-calls-with-graphql>
    pub fn api(&self) -> String {
        let web = self.web.as_str().trim_end_matches('/');
        match self.product {
            Product::GithubCom | Product::DataResidency => web.replacen("://", "://api.", 1),
            Product::Server => format!("{web}/api"),
        }
    }

    /// What REST paths begin with after that.
    pub fn version(&self) -> &'static str {
        match self.product {
            Product::GithubCom | Product::DataResidency => "",
            Product::Server => "/v3",
        }
    }

    /// The name for messages, with the port where it is not the default one.
    pub fn name(&self) -> String {
        let host = self.web.host_str().unwrap_or_default();
        self.web.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// A page of the host, for people.
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.web)
    }
}
