//! What a repository refuses to take, in GitHub's words. git itself reports `hook declined` where GitHub writes `protected
//! branch hook declined` or `push declined due to repository rule violations`.

use std::os::unix::fs::PermissionsExt;

use super::Repo;

/// A hook for each reference: a file of rules has the reference, when it applies, and what is said then.
const HOOK: &str = r#"#!/bin/sh
for rule in hooks/rules/*; do
    [ -f "$rule" ] || continue
    { read -r reference; read -r when; } < "$rule"
    [ "$reference" = "$1" ] || continue
    case "$3" in *[!0]*) deleted=no ;; *) deleted=yes ;; esac
    case "$2" in *[!0]*) new=no ;; *) new=yes ;; esac
    case "$when" in
        forced) [ $deleted = no ] && [ $new = no ] && ! git merge-base --is-ancestor "$2" "$3" || continue ;;
        deleted) [ $deleted = yes ] || continue ;;
    esac
    tail -n +3 "$rule" >&2
    exit 1
done
"#;

impl Repo {
    /// Protects a branch, by rules in GitHub's words: `Cannot force-push to this branch`, `Cannot delete this protected
    /// branch`, or one that every push breaks, such as `Changes must be made through a pull request.`
    pub fn protect(&self, branch: &str, rules: &[&str]) {
        for rule in rules {
            let reference = format!("refs/heads/{branch}");
            let words = format!("error: GH006: Protected branch update failed for {reference}.\nerror: {rule}");
            self.decline(&reference, when(rule), &words);
        }
    }

    /// The same by a ruleset, for any reference.
    pub fn ruleset(&self, reference: &str, rules: &[&str]) {
        for rule in rules {
            let encoded: String = url::form_urlencoded::byte_serialize(reference.as_bytes()).collect();
            let page = format!("{}{}/rules?ref={encoded}", self.github.url(), self.full_name());
            let words = format!(
                "error: GH013: Repository rule violations found for {reference}.\nReview all repository rules at {page}\n\n- \
                 {rule}\n"
            );
            self.decline(reference, when(rule), &words);
        }
    }

    /// Refuses every push to a reference in these words.
    pub fn declines(&self, reference: &str, words: &str) {
        self.decline(reference, "any", words);
    }

    /// Takes whatever comes again.
    pub fn unprotect(&self) {
        std::fs::remove_dir_all(self.folder().join("hooks/rules")).unwrap();
    }

    fn decline(&self, reference: &str, when: &str, words: &str) {
        let hooks = self.folder().join("hooks");
        let rules = hooks.join("rules");
        std::fs::create_dir_all(&rules).unwrap();
        let number = std::fs::read_dir(&rules).unwrap().count();
        std::fs::write(rules.join(number.to_string()), format!("{reference}\n{when}\n{words}\n")).unwrap();
        std::fs::write(hooks.join("update"), HOOK).unwrap();
        std::fs::set_permissions(hooks.join("update"), PermissionsExt::from_mode(0o755)).unwrap();
    }
}

/// When a rule is broken.
fn when(rule: &str) -> &'static str {
    match rule {
        rule if rule.starts_with("Cannot force-push") => "forced",
        rule if rule.starts_with("Cannot delete") => "deleted",
        _ => "any",
    }
}
