//! An S3 server in this process that checks signatures.

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{S3Request, S3Response, S3Result, dto};
use s3s_fs::FileSystem;
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
        Self::start_with(Some(SimpleAuth::from_single("access", "secret"))).await
    }

    /// With a policy under which nobody deletes anything.
    pub async fn start_keeping() -> Self {
        let dir = folder();
        let mut service = S3ServiceBuilder::new(FileSystem::new(dir.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("access", "secret"));
        service.set_access(Keeps);
        Self::serve(dir, service).await
    }

    /// Keeps versions and locks them for 30 days.
    pub async fn start_locked() -> Self {
        let dir = folder();
        let mut service = S3ServiceBuilder::new(Locked(FileSystem::new(dir.path()).unwrap()));
        service.set_auth(SimpleAuth::from_single("access", "secret"));
        Self::serve(dir, service).await
    }

    /// Without `auth` it lets everybody in who does not sign; then requests may be changed on their way.
    pub async fn start_with(auth: Option<SimpleAuth>) -> Self {
        let dir = folder();
        let mut service = S3ServiceBuilder::new(FileSystem::new(dir.path()).unwrap());
        if let Some(auth) = auth {
            service.set_auth(auth);
        }
        Self::serve(dir, service).await
    }

    async fn serve(dir: TempDir, service: S3ServiceBuilder) -> Self {
        // Whoever was first is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
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

fn folder() -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir(dir.path().join("bucket")).unwrap();
    dir
}

/// A bucket policy that denies deletes.
struct Keeps;

#[async_trait::async_trait]
impl s3s::access::S3Access for Keeps {
    async fn delete_object(&self, _: &mut S3Request<dto::DeleteObjectInput>) -> S3Result<()> {
        Err(s3s::s3_error!(AccessDenied))
    }

    async fn delete_objects(&self, _: &mut S3Request<dto::DeleteObjectsInput>) -> S3Result<()> {
        Err(s3s::s3_error!(AccessDenied))
    }
}

/// A bucket with object lock: each object has one version, which cannot be deleted.
struct Locked(FileSystem);

const VERSION: &str = "3HL4kqtJvjVBH40Nrjfkd";

#[async_trait::async_trait]
impl s3s::S3 for Locked {
    async fn put_object(&self, req: S3Request<dto::PutObjectInput>) -> S3Result<S3Response<dto::PutObjectOutput>> {
        let mut answer = self.0.put_object(req).await?;
        answer.output.version_id = Some(VERSION.to_owned());
        Ok(answer)
    }

    async fn get_object(&self, req: S3Request<dto::GetObjectInput>) -> S3Result<S3Response<dto::GetObjectOutput>> {
        self.0.get_object(req).await
    }

    async fn head_object(&self, req: S3Request<dto::HeadObjectInput>) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        let mut answer = self.0.head_object(req).await?;
        answer.output.version_id = Some(VERSION.to_owned());
        Ok(answer)
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        self.0.list_objects_v2(req).await
    }

    async fn delete_object(
        &self,
        req: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        // Without a version it only hides the object, which whoever asked would take for a success.
        assert_eq!(req.input.version_id.as_deref(), Some(VERSION));
        Err(s3s::s3_error!(AccessDenied))
    }

    async fn get_object_lock_configuration(
        &self,
        _: S3Request<dto::GetObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<dto::GetObjectLockConfigurationOutput>> {
        let mode = Some(dto::ObjectLockRetentionMode::from_static(dto::ObjectLockRetentionMode::COMPLIANCE));
        let retention = dto::DefaultRetention { days: Some(30), mode, years: None };
        let rule = dto::ObjectLockRule { default_retention: Some(retention) };
        let object_lock_configuration =
            Some(dto::ObjectLockConfiguration { object_lock_enabled: None, rule: Some(rule) });
        Ok(S3Response::new(dto::GetObjectLockConfigurationOutput { object_lock_configuration }))
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
