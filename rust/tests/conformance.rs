//! Runs the corpus in `tests/conformance/http1` through the codec: each case whole, in pieces, behind a good request,
//! and with bytes after it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod model;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use model::{Ending, Outcome, Request, serve};
use toml::{Table, Value};

const GOOD: &[u8] = b"GET /good HTTP/1.1\r\nHost: good.example\r\n\r\n";

struct Case {
    id: String,
    input: Vec<u8>,
    accept: Vec<Table>,
    ending: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Refused(u16),
    Incomplete,
    Clean,
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        assert!(
            first.is_ascii() && !first.is_ascii_control(),
            "only printable ASCII in {text:?}"
        );
        rest = &rest[1..];
        if first != '\\' {
            out.push(first as u8);
            continue;
        }
        let (kind, tail) = rest.split_at(1);
        rest = tail;
        match kind {
            "r" => out.push(b'\r'),
            "n" => out.push(b'\n'),
            "t" => out.push(b'\t'),
            "\\" => out.push(b'\\'),
            "x" => {
                out.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            "{" => {
                let (count, tail) = rest.split_once('*').unwrap();
                let (part, tail) = tail.split_once('}').unwrap();
                out.extend(unescape(part).repeat(count.parse().unwrap()));
                rest = tail;
            }
            other => panic!("unknown escape {other:?} in {text:?}"),
        }
    }
    out
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => unescape(text),
        Value::Array(parts) => parts.iter().flat_map(bytes_of).collect(),
        other => panic!("neither a string nor a list of strings: {other:?}"),
    }
}

fn build_case(table: &Table) -> Case {
    let id = table["id"].as_str().unwrap().to_owned();
    for key in table.keys() {
        let known = [
            "id",
            "clause",
            "note",
            "input",
            "accept",
            "refuse",
            "incomplete",
        ];
        assert!(known.contains(&key.as_str()), "{id}: unknown key {key}");
    }
    assert!(
        table["clause"].as_str().unwrap().starts_with("RFC "),
        "{id}: no clause"
    );
    let accept: Vec<Table> = table.get("accept").map_or_else(Vec::new, |list| {
        list.as_array()
            .unwrap()
            .iter()
            .map(|r| r.as_table().unwrap().clone())
            .collect()
    });
    let ending = match (table.get("refuse"), table.get("incomplete")) {
        (Some(status), None) => {
            Expected::Refused(u16::try_from(status.as_integer().unwrap()).unwrap())
        }
        (None, Some(Value::Boolean(true))) => Expected::Incomplete,
        (None, None) if !accept.is_empty() => Expected::Clean,
        _ => panic!("{id}: what is expected?"),
    };
    Case {
        id,
        input: bytes_of(&table["input"]),
        accept,
        ending,
    }
}

fn load_corpus() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/http1");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files.iter().filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    }) {
        let table: Table = fs::read_to_string(file)
            .unwrap()
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        cases.extend(
            table["case"]
                .as_array()
                .unwrap()
                .iter()
                .map(|case| build_case(case.as_table().unwrap())),
        );
    }
    cases
}

fn assert_request(id: &str, expected: &Table, seen: &Request) {
    assert!(
        expected.contains_key("method") && expected.contains_key("target"),
        "{id}: method and target are needed"
    );
    for (key, value) in expected {
        let text = || bytes_of(value);
        match key.as_str() {
            "method" => assert_eq!(seen.method, text(), "{id}: method"),
            "target" => assert_eq!(seen.target, text(), "{id}: target"),
            "path" => assert_eq!(seen.path, text(), "{id}: path"),
            "query" => assert_eq!(seen.query, text(), "{id}: query"),
            "version" => assert_eq!(seen.version, value.as_str().unwrap(), "{id}: version"),
            "host" => assert_eq!(seen.host, Some(text()), "{id}: host"),
            "authority" => assert_eq!(seen.authority, Some(text()), "{id}: authority"),
            "body" => assert_eq!(seen.body, text(), "{id}: body"),
            "keep_alive" => assert_eq!(Some(seen.keep_alive), value.as_bool(), "{id}: keep_alive"),
            "expect_continue" => assert_eq!(
                Some(seen.expect_continue),
                value.as_bool(),
                "{id}: expect_continue"
            ),
            "fields" => {
                for (name, value) in value.as_table().unwrap() {
                    assert_eq!(
                        seen.field(name.as_bytes()),
                        Some(bytes_of(value)),
                        "{id}: field {name}"
                    );
                }
            }
            other => panic!("{id}: unknown key {other}"),
        }
    }
}

fn assert_outcome(id: &str, case: &Case, outcome: &Outcome) {
    assert_eq!(
        outcome.requests.len(),
        case.accept.len(),
        "{id}: number of requests; {outcome:?}"
    );
    for (expected, seen) in case.accept.iter().zip(&outcome.requests) {
        assert_request(id, expected, seen);
    }
    let persists = outcome
        .requests
        .last()
        .is_none_or(|request| request.keep_alive);
    let wanted = match case.ending {
        Expected::Refused(status) => Ending::Refused(status),
        Expected::Incomplete => Ending::Waiting,
        Expected::Clean if persists => Ending::Idle,
        Expected::Clean => Ending::Closed,
    };
    let is_same = outcome.ending == wanted
        || (wanted == Ending::Waiting && case.input.is_empty() && outcome.ending == Ending::Idle);
    assert!(
        is_same,
        "{id}: ended {:?}, expected {wanted:?}; {:?}",
        outcome.ending, outcome.reason
    );
}

#[test]
fn corpus_is_large_and_its_ids_are_unique() {
    let cases = load_corpus();
    let ids: BTreeSet<_> = cases.iter().map(|case| &case.id).collect();
    assert_eq!(ids.len(), cases.len());
    assert!(cases.len() >= 800, "only {} cases", cases.len());
}

#[test]
fn cases_hold_when_read_whole() {
    for case in load_corpus() {
        assert_outcome(&case.id, &case, &serve([case.input.as_slice()]));
    }
}

#[test]
fn cases_hold_when_read_byte_by_byte() {
    for case in load_corpus() {
        let outcome = serve(case.input.chunks(1));
        assert_outcome(&format!("{} (byte by byte)", case.id), &case, &outcome);
        assert_eq!(
            outcome,
            serve([case.input.as_slice()]),
            "{}: differs from the whole",
            case.id
        );
    }
}

#[test]
fn cases_hold_when_cut_in_two_anywhere() {
    for case in load_corpus().iter().filter(|case| case.input.len() < 300) {
        let whole = serve([case.input.as_slice()]);
        for cut in 0..=case.input.len() {
            let (first, second) = case.input.split_at(cut);
            assert_eq!(serve([first, second]), whole, "{}: cut at {cut}", case.id);
        }
    }
}

#[test]
fn cases_hold_behind_a_good_request() {
    for case in load_corpus() {
        let input = [GOOD, &case.input].concat();
        let mut outcome = serve([input.as_slice()]);
        assert_eq!(outcome.requests.remove(0).target, b"/good", "{}", case.id);
        assert_outcome(
            &format!("{} (behind a good request)", case.id),
            &case,
            &outcome,
        );
    }
}

#[test]
fn cases_hold_with_a_request_after_them() {
    for case in load_corpus()
        .iter()
        .filter(|case| case.ending != Expected::Incomplete)
    {
        let input = [&case.input, GOOD].concat();
        let mut outcome = serve([input.as_slice()]);
        if outcome.requests.len() == case.accept.len() + 1 {
            assert_eq!(case.ending, Expected::Clean, "{}", case.id);
            assert_eq!(
                outcome.requests.pop().unwrap().target,
                b"/good",
                "{}",
                case.id
            );
        } else {
            let persists = case.ending == Expected::Clean
                && outcome
                    .requests
                    .last()
                    .is_none_or(|request| request.keep_alive);
            assert!(
                !persists,
                "{}: the request after it was not served",
                case.id
            );
        }
        assert_outcome(
            &format!("{} (with a request after it)", case.id),
            case,
            &outcome,
        );
    }
}
