//! The double of Azure DevOps behaves as Azure DevOps does.

#[path = "azure_double/api.rs"]
mod api;
#[path = "azure_double/git.rs"]
mod git;

use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::client;
use crate::support::fake_azure_devops::FakeAzureDevops;

/// Somebody who calls an organization.
struct Visitor {
    azure: FakeAzureDevops,
    pat: SecretString,
}

impl Visitor {
    fn new(azure: &FakeAzureDevops, pat: SecretString) -> Self {
        Self { azure: azure.clone(), pat }
    }

    /// A request to `acme`, with the version that every call needs.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let version = match path {
            path if path.contains("api-version") => "",
            path if path.contains('?') => "&api-version=7.1",
            _ => "?api-version=7.1",
        };
        let url = format!("{}/{path}{version}", self.azure.url("acme"));
        let request = client().request(method, url).basic_auth("", Some(self.pat.expose_secret()));
        request.header("x-tfs-fedauthredirect", "Suppress")
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// The `value` of a list.
    async fn list(&self, path: &str) -> Vec<Value> {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.json::<Value>().await.unwrap()["value"].as_array().unwrap().clone()
    }

    /// What every call has to be told: the code in the message, and the type.
    async fn refusal(&self, path: &str) -> String {
        told(self.get(path).await).await
    }
}

async fn told(answer: Response) -> String {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    format!("{status} {}: {}", body["typeKey"].as_str().unwrap(), body["message"].as_str().unwrap())
}

fn names(values: &[Value]) -> Vec<&str> {
    values.iter().map(|value| value["name"].as_str().unwrap()).collect()
}
