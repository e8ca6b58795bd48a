//! What people are told of what a look at the list brought.

use std::collections::{BTreeMap, HashMap};

use super::Follow;
use crate::catalog::{Known, NewNotice};
use crate::domain::{Availability, RepoId, Result};
use crate::forge::Surveyed;
use crate::jobs::alarms::{self, Lost, some_of};

impl Follow<'_> {
    pub(super) async fn tell_changes(
        &mut self,
        id: &RepoId,
        surveyed: &Surveyed,
        before: Option<&Known>,
    ) -> Result<()> {
        let name = &surveyed.repository.full_name;
        let Some(before) = before else {
            self.found.created.push(name.clone());
            // At the first look all are new.
            if self.connection.discovered_at.is_some() {
                let what = if self.select_new { "it is backed up from now on" } else { "it is not backed up" };
                self.tell("repository.created", Some(id), format!("{name} is new on the forge; {what}.")).await?;
            }
            return Ok(());
        };
        let was = &before.remote;
        let moved = was.owner() != surveyed.repository.owner() && before.connection != self.connection.id;
        if moved {
            self.found.renamed.push(format!("{} → {name}", was.full_name));
            let what = if before.selected {
                "it is backed up as before, through"
            } else {
                "it is not backed up; it belongs to"
            };
            let text = format!(
                "{} was transferred and is called {name} now; {what} the connection {}.",
                was.full_name, self.connection.name
            );
            self.tell("repository.transferred", Some(id), text).await?;
        } else if was.full_name != *name {
            self.found.renamed.push(format!("{} → {name}", was.full_name));
            if !self.moved.contains(id) {
                self.tell("repository.renamed", Some(id), format!("{} is called {name} now.", was.full_name)).await?;
            }
        }
        if before.left_out {
            self.found.let_in.push(name.clone());
            let what = if before.selected { "it is backed up again" } else { "it is not backed up, as somebody chose" };
            let text = format!("{name} is let through by the globs of {} again; {what}.", self.connection.name);
            self.tell("repository.let_in", Some(id), text).await?;
        }
        if before.gone {
            let at = if surveyed.availability == Availability::Recycled { "in the recycle bin of" } else { "on" };
            let text = format!("{name} is {at} the forge again.");
            let told = alarms::over(self.services, Lost::Gone.subject(id), text.clone()).await?;
            if !told && !moved {
                self.tell("repository.back", Some(id), text).await?;
            }
        }
        if was.archived != surveyed.repository.archived {
            let what = if was.archived { "no longer archived" } else { "archived: read-only on the forge" };
            self.tell("repository.archived", Some(id), format!("{name} is {what}.")).await?;
        }
        if was.private && !surveyed.repository.private {
            self.tell("repository.publicized", Some(id), format!("{name} is public now: everybody can read it."))
                .await?;
        }
        Ok(())
    }

    /// One notice where what several repositories belong to has another name: a project, an owner.
    pub(super) async fn tell_moved(
        &mut self,
        listed: &[(&RepoId, &Surveyed)],
        known: &HashMap<RepoId, Known>,
    ) -> Result<()> {
        let mut together: BTreeMap<(&str, &str), Vec<(&RepoId, &str)>> = BTreeMap::new();
        for (id, surveyed) in listed {
            let Some(before) = known.get(id).filter(|known| known.connection == self.connection.id) else { continue };
            let (was, now) = (&before.remote, &surveyed.repository);
            if was.owner() != now.owner() && was.name() == now.name() {
                together.entry((was.owner(), now.owner())).or_default().push((id, now.name()));
            }
        }
        for ((was, now), moved) in together {
            if let [_, _, ..] = moved[..] {
                let (ids, names): (Vec<_>, Vec<_>) = moved.into_iter().unzip();
                let (count, some) = (names.len(), some_of(&names));
                let text = format!("{was} is called {now} now, with its {count} repositories: {some}.");
                self.tell("repository.renamed", None, text).await?;
                self.moved.extend(ids.into_iter().cloned());
            }
        }
        Ok(())
    }

    /// What was closed or is open again since the last look. Before that is kept, so that nobody who dies in between hides it.
    pub(super) async fn tell_closed(
        &mut self,
        listed: &[(&RepoId, &Surveyed)],
        known: &HashMap<RepoId, Known>,
    ) -> Result<()> {
        let mut recycled = Vec::new();
        for (id, surveyed) in listed {
            let (name, before) = (&surveyed.repository.full_name, known.get(id));
            let was = before.map(|known| known.availability).unwrap_or_default();
            if was == surveyed.availability || !self.filter.lets_through(name) {
                continue;
            }
            match surveyed.availability {
                Availability::Open => self.tell_open(id, name, before.is_some_and(|known| known.gone)).await?,
                Availability::Disabled => {
                    self.found.disabled.push(name.clone());
                    let text =
                        format!("{name} is disabled on the forge: it is not backed up meanwhile. Its backups stay.");
                    self.tell("repository.disabled", Some(id), text).await?;
                }
                Availability::Recycled => {
                    self.found.recycled.push(name.clone());
                    recycled.push((*id).clone());
                }
            }
        }
        let open = listed.iter().filter(|(_, surveyed)| surveyed.availability.is_open()).count();
        self.tell_lost(Lost::Recycled, &recycled, open).await
    }

    async fn tell_open(&self, id: &RepoId, name: &str, was_gone: bool) -> Result<()> {
        let text = format!("{name} is open on the forge again.");
        let told = alarms::over(self.services, Lost::Recycled.subject(id), text.clone()).await?;
        if told || was_gone { Ok(()) } else { self.tell("repository.enabled", Some(id), text).await }
    }

    /// Before they are marked: who dies in between tells it again, which changes nothing.
    pub(super) async fn tell_gone(&self, listed: &[RepoId]) -> Result<()> {
        let missing = self.services.catalog.missing(self.connection.id, listed).await?;
        let gone: Vec<RepoId> = missing.iter().map(|(id, _)| id.clone()).collect();
        self.tell_lost(Lost::Gone, &gone, listed.len()).await?;
        for (id, name) in &missing {
            let text = format!("{name} is not in the recycle bin of the forge any more.");
            alarms::over(self.services, Lost::Recycled.subject(id), text).await?;
        }
        Ok(())
    }

    /// An alarm where something of it was ever backed up; otherwise no more than a word.
    async fn tell_lost(&self, lost: Lost, ids: &[RepoId], left: usize) -> Result<()> {
        let catalog = &self.services.catalog;
        let mut backed_up = Vec::new();
        for id in ids {
            let repository = catalog.repository(id).await?;
            if repository.last_seq.is_some() {
                backed_up.push(repository);
            } else {
                let text = format!("{} {}. Nothing of it was backed up.", repository.full_name, lost.so());
                self.tell(lost.kind(), Some(id), text).await?;
            }
        }
        for alarm in alarms::of_lost(self.services, self.connection, lost, &backed_up, left).await? {
            catalog.raise(alarm).await?;
        }
        Ok(())
    }

    pub(super) async fn tell(&self, kind: &'static str, repo: Option<&RepoId>, text: String) -> Result<()> {
        let (connection, repo) = (Some(self.connection.id), repo.cloned());
        let notice = NewNotice { kind, connection, repo, text, ..NewNotice::default() };
        self.services.catalog.notify(notice).await
    }
}
