//! Which application serves a path: the main one, or one that is mounted below a prefix.

use pyo3::prelude::*;

/// `hostler.contracts.Mount`.
#[derive(Debug, FromPyObject)]
pub(super) struct MountSettings {
    prefix: String,
    interface: String,
    application: Py<PyAny>,
}

/// One application.
#[derive(Debug)]
pub(super) struct Mount {
    /// Empty, or the path below which it is, without a slash at the end.
    pub(super) prefix: Vec<u8>,
    /// It speaks ASGI, rather than WSGI.
    pub(super) is_asgi: bool,
    pub(super) application: Py<PyAny>,
}

/// All applications of a worker.
#[derive(Debug)]
pub(super) struct Mounts {
    /// The prefix below which all of them are.
    script_name: Vec<u8>,
    /// The longest prefix first, so that the first that fits is the one.
    mounts: Vec<Mount>,
}

/// What serves a path, and how much of the path leads to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'mounts> {
    pub(super) mount: &'mounts Mount,
    /// So many bytes of the path are the script name and the prefix.
    pub(super) root: usize,
}

impl Mounts {
    /// Takes the applications; one of them has an empty prefix.
    pub(super) fn new(settings: Vec<MountSettings>, script_name: &str) -> Self {
        let mut mounts: Vec<Mount> = settings
            .into_iter()
            .map(|mount| Mount {
                prefix: mount.prefix.into_bytes(),
                is_asgi: mount.interface == "asgi",
                application: mount.application,
            })
            .collect();
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.len()));
        Self {
            script_name: script_name.trim_end_matches('/').as_bytes().to_vec(),
            mounts,
        }
    }

    /// Who serves the decoded `path`.
    pub(super) fn find(&self, path: &[u8]) -> Option<Place<'_>> {
        let above = if is_below(path, &self.script_name) {
            self.script_name.len()
        } else {
            0
        };
        let rest = &path[above..];
        let mount = self
            .mounts
            .iter()
            .find(|mount| is_below(rest, &mount.prefix))?;
        Some(Place {
            mount,
            root: above + mount.prefix.len(),
        })
    }
}

/// Whether `path` is `prefix` or lies below it.
fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    prefix.is_empty()
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
