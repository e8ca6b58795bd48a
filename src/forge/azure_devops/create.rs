//! Making a repository in a project that is there.

/// What a repository that has this name elsewhere is called in an organization: the part before the name is the project.
pub(super) fn name_at(full_name: &str) -> String {
    full_name.to_owned()
}
