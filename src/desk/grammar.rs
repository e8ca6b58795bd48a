//! The one grammar: what can be asked, how it is written, and the role that it needs. The commands that platforms offer,
//! `refward ask` and the help are made from it.

use clap::{ArgAction, CommandFactory as _, Parser as _};

use crate::chat::{Kind, Parameter, Spec, Words};
use crate::domain::{Error, Point, RepoAddress, Result, Role};
use crate::ops::restores::Destination;

/// What is asked, as it is written.
#[derive(clap::Parser)]
#[command(
    name = "refward",
    about = "Backups: look, restore, change policies",
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
struct Line {
    #[command(subcommand)]
    request: Request,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, clap::Subcommand)]
pub(super) enum Request {
    /// How everything stands, or one repository
    Status {
        /// OWNER/NAME or CONNECTION:OWNER/NAME; by default all that you may see
        repo: Option<RepoAddress>,
    },
    /// The snapshots of a repository, the newest first
    Snapshots {
        /// OWNER/NAME or CONNECTION:OWNER/NAME
        repo: RepoAddress,
    },
    /// Every move of every branch and tag, the newest first
    Journal {
        /// OWNER/NAME or CONNECTION:OWNER/NAME
        repo: RepoAddress,
        /// Only this one: a branch's name or a full name
        #[arg(long = "ref")]
        name: Option<String>,
    },
    /// Back up now
    Backup {
        /// OWNER/NAME or CONNECTION:OWNER/NAME
        repo: RepoAddress,
    },
    /// Prove that the backups of a repository are whole
    Verify {
        /// OWNER/NAME or CONNECTION:OWNER/NAME
        repo: RepoAddress,
    },
    /// Prove now that a repository can be restored
    Drill {
        /// OWNER/NAME or CONNECTION:OWNER/NAME
        repo: RepoAddress,
    },
    /// The tokens and Apps behind the connections, and what is left of their limits
    Credentials,
    /// What is backed up, when, and how long it stays
    #[command(subcommand)]
    Policy(Policy),
    /// Bring branches and tags back: first a plan, then you confirm it
    Restore {
        /// OWNER/NAME or CONNECTION:OWNER/NAME
        repo: RepoAddress,
        /// Only these branches and tags, with spaces between them; by default all
        #[arg(long = "ref")]
        refs: Vec<String>,
        /// A snapshot's number or a time such as "10 minutes ago"; by default the newest snapshot
        #[arg(long)]
        at: Option<Point>,
        /// new-branch, same (the branch itself), download, or another repository: CONNECTION:OWNER/NAME
        #[arg(long, default_value = "new-branch")]
        to: Destination,
    },
    /// Say who you are on the forge: what you may do there decides what you may do here
    Link {
        /// Of which forge, if there are several, e.g. github.com
        host: Option<String>,
    },
    /// Forget who you are on the forge
    Unlink,
    /// Become the first admin, with a code from `refward grants code`
    Claim {
        /// The code
        code: String,
    },
    /// What you can ask
    Help,
}

/// What is asked about policies.
#[derive(Clone, Debug, PartialEq, clap::Subcommand)]
pub(super) enum Policy {
    /// All policies, or what one says
    Show {
        /// The policy
        name: Option<String>,
    },
    /// Which policy applies to a repository and why, and why each snapshot is kept
    Explain {
        /// OWNER/NAME or CONNECTION:OWNER/NAME
        repo: RepoAddress,
    },
    /// Change what a policy says: first what that means, then you confirm it
    Set {
        /// The policy
        name: String,
        /// KEY=VALUE, with spaces between several, e.g. retention.daily=90 timezone=Europe/Berlin
        #[arg(required = true, value_parser = assignment)]
        set: Vec<(String, String)>,
    },
    /// Have a policy name repositories: it applies to them before all that only fit
    Assign {
        /// The policy
        name: String,
        /// OWNER/NAME or CONNECTION:OWNER/NAME, with spaces between several
        #[arg(required = true)]
        repos: Vec<RepoAddress>,
    },
    /// Every change of a policy or of all: who, when, what
    History {
        /// The policy
        name: Option<String>,
    },
    /// Agree to a change that somebody else has asked for and that waits
    Approve {
        /// Its number
        change: i64,
    },
    /// Take a change back that waits
    Revoke {
        /// Its number
        change: i64,
    },
}

/// For what a role is needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Over<'a> {
    /// This repository.
    Repository(&'a RepoAddress),
    /// Any; only what is theirs to see is shown.
    Anywhere,
    /// All of them: it is about the installation as a whole.
    Everywhere,
}

impl Request {
    /// The role that it needs, and for what. `None`: anybody may.
    pub(super) fn needs(&self) -> Option<(Role, Over<'_>)> {
        Some(match self {
            Self::Status { repo: None } => (Role::Viewer, Over::Anywhere),
            Self::Status { repo: Some(repo) }
            | Self::Snapshots { repo }
            | Self::Journal { repo, .. }
            | Self::Policy(Policy::Explain { repo }) => (Role::Viewer, Over::Repository(repo)),
            // Policies name repositories: whoever reads them all sees them all.
            Self::Policy(Policy::Show { .. } | Policy::History { .. }) => (Role::Viewer, Over::Everywhere),
            Self::Backup { repo } | Self::Verify { repo } | Self::Drill { repo } => {
                (Role::Operator, Over::Repository(repo))
            }
            Self::Credentials => (Role::Operator, Over::Everywhere),
            Self::Restore { repo, .. } => (Role::Restorer, Over::Repository(repo)),
            Self::Policy(
                Policy::Set { .. } | Policy::Assign { .. } | Policy::Approve { .. } | Policy::Revoke { .. },
            ) => (Role::Admin, Over::Everywhere),
            Self::Link { .. } | Self::Unlink | Self::Claim { .. } | Self::Help => return None,
        })
    }

    /// It tells what stands in the repository: what they may not read on the forge they may not read here.
    pub(super) fn reads(&self) -> bool {
        matches!(self, Self::Snapshots { .. } | Self::Journal { .. } | Self::Restore { .. })
    }

    /// What the record calls it.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Snapshots { .. } => "snapshots",
            Self::Journal { .. } => "journal",
            Self::Backup { .. } => "backup",
            Self::Verify { .. } => "verify",
            Self::Drill { .. } => "drill",
            Self::Credentials => "credentials",
            Self::Policy(Policy::Show { .. }) => "policy.show",
            Self::Policy(Policy::Explain { .. }) => "policy.explain",
            Self::Policy(Policy::Set { .. }) => "policy.set",
            Self::Policy(Policy::Assign { .. }) => "policy.assign",
            Self::Policy(Policy::History { .. }) => "policy.history",
            Self::Policy(Policy::Approve { .. }) => "policy.approve",
            Self::Policy(Policy::Revoke { .. }) => "policy.revoke",
            Self::Restore { .. } => "restore.plan",
            Self::Link { .. } => "link",
            Self::Unlink => "unlink",
            Self::Claim { .. } => "claim",
            Self::Help => "help",
        }
    }

    /// From what a platform tells. Fails with what is wrong, for whoever asked.
    pub(super) fn from_words(words: &Words) -> Result<Self> {
        let mut grammar = Line::command();
        // Only then are the places of what stands without a name counted.
        grammar.build();
        let mut command = &grammar;
        let mut line = words.path.clone();
        for word in &words.path {
            command = command.find_subcommand(word).ok_or_else(|| unknown(&words.path.join(" ")))?;
        }
        // Whatever is typed is a value, even where it begins with a dash.
        let mut positionals: Vec<(usize, Vec<String>)> = Vec::new();
        for (name, value) in &words.options {
            let argument = command.get_arguments().find(|argument| name_of(argument) == name);
            let argument = argument.ok_or_else(|| unknown(&format!("{} {name}", words.path.join(" "))))?;
            let several = matches!(argument.get_action(), ArgAction::Append);
            let values = if several { split(value)? } else { vec![value.clone()] };
            match argument.get_index() {
                Some(index) => positionals.push((index, values)),
                None if matches!(argument.get_action(), ArgAction::SetTrue) => {
                    line.extend((value == "true").then(|| format!("--{name}")));
                }
                None => line.extend(values.iter().map(|value| format!("--{name}={value}"))),
            }
        }
        positionals.sort_unstable();
        line.push("--".to_owned());
        line.extend(positionals.into_iter().flat_map(|(_, values)| values));
        Self::from_line(&line)
    }

    /// From words as a shell splits them.
    pub(super) fn from_line(line: &[String]) -> Result<Self> {
        Line::try_parse_from(line).map(|line| line.request).map_err(|error| {
            let text = error.render().to_string();
            let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").trim();
            Error::bad_request(what.split_whitespace().collect::<Vec<_>>().join(" "))
                .hint("`help` tells what can be asked")
        })
    }
}

/// Splits a line as a shell does.
pub(super) fn split(text: &str) -> Result<Vec<String>> {
    shlex::split(text).ok_or_else(|| Error::bad_request(format!("a quote is missing in `{text}`")))
}

/// The commands, as platforms offer them.
pub fn spec() -> Spec {
    spec_of(&Line::command())
}

/// Of these we say how what is typed may go on.
const SUGGESTED: &[&str] = &["repo", "repos", "ref", "at", "to", "name", "change", "host"];

/// Codes and the like: they are kept sealed.
pub(super) fn is_secret(words: &Words) -> bool {
    words.path == ["claim"]
}

fn spec_of(command: &clap::Command) -> Spec {
    Spec {
        name: command.get_name().to_owned(),
        about: command.get_about().map(ToString::to_string).unwrap_or_default(),
        parameters: command.get_arguments().map(parameter).collect(),
        below: command.get_subcommands().map(spec_of).collect(),
    }
}

fn parameter(argument: &clap::Arg) -> Parameter {
    let name = name_of(argument);
    let values: Vec<String> = argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let kind = match argument.get_action() {
        ArgAction::SetTrue => Kind::Switch,
        _ if !values.is_empty() => Kind::OneOf(values),
        _ if SUGGESTED.contains(&name) => Kind::Suggested,
        _ => Kind::Text,
    };
    let about = argument.get_help().map(ToString::to_string).unwrap_or_default();
    Parameter { name: name.to_owned(), about, required: argument.is_required_set(), kind }
}

fn name_of(argument: &clap::Arg) -> &str {
    argument.get_long().unwrap_or(argument.get_id().as_str())
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| "write KEY=VALUE".to_owned())?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

fn unknown(what: &str) -> Error {
    Error::bad_request(format!("there is no `{what}`"))
        .hint("the commands have changed: close the chat's window and try again, or see `help`")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn words(path: &[&str], options: &[(&str, &str)]) -> Result<Request> {
        Request::from_words(&Words {
            path: path.iter().map(|&word| word.to_owned()).collect(),
            options: options.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }

    fn line(text: &str) -> Result<Request> {
        Request::from_line(&split(text)?)
    }

    fn refused(asked: Result<Request>) -> String {
        asked.expect_err("it makes no sense").to_string()
    }

    #[test]
    fn a_chat_and_a_line_of_text_mean_the_same() {
        let chat = words(&["restore"], &[("to", "same"), ("ref", "main  v1"), ("repo", "acme/api"), ("at", "3")]);
        let text = line("restore acme/api --ref main --ref v1 --at 3 --to same");
        assert_eq!(chat.expect("a restore"), text.expect("a restore"));
        let chat = words(&["policy", "set"], &[("name", "default"), ("set", "retention.daily=90 timezone='UTC'")]);
        let text = line("policy set default retention.daily=90 timezone=UTC");
        assert_eq!(chat.expect("a change"), text.expect("a change"));
        assert_eq!(words(&["status"], &[]).expect("a look"), Request::Status { repo: None });
    }

    #[test]
    fn whatever_is_typed_into_an_option_is_a_value() {
        let code = words(&["claim"], &[("code", "--help")]).expect("a code");
        assert_eq!(code, Request::Claim { code: "--help".to_owned() });
        let host = words(&["link"], &[("host", "-x --y")]).expect("a host");
        assert_eq!(host, Request::Link { host: Some("-x --y".to_owned()) });
        let name = words(&["journal"], &[("repo", "acme/api"), ("ref", "--to=same")]).expect("a name");
        assert!(matches!(name, Request::Journal { name: Some(name), .. } if name == "--to=same"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_a_sentence() {
        let refusals = [
            refused(words(&["backup"], &[("repo", "acme")])),
            refused(words(&["restore"], &[("repo", "acme/api"), ("at", "someday")])),
            refused(words(&["restore"], &[("repo", "acme/api"), ("to", "nowhere")])),
            refused(words(&["policy", "set"], &[("name", "default"), ("set", "daily")])),
            refused(words(&["policy", "set"], &[("name", "default"), ("set", "'daily=1")])),
            refused(words(&["backup"], &[])),
            refused(words(&["frob"], &[])),
            refused(words(&["status"], &[("frob", "1")])),
            refused(line("restore acme/api --frob")),
        ];
        assert_snapshot!(refusals.join("\n"), @r#"
        invalid value 'acme' for '<REPO>': `acme` is not a repository: write OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
        invalid value 'someday' for '--at <AT>': `someday` is not a moment: write a snapshot number, a time like 2026-11-20T14:05:00Z, or "10 minutes ago"
        invalid value 'nowhere' for '--to <TO>': `nowhere` is no place to restore to
        invalid value 'daily' for '<SET>...': write KEY=VALUE
        a quote is missing in `'daily=1`
        the following required arguments were not provided: <REPO>
        there is no `frob`
        there is no `status frob`
        unexpected argument '--frob' found
        "#);
    }

    #[test]
    fn only_who_says_who_they_are_needs_no_role() {
        for (text, role) in [
            ("status", Some(Role::Viewer)),
            ("backup acme/api", Some(Role::Operator)),
            ("credentials", Some(Role::Operator)),
            ("restore acme/api", Some(Role::Restorer)),
            ("policy explain acme/api", Some(Role::Viewer)),
            ("policy assign default acme/api", Some(Role::Admin)),
            ("policy approve 1", Some(Role::Admin)),
            ("link", None),
            ("unlink", None),
            ("claim x", None),
            ("help", None),
        ] {
            let request = line(text).expect("a request");
            assert_eq!(request.needs().map(|(role, _)| role), role, "{text}");
        }
    }
}
