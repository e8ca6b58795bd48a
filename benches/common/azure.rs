//! An organization of Azure DevOps on loopback, as far as a backup looks at one: lists of projects and repositories, and
//! git in its manner. Facts: `tests/support/fake_azure_devops`, which keeps all the rules; this keeps those that cost time.

use actix_web::body::{self, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};
use serde_json::{Value, json};
use url::Url;

/// The organization.
pub const ORGANIZATION: &str = "bench-org";

/// What Azure Repos says that it can. Without `ofs-delta`, deltas name what they are based on.
const CAPABILITIES: &str = "multi_ack thin-pack side-band side-band-64k no-progress multi_ack_detailed no-done shallow \
                            allow-tip-sha1-in-want filter symref=HEAD:refs/heads/main";

/// Projects with their repositories.
pub struct Organization(pub Vec<(String, Vec<String>)>);

impl Organization {
    /// Answers a call of the REST API.
    pub fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let parts: Vec<&str> = request.path().trim_start_matches('/').split('/').skip(1).collect();
        let deleted = request.query_string().contains("stateFilter=deleted");
        let list = |value: Vec<Value>| HttpResponse::Ok().json(json!({ "count": value.len(), "value": value }));
        match parts.as_slice() {
            ["_apis", "connectionData"] => HttpResponse::Ok().json(connection()),
            ["_apis", "projects"] if !deleted => list((0..self.0.len()).map(|number| self.project(number)).collect()),
            ["_apis", "git", "repositories"] => {
                list((0..self.0.len()).flat_map(|number| self.repositories(number)).collect())
            }
            [project, "_apis", "git", "repositories"] => {
                let number =
                    (0..self.0.len()).find(|number| self.0[*number].0 == *project || id(1, *number) == *project);
                list(number.map(|number| self.repositories(number)).unwrap_or_default())
            }
            _ => list(Vec::new()),
        }
    }

    fn project(&self, number: usize) -> Value {
        json!({ "id": id(1, number), "name": self.0[number].0, "state": "wellFormed", "visibility": "private" })
    }

    fn repositories(&self, number: usize) -> Vec<Value> {
        let before: usize = self.0[..number].iter().map(|(_, repositories)| repositories.len()).sum();
        let describe = |(place, name): (usize, &String)| {
            json!({
                "id": id(2, before + place),
                "name": name,
                "project": self.project(number),
                "defaultBranch": "refs/heads/main",
                "size": 1000,
                "isDisabled": false,
                "isInMaintenance": false,
            })
        };
        self.0[number].1.iter().enumerate().map(describe).collect()
    }
}

/// Where git finds `PROJECT/REPOSITORY`.
pub fn git_address(organization: &Url, full_name: &str) -> String {
    format!("{organization}/{}", full_name.replacen('/', "/_git/", 1))
}

/// The id of the project or repository with this number.
fn id(kind: u16, number: usize) -> String {
    format!("0000000{kind}-0000-4000-8000-{number:012x}")
}

fn connection() -> Value {
    let user = json!({
        "id": id(3, 0),
        "descriptor": "Microsoft.IdentityModel.Claims.ClaimsIdentity;bench",
        "subjectDescriptor": "aad.YmVuY2g",
        "providerDisplayName": "Bench",
        "isActive": true,
        "properties": { "Account": { "$type": "System.String", "$value": "bench@example.com" } },
    });
    json!({
        "authenticatedUser": user,
        "authorizedUser": user,
        "instanceId": id(4, 0),
        "deploymentId": id(4, 1),
        "deploymentType": "hosted",
    })
}

/// `/ORG/PROJECT/_git/NAME/SERVICE` as `/PROJECT/NAME.git/SERVICE`, without protocol version 2 and without what Azure Repos
/// does not offer.
pub async fn git(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some((project, rest)) = request.path().split_once("/_git/") else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let (project, (name, service)) =
        (project.rsplit('/').next().unwrap_or_default(), rest.split_once('/').unwrap_or_default());
    let advertises = service == "info/refs";
    let uri: Uri = format!("/{project}/{name}.git/{service}?{}", request.query_string())
        .parse()
        .map_err(actix_web::error::ErrorBadRequest)?;
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
    request.headers_mut().remove("git-protocol");
    let answer = next.call(request).await?;
    if !advertises || !answer.status().is_success() {
        return Ok(answer.map_into_boxed_body());
    }
    let (request, response) = answer.into_parts();
    let (head, old) = response.into_parts();
    let old = body::to_bytes(old).await.map_err(|_| actix_web::error::ErrorInternalServerError("the answer broke"))?;
    let mut response = head.set_body(BoxBody::new(with_capabilities(&old)));
    response.headers_mut().remove(CONTENT_LENGTH);
    Ok(ServiceResponse::new(request, response))
}

/// An advertisement with other capabilities. What has none, because it is no advertisement, stays as it is.
pub fn with_capabilities(advertisement: &[u8]) -> Vec<u8> {
    let Some(nul) = advertisement.iter().position(|byte| *byte == 0) else { return advertisement.to_vec() };
    let end = nul + advertisement[nul..].iter().position(|byte| *byte == b'\n').unwrap_or_default();
    // The line with the NUL is the first after the greeting and its flush.
    let begin = advertisement[..nul].windows(4).position(|bytes| bytes == b"0000").map_or(0, |flush| flush + 4);
    let line = [&advertisement[begin + 4..=nul], CAPABILITIES.as_bytes(), b"\n"].concat();
    [&advertisement[..begin], format!("{:04x}", line.len() + 4).as_bytes(), &line, &advertisement[end + 1..]].concat()
}
