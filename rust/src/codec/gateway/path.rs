//! The path that the gateway names, and where it lies in the client's spelling of it.

use super::variable::Known;
use crate::codec::http1::Refusal;
use crate::codec::http1::path::decode_path;

const PATH_INFO: Refusal = Refusal::bad_request(
    "PATH_INFO is neither empty nor a path that begins with a slash, as RFC 3875 wants it.",
);
const SCRIPT_NAME: Refusal = Refusal::bad_request(
    "SCRIPT_NAME is neither empty nor a path that begins with a slash, as RFC 3875 wants it.",
);
const NUL: Refusal = Refusal::bad_request("The path contains a NUL character.");

/// A decoded path: where the application is mounted, and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub root: &'a [u8],
    pub rest: &'a [u8],
}

impl<'a> Named<'a> {
    /// What the variables say about the path; nothing if that is left to `REQUEST_URI`. With `strip_script_name`, a
    /// `PATH_INFO` that begins with `SCRIPT_NAME` is read as the whole path.
    ///
    /// # Errors
    ///
    /// 400 for what is no path.
    pub(super) fn find(
        known: &Known<'a>,
        strip_script_name: bool,
    ) -> Result<Option<Self>, Refusal> {
        let script_name = known.script_name.unwrap_or_default();
        let named = match known.path_info {
            Some(path_info) => {
                let root = trim_slashes(script_name);
                let rest = match path_info.strip_prefix(root) {
                    Some(rest) if strip_script_name && matches!(rest, [] | [b'/', ..]) => rest,
                    _ => path_info,
                };
                Self { root, rest }
            }
            None if !script_name.is_empty() => Self {
                root: b"",
                rest: script_name,
            },
            None => Self {
                root: b"",
                rest: known.document_uri,
            },
        };
        if !is_path(script_name) {
            return Err(SCRIPT_NAME);
        }
        if !is_path(named.rest) {
            return Err(PATH_INFO);
        }
        if memchr::memchr(0, named.root).is_some() || memchr::memchr(0, named.rest).is_some() {
            return Err(NUL);
        }
        let is_told = !named.root.is_empty() || !named.rest.is_empty();
        Ok(is_told.then_some(named))
    }

    /// The place in `encoded` where the rest begins, if that spells this path.
    ///
    /// # Errors
    ///
    /// 400 if `encoded` has an invalid escape. The end of `scratch` is used, and left as it was.
    pub(super) fn place_in(
        &self,
        encoded: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Result<Option<usize>, Refusal> {
        let from = scratch.len();
        let outcome = decode_path(encoded, scratch);
        let spelled = scratch.get(from..).unwrap_or_default();
        let is_same = spelled.strip_prefix(self.root) == Some(self.rest);
        scratch.truncate(from);
        outcome?;
        Ok(is_same.then(|| self.rest_in(encoded)))
    }

    /// The place in `encoded`, which spells this path, where the rest begins.
    pub(super) fn rest_in(&self, encoded: &[u8]) -> usize {
        let mut at = 0;
        for _ in 0..self.root.len() {
            at += if encoded.get(at) == Some(&b'%') { 3 } else { 1 };
        }
        at
    }
}

fn is_path(text: &[u8]) -> bool {
    matches!(text, [] | [b'/', ..])
}

fn trim_slashes(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b'/'] = text {
        text = rest;
    }
    text
}

/// Appends `path` with everything escaped that is no `pchar` (RFC 3986 3.3) or slash.
pub(super) fn encode_path(out: &mut Vec<u8>, path: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &octet in path {
        if is_path_byte(octet) {
            out.push(octet);
        } else {
            let (high, low) = (usize::from(octet >> 4), usize::from(octet & 15));
            out.extend([b'%', DIGITS[high], DIGITS[low]]);
        }
    }
}

fn is_path_byte(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(
        script: Option<&'static str>,
        info: Option<&'static str>,
        strip: bool,
    ) -> Result<Option<Named<'static>>, Refusal> {
        let known = Known {
            script_name: script.map(str::as_bytes),
            path_info: info.map(str::as_bytes),
            document_uri: b"/doc",
            ..Known::default()
        };
        Named::find(&known, strip)
    }

    #[test]
    fn what_is_mounted_where_follows_from_the_variables_that_are_there() {
        for (script, info, strip, root, rest) in [
            (None, None, false, "", "/doc"),
            (Some("/a/b"), None, false, "", "/a/b"),
            (Some("/a"), Some("/b"), false, "/a", "/b"),
            (Some("/a"), Some("/a/b"), false, "/a", "/a/b"),
            (Some("/a"), Some("/a/b"), true, "/a", "/b"),
            (Some("/a"), Some("/a"), true, "/a", ""),
            (Some("/a"), Some("/ab"), true, "/a", "/ab"),
            (Some("/a/"), Some("/b"), false, "/a", "/b"),
            (Some("/"), Some("/b"), true, "", "/b"),
            (Some(""), Some("/b"), false, "", "/b"),
            (Some(""), None, false, "", "/doc"),
            (None, Some("//x"), false, "", "//x"),
        ] {
            let wanted = Named {
                root: root.as_bytes(),
                rest: rest.as_bytes(),
            };
            let found = named(script, info, strip);
            assert_eq!(found, Ok(Some(wanted)), "{script:?} {info:?}");
        }
        assert_eq!(named(None, Some(""), false), Ok(None));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (script, info) in [("a", "/"), ("/a/", "b"), ("", "*"), ("", "/a\0b")] {
            assert!(named(Some(script), Some(info), false).is_err());
        }
    }

    #[test]
    fn the_clients_spelling_is_found_again() {
        let path = Named {
            root: b"/a b",
            rest: b"/c/d",
        };
        let mut scratch = b"kept".to_vec();
        for (encoded, place) in [
            ("/a%20b/c/d", Some(6)),
            ("/%61%20b%2Fc/d", Some(8)),
            ("/a%20b/c/d/", None),
            ("/a%20b/c//d", None),
            ("/a%20b", None),
        ] {
            let found = path.place_in(encoded.as_bytes(), &mut scratch);
            assert_eq!(found, Ok(place), "{encoded}");
        }
        assert!(path.place_in(b"/a%2", &mut scratch).is_err());
        assert_eq!(scratch, b"kept");
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let all: Vec<u8> = (1..=255).collect();
        let (mut encoded, mut decoded) = (Vec::new(), Vec::new());
        encode_path(&mut encoded, &all);
        assert!(encoded.is_ascii() && !encoded.contains(&b'?') && !encoded.contains(&b'#'));
        decode_path(&encoded, &mut decoded).unwrap();
        assert_eq!(decoded, all);
    }
}
