//! A deployment with an Azure DevOps to back up.
//!
//! ```ignore
//! let world = World::with_azure(&[]).await;                       // or with_azure_server("7.0", &[])
//! let repo = world.azure().org("acme").project("Prój eñt").repo("My Repo").await;
//! world.connect_azure("acme").await;
//! let service = world.serve().await;                              // which sets its service hooks up
//! world.matches(&repo).await;
//! ```

use std::net::TcpListener;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::fake_azure_devops::FakeAzureDevops;
use super::world::{Ran, World};

impl World {
    /// With Azure DevOps Services.
    pub async fn with_azure(settings: &[(&str, &str)]) -> Self {
        Self::beside(FakeAzureDevops::start().await, settings).await
    }

    /// With an Azure DevOps Server, and the highest api-version that it knows.
    pub async fn with_azure_server(version: &str, settings: &[(&str, &str)]) -> Self {
        Self::beside(FakeAzureDevops::server(version).await, settings).await
    }

    async fn beside(azure: FakeAzureDevops, settings: &[(&str, &str)]) -> Self {
        let mut world = Self::bare().await;
        for (key, value) in settings {
            world.set(key, value);
        }
        world.gets(azure);
        world.init().await;
        world
    }

    /// There is an Azure DevOps as well from now on.
    pub fn gets(&mut self, azure: FakeAzureDevops) {
        // Service hooks lead to an address that has to be known before somebody listens there.
        self.listen = free_address();
        let address = format!("http://{}", self.listen);
        self.set("server.public_url", &address);
        self.azure = Some(azure);
    }

    /// Its Azure DevOps.
    pub fn azure(&self) -> &FakeAzureDevops {
        self.azure.as_ref().expect("a world that was made by `with_azure`")
    }

    /// Connects an organization, or a collection, under its own name, with a token that may do everything.
    pub async fn connect_azure(&self, org: &str) -> Value {
        let ran = self.connect_azure_with(org, &self.azure().full_pat(org), &["--json"]).await;
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        ran.json()
    }

    /// Tries to connect one.
    pub async fn connect_azure_with(&self, org: &str, token: &SecretString, more: &[&str]) -> Ran {
        self.knows(token);
        let (url, token) = (self.azure().url(org), self.secret_file(&format!("{org}.pat"), token.expose_secret()));
        let given = ["connect", "azure-devops", "--name", org, "--url", url.as_str(), "--token-file", &token];
        self.refward(&[&given[..], more].concat()).await
    }
}

/// Nobody listens there at the moment.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
