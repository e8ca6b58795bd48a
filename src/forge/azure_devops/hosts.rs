//! The addresses of organizations and collections, and what may be given as one.

use url::Url;

use crate::domain::{Error, Result};
use crate::forge::CredentialKind;
use crate::forge::line::is_loopback;

/// Where the organizations of Azure DevOps Services are.
const SERVICES: &str = "dev.azure.com";

/// Where organizations were until 2018; the addresses still work.
/// <https://learn.microsoft.com/azure/devops/release-notes/2018/sep-10-azure-devops-launch#administration>
const OLD_SERVICES: &str = ".visualstudio.com";

/// The folder that Azure DevOps Server is in, where its administrator has kept the usual one.
const USUAL_FOLDER: &str = "tfs";

/// An organization of Services, or a collection of a Server: everything is below its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// The address shows that it is Services. A Server may be at any other, and so may the doubles of tests.
    pub services: bool,
    /// Without a slash at the end.
    pub web: Url,
}

impl Host {
    /// Refuses what cannot be the address of an organization or a collection.
    pub fn at(url: &Url) -> Result<Self> {
        let refuse = |why: &str| Err(Error::bad_request(format!("the forge's address {why}")));
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("must not hold a name or a credential; give the token by itself");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("must end after the organization or collection: no `?` and no `#`");
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
        let path: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
        if name == "azure.com" || (name.ends_with(".azure.com") && name != SERVICES) {
            return refuse("must be https://dev.azure.com/ORGANIZATION");
        }
        if let Some(organization) = name.strip_suffix(OLD_SERVICES) {
            let organization = organization.split('.').next().unwrap_or_default();
            return match path.as_slice() {
                [] => Self::organization(organization),
                // What collections were called there.
                [only] if only.eq_ignore_ascii_case("DefaultCollection") => Self::organization(organization),
                _ => refuse(&format!("is a project's: it must be https://dev.azure.com/{organization}")),
            };
        }
        if name == SERVICES {
            return match path.as_slice() {
                _ if url.port().is_some() => refuse("has a port, which dev.azure.com does not"),
                [] => refuse("names no organization: it must be https://dev.azure.com/ORGANIZATION"),
                [organization] => Self::organization(organization),
                [organization, ..] => {
                    refuse(&format!("is a project's: it must be https://dev.azure.com/{organization}"))
                }
            };
        }
        let collection = match path.as_slice() {
            [] => return refuse("names no collection: it must be https://HOST/COLLECTION"),
            [folder] if folder.eq_ignore_ascii_case(USUAL_FOLDER) => {
                return refuse(&format!("names no collection: it must be https://HOST/{folder}/COLLECTION"));
            }
            path if path.iter().any(|segment| segment.starts_with('_')) => None,
            [collection] => Some(format!("/{collection}")),
            [folder, collection] if folder.eq_ignore_ascii_case(USUAL_FOLDER) => {
                Some(format!("/{folder}/{collection}"))
            }
            _ => None,
        };
        let Some(collection) = collection else {
            return refuse(
                "goes on after the collection: it must be https://HOST/COLLECTION, with `/tfs` before that if it has one",
            );
        };
        let mut web = url.clone();
        web.set_host(Some(name)).map_err(|error| Error::bug("cannot write a host's address").detail(error))?;
        web.set_path(&collection);
        Ok(Self { services: false, web })
    }

    fn organization(name: &str) -> Result<Self> {
        let fine = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let web = Url::parse(&format!("https://{SERVICES}/{name}"));
        match web {
            Ok(web) if fine => Ok(Self { services: true, web }),
            _ => Err(Error::bad_request(format!("`{}` is not the name of an organization", name.escape_debug()))),
        }
    }

    /// The organization or collection.
    pub fn owner(&self) -> String {
        let last = self.web.path().rsplit('/').next().unwrap_or_default();
        percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned()
    }

    /// The name for messages and budgets, with the port where it is not the default one.
    pub fn name(&self) -> String {
        let host = self.web.host_str().unwrap_or_default();
        self.web.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// What is below the address, segment by segment: nothing in a name leads out of it.
    pub fn below(&self, path: &[&str]) -> Result<Url> {
        let whole = |segment: &&str| !matches!(*segment, "" | "." | "..") && !segment.contains(char::is_control);
        if let Some(strange) = path.iter().find(|segment| !whole(segment)) {
            return Err(Error::bad_request(format!("`{}` cannot name anything", strange.escape_debug())));
        }
        let mut url = self.web.clone();
        let mut segments = url.path_segments_mut().map_err(|()| Error::bug("a host's address has no path"))?;
        segments.pop_if_empty().extend(path);
        drop(segments);
        Ok(url)
    }

    /// Fails for what has no business there: a token of Entra opens every organization of whoever it is for, and no Server
    /// knows what to do with it.
    /// <https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/authentication-guidance>
    pub fn check_kind(&self, kind: &CredentialKind) -> Result<()> {
        let entra = matches!(kind, CredentialKind::Client { .. } | CredentialKind::Delegated { .. });
        // Doubles of Services are at home.
        if !entra || self.services || is_loopback(&self.web) {
            return Ok(());
        }
        Err(Error::misconfigured(format!("{} is an Azure DevOps Server, which has no Entra", self.name()))
            .hint("connect it with a personal access token: --token-file"))
    }

    /// Whether what opens this may be sent there: Services is spread over hosts of its own, a Server is one.
    /// <https://learn.microsoft.com/azure/devops/organizations/security/allow-list-ip-url#domain-urls-to-allow>
    pub fn vouches_for(&self, url: &Url) -> bool {
        let own = |name: &str| name == SERVICES || name.ends_with(".dev.azure.com") || name.ends_with(OLD_SERVICES);
        let services = self.services && url.scheme() == "https" && url.port().is_none();
        url.origin() == self.web.origin() || (services && url.host_str().is_some_and(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_leaves_for_no_host_that_is_not_the_forges_own() {
        let at = |address: &str| address.parse::<Url>().unwrap();
        let (services, server) = ("https://dev.azure.com/acme", "https://devops.example.com/tfs/acme");
        for (host, target, allowed) in [
            (services, "https://dev.azure.com/other", true),
            (services, "https://vssps.dev.azure.com/acme/", true),
            (services, "https://acme.vssps.visualstudio.com/", true),
            (services, "http://vssps.dev.azure.com/acme/", false),
            (services, "https://vssps.dev.azure.com:8443/acme/", false),
            (services, "https://dev.azure.com.example.com/acme", false),
            (services, "https://evildev.azure.com/acme", false),
            (services, "https://devops.example.com/", false),
            (server, "https://devops.example.com/tfs/other", true),
            (server, "https://devops.example.com:8443/tfs/acme", false),
            (server, "https://vssps.dev.azure.com/acme", false),
        ] {
            assert_eq!(Host::at(&at(host)).unwrap().vouches_for(&at(target)), allowed, "{host} {target}");
        }
    }
}
