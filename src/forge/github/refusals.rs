//! Why GitHub did not take a push, in its words, and the way out.
//!
//! Rules are told on `remote:` lines, numbered `GH006` and so on; a few stand in place of a reference's result instead.
//! <https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/about-rulesets>

use crate::forge::Refusal;

/// The longest piece of GitHub's words that we repeat.
const MAX_QUOTE: usize = 300;

/// What GitHub says, in lower case, whatever else it says; what that means; the way out.
type Known = (&'static [&'static str], &'static str, &'static str);

/// Told as a ruleset like others, and to be got round another way.
const SECRETS: Known = (
    &["gh009", "github push protection", "cannot contain secrets"],
    "push protection: the commits hold what GitHub takes for secrets",
    "download the commits instead, or let somebody allow these secrets who may bypass push protection: the repository's \
     Security tab",
);

const KNOWN: &[Known] = &[
    (
        &["to create or update workflow"],
        "the commits change a workflow, and our credential has no right to",
        "give the restore App the permission `Workflows`, or the token the scope `workflow`, and try again",
    ),
    (
        &["gh003", "denying non-fast-forward"],
        "the server refuses every forced push",
        "restore into a new branch, or ask an administrator of the server to allow forced pushes in this repository",
    ),
    (
        &["gh001", "file size limit"],
        "a file is larger than GitHub takes",
        "download the commits instead, or restore to a server that takes larger files",
    ),
    (
        &["exceeds maximum allowed size"],
        "the push is larger than GitHub takes at once",
        "restore fewer references at a time",
    ),
    (
        &["gh008"],
        "the commits need Git LFS objects that the repository does not hold",
        "push those first, from somebody's clone: `git lfs push --all`",
    ),
    (
        &["gh007"],
        "the commits would publish an e-mail address that its owner keeps private",
        "its owner can allow that: their settings, Emails, “Block command line pushes that expose my email”",
    ),
    (&["gh002"], "the name looks like that of an object", "restore it under another name"),
    (
        &["was archived so it is read-only"],
        "the repository is archived: read-only",
        "an admin of the repository can unarchive it: Settings, Danger zone",
    ),
    (
        &["deny updating a hidden ref"],
        "GitHub keeps this reference itself: nobody can push to it",
        "restore what it pointed to into a new branch",
    ),
    (
        &["refusing to delete the current branch"],
        "it is the default branch, which cannot be deleted",
        "make another branch the default first",
    ),
    (
        &["deletion prohibited"],
        "the server lets nobody delete references",
        "ask an administrator of the server to allow it in this repository",
    ),
    (
        &["saml sso"],
        "the organization wants the token to be authorized for single sign-on (SAML)",
        "authorize it: the token's settings, Configure SSO",
    ),
    (
        &["write access to repository not granted", "remote: permission to", "]: permission to"],
        "our credential may not push to this repository",
        "install the restore App on it, or use a token whose user has the role Write: `refward credentials --help`",
    ),
];

/// `why`: what `git push` printed, or the server's lines of it. `None`: nothing that we know.
pub(super) fn explain(why: &str) -> Option<Refusal> {
    let lower = why.to_ascii_lowercase();
    let says = |known: &&Known| known.0.iter().any(|sign| lower.contains(sign));
    let told = |(_, rule, way_out): &Known| Refusal { rule: (*rule).to_owned(), way_out: (*way_out).to_owned() };
    if says(&&SECRETS) {
        return Some(told(&SECRETS));
    }
    let said = in_one_line(why);
    ruleset(&said).or_else(|| protected_branch(&said)).or_else(|| KNOWN.iter().find(says).map(told))
}

/// `GH013: Repository rule violations found for REF. Review all repository rules at PAGE - RULE - RULE`
fn ruleset(said: &str) -> Option<Refusal> {
    let (name, rest) = after(said, "Repository rule violations found for ")?;
    let rules: Vec<&str> = rest.split(" - ").skip(1).map(str::trim).collect();
    let page = rest.split_once("rules at ").and_then(|(_, page)| page.split(' ').next());
    let page = page.filter(|page| page.starts_with("https://") || page.starts_with("http://"));
    Some(broken("a ruleset for", name, &rules.join(" "), page.unwrap_or("Settings, Rules")))
}

/// `GH006: Protected branch update failed for REF. error: RULE`
fn protected_branch(said: &str) -> Option<Refusal> {
    let (name, rest) = after(said, "Protected branch update failed for ")?;
    let rest = rest.split(" Visit http").next().unwrap_or_default();
    Some(broken("the protection of", name, &rest.replace("error: ", ""), "Settings, Branches"))
}

fn broken(what: &str, name: &str, words: &str, settings: &str) -> Refusal {
    let cut = |text: &str| text.trim().chars().take(MAX_QUOTE).collect::<String>();
    let (name, words, settings) = (cut(name), cut(words), cut(settings));
    let words = if words.is_empty() { "a push like this one is not allowed".to_owned() } else { words };
    let first = if words.to_ascii_lowercase().contains("signature") {
        "commits come back exactly as they were, signed or not: "
    } else {
        ""
    };
    Refusal {
        rule: format!("{what} {name}: {words}"),
        way_out: format!(
            "{first}restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to \
             those who may bypass the rule: {settings}"
        ),
    }
}

/// The reference that stands behind `words`, and what is said of it, with the space before that.
fn after<'a>(said: &'a str, words: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = said.split_once(words)?;
    let (name, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    // The next reference, and what git says itself.
    let ends = [" error: GH0", " error: hook declined", " To http", " ! [", " error: failed to push"];
    let end = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
    Some((name.trim_end_matches('.'), &rest[..end]))
}

/// Git puts `remote:` in front of each of the server's lines.
fn in_one_line(why: &str) -> String {
    let lines = why.lines().map(|line| line.trim().trim_start_matches("remote:"));
    let words = lines.flat_map(str::split_whitespace).map(|word| word.replace(char::is_control, ""));
    words.collect::<Vec<_>>().join(" ")
}
