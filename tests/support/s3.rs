//! An S3 server in this process that checks signatures.

use tempfile::TempDir;

/// Keeps its objects in a folder: `bucket/…`.
pub struct S3 {
    /// Where buckets are folders.
    pub dir: TempDir,
    endpoint: String,
}

impl S3 {
    /// With one empty bucket, `bucket`.
    pub async fn start() -> Self {
        Self::start_with(Some(s3s::auth::SimpleAuth::from_single("access", "secret"))).await
    }

    /// With a policy under which nobody deletes anything.
    pub async fn start_keeping() -> Self {
        let auth = Some(s3s::auth::SimpleAuth::from_single("access", "secret"));
        Self::serve(auth, |service| service.set_access(Keeps)).await
    }

    /// Without `auth` it lets everybody in who does not sign; then requests may be changed on their way.
    pub async fn start_with(auth: Option<s3s::auth::SimpleAuth>) -> Self {
        Self::serve(auth, |_| {}).await
    }

    async fn serve(
        auth: Option<s3s::auth::SimpleAuth>,
        set_up: impl FnOnce(&mut s3s::service::S3ServiceBuilder),
    ) -> Self {
        // Whoever was first is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("bucket")).unwrap();
        let mut service = s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap());
        if let Some(auth) = auth {
            service.set_auth(auth);
        }
        set_up(&mut service);
        let service = service.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                let http = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
                tokio::spawn(async move {
                    let _ = http.serve_connection(hyper_util::rt::TokioIo::new(socket), service).await;
                });
            }
        });
        Self { dir, endpoint }
    }

    /// What `[vault.options]` needs to reach it.
    pub fn options(&self) -> [(String, String); 5] {
        options(&self.endpoint)
    }
}

/// A bucket policy that denies deletes.
struct Keeps;

#[async_trait::async_trait]
impl s3s::access::S3Access for Keeps {
    async fn delete_object(&self, _: &mut s3s::S3Request<s3s::dto::DeleteObjectInput>) -> s3s::S3Result<()> {
        Err(s3s::s3_error!(AccessDenied))
    }

    async fn delete_objects(&self, _: &mut s3s::S3Request<s3s::dto::DeleteObjectsInput>) -> s3s::S3Result<()> {
        Err(s3s::s3_error!(AccessDenied))
    }
}

/// The options for an S3 server at `endpoint`, wherever that leads.
pub fn options(endpoint: &str) -> [(String, String); 5] {
    [
        ("aws_endpoint", endpoint),
        ("aws_allow_http", "true"),
        ("aws_region", "us-east-1"),
        ("aws_access_key_id", "access"),
        ("aws_secret_access_key", "secret"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
}
