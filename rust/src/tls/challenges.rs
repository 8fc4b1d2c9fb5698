//! What authorities are answered that look over HTTP whether we have a name (RFC 8555 8.3).
//!
//! The supervisor keeps the answers in a file in memory of their own, as certificates need not be read anew for them. It is
//! looked at for requests to paths under `PATH` only, which nobody else makes, so that others cost one comparison.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use super::Fault;
use super::handed::{Handed, malformed, record};

/// Where authorities look; a token follows.
const PATH: &[u8] = b"/.well-known/acme-challenge/";

/// Far above what `hostler.tls.challenges` keeps.
const MAX_LENGTH: u64 = 1 << 20;

/// As long as tokens of `hostler.tls.challenges` may be.
const MAX_TOKEN: usize = 128;

/// The letter of records: an answer, which begins with its token and a full stop (RFC 8555 8.1).
const ANSWER: u8 = b'H';

/// Key authorizations by token.
type Answers = HashMap<Box<[u8]>, Box<[u8]>>;

/// The answers there are.
#[derive(Debug)]
pub struct Challenges {
    file: Handed,
    answers: Answers,
}

impl Challenges {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn open(fd: OwnedFd) -> Result<Self, Fault> {
        let mut challenges = Self {
            file: Handed::new(fd, "the answers to challenges", MAX_LENGTH),
            answers: Answers::new(),
        };
        challenges.answers = build(&challenges.file.read()?)?;
        Ok(challenges)
    }

    /// Whether a path is one where authorities look.
    #[must_use]
    #[inline]
    pub fn concerns(path: &[u8]) -> bool {
        path.starts_with(PATH)
    }

    /// The answer at a path as it is now, if there is one.
    ///
    /// # Errors
    /// When what there is now cannot be read; what there was stays.
    pub fn find(&mut self, path: &[u8]) -> Result<Option<&[u8]>, Fault> {
        let Some(token) = path.strip_prefix(PATH).filter(|token| is_token(token)) else {
            return Ok(None);
        };
        if self.file.has_changed()? {
            self.answers = build(&self.file.read()?)?;
        }
        Ok(self.answers.get(token).map(|answer| &**answer))
    }
}

fn build(bytes: &[u8]) -> Result<Answers, Fault> {
    let mut answers = Answers::new();
    let mut rest = bytes;
    while let Some((letter, answer, behind)) = record(rest)? {
        rest = behind;
        let end = memchr::memchr(b'.', answer).ok_or_else(malformed)?;
        if letter != ANSWER || !is_token(&answer[..end]) {
            return Err(malformed());
        }
        answers.insert(answer[..end].into(), answer.into());
    }
    Ok(answers)
}

/// RFC 8555 8.3: the alphabet of base64url, and nothing else.
fn is_token(bytes: &[u8]) -> bool {
    (1..=MAX_TOKEN).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// Writes what the supervisor would, under a number.
    fn write(file: &File, number: u64, answers: &[&str]) {
        let mut bytes = Vec::new();
        for answer in answers {
            bytes.push(ANSWER);
            bytes.extend(u32::try_from(answer.len()).unwrap().to_le_bytes());
            bytes.extend(answer.as_bytes());
        }
        let length = bytes.len() as u64;
        let whole = [&number.to_le_bytes()[..], &length.to_le_bytes(), &bytes].concat();
        file.write_all_at(&whole, 0).unwrap();
    }

    fn memory() -> File {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        File::from(rustix::fs::memfd_create("challenges", flags).unwrap())
    }

    fn opened(file: &File) -> Result<Challenges, Fault> {
        Challenges::open(file.try_clone().unwrap().into())
    }

    fn find(challenges: &mut Challenges, token: &str) -> Option<String> {
        let path = format!("/.well-known/acme-challenge/{token}");
        let found = challenges.find(path.as_bytes()).unwrap();
        found.map(|answer| String::from_utf8_lossy(answer).into_owned())
    }

    #[test]
    fn answers_come_and_go_while_the_file_is_open() {
        let file = memory();
        write(&file, 2, &[]);
        let mut challenges = opened(&file).unwrap();
        assert_eq!(find(&mut challenges, "a-B_9"), None);
        write(&file, 4, &["a-B_9.print", "other.print"]);
        assert_eq!(find(&mut challenges, "a-B_9"), Some("a-B_9.print".into()));
        assert_eq!(find(&mut challenges, "other"), Some("other.print".into()));
        assert_eq!(find(&mut challenges, "a-b_9"), None);
        write(&file, 6, &["other.print"]);
        assert_eq!(find(&mut challenges, "a-B_9"), None);
        // While it is being written, what there was holds.
        write(&file, 7, &[]);
        assert_eq!(find(&mut challenges, "other"), Some("other.print".into()));
    }

    #[test]
    fn only_whole_tokens_are_looked_up() {
        let file = memory();
        write(&file, 2, &["abc.print"]);
        let mut challenges = opened(&file).unwrap();
        let long = "a".repeat(MAX_TOKEN + 1);
        for token in [
            "",
            "abc.print",
            "abc/",
            "./abc",
            "ab%63",
            "abc\0",
            "ab",
            &long,
        ] {
            assert_eq!(find(&mut challenges, token), None, "{token}");
        }
        assert_eq!(challenges.find(b"/abc"), Ok(None));
        assert!(find(&mut challenges, "abc").is_some());
    }

    #[test]
    fn what_is_no_answer_is_refused_and_what_there_was_stays() {
        for answer in ["", "abc", ".print", "a/b.print"] {
            let file = memory();
            write(&file, 2, &[answer]);
            assert!(opened(&file).is_err(), "{answer}");
        }
        let file = memory();
        write(&file, 2, &["abc.print"]);
        let mut challenges = opened(&file).unwrap();
        write(&file, 4, &["nonsense"]);
        let path = b"/.well-known/acme-challenge/abc";
        assert!(challenges.find(path).is_err());
        // Once, not with every request.
        assert_eq!(challenges.find(path), Ok(Some(&b"abc.print"[..])));
    }
}
