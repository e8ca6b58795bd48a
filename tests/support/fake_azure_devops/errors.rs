//! Refusals in the words of Azure DevOps: clients go by `typeKey` and by the code in the message.

use serde_json::{Value, json};

use super::reply::{Reply, answer};
use crate::support::fake_github::Fault;

/// A refusal that comes instead of the right answer: [`super::FakeAzureDevops::fail`].
pub fn fault(status: u16, type_key: &str, message: &str) -> Fault {
    let body = body(FRAMEWORK, type_key, message).to_string();
    Fault { status, headers: Vec::new(), body }
}

/// A refusal; `space` is where its type lives.
fn refusal(status: u16, space: &str, type_key: &str, message: &str) -> Reply {
    answer(status, body(space, type_key, message))
}

fn body(space: &str, type_key: &str, message: &str) -> Value {
    json!({
        "$id": "1",
        "innerException": null,
        "message": message,
        "typeName": format!("{space}.{type_key}, {space}"),
        "typeKey": type_key,
        "errorCode": 0,
        "eventId": 3000,
    })
}

const FRAMEWORK: &str = "Microsoft.TeamFoundation.Framework.Server";
const GIT: &str = "Microsoft.TeamFoundation.Git.Server";
const WEB_API: &str = "Microsoft.VisualStudio.Services.WebApi";
const COMMON: &str = "Microsoft.TeamFoundation.Core.WebApi";

/// Nobody, somebody unknown, or somebody whose token is not for this.
pub fn unauthorized(who: &str) -> Reply {
    let message = format!("TF400813: The user '{who}' is not authorized to access this resource.");
    refusal(401, FRAMEWORK, "UnauthorizedRequestException", &message)
}

/// Whoever is known, and may not.
pub fn git_needs(permission: &str, who: &str, scope: &str) -> Reply {
    let message = format!(
        "TF401027: You need the Git '{permission}' permission to perform this action. Details: identity '{who}', scope \
         '{scope}'."
    );
    refusal(403, GIT, "GitNeedsPermissionException", &message)
}

/// Whoever is known, and may not, outside of git.
pub fn access_denied(who: &str, permission: &str) -> Reply {
    let message =
        format!("Access Denied: {who} needs the following permission(s) to perform this action: {permission}");
    refusal(403, FRAMEWORK, "AccessCheckException", &message)
}

pub fn no_repository(name: &str) -> Reply {
    refusal(404, GIT, "GitRepositoryNotFoundException", &no_repository_text(name))
}

/// The same in words, as git gets it.
pub fn no_repository_text(name: &str) -> String {
    format!(
        "TF401019: The Git repository with name or identifier {name} does not exist or you do not have permissions for \
         the operation you are attempting."
    )
}

pub fn no_project(name: &str) -> Reply {
    if name.parse::<uuid::Uuid>().is_ok() {
        let message = format!(
            "VS800075: The project with id 'vstfs:///Classification/TeamProject/{name}' does not exist, or you do not \
             have permission to access it."
        );
        return refusal(404, COMMON, "ProjectDoesNotExistException", &message);
    }
    let message = format!(
        "TF200016: The following project does not exist: {name}. Verify that the name of the project is correct and that \
         the project exists on the specified Azure DevOps Server."
    );
    refusal(404, COMMON, "ProjectDoesNotExistWithNameException", &message)
}

pub fn name_taken(name: &str) -> Reply {
    let message = format!("TF400948: A Git repository with the name {name} already exists.");
    refusal(409, GIT, "GitRepositoryNameAlreadyExistsException", &message)
}

pub fn project_taken(name: &str) -> Reply {
    let message = format!(
        "TF200019: The following project already exists on the Azure DevOps Server: {name}. You cannot create a new \
         project with the same name as an existing project. Provide a different name."
    );
    refusal(400, COMMON, "ProjectAlreadyExistsException", &message)
}

pub fn no_pull_request(number: &str) -> Reply {
    let message = format!(
        "TF401180: The requested pull request was not found, or you do not have permission to see it: {number}."
    );
    refusal(404, GIT, "GitPullRequestNotFoundException", &message)
}

pub fn no_identity(who: &str) -> Reply {
    let message = format!("TF14045: The identity with TeamFoundationId {who} could not be found.");
    refusal(404, FRAMEWORK, "IdentityNotFoundException", &message)
}

pub fn bad_argument(message: &str) -> Reply {
    refusal(400, WEB_API, "VssPropertyValidationException", message)
}

/// No api-version came with the call.
pub fn no_version(method: &str) -> Reply {
    let message = format!(
        "No api-version was supplied for the \"{method}\" request. The version must be supplied either as part of the \
         Accept header (e.g. \"application/json; api-version=1.0\") or as a query parameter (e.g. \"?api-version=1.0\")."
    );
    refusal(400, WEB_API, "VssVersionNotSpecifiedException", &message)
}

/// One that is too new.
pub fn version_out_of_range(asked: &str, newest: &str) -> Reply {
    let message = format!(
        "The requested REST API version of {asked} is out of range for this server. The latest REST API version this \
         server supports is {newest}."
    );
    refusal(400, WEB_API, "VssVersionOutOfRangeException", &message)
}

/// The resource is a preview, and the caller does not say that it knows.
pub fn preview(asked: &str) -> Reply {
    let message = format!(
        "The requested version \"{asked}\" of the resource is under preview. The -preview flag must be supplied in the \
         api-version for such requests. For example: \"{asked}-preview\""
    );
    refusal(400, WEB_API, "VssInvalidPreviewVersionException", &message)
}

pub fn no_such_call(path: &str, method: &str) -> Reply {
    let message = format!("The controller for path '{path}' was not found or does not implement {method}.");
    refusal(404, WEB_API, "VssResourceNotFoundException", &message)
}

/// The organization does not run.
pub fn stopped(org: &str) -> Reply {
    let message = format!(
        "TF24668: The following team project collection is stopped: {org}. Start the collection and then try again."
    );
    refusal(503, FRAMEWORK, "HostShutdownException", &message)
}

/// Too much was asked for.
pub fn blocked() -> Reply {
    let message = "TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource \
                   'Concurrency' in namespace 'User'.";
    refusal(429, FRAMEWORK, "RequestBlockedException", message)
}

/// Whatever is wrong with service hooks.
pub fn hooks(status: u16, type_key: &str, message: &str) -> Reply {
    refusal(status, "Microsoft.VisualStudio.Services.ServiceHooks.WebApi", type_key, message)
}
