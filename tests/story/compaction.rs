//! Many snapshots become few objects, and nothing that is kept is lost by it.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::database::Behind;
use crate::support::fake_github::{Repo, Work};
use crate::support::shell::{git, try_git};
use crate::support::world::{Service, World, fsck};

const REPO: &str = "acme/api";

/// A repository with some history, and what its server showed at each snapshot.
struct Past {
    world: World,
    repo: Repo,
    work: Work,
    service: Service,
    shown: Vec<Value>,
}

impl Past {
    /// Nothing is joined by itself: tests ask for it.
    async fn new(settings: &[(&str, &str)]) -> Self {
        let mut world = World::with(settings).await;
        world.set("compact.after", "4");
        // A policy that keeps less acts at once, and a force-push holds nothing.
        world.set("policies.grace", "0s");
        world.set("alarms.hold", "false");
        let repo = world.github.org("acme").repo("api").await;
        let work = repo.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        world.connect("acme").await;
        let service = world.serve().await;
        let mut past = Self { world, repo, work, service, shown: Vec::new() };
        past.noted().await;
        past
    }

    /// Waits for the next snapshot.
    async fn noted(&mut self) {
        self.world.snapshot(REPO, self.shown.len() + 1).await;
        self.shown.push(self.world.server_refs(&self.repo).await);
    }

    /// A push of one commit to `main`; gives the commit.
    async fn push(&mut self, message: &str) -> String {
        let commit = self.work.commit(message).await;
        self.work.push(&["--force", "main"]).await;
        self.noted().await;
        commit
    }

    async fn behind(&self) -> Behind {
        Behind::of(&self.world).await
    }

    /// Joins what there is to join.
    async fn compacted(&self) {
        self.world.idle().await;
        self.behind().await.done("compact").await;
    }

    /// No rule keeps any point but the newest and these.
    async fn keep_only(&self, points: &[usize]) {
        self.world.idle().await;
        for point in points {
            self.world.ok(&["tag", REPO, &point.to_string(), "keep"]).await;
        }
        let policy = "[[policy]]\nname = \"default\"\n[policy.retention]\nlast = 1\nlabels = [\"keep\"]\n";
        let file = self.world.path("policy.toml");
        std::fs::write(&file, policy).unwrap();
        self.world.ok(&["policy", "import", &file]).await;
        self.behind().await.done("retain").await;
    }

    /// Every point among these comes back as its server was.
    async fn come_back(&self, points: impl IntoIterator<Item = usize>) {
        for seq in points {
            let restored = self.world.restored(REPO, Some(&seq.to_string())).await;
            assert_eq!(restored, self.shown[seq - 1], "snapshot {seq}");
        }
        let verified = self.world.ok(&["verify", "--read-data", "--drill"]).await;
        assert_eq!((&verified[0]["findings"], &verified[0]["drilled"]), (&json!([]), &json!(true)));
    }

    /// The files of the repository's folder in the vault, without their endings.
    fn objects(&self) -> Vec<String> {
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().replace(".tar.gz.age", "");
        self.world.objects().iter().map(|path| name(path)).collect()
    }

    async fn seqs(&self) -> Vec<u64> {
        self.world.snapshots(REPO).await.iter().map(|snapshot| snapshot["seq"].as_u64().unwrap()).collect()
    }

    /// Whether anything in the vault still has an object: all packs of all objects are looked through.
    async fn anything_holds(&self, id: &str) -> bool {
        let scratch = self.world.path("everything.git");
        let _ = std::fs::remove_dir_all(&scratch);
        self.world.restore_to(REPO, None, Path::new(&scratch)).await;
        try_git(Path::new(&scratch), &["cat-file", "-e", id]).await.status.success()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_snapshots_become_one_object_and_each_comes_back() {
    let mut past = Past::new(&[("prune.grace", "0s")]).await;
    let one = past.work.git(&["rev-parse", "HEAD"]).await;
    for number in 2..=4 {
        past.push(&format!("commit {number}")).await;
    }
    past.work.git(&["reset", "--quiet", "--hard", &one]).await;
    past.push("another way").await;
    past.work.push(&["HEAD:refs/heads/topic"]).await;
    past.noted().await;
    past.push("and on").await;
    past.work.push(&[":refs/heads/topic"]).await;
    past.noted().await;
    past.compacted().await;
    assert!(past.objects().contains(&"0000000001-0000000008.1".to_owned()), "{:?}", past.objects());
    past.come_back(1..=8).await;

    // The chain goes on behind it, and by and by becomes one again.
    for number in 9..=12 {
        past.push(&format!("commit {number}")).await;
    }
    past.come_back([1, 8, 9, 12]).await;
    past.compacted().await;
    assert!(past.objects().contains(&"0000000001-0000000012.1".to_owned()), "{:?}", past.objects());
    past.come_back(1..=12).await;

    // What it stands for is listed first, and deleted by another run.
    let planned = past.world.ok(&["prune", "--plan"]).await;
    assert_eq!(planned.as_array().unwrap().len(), 13);
    assert!(planned.as_array().unwrap().iter().all(|one| one["goes_at"].is_null() && one["stays"].is_null()));
    let first = past.world.ok(&["prune"]).await;
    assert_eq!((&first["listed"], &first["deleted"], &first["waiting"]), (&json!(13), &json!(0), &json!(13)));
    let second = past.world.ok(&["prune"]).await;
    assert_eq!((&second["listed"], &second["deleted"], &second["waiting"]), (&json!(0), &json!(13), &json!(0)));
    assert_eq!(past.objects(), ["0000000001-0000000012.1"]);
    assert_eq!(past.world.ok(&["prune", "--plan"]).await, json!([]));
    past.come_back(1..=12).await;
    past.push("life goes on").await;
    past.come_back([1, 12, 13]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_let_go_leaves_the_vault_and_what_is_kept_stays_whole() {
    let mut past = Past::new(&[("prune.grace", "0s")]).await;
    let one = past.work.git(&["rev-parse", "HEAD"]).await;
    let secret = past.push("a secret that should not have been pushed").await;
    past.push("on top of it").await;
    let on_top = past.work.git(&["rev-parse", "HEAD"]).await;
    past.work.git(&["reset", "--quiet", "--hard", &one]).await;
    past.push("without it").await;
    past.push("and on").await;
    past.keep_only(&[1, 4]).await;
    past.compacted().await;
    assert_eq!(past.seqs().await, [1, 4, 5]);
    past.world.ok(&["prune"]).await;
    past.world.ok(&["prune"]).await;
    assert_eq!(past.objects(), ["0000000001-0000000005.1"]);
    past.come_back([1, 4, 5]).await;
    assert!(!past.anything_holds(&secret).await && !past.anything_holds(&on_top).await);
    let gone = past.world.refward(&["restore", REPO, "--at", "2", "--to-dir", "/nowhere/at/all", "--json"]).await;
    assert_eq!(gone.error()["kind"], "not_found", "{gone:?}");
    let journal = past.world.ok(&["journal", REPO, "--ref", "refs/heads/main"]).await;
    let moves = journal.as_array().unwrap();
    assert_eq!(moves.len(), 3, "{journal:#}");
    assert_eq!((&moves[1]["old"], &moves[1]["forced"]), (&json!(one), &json!(true)));

    // What went comes again: it is fetched anew, not taken for held.
    past.work.git(&["reset", "--quiet", "--hard", &on_top]).await;
    past.work.push(&["--force", "main"]).await;
    past.world.snapshot(REPO, 4).await;
    past.world.idle().await;
    assert_eq!(past.seqs().await, [1, 4, 5, 6]);
    let restored = past.world.restored(REPO, Some("6")).await;
    assert_eq!(restored, past.world.server_refs(&past.repo).await);
    assert!(past.anything_holds(&secret).await);

    // The catalog can be made anew from what is left.
    past.service.stop().await;
    past.world.ok(&["catalog", "rebuild"]).await;
    let again = past.world.ok(&["journal", REPO, "--ref", "refs/heads/main"]).await;
    let told = |journal: &Value| -> Vec<Value> {
        journal
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!([one["seq"], one["old"], one["new"], one["forced"]]))
            .collect()
    };
    assert_eq!(told(&again)[..3], told(&journal)[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_hold_nothing_goes() {
    let mut past = Past::new(&[("prune.grace", "0s")]).await;
    let one = past.work.git(&["rev-parse", "HEAD"]).await;
    for number in 2..=3 {
        past.push(&format!("commit {number}")).await;
    }
    past.work.git(&["reset", "--quiet", "--hard", &one]).await;
    past.push("another way").await;
    past.keep_only(&[1]).await;
    let behind = past.behind().await;
    behind.change("INSERT INTO hold (repo_id, kind, reason, actor, created_at) SELECT id, 'legal', 'a lawsuit', 'lisa', 1 FROM repository").await;
    past.compacted().await;
    assert_eq!(past.seqs().await, [1, 2, 3, 4]);
    past.world.ok(&["prune"]).await;
    let receipt = past.world.ok(&["prune"]).await;
    assert_eq!((&receipt["deleted"], &receipt["waiting"]), (&json!(0), &json!(4)));
    let planned = past.world.ok(&["prune", "--plan"]).await;
    assert_eq!(planned[0]["stays"], "a hold stands on the repository");
    assert_eq!(past.objects().len(), 5);

    behind.change("UPDATE hold SET lifted_at = 2").await;
    past.compacted().await;
    assert_eq!(past.seqs().await, [1, 4]);
    for _ in 0..3 {
        past.world.ok(&["prune"]).await;
    }
    assert_eq!(past.objects(), ["0000000001-0000000004.2"]);
    past.come_back([1, 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_before_its_grace_is_over() {
    let mut past = Past::new(&[("prune.grace", "1h")]).await;
    for number in 2..=4 {
        past.push(&format!("commit {number}")).await;
    }
    assert_eq!(past.world.refward(&["prune"]).await.stdout, "Nothing is condemned.\n");
    past.compacted().await;
    let told = past.world.refward(&["prune"]).await.stdout;
    assert_eq!(told, "Listed 4 objects for deletion: see `refward prune --plan`.\n");
    for _ in 0..2 {
        let told = past.world.refward(&["prune"]).await.stdout;
        assert_eq!(told, "Nothing to delete yet; 4 objects in their grace: see `refward prune --plan`.\n");
    }
    let planned = past.world.ok(&["prune", "--plan"]).await;
    assert!(planned.as_array().unwrap().iter().all(|one| one["goes_at"].is_string()), "{planned:#}");
    assert_eq!(past.objects().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_condemned_is_found_again() {
    let mut past = Past::new(&[("prune.grace", "0s")]).await;
    for number in 2..=4 {
        past.push(&format!("commit {number}")).await;
    }
    past.compacted().await;
    past.behind().await.change("DELETE FROM condemned").await;
    assert_eq!(past.world.ok(&["prune", "--plan"]).await, json!([]));
    past.compacted().await;
    past.world.ok(&["prune"]).await;
    assert_eq!(past.world.ok(&["prune"]).await["deleted"], 4);
    past.come_back(1..=4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_tampered_with_condemns_nothing() {
    let mut past = Past::new(&[("prune.grace", "0s")]).await;
    for number in 2..=4 {
        past.push(&format!("commit {number}")).await;
    }
    past.compacted().await;
    past.world.ok(&["prune"]).await;
    let folder = past.world.folder().join("vault/trash");
    let list = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, text.replacen("\"bytes\":", "\"bytes\": ", 1)).unwrap();
    assert_eq!(past.world.ok(&["prune"]).await["deleted"], 0);
    let planned = past.world.ok(&["prune", "--plan"]).await;
    assert_eq!(planned[0]["stays"], "the list that named it is gone or was changed");
    assert_eq!(past.objects().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_good_copy_is_not_deleted() {
    let mut past = Past::new(&[("prune.grace", "0s")]).await;
    for number in 2..=4 {
        past.push(&format!("commit {number}")).await;
    }
    past.compacted().await;
    past.world.ok(&["prune"]).await;
    // A bit flips in what stands for the others.
    let joined = past.world.objects().into_iter().find(|path| path.to_str().unwrap().contains('-')).unwrap();
    let mut bytes = std::fs::read(&joined).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::set_permissions(&joined, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&joined, bytes).unwrap();
    let ran = past.world.refward(&["prune", "--json"]).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (1, &json!("damaged")), "{ran:?}");
    assert_eq!(past.objects().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_go_on_while_snapshots_are_joined() {
    let mut past = Past::new(&[("compact.ratio", "2")]).await;
    let behind = past.behind().await;
    for number in 2..=25 {
        past.push(&format!("commit {number}")).await;
        behind.ask("compact").await;
    }
    past.compacted().await;
    past.come_back([1, 7, 13, 25]).await;
    let folder = past.world.path("all.git");
    git(Path::new("/"), &["clone", "--quiet", "--mirror", past.repo.folder().to_str().unwrap(), &folder]).await;
    fsck(Path::new(&folder)).await;
}
