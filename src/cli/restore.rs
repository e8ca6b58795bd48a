//! `refward restore`: bring a repository back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::connect::secret_from;
use super::{Context, myself, output};
use crate::catalog::{Catalog, NewRecord, Verdict};
use crate::config::Settings;
use crate::domain::{Error, Point, RepoAddress, Result};
use crate::forge::quota::Quotas;
use crate::forge::{self, Forge, Net, Takes};
use crate::git::{self, Credential, Login, Remote};
use crate::ops::restore::{
    Action, Kin, Namesake, Place, Plan, Receipt, Restore, Server, Source, Target, incomplete, locate, plan,
    run as carry_out,
};
use crate::services::{Services, git_limits, http_client};
use crate::vault::Vault;

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(group(clap::ArgGroup::new("target").args(["to_dir", "to_url", "to", "to_peer", "to_origin"])))]
pub(super) struct Args {
    /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
    repo: RepoAddress,
    /// A snapshot's number or a time such as "10 minutes ago"; by default the newest.
    #[arg(long, value_name = "SEQ|TIME")]
    at: Option<Point>,
    /// Only this reference; may be repeated.
    #[arg(long = "ref", value_name = "REF")]
    refs: Vec<String>,
    /// Restore into this folder: new, empty, or an existing repository.
    #[arg(long, value_name = "DIR")]
    to_dir: Option<PathBuf>,
    /// Without a working tree.
    #[arg(long, conflicts_with_all = ["to_url", "to", "to_peer", "to_origin"])]
    bare: bool,
    /// Push to this repository.
    #[arg(long, value_name = "URL")]
    to_url: Option<Url>,
    /// Push to CONNECTION:OWNER/NAME, on whatever forge, with what of that connection may write.
    #[arg(long, value_name = "REPO", conflicts_with_all = ["vault"])]
    to: Option<RepoAddress>,
    /// Make the repository if it is not there, where the forge lets us do that.
    #[arg(long, conflicts_with_all = ["vault", "to_dir", "to_url", "to_origin"])]
    create: bool,
    /// Push to the repository of the same name at the connection's peer, which is also what happens where nothing else is
    /// said and there is a peer; see `refward connections pair --help`.
    #[arg(long, conflicts_with_all = ["vault"])]
    to_peer: bool,
    /// Push to the repository that it was backed up from, with what of its connection may write.
    #[arg(long, conflicts_with_all = ["vault"])]
    to_origin: bool,
    /// File with the token for --to-url.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to_dir", "to", "to_peer", "to_origin"])]
    token_file: Option<PathBuf>,
    /// Put the references under this, e.g. refs/heads/restored/.
    #[arg(long, value_name = "REFS/…/", conflicts_with = "to_dir")]
    prefix: Option<String>,
    /// Overwrite references that exist with another value. The plan names them.
    #[arg(long)]
    force: bool,
    /// Say what would change; change nothing.
    #[arg(long)]
    plan: bool,
    /// Read this vault instead of the one in the settings; then no settings file is needed.
    #[arg(long, value_name = "URL", requires = "identity")]
    vault: Option<String>,
    /// The key to read with, e.g. the recovery kit, instead of the one in the settings.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let settings = match &args.vault {
        Some(_) if !context.config.is_file() => Settings::defaults()?,
        _ => context.settings()?,
    };
    let client = git::Client::new(http_client(&settings.http)?, &git_limits(&settings.git));
    let (source, namesakes) = source(&settings, &args).await?;
    let Asked { request, place } = asked(context, &settings, &args).await?;
    let planned = Plan { namesakes, ..plan(&source, &request, &client).await? };
    if args.plan {
        return output::print(context.json, &planned, describe_plan);
    }
    let bar = output::progress("snapshots");
    let on_record = OnRecord::of(&settings, &args, &request, &planned).await;
    if let Some(on_record) = &on_record {
        on_record.begins(&planned).await;
    }
    let made = make(request, place.as_ref(), &planned);
    let outcome = match made.await {
        Ok(request) => carry_out(&source, &request, &planned, &|step| output::restoring(&bar, step)).await,
        Err(error) => Err(error),
    };
    if let Some(on_record) = &on_record {
        on_record.ended(&outcome).await;
    }
    let mut receipt = outcome?;
    bar.finish_and_clear();
    explain(&mut receipt, place.as_ref(), &settings)?;
    output::print(context.json, &receipt, describe_receipt)?;
    if !receipt.complete() {
        return Err(incomplete(&receipt));
    }
    if let (Some((services, place)), Some(branch)) = (&place, planned.makes.as_ref().and(planned.default_branch())) {
        let shown = place.show_first(services, branch).await;
        shown.map_err(|error| {
            error.while_doing(format!("all is restored; making {} the default branch", branch.short()))
        })?;
    }
    if receipt.missing.is_empty() {
        return Ok(());
    }
    Err(output::partial(format!("all of snapshot {} is restored, but it is incomplete", receipt.seq)))
}

/// What is to be done, and the repository of ours that it goes to, if it is one.
struct Asked {
    request: Restore,
    place: Option<(Arc<Services>, Place)>,
}

/// Makes the repository, if the plan says so.
async fn make(request: Restore, place: Option<&(Arc<Services>, Place)>, planned: &Plan) -> Result<Restore> {
    match (place, request.target) {
        (Some((services, place)), Target::Server(Server { prefix, .. })) if planned.makes.is_some() => {
            let made = place.make(services).await?;
            Ok(Restore { target: Target::Server(Server { prefix, ..made }), ..request })
        }
        (_, target) => Ok(Restore { target, ..request }),
    }
}

/// In the words of the forge that refused; where we do not know which one it is, of any.
fn explain(receipt: &mut Receipt, place: Option<&(Arc<Services>, Place)>, settings: &Settings) -> Result<()> {
    if let Some((services, place)) = place {
        receipt.explain(&[services.forge(place.forge())?]);
        return Ok(());
    }
    let net = Net { http: http_client(&settings.http)?, quotas: Quotas::default() };
    let forges: Vec<Box<dyn Forge>> = forge::ALL.iter().map(|(_, make)| make(net.clone())).collect();
    receipt.explain(&forges.iter().map(AsRef::as_ref).collect::<Vec<_>>());
    Ok(())
}

/// Restores onto a server are on the record; what lands in a folder on this machine concerns nobody.
struct OnRecord {
    catalog: Catalog,
    about: String,
}

impl OnRecord {
    /// `None`: nowhere, because a restore must work without a database.
    async fn of(settings: &Settings, args: &Args, request: &Restore, plan: &Plan) -> Option<Self> {
        let Target::Server(server) = &request.target else { return None };
        let catalog = match &args.vault {
            Some(_) => None,
            None => Catalog::connect_existing(&settings.database).await.unwrap_or_else(|error| {
                tracing::error!("this restore is not recorded: {}", error.for_log());
                None
            }),
        };
        Some(Self { catalog: catalog?, about: format!("{} to {}", plan.repository, server.remote.url) })
    }

    /// Said before anything is written: one that is killed has left a trace.
    async fn begins(&self, plan: &Plan) {
        let writes = plan.refs.iter().filter(|planned| matches!(planned.action, Action::Create | Action::Overwrite));
        let refs: Vec<_> = writes.map(|to| json!({ "ref": to.target, "from": to.old, "to": to.new })).collect();
        self.say(Verdict::Asked, json!({ "seq": plan.seq, "refs": refs })).await;
    }

    async fn ended(&self, outcome: &Result<Receipt>) {
        match outcome {
            Ok(receipt) => {
                let verdict = if receipt.complete() { Verdict::Done } else { Verdict::Failed };
                let refused: Vec<_> = receipt.refused.iter().map(|refused| &refused.name).collect();
                self.say(verdict, json!({ "written": receipt.written, "refused": refused })).await;
            }
            Err(error) => self.say(Verdict::Failed, json!({ "error": error.to_string() })).await,
        }
    }

    async fn say(&self, verdict: Verdict, detail: Value) {
        let told = NewRecord::new(&myself(), "restore.run", verdict).about(&self.about).detail(detail);
        if let Err(error) = self.catalog.record(told).await {
            tracing::error!("this restore is not recorded: {}", error.for_log());
        }
    }
}

async fn source(settings: &Settings, args: &Args) -> Result<(Source, Vec<Namesake>)> {
    let mut place = settings.vault.clone();
    if let Some(url) = &args.vault {
        place.url.clone_from(url);
    }
    let key = args.identity.as_deref().unwrap_or(&settings.keys.identity);
    let vault = Arc::new(Vault::open_reading(&place, &identity(key)?).await?);
    // The database only helps to find a name: a restore must work without it.
    let catalog = match &args.vault {
        Some(_) => None,
        None => Catalog::connect_existing(&settings.database).await.unwrap_or_else(|error| {
            tracing::warn!("looking into the vault itself, because of the database: {}", error.for_log());
            None
        }),
    };
    locate(vault, git_limits(&settings.git), catalog.as_ref(), &args.repo).await
}

fn identity(file: &Path) -> Result<SecretString> {
    secret_from(file, "the vault's key").map_err(|error| {
        Error::misconfigured(error.to_string())
            .hint("a vault is read with its key: name the file with --identity (the recovery kit is one)")
    })
}

async fn asked(context: &Context, settings: &Settings, args: &Args) -> Result<Asked> {
    let to = |server| Target::Server(Server { prefix: args.prefix.clone(), ..server });
    let asked = |target| Restore { at: args.at, refs: args.refs.clone(), target, force: args.force };
    let target = match (&args.to_dir, &args.to_url) {
        (Some(dir), _) => Target::Directory { dir: dir.clone(), bare: args.bare },
        (None, Some(url)) => {
            let credential = args.token_file.as_deref().map(|file| secret_from(file, "the token")).transpose()?;
            let credential =
                credential.map(|password| Credential::Basic { username: "x-access-token".to_owned(), password });
            to(Server::new(remote(url, credential)?, Kin::Other, Takes::UNKNOWN, settings))
        }
        (None, None) if args.vault.is_some() => return Err(nowhere()),
        (None, None) => {
            let services = context.services().await?;
            let place = place(&services, args).await?;
            let server =
                if args.create { place.ready_or_new(&services).await? } else { place.ready(&services).await? };
            return Ok(Asked { request: asked(to(server)), place: Some((services, place)) });
        }
    };
    Ok(Asked { request: asked(target), place: None })
}

async fn place(services: &Services, args: &Args) -> Result<Place> {
    let repository = services.catalog.resolve(&args.repo).await?;
    if let Some(to) = &args.to {
        return Place::at(services, &repository, to).await;
    }
    if args.to_origin {
        return Place::origin(services, &repository).await;
    }
    if !args.to_peer && services.connection(repository.connection_id).await?.peer.is_none() {
        return Err(nowhere());
    }
    Place::peer(services, &repository).await
}

fn nowhere() -> Error {
    Error::bad_request("nothing says where to restore to")
        .hint("say --to-dir DIR, --to CONNECTION:OWNER/NAME, --to-url URL, --to-origin or --to-peer")
}

/// Git itself would take any address; ours may carry a token.
fn remote(url: &Url, credential: Option<Credential>) -> Result<Remote> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err(Error::bad_request(format!("--to-url must be an https address, not {}", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            Error::bad_request("--to-url must not hold a credential").hint("put the token into a file: --token-file")
        );
    }
    let credential = credential.map(|credential| Arc::new(credential) as Arc<dyn Login>);
    Ok(Remote { url: url.clone(), credential })
}

fn describe_plan(plan: &Plan) -> String {
    let mut text = heading("Plan: ", plan);
    if let Some(url) = &plan.makes {
        text += &format!("  make       the repository {url}\n");
    }
    for planned in &plan.refs {
        let new = planned.new.short();
        let old = planned.old.map(|id| id.short()).unwrap_or_default();
        let line = match &planned.action {
            Action::Create => format!("create     {} at {new}", planned.target),
            Action::Unchanged => format!("unchanged  {} at {new}", planned.target),
            Action::Overwrite => format!("OVERWRITE  {} from {old} to {new}", planned.target),
            Action::Keep => format!("keep       {} at {old}; --force would set it to {new}", planned.target),
            // Told together, among what stays behind.
            Action::Skip { .. } => continue,
        };
        let stays = plan.checked_out.as_ref() == Some(&planned.target);
        let unless = if stays { "; not while it is checked out: check out another branch there first" } else { "" };
        text += &format!("  {line}{unless}\n");
    }
    text + &output::lacks(&plan.missing) + &output::left_behind(&plan.left_behind) + &aside(&plan.namesakes)
}

fn describe_receipt(receipt: &Receipt) -> String {
    let mut text = format!(
        "Restored {} as of snapshot {} ({} UTC) to {}: {}, {}, {} ms\n",
        receipt.repository,
        receipt.seq,
        output::time(receipt.time),
        receipt.target,
        output::count(receipt.written.len(), "reference"),
        output::count(receipt.packs, "pack"),
        receipt.duration_ms
    );
    for name in &receipt.kept {
        text += &format!("  kept as it was: {name}\n");
    }
    let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
    for left_out in &receipt.skipped {
        *skipped.entry(&left_out.why).or_default() += 1;
    }
    for (why, count) in skipped {
        text += &format!("  skipped {}: {why}\n", output::count(count, "reference"));
    }
    for refused in &receipt.refused {
        let why = refused.rule.as_ref().unwrap_or(&refused.why);
        text += &format!("  refused by the server: {}: {why}\n", refused.name);
        text += &refused.way_out.iter().map(|way_out| format!("    {way_out}\n")).collect::<String>();
    }
    for left in &receipt.left_over {
        text += &format!("  left over from pushing in parts, to be deleted there: {}: {}\n", left.name, left.why);
    }
    text + &output::lacks(&receipt.missing) + &aside(&receipt.namesakes)
}

fn aside(namesakes: &[Namesake]) -> String {
    namesakes.iter().map(|deleted| format!("  {}\n", deleted.way())).collect()
}

fn heading(what: &str, plan: &Plan) -> String {
    format!("{what}{} as of snapshot {} ({} UTC)\n", plan.repository, plan.seq, output::time(plan.time))
}
