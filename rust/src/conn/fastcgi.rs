//! Connections on which a web server in front speaks FastCGI: records in, records out.
//!
//! The decoder belongs to the connection, as records of management come at any time and requests may follow each other.
//! A request's body always ends with a record of its own, so that even one without a body is awaited to its end.

use std::sync::Arc;

use crate::codec::fastcgi::{
    Capacity, Decoder, Event, Kind, MAX_CONTENT, padding_after, record_header, write_end,
    write_refusal, write_stdout,
};
use crate::codec::http1::Refusal;
use crate::net::Transfer;

use super::gateway::STRANGER;
use super::reading::{Fed, Intake};
use super::{Conn, Context, NEVER, Part, Phase, Step, Verdict};

const ABORTED: Refusal =
    Refusal::bad_request("The web server has given the request up before its body was complete.");

/// What FastCGI adds to a connection.
#[derive(Debug)]
pub(super) struct Records {
    decoder: Decoder,
    /// The id of the present request.
    id: u16,
}

impl Records {
    pub(super) fn new(context: &Context) -> Self {
        let capacity = Capacity {
            // What one worker takes; the web server opens more connections as it likes, and they wait.
            connections: context.settings.max_connections,
            requests: context.settings.max_connections,
        };
        Self {
            decoder: Decoder::new(&context.settings.limits, capacity),
            id: 0,
        }
    }

    pub(super) fn is_within(&self) -> bool {
        self.decoder.is_within()
    }

    pub(super) fn in_memory(&self) -> usize {
        self.decoder.buffered()
    }
}

impl Conn {
    /// Waits for a request, as `step_head` does where HTTP is spoken.
    pub(super) fn step_records(&mut self, context: &mut Context) -> Step {
        if self.unseen {
            self.unseen = false;
            let held = std::mem::take(&mut self.input);
            let at = std::mem::take(&mut self.at);
            return self.take_records(&held[at..], context);
        }
        if !self.readable {
            return Step::Wait;
        }
        let mut scratch = std::mem::take(&mut context.scratch);
        let step = match self.receive(&mut scratch, &context.board) {
            Transfer::Blocked => Step::Wait,
            Transfer::Broken(_) | Transfer::Done(0) => Step::Close,
            Transfer::Done(count) => self.take_records(&scratch[..count], context),
        };
        context.scratch = scratch;
        step
    }

    fn take_records(&mut self, bytes: &[u8], context: &mut Context) -> Step {
        let Some(mut records) = self.records.take() else {
            return Step::Close;
        };
        if !records.is_within() {
            self.start_head_deadline(context);
        }
        let mut answers = Vec::new();
        let mut at = 0;
        let step = loop {
            match records.decoder.decode(&bytes[at..], &mut answers) {
                Ok(decoded) => {
                    at += decoded.consumed;
                    match decoded.event {
                        None => break Step::Wait,
                        Some(Event::Request) => break Step::Again,
                        Some(Event::Close) => break Step::Close,
                        // Of a request that is over.
                        Some(Event::Answered | Event::Data(_) | Event::End | Event::Abort) => {}
                    }
                }
                Err(fault) => {
                    self.records = Some(records);
                    return self.fail_records(fault.refusal, &answers, context);
                }
            }
        };
        self.records = Some(records);
        self.answer_at_once(&answers, context);
        match step {
            Step::Wait if self.readable => Step::Again,
            Step::Wait => Step::Wait,
            Step::Again => self.begin_request(&bytes[at..], context),
            Step::Close => self.end_records(),
        }
    }

    fn fail_records(
        &mut self,
        refusal: Option<(u16, Refusal)>,
        answers: &[u8],
        context: &mut Context,
    ) -> Step {
        self.answer_at_once(answers, context);
        let Some((id, refusal)) = refusal else {
            return self.end_records();
        };
        if let Some(records) = &mut self.records {
            records.id = id;
        }
        self.refuse(&refusal, context);
        Step::Again
    }

    /// Writes what is still to be written, then closes.
    fn end_records(&mut self) -> Step {
        self.forget_input();
        self.keep_alive = false;
        self.phase = Phase::Answered;
        self.deadline = NEVER;
        Step::Again
    }

    fn answer_at_once(&mut self, answers: &[u8], context: &mut Context) {
        if !answers.is_empty() {
            // A broken connection shows again when it is read, or when what waits is flushed.
            let _ = self.transmit(answers, None, context);
        }
    }

    /// Takes the request whose variables are complete; `rest` is what arrived behind them.
    fn begin_request(&mut self, rest: &[u8], context: &mut Context) -> Step {
        let is_trusted = self.trusted;
        let Some(records) = self.records.as_deref_mut() else {
            return Step::Close;
        };
        let mut request = context.take_request();
        let mut told = request.gateway.take().unwrap_or_default();
        told.clear();
        records.id = records.decoder.request_id().unwrap_or(0);
        let read = records.decoder.read_request(
            &context.settings.limits,
            &mut request.bytes,
            &mut request.head,
            &mut told,
        );
        match read {
            Ok(()) if is_trusted => {
                request.gateway = Some(told);
                self.admit(request, rest, context);
                let left = self.left.min(rest.len());
                self.keep_rest(&rest[rest.len() - left..]);
            }
            Ok(()) => {
                context.give_back(request);
                self.refuse(&STRANGER, context);
            }
            Err(refusal) => {
                context.give_back(request);
                self.refuse(&refusal, context);
            }
        }
        Step::Again
    }

    /// Adds what records say of the present request's body.
    pub(super) fn feed_records(
        &mut self,
        intake: &mut Intake,
        bytes: &[u8],
        context: &mut Context,
    ) -> Result<Fed, Refusal> {
        let mut answers = Vec::new();
        let fed = self.decode_body(intake, bytes, &mut answers, context);
        self.answer_at_once(&answers, context);
        fed
    }

    fn decode_body(
        &mut self,
        intake: &mut Intake,
        bytes: &[u8],
        answers: &mut Vec<u8>,
        context: &mut Context,
    ) -> Result<Fed, Refusal> {
        let Some(records) = self.records.as_deref_mut() else {
            return Err(ABORTED);
        };
        let mut at = 0;
        loop {
            let decoded = records
                .decoder
                .decode(&bytes[at..], answers)
                .map_err(|fault| fault.refusal.map_or(ABORTED, |(_, refusal)| refusal))?;
            at += decoded.consumed;
            match decoded.event {
                None => return Ok(Fed::Hungry),
                Some(Event::Data(data)) => intake.take(data, context)?,
                Some(Event::End) => return Ok(Fed::Complete(at)),
                Some(Event::Answered) => {}
                Some(Event::Abort | Event::Close | Event::Request) => return Err(ABORTED),
            }
        }
    }

    /// Sends a part of the present request's answer.
    pub(super) fn send_records(
        &mut self,
        bytes: &[u8],
        part: Option<Part>,
        context: &mut Context,
    ) -> Verdict {
        let id = self.records.as_ref().map_or(0, |records| records.id);
        let mut framed = Vec::with_capacity(bytes.len() + 64);
        write_stdout(&mut framed, id, bytes);
        match part {
            None => {}
            Some(Part::Shared(payload)) => {
                write_stdout(&mut framed, id, (*payload).as_ref());
                context.retired.push(payload);
            }
            Some(Part::File {
                file,
                offset,
                length,
            }) => {
                let mut at = offset;
                let end = offset + length;
                while at < end {
                    let size =
                        usize::try_from(end - at).map_or(MAX_CONTENT, |left| left.min(MAX_CONTENT));
                    framed.extend_from_slice(&record_header(Kind::Stdout, id, size));
                    let piece = Part::File {
                        file: Arc::clone(&file),
                        offset: at,
                        length: size as u64,
                    };
                    if self.transmit(&framed, Some(piece), context) == Verdict::Close {
                        return Verdict::Close;
                    }
                    framed.clear();
                    framed.resize(padding_after(size), 0);
                    at += size as u64;
                }
            }
        }
        if framed.is_empty() {
            return Verdict::Keep;
        }
        self.transmit(&framed, None, context)
    }

    /// Ends the present request's answer.
    pub(super) fn finish_records(&mut self, context: &mut Context) {
        let Some(records) = self.records.as_deref_mut() else {
            return;
        };
        records.decoder.finish();
        let mut end = Vec::with_capacity(32);
        write_end(&mut end, records.id, 0);
        // A broken connection shows again when what waits is flushed.
        let _ = self.transmit(&end, None, context);
    }

    /// Writes a whole answer to a request that never reaches the application.
    pub(super) fn refuse_records(
        &mut self,
        refusal: &Refusal,
        is_head: bool,
        context: &mut Context,
    ) {
        let id = self.records.as_ref().map_or(0, |records| records.id);
        let mut answer = Vec::new();
        write_refusal(&mut answer, id, refusal, is_head);
        self.answering = true;
        // A broken connection shows again when the answer is flushed.
        let _ = self.transmit(&answer, None, context);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};
    use std::os::unix::net::UnixStream;

    use crate::conn::Request;
    use crate::conn::tests::{conn_speaking, context};
    use crate::net::{Protocol, Speech};
    use crate::trust::Networks;

    const SPEECH: Speech = Speech {
        protocol: Protocol::FastCgi,
        proxy: false,
        tls: None,
    };

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        let size = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[1, kind, 0, 7, size[0], size[1], 0, 0], content].concat()
    }

    /// A request with the id 7 on a connection that persists.
    fn request(variables: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut pairs = Vec::new();
        for (name, value) in variables {
            pairs.push(u8::try_from(name.len()).unwrap());
            pairs.push(u8::try_from(value.len()).unwrap());
            pairs.extend(name.bytes().chain(value.bytes()));
        }
        let mut out = record(1, &[0, 1, 1, 0, 0, 0, 0, 0]);
        out.extend(record(4, &pairs));
        out.extend(record(4, b""));
        if !body.is_empty() {
            out.extend(record(5, body));
        }
        out.extend(record(5, b""));
        out
    }

    fn get() -> Vec<u8> {
        request(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/x")], b"")
    }

    fn believing() -> Context {
        let mut context = context();
        context.settings.trusted = Networks::parse(&["unix"]).unwrap();
        context
    }

    fn send(conn: &mut Conn, theirs: &mut UnixStream, bytes: &[u8], context: &mut Context) {
        theirs.write_all(bytes).unwrap();
        conn.note_readiness(true, false);
        assert_eq!(conn.pump(context), Verdict::Keep);
    }

    /// The content of `STDOUT`, and how many requests were ended.
    fn received(theirs: &mut UnixStream) -> (Vec<u8>, usize) {
        theirs.set_nonblocking(true).unwrap();
        let mut bytes = Vec::new();
        // It ends where nothing more was sent.
        let _ = theirs.read_to_end(&mut bytes);
        theirs.set_nonblocking(false).unwrap();
        let (mut stdout, mut ends) = (Vec::new(), 0);
        let mut rest = &bytes[..];
        while let [1, kind, 0, 7, high, low, padding, _, tail @ ..] = rest {
            let size = usize::from(u16::from_be_bytes([*high, *low]));
            match kind {
                6 => stdout.extend_from_slice(&tail[..size]),
                3 => ends += 1,
                other => panic!("unexpected record {other}"),
            }
            rest = &tail[size + usize::from(*padding)..];
        }
        assert!(rest.is_empty(), "{rest:?}");
        (stdout, ends)
    }

    fn answer(conn: &mut Conn, request: Box<Request>, body: &[u8], context: &mut Context) {
        assert_eq!(conn.send(body, None, context), Verdict::Keep);
        assert_eq!(conn.answer(request, true, context), Verdict::Keep);
    }

    #[test]
    fn requests_follow_each_other_on_a_connection_that_persists() {
        let mut context = believing();
        let (mut conn, mut theirs) = conn_speaking(SPEECH, &context);
        // The second one arrives behind the first.
        send(&mut conn, &mut theirs, &get().repeat(2), &mut context);
        for number in [b"1", b"2"] {
            let request = context.ready.pop_front().unwrap();
            assert!(context.ready.is_empty());
            answer(&mut conn, request, number, &mut context);
            assert_eq!(received(&mut theirs), (number.to_vec(), 1));
        }
        assert!(conn.is_idle());
    }

    #[test]
    fn body_is_whole_however_it_is_split() {
        let variables = [
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", "/x"),
            ("CONTENT_LENGTH", "4"),
        ];
        let bytes = request(&variables, b"body");
        for size in [1, 3, bytes.len()] {
            let mut context = believing();
            let (mut conn, mut theirs) = conn_speaking(SPEECH, &context);
            for piece in bytes.chunks(size) {
                send(&mut conn, &mut theirs, piece, &mut context);
            }
            assert_eq!(context.ready.pop_front().unwrap().body.in_memory(), 4);
        }
    }

    #[test]
    fn part_of_a_file_goes_out_in_records() {
        let mut context = believing();
        let (mut conn, mut theirs) = conn_speaking(SPEECH, &context);
        send(&mut conn, &mut theirs, &get(), &mut context);
        let request = context.ready.pop_front().unwrap();
        let filling: Vec<u8> = (0..=255).cycle().take(150_001).collect();
        let mut file = std::fs::File::from(
            rustix::fs::open(
                std::env::temp_dir(),
                rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR,
                rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            )
            .unwrap(),
        );
        file.write_all(&filling).unwrap();
        file.rewind().unwrap();
        let part = Part::File {
            file: Arc::new(file),
            offset: 1,
            length: 150_000,
        };
        assert_eq!(conn.send(b"head", Some(part), &mut context), Verdict::Keep);
        assert_eq!(conn.answer(request, true, &mut context), Verdict::Keep);
        let mut all = Vec::new();
        loop {
            let (stdout, ends) = received(&mut theirs);
            all.extend(stdout);
            if ends == 1 {
                break;
            }
            assert_eq!(conn.proceed(&mut context), Verdict::Keep);
        }
        assert_eq!(all, [b"head", &filling[1..]].concat());
    }

    #[test]
    fn stranger_is_refused_in_the_form_it_understands() {
        let mut context = context();
        let (mut conn, mut theirs) = conn_speaking(SPEECH, &context);
        send(&mut conn, &mut theirs, &get(), &mut context);
        assert!(context.ready.is_empty());
        let (stdout, ends) = received(&mut theirs);
        assert!(stdout.starts_with(b"Status: 403 Forbidden\r\n"));
        assert_eq!(ends, 1);
    }

    #[test]
    fn half_a_request_has_a_deadline() {
        let mut context = believing();
        let (mut conn, mut theirs) = conn_speaking(SPEECH, &context);
        let whole = get();
        send(
            &mut conn,
            &mut theirs,
            &whole[..whole.len() - 9],
            &mut context,
        );
        assert!(!conn.is_idle());
        context.now.millis += context.settings.head_timeout;
        assert!(conn.due() <= context.now.millis);
        assert_eq!(conn.expire(&mut context), Verdict::Close);
    }
}
