//! What to say about an atom that does not exist.

/// Letters of atoms, and the words that people write for them.
const WORDS: [(&str, &str); 19] = [
    ("h", "client"),
    ("l", "logname"),
    ("u", "user"),
    ("t", "time"),
    ("r", "request"),
    ("s", "status"),
    ("m", "method"),
    ("U", "path"),
    ("q", "query"),
    ("H", "protocol"),
    ("b", "size"),
    ("B", "bytes"),
    ("f", "referer"),
    ("a", "user_agent"),
    ("T", "seconds"),
    ("M", "milliseconds"),
    ("D", "microseconds"),
    ("L", "decimal_seconds"),
    ("p", "pid"),
];

/// Names of the atoms `%({name}x)s`, which are Hostler's own.
const EXTRAS: [&str; 8] = [
    "request_id",
    "scheme",
    "time",
    "clf",
    "date",
    "epoch",
    "target",
    "pid",
];

/// The reason for `%(name)s` being refused.
pub(super) fn unknown(name: &str) -> String {
    let meant = if name.starts_with('{') {
        braced(name)
    } else {
        lettered(name)
    };
    format!("unknown atom %({name})s; {meant}")
}

/// The reason for a percent sign being refused that no parenthesis follows, as Apache writes its formats.
pub(super) fn without_parentheses(rest: &str) -> String {
    let name = rest.trim_start_matches(['>', '<']);
    if name.starts_with('{')
        && let Some((inside, after)) = name.split_once('}')
        && let Some(kind) = after.chars().next()
    {
        return format!("atoms stand in parentheses; write %({inside}}}{kind})s");
    }
    match name.chars().next() {
        Some(letter) if WORDS.iter().any(|(known, _)| known.chars().eq([letter])) => {
            format!("atoms stand in parentheses; write %({letter})s")
        }
        _ => "a percent sign begins an atom such as %(h)s; write %% for the sign itself".to_owned(),
    }
}

fn lettered(name: &str) -> String {
    let other_case = || {
        WORDS
            .iter()
            .find(|(letter, _)| name.eq_ignore_ascii_case(letter))
    };
    let near = || {
        nearest(name, WORDS.iter().map(|(_, word)| *word))
            .and_then(|near| WORDS.iter().find(|(_, word)| *word == near))
    };
    if let Some((letter, word)) = other_case().or_else(near) {
        return format!("did you mean %({letter})s ({word})?");
    }
    let all: Vec<&str> = WORDS.iter().map(|(letter, _)| *letter).collect();
    format!(
        "there are {} and {{name}}i, {{name}}o, {{name}}e, {{name}}x",
        all.join(" ")
    )
}

fn braced(name: &str) -> String {
    let inside = name.trim_start_matches('{');
    let (inside, kind) = inside.split_once('}').unwrap_or((inside, ""));
    if inside.is_empty() {
        return "a name is missing between the braces".to_owned();
    }
    if kind == "x" {
        let near = nearest(inside, EXTRAS.into_iter()).unwrap_or("request_id");
        return format!("did you mean %({{{near}}}x)s?");
    }
    format!(
        "did you mean %({{{inside}}}i)s? (i: request field, o: response field, e: environ key, x: Hostler's own)"
    )
}

/// The candidate with the fewest edits, if they are fewer than half of its letters.
fn nearest(name: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    candidates
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(edits, candidate)| *edits * 2 < candidate.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance in bytes.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, left) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, right) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_edits() {
        assert_eq!(distance("status", "status"), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn far_names_get_the_whole_list() {
        assert!(unknown("zzzzzzzz").contains("{name}i"));
        assert!(unknown("z").contains(" U "));
    }
}
