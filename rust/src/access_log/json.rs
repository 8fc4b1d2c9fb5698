//! Writing a line of JSON. The keys are a public contract, documented in the reference of the access log.

use super::date::DateCache;
use super::escape;
use super::record::{OwnField, Record};
use super::text::{decimal, number};
use super::user::User;

/// Appends one object without a line feed. A value that is not known is `null`, so that every line has every key.
pub(super) fn write(record: &Record<'_>, dates: &mut DateCache, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(dates.rfc3339(record.started_unix_nanos));
    out.push(b'"');
    write_request(record, out);
    write_response(record, out);
    let field = |name| record.fields.request_header(name).unwrap_or_default();
    string(b",\"request_id\":", record.request_id, out);
    string(b",\"referer\":", field(b"referer"), out);
    string(b",\"user_agent\":", field(b"user-agent"), out);
    string(b",\"host\":", field(b"host"), out);
    string(b",\"scheme\":", record.scheme.as_bytes(), out);
    out.extend_from_slice(b",\"pid\":");
    number(u64::from(record.pid), out);
    write_own(record.fields.own(), out);
    out.push(b'}');
}

/// The application's fields have an object of their own, so that none can pass for one of ours.
fn write_own(fields: &[OwnField], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"fields\":");
    if fields.is_empty() {
        out.extend_from_slice(b"null");
        return;
    }
    let mut before = b'{';
    for field in fields {
        out.push(before);
        before = b',';
        escape::json(&field.name, out);
        out.push(b':');
        if field.is_plain {
            out.extend_from_slice(&field.value);
        } else {
            escape::json(&field.value, out);
        }
    }
    out.push(b'}');
}

fn write_request(record: &Record<'_>, out: &mut Vec<u8>) {
    string(b",\"client\":", record.client, out);
    let user = record
        .fields
        .request_header(b"authorization")
        .and_then(User::from_authorization);
    string(
        b",\"user\":",
        user.as_ref().map(User::as_bytes).unwrap_or_default(),
        out,
    );
    string(b",\"method\":", record.method, out);
    string(b",\"path\":", record.path, out);
    string(b",\"query\":", record.query, out);
    string(b",\"protocol\":", record.protocol, out);
}

fn write_response(record: &Record<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"status\":");
    if record.status == 0 {
        out.extend_from_slice(b"null");
    } else {
        number(u64::from(record.status), out);
    }
    out.extend_from_slice(b",\"bytes\":");
    number(record.body_bytes, out);
    out.extend_from_slice(b",\"duration_ms\":");
    decimal(record.duration_nanos / 1_000, 1_000, out);
}

/// Appends a key, which comes with its comma and colon, and its value.
#[inline]
fn string(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    if value.is_empty() {
        out.extend_from_slice(b"null");
    } else {
        escape::json(value, out);
    }
}
